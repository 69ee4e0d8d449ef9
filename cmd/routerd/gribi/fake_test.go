package gribi

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"router/intf"
	"router/models"
	"router/routing"
)

// A fakeRouter has real RIBs and FIBs that are maps.
type fakeRouter struct {
	mu        sync.Mutex
	store     *routing.Store
	instances map[string]*fakeInstance
	units     map[string]intf.Index
	settings  models.GRIBISpec
	births    uint64
	room      int // prefixes that a FIB holds, 0 for any number
	changed   int
}

type fakeInstance struct {
	index uint32
	born  uint64
	rib   *routing.RIB
	fib   *fakeFIB
}

type fakeFIB struct {
	r      *fakeRouter
	routes map[netip.Prefix]uint32
}

func (f *fakeFIB) Insert(p netip.Prefix, id uint32) error {
	if _, there := f.routes[p]; !there && f.r.room > 0 && len(f.routes) >= f.r.room {
		return errors.New("full")
	}
	f.routes[p] = id
	return nil
}

func (f *fakeFIB) Delete(p netip.Prefix) (bool, error) {
	_, had := f.routes[p]
	delete(f.routes, p)
	return had, nil
}

func (f *fakeFIB) SetAll(prefixes []netip.Prefix, ids []uint32) error {
	more := 0
	for i, p := range prefixes {
		if _, there := f.routes[p]; !there && ids[i] != 0 {
			more++
		}
	}
	if f.r.room > 0 && more > 0 && len(f.routes)+more > f.r.room {
		return errors.New("full")
	}
	for i, p := range prefixes {
		if ids[i] == 0 {
			delete(f.routes, p)
		} else {
			f.routes[p] = ids[i]
		}
	}
	return nil
}

// newFakeRouter has the instances "default" and "red", and the units ge0.0 and
// ge1.0 with networks 192.0.2.0/24 and 198.51.100.0/24.
func newFakeRouter() *fakeRouter {
	r := &fakeRouter{store: routing.NewStore(routing.Config{}), instances: map[string]*fakeInstance{}, units: map[string]intf.Index{"ge0.0": 1, "ge0": 1, "ge1.0": 2, "ge1": 2}, settings: models.DefaultGRIBI}
	r.add("default", 0)
	r.add("red", 1)
	for i, p := range []string{"192.0.2.0/24", "198.51.100.0/24"} {
		ifindex := intf.Index(i + 1)
		for _, f := range intf.Families {
			_ = r.store.SetLink(ifindex, f, true)
		}
		_ = r.instances["default"].rib.Set(routing.Route{
			Key:     routing.Key{Prefix: netip.MustParsePrefix(p), Source: routing.InterfaceDestination, Protocol: routing.Direct, IfIndex: ifindex},
			NextHop: routing.NextHop{Kind: routing.Resolve, IfIndex: ifindex},
		})
	}
	return r
}

func (r *fakeRouter) add(name string, index uint32) {
	r.births++
	in := &fakeInstance{index: index, born: r.births, fib: &fakeFIB{r, map[netip.Prefix]uint32{}}}
	in.rib, _ = r.store.AddRIB(index, in.fib)
	r.instances[name] = in
}

func (r *fakeRouter) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.store.RemoveRIB(r.instances[name].rib)
	delete(r.instances, name)
}

// programmed are the prefixes of an instance's programmed routes, with the
// addresses of the next hops that carry their traffic.
func (r *fakeRouter) programmed(instance string) map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := map[string][]string{}
	for _, f := range intf.Families {
		r.instances[instance].rib.Walk(f, func(e routing.Entry) bool {
			if e.Protocol != routing.GRIBI {
				return true
			}
			ways := []string{}
			for _, m := range r.store.Members(e.ID) {
				if m.Active {
					ways = append(ways, m.NextHop.String())
				}
			}
			slices.Sort(ways)
			list[e.Prefix.String()] = ways
			return true
		})
	}
	return list
}

func (r *fakeRouter) Program(change, after func(Tables)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if change != nil {
		_ = r.store.Batch(func() error { change(fakeTables{r}); return nil })
	}
	if after != nil {
		after(fakeTables{r})
	}
}

func (r *fakeRouter) Changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed++
}

type fakeTables struct{ *fakeRouter }

func (r fakeTables) Instance(name string) (uint32, uint64, bool) {
	if in := r.instances[name]; in != nil {
		return in.index, in.born, true
	}
	return 0, 0, false
}

func (r fakeTables) Unit(name string) (intf.Index, bool) {
	i, ok := r.units[name]
	return i, ok
}

func (r fakeTables) Hold(f intf.Family, nh routing.NextHop) (routing.NextHopID, error) {
	return r.store.Hold(f, nh)
}

func (r fakeTables) LetGo(id routing.NextHopID) error { return r.store.LetGo(id) }

func (r fakeTables) NewGroup(f intf.Family, m []routing.Member) (routing.NextHop, error) {
	return r.store.NewShared(f, m)
}

func (r fakeTables) SetGroup(g routing.NextHop, m []routing.Member) error {
	return r.store.SetShared(g, m)
}

func (r fakeTables) DropGroup(g routing.NextHop) error { return r.store.ReleaseShared(g) }

func (r fakeTables) key(p netip.Prefix) routing.Key {
	return routing.Key{Prefix: p, Source: routing.User, Protocol: routing.GRIBI}
}

func (r fakeTables) SetRoute(instance string, p netip.Prefix, nh routing.NextHop) error {
	in := r.instances[instance]
	if in == nil {
		return fmt.Errorf("instance %s does not exist", instance)
	}
	return in.rib.Set(routing.Route{Key: r.key(p), Preference: r.settings.Preference, NextHop: nh})
}

func (r fakeTables) DeleteRoute(instance string, p netip.Prefix) error {
	if in := r.instances[instance]; in != nil {
		return in.rib.Delete(r.key(p))
	}
	return nil
}

func (r fakeTables) Route(instance string, p netip.Prefix) (active bool, full string) {
	in := r.instances[instance]
	if in == nil {
		return false, ""
	}
	e, ok := in.rib.Entry(r.key(p))
	if ok && e.Usable && !e.Active {
		full = e.Reason
	}
	return ok && e.Active, full
}

func (r fakeTables) Settings() models.GRIBISpec { return r.settings }
