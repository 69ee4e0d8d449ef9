package neighbor

import (
	"net/netip"
	"testing"
	"time"

	"router/intf"
)

// A script is a fuzzer's input read as a sequence of small choices.
type script []byte

func (s *script) next(n int) int {
	if len(*s) == 0 {
		return 0
	}
	v := int((*s)[0]) % n
	*s = (*s)[1:]
	return v
}

var fuzzAddrs = []netip.Addr{
	{}, addr("0.0.0.0"), addr("192.0.2.1"), addr("192.0.2.2"), addr("192.0.2.3"), addr("192.0.2.4"), addr("198.51.100.1"), addr("255.255.255.255"), addr("224.0.0.1"),
	addr("::"), addr("fe80::1"), addr("fe80::2"), addr("2001:db8::1"), addr("2001:db8::2"), addr("2001:db8::3"), addr("ff02::1"), addr("::ffff:192.0.2.9"), addr("fe80::1%x"),
}

var fuzzMACs = []intf.MAC{{}, ours, theirs, others, intf.Broadcast, {0x33, 0x33, 0, 0, 0, 1}}

func (s *script) addr() netip.Addr { return fuzzAddrs[s.next(len(fuzzAddrs))] }
func (s *script) mac() intf.MAC    { return fuzzMACs[s.next(len(fuzzMACs))] }
func (s *script) key() Key         { return Key{intf.Index(s.next(3)), s.addr()} }

// check compares the table's counts with what is there, the slow way.
func (t *Table) check(tb testing.TB) {
	tb.Helper()
	entries, unresolved, packets, armed := 0, 0, 0, 0
	for index, u := range t.units {
		unitUnresolved, learned := 0, 0
		for a, e := range u.entries {
			entries++
			if e.key != (Key{index, a}) || !isNeighbor(a) {
				tb.Fatalf("entry %v under %v %v", e.key, index, a)
			}
			if e.state == Incomplete && e.holds == 0 {
				unitUnresolved++
			}
			if e.state.Usable() && !e.proven && e.holds == 0 {
				learned++
			}
			if e.state.Usable() && (e.mac.IsZero() || e.mac.IsMulticast()) && !e.static {
				tb.Fatalf("entry %v usable at %v", e.key, e.mac)
			}
			if (e.state == Permanent) != e.static {
				tb.Fatalf("entry %v: static %v in state %v", e.key, e.static, e.state)
			}
			up := u.params.up(intf.FamilyOf(a))
			if !up && !e.static && (e.holds == 0 || e.state != Failed || e.timer.pos != 0) {
				tb.Fatalf("entry %v lives in a family that is down", e.key)
			}
			if up && !e.static && e.timer.pos == 0 {
				tb.Fatalf("entry %v in state %v waits for nothing", e.key, e.state)
			}
			if e.queue != nil {
				if e.state != Incomplete || e.queue.n == 0 || e.queue.n > t.limits.QueuePerNeighbor {
					tb.Fatalf("entry %v in state %v queues %d", e.key, e.state, e.queue.n)
				}
				packets += e.queue.n
			}
			if e.timer.pos != 0 {
				armed++
			}
		}
		for _, a := range u.order {
			if u.own[a.prefix.Addr()] != a {
				tb.Fatalf("address %v is lost", a.prefix)
			}
			if a.timer.pos != 0 {
				armed++
			}
		}
		if len(u.order) != len(u.own) || unitUnresolved != u.unresolved || learned != u.learned || learned > t.limits.LearnedPerUnit+1 {
			tb.Fatalf("unit %d: %d unresolved, counted %d; %d learned, counted %d", index, unitUnresolved, u.unresolved, learned, u.learned)
		}
		unresolved += unitUnresolved
	}
	if entries != t.entries || unresolved != t.unresolved || packets != t.packets || armed != len(t.timers) || packets > t.limits.Packets {
		tb.Fatalf("entries %d/%d, unresolved %d/%d, packets %d/%d, timers %d/%d", entries, t.entries, unresolved, t.unresolved, packets, t.packets, armed, len(t.timers))
	}
	for i, timer := range t.timers {
		if timer.pos != i+1 || (i > 0 && t.timers[(i-1)/2].due > timer.due) {
			tb.Fatalf("timer %d is out of place", i)
		}
	}
}

// Any sequence of events keeps the counts right, and every packet comes back once.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 1, 7, 1, 1, 2, 1, 2, 1, 3, 3, 1, 0, 2, 3, 1, 5, 6, 4, 200, 9})
	f.Add([]byte{1, 1, 12, 0, 1, 7, 3, 1, 3, 2, 2, 9, 15, 12, 0, 2, 1, 13, 4, 255, 4, 255, 0, 1, 0})
	seed := make([]byte, 600)
	for i := range seed {
		seed[i] = byte(i * i >> 3)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, in []byte) {
		s := script(in)
		n := 0
		table := New(Options{
			Limits: Limits{QueuePerNeighbor: 2, Packets: 3, UnresolvedPerUnit: 2, Unresolved: 3, UnitRate: 1, UnitBurst: 3, LearnedPerUnit: 2, Entries: 8},
			Random: func() float64 { n++; return float64(n%10) / 10 },
		})
		now := time.Duration(0)
		waiting := map[uint64]bool{}
		token := uint64(0)
		for len(s) > 0 {
			var out []Action
			switch s.next(13) {
			case 0:
				p := s.next(4)
				out = table.SetInterface(now, intf.Index(s.next(3)), Interface{MAC: s.mac(), Inet: p&1 != 0, Inet6: p&2 != 0})
			case 1:
				index, a := intf.Index(s.next(3)), s.addr()
				out = table.AddAddress(now, index, netip.PrefixFrom(a, s.next(a.BitLen()+1)))
			case 2, 3:
				token++
				waiting[token] = true
				out = table.Resolve(now, s.key(), Packet{Token: token})
			case 4:
				now += time.Duration(s.next(256)) * 100 * time.Millisecond
				out = table.Tick(now)
			case 5, 6:
				flags := s.next(8)
				out = table.Input(now, Message{
					IfIndex: intf.Index(s.next(3)), Kind: Kind(s.next(7)), From: s.mac(), To: s.mac(),
					Src: s.addr(), Dst: s.addr(), Target: s.addr(), MAC: s.mac(),
					Router: flags&1 != 0, Solicited: flags&2 != 0, Override: flags&4 != 0,
				})
			case 7:
				out = table.Hold(now, s.key())
			case 8:
				out = table.Release(now, s.key())
			case 9:
				out = table.SetStatic(now, s.key(), theirs)
			case 10:
				out = table.RemoveStatic(now, s.key())
			case 11:
				if s.next(2) == 0 {
					out = table.Use(now, s.key())
				} else {
					out = table.Confirm(now, s.key())
				}
			case 12:
				if s.next(2) == 0 {
					out = table.RemoveInterface(now, intf.Index(s.next(3)))
				} else {
					out = table.RemoveAddress(now, intf.Index(s.next(3)), s.addr())
				}
			}
			for _, a := range out {
				switch a.Kind {
				case Deliver, Reject, Drop:
					if !waiting[a.Packet.Token] {
						t.Fatalf("packet %d came back twice", a.Packet.Token)
					}
					delete(waiting, a.Packet.Token)
				case Send:
					if !a.Message.Target.IsValid() || a.Message.To.IsZero() || !a.Message.Src.IsValid() {
						t.Fatalf("sends %+v", a.Message)
					}
				case Changed, Removed, AddressOK, AddressDuplicate, Conflict:
				}
			}
			table.check(t)
			if len(waiting) != table.packets {
				t.Fatalf("%d packets wait, the table holds %d", len(waiting), table.packets)
			}
		}
	})
}

// benchTable has n reachable neighbours on one unit.
func benchTable(n int) (*Table, time.Duration) {
	k := uint64(1)
	t := New(Options{Random: func() float64 { k = k*6364136223846793005 + 1; return float64(k>>11) / (1 << 53) }})
	now := time.Hour
	t.SetInterface(now, ge0, Interface{MAC: ours, Inet: true, Inet6: true})
	t.AddAddress(now, ge0, netip.MustParsePrefix("2001:db8::1/64"))
	for t.Addresses(ge0)[0].Status != AddressPreferred {
		now += time.Second
		t.Tick(now)
	}
	for i := range n {
		now += time.Millisecond
		t.Resolve(now, Key{ge0, host(uint32(i))}, Packet{})
		t.Input(now, benchAdvert(uint32(i)))
	}
	return t, now
}

func benchAdvert(n uint32) Message {
	return Message{IfIndex: ge0, Kind: NeighborAdvert, From: theirs, To: ours, Src: host(n), Dst: host(0), Target: host(n), MAC: theirs, Solicited: true, Override: true}
}

func BenchmarkInputAdvert(b *testing.B) {
	for _, n := range []int{1000, 100000} {
		b.Run(map[int]string{1000: "1k-entries", 100000: "100k-entries"}[n], func(b *testing.B) {
			t, now := benchTable(n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				now += time.Microsecond
				t.Input(now, benchAdvert(uint32(i%n)))
			}
		})
	}
}

// One operation is one timer: entries go from reachable to stale, are used,
// probed, and answer.
func BenchmarkTick100k(b *testing.B) {
	t, now := benchTable(100000)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		due, _ := t.Next()
		now = max(now, due)
		for _, a := range append([]Action(nil), t.Tick(now)...) {
			switch {
			case a.Kind == Changed && a.State == Stale:
				t.Use(now, a.Key)
				done++
			case a.Kind == Changed && a.State == Probe:
				m := benchAdvert(0)
				m.Target = a.Key.Addr
				t.Input(now, m)
				done++
			}
		}
	}
}

// One operation is one packet to an address that nobody has.
func BenchmarkResolveUnderSweep(b *testing.B) {
	t, now := benchTable(1000)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		now += 10 * time.Microsecond
		t.Resolve(now, Key{ge0, host(uint32(1000 + i))}, Packet{})
		if due, ok := t.Next(); ok && due <= now {
			t.Tick(now)
		}
	}
}
