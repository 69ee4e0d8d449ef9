package dataplane

import (
	"router/dataplane/packet"
	"router/intf"
	"router/routing"
)

// maxLookups bounds the tables that one packet is looked up in, and the next
// hops that lead to others: of gateways behind groups behind gateways, too.
const maxLookups = 24

// act does what next hop id says, knowing whether the packet was received or
// originated.
func (w *worker) act(p *pkt, id uint32) {
	var flow uint64 // of the packet, once a group needs it
	for range maxLookups {
		nh := w.engine.nexthops.at(id)
		if w.trace != nil {
			w.trace.comesTo(p, id, nh)
		}
		if nh == nil {
			w.drop(p, DropNoRoute)
			return
		}
		switch nh.kind {
		case routing.Forward:
			w.forward(p, nh.adj)
			return
		case routing.Resolve:
			w.resolve(p, nh.ifindex)
			return
		case routing.Receive:
			w.deliver(p, nh.ifindex)
			return
		case routing.Broadcast:
			w.broadcast(p, nh.ifindex)
			return
		case routing.LinkLocal:
			w.linkLocal(p)
			return
		case routing.Reject:
			if p.flags&flagOptions != 0 && !w.mayPass(p) {
				return
			}
			w.reject(p, nh.reject)
			w.drop(p, DropRejected)
			return
		case routing.Discard:
			w.drop(p, DropDiscarded)
			return
		case routing.Lookup:
			r := w.snap.instances.at(nh.instance)
			if r == nil {
				w.drop(p, DropNoInstance)
				return
			}
			p.instance, p.table = nh.instance, r.table
			id = w.lookup(p)
		case routing.Indirect:
			id = uint32(nh.via)
		case routing.Multicast, routing.Flood:
			w.replicate(p, nh.list)
			return
		case routing.BySource:
			// The group's routes are going away when there is no answer: the group
			// itself has another by now.
			if id = w.groupSource(p, nh.sources); id == 0 {
				id = w.lookup(p)
			}
		case routing.Group:
			switch n := uint64(len(nh.buckets)); n {
			case 0:
				w.drop(p, DropNoRoute)
				return
			case 1:
				id = uint32(nh.buckets[0])
			default:
				if flow == 0 {
					flow = w.flow(p)
				} else {
					flow = nextFlow(flow)
				}
				id = uint32(nh.buckets[flow>>32&(n-1)])
				if w.trace != nil {
					w.trace.chose(flow>>32&(n-1), n)
				}
			}
		case routing.Choice:
			if id = w.chooseBranch(p, nh); id == 0 {
				w.drop(p, DropWrongUnit)
				return
			}
		}
	}
	w.drop(p, DropLookupLoop)
}

// chooseBranch is the next hop that takes a packet by the unit that it came in
// by, or that the host sent it by; 0 when none does. What the host sends belongs
// to no unit in the end, so the best one takes it then.
func (w *worker) chooseBranch(p *pkt, nh *nexthop) uint32 {
	for _, b := range nh.branches {
		if b.IfIndex == p.in.index || b.IfIndex == 0 {
			return uint32(b.ID)
		}
	}
	if len(nh.branches) == 0 {
		return 0
	}
	first := nh.branches[0].ID
	if p.flags&flagOriginated != 0 {
		return uint32(first)
	}
	if next := w.engine.nexthops.at(uint32(first)); next != nil && next.kind == routing.Broadcast {
		// It says so itself, and more exactly.
		return uint32(first)
	}
	return 0
}

// forward sends a packet to a neighbour.
func (w *worker) forward(p *pkt, a *adjacency) {
	rw := a.rewrite.Load()
	if rw == nil {
		w.unresolved(p, a.key)
		return
	}
	if p.flags != 0 && !w.mayForward(p, a.key.ifindex) {
		return
	}
	if p.n > rw.mtu[p.fam] {
		w.emit(p, egress{unit: rw.unit, rw: rw})
		return
	}
	if p.flags&flagOriginated == 0 && !w.decrement(p) {
		return
	}
	if w.returns(p, rw) {
		w.redirect(p, rw)
	}
	if p.flags&flagOptions != 0 {
		w.stamp(p, rw.unit)
	}
	w.sendRewritten(p, rw)
}

// ttl is the packet's TTL or hop limit.
func (w *worker) ttl(p *pkt) uint8 {
	if p.fam == intf.Inet {
		return w.mem[p.at+8]
	}
	return w.mem[p.at+7]
}

// decrement lowers the TTL or hop limit, or ends the packet's way with "time
// exceeded" (RFC 1812, 5.3.1; RFC 8200, 3).
func (w *worker) decrement(p *pkt) bool {
	h := w.mem[p.at:]
	if p.fam == intf.Inet {
		if packet.DecrementTTL(h) {
			return true
		}
		w.icmpError(p, packet.ICMPv4TimeExceeded, packet.ICMPv4CodeTTL, 0)
	} else {
		if packet.DecrementHopLimit(h) {
			return true
		}
		w.icmpError(p, packet.ICMPv6TimeExceeded, packet.ICMPv6CodeHopLimit, 0)
	}
	w.drop(p, DropTTL)
	return false
}

// mayForward refuses packets that must stay on their link. Only packets with
// some flag need to be asked about.
func (w *worker) mayForward(p *pkt, to intf.Index) bool {
	switch {
	case p.flags&flagOriginated != 0:
		return true
	case p.flags&flagGroup != 0:
		w.drop(p, DropLinkBroadcast)
		return false
	case p.flags&flagNoSource != 0:
		w.drop(p, DropMartianSource)
		return false
	case p.flags&flagLinkLocal != 0 && to != p.in.index:
		w.icmpError(p, packet.ICMPv6Unreachable, packet.ICMPv6CodeBeyondScope, 0)
		w.drop(p, DropScope)
		return false
	case p.flags&flagOptions != 0:
		return w.mayPass(p)
	}
	return true
}

// resolve sends to the packet's destination, which is a neighbour on unit i.
func (w *worker) resolve(p *pkt, i intf.Index) {
	key := p.dstKey(i)
	if a := w.engine.adjacencies.find(key); a != nil {
		if w.trace != nil {
			w.trace.neighbor(a)
		}
		w.forward(p, a)
		return
	}
	w.unresolved(p, key)
}

// unresolved gives a packet whose neighbour is unknown to the control plane,
// in the form in which it will be sent.
func (w *worker) unresolved(p *pkt, key adjacencyKey) {
	u := w.snap.units.at(uint32(key.ifindex))
	if u == nil || u.port == 0 || !u.fam[p.fam].up {
		w.drop(p, DropEgressDown)
		return
	}
	if p.flags != 0 && !w.mayForward(p, key.ifindex) {
		return
	}
	w.emit(p, egress{unit: u, key: key})
}

// broadcast handles the broadcast address of unit i, or the limited one when i
// is 0.
func (w *worker) broadcast(p *pkt, i intf.Index) {
	if p.flags&flagReply != 0 {
		// A source that is a broadcast address names no single host.
		w.drop(p, DropBroadcast)
		return
	}
	if p.flags&flagOriginated == 0 {
		if i != 0 && i != p.in.index {
			w.drop(p, DropBroadcast)
			return
		}
		if w.filterLocal(p) {
			w.local(p, p.in.index, broadcast)
		}
		return
	}
	u := p.in
	if i != 0 {
		u = w.snap.units.at(uint32(i))
	}
	if u == nil {
		w.drop(p, DropEgressDown)
		return
	}
	w.emit(p, egress{unit: u, mac: intf.Broadcast})
}

// linkLocal handles destinations that mean something on their link only.
func (w *worker) linkLocal(p *pkt) {
	if p.flags&flagOriginated != 0 {
		w.resolve(p, p.in.index)
		return
	}
	if !p.in.fam[p.fam].own.has6(p.hi, p.lo) {
		w.drop(p, DropScope)
		return
	}
	w.deliver(p, p.in.index)
}

// deliver hands a packet to the host: to the unit it came in by when its own
// instance recognised it, else to the unit that owns the address.
func (w *worker) deliver(p *pkt, owner intf.Index) {
	to := p.in.index
	if p.in.fam[p.fam].instance != p.instance {
		to = owner
	}
	if to == 0 {
		w.drop(p, DropNoOwner)
		return
	}
	if p.flags&flagGroup != 0 && !p.isGroup() {
		w.drop(p, DropLinkBroadcast)
		return
	}
	if !w.filterLocal(p) {
		return
	}
	if p.isGroup() {
		w.local(p, to, multicast)
	} else {
		w.local(p, to, unicast)
	}
}

// puntNeighbor gives an ARP packet or a message of neighbour discovery to the
// control plane.
func (w *worker) puntNeighbor(p *pkt, etherType uint16, e *localEntry) {
	if w.trace != nil {
		w.trace.toControl(p)
		return
	}
	s := w.puntSlot(p, PuntNeighbor)
	if s == nil {
		w.dropLocal(p, e, DropPuntFull)
		return
	}
	frame := w.mem[p.buf.Addr:]
	s.ifindex, s.etherType = p.in.index, etherType
	s.dst, s.src = intf.MAC(frame[0:6]), intf.MAC(frame[6:12])
	w.puntPacket(p, s, PuntNeighbor)
}

// punt returns an empty slot for a packet, or drops the packet.
func (w *worker) punt(p *pkt, k PuntKind) *puntSlot {
	rate := w.engine.puntRates[k]
	if !w.policers[k].take(w.instant(), rate) {
		w.drop(p, DropPuntPoliced)
		return nil
	}
	s := w.puntSlot(p, k)
	if s == nil {
		w.drop(p, DropPuntFull)
	}
	return s
}

// puntSlot returns an empty slot for a packet, nil when there is none.
func (w *worker) puntSlot(p *pkt, k PuntKind) *puntSlot {
	s := w.punts[k].next(int(p.n))
	if s == nil {
		return nil
	}
	s.kind, s.key, s.from, s.originated, s.src, s.dst = k, adjacencyKey{}, 0, false, intf.MAC{}, intf.MAC{}
	return s
}

// puntPacket copies the packet into the slot and hands it over.
func (w *worker) puntPacket(p *pkt, s *puntSlot, k PuntKind) {
	w.punts[k].commit(w.l3(p))
	w.rang[0] = true
	w.totals.pend[totalPunted]++
	w.pool.Put(p.buf.Addr)
}

// reportStale tells the control plane, once, that a stale neighbour is in use.
func (w *worker) reportStale(rw *rewrite) {
	if w.trace != nil {
		return
	}
	s := w.punts[PuntStaleUse].next(0)
	if s == nil || !w.policers[PuntStaleUse].take(w.instant(), w.engine.puntRates[PuntStaleUse]) {
		return // the next packet reports it
	}
	if !rw.stale.CompareAndSwap(true, false) {
		return // another worker was first
	}
	s.kind, s.key, s.ifindex, s.from, s.originated = PuntStaleUse, rw.key, rw.key.ifindex, 0, false
	s.src, s.dst, s.etherType = intf.MAC{}, intf.MAC{}, 0
	w.punts[PuntStaleUse].commit(nil)
	w.rang[0] = true
}
