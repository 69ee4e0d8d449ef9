package packet

import "encoding/binary"

// SetDSCP4 replaces the six bits of the differentiated services code point
// (RFC 2474, 3) and patches the header checksum; the two of ECN stay. h holds at
// least 20 octets.
func SetDSCP4(h []byte, dscp uint8) {
	old := binary.BigEndian.Uint16(h[0:2])
	h[1] = dscp<<2 | h[1]&3
	sum := binary.BigEndian.Uint16(h[10:12])
	binary.BigEndian.PutUint16(h[10:12], UpdateChecksum16(sum, old, binary.BigEndian.Uint16(h[0:2])))
}

// SetDSCP6 is SetDSCP4 for the traffic class of IPv6, which no checksum covers.
func SetDSCP6(h []byte, dscp uint8) {
	h[0] = 0x60 | dscp>>2
	h[1] = dscp<<6 | h[1]&0x3f
}
