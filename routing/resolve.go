package routing

import (
	"net/netip"
	"slices"
	"strings"

	"router/intf"
)

const (
	// maxDepth is how many gateways may stand between a route and its neighbour.
	maxDepth = 8
	// maxPath bounds the recursion through gateways, unresolved ones included,
	// that wait for each other.
	maxPath = 4096
	// maxNames is how many gateways of a circle a reason names.
	maxNames = 6

	tooDeep = "too many gateways in a row lead to it"
)

// A gatewayKey is an address, and the instance to look it up in.
type gatewayKey struct {
	instance uint32
	addr     netip.Addr
}

// What is known of a gateway's resolution.
const (
	resolved  = iota // or known to be unresolvable
	unknown          // something that it was resolved by has changed
	exploring        // the resolution is under way
)

// A gateway is an address that routes go through, and what it resolves to.
type gateway struct {
	gatewayKey
	number uint32
	hop    *hop // its Indirect; nil for one that a Lookup led to
	via    *hop // what the hop resolves to, as the sink knows it

	state   uint8
	target  NextHop      // direct; zero while unresolved
	through netip.Prefix // of the route that it was found by
	reason  string       // why it is unresolved
	depth   int          // gateways that it was resolved through, itself included
	match   uint8        // length of the shortest prefix that mattered

	asked    []*gateway            // whose resolution mattered
	followed []*hop                // shared groups that it looked at
	users    map[*gateway]struct{} // to whom this one's did
}

// gateway finds or makes the gateway with the given key, to be resolved when
// the change settles.
func (s *Store) gateway(k gatewayKey) *gateway {
	g := s.gateways[k]
	if g == nil {
		g = &gateway{gatewayKey: k, users: map[*gateway]struct{}{}}
		if n := len(s.unused); n > 0 {
			g.number = s.unused[n-1]
			s.unused = s.unused[:n-1]
			s.numbers[g.number] = g
		} else {
			g.number = uint32(len(s.numbers))
			s.numbers = append(s.numbers, g)
		}
		s.gateways[k] = g
		if r := s.ribs[k.instance]; r != nil {
			s.index(r, g)
		}
		s.idle = append(s.idle, g)
		s.touch(g)
	}
	return g
}

// index makes r find g when a route changes that covers it.
func (s *Store) index(r *RIB, g *gateway) {
	f := intf.FamilyOf(g.addr)
	i := r.gateways[f].insert(&s.nodes, keyOf(g.addr), uint8(g.addr.BitLen()), r.slot, 0)
	s.nodes.at(i).head = g.number
}

// touch has g resolved again.
func (s *Store) touch(g *gateway) {
	if g.state == resolved {
		g.state = unknown
		s.dirty = append(s.dirty, g)
	}
}

// touchCovered has the gateways resolved again that a change at n can matter to.
func (s *Store) touchCovered(n *node) {
	t := &s.slots[n.rib].gateways[n.family()]
	if t.root == 0 {
		return
	}
	t.within(&s.nodes, n.key, n.bits, func(i uint32) bool {
		if g := s.numbers[s.nodes.at(i).head]; n.bits >= g.match {
			s.touch(g)
		}
		return true
	})
}

// resolveAll resolves the gateways that need it, and answers those whose
// Indirect has changed. Routes that become usable or unusable are queued.
func (s *Store) resolveAll() (turned []*gateway) {
	// Whoever asked a gateway that is to be resolved again has to ask again.
	for n := 0; n < len(s.dirty); n++ {
		for u := range s.dirty[n].users {
			s.touch(u)
		}
	}
	for _, g := range s.dirty {
		s.forget(g)
	}
	// The list may grow by gateways that lookups lead to.
	for n := 0; n < len(s.dirty); n++ {
		if g := s.dirty[n]; g.state == unknown {
			s.resolve(g)
		}
	}
	for _, g := range s.dirty {
		h := g.hop
		if h == nil || h.refs == 0 {
			continue
		}
		if g.via == nil && g.target.Kind == 0 || g.via != nil && g.via.NextHop == g.target {
			continue
		}
		var via *hop
		if g.target.Kind != 0 {
			via = s.acquire(g.target)
		}
		s.setVia(g, via)
		turned = append(turned, g)
		if was := h.dead[0]; was != (via == nil) {
			h.kill(via == nil)
			h.turn(s.tick())
			s.memberChanged(h)
			s.enqueueRoutes(h)
		}
	}
	s.dirty = s.dirty[:0]
	return turned
}

// setVia makes via, which the caller has acquired, what g's Indirect resolves to.
func (s *Store) setVia(g *gateway, via *hop) {
	if g.via != nil {
		s.want(g.via, -1)
		s.release(g.via)
	}
	if g.via = via; via != nil {
		s.want(via, 1)
	}
}

// forget drops what g's last resolution depended on.
func (s *Store) forget(g *gateway) {
	for _, a := range g.asked {
		delete(a.users, g)
		if len(a.users) == 0 && a.hop == nil {
			s.idle = append(s.idle, a)
		}
	}
	g.asked = g.asked[:0]
	for _, h := range g.followed {
		delete(h.group.followers, g)
	}
	g.followed = g.followed[:0]
}

// sweep removes the gateways that nobody needs any more.
func (s *Store) sweep() {
	for n := 0; n < len(s.idle); n++ {
		g := s.idle[n]
		if g.hop != nil || len(g.users) > 0 || s.gateways[g.gatewayKey] != g {
			continue
		}
		s.forget(g)
		delete(s.gateways, g.gatewayKey)
		s.numbers[g.number] = nil
		s.unused = append(s.unused, g.number)
		if r := s.ribs[g.instance]; r != nil {
			t := &r.gateways[intf.FamilyOf(g.addr)]
			i := t.find(&s.nodes, keyOf(g.addr), uint8(g.addr.BitLen()))
			s.nodes.at(i).head = 0
			t.prune(&s.nodes, i)
		}
	}
	s.idle = s.idle[:0]
}

// resolve finds what g leads to.
func (s *Store) resolve(g *gateway) {
	g.state = exploring
	old := *g
	g.target, g.through, g.reason, g.depth, g.match = NextHop{}, netip.Prefix{}, "", 1, 0
	s.path = append(s.path, g)
	base := len(s.steps)
	s.follow(g, base)
	s.steps = s.steps[:base]
	s.path = s.path[:len(s.path)-1]
	g.state = resolved
	if g.hop != nil && !g.samePath(old) {
		s.moved = append(s.moved, g.hop)
	}
}

// follow tries the routes that cover g, longest prefix first, until one of them
// decides. Their nodes are put on s.steps from base.
func (s *Store) follow(g *gateway, base int) {
	r := s.ribs[g.instance]
	if r == nil {
		g.reason = "its instance does not exist"
		return
	}
	s.steps = r.routes[intf.FamilyOf(g.addr)].matches(&s.nodes, keyOf(g.addr), s.steps)
	why := "there is no route to it"
	for i := len(s.steps) - 1; i >= base; i-- {
		n := s.nodes.at(s.steps[i])
		g.match = n.bits
		// Two rounds: a link that the gateway is on counts before what a user
		// wants done with packets to that link.
		for _, onLink := range [...]bool{true, false} {
			for j := n.head; j != 0; {
				rec := s.records.at(j)
				if (rec.source == InterfaceDestination) == onLink && s.try(g, n, rec, &why) {
					return
				}
				j = rec.next
			}
		}
	}
	g.reason, g.match = why, 0
}

// try follows one route for g, and reports whether that decides. If not, why may
// say something that a human wants to know in the end.
func (s *Store) try(g *gateway, n *node, rec *record, why *string) (decided bool) {
	h := s.hops.byID[rec.hop]
	found := func(nh NextHop) bool {
		g.target, g.through = nh, n.prefix()
		return true
	}
	no := func(reason string) bool {
		g.reason = reason
		return true
	}
	if rec.flags&routeIgnored != 0 {
		*why = "the route to its network is ignored"
		return false
	}
	if rec.source == User && rec.flags&routeIncoming != 0 {
		*why = "the route to it takes packets of one unit only"
		return false
	}
	switch h.Kind {
	case Forward:
		return !h.dead[n.family()] && found(h.NextHop)
	case Resolve:
		return !h.dead[n.family()] && found(NextHop{Kind: Forward, IfIndex: h.IfIndex, Gateway: g.addr})
	case Receive:
		return no("it is an address of this router")
	case Broadcast:
		return no("it is a broadcast address")
	case Multicast, Flood, BySource:
		return no("it is a multicast group")
	case LinkLocal:
		return no("it is link-local: name the outgoing interface too")
	case Reject, Discard:
		// A user may want what goes to a gateway dropped (RFC 5635, 3.1); what
		// stands there of itself only says that nothing leads to it.
		if rec.source == User {
			return found(h.NextHop)
		}
		return no(*why)
	case Lookup:
		if !s.usable(n, rec) {
			return false
		}
		return s.tryLookup(g, n, h.Instance, true)
	case Indirect:
		m := h.gateway
		if m == g {
			*why = "only a route through itself leads to it"
			return false
		}
		if s.ask(g, m) {
			return true
		}
		if m.target.Kind == 0 {
			*why = "gateway " + m.addr.String() + " before it is unresolved"
			return false
		}
		return s.adopt(g, m, n)
	case Group:
		return s.tryGroup(g, n, h, why)
	case Choice: // no record has one
	}
	return false
}

// tryLookup follows a route that looks up in another instance, if that exists.
func (s *Store) tryLookup(g *gateway, n *node, instance uint32, exists bool) (decided bool) {
	if !exists {
		g.reason = lookupGone
		return true
	}
	m := s.gateway(gatewayKey{instance, g.addr})
	if s.ask(g, m) {
		return true
	}
	if m.target.Kind == 0 {
		// Packets would end there as well.
		g.reason = m.reason
		return true
	}
	return s.adopt(g, m, n)
}

// tryGroup follows a route over several next hops: g leads wherever they lead.
func (s *Store) tryGroup(g *gateway, n *node, h *hop, why *string) (decided bool) {
	usable, itself, depth := false, false, 1
	if h.Shared != 0 {
		g.follow(h)
		if only := h.group.members[0].hop; only.Kind == Lookup {
			return s.tryLookup(g, n, only.Instance, !only.dead[n.family()])
		}
	}
	for _, m := range h.group.members {
		if m.hop.Kind != Indirect {
			usable = usable || !m.hop.dead[n.family()] && m.hop.Kind != Lookup
			continue
		}
		if m.hop.gateway == g {
			itself = true
			continue
		}
		if s.ask(g, m.hop.gateway) {
			return true
		}
		if m.hop.gateway.target.Kind != 0 {
			usable, depth = true, max(depth, m.hop.gateway.depth+1)
		}
	}
	if !usable {
		*why = "none of the next hops of the route to it can be used"
		// A shared group stands in the FIB all the same, and discards. But a route
		// through the gateway itself doesn't count.
		if h.Shared == 0 || itself {
			return false
		}
		g.reason = *why
		return true
	}
	target := toward(n.family(), h.group.list(), g.gatewayKey)
	if target.Kind == Indirect {
		return s.adopt(g, s.gateways[gatewayKey{target.Instance, target.Gateway}], n)
	}
	if g.depth = depth; depth > maxDepth {
		g.reason = tooDeep
		return true
	}
	g.target, g.through = target, n.prefix()
	return true
}

// adopt makes g lead where m leads.
func (s *Store) adopt(g, m *gateway, n *node) bool {
	if g.depth = m.depth + 1; g.depth > maxDepth {
		g.reason = tooDeep
		return true
	}
	g.target, g.through = m.target, n.prefix()
	return true
}

// ask has m resolved on behalf of g. It reports true when that decides that g is
// not resolved: both are in a circle, or too far from the start of the path.
func (s *Store) ask(g, m *gateway) (decided bool) {
	if _, again := m.users[g]; !again {
		m.users[g] = struct{}{}
		g.asked = append(g.asked, m)
	}
	switch m.state {
	case unknown:
		if len(s.path) >= maxPath {
			g.state, g.reason = resolved, tooDeep
			return true
		}
		s.resolve(m)
	case exploring:
		s.condemn(m)
	}
	// A circle that m found may have closed over g.
	return g.state == resolved
}

// condemn ends the resolution of all gateways from m to the end of the path:
// each waits for the next, and the last for m.
func (s *Store) condemn(m *gateway) {
	circle := s.path[slices.Index(s.path, m):]
	// The reason is the same wherever the search entered the circle.
	first := 0
	for i, g := range circle {
		if g.addr.Less(circle[first].addr) {
			first = i
		}
	}
	names := make([]string, 0, maxNames+2)
	for i := range circle {
		if i == maxNames {
			names = append(names, "...")
			break
		}
		names = append(names, circle[(first+i)%len(circle)].addr.String())
	}
	names = append(names, circle[first].addr.String())
	reason := "routes lead in a circle: " + strings.Join(names, " to ")
	for _, g := range circle {
		g.state, g.reason = resolved, reason
	}
}
