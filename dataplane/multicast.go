package dataplane

import (
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// A copyList is the list of a Multicast or a Flood as workers read it, immutable
// but for what it counts.
type copyList struct {
	routing.List
	tally, under *tally // nil where nothing is counted
}

// newList makes a list that counts under its tally. The caller holds Engine.mu.
func (e *Engine) newList(l routing.List) *copyList {
	return &copyList{List: l, tally: e.holdTally(l.Tally), under: e.holdTally(l.Under)}
}

// replicate sends a packet to a group by every unit of a list, and delivers it
// here if the list or the packet says so. A unit that is down gets no copy. Each
// copy has its own TTL, MTU and L2 header; the last one is the packet itself.
func (w *worker) replicate(p *pkt, l *copyList) {
	if l.In != 0 && l.In != p.in.index {
		w.drop(p, DropWrongUnit)
		return
	}
	l.tally.count(w.id, p.n)
	l.under.count(w.id, p.n)
	membership := w.isMembership(p)
	stays, why := w.staysOnLink(p)
	if p.flags&flagOptions != 0 && !stays && !membership && len(l.Out) > 0 {
		switch {
		case !l.Local:
			if !w.mayPass(p) {
				return
			}
		case p.fam == intf.Inet && !passable(packet.IPv4(w.l3(p))):
			stays = true // what is delivered here is the host's to check
		}
	}
	if l.Report && !stays && !membership {
		w.reportFlow(p)
	}
	var last *unit
	down := false
	mac := p.groupMAC()
	if !stays && !membership {
		for _, i := range l.Out {
			if l.Flood && i == p.in.index {
				continue
			}
			u := w.snap.units.at(uint32(i))
			if u == nil || u.port == 0 || !u.fam[p.fam].up {
				down = true
				continue
			}
			if last != nil {
				w.emitCopy(p, egress{unit: last, mac: mac})
			}
			last = u
		}
	}
	switch {
	case l.Local || membership:
		if last != nil {
			w.emitCopy(p, egress{unit: last, mac: mac})
		}
		w.deliver(p, 0)
	case last != nil:
		w.emit(p, egress{unit: last, mac: mac})
	case len(l.Out) == 0:
		w.drop(p, DropDiscarded)
	case stays:
		w.drop(p, why)
	case down:
		w.drop(p, DropEgressDown)
	default:
		w.drop(p, DropDiscarded) // a flood of nothing but the ingress unit
	}
}

// originateGroup sends a packet of this host to a group: by the unit that the
// host chose, as it is, and by the other units of a route that takes it in by
// that unit, as if a host on that link had sent it. So a TTL of 1, which programs
// have unless they ask for more, keeps it on the link.
func (w *worker) originateGroup(p *pkt) {
	out := egress{unit: p.in, mac: p.groupMAC()}
	q := *p // as one that came in by the unit
	q.flags = w.sourceFlags(p)
	stays, _ := w.staysOnLink(&q)
	if l := w.listOf(p); l != nil && !stays && (l.In == 0 || l.In == p.in.index) {
		l.tally.count(w.id, p.n)
		l.under.count(w.id, p.n)
		if l.Report {
			w.reportFlow(p)
		}
		for _, i := range l.Out {
			u := w.snap.units.at(uint32(i))
			if i != p.in.index && u != nil && u.port != 0 && u.fam[p.fam].up {
				w.emitCopy(&q, egress{unit: u, mac: out.mac})
			}
		}
	}
	w.emit(p, out)
}

// listOf is the list that packets like p go by in their instance, nil for none.
func (w *worker) listOf(p *pkt) *copyList {
	if p.table == nil {
		return nil
	}
	id := p.lookup()
	for range 2 {
		nh := w.engine.nexthops.at(id)
		if nh == nil || nh.sources == nil {
			if nh == nil {
				return nil
			}
			return nh.list
		}
		id = w.groupSource(p, nh.sources)
	}
	return nil
}

// groupSource finds the next hop that the packet's source leads to among its group's routes.
func (w *worker) groupSource(p *pkt, s routing.Sources) uint32 {
	if p.fam == intf.Inet {
		return s.Lookup4(packet.IPv4(w.l3(p)).Src32())
	}
	return s.Lookup6(packet.IPv6(w.l3(p)).Src64())
}

// emitCopy emits a copy of p, which stays the caller's.
func (w *worker) emitCopy(p *pkt, to egress) {
	c := *p
	w.totals.pend[totalCreated]++
	start, ok := w.pool.GetFor(int(p.n))
	if !ok {
		w.countDrop(&c, DropNoBuffer)
		return
	}
	// With the header that it came with, if any: filters match that of each copy.
	head := p.at - p.buf.Addr
	c.at = start + port.Headroom
	c.buf = port.Buf{Addr: c.at - head, Len: uint16(head) + c.n}
	copy(w.mem[c.buf.Addr:], w.mem[p.buf.Addr:p.at+uint32(p.n)])
	if w.trace != nil {
		was := w.trace.subject(TraceCopy, to.unit.index)
		w.emit(&c, to)
		w.trace.now = was
		return
	}
	w.emit(&c, to)
}

// staysOnLink reports whether a packet to a group must not leave the link where
// it came in, and why not.
func (w *worker) staysOnLink(p *pkt) (stays bool, why Reason) {
	switch {
	case p.fam == intf.Inet && p.lo>>8 == 0xe00000, // 224.0.0.0/24 (RFC 5771, 4)
		p.fam == intf.Inet6 && p.hi>>48&0xf <= 2, // reserved, interface-local, link-local (RFC 4291, 2.7)
		p.flags&flagLinkLocal != 0:
		return true, DropScope
	case p.flags&flagNoSource != 0:
		return true, DropMartianSource
	case w.ttl(p) <= 1:
		return true, DropTTL
	}
	return false, 0
}

// sourceFlags is what there is to say of the source of a packet of this host.
func (w *worker) sourceFlags(p *pkt) pktFlag {
	if p.fam == intf.Inet {
		if packet.IPv4(w.l3(p)).Src32() == 0 {
			return flagNoSource
		}
		return 0
	}
	switch hi, lo := packet.IPv6(w.l3(p)).Src64(); {
	case hi|lo == 0:
		return flagNoSource
	case packet.IsLinkLocal6(hi):
		return flagLinkLocal
	}
	return 0
}

// passable reports whether mayPass would let an IPv4 packet with options pass.
func passable(h packet.IPv4) bool {
	set, bad := packet.CheckIPv4Options(h)
	return bad == 0 && set&packet.OptionSourceRoute == 0
}

// isMembership reports whether the packet is a message of IGMP or MLD: those to
// a group itself are for the routers on the link, whether they forward it or not.
func (w *worker) isMembership(p *pkt) bool {
	if p.fam == intf.Inet {
		return packet.IPv4(w.l3(p)).Protocol() == packet.ProtocolIGMP
	}
	h := packet.IPv6(w.l3(p))
	if h.NextHeader() != packet.ProtocolHopByHop { // for the router alert (RFC 3810, 5)
		return false
	}
	u, fault := h.Upper()
	return fault == packet.FaultNone && u.Protocol == packet.ProtocolICMPv6 && u.First && u.Offset < len(h) &&
		packet.IsMLD(h[u.Offset])
}

// reportFlow tells the control plane of a packet's source and group. If it can't
// now, a later packet does.
func (w *worker) reportFlow(p *pkt) {
	if w.trace != nil {
		w.trace.add(TraceStep{Kind: TraceReported})
		return
	}
	n := packet.IPv4MinHeaderLen
	if p.fam == intf.Inet6 {
		n = packet.IPv6HeaderLen
	}
	s := w.punts[PuntFlow].next(n)
	if s == nil || !w.policers[PuntFlow].take(w.instant(), w.engine.puntRates[PuntFlow]) {
		return
	}
	s.kind, s.key, s.from, s.originated = PuntFlow, adjacencyKey{}, 0, p.flags&flagOriginated != 0
	s.src, s.dst, s.etherType = intf.MAC{}, intf.MAC{}, etherTypes[p.fam]
	s.ifindex, s.instance = p.in.index, p.instance
	w.punts[PuntFlow].commit(w.l3(p)[:n])
	w.rang[0] = true
}
