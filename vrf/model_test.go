package vrf

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"router/intf"
	"router/routing"
)

// TestManagerAgainstOracle does things at random, and compares the routes with
// those that families, addresses and neighbours call for, worked out from
// scratch, and each FIB with the active routes of its RIB.
func TestManagerAgainstOracle(t *testing.T) {
	type fam struct {
		instance  string
		up        bool
		addresses map[netip.Prefix]intf.AddressSpec
		neighbors map[netip.Addr]bool
	}
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 3))
		m := newManager(t)
		families := map[familyKey]*fam{}
		for i := range intf.Index(2) {
			for _, f := range intf.Families {
				families[familyKey{i + 1, f}] = &fam{Default, true, map[netip.Prefix]intf.AddressSpec{}, map[netip.Addr]bool{}}
			}
		}
		static := map[string]map[netip.Prefix]StaticRoute{Default: {}}
		indexes := map[string]uint32{Default: 0, "red": 1, "blue": 2}

		addr := func(f intf.Family) netip.Addr {
			if f == intf.Inet {
				return netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.IntN(8))})
			}
			return netip.AddrFrom16([16]byte{0x20, 1, 15: byte(rnd.IntN(8))})
		}
		prefix := func(f intf.Family) netip.Prefix {
			a := addr(f)
			return netip.PrefixFrom(a, a.BitLen()-rnd.IntN(4))
		}
		instances := func() []string { return slices.Sorted(maps.Keys(static)) }
		any := func(list []string) string { return list[rnd.IntN(len(list))] }
		step := func() {
			f := intf.Families[rnd.IntN(2)]
			key := familyKey{intf.Index(1 + rnd.IntN(3)), f}
			iff := families[key]
			switch rnd.IntN(10) {
			case 0:
				name := any([]string{"red", "blue"})
				must(t, m.AddInstance(name, indexes[name]))
				if static[name] == nil {
					static[name] = map[netip.Prefix]StaticRoute{}
				}
			case 1:
				name := any([]string{"red", "blue"})
				used := false
				for _, iff := range families {
					used = used || iff.instance == name
				}
				if err := m.DeleteInstance(name); (err != nil) != used {
					t.Fatalf("delete instance %s: %v, in use %v", name, err, used)
				}
				if !used {
					delete(static, name)
				}
			case 2, 3:
				name, up := any(instances()), rnd.IntN(3) > 0
				must(t, m.SetFamily(key.ifindex, f, name, up))
				if iff == nil {
					iff = &fam{addresses: map[netip.Prefix]intf.AddressSpec{}, neighbors: map[netip.Addr]bool{}}
					families[key] = iff
				}
				iff.instance, iff.up = name, up
			case 4:
				if rnd.IntN(4) == 0 {
					must(t, m.RemoveFamily(key.ifindex, f))
					delete(families, key)
				}
			case 5, 6:
				p := prefix(f)
				if iff != nil && rnd.IntN(2) == 0 {
					a := intf.AddressSpec{Prefix: p}
					if p.IsSingleIP() && rnd.IntN(2) == 0 {
						a.Peer = addr(f)
					}
					must(t, m.AddAddress(key.ifindex, a))
					iff.addresses[p] = a
				} else {
					must(t, m.RemoveAddress(key.ifindex, p))
					if iff != nil {
						delete(iff.addresses, p)
					}
				}
			case 7:
				a := addr(f)
				if iff != nil && rnd.IntN(2) == 0 {
					must(t, m.AddNeighbor(key.ifindex, a))
					iff.neighbors[a] = true
				} else {
					must(t, m.RemoveNeighbor(key.ifindex, a))
					if iff != nil {
						delete(iff.neighbors, a)
					}
				}
			default:
				name, p := any(instances()), prefix(f).Masked()
				if rnd.IntN(3) == 0 {
					must(t, m.DeleteStatic(name, p))
					delete(static[name], p)
					return
				}
				s := StaticRoute{Preference: uint8(rnd.IntN(3)), Tag: 1}
				switch rnd.IntN(5) {
				case 0:
					s.Gateway = addr(f)
				case 1:
					s.Gateway, s.IfIndex = addr(f), key.ifindex
				case 2:
					s.IfIndex = key.ifindex
				case 3:
					s.Lookup = any(instances())
				case 4:
					s.Action = Action(1 + rnd.IntN(3))
				}
				must(t, m.SetStatic(name, p, s))
				static[name][p] = s
			}
		}
		check := func() {
			want := map[string]map[string]bool{}
			for name := range static {
				want[name] = map[string]bool{}
				for p := range static[name] {
					want[name][fmt.Sprint(p, " user static 0")] = true
				}
			}
			for key, iff := range families {
				subnet := func(a netip.Addr) bool {
					for _, s := range iff.addresses {
						switch {
						case s.Peer.IsValid():
							if s.Peer == a {
								return true
							}
						case !s.Prefix.IsSingleIP() && s.Prefix.Contains(a):
							return true
						}
					}
					return false
				}
				for _, s := range iff.addresses {
					for _, r := range addressRoutes(key.ifindex, s) {
						if iff.up || r.Source == routing.InterfaceLocal {
							want[iff.instance][fmt.Sprint(r.Prefix, " ", r.Source, " ", r.Protocol, " ", r.IfIndex)] = true
						}
					}
				}
				for a := range iff.neighbors {
					if iff.up && subnet(a) {
						want[iff.instance][fmt.Sprint(a, "/", a.BitLen(), " interface neighbor ", key.ifindex)] = true
					}
				}
			}
			for name := range static {
				got := map[string]bool{}
				active, shared := map[netip.Prefix]uint32{}, map[netip.Prefix]int{}
				for _, f := range intf.Families {
					m.Routes(name, f, func(e routing.Entry) bool {
						if e.Source != routing.Permanent {
							got[fmt.Sprint(e.Prefix, " ", e.Source, " ", e.Protocol, " ", e.IfIndex)] = true
						}
						if e.Active {
							active[e.Prefix] = uint32(e.ID)
							shared[e.Prefix]++
						}
						return true
					})
				}
				if !maps.Equal(got, want[name]) {
					t.Fatalf("seed %d, instance %s: routes\n%v\nwant\n%v", seed, name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want[name])))
				}
				published := map[netip.Prefix]uint32{}
				m.FIB(name).Walk(func(p netip.Prefix, nh uint32) bool { published[p] = nh; return true })
				for p, id := range published {
					// Two units share the prefix's broadcast address: the Choice between
					// them stands for both.
					if nh, _, _ := m.NextHop(routing.NextHopID(id)); nh.Kind == routing.Choice && shared[p] > 1 {
						published[p] = active[p]
					}
				}
				if !maps.Equal(active, published) {
					t.Fatalf("seed %d, instance %s: active routes %v, FIB %v", seed, name, active, published)
				}
			}
		}
		for range 300 {
			if rnd.IntN(4) == 0 {
				must(t, m.Batch(func() error {
					for range rnd.IntN(6) {
						step()
					}
					return nil
				}))
			} else {
				step()
			}
			check()
		}
	}
}
