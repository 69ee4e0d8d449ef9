package routing

import (
	"errors"
	"fmt"
	"net/netip"

	"router/intf"
)

// What is known of a route beside its metadata.
const (
	routeActive   = 1 << iota // the FIB has it
	routeNoRoom               // the FIB should have it, but had no room
	routeIncoming             // packets have to come in by ifindex
	routeBranch               // the Choice in the FIB has it
	routeIgnored              // not to be used
	routeBySource             // its next hop is a BySource
	routeListed               // it stands in noRoom.list
	routePending              // it stands in Store.pending

	routeGiven = routeIncoming | routeIgnored // what the user of the RIB says
)

// A record is a route in the RIB. 36 octets.
type record struct {
	tag              uint32
	changed          uint32 // see Store.tick
	ifindex          intf.Index
	hop              NextHopID
	node             uint32
	next             uint32 // the next worse route to the prefix
	hopNext, hopPrev uint32 // the other routes with this next hop
	source           Source
	protocol         Protocol
	preference       uint8
	flags            uint8
}

// Counts are the numbers of routes by source.
type Counts struct {
	Routes [NumSources]int // all
	Active [NumSources]int // in the FIB: one per prefix at most
	NoRoom int             // that should be in the FIB, which has no room for them
}

// Total is the number of all routes and of those in the FIB.
func (c Counts) Total() (routes, active int) {
	for i := range c.Routes {
		routes += c.Routes[i]
		active += c.Active[i]
	}
	return routes, active
}

// A RIB holds the routes of one instance, both families. [Store.AddRIB] makes
// one. Its methods follow the rules of the Store that it belongs to.
type RIB struct {
	store    *Store
	instance uint32
	slot     uint16 // in store.slots
	fib      FIB
	feasible FIB                      // nil unless wanted; see SetFeasible
	routes   [len(intf.Families)]trie // heads are records
	gateways [len(intf.Families)]trie // heads are gateways looked up in this instance
	counts   [len(intf.Families)]Counts
	sources  [len(intf.Families)]trie // heads are the RIBs of groups: slot + 1
	group    netip.Addr               // that the routes are of; not valid in the RIB of an instance
	parent   *RIB                     // that has the group
}

// Instance is the index of the RIB's instance.
func (r *RIB) Instance() uint32 { return r.instance }

// Counts are the numbers of a family's routes. They cost nothing to ask for.
func (r *RIB) Counts(f intf.Family) Counts { return r.counts[f] }

// check refuses what isn't a route.
func (rt *Route) check() error {
	p, nh := rt.Prefix, rt.NextHop
	switch {
	case !p.IsValid():
		return errors.New("the prefix is not valid")
	case p != p.Masked():
		return fmt.Errorf("prefix %v has host bits: write %v", p, p.Masked())
	case int(rt.Source) >= NumSources:
		return fmt.Errorf("prefix %v: source %d is unknown", p, rt.Source)
	case rt.Incoming && rt.IfIndex == 0:
		return fmt.Errorf("prefix %v: a check of the incoming unit needs one", p)
	}
	switch nh.Kind {
	case Forward, Indirect:
		switch {
		case !nh.Gateway.IsValid():
			return fmt.Errorf("prefix %v: next hop %v needs a gateway", p, nh.Kind)
		case nh.Gateway.Zone() != "":
			return fmt.Errorf("prefix %v: gateway %v has a zone: name the unit by its index", p, nh.Gateway)
		case nh.Gateway.Is4() != p.Addr().Is4():
			return fmt.Errorf("prefix %v: gateway %v is of the other family", p, nh.Gateway)
		case nh.Kind == Forward && nh.IfIndex == 0:
			return fmt.Errorf("prefix %v: next hop %v needs a unit", p, nh.Kind)
		}
		return nil
	case Resolve:
		if nh.IfIndex == 0 {
			return fmt.Errorf("prefix %v: next hop %v needs a unit", p, nh.Kind)
		}
		return nil
	case Reject:
		if _, ok := nh.Reject.ICMP(intf.FamilyOf(p.Addr())); !ok {
			return fmt.Errorf("prefix %v: next hop %v: the family has no code %v", p, nh.Kind, nh.Reject)
		}
		return nil
	case Group:
		if nh.Members.packed == "" || nh.Shared == 0 && nh.Members.Len() == 0 || nh.Members.family() != intf.FamilyOf(p.Addr()) {
			return fmt.Errorf("prefix %v: the group has no members of the prefix's family", p)
		}
		return nil
	case Multicast, Flood:
		if nh.Copies.packed == "" {
			return fmt.Errorf("prefix %v: next hop %v needs a list", p, nh.Kind)
		}
		return nil
	case BySource:
		if !nh.Gateway.IsMulticast() || netip.PrefixFrom(nh.Gateway, nh.Gateway.BitLen()) != p {
			return fmt.Errorf("prefix %v: next hop %v is of another group", p, nh)
		}
		return nil
	case Receive, Broadcast, LinkLocal, Discard, Lookup:
		return nil
	case Choice:
		return fmt.Errorf("prefix %v: a choice is made of routes, and is not a route's", p)
	}
	return fmt.Errorf("prefix %v: next hop of unknown kind %d", p, nh.Kind)
}

// Set adds a route, or changes the one with the same Key. Outside a Batch it
// settles at once. It refuses what isn't a route, changing nothing; other errors
// say that the FIB had no room.
func (r *RIB) Set(rt Route) error {
	if err := rt.check(); err != nil {
		return err
	}
	s, f := r.store, intf.FamilyOf(rt.Prefix.Addr())
	if rt.NextHop.Shared != 0 && s.hops.byValue[rt.NextHop] == nil {
		return fmt.Errorf("prefix %v: next hop %v does not exist any more", rt.Prefix, rt.NextHop)
	}
	if s.slots[r.slot] != r {
		return fmt.Errorf("prefix %v: instance %d has been removed", rt.Prefix, r.instance)
	}
	var flags, given uint8
	if f == intf.Inet6 {
		flags = nodeInet6
	}
	if rt.Incoming {
		given |= routeIncoming
	}
	if rt.Ignored {
		given |= routeIgnored
	}
	i := r.routes[f].insert(&s.nodes, keyOf(rt.Prefix.Addr()), uint8(rt.Prefix.Bits()), r.slot, flags)
	n := s.nodes.at(i)
	if link := s.find(n, rt.Key); *link != 0 {
		j := *link
		rec := s.records.at(j)
		same := s.hops.byID[rec.hop].NextHop == rt.NextHop
		if same && rec.tag == rt.Tag && rec.preference == rt.Preference && rec.flags&routeGiven == given {
			return nil
		}
		rec.tag, rec.changed = rt.Tag, s.tick()
		moved := rec.preference != rt.Preference || rec.flags&routeGiven != given
		rec.flags = rec.flags&^routeGiven | given
		if !same {
			h := s.acquire(rt.NextHop)
			s.detach(j, rec)
			s.attach(j, rec, h)
			if rec.flags&routeActive != 0 {
				n.flags |= nodeStale
			}
		}
		if moved {
			*link = rec.next
			rec.preference = rt.Preference
			s.chain(n, j, rec)
		}
	} else {
		j := s.records.get()
		rec := s.records.at(j)
		*rec = record{
			tag: rt.Tag, changed: s.tick(), ifindex: rt.IfIndex, node: i,
			source: rt.Source, protocol: rt.Protocol, preference: rt.Preference, flags: given,
		}
		if rt.NextHop.Kind == BySource {
			rec.flags |= routeBySource
		}
		s.attach(j, rec, s.acquire(rt.NextHop))
		s.chain(n, j, rec)
		r.counts[f].Routes[rt.Source]++
	}
	s.enqueue(i, n)
	return s.settleUnlessBatch()
}

// Delete removes the route with the given key. Outside a Batch it settles at
// once. Deleting what is absent is no error.
func (r *RIB) Delete(k Key) error {
	if !k.Prefix.IsValid() || r.store.slots[r.slot] != r {
		return nil
	}
	s, f := r.store, intf.FamilyOf(k.Prefix.Addr())
	p := k.Prefix.Masked()
	i := r.routes[f].find(&s.nodes, keyOf(p.Addr()), uint8(p.Bits()))
	if i == 0 {
		return nil
	}
	n := s.nodes.at(i)
	link := s.find(n, k)
	if *link == 0 {
		return nil
	}
	s.remove(r, i, n, link)
	return s.settleUnlessBatch()
}

// remove takes the record at link out of node i.
func (s *Store) remove(r *RIB, i uint32, n *node, link *uint32) {
	j := *link
	rec := s.records.at(j)
	*link = rec.next
	s.detach(j, rec)
	c := &r.counts[n.family()]
	c.Routes[rec.source]--
	s.hasRoom(r, n, rec)
	s.notPending(j, rec)
	if rec.flags&routeActive != 0 {
		c.Active[rec.source]--
		n.flags |= nodeStale
	}
	s.records.put(j)
	s.enqueue(i, n)
}

// find is where the number of the record with the key stands: in the node's
// head or another record. What stands there is 0 when there is none.
func (s *Store) find(n *node, k Key) *uint32 {
	link := &n.head
	for *link != 0 {
		rec := s.records.at(*link)
		if rec.source == k.Source && rec.protocol == k.Protocol && rec.ifindex == k.IfIndex {
			break
		}
		link = &rec.next
	}
	return link
}

// chain puts record j into its place among the routes of n, the best one first.
func (s *Store) chain(n *node, j uint32, rec *record) {
	link := &n.head
	for *link != 0 && s.records.at(*link).before(rec) {
		link = &s.records.at(*link).next
	}
	rec.next = *link
	*link = j
}

// before reports whether rec is preferred to o. The order is total, since keys
// differ in one of the other fields where Preference is the same.
func (rec *record) before(o *record) bool {
	switch {
	case (rec.flags^o.flags)&routeBySource != 0:
		// What goes on with the source is the longer match, and comes back to the
		// others here for all other sources.
		return rec.flags&routeBySource != 0
	case (rec.flags^o.flags)&routeIgnored != 0:
		return o.flags&routeIgnored != 0
	case rec.source != o.source:
		return rec.source < o.source
	case rec.source == User && rec.preference != o.preference:
		return rec.preference < o.preference
	case rec.source == User && (rec.flags^o.flags)&routeIncoming != 0:
		// Behind a route for all units it would never be used.
		return rec.flags&routeIncoming != 0
	case rec.source == User && rec.protocol != o.protocol:
		return rec.protocol < o.protocol
	case rec.ifindex != o.ifindex:
		return rec.ifindex < o.ifindex
	}
	return rec.protocol < o.protocol
}

// attach makes h, a reference to which the caller has acquired, the next hop of
// record j.
func (s *Store) attach(j uint32, rec *record, h *hop) {
	rec.hop, rec.hopPrev, rec.hopNext = h.id, 0, h.routes
	if h.routes != 0 {
		s.records.at(h.routes).hopPrev = j
	}
	h.routes = j
	if rec.source == User {
		s.want(h, 1)
	}
}

// detach takes record j's next hop away, and its reference.
func (s *Store) detach(j uint32, rec *record) {
	h := s.hops.byID[rec.hop]
	if rec.hopPrev != 0 {
		s.records.at(rec.hopPrev).hopNext = rec.hopNext
	} else {
		h.routes = rec.hopNext
	}
	if rec.hopNext != 0 {
		s.records.at(rec.hopNext).hopPrev = rec.hopPrev
	}
	if rec.source == User {
		s.want(h, -1)
	}
	s.release(h)
}

// usable reports whether a record of node n can be used.
func (s *Store) usable(n *node, rec *record) bool {
	h := s.hops.byID[rec.hop]
	// A lookup in the instance itself would find itself for ever.
	return rec.flags&routeIgnored == 0 && !h.dead[n.family()] && (h.Kind != Lookup || h.Instance != s.slots[n.rib].instance)
}

// best is the first usable record of n, 0 when there is none.
func (s *Store) best(n *node) uint32 {
	for j := n.head; j != 0; {
		rec := s.records.at(j)
		if s.usable(n, rec) {
			return j
		}
		j = rec.next
	}
	return 0
}

// entry is what record j of node n looks like from outside.
func (s *Store) entry(n *node, j uint32) Entry {
	rec := s.records.at(j)
	h := s.hops.byID[rec.hop]
	e := Entry{
		Route: Route{
			Key:        Key{Prefix: n.prefix(), Source: rec.source, Protocol: rec.protocol, IfIndex: rec.ifindex},
			Preference: rec.preference, Incoming: rec.flags&routeIncoming != 0, Ignored: rec.flags&routeIgnored != 0, Tag: rec.tag, NextHop: h.NextHop,
		},
		Usable:  s.usable(n, rec),
		Active:  rec.flags&routeActive != 0 || rec.flags&routeBranch != 0 && n.flags&nodeInstalled != 0,
		ID:      h.id,
		Via:     h.resolved(),
		Changed: s.at(rec.changed),
	}
	if rec.flags&routePending != 0 {
		p := s.pending[j]
		e.Since, e.Refused = s.at(p.since), p.refused
	}
	switch {
	case rec.flags&routeIgnored != 0:
		e.Reason = "ignored, as configured"
	case !e.Usable:
		e.Reason = s.reason(n, h)
	case rec.flags&routeNoRoom != 0:
		e.Reason = "the forwarding table has no room for it"
		if s.noRoom.why != "" {
			e.Reason += ": " + s.noRoom.why
		}
	case h.group != nil && h.group.blocked:
		e.Reason = "packets are discarded: " + s.whyDead(h, n.family())
	}
	if h.gateway != nil && e.Usable {
		e.Through = h.gateway.through
	}
	return e
}

// reason says why routes of n can't use h.
func (s *Store) reason(n *node, h *hop) string {
	if h.Kind == Lookup {
		if h.Instance == s.slots[n.rib].instance {
			return "the lookup leads back to the instance itself"
		}
		return lookupGone
	}
	return s.whyDead(h, n.family())
}

const lookupGone = "the instance to look up in does not exist"

// whyDead says why packets of a family can't go by h, which is no Lookup.
func (s *Store) whyDead(h *hop, f intf.Family) string {
	switch h.Kind {
	case Forward, Resolve:
		return fmt.Sprintf("%v is not up on the outgoing unit", f)
	case Group:
		first := h.group.members[0].hop
		why := lookupGone
		if first.Kind != Lookup {
			why = s.whyDead(first, f)
		}
		return fmt.Sprintf("none of its %d next hops can be used; the first: %s", len(h.group.members), why)
	case Indirect:
		return fmt.Sprintf("gateway %v: %s", h.Gateway, h.gateway.reason)
	case Receive, Broadcast, LinkLocal, Reject, Discard, Lookup, Choice, Multicast, Flood, BySource:
	}
	return ""
}
