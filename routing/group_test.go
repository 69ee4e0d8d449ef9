package routing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"router/intf"
)

func gatewayOn(i int) NextHop {
	return NextHop{Kind: Forward, IfIndex: intf.Index(i), Gateway: netip.AddrFrom4([4]byte{10, 0, byte(i), 2})}
}

// groupOn is a group of gateways on the units 1, 2 and so on, of these weights;
// those with a negative weight are backups.
func groupOn(tb testing.TB, weights ...int) NextHop {
	tb.Helper()
	var list []Member
	for i, w := range weights {
		list = append(list, Member{NextHop: gatewayOn(i + 1), Weight: uint8(max(w, -w)), Backup: w < 0})
	}
	nh, err := NewGroup(intf.Inet, list)
	if err != nil {
		tb.Fatal(err)
	}
	return nh
}

func TestNewGroup(t *testing.T) {
	a, b := gatewayOn(1), gatewayOn(2)
	six := NextHop{Kind: Indirect, Gateway: netip.MustParseAddr("2001:db8::1")}
	many := make([]Member, MaxMembers+1)
	for i := range many {
		many[i] = Member{NextHop: NextHop{Kind: Resolve, IfIndex: intf.Index(i + 1)}, Weight: 1}
	}
	for _, tc := range []struct {
		name    string
		members []Member
		want    string // in the error
	}{
		{"two", []Member{{a, 1, false}, {b, 64, true}}, ""},
		{"as many as may be", many[1:], ""},
		{"none", nil, "a group of 0"},
		{"too many", many, "a group of 65"},
		{"twice", []Member{{a, 1, false}, {a, 2, false}}, "twice"},
		{"no weight", []Member{{a, 0, false}}, "weight 0"},
		{"too much weight", []Member{{a, 65, false}}, "weight 65"},
		{"backups alone", []Member{{a, 1, true}, {b, 1, true}}, "backups alone"},
		{"the other family", []Member{{a, 1, false}, {six, 1, false}}, "family"},
		{"no unit", []Member{{NextHop{Kind: Resolve}, 1, false}}, "needs a unit"},
		{"a lookup", []Member{{NextHop{Kind: Lookup, Instance: 1}, 1, false}}, "members forward"},
		{"no kind", []Member{{NextHop{}, 1, false}}, "members forward"},
		{"a group", []Member{{groupOn(t, 1, 1), 1, false}}, "members forward"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nh, err := NewGroup(intf.Inet, tc.members)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want one with %q", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := nh.Members.All()
			if len(got) != len(tc.members) || nh.Members.Len() != len(got) {
				t.Errorf("members %v, want %v", got, tc.members)
			}
			for _, m := range tc.members {
				if !slices.Contains(got, m) {
					t.Errorf("%v is not among %v", m, got)
				}
			}
			turned := slices.Clone(tc.members)
			slices.Reverse(turned)
			if other, _ := NewGroup(intf.Inet, turned); other != nh {
				t.Error("the order of the members makes a difference")
			}
		})
	}
}

func TestGroupFamily(t *testing.T) {
	w := newWorld(t)
	w.addRIB(0)
	key := Key{Prefix: netip.MustParsePrefix("2001:db8::/32")}
	for _, nh := range []NextHop{groupOn(t, 1, 1), {Kind: Group}} {
		if err := w.store.RIB(0).Set(Route{Key: key, NextHop: nh}); err == nil {
			t.Errorf("an IPv6 route takes %v", nh)
		}
	}
}

// shares counts the buckets of each member.
func shares(members []member, usable []bool) []int {
	n := make([]int, len(members))
	for _, i := range deal(members, usable) {
		n[i]++
	}
	return n
}

func TestBucketsFollowWeights(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weights []int
		down    []int
		within  float64 // of the exact share
	}{
		{"two", []int{1, 1}, nil, 0},
		{"two, alike and heavy", []int{64, 64}, nil, 0},
		{"three", []int{1, 1, 1}, nil, 0.01},
		{"one to three", []int{1, 3}, nil, 0},
		{"one to 64", []int{1, 64}, nil, 0.04},
		{"ten", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, nil, 0.04},
		{"64", slices.Repeat([]int{1}, 64), nil, 0},
		{"three, one down", []int{1, 1, 1}, []int{1}, 0.01},
		{"five, two down", []int{1, 1, 1, 1, 1}, []int{0, 3}, 0.03},
		{"five of weights, two down", []int{5, 4, 3, 2, 1}, []int{0, 3}, 0.05},
		{"eight, six down", slices.Repeat([]int{1}, 8), []int{0, 1, 2, 5, 6, 7}, 0.06},
		{"backups wait", []int{1, 1, -1}, nil, 0},
		{"backups share", []int{1, -1, -3}, []int{0}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var members []member
			usable := make([]bool, len(tc.weights))
			primary := false
			for i, w := range tc.weights {
				members = append(members, member{weight: uint8(max(w, -w)), backup: w < 0})
				usable[i] = !slices.Contains(tc.down, i)
				primary = primary || usable[i] && w > 0
			}
			total, sum := 0, 0
			got := shares(members, usable)
			for i, m := range members {
				if usable[i] && m.backup != primary {
					total += int(m.weight)
				}
				sum += got[i]
			}
			for i, m := range members {
				if !usable[i] || m.backup == primary {
					if got[i] != 0 {
						t.Errorf("member %d has %d buckets, want none", i, got[i])
					}
					continue
				}
				want := float64(sum) * float64(m.weight) / float64(total)
				if math.Abs(float64(got[i])-want) > tc.within*want {
					t.Errorf("member %d has %d buckets of %d, want %.1f", i, got[i], sum, want)
				}
			}
			t.Logf("%d buckets: %v", sum, got)
		})
	}
}

// TestBucketsAreResilient lets members go and come at random: only the buckets
// of the one that goes move, and only to the one that comes.
func TestBucketsAreResilient(t *testing.T) {
	for seed := range 50 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 3))
		members := make([]member, 3+rnd.IntN(14))
		usable := make([]bool, len(members))
		for i := range members {
			members[i].weight = uint8(1 + rnd.IntN(4))
			usable[i] = true
		}
		full := deal(members, usable)
		before := full
		for range 40 {
			i := rnd.IntN(len(members))
			usable[i] = !usable[i]
			alive := 0
			for _, u := range usable {
				if u {
					alive++
				}
			}
			if alive < 2 { // one bucket, or none, is enough then
				usable[i] = true
				continue
			}
			after := deal(members, usable)
			for b := range after {
				switch {
				case !usable[after[b]]:
					t.Fatalf("seed %d: bucket %d is at %d, which is down", seed, b, after[b])
				case usable[i] && after[b] != before[b] && int(after[b]) != i:
					t.Fatalf("seed %d: %d came, and bucket %d moved from %d to %d", seed, i, b, before[b], after[b])
				case !usable[i] && after[b] != before[b] && int(before[b]) != i:
					t.Fatalf("seed %d: %d went, and bucket %d moved from %d to %d", seed, i, b, before[b], after[b])
				}
			}
			before = after
		}
		for i := range usable {
			usable[i] = true
		}
		if !slices.Equal(deal(members, usable), full) {
			t.Fatalf("seed %d: all are back, but not in their buckets", seed)
		}
	}
}

// TestGroupIsShared: what a link's state changes in a group doesn't depend on
// how many routes have it.
func TestGroupIsShared(t *testing.T) {
	for _, routes := range []int{10, 10000} {
		t.Run(fmt.Sprint(routes, " routes"), func(t *testing.T) {
			w := newWorld(t)
			w.plane.quiet = true
			w.addRIB(0)
			for i := range 3 {
				w.setLink(intf.Index(i+1), intf.Inet, true)
			}
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			rib := w.store.RIB(0)
			must(w.store.Batch(func() error {
				for i := range routes {
					p := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0}), 24)
					if err := rib.Set(Route{Key: Key{Prefix: p, Protocol: Static}, NextHop: groupOn(t, 1, 2, -1)}); err != nil {
						return err
					}
				}
				return nil
			}))
			if n := w.store.NextHops(); n != 4 {
				t.Errorf("%d next hops, want the group and its three members", n)
			}
			fib := w.fibs[0]
			for _, step := range []struct {
				link   intf.Index
				up     bool
				active []int // units
			}{{1, false, []int{2}}, {2, false, []int{3}}, {1, true, []int{1}}, {2, true, []int{1, 2}}} {
				sets, inserts := w.plane.sets, fib.inserts
				must(w.store.SetLink(step.link, intf.Inet, step.up))
				if w.plane.sets != sets+1 || fib.inserts != inserts || fib.deletes != 0 {
					t.Errorf("link %d up %v: %d next hops set, %d routes inserted", step.link, step.up, w.plane.sets-sets, fib.inserts-inserts)
				}
				var active []int
				for _, m := range w.store.Members(fib.routes[netip.MustParsePrefix("20.0.1.0/24")]) {
					if m.Active {
						active = append(active, int(m.NextHop.IfIndex))
					}
				}
				if !slices.Equal(active, step.active) {
					t.Errorf("link %d up %v: traffic goes by %v, want %v", step.link, step.up, active, step.active)
				}
			}
			for i := range 3 {
				must(w.store.SetLink(intf.Index(i+1), intf.Inet, false))
			}
			if len(fib.routes) != 0 {
				t.Errorf("%d routes of a group without usable members", len(fib.routes))
			}
			e := rib.Entries(netip.MustParsePrefix("20.0.1.0/24"))[0]
			if want := "none of its 3 next hops can be used"; e.Usable || !strings.Contains(e.Reason, want) {
				t.Errorf("usable %v: %q, want %q", e.Usable, e.Reason, want)
			}
			must(w.store.SetLink(3, intf.Inet, true))
			if len(fib.routes) != routes {
				t.Errorf("the backup's link is up, and %d of %d routes are back", len(fib.routes), routes)
			}
		})
	}
}

// TestGatewayBehindGroup: a gateway that a route of several next hops leads to
// follows all of them, and its routes are not touched when one goes.
func TestGatewayBehindGroup(t *testing.T) {
	w := newWorld(t)
	w.addRIB(0)
	for i := range 2 {
		w.setLink(intf.Index(i+1), intf.Inet, true)
	}
	static := func(prefix string, nh NextHop) {
		w.set(0, Route{Key: Key{Prefix: netip.MustParsePrefix(prefix), Protocol: Static}, NextHop: nh})
	}
	far := NextHop{Kind: Indirect, Gateway: netip.MustParseAddr("172.16.0.1")}
	static("172.16.0.0/24", groupOn(t, 1, 1))
	static("203.0.113.0/24", far)
	w.check()
	id := w.fibs[0].routes[netip.MustParsePrefix("203.0.113.0/24")]
	if m := w.store.Members(id); len(m) != 2 || !m[0].Active || !m[1].Active {
		t.Errorf("members %+v", m)
	}
	inserts := w.fibs[0].inserts
	w.setLink(1, intf.Inet, false)
	w.check()
	if m := w.store.Members(id); m[0].Active || !m[1].Active || w.fibs[0].inserts != inserts {
		t.Errorf("one link is down: members %+v, %d routes inserted", m, w.fibs[0].inserts-inserts)
	}
	w.setLink(2, intf.Inet, false)
	w.check()
	if e := w.store.RIB(0).Entries(netip.MustParsePrefix("203.0.113.0/24"))[0]; e.Usable {
		t.Error("both links are down, and the gateway behind them is usable")
	}
	w.empty()
}

func BenchmarkDeal(b *testing.B) {
	for _, n := range []int{2, 8, 64} {
		b.Run(fmt.Sprint(n, " members, one down"), func(b *testing.B) {
			members, usable := make([]member, n), make([]bool, n)
			for i := range members {
				members[i].weight, usable[i] = uint8(1+i%MaxWeight), i > 0
			}
			usable[n-1] = true
			for b.Loop() {
				deal(members, usable)
			}
		})
	}
}
