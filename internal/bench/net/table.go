package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"

	"router/internal/classbench"
	"router/intf"
	"router/vrf/fib/fibtest"
)

// tables makes route tables by name, each once.
type tables struct {
	made map[string][]route
}

// of is the table of a scenario.
func (t *tables) of(s *scenario) ([]route, error) {
	key := fmt.Sprintf("%s %v", s.Table, s.V6)
	if s.Table != realTable {
		key = fmt.Sprintf("synthetic %v", s.V6)
	}
	if t.made == nil {
		t.made = make(map[string][]route)
	}
	if t.made[key] == nil {
		var prefixes []netip.Prefix
		if s.Table == realTable {
			all, err := fibtest.Load()
			if err != nil {
				return nil, err
			}
			prefixes = fibtest.Family(all, s.V6)
		} else {
			most := 1000000
			if s.V6 {
				most = 200000
			}
			prefixes = synthetic(s.V6, most)
		}
		r := rand.New(rand.NewPCG(3, uint64(len(prefixes))))
		list := make([]route, len(prefixes))
		for i, p := range prefixes {
			list[i] = route{p.Masked(), r.IntN(gateways)}
		}
		t.made[key] = list
	}
	list := t.made[key]
	if s.Table != realTable {
		n, err := strconv.Atoi(s.Table)
		if err != nil || n < 1 || n > len(list) {
			return nil, fmt.Errorf("table %q: want 1 to %d routes, or %s", s.Table, len(list), realTable)
		}
		list = list[:n]
	}
	return list, nil
}

// synthetic makes n prefixes of lengths as they are common in the Internet, spread
// over the whole space: the first ones are the table of fewer.
func synthetic(v6 bool, n int) []netip.Prefix {
	r := rand.New(rand.NewPCG(2, uint64(n)))
	lengths := []int{24, 24, 24, 24, 24, 24, 22, 22, 23, 20, 21, 19, 16}
	if v6 {
		lengths = []int{48, 48, 48, 48, 48, 48, 32, 32, 44, 40, 36, 47, 46}
	}
	seen := make(map[netip.Prefix]bool, n)
	prefixes := make([]netip.Prefix, 0, n)
	for len(prefixes) < n {
		var a netip.Addr
		if v6 {
			b := [16]byte{0: 0x24 | byte(r.UintN(4)), 1: byte(r.Uint32()), 2: byte(r.Uint32()), 3: byte(r.Uint32()), 4: byte(r.Uint32()), 5: byte(r.Uint32())}
			a = netip.AddrFrom16(b)
		} else {
			a = netip.AddrFrom4([4]byte{1 + byte(r.UintN(126)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		}
		length := lengths[0]
		if len(prefixes) > 0 {
			length = lengths[r.IntN(len(lengths))]
		}
		p := netip.PrefixFrom(a, length).Masked()
		if !seen[p] {
			seen[p] = true
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// addresses draws n destinations, each in a route drawn with equal probability.
func addresses(list []route, n int) []netip.Addr {
	r := rand.New(rand.NewPCG(4, uint64(len(list))))
	out := make([]netip.Addr, n)
	for i := range out {
		out[i] = fibtest.Address(r, list[r.IntN(len(list))].prefix)
	}
	return out
}

// A ruleset is a filter, in every form that some device takes, and destinations
// whose packets end at terms all over it, accepted.
type ruleset struct {
	name         string
	config       map[string]any // routerd's
	nft          string
	destinations []netip.Addr
}

// rules makes the ruleset of a scenario, nil for one without terms.
func rules(s *scenario) (*ruleset, error) {
	if s.Terms == 0 {
		return nil, nil
	}
	family := intf.Inet
	if s.V6 {
		family = intf.Inet6
	}
	spec := classbench.Filter(classbench.ACL, family, s.Terms, 1)
	some, err := classbench.Probe(spec, source[s.V6], 9, 256)
	if err != nil {
		return nil, err
	}
	if len(some) < min(s.Terms/4, 64) {
		return nil, fmt.Errorf("only %d of %d terms can be reached", len(some), s.Terms)
	}
	return &ruleset{spec.Name, classbench.Configuration(spec), classbench.NFT(spec), some}, nil
}
