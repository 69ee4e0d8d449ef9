package dataplane

import (
	"encoding/binary"

	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
)

// echo answers an echo request to one of our addresses (RFC 1122, 3.2.2.6; RFC
// 4443, 4.2) in the buffer that it came in. The lookup for the answer begins in
// the instance that recognised the request.
func (w *worker) echo(l *localPacket) {
	p := l.p
	var fault packet.Fault
	if p.fam == intf.Inet {
		fault = w.echo4(p, packet.IPv4(w.l3(p)))
	} else {
		fault = w.echo6(p, packet.IPv6(w.l3(p)))
	}
	if fault != packet.FaultNone {
		w.dropLocal(p, l.entry, Reason(fault))
		return
	}
	if len(w.replies) == cap(w.replies) {
		w.dropLocal(p, l.entry, DropNoBuffer)
		return
	}
	if w.trace != nil {
		w.trace.add(TraceStep{Kind: TraceEcho})
	}
	r := *p
	r.flags, r.label, r.rx = flagOriginated|flagReply, label{}, nil
	w.replies = append(w.replies, r)
}

// replyTTL is that of what we send ourselves.
const replyTTL = 64

func (w *worker) echo4(p *pkt, h packet.IPv4) packet.Fault {
	m, fault := packet.ParseICMPv4(h.Payload())
	if fault != packet.FaultNone {
		return fault
	}
	old := binary.BigEndian.Uint16(m)
	m[0] = packet.ICMPv4EchoReply
	binary.BigEndian.PutUint16(m[2:], packet.UpdateChecksum16(binary.BigEndian.Uint16(m[2:]), old, binary.BigEndian.Uint16(m)))
	src, dst := h.Src32(), h.Dst32()
	w.ipID++
	binary.BigEndian.PutUint16(h[4:], w.ipID)
	// As Linux answers: the answer may be fragmented, whatever the question said.
	h[6], h[7] = 0, 0
	h[8] = replyTTL
	binary.BigEndian.PutUint32(h[12:], dst)
	binary.BigEndian.PutUint32(h[16:], src)
	h.SetChecksum()
	p.hi, p.lo = 0, uint64(src)
	return packet.FaultNone
}

func (w *worker) echo6(p *pkt, h packet.IPv6) packet.Fault {
	m, fault := packet.ParseICMPv6(h, packet.IPv6HeaderLen)
	if fault != packet.FaultNone {
		return fault
	}
	old := binary.BigEndian.Uint16(m)
	m[0] = packet.ICMPv6EchoReply
	// The sum over the addresses stays the same when they change places.
	binary.BigEndian.PutUint16(m[2:], packet.UpdateChecksum16(binary.BigEndian.Uint16(m[2:]), old, binary.BigEndian.Uint16(m)))
	class := h.TrafficClass()
	h[0], h[1], h[2], h[3] = 0x60|class>>4, class<<4, 0, 0
	h[7] = replyTTL
	var src [16]byte
	copy(src[:], h[8:24])
	copy(h[8:24], h[24:40])
	copy(h[24:40], src[:])
	p.hi, p.lo = h.Dst64()
	return packet.FaultNone
}

// refuse tells the sender of a packet that nobody here wants it: by a reset
// (RFC 9293, 3.5.2), else by ICMP (RFC 1122, 3.2.2.1; RFC 4443, 3.1; RFC 8200, 4). The
// packet itself stays the caller's.
func (w *worker) refuse(p *pkt) {
	if p.flags&(flagGroup|flagNoSource|flagOriginated) != 0 {
		return
	}
	l3 := w.l3(p)
	var u packet.Upper
	if p.fam == intf.Inet {
		u = packet.IPv4(l3).Upper()
	} else {
		var fault packet.Fault
		if u, fault = packet.IPv6(l3).Upper(); fault != packet.FaultNone {
			return
		}
	}
	if !u.First {
		return // the first fragment has been answered
	}
	switch u.Protocol {
	case packet.ProtocolTCP:
		w.reset(p)
	case packet.ProtocolICMPv4, packet.ProtocolICMPv6:
		// A message that nobody wants is no error.
	case packet.ProtocolUDP, packet.ProtocolUDPLite, packet.ProtocolDCCP, packet.ProtocolSCTP:
		if p.fam == intf.Inet {
			w.icmpErrorFrom(p, packet.ICMPv4Unreachable, packet.ICMPv4CodePort, 0, packet.IPv4(l3).Dst())
		} else {
			w.icmpErrorFrom(p, packet.ICMPv6Unreachable, packet.ICMPv6CodePort, 0, packet.IPv6(l3).Dst())
		}
	default:
		if p.fam == intf.Inet {
			w.icmpErrorFrom(p, packet.ICMPv4Unreachable, packet.ICMPv4CodeProtocol, 0, packet.IPv4(l3).Dst())
		} else {
			w.icmpErrorFrom(p, packet.ICMPv6ParameterError, packet.ICMPv6CodeUnknownNext, uint32(packet.IPv6(l3).NextHeaderAt(u)), packet.IPv6(l3).Dst())
		}
	}
}

// reset answers a TCP segment with a reset, at the rate of ICMP errors. The
// packet stays the caller's.
func (w *worker) reset(p *pkt) {
	var b [packet.ResetMax]byte
	var n int
	if p.fam == intf.Inet {
		n = packet.PutReset4(b[:], packet.IPv4(w.l3(p)))
	} else {
		n = packet.PutReset6(b[:], packet.IPv6(w.l3(p)))
	}
	now, c := w.instant(), &w.engine.config
	if n == 0 || !p.in.stats.blocks[w.id].icmp.take(now, c.ICMPUnit) || !w.icmp.take(now, c.ICMP) {
		return
	}
	chunk, ok := w.pool.Get()
	if !ok {
		return
	}
	r := pkt{at: chunk + port.Headroom, n: uint16(n), fam: p.fam, flags: flagOriginated | flagReply, in: p.in, instance: p.instance, table: p.table}
	copy(w.mem[r.at:], b[:n])
	if p.fam == intf.Inet {
		r.lo = uint64(packet.IPv4(b[:n]).Dst32())
	} else {
		r.hi, r.lo = packet.IPv6(b[:n]).Dst64()
	}
	if w.trace != nil {
		w.trace.add(TraceStep{Kind: TraceReset})
	}
	w.reply(&r)
}
