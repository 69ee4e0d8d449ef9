package packet

import (
	"net/netip"

	"router/intf"
)

const (
	redirectLen      = 40 // type to destination (RFC 4861, 4.5)
	ndOptionRedirect = 4  // redirected header (RFC 4861, 4.6.3)
)

// PutRedirectv6 writes a redirect (RFC 4861, 4.5) about pkt to dst, as a whole IPv6
// packet from src, the router's link-local address, to pkt's source, and returns
// its length: pkt's destination is better reached by target, whose link-layer
// address is mac. pkt is quoted as far as 1,280 octets allow. dst holds
// ICMPv6ErrorMax octets and does not overlap pkt.
func PutRedirectv6(dst []byte, src, target netip.Addr, mac intf.MAC, pkt IPv6) int {
	const head = IPv6HeaderLen + redirectLen + ndOptionLen + 8
	quote := min(len(pkt), ICMPv6ErrorMax-head) &^ 7
	total := head + quote
	m := dst[IPv6HeaderLen:total]
	clear(m[:redirectLen+ndOptionLen+8])
	m[0] = ICMPv6Redirect
	t, d := target.As16(), pkt.Dst().As16()
	copy(m[8:], t[:])
	copy(m[24:], d[:])
	o := m[redirectLen:]
	o[0], o[1] = ndOptionTarget, 1
	copy(o[2:], mac[:])
	o = o[ndOptionLen:]
	o[0], o[1] = ndOptionRedirect, byte(1+quote/8)
	copy(o[8:], pkt[:quote])
	PutIPv6(dst, internetControl, ProtocolICMPv6, ndHopLimit, src, pkt.Src(), len(m))
	setChecksumICMPv6(dst[:total], IPv6HeaderLen)
	return total
}
