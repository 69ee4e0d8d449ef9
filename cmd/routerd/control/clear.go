package control

import (
	"net/netip"
	"slices"
	"strings"

	"router/dataplane/filter"
	"router/intf"
	"router/models"
	"router/routing/neighbor"
)

// The methods in this file forget what was counted and learned.

// ClearInterfaces has the counters of a device and its units begin at zero, those of a
// unit, or all, for "". n is how many objects that were; ok is false when there is
// none of that name.
func (r *Router) ClearInterfaces(name string) (n int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	ok = name == ""
	for _, device := range r.tree.Devices() {
		d := r.devices[device]
		if d != nil && (name == "" || name == device) {
			d.meter.base, d.meter.drops, d.meter.carried = nil, nil, models.Counters{}
			if s, is := r.deviceState(device); is {
				d.meter.clear(now, s.Counters, s.Drops)
				n, ok = n+1, true
				r.events.changed(models.Object{Kind: models.Device, Device: device})
			}
		}
		if name != "" && name != device && !strings.HasPrefix(name, device+".") {
			continue
		}
		for _, key := range r.tree.Units(device) {
			u := r.units[key]
			if u == nil || name != "" && name != device && name != key.Name() {
				continue
			}
			if c, is := r.engine.UnitCounters(u.index); is {
				u.meter.clear(now, models.Counters(c), nil)
				n, ok = n+1, true
				r.events.unit(key)
			}
		}
	}
	return n, ok
}

// ClearFilters has the counters of a filter begin at zero, or of all, for "".
func (r *Router) ClearFilters(name string) (n int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok = name == ""
	for key, f := range r.filters.filters {
		if name != "" && key != name {
			continue
		}
		f.base, f.cleared = map[string]models.PacketCount{}, r.now()
		f.anew = f.cleared
		for _, c := range r.engine.Filters().Counts(key) {
			f.base[c.Term] = models.PacketCount(c.Count)
		}
		f.places = map[filter.Place]map[string]models.PacketCount{}
		for _, place := range r.placesOf(key) {
			at := map[string]models.PacketCount{}
			for _, c := range r.engine.Filters().PlaceCounts(key, place) {
				at[c.Term] = models.PacketCount(c.Count)
			}
			f.places[place] = at
		}
		n, ok = n+1, true
		r.events.changed(models.Object{Kind: models.Filter, Name: key})
	}
	return n, ok
}

// placesOf lists the places at which a filter may count: those of all filters, since
// one may be jumped to from another.
func (r *Router) placesOf(name string) (list []filter.Place) {
	f := r.filters.filters[name]
	if f.applied == nil || !f.applied.CountsPerPlace() {
		return nil
	}
	for _, u := range r.units {
		for _, fam := range u.families {
			if fam == nil {
				continue
			}
			for h := range fam.bound {
				if models.FilterAt(fam.filters, filter.Hook(h)) != "" {
					list = append(list, filter.Place{Hook: filter.Hook(h), Unit: u.index})
				}
			}
		}
	}
	return list
}

// since is what a term counted since its counters were cleared. One that begins anew,
// since the filter was made anew, is shown as it is.
func since(base map[string]models.PacketCount, term string, c models.PacketCount) models.PacketCount {
	b, ok := base[term]
	if !ok || c.Packets < b.Packets || c.Octets < b.Octets {
		return c
	}
	return models.PacketCount{Packets: c.Packets - b.Packets, Octets: c.Octets - b.Octets}
}

// ClearNeighbors forgets the learned neighbours of a unit, or of all, for "", in some
// families: all of them, or the one with a valid address. Those that routes use are
// asked for at once. ok is false when there is no such unit.
func (r *Router) ClearNeighbors(name string, families []intf.Family, a netip.Addr) (n int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok = name == ""
	if name != "" && !strings.Contains(name, ".") {
		name += ".0"
	}
	for _, u := range r.units {
		if name != "" && u.key.Name() != name {
			continue
		}
		ok = true
		for _, e := range r.neighbors.Entries(u.index) {
			if e.Static || a.IsValid() && e.Key.Addr != a || !slices.Contains(families, intf.FamilyOf(e.Key.Addr)) {
				continue
			}
			r.act(r.neighbors.Forget(r.clock(), neighbor.Key{IfIndex: u.index, Addr: e.Key.Addr}))
			n++
		}
	}
	r.finish()
	return n, ok
}
