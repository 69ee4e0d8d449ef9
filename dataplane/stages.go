package dataplane

import (
	"encoding/binary"
	"math/bits"

	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
	"router/vrf/fib"
)

// This file takes the packets that nearly all are through the pipeline a stage at a
// time, the whole batch in each: untagged unicast to our station, without options,
// to a neighbour that is known and wants no closer look. What is different in
// anything goes by classify and act, one packet at a time and in its place in the
// order, and those alone say what happens to a packet: a stage here decides nothing
// but that nothing is to be decided.

// The first octets of a plain packet from the EtherType on, as a little-endian
// number: the version, and for IPv4 a header without options (IHL 5).
const (
	plain4     = 0x450008
	plain4Mask = 0xffffff
	plain6     = 0x60dd86
	plain6Mask = 0xf0ffff

	plain4Len = packet.EthernetHeaderLen + packet.IPv4MinHeaderLen
	plain6Len = packet.EthernetHeaderLen + packet.IPv6HeaderLen
)

// classifyAll adds the frames of a receive call to the batches of their families,
// in order, or ends their ways.
func (w *worker) classifyAll(q *rxQueue, view *portView, bufs []port.Buf) {
	if view == nil || view.untagged == nil {
		for _, b := range bufs {
			w.classify(q, view, b)
		}
		return
	}
	u, mem := view.untagged, w.mem
	b4, b6 := &w.batch[intf.Inet], &w.batch[intf.Inet6]
	f4, f6 := &u.fam[intf.Inet], &u.fam[intf.Inet6]
	has4, has6 := f4.up && f4.table != nil, f6.up && f6.table != nil
	var octets, frames uint64
	for _, b := range bufs {
		if b.Len < plain4Len {
			w.classify(q, view, b)
			continue
		}
		h := (*[plain4Len]byte)(mem[b.Addr:])
		start := binary.LittleEndian.Uint32(h[12:])
		switch {
		case binary.LittleEndian.Uint64(h[:])&stationMask != u.station:
			w.classify(q, view, b)
			continue
		case start&plain4Mask == plain4 && has4:
			total := binary.BigEndian.Uint16(h[16:])
			// The compiler joins octets to words only for one byte order of each.
			from, to := binary.LittleEndian.Uint32(h[26:]), binary.LittleEndian.Uint32(h[30:])
			sum := uint64(binary.LittleEndian.Uint32(h[14:])) + uint64(binary.LittleEndian.Uint32(h[18:])) +
				uint64(binary.LittleEndian.Uint32(h[22:])) + uint64(from) + uint64(to)
			src, dst := bits.ReverseBytes32(from), bits.ReverseBytes32(to)
			// A multiple of 0xffff; not 0, for the first octet is none.
			if sum%0xffff != 0 || total < packet.IPv4MinHeaderLen || total > b.Len-packet.EthernetHeaderLen ||
				!packet.IsHost4(src) || f4.own.may4(src) {
				w.classify(q, view, b)
				continue
			}
			i := b4.n & (batchSize - 1)
			p := &b4.pkts[i]
			p.buf, p.at, p.n = b, b.Addr+packet.EthernetHeaderLen, total
			p.fam, p.flags, p.instance, p.label = intf.Inet, 0, f4.instance, label{}
			p.came(u, f4.table, q)
			p.hi, p.lo = 0, uint64(dst)
			b4.dst4[i] = dst
			b4.n++
			if q.complete || b.Flags != 0 {
				w.complete(p, w.l3(p))
			}
		case start&plain6Mask == plain6 && has6 && b.Len >= plain6Len:
			h := (*[plain6Len]byte)(mem[b.Addr:])
			length := binary.BigEndian.Uint16(h[18:])
			hi, lo := binary.BigEndian.Uint64(h[22:]), binary.BigEndian.Uint64(h[30:])
			if length > b.Len-plain6Len || h[20] == packet.ProtocolHopByHop || hi == 0 || !packet.IsHost6(hi, lo) ||
				packet.IsLinkLocal6(hi) || f6.own.may6(lo) {
				w.classify(q, view, b)
				continue
			}
			p := &b6.pkts[b6.n&(batchSize-1)]
			p.buf, p.at, p.n = b, b.Addr+packet.EthernetHeaderLen, length+packet.IPv6HeaderLen
			p.fam, p.flags, p.instance, p.label = intf.Inet6, 0, f6.instance, label{}
			p.came(u, f6.table, q)
			p.hi, p.lo = binary.BigEndian.Uint64(h[38:]), binary.BigEndian.Uint64(h[46:])
			b6.n++
			if q.complete || b.Flags != 0 {
				w.complete(p, w.l3(p))
			}
		default:
			w.classify(q, view, b)
			continue
		}
		frames++
		octets += uint64(b.Len)
	}
	if frames == 0 {
		return
	}
	q.block.pend[inOctets] += octets
	q.block.pend[inUnicast] += frames
	ub := &u.stats.blocks[w.id]
	w.touch(ub)
	ub.pend[inOctets] += octets
	ub.pend[inUnicast] += frames
	for f, b := range [...]*batch{intf.Inet: b4, intf.Inet6: b6} {
		if b.n > 0 {
			b.hooks |= u.fam[f].hooks
			b.rpf = b.rpf || u.fam[f].rpf != intf.RPFNone
		}
	}
}

// came says where a packet came in, and what it will be looked up in. The place in
// the batch mostly knows it from the packet before: a pointer that is written costs
// as much as looking a route up while the collector marks, one that is read nothing.
func (p *pkt) came(u *unit, t *fib.Table, q *rxQueue) {
	if p.in != u {
		p.in = u
	}
	if p.table != t {
		p.table = t
	}
	if p.rx != q {
		p.rx = q
	}
}

// An outRun adds up frames in a row that leave by one unit.
type outRun struct {
	unit           *unit
	tx             *txPort
	frames, octets uint64
}

// count adds the run to the counters of its unit and its port.
func (w *worker) count(r *outRun) {
	if r.frames == 0 {
		return
	}
	b := &r.unit.stats.blocks[w.id]
	w.touch(b)
	b.pend[outUnicast] += r.frames
	b.pend[outOctets] += r.octets
	r.tx.block.pend[outUnicast] += r.frames
	r.tx.block.pend[outOctets] += r.octets
	r.frames, r.octets = 0, 0
}

// actAll has the next hops act that a batch has found, in order.
func (w *worker) actAll(b *batch, f intf.Family) {
	pkts, mem := b.pkts[:b.n], w.mem
	// All records and neighbours are touched before any is used, so that the cache
	// misses of one hide behind those of the others.
	var hops [batchSize]*rewrite
	if w.trace == nil {
		chunks := *w.engine.nexthops.chunks.Load()
		for i, id := range b.nhs[:len(pkts)] {
			if c := id / nexthopChunk; c < uint32(len(chunks)) {
				if nh := chunks[c][id%nexthopChunk].Load(); nh != nil {
					if nh.kind != routing.Forward {
						nh = w.follow(nh, &pkts[i])
					}
					if nh != nil {
						hops[i] = nh.adj.rewrite.Load()
					}
				}
			}
		}
	}
	var run outRun
	etherType := etherTypes[f]
	for i := range pkts {
		p, rw := &pkts[i], hops[i]
		if rw == nil || p.n > rw.mtu[f] || p.flags&^flagSteered != 0 || rw.stale.Load() || rw.key.ifindex == p.in.index {
			w.actOn(b, i, f)
			continue
		}
		if rw.unit != run.unit {
			w.count(&run)
			if int(rw.port) >= len(w.tx) || w.tx[rw.port].queue == nil {
				run.unit = nil
				w.actOn(b, i, f)
				continue
			}
			run.unit, run.tx = rw.unit, &w.tx[rw.port]
			w.mark(rw.port, run.tx)
		}
		if !age((*[packet.IPv4MinHeaderLen]byte)(mem[p.at:]), f) {
			w.actOn(b, i, f)
			continue
		}
		start := p.at - packet.EthernetHeaderLen
		if rw.hlen == packet.EthernetHeaderLen {
			h := (*[packet.EthernetHeaderLen]byte)(mem[start:])
			binary.LittleEndian.PutUint64(h[:], binary.LittleEndian.Uint64(rw.header[:]))
			binary.LittleEndian.PutUint32(h[8:], binary.LittleEndian.Uint32(rw.header[8:]))
			binary.BigEndian.PutUint16(h[12:], etherType)
		} else {
			start = rw.put(mem, p.at, etherType)
		}
		n := p.at + uint32(p.n) - start
		if n < packet.MinEthernetFrame {
			n = w.pad(start, n)
		}
		t := run.tx
		if t.n == len(t.bufs) {
			w.transmit(t)
		}
		t.bufs[t.n&(batchSize-1)] = port.Buf{Addr: start, Len: uint16(n)}
		t.n++
		run.frames++
		run.octets += uint64(n)
	}
	w.count(&run)
}

// maxFollowed is how many next hops that lead to others follow goes by: those of a
// route to a gateway behind a group of gateways.
const maxFollowed = 4

// follow is the neighbour's record that a packet ends up with, as act finds it by way
// of next hops that only lead to others; nil where act has to see.
func (w *worker) follow(nh *nexthop, p *pkt) *nexthop {
	var flow uint64
	for range maxFollowed {
		var id uint32
		switch nh.kind {
		case routing.Forward:
			return nh
		case routing.Indirect:
			id = uint32(nh.via)
		case routing.Group:
			switch n := uint64(len(nh.buckets)); n {
			case 0:
				return nil
			case 1:
				id = uint32(nh.buckets[0])
			default:
				if flow == 0 {
					flow = w.flow(p)
				} else {
					flow = nextFlow(flow)
				}
				id = uint32(nh.buckets[flow>>32&(n-1)])
			}
		case routing.Resolve, routing.Receive, routing.Broadcast, routing.LinkLocal, routing.Reject, routing.Discard,
			routing.Lookup, routing.Multicast, routing.Flood, routing.BySource, routing.Choice:
			return nil
		}
		if nh = w.engine.nexthops.at(id); nh == nil {
			return nil
		}
	}
	return nil
}

// actOn has the next hop of packet i of a batch act.
func (w *worker) actOn(b *batch, i int, f intf.Family) {
	p := &b.pkts[i]
	if f == intf.Inet6 && p.flags&flagOptions != 0 && !w.mayHop(p) {
		return
	}
	w.act(p, b.nhs[i])
}

// age is decrement for the header of a packet that is not at its end; it changes
// nothing and reports false for one that is.
func age(h *[packet.IPv4MinHeaderLen]byte, f intf.Family) bool {
	if f == intf.Inet6 {
		if h[7] <= 1 {
			return false
		}
		h[7]--
		return true
	}
	// TTL, protocol and checksum as one little-endian word. The checksum grows by
	// what the TTL falls by, around the end (RFC 1624, eqn. 3).
	word := binary.LittleEndian.Uint32(h[8:])
	if word&0xff <= 1 {
		return false
	}
	sum := word>>16 + 1
	sum += (sum + 1) >> 16
	binary.LittleEndian.PutUint32(h[8:], word&0xffff-1|sum<<16)
	return true
}
