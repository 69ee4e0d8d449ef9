package bpf

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"

	"router/dataplane"
	"router/dataplane/memport"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/internal/frames"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

type randomPort struct {
	id    dataplane.PortID
	prog  *ebpf.Program
	set   *Set
	units []*randomUnit

	handedUp, oversize uint64 // what the program must have counted of frames that it did not handle
}

type randomUnit struct {
	spec      dataplane.Unit
	port      int
	neighbors []netip.Addr
	frames    *frames.Generator
}

// A randomWorld is an engine with random tables, and the program on them.
type randomWorld struct {
	t      *testing.T
	rng    *rand.Rand
	fast   *recorder
	engine *dataplane.Engine
	tables []*fib.Table // of the instances, and then their feasible ones
	ports  []*randomPort
	units  []*randomUnit
	seen   outcomesSeen

	filtered bool   // units have filters
	jumbo    bool   // frames may be of several buffers
	uncut    bool   // the kernel decides how long the first buffer is
	loaded   string // what the programs were loaded with

	// What the worker is given, and what it made of it.
	work atomic.Pointer[goWork]
}

const (
	randomInstances = 3
	randomNextHops  = 80
	unready         = 3 // the port that takes no redirected frames: those to it are handed up
)

func newRandomWorld(t *testing.T, seed uint64) *randomWorld {
	t.Helper()
	w := &randomWorld{t: t, rng: rand.New(rand.NewPCG(seed, 17)), fast: &recorder{Fast: newTestFast(t)}}
	domain := epoch.New()
	arena, err := fib.NewGrowingArena(w.fast.Words(), w.fast.First(), w.fast.Grow, domain)
	if err != nil {
		t.Fatal(err)
	}
	w.engine, err = dataplane.New(dataplane.Config{
		Workers: 1, Buffers: 1024, Domain: domain, FlowSeed: w.fast.config.FlowSeed, Arena: arena, Tallies: w.fast, Filters: w.fast,
	})
	if err != nil {
		t.Fatal(err)
	}
	tx := w.engine.Edit()
	for i := range uint32(2 * randomInstances) {
		table, err := arena.NewTable()
		if err != nil {
			t.Fatal(err)
		}
		w.tables = append(w.tables, table)
		if i < randomInstances {
			tx.SetInstance(i, table)
		}
	}
	tx.Commit()
	for i := range uint32(randomInstances) {
		w.setFeasible(i)
	}
	w.filtered, w.jumbo = seed%2 == 0, seed/2%2 == 1 && !plainLoads()
	if w.filtered {
		w.setFilters()
	}
	for i := range 4 {
		w.addPort(i)
	}
	for i := range w.ports {
		w.addUnits(i)
	}
	for id := routing.NextHopID(1); id <= randomNextHops; id++ {
		w.setNextHop(id)
	}
	for _, table := range w.tables {
		w.addRoutes(table, 400)
	}
	return w
}

func (w *randomWorld) close() {
	for _, p := range w.ports {
		_ = p.prog.Close()
		if err := p.set.Close(); err != nil {
			w.t.Error(err)
		}
	}
	if err := w.engine.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *randomWorld) addPort(i int) {
	newQueue, longest := memport.NewFunc, port.MaxFrame
	if w.jumbo {
		newQueue, longest = memport.NewJumboFunc, port.MaxJumbo
	}
	q := newQueue(w.engine.Pools()[0],
		func(b []byte) int { return w.source(i, b) }, func(b []byte) { w.sink(i, b) })
	complete := i%2 == 1
	id, err := w.engine.AddPort(fmt.Sprint("p", i), []port.Queue{q}, dataplane.PortOptions{CompleteChecksums: complete})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &randomPort{id: id}
	if p.set, err = Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: longest}); err != nil {
		w.t.Fatal(err)
	}
	record, ok := w.engine.FastPort(id)
	if !ok {
		w.t.Fatalf("port %d has no record", id)
	}
	p.set.fast = &fastPort{fast: w.fast.Fast, record: record, complete: complete}
	if err := w.fast.SetEgress(uint32(id), 1); err != nil {
		w.t.Fatal(err)
	}
	w.ports = append(w.ports, p)
	if i != unready {
		w.engine.SetFastEgress(id, 1)
	}
}

var tagStacks = []intf.VLAN{
	{}, {OuterTPID: 0x8100, OuterID: 100}, {OuterTPID: 0x88a8, OuterID: 100},
	{OuterTPID: 0x88a8, OuterID: 7, InnerTPID: 0x8100, InnerID: 4094}, {OuterTPID: 0x8100, OuterID: 100, InnerTPID: 0x8100, InnerID: 1},
}

func (w *randomWorld) addUnits(i int) {
	p := w.ports[i]
	for k, v := range tagStacks {
		if k > 0 && w.rng.IntN(2) == 0 {
			continue
		}
		index := intf.Index(len(w.units) + 1)
		u := &randomUnit{port: i}
		u.spec = dataplane.Unit{Index: index, Port: p.id, VLAN: v, MAC: intf.MAC{2, 0, 0, 0, 1, byte(index)}}
		for n := range 3 {
			u.neighbors = append(u.neighbors, netip.AddrFrom4([4]byte{10, byte(index), 1, byte(n + 1)}),
				netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", index, n+1)))
		}
		p.units, w.units = append(p.units, u), append(w.units, u)
		w.setUnit(u)
		for _, a := range u.neighbors {
			w.setNeighbor(u, a)
		}
		world := frames.World{
			Station: u.spec.MAC, Host: intf.MAC{2, 0, 0, 0, 2, 2},
			Sources:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/11"), netip.MustParsePrefix("2001:db8::/46")},
			Targets:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/11"), netip.MustParsePrefix("2001:db8::/46")},
			OddTargets: u.spec.Families[0].Locals, MTUs: []int{576, 1280, 1500},
		}
		for _, s := range []string{"0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1", "::", "::1", "fe80::1", "ff02::1", "::ffff:1.2.3.4"} {
			world.OddSources = append(world.OddSources, netip.MustParseAddr(s))
		}
		if w.jumbo {
			// The edges of a buffer of ours, of the kernel's first one, of an MTU, and of what we take.
			world.MTUs = append(world.MTUs, port.MaxFrame-14, firstMost-14, firstMost-14, 9000, port.MaxJumbo-14)
			world.Longest = port.MaxJumbo + 100
		}
		for _, f := range u.spec.Families {
			world.OddSources = append(world.OddSources, f.Locals...)
		}
		u.frames = frames.New(uint64(index)+w.rng.Uint64()%1000, world)
	}
}

func (w *randomWorld) setUnit(u *randomUnit) {
	index := byte(u.spec.Index)
	mtus := []uint16{576, 1280, 1499, 1501, 1500, 1500, 1500, 9000}
	if w.jumbo {
		mtus = []uint16{1280, 1500, firstMost - 14, 9000, 9000, 9000, 9582, 9582}
	}
	for _, f := range intf.Families {
		spec := dataplane.UnitFamily{
			Up: w.rng.IntN(40) != 0, Instance: uint32(w.rng.IntN(randomInstances)),
			MTU: mtus[w.rng.IntN(len(mtus))],
		}
		if w.rng.IntN(6) == 0 {
			spec.RPF = []intf.RPFCheck{intf.RPFLoose, intf.RPFStrict, intf.RPFFeasible}[w.rng.IntN(3)]
		}
		for n := range w.rng.IntN(12) * w.rng.IntN(4) {
			a := netip.AddrFrom4([4]byte{10, index, 0, byte(n + 1)})
			if f == intf.Inet6 {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8:%d:1::%d", index, n+1))
			}
			spec.Locals = append(spec.Locals, a)
			spec.Primary = spec.Locals[0]
		}
		if w.rng.IntN(2) == 0 {
			redirect := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, index, 1, 250}), 16)
			if f == intf.Inet6 {
				redirect = netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d::250/64", index))
			}
			spec.Redirects = []netip.Prefix{redirect}
		}
		if w.filtered {
			w.bindFilters(u.spec.Index, f, &spec)
		}
		u.spec.Families[f] = spec
	}
	tx := w.engine.Edit()
	tx.SetUnit(u.spec)
	tx.Commit()
}

// setFeasible gives an instance a second table for the sources, or takes it away.
func (w *randomWorld) setFeasible(instance uint32) {
	var table *fib.Table
	if w.rng.IntN(4) > 0 {
		table = w.tables[randomInstances+instance]
	}
	tx := w.engine.Edit()
	tx.SetFeasible(instance, table)
	tx.Commit()
}

func (w *randomWorld) setNeighbor(u *randomUnit, a netip.Addr) {
	switch w.rng.IntN(16) {
	case 0:
		w.engine.ClearAdjacency(u.spec.Index, a)
	case 1:
		w.engine.SetAdjacency(u.spec.Index, a, intf.MAC{2, 0, 0, 0, 3, byte(w.rng.Uint32())}, true)
	default:
		w.engine.SetAdjacency(u.spec.Index, a, intf.MAC{2, 0, 0, 0, 3, byte(w.rng.Uint32())}, false)
	}
}

func (w *randomWorld) id() routing.NextHopID {
	return routing.NextHopID(1 + w.rng.IntN(randomNextHops))
}

func (w *randomWorld) setNextHop(id routing.NextHopID) {
	u := w.units[w.rng.IntN(len(w.units))]
	if u.port == unready && w.rng.IntN(4) > 0 {
		u = w.units[w.rng.IntN(len(w.units))]
	}
	switch w.rng.IntN(48) {
	default:
		gateway := u.neighbors[w.rng.IntN(len(u.neighbors))]
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Forward, IfIndex: u.spec.Index, Gateway: gateway}, 0)
	case 0:
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Discard}, 0)
	case 1:
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Reject}, 0)
	case 2:
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Receive, IfIndex: u.spec.Index}, 0)
	case 3:
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Resolve, IfIndex: u.spec.Index}, 0)
	case 4:
		w.engine.DeleteNextHop(id)
	case 5, 6:
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Lookup, Instance: uint32(w.rng.IntN(randomInstances))}, 0)
	case 7, 8:
		w.engine.SetNextHop(id, routing.NextHop{Kind: routing.Indirect}, w.id())
	case 9, 10, 11, 12, 13, 14, 15, 16:
		buckets := make([]routing.NextHopID, 1<<w.rng.IntN(6))
		for i := range buckets {
			buckets[i] = w.id()
		}
		w.engine.SetGroup(id, buckets)
	case 17:
		w.engine.SetChoice(id, []routing.Branch{{IfIndex: u.spec.Index, ID: w.id()}, {ID: w.id()}})
	}
}

func (w *randomWorld) addRoutes(table *fib.Table, n int) {
	err := table.Update(func(x *fib.Txn) error {
		for range n {
			var b [16]byte
			binary.BigEndian.PutUint32(b[:], w.rng.Uint32()&0x1fffff|10<<24)
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), 8+w.rng.IntN(25))
			if w.rng.IntN(2) == 0 {
				binary.BigEndian.PutUint64(b[:], 0x20010db8<<32|w.rng.Uint64()&0x3ffff<<16|w.rng.Uint64()&0xffff)
				binary.BigEndian.PutUint64(b[8:], w.rng.Uint64())
				p = netip.PrefixFrom(netip.AddrFrom16(b), 32+w.rng.IntN(60))
			}
			if w.rng.IntN(8) == 0 {
				if err := x.Delete(p); err != nil {
					return err
				}
			} else if err := x.Insert(p, uint32(w.id())); err != nil {
				return err
			}
		}
		for _, p := range []string{"0.0.0.0/0", "::/0"} {
			if w.rng.IntN(8) > 0 {
				if err := x.Insert(netip.MustParsePrefix(p), uint32(w.id())); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// change turns something in the tables into something else.
func (w *randomWorld) change() {
	if w.filtered && w.rng.IntN(6) == 0 {
		w.changeFilter()
	}
	for range 10 {
		u := w.units[w.rng.IntN(len(w.units))]
		switch w.rng.IntN(4) {
		case 0:
			w.setUnit(u)
		case 1:
			w.setNeighbor(u, u.neighbors[w.rng.IntN(len(u.neighbors))])
		case 2:
			w.setNextHop(w.id())
		case 3:
			w.addRoutes(w.tables[w.rng.IntN(len(w.tables))], 20)
		}
	}
	if w.rng.IntN(16) == 0 {
		w.setFeasible(uint32(w.rng.IntN(randomInstances)))
	}
	if w.rng.IntN(24) == 0 {
		w.addRoutes(w.tables[w.rng.IntN(len(w.tables))], 4000) // the tables grow
	}
	if w.rng.IntN(4) == 0 {
		u := w.units[w.rng.IntN(len(w.units))]
		tx := w.engine.Edit()
		tx.DeleteUnit(u.spec.Index)
		tx.Commit()
		if w.rng.IntN(2) == 0 {
			w.setUnit(u)
		}
	}
}

// next makes a frame for some unit of port i, in b if it has room; plain says that nothing spoils it.
func (w *randomWorld) next(i int, b []byte) (frame []byte, plain bool) {
	u := w.ports[i].units[w.rng.IntN(len(w.ports[i].units))]
	make4, make6 := u.frames.Ordinary4, u.frames.Ordinary6
	if w.rng.IntN(4) == 0 {
		make4, make6 = u.frames.Next4, u.frames.Next6
	}
	if w.rng.IntN(2) == 0 {
		frame = make4(b)
	} else {
		frame = make6(b)
	}
	plain = true
	if w.rng.IntN(8) == 0 {
		frame, plain = u.frames.Mutate(frame), false
	}
	if len(frame) < 14 {
		return frame, false
	}
	if w.rng.IntN(8) == 0 {
		leavePartial(frame[14:])
	}
	v := u.spec.VLAN
	if w.rng.IntN(50) == 0 {
		v, plain = tagStacks[w.rng.IntN(len(tagStacks))], false
	}
	if v.InnerTPID != 0 {
		frame = w.tag(frame, v.InnerTPID, v.InnerID)
	}
	if v.OuterTPID != 0 {
		frame = w.tag(frame, v.OuterTPID, v.OuterID)
	}
	if w.rng.IntN(50) == 0 {
		frame, plain = w.tag(frame, 0x8100, []uint16{0, 0xfff, 5}[w.rng.IntN(3)]), false
	}
	// Padding, with whatever in it.
	for len(frame) < 60 && w.rng.IntN(16) != 0 {
		frame = append(frame, byte(w.rng.Uint32()))
	}
	if !w.jumbo {
		frame = frame[:min(len(frame), port.MaxFrame)]
	}
	return frame, plain
}

func (w *randomWorld) tag(frame []byte, tpid, id uint16) []byte {
	tagged := append(make([]byte, 0, len(frame)+4), frame[:12]...)
	tagged = binary.BigEndian.AppendUint16(tagged, tpid)
	tagged = binary.BigEndian.AppendUint16(tagged, id|uint16(w.rng.IntN(8))<<13)
	return append(tagged, frame[12:]...)
}

// leavePartial makes a transport checksum that of the pseudo-header alone.
func leavePartial(l3 []byte) {
	if ip, fault := packet.CheckIPv4(l3); fault == packet.FaultNone && !ip.IsFragment() && ip.HeaderLen() == 20 {
		n := uint16(len(ip) - 20)
		switch t := ip[20:]; {
		case ip.Protocol() == packet.ProtocolTCP && n >= 20:
			binary.BigEndian.PutUint16(t[16:], packet.PseudoSum4(ip.Src32(), ip.Dst32(), packet.ProtocolTCP, n))
		case ip.Protocol() == packet.ProtocolUDP && n >= 8:
			n = binary.BigEndian.Uint16(t[4:])
			binary.BigEndian.PutUint16(t[6:], packet.PseudoSum4(ip.Src32(), ip.Dst32(), packet.ProtocolUDP, n))
		}
		return
	}
	if ip, fault := packet.CheckIPv6(l3); fault == packet.FaultNone {
		n := uint32(len(ip) - 40)
		switch t := ip[40:]; {
		case ip.NextHeader() == packet.ProtocolTCP && n >= 20:
			binary.BigEndian.PutUint16(t[16:], packet.PseudoSum6(ip[8:40], packet.ProtocolTCP, n))
		case ip.NextHeader() == packet.ProtocolUDP && n >= 8:
			n = uint32(binary.BigEndian.Uint16(t[4:]))
			binary.BigEndian.PutUint16(t[6:], packet.PseudoSum6(ip[8:40], packet.ProtocolUDP, n))
		}
	}
}
