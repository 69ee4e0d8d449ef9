package packet

import (
	"encoding/binary"
	"hash/crc32"
)

// castagnoli is the polynomial of SCTP's checksum (RFC 9260, appendix A).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CompleteChecksum finishes a partial TCP, UDP or SCTP checksum of the packet
// l3, which CheckIPv4 or CheckIPv6 has returned, and reports whether it did.
//
// Linux leaves only the folded sum of the pseudo-header in the field
// (CHECKSUM_PARTIAL), or zero for SCTP, and trusts a device to do the rest; a
// veth or a TAP passes the packet on as it is. So a packet whose field holds
// that, and whose checksum is not valid as it stands, gets a whole one. Anything
// else stays untouched: other protocols, fragments, IPv4 UDP without checksum,
// and IPv6 with a routing header that still changes the destination.
//
// One damaged packet in 65,536 looks like a partial one, so it is for packets
// from devices that are known to pass partial ones on.
func CompleteChecksum(l3 []byte) bool {
	return !plainlyWhole(l3) && complete(l3)
}

// complete is CompleteChecksum for a packet that wants more than a look.
func complete(l3 []byte) bool {
	t, pseudo, field, ok := transportChecksum(l3)
	if !ok {
		return completeSCTP(l3, false)
	}
	if binary.BigEndian.Uint16(t[field:]) != pseudo || Sum(t, pseudo) == 0xffff {
		return false
	}
	putTransportChecksum(t, pseudo, field)
	return true
}

// plainlyWhole reports whether a look at the field tells already that CompleteChecksum
// has nothing to do for a packet: IPv4 without options, TCP or UDP, and another sum
// than the pseudo-header's.
func plainlyWhole(l3 []byte) bool {
	if len(l3) < IPv4MinHeaderLen+UDPHeaderLen || l3[0] != 0x45 {
		return false
	}
	length, field := binary.BigEndian.Uint16(l3[24:]), IPv4MinHeaderLen+6
	if l3[9] != ProtocolUDP {
		if length, field = uint16(len(l3)-IPv4MinHeaderLen), IPv4MinHeaderLen+16; l3[9] != ProtocolTCP || len(l3) < field+2 {
			return false
		}
	}
	sum := binary.BigEndian.Uint16(l3[field:])
	return sum == 0 || sum != PseudoSum4(binary.BigEndian.Uint32(l3[12:]), binary.BigEndian.Uint32(l3[16:]), l3[9], length)
}

// completeSCTP is CompleteChecksum, or with always SetTransportChecksum, for SCTP.
func completeSCTP(l3 []byte, always bool) bool {
	u, ok := wholeUpper(l3)
	if !ok || u.Protocol != ProtocolSCTP {
		return false
	}
	t := l3[u.Offset:]
	if len(t) < sctpHeaderLen {
		return false
	}
	sum := t[8:12]
	if !always && binary.LittleEndian.Uint32(sum) != 0 {
		return false
	}
	clear(sum)
	binary.LittleEndian.PutUint32(sum, crc32.Checksum(t, castagnoli))
	return true
}

// SetTransportChecksum computes the TCP, UDP or SCTP checksum of the packet l3, which
// CheckIPv4 or CheckIPv6 has returned, whatever stood in the field, and reports
// whether it did; packets that CompleteChecksum leaves alone stay untouched
// here, too. It is for frames that the driver knows to be partial.
func SetTransportChecksum(l3 []byte) bool {
	t, pseudo, field, ok := transportChecksum(l3)
	if !ok {
		return completeSCTP(l3, true)
	}
	putTransportChecksum(t, pseudo, field)
	return true
}

// TransportChecksumValid reports whether the packet l3, which CheckIPv4 or
// CheckIPv6 has returned, is whole TCP or UDP with a checksum that adds up.
func TransportChecksumValid(l3 []byte) bool {
	t, pseudo, _, ok := transportChecksum(l3)
	return ok && Sum(t, pseudo) == 0xffff
}

// wholeUpper finds the transport header of a packet; ok is false for one whose
// transport checksum can't be computed.
func wholeUpper(l3 []byte) (u Upper, ok bool) {
	if len(l3) < IPv4MinHeaderLen {
		return u, false
	}
	if l3[0]>>4 == 4 {
		u = IPv4(l3).Upper()
	} else {
		var fault Fault
		if u, fault = IPv6(l3).Upper(); fault != FaultNone {
			return u, false
		}
	}
	return u, !u.Fragment && !u.Routing
}

// transportChecksum finds the octets that the checksum of TCP or UDP covers, the
// pseudo-header's sum, and the offset of the field; ok is false where there is
// no such checksum.
func transportChecksum(l3 []byte) (t []byte, pseudo uint16, field int, ok bool) {
	u, ok := wholeUpper(l3)
	if !ok {
		return nil, 0, 0, false
	}
	v4 := l3[0]>>4 == 4
	t = l3[u.Offset:]
	switch u.Protocol {
	case ProtocolTCP:
		if len(t) < TCPMinHeaderLen {
			return nil, 0, 0, false
		}
		field = 16
	case ProtocolUDP:
		d, fault := ParseUDP(t)
		if fault != FaultNone || (v4 && d.Checksum() == 0) {
			return nil, 0, 0, false
		}
		t, field = d, 6
	default:
		return nil, 0, 0, false
	}
	if v4 {
		h := IPv4(l3)
		pseudo = PseudoSum4(h.Src32(), h.Dst32(), u.Protocol, uint16(len(t)))
	} else {
		pseudo = PseudoSum6(l3[8:40], u.Protocol, uint32(len(t)))
	}
	return t, pseudo, field, true
}

func putTransportChecksum(t []byte, pseudo uint16, field int) {
	t[field], t[field+1] = 0, 0
	sum := ^Sum(t, pseudo)
	// Zero would say "no checksum" in UDP (RFC 768); TCP has no such case.
	if sum == 0 && field == 6 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(t[field:], sum)
}
