package routing

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"router/intf"
)

// A walk that is taken up again behind each prefix in turn sees what one walk sees.
func TestWalkAfter(t *testing.T) {
	s := NewStore(Config{Sink: discardSink{}})
	r, err := s.AddRIB(1, discardFIB{})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		for _, p := range []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(rnd.Uint32()) & 3, byte(rnd.Uint32()), 0, byte(rnd.Uint32())}), rnd.IntN(33)).Masked(),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, byte(rnd.Uint32()) & 3, 7: byte(rnd.Uint32()), 15: byte(rnd.Uint32())}), rnd.IntN(129)).Masked(),
		} {
			if err := r.Set(Route{Key: Key{Prefix: p}, NextHop: NextHop{Kind: Discard}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range intf.Families {
		var all []netip.Prefix
		r.Walk(f, func(e Entry) bool { all = append(all, e.Prefix); return true })
		for i, p := range all {
			var rest []netip.Prefix
			r.WalkAfter(f, p, func(e Entry) bool { rest = append(rest, e.Prefix); return true })
			if !slices.Equal(rest, all[i+1:]) {
				t.Fatalf("%v behind %v: %d prefixes, want %d", f, p, len(rest), len(all)-i-1)
			}
		}
		// Behind a prefix that isn't there.
		p := netip.MustParsePrefix("1.0.0.128/25")
		if f == intf.Inet6 {
			p = netip.MustParsePrefix("2001:0:0:80::/57")
		}
		var rest []netip.Prefix
		r.WalkAfter(f, p, func(e Entry) bool { rest = append(rest, e.Prefix); return true })
		want := all[slices.IndexFunc(all, func(q netip.Prefix) bool { return q.Compare(p) > 0 }):]
		if q := slices.Contains(all, p); !q && !slices.Equal(rest, want) {
			t.Fatalf("behind %v: %d prefixes, want %d", p, len(rest), len(want))
		}
	}
}

type discardSink struct{}

func (discardSink) SetGroup(NextHopID, []NextHopID)          {}
func (discardSink) SetChoice(NextHopID, []Branch)            {}
func (discardSink) SetNextHop(NextHopID, NextHop, NextHopID) {}
func (discardSink) SetSources(NextHopID, Sources)            {}
func (discardSink) DeleteNextHop(NextHopID)                  {}

type discardFIB struct{}

func (discardFIB) Insert(netip.Prefix, uint32) error { return nil }

func (discardFIB) Delete(netip.Prefix) (bool, error) { return true, nil }

func (discardFIB) SetAll([]netip.Prefix, []uint32) error { return nil }
