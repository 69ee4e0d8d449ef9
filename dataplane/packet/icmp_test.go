package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

func icmp4(typ byte, n int) IPv4 {
	b := make([]byte, 28+n)
	PutIPv4(b, 0, 1, false, 64, ProtocolICMPv4, ip4A, ip4B, 8+n)
	b[20] = typ
	binary.BigEndian.PutUint16(b[22:], ^Sum(b[20:], 0))
	return IPv4(b)
}

func icmp6(typ byte, n int) IPv6 {
	b := make([]byte, 48+n)
	PutIPv6(b, 0, ProtocolICMPv6, 64, ip6A, ip6B, 8+n)
	b[40] = typ
	setChecksumICMPv6(b, 40)
	return IPv6(b)
}

func TestPutICMPv4Error(t *testing.T) {
	tests := []struct {
		name     string
		pkt      IPv4
		typ      byte
		code     byte
		rest     uint32
		total    int
		checksum bool
	}{
		{"short packet is quoted whole", IPv4(udp4(t, 10)), ICMPv4TimeExceeded, ICMPv4CodeTTL, 0, 28 + 38, true},
		{"long packet is cut at 576", IPv4(udp4(t, 1400)), ICMPv4Unreachable, ICMPv4CodeHost, 0, 576, true},
		{"fragmentation needed bears the MTU", IPv4(udp4(t, 1400)), ICMPv4Unreachable, ICMPv4CodeFragNeeded, 1400, 576, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			buf := make([]byte, 2048)
			n := PutICMPv4Error(buf, tt.typ, tt.code, tt.rest, ip4B, 77, tt.pkt)
			h, fault := CheckIPv4(buf[:n])
			if fault != FaultNone || n != tt.total {
				t.Fatalf("%d octets: %v", n, fault)
			}
			if h.Src() != ip4B || h.Dst() != tt.pkt.Src() || h.ID() != 77 || h.TTL() != 64 || h.Protocol() != ProtocolICMPv4 {
				t.Fatalf("header % x", []byte(h[:20]))
			}
			m, fault := ParseICMPv4(h.Payload())
			if fault != FaultNone || m.Type() != tt.typ || m.Code() != tt.code || m.Rest() != tt.rest {
				t.Fatalf("message: %v % x", fault, []byte(m[:8]))
			}
			if !bytes.Equal(m.Body(), tt.pkt[:len(m.Body())]) {
				t.Fatal("the quotation differs from the packet")
			}
		})
	}
}

func TestPutICMPv6Error(t *testing.T) {
	for _, tt := range []struct {
		name  string
		data  int
		total int
	}{{"short packet is quoted whole", 10, 48 + 58}, {"long packet is cut at 1280", 1400, 1280}} {
		t.Run(tt.name, func(t *testing.T) {
			pkt := IPv6(udp6(t, tt.data))
			buf := make([]byte, 2048)
			fill(buf) // old contents must not show through
			n := PutICMPv6Error(buf, ICMPv6TooBig, 0, 1280, ip6B, pkt)
			h, fault := CheckIPv6(buf[:n])
			if fault != FaultNone || n != tt.total || h.Src() != ip6B || h.Dst() != ip6A || h.HopLimit() != 64 {
				t.Fatalf("%d octets, % x: %v", n, buf[:40], fault)
			}
			m, fault := ParseICMPv6(h, 40)
			if fault != FaultNone || m.Type() != ICMPv6TooBig || m.Code() != 0 || m.Rest() != 1280 {
				t.Fatalf("message: %v", fault)
			}
			if !bytes.Equal(m.Body(), pkt[:len(m.Body())]) {
				t.Fatal("the quotation differs from the packet")
			}
		})
	}
}

func TestICMPErrorIntoASmallBuffer(t *testing.T) {
	if n := PutICMPv4Error(make([]byte, 100), 3, 1, 0, ip4A, 1, IPv4(udp4(t, 500))); n != 100 {
		t.Errorf("IPv4: %d octets, want 100", n)
	}
	if n := PutICMPv6Error(make([]byte, 100), 1, 0, 0, ip6A, IPv6(udp6(t, 500))); n != 100 {
		t.Errorf("IPv6: %d octets, want 100", n)
	}
}

func TestMayAnswerICMPv4(t *testing.T) {
	with := func(src, dst string, field uint16) IPv4 {
		b := udp4(t, 8)
		s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
		copy(b[12:], s[:])
		copy(b[16:], d[:])
		binary.BigEndian.PutUint16(b[6:], field)
		IPv4(b).SetChecksum()
		return IPv4(b)
	}
	host, other := "192.0.2.1", "198.51.100.1"
	tests := []struct {
		name    string
		pkt     IPv4
		l2group bool
		want    bool
	}{
		{"UDP between hosts", with(host, other, 0), false, true},
		{"first fragment", with(host, other, ipv4MF), false, true},
		{"later fragment", with(host, other, 1), false, false},
		{"to a group", with(host, "224.0.0.9", 0), false, false},
		{"to everyone", with(host, "255.255.255.255", 0), false, false},
		{"came as link-layer broadcast", with(host, other, 0), true, false},
		{"source 0.0.0.0", with("0.0.0.0", other, 0), false, false},
		{"source loopback", with("127.0.0.1", other, 0), false, false},
		{"source a group", with("224.0.0.1", other, 0), false, false},
		{"source class E", with("240.0.0.1", other, 0), false, false},
		{"echo request", icmp4(ICMPv4Echo, 8), false, true},
		{"echo reply", icmp4(ICMPv4EchoReply, 8), false, true},
		{"timestamp", icmp4(13, 8), false, true},
		{"unreachable", icmp4(ICMPv4Unreachable, 28), false, false},
		{"time exceeded", icmp4(ICMPv4TimeExceeded, 28), false, false},
		{"redirect", icmp4(ICMPv4Redirect, 28), false, false},
		{"ICMP of an unassigned type", icmp4(200, 8), false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := MayAnswerICMPv4(tt.pkt, tt.l2group); got != tt.want {
				t.Fatalf("got %v", got)
			}
		})
	}
}

func TestMayAnswerICMPv6(t *testing.T) {
	with := func(src, dst string) IPv6 {
		b := udp6(t, 8)
		s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
		copy(b[8:], s[:])
		copy(b[24:], d[:])
		return IPv6(b)
	}
	host, other := "2001:db8::1", "2001:db8::2"
	frag := func(next, offset byte) IPv6 {
		return ext(ProtocolFragment, []byte{next, 0, 0, offset << 3, 0, 0, 0, 1}, []byte{ICMPv6Echo, 0, 0, 0, 0, 0, 0, 0})
	}
	tests := []struct {
		name      string
		pkt       IPv6
		typ, code byte
		l2group   bool
		want      bool
	}{
		{"UDP between hosts", with(host, other), ICMPv6Unreachable, 0, false, true},
		{"to a group", with(host, "ff02::1"), ICMPv6Unreachable, 0, false, false},
		{"to a group, too big", with(host, "ff0e::1"), ICMPv6TooBig, 0, false, true},
		{"to a group, unknown option", with(host, "ff0e::1"), ICMPv6ParameterError, ICMPv6CodeUnknownOption, false, true},
		{"to a group, bad header field", with(host, "ff0e::1"), ICMPv6ParameterError, 0, false, false},
		{"came as link-layer multicast", with(host, other), ICMPv6TimeExceeded, 0, true, false},
		{"source unspecified", with("::", other), ICMPv6Unreachable, 0, false, false},
		{"source a group", with("ff02::1", other), ICMPv6Unreachable, 0, false, false},
		{"echo request", icmp6(ICMPv6Echo, 8), ICMPv6Unreachable, 0, false, true},
		{"error", icmp6(ICMPv6Unreachable, 48), ICMPv6Unreachable, 0, false, false},
		{"error of an unknown type", icmp6(99, 48), ICMPv6Unreachable, 0, false, false},
		{"redirect", icmp6(ICMPv6Redirect, 48), ICMPv6Unreachable, 0, false, false},
		{"error behind destination options", ext(ProtocolDestOptions, header(ProtocolICMPv6, 8), []byte{1, 0, 0, 0, 0, 0, 0, 0}), ICMPv6Unreachable, 0, false, false},
		{"later fragment of UDP, too big", frag(ProtocolUDP, 1), ICMPv6TooBig, 0, false, true},
		{"later fragment of ICMPv6", frag(ProtocolICMPv6, 1), ICMPv6TooBig, 0, false, false},
		{"first fragment of an echo", frag(ProtocolICMPv6, 0), ICMPv6TooBig, 0, false, true},
		{"headers that are cut off", ext(ProtocolDestOptions, []byte{0, 9}), ICMPv6Unreachable, 0, false, true},
		{"headers that are cut off, of ICMPv6", ext(ProtocolDestOptions, []byte{ProtocolICMPv6, 9}), ICMPv6Unreachable, 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := MayAnswerICMPv6(tt.pkt, tt.typ, tt.code, tt.l2group); got != tt.want {
				t.Fatalf("got %v", got)
			}
		})
	}
}

// Two routers never answer each other's errors.
func FuzzICMPErrors(f *testing.F) {
	f.Add(udp4(f, 8), byte(3), byte(1), uint32(0))
	f.Add(udp6(f, 8), byte(2), byte(0), uint32(1280))
	f.Add([]byte(icmp6(1, 8)), byte(1), byte(0), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, typ, code byte, rest uint32) {
		buf := make([]byte, ICMPv6ErrorMax)
		if pkt, fault := CheckIPv4(b); fault == FaultNone && MayAnswerICMPv4(pkt, false) && IsErrorICMPv4(typ) {
			h, fault := CheckIPv4(buf[:PutICMPv4Error(buf, typ, code, rest, ip4B, 1, pkt)])
			if fault != FaultNone || len(h) > ICMPv4ErrorMax || MayAnswerICMPv4(h, false) {
				t.Fatalf("%v, %d octets", fault, len(h))
			}
		}
		if pkt, fault := CheckIPv6(b); fault == FaultNone && MayAnswerICMPv6(pkt, typ, code, false) && IsErrorICMPv6(typ) {
			h, fault := CheckIPv6(buf[:PutICMPv6Error(buf, typ, code, rest, ip6B, pkt)])
			if fault != FaultNone || len(h) > ICMPv6ErrorMax || MayAnswerICMPv6(h, ICMPv6TooBig, 0, false) {
				t.Fatalf("%v, %d octets", fault, len(h))
			}
			if _, fault := ParseICMPv6(h, 40); fault != FaultNone {
				t.Fatal(fault)
			}
		}
	})
}
