package vrf

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"router/intf"
	"router/routing"
)

// An Action says what a static route does with packets.
type Action uint8

// The actions.
const (
	ActionForward Action = iota // to a gateway, out of a unit, or to another instance's lookup
	ActionReject                // refuse with ICMP destination unreachable
	ActionDiscard               // drop silently
	ActionReceive               // deliver here
)

func (a Action) String() string {
	switch a {
	case ActionForward:
		return "forward"
	case ActionReject:
		return "reject"
	case ActionDiscard:
		return "discard"
	case ActionReceive:
		return "receive"
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// A StaticRoute is a configured route to a prefix. With ActionForward it has a
// Gateway, an IfIndex or both, or else a Lookup, or else Members; the others
// have none of them.
type StaticRoute struct {
	Preference uint8
	Action     Action
	Reject     routing.RejectCode // of ActionReject; RejectNone is RejectHost
	Incoming   intf.Index         // the unit that packets have to come in by; 0 for any
	Tag        uint32
	Gateway    netip.Addr // without IfIndex it may be any number of routes away
	IfIndex    intf.Index // alone: every destination is a neighbour on the unit
	Lookup     string     // the instance to look the destination up in; with a Gateway, to find that in
	Members    []Member   // several ways at once
}

// A Member is one of several ways that a static route goes.
type Member struct {
	Gateway netip.Addr // as in StaticRoute
	IfIndex intf.Index
	Lookup  string // with a Gateway only
	Weight  uint8  // its share of the flows, 1 to routing.MaxWeight
	Backup  bool   // used while none is usable that is no backup
}

// nextHop is what the route does, in an instance's RIB.
func (m *Manager) nextHop(ri *instance, prefix netip.Prefix, s StaticRoute) (routing.NextHop, error) {
	switch s.Action {
	case ActionReject:
		code := s.Reject
		if code == routing.RejectNone {
			code = routing.RejectHost
		}
		return routing.NextHop{Kind: routing.Reject, Reject: code}, nil
	case ActionDiscard:
		return discard, nil
	case ActionReceive:
		return receive, nil
	case ActionForward:
	}
	switch {
	case len(s.Members) > 0 && (s.Lookup != "" || s.Gateway.IsValid() || s.IfIndex != 0):
		return routing.NextHop{}, errors.New("several next hops exclude a single one")
	case len(s.Members) > 0:
		members := make([]routing.Member, 0, len(s.Members))
		for _, way := range s.Members {
			nh, err := m.nextHop(ri, prefix, StaticRoute{Gateway: way.Gateway, IfIndex: way.IfIndex, Lookup: way.Lookup})
			if err == nil && nh.Kind == routing.Lookup {
				err = errors.New("a look-up in another instance stands alone")
			}
			if err != nil {
				return routing.NextHop{}, err
			}
			members = append(members, routing.Member{NextHop: nh, Weight: way.Weight, Backup: way.Backup})
		}
		return routing.NewGroup(intf.FamilyOf(prefix.Addr()), members)
	case s.Lookup != "" && s.IfIndex != 0:
		return routing.NextHop{}, errors.New("a lookup in another instance excludes an interface")
	case s.Gateway.IsValid() && intf.FamilyOf(s.Gateway) != intf.FamilyOf(prefix.Addr()):
		return routing.NextHop{}, fmt.Errorf("gateway %v is not of the prefix's family", s.Gateway)
	case s.Lookup != "":
		other, err := m.instance(s.Lookup)
		if err != nil {
			return routing.NextHop{}, err
		}
		if s.Gateway.IsValid() {
			return routing.NextHop{Kind: routing.Indirect, Gateway: s.Gateway.WithZone(""), Instance: other.index}, nil
		}
		return routing.NextHop{Kind: routing.Lookup, Instance: other.index}, nil
	case s.Gateway.IsValid() && s.IfIndex != 0:
		return routing.NextHop{Kind: routing.Forward, IfIndex: s.IfIndex, Gateway: s.Gateway.WithZone("")}, nil
	case s.Gateway.IsValid():
		return routing.NextHop{Kind: routing.Indirect, Gateway: s.Gateway.WithZone(""), Instance: ri.index}, nil
	case s.IfIndex != 0:
		return routing.NextHop{Kind: routing.Resolve, IfIndex: s.IfIndex}, nil
	}
	return routing.NextHop{}, errors.New("a forward route needs a gateway, an interface or an instance")
}

// SetStatic adds or replaces the static route to a prefix.
func (m *Manager) SetStatic(instance string, prefix netip.Prefix, s StaticRoute) error {
	ri, err := m.instance(instance)
	if err != nil {
		return fmt.Errorf("static route %v: %w", prefix, err)
	}
	nh, err := m.nextHop(ri, prefix, s)
	if err == nil {
		key := staticKey(prefix)
		key.IfIndex = s.Incoming
		err = m.store.Batch(func() error {
			err := ri.rib.Set(routing.Route{Key: key, Preference: s.Preference, Incoming: s.Incoming != 0, Tag: s.Tag, NextHop: nh})
			if err != nil {
				return err
			}
			return ri.deleteStatics(prefix, key)
		})
	}
	if err != nil {
		return fmt.Errorf("instance %s static route %v: %w", instance, prefix, err)
	}
	return nil
}

// DeleteStatic removes the static route to a prefix. Deleting what is absent is
// no error.
func (m *Manager) DeleteStatic(instance string, prefix netip.Prefix) error {
	if ri := m.byName[instance]; ri != nil {
		if err := m.store.Batch(func() error { return ri.deleteStatics(prefix, routing.Key{}) }); err != nil {
			return fmt.Errorf("instance %s static route %v: %w", instance, prefix, err)
		}
	}
	return nil
}

// deleteStatics deletes the static routes to a prefix, whatever unit they take
// packets of, but for the one with the key keep.
func (ri *instance) deleteStatics(prefix netip.Prefix, keep routing.Key) error {
	var errs []error
	for _, e := range ri.rib.Entries(prefix) {
		if e.Source == routing.User && e.Protocol == routing.Static && e.Key != keep {
			errs = append(errs, ri.rib.Delete(e.Key))
		}
	}
	return errors.Join(errs...)
}

// staticKey has no interface: that is the one that packets must come in by, if
// the route cares.
func staticKey(prefix netip.Prefix) routing.Key {
	return routing.Key{Prefix: prefix.Masked(), Source: routing.User, Protocol: routing.Static}
}

// A UserRoute is a route from a feed.
type UserRoute struct {
	Prefix     netip.Prefix
	Preference uint8 // 0 is the protocol's
	Tag        uint32
	NextHop    routing.NextHop
}

// Load adds or replaces routes of a feed in an instance, and publishes them at
// the end. It stops at the first route that isn't one, and publishes what came
// before it.
func (m *Manager) Load(instance string, p routing.Protocol, routes iter.Seq[UserRoute]) error {
	ri, err := m.instance(instance)
	if err != nil {
		return fmt.Errorf("%v routes: %w", p, err)
	}
	return m.store.Batch(func() error {
		for r := range routes {
			if r.Preference == 0 {
				r.Preference = p.Preference()
			}
			err := ri.rib.Set(routing.Route{
				Key:        routing.Key{Prefix: r.Prefix.Masked(), Source: routing.User, Protocol: p},
				Preference: r.Preference, Tag: r.Tag, NextHop: r.NextHop,
			})
			if err != nil {
				return fmt.Errorf("instance %s %v route %v: %w", instance, p, r.Prefix, err)
			}
		}
		return nil
	})
}

// Unload removes the routes of a feed to the given prefixes, and publishes that
// at the end. A prefix that has none is no error.
func (m *Manager) Unload(instance string, p routing.Protocol, prefixes iter.Seq[netip.Prefix]) error {
	ri := m.byName[instance]
	if ri == nil {
		return nil
	}
	return m.store.Batch(func() error {
		for prefix := range prefixes {
			err := ri.rib.Delete(routing.Key{Prefix: prefix.Masked(), Source: routing.User, Protocol: p})
			if err != nil {
				return fmt.Errorf("instance %s %v route %v: %w", instance, p, prefix, err)
			}
		}
		return nil
	})
}
