package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"router/dataplane"
	"router/dataplane/layout"
	"router/dataplane/memport"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/internal/frames"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// TestEquivalence lets the program and the user path forward the same packets by
// the same random tables: what the program does not hand up leaves with the same
// octets by the same unit, or is dropped for the same reason, and both count the
// same. EQUIVALENCE_PACKETS sets how many packets: .ci/run sends 10^7, `make soak` 10^8.
func TestEquivalence(t *testing.T) {
	amount := 1_000_000
	if text := os.Getenv("EQUIVALENCE_PACKETS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("EQUIVALENCE_PACKETS=%q: want a number of packets", text)
		}
		amount = n
	} else if testing.Short() {
		amount = 50_000
	}
	perWorld := max(1, min(max(125_000, amount/16), amount/2)) // each second world has filters
	var mu sync.Mutex
	var sum outcomesSeen
	start := time.Now()
	t.Run("worlds", func(t *testing.T) {
		for seed := uint64(1); amount > 0; seed++ {
			n := min(amount, perWorld)
			amount -= n
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newRandomWorld(t, seed)
				w.run(n)
				w.close()
				t.Logf("filters %v: %+v", w.filtered, w.seen)
				mu.Lock()
				defer mu.Unlock()
				sum.add(w.seen)
			})
		}
	})
	t.Logf("%+v in %.1f s", sum, time.Since(start).Seconds())
	for what, n := range map[string]int{
		"forwarded": sum.Forwarded, "dropped": sum.Dropped, "handed up": sum.HandedUp, "forwarded with other tags": sum.Retagged,
		"forwarded of plain packets": sum.Forwarded - sum.Plain/10,
	} {
		if n <= 0 {
			t.Errorf("hardly any packet was %s: the test shows nothing", what)
		}
	}
}

type outcomesSeen struct{ Forwarded, Dropped, HandedUp, Retagged, Plain int }

func (s *outcomesSeen) add(o outcomesSeen) {
	s.Forwarded += o.Forwarded
	s.Dropped += o.Dropped
	s.HandedUp += o.HandedUp
	s.Retagged += o.Retagged
	s.Plain += o.Plain
}

// recorder is a Fast that remembers what it gave out.
type recorder struct {
	*Fast
	places []uint32
}

func (r *recorder) NewTally() (uint32, error) {
	place, err := r.Fast.NewTally()
	if err == nil && !slices.Contains(r.places, place) {
		r.places = append(r.places, place)
	}
	return place, err
}

// total adds one counter up over all places.
func (r *recorder) total(what int) (sum uint64) {
	t := &r.tallies
	for _, place := range r.places {
		for cpu := range t.cpus {
			sum += atomic.LoadUint64(&t.mem[(cpu*t.stride+int(place)*tallyOctets)/8+what])
		}
	}
	return sum
}

type randomPort struct {
	id    dataplane.PortID
	prog  *ebpf.Program
	set   *Set
	units []*randomUnit
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
	tables []*fib.Table
	ports  []*randomPort
	units  []*randomUnit
	seen   outcomesSeen

	filtered bool   // units have filters
	loaded   string // what the programs were loaded with

	// What the worker is given, and what it made of it.
	work atomic.Pointer[goWork]
}

type goWork struct {
	port   int
	frames [][]byte
	outs   [][]goOut
	turn   int
	given  bool
	done   chan struct{}
}

type goOut struct {
	port  int
	frame []byte
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
	for i := range uint32(randomInstances) {
		table, err := arena.NewTable()
		if err != nil {
			t.Fatal(err)
		}
		w.tables = append(w.tables, table)
		tx.SetInstance(i, table)
	}
	tx.Commit()
	w.filtered = seed%2 == 0
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
	q := memport.NewFunc(w.engine.Pools()[0],
		func(b []byte) int { return w.source(i, b) }, func(b []byte) { w.sink(i, b) })
	complete := i%2 == 1
	id, err := w.engine.AddPort(fmt.Sprint("p", i), []port.Queue{q}, dataplane.PortOptions{CompleteChecksums: complete})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &randomPort{id: id}
	if p.set, err = Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: port.MaxFrame}); err != nil {
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
		for _, f := range u.spec.Families {
			world.OddSources = append(world.OddSources, f.Locals...)
		}
		u.frames = frames.New(uint64(index)+w.rng.Uint64()%1000, world)
	}
}

func (w *randomWorld) setUnit(u *randomUnit) {
	index := byte(u.spec.Index)
	for _, f := range intf.Families {
		spec := dataplane.UnitFamily{
			Up: w.rng.IntN(40) != 0, Instance: uint32(w.rng.IntN(randomInstances)),
			MTU: []uint16{576, 1280, 1500, 1500, 1500, 1500, 1500, 1500}[w.rng.IntN(8)],
		}
		if w.rng.IntN(8) == 0 {
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
		if w.rng.IntN(2) == 0 && f == intf.Inet {
			spec.Redirects = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, index, 1, 250}), 16)}
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
	return frame[:min(len(frame), port.MaxFrame)], plain
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

// A verdict is what the program did with a frame.
type verdict struct {
	in, out []byte // out is nil for a frame that was dropped
	plain   bool
}

func (w *randomWorld) run(amount int) {
	const batch = 2000
	const room = 4096 // of a frame, and of what is made of it
	space := make([]byte, 2*room*batch)
	for done := 0; done < amount && !w.t.Failed(); done += batch {
		w.load()
		at := w.rng.IntN(len(w.ports))
		var handled []verdict
		for i := range min(batch, amount-done) {
			mine := space[2*room*i:][: 2*room : 2*room]
			frame, plain := w.next(at, mine[:0:room])
			if plain {
				w.seen.Plain++
			}
			if len(frame) < 14 {
				w.seen.HandedUp++ // the kernel gives no such frame to a program
				continue
			}
			if v, ok := w.offer(w.ports[at], frame, mine[room:]); ok {
				v.plain = plain
				handled = append(handled, v)
			}
		}
		w.compare(at, handled)
		w.change()
	}
	w.compareCounters()
}

// load loads the programs if what they are to be loaded with has changed, as Fast does with
// those at devices.
func (w *randomWorld) load() {
	f := w.fast.Fast
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := f.filters.Stats()
	now := fmt.Sprint(f.filtering, stats.Size, stats.Counts, f.size, f.tallies.size)
	if now == w.loaded {
		return
	}
	w.loaded = now
	for _, p := range w.ports {
		if p.prog != nil {
			_ = p.prog.Close()
		}
		var err error
		if p.prog, err = p.set.program("take", false, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

// offer gives a frame to the program, which writes to out what becomes of it; ok is false when it was handed up.
func (w *randomWorld) offer(p *randomPort, frame, out []byte) (v verdict, ok bool) {
	before := w.fast.total(layout.TallyInPackets)
	o := ebpf.RunOptions{Data: frame, DataOut: out[:len(frame)+64], Repeat: 1}
	act, err := p.prog.Run(&o)
	if err != nil {
		w.t.Fatalf("run the program on %x: %v", frame, err)
	}
	counted := w.fast.total(layout.TallyInPackets) - before
	const drop, redirect = 1, 4
	switch {
	case counted == 0 && act == drop: // nobody is at the socket
		if !bytes.Equal(o.DataOut, frame) && len(o.DataOut) != 0 {
			w.t.Fatalf("a frame was changed before it was handed up:\n%x\n%x", frame, o.DataOut)
		}
		w.seen.HandedUp++
		return v, false
	case counted == 1 && act == drop:
		w.seen.Dropped++
		return verdict{in: frame}, true
	case counted == 1 && act == redirect:
		w.seen.Forwarded++
		if [2]byte(frame[12:14]) != [2]byte(o.DataOut[12:14]) {
			w.seen.Retagged++
		}
		return verdict{in: frame, out: o.DataOut}, true
	}
	w.t.Fatalf("verdict %d with %d packets counted, of %x", act, counted, frame)
	return v, false
}

// compare lets the user path do what the program has done.
func (w *randomWorld) compare(at int, handled []verdict) {
	work := &goWork{port: at, turn: -1, outs: make([][]goOut, len(handled)), done: make(chan struct{})}
	for _, v := range handled {
		work.frames = append(work.frames, v.in)
	}
	w.work.Store(work)
	<-work.done
	for i, v := range handled {
		outs := work.outs[i]
		switch {
		case v.out == nil && len(outs) == 0:
		case v.out == nil || len(outs) != 1:
			w.t.Errorf("of frame %x\nthe program makes %x,\nthe user path %d frames: %x", v.in, v.out, len(outs), outs)
			return
		case !bytes.Equal(v.out, outs[0].frame):
			w.t.Errorf("of frame %x\nthe program makes %x,\nthe user path     %x", v.in, v.out, outs[0].frame)
			return
		}
	}
}

// compareCounters: of what was handled, both paths have counted the same, and the
// engine shows their sum.
func (w *randomWorld) compareCounters() {
	var in, inOctets, out, outOctets, dropped uint64
	for _, p := range w.ports {
		c, _ := w.engine.PortCounters(p.id)
		in, inOctets, out, outOctets = in+c.InUnicast, inOctets+c.InOctets, out+c.OutUnicast, outOctets+c.OutOctets
		dropped += c.InDiscards
	}
	for _, x := range []struct {
		name string
		sum  uint64
		what int
	}{
		{"packets in", in, layout.TallyInPackets}, {"octets in", inOctets, layout.TallyInOctets},
		{"packets out", out, layout.TallyOutPackets}, {"octets out", outOctets, layout.TallyOutOctets},
	} {
		if fast := w.fast.total(x.what); x.sum != 2*fast {
			w.t.Errorf("%s: both paths count %d, the program %d: want twice as many", x.name, x.sum, fast)
		}
	}
	reasons := map[dataplane.Reason]uint64{}
	for _, p := range w.ports {
		for r, n := range w.engine.Drops(p.id) {
			reasons[r] += n
		}
	}
	rpf := w.fast.total(layout.TallyRPF4) + w.fast.total(layout.TallyRPF6)
	discarded := w.fast.total(layout.TallyDiscarded)
	filtered := w.fast.total(layout.TallyFiltered) + w.fast.total(layout.TallyOutFiltered)
	if reasons[dataplane.DropRPF] != 2*rpf || reasons[dataplane.DropDiscarded] != 2*discarded || reasons[dataplane.DropFiltered] != 2*filtered ||
		dropped != 2*(rpf+discarded+filtered) {
		w.t.Errorf("both paths drop %v, %d in all; the program %d for their source, %d discarded, %d filtered: want twice as many",
			reasons, dropped, rpf, discarded, filtered)
	}
	if w.filtered {
		w.compareTerms()
	}
}

// source gives the worker one frame each time that it receives.
func (w *randomWorld) source(at int, b []byte) int {
	x := w.work.Load()
	switch {
	case x == nil || x.port != at:
		return 0
	case x.given:
		x.given = false
		return 0
	case x.turn+1 == len(x.frames):
		w.work.Store(nil)
		close(x.done)
		return 0
	}
	x.turn++
	x.given = true
	return copy(b, x.frames[x.turn])
}

// sink collects what leaves by a port.
func (w *randomWorld) sink(at int, frame []byte) {
	if x := w.work.Load(); x != nil {
		x.outs[x.turn] = append(x.outs[x.turn], goOut{at, bytes.Clone(frame)})
	}
}
