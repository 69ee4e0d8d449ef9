package packet

import (
	"encoding/binary"
	"net/netip"
)

// Sizes and flags of IPv4 (RFC 791, 3.1 and 3.2).
const (
	IPv4MinHeaderLen = 20
	IPv4MaxHeaderLen = 60
	IPv4MinMTU       = 68
)

const (
	ipv4DF         = 0x4000
	ipv4MF         = 0x2000
	ipv4OffsetMask = 0x1fff
)

// An IPv4 is a packet that starts with an IPv4 header (RFC 791).
type IPv4 []byte

// CheckIPv4 performs the checks of RFC 1812, 5.2.2 on b, the payload of a
// frame, and returns the packet without the frame's padding.
func CheckIPv4(b []byte) (IPv4, Fault) {
	if len(b) < IPv4MinHeaderLen {
		return nil, FaultTruncated
	}
	if b[0]>>4 != 4 {
		return nil, FaultVersion
	}
	hl := int(b[0]&15) * 4
	if hl < IPv4MinHeaderLen {
		return nil, FaultHeaderLength
	}
	total := int(binary.BigEndian.Uint16(b[2:4]))
	if total < hl {
		return nil, FaultTotalLength
	}
	if total > len(b) {
		return nil, FaultTruncated
	}
	if !headerSumValid(b[:hl]) {
		return nil, FaultChecksum
	}
	return IPv4(b[:total:total]), FaultNone
}

// headerSumValid adds up a header of 20 to 60 octets.
func headerSumValid(h []byte) bool {
	if len(h) == IPv4MinHeaderLen {
		// Nearly every packet: no loop, and no swap, since all-ones is its own.
		_ = h[19]
		s := uint64(binary.LittleEndian.Uint32(h)) + uint64(binary.LittleEndian.Uint32(h[4:])) +
			uint64(binary.LittleEndian.Uint32(h[8:])) + uint64(binary.LittleEndian.Uint32(h[12:])) +
			uint64(binary.LittleEndian.Uint32(h[16:]))
		return fold(s) == 0xffff
	}
	return Sum(h, 0) == 0xffff
}

// HeaderLen is the header's length in octets, options included.
func (h IPv4) HeaderLen() int { return int(h[0]&15) * 4 }

// TOS is the type of service: DSCP and ECN (RFC 2474, 3168).
func (h IPv4) TOS() uint8 { return h[1] }

// TotalLen is the packet's length in octets.
func (h IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(h[2:4])) }

// ID is the identification, which all fragments of a packet share.
func (h IPv4) ID() uint16 { return binary.BigEndian.Uint16(h[4:6]) }

// DontFragment is the DF flag.
func (h IPv4) DontFragment() bool { return h[6]&(ipv4DF>>8) != 0 }

// MoreFragments is the MF flag.
func (h IPv4) MoreFragments() bool { return h[6]&(ipv4MF>>8) != 0 }

// FragmentOffset is where the payload belongs in the whole one, in octets.
func (h IPv4) FragmentOffset() int {
	return int(binary.BigEndian.Uint16(h[6:8])&ipv4OffsetMask) * 8
}

// IsFragment reports whether the packet is part of a larger one.
func (h IPv4) IsFragment() bool {
	return binary.BigEndian.Uint16(h[6:8])&(ipv4MF|ipv4OffsetMask) != 0
}

// TTL is the time to live.
func (h IPv4) TTL() uint8 { return h[8] }

// Protocol is the protocol number of the payload.
func (h IPv4) Protocol() uint8 { return h[9] }

// Checksum is the header checksum field.
func (h IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(h[10:12]) }

// Src is the source address.
func (h IPv4) Src() netip.Addr { return netip.AddrFrom4([4]byte(h[12:16])) }

// Dst is the destination address.
func (h IPv4) Dst() netip.Addr { return netip.AddrFrom4([4]byte(h[16:20])) }

// Src32 is the source address as a number in host byte order.
func (h IPv4) Src32() uint32 { return binary.BigEndian.Uint32(h[12:16]) }

// Dst32 is the destination address as a number in host byte order.
func (h IPv4) Dst32() uint32 { return binary.BigEndian.Uint32(h[16:20]) }

// Payload is what follows the header.
func (h IPv4) Payload() []byte { return h[h.HeaderLen():] }

// Options are the header's options, padding included; usually none.
func (h IPv4) Options() []byte { return h[IPv4MinHeaderLen:h.HeaderLen()] }

// Upper says where the transport header is. Offset counts from the start of
// the IPv4 header.
func (h IPv4) Upper() Upper {
	return Upper{
		Protocol: h.Protocol(), Offset: h.HeaderLen(),
		Fragment: h.IsFragment(), First: h.FragmentOffset() == 0,
	}
}

// SetChecksum computes the header checksum and stores it.
func (h IPv4) SetChecksum() {
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:12], ^Sum(h[:h.HeaderLen()], 0))
}

// PutIPv4 writes a header without options, its checksum included, to b, which
// holds at least 20 octets. payload is the length of what will follow it.
func PutIPv4(b []byte, tos uint8, id uint16, df bool, ttl, protocol uint8, src, dst netip.Addr, payload int) {
	h := IPv4(b[:IPv4MinHeaderLen])
	h[0], h[1] = 0x45, tos
	binary.BigEndian.PutUint16(h[2:4], uint16(IPv4MinHeaderLen+payload))
	binary.BigEndian.PutUint16(h[4:6], id)
	h[6], h[7] = 0, 0
	if df {
		h[6] = ipv4DF >> 8
	}
	h[8], h[9] = ttl, protocol
	s, d := src.As4(), dst.As4()
	copy(h[12:16], s[:])
	copy(h[16:20], d[:])
	h.SetChecksum()
}

// DecrementTTL lowers the TTL of the IPv4 header h and patches its checksum
// (RFC 1624, eqn. 3). It reports false, changing nothing, when the packet must
// not be forwarded: TTL 0 or 1 (RFC 1812, 5.3.1). h holds at least 20 bytes.
func DecrementTTL(h []byte) bool {
	_ = h[11]
	if h[8] <= 1 {
		return false
	}
	h[8]--
	// The word falls by 0x0100: eqn. 3 with ^old + new = 0xffff - 0x0100.
	sum := uint32(^binary.BigEndian.Uint16(h[10:12])) + 0xfeff
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(h[10:12], ^uint16(sum))
	return true
}

// IsHost4 reports whether an IPv4 address, a number in host byte order, can
// name one host on a network: not 0/8, 127/8, multicast, reserved (240/4) or
// broadcast (RFC 1122, 3.2.1.3; RFC 1812, 5.3.7). A subnet's own broadcast
// address is known to the route table only.
func IsHost4(a uint32) bool {
	return a>>24 != 0 && a>>24 != 127 && a < 224<<24
}
