package packet

import (
	"encoding/binary"
	"net/netip"
)

// Sizes of IPv6 (RFC 8200, 3 and 5).
const (
	IPv6HeaderLen = 40
	IPv6MinMTU    = 1280
	// MaxExtensionHeaders is how many extension headers Upper walks. RFC 8200,
	// 4.1 names at most seven in one packet, and RFC 8883 lets a node stop early.
	MaxExtensionHeaders = 8
)

// An IPv6 is a packet that starts with an IPv6 header (RFC 8200, 3).
type IPv6 []byte

// CheckIPv6 checks version and length of b, the payload of a frame, and returns
// the packet without the frame's padding. Jumbograms (RFC 2675) are not known:
// a payload length of 0 is an empty packet.
func CheckIPv6(b []byte) (IPv6, Fault) {
	if len(b) < IPv6HeaderLen {
		return nil, FaultTruncated
	}
	if b[0]>>4 != 6 {
		return nil, FaultVersion
	}
	total := IPv6HeaderLen + int(binary.BigEndian.Uint16(b[4:6]))
	if total > len(b) {
		return nil, FaultTruncated
	}
	return IPv6(b[:total:total]), FaultNone
}

// TrafficClass is DSCP and ECN (RFC 2474, 3168).
func (h IPv6) TrafficClass() uint8 { return h[0]<<4 | h[1]>>4 }

// FlowLabel is the 20-bit flow label (RFC 6437).
func (h IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(h[0:4]) & 0xfffff }

// PayloadLen is the length of what follows the fixed header.
func (h IPv6) PayloadLen() int { return int(binary.BigEndian.Uint16(h[4:6])) }

// TotalLen is the packet's length in octets, the fixed header included.
func (h IPv6) TotalLen() int { return IPv6HeaderLen + h.PayloadLen() }

// NextHeader is the protocol number of what follows the fixed header.
func (h IPv6) NextHeader() uint8 { return h[6] }

// HopLimit is the hop limit.
func (h IPv6) HopLimit() uint8 { return h[7] }

// Src is the source address.
func (h IPv6) Src() netip.Addr { return netip.AddrFrom16([16]byte(h[8:24])) }

// Dst is the destination address.
func (h IPv6) Dst() netip.Addr { return netip.AddrFrom16([16]byte(h[24:40])) }

// Src64 is the source address as two numbers in host byte order.
func (h IPv6) Src64() (hi, lo uint64) {
	return binary.BigEndian.Uint64(h[8:16]), binary.BigEndian.Uint64(h[16:24])
}

// Dst64 is the destination address as two numbers in host byte order.
func (h IPv6) Dst64() (hi, lo uint64) {
	return binary.BigEndian.Uint64(h[24:32]), binary.BigEndian.Uint64(h[32:40])
}

// Payload is what follows the fixed header, extension headers included.
func (h IPv6) Payload() []byte { return h[IPv6HeaderLen:] }

// PutIPv6 writes a fixed header without flow label to b, which holds at least
// 40 octets. payload is the length of what will follow it.
func PutIPv6(b []byte, class, next, hopLimit uint8, src, dst netip.Addr, payload int) {
	_ = b[39]
	b[0], b[1], b[2], b[3] = 0x60|class>>4, class<<4, 0, 0
	binary.BigEndian.PutUint16(b[4:6], uint16(payload))
	b[6], b[7] = next, hopLimit
	s, d := src.As16(), dst.As16()
	copy(b[8:24], s[:])
	copy(b[24:40], d[:])
}

// DecrementHopLimit lowers the hop limit of the IPv6 header h. It reports
// false, changing nothing, when the packet must not be forwarded: hop limit 0
// or 1 (RFC 8200, 3). h holds at least 40 bytes.
func DecrementHopLimit(h []byte) bool {
	if h[7] <= 1 {
		return false
	}
	h[7]--
	return true
}

// An Upper says where the transport header of a packet is. A fragment that is
// not the first has none: Offset then is where its piece of payload starts.
type Upper struct {
	Protocol uint8 // of the header at Offset
	Fragment bool  // the packet is part of a larger one
	First    bool  // it holds the start of the payload; true for whole packets
	Routing  bool  // a routing header changes the destination under way
	Offset   int   // octets from the start of the IP header
}

// Upper walks the extension headers (RFC 8200, 4), at most
// MaxExtensionHeaders of them. An Offset it returns lies within the packet or
// at its end. ESP and unknown protocols end the walk as transports do.
func (h IPv6) Upper() (Upper, Fault) {
	u := Upper{Protocol: h.NextHeader(), First: true, Offset: IPv6HeaderLen}
	for range MaxExtensionHeaders {
		rest := h[u.Offset:]
		unit := 8 // what the length field counts, beyond the first eight octets
		switch u.Protocol {
		case ProtocolHopByHop:
			// Only directly after the fixed header (RFC 8200, 4.1).
			if u.Offset != IPv6HeaderLen {
				return u, FaultOption
			}
		case ProtocolRouting, ProtocolDestOptions, ProtocolMobility, ProtocolHIP, ProtocolShim6:
		case ProtocolAH:
			unit = 4 // RFC 4302, 2.2
		case ProtocolFragment:
			if len(rest) < 8 {
				return u, FaultTruncated
			}
			field := binary.BigEndian.Uint16(rest[2:4])
			u.Protocol = rest[0]
			u.Offset += 8
			// An atomic fragment (RFC 6946) is a whole packet.
			if field&^0x0006 != 0 {
				u.Fragment = true
			}
			if field>>3 != 0 {
				u.First = false
				return u, FaultNone
			}
			continue
		default:
			return u, FaultNone
		}
		if len(rest) < 8 {
			return u, FaultTruncated
		}
		n := 8 + int(rest[1])*unit
		if n > len(rest) {
			return u, FaultTruncated
		}
		if u.Protocol == ProtocolRouting && rest[3] != 0 {
			u.Routing = true
		}
		u.Protocol = rest[0]
		u.Offset += n
	}
	// Eight headers were walked; what follows may still be the transport.
	switch u.Protocol {
	case ProtocolHopByHop, ProtocolRouting, ProtocolFragment, ProtocolAH, ProtocolDestOptions,
		ProtocolMobility, ProtocolHIP, ProtocolShim6:
		return u, FaultExtensions
	}
	return u, FaultNone
}

// NextHeaderAt is the offset of the octet that names the protocol of u, which
// Upper has returned for h.
func (h IPv6) NextHeaderAt(u Upper) int {
	at, next := 6, IPv6HeaderLen
	for protocol := h.NextHeader(); next < u.Offset; protocol = h[at] {
		n := 8
		switch protocol {
		case ProtocolFragment:
		case ProtocolAH:
			n += int(h[next+1]) * 4
		default:
			n += int(h[next+1]) * 8
		}
		at, next = next, next+n
	}
	return at
}

// IsHost6 reports whether an IPv6 address can name one host: not unspecified,
// loopback, multicast (RFC 4291, 2.5.2, 2.5.3, 2.7), nor IPv4-mapped, which
// stays inside a host (RFC 4291, 2.5.5.2).
func IsHost6(hi, lo uint64) bool {
	return hi>>56 != 0xff && (hi != 0 || (lo > 1 && lo>>32 != 0xffff))
}

// IsLinkLocal6 reports whether the upper half of an address is that of fe80::/10,
// which a router does not forward (RFC 4291, 2.5.6).
func IsLinkLocal6(hi uint64) bool { return hi>>54 == 0xfe80>>6 }
