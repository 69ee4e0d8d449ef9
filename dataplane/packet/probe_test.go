package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
)

// probeCases are probes of every protocol and family.
func probeCases() []Probe {
	a4, b4 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.9")
	a6, b6 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:9::9")
	var list []Probe
	for _, protocol := range []uint8{ProtocolICMPv4, ProtocolUDP, ProtocolTCP} {
		list = append(list, Probe{Src: a4, Dst: b4, Protocol: protocol, Ident: 0xc123, Port: 33434, TTL: 9, DontFragment: true})
	}
	for _, protocol := range []uint8{ProtocolICMPv6, ProtocolUDP, ProtocolTCP} {
		list = append(list, Probe{Src: a6, Dst: b6, Protocol: protocol, Ident: 0xc123, Port: 33434, TTL: 9})
	}
	return list
}

// upper finds the transport header.
func upper(t testing.TB, l3 []byte) Upper {
	if l3[0]>>4 == 4 {
		return IPv4(l3).Upper()
	}
	u, fault := IPv6(l3).Upper()
	if fault != FaultNone {
		t.Fatal(fault)
	}
	return u
}

func TestProbe(t *testing.T) {
	for _, p := range probeCases() {
		t.Run(fmt.Sprintf("%v protocol %d", p.Dst, p.Protocol), func(t *testing.T) {
			var flow string
			for _, seq := range []uint16{0, 1, 77, 0xffff} {
				for _, size := range []int{0, 1, 2, 56, 1001} {
					b := p.Put(make([]byte, 2000), seq, size)
					if len(b) != p.Len(size) {
						t.Fatalf("%d octets, Len says %d", len(b), p.Len(size))
					}
					u := upper(t, b)
					if u.Protocol != p.Protocol {
						t.Fatalf("protocol %d", u.Protocol)
					}
					m := b[u.Offset:]
					ok := TransportChecksumValid(b)
					switch p.Protocol {
					case ProtocolICMPv4:
						_, fault := ParseICMPv4(m)
						ok = fault == FaultNone
					case ProtocolICMPv6:
						_, fault := ParseICMPv6(b, u.Offset)
						ok = fault == FaultNone
					}
					if !ok {
						t.Errorf("seq %d size %d: the checksum is wrong", seq, size)
					}
					if size == 56 {
						// What load balancers look at stays the same.
						now := fmt.Sprintf("% x", m[:4])
						if flow == "" {
							flow = now
						}
						if now != flow {
							t.Errorf("seq %d: the flow is %s, was %s", seq, now, flow)
						}
					}

					// An error about it, with as little as RFC 792 lets one quote.
					var e [ICMPv6ErrorMax]byte
					router, n := netip.MustParseAddr("203.0.113.1"), 0
					if p.Src.Is4() {
						n = PutICMPv4Error(e[:IPv4MinHeaderLen+ICMPHeaderLen+IPv4MinHeaderLen+8], ICMPv4TimeExceeded, 0, 0, router, 1, b)
					} else {
						n = PutICMPv6Error(e[:], ICMPv6TimeExceeded, 0, 0, netip.MustParseAddr("2001:db8:f::1"), b)
					}
					a, src, dst, found := ParseProbeAnswer(e[:n], upper(t, e[:n]))
					if !found || !a.Error || a.Key != (ProbeKey{p.Protocol, p.Ident}) || a.Seq != seq || src != p.Src || dst != p.Dst {
						t.Errorf("seq %d size %d: the error reads %+v about %v to %v, %v", seq, size, a, src, dst, found)
					}
				}
			}
		})
	}
}

func TestProbeReplies(t *testing.T) {
	for _, p := range probeCases() {
		back := p.Put(make([]byte, 200), 0x1234, 56)
		u := upper(t, back)
		m := back[u.Offset:]
		swap := func(n int) {
			at := u.Offset - 2*n
			a, b := append([]byte{}, back[at:at+n]...), append([]byte{}, back[at+n:at+2*n]...)
			copy(back[at:], b)
			copy(back[at+n:], a)
		}
		if p.Src.Is4() {
			swap(4)
		} else {
			swap(16)
		}
		want := true
		switch p.Protocol {
		case ProtocolICMPv4:
			m[0] = ICMPv4EchoReply
		case ProtocolICMPv6:
			m[0] = ICMPv6EchoReply
		case ProtocolTCP:
			binary.BigEndian.PutUint16(m[0:], p.Port)
			binary.BigEndian.PutUint16(m[2:], p.Ident)
			binary.BigEndian.PutUint32(m[8:], binary.BigEndian.Uint32(m[4:])+1)
			m[13] = TCPSyn | TCPAck
		case ProtocolUDP:
			want = false // that somebody sends a datagram says nothing of ours
		}
		a, src, dst, ok := ParseProbeAnswer(back, u)
		if ok != want || want && (a.Error || a.Key.Ident != p.Ident || a.Seq != 0x1234 || src != p.Src || dst != p.Dst || a.Octets != len(m)) {
			t.Errorf("protocol %d: %+v about %v to %v, %v", p.Protocol, a, src, dst, ok)
		}
	}
}

// TestNoProbeAnswers reads what answers nothing.
func TestNoProbeAnswers(t *testing.T) {
	probe := probeCases()[0].Put(make([]byte, 200), 1, 56)
	if _, _, _, ok := ParseProbeAnswer(probe, upper(t, probe)); ok {
		t.Error("a request is no answer")
	}
	syn := probeCases()[2].Put(make([]byte, 200), 1, 0)
	if _, _, _, ok := ParseProbeAnswer(syn, upper(t, syn)); ok {
		t.Error("a SYN is no answer")
	}
	var e [ICMPv4ErrorMax]byte
	reply := append([]byte{}, probe...)
	reply[IPv4MinHeaderLen] = ICMPv4EchoReply
	n := PutICMPv4Error(e[:], ICMPv4TimeExceeded, 0, 0, netip.MustParseAddr("203.0.113.1"), 1, reply)
	if _, _, _, ok := ParseProbeAnswer(e[:n], upper(t, e[:n])); ok {
		t.Error("an error about an echo reply is about nothing of ours")
	}
	probe[6], probe[7] = 0, 3 // a later fragment is quoted
	n = PutICMPv4Error(e[:], ICMPv4TimeExceeded, 0, 0, netip.MustParseAddr("203.0.113.1"), 1, probe)
	if _, _, _, ok := ParseProbeAnswer(e[:n], upper(t, e[:n])); ok {
		t.Error("a later fragment quotes no transport header")
	}
}

// FuzzProbeAnswer reads anything as an answer.
func FuzzProbeAnswer(f *testing.F) {
	for _, p := range probeCases() {
		b := p.Put(make([]byte, 200), 7, 20)
		f.Add(b)
		var e [ICMPv6ErrorMax]byte
		if p.Src.Is4() {
			f.Add(append([]byte{}, e[:PutICMPv4Error(e[:], ICMPv4Unreachable, 4, 1300, p.Dst, 1, b)]...))
		} else {
			f.Add(append([]byte{}, e[:PutICMPv6Error(e[:], ICMPv6TooBig, 0, 1300, p.Dst, b)]...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var u Upper
		if ip, fault := CheckIPv4(b); fault == FaultNone {
			b, u = ip, ip.Upper()
		} else if ip, fault := CheckIPv6(b); fault == FaultNone {
			if u, fault = ip.Upper(); fault != FaultNone {
				return
			}
			b = ip
		} else {
			return
		}
		a, src, dst, ok := ParseProbeAnswer(b, u)
		if ok && (src.Is4() != dst.Is4() || !src.IsValid() || a.Octets > len(b)) {
			t.Errorf("%+v about %v to %v", a, src, dst)
		}
	})
}
