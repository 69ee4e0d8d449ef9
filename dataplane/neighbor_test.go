package dataplane

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"router/intf"
	"router/routing"
)

func unresolvedPunt(egress intf.Index, addr string, from intf.Index, originated bool, etherType int, l3 []byte) []string {
	return []string{fmt.Sprintf("unresolved %d %v from %d %v %04x %x", egress, ip(addr), from, originated, etherType, l3)}
}

func TestUnresolvedIsPuntedAndReleased(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := ip4{src: "192.0.2.10", dst: "203.0.113.99", payload: data(30)}
	sent := p
	sent.ttl = 63
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), punts: unresolvedPunt(unitC, "203.0.113.99", unitA, false, 0x800, sent.bytes())})

	// The neighbour answers: the control plane releases what it kept.
	x.e.SetAdjacency(unitC, ip("203.0.113.99"), hostC, false)
	if err := x.e.SendUnit(x.last.IfIndex, x.last.EtherType, hostC, x.packet); err != nil {
		t.Fatal(err)
	}
	want := []string{frameOut("c", eth(hostC, routerC, tagC, 0x800, sent.bytes()))}
	x.run()
	x.expect(step{out: want}, x.drops())
	// From now on packets pass without it.
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: want})

	x.e.ClearAdjacency(unitC, ip("203.0.113.99"))
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), punts: unresolvedPunt(unitC, "203.0.113.99", unitA, false, 0x800, sent.bytes())})

	// The neighbour does not answer: the source is told.
	before := x.drops()
	if err := x.e.Reject(x.packet, x.last.From, routing.RejectHost); err != nil {
		t.Fatal(err)
	}
	x.run()
	x.expect(step{drop: "unresolved", out: []string{frameOut("a", eth4(hostA, routerA,
		ip4{src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, 1, 0, sent.bytes())}))}}, before)
}

func TestUnresolvedGateway(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.77")})
	p := ip4{src: "192.0.2.10", dst: "10.9.9.9", payload: data(30)}
	sent := p
	sent.ttl = 63
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), punts: unresolvedPunt(unitB, "198.51.100.77", unitA, false, 0x800, sent.bytes())})
	x.e.SetAdjacency(unitB, ip("198.51.100.77"), hostD, false)
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: []string{frameOut("b", eth4(hostD, routerB, sent))}})
}

func TestUnresolvedFragments(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := ip4{src: "192.0.2.10", dst: "198.51.100.99", payload: data(1400)}
	first, rest := p, p
	first.ttl, first.mf, first.payload = 63, true, p.payload[:1256]
	rest.ttl, rest.offset, rest.payload = 63, 1256, p.payload[1256:]
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), punts: append(
		unresolvedPunt(unitB, "198.51.100.99", unitA, false, 0x800, first.bytes()),
		unresolvedPunt(unitB, "198.51.100.99", unitA, false, 0x800, rest.bytes())...)})
}

func TestStaleUseIsReportedOnce(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	sent := p
	sent.ttl = 63
	quiet := step{in: "a", frame: eth4(routerA, hostA, p), out: []string{frameOut("b", eth4(hostB, routerB, sent))}}
	reported := quiet
	reported.punts = []string{fmt.Sprintf("stale %d 198.51.100.10", unitB)}
	x.check(quiet)
	x.e.SetAdjacency(unitB, ip("198.51.100.10"), hostB, true)
	x.check(reported)
	x.check(quiet)
	// A change of the unit is no new state of the neighbour.
	tx := x.e.Edit()
	tx.SetUnit(x.unit(unitB, "b", nil, routerB, 0, 1290, "198.51.100.1"))
	tx.Commit()
	x.check(quiet)
	x.e.SetAdjacency(unitB, ip("198.51.100.10"), hostB, true)
	x.check(reported)
	x.e.SetAdjacency(unitB, ip("198.51.100.10"), hostB, true)
	x.e.SetAdjacency(unitB, ip("198.51.100.10"), hostB, false)
	x.check(quiet)
}

func TestAdjacencyBeforeItsUnit(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.e.SetAdjacency(99, ip("198.18.0.10"), hostD, false)
	x.route(0, "198.18.0.10/32", routing.NextHop{Kind: routing.Forward, IfIndex: 99, Gateway: ip("198.18.0.10")})
	p := ip4{src: "192.0.2.10", dst: "198.18.0.10", payload: data(30)}
	sent := p
	sent.ttl = 63
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), drop: "egress-down"})
	tx := x.e.Edit()
	tx.SetUnit(x.unit(99, "d", []uint16{0x8100, 99}, routerD, 0, 1500))
	tx.Commit()
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: []string{frameOut("d", eth(hostD, routerD, []uint16{0x8100, 99}, 0x800, sent.bytes()))}})
}

func TestNextHopIdsAreReusedAfterAGracePeriod(t *testing.T) {
	x := newWorld(t, worldConfig())
	e, w := x.e, x.e.workers[0]
	const id = 500
	e.SetNextHop(id, routing.NextHop{Kind: routing.Discard}, 0)
	w.reader.Unpark() // a worker in the middle of a batch
	e.DeleteNextHop(id)
	if nh := e.nexthops.at(id); nh == nil || nh.kind != routing.Discard {
		t.Fatal("the record went before its readers had passed")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.SetNextHop(id, routing.NextHop{Kind: routing.Receive}, 0)
	}()
	time.Sleep(10 * time.Millisecond) // plenty for somebody who does not wait
	if nh := e.nexthops.at(id); nh == nil || nh.kind != routing.Discard {
		t.Fatal("the id took its new meaning while a worker had the old one in hand")
	}
	w.reader.Park()
	<-done
	if nh := e.nexthops.at(id); nh == nil || nh.kind != routing.Receive {
		t.Fatal("the id has not got its new meaning")
	}
	e.DeleteNextHop(id)
	e.DeleteNextHop(id)
	e.DeleteNextHop(id + 1)
	if e.nexthops.limbo.Len() > 1 {
		t.Fatal("an id was deleted twice")
	}
}

func TestAdjacenciesGoWithTheirLastUser(t *testing.T) {
	x := newWorld(t, worldConfig())
	e := x.e
	before := e.adjacencies.count
	addr := ip("198.51.100.200")
	nh := routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: addr}
	e.SetNextHop(900, nh, 0)
	e.SetAdjacency(unitB, addr, hostB, false)
	e.DeleteNextHop(900)
	if e.adjacencies.find(keyOf(unitB, addr)) == nil {
		t.Error("a known neighbour was forgotten with the last route")
	}
	e.ClearAdjacency(unitB, addr)
	if e.adjacencies.find(keyOf(unitB, addr)) != nil || e.adjacencies.count != before {
		t.Error("an adjacency that nothing needs is still there")
	}
	e.ClearAdjacency(unitB, addr)
	e.SetAdjacency(unitB, addr, intf.MAC{}, false)
	if e.adjacencies.count != before {
		t.Error("clearing made an adjacency")
	}
}

func TestAdjacencyTableGrowsAndShrinks(t *testing.T) {
	table := newAdjacencyTable()
	var all []*adjacency
	for i := range 5000 {
		a := &adjacency{key: adjacencyKey{intf.Index(i % 7), notIPv6, uint64(i)}}
		all = append(all, a)
		table.insert(a)
	}
	for i, a := range all {
		if i%3 == 0 {
			table.remove(a)
		}
	}
	for i, a := range all {
		if got := table.find(a.key); (got == a) != (i%3 != 0) {
			t.Fatalf("adjacency %d: found %v", i, got)
		}
	}
	if table.count != 5000-1667 {
		t.Errorf("%d are left", table.count)
	}
}

func TestNextHopTableManyIds(t *testing.T) {
	x := newWorld(t, worldConfig())
	for id := routing.NextHopID(1000); id < 3000; id++ {
		x.e.SetNextHop(id, routing.NextHop{Kind: routing.Lookup, Instance: uint32(id)}, 0)
	}
	var bad []uint32
	for id := uint32(1000); id < 3000; id++ {
		if nh := x.e.nexthops.at(id); nh == nil || nh.instance != id {
			bad = append(bad, id)
		}
	}
	if x.e.nexthops.at(1<<31) != nil || x.e.nexthops.at(0) != nil {
		t.Error("an id that nobody set has a record")
	}
	if !slices.Equal(bad, nil) {
		t.Errorf("wrong records: %v", bad)
	}
}
