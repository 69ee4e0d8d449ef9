package dataplane

import (
	"encoding/binary"
	"math/bits"

	"router/dataplane/packet"
	"router/intf"
)

// Odd numbers without pattern, to multiply with.
const (
	flowMixA = 0x9e3779b97f4a7c15
	flowMixB = 0xe7037ed1a0b428db
	flowMixC = 0x8ebc6af09c88c6e3
)

// flow is a number that packets of one flow share; 0 is nobody's. It is made of
// the addresses and the protocol, and of the ports of whole packets: all
// fragments of a flow have the same one, which the whole packets beside them
// need not have. For IPv6 the flow label counts too, and with the addresses it
// is all that counts of fragments and of what has a header chain that ends
// nowhere (RFC 6437, 3; RFC 6438, 3). It depends on the engine's seed,
// so that two routers in a row do not choose alike.
func (w *worker) flow(p *pkt) uint64 {
	seed := w.engine.config.FlowSeed
	if p.fam == intf.Inet {
		h := packet.IPv4(w.l3(p))
		rest := uint64(h.Protocol()) << 32
		if !h.IsFragment() {
			rest |= uint64(ports(h, h.Protocol(), h.HeaderLen()))
		}
		return mixFlow(binary.LittleEndian.Uint64(h[12:20])^flowMixA, rest^seed) | 1
	}
	h := packet.IPv6(w.l3(p))
	rest := uint64(h.FlowLabel()) << 40
	if u, fault := h.Upper(); fault == packet.FaultNone && !u.Fragment {
		rest |= uint64(u.Protocol)<<32 | uint64(ports(h, u.Protocol, u.Offset))
	}
	src := mixFlow(binary.LittleEndian.Uint64(h[8:16])^flowMixA, binary.LittleEndian.Uint64(h[16:24])^seed)
	dst := mixFlow(binary.LittleEndian.Uint64(h[24:32])^flowMixB, binary.LittleEndian.Uint64(h[32:40])^src)
	return mixFlow(dst^flowMixC, rest^seed) | 1
}

// nextFlow is the number by which a further group on the packet's way chooses,
// so that it doesn't see only the flows that come out alike in the first.
func nextFlow(flow uint64) uint64 { return mixFlow(flow, flowMixC) | 1 }

// mixFlow lets every bit of a and b change every bit of the result.
func mixFlow(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^flowMixB, b^flowMixC)
	hi, lo = bits.Mul64(hi^lo^flowMixA, a^bits.RotateLeft64(b, 32)^flowMixB)
	return hi ^ lo
}

// ports are the source and the destination port at offset at, 0 where protocol
// has none or they are cut off.
func ports(l3 []byte, protocol uint8, at int) uint32 {
	switch protocol {
	case packet.ProtocolTCP, packet.ProtocolUDP, packet.ProtocolSCTP, protocolDCCP, protocolUDPLite:
		if at+4 <= len(l3) {
			return binary.BigEndian.Uint32(l3[at:])
		}
	}
	return 0
}

// Transports that have their ports where UDP has them, like those of package packet.
const (
	protocolDCCP    = 33  // RFC 4340, 5.1
	protocolUDPLite = 136 // RFC 3828, 3
)
