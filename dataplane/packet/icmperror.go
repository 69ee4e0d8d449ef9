package packet

import (
	"encoding/binary"
	"net/netip"
)

// How long a packet with an ICMP error may be.
const (
	ICMPv4ErrorMax = 576        // RFC 1812, 4.3.2.3
	ICMPv6ErrorMax = IPv6MinMTU // RFC 4443, 2.4 (c)
)

// Fields of the packets that carry our errors.
const (
	// internetControl is precedence 6, which our errors bear (RFC 1812, 4.3.2.5),
	// and which keeps neighbour discovery alive through a congested switch.
	internetControl = 0xc0

	icmpErrorTTL   = 64
	icmpErrorClass = 0
)

// MayAnswerICMPv4 reports whether an ICMP error may be sent about pkt (RFC
// 1812, 4.3.2.7; RFC 1122, 3.2.2): not about an ICMP error, a fragment other
// than the first, a packet to a multicast or broadcast address or that came as a
// link-layer multicast or broadcast (l2group), nor when the source does not name
// a single host. A subnet's broadcast address as destination or source is the
// caller's to refuse: the route table knows it.
func MayAnswerICMPv4(pkt IPv4, l2group bool) bool {
	if l2group || pkt.FragmentOffset() != 0 || !IsHost4(pkt.Src32()) || pkt.Dst32() >= 224<<24 {
		return false
	}
	if pkt.Protocol() != ProtocolICMPv4 {
		return true
	}
	m := pkt.Payload()
	return len(m) > 0 && !IsErrorICMPv4(m[0])
}

// PutICMPv4Error writes an ICMP error about pkt to dst, as a whole IPv4 packet
// from src to pkt's source, and returns its length. rest is the message's second
// word: 0, the next hop's MTU (RFC 1191, 4), or the pointer in its high octet.
// pkt is quoted as far as 576 octets allow (RFC 1812, 4.3.2.3). dst holds
// ICMPv4ErrorMax octets and does not overlap pkt; if it is smaller, less is
// quoted. The caller has asked MayAnswerICMPv4, and limits the rate.
func PutICMPv4Error(dst []byte, typ, code uint8, rest uint32, src netip.Addr, id uint16, pkt IPv4) int {
	const head = IPv4MinHeaderLen + ICMPHeaderLen
	quote := min(len(pkt), min(len(dst), ICMPv4ErrorMax)-head)
	m := dst[IPv4MinHeaderLen : head+quote]
	m[0], m[1], m[2], m[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(m[4:8], rest)
	copy(m[ICMPHeaderLen:], pkt[:quote])
	binary.BigEndian.PutUint16(m[2:4], ^Sum(m, 0))
	PutIPv4(dst, internetControl, id, false, icmpErrorTTL, ProtocolICMPv4, src, pkt.Src(), len(m))
	return head + quote
}

// MayAnswerICMPv6 reports whether an ICMPv6 error of type typ and code may be
// sent about pkt (RFC 4443, 2.4 (e)): not about an ICMPv6 error or redirect; not
// about a packet to a multicast address or that came as a link-layer multicast
// (l2group), except "packet too big" and "unknown option"; not when the source
// does not name a single node. A later fragment may be answered unless its
// payload is ICMPv6, which could be an error. A chain of headers that is cut off
// hides no error that anybody would read, and may be answered.
func MayAnswerICMPv6(pkt IPv6, typ, code uint8, l2group bool) bool {
	srcHi, srcLo := pkt.Src64()
	if !IsHost6(srcHi, srcLo) {
		return false
	}
	if l2group || pkt[24] == 0xff {
		if typ != ICMPv6TooBig && (typ != ICMPv6ParameterError || code != ICMPv6CodeUnknownOption) {
			return false
		}
	}
	next, at := pkt.NextHeader(), IPv6HeaderLen
	// Every header is eight octets long at least, so this ends, however many
	// there are: an error behind very many headers is still one.
	for len(pkt)-at >= 2 {
		n := 8 + int(pkt[at+1])*8
		switch next {
		case ProtocolICMPv6:
			return !IsErrorICMPv6(pkt[at])
		case ProtocolFragment:
			if len(pkt)-at < 4 {
				return true
			}
			if n = 8; binary.BigEndian.Uint16(pkt[at+2:])>>3 != 0 {
				return pkt[at] != ProtocolICMPv6
			}
		case ProtocolAH:
			n = 8 + int(pkt[at+1])*4
		case ProtocolHopByHop, ProtocolRouting, ProtocolDestOptions, ProtocolMobility, ProtocolHIP, ProtocolShim6:
		default:
			return true
		}
		next, at = pkt[at], at+n
	}
	// An ICMPv6 message of an octet at most has a type, or may have had one.
	return next != ProtocolICMPv6 || at < len(pkt) && !IsErrorICMPv6(pkt[at])
}

// PutICMPv6Error writes an ICMPv6 error about pkt to dst, as a whole IPv6 packet
// from src to pkt's source, and returns its length. rest is the message's second
// word: 0, the MTU, or the pointer. pkt is quoted as far as 1280 octets allow
// (RFC 4443, 2.4 (c)). dst holds ICMPv6ErrorMax octets and does not overlap pkt;
// if it is smaller, less is quoted. The caller has asked MayAnswerICMPv6, and
// limits the rate (2.4 (f)).
func PutICMPv6Error(dst []byte, typ, code uint8, rest uint32, src netip.Addr, pkt IPv6) int {
	const head = IPv6HeaderLen + ICMPHeaderLen
	quote := min(len(pkt), min(len(dst), ICMPv6ErrorMax)-head)
	PutIPv6(dst, icmpErrorClass, ProtocolICMPv6, icmpErrorTTL, src, pkt.Src(), ICMPHeaderLen+quote)
	m := dst[IPv6HeaderLen : head+quote]
	m[0], m[1] = typ, code
	binary.BigEndian.PutUint32(m[4:8], rest)
	copy(m[ICMPHeaderLen:], pkt[:quote])
	setChecksumICMPv6(dst[:head+quote], IPv6HeaderLen)
	return head + quote
}
