package dataplane

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"

	"router/dataplane/memport"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// The world of the tests: four ports, and a host on each network.
//
//	a  unit 1            192.0.2.1/24      2001:db8:a::1/64   instance 0
//	b  unit 2            198.51.100.1/24   2001:db8:b::1/64   instance 0, MTU 1280
//	c  unit 3  vlan 100  203.0.113.1/24    2001:db8:c::1/64   instance 0
//	c  unit 4  QinQ      10.4.0.1/24       2001:db8:4::1/64   instance 0
//	d  unit 5            192.0.2.1/24      2001:db8:a::1/64   instance 1
//	d  unit 6  vlan 6    no addresses      no addresses       instance 0
const (
	unitA intf.Index = 1 + iota
	unitB
	unitC
	unitQ
	unitD
	unitN
)

var (
	routerA = intf.MAC{2, 0, 0, 0, 0, 0xa}
	routerB = intf.MAC{2, 0, 0, 0, 0, 0xb}
	routerC = intf.MAC{2, 0, 0, 0, 0, 0xc}
	routerD = intf.MAC{2, 0, 0, 0, 0, 0xd}
	hostA   = intf.MAC{2, 0, 0, 0, 1, 0xa}
	hostB   = intf.MAC{2, 0, 0, 0, 1, 0xb}
	hostC   = intf.MAC{2, 0, 0, 0, 1, 0xc}
	hostQ   = intf.MAC{2, 0, 0, 0, 1, 0x4}
	hostD   = intf.MAC{2, 0, 0, 0, 1, 0xd}

	tagC = []uint16{0x8100, 100}
	tagQ = []uint16{0x88a8, 200, 0x8100, 7}
	tagN = []uint16{0x8100, 6}
)

type world struct {
	t      testing.TB
	e      *Engine
	arena  *fib.Arena
	tables map[uint32]*fib.Table
	nhs    map[routing.NextHop]routing.NextHopID
	ports  map[string]PortID
	queues map[string][]*memport.Queue
	now    time.Duration
	punts  []string
	host   []string
	packet []byte // of the last unresolved punt
	last   Punt
}

func worldConfig() Config {
	return Config{Workers: 1, Buffers: 1024, Domain: epoch.New()}
}

// newWorld makes a world whose workers are driven by hand.
func newWorld(t testing.TB, c Config) *world {
	t.Helper()
	e, err := newEngine(c)
	if err != nil {
		t.Fatal(err)
	}
	x := settle(t, e)
	for _, w := range e.workers {
		w.clock = func() int64 { return int64(x.now) }
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// settle gives an engine the world's ports, units, routes and neighbours.
func settle(t testing.TB, e *Engine) *world {
	t.Helper()
	x := &world{
		t: t, e: e, now: time.Hour,
		tables: make(map[uint32]*fib.Table), nhs: make(map[routing.NextHop]routing.NextHopID),
		ports: make(map[string]PortID), queues: make(map[string][]*memport.Queue),
	}
	var err error
	if x.arena, err = fib.NewHeapArena(16<<20, e.config.Domain); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		x.addPort(name, PortOptions{})
	}
	for i := range uint32(2) {
		x.addInstance(i)
	}
	tx := e.Edit()
	tx.SetUnit(x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1", "2001:db8:a::1", "fe80::a"))
	tx.SetUnit(x.unit(unitB, "b", nil, routerB, 0, 1280, "198.51.100.1", "2001:db8:b::1", "fe80::b"))
	tx.SetUnit(x.unit(unitC, "c", tagC, routerC, 0, 1500, "203.0.113.1", "2001:db8:c::1", "fe80::c"))
	tx.SetUnit(x.unit(unitQ, "c", tagQ, routerC, 0, 1500, "10.4.0.1", "2001:db8:4::1", "fe80::4"))
	tx.SetUnit(x.unit(unitD, "d", nil, routerD, 1, 1500, "192.0.2.1", "2001:db8:a::1", "fe80::d"))
	tx.SetUnit(x.unit(unitN, "d", tagN, routerD, 0, 1500))
	tx.Commit()
	x.network(0, unitA, "192.0.2.1/24", "2001:db8:a::1/64")
	x.network(0, unitB, "198.51.100.1/24", "2001:db8:b::1/64")
	x.network(0, unitC, "203.0.113.1/24", "2001:db8:c::1/64")
	x.network(0, unitQ, "10.4.0.1/24", "2001:db8:4::1/64")
	x.network(1, unitD, "192.0.2.1/24", "2001:db8:a::1/64")
	x.neighbor(0, unitA, hostA, "192.0.2.10", "2001:db8:a::10", "fe80::1:a")
	x.neighbor(0, unitB, hostB, "198.51.100.10", "2001:db8:b::10", "fe80::1:b")
	x.neighbor(0, unitC, hostC, "203.0.113.10", "2001:db8:c::10", "fe80::1:c")
	x.neighbor(0, unitQ, hostQ, "10.4.0.10", "2001:db8:4::10", "fe80::1:4")
	x.neighbor(1, unitD, hostD, "192.0.2.10", "2001:db8:a::10", "fe80::1:d")
	return x
}

func (x *world) addPort(name string, o PortOptions) {
	x.t.Helper()
	var queues []port.Queue
	x.queues[name] = nil
	// A third of the ports has one queue only, so that workers hand over.
	n := len(x.e.workers)
	if name == "b" {
		n = 1
	}
	for i := range n {
		q := memport.New(x.e.Pools()[i], 1024)
		queues = append(queues, q)
		x.queues[name] = append(x.queues[name], q)
	}
	id, err := x.e.AddPort(name, queues, o)
	if err != nil {
		x.t.Fatal(err)
	}
	x.ports[name] = id
}

func vlanOf(tags []uint16) (v intf.VLAN) {
	if len(tags) > 0 {
		v.OuterTPID, v.OuterID = tags[0], tags[1]
	}
	if len(tags) > 2 {
		v.InnerTPID, v.InnerID = tags[2], tags[3]
	}
	return v
}

func (x *world) unit(i intf.Index, portName string, tags []uint16, mac intf.MAC, instance uint32, mtu uint16, addrs ...string) Unit {
	u := Unit{Index: i, Port: x.ports[portName], VLAN: vlanOf(tags), MAC: mac}
	for _, f := range intf.Families {
		u.Families[f] = UnitFamily{Up: true, Instance: instance, MTU: mtu}
	}
	for _, s := range addrs {
		f := &u.Families[intf.FamilyOf(ip(s))]
		f.Locals = append(f.Locals, ip(s))
		if !f.Primary.IsValid() {
			f.Primary = ip(s)
		}
	}
	return u
}

// addInstance makes a table with the permanent routes.
func (x *world) addInstance(i uint32) {
	x.t.Helper()
	table, err := x.arena.NewTable()
	if err != nil {
		x.t.Fatal(err)
	}
	x.tables[i] = table
	tx := x.e.Edit()
	tx.SetInstance(i, table)
	tx.Commit()
	for prefix, nh := range map[string]routing.NextHop{
		"0.0.0.0/0":          {Kind: routing.Reject, Reject: routing.RejectNet},
		"0.0.0.0/32":         {Kind: routing.Discard},
		"127.0.0.0/8":        {Kind: routing.Discard},
		"224.0.0.0/4":        {Kind: routing.Discard},
		"224.0.0.0/24":       {Kind: routing.Receive},
		"240.0.0.0/4":        {Kind: routing.Discard},
		"255.255.255.255/32": {Kind: routing.Broadcast},
		"::/0":               {Kind: routing.Reject, Reject: routing.RejectNoRoute},
		"::/128":             {Kind: routing.Discard},
		"::1/128":            {Kind: routing.Discard},
		"ff00::/8":           {Kind: routing.Discard},
		"ff02::/16":          {Kind: routing.Receive},
		"fe80::/10":          {Kind: routing.LinkLocal},
	} {
		x.route(i, prefix, nh)
	}
}

// nexthop returns the id of a next hop, as a RIB would share it.
func (x *world) nexthop(nh routing.NextHop, via routing.NextHopID) routing.NextHopID {
	id, ok := x.nhs[nh]
	if !ok {
		id = routing.NextHopID(len(x.nhs) + 1)
		x.nhs[nh] = id
		x.e.SetNextHop(id, nh, via)
	}
	return id
}

func (x *world) route(instance uint32, prefix string, nh routing.NextHop) {
	x.t.Helper()
	if err := x.tables[instance].Insert(netip.MustParsePrefix(prefix), uint32(x.nexthop(nh, 0))); err != nil {
		x.t.Fatal(err)
	}
}

// network adds the interface routes of addresses.
func (x *world) network(instance uint32, i intf.Index, prefixes ...string) {
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		x.route(instance, p.Masked().String(), routing.NextHop{Kind: routing.Resolve, IfIndex: i})
		x.route(instance, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String(), routing.NextHop{Kind: routing.Receive, IfIndex: i})
		if p.Addr().Is4() {
			b := p.Masked().Addr().As4()
			b[3] = 255
			x.route(instance, netip.AddrFrom4(b).String()+"/32", routing.NextHop{Kind: routing.Broadcast, IfIndex: i})
		}
	}
}

// neighbor makes neighbours known, with host routes for the global addresses.
func (x *world) neighbor(instance uint32, i intf.Index, mac intf.MAC, addrs ...string) {
	for _, s := range addrs {
		a := ip(s)
		x.e.SetAdjacency(i, a, mac, false)
		if !a.IsLinkLocalUnicast() {
			x.route(instance, netip.PrefixFrom(a, a.BitLen()).String(), routing.NextHop{Kind: routing.Forward, IfIndex: i, Gateway: a})
		}
	}
}

// push gives a frame to the first queue of a port.
func (x *world) push(name string, frame []byte) {
	x.t.Helper()
	if !x.queues[name][0].Push(frame, 0) {
		x.t.Fatalf("port %s takes no more frames", name)
	}
}

// run lets the workers work until there is nothing left to do.
func (x *world) run() {
	for busy := true; busy; {
		busy = false
		for _, w := range x.e.workers {
			busy = w.runOnce() > 0 || busy
		}
	}
}

// collect takes what left by the ports, in the form "port hex", and what was
// punted and delivered.
func (x *world) collect() (out []string) {
	for _, name := range []string{"a", "b", "c", "d"} {
		for _, q := range x.queues[name] {
			for f, ok := q.Pop(nil); ok; f, ok = q.Pop(nil) {
				out = append(out, fmt.Sprintf("%s %x", name, f))
			}
		}
	}
	x.punts, x.host = nil, nil
	for _, w := range x.e.workers {
		for _, r := range w.punts {
			for x.e.drainPunts(r, func(p Punt) {
				x.last = p
				x.packet = append([]byte(nil), p.Frame...)
				x.last.Frame = x.packet
				x.punts = append(x.punts, puntString(p))
			}) {
			}
		}
		for s, l3 := w.hostOut.peek(); s != nil; s, l3 = w.hostOut.peek() {
			x.host = append(x.host, fmt.Sprintf("%d %v %x", s.ifindex, s.fam, l3))
			w.releaseHost(s)
		}
	}
	return out
}

func puntString(p Punt) string {
	switch p.Kind {
	case PuntNeighbor:
		return fmt.Sprintf("neighbor %d %04x %v %v %x", p.IfIndex, p.EtherType, p.Src, p.Dst, p.Frame)
	case PuntUnresolved:
		return fmt.Sprintf("unresolved %d %v from %d %v %04x %x", p.IfIndex, p.Addr, p.From, p.Originated, p.EtherType, p.Frame)
	case PuntFlow:
		return fmt.Sprintf("flow %d in %d %x", p.IfIndex, p.Instance, p.Frame)
	case PuntStaleUse:
	}
	return fmt.Sprintf("stale %d %v", p.IfIndex, p.Addr)
}

// drops adds up all drops by name.
func (x *world) drops() map[string]uint64 {
	m := make(map[string]uint64)
	add := func(d map[Reason]uint64) {
		for r, n := range d {
			m[r.String()] += n
		}
	}
	for id := range maps.Values(x.ports) {
		add(x.e.Drops(id))
	}
	add(x.e.OwnDrops())
	return m
}

// checkAccounts asserts that every packet and every buffer is accounted for.
func (x *world) checkAccounts() {
	x.t.Helper()
	s := x.e.Totals()
	in, out := s.Received+s.Injected+s.Created, s.Sent+s.Dropped+s.Punted+s.Delivered+s.Absorbed
	if in != out {
		x.t.Errorf("%d packets came in, %d are accounted for: %+v", in, out, s)
	}
	var dropped uint64
	for _, n := range x.drops() {
		dropped += n
	}
	if dropped != s.Dropped {
		x.t.Errorf("drops by reason add up to %d of %d", dropped, s.Dropped)
	}
	for i, p := range x.e.Pools() {
		if p.Free() != p.Size() || p.FreeSpans() != p.Spans() {
			x.t.Errorf("worker %d: %d of %d buffers and %d of %d spans are free", i, p.Free(), p.Size(), p.FreeSpans(), p.Spans())
		}
	}
}
