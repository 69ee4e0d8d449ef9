package routing

import "router/intf"

// A route can lead elsewhere though nothing about it has changed: its gateway is
// found by another route, or a member of its group comes or goes. The tables of
// the data plane follow by one word, however many routes there are. Those who
// watch routes have to be told all the same.

// pathsTold is how many such routes a change tells one by one. Where there are
// more, it tells of whole tables.
const pathsTold = 256

// samePath reports whether what is shown of the way to g is as it was.
func (g *gateway) samePath(old gateway) bool {
	return g.target == old.target && g.through == old.through && g.reason == old.reason
}

// tellPaths tells of the routes whose way has changed, by the next hops in
// s.moved.
func (s *Store) tellPaths() {
	moved := s.moved
	s.moved = nil
	if len(moved) == 0 || s.config.OnRoute == nil && s.config.OnRoutes == nil {
		return
	}
	t := pathTeller{s: s, told: map[*hop]bool{}, left: pathsTold}
	for _, h := range moved {
		t.hop(h)
	}
	if t.left < 0 {
		s.tellTables()
	}
}

// A pathTeller tells of routes by their next hops, each next hop once.
type pathTeller struct {
	s     *Store
	told  map[*hop]bool
	left  int             // routes that may still be told; negative when there were more
	users map[*hop][]*hop // of a group: the Indirects that lead over it; nil until it is asked
}

// hop tells of the routes that go by h, and of those that show it as a part of
// their way.
func (t *pathTeller) hop(h *hop) {
	if t.told[h] || t.left < 0 {
		return
	}
	t.told[h] = true
	for j := h.routes; j != 0; {
		rec := t.s.records.at(j)
		if n := t.s.nodes.at(rec.node); n.flags&nodeQueued == 0 { // else it is told as one that changed
			if t.left--; t.left < 0 {
				return
			}
			t.s.tell(t.s.slots[n.rib], n)
		}
		j = rec.hopNext
	}
	for g := range h.groups {
		t.hop(g)
	}
	if h.group == nil {
		return
	}
	if t.users == nil {
		t.users = map[*hop][]*hop{}
		for _, g := range t.s.numbers {
			if g != nil && g.hop != nil && g.via != nil && g.via.group != nil {
				t.users[g.via] = append(t.users[g.via], g.hop)
			}
		}
	}
	for _, user := range t.users[h] {
		t.hop(user)
	}
}

// tellTables tells that any route may have changed its way.
func (s *Store) tellTables() {
	if s.config.OnRoutes == nil {
		return
	}
	for instance := range s.ribs {
		for _, f := range intf.Families {
			s.config.OnRoutes(instance, f)
		}
	}
}
