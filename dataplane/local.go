package dataplane

import (
	"encoding/binary"

	"router/dataplane/packet"
	"router/dataplane/session"
	"router/intf"
)

// A localPacket is a packet for the router itself on its way to a consumer.
type localPacket struct {
	p     *pkt
	to    intf.Index // the unit whose TAP it would leave by
	cast  castClass  // of its IP destination
	entry *localEntry
	nd    bool // neighbour discovery
	echo  int  // offset of an echo request that fills its packet; 0 for none
}

// local hands a packet for the router itself to whom the session demux says.
func (w *worker) local(p *pkt, to intf.Index, cast castClass) {
	l := localPacket{p: p, to: to, cast: cast}
	var key session.Key
	var fault packet.Fault
	if p.fam == intf.Inet {
		fault = l.key4(&key, packet.IPv4(w.l3(p)))
	} else {
		fault = l.key6(&key, packet.IPv6(w.l3(p)))
	}
	if fault != packet.FaultNone {
		w.drop(p, Reason(fault))
		return
	}
	s := w.engine.sessions
	l.entry = s.table.Lookup(&key)
	if l.entry == nil {
		if l.entry = s.host; l.nd {
			l.entry = s.neighbor
		}
	}
	if w.trace != nil {
		w.trace.session(l.entry)
	}
	if !w.admit(p, l.entry) {
		return
	}
	switch l.entry.consumer {
	case session.ToHost, session.ToKernel:
		w.toHost(&l)
	case session.ToRouter:
		if l.echo != 0 && cast == unicast && p.flags&flagNoSource == 0 {
			w.echo(&l)
			return
		}
		w.toHost(&l)
	case session.ToReject:
		if !l.nd && cast == unicast {
			w.refuse(p)
		}
		w.dropLocal(p, l.entry, DropLocalReject)
	case session.ToDiscard:
		w.dropLocal(p, l.entry, DropLocalDiscard)
	}
}

// localARP hands an ARP packet to the control plane.
func (w *worker) localARP(p *pkt) {
	var key session.Key
	f := &p.in.fam[intf.Inet]
	key.Set(session.ARP, 0, 0, true, false, f.instance, p.in.index)
	if a := w.l3(p); len(a) >= packet.ARPLen {
		key.SetAddrs4(binary.BigEndian.Uint32(a[24:]), binary.BigEndian.Uint32(a[14:]))
	} else {
		key.SetAddrs4(0, 0)
	}
	entry := w.engine.sessions.table.Lookup(&key)
	if entry == nil {
		entry = w.engine.sessions.neighbor
	}
	if !w.admit(p, entry) {
		return
	}
	switch entry.consumer {
	case session.ToHost, session.ToKernel, session.ToRouter:
		w.puntNeighbor(p, packet.EtherTypeARP, entry)
	case session.ToReject:
		w.dropLocal(p, entry, DropLocalReject)
	case session.ToDiscard:
		w.dropLocal(p, entry, DropLocalDiscard)
	}
}

// admit counts a packet for its session, and drops it where the class's rate is
// exceeded. What nobody gets takes no part in the rate.
func (w *worker) admit(p *pkt, e *localEntry) bool {
	if w.trace != nil {
		if e.consumer == session.ToDiscard || e.class.policer.Conforms(w.instant()) {
			return true
		}
		w.drop(p, DropLocalPoliced)
		return false
	}
	own, class := &e.stats[w.id], &e.class.stats[w.id]
	bump(&own.packets, 1)
	bump(&own.octets, uint64(p.n))
	bump(&class.packets, 1)
	bump(&class.octets, uint64(p.n))
	if e.consumer == session.ToDiscard || e.class.policer.Take(w.instant()) {
		return true
	}
	bump(&own.policed, 1)
	bump(&class.policed, 1)
	w.dropLocal(p, e, DropLocalPoliced)
	return false
}

// dropLocal drops a packet that admit has counted.
func (w *worker) dropLocal(p *pkt, e *localEntry, r Reason) {
	if w.trace == nil {
		bump(&e.stats[w.id].dropped, 1)
		bump(&e.class.stats[w.id].dropped, 1)
	}
	w.drop(p, r)
}

// toHost passes a packet on to the host stack, and neighbour discovery to the
// control plane.
func (w *worker) toHost(l *localPacket) {
	if l.nd {
		w.puntNeighbor(l.p, packet.EtherTypeIPv6, l.entry)
		return
	}
	if w.trace != nil {
		w.trace.delivered(l.p, l.to)
		return
	}
	if t := w.engine.probes.table.Load(); t != nil && w.answersProbe(t, l.p) {
		return
	}
	w.deliverTo(l.p, l.to, l.entry)
}

// key4 fills the key of an IPv4 packet.
func (l *localPacket) key4(k *session.Key, h packet.IPv4) packet.Fault {
	u := h.Upper()
	if fault := l.setKey(k, h, u); fault != packet.FaultNone {
		return fault
	}
	k.SetAddrs4(h.Dst32(), h.Src32())
	// Options would have to be sent back reversed: the host does that.
	if u.Protocol == packet.ProtocolICMPv4 && !u.Fragment && h.HeaderLen() == packet.IPv4MinHeaderLen && h[u.Offset] == packet.ICMPv4Echo {
		l.echo = u.Offset
	}
	return packet.FaultNone
}

// key6 fills the key of an IPv6 packet. A message of neighbour discovery in
// fragments is a fault (RFC 6980, 5).
func (l *localPacket) key6(k *session.Key, h packet.IPv6) packet.Fault {
	u, fault := h.Upper()
	if fault != packet.FaultNone {
		return fault
	}
	if fault := l.setKey(k, h, u); fault != packet.FaultNone {
		return fault
	}
	dstHi, dstLo := h.Dst64()
	srcHi, srcLo := h.Src64()
	k.SetAddrs6(dstHi, dstLo, srcHi, srcLo)
	if u.Protocol != packet.ProtocolICMPv6 || !u.First {
		return packet.FaultNone
	}
	typ := h[u.Offset]
	switch {
	case packet.IsND(typ) && l.p.flags&flagOriginated == 0:
		if u.Fragment {
			return packet.FaultType
		}
		l.nd = true
	case typ == packet.ICMPv6Echo && u.Offset == packet.IPv6HeaderLen:
		l.echo = u.Offset
	}
	return packet.FaultNone
}

// setKey fills what is not an address. ICMP's type takes the place of the local
// port. A packet that ends before its ports is truncated (RFC 7112, 5): it could
// pass by the entries that name them.
func (l *localPacket) setKey(k *session.Key, h []byte, u packet.Upper) packet.Fault {
	var local, remote uint16
	noPorts := !u.First
	if u.First {
		rest := h[u.Offset:]
		switch u.Protocol {
		case packet.ProtocolTCP, packet.ProtocolUDP, packet.ProtocolDCCP, packet.ProtocolSCTP, packet.ProtocolUDPLite:
			if len(rest) < 4 {
				return packet.FaultTruncated
			}
			remote, local = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
		case packet.ProtocolICMPv4, packet.ProtocolICMPv6:
			if len(rest) < 1 {
				return packet.FaultTruncated
			}
			local = uint16(rest[0])
		default:
			noPorts = true
		}
	}
	k.Set(session.Protocol(u.Protocol), local, remote, noPorts, !u.First, l.p.instance, l.p.in.index)
	return packet.FaultNone
}

// deliverTo puts a packet into the host's ring. A class may hold three times as
// many slots as are free (the dynamic thresholds of Choudhury and Hahne): one that
// floods the ring gets three quarters of it, and leaves room for the others.
func (w *worker) deliverTo(p *pkt, i intf.Index, e *localEntry) {
	id := e.class.id
	if w.hostQueued[id].Load() >= hostShare*int32(w.hostOut.free()) {
		w.dropLocal(p, e, DropHostFull)
		return
	}
	s := w.hostOut.next(int(p.n))
	if s == nil {
		w.dropLocal(p, e, DropHostFull)
		return
	}
	s.ifindex, s.fam, s.class = i, p.fam, id
	w.hostQueued[id].Add(int32(slotsFor(int(p.n))))
	w.hostOut.commit(w.l3(p))
	w.rang[1] = true
	w.totals.pend[totalDelivered]++
	w.pool.Put(p.buf.Addr)
}

// hostShare is how many slots a class may hold for each free one.
const hostShare = 3

// releaseHost gives back the packet of the host's ring whose first slot peek
// returned. It is the consumer's to call.
func (w *worker) releaseHost(s *puntSlot) {
	w.hostQueued[s.class].Add(-int32(slotsFor(int(s.n))))
	w.hostOut.release()
}
