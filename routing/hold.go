package routing

import (
	"fmt"
	"net/netip"

	"router/intf"
)

// Hold keeps a next hop of family f in the tables that no route need have, so that
// packets can be sent to it without a look-up, and returns its id, which stays its
// own until it was let go as often as it was held. What stands behind it is
// resolved and wanted as for a route of source User. Outside a Batch it settles at
// once.
func (s *Store) Hold(f intf.Family, nh NextHop) (NextHopID, error) {
	anywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if f == intf.Inet6 {
		anywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	// What is no next hop for a route is none for anything.
	rt := Route{Key: Key{Prefix: anywhere, Source: User}, NextHop: nh}
	if err := rt.check(); err != nil {
		return 0, fmt.Errorf("next hop without a route: %w", err)
	}
	if nh.Kind == Indirect && s.ribs[nh.Instance] == nil {
		return 0, fmt.Errorf("next hop without a route: instance %d of gateway %v does not exist", nh.Instance, nh.Gateway)
	}
	h := s.acquire(nh)
	s.want(h, 1)
	return h.id, s.settleUnlessBatch()
}

// LetGo ends one Hold of an id. One that names nothing is no error.
func (s *Store) LetGo(id NextHopID) error {
	if int(id) >= len(s.hops.byID) || s.hops.byID[id] == nil {
		return nil
	}
	h := s.hops.byID[id]
	s.want(h, -1)
	s.release(h)
	return s.settleUnlessBatch()
}
