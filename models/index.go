package models

import (
	"net/netip"

	"router/intf"
)

// A multimap is an index from a key to the set of objects that it concerns.
type multimap[K, V comparable] map[K]map[V]struct{}

func (m multimap[K, V]) add(k K, v V) {
	set := m[k]
	if set == nil {
		set = make(map[V]struct{}, 1)
		m[k] = set
	}
	set[v] = struct{}{}
}

func (m multimap[K, V]) remove(k K, v V) {
	set := m[k]
	delete(set, v)
	if len(set) == 0 {
		delete(m, k)
	}
}

// set adds or removes.
func (m multimap[K, V]) set(add bool, k K, v V) {
	if add {
		m.add(k, v)
	} else {
		m.remove(k, v)
	}
}

type instanceAddr struct {
	instance string
	addr     netip.Addr
}

// A familyKey names a family of a unit.
type familyKey struct {
	unit   intf.UnitKey
	family intf.Family
}

// An addressKey names an address of a unit.
type addressKey struct {
	unit   intf.UnitKey
	prefix netip.Prefix
}

type stackKey struct {
	device string
	stack  intf.VLAN
}

// indexes find what a change can affect. All of them follow from the intent.
type indexes struct {
	units      multimap[string, intf.UnitKey]       // by device
	children   multimap[intf.UnitKey, intf.UnitKey] // by parent, there or not
	stacks     multimap[stackKey, intf.UnitKey]     // by all tags of the unit's frames
	addresses  multimap[instanceAddr, addressKey]   // the routers' own, but for link-local ones
	networks   map[StaticKey]int                    // how many addresses make a prefix known in an instance
	families   multimap[string, familyKey]          // by instance
	borrowers  multimap[intf.UnitKey, intf.UnitKey] // unnumbered units by the one that lends
	namespaces multimap[string, string]             // instances by host namespace
	byUnit     multimap[intf.UnitKey, StaticKey]    // routes through a unit
	byGateway  multimap[netip.Addr, StaticKey]      // routes to a gateway, of all instances
	byTarget   multimap[string, StaticKey]          // routes that look up in an instance

	groupsByUnit multimap[intf.UnitKey, MulticastKey] // routes of groups in or out of a unit

	sessions        multimap[SessionMatch, string] // by what they match
	byClass         multimap[string, string]       // sessions
	sessionInstance multimap[string, string]       // sessions that name an instance
	sessionUnit     multimap[intf.UnitKey, string] // sessions that name a unit
	filters         filterIndex

	usersByRole, usersByCert multimap[string, string] // users by role, by name in a certificate
}

func newIndexes() indexes {
	return indexes{
		units:      multimap[string, intf.UnitKey]{},
		children:   multimap[intf.UnitKey, intf.UnitKey]{},
		stacks:     multimap[stackKey, intf.UnitKey]{},
		addresses:  multimap[instanceAddr, addressKey]{},
		networks:   map[StaticKey]int{},
		families:   multimap[string, familyKey]{},
		borrowers:  multimap[intf.UnitKey, intf.UnitKey]{},
		namespaces: multimap[string, string]{},
		byUnit:     multimap[intf.UnitKey, StaticKey]{},
		byGateway:  multimap[netip.Addr, StaticKey]{},
		byTarget:   multimap[string, StaticKey]{},

		groupsByUnit: multimap[intf.UnitKey, MulticastKey]{},

		sessions:        multimap[SessionMatch, string]{},
		byClass:         multimap[string, string]{},
		sessionInstance: multimap[string, string]{},
		sessionUnit:     multimap[intf.UnitKey, string]{},
		filters:         newFilterIndex(),

		usersByRole: multimap[string, string]{},
		usersByCert: multimap[string, string]{},
	}
}

// unit adds or removes what the index says of s, but for its stack.
func (x *indexes) unit(add bool, s intf.UnitSpec) {
	x.units.set(add, s.Key.Device, s.Key)
	if parent, ok := parentOf(s.Key); ok {
		x.children.set(add, parent, s.Key)
	}
	for _, f := range s.Families {
		x.families.set(add, f.Instance, familyKey{s.Key, f.Family})
		if f.Unnumbered != (intf.UnitKey{}) {
			x.borrowers.set(add, f.Unnumbered, s.Key)
		}
		for _, a := range f.Addresses {
			if !isLinkLocal6(a.Prefix.Addr()) {
				x.addresses.set(add, instanceAddr{f.Instance, a.Prefix.Addr()}, addressKey{s.Key, a.Prefix})
			}
		}
	}
	networksOf(&s, func(k StaticKey) { x.network(add, k) })
	x.bindings(add, s)
}

// networksOf visits the prefixes that the addresses of s, nil for none, make
// known in their instances; the same one more than once where they share it.
func networksOf(s *intf.UnitSpec, visit func(StaticKey)) {
	if s == nil {
		return
	}
	for _, f := range s.Families {
		for _, a := range f.Addresses {
			visit(StaticKey{f.Instance, a.Prefix.Masked()})
			visit(StaticKey{f.Instance, hostPrefix(a.Prefix.Addr())})
			if a.Peer.IsValid() {
				visit(StaticKey{f.Instance, hostPrefix(a.Peer)})
			}
		}
	}
}

func (x *indexes) network(add bool, k StaticKey) {
	if add {
		x.networks[k]++
		return
	}
	if x.networks[k]--; x.networks[k] == 0 {
		delete(x.networks, k)
	}
}

func (x *indexes) instance(add bool, s InstanceSpec) {
	x.namespaces.set(add, s.HostNamespace, s.Name)
}

func (x *indexes) static(add bool, s StaticSpec) {
	if s.Incoming != (intf.UnitKey{}) {
		x.byUnit.set(add, s.Incoming, s.Key)
	}
	for _, nh := range s.NextHops {
		if nh.Interface != (intf.UnitKey{}) {
			x.byUnit.set(add, nh.Interface, s.Key)
		}
		if nh.Gateway.IsValid() {
			x.byGateway.set(add, nh.Gateway, s.Key)
		}
		if nh.Instance != "" {
			x.byTarget.set(add, nh.Instance, s.Key)
		}
	}
}

func (x *indexes) multicast(add bool, s MulticastSpec) {
	for unit := range s.units {
		x.groupsByUnit.set(add, unit, s.Key)
	}
}
