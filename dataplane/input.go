package dataplane

import (
	"encoding/binary"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
)

// receive takes a batch from a queue: every frame is parsed once, then all are
// looked up, so that the cache misses of one hide behind those of the others,
// and then each one's next hop acts.
func (w *worker) receive(q *rxQueue) int {
	if q.failed {
		return 0
	}
	n := q.queue.Receive(w.bufs[:])
	if n == 0 {
		if err := q.queue.Err(); err != nil {
			w.fail(q, err)
		}
		return 0
	}
	// Only now: who saw a commit return and then sent these must find it in force.
	w.snap = w.engine.snapshot.Load()
	view := w.snap.ports.at(uint32(q.port))
	w.touch(q.block)
	w.totals.pend[totalReceived] += uint64(n)
	for _, f := range intf.Families {
		w.batch[f].n, w.batch[f].hooks, w.batch[f].steered, w.batch[f].rpf = 0, 0, false, false
	}
	w.classifyAll(q, view, w.bufs[:n])
	for _, f := range intf.Families {
		batch := &w.batch[f]
		if batch.n == 0 {
			continue
		}
		if batch.hooks.has(filter.Input) {
			w.filterInput(batch)
		}
		if batch.rpf {
			w.checkSources(batch, f)
		}
		batch.lookup(f)
		if w.trace != nil {
			w.trace.lookedUp(batch)
		}
		if batch.steered {
			batch.steer()
		}
		w.actAll(batch, f)
	}
	return n
}

const stationMask = 1<<48 - 1

// classify finds the unit and the family of a frame, checks the packet's form
// and source, and adds it to its family's batch; or ends its way.
func (w *worker) classify(q *rxQueue, view *portView, b port.Buf) {
	end := b.Addr + uint32(b.Len)
	frame := w.mem[b.Addr:end:end]
	q.block.pend[inOctets] += uint64(b.Len)
	if view == nil {
		w.dropFrame(q, b, nil, DropUnknownTag)
		return
	}
	if len(frame) < packet.EthernetHeaderLen {
		w.dropFrame(q, b, nil, Reason(packet.FaultTruncated))
		return
	}
	etherType := binary.BigEndian.Uint16(frame[12:])
	headerLen := packet.EthernetHeaderLen
	u := view.untagged
	if etherType != packet.EtherTypeIPv4 && etherType != packet.EtherTypeIPv6 {
		l2, fault := packet.ParseEthernet(frame)
		if fault != packet.FaultNone {
			w.dropFrame(q, b, nil, Reason(fault))
			return
		}
		etherType, headerLen = l2.EtherType, l2.HeaderLen
		u = view.unit(l2.VLAN)
	}
	if u == nil {
		w.dropFrame(q, b, nil, DropUnknownTag)
		return
	}
	cast, flags := unicast, pktFlag(0)
	if frame[0]&1 != 0 {
		cast, flags = castOf(frame), flagGroup
	} else if binary.LittleEndian.Uint64(frame)&stationMask != u.station {
		// Frames of others that a promiscuous port shows us.
		w.dropFrame(q, b, u, DropNotForUs)
		return
	}
	ub := &u.stats.blocks[w.id]
	w.touch(ub)
	ub.pend[inUnicast+cast]++
	ub.pend[inOctets] += uint64(b.Len)
	q.block.pend[inUnicast+cast]++

	l3 := frame[headerLen:]
	at := b.Addr + uint32(headerLen)
	switch etherType {
	case packet.EtherTypeIPv4:
		// In its place from the start: copying a packet costs as much as checking it.
		p := &w.batch[intf.Inet].pkts[w.batch[intf.Inet].n]
		p.buf, p.at, p.flags, p.label = b, at, flags, label{}
		p.came(u, u.fam[intf.Inet].table, q)
		w.classify4(p, l3)
	case packet.EtherTypeIPv6:
		p := &w.batch[intf.Inet6].pkts[w.batch[intf.Inet6].n]
		p.buf, p.at, p.flags, p.label = b, at, flags, label{}
		p.came(u, u.fam[intf.Inet6].table, q)
		w.classify6(p, l3)
	case packet.EtherTypeARP:
		if !u.fam[intf.Inet].up {
			w.dropFrame(q, b, u, DropFamilyDown)
			return
		}
		p := pkt{buf: b, at: at, n: uint16(len(l3)), flags: flags, in: u, rx: q}
		w.localARP(&p)
	default:
		w.dropFrame(q, b, u, DropUnknownType)
	}
}

// dropFrame drops a frame before it has become a packet; u is nil when it
// belongs to no unit.
func (w *worker) dropFrame(q *rxQueue, b port.Buf, u *unit, r Reason) {
	p := pkt{buf: b, in: u, rx: q}
	w.drop(&p, r)
}

// classify4 checks an IPv4 packet (RFC 1812, 5.2.2 and 5.3.7) and leaves it in
// its place in the batch.
func (w *worker) classify4(p *pkt, l3 []byte) {
	ip, fault := packet.CheckIPv4(l3)
	if fault != packet.FaultNone {
		w.drop(p, Reason(fault))
		return
	}
	f := &p.in.fam[intf.Inet]
	if !f.up {
		w.drop(p, DropFamilyDown)
		return
	}
	if f.table == nil {
		w.drop(p, DropNoInstance)
		return
	}
	src := ip.Src32()
	if !packet.IsHost4(src) || f.own.has4(src) {
		if src != 0 {
			w.drop(p, DropMartianSource)
			return
		}
		p.flags |= flagNoSource
	}
	if l3[0] != 0x45 {
		p.flags |= flagOptions
	}
	w.complete(p, ip)
	p.n = uint16(len(ip))
	p.fam, p.instance = intf.Inet, f.instance
	dst := ip.Dst32()
	p.hi, p.lo = 0, uint64(dst)
	b := &w.batch[intf.Inet]
	b.hooks |= f.hooks
	b.dst4[b.n] = dst
	b.rpf = b.rpf || f.rpf != intf.RPFNone
	b.n++
}

// classify6 checks an IPv6 packet (RFC 8200, 3; RFC 4291, 2.5 and 2.7) and leaves
// it in its place in the batch.
func (w *worker) classify6(p *pkt, l3 []byte) {
	ip, fault := packet.CheckIPv6(l3)
	if fault != packet.FaultNone {
		w.drop(p, Reason(fault))
		return
	}
	f := &p.in.fam[intf.Inet6]
	if !f.up {
		w.drop(p, DropFamilyDown)
		return
	}
	if f.table == nil {
		w.drop(p, DropNoInstance)
		return
	}
	hi, lo := ip.Src64()
	if !packet.IsHost6(hi, lo) || f.own.has6(hi, lo) {
		if hi|lo != 0 {
			w.drop(p, DropMartianSource)
			return
		}
		p.flags |= flagNoSource
	}
	if packet.IsLinkLocal6(hi) {
		p.flags |= flagLinkLocal
	}
	w.complete(p, ip)
	p.n = uint16(len(ip))
	p.fam, p.instance = intf.Inet6, f.instance
	p.hi, p.lo = ip.Dst64()
	if ip.NextHeader() == packet.ProtocolHopByHop {
		p.flags |= flagOptions
	}
	b := &w.batch[intf.Inet6]
	b.hooks |= f.hooks
	b.rpf = b.rpf || f.rpf != intf.RPFNone
	b.n++
}

// complete finishes the transport checksum where the sender left it to a device.
func (w *worker) complete(p *pkt, l3 []byte) {
	if p.buf.Flags&port.PartialChecksum != 0 {
		packet.SetTransportChecksum(l3)
		p.buf.Flags &^= port.PartialChecksum
	} else if p.rx.complete {
		packet.CompleteChecksum(l3)
	}
}

// drain takes up to limit packets from a ring.
func (w *worker) drain(r *injectRing, limit int) (n int) {
	for ; n < limit; n++ {
		s := r.peek()
		if s == nil {
			break
		}
		w.totals.pend[totalInjected]++
		w.snap = w.engine.snapshot.Load() // as for what is received
		w.injected(r, s)
		r.release()
	}
	return n
}

// injected acts on the packet that begins in slot s of a ring.
func (w *worker) injected(r *injectRing, s *injectSlot) {
	h := &s.head
	p := pkt{flags: flagOriginated, n: s.n}
	start, ok := w.pool.GetFor(int(s.n))
	if !ok {
		w.countDrop(&p, DropNoBuffer)
		return
	}
	p.at = start + port.Headroom
	p.buf = port.Buf{Addr: p.at, Len: s.n}
	r.copyTo(w.pool.Room(start)[port.Headroom:])
	if h.op == opFrame {
		w.enqueue(PortID(h.number), p.buf)
		return
	}
	if p.in = w.snap.units.at(uint32(h.ifindex)); p.in == nil {
		w.drop(&p, DropEgressDown)
		return
	}
	switch h.op {
	case opFrame:
	case opSendUnit:
		w.sendLink(&p, p.in, h.mac, h.etherType)
	case opOriginate:
		if w.parseInjected(&p, h.number) {
			w.originate(&p)
		}
	case opProbe:
		if w.parseInjected(&p, h.number) {
			w.engine.probes.left(h.probe, w.clock())
			w.originate(&p)
		}
	case opReject:
		if w.parseInjected(&p, 0) {
			f := &p.in.fam[p.fam]
			p.instance, p.table = f.instance, f.table
			w.reject(&p, h.reject)
			w.drop(&p, DropUnresolved)
		}
	}
}

// parseInjected checks a network-layer packet that did not come from a port.
func (w *worker) parseInjected(p *pkt, instance uint32) bool {
	l3 := w.l3(p)
	if len(l3) == 0 {
		w.drop(p, Reason(packet.FaultTruncated))
		return false
	}
	p.instance = instance
	if r := w.snap.instances.at(instance); r != nil {
		p.table = r.table
	}
	var fault packet.Fault
	if l3[0]>>4 == 4 {
		var ip packet.IPv4
		if ip, fault = packet.CheckIPv4(l3); fault == packet.FaultNone {
			p.fam, p.lo, p.n = intf.Inet, uint64(ip.Dst32()), uint16(len(ip))
		}
	} else {
		var ip packet.IPv6
		if ip, fault = packet.CheckIPv6(l3); fault == packet.FaultNone {
			p.fam, p.n = intf.Inet6, uint16(len(ip))
			p.hi, p.lo = ip.Dst64()
		}
	}
	if fault != packet.FaultNone {
		w.drop(p, Reason(fault))
		return false
	}
	return true
}

// originate sends a packet of this host. Groups and the limited broadcast leave
// by the unit that the host chose, all else as the route table says.
func (w *worker) originate(p *pkt) {
	if !w.filterOwn(p) {
		return
	}
	switch {
	case p.isGroup():
		w.originateGroup(p)
	case p.fam == intf.Inet && uint32(p.lo) == 0xffffffff:
		w.emit(p, egress{unit: p.in, mac: intf.Broadcast})
	case p.table == nil:
		w.drop(p, DropNoInstance)
	default:
		w.act(p, w.lookup(p))
	}
}
