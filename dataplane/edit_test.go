package dataplane

import (
	"fmt"
	"net/netip"
	"testing"

	"router/intf"
)

// TestCommitCostFollowsTheChange counts what a commit of one unit allocates
// beside ten others and beside ten thousand.
func TestCommitCostFollowsTheChange(t *testing.T) {
	cost := func(units int) float64 {
		x := newWorld(t, worldConfig())
		tx := x.e.Edit()
		for i := range units {
			tx.SetUnit(x.numberedUnit(i))
		}
		tx.Commit()
		return testing.AllocsPerRun(50, func() {
			tx := x.e.Edit()
			tx.SetUnit(x.numberedUnit(units / 2))
			tx.Commit()
		})
	}
	few, many := cost(10), cost(10000)
	// The paths are one level longer, or two.
	if many > 2*few {
		t.Errorf("%v allocations with 10 units, %v with 10,000", few, many)
	}
}

// numberedUnit is unit 1000+i, with tags of its own on port c.
func (x *world) numberedUnit(i int) Unit {
	tags := []uint16{0x88a8, uint16(1 + i/4000), 0x8100, uint16(1 + i%4000)}
	return x.unit(intf.Index(1000+i), "c", tags, routerC, 0, 1500, fmt.Sprintf("10.%d.%d.1", 100+i>>8, i&255))
}

func TestAddressSet(t *testing.T) {
	var addrs []netip.Addr
	for i := range 300 {
		addrs = append(addrs, addrFrom4(uint32(i)*7919), addrFrom6(uint64(i%3), uint64(i)*7919))
	}
	s := newAddressSet(addrs)
	for i := range uint32(3000) {
		in := i%7919 == 0 && i/7919 < 300
		if s.has4(i) != in || s.has4(i*7919) != (i < 300) {
			t.Fatalf("IPv4 %d is wrong", i)
		}
		for hi := range uint64(4) {
			if s.has6(hi, uint64(i)*7919) != (i < 300 && uint64(i%3) == hi) {
				t.Fatalf("IPv6 %d %d is wrong", hi, i)
			}
		}
	}
	if none := newAddressSet(nil); none.has4(0) || none.has6(0, 0) {
		t.Error("the empty set has something")
	}
}

func TestManyUnitsAreDemultiplexed(t *testing.T) {
	x := newWorld(t, worldConfig())
	tx := x.e.Edit()
	for i := range 10000 {
		tx.SetUnit(x.numberedUnit(i))
	}
	tx.Commit()
	tx = x.e.Edit()
	for i := 0; i < 10000; i += 2 {
		tx.DeleteUnit(intf.Index(1000 + i))
	}
	tx.Commit()
	for _, i := range []int{0, 1, 2, 4999, 5000, 9998, 9999} {
		u := x.numberedUnit(i)
		p := ip4{src: "10.1.1.1", dst: "224.0.0.5", payload: data(30)}
		frame := eth(intf.MAC{1, 0, 0x5e, 0, 0, 5}, hostC, []uint16{u.VLAN.OuterTPID, u.VLAN.OuterID, u.VLAN.InnerTPID, u.VLAN.InnerID}, 0x800, p.bytes())
		want := step{in: "c", frame: frame, drop: "unknown-tag"}
		if i%2 == 1 {
			want = step{in: "c", frame: frame, host: toHost(u.Index, intf.Inet, p.bytes())}
		}
		x.check(want)
	}
}

func TestUnitsSwapTheirTags(t *testing.T) {
	x := newWorld(t, worldConfig())
	tx := x.e.Edit()
	tx.SetUnit(x.unit(unitC, "c", tagQ, routerC, 0, 1500, "203.0.113.1"))
	tx.SetUnit(x.unit(unitQ, "c", tagC, routerC, 0, 1500, "10.4.0.1"))
	tx.Commit()
	p := ip4{src: "203.0.113.10", dst: "203.0.113.1", payload: data(30)}
	x.check(step{in: "c", frame: eth(routerC, hostC, tagQ, 0x800, p.bytes()), host: toHost(unitC, intf.Inet, p.bytes())})
	x.check(step{in: "c", frame: eth(routerC, hostC, tagC, 0x800, p.bytes()), host: toHost(unitQ, intf.Inet, p.bytes())})
}

func TestUncommittedEditChangesNothing(t *testing.T) {
	x := newWorld(t, worldConfig())
	before := x.e.snapshot.Load()
	tx := x.e.Edit()
	tx.DeleteUnit(unitA)
	tx.DeleteInstance(0)
	if x.e.snapshot.Load() != before {
		t.Error("an edit was seen before its commit")
	}
	tx = x.e.Edit()
	tx.DeleteUnit(4711)
	tx.DeleteInstance(4711)
	tx.Commit()
	p := ip4{src: "192.0.2.10", dst: "192.0.2.1", payload: data(30)}
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), host: toHost(unitA, intf.Inet, p.bytes())})
}

func TestInstanceSourceFollowsItsUnits(t *testing.T) {
	x := newWorld(t, worldConfig())
	source := func() string {
		r := x.e.snapshot.Load().instances.at(0)
		if !r.source[intf.Inet].IsValid() {
			return "none"
		}
		return r.source[intf.Inet].String()
	}
	remove := func(i intf.Index) {
		tx := x.e.Edit()
		tx.DeleteUnit(i)
		tx.Commit()
	}
	set := func(u Unit) {
		tx := x.e.Edit()
		tx.SetUnit(u)
		tx.Commit()
	}
	for _, s := range []struct {
		name string
		do   func()
		want string
	}{
		{"the first unit's", func() {}, "192.0.2.1"},
		{"another unit changes nothing", func() { remove(unitB) }, "192.0.2.1"},
		{"the owner goes: the next by index", func() { remove(unitA) }, "203.0.113.1"},
		{"the owner gets another address", func() { set(x.unit(unitC, "c", tagC, routerC, 0, 1500, "203.0.113.7")) }, "203.0.113.7"},
		{"the owner moves to another instance", func() { set(x.unit(unitC, "c", tagC, routerC, 1, 1500, "203.0.113.7")) }, "10.4.0.1"},
		{"nobody is left", func() { remove(unitQ) }, "none"},
		{"somebody comes", func() { set(x.unit(unitB, "b", nil, routerB, 0, 1500, "198.51.100.1")) }, "198.51.100.1"},
	} {
		s.do()
		if got := source(); got != s.want {
			t.Errorf("%s: %s, want %s", s.name, got, s.want)
		}
	}
}

// BenchmarkCommit measures the change of one address among 10,000 units.
func BenchmarkCommit(b *testing.B) {
	x := newWorld(b, worldConfig())
	tx := x.e.Edit()
	for i := range 10000 {
		tx.SetUnit(x.numberedUnit(i))
	}
	tx.Commit()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tx := x.e.Edit()
		tx.SetUnit(x.numberedUnit(i % 10000))
		tx.Commit()
	}
}
