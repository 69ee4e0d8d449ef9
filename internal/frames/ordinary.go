package frames

import (
	"encoding/binary"

	"router/dataplane/packet"
)

// Ordinary4 appends an IPv4 frame as hosts send them: UDP, TCP or SCTP without options, not in
// fragments, of any size around the MTUs, with a time to live that lasts.
func (g *Generator) Ordinary4(b []byte) []byte {
	return g.frame(b, packet.EtherTypeIPv4, func(b []byte) []byte {
		start := len(b)
		src, dst := g.address(g.v4.sources, nil, 0).As4(), g.address(g.v4.targets, nil, 0).As4()
		n, protocol := g.payload(packet.IPv4MinHeaderLen)
		b = append(b, 0x45, g.tos(), 0, 0, g.byte(), g.byte(), pick(g, []byte{0, 0x40}), 0, 2+g.byte()%254, protocol, 0, 0)
		b = append(append(b, src[:]...), dst[:]...)
		binary.BigEndian.PutUint16(b[start+2:], uint16(packet.IPv4MinHeaderLen+n))
		binary.BigEndian.PutUint16(b[start+10:], ^packet.Sum(b[start:], 0))
		return g.transport(b, protocol, n)
	})
}

// Ordinary6 is Ordinary4 for IPv6.
func (g *Generator) Ordinary6(b []byte) []byte {
	return g.frame(b, packet.EtherTypeIPv6, func(b []byte) []byte {
		src, dst := g.address(g.v6.sources, nil, 0).As16(), g.address(g.v6.targets, nil, 0).As16()
		n, protocol := g.payload(packet.IPv6HeaderLen)
		class := g.tos()
		b = append(b, 0x60|class>>4, class<<4|g.byte()&15, g.byte(), g.byte())
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, protocol, 2+g.byte()%254)
		b = append(append(b, src[:]...), dst[:]...)
		return g.transport(b, protocol, n)
	})
}

// payload draws a transport and how many octets it has, its own header included.
func (g *Generator) payload(header int) (octets int, protocol byte) {
	return max(g.size(header), 20), pick(g, []byte{packet.ProtocolUDP, packet.ProtocolTCP, packet.ProtocolSCTP})
}
