package neighbor

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"router/intf"
)

func TestQueueKeepsTheNewest(t *testing.T) {
	w := newWorld(t, Limits{})
	for i := range 3 {
		w.Resolve(w.now, key("192.0.2.9"), Packet{Token: uint64(i)})
	}
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 3})), "drop 0 neighbor-queue-full")
	w.want(lines(w.Input(w.now, arpReply("192.0.2.9", "192.0.2.1", theirs))),
		"192.0.2.9 reachable 02:00:00:00:00:02",
		"deliver 1 to 02:00:00:00:00:02", "deliver 2 to 02:00:00:00:00:02", "deliver 3 to 02:00:00:00:00:02")
}

func TestPacketLimit(t *testing.T) {
	l := DefaultLimits
	l.Packets = 2
	w := newWorld(t, l)
	w.Resolve(w.now, key("192.0.2.8"), Packet{Token: 1})
	w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 2})
	got := lines(w.Resolve(w.now, key("192.0.2.10"), Packet{Token: 3}))
	w.want(got[len(got)-1:], "drop 3 neighbor-packet-limit")
	w.state("192.0.2.10", Incomplete) // asked for all the same
	w.Input(w.now, arpReply("192.0.2.9", "192.0.2.1", theirs))
	w.want(lines(w.Resolve(w.now, key("192.0.2.10"), Packet{Token: 4})))
}

// RFC 6583: a sweep must not stop what is known, nor what configuration names.
func TestUnresolvedLimit(t *testing.T) {
	l := DefaultLimits
	l.UnresolvedPerUnit = 2
	w := newWorld(t, l)
	w.reach("192.0.2.9")
	w.Resolve(w.now, key("192.0.2.10"), Packet{})
	w.Resolve(w.now, key("192.0.2.11"), Packet{})
	w.want(lines(w.Resolve(w.now, key("192.0.2.12"), Packet{Token: 5})), "drop 5 neighbor-unresolved-limit")
	w.none("192.0.2.12")
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 6})), "deliver 6 to 02:00:00:00:00:02")
	w.Hold(w.now, key("192.0.2.254"))
	w.state("192.0.2.254", Incomplete)
	w.Input(w.now, arpRequest("192.0.2.12", "192.0.2.1", others))
	w.state("192.0.2.12", Stale) // a host that asks for us needs no place among the unresolved
	// An answer makes room, and so does a failure.
	w.Input(w.now, arpReply("192.0.2.10", "192.0.2.1", theirs))
	w.Resolve(w.now, key("192.0.2.13"), Packet{})
	w.state("192.0.2.13", Incomplete)
	w.pass(3 * time.Second)
	w.state("192.0.2.11", Failed)
	w.Resolve(w.now, key("192.0.2.14"), Packet{})
	w.state("192.0.2.14", Incomplete)
}

func TestUnresolvedLimitOverAllUnits(t *testing.T) {
	l := DefaultLimits
	l.Unresolved = 1
	w := newWorld(t, l)
	w.SetInterface(w.now, 8, Interface{MAC: ours, Inet: true})
	w.Resolve(w.now, key("192.0.2.9"), Packet{})
	w.want(lines(w.Resolve(w.now, Key{8, addr("10.0.0.2")}, Packet{Token: 1})), "drop 1 neighbor-unresolved-limit")
}

func TestRateOfNewDestinations(t *testing.T) {
	l := DefaultLimits
	l.UnitRate, l.UnitBurst = 10, 2
	w := newWorld(t, l)
	w.Resolve(w.now, key("192.0.2.9"), Packet{})
	w.Resolve(w.now, key("192.0.2.10"), Packet{})
	w.want(lines(w.Resolve(w.now, key("192.0.2.11"), Packet{Token: 1})), "drop 1 neighbor-rate-limit")
	w.now += 100 * time.Millisecond
	w.Resolve(w.now, key("192.0.2.11"), Packet{Token: 2})
	w.state("192.0.2.11", Incomplete)
	if c := w.Counters(); c.Drops[RateLimit] != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestLearnedLimit(t *testing.T) {
	l := DefaultLimits
	l.LearnedPerUnit = 1
	w := newWorld(t, l)
	w.Input(w.now, arpRequest("192.0.2.9", "192.0.2.1", theirs))
	answer := "send arp-reply 192.0.2.1 is 02:00:00:00:00:01 to 02:00:00:00:00:03"
	w.want(lines(w.Input(w.now, arpRequest("192.0.2.10", "192.0.2.1", others))), answer)
	w.none("192.0.2.10")
	// Once verified, the first is no longer merely learned.
	w.Confirm(w.now, key("192.0.2.9"))
	w.Input(w.now, arpRequest("192.0.2.10", "192.0.2.1", others))
	w.state("192.0.2.10", Stale)
	if c := w.Counters(); c.Refused != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestEntryLimit(t *testing.T) {
	l := DefaultLimits
	l.Entries = 1
	w := newWorld(t, l)
	w.reach("192.0.2.9")
	w.want(lines(w.Resolve(w.now, key("192.0.2.10"), Packet{Token: 1})), "drop 1 neighbor-entry-limit")
	w.Input(w.now, arpRequest("192.0.2.11", "192.0.2.1", others))
	w.none("192.0.2.11")
	w.state("192.0.2.9", Reachable)
}

func TestAddressesThatAreNoNeighbours(t *testing.T) {
	w := newWorld(t, Limits{})
	for _, k := range []Key{
		key("224.0.0.1"), key("255.255.255.255"), key("0.0.0.0"), key("127.0.0.1"), key("ff02::1"), key("::"), key("::1"),
		key("::ffff:192.0.2.9"), key("fe80::9%ge0"), {ge0, netip.Addr{}},
	} {
		w.want(lines(w.Resolve(w.now, k, Packet{Token: 1})), "drop 1 neighbor-bad-address")
		w.want(lines(w.Hold(w.now, k)))
		w.want(lines(w.SetStatic(w.now, k, theirs)))
	}
	w.want(lines(w.Resolve(w.now, Key{99, addr("192.0.2.9")}, Packet{Token: 1})), "drop 1 neighbor-unit-down")
	if n := len(w.Entries(ge0)); n != 0 {
		t.Fatalf("%d entries", n)
	}
}

func TestHeldNeighbourIsAskedForEagerly(t *testing.T) {
	w := newWorld(t, Limits{})
	ask := "send arp-request 192.0.2.1 asks 192.0.2.9 of ff:ff:ff:ff:ff:ff"
	w.want(lines(w.Hold(w.now, key("192.0.2.9"))), "192.0.2.9 incomplete", ask)
	w.want(lines(w.Hold(w.now, key("192.0.2.9"))))
	// It fails, and is asked for again after 1, 2, 4 ... 60 seconds.
	var pauses []time.Duration
	for range 8 {
		w.pass(3 * time.Second)
		w.state("192.0.2.9", Failed)
		due, _ := w.Next()
		pauses = append(pauses, (due-w.now)/time.Second)
		w.now = due
		w.want(lines(w.Tick(w.now)), "192.0.2.9 incomplete", ask)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if pauses[i] != want {
			t.Fatalf("pauses %d", pauses)
		}
	}
	// It answers, and is verified without any traffic.
	w.want(lines(w.Input(w.now, arpReply("192.0.2.9", "192.0.2.1", theirs))), "192.0.2.9 reachable 02:00:00:00:00:02")
	unicast := "send arp-request 192.0.2.1 asks 192.0.2.9 of 02:00:00:00:00:02"
	w.want(w.pass(36*time.Second), "30s 192.0.2.9 delay 02:00:00:00:00:02", "35s 192.0.2.9 probe 02:00:00:00:00:02", "35s "+unicast, "36s "+unicast)
	// It does not answer at its address: it may have moved.
	w.want(w.pass(2*time.Second), "1s "+unicast, "2s 192.0.2.9 incomplete", "2s "+ask)
	// Both routes go: it lives as any other.
	w.Release(w.now, key("192.0.2.9"))
	w.Release(w.now, key("192.0.2.9"))
	w.want(lines(w.Release(w.now, key("192.0.2.9"))))
	w.pass(3 * time.Second)
	w.want(w.pass(FailedTime), "3s 192.0.2.9 removed")
}

func TestHoldBeforeTheInterface(t *testing.T) {
	w := &world{T: t, Table: New(Options{Random: func() float64 { return 0.5 }})}
	w.want(lines(w.Hold(w.now, key("192.0.2.9"))), "192.0.2.9 failed")
	w.AddAddress(w.now, ge0, prefix4)
	w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true})),
		"192.0.2.1 ok", announced, "192.0.2.9 incomplete", "send arp-request 192.0.2.1 asks 192.0.2.9 of ff:ff:ff:ff:ff:ff")
}

func TestHoldOfAKnownNeighbour(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("192.0.2.9")
	w.want(lines(w.Hold(w.now, key("192.0.2.9"))))
	w.pass(30 * time.Second)
	w.state("192.0.2.9", Delay)
	w.reach("192.0.2.10")
	w.pass(30 * time.Second)
	w.want(lines(w.Hold(w.now, key("192.0.2.10"))), "192.0.2.10 delay 02:00:00:00:00:02")
}

func TestStaticNeighbour(t *testing.T) {
	w := newWorld(t, Limits{})
	w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 1})
	w.want(lines(w.SetStatic(w.now, key("192.0.2.9"), theirs)), "192.0.2.9 permanent 02:00:00:00:00:02", "deliver 1 to 02:00:00:00:00:02")
	w.want(lines(w.SetStatic(w.now, key("192.0.2.9"), theirs)))
	// No message and no time changes it.
	w.want(lines(w.Input(w.now, arpReply("192.0.2.9", "192.0.2.1", others))))
	w.want(lines(w.Input(w.now, arpRequest("192.0.2.9", "192.0.2.9", others))))
	w.want(w.pass(time.Hour))
	w.want(lines(w.SetStatic(w.now, key("192.0.2.9"), others)), "192.0.2.9 permanent 02:00:00:00:00:03")
	w.Hold(w.now, key("192.0.2.9"))
	w.want(lines(w.RemoveStatic(w.now, key("192.0.2.9"))), "192.0.2.9 incomplete", "send arp-request 192.0.2.1 asks 192.0.2.9 of ff:ff:ff:ff:ff:ff")
	w.SetStatic(w.now, key("2001:db8::9"), theirs)
	w.want(lines(w.Input(w.now, advert("2001:db8::9", others, "SO"))))
	w.want(lines(w.RemoveStatic(w.now, key("2001:db8::9"))), "2001:db8::9 removed")
	w.want(lines(w.RemoveStatic(w.now, key("2001:db8::9"))))
}

func TestFamilyDown(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("192.0.2.9")
	w.reach("2001:db8::9")
	w.Resolve(w.now, key("192.0.2.10"), Packet{Token: 1})
	w.Hold(w.now, key("192.0.2.11"))
	w.Resolve(w.now, key("192.0.2.11"), Packet{Token: 2})
	w.SetStatic(w.now, key("192.0.2.12"), theirs)
	w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet6: true})),
		"192.0.2.9 removed", "drop 1 neighbor-unit-down", "192.0.2.10 removed", "drop 2 neighbor-unit-down", "192.0.2.11 failed")
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 3})), "drop 3 neighbor-unit-down")
	w.want(lines(w.Input(w.now, arpRequest("192.0.2.9", "192.0.2.1", theirs))))
	w.state("2001:db8::9", Reachable)
	w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true, Inet6: true})),
		"192.0.2.1 ok", announced, "192.0.2.11 incomplete", "send arp-request 192.0.2.1 asks 192.0.2.11 of ff:ff:ff:ff:ff:ff")
}

func TestRemoveInterface(t *testing.T) {
	w := newWorld(t, Limits{})
	w.Resolve(w.now, key("192.0.2.10"), Packet{Token: 1})
	w.SetStatic(w.now, key("192.0.2.12"), theirs)
	w.want(lines(w.RemoveInterface(w.now, ge0)), "drop 1 neighbor-unit-down", "192.0.2.10 removed", "192.0.2.12 removed")
	w.want(lines(w.RemoveInterface(w.now, ge0)))
	w.want(w.pass(time.Hour))
	if w.entries != 0 || w.unresolved != 0 || w.packets != 0 {
		t.Fatalf("left: %d entries, %d unresolved, %d packets", w.entries, w.unresolved, w.packets)
	}
}

func TestEntriesAreOrdered(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("2001:db8::9")
	w.reach("192.0.2.9")
	w.Resolve(w.now, key("192.0.2.8"), Packet{})
	got := w.Entries(ge0)
	if len(got) != 3 || got[0].Key != key("192.0.2.8") || got[1].Key != key("192.0.2.9") || got[2].Key != key("2001:db8::9") {
		t.Fatalf("%+v", got)
	}
	if got[0].MAC != (intf.MAC{}) || got[1].MAC != theirs || got[1].Since != w.now {
		t.Fatalf("%+v", got)
	}
}

// host returns the n-th address of 2001:db8::/64.
func host(n uint32) netip.Addr {
	b := addr("2001:db8::").As16()
	b[8] = 1
	binary.BigEndian.PutUint32(b[12:], n)
	return netip.AddrFrom16(b)
}

// A sweep of 65,536 addresses that don't exist, ten times over, at 10,000 packets
// a second: what is known stays, what is unresolved and memory stay bounded.
func TestStormOfUnresolvedAddresses(t *testing.T) {
	w := newWorld(t, Limits{})
	for i := range 100 {
		w.reach(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}).String())
	}
	gateway := addr("2001:db8::ffff")
	w.Hold(w.now, Key{ge0, gateway})
	w.Input(w.now, advert(gateway.String(), theirs, "SO"))
	var in, out, most uint64
	all := 0
	var heap [2]uint64
	count := func(actions []Action) {
		for _, a := range actions {
			switch a.Kind {
			case Deliver, Reject, Drop:
				out++
			case Send, Changed, Removed, AddressOK, AddressDuplicate, Conflict:
			}
		}
	}
	for round := range 10 {
		for i := range uint32(65536) {
			w.now += 100 * time.Microsecond
			in++
			count(w.Resolve(w.now, Key{ge0, host(i)}, Packet{Bytes: make([]byte, 64), Token: in}))
			for {
				due, ok := w.Next()
				if !ok || due > w.now {
					break
				}
				answer := false
				actions := w.Tick(w.now)
				for _, a := range actions {
					answer = answer || a.Kind == Send && a.Message.Target == gateway
				}
				count(actions)
				if answer {
					count(w.Input(w.now, advert(gateway.String(), theirs, "S")))
				}
			}
			most, all = max(most, uint64(w.unresolved)), max(all, w.entries)
		}
		if round == 1 || round == 9 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[round/9] = m.HeapAlloc
		}
	}
	if most > uint64(DefaultLimits.UnresolvedPerUnit) {
		t.Errorf("%d unresolved entries", most)
	}
	if all > 2*DefaultLimits.UnresolvedPerUnit+101 {
		t.Errorf("%d entries", all)
	}
	if w.packets > DefaultLimits.Packets {
		t.Errorf("%d packets wait", w.packets)
	}
	for i := range 100 {
		if e, ok := w.Lookup(key(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}).String())); !ok || !e.State.Usable() {
			t.Fatalf("a known neighbour was lost: %+v", e)
		}
	}
	if e, _ := w.Lookup(Key{ge0, gateway}); !e.State.Usable() {
		t.Errorf("the gateway was lost: %+v", e)
	}
	if in != out+uint64(w.packets) {
		t.Errorf("%d packets came, %d went and %d wait", in, out, w.packets)
	}
	if heap[1] > heap[0]+1<<20 {
		t.Errorf("heap grew from %d to %d octets", heap[0], heap[1])
	}
	t.Logf("%d packets, at most %d unresolved of %d entries, heap %d kB then %d kB, drops %v, rejects %d",
		in, most, all, heap[0]>>10, heap[1]>>10, w.Counters().Drops, w.Counters().Rejects)
}

// What is forgotten is as if it had never been heard of; what a route uses is asked
// for at once, and a static one stays.
func TestForget(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("192.0.2.9")
	w.Forget(w.now, key("192.0.2.9"))
	w.none("192.0.2.9")
	w.Hold(w.now, key("192.0.2.254"))
	w.Input(w.now, arpReply("192.0.2.254", "192.0.2.1", theirs))
	w.state("192.0.2.254", Reachable)
	w.Forget(w.now, key("192.0.2.254"))
	w.state("192.0.2.254", Incomplete)
	w.Input(w.now, arpReply("192.0.2.254", "192.0.2.1", others))
	w.state("192.0.2.254", Reachable)
	w.SetStatic(w.now, key("192.0.2.10"), theirs)
	w.Forget(w.now, key("192.0.2.10"))
	w.state("192.0.2.10", Permanent)
	if got := w.Forget(w.now, key("192.0.2.77")); len(got) != 0 {
		t.Errorf("nobody: %v", got)
	}
}
