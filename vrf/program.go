package vrf

import (
	"errors"
	"fmt"
	"net/netip"

	"router/intf"
	"router/routing"
)

// This file has what a controller needs that programs routes one by one, with
// next-hop groups that many of them share.

// NewShared, SetShared and ReleaseShared are those of [routing.Store].
func (m *Manager) NewShared(f intf.Family, members []routing.Member) (routing.NextHop, error) {
	return m.store.NewShared(f, members)
}

// SetShared changes the members of a shared group.
func (m *Manager) SetShared(group routing.NextHop, members []routing.Member) error {
	return m.store.SetShared(group, members)
}

// ReleaseShared gives up a shared group.
func (m *Manager) ReleaseShared(group routing.NextHop) error { return m.store.ReleaseShared(group) }

// Hold keeps a next hop of a family in the tables that no route need have, until
// ReleaseNextHop.
func (m *Manager) Hold(f intf.Family, nh routing.NextHop) (routing.NextHopID, error) {
	return m.store.Hold(f, nh)
}

// SetUser adds or replaces the route of a protocol to a prefix, with the
// protocol's preference where r has none.
func (m *Manager) SetUser(instance string, p routing.Protocol, r UserRoute) error {
	ri, err := m.instance(instance)
	if err != nil {
		return fmt.Errorf("%v route %v: %w", p, r.Prefix, err)
	}
	if r.Preference == 0 {
		r.Preference = p.Preference()
	}
	err = ri.rib.Set(routing.Route{Key: userKey(p, r.Prefix), Preference: r.Preference, Tag: r.Tag, NextHop: r.NextHop})
	if err != nil {
		return fmt.Errorf("instance %s %v route %v: %w", instance, p, r.Prefix, err)
	}
	return nil
}

// DeleteUser removes the route of a protocol to a prefix. Deleting what is
// absent is no error.
func (m *Manager) DeleteUser(instance string, p routing.Protocol, prefix netip.Prefix) error {
	ri := m.byName[instance]
	if ri == nil {
		return nil
	}
	if err := ri.rib.Delete(userKey(p, prefix)); err != nil {
		return fmt.Errorf("instance %s %v route %v: %w", instance, p, prefix, err)
	}
	return nil
}

// User is the route of a protocol to a prefix.
func (m *Manager) User(instance string, p routing.Protocol, prefix netip.Prefix) (routing.Entry, bool) {
	ri := m.byName[instance]
	if ri == nil {
		return routing.Entry{}, false
	}
	return ri.rib.Entry(userKey(p, prefix))
}

// Prefer gives all routes of a protocol another preference, in all instances,
// and publishes that at the end. It costs a walk through all routes.
func (m *Manager) Prefer(p routing.Protocol, preference uint8) error {
	return m.store.Batch(func() error {
		var errs []error
		for _, ri := range m.byName {
			var routes []routing.Route
			for _, f := range intf.Families {
				ri.rib.Walk(f, func(e routing.Entry) bool {
					if e.Source == routing.User && e.Protocol == p && e.Preference != preference {
						routes = append(routes, e.Route)
					}
					return true
				})
			}
			for _, r := range routes {
				r.Preference = preference
				errs = append(errs, ri.rib.Set(r))
			}
		}
		return errors.Join(errs...)
	})
}

func userKey(p routing.Protocol, prefix netip.Prefix) routing.Key {
	return routing.Key{Prefix: prefix.Masked(), Source: routing.User, Protocol: p}
}
