package dataplane

import (
	"encoding/binary"

	"router/dataplane/layout"
	"router/intf"
	"router/routing"
	"router/vrf/fib"
)

// This file checks sources against the routes back to them (RFC 3704, RFC
// 8704). A batch in which no packet's family asks for it does not come here.

// rpfBatch is the packets of a batch whose sources are looked up, side by side.
type rpfBatch struct {
	n   int
	at  [batchSize]uint8 // the packet's place in its batch
	src [batchSize]uint32
	ids [batchSize]uint32
}

// checkSources ends the way of the packets of a batch whose sources don't lead
// back as their families demand. The others close up, in order.
func (w *worker) checkSources(b *batch, f intf.Family) {
	r := &w.rpf
	r.n = 0
	for i := range b.n {
		p := &b.pkts[i]
		// Without a source, or with a link-local one, a packet doesn't leave its
		// link: DHCP, duplicate address detection and neighbour discovery need it.
		if p.in.fam[f].rpf == intf.RPFNone || p.flags&(flagNoSource|flagLinkLocal) != 0 {
			continue
		}
		r.at[r.n] = uint8(i)
		if f == intf.Inet {
			r.src[r.n] = binary.BigEndian.Uint32(w.mem[p.at+12:])
		} else {
			hi, lo := w.source6(p)
			r.ids[r.n] = p.in.fam[f].sources.Lookup6(hi, lo)
		}
		r.n++
	}
	if f == intf.Inet {
		for start, end := 0, 0; start < r.n; start = end {
			t := b.pkts[r.at[start]].in.fam[f].sources
			for end < r.n && b.pkts[r.at[end]].in.fam[f].sources == t {
				end++
			}
			t.Lookup4Batch(r.src[start:end], r.ids[start:end])
		}
	}
	kept, next := 0, 0 // next is the first of the batch not yet moved
	for i := range r.n {
		at := int(r.at[i])
		p := &b.pkts[at]
		back := w.leadsBack(p, r.ids[i])
		if w.trace != nil {
			w.trace.checked(p, back)
		}
		if back {
			continue
		}
		p.in.stats.blocks[w.id].rpf[f].Add(1)
		w.drop(p, DropRPF)
		kept, next = b.move(kept, next, at), at+1
	}
	if next > 0 {
		b.n = b.move(kept, next, b.n)
	}
}

// move closes the gap before the packets from next up to end, which come to
// stand from kept on, and returns where they end.
func (b *batch) move(kept, next, end int) int {
	if kept != next {
		copy(b.pkts[kept:], b.pkts[next:end])
		copy(b.dst4[kept:], b.dst4[next:end])
		copy(b.via[kept:], b.via[next:end])
	}
	return kept + end - next
}

// source6 is the source of an IPv6 packet in host byte order.
func (w *worker) source6(p *pkt) (hi, lo uint64) {
	h := w.mem[p.at+8 : p.at+24]
	return binary.BigEndian.Uint64(h), binary.BigEndian.Uint64(h[8:])
}

// leadsBack reports whether next hop id, which the lookup of a packet's source
// found, passes the check of the packet's family.
func (w *worker) leadsBack(p *pkt, id uint32) bool {
	mode := p.in.fam[p.fam].rpf
	for range maxLookups {
		nh := w.engine.nexthops.at(id)
		if nh == nil {
			return false
		}
		switch nh.kind {
		case routing.Forward, routing.Resolve:
			return mode == intf.RPFLoose || nh.ifindex == p.in.index
		case routing.Indirect, routing.Group, routing.Choice:
			units := nh.units()
			if mode == intf.RPFLoose && len(units) > 0 || units.has(p.in.index) {
				return true
			}
			if id = uint32(nh.onward); id == 0 {
				return false
			}
		case routing.Lookup:
			r := w.snap.instances.at(nh.instance)
			if r == nil {
				return false
			}
			id = w.lookupSource(p, r.sources(mode))
		case routing.Receive, routing.Broadcast, routing.LinkLocal, routing.Reject, routing.Discard,
			routing.Multicast, routing.Flood, routing.BySource:
			// Our own address from outside, no host's address, or nowhere.
			return false
		}
	}
	return false
}

func (w *worker) lookupSource(p *pkt, t *fib.Table) uint32 {
	if p.fam == intf.Inet {
		return t.Lookup4(binary.BigEndian.Uint32(w.mem[p.at+12:]))
	}
	return t.Lookup6(w.source6(p))
}

// sources is the table that a check looks sources up in.
func (r *instanceView) sources(mode intf.RPFCheck) *fib.Table {
	if mode == intf.RPFFeasible && r.feasible != nil {
		return r.feasible
	}
	return r.table
}

// RPFDrops returns how many packets that came in by unit i were dropped by the
// check of their sources, by family.
func (e *Engine) RPFDrops(i intf.Index) (drops [2]uint64) {
	u := e.snapshot.Load().units.at(uint32(i))
	if u == nil {
		return drops
	}
	counted := u.stats.counted()
	for j := range counted {
		for _, f := range intf.Families {
			drops[f] += counted[j].rpf[f].Load()
		}
	}
	t := e.unitTally(u)
	drops[intf.Inet] += t[layout.TallyRPF4]
	drops[intf.Inet6] += t[layout.TallyRPF6]
	return drops
}
