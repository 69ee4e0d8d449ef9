package vrf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"router/intf"
	"router/routing"
)

// A GroupKey names a route of groups: a prefix of destination and source
// concatenated. Source has the zero value for any source, and else Group is
// one group.
type GroupKey struct {
	Group, Source netip.Prefix // masked
}

func (k GroupKey) String() string {
	if !k.Source.IsValid() {
		return k.Group.String() + " any"
	}
	return k.Group.String() + " " + k.Source.String()
}

// A GroupRoute is a configured route of groups. One without units that isn't
// Local discards.
type GroupRoute struct {
	Flood bool         // not to the unit that a packet came in by
	In    intf.Index   // the unit that packets have to come in by, 0 for any
	Out   []intf.Index // the units that get copies
	Local bool         // deliver here too
}

// multicast is what an instance has of groups beside its RIB.
type multicast struct {
	routes map[GroupKey]uint32 // the tallies of configured routes
	groups map[netip.Addr]*group
	cache  cache
}

// A group is a group that has routes by source.
type group struct {
	rib  *routing.RIB
	fib  closer
	used int // routes, clones among them
}

// closer is the part of a FIB that only its owner uses.
type closer interface{ Close() }

func newMulticast() multicast {
	return multicast{routes: map[GroupKey]uint32{}, groups: map[netip.Addr]*group{}, cache: newCache()}
}

// tally is a number for a route to count under. It is not used again for a
// very long time.
func (m *Manager) tally() uint32 {
	if m.tallies++; m.tallies == 0 {
		m.tallies++
	}
	return m.tallies
}

// SetGroup adds or replaces a configured route of groups.
func (m *Manager) SetGroup(instance string, k GroupKey, r GroupRoute) error {
	ri, err := m.instance(instance)
	if err == nil {
		err = k.check()
	}
	if err != nil {
		return fmt.Errorf("multicast route %v: %w", k, err)
	}
	tally := ri.mcast.routes[k]
	isNew := tally == 0
	if isNew {
		tally = m.tally()
	}
	nh, err := routing.NewList(routing.List{
		Flood: r.Flood, In: r.In, Out: r.Out, Local: r.Local, Report: !k.flow(), Tally: tally,
	})
	if err != nil {
		return fmt.Errorf("instance %s multicast route %v: %w", instance, k, err)
	}
	err = m.store.Batch(func() error {
		if !k.Source.IsValid() {
			ri.mcast.routes[k] = tally
			return ri.rib.Set(routing.Route{Key: k.route(), NextHop: nh})
		}
		g, err := m.group(ri, k.Group.Addr())
		if err != nil {
			return err
		}
		ri.mcast.routes[k] = tally
		if isNew {
			g.used++
		}
		err = g.rib.Set(routing.Route{Key: k.route(), NextHop: nh})
		if k.flow() {
			// A clone beside it would be of no use.
			err = errors.Join(err, m.removeClone(ri, Flow{k.Group.Addr(), k.Source.Addr()}))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("instance %s multicast route %v: %w", instance, k, err)
	}
	return nil
}

// DeleteGroup removes a configured route of groups. Deleting what is absent is
// no error.
func (m *Manager) DeleteGroup(instance string, k GroupKey) error {
	ri := m.byName[instance]
	if ri == nil || ri.mcast.routes[k] == 0 {
		return nil
	}
	delete(ri.mcast.routes, k)
	var err error
	if !k.Source.IsValid() {
		err = ri.rib.Delete(k.route())
	} else {
		g := ri.mcast.groups[k.Group.Addr()]
		err = errors.Join(g.rib.Delete(k.route()), m.leaveGroup(ri, k.Group.Addr()))
	}
	if err != nil {
		return fmt.Errorf("instance %s multicast route %v: %w", instance, k, err)
	}
	return nil
}

func (k GroupKey) check() error {
	switch {
	case !k.Group.IsValid() || k.Group != k.Group.Masked() || !withinGroups(k.Group):
		return errors.New("the group is not a prefix of multicast groups")
	case !k.Source.IsValid():
		return nil
	case k.Source != k.Source.Masked() || k.Source.Addr().Is4() != k.Group.Addr().Is4():
		return errors.New("the source is not a prefix of the group's family")
	case !k.Group.IsSingleIP():
		return errors.New("a source needs a single group")
	}
	return nil
}

// flow reports whether the route is of one source and one group.
func (k GroupKey) flow() bool { return k.Source.IsValid() && k.Source.IsSingleIP() }

// route is the key of the route in the instance's RIB, or in that of the group.
func (k GroupKey) route() routing.Key {
	p := k.Group
	if k.Source.IsValid() {
		p = k.Source
	}
	return routing.Key{Prefix: p, Source: routing.User, Protocol: routing.StaticGroup}
}

var (
	groups4 = netip.MustParsePrefix("224.0.0.0/4")
	groups6 = netip.MustParsePrefix("ff00::/8")
)

// withinGroups reports whether p holds multicast groups only.
func withinGroups(p netip.Prefix) bool {
	return p.Bits() >= groups4.Bits() && groups4.Contains(p.Addr()) || p.Bits() >= groups6.Bits() && groups6.Contains(p.Addr())
}

// group finds or makes what leads to a group's routes by source.
func (m *Manager) group(ri *instance, a netip.Addr) (*group, error) {
	if g := ri.mcast.groups[a]; g != nil {
		return g, nil
	}
	table, err := m.arena.NewTable()
	if err != nil {
		return nil, err
	}
	rib, err := ri.rib.AddSources(a, table)
	if err != nil {
		if rib != nil {
			err = errors.Join(err, ri.rib.RemoveSources(a))
		}
		table.Close()
		return nil, err
	}
	g := &group{rib: rib, fib: table}
	ri.mcast.groups[a] = g
	return g, nil
}

// leaveGroup gives up a route by source, and the group with the last one.
func (m *Manager) leaveGroup(ri *instance, a netip.Addr) error {
	g := ri.mcast.groups[a]
	if g.used--; g.used > 0 {
		return nil
	}
	delete(ri.mcast.groups, a)
	err := ri.rib.RemoveSources(a)
	g.fib.Close()
	return err
}

// removeGroups removes all that an instance has by source.
func (m *Manager) removeGroups(ri *instance) error {
	var errs []error
	for a, g := range ri.mcast.groups {
		errs = append(errs, ri.rib.RemoveSources(a))
		g.fib.Close()
	}
	ri.mcast = newMulticast()
	return errors.Join(errs...)
}

// Group is the state of the configured route of groups k, and the number that it
// counts under; ok is false when there is none.
func (m *Manager) Group(instance string, k GroupKey) (e routing.Entry, tally uint32, ok bool) {
	ri := m.byName[instance]
	if ri == nil || ri.mcast.routes[k] == 0 {
		return e, 0, false
	}
	rib := ri.rib
	if k.Source.IsValid() {
		rib = ri.mcast.groups[k.Group.Addr()].rib
	}
	want := k.route()
	for _, e := range rib.Entries(want.Prefix) {
		if e.Key == want {
			return e, ri.mcast.routes[k], true
		}
	}
	return e, 0, false
}

// Flows visits the routes by source of an instance's groups of a family with their state, in the
// order of groups and then sources, until visit answers false: those of the one
// group when that is valid, else those of all groups behind after (of all when
// after isn't valid). What stands for all other sources of a group is not among
// them. visit must not change routes.
func (m *Manager) Flows(instance string, f intf.Family, one, after netip.Addr, visit func(group netip.Addr, e routing.Entry) bool) {
	ri := m.byName[instance]
	if ri == nil {
		return
	}
	var list []netip.Addr
	for a := range ri.mcast.groups {
		if intf.FamilyOf(a) == f && (!one.IsValid() || a == one) && (!after.IsValid() || after.Less(a)) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	for _, a := range list {
		more := true
		ri.mcast.groups[a].rib.Walk(f, func(e routing.Entry) bool {
			if e.Source == routing.Clone && !e.Prefix.IsSingleIP() {
				return true
			}
			more = visit(a, e)
			return more
		})
		if !more {
			return
		}
	}
}
