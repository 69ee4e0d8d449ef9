package dataplane

import (
	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
)

// The hooks, in the order in which a packet meets them. Every function here
// reports whether the packet goes on; of one that doesn't, the way has ended.

// filterInput takes the received packets of a batch through the input filters of their
// families, and closes the gaps that those leave who do not pass.
func (w *worker) filterInput(b *batch) {
	kept := 0
	for i := range b.n {
		p := &b.pkts[i]
		via := uint32(0)
		if p.in.fam[p.fam].hooks.has(filter.Input) {
			var pass bool
			if via, pass = w.filter(p, filter.Input, p.in, nil); !pass {
				continue
			}
			b.steered = b.steered || via != 0
		}
		if kept != i {
			b.pkts[kept], b.dst4[kept] = *p, b.dst4[i]
		}
		b.via[kept] = via
		kept++
	}
	b.n = kept
}

// steer puts the next hops that input filters chose in place of the lookup's.
func (b *batch) steer() {
	for i, via := range b.via[:b.n] {
		if via != 0 {
			b.nhs[i] = via
		}
	}
}

// filterLocal asks the input-local filter of the ingress family about a packet for
// the router itself, and then those of the loopbacks of the instance that knows its
// destination. Packets from the router itself do not meet them.
func (w *worker) filterLocal(p *pkt) bool {
	if p.flags&flagOriginated != 0 {
		return true
	}
	if p.in.fam[p.fam].hooks.has(filter.InputLocal) {
		if _, pass := w.filter(p, filter.InputLocal, p.in, nil); !pass {
			return false
		}
	}
	for _, u := range w.guards(p) {
		if u.fam[p.fam].hooks.has(filter.InputLocal) {
			if _, pass := w.filter(p, filter.InputLocal, u, nil); !pass {
				return false
			}
		}
	}
	return true
}

// filterOwn asks the output-local filter about a packet of the router itself: that
// of the unit which the host sent it by, or where the packet that it replies to
// came in, and then those of the loopbacks of the instance. A packet that a filter
// gives to a next hop is on its way.
func (w *worker) filterOwn(p *pkt) bool {
	guards := w.guards(p)
	if p.in.fam[p.fam].hooks.has(filter.OutputLocal) && !w.filterOwnBy(p, p.in) {
		return false
	}
	for _, u := range guards {
		if u != p.in && u.fam[p.fam].hooks.has(filter.OutputLocal) && !w.filterOwnBy(p, u) {
			return false
		}
	}
	return true
}

func (w *worker) filterOwnBy(p *pkt, u *unit) bool {
	via, pass := w.filter(p, filter.OutputLocal, u, nil)
	if pass && via != 0 {
		w.act(p, via)
		return false
	}
	return pass
}

// guards are the loopbacks whose filters speak for the packet's instance.
func (w *worker) guards(p *pkt) []*unit {
	if r := w.snap.instances.at(p.instance); r != nil {
		return r.guards[p.fam]
	}
	return nil
}

// filterOutput asks the output filter of the egress family about a packet that
// leaves by it.
func (w *worker) filterOutput(p *pkt, to *egress) bool {
	// A neighbour may know an older version of the unit than this batch does.
	u := w.snap.units.at(uint32(to.unit.index))
	if u == nil {
		u = to.unit
	}
	if !u.fam[p.fam].hooks.has(filter.Output) {
		return true
	}
	_, pass := w.filter(p, filter.Output, u, to)
	return pass
}

// filter lets the filter at hook h of unit u judge a packet, and does what it says.
// via is the next hop that it chose, 0 for none. to is where the packet leaves, at
// hook Output.
func (w *worker) filter(p *pkt, h filter.Hook, u *unit, to *egress) (via uint32, pass bool) {
	b := u.spec.Families[p.fam].Filters[h]
	meta := filter.Meta{ForwardingClass: p.label.class, LossPriority: p.label.loss, Mark: p.label.mark}
	if p.flags&flagOriginated == 0 {
		meta.In, meta.Group = p.in.index, p.in.spec.Families[p.fam].Group
		if b.NeedsFrame() {
			meta.Frame = w.linkHeader(p)
		}
	}
	w.filtered = true
	v := b.Run(w.filters, w.engine.boot+w.instant(), w.l3(p), &meta)
	if w.trace != nil {
		w.trace.filtered(p, h, u, &v)
	}
	p.label = label{mark: meta.Mark, loss: meta.LossPriority, class: meta.ForwardingClass}
	if v.Log {
		w.logVerdict(p, h, u, b, &v)
	}
	// A copy shows the packet as it came in, or as it goes out.
	if h == filter.Output && v.DSCP.Valid {
		w.setDSCP(p, v.DSCP.V)
	}
	if v.Mirror != 0 {
		w.mirror(p, v.Mirror, to)
	}
	switch v.Kind {
	case filter.Discard:
		reason := DropFiltered
		if v.Policed {
			reason = DropPoliced
		}
		w.drop(p, reason)
		return 0, false
	case filter.Reject:
		w.filterReject(p, v.Reject)
		w.drop(p, DropFiltered)
		return 0, false
	case filter.ToInstance:
		if h == filter.Output || h == filter.InputLocal {
			break // nothing is looked up from here on
		}
		r := w.snap.instances.at(v.To)
		if r == nil {
			w.drop(p, DropNoInstance)
			return 0, false
		}
		p.instance, p.table = v.To, r.table
		p.flags |= flagSteered
	case filter.ToNextHop:
		via = v.To
		p.flags |= flagSteered
	case filter.Accept, filter.NextTerm, filter.NextFilter:
	}
	if h != filter.Output && v.DSCP.Valid {
		w.setDSCP(p, v.DSCP.V)
	}
	return via, true
}

func (w *worker) setDSCP(p *pkt, dscp uint8) {
	if p.fam == intf.Inet {
		packet.SetDSCP4(w.l3(p), dscp)
	} else {
		packet.SetDSCP6(w.l3(p), dscp)
	}
}

// mirror sends a copy of a packet by unit i, with the link-layer addresses of the
// original and the unit's own tags. It passes no filter. What has no place in a
// buffer, or no port to leave by, is a drop of the copy alone.
func (w *worker) mirror(p *pkt, i intf.Index, to *egress) {
	w.totals.pend[totalCreated]++
	u := w.snap.units.at(uint32(i))
	if u == nil || u.port == 0 {
		w.countDrop(&pkt{}, DropEgressDown)
		return
	}
	room, ok := w.pool.GetFor(int(p.n))
	if !ok {
		w.countDrop(&pkt{}, DropNoBuffer)
		return
	}
	c := pkt{at: room + port.Headroom, n: p.n}
	copy(w.pool.Room(room)[port.Headroom:], w.l3(p))
	was := 0
	if w.trace != nil {
		was = w.trace.subject(TraceMirror, i)
	}
	dst, src := w.stations(p, to)
	start := c.at - uint32(packet.EthernetLen(u.spec.VLAN))
	packet.PutEthernet(w.mem[start:c.at], dst, src, u.spec.VLAN, etherTypes[p.fam])
	w.output(&c, u, u.port, start)
	if w.trace != nil {
		w.trace.now = was
	}
}

// stations are the link-layer addresses of a packet: where it leaves, if that is
// known already, else as it came in. An address that is not known yet is zero.
func (w *worker) stations(p *pkt, to *egress) (dst, src intf.MAC) {
	switch {
	case to != nil && to.rw != nil:
		return intf.MAC(to.rw.header[0:6]), intf.MAC(to.rw.header[6:12])
	case to != nil:
		return to.mac, to.unit.spec.MAC
	}
	if frame := w.linkHeader(p); frame != nil {
		return intf.MAC(frame[0:6]), intf.MAC(frame[6:12])
	}
	return intf.MAC{}, p.in.spec.MAC
}

// linkHeader is the link-layer header that a packet came with, nil where it has
// none: those of the router itself.
func (w *worker) linkHeader(p *pkt) []byte {
	if p.flags&flagOriginated != 0 || p.at-p.buf.Addr < packet.EthernetHeaderLen {
		return nil
	}
	return w.mem[p.buf.Addr:p.at:p.at]
}
