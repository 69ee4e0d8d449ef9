package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"router/intf"
)

// etherLen is the length of an Ethernet header.
const etherLen = 14

const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86DD
)

// errBusy says that a link of the name exists in the namespace.
var errBusy = errors.New("the name is taken")

// A device is an open TAP. It vanishes from the kernel with its last file
// descriptor, so at the latest with the process.
type device struct {
	name string
	file *os.File
	raw  syscall.RawConn
	view atomic.Pointer[view]
	dead atomic.Bool // the reader has ended by itself

	count struct {
		delivered, deliverDrops, injected, injectDrops atomic.Uint64
	}
}

// A view is what the packet functions need to know of a TAP. Immutable.
type view struct {
	ifindex    intf.Index
	mac        intf.MAC
	mtu        int
	families   [len(intf.Families)]bool
	instances  [len(intf.Families)]uint32
	broadcasts map[netip.Addr]struct{}
}

// openDevice makes a TAP in the namespace of the calling thread. The kernel is
// offered no offloads: it completes checksums and cuts segments itself, so
// that what is read can go onto a wire as it is.
func openDevice(name string) (*device, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w; load the kernel module tun", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		// EXCL: never take over a persistent TAP that someone else made.
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0)
	}
	if err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, unix.EBUSY) {
			return nil, errBusy
		}
		return nil, fmt.Errorf("make TAP %s: %w; the daemon needs CAP_NET_ADMIN", name, err)
	}
	// Wrapped only now: before TUNSETIFF the descriptor cannot be polled.
	file := os.NewFile(uintptr(fd), "tap "+name)
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &device{name: name, file: file, raw: raw}, nil
}

// setView makes the packet functions use v. A read that waits with a buffer too
// small for a new MTU begins anew.
func (d *device) setView(v *view) {
	if old := d.view.Swap(v); old != nil && bufferFor(v.mtu) > bufferFor(old.mtu) {
		// It fails only on a file that is closed, which nobody reads.
		_ = d.file.SetReadDeadline(longAgo)
	}
}

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// bufferFor is the size of a buffer that takes every frame at an MTU.
func bufferFor(mtu int) int {
	if mtu <= 2000 {
		return 2048
	}
	return 65535 + etherLen
}

// read hands packets to inject until the device goes away.
func (d *device) read(inject func(instance uint32, ifindex intf.Index, l3 []byte)) {
	var buf []byte
	for {
		if size := bufferFor(d.view.Load().mtu); len(buf) < size {
			buf = make([]byte, size)
		}
		n, err := d.file.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// Before the buffer is looked at: a change after this has its own turn.
			err = d.file.SetReadDeadline(time.Time{})
			if err == nil {
				continue
			}
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				d.dead.Store(true)
			}
			return
		}
		v := d.view.Load()
		l3, family, ok := packetOf(buf[:n])
		if !ok || !v.families[family] {
			d.count.injectDrops.Add(1)
			continue
		}
		d.count.injected.Add(1)
		inject(v.instances[family], v.ifindex, l3)
	}
}

// packetOf is the IP packet of a frame, without what a program may have
// padded; ok is false for anything else and for a packet that is cut short.
func packetOf(frame []byte) (l3 []byte, family intf.Family, ok bool) {
	if len(frame) < etherLen {
		return nil, 0, false
	}
	l3 = frame[etherLen:]
	var size int
	switch uint16(frame[12])<<8 | uint16(frame[13]) {
	case etherTypeIPv4:
		if len(l3) < 20 || l3[0]>>4 != 4 {
			return nil, 0, false
		}
		family, size = intf.Inet, int(l3[2])<<8|int(l3[3])
		if size < 20 {
			return nil, 0, false
		}
	case etherTypeIPv6:
		if len(l3) < 40 || l3[0]>>4 != 6 {
			return nil, 0, false
		}
		family = intf.Inet6
		size = 40 + (int(l3[4])<<8 | int(l3[5]))
	default:
		return nil, 0, false
	}
	if size > len(l3) {
		return nil, 0, false
	}
	return l3[:size], family, true
}

// A writer is a frame being written. It is pooled with its method value, so
// that a write allocates nothing.
type writer struct {
	frame []byte
	err   error
	try   func(fd uintptr) bool
}

var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.try = func(fd uintptr) bool {
		_, w.err = unix.Write(int(fd), w.frame)
		return true // never wait: a queue that is full is a drop
	}
	return w
}}

// write sends an IP packet into the stack.
func (d *device) write(family intf.Family, l3 []byte) error {
	v := d.view.Load()
	dst, ok := v.destination(family, l3)
	if !ok {
		d.count.deliverDrops.Add(1)
		return fmt.Errorf("packet of %d octets for %s is no %s packet", len(l3), d.name, family)
	}
	w := writers.Get().(*writer)
	w.frame = append(w.frame[:0], dst[:]...)
	w.frame = append(w.frame, routerMAC[:]...)
	if family == intf.Inet {
		w.frame = append(w.frame, etherTypeIPv4>>8, etherTypeIPv4&0xff)
	} else {
		w.frame = append(w.frame, etherTypeIPv6>>8, etherTypeIPv6&0xff)
	}
	w.frame = append(w.frame, l3...)
	err := d.raw.Write(w.try)
	if err == nil {
		err = w.err
	}
	writers.Put(w)
	if err != nil {
		d.count.deliverDrops.Add(1)
		return fmt.Errorf("TAP %s: %w", d.name, err)
	}
	d.count.delivered.Add(1)
	return nil
}

// routerMAC is the source of frames into the stack: locally administered, as
// nothing answers to it.
var routerMAC = intf.MAC{0x02, 0x00, 0x5e, 0x00, 0x00, 0x01}

// destination is the MAC address for a packet into the stack: the TAP's own,
// or the group's (RFC 1112, 6.4; RFC 2464, 7).
func (v *view) destination(family intf.Family, l3 []byte) (intf.MAC, bool) {
	if family == intf.Inet {
		if len(l3) < 20 {
			return intf.MAC{}, false
		}
		d := [4]byte(l3[16:20])
		if d[0]>>4 == 0xe {
			return intf.MAC{0x01, 0x00, 0x5e, d[1] & 0x7f, d[2], d[3]}, true
		}
		if _, ok := v.broadcasts[netip.AddrFrom4(d)]; ok {
			return intf.Broadcast, true
		}
		return v.mac, true
	}
	if len(l3) < 40 {
		return intf.MAC{}, false
	}
	if d := l3[24:40]; d[0] == 0xff {
		return intf.MAC{0x33, 0x33, d[12], d[13], d[14], d[15]}, true
	}
	return v.mac, true
}

// A path leads from a unit to its TAPs, for Deliver.
type path struct {
	devices [len(intf.Families)]atomic.Pointer[device]
}

// publish makes Deliver use the unit's present TAPs.
func (u *unit) publish() {
	for _, family := range intf.Families {
		var d *device
		for _, t := range u.taps {
			if t.want.families[family] != nil && t.dev != nil {
				d = t.dev
			}
		}
		u.path.devices[family].Store(d)
	}
}

// Deliver hands a packet that the router received for itself to the host, as
// if it had come in through the unit's TAP. It does not keep l3 and does not
// wait: what the host cannot take is a counted drop and an error.
func (m *Manager) Deliver(ifindex intf.Index, family intf.Family, l3 []byte) error {
	if p, ok := m.paths.Load(ifindex); ok && int(family) < len(intf.Families) {
		if d := p.(*path).devices[family].Load(); d != nil {
			return d.write(family, l3)
		}
	}
	return ErrNotInPlace
}

// Counters count the packets of a unit's TAPs since they were made.
type Counters struct {
	Delivered    uint64 // into the stack
	DeliverDrops uint64 // the stack did not take them
	Injected     uint64 // from the stack to the router
	InjectDrops  uint64 // from the stack, but no whole packet of a family of the unit
}

// Counters reports on one family of a unit; families that share a TAP share
// its counters.
func (m *Manager) Counters(ifindex intf.Index, family intf.Family) (c Counters, ok bool) {
	p, ok := m.paths.Load(ifindex)
	if !ok || int(family) >= len(intf.Families) {
		return Counters{}, false
	}
	d := p.(*path).devices[family].Load()
	if d == nil {
		return Counters{}, false
	}
	return Counters{
		Delivered:    d.count.delivered.Load(),
		DeliverDrops: d.count.deliverDrops.Load(),
		Injected:     d.count.injected.Load(),
		InjectDrops:  d.count.injectDrops.Load(),
	}, true
}
