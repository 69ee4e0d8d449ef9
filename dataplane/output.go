package dataplane

import (
	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
)

// An egress is where a packet leaves: by a neighbour's rewrite, else to the
// link-layer address mac, else to the neighbour key, who has to be resolved.
type egress struct {
	unit *unit
	rw   *rewrite
	mac  intf.MAC
	key  adjacencyKey
}

// emit sends a packet that may not fit the egress, or may not pass its output
// filter, and lowers its TTL first if it was received.
func (w *worker) emit(p *pkt, to egress) {
	if to.unit == nil || to.unit.port == 0 || !to.unit.fam[p.fam].up {
		w.drop(p, DropEgressDown)
		return
	}
	aged := p.flags&flagOriginated != 0
	if to.unit.fam[p.fam].hooks.has(filter.Output) {
		// The filter sees the whole packet as it will be sent.
		if !aged && !w.decrement(p) || !w.filterOutput(p, &to) {
			return
		}
		aged = true
	}
	mtu := to.unit.fam[p.fam].mtu
	if p.n <= mtu {
		if !aged && !w.decrement(p) {
			return
		}
		if to.rw != nil && w.returns(p, to.rw) {
			w.redirect(p, to.rw)
		}
		if p.flags&flagOptions != 0 {
			w.stamp(p, to.unit)
		}
		w.emitFitting(p, to)
		return
	}
	// Too old comes before too big: the sender of a traceroute wants to know us.
	if !aged && w.ttl(p) <= 1 {
		w.decrement(p)
		return
	}
	if p.fam == intf.Inet6 {
		w.icmpError(p, packet.ICMPv6TooBig, 0, uint32(mtu))
		w.drop(p, DropTooBig)
		return
	}
	if packet.IPv4(w.l3(p)).DontFragment() {
		w.icmpError(p, packet.ICMPv4Unreachable, packet.ICMPv4CodeFragNeeded, uint32(mtu))
		w.drop(p, DropTooBig)
		return
	}
	if !aged && !w.decrement(p) {
		return
	}
	if p.flags&flagOptions != 0 {
		w.stamp(p, to.unit)
	}
	w.fragment(p, to, int(mtu))
}

// emitFitting sends a packet that is ready for the link.
func (w *worker) emitFitting(p *pkt, to egress) {
	switch {
	case to.rw != nil:
		w.sendRewritten(p, to.rw)
	case !to.mac.IsZero():
		w.sendLink(p, to.unit, to.mac, etherTypes[p.fam])
	default:
		if w.trace != nil {
			w.trace.unresolved(p, to.key)
			return
		}
		s := w.punt(p, PuntUnresolved)
		if s == nil {
			return
		}
		s.ifindex, s.key, s.etherType = to.key.ifindex, to.key, etherTypes[p.fam]
		s.from, s.originated = p.in.index, p.flags&flagOriginated != 0
		w.puntPacket(p, s, PuntUnresolved)
	}
}

// fragment cuts an IPv4 packet to fit mtu (RFC 791, 3.2).
func (w *worker) fragment(p *pkt, to egress, mtu int) {
	f, fault := packet.NewFragmenter(packet.IPv4(w.l3(p)), mtu)
	if fault != packet.FaultNone {
		w.drop(p, Reason(fault))
		return
	}
	if w.trace != nil {
		w.trace.add(TraceStep{Kind: TraceFragmented, MTU: uint16(mtu)})
	}
	for {
		start, ok := w.pool.GetFor(mtu)
		if !ok {
			// The fragments that are out already are useless, but harmless.
			w.drop(p, DropNoBuffer)
			return
		}
		piece := *p
		piece.at = start + port.Headroom
		n := f.Next(w.pool.Room(start)[port.Headroom:])
		if n == 0 {
			w.pool.Put(start)
			break
		}
		piece.n = uint16(n)
		piece.buf = port.Buf{Addr: piece.at, Len: piece.n}
		w.totals.pend[totalCreated]++
		w.emitFitting(&piece, to)
	}
	w.pool.Put(p.buf.Addr)
	w.totals.pend[totalAbsorbed]++
}

// sendRewritten prepends a neighbour's L2 header and queues the frame.
func (w *worker) sendRewritten(p *pkt, rw *rewrite) {
	start := rw.put(w.mem, p.at, etherTypes[p.fam])
	w.output(p, rw.unit, rw.port, start)
	if rw.stale.Load() {
		w.reportStale(rw)
	}
}

// sendLink prepends unit u's L2 header for a frame to mac and queues it.
func (w *worker) sendLink(p *pkt, u *unit, mac intf.MAC, etherType uint16) {
	if u.port == 0 {
		w.drop(p, DropEgressDown)
		return
	}
	start := p.at - uint32(packet.EthernetLen(u.spec.VLAN))
	u.header(w.mem[start:p.at], mac, etherType)
	w.output(p, u, u.port, start)
}

// output queues the frame from start to the end of the packet on a port.
func (w *worker) output(p *pkt, u *unit, id PortID, start uint32) {
	n := p.at + uint32(p.n) - start
	if n < packet.MinEthernetFrame {
		n = w.pad(start, n)
	}
	b := &u.stats.blocks[w.id]
	w.touch(b)
	b.pend[outUnicast+castOf(w.mem[start:start+6])]++
	b.pend[outOctets] += uint64(n)
	w.enqueue(id, port.Buf{Addr: start, Len: uint16(n)})
}

// pad fills a frame of n octets from start on up to what Ethernet demands, and returns
// its length then: with zeroes, so that nothing of an earlier packet leaks out (RFC 1042).
func (w *worker) pad(start, n uint32) uint32 {
	clear(w.mem[start+n : start+packet.MinEthernetFrame])
	return packet.MinEthernetFrame
}

// enqueue queues a frame on a port, or hands it to the worker that serves the
// port.
func (w *worker) enqueue(id PortID, b port.Buf) {
	if int(id) >= len(w.tx) {
		if w.trace != nil {
			w.trace.sent(id, b)
			return
		}
		w.drop(&pkt{buf: b}, DropPortGone)
		return
	}
	t := &w.tx[id]
	if t.queue == nil {
		w.handOff(id, t, b)
		return
	}
	w.mark(id, t)
	if t.n == len(t.bufs) {
		w.transmit(t)
	}
	t.block.pend[outUnicast+castOf(w.mem[b.Addr:b.Addr+6])]++
	t.block.pend[outOctets] += uint64(b.Len)
	t.bufs[t.n] = b
	t.n++
}

// mark has finish send what is queued on a port.
func (w *worker) mark(id PortID, t *txPort) {
	if !t.dirty {
		t.dirty = true
		w.dirty = append(w.dirty, id)
		w.touch(t.block)
	}
}

// transmit gives the queued frames to the port. What it does not take is
// dropped: waiting would hold up every other port.
func (w *worker) transmit(t *txPort) {
	n := 0
	if t.queue != nil {
		n = t.queue.Transmit(t.bufs[:t.n])
	}
	w.totals.pend[totalSent] += uint64(n)
	for _, b := range t.bufs[n:t.n] {
		t.block.pend[outUnicast+castOf(w.mem[b.Addr:b.Addr+6])]--
		t.block.pend[outOctets] -= uint64(b.Len)
		t.block.pend[outDiscards]++
		t.drops[DropTxFull].Add(1)
		w.totals.pend[totalDropped]++
		w.pool.Put(b.Addr)
	}
	t.n = 0
}

// handOff copies a frame to the worker that serves the port.
func (w *worker) handOff(id PortID, t *txPort, b port.Buf) {
	reason := DropPortGone
	if t.peer != nil && t.peer != w {
		frame := w.mem[b.Addr : b.Addr+uint32(b.Len)]
		if t.peer.peers.push(frame, injectHead{op: opFrame, number: uint32(id)}) {
			t.peer.wake()
			w.pool.Put(b.Addr)
			w.totals.pend[totalAbsorbed]++
			return
		}
		reason = DropHandoffFull
	}
	if t.drops == nil {
		w.drop(&pkt{buf: b}, reason)
		return
	}
	w.touch(t.block)
	t.block.pend[outDiscards]++
	t.drops[reason].Add(1)
	w.totals.pend[totalDropped]++
	w.pool.Put(b.Addr)
}
