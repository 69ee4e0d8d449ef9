package dataplane

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"router/dataplane/layout"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// places is Tallies that nobody counts in.
type places struct{ free, next uint32 }

func (p *places) NewTally() (uint32, error)                                   { p.next++; return p.next, nil }
func (p *places) Tally(uint32) (none [layout.TallyWords]uint64)               { return none }
func (p *places) Kept(uint32) (none [layout.TallyWords]uint64, memory uint32) { return none, 0 }
func (p *places) FreeTally(uint32)                                            { p.free++ }

// TestMirrorAgrees makes random changes of all kinds, and after each batch of them
// compares every record that programs in the kernel read with what workers read,
// both ways: nothing is missing, wrong or left over.
func TestMirrorAgrees(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := worldConfig()
			c.Domain = epoch.New()
			arena, err := fib.NewHeapArena(8<<20, c.Domain)
			if err != nil {
				t.Fatal(err)
			}
			tallies := &places{}
			c.Arena, c.Tallies = arena, tallies
			x := &edits{world: newWorld(t, c), r: rand.New(rand.NewPCG(seed, 4)), tagsOf: make(map[intf.Index][]uint16)}
			for range 120 {
				for range 1 + x.r.IntN(12) {
					x.change()
				}
				x.compare()
				if t.Failed() {
					return
				}
			}
			if held := uint32(len(x.e.mirror.units)); tallies.next-tallies.free != held+uint32(x.e.mirror.parting.Len()) {
				t.Errorf("%d places of counters were handed out and %d came back, with %d units", tallies.next, tallies.free, held)
			}
		})
	}
}

// edits are random changes of a world.
type edits struct {
	*world
	r      *rand.Rand
	tagsOf map[intf.Index][]uint16
}

const (
	editUnits    = 24
	editHops     = 48
	editRegion   = 1000 // the ids of next hops begin here
	editInstance = 4
)

// pick draws one of list.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func (x *edits) index() intf.Index      { return intf.Index(1 + x.r.IntN(editUnits)) }
func (x *edits) hop() routing.NextHopID { return routing.NextHopID(editRegion + x.r.IntN(editHops)) }
func (x *edits) address() (a netip.Addr) {
	if x.r.IntN(2) == 0 {
		return addrFrom4(10<<24 | x.r.Uint32N(8))
	}
	return addrFrom6(0x20010db8<<32, uint64(x.r.Uint32N(8)))
}

// change makes one.
func (x *edits) change() {
	e, r := x.e, x.r
	switch r.IntN(9) {
	case 0, 1:
		tx := e.Edit()
		for range 1 + r.IntN(3) {
			tx.SetUnit(x.randomUnit(x.index()))
		}
		tx.Commit()
	case 2:
		tx := e.Edit()
		tx.DeleteUnit(x.index())
		tx.Commit()
	case 3:
		tx := e.Edit()
		i := r.Uint32N(editInstance)
		switch r.IntN(4) {
		case 0:
			tx.DeleteInstance(i)
		case 1:
			tx.SetFeasible(i, x.table())
		default:
			tx.SetInstance(i, x.table())
		}
		tx.Commit()
	case 4:
		name := pick(r, "a", "b", "c", "d")
		if r.IntN(3) > 0 {
			e.SetFastEgress(x.ports[name], r.IntN(3)*int(x.ports[name]))
			return
		}
		if err := e.RemovePort(x.ports[name]); err != nil {
			x.t.Error(err)
		}
		x.addPort(name, PortOptions{})
	case 5:
		mac := intf.MAC{2, 0, 0, 0, 0, byte(r.Uint32())}
		if r.IntN(8) == 0 {
			mac[0] = 1 // nobody's
		}
		e.SetAdjacency(x.index(), x.address(), mac, r.IntN(3) == 0)
	case 6:
		e.ClearAdjacency(x.index(), x.address())
	case 7:
		e.DeleteNextHop(x.hop())
	case 8:
		x.setHop(x.hop())
	}
}

// table is a new table.
func (x *edits) table() *fib.Table {
	t, err := x.arena.NewTable()
	if err != nil {
		x.t.Fatal(err)
	}
	return t
}

func (x *edits) randomUnit(i intf.Index) Unit {
	r := x.r
	var addrs []string
	for range r.IntN(4) {
		addrs = append(addrs, x.address().String())
	}
	if r.IntN(10) == 0 {
		for n := range layout.OwnMost + 1 {
			addrs = append(addrs, fmt.Sprintf("10.9.0.%d", n))
		}
	}
	tags := pick(r, nil, []uint16{0x8100, uint16(1 + r.IntN(6))}, []uint16{0x88a8, uint16(1 + r.IntN(3)), 0x8100, uint16(1 + r.IntN(3))}, []uint16{0x1234, 5})
	u := x.unit(i, pick(r, "a", "b", "c", "d", "none"), tags, intf.MAC{2, 0, 0, 0, 2, byte(r.Uint32())}, r.Uint32N(editInstance), uint16(1280+r.IntN(200)), addrs...)
	for f := range u.Families {
		to := &u.Families[f]
		to.Up, to.RPF, to.Group = r.IntN(5) > 0, pick(r, intf.RPFNone, intf.RPFLoose, intf.RPFStrict, intf.RPFFeasible), r.Uint32N(3)
		if r.IntN(4) == 0 {
			to.Redirects = []netip.Prefix{netip.MustParsePrefix([]string{"10.0.0.1/24", "2001:db8::1/64"}[f])}
		}
	}
	return u
}

func (x *edits) setHop(id routing.NextHopID) {
	e, r := x.e, x.r
	// What leads on leads to a lower id, so that there are no circles.
	below := func() routing.NextHopID {
		return editRegion + routing.NextHopID(r.IntN(max(1, int(id-editRegion))))
	}
	switch r.IntN(7) {
	case 0:
		e.SetNextHop(id, routing.NextHop{Kind: routing.Indirect, Gateway: x.address()}, below())
	case 1:
		e.SetNextHop(id, routing.NextHop{Kind: routing.Lookup, Instance: r.Uint32N(editInstance)}, 0)
	case 2:
		e.SetNextHop(id, routing.NextHop{Kind: pick(r, routing.Discard, routing.Reject, routing.Receive, routing.LinkLocal)}, 0)
	case 3:
		buckets := make([]routing.NextHopID, pick(r, 0, 1, 2, 8, 64))
		for i := range buckets {
			buckets[i] = below()
		}
		e.SetGroup(id, buckets)
	case 4:
		e.SetNextHop(id, routing.NextHop{Kind: routing.Resolve, IfIndex: x.index()}, 0)
	default:
		e.SetNextHop(id, routing.NextHop{Kind: routing.Forward, IfIndex: x.index(), Gateway: x.address()}, 0)
	}
}

// compare compares all.
func (x *edits) compare() {
	x.t.Helper()
	words, s := x.e.mirror.arena.Words(), x.e.snapshot.Load()
	entry := words[fib.EntryAt(layout.EntryNextHops)]
	at, room := uint32(entry>>32), uint32(entry)
	for id := range uint32(len(*x.e.nexthops.chunks.Load()) * nexthopChunk) {
		nh := x.e.nexthops.at(id)
		if id >= room {
			if nh != nil {
				x.t.Errorf("next hop %d stands nowhere", id)
			}
			continue
		}
		x.compareHop(words, id, nh, words[at+2*id], words[at+2*id+1])
	}
	x.compareInstances(words, s)
	seen := make(map[intf.Index]bool)
	for name, id := range x.ports {
		x.comparePort(words, s, name, id, seen)
	}
	for i := range x.e.mirror.units {
		if !seen[i] {
			x.t.Errorf("unit %d is written down and at no port", i)
		}
	}
}

// wrong reports that something is not as it should be.
func (x *edits) wrong(what string, is, want any) {
	if is != want {
		x.t.Helper()
		x.t.Errorf("%s: %v for programs, %v for workers", what, is, want)
	}
}

func (x *edits) compareHop(words []uint64, id uint32, nh *nexthop, word, egress uint64) {
	x.t.Helper()
	what := fmt.Sprintf("next hop %d", id)
	kind, value := uint8(word), uint32(word>>32)
	if nh == nil {
		x.wrong(what+", which is none", word|egress, uint64(0))
		return
	}
	switch nh.kind {
	case routing.Forward:
		rw := nh.adj.rewrite.Load()
		device := uint32(0)
		if rw != nil && rw.port != 0 && nh.adj.mac[0]&1 == 0 {
			device = x.e.mirror.ports[rw.port].device
		}
		if device == 0 {
			x.wrong(what+", whose neighbour is not sent to", kind, uint8(layout.NextHopUp))
			break
		}
		x.wrong(what, kind, uint8(layout.NextHopForward))
		x.compareNeighbor(what, words[value:value+layout.NeighborWords], rw, device)
	case routing.Discard:
		x.wrong(what, kind, uint8(layout.NextHopDiscard))
	case routing.Lookup:
		if r := x.e.snapshot.Load().instances.at(nh.instance); r != nil {
			x.wrong(what, [2]uint32{uint32(kind), value}, [2]uint32{layout.NextHopLookup, r.table.Record()})
		} else {
			x.wrong(what+", of no instance", kind, uint8(layout.NextHopUp))
		}
	case routing.Indirect:
		x.wrong(what, [2]uint32{uint32(kind), value}, [2]uint32{layout.NextHopIndirect, uint32(nh.via)})
	case routing.Group:
		switch n := len(nh.buckets); n {
		case 0:
			x.wrong(what+", an empty group", kind, uint8(layout.NextHopUp))
		case 1:
			x.wrong(what+", a group of one", [2]uint32{uint32(kind), value}, [2]uint32{layout.NextHopIndirect, uint32(nh.buckets[0])})
		default:
			x.wrong(what, [2]uint32{uint32(kind), 1 << (word >> 8 & 0xff)}, [2]uint32{layout.NextHopGroup, uint32(n)})
			for i, b := range nh.buckets {
				x.wrong(fmt.Sprintf("%s bucket %d", what, i), uint32(words[int(value)+i/2]>>(i%2*32)), uint32(b))
			}
		}
	case routing.Resolve, routing.Receive, routing.Broadcast, routing.LinkLocal, routing.Reject, routing.Multicast, routing.Flood, routing.BySource, routing.Choice:
		x.wrong(what, kind, uint8(layout.NextHopUp))
	}
	// Where packets leave: what the workers' check of sources asks.
	one := func(i intf.Index) bool {
		return uint32(egress) == layout.EgressMany || egress == layout.EgressWord(layout.EgressOne, uint32(i))
	}
	switch nh.kind {
	case routing.Forward, routing.Resolve:
		x.wrong(what+" egress", egress, layout.EgressWord(layout.EgressOne, uint32(nh.ifindex)))
	case routing.Lookup:
		x.wrong(what+" egress", uint32(egress), uint32(layout.EgressMany))
	case routing.Indirect, routing.Group, routing.Choice:
		for _, i := range nh.units() {
			x.wrong(fmt.Sprintf("%s leads to %d", what, i), one(i), true)
		}
		if len(nh.units()) == 0 && nh.onward == 0 {
			x.wrong(what+" egress", uint32(egress), uint32(layout.EgressNone))
		}
	case routing.Discard, routing.Receive, routing.Broadcast, routing.LinkLocal, routing.Reject, routing.Multicast, routing.Flood, routing.BySource:
		x.wrong(what+" egress", uint32(egress), uint32(layout.EgressNone))
	}
}

func (x *edits) compareNeighbor(what string, w []uint64, rw *rewrite, device uint32) {
	x.t.Helper()
	var header [24]byte
	for i := range 3 {
		binary.LittleEndian.PutUint64(header[8*i:], w[i])
	}
	x.wrong(what+" header", string(header[:rw.hlen]), string(rw.header[:rw.hlen]))
	x.wrong(what+" length", uint8(w[3]), rw.hlen)
	x.wrong(what+" stale", w[3]>>8&layout.NeighborStale != 0, rw.stale.Load())
	x.wrong(what+" MTUs", [2]uint16{uint16(w[3] >> 16), uint16(w[3] >> 32)}, rw.mtu)
	x.wrong(what+" port and unit", w[4], uint64(rw.unit.index)<<32|uint64(rw.port))
	x.wrong(what+" device", uint32(w[6]>>32), device)
	x.wrong(what+" counters", uint32(w[5]), x.e.mirror.units[rw.unit.index].tally)
	x.wrong(what+" unit", x.e.snapshot.Load().units.at(uint32(rw.unit.index)), rw.unit)
}

func (x *edits) compareInstances(words []uint64, s *snapshot) {
	x.t.Helper()
	entry := words[fib.EntryAt(layout.EntryInstances)]
	for i := range uint32(editInstance) {
		want, is := uint64(0), uint64(0)
		if r := s.instances.at(i); r != nil {
			want = uint64(r.table.Record())
		}
		if i < uint32(entry) {
			is = words[uint32(entry>>32)+i]
		}
		x.wrong(fmt.Sprintf("table of instance %d", i), is, want)
	}
}

// comparePort compares a port's demux and the units that it leads to.
func (x *edits) comparePort(words []uint64, s *snapshot, name string, id PortID, seen map[intf.Index]bool) {
	x.t.Helper()
	record, ok := x.e.FastPort(id)
	if !ok {
		x.t.Errorf("port %s stands nowhere", name)
		return
	}
	view := s.ports.at(uint32(id))
	find := func(v intf.VLAN) uint32 {
		if v.OuterTPID == 0 {
			return uint32(words[record])
		}
		key, ok := demuxKey(v)
		if demux := x.e.mirror.ports[id].demux; ok && demux != nil {
			x.wrong("port "+name+" demux", uint32(words[record]>>32), demux.Record())
			return demux.Get(key)
		}
		return 0
	}
	var stacks []intf.VLAN
	stacks = append(stacks, intf.VLAN{})
	for o := range uint16(8) {
		stacks = append(stacks, intf.VLAN{OuterTPID: 0x8100, OuterID: o})
		for i := range uint16(4) {
			stacks = append(stacks, intf.VLAN{OuterTPID: 0x88a8, OuterID: o, InnerTPID: 0x8100, InnerID: i})
		}
	}
	for _, v := range append(stacks, vlanOf(tagC), vlanOf(tagQ)) {
		u, number := view.unit(v), find(v)
		what := fmt.Sprintf("port %s tags %v", name, v)
		if u == nil {
			x.wrong(what, number, uint32(0))
			continue
		}
		if number == 0 {
			x.t.Errorf("%s lead nowhere, for workers to unit %d", what, u.index)
			continue
		}
		seen[u.index] = true
		x.compareUnit(fmt.Sprintf("unit %d", u.index), words, words[number*layout.UnitWords:(number+1)*layout.UnitWords], u)
	}
	// Whose tags another has taken, or can't be parsed, has its record all the same.
	for i := range x.e.topology.portUnits[id] {
		if m := x.e.mirror.units[i]; m != nil {
			seen[i] = true
		} else {
			x.t.Errorf("unit %d of port %s stands nowhere", i, name)
		}
	}
}

func (x *edits) compareUnit(what string, words, w []uint64, u *unit) {
	x.t.Helper()
	x.wrong(what+" station", w[0], u.station)
	x.wrong(what+" if_index", uint32(w[1]), uint32(u.index))
	for i := range u.fam {
		f, at, what := &u.fam[i], w[2+4*i:], fmt.Sprintf("%s %v", what, intf.Family(i))
		record := func(t *fib.Table) uint32 {
			if t == nil {
				return 0
			}
			return t.Record()
		}
		x.wrong(what+" tables", at[0], uint64(record(f.sources))<<32|uint64(record(f.table)))
		flags := uint8(at[2] >> 40)
		x.wrong(what+" up", flags&layout.FamilyUp != 0, f.up && f.table != nil)
		x.wrong(what+" redirects", flags&layout.FamilyRedirects != 0, len(f.redirects) > 0)
		x.wrong(what+" loose", flags&layout.FamilyRPFLoose != 0, f.rpf == intf.RPFLoose)
		x.wrong(what+" strict", flags&layout.FamilyRPFStrict != 0, f.rpf == intf.RPFStrict || f.rpf == intf.RPFFeasible)
		x.wrong(what+" group", uint32(at[3]>>32), u.spec.Families[i].Group)
		x.wrong(what+" filter of addresses", at[1], f.own.filter)
		own, count := uint32(at[2]), int(at[2]>>32&0xff)
		n := len(f.own.v4) + len(f.own.v6)
		if n > layout.OwnMost {
			x.wrong(what+" addresses", count, layout.OwnMany)
			continue
		}
		x.wrong(what+" addresses", count, n)
		for k, a := range f.own.v4 {
			x.wrong(what+" address", words[own+uint32(k)], uint64(a))
		}
		for k, a := range f.own.v6 {
			x.wrong(what+" address", slices.Equal(words[own+uint32(2*k):own+uint32(2*k)+2], a[:]), true)
		}
	}
}

// BenchmarkNextHopRecord finds the L2 header and the port of next hops drawn at random,
// by the pointers that workers follow and by the records that programs read.
func BenchmarkNextHopRecord(b *testing.B) {
	for _, n := range []int{16, 1000, 100_000} {
		c := worldConfig()
		arena, err := fib.NewHeapArena(64<<20, c.Domain)
		if err != nil {
			b.Fatal(err)
		}
		c.Arena, c.Tallies = arena, &places{}
		x := newWorld(b, c)
		x.e.SetFastEgress(x.ports["a"], 7)
		for i := range n {
			a := addrFrom4(10<<24 | uint32(i))
			x.e.SetAdjacency(unitA, a, hostA, false)
			x.e.SetNextHop(routing.NextHopID(editRegion+i), routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: a}, 0)
		}
		ids := make([]uint32, 1<<12)
		for i := range ids {
			ids[i] = editRegion + rand.Uint32N(uint32(n))
		}
		words := arena.Words()
		var sum uint64
		b.Run(fmt.Sprintf("pointers/%d", n), func(b *testing.B) {
			for i := range b.N {
				rw := x.e.nexthops.at(ids[(i+int(sum&1))&(len(ids)-1)]).adj.rewrite.Load()
				sum += binary.LittleEndian.Uint64(rw.header[:]) + uint64(rw.port) + uint64(rw.mtu[0])
			}
		})
		b.Run(fmt.Sprintf("records/%d", n), func(b *testing.B) {
			for i := range b.N {
				entry := atomic.LoadUint64(&words[fib.EntryAt(layout.EntryNextHops)])
				id := ids[(i+int(sum&1))&(len(ids)-1)]
				if id >= uint32(entry) {
					b.Fatal("no record")
				}
				w := words[atomic.LoadUint64(&words[uint32(entry>>32)+2*id])>>32:]
				sum += w[0] + uint64(uint32(w[4])) + w[3]>>16
			}
		})
	}
}
