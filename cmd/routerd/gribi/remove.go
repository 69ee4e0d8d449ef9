package gribi

import (
	"net/netip"

	"router/intf"
)

// route is the entry of a prefix, nil for none.
func (t *table) route(instance string, p netip.Prefix) *route {
	if in := t.instances[instance]; in != nil {
		return in.routes[intf.FamilyOf(p.Addr())][p]
	}
	return nil
}

// removeOf removes what only c holds. Groups and next hops that entries of
// others go by stay, and are nobody's. The caller holds s.mu.
func (s *Server) removeOf(c *client) {
	s.remove(func(*instance) bool { return true }, func(h *holders) bool { return h.has(c) && h.leave(c) })
}

// removeAll removes all entries of the instances that which accepts, but for
// groups and next hops that entries elsewhere go by; it reports whether such
// remain. The caller holds s.mu.
func (s *Server) removeAll(which func(*instance) bool) (remain bool) {
	s.remove(which, func(*holders) bool { return true })
	for _, in := range s.table.instances {
		remain = remain || which(in)
	}
	return remain
}

// remove removes the entries of some instances whose holders gone says are gone.
// It lets others at the router's tables now and then.
func (s *Server) remove(which func(*instance) bool, gone func(*holders) bool) {
	// Routes everywhere first: they are what groups are kept by.
	for _, in := range s.table.instances {
		if !which(in) {
			continue
		}
		for f := range in.routes {
			var list []netip.Prefix
			for p, r := range in.routes[f] {
				if gone(&r.holders) {
					list = append(list, p)
				}
			}
			inBatches(s, list, func(t Tables, p netip.Prefix) bool {
				s.table.note(s.table.removeRoute(t, in, p))
				return true
			})
		}
	}
	// Every holder is asked once, for asking changes it.
	var groups []*group
	var nexthops []*nexthop
	for _, in := range s.table.instances {
		if !which(in) {
			continue
		}
		for _, g := range in.groups {
			if gone(&g.holders) {
				groups = append(groups, g)
			}
		}
		for _, n := range in.nexthops {
			if gone(&n.holders) {
				nexthops = append(nexthops, n)
			}
		}
	}
	// A backup can go once the group is gone that it is for.
	for range 2 {
		groups = inBatches(s, groups, func(t Tables, g *group) bool {
			unused := g.used() == nil
			if unused {
				s.table.note(s.table.removeGroup(t, g))
			}
			return unused
		})
	}
	inBatches(s, nexthops, func(t Tables, n *nexthop) bool {
		unused := len(n.groups) == 0
		if unused {
			s.table.note(s.table.removeNexthop(t, n))
		}
		return unused
	})
	for _, in := range s.table.instances {
		s.table.forget(in)
	}
}

// inBatches calls do for each of list, some at a time, and returns those for
// which it answers false.
func inBatches[T any](s *Server, list []T, do func(Tables, T) bool) (left []T) {
	for len(list) > 0 {
		n := min(len(list), maxBatch)
		s.opt.Router.Program(func(t Tables) {
			for _, x := range list[:n] {
				if !do(t, x) {
					left = append(left, x)
				}
			}
		}, nil)
		s.table.keep.write()
		list = list[n:]
	}
	return left
}
