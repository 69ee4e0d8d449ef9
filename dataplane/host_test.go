package dataplane

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"router/dataplane/memport"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

func TestOriginate(t *testing.T) {
	mcast6 := ip6{src: "fe80::a", dst: "ff02::5", hops: 1, next: 89, payload: data(30)}
	for _, c := range []struct {
		name     string
		instance uint32
		from     intf.Index
		l3       []byte
		want     step
	}{
		{"to a neighbour on another unit, TTL untouched", 0, unitA, ip4{src: "192.0.2.1", dst: "198.51.100.10", ttl: 1, payload: data(30)}.bytes(),
			step{out: []string{frameOut("b", eth4(hostB, routerB, ip4{src: "192.0.2.1", dst: "198.51.100.10", ttl: 1, payload: data(30)}))}}},
		{"in another instance", 1, unitD, ip4{src: "192.0.2.1", dst: "192.0.2.10", payload: data(30)}.bytes(),
			step{out: []string{frameOut("d", eth4(hostD, routerD, ip4{src: "192.0.2.1", dst: "192.0.2.10", payload: data(30)}))}}},
		{"multicast leaves by the host's choice", 0, unitC, ip4{src: "203.0.113.1", dst: "224.0.0.5", ttl: 1, proto: 89, payload: data(30)}.bytes(),
			step{out: []string{frameOut("c", eth(intf.MAC{1, 0, 0x5e, 0, 0, 5}, routerC, tagC, 0x800, ip4{src: "203.0.113.1", dst: "224.0.0.5", ttl: 1, proto: 89, payload: data(30)}.bytes()))}}},
		{"IPv6 multicast", 0, unitA, mcast6.bytes(), step{out: []string{frameOut("a", eth6(intf.MAC{0x33, 0x33, 0, 0, 0, 5}, routerA, mcast6))}}},
		{"limited broadcast", 0, unitA, ip4{src: "0.0.0.0", dst: "255.255.255.255", payload: data(30)}.bytes(),
			step{out: []string{frameOut("a", eth4(intf.Broadcast, routerA, ip4{src: "0.0.0.0", dst: "255.255.255.255", payload: data(30)}))}}},
		{"subnet broadcast of another unit", 0, unitA, ip4{src: "192.0.2.1", dst: "198.51.100.255", payload: data(30)}.bytes(),
			step{out: []string{frameOut("b", eth4(intf.Broadcast, routerB, ip4{src: "192.0.2.1", dst: "198.51.100.255", payload: data(30)}))}}},
		{"link-local neighbour on the host's unit", 0, unitA, ip6{src: "fe80::a", dst: "fe80::1:a", payload: data(30)}.bytes(),
			step{out: []string{frameOut("a", eth6(hostA, routerA, ip6{src: "fe80::a", dst: "fe80::1:a", payload: data(30)}))}}},
		{"link-local neighbour that is unknown", 0, unitB, ip6{src: "fe80::b", dst: "fe80::77", payload: data(30)}.bytes(),
			step{punts: unresolvedPunt(unitB, "fe80::77", unitB, true, 0x86dd, ip6{src: "fe80::b", dst: "fe80::77", payload: data(30)}.bytes())}},
		{"unresolved neighbour", 0, unitA, ip4{src: "192.0.2.1", dst: "203.0.113.99", payload: data(30)}.bytes(),
			step{punts: unresolvedPunt(unitC, "203.0.113.99", unitA, true, 0x800, ip4{src: "192.0.2.1", dst: "203.0.113.99", payload: data(30)}.bytes())}},
		{"no route: the error goes back to the host", 0, unitA, ip4{src: "192.0.2.1", dst: "8.8.8.8", payload: data(30)}.bytes(),
			step{drop: "reject-route", host: toHost(unitA, intf.Inet, ip4{src: "192.0.2.1", dst: "192.0.2.1", proto: 1, tos: 0xc0, id: 1,
				payload: icmp4(3, 0, 0, ip4{src: "192.0.2.1", dst: "8.8.8.8", payload: data(30)}.bytes())}.bytes())}},
		{"a unit without addresses borrows the instance's", 0, unitN, ip4{src: "198.51.100.1", dst: "8.8.8.8", payload: data(30)}.bytes(),
			step{drop: "reject-route", host: toHost(unitN, intf.Inet, ip4{src: "192.0.2.1", dst: "198.51.100.1", proto: 1, tos: 0xc0, id: 1,
				payload: icmp4(3, 0, 0, ip4{src: "198.51.100.1", dst: "8.8.8.8", payload: data(30)}.bytes())}.bytes())}},
		{"garbage", 0, unitA, data(50), step{drop: "bad-version"}},
		{"nothing", 0, unitA, nil, step{drop: "truncated"}},
		{"instance that does not exist", 9, unitA, ip4{src: "192.0.2.1", dst: "198.51.100.10", payload: data(30)}.bytes(), step{drop: "no-instance"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			if err := x.e.Originate(c.instance, c.from, c.l3); err != nil {
				t.Fatal(err)
			}
			x.run()
			x.expect(c.want, nil)
		})
	}
}

func TestOriginateErrors(t *testing.T) {
	x := newWorld(t, worldConfig())
	l3 := ip4{src: "192.0.2.1", dst: "198.51.100.10"}.bytes()
	if err := x.e.Originate(0, 77, l3); !errors.Is(err, ErrNoUnit) {
		t.Errorf("unknown unit: %v", err)
	}
	if err := x.e.SendUnit(unitA, 0x800, hostA, make([]byte, port.MaxJumbo)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	var err error
	for range controlRing + 1 {
		err = x.e.SendUnit(unitA, 0x800, hostA, l3)
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("full ring: %v", err)
	}
	// What the control plane fills does not keep the host from sending.
	if err := x.e.Originate(0, unitA, l3); err != nil {
		t.Error(err)
	}
	x.run()
	x.collect()
	x.checkAccounts()
}

func TestPartialChecksumsAreCompleted(t *testing.T) {
	whole := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: udp("192.0.2.10", "198.51.100.10", data(33), false)}
	partial := whole
	partial.payload = udp("192.0.2.10", "198.51.100.10", data(33), true)
	sent := func(p ip4) []string {
		p.ttl = 63
		return []string{frameOut("b", eth4(hostB, routerB, p))}
	}
	whole6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", payload: udp("2001:db8:a::10", "2001:db8:a::1", data(33), false)}
	partial6 := whole6
	partial6.payload = udp("2001:db8:a::10", "2001:db8:a::1", data(33), true)
	for _, c := range []struct {
		name     string
		complete bool
		flags    port.Flag
		frame    []byte
		want     step
	}{
		{"a port that may leave them, partial", true, 0, eth4(routerA, hostA, partial), step{out: sent(whole)}},
		{"a port that may leave them, whole", true, 0, eth4(routerA, hostA, whole), step{out: sent(whole)}},
		{"a port that may not: untouched", false, 0, eth4(routerA, hostA, partial), step{out: sent(partial)}},
		{"the driver says so", false, port.PartialChecksum, eth4(routerA, hostA, partial), step{out: sent(whole)}},
		{"for the host", true, 0, eth6(routerA, hostA, partial6), step{host: toHost(unitA, intf.Inet6, whole6.bytes())}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.e.workers[0].rx[0].complete = c.complete
			if !x.queues["a"][0].Push(c.frame, c.flags) {
				t.Fatal("no room")
			}
			x.run()
			x.expect(c.want, nil)
		})
	}
}

func TestICMPErrorsAreLimited(t *testing.T) {
	c := worldConfig()
	c.ICMP, c.ICMPUnit = Rate{10, 6}, Rate{5, 4}
	x := newWorld(t, c)
	flood := func(name string, router, host intf.MAC, src string) int {
		for range 20 {
			x.push(name, eth4(router, host, ip4{src: src, dst: "8.8.8.8", payload: data(30)}))
		}
		x.run()
		return len(x.collect())
	}
	if got := flood("a", routerA, hostA, "192.0.2.10"); got != 4 {
		t.Errorf("one unit's burst: %d errors, want 4", got)
	}
	if got := flood("b", routerB, hostB, "198.51.100.10"); got != 2 {
		t.Errorf("the rest of the router's burst: %d errors, want 2", got)
	}
	x.now += 200 * time.Millisecond
	if got := flood("a", routerA, hostA, "192.0.2.10"); got != 1 {
		t.Errorf("a fifth of a second later: %d errors, want 1", got)
	}
	x.checkAccounts()
}

func TestPuntClassesDoNotStarveEachOther(t *testing.T) {
	c := worldConfig()
	c.Neighbor, c.Unresolved = Rate{1000, 20}, Rate{1000, 10}
	x := newWorld(t, c)
	arp := cat(be16(1), be16(0x800), []byte{6, 4}, be16(1), hostA[:], ip("192.0.2.10").AsSlice(), make([]byte, 6), ip("192.0.2.1").AsSlice())
	for i := range 600 {
		x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: fmt.Sprintf("203.0.113.%d", 100+i%100), payload: data(30)}))
	}
	for range 30 {
		x.push("a", eth(intf.Broadcast, hostA, nil, 0x806, arp))
	}
	x.run()
	x.collect()
	neighbors := 0
	for _, p := range x.punts {
		if p[:8] == "neighbor" {
			neighbors++
		}
	}
	if neighbors != 20 || len(x.punts) != 30 {
		t.Errorf("%d neighbour messages among %d punts, want 20 of 30", neighbors, len(x.punts))
	}
	if d := x.drops(); d["punt-policed"] != 590 || d["local-policed"] != 10 {
		t.Errorf("drops: %v", d)
	}
	x.checkAccounts()
}

func TestFullPuntRingIsACountedDrop(t *testing.T) {
	c := worldConfig()
	c.Unresolved = Rate{1e6, 1e6}
	x := newWorld(t, c)
	for range 1000 {
		x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "203.0.113.99", payload: data(30)}))
	}
	x.run()
	x.collect()
	if d := x.drops(); len(x.punts) != 512 || d["punt-full"] != 488 {
		t.Errorf("%d punts, drops %v", len(x.punts), d)
	}
	x.checkAccounts()
}

func TestCounters(t *testing.T) {
	x := newWorld(t, worldConfig())
	good := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "203.0.113.10", payload: data(100)})
	bad := append([]byte(nil), good...)
	bad[24]++
	group := eth4(intf.MAC{1, 0, 0x5e, 0, 0, 5}, hostA, ip4{src: "192.0.2.10", dst: "224.0.0.5", payload: data(30)})
	bcast := eth4(intf.Broadcast, hostA, ip4{src: "192.0.2.10", dst: "255.255.255.255", payload: data(30)})
	frames := [][]byte{good, good, bad, group, bcast,
		eth(routerA, hostA, nil, 0x88cc, data(50)),
		eth4(hostB, hostA, ip4{src: "192.0.2.10", dst: "203.0.113.10", payload: data(100)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "240.0.0.1", payload: data(100)})}
	octets := uint64(0)
	for _, f := range frames {
		octets += uint64(len(f))
		x.push("a", f)
	}
	if err := x.e.SendUnit(unitC, 0x806, intf.Broadcast, data(28)); err != nil {
		t.Fatal(err)
	}
	x.run()
	x.collect()
	x.checkAccounts()
	foreign := uint64(len(good))
	want := Counters{InOctets: octets - foreign, InUnicast: 5, InMulticast: 1, InBroadcast: 1, InDiscards: 2, InErrors: 1, InUnknownProtos: 1}
	if got, ok := x.e.UnitCounters(unitA); !ok || got != want {
		t.Errorf("unit a\n got  %+v\n want %+v", got, want)
	}
	want.InOctets = octets
	if got, ok := x.e.PortCounters(x.ports["a"]); !ok || got != want {
		t.Errorf("port a\n got  %+v\n want %+v", got, want)
	}
	want = Counters{OutOctets: 2*uint64(len(good)+4) + 60, OutUnicast: 2, OutBroadcast: 1}
	if got, ok := x.e.UnitCounters(unitC); !ok || got != want {
		t.Errorf("unit c\n got  %+v\n want %+v", got, want)
	}
	if got, ok := x.e.PortCounters(x.ports["c"]); !ok || got != want {
		t.Errorf("port c\n got  %+v\n want %+v", got, want)
	}
	if _, ok := x.e.UnitCounters(99); ok {
		t.Error("a unit that does not exist has counters")
	}
	// The counters of a unit outlive its changes.
	tx := x.e.Edit()
	tx.SetUnit(x.unit(unitC, "c", tagC, routerD, 0, 1400))
	tx.Commit()
	if got, _ := x.e.UnitCounters(unitC); got != want {
		t.Errorf("unit c after a change: %+v", got)
	}
}

func TestFullTransmitQueueIsACountedDrop(t *testing.T) {
	x := newWorld(t, worldConfig())
	queue := memport.New(x.e.Pools()[0], 16)
	id, err := x.e.AddPort("small", []port.Queue{queue}, PortOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x.ports["small"] = id
	tx := x.e.Edit()
	tx.SetUnit(x.unit(50, "small", nil, routerD, 0, 1500))
	tx.Commit()
	x.neighbor(0, 50, hostD, "198.18.0.10")
	for range 100 {
		x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.18.0.10", payload: data(30)}))
	}
	x.run()
	c, _ := x.e.PortCounters(id)
	if d := x.e.Drops(id); c.OutUnicast != 16 || c.OutOctets != 16*64 || c.OutDiscards != 84 || d[DropTxFull] != 84 {
		t.Errorf("counters %+v, drops %v", c, d)
	}
	x.checkAccounts()
}

func TestRemovePort(t *testing.T) {
	x := newWorld(t, worldConfig())
	frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)})
	if err := x.e.RemovePort(x.ports["b"]); err != nil {
		t.Fatal(err)
	}
	if !x.queues["b"][0].Closed() {
		t.Error("the queue is still open")
	}
	if _, ok := x.e.PortCounters(x.ports["b"]); ok {
		t.Error("the port still has counters")
	}
	old := x.ports["b"]
	delete(x.ports, "b")
	x.check(step{in: "a", frame: frame, drop: "egress-down"})
	if err := x.e.SendUnit(unitB, 0x800, hostB, data(50)); err != nil {
		t.Fatal(err)
	}
	x.run()
	x.collect()
	x.checkAccounts()

	// Another port may get the id, but not the unit's packets.
	x.addPort("e", PortOptions{})
	if x.ports["e"] != old {
		t.Errorf("port id %d, want %d again", x.ports["e"], old)
	}
	x.check(step{in: "a", frame: frame, drop: "egress-down"})
	if err := x.e.RemovePort(4711); err != nil {
		t.Errorf("a port that does not exist: %v", err)
	}
	// The unit comes back with a port.
	tx := x.e.Edit()
	tx.SetUnit(x.unit(unitB, "e", nil, routerB, 0, 1280, "198.51.100.1"))
	tx.Commit()
	x.push("a", frame)
	x.run()
	if _, ok := x.queues["e"][0].Pop(nil); !ok {
		t.Error("the unit does not send on its new port")
	}
}

func TestHandedOverFramesDoNotOutliveTheirPort(t *testing.T) {
	c := worldConfig()
	c.Workers = 2
	x := newWorld(t, c)
	if !x.queues["a"][1].Push(eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}), 0) {
		t.Fatal("no room")
	}
	x.e.workers[1].runOnce() // worker 0, who serves port b, has the frame in its ring now
	old := x.ports["b"]
	if err := x.e.RemovePort(old); err != nil {
		t.Fatal(err)
	}
	x.addPort("d", PortOptions{})
	if x.ports["d"] != old {
		t.Fatalf("port id %d, want %d again", x.ports["d"], old)
	}
	x.run()
	if out := x.collect(); len(out) != 0 {
		t.Errorf("a frame left by a port that took the id over: %v", out)
	}
	if s := x.e.Totals(); s.Sent != 1 && s.Dropped != 1 {
		t.Errorf("the frame is not accounted for: %+v", s)
	}
}

func TestPortErrorIsReportedOnce(t *testing.T) {
	x := newWorld(t, worldConfig())
	reports := make(chan error, 4)
	x.e.OnPortError(func(id PortID, err error) {
		if id != x.ports["b"] {
			t.Errorf("port %d failed", id)
		}
		reports <- err
	})
	x.queues["b"][0].Fail(fmt.Errorf("ge1: %w", port.ErrGone))
	x.run()
	if err := <-reports; !errors.Is(err, port.ErrGone) {
		t.Errorf("reported %v", err)
	}
	x.check(step{in: "a", frame: eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}), drop: "port-gone"})
	if len(reports) != 0 {
		t.Error("reported again")
	}
	if err := x.e.RemovePort(x.ports["b"]); err != nil {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{Workers: -1}, {Workers: 1000}, {Buffers: 1}, {Buffers: 1 << 30}} {
		if e, err := newEngine(c); err == nil {
			t.Errorf("%+v was accepted", c)
			_ = e.Close()
		}
	}
	x := newWorld(t, worldConfig())
	if _, err := x.e.AddPort("none", nil, PortOptions{}); err == nil {
		t.Error("a port without queues was accepted")
	}
	x.e.SetNextHop(0, routing.NextHop{Kind: routing.Discard}, 0)
	if x.e.nexthops.at(0) != nil {
		t.Error("id 0 names a next hop")
	}
}
