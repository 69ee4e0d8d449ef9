package packet

import (
	"encoding/binary"
	"net/netip"
)

// A Probe is a packet that the router sends to be answered: an echo request (RFC
// 792, RFC 4443 4.1), a UDP datagram, or the first segment of a TCP connection.
//
// What load balancers hash is the same in all packets of a probe: addresses,
// ports, the identifier, and ICMP's checksum (Augustin et al., "Avoiding
// traceroute anomalies with Paris traceroute", IMC 2006). Seq stands where an ICMP
// error, which may quote eight octets of the transport header only, brings it back.
type Probe struct {
	Src, Dst     netip.Addr // of one family
	Protocol     uint8      // ICMP of the family, UDP or TCP
	Ident        uint16     // the echo's identifier, the source port of the others
	Port         uint16     // the destination port of UDP and TCP
	TTL          uint8
	DontFragment bool // IPv4 only
}

// probeData is the sequence number that the data of UDP over IPv6 begins with:
// IPv6 has no identification.
const probeData = 2

// Len is the length of the packet with size octets of data, which Put writes.
// TCP takes no data; the data of UDP over IPv6 is two octets at least, and so is
// an echo's.
func (p *Probe) Len(size int) int {
	n := IPv4MinHeaderLen
	if p.Src.Is6() {
		n = IPv6HeaderLen
	}
	switch p.Protocol {
	case ProtocolTCP:
		return n + TCPMinHeaderLen
	case ProtocolUDP:
		if p.Src.Is4() {
			return n + UDPHeaderLen + size
		}
	}
	return n + UDPHeaderLen + max(size, probeData)
}

// Put writes the packet number seq to b, Len(size) octets, and returns it.
func (p *Probe) Put(b []byte, seq uint16, size int) []byte {
	n := p.Len(size)
	b = b[:n]
	clear(b)
	head := IPv4MinHeaderLen
	if p.Src.Is6() {
		head = IPv6HeaderLen
		PutIPv6(b, 0, p.Protocol, p.TTL, p.Src, p.Dst, n-head)
	} else {
		PutIPv4(b, 0, seq, p.DontFragment, p.TTL, p.Protocol, p.Src, p.Dst, n-head)
	}
	m := b[head:]
	switch p.Protocol {
	case ProtocolUDP:
		binary.BigEndian.PutUint16(m[0:2], p.Ident)
		binary.BigEndian.PutUint16(m[2:4], p.Port)
		binary.BigEndian.PutUint16(m[4:6], uint16(len(m)))
		if len(m) >= UDPHeaderLen+probeData {
			binary.BigEndian.PutUint16(m[8:10], seq)
		}
		m[7] = 1 // 0 would say that there is no checksum
	case ProtocolTCP:
		binary.BigEndian.PutUint16(m[0:2], p.Ident)
		binary.BigEndian.PutUint16(m[2:4], p.Port)
		binary.BigEndian.PutUint32(m[4:8], uint32(p.Ident)<<16|uint32(seq))
		m[12], m[13] = TCPMinHeaderLen/4<<4, TCPSyn
		binary.BigEndian.PutUint16(m[14:16], 65535)
	default:
		m[0] = ICMPv4Echo
		if p.Src.Is6() {
			m[0] = ICMPv6Echo
		}
		binary.BigEndian.PutUint16(m[4:6], p.Ident)
		binary.BigEndian.PutUint16(m[6:8], seq)
		// With the sequence number it adds up to the same for all packets.
		binary.BigEndian.PutUint16(m[8:10], ^seq)
		for i := ICMPHeaderLen + probeData; i < len(m); i++ {
			m[i] = byte(i - ICMPHeaderLen)
		}
		if p.Src.Is6() {
			setChecksumICMPv6(b, head)
		} else {
			binary.BigEndian.PutUint16(m[2:4], ^Sum(m, 0))
		}
		return b
	}
	SetTransportChecksum(b)
	return b
}

// A ProbeKey tells probes apart by what answers bring back.
type ProbeKey struct {
	Protocol uint8
	Ident    uint16
}

// A ProbeAnswer is what a packet says about a probe.
type ProbeAnswer struct {
	Key ProbeKey
	Seq uint16
	// Error says that it is an ICMP error about the probe, whose Src and Dst are
	// quoted; else it is the answer of the one whom the probe was sent to.
	Error      bool
	Type, Code uint8  // of an ICMP message
	Rest       uint32 // of an ICMP error: its second word
	Octets     int    // of the message that answers, from its transport header on
}

// ParseProbeAnswer reads the packet l3, whose transport header is u, as the
// answer to a probe; ok is false for what can be none. A first fragment is read
// as well, and its checksum isn't checked. l3 has passed CheckIPv4 or CheckIPv6.
// src and dst are the addresses of the probe that it answers.
func ParseProbeAnswer(l3 []byte, u Upper) (a ProbeAnswer, src, dst netip.Addr, ok bool) {
	if !u.First || u.Offset > len(l3) {
		return a, src, dst, false
	}
	m := l3[u.Offset:]
	six := l3[0]>>4 == 6
	if six {
		src, dst = IPv6(l3).Dst(), IPv6(l3).Src()
	} else {
		src, dst = IPv4(l3).Dst(), IPv4(l3).Src()
	}
	a.Octets, a.Key.Protocol = len(m), u.Protocol
	switch u.Protocol {
	case ProtocolTCP:
		t, fault := ParseTCP(m)
		if fault != FaultNone || t.Flags()&TCPAck == 0 || t.Flags()&(TCPSyn|TCPRst) == 0 {
			return a, src, dst, false
		}
		a.Key.Ident, a.Seq = t.DstPort(), uint16(binary.BigEndian.Uint32(m[8:12])-1)
		return a, src, dst, true
	case ProtocolICMPv4, ProtocolICMPv6:
		if six != (u.Protocol == ProtocolICMPv6) || len(m) < ICMPHeaderLen {
			return a, src, dst, false
		}
	default:
		return a, src, dst, false
	}
	a.Type, a.Code = m[0], m[1]
	reply := uint8(ICMPv4EchoReply)
	if six {
		reply = ICMPv6EchoReply
	}
	if a.Type == reply {
		a.Key.Ident, a.Seq = binary.BigEndian.Uint16(m[4:6]), binary.BigEndian.Uint16(m[6:8])
		return a, src, dst, true
	}
	if six && !IsErrorICMPv6(a.Type) || !six && !IsErrorICMPv4(a.Type) {
		return a, src, dst, false
	}
	a.Error, a.Rest = true, ICMP(m).Rest()
	return a.quoted(m[ICMPHeaderLen:], six)
}

// quoted reads the probe that an error quotes.
func (a ProbeAnswer) quoted(q []byte, six bool) (_ ProbeAnswer, src, dst netip.Addr, ok bool) {
	var m []byte
	if six {
		if len(q) < IPv6HeaderLen+8 || q[0]>>4 != 6 {
			return a, src, dst, false
		}
		h := IPv6(q)
		src, dst, a.Key.Protocol, m = h.Src(), h.Dst(), h.NextHeader(), q[IPv6HeaderLen:]
	} else {
		if len(q) < IPv4MinHeaderLen || q[0]>>4 != 4 || len(q) < IPv4(q).HeaderLen()+8 || IPv4(q).HeaderLen() < IPv4MinHeaderLen {
			return a, src, dst, false
		}
		h := IPv4(q)
		if h.FragmentOffset() != 0 {
			return a, src, dst, false
		}
		src, dst, a.Key.Protocol, m = h.Src(), h.Dst(), h.Protocol(), q[h.HeaderLen():]
	}
	switch a.Key.Protocol {
	case ProtocolUDP:
		a.Key.Ident = binary.BigEndian.Uint16(m[0:2])
		if !six {
			a.Seq = IPv4(q).ID()
			return a, src, dst, true
		}
		if len(m) < UDPHeaderLen+probeData {
			return a, src, dst, false
		}
		a.Seq = binary.BigEndian.Uint16(m[8:10])
		return a, src, dst, true
	case ProtocolTCP:
		a.Key.Ident, a.Seq = binary.BigEndian.Uint16(m[0:2]), binary.BigEndian.Uint16(m[6:8])
		return a, src, dst, true
	case ProtocolICMPv4, ProtocolICMPv6:
		echo := uint8(ICMPv4Echo)
		if six {
			echo = ICMPv6Echo
		}
		if m[0] != echo || six != (a.Key.Protocol == ProtocolICMPv6) {
			return a, src, dst, false
		}
		a.Key.Ident, a.Seq = binary.BigEndian.Uint16(m[4:6]), binary.BigEndian.Uint16(m[6:8])
		return a, src, dst, true
	}
	return a, src, dst, false
}
