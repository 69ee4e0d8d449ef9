// Package peers holds the XDP programs that our fast path is measured beside: one
// that only rewrites addresses and redirects, which is the limit of any forwarder
// in the kernel, and a minimal one that asks the kernel's tables by
// bpf_fib_lookup, as xdp-forward does.
package peers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// A Kind is one of the programs.
type Kind string

// The programs.
const (
	Redirect Kind = "redirect"
	Lookup   Kind = "lookup"
)

// A Config says between which devices a program forwards.
type Config struct {
	In, Out int // indices, in the namespace of the calling thread
	// SourceMAC and DestMAC are what Redirect writes.
	SourceMAC, DestMAC net.HardwareAddr
	// Tables plus a frame's VLAN id is the kernel's table that Lookup looks it up
	// in; 0: tagged frames are left to the kernel.
	Tables int
}

// A Peer is a program at a device.
type Peer struct {
	link    link.Link
	objects peersObjects
}

// Attach loads a program and attaches it in native mode to the device c.In, in the
// namespace of the calling thread. Close it.
func Attach(k Kind, c Config) (p *Peer, err error) {
	spec, err := loadPeers()
	if err != nil {
		return nil, err
	}
	var header [16]byte
	copy(header[:6], c.DestMAC)
	copy(header[6:12], c.SourceMAC)
	words := [2]uint64{binary.NativeEndian.Uint64(header[:]), binary.NativeEndian.Uint64(header[8:])}
	for name, value := range map[string]any{"out": uint32(c.Out), "header": words, "tables": uint32(c.Tables)} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("constant %s: %w", name, err)
		}
	}
	p = &Peer{}
	if err := spec.LoadAndAssign(&p.objects, nil); err != nil {
		return nil, fmt.Errorf("load %s: %w", k, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := p.objects.Ports.Put(uint32(c.Out), uint32(c.Out)); err != nil {
		return nil, fmt.Errorf("port of %s: %w", k, err)
	}
	p.link, err = link.AttachXDP(link.XDPOptions{Program: p.Program(k), Interface: c.In, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", k, err)
	}
	return p, nil
}

// Program is the program of a kind.
func (p *Peer) Program(k Kind) *ebpf.Program {
	if k == Redirect {
		return p.objects.Redirect
	}
	return p.objects.Lookup
}

// Close detaches the program.
func (p *Peer) Close() error {
	var err error
	if p.link != nil {
		err = p.link.Close()
	}
	return errors.Join(err, p.objects.Close())
}
