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
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
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
			for len(list) > 0 {
				n := min(len(list), maxBatch)
				s.opt.Router.Program(func(t Tables) {
					for _, p := range list[:n] {
						note(s.table.removeRoute(t, in, p))
					}
				}, nil)
				list = list[n:]
			}
		}
	}
	// Every holder is asked once, for asking changes it.
	mine := map[*holders]bool{}
	for _, in := range s.table.instances {
		if !which(in) {
			continue
		}
		for _, g := range in.groups {
			mine[&g.holders] = gone(&g.holders)
		}
		for _, n := range in.nexthops {
			mine[&n.holders] = gone(&n.holders)
		}
	}
	s.opt.Router.Program(func(t Tables) {
		for _, in := range s.table.instances {
			if which(in) {
				for _, err := range s.table.removeUnused(t, in, func(h *holders) bool { return mine[h] }) {
					note(err)
				}
				s.table.forget(in)
			}
		}
	}, nil)
	for _, err := range errs {
		s.log.Error("an entry could not be removed whole", "err", err)
	}
}
