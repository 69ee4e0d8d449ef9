package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"router/intf"
)

var (
	llA         = netip.MustParseAddr("fe80::a")
	llB         = netip.MustParseAddr("fe80::b")
	unspecified = netip.IPv6Unspecified()
)

func nd(src, dst netip.Addr, m ND) IPv6 {
	b := make([]byte, NDMaxLen)
	return IPv6(b[:PutND(b, src, dst, m)])
}

// router is a router solicitation or advertisement with the given options.
func router(typ byte, src, dst netip.Addr, fixed int, options ...byte) IPv6 {
	b := make([]byte, 40+fixed+len(options))
	PutIPv6(b, 0, ProtocolICMPv6, 255, src, dst, fixed+len(options))
	b[40] = typ
	copy(b[40+fixed:], options)
	setChecksumICMPv6(b, 40)
	return IPv6(b)
}

func TestNDIsReadBack(t *testing.T) {
	for _, m := range []ND{
		{Type: ICMPv6NeighborSol, Target: llB, LinkLayer: macA},
		{Type: ICMPv6NeighborSol, Target: llB},
		{Type: ICMPv6NeighborAdv, Target: llA, LinkLayer: macA, Router: true, Solicited: true, Override: true},
		{Type: ICMPv6NeighborAdv, Target: llA, Solicited: true},
		{Type: ICMPv6NeighborAdv, Target: llA, LinkLayer: macA, Override: true},
		{Type: ICMPv6RouterSolicit, LinkLayer: macA},
	} {
		h, fault := CheckIPv6(nd(llA, llB, m))
		if fault != FaultNone || h.HopLimit() != 255 || h.Src() != llA || h.Dst() != llB {
			t.Fatalf("%+v: %v", m, fault)
		}
		if got, fault := ParseND(h, 40); fault != FaultNone || got != m {
			t.Errorf("got %+v %v, want %+v", got, fault, m)
		}
	}
}

func TestParseNDValidation(t *testing.T) {
	solicit := ND{Type: ICMPv6NeighborSol, Target: llB, LinkLayer: macA}
	dad := ND{Type: ICMPv6NeighborSol, Target: llB}
	advert := ND{Type: ICMPv6NeighborAdv, Target: llA, LinkLayer: macA, Solicited: true}
	change := func(p IPv6, fix bool, at int, v ...byte) IPv6 {
		copy(p[at:], v)
		if fix {
			setChecksumICMPv6(p, 40)
		}
		return p
	}
	cut := func(p IPv6, n int) IPv6 {
		p = p[:n]
		binary.BigEndian.PutUint16(p[4:], uint16(n-40))
		setChecksumICMPv6(p, 40)
		return p
	}
	group := netip.MustParseAddr("ff02::1")
	tests := []struct {
		name  string
		pkt   IPv6
		fault Fault
	}{
		{"NS", nd(llA, llB, solicit), FaultNone},
		{"NS to the solicited-node group", nd(llA, SolicitedNode(llB), solicit), FaultNone},
		{"NS: hop limit 254", change(nd(llA, llB, solicit), true, 7, 254), FaultHopLimit},
		{"NS: checksum", change(nd(llA, llB, solicit), false, 60, 0xff), FaultChecksum},
		{"NS: code 1", change(nd(llA, llB, solicit), true, 41, 1), FaultCode},
		{"NS: 23 octets", cut(nd(llA, llB, dad), 63), FaultTruncated},
		{"NS: target a group", nd(llA, llB, ND{Type: ICMPv6NeighborSol, Target: group}), FaultTarget},
		{"NS: target unspecified", nd(llA, llB, ND{Type: ICMPv6NeighborSol, Target: unspecified}), FaultTarget},
		{"NS: option of length 0", change(nd(llA, llB, solicit), true, 65, 0), FaultOption},
		{"NS: option beyond the packet", change(nd(llA, llB, solicit), true, 65, 2), FaultTruncated},
		{"NS: half an option", cut(nd(llA, llB, solicit), 65), FaultTruncated},
		{"NS: unknown option is skipped", change(nd(llA, llB, solicit), true, 64, 99), FaultNone},
		{"NS: link-layer address of a group", nd(llA, llB, ND{Type: ICMPv6NeighborSol, Target: llB, LinkLayer: intf.Broadcast}), FaultSource},
		{"NS: source a group", nd(group, llB, solicit), FaultSource},
		{"DAD", nd(unspecified, SolicitedNode(llB), dad), FaultNone},
		{"DAD to a host", nd(unspecified, llB, dad), FaultTarget},
		{"DAD to another group", nd(unspecified, group, dad), FaultTarget},
		{"DAD with a link-layer address", nd(unspecified, SolicitedNode(llB), solicit), FaultSource},
		{"NA", nd(llA, llB, advert), FaultNone},
		{"NA: solicited, to a group", nd(llA, group, advert), FaultTarget},
		{"NA: unsolicited, to a group", nd(llA, group, ND{Type: ICMPv6NeighborAdv, Target: llA, LinkLayer: macA, Override: true}), FaultNone},
		{"NA: source unspecified", nd(unspecified, llB, advert), FaultSource},
		{"NA: target a group", nd(llA, llB, ND{Type: ICMPv6NeighborAdv, Target: group}), FaultTarget},
		{"RS", router(ICMPv6RouterSolicit, llA, AllRouters, 8, 1, 1, 2, 0, 0, 0, 0, 1), FaultNone},
		{"RS without address", router(ICMPv6RouterSolicit, unspecified, AllRouters, 8), FaultNone},
		{"RS without address, with link-layer address", router(ICMPv6RouterSolicit, unspecified, AllRouters, 8, 1, 1, 2, 0, 0, 0, 0, 1), FaultSource},
		{"RA", router(ICMPv6RouterAdvert, llA, AllNodes, 16, 5, 1, 0, 0, 0, 0, 5, 0xdc), FaultNone},
		{"RA from a global address", router(ICMPv6RouterAdvert, ip6A, AllNodes, 16), FaultSource},
		{"RA cut short", router(ICMPv6RouterAdvert, llA, AllNodes, 12), FaultTruncated},
		{"RA: link-layer address of wrong length", router(ICMPv6RouterAdvert, llA, AllNodes, 16, append([]byte{1, 2, 2}, make([]byte, 13)...)...), FaultOption},
		{"redirect", router(ICMPv6Redirect, llA, llB, 40), FaultType},
		{"echo", router(ICMPv6Echo, llA, llB, 8), FaultType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, fault := CheckIPv6(tt.pkt)
			if fault != FaultNone {
				t.Fatal(fault)
			}
			if _, fault := ParseND(h, 40); fault != tt.fault {
				t.Fatalf("got %v, want %v", fault, tt.fault)
			}
		})
	}
}

func FuzzParseND(f *testing.F) {
	f.Add([]byte(nd(llA, llB, ND{Type: ICMPv6NeighborSol, Target: llB, LinkLayer: macA})))
	f.Add([]byte(nd(llA, llB, ND{Type: ICMPv6NeighborAdv, Target: llA, LinkLayer: macA, Solicited: true})))
	f.Add([]byte(router(ICMPv6RouterAdvert, llA, AllNodes, 16, 5, 1, 0, 0, 0, 0, 5, 0xdc)))
	f.Add([]byte(router(ICMPv6RouterSolicit, llA, AllRouters, 8)))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if len(b) < 48 {
			return
		}
		// A right checksum lets the fuzzer reach what lies behind it.
		b[0], b[7] = 0x60|b[0]&15, 255
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		setChecksumICMPv6(b, 40)
		h, fault := CheckIPv6(b)
		if fault != FaultNone {
			return
		}
		m, fault := ParseND(h, 40)
		if fault != FaultNone || m.Type == ICMPv6RouterAdvert {
			return
		}
		again, fault := ParseND(nd(h.Src(), h.Dst(), m), 40)
		if fault != FaultNone || again != m {
			t.Fatalf("read back %+v %v, want %+v", again, fault, m)
		}
	})
}
