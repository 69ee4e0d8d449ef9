package kernel

import (
	"encoding/binary"
	"iter"
)

// A message is a netlink payload under construction: a fixed header, then
// attributes, each padded to four octets. Integers are in host byte order.
type message []byte

func (m *message) bytes(typ uint16, v []byte) {
	b := *m
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	*m = b
}

func (m *message) u8(typ uint16, v uint8)   { m.bytes(typ, []byte{v}) }
func (m *message) u32(typ uint16, v uint32) { m.bytes(typ, binary.NativeEndian.AppendUint32(nil, v)) }

// text adds a string with the terminating zero that the kernel expects.
func (m *message) text(typ uint16, v string) { m.bytes(typ, append([]byte(v), 0)) }

// attributes yields the type, without the flags for nesting and byte order,
// and the value of each attribute in b. A malformed one ends the sequence:
// the kernel sends none, and what came before it stays usable.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	const typeMask = 0x3fff
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(binary.NativeEndian.Uint16(b))
			if n < 4 || n > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&typeMask, b[4:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// u32 reads an integer attribute; a shorter value reads as 0.
func u32(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

// text reads a string attribute up to its terminating zero.
func text(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}
