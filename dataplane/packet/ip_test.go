package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"router/intf"
)

var (
	ip4A    = netip.MustParseAddr("192.0.2.1")
	ip4B    = netip.MustParseAddr("198.51.100.7")
	ip6A    = netip.MustParseAddr("2001:db8::1")
	ip6B    = netip.MustParseAddr("2001:db8:1::7")
	vlan100 = intf.VLAN{OuterTPID: TPID8021Q, OuterID: 100}
)

// fill numbers the octets of b, so that a misplaced one shows.
func fill(b []byte) {
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
}

// udp4 is a sound UDP packet over IPv4 with n octets of data.
func udp4(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, IPv4MinHeaderLen+UDPHeaderLen+n)
	PutIPv4(b, 0, 0x1234, false, 64, ProtocolUDP, ip4A, ip4B, UDPHeaderLen+n)
	putUDP(b[IPv4MinHeaderLen:])
	if !SetTransportChecksum(b) {
		t.Fatal("no UDP checksum set")
	}
	return b
}

// udp6 is a sound UDP packet over IPv6 with n octets of data.
func udp6(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, IPv6HeaderLen+UDPHeaderLen+n)
	PutIPv6(b, 0, ProtocolUDP, 64, ip6A, ip6B, UDPHeaderLen+n)
	putUDP(b[IPv6HeaderLen:])
	if !SetTransportChecksum(b) {
		t.Fatal("no UDP checksum set")
	}
	return b
}

func putUDP(u []byte) {
	fill(u[UDPHeaderLen:])
	binary.BigEndian.PutUint16(u[0:], 1024)
	binary.BigEndian.PutUint16(u[2:], 53)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	u[6] = 1 // any checksum but none
}

func TestCheckIPv4(t *testing.T) {
	tests := []struct {
		name   string
		change func(b []byte) []byte
		fault  Fault
	}{
		{"sound", func(b []byte) []byte { return b }, FaultNone},
		{"padding is cut off", func(b []byte) []byte { return append(b, 0, 0, 0) }, FaultNone},
		{"19 octets", func(b []byte) []byte { return b[:19] }, FaultTruncated},
		{"empty", func(b []byte) []byte { return nil }, FaultTruncated},
		{"version 6", func(b []byte) []byte { b[0] = 0x65; return b }, FaultVersion},
		{"IHL 4", func(b []byte) []byte { b[0] = 0x44; return b }, FaultHeaderLength},
		{"total length 19", func(b []byte) []byte { b[2], b[3] = 0, 19; return b }, FaultTotalLength},
		{"IHL beyond the total length", func(b []byte) []byte { b[0] = 0x4f; return b }, FaultTotalLength},
		{"total length beyond the frame", func(b []byte) []byte { return b[:len(b)-1] }, FaultTruncated},
		{"one bit of the header", func(b []byte) []byte { b[15] ^= 1; return b }, FaultChecksum},
		{"checksum zero", func(b []byte) []byte { b[10], b[11] = 0, 0; return b }, FaultChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := udp4(t, 12)
			want := len(b)
			h, fault := CheckIPv4(tt.change(b))
			if fault != tt.fault {
				t.Fatalf("got %v, want %v", fault, tt.fault)
			}
			if fault == FaultNone && len(h) != want {
				t.Fatalf("packet of %d octets, want %d", len(h), want)
			}
		})
	}
}

func TestIPv4Fields(t *testing.T) {
	b := make([]byte, 28)
	PutIPv4(b, 0xb8, 0xbeef, true, 17, ProtocolICMPv4, ip4A, ip4B, 8)
	h, fault := CheckIPv4(b)
	if fault != FaultNone {
		t.Fatal(fault)
	}
	if h.TOS() != 0xb8 || h.ID() != 0xbeef || !h.DontFragment() || h.MoreFragments() || h.FragmentOffset() != 0 ||
		h.TTL() != 17 || h.Protocol() != ProtocolICMPv4 || h.Src() != ip4A || h.Dst() != ip4B ||
		h.Src32() != 0xc0000201 || h.Dst32() != 0xc6336407 || len(h.Payload()) != 8 || h.IsFragment() {
		t.Fatalf("fields of % x", []byte(h))
	}
}

func TestCheckIPv6(t *testing.T) {
	tests := []struct {
		name   string
		change func(b []byte) []byte
		fault  Fault
	}{
		{"sound", func(b []byte) []byte { return b }, FaultNone},
		{"padding is cut off", func(b []byte) []byte { return append(b, 0, 0, 0) }, FaultNone},
		{"39 octets", func(b []byte) []byte { return b[:39] }, FaultTruncated},
		{"version 4", func(b []byte) []byte { b[0] = 0x45; return b }, FaultVersion},
		{"payload beyond the frame", func(b []byte) []byte { return b[:len(b)-1] }, FaultTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := udp6(t, 12)
			want := len(b)
			h, fault := CheckIPv6(tt.change(b))
			if fault != tt.fault {
				t.Fatalf("got %v, want %v", fault, tt.fault)
			}
			if fault == FaultNone && (len(h) != want || h.TotalLen() != want) {
				t.Fatalf("packet of %d octets, want %d", len(h), want)
			}
		})
	}
}

// ext makes an IPv6 packet of the given extension headers, first included.
func ext(next uint8, parts ...[]byte) IPv6 {
	payload := bytes.Join(parts, nil)
	b := make([]byte, IPv6HeaderLen, IPv6HeaderLen+len(payload))
	PutIPv6(b, 0, next, 64, ip6A, ip6B, len(payload))
	return IPv6(append(b, payload...))
}

// header is an extension header of n octets.
func header(next uint8, n int, third ...byte) []byte {
	b := make([]byte, n)
	b[0], b[1] = next, byte(n/8-1)
	copy(b[2:], third)
	return b
}

func TestIPv6Upper(t *testing.T) {
	udp := make([]byte, 8)
	many := func(n int) (parts [][]byte) {
		for range n - 1 {
			parts = append(parts, header(ProtocolDestOptions, 8))
		}
		return append(parts, header(ProtocolUDP, 8), udp)
	}
	ah := make([]byte, 24) // RFC 4302: length in words, less two
	ah[0], ah[1] = ProtocolTCP, 4
	tests := []struct {
		name  string
		pkt   IPv6
		want  Upper
		fault Fault
	}{
		{"none", ext(ProtocolUDP, udp), Upper{Protocol: ProtocolUDP, First: true, Offset: 40}, FaultNone},
		{"hop-by-hop, destination options", ext(ProtocolHopByHop, header(ProtocolDestOptions, 8), header(ProtocolUDP, 16), udp), Upper{Protocol: ProtocolUDP, First: true, Offset: 64}, FaultNone},
		{"hop-by-hop in second place", ext(ProtocolDestOptions, header(ProtocolHopByHop, 8), header(ProtocolUDP, 8), udp), Upper{Protocol: ProtocolHopByHop, First: true, Offset: 48}, FaultOption},
		{"authentication", ext(ProtocolAH, ah, udp), Upper{Protocol: ProtocolTCP, First: true, Offset: 64}, FaultNone},
		{"routing with segments left", ext(ProtocolRouting, header(ProtocolUDP, 24, 0, 1), udp), Upper{Protocol: ProtocolUDP, First: true, Routing: true, Offset: 64}, FaultNone},
		{"routing, spent", ext(ProtocolRouting, header(ProtocolUDP, 24, 0, 0), udp), Upper{Protocol: ProtocolUDP, First: true, Offset: 64}, FaultNone},
		{"first fragment", ext(ProtocolFragment, []byte{ProtocolUDP, 0, 0, 1, 0, 0, 0, 9}, udp), Upper{Protocol: ProtocolUDP, Fragment: true, First: true, Offset: 48}, FaultNone},
		{"later fragment", ext(ProtocolFragment, []byte{ProtocolUDP, 0, 0, 8, 0, 0, 0, 9}, udp), Upper{Protocol: ProtocolUDP, Fragment: true, Offset: 48}, FaultNone},
		{"atomic fragment (RFC 6946)", ext(ProtocolFragment, []byte{ProtocolUDP, 0, 0, 0, 0, 0, 0, 9}, udp), Upper{Protocol: ProtocolUDP, First: true, Offset: 48}, FaultNone},
		{"no next header", ext(ProtocolNoNext), Upper{Protocol: ProtocolNoNext, First: true, Offset: 40}, FaultNone},
		{"ESP ends the walk", ext(ProtocolESP, udp), Upper{Protocol: ProtocolESP, First: true, Offset: 40}, FaultNone},
		{"length beyond the packet", ext(ProtocolDestOptions, []byte{ProtocolUDP, 1, 0, 0, 0, 0, 0, 0}), Upper{Protocol: ProtocolDestOptions, First: true, Offset: 40}, FaultTruncated},
		{"header cut short", ext(ProtocolDestOptions, []byte{ProtocolUDP, 0, 0}), Upper{Protocol: ProtocolDestOptions, First: true, Offset: 40}, FaultTruncated},
		{"fragment header cut short", ext(ProtocolFragment, []byte{ProtocolUDP, 0, 0}), Upper{Protocol: ProtocolFragment, First: true, Offset: 40}, FaultTruncated},
		{"as many as we walk", ext(ProtocolDestOptions, many(MaxExtensionHeaders)...), Upper{Protocol: ProtocolUDP, First: true, Offset: 40 + 8*MaxExtensionHeaders}, FaultNone},
		{"one more", ext(ProtocolDestOptions, many(MaxExtensionHeaders+1)...), Upper{Protocol: ProtocolDestOptions, First: true, Offset: 40 + 8*MaxExtensionHeaders}, FaultExtensions},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, fault := CheckIPv6(tt.pkt)
			if fault != FaultNone {
				t.Fatal(fault)
			}
			got, fault := h.Upper()
			if got != tt.want || fault != tt.fault {
				t.Fatalf("got %+v %v, want %+v %v", got, fault, tt.want, tt.fault)
			}
		})
	}
}

func TestDecrementHopLimit(t *testing.T) {
	for _, tt := range []struct {
		before, after uint8
		ok            bool
	}{{64, 63, true}, {2, 1, true}, {1, 1, false}, {0, 0, false}} {
		b := udp6(t, 0)
		b[7] = tt.before
		if ok := DecrementHopLimit(b); ok != tt.ok || b[7] != tt.after {
			t.Errorf("hop limit %d: got %d %v, want %d %v", tt.before, b[7], ok, tt.after, tt.ok)
		}
	}
}

func TestIsHost(t *testing.T) {
	for s, want := range map[string]bool{
		"0.0.0.0": false, "0.1.2.3": false, "1.0.0.0": true, "126.255.255.255": true, "127.0.0.1": false,
		"192.0.2.1": true, "223.255.255.255": true, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::2": true, "fe80::1": true, "ff02::1": false, "2001:db8::1": true, "::ffff:192.0.2.1": false,
	} {
		a := netip.MustParseAddr(s)
		var got bool
		if a.Is4() {
			b := a.As4()
			got = IsHost4(binary.BigEndian.Uint32(b[:]))
		} else {
			b := a.As16()
			got = IsHost6(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
		}
		if got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if !IsLinkLocal6(0xfe80<<48) || !IsLinkLocal6(0xfebf<<48) || IsLinkLocal6(0xfec0<<48) {
		t.Error("link-local is fe80::/10")
	}
}

func FuzzCheckIPv4(f *testing.F) {
	f.Add(udp4(f, 4))
	f.Add([]byte{0x4f, 0, 0, 60})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, fault := CheckIPv4(b)
		if fault != FaultNone {
			return
		}
		if len(h) != h.TotalLen() || len(h) > len(b) || h.HeaderLen()+len(h.Payload()) != len(h) ||
			len(h.Options()) != h.HeaderLen()-20 || slowSum(h[:h.HeaderLen()], 0) != 0xffff {
			t.Fatalf("accepted % x", []byte(h))
		}
		if u := h.Upper(); u.Offset > len(h) {
			t.Fatalf("transport at %d of %d", u.Offset, len(h))
		}
	})
}

func FuzzCheckIPv6(f *testing.F) {
	f.Add(udp6(f, 4))
	f.Add([]byte(ext(ProtocolHopByHop, header(ProtocolRouting, 8), header(ProtocolFragment, 8), header(ProtocolUDP, 8))))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, fault := CheckIPv6(b)
		if fault != FaultNone {
			return
		}
		if len(h) != h.TotalLen() || len(h) > len(b) {
			t.Fatalf("accepted % x", []byte(h))
		}
		if u, _ := h.Upper(); u.Offset < IPv6HeaderLen || u.Offset > len(h) {
			t.Fatalf("transport at %d of %d", u.Offset, len(h))
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	p4, p6 := udp4(t, 1200), udp6(t, 1200)
	frame := make([]byte, 2048)
	buf := make([]byte, 2048)
	n := testing.AllocsPerRun(100, func() {
		PutEthernet(frame, macA, macB, vlan100, EtherTypeIPv4)
		ParseEthernet(frame)
		h4, _ := CheckIPv4(p4)
		h6, _ := CheckIPv6(p6)
		h6.Upper()
		CompleteChecksum(h4)
		SetTransportChecksum(h6)
		PutICMPv4Error(buf, ICMPv4TimeExceeded, 0, 0, ip4A, 1, h4)
		PutICMPv6Error(buf, ICMPv6TimeExceeded, 0, 0, ip6A, h6)
		f, _ := NewFragmenter(h4, 576)
		for f.Next(buf) > 0 {
		}
		n := PutND(buf, ip6A, ip6B, ND{Type: ICMPv6NeighborSol, Target: ip6B, LinkLayer: macA})
		ParseND(IPv6(buf[:n]), IPv6HeaderLen)
		PutARP(buf, ARPRequest, macA, ip4A, macB, ip4B)
		ParseARP(buf[:ARPLen])
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
