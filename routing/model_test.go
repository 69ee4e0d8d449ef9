package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"router/intf"
)

// A world is a Store with an oracle beside it.
type world struct {
	tb     testing.TB
	plane  *plane
	store  *Store
	oracle *oracle
	fibs   map[uint32]*fakeFIB
	// shared are groups whose members change, by number in the scripts.
	shared [4]NextHop
	// feasible are the second FIBs of some.
	feasible map[uint32]*fakeFIB
}

func newWorld(tb testing.TB) *world {
	p := newPlane(tb)
	return &world{tb: tb, plane: p, store: NewStore(p.config()), oracle: newOracle(), fibs: map[uint32]*fakeFIB{}, feasible: map[uint32]*fakeFIB{}}
}

func (w *world) addRIB(instance uint32) {
	if w.oracle.routes[instance] != nil {
		return
	}
	w.fibs[instance] = w.plane.fib()
	if _, err := w.store.AddRIB(instance, w.fibs[instance]); err != nil {
		w.tb.Fatal(err)
	}
	w.oracle.routes[instance] = map[Key]Route{}
}

func (w *world) removeRIB(instance uint32) {
	if w.oracle.routes[instance] == nil {
		return
	}
	if err := w.store.RemoveRIB(w.store.RIB(instance)); err != nil {
		w.tb.Fatal(err)
	}
	if n := len(w.fibs[instance].routes); n != 0 {
		w.tb.Errorf("instance %d removed, but its FIB has %d routes", instance, n)
	}
	delete(w.oracle.routes, instance)
	delete(w.fibs, instance)
	delete(w.feasible, instance)
}

// setFeasible gives an instance a second FIB, or takes it away.
func (w *world) setFeasible(instance uint32, on bool) {
	if w.oracle.routes[instance] == nil || on == (w.feasible[instance] != nil) {
		return
	}
	if !on {
		old := w.feasible[instance]
		w.plane.fibs = slices.DeleteFunc(w.plane.fibs, func(f *fakeFIB) bool { return f == old })
		delete(w.feasible, instance)
		if err := w.store.RIB(instance).SetFeasible(nil); err != nil {
			w.tb.Fatal(err)
		}
		return
	}
	f := w.plane.fib()
	f.second = true
	w.feasible[instance] = f
	if err := w.store.RIB(instance).SetFeasible(f); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) set(instance uint32, r Route) {
	if w.oracle.routes[instance] == nil {
		return
	}
	if err := w.store.RIB(instance).Set(r); err != nil {
		w.tb.Fatal(err)
	}
	w.oracle.routes[instance][r.Key] = r
}

func (w *world) delete(instance uint32, k Key) {
	if w.oracle.routes[instance] == nil {
		return
	}
	if err := w.store.RIB(instance).Delete(k); err != nil {
		w.tb.Fatal(err)
	}
	delete(w.oracle.routes[instance], k)
}

func (w *world) setLink(i intf.Index, f intf.Family, up bool) {
	if err := w.store.SetLink(i, f, up); err != nil {
		w.tb.Fatal(err)
	}
	w.oracle.up[link{i, f}] = up
}

// check compares everything that can be seen of the Store with the oracle.
func (w *world) check() {
	w.tb.Helper()
	want := w.oracle.want()
	records, pending := 0, 0
	for instance, routes := range w.oracle.routes {
		rib, fib := w.store.RIB(instance), w.fibs[instance]
		if len(fib.routes) != len(want.active[instance]) {
			w.tb.Errorf("instance %d: FIB has %d prefixes, want %d", instance, len(fib.routes), len(want.active[instance]))
		}
		branches := map[Key]bool{}
		for prefix, r := range want.active[instance] {
			w.checkFeasible(instance, prefix, r, want)
			if w.checkChoice(instance, prefix, want, branches) {
				continue
			}
			hop := w.plane.hops[fib.routes[prefix]]
			if r.NextHop.Kind == Group {
				w.checkGroup(fib.routes[prefix], r.NextHop, want)
				continue
			}
			if hop.nh != r.NextHop {
				w.tb.Errorf("instance %d %v: FIB has %v, want %v", instance, prefix, hop.nh, r.NextHop)
			}
			if got := want.resolved[instance][prefix]; got.Kind == Group {
				w.checkGroup(w.plane.ids[fib.routes[prefix]], got, want)
			} else if hop.nh.Kind == Indirect && hop.via != got {
				w.tb.Errorf("instance %d %v: %v goes through %v, want %v", instance, prefix, hop.nh, hop.via, got)
			}
		}
		var counts [2]Counts
		seen := 0
		for _, f := range intf.Families {
			var last Route
			rib.Walk(f, func(e Entry) bool {
				if seen++; e.Route != routes[e.Key] {
					w.tb.Errorf("instance %d: walk finds %v, want %v", instance, e.Route, routes[e.Key])
				}
				if last.Prefix.IsValid() && cmpPrefix(last.Prefix, e.Prefix) > 0 {
					w.tb.Errorf("walk finds %v after %v", e.Prefix, last.Prefix)
				}
				if last.Prefix == e.Prefix && order(last, e.Route) >= 0 {
					w.tb.Errorf("walk finds %v after %v", e.Route, last)
				}
				last = e.Route
				blocked := e.NextHop.Shared != 0 && !want.alive(e.NextHop, f)
				if e.Usable != want.usable[instance][e.Key] || (!e.Usable || blocked) != (e.Reason != "") {
					w.tb.Errorf("instance %d %+v: usable %v (%s), want %v", instance, e.Route, e.Usable, e.Reason, want.usable[instance][e.Key])
				}
				best := want.active[instance][e.Prefix] == e.Route && e.Usable
				if active := best || branches[e.Key]; e.Active != active {
					w.tb.Errorf("instance %d %v: active %v, want %v", instance, e.Route, e.Active, active)
				}
				waits := e.Source == User && e.Protocol == Static && !e.Usable
				if waits {
					pending++
				}
				if waits == e.Since.IsZero() {
					w.tb.Errorf("instance %d %v: usable %v, pending since %v", instance, e.Route, e.Usable, e.Since)
				}
				counts[f].Routes[e.Source]++
				if best {
					counts[f].Active[e.Source]++
				}
				return true
			})
			if counts[f] != rib.Counts(f) {
				w.tb.Errorf("instance %d: counts %v, want %v", instance, rib.Counts(f), counts[f])
			}
		}
		if seen != len(routes) {
			w.tb.Errorf("instance %d: walk finds %d routes, want %d", instance, seen, len(routes))
		}
		records += len(routes)
	}
	if w.store.Pending() != pending {
		w.tb.Errorf("%d routes are pending, want %d", w.store.Pending(), pending)
	}
	if len(w.plane.used) != len(want.used) {
		w.tb.Errorf("gateways in use %v, want %v", w.plane.used, want.used)
	}
	for nh := range want.used {
		if !w.plane.used[nh] {
			w.tb.Errorf("gateway %v is not in use", nh)
		}
	}
	if n := w.store.records.used(); n != records {
		w.tb.Errorf("%d records for %d routes", n, records)
	}
	if len(w.plane.hops) != w.store.NextHops() {
		w.tb.Errorf("the sink knows %d next hops, the store %d", len(w.plane.hops), w.store.NextHops())
	}
}

// checkChoice reports whether the unit that packets come in by decides at a
// prefix, compares the Choice there with what it should be, and adds the routes
// in it to branches.
func (w *world) checkChoice(instance uint32, prefix netip.Prefix, want want, branches map[Key]bool) bool {
	w.tb.Helper()
	var list []Route
	for k, r := range w.oracle.routes[instance] {
		if k.Prefix == prefix && want.usable[instance][k] {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, order)
	units := map[intf.Index]bool{}
	kept := list[:0]
	for _, r := range list {
		from := r.IfIndex
		if !r.Incoming {
			from = 0
		}
		if !units[0] && !units[from] {
			kept = append(kept, r)
			units[from] = true
		}
	}
	if !kept[0].Incoming || len(kept) == 1 && kept[0].NextHop.Kind == Broadcast {
		return false
	}
	got := w.plane.picks[w.fibs[instance].routes[prefix]]
	if len(got) != len(kept) {
		w.tb.Errorf("instance %d %v: choice of %v, want %v", instance, prefix, got, kept)
		return true
	}
	for i, r := range kept {
		branches[r.Key] = true
		from := r.IfIndex
		if !r.Incoming {
			from = 0
		}
		if nh, _, _ := w.store.NextHop(got[i].ID); nh != r.NextHop || got[i].IfIndex != from {
			w.tb.Errorf("instance %d %v: branch %d is %v for %d, want %v for %d", instance, prefix, i, nh, got[i].IfIndex, r.NextHop, from)
		}
	}
	return true
}

// checkFeasible compares what the second FIB, if there is one, has at a prefix
// whose best route is given.
func (w *world) checkFeasible(instance uint32, prefix netip.Prefix, best Route, want want) {
	w.tb.Helper()
	f := w.feasible[instance]
	if f == nil {
		return
	}
	if len(f.routes) != len(want.active[instance]) {
		w.tb.Errorf("instance %d: second FIB has %d prefixes, want %d", instance, len(f.routes), len(want.active[instance]))
	}
	ways := map[NextHop]bool{}
	add := func(nh NextHop) {
		//exhaustive:ignore the others lead out of no unit
		switch nh.Kind {
		case Forward, Resolve, Indirect:
			ways[nh] = true
		case Group:
			for _, m := range w.oracle.members(nh) {
				if m.NextHop.Kind != Lookup {
					ways[m.NextHop] = true
				}
			}
		}
	}
	if add(best.NextHop); len(ways) > 0 {
		for k, r := range w.oracle.routes[instance] {
			if k.Prefix == prefix && !r.Ignored {
				add(r.NextHop)
			}
		}
	}
	id := f.routes[prefix]
	got := map[NextHop]bool{}
	for _, b := range w.plane.picks[id] {
		nh, _, _ := w.store.NextHop(b.ID)
		got[nh] = true
	}
	if len(got) == 0 {
		nh, _, _ := w.store.NextHop(id)
		if len(ways) <= 1 && nh == best.NextHop {
			return
		}
	}
	if !maps.Equal(got, ways) {
		w.tb.Errorf("instance %d %v: second FIB leads by %v, want %v", instance, prefix, got, ways)
	}
}

// checkGroup compares the buckets of a group with what they would be if the
// group had just been made.
func (w *world) checkGroup(id NextHopID, nh NextHop, want want) {
	w.tb.Helper()
	if got, _, _ := w.store.NextHop(id); got != nh {
		w.tb.Errorf("next hop %d is %v, want %v", id, got, nh)
	}
	var members []member
	var usable []bool
	all := w.oracle.members(nh)
	for _, m := range all {
		members = append(members, member{weight: m.Weight, backup: m.Backup})
		usable = append(usable, want.alive(m.NextHop, nh.Members.family()))
	}
	var buckets []NextHop
	for _, i := range deal(members, usable) {
		buckets = append(buckets, all[i].NextHop)
	}
	if len(buckets) == 0 && nh.Shared != 0 {
		buckets = []NextHop{{Kind: Discard}}
	}
	var got []NextHop
	for _, b := range w.plane.deals[id] {
		got = append(got, w.plane.hops[b].nh)
		if w.plane.hops[b].nh.Kind == Indirect && w.plane.hops[b].via.Kind == 0 {
			w.tb.Errorf("group %d has the unresolved %v", id, w.plane.hops[b].nh)
		}
	}
	if !slices.Equal(got, buckets) {
		w.tb.Errorf("%v: buckets %v, want %v", nh, got, buckets)
	}
	active := map[NextHop]bool{}
	for _, b := range buckets {
		active[b] = true
	}
	for i, m := range w.store.Members(id) {
		if m.Member != all[i] || m.Usable != usable[i] || m.Active != active[m.NextHop] || m.Usable == (m.Reason != "") {
			w.tb.Errorf("%v: member %+v, want %+v usable %v, active %v", nh, m, all[i], usable[i], active[m.NextHop])
		}
	}
}

func cmpPrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// setShared makes shared group i, or changes its members.
func (w *world) setShared(i int, f intf.Family, members []Member) {
	w.tb.Helper()
	var err error
	if nh := w.shared[i]; nh.Kind != 0 {
		err = w.store.SetShared(nh, members)
	} else {
		w.shared[i], err = w.store.NewShared(f, members)
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	w.oracle.shared[w.shared[i]] = members
}

// releaseShared deletes the routes that have shared group i, and gives it up.
func (w *world) releaseShared(i int) {
	w.tb.Helper()
	for instance, routes := range w.oracle.routes {
		for k, r := range routes {
			if r.NextHop == w.shared[i] {
				w.delete(instance, k)
			}
		}
	}
	if err := w.store.ReleaseShared(w.shared[i]); err != nil {
		w.tb.Fatal(err)
	}
	if err := w.store.ReleaseShared(w.shared[i]); err == nil {
		w.tb.Error("a shared group was released twice")
	}
	delete(w.oracle.shared, w.shared[i])
	w.shared[i] = NextHop{}
}

// empty deletes everything, and checks that nothing is left.
func (w *world) empty() {
	w.tb.Helper()
	for instance := range w.oracle.routes {
		w.removeRIB(instance)
	}
	for i, nh := range w.shared {
		if nh.Kind != 0 {
			w.releaseShared(i)
		}
	}
	s := w.store
	if s.discard != nil {
		// What discards stays, once there was a need.
		s.release(s.discard)
		if err := s.settle(); err != nil {
			w.tb.Fatal(err)
		}
	}
	if len(s.choices) != 0 || len(s.feasibles) != 0 {
		w.tb.Errorf("left over: %d choices, %d of second FIBs", len(s.choices), len(s.feasibles))
	}
	if s.nodes.used() != 0 || s.records.used() != 0 || s.NextHops() != 0 || len(s.gateways) != 0 ||
		len(w.plane.hops) != 0 || len(s.hops.links) != 0 || len(s.hops.lookups) != 0 || len(w.plane.used) != 0 {
		w.tb.Errorf("left over: %d nodes, %d records, %d next hops, %d gateways, %d in the sink",
			s.nodes.used(), s.records.used(), s.NextHops(), len(s.gateways), len(w.plane.hops))
	}
}

// play does what the bytes say: a small world of few addresses, so that routes
// meet, cover each other's gateways and go in circles.
func (w *world) play(script []byte) {
	next := func(n int) int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b) % n
	}
	addr := func(v6 bool) netip.Addr {
		if v6 {
			return netip.AddrFrom16([16]byte{0x20, 1, 15: byte(next(8))})
		}
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(next(8))})
	}
	members := func(v6 bool) (list []Member) {
		for range 1 + next(4) {
			m := Member{Weight: uint8(1 + next(3)), Backup: next(3) == 0}
			switch next(4) {
			case 0:
				m.NextHop = NextHop{Kind: Forward, IfIndex: intf.Index(1 + next(3)), Gateway: addr(v6)}
			case 1:
				m.NextHop = NextHop{Kind: Resolve, IfIndex: intf.Index(1 + next(3))}
			default:
				m.NextHop = NextHop{Kind: Indirect, Instance: uint32(next(3)), Gateway: addr(v6)}
			}
			if !slices.ContainsFunc(list, func(o Member) bool { return o.NextHop == m.NextHop }) {
				list = append(list, m)
			}
		}
		list[0].Backup = false
		return list
	}
	route := func() Route {
		v6 := next(4) == 0
		a := addr(v6)
		bits := [...]int{0, a.BitLen() - 3, a.BitLen() - 2, a.BitLen() - 1, a.BitLen(), a.BitLen()}[next(6)]
		p, _ := a.Prefix(bits)
		r := Route{Key: Key{Prefix: p}, Tag: uint32(next(2))}
		if next(3) == 0 {
			r.Source = Source(1 + next(NumSources-1))
			r.IfIndex = intf.Index(next(3))
		} else {
			r.Protocol = Static + Protocol(next(2))
			r.Preference = uint8(next(3))
			if next(4) == 0 {
				r.IfIndex = intf.Index(next(4))
			}
		}
		r.Ignored = next(10) == 0
		r.Incoming = r.IfIndex != 0 && next(3) > 0
		// Recursion is what is interesting: every other next hop is indirect.
		switch kind := [...]Kind{
			Forward, Resolve, Receive, Broadcast, LinkLocal, Reject, Discard, Lookup,
			Indirect, Indirect, Indirect, Indirect, Group, Group, Group, Group,
		}[next(16)]; kind {
		case Forward:
			r.NextHop = NextHop{Kind: kind, IfIndex: intf.Index(1 + next(3)), Gateway: addr(v6)}
		case Resolve, Broadcast:
			r.NextHop = NextHop{Kind: kind, IfIndex: intf.Index(1 + next(3))}
		case Receive:
			r.NextHop = NextHop{Kind: kind, IfIndex: intf.Index(next(3))}
		case LinkLocal, Discard:
			r.NextHop = NextHop{Kind: kind}
		case Reject:
			r.NextHop = NextHop{Kind: kind, Reject: []RejectCode{RejectHost, RejectAdmin, RejectPort}[next(3)]}
		case Lookup:
			r.NextHop = NextHop{Kind: kind, Instance: uint32(next(3))}
		case Indirect:
			r.NextHop = NextHop{Kind: kind, Instance: uint32(next(3)), Gateway: addr(v6)}
		case Group:
			list := members(v6)
			if nh := w.shared[next(4)]; nh.Kind != 0 && nh.Members.family() == intf.FamilyOf(a) && next(2) == 0 {
				r.NextHop = nh
				break
			}
			var err error
			if r.NextHop, err = NewGroup(intf.FamilyOf(a), list); err != nil {
				w.tb.Fatal(err)
			}
		case Choice, Multicast, Flood, BySource: // the first is no route's, the others have their own test
		}
		return r
	}
	w.addRIB(0)
	step := func() {
		switch instance := uint32(next(3)); next(16) {
		case 0:
			w.addRIB(instance)
			if i := next(4); next(6) == 0 && w.shared[i].Kind != 0 {
				w.releaseShared(i)
			} else if f := intf.Family(next(2)); next(4) == 0 {
				w.setShared(i, f, []Member{{NextHop: NextHop{Kind: Lookup, Instance: uint32(next(3))}, Weight: 1}})
			} else {
				w.setShared(i, f, members(next(4) == 0))
			}
		case 1:
			if next(8) == 0 {
				w.removeRIB(instance)
			} else {
				w.addRIB(instance)
			}
		case 2, 3:
			if w.setLink(intf.Index(1+next(3)), intf.Family(next(2)), next(3) > 0); next(8) == 0 {
				w.setFeasible(instance, next(3) > 0)
			}
		case 4, 5, 6, 7:
			// One of the routes that are there, if possible: the n-th in order.
			n := next(16)
			var k Key
			if rib := w.store.RIB(instance); rib != nil {
				rib.Walk(intf.Family(next(2)), func(e Entry) bool { k = e.Key; n--; return n >= 0 })
			}
			w.delete(instance, k)
		default:
			w.set(instance, route())
		}
	}
	for len(script) > 0 {
		before := w.shown()
		clear(w.plane.told)
		if next(5) == 0 {
			n := next(8)
			if err := w.store.Batch(func() error {
				for range n {
					step()
				}
				return nil
			}); err != nil {
				w.tb.Fatal(err)
			}
		} else {
			step()
		}
		w.check()
		w.checkTold(before)
		if w.tb.Failed() {
			w.tb.FailNow()
		}
	}
	w.empty()
}

func TestStoreAgainstOracle(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 1))
		script := make([]byte, 1500)
		for i := range script {
			script[i] = byte(rnd.UintN(256))
		}
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newWorld(t).play(script) })
		if !ok {
			return
		}
	}
}

func FuzzStore(f *testing.F) {
	f.Add([]byte("a route, another, and a gateway between them"))
	f.Add([]byte{1, 0, 9, 1, 1, 4, 0, 1, 0, 0, 8, 0, 2, 1, 0, 9, 1, 2, 4, 0, 1, 0, 0, 8, 0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 300 { // the oracle is slow
			return
		}
		newWorld(t).play(script)
	})
}
