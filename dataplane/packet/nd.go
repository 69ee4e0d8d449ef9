package packet

import (
	"encoding/binary"
	"net/netip"

	"router/intf"
)

// NDMaxLen is the longest packet that PutND writes: an IPv6 header, a solicitation
// or advertisement, and one link-layer address option.
const NDMaxLen = IPv6HeaderLen + ndNeighborLen + ndOptionLen

const (
	ndHopLimit    = 255 // of every message (RFC 4861, 7.1)
	ndSolicitLen  = 8   // router solicitation (RFC 4861, 4.1)
	ndAdvertLen   = 16  // router advertisement (4.2)
	ndNeighborLen = 24  // neighbor solicitation and advertisement (4.3, 4.4)
	ndOptionLen   = 8   // a link-layer address option for Ethernet (4.6.1, RFC 2464)

	ndOptionSource = 1 // source link-layer address
	ndOptionTarget = 2 // target link-layer address

	ndRouter    = 1 << 31 // flags of an advertisement (RFC 4861, 4.4)
	ndSolicited = 1 << 30
	ndOverride  = 1 << 29
)

// An ND is a message of neighbour discovery (RFC 4861, 4), without the
// prefixes and timers of router advertisements.
type ND struct {
	Type                        uint8      // ICMPv6RouterSolicit to ICMPv6NeighborAdv
	Target                      netip.Addr // of neighbor solicitations and advertisements
	LinkLayer                   intf.MAC   // source's, in an advertisement of a neighbour the target's; zero when absent
	Router, Solicited, Override bool       // flags of a neighbor advertisement
}

// IsND reports whether an ICMPv6 type belongs to neighbour discovery.
func IsND(typ uint8) bool { return typ >= ICMPv6RouterSolicit && typ <= ICMPv6Redirect }

// ParseND reads the message of neighbour discovery at offset off of ip, which
// CheckIPv6 has returned, and validates it as RFC 4861, 6.1.1, 6.1.2, 7.1.1 and
// 7.1.2 demand. A router ignores redirects: they are FaultType. Fragments must
// not be given to it (RFC 6980, 5).
func ParseND(ip IPv6, off int) (ND, Fault) {
	var n ND
	if ip.HopLimit() != ndHopLimit {
		return n, FaultHopLimit
	}
	m, fault := ParseICMPv6(ip, off)
	if fault != FaultNone {
		return n, fault
	}
	if m.Code() != 0 {
		return n, FaultCode
	}
	n.Type = m.Type()
	fixed, linkLayer := ndNeighborLen, byte(ndOptionSource)
	switch n.Type {
	case ICMPv6RouterSolicit:
		fixed = ndSolicitLen
	case ICMPv6RouterAdvert:
		fixed = ndAdvertLen
	case ICMPv6NeighborSol:
	case ICMPv6NeighborAdv:
		linkLayer = ndOptionTarget
	default:
		return n, FaultType
	}
	if len(m) < fixed {
		return n, FaultTruncated
	}
	if fixed == ndNeighborLen {
		target := [16]byte(m[8:24])
		if target[0] == 0xff || target == [16]byte{} {
			return n, FaultTarget
		}
		n.Target = netip.AddrFrom16(target)
	}
	if n.LinkLayer, fault = ndLinkLayer(m[fixed:], linkLayer); fault != FaultNone {
		return n, fault
	}
	src, dst := ip.Src(), ip.Dst()
	switch n.Type {
	case ICMPv6RouterSolicit:
		if src.IsUnspecified() && !n.LinkLayer.IsZero() {
			return n, FaultSource
		}
	case ICMPv6RouterAdvert:
		if !src.IsLinkLocalUnicast() {
			return n, FaultSource
		}
	case ICMPv6NeighborSol:
		if src.IsMulticast() || (src.IsUnspecified() && !n.LinkLayer.IsZero()) {
			return n, FaultSource
		}
		if src.IsUnspecified() && dst != SolicitedNode(n.Target) {
			return n, FaultTarget
		}
	case ICMPv6NeighborAdv:
		flags := m.Rest()
		n.Router, n.Solicited, n.Override = flags&ndRouter != 0, flags&ndSolicited != 0, flags&ndOverride != 0
		if src.IsMulticast() || src.IsUnspecified() {
			return n, FaultSource
		}
		if n.Solicited && dst.IsMulticast() {
			return n, FaultTarget
		}
	}
	return n, FaultNone
}

// ndLinkLayer walks the options (RFC 4861, 4.6) and returns the first link-layer
// address of the wanted kind, zero if there is none.
func ndLinkLayer(opts []byte, kind byte) (intf.MAC, Fault) {
	var mac intf.MAC
	for len(opts) > 0 {
		if len(opts) < 2 {
			return mac, FaultTruncated
		}
		n := int(opts[1]) * 8
		if n == 0 {
			return mac, FaultOption
		}
		if n > len(opts) {
			return mac, FaultTruncated
		}
		if opts[0] == kind && mac.IsZero() {
			if n != ndOptionLen {
				return mac, FaultOption
			}
			mac = intf.MAC(opts[2:8])
			if mac.IsZero() || mac.IsMulticast() {
				return intf.MAC{}, FaultSource
			}
		}
		opts = opts[n:]
	}
	return mac, FaultNone
}

// PutND writes a solicitation or a neighbor advertisement from src to dst to b,
// as a whole IPv6 packet with hop limit 255, and returns its length. b holds at
// least NDMaxLen octets. Without m.LinkLayer there is no option. m.Type is not
// ICMPv6RouterAdvert or ICMPv6Redirect.
func PutND(b []byte, src, dst netip.Addr, m ND) int {
	fixed, kind := ndNeighborLen, byte(ndOptionSource)
	if m.Type == ICMPv6RouterSolicit {
		fixed = ndSolicitLen
	}
	if m.Type == ICMPv6NeighborAdv {
		kind = ndOptionTarget
	}
	n := fixed
	if !m.LinkLayer.IsZero() {
		n += ndOptionLen
	}
	PutIPv6(b, internetControl, ProtocolICMPv6, ndHopLimit, src, dst, n)
	msg := b[IPv6HeaderLen : IPv6HeaderLen+n]
	msg[0], msg[1] = m.Type, 0
	var flags uint32
	if m.Router {
		flags |= ndRouter
	}
	if m.Solicited {
		flags |= ndSolicited
	}
	if m.Override {
		flags |= ndOverride
	}
	binary.BigEndian.PutUint32(msg[4:8], flags)
	if fixed == ndNeighborLen {
		t := m.Target.As16()
		copy(msg[8:24], t[:])
	}
	if n > fixed {
		msg[fixed], msg[fixed+1] = kind, 1
		copy(msg[fixed+2:], m.LinkLayer[:])
	}
	setChecksumICMPv6(b[:IPv6HeaderLen+n], IPv6HeaderLen)
	return IPv6HeaderLen + n
}
