package packet

import (
	"net/netip"

	"router/intf"
)

// AllNodes and AllRouters are the link-local groups of IPv6 (RFC 4291, 2.7.1).
var (
	AllNodes   = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 1})
	AllRouters = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 2})
)

// SolicitedNode is the solicited-node group of an IPv6 address (RFC 4291, 2.7.1).
func SolicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// MulticastMAC is the Ethernet group that carries an IPv4 group (RFC 1112, 6.4)
// or an IPv6 group (RFC 2464, 7).
func MulticastMAC(group netip.Addr) intf.MAC {
	if group.Is4() {
		b := group.As4()
		return intf.MAC{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := group.As16()
	return intf.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// LinkLocal is the link-local address that a MAC gives by modified EUI-64
// (RFC 4291, 2.5.6 and appendix A; RFC 2464, 5).
func LinkLocal(m intf.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}

// IsMLD reports whether an ICMPv6 type is one of multicast listener discovery
// (RFC 3810, 5): query, report, done, and report of version 2.
func IsMLD(typ byte) bool { return typ >= 130 && typ <= 132 || typ == 143 }
