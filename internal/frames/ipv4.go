package frames

import (
	"encoding/binary"

	"router/dataplane/packet"
)

// ipv4 appends an IPv4 packet, and sometimes padding behind it.
func (g *Generator) ipv4(b []byte) []byte {
	start := len(b)
	src := g.address(g.v4.sources, g.v4.oddSources, 12).As4()
	dst := g.address(g.v4.targets, g.v4.oddTargets, 12).As4()
	ttl := byte(64)
	switch g.rng.IntN(6) {
	case 0:
		ttl = pick(g, []byte{0, 1, 1, 2, 254, 255})
	case 1:
		ttl = g.byte()
	}
	protocol := pick(g, protocols)
	switch g.rng.IntN(8) {
	case 0, 1:
		protocol = packet.ProtocolICMPv4
	case 2:
		protocol = g.byte()
	}
	id := uint16(g.rng.Uint32())
	if g.one(8) {
		id = pick(g, []uint16{0, 1, 0xffff})
	}
	b = append(b, 0x45, g.tos(), 0, 0, byte(id>>8), byte(id), 0, 0, ttl, protocol, 0, 0)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	binary.BigEndian.PutUint16(b[start+6:], g.fragmentField())
	if g.one(4) {
		b = g.options4(b)
	}
	hl := len(b) - start
	b[start] = 0x40 | byte(hl/4)
	n := g.size(hl)
	b = g.transport(b, protocol, n)
	total := hl + n
	if g.one(24) {
		total = pick(g, []int{0, 19, 20, hl - 1, hl, total - 1, total + 1, total - 8, 0xffff, g.rng.IntN(0x10000), total / 2})
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(max(total, 0)))
	g.sum4(b[start:], hl)
	switch g.rng.IntN(64) {
	case 0:
		b[start] = b[start]&0xf0 | g.byte()&15
	case 1:
		b[start] = b[start]&15 | g.byte()<<4
	case 2:
		b = b[:start+g.rng.IntN(len(b)-start+1)]
	case 3, 4, 5:
		b = g.fill(b, g.rng.IntN(24))
	}
	return b
}

func (g *Generator) tos() byte {
	if g.one(2) {
		return 0
	}
	return g.byte()
}

// fragmentField is flags and offset: mostly a whole packet, else every part that
// a packet can be, and some that it can't.
func (g *Generator) fragmentField() uint16 {
	switch g.rng.IntN(12) {
	case 0, 1, 2:
		return 0x4000
	case 3:
		return 0x2000 // a first fragment
	case 4:
		return uint16(g.rng.IntN(0x2000)) // a last one
	case 5:
		return 0x2000 | uint16(g.rng.IntN(0x2000)) // one between
	case 6:
		return pick(g, []uint16{1, 2, 8190, 8191, 0x3fff, 0x2001, 0x6000, 0x4001, 0x6001, 0x8000, 0xa000, 0xc000, 0xe001})
	}
	return 0
}

// sum4 sets the header checksum: right mostly, and with the packet's
// identification chosen so that the sum lies where carries are.
func (g *Generator) sum4(h []byte, hl int) {
	switch g.rng.IntN(24) {
	case 0:
		want := pick(g, []uint16{0, 1, 0xff, 0x100, 0xfe00, 0xfeff, 0xff00, 0xfffe, 0xffff})
		h[4], h[5], h[10], h[11] = 0, 0, byte(want>>8), byte(want)
		binary.BigEndian.PutUint16(h[4:], ^packet.Sum(h[:hl], 0))
		return
	case 1:
		h[10], h[11] = pick(g, []byte{0, 0xff, g.byte()}), pick(g, []byte{0, 0xff, g.byte()})
		return
	}
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], ^packet.Sum(h[:hl], 0))
	if g.one(48) {
		h[10+g.rng.IntN(2)] ^= 1 << g.rng.IntN(8)
	}
}

// options4 appends options, padded to whole words, and spoils some of them.
func (g *Generator) options4(b []byte) []byte {
	at := len(b)
	for range 1 + g.rng.IntN(3) {
		if len(b)-at >= 36 {
			break
		}
		b = g.option4(b)
	}
	if len(b)-at > 40 {
		b = b[:at+40]
	}
	for len(b)-at < 40 && (len(b)-at)%4 != 0 {
		b = append(b, byte(g.rng.IntN(2))) // end of options or no operation
	}
	if g.one(5) {
		g.flip(b[at:], 2)
	}
	return b
}

// option4 appends one option with the edges of its pointer, flags and room.
func (g *Generator) option4(b []byte) []byte {
	at := len(b)
	switch g.rng.IntN(10) {
	case 0:
		return append(b, 1)
	case 1:
		return append(b, 0)
	case 2, 3: // record route (RFC 791)
		n := g.rng.IntN(5)
		b = append(b, 7, byte(3+4*n), byte(4+4*g.rng.IntN(n+2)))
		b = g.fill(b, 4*n)
	case 4, 5: // timestamp (RFC 791)
		n := g.rng.IntN(5)
		kind := pick(g, []byte{0, 0, 1, 1, 3, 3, 2, 7, 15})
		step := 8
		if kind == 0 {
			step = 4
		}
		over := byte(g.rng.IntN(16))
		b = append(b, 68, byte(4+step*n), byte(5+step*g.rng.IntN(n+2)), over<<4|kind)
		b = g.fill(b, step*n)
		if kind == 3 && n > 0 && g.one(2) {
			own := pick(g, g.v4.oddSources).As4()
			if p := int(b[at+2]); p >= 5 && at+p+3 <= len(b) {
				copy(b[at+p-1:], own[:])
			}
		}
	case 6: // loose and strict source route (RFC 791)
		n := g.rng.IntN(4)
		b = append(b, pick(g, []byte{131, 137}), byte(3+4*n), byte(4+4*g.rng.IntN(n+2)))
		b = g.fill(b, 4*n)
	case 7: // router alert (RFC 2113)
		b = append(b, 148, 4, 0, pick(g, []byte{0, 0, 1}))
	default: // stream id, security, and what nobody knows; copied or not
		n := g.rng.IntN(8)
		b = append(b, pick(g, []byte{136, 130, 133, 94, 30, 158, 205, 222, 82, 200, 25, 31}), byte(2+n))
		b = g.fill(b, n)
	}
	if g.one(12) && len(b)-at > 2 {
		b[at+1+g.rng.IntN(2)] = pick(g, []byte{0, 1, 2, 3, 4, 5, 6, 7, 39, 40, 41, 255, g.byte()})
	}
	return b
}
