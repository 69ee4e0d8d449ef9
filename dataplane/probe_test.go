package dataplane

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"router/dataplane/packet"
)

// probeOf begins a probe of the world's unit a.
func probeOf(t *testing.T, x *world, protocol uint8, src, dst string) *Probe {
	t.Helper()
	p, err := x.e.StartProbe(ProbeSpec{Src: ip(src), Dst: ip(dst), Protocol: protocol, Port: 33434, From: unitA})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// sent lets a probe send and returns the packet that left, from the network-layer
// header on, and the port.
func sent(t *testing.T, x *world, p *Probe, seq uint16, size int) (l3 []byte, name string) {
	t.Helper()
	if err := p.Send(seq, 64, size); err != nil {
		t.Fatal(err)
	}
	x.run()
	out := x.collect()
	if len(out) != 1 {
		t.Fatalf("%d frames left", len(out))
	}
	name, text, _ := strings.Cut(out[0], " ")
	frame, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	l3 = frame[14:]
	if l3[0]>>4 == 4 {
		l3 = l3[:packet.IPv4(l3).TotalLen()] // without the frame's padding
	}
	return l3, name
}

// back turns a packet around: addresses change places, and an echo is answered.
func back(l3 []byte) []byte {
	b := slices.Clone(l3)
	if b[0]>>4 == 4 {
		copy(b[12:16], l3[16:20])
		copy(b[16:20], l3[12:16])
		if b[9] == packet.ProtocolICMPv4 && b[6]&0x1f == 0 && b[7] == 0 {
			b[20] = packet.ICMPv4EchoReply
			if b[6]&0x20 == 0 {
				b[22], b[23] = 0, 0
				binary.BigEndian.PutUint16(b[22:], ^packet.Sum(b[20:], 0))
			}
		}
		packet.IPv4(b).SetChecksum()
		return b
	}
	copy(b[8:24], l3[24:40])
	copy(b[24:40], l3[8:24])
	b[40] = packet.ICMPv6EchoReply
	b[42], b[43] = 0, 0
	binary.BigEndian.PutUint16(b[42:], ^packet.Sum(b[40:], packet.PseudoSum6(b[8:40], packet.ProtocolICMPv6, uint32(len(b)-40))))
	return b
}

func answerTo(t *testing.T, p *Probe) (a ProbeAnswer, ok bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a, err := p.Receive(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return a, err == nil
}

func from(x *world, name string, etherType int, l3 []byte) {
	src, dst := hostA, routerA
	if name == "b" {
		src, dst = hostB, routerB
	}
	x.push(name, eth(dst, src, nil, etherType, l3))
	x.run()
}

func TestProbe(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := probeOf(t, x, packet.ProtocolICMPv4, "192.0.2.1", "198.51.100.10")
	l3, name := sent(t, x, p, 1, 56)
	if name != "b" || len(l3) != 84 {
		t.Fatalf("%d octets left by %s", len(l3), name)
	}
	x.now += 1500 * time.Microsecond
	from(x, "b", 0x800, back(l3))
	if x.collect(); len(x.host) != 0 {
		t.Errorf("the host got %v", x.host)
	}
	a, ok := answerTo(t, p)
	if want := (ProbeAnswer{Seq: 1, From: ip("198.51.100.10"), TTL: 64, Octets: 64, RTT: 1500 * time.Microsecond}); !ok || a != want {
		t.Errorf("%+v, %v, want %+v", a, ok, want)
	}
	if a, ok := answerTo(t, p); ok {
		t.Errorf("one more: %+v", a)
	}

	// What answers nothing that was sent: another host, another number, the host's own ping.
	for what, edit := range map[string]func(b []byte){
		"another host":   func(b []byte) { b[15]++; packet.IPv4(b).SetChecksum() },
		"another number": func(b []byte) { b[25]++; fixICMP(b) },
		"another ping":   func(b []byte) { b[24] ^= 0x20; fixICMP(b) },
		"a bad checksum": func(b []byte) { b[30]++ },
	} {
		b := back(l3)
		edit(b)
		from(x, "b", 0x800, b)
		x.collect()
		if a, ok := answerTo(t, p); ok {
			t.Errorf("%s: %+v", what, a)
		}
		if what != "another number" && len(x.host) != 1 {
			t.Errorf("%s: the host got %v", what, x.host)
		}
	}
	// Once more is told too: it is for the caller to call it a duplicate.
	from(x, "b", 0x800, back(l3))
	if a, ok := answerTo(t, p); !ok || a.Seq != 1 {
		t.Errorf("a duplicate: %+v, %v", a, ok)
	}

	// A router on the way.
	var e [packet.ICMPv4ErrorMax]byte
	n := packet.PutICMPv4Error(e[:], packet.ICMPv4Unreachable, packet.ICMPv4CodeFragNeeded, 1300, ip("198.51.100.20"), 1, l3)
	from(x, "b", 0x800, e[:n])
	a, ok = answerTo(t, p)
	if !ok || !a.Error || a.Type != 3 || a.Code != 4 || a.MTU != 1300 || a.From != ip("198.51.100.20") || a.Seq != 1 {
		t.Errorf("an error: %+v, %v", a, ok)
	}

	p.Close()
	p.Close()
	from(x, "b", 0x800, back(l3))
	if x.collect(); len(x.host) != 1 {
		t.Errorf("once it is closed the host gets %v", x.host)
	}
	if _, err := p.Receive(context.Background()); !errors.Is(err, ErrProbeEnded) {
		t.Errorf("receive: %v", err)
	}
	if err := p.Send(2, 64, 56); !errors.Is(err, ErrProbeEnded) {
		t.Errorf("send: %v", err)
	}
	if x.e.probes.table.Load() != nil {
		t.Error("workers still look for probes")
	}
	x.checkAccounts()
}

func fixICMP(b []byte) {
	b[22], b[23] = 0, 0
	binary.BigEndian.PutUint16(b[22:], ^packet.Sum(b[20:], 0))
}

func TestProbe6(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := probeOf(t, x, packet.ProtocolICMPv6, "2001:db8:a::1", "2001:db8:b::10")
	l3, name := sent(t, x, p, 9, 100)
	if name != "b" {
		t.Fatalf("it left by %s", name)
	}
	x.now += time.Millisecond
	from(x, "b", 0x86dd, back(l3))
	if a, ok := answerTo(t, p); !ok || a.Seq != 9 || a.RTT != time.Millisecond || a.Octets != 108 {
		t.Errorf("%+v, %v", a, ok)
	}
	// Our own link is too narrow: unit b takes 1280 octets.
	if err := p.Send(10, 64, 1300); err != nil {
		t.Fatal(err)
	}
	x.run()
	if a, ok := answerTo(t, p); !ok || !a.Error || a.MTU != 1280 || a.Seq != 10 {
		t.Errorf("%+v, %v", a, ok)
	}
	x.collect()
	x.checkAccounts()
}

// TestProbeFragments answers in pieces, in any order, which the probe puts
// together.
func TestProbeFragments(t *testing.T) {
	for name, order := range map[string][]int{"in order": {0, 1, 2}, "the last first": {2, 1, 0}, "the head last": {1, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			p := probeOf(t, x, packet.ProtocolICMPv4, "198.51.100.1", "192.0.2.10")
			if err := p.Send(1, 64, 3000); err != nil {
				t.Fatal(err)
			}
			x.run()
			var pieces [][]byte
			for _, out := range x.collect() {
				frame, err := hex.DecodeString(out[2:])
				if err != nil {
					t.Fatal(err)
				}
				pieces = append(pieces, back(frame[14:]))
			}
			if len(pieces) != 3 {
				t.Fatalf("%d fragments left", len(pieces))
			}
			for i, n := range order {
				if a, ok := answerTo(t, p); ok {
					t.Fatalf("after %d pieces: %+v", i, a)
				}
				x.now += time.Millisecond
				from(x, "a", 0x800, pieces[n])
			}
			if a, ok := answerTo(t, p); !ok || a.Octets != 3008 || a.RTT != 3*time.Millisecond {
				t.Errorf("%+v, %v", a, ok)
			}
			x.collect()
			x.checkAccounts()
		})
	}
}

// TestProbeTCP gives up the connection that its segment would begin.
func TestProbeTCP(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := probeOf(t, x, packet.ProtocolTCP, "192.0.2.1", "198.51.100.10")
	l3, _ := sent(t, x, p, 5, 0)
	b := back(l3)
	copy(b[20:22], l3[22:24])
	copy(b[22:24], l3[20:22])
	binary.BigEndian.PutUint32(b[28:], binary.BigEndian.Uint32(l3[24:])+1)
	b[33] = packet.TCPSyn | packet.TCPAck
	packet.SetTransportChecksum(b)
	from(x, "b", 0x800, b)
	if a, ok := answerTo(t, p); !ok || a.Seq != 5 || a.Error {
		t.Errorf("%+v, %v", a, ok)
	}
	out := x.collect()
	if len(out) != 1 {
		t.Fatalf("%d frames left", len(out))
	}
	frame, err := hex.DecodeString(out[0][2:])
	if err != nil || packet.TCP(frame[34:]).Flags()&packet.TCPRst == 0 {
		t.Errorf("the connection is not reset: %x, %v", frame, err)
	}
	x.checkAccounts()
}

func TestProbesAreBounded(t *testing.T) {
	x := newWorld(t, worldConfig())
	var all []*Probe
	idents := map[uint16]bool{}
	for range MaxProbes {
		p := probeOf(t, x, packet.ProtocolICMPv4, "192.0.2.1", "198.51.100.10")
		all = append(all, p)
		idents[p.ident] = true
	}
	if len(idents) != MaxProbes {
		t.Errorf("%d identifiers for %d probes", len(idents), MaxProbes)
	}
	spec := all[0].spec
	if _, err := x.e.StartProbe(spec); !errors.Is(err, ErrProbes) {
		t.Errorf("one more: %v", err)
	}
	all[7].Close()
	p, err := x.e.StartProbe(spec)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()

	// Answers that nobody fetches are lost, and counted.
	l3, _ := sent(t, x, all[0], 1, 56)
	for range probeRingSize + 10 {
		from(x, "b", 0x800, back(l3))
	}
	if n := all[0].Lost(); n != 10 {
		t.Errorf("%d answers lost", n)
	}
	x.collect()
	x.checkAccounts()
	if err := all[0].Send(2, 64, 70000); !errors.Is(err, ErrTooLong) {
		t.Errorf("a packet of 70,000 octets: %v", err)
	}
	if _, err := x.e.StartProbe(ProbeSpec{Src: ip("192.0.2.1"), Dst: ip("2001:db8::1")}); err == nil {
		t.Error("two families")
	}
}

// TestFragmentsOfOthersBesideAProbe: whom we ask may ask us meanwhile, in fragments: all
// of them are the host's, though a later one may be of an answer.
func TestFragmentsOfOthersBesideAProbe(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := probeOf(t, x, packet.ProtocolICMPv4, "198.51.100.1", "192.0.2.10")
	l3, _ := sent(t, x, p, 1, 400)
	ask := back(l3)
	ask[20] = packet.ICMPv4Echo
	f, fault := packet.NewFragmenter(packet.IPv4(ask), 200)
	if fault != packet.FaultNone {
		t.Fatal(fault)
	}
	pieces := 0
	for b := make([]byte, 200); ; pieces++ {
		n := f.Next(b)
		if n == 0 {
			break
		}
		from(x, "a", 0x800, slices.Clone(b[:n]))
	}
	x.collect()
	if pieces != 3 || len(x.host) != pieces {
		t.Errorf("of %d fragments %d came to the host: %v", pieces, len(x.host), x.host)
	}
	if a, ok := answerTo(t, p); ok {
		t.Errorf("a question is taken for an answer: %+v", a)
	}
	x.checkAccounts()
}
