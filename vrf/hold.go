package vrf

import (
	"errors"
	"fmt"
	"net/netip"

	"router/intf"
	"router/routing"
)

// HoldNextHop keeps a next hop of family f that no route need have, for packets
// that are sent to it without a look-up: a gateway on the unit, or one that is
// found by a look-up in the instance (ifindex 0), or whatever neighbour on the unit
// the destination is (no gateway). ReleaseNextHop ends it.
func (m *Manager) HoldNextHop(instance string, f intf.Family, gateway netip.Addr, ifindex intf.Index) (routing.NextHopID, error) {
	ri, err := m.instance(instance)
	if err != nil {
		return 0, err
	}
	var nh routing.NextHop
	switch {
	case gateway.IsValid() && ifindex != 0:
		nh = routing.NextHop{Kind: routing.Forward, IfIndex: ifindex, Gateway: gateway.WithZone("")}
	case gateway.IsValid():
		nh = routing.NextHop{Kind: routing.Indirect, Gateway: gateway.WithZone(""), Instance: ri.index}
	case ifindex != 0:
		nh = routing.NextHop{Kind: routing.Resolve, IfIndex: ifindex}
	default:
		return 0, errors.New("a next hop needs a gateway or an interface")
	}
	id, err := m.store.Hold(f, nh)
	if err != nil {
		return 0, fmt.Errorf("instance %s: %w", instance, err)
	}
	return id, nil
}

// ReleaseNextHop ends a HoldNextHop. Releasing what is not held is no error.
func (m *Manager) ReleaseNextHop(id routing.NextHopID) error { return m.store.LetGo(id) }
