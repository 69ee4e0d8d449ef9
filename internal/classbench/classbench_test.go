package classbench_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"router/dataplane/filter"
	"router/internal/classbench"
	"router/intf"
)

func each(t *testing.T, f func(t *testing.T, k classbench.Kind, family intf.Family)) {
	for _, family := range intf.Families {
		for _, k := range classbench.Kinds {
			t.Run(fmt.Sprint(k, "/", family), func(t *testing.T) { f(t, k, family) })
		}
	}
}

func first(t *testing.T, s *filter.Spec) func(l3 []byte) int {
	t.Helper()
	p, err := filter.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	x := filter.NewTable(1)
	x.SetFilter(p)
	b, err := x.Bind(s.Name, filter.Place{})
	if err != nil {
		t.Fatal(err)
	}
	w := x.Worker(0)
	return func(l3 []byte) int { return int(b.Run(w, 0, l3, &filter.Meta{}).Term) }
}

func TestPacketsAreThoseOfTheirTerms(t *testing.T) {
	each(t, func(t *testing.T, k classbench.Kind, family intf.Family) {
		s := classbench.Filter(k, family, 1000, 3)
		decides := first(t, s)
		r := rand.New(rand.NewPCG(1, 1))
		own, reached := 0, map[int]bool{}
		for i := range s.Terms {
			// Whatever is before may hide a term, but nothing after it comes first.
			got := decides(classbench.For(r, family, &s.Terms[i]).Octets())
			if got < 0 || got > i {
				t.Fatalf("the packet for term %d is decided by term %d", i, got)
			}
			if got == i {
				own++
			}
			reached[got/100] = true
		}
		if own < len(s.Terms)/2 || len(reached) < 10 {
			t.Errorf("%d of %d terms are reached, in %d of ten parts", own, len(s.Terms), len(reached))
		}
	})
}

func TestProbesAreReached(t *testing.T) {
	each(t, func(t *testing.T, k classbench.Kind, family intf.Family) {
		src := netip.MustParseAddr("192.0.2.1")
		if family == intf.Inet6 {
			src = netip.MustParseAddr("2001:db8::1")
		}
		s := classbench.Filter(k, family, 1000, 3)
		to, err := classbench.Probe(s, src, 9, 64)
		if err != nil {
			t.Fatal(err)
		}
		decides := first(t, s)
		reached := map[int]bool{}
		for _, dst := range to {
			i := decides(classbench.Packet{Src: src, Dst: dst, Protocol: 17, DstPort: 9}.Octets())
			if i < 0 || s.Terms[i].Action.Kind != filter.Accept {
				t.Errorf("a datagram to %s is decided by term %d", dst, i)
			}
			reached[i] = true
		}
		if len(reached) < 10 {
			t.Errorf("only %d terms are reached", len(reached))
		}
	})
}

func TestTheSameRulesForNftables(t *testing.T) {
	s := classbench.Filter(classbench.FW, intf.Inet6, 50, 1)
	rules := classbench.NFT(s)
	if n := strings.Count(rules, " counter "); n != len(s.Terms) || !strings.Contains(rules, "table ip6 bench") {
		t.Errorf("%d rules for %d terms:\n%s", n, len(s.Terms), rules)
	}
}
