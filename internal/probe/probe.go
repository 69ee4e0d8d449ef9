// Package probe is a ping, a traceroute and a bulk TCP transfer for tests and
// the demo, so that they need no programs beyond Go. Sockets are opened on the
// calling thread: run it inside a namespace to probe from there.
package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// A Reply is one answer to a probe.
type Reply struct {
	From netip.Addr
	RTT  time.Duration
	// Reached is true for an echo reply or, in a trace, for any answer of the destination.
	Reached bool
	Type    icmp.Type
	Code    int
	// MTU is what a "fragmentation needed" (RFC 1191) or "packet too big" (RFC
	// 4443, 3.2) reports, in octets; else 0.
	MTU int
}

// family holds what differs between ICMP and ICMPv6.
type family struct {
	network  string
	protocol int
	echo     icmp.Type
	reply    icmp.Type
}

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return family{"ip4:icmp", 1, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply}
	}
	return family{"ip6:ipv6-icmp", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply}
}

// A Pinger sends echo requests to one destination. It needs root.
type Pinger struct {
	dst  netip.Addr
	fam  family
	conn *icmp.PacketConn
	id   uint16
	seq  uint16
}

// NewPinger opens the socket, in the namespace of the calling thread.
func NewPinger(dst netip.Addr) (*Pinger, error) { return NewPingerFrom(netip.Addr{}, dst) }

// NewPingerFrom is NewPinger for requests from src, an address of the
// namespace; the zero Addr leaves the choice to the kernel.
func NewPingerFrom(src, dst netip.Addr) (*Pinger, error) {
	fam := familyOf(dst)
	local := ""
	if src.IsValid() {
		local = src.String()
	}
	conn, err := icmp.ListenPacket(fam.network, local)
	if err != nil {
		return nil, fmt.Errorf("ping %s: %w", dst, err)
	}
	return &Pinger{dst: dst, fam: fam, conn: conn, id: uint16(rand.Uint32())}, nil
}

// Close closes the socket.
func (p *Pinger) Close() error { return p.conn.Close() }

// Ping sends one request of size octets of data with the given TTL (0: the
// default) and waits for its answer, or for an ICMP error about it.
// os.ErrDeadlineExceeded says that none came in time.
func (p *Pinger) Ping(size, ttl int, wait time.Duration) (Reply, error) {
	p.seq++
	msg := icmp.Message{Type: p.fam.echo, Body: &icmp.Echo{ID: int(p.id), Seq: int(p.seq), Data: make([]byte, size)}}
	b, err := msg.Marshal(nil)
	if err != nil {
		return Reply{}, err
	}
	if ttl > 0 {
		if p.dst.Is4() {
			err = p.conn.IPv4PacketConn().SetTTL(ttl)
		} else {
			err = p.conn.IPv6PacketConn().SetHopLimit(ttl)
		}
		if err != nil {
			return Reply{}, err
		}
	}
	start := time.Now()
	if err := p.conn.SetReadDeadline(start.Add(wait)); err != nil {
		return Reply{}, err
	}
	if _, err := p.conn.WriteTo(b, &net.IPAddr{IP: p.dst.AsSlice(), Zone: p.dst.Zone()}); err != nil {
		return Reply{}, fmt.Errorf("ping %s: %w", p.dst, err)
	}
	buf := make([]byte, 65536)
	for {
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return Reply{}, fmt.Errorf("ping %s: %w", p.dst, err)
		}
		m, err := icmp.ParseMessage(p.fam.protocol, buf[:n])
		if err != nil || !p.mine(m) {
			continue
		}
		a, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
		mtu := 0
		switch b := m.Body.(type) {
		case *icmp.PacketTooBig:
			mtu = b.MTU
		case *icmp.DstUnreach:
			if m.Type == ipv4.ICMPTypeDestinationUnreachable && m.Code == 4 {
				mtu = int(binary.BigEndian.Uint16(buf[6:]))
			}
		}
		return Reply{MTU: mtu, From: a.Unmap(), RTT: time.Since(start), Reached: m.Type == p.fam.reply, Type: m.Type, Code: m.Code}, nil
	}
}

// mine reports whether m is about the request sent last.
func (p *Pinger) mine(m *icmp.Message) bool {
	var quoted []byte
	switch b := m.Body.(type) {
	case *icmp.Echo:
		return m.Type == p.fam.reply && b.ID == int(p.id) && b.Seq == int(p.seq)
	case *icmp.TimeExceeded:
		quoted = b.Data
	case *icmp.DstUnreach:
		quoted = b.Data
	case *icmp.PacketTooBig:
		quoted = b.Data
	default:
		return false
	}
	header := 40
	if p.dst.Is4() {
		if len(quoted) == 0 {
			return false
		}
		header = int(quoted[0]&15) * 4
	}
	if len(quoted) < header+8 {
		return false
	}
	return binary.BigEndian.Uint16(quoted[header+4:]) == p.id && binary.BigEndian.Uint16(quoted[header+6:]) == p.seq
}

// Trace finds the hops to dst, at most max. A hop that doesn't answer within
// wait is a zero Reply.
func Trace(dst netip.Addr, max int, wait time.Duration) ([]Reply, error) {
	p, err := NewPinger(dst)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	var hops []Reply
	for ttl := 1; ttl <= max; ttl++ {
		r, err := p.Ping(32, ttl, wait)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return hops, err
		}
		hops = append(hops, r)
		if r.Reached {
			break
		}
	}
	return hops, nil
}

// Transfer sends octets from a dialer to a listener and returns how long it
// took until the last one was read. receiver and
// sender run a function in the namespace of each end.
func Transfer(ctx context.Context, octets int64, to netip.AddrPort, receiver, sender func(func() error) error) (time.Duration, error) {
	var l net.Listener
	err := receiver(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return 0, err
	}
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()

	type result struct {
		n   int64
		err error
		end time.Time
	}
	done := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- result{err: err}
			return
		}
		defer c.Close()
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		n, err := io.Copy(io.Discard, c)
		done <- result{n, err, time.Now()}
	}()

	var c net.Conn
	err = sender(func() (err error) {
		c, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", l.Addr().String())
		return err
	})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stopSend := context.AfterFunc(ctx, func() { c.Close() })
	defer stopSend()
	start := time.Now()
	buf := make([]byte, 256<<10)
	for left := octets; left > 0; {
		n, err := c.Write(buf[:min(left, int64(len(buf)))])
		if err != nil {
			return 0, fmt.Errorf("tcp to %s: %w", to, err)
		}
		left -= int64(n)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	r := <-done
	if r.err == nil && r.n != octets {
		r.err = fmt.Errorf("tcp to %s: %d octets of %d arrived", to, r.n, octets)
	}
	return r.end.Sub(start), r.err
}
