package packet

import "encoding/binary"

// ICMPHeaderLen is the length of the part that all messages of ICMP and ICMPv6
// share, with the four octets whose meaning depends on the type.
const ICMPHeaderLen = 8

// ICMP types and codes (RFC 792; codes 4 and up of RFC 1122, 1191 and 1812).
const (
	ICMPv4EchoReply      = 0
	ICMPv4Unreachable    = 3
	ICMPv4SourceQuench   = 4
	ICMPv4Redirect       = 5
	ICMPv4Echo           = 8
	ICMPv4TimeExceeded   = 11
	ICMPv4ParameterError = 12

	ICMPv4CodeNet            = 0  // unreachable: network
	ICMPv4CodeHost           = 1  // unreachable: host
	ICMPv4CodeProtocol       = 2  // unreachable: protocol
	ICMPv4CodePort           = 3  // unreachable: port
	ICMPv4CodeFragNeeded     = 4  // unreachable: fragmentation needed and DF set (RFC 1191)
	ICMPv4CodeNetProhibited  = 9  // unreachable: network administratively prohibited
	ICMPv4CodeHostProhibited = 10 // unreachable: host administratively prohibited
	ICMPv4CodeProhibited     = 13 // unreachable: communication prohibited (RFC 1812, 5.2.7.1)
	ICMPv4CodeRedirectHost   = 1  // redirect: for the host
	ICMPv4CodeTTL            = 0  // time exceeded in transit
)

// ICMPv6 types and codes (RFC 4443; neighbour discovery RFC 4861).
const (
	ICMPv6Unreachable    = 1
	ICMPv6TooBig         = 2
	ICMPv6TimeExceeded   = 3
	ICMPv6ParameterError = 4
	ICMPv6Echo           = 128
	ICMPv6EchoReply      = 129
	ICMPv6RouterSolicit  = 133
	ICMPv6RouterAdvert   = 134
	ICMPv6NeighborSol    = 135
	ICMPv6NeighborAdv    = 136
	ICMPv6Redirect       = 137

	ICMPv6CodeNoRoute       = 0 // unreachable: no route
	ICMPv6CodeProhibited    = 1 // unreachable: administratively prohibited
	ICMPv6CodeBeyondScope   = 2 // unreachable: beyond scope of source address
	ICMPv6CodeAddress       = 3 // unreachable: address
	ICMPv6CodePort          = 4 // unreachable: port
	ICMPv6CodePolicy        = 5 // unreachable: source address failed ingress/egress policy
	ICMPv6CodeReject        = 6 // unreachable: reject route
	ICMPv6CodeHopLimit      = 0 // time exceeded in transit
	ICMPv6CodeField         = 0 // parameter problem: erroneous header field
	ICMPv6CodeUnknownNext   = 1 // parameter problem: unknown next header
	ICMPv6CodeUnknownOption = 2 // parameter problem: unknown option
)

// An ICMP starts with the header that ICMP and ICMPv6 share.
type ICMP []byte

// ParseICMPv4 returns b, the payload of an IPv4 packet, once its checksum is
// found valid (RFC 792).
func ParseICMPv4(b []byte) (ICMP, Fault) {
	if len(b) < ICMPHeaderLen {
		return nil, FaultTruncated
	}
	if Sum(b, 0) != 0xffff {
		return nil, FaultChecksum
	}
	return ICMP(b), FaultNone
}

// ParseICMPv6 returns the ICMPv6 message at offset off of ip once its checksum
// is found valid (RFC 4443, 2.3).
func ParseICMPv6(ip IPv6, off int) (ICMP, Fault) {
	if off < IPv6HeaderLen || len(ip) < off+ICMPHeaderLen {
		return nil, FaultTruncated
	}
	b := ip[off:]
	if Sum(b, PseudoSum6(ip[8:40], ProtocolICMPv6, uint32(len(b)))) != 0xffff {
		return nil, FaultChecksum
	}
	return ICMP(b), FaultNone
}

// Type is the message type.
func (m ICMP) Type() uint8 { return m[0] }

// Code is the message code.
func (m ICMP) Code() uint8 { return m[1] }

// Rest is the second word: identifier and sequence, MTU, pointer, flags.
func (m ICMP) Rest() uint32 { return binary.BigEndian.Uint32(m[4:8]) }

// Body is what follows the eight octets.
func (m ICMP) Body() []byte { return m[ICMPHeaderLen:] }

// IsErrorICMPv4 reports whether an ICMP type is an error message, about which
// no error is sent (RFC 1812, 4.3.2.7). Types that nobody has assigned count
// as errors, so that two routers never answer each other.
func IsErrorICMPv4(typ uint8) bool {
	switch typ {
	case ICMPv4EchoReply, ICMPv4Echo, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43:
		return false
	}
	return true
}

// IsErrorICMPv6 reports whether an ICMPv6 type is an error message (types below
// 128; RFC 4443, 2.1) or a redirect, about which no error is sent (2.4 (e)).
func IsErrorICMPv6(typ uint8) bool { return typ < 128 || typ == ICMPv6Redirect }

// setChecksumICMPv6 computes the checksum of the message that fills ip from off.
func setChecksumICMPv6(ip []byte, off int) {
	m := ip[off:]
	m[2], m[3] = 0, 0
	binary.BigEndian.PutUint16(m[2:4], ^Sum(m, PseudoSum6(ip[8:40], ProtocolICMPv6, uint32(len(m)))))
}
