package control

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"router/cmd/routerd/reconcile"
	"router/dataplane"
	"router/dataplane/filter"
	"router/dataplane/host"
	"router/intf"
	"router/routing/neighbor"
	"router/vrf"
)

// A unit is an ifl: what is wanted of it, and what has been applied.
type unit struct {
	key      intf.UnitKey
	index    intf.Index
	want     *intf.UnitSpec // families included
	families [len(intf.Families)]*family
	params   neighbor.Interface
	known    bool // to the neighbour table
	loopback bool // its addresses are not the neighbour table's
	host     *host.Spec
	unhosted bool // what host says could not be had
	changed  time.Time
	status   intf.OperStatus
	meter    meter
	lacks    map[part]time.Time // since when parts are not in place; nil when all are
	parts    int                // of these, in Router.parts
}

// A family is an iff as applied.
type family struct {
	instance  string
	up        bool
	addresses map[netip.Prefix]*address
	borrowed  netip.Addr // while it is unnumbered; zero for none
	static    map[netip.Addr]intf.MAC
	filters   intf.FilterNames // that bound stands for
	bound     [filter.NumHooks]*filter.Bound
}

func (r *Router) wantUnit(s reconcile.Step) error {
	u := r.units[s.Unit]
	if u == nil {
		u = &unit{key: s.Unit, changed: r.now(), status: intf.OperPending}
		r.units[s.Unit] = u
	}
	if s.Kind == reconcile.Unit && s.New.Unit == nil {
		// What stands below goes with it; its own steps have come before.
		r.noteLenders(s.Unit, u.want, nil)
		u.want = nil
		r.dirty.tree(r.tree.DeleteUnit(s.Unit))
		r.dirty.units[s.Unit] = struct{}{}
		return nil
	}
	next := intf.UnitSpec{Key: s.Unit, Enabled: true}
	if u.want != nil {
		next = *u.want
	}
	next.Families = slices.Clone(next.Families)
	if s.Kind == reconcile.Unit {
		families := next.Families
		next = *s.New.Unit
		next.Families = families
	} else {
		editFamily(&next, s)
	}
	changes, err := r.tree.SetUnit(next)
	if err != nil {
		return err
	}
	r.noteLenders(s.Unit, u.want, &next)
	u.want = &next
	r.dirty.tree(changes)
	r.dirty.units[s.Unit] = struct{}{}
	t := r.tree.Unit(s.Unit)
	r.saveIndex(t.Name, t.Index)
	return nil
}

// editFamily takes a step on a family, an address or a neighbour into spec.
func editFamily(spec *intf.UnitSpec, s reconcile.Step) {
	i := slices.IndexFunc(spec.Families, func(f intf.FamilySpec) bool { return f.Family == s.Family })
	if s.Kind == reconcile.Family && s.New.Family == nil {
		if i >= 0 {
			spec.Families = slices.Delete(spec.Families, i, i+1)
		}
		return
	}
	if i < 0 {
		spec.Families = append(spec.Families, intf.FamilySpec{Family: s.Family, Enabled: true, Instance: vrf.Default})
		slices.SortFunc(spec.Families, func(a, b intf.FamilySpec) int { return int(a.Family) - int(b.Family) })
		i = slices.IndexFunc(spec.Families, func(f intf.FamilySpec) bool { return f.Family == s.Family })
	}
	f := &spec.Families[i]
	//exhaustive:ignore the other kinds don't come here
	switch s.Kind {
	case reconcile.Family:
		addresses, neighbors := f.Addresses, f.Neighbors
		*f = *s.New.Family
		f.Addresses, f.Neighbors = addresses, neighbors
	case reconcile.Address:
		f.Addresses = slices.DeleteFunc(slices.Clone(f.Addresses), func(a intf.AddressSpec) bool { return a.Prefix == s.Prefix })
		if s.New.Address != nil {
			f.Addresses = append(f.Addresses, *s.New.Address)
			slices.SortFunc(f.Addresses, func(a, b intf.AddressSpec) int { return a.Prefix.Compare(b.Prefix) })
		}
	case reconcile.Neighbor:
		f.Neighbors = slices.DeleteFunc(slices.Clone(f.Neighbors), func(n intf.NeighborSpec) bool { return n.Address == s.Neighbor })
		if s.New.Neighbor != nil {
			f.Neighbors = append(f.Neighbors, *s.New.Neighbor)
			slices.SortFunc(f.Neighbors, func(a, b intf.NeighborSpec) int { return a.Address.Compare(b.Address) })
		}
	}
}

// buildUnit puts in place what is new or different of a unit.
func (r *Router) buildUnit(key intf.UnitKey) error {
	u, t := r.units[key], r.tree.Unit(key)
	if u == nil || t == nil || u.want == nil {
		return nil
	}
	u.index = t.Index
	r.byIndex[t.Index] = u
	if s := t.Down.Status(); s != u.status {
		u.status, u.changed = s, r.now()
	}
	if err := r.reclaim(key.Device); err != nil {
		return err
	}
	if err := r.publishUnit(u, t); err != nil {
		return err
	}

	if u.loopback != t.Loopback {
		if err := r.forgetAddresses(u); err != nil {
			return err
		}
		u.loopback = t.Loopback
	}
	params := neighbor.Interface{MAC: t.MAC}
	if d := r.devices[key.Device]; d != nil && d.open != nil {
		if f := t.Family(intf.Inet); f != nil {
			params.Inet = f.Up()
		}
		if f := t.Family(intf.Inet6); f != nil {
			params.Inet6 = f.Up()
		}
	}
	for _, f := range intf.Families {
		if err := r.buildFamily(u, t, f); err != nil {
			return fmt.Errorf("interface %s unit %s family %s: %w", key.Device, key.ID, f, err)
		}
	}
	if !u.known || params != u.params {
		if u.params.Inet6 && !params.Inet6 {
			r.forgetOwn(u)
		}
		u.known, u.params = true, params
		r.act(r.neighbors.SetInterface(r.clock(), u.index, params))
		r.restoreNeighbors(u)
	}
	if err := r.drain(); err != nil {
		return err
	}
	r.markBorrowers(key)
	r.buildAdvert(u, t)
	if err := r.publishUnit(u, t); err != nil {
		return err
	}
	if err := r.buildHost(u, t); err != nil {
		return err
	}
	r.changedUnit(key)
	return nil
}

func (r *Router) buildFamily(u *unit, t *intf.Unit, f intf.Family) error {
	tf := t.Family(f)
	if tf == nil {
		return nil
	}
	fam := u.families[f]
	if fam == nil {
		fam = &family{addresses: map[netip.Prefix]*address{}, static: map[netip.Addr]intf.MAC{}}
		u.families[f] = fam
	}
	d := r.devices[u.key.Device]
	up := tf.Up() && (t.Loopback || d != nil && d.open != nil)
	if err := r.vrfs.SetFamily(u.index, f, tf.Spec.Instance, up); err != nil {
		return err
	}
	fam.instance, fam.up = tf.Spec.Instance, up
	if err := r.wantFeasible(u.index, f, tf.Spec.Instance, tf.Spec.RPF == intf.RPFFeasible); err != nil {
		return err
	}
	for _, spec := range wantedAddresses(t, f) {
		a := fam.addresses[spec.Prefix]
		if a == nil {
			a = &address{spec: spec, reason: "waits for the link"}
			if was := fam.at(spec.Prefix.Addr()); was != nil {
				// Only the length is new: what is known of the address stays.
				a.status, a.reason = was.status, was.reason
				if was.usable {
					if err := r.vrfs.AddAddress(u.index, spec); err != nil {
						return err
					}
					a.usable = true
				}
			}
			fam.addresses[spec.Prefix] = a
			if t.Loopback {
				// There is nobody to ask, nor to tell.
				if err := r.useAddress(u.index, spec.Prefix.Addr()); err != nil {
					return err
				}
				continue
			}
			r.addAddress(u, spec.Prefix)
			continue
		}
		if a.spec != spec {
			a.spec = spec
			if a.usable {
				if err := r.vrfs.AddAddress(u.index, spec); err != nil {
					return err
				}
			}
		}
	}
	r.borrow(u, fam, tf, f)
	for _, n := range tf.Spec.Neighbors {
		if fam.static[n.Address] != n.MAC {
			fam.static[n.Address] = n.MAC
			r.act(r.neighbors.SetStatic(r.clock(), neighbor.Key{IfIndex: u.index, Addr: n.Address}, n.MAC))
		}
	}
	return nil
}

func (r *Router) dirtyUnit(u *unit) { r.dirty.units[u.key] = struct{}{} }

// publishUnit puts into the edit what workers need of the unit.
func (r *Router) publishUnit(u *unit, t *intf.Unit) error {
	v := dataplane.Unit{Index: u.index, VLAN: t.Stack, MAC: t.MAC, Loopback: t.Loopback}
	if d := r.devices[u.key.Device]; d != nil && t.Down&(intf.BadTags|intf.NoParent) == 0 {
		v.Port = d.port
	}
	for _, f := range intf.Families {
		tf, fam := t.Family(f), u.families[f]
		if tf == nil || fam == nil {
			continue
		}
		index, _ := r.vrfs.Index(tf.Spec.Instance)
		w := dataplane.UnitFamily{Up: tf.Up(), Instance: index, MTU: tf.MTU, RPF: tf.Spec.RPF, Group: t.Spec.Group}
		for _, a := range fam.sorted() {
			if !a.usable {
				continue
			}
			w.Locals = append(w.Locals, a.spec.Prefix.Addr())
			if !tf.Spec.NoRedirects && !a.spec.Prefix.IsSingleIP() {
				w.Redirects = append(w.Redirects, a.spec.Prefix)
			}
		}
		w.Primary = fam.primary()
		if fam.borrowed.IsValid() {
			w.Primary, w.Locals = fam.borrowed, append(w.Locals, fam.borrowed)
		}
		bound, err := r.bind(u, tf)
		if err != nil {
			return err
		}
		r.rebound(u, fam, tf.Spec.Filters, bound)
		w.Filters = bound
		v.Families[f] = w
	}
	if _, there := r.engine.UnitCounters(u.index); !there {
		u.meter.begin(r.now())
	}
	r.edit.SetUnit(v)
	return nil
}

// clearUnit takes away what is no longer wanted of a unit.
func (r *Router) clearUnit(key intf.UnitKey) error {
	u, t := r.units[key], r.tree.Unit(key)
	if u == nil {
		return nil
	}
	if u.want == nil || t == nil {
		return r.removeUnit(u)
	}
	for _, f := range intf.Families {
		fam := u.families[f]
		if fam == nil {
			continue
		}
		wanted := wantedAddresses(t, f)
		for prefix := range fam.addresses {
			if !slices.ContainsFunc(wanted, func(a intf.AddressSpec) bool { return a.Prefix == prefix }) {
				delete(fam.addresses, prefix)
				if fam.at(prefix.Addr()) == nil {
					r.act(r.neighbors.RemoveAddress(r.clock(), u.index, prefix.Addr()))
					r.forget(neighbor.Key{IfIndex: u.index, Addr: prefix.Addr()}, true)
				}
				if err := r.vrfs.RemoveAddress(u.index, prefix); err != nil {
					return err
				}
			}
		}
		tf := t.Family(f)
		r.borrow(u, fam, tf, f)
		for addr := range fam.static {
			if tf == nil || !slices.ContainsFunc(tf.Spec.Neighbors, func(n intf.NeighborSpec) bool { return n.Address == addr }) {
				delete(fam.static, addr)
				r.act(r.neighbors.RemoveStatic(r.clock(), neighbor.Key{IfIndex: u.index, Addr: addr}))
			}
		}
		if tf == nil {
			if err := r.vrfs.RemoveFamily(u.index, f); err != nil {
				return err
			}
			r.rebound(u, fam, intf.FilterNames{}, [filter.NumHooks]*filter.Bound{})
			if err := r.wantFeasible(u.index, f, "", false); err != nil {
				return err
			}
			u.families[f] = nil
		}
	}
	if err := r.drain(); err != nil {
		return err
	}
	r.markBorrowers(key)
	if err := r.publishUnit(u, t); err != nil {
		return err
	}
	return r.buildHost(u, t)
}

func (r *Router) removeUnit(u *unit) error {
	delete(r.units, u.key)
	r.countParts(u, 0)
	r.markBorrowers(u.key)
	if u.index == 0 {
		r.changedUnit(u.key)
		return nil
	}
	r.leave(u.index)
	r.adverts.Remove(u.index)
	delete(r.byIndex, u.index)
	r.act(r.neighbors.RemoveInterface(r.clock(), u.index))
	var errs []error
	for _, f := range intf.Families {
		if fam := u.families[f]; fam != nil {
			r.rebound(u, fam, intf.FilterNames{}, [filter.NumHooks]*filter.Bound{})
		}
		errs = append(errs, r.vrfs.RemoveFamily(u.index, f), r.wantFeasible(u.index, f, "", false))
	}
	errs = append(errs, r.drain())
	r.edit.DeleteUnit(u.index)
	errs = append(errs, r.removeHost(u), r.reclaim(u.key.Device))
	r.changedUnit(u.key)
	return errors.Join(errs...)
}

// reclaim tells a shared device which frames are the router's now.
func (r *Router) reclaim(name string) error {
	d := r.devices[name]
	if d == nil || d.open == nil || d.spec.Attach != intf.Shared {
		return nil
	}
	claims := r.claims(name)
	if equalClaims(claims, d.claims) {
		return nil
	}
	if err := d.open.SetClaims(claims); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	d.claims = claims
	return nil
}
