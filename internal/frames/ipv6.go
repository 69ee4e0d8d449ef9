package frames

import (
	"encoding/binary"

	"router/dataplane/packet"
)

// ipv6 appends an IPv6 packet, and sometimes padding behind it.
func (g *Generator) ipv6(b []byte) []byte {
	start := len(b)
	src := g.address(g.v6.sources, g.v6.oddSources, 12).As16()
	dst := g.address(g.v6.targets, g.v6.oddTargets, 12).As16()
	hops := byte(64)
	switch g.rng.IntN(6) {
	case 0:
		hops = pick(g, []byte{0, 1, 1, 2, 254, 255})
	case 1:
		hops = g.byte()
	}
	class := g.tos()
	b = append(b, 0x60|class>>4, class<<4, 0, 0, 0, 0, 0, hops)
	if g.one(2) {
		b[start+1] |= g.byte() & 15
		b[start+2], b[start+3] = g.byte(), g.byte()
	}
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = g.chain(b, start+6)
	n := len(b) - start - packet.IPv6HeaderLen
	if g.one(24) {
		n = pick(g, []int{0, n - 1, n + 1, n / 2, 0xffff, g.rng.IntN(0x10000), 8})
	}
	binary.BigEndian.PutUint16(b[start+4:], uint16(max(n, 0)))
	switch g.rng.IntN(96) {
	case 0:
		b[start] = b[start]&15 | g.byte()<<4
	case 1:
		b = b[:start+g.rng.IntN(len(b)-start+1)]
	case 2, 3, 4:
		b = g.fill(b, g.rng.IntN(24))
	}
	return b
}

// chain appends extension headers and a transport; next is where the number of
// the first header goes.
func (g *Generator) chain(b []byte, next int) []byte {
	start := len(b)
	if g.one(2) {
		for range 1 + g.rng.IntN(3) + g.rng.IntN(2)*g.rng.IntN(8) {
			if len(b)-start > 600 {
				break
			}
			at := len(b)
			var number byte
			number, b = g.extension(b, at == start)
			b[next], next = number, at
		}
	}
	protocol := pick(g, protocols)
	switch g.rng.IntN(8) {
	case 0, 1:
		protocol = packet.ProtocolICMPv6
	case 2:
		protocol = g.byte()
	case 3:
		protocol = packet.ProtocolNoNext
	}
	b[next] = protocol
	at := len(b)
	n := min(g.size(packet.IPv6HeaderLen+at-start), g.world.Longest-packet.IPv6HeaderLen-(at-start))
	return g.transport(b, protocol, max(n, 0))
}

// extension appends one extension header, and returns its number. first says
// that it follows the fixed header, the only place for hop-by-hop options.
func (g *Generator) extension(b []byte, first bool) (byte, []byte) {
	at := len(b)
	number := pick(g, []byte{
		packet.ProtocolDestOptions, packet.ProtocolDestOptions, packet.ProtocolRouting, packet.ProtocolFragment,
		packet.ProtocolFragment, packet.ProtocolAH, packet.ProtocolMobility, packet.ProtocolHIP, packet.ProtocolShim6, packet.ProtocolESP,
	})
	if first && g.one(2) || g.one(16) {
		number = packet.ProtocolHopByHop
	}
	switch number {
	case packet.ProtocolHopByHop, packet.ProtocolDestOptions:
		b = g.options6(append(b, 0, 0), at)
	case packet.ProtocolRouting:
		n := g.rng.IntN(4)
		b = append(b, 0, byte(2*n), pick(g, []byte{0, 0, 2, 3, 4, 253, g.byte()}), byte(g.rng.IntN(n+2)))
		b = g.fill(b, 4+16*n)
	case packet.ProtocolFragment:
		field := pick(g, []uint16{0, 1, 8, 9, 0xfff8, 0xfff9, 6, uint16(g.rng.Uint32())})
		b = append(b, 0, g.byte()*byte(g.rng.IntN(2)), byte(field>>8), byte(field))
		b = g.fill(b, 4)
	case packet.ProtocolAH:
		n := 1 + g.rng.IntN(5)
		b = append(b, 0, byte(n))
		b = g.fill(b, n*4+6)
	case packet.ProtocolESP:
		b = g.fill(b, 16)
	default:
		n := g.rng.IntN(4)
		b = append(b, 0, byte(n))
		b = g.fill(b, 6+8*n)
	}
	if g.one(20) {
		b[at+1] = pick(g, []byte{0, 1, 2, 16, 255, g.byte()})
	}
	return number, b
}

// options6 appends options to the header at at, of which two octets are there,
// and pads it to a multiple of eight.
func (g *Generator) options6(b []byte, at int) []byte {
	for range g.rng.IntN(4) + g.rng.IntN(2)*g.rng.IntN(2)*g.rng.IntN(12) {
		b = g.option6(b, at)
	}
	switch pad := -(len(b) - at) & 7; {
	case g.one(12): // padding beyond what is due, or that says something
		n := g.rng.IntN(16)
		b = append(b, 1, byte(n))
		b = g.fill(b, n)
		for (len(b)-at)%8 != 0 {
			b = append(b, 0)
		}
	case pad == 1:
		b = append(b, 0)
	case pad > 1:
		b = append(b, 1, byte(pad-2), 0, 0, 0, 0, 0, 0)
		b = b[:len(b)-8+pad]
	}
	b[at+1] = byte((len(b)-at)/8 - 1)
	if g.one(12) {
		g.flip(b[at+2:], 2)
	}
	return b
}

// option6 appends one option: those that routers know, and one of each class of
// what to do with the unknown (RFC 8200, 4.2).
func (g *Generator) option6(b []byte, at int) []byte {
	switch g.rng.IntN(10) {
	case 0:
		for range 1 + g.rng.IntN(4)*g.rng.IntN(3) {
			b = append(b, 0)
		}
	case 1:
		n := g.rng.IntN(6)
		b = append(b, 1, byte(n))
		for range n {
			b = append(b, 0)
		}
	case 2, 3: // router alert (RFC 2711)
		b = append(b, 5, pick(g, []byte{2, 2, 2, 2, 0, 1, 3}))
		b = g.fill(b, int(b[len(b)-1]))
		if b[len(b)-3] == 2 {
			b[len(b)-2] = 0
		}
	case 4: // jumbo payload (RFC 2675), which wants 4n + 2
		for g.rng.IntN(8) != 0 && (len(b)-at)%4 != 2 {
			b = append(b, 0)
		}
		b = append(b, 0xc2, pick(g, []byte{4, 4, 4, 4, 3, 5}))
		b = binary.BigEndian.AppendUint32(b, pick(g, []uint32{0, 1, 65535, 65536, 70000, 0xffffffff}))
	default:
		n := g.rng.IntN(9)
		low := pick(g, []byte{0x1e, 0x3e, 0x0a, 0x11, 0x06})
		b = append(b, pick(g, []byte{0, 0, 0x40, 0x80, 0xc0})|low, byte(n))
		b = g.fill(b, n)
	}
	return b
}
