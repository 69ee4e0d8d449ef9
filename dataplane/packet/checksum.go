package packet

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds b to initial in ones' complement arithmetic of 16-bit words
// (RFC 1071) and returns the folded sum, not its complement. An odd last octet
// counts as the high half of a word. The sum of parts that each start at an
// even offset is the sum of the whole.
func Sum(b []byte, initial uint16) uint16 {
	// The sum does not depend on the byte order of the words (RFC 1071, 2B), so
	// eight octets are added at a time as little-endian numbers, and the result
	// is swapped once.
	var acc, carry uint64
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var rest uint64
	if len(b) >= 4 {
		rest = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		rest += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		rest += uint64(b[0])
	}
	acc, carry = bits.Add64(acc, rest, carry)
	acc, carry = bits.Add64(acc, uint64(bits.ReverseBytes16(initial)), carry)
	// A carry out of here leaves acc small, so this can't carry again.
	acc += carry
	return bits.ReverseBytes16(fold(acc))
}

// fold reduces a sum of 16-bit words to one word; only 0 folds to 0.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// AddSums adds two folded sums.
func AddSums(a, b uint16) uint16 { return fold(uint64(a) + uint64(b)) }

// PseudoSum4 is the folded sum of the pseudo-header of UDP and TCP over IPv4
// (RFC 768, RFC 9293 3.1); length is that of the transport header and data.
func PseudoSum4(src, dst uint32, protocol uint8, length uint16) uint16 {
	return fold(uint64(src) + uint64(dst) + uint64(protocol) + uint64(length))
}

// PseudoSum6 is the folded sum of the pseudo-header of IPv6 (RFC 8200, 8.1).
// addresses holds source and destination, 32 octets, as they stand in a header.
func PseudoSum6(addresses []byte, protocol uint8, length uint32) uint16 {
	return AddSums(Sum(addresses[:32], 0), fold(uint64(protocol)+uint64(length)))
}

// UpdateChecksum16 patches the checksum field for one 16-bit word that changes
// from old to new (RFC 1624, eqn. 3). All three are numbers in host byte order.
func UpdateChecksum16(field, old, new uint16) uint16 {
	return ^fold(uint64(^field) + uint64(^old) + uint64(new))
}

// UpdateChecksum32 is UpdateChecksum16 for two adjacent words, such as an IPv4
// address, that start at an even offset.
func UpdateChecksum32(field uint16, old, new uint32) uint16 {
	return ^fold(uint64(^field) + uint64(^old) + uint64(new))
}
