package packet

import "encoding/binary"

// ResetMax is the longest packet that PutReset4 and PutReset6 write, in octets.
const ResetMax = IPv6HeaderLen + TCPMinHeaderLen

// resetTTL is that of all packets that we make ourselves.
const resetTTL = 64

// PutReset4 writes to dst the TCP reset that answers pkt, as a whole IPv4 packet
// from pkt's destination to its source, and returns its length (RFC 9293, 3.5.2
// and 3.10.7.1). It returns 0, having written nothing, when there is no answer: pkt
// is not a whole TCP segment with a valid checksum, is itself a reset, or is to or
// from an address that names no single host (RFC 9293, 3.9.2.3; RFC 1122,
// 4.2.3.10). A subnet's broadcast address is the caller's to refuse, and so is a
// packet that came in a link-layer broadcast. pkt has passed CheckIPv4; dst
// holds ResetMax octets and does not overlap it.
func PutReset4(dst []byte, pkt IPv4) int {
	src, local := pkt.Src32(), pkt.Dst32()
	if pkt.Protocol() != ProtocolTCP || pkt.IsFragment() || !IsHost4(src) || !IsHost4(local) {
		return 0
	}
	segment := pkt.Payload()
	t, fault := ParseTCP(segment)
	if fault != FaultNone || t.Flags()&TCPRst != 0 {
		return 0
	}
	if Sum(segment, PseudoSum4(src, local, ProtocolTCP, uint16(len(segment)))) != 0xffff {
		return 0
	}
	const n = IPv4MinHeaderLen + TCPMinHeaderLen
	PutIPv4(dst, pkt.TOS()&^ecnMask, 0, true, resetTTL, ProtocolTCP, pkt.Dst(), pkt.Src(), TCPMinHeaderLen)
	r := dst[IPv4MinHeaderLen:n]
	putReset(r, t)
	binary.BigEndian.PutUint16(r[16:18], ^Sum(r, PseudoSum4(local, src, ProtocolTCP, TCPMinHeaderLen)))
	return n
}

// PutReset6 is PutReset4 for IPv6. A packet whose routing header has not come to
// its end has no answer either.
func PutReset6(dst []byte, pkt IPv6) int {
	srcHi, srcLo := pkt.Src64()
	dstHi, dstLo := pkt.Dst64()
	if !IsHost6(srcHi, srcLo) || !IsHost6(dstHi, dstLo) {
		return 0
	}
	u, fault := pkt.Upper()
	if fault != FaultNone || u.Protocol != ProtocolTCP || u.Fragment || u.Routing {
		return 0
	}
	segment := pkt[u.Offset:]
	t, fault := ParseTCP(segment)
	if fault != FaultNone || t.Flags()&TCPRst != 0 {
		return 0
	}
	if Sum(segment, PseudoSum6(pkt[8:40], ProtocolTCP, uint32(len(segment)))) != 0xffff {
		return 0
	}
	const n = IPv6HeaderLen + TCPMinHeaderLen
	PutIPv6(dst, pkt.TrafficClass()&^ecnMask, ProtocolTCP, resetTTL, pkt.Dst(), pkt.Src(), TCPMinHeaderLen)
	r := dst[IPv6HeaderLen:n]
	putReset(r, t)
	binary.BigEndian.PutUint16(r[16:18], ^Sum(r, PseudoSum6(dst[8:40], ProtocolTCP, TCPMinHeaderLen)))
	return n
}

// ecnMask is the two bits that a reset does not bear: control segments are not
// ECN-capable (RFC 3168, 6.1.1).
const ecnMask = 3

// putReset writes the header of the reset about segment t to r, 20 octets, with
// a checksum of 0. A segment with an acknowledgment says where its sender will
// accept the reset; any other is acknowledged as a whole instead.
func putReset(r []byte, t TCP) {
	clear(r[:TCPMinHeaderLen])
	copy(r[0:2], t[2:4])
	copy(r[2:4], t[0:2])
	r[12] = TCPMinHeaderLen / 4 << 4
	if t.Flags()&TCPAck != 0 {
		copy(r[4:8], t[8:12])
		r[13] = TCPRst
		return
	}
	end := binary.BigEndian.Uint32(t[4:8]) + uint32(len(t.Payload()))
	if t.Flags()&TCPSyn != 0 {
		end++
	}
	if t.Flags()&TCPFin != 0 {
		end++
	}
	binary.BigEndian.PutUint32(r[8:12], end)
	r[13] = TCPRst | TCPAck
}
