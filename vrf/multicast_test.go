package vrf

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// follow is what packets from source to group get in the end, by the tables
// alone, as a worker goes.
func follow(m *Manager, instance string, group, source netip.Addr) routing.NextHop {
	nh := lookup(m, instance, group)
	if nh.Kind != routing.BySource {
		return nh
	}
	t := m.byName[instance].mcast.groups[group].fib.(*fib.Table)
	var id uint32
	if source.Is4() {
		b := source.As4()
		id = t.Lookup4(binary.BigEndian.Uint32(b[:]))
	} else {
		b := source.As16()
		id = t.Lookup6(binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:]))
	}
	nh, _, _ = m.NextHop(routing.NextHopID(id))
	return nh
}

// A groupOracle is the routes of one instance as a list, and the clones that
// there may be.
type groupOracle struct {
	groups map[GroupKey]GroupRoute
	static map[netip.Prefix]StaticRoute
}

// best is what packets from source to group are to get but for tallies: the
// longest match of the group, then that of the source, and whether it asks for
// clones; by a scan of all routes.
func (o *groupOracle) best(group, source netip.Addr) (nh routing.NextHop, report bool) {
	bits, sourceBits := -1, -1
	take := func(p netip.Prefix, sb int, list routing.NextHop, r bool) {
		if p.Bits() > bits || p.Bits() == bits && sb > sourceBits {
			bits, sourceBits, nh, report = p.Bits(), sb, list, r
		}
	}
	for p, s := range o.static {
		if p.Contains(group) {
			n := routing.NextHop{Kind: routing.Discard}
			if s.Action == ActionReceive {
				n.Kind = routing.Receive
			}
			take(p, -1, n, false) // a route of groups is preferred to it
		}
	}
	for k, r := range o.groups {
		if !k.Group.Contains(group) || k.Source.IsValid() && !k.Source.Contains(source) {
			continue
		}
		sb := 0
		if k.Source.IsValid() {
			sb = 1 + k.Source.Bits()
		}
		n, err := routing.NewList(routing.List{Flood: r.Flood, In: r.In, Out: r.Out, Local: r.Local})
		if err != nil {
			panic(err)
		}
		take(k.Group, sb, n, !k.flow())
	}
	if bits < 0 {
		n, _ := routing.NewList(routing.List{})
		return n, true
	}
	return nh, report
}

// plain is a next hop without what tells equal lists apart.
func plain(nh routing.NextHop) (routing.NextHop, bool) {
	if nh.Kind != routing.Multicast && nh.Kind != routing.Flood {
		return nh, false
	}
	l := nh.List()
	report := l.Report
	l.Report, l.Tally, l.Under = false, 0, 0
	bare, err := routing.NewList(l)
	if err != nil {
		panic(err)
	}
	return bare, report
}

// groupWorld drives a Manager and an oracle by what next draws, and compares them
// after so many steps each time.
func groupWorld(t testing.TB, next func(n int) int, steps, every int) {
	arena, err := fib.NewHeapArena(1<<17, epoch.New())
	must(t, err)
	m, err := New(Config{Arena: arena})
	must(t, err)
	limits := CacheLimits{Entries: 6, Idle: 30 * time.Second}
	must(t, m.LimitCache(Default, limits))
	o := groupOracle{map[GroupKey]GroupRoute{}, map[netip.Prefix]StaticRoute{}}
	var now time.Duration
	packets := map[uint32]uint64{}
	seen, used := map[uint32]uint64{}, map[uint32]time.Duration{} // by tally

	addr := func(f intf.Family, first byte) netip.Addr {
		if f == intf.Inet {
			return netip.AddrFrom4([4]byte{first, 1, 0, byte(next(4))})
		}
		return netip.AddrFrom16([16]byte{0: first, 1: 0x0e, 15: byte(next(4))})
	}
	source := func(f intf.Family) netip.Addr {
		if f == intf.Inet {
			return addr(f, 10)
		}
		return addr(f, 0x20)
	}
	group := func(f intf.Family) netip.Addr {
		if f == intf.Inet {
			return addr(f, 239)
		}
		return addr(f, 0xff)
	}
	key := func(f intf.Family) GroupKey {
		g := group(f)
		n := g.BitLen()
		if next(2) == 0 {
			p, err := g.Prefix(n - next(4))
			must(t, err)
			return GroupKey{Group: p}
		}
		p, err := source(f).Prefix(n - next(4))
		must(t, err)
		return GroupKey{Group: netip.PrefixFrom(g, n), Source: p}
	}
	for i := range steps {
		f := intf.Family(next(2))
		now += time.Duration(next(10)) * time.Second
		switch next(10) {
		case 0, 1, 2:
			k := key(f)
			r := GroupRoute{Flood: next(2) == 0, In: intf.Index(next(3)), Local: next(3) == 0}
			for u := range intf.Index(4) {
				if next(2) == 0 {
					r.Out = append(r.Out, u+1)
				}
			}
			must(t, m.SetGroup(Default, k, r))
			o.groups[k] = r
		case 3:
			k := key(f)
			for old := range o.groups {
				if next(2) == 0 {
					k = old
					break
				}
			}
			must(t, m.DeleteGroup(Default, k))
			delete(o.groups, k)
		case 4:
			p, err := group(f).Prefix(group(f).BitLen() - next(3))
			must(t, err)
			if next(2) == 0 {
				must(t, m.DeleteStatic(Default, p))
				delete(o.static, p)
			} else {
				s := StaticRoute{Preference: 5, Action: []Action{ActionDiscard, ActionReceive}[next(2)]}
				must(t, m.SetStatic(Default, p, s))
				o.static[p] = s
			}
		case 5, 6, 7:
			fl := Flow{group(f), source(f)}
			must(t, m.AddFlow(0, fl, now))
			if tally, _, ok := m.Clone(Default, fl); ok {
				if _, had := used[tally]; !had {
					used[tally] = now
				}
			} else if _, report := o.best(fl.Group, fl.Source); report && len(m.byName[Default].mcast.cache.clones) == 0 {
				t.Fatalf("no clone for %v, and the cache is empty", fl)
			}
		case 8:
			for _, c := range m.byName[Default].mcast.cache.clones {
				packets[c.tally] += uint64(next(2))
			}
		case 9:
			want := 0
			for _, c := range m.byName[Default].mcast.cache.clones {
				if packets[c.tally] != seen[c.tally] {
					seen[c.tally], used[c.tally] = packets[c.tally], now
				}
				if now-used[c.tally] < limits.Idle {
					want++
				}
			}
			_, err := m.AgeFlows(now, func(tally uint32) uint64 { return packets[tally] })
			must(t, err)
			if got := m.Cache(Default).Entries; got != want {
				t.Fatalf("%v: %d clones are left, want %d", now, got, want)
			}
			for fl, c := range m.byName[Default].mcast.cache.clones {
				if now-used[c.tally] >= limits.Idle {
					t.Fatalf("%v: the clone of %v is there, used at %v", now, fl, used[c.tally])
				}
			}
		}
		if i%every == 0 {
			checkGroups(t, m, &o, limits)
		}
	}
	// All that goes leaves nothing behind.
	for k := range o.groups {
		must(t, m.DeleteGroup(Default, k))
	}
	must(t, m.LimitCache(Default, CacheLimits{}))
	if n := len(m.byName[Default].mcast.groups); n != 0 {
		t.Fatalf("%d groups are left", n)
	}
	if n := arena.Stats().Tables; n != 1 {
		t.Fatalf("%d tables are left, want the instance's", n)
	}
	if c := m.Cache(Default); c.Entries != 0 || c.Negative != 0 {
		t.Fatalf("the cache holds %+v", c)
	}
}

// checkGroups compares what every packet gets with the oracle, the clones
// included, and the counts of the cache with what it holds.
func checkGroups(t testing.TB, m *Manager, o *groupOracle, limits CacheLimits) {
	t.Helper()
	c := &m.byName[Default].mcast.cache
	if len(c.clones) > limits.Entries {
		t.Fatalf("%d clones, want %d at most", len(c.clones), limits.Entries)
	}
	nowhere := 0
	for _, f := range intf.Families {
		for i := range byte(4) {
			for j := range byte(5) {
				g, s := netip.AddrFrom4([4]byte{239, 1, 0, i}), netip.AddrFrom4([4]byte{10, 1, 0, j})
				if f == intf.Inet6 {
					g, s = netip.AddrFrom16([16]byte{0xff, 0x0e, 15: i}), netip.AddrFrom16([16]byte{0x20, 0x0e, 15: j})
				}
				got, report := plain(follow(m, Default, g, s))
				want, asks := o.best(g, s)
				list := follow(m, Default, g, s).List()
				cl := c.clones[Flow{g, s}]
				if cl != nil {
					asks = false
					if negative(want) {
						nowhere++
					}
				}
				if want.Kind != routing.Multicast && want.Kind != routing.Flood {
					asks = false
				} else if cl != nil && list.Tally != cl.tally {
					t.Fatalf("from %v to %v: counted as %d, want the clone's %d", s, g, list.Tally, cl.tally)
				}
				if got != want || report != asks {
					t.Fatalf("from %v to %v: %v %v reported %v, want %v %v reported %v", s, g, got, got.List(), report, want, want.List(), asks)
				}
			}
		}
	}
	if got := m.Cache(Default); got.Negative != nowhere {
		t.Fatalf("%d of %d clones lead nowhere, and the cache says %d", nowhere, len(c.clones), got.Negative)
	}
}

// TestGroupsAgainstOracle: whatever comes and goes, packets get the longest match
// of destination and source concatenated, clones do what their parents do, and
// the cache is what it is said to be.
func TestGroupsAgainstOracle(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 11))
		groupWorld(t, r.IntN, 250, 1)
	}
}

func FuzzGroups(f *testing.F) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		next := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			v := int(b[0]) % n
			b = b[1:]
			return v
		}
		groupWorld(t, next, min(len(b)/3, 200), 16)
	})
}

func groupsOf(t testing.TB, m *Manager) []string {
	t.Helper()
	var list []string
	for _, f := range intf.Families {
		m.Flows(Default, f, netip.Addr{}, netip.Addr{}, func(g netip.Addr, e routing.Entry) bool {
			list = append(list, fmt.Sprint(g, " ", e.Prefix, " ", e.Source, " ", e.NextHop.List().Out))
			return true
		})
	}
	return list
}

// TestClones is the life of a clone, step by step.
func TestClones(t *testing.T) {
	m := newManager(t)
	must(t, m.LimitCache(Default, CacheLimits{Entries: 4, Idle: 10 * time.Second}))
	any := GroupKey{Group: pfx("239.0.0.0/8")}
	must(t, m.SetGroup(Default, any, GroupRoute{Out: []intf.Index{1}}))
	fl := Flow{ip("239.1.1.1"), ip("10.0.0.1")}
	packets := map[uint32]uint64{}
	age := func(at time.Duration) time.Duration {
		next, err := m.AgeFlows(at, func(tally uint32) uint64 { return packets[tally] })
		must(t, err)
		return next
	}
	expect := func(want ...string) {
		t.Helper()
		if got := groupsOf(t, m); !slices.Equal(got, want) {
			t.Fatalf("flows are %q, want %q", got, want)
		}
	}

	expect()
	must(t, m.AddFlow(0, fl, 0))
	must(t, m.AddFlow(0, fl, 0))
	expect("239.1.1.1 10.0.0.1/32 clone [1]")

	// It changes with its parent, with a nearer one, and back.
	must(t, m.SetGroup(Default, any, GroupRoute{Out: []intf.Index{2}}))
	expect("239.1.1.1 10.0.0.1/32 clone [2]")
	near := GroupKey{Group: pfx("239.1.0.0/16")}
	must(t, m.SetGroup(Default, near, GroupRoute{Out: []intf.Index{1, 2}}))
	expect("239.1.1.1 10.0.0.1/32 clone [1 2]")
	from := GroupKey{Group: pfx("239.1.1.1/32"), Source: pfx("10.0.0.0/24")}
	must(t, m.SetGroup(Default, from, GroupRoute{Out: []intf.Index{1}}))
	expect("239.1.1.1 10.0.0.0/24 user [1]", "239.1.1.1 10.0.0.1/32 clone [1]")
	must(t, m.DeleteGroup(Default, from))
	must(t, m.DeleteGroup(Default, near))
	expect("239.1.1.1 10.0.0.1/32 clone [2]")

	// A route of its own takes its place, and its counters start anew.
	own := GroupKey{Group: pfx("239.1.1.1/32"), Source: pfx("10.0.0.1/32")}
	must(t, m.SetGroup(Default, own, GroupRoute{Out: []intf.Index{1}}))
	expect("239.1.1.1 10.0.0.1/32 user [1]")
	must(t, m.AddFlow(0, fl, 0))
	expect("239.1.1.1 10.0.0.1/32 user [1]")
	must(t, m.DeleteGroup(Default, own))
	expect()

	// It lives while packets come.
	must(t, m.AddFlow(0, fl, 0))
	tally, _, _ := m.Clone(Default, fl)
	packets[tally] = 1
	if next := age(9 * time.Second); next != 10*time.Second {
		t.Errorf("the next is due in %v, want 10s", next)
	}
	if next := age(18 * time.Second); next != time.Second {
		t.Errorf("the next is due in %v, want 1s", next)
	}
	expect("239.1.1.1 10.0.0.1/32 clone [2]")
	if next := age(19 * time.Second); next != 0 {
		t.Errorf("the next is due in %v, want none", next)
	}
	expect()

	// A parent that goes leaves a clone of what is above it: nothing.
	must(t, m.AddFlow(0, fl, 0))
	must(t, m.DeleteGroup(Default, any))
	expect("239.1.1.1 10.0.0.1/32 clone []")
	if got := m.Cache(Default); got != (CacheStats{Entries: 1, Negative: 1}) {
		t.Errorf("the cache is %+v", got)
	}
}

// TestCacheIsBounded: flows to random groups end where the cache does, and those
// that have somewhere to go displace those that have not.
func TestCacheIsBounded(t *testing.T) {
	m := newManager(t)
	const limit = 64
	must(t, m.LimitCache(Default, CacheLimits{Entries: limit, Idle: time.Minute}))
	r := rand.New(rand.NewPCG(1, 1))
	storm := func(first byte) {
		for range 20000 {
			fl := Flow{
				netip.AddrFrom4([4]byte{first, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}),
				netip.AddrFrom4([4]byte{10, 0, byte(r.Uint32()), byte(r.Uint32())}),
			}
			must(t, m.AddFlow(0, fl, 0))
		}
	}
	storm(238)
	if got := m.Cache(Default); got.Entries != limit/2 || got.Negative != limit/2 || got.Refused == 0 {
		t.Errorf("after a storm to nowhere the cache is %+v", got)
	}
	before := m.arena.Stats().Used
	storm(238)
	if now := m.arena.Stats().Used; now != before {
		t.Errorf("a second storm grows the tables from %d to %d octets", before, now)
	}
	must(t, m.SetGroup(Default, GroupKey{Group: pfx("239.0.0.0/8")}, GroupRoute{Out: []intf.Index{1}}))
	storm(239)
	if got := m.Cache(Default); got.Entries != limit || got.Negative != 0 {
		t.Errorf("after a storm to somewhere the cache is %+v", got)
	}
	must(t, m.LimitCache(Default, CacheLimits{Entries: 5, Idle: time.Minute}))
	if got := m.Cache(Default); got.Entries != 5 {
		t.Errorf("a smaller cache holds %+v", got)
	}
	if n := len(m.byName[Default].mcast.groups); n > 5 {
		t.Errorf("%d groups are left of 5 flows", n)
	}
}

func TestGroupKeysThatAreNone(t *testing.T) {
	m := newManager(t)
	for _, k := range []GroupKey{
		{},
		{Group: pfx("10.0.0.0/8")},
		{Group: pfx("224.0.0.0/3")},
		{Group: pfx("fe00::/7")},
		{Group: netip.PrefixFrom(ip("239.1.1.1"), 8)},
		{Group: pfx("239.0.0.0/8"), Source: pfx("10.0.0.0/8")},
		{Group: pfx("239.1.1.1/32"), Source: pfx("2001:db8::/64")},
		{Group: pfx("239.1.1.1/32"), Source: netip.PrefixFrom(ip("10.0.0.1"), 8)},
	} {
		if err := m.SetGroup(Default, k, GroupRoute{}); err == nil {
			t.Errorf("%v is taken for a route of groups", k)
		}
	}
	k := GroupKey{Group: pfx("239.1.1.1/32"), Source: pfx("10.0.0.0/8")}
	if err := m.SetGroup("blue", k, GroupRoute{}); err == nil {
		t.Error("an instance that isn't there has a route")
	}
	if err := m.SetGroup(Default, k, GroupRoute{Out: []intf.Index{1, 1}}); err == nil {
		t.Error("two copies go to one unit")
	}
	if err := m.SetGroup(Default, k, GroupRoute{Out: make([]intf.Index, routing.MaxCopies+1)}); err == nil {
		t.Error("there are more copies than can be")
	}
	must(t, m.DeleteGroup("blue", k))
	must(t, m.DeleteGroup(Default, k))
	if n := len(m.byName[Default].mcast.groups); n != 0 {
		t.Errorf("%d groups come of routes that were refused", n)
	}
}

// An instance goes with all its groups.
func TestDeleteInstanceWithGroups(t *testing.T) {
	m := newManager(t)
	must(t, m.AddInstance("red", 3))
	must(t, m.LimitCache("red", CacheLimits{Entries: 10, Idle: time.Minute}))
	must(t, m.SetGroup("red", GroupKey{Group: pfx("239.1.1.1/32"), Source: pfx("10.0.0.0/8")}, GroupRoute{Out: []intf.Index{1}}))
	must(t, m.AddFlow(3, Flow{ip("ff0e::1"), ip("2001:db8::1")}, 0))
	must(t, m.DeleteInstance("red"))
	must(t, m.AddFlow(3, Flow{ip("ff0e::1"), ip("2001:db8::1")}, 0))
	if n := m.arena.Stats().Tables; n != 1 {
		t.Errorf("%d tables are left, want 1", n)
	}
	must(t, m.AddInstance("red", 3))
	if got := m.Cache("red"); got != (CacheStats{}) {
		t.Errorf("a new instance has %+v", got)
	}
}
