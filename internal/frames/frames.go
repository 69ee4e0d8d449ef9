// Package frames makes packets for tests: a generator that puts every header
// field at its edges, with options, extension headers, fragments and lengths
// that lie, and a mutator that spoils what it is given.
//
// Both are deterministic: a seed and a count name a packet for ever. Nothing
// allocates once the buffers have grown.
package frames

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"router/dataplane/packet"
	"router/intf"
)

// MaxL3 is the largest network-layer packet that a Generator makes, unless its
// World has Longest.
const MaxL3 = 1600

// A World says whom the packets are from and to. Each list has at least one
// entry; the lists of one family may be empty if only the other is generated.
type World struct {
	Station intf.MAC // the router's, where the packets arrive
	Host    intf.MAC // who sends them

	// Sources are prefixes of hosts behind the ingress, OddSources addresses that
	// a router has reason to look at twice. Targets are prefixes that routes of
	// every kind lead to, OddTargets single destinations.
	Sources, Targets       []netip.Prefix
	OddSources, OddTargets []netip.Addr

	// MTUs are those of the links, whose neighbourhood packet sizes are drawn from.
	MTUs []int
	// Longest is the largest network-layer packet to make, in octets; 0 is MaxL3.
	Longest int
}

// A Generator makes one frame after the other. It belongs to one goroutine.
type Generator struct {
	world World
	rng   *rand.Rand
	src   *rand.PCG
	v4    addresses
	v6    addresses
}

type addresses struct {
	sources, targets       []netip.Prefix
	oddSources, oddTargets []netip.Addr
}

// New returns a generator of the frames that seed names.
func New(seed uint64, w World) *Generator {
	w.Longest = cmp.Or(w.Longest, MaxL3)
	src := rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)
	g := &Generator{world: w, src: src, rng: rand.New(src)}
	for _, p := range w.Sources {
		l := g.of(p.Addr())
		l.sources = append(l.sources, p)
	}
	for _, p := range w.Targets {
		l := g.of(p.Addr())
		l.targets = append(l.targets, p)
	}
	for _, a := range w.OddSources {
		l := g.of(a)
		l.oddSources = append(l.oddSources, a)
	}
	for _, a := range w.OddTargets {
		l := g.of(a)
		l.oddTargets = append(l.oddTargets, a)
	}
	return g
}

func (g *Generator) of(a netip.Addr) *addresses {
	if a.Is4() {
		return &g.v4
	}
	return &g.v6
}

// Next4 appends an IPv4 frame to b.
func (g *Generator) Next4(b []byte) []byte { return g.frame(b, packet.EtherTypeIPv4, g.ipv4) }

// Next6 appends an IPv6 frame to b.
func (g *Generator) Next6(b []byte) []byte { return g.frame(b, packet.EtherTypeIPv6, g.ipv6) }

// frame puts an Ethernet header in front of what l3 appends.
func (g *Generator) frame(b []byte, etherType uint16, l3 func([]byte) []byte) []byte {
	dst := g.world.Station
	switch g.rng.IntN(200) {
	case 0:
		dst = intf.Broadcast
	case 1:
		dst = intf.MAC{1, 0, 0x5e, 1, 2, 3}
	case 2:
		dst = intf.MAC{0x33, 0x33, 0, 0, 0, 1}
	case 3:
		dst[5] ^= 0x55 // another station
	}
	b = append(b, dst[:]...)
	b = append(b, g.world.Host[:]...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	return l3(b)
}

// one reports true once in n times.
func (g *Generator) one(n int) bool { return g.rng.IntN(n) == 0 }

func (g *Generator) byte() byte { return byte(g.rng.Uint32()) }

func pick[T any](g *Generator, from []T) T { return from[g.rng.IntN(len(from))] }

// fill appends n octets without pattern.
func (g *Generator) fill(b []byte, n int) []byte {
	for ; n >= 8; n -= 8 {
		b = binary.NativeEndian.AppendUint64(b, g.rng.Uint64())
	}
	for ; n > 0; n-- {
		b = append(b, g.byte())
	}
	return b
}

// address is a host in one of prefixes, or one of the odd addresses once in n.
func (g *Generator) address(prefixes []netip.Prefix, odd []netip.Addr, n int) netip.Addr {
	if len(odd) > 0 && g.one(n) {
		return pick(g, odd)
	}
	p := pick(g, prefixes)
	if p.Addr().Is4() {
		host := uint32(1)<<(32-p.Bits()) - 1
		a := p.Addr().As4()
		v := binary.BigEndian.Uint32(a[:])&^host | g.rng.Uint32()&host
		binary.BigEndian.PutUint32(a[:], v)
		return netip.AddrFrom4(a)
	}
	a := p.Addr().As16()
	for i := (p.Bits() + 7) / 8; i < 16; i++ {
		a[i] = g.byte()
	}
	return netip.AddrFrom16(a)
}

// size is how many octets of payload follow a header of hl octets.
func (g *Generator) size(hl int) int {
	n := 0
	switch g.rng.IntN(8) {
	case 0, 1, 2:
		n = g.rng.IntN(64)
	case 3:
		n = g.rng.IntN(1200)
	case 4:
		n = pick(g, g.world.MTUs) - hl
	case 5, 6:
		n = pick(g, g.world.MTUs) - hl + g.rng.IntN(41) - 20
	case 7:
		n = pick(g, []int{0, 1, 3, 4, 7, 8, 9, 20, 28, 39, 40, 548, 1232})
	}
	return min(max(n, 0), g.world.Longest-hl)
}

// protocols are those that somebody on the way may look into, and some that
// nobody knows.
var protocols = []byte{
	packet.ProtocolUDP, packet.ProtocolUDP, packet.ProtocolUDP, packet.ProtocolTCP, packet.ProtocolTCP,
	packet.ProtocolSCTP, 33, 136, 47, 4, 41, 94, 97, 2, 103, 89, 112, 253, 255,
}

// transport appends n octets that look like what protocol says, as far as they go.
func (g *Generator) transport(b []byte, protocol byte, n int) []byte {
	at := len(b)
	b = g.fill(b, n)
	switch protocol {
	case packet.ProtocolICMPv4:
		if n > 1 {
			b[at] = pick(g, []byte{0, 0, 3, 3, 4, 5, 8, 8, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 30, 40, 42, 43, 1, 2, 6, 7, 44, 255})
			b[at+1] = byte(g.rng.IntN(4))
		}
		if n >= 8 {
			b[at+2], b[at+3] = 0, 0
			binary.BigEndian.PutUint16(b[at+2:], ^packet.Sum(b[at:], 0))
		}
	case packet.ProtocolICMPv6:
		if n > 1 {
			b[at] = pick(g, []byte{1, 1, 2, 2, 3, 3, 4, 4, 5, 100, 127, 128, 128, 128, 129, 130, 131, 133, 134, 135, 136, 137, 143, 160, 255})
			b[at+1] = byte(g.rng.IntN(4))
		}
	case packet.ProtocolUDP:
		if n >= 8 && !g.one(8) {
			binary.BigEndian.PutUint16(b[at+4:], uint16(n))
		}
	}
	return b
}

// flip spoils up to n octets of b.
func (g *Generator) flip(b []byte, n int) {
	for range g.rng.IntN(n) + 1 {
		if len(b) > 0 {
			b[g.rng.IntN(len(b))] = g.byte()
		}
	}
}

// Mutate spoils a frame in one of many ways, and returns it, shorter, longer by
// some octets, or with others in it.
func (g *Generator) Mutate(f []byte) []byte {
	switch g.rng.IntN(6) {
	case 0:
		return f[:g.rng.IntN(len(f)+1)]
	case 1:
		return g.fill(f, g.rng.IntN(64))
	case 2:
		if len(f) > 14 {
			g.flip(f[14:min(len(f), 74)], 4) // the network layer's header
		}
	case 3:
		g.flip(f, 8)
	case 4:
		if len(f) > 20 {
			// One field says the greatest or the least.
			at := 12 + g.rng.IntN(min(len(f)-13, 60))
			v := byte(0xff)
			if g.one(2) {
				v = 0
			}
			f[at], f[at+1] = v, v
		}
	case 5:
		// Octets are lost or doubled in the middle.
		if len(f) > 40 {
			at, n := 12+g.rng.IntN(20), 1+g.rng.IntN(4)
			if g.one(2) {
				f = append(f[:at], f[at+n:]...)
			} else {
				f = append(f, f[len(f)-n:]...)
				copy(f[at+n:], f[at:len(f)-n])
			}
		}
	}
	return f
}
