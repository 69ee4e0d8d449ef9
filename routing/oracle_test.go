package routing

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"router/intf"
)

// An oracle knows the routes and links, and works everything out from scratch.
// It resolves gateways all at once and step by step, where the Store goes from
// one to the next: each gateway looks at its candidate of the moment, and moves
// on when that is known to be unusable; who waits in a circle is unresolved.
type oracle struct {
	routes map[uint32]map[Key]Route // by instance
	up     map[link]bool
	// shared are the members of the shared groups.
	shared map[NextHop][]Member
}

// members are those of a group.
func (o *oracle) members(nh NextHop) []Member {
	if nh.Shared != 0 {
		return o.shared[nh]
	}
	return nh.Members.All()
}

func newOracle() *oracle {
	return &oracle{routes: map[uint32]map[Key]Route{}, up: map[link]bool{}, shared: map[NextHop][]Member{}}
}

func order(a, b Route) int {
	pref := 0
	if a.Source == User && b.Source == User {
		pref = cmp.Compare(a.Preference, b.Preference)
	}
	last := func(r Route) int {
		if r.Ignored {
			return 1
		}
		return 0
	}
	if pref == 0 && a.Source == User && b.Source == User {
		any := func(r Route) int {
			if r.Incoming {
				return 0
			}
			return 1
		}
		pref = cmp.Or(cmp.Compare(any(a), any(b)), cmp.Compare(a.Protocol, b.Protocol))
	}
	return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(a.Source, b.Source), pref, cmp.Compare(a.IfIndex, b.IfIndex), cmp.Compare(a.Protocol, b.Protocol))
}

// A verdict is what the oracle knows of a gateway.
type verdict struct {
	candidates []Route
	final      bool
	target     NextHop
	depth      int
}

func (o *oracle) candidates(k gatewayKey) []Route {
	var list []Route
	for _, r := range o.routes[k.instance] {
		if r.Prefix.Contains(k.addr) {
			list = append(list, r)
		}
	}
	off := func(r Route) int {
		if r.Source == InterfaceDestination {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(a, b Route) int {
		return cmp.Or(cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()), cmp.Compare(off(a), off(b)), order(a, b))
	})
	return list
}

// resolve is what every gateway resolves to that a route needs.
func (o *oracle) resolve() map[gatewayKey]*verdict {
	all := map[gatewayKey]*verdict{}
	var need func(k gatewayKey)
	need = func(k gatewayKey) {
		if all[k] != nil {
			return
		}
		v := &verdict{candidates: o.candidates(k)}
		all[k] = v
		for _, r := range v.candidates {
			for _, m := range o.indirects(r.NextHop) {
				need(m)
			}
			if i := r.NextHop.Instance; r.NextHop.Kind == Lookup && o.routes[i] != nil && i != k.instance {
				need(gatewayKey{i, k.addr})
			}
			if i, ok := o.looksUp(r.NextHop); ok && o.routes[i] != nil {
				need(gatewayKey{i, k.addr})
			}
		}
	}
	for _, routes := range o.routes {
		for _, r := range routes {
			for _, m := range o.indirects(r.NextHop) {
				need(m)
			}
		}
	}
	for nh := range o.shared {
		for _, m := range o.indirects(nh) {
			need(m)
		}
	}
	for {
		progress := false
		waits := map[gatewayKey]gatewayKey{}
		for k, v := range all {
			if v.final {
				continue
			}
			on, moved := o.step(k, v, all)
			if moved {
				progress = true
			} else {
				waits[k] = on
			}
		}
		if progress {
			continue
		}
		if len(waits) == 0 {
			return all
		}
		for k := range waits {
			// k is in a circle if following the waits leads back to it.
			at := waits[k]
			for range all {
				if at == k {
					break
				}
				at = waits[at]
			}
			if at == k {
				all[k].final = true
			}
		}
	}
}

// step looks at v's candidate; on is the gateway that it waits for if nothing moved.
func (o *oracle) step(k gatewayKey, v *verdict, all map[gatewayKey]*verdict) (on gatewayKey, moved bool) {
	if len(v.candidates) == 0 {
		v.final = true
		return on, true
	}
	r := v.candidates[0]
	next := func() (gatewayKey, bool) {
		v.candidates = v.candidates[1:]
		return on, true
	}
	final := func(nh NextHop, depth int) (gatewayKey, bool) {
		v.final, v.target, v.depth = true, nh, depth
		if depth > maxDepth {
			v.target = NextHop{}
		}
		return on, true
	}
	family := intf.FamilyOf(k.addr)
	if r.Ignored || r.Source == User && r.Incoming {
		return next()
	}
	switch nh := r.NextHop; nh.Kind {
	case Forward:
		if !o.up[link{nh.IfIndex, family}] {
			return next()
		}
		return final(nh, 1)
	case Resolve:
		if !o.up[link{nh.IfIndex, family}] {
			return next()
		}
		return final(NextHop{Kind: Forward, IfIndex: nh.IfIndex, Gateway: k.addr}, 1)
	case Receive, Broadcast, LinkLocal:
		return final(NextHop{}, 0)
	case Reject, Discard:
		if r.Source == User {
			return final(nh, 1)
		}
		return final(NextHop{}, 0)
	case Lookup:
		if o.routes[nh.Instance] == nil || nh.Instance == k.instance {
			return next()
		}
		m := gatewayKey{nh.Instance, k.addr}
		if !all[m].final {
			return m, false
		}
		if all[m].target.Kind == 0 {
			return final(NextHop{}, 0)
		}
		return final(all[m].target, all[m].depth+1)
	case Indirect:
		m := gatewayKey{nh.Instance, nh.Gateway}
		if m == k {
			return next()
		}
		if !all[m].final {
			return m, false
		}
		if all[m].target.Kind == 0 {
			return next()
		}
		return final(all[m].target, all[m].depth+1)
	case Group:
		if i, ok := o.looksUp(nh); ok {
			m := gatewayKey{i, k.addr}
			switch {
			case o.routes[i] == nil || m == k:
				return final(NextHop{}, 0)
			case !all[m].final:
				return m, false
			case all[m].target.Kind == 0:
				return final(NextHop{}, 0)
			}
			return final(all[m].target, all[m].depth+1)
		}
		depth, usable, itself := 1, false, false
		for _, m := range o.members(nh) {
			if m.NextHop.Kind != Indirect {
				usable = usable || m.NextHop.Kind != Lookup && o.up[link{m.NextHop.IfIndex, family}]
				continue
			}
			m := gatewayKey{m.NextHop.Instance, m.NextHop.Gateway}
			if m == k {
				itself = true
				continue
			}
			if !all[m].final {
				return m, false
			}
			if all[m].target.Kind != 0 {
				usable, depth = true, max(depth, all[m].depth+1)
			}
		}
		if !usable && nh.Shared != 0 && !itself {
			return final(NextHop{}, 0) // it discards
		}
		if !usable {
			return next()
		}
		target := toward(family, o.members(nh), k)
		if target.Kind == Indirect {
			target = all[gatewayKey{target.Instance, target.Gateway}].target
		}
		return final(target, depth)
	case Choice, Multicast, Flood, BySource:
	}
	panic(fmt.Sprintf("kind %v", r.NextHop.Kind))
}

// looksUp is the instance that a shared group looks up in.
func (o *oracle) looksUp(nh NextHop) (instance uint32, ok bool) {
	if nh.Shared == 0 || o.shared[nh][0].NextHop.Kind != Lookup {
		return 0, false
	}
	return o.shared[nh][0].NextHop.Instance, true
}

// indirects are the gateways that have to be known for nh.
func (o *oracle) indirects(nh NextHop) []gatewayKey {
	switch nh.Kind {
	case Indirect:
		return []gatewayKey{{nh.Instance, nh.Gateway}}
	case Group:
		var list []gatewayKey
		for _, m := range o.members(nh) {
			list = append(list, o.indirects(m.NextHop)...)
		}
		return list
	case Forward, Resolve, Receive, Broadcast, LinkLocal, Reject, Discard, Lookup, Choice, Multicast, Flood, BySource:
	}
	return nil
}

// A want is what the oracle expects.
type want struct {
	active   map[uint32]map[netip.Prefix]Route
	resolved map[uint32]map[netip.Prefix]NextHop // what packets get in the end
	usable   map[uint32]map[Key]bool
	used     map[NextHop]bool // Forward next hops that OnGateway should have told
	up       map[link]bool
	gateways map[gatewayKey]*verdict
	oracle   *oracle
}

// alive reports whether packets of a family can go by a Forward, a Resolve, an
// Indirect, or one of a Group.
func (w want) alive(nh NextHop, f intf.Family) bool {
	switch nh.Kind {
	case Forward, Resolve:
		return w.up[link{nh.IfIndex, f}]
	case Indirect:
		return w.gateways[gatewayKey{nh.Instance, nh.Gateway}].target.Kind != 0
	case Group:
		return slices.ContainsFunc(w.oracle.members(nh), func(m Member) bool { return w.alive(m.NextHop, f) })
	case Lookup: // only as a member
		return w.oracle.routes[nh.Instance] != nil
	case Receive, Broadcast, LinkLocal, Reject, Discard, Choice, Multicast, Flood, BySource:
	}
	return true
}

// use notes the neighbours that nh needs.
func (w want) use(nh NextHop, f intf.Family) {
	switch nh.Kind {
	case Forward:
		if w.alive(nh, intf.FamilyOf(nh.Gateway)) {
			w.used[nh] = true
		}
	case Indirect:
		w.use(w.gateways[gatewayKey{nh.Instance, nh.Gateway}].target, f)
	case Group:
		for _, m := range w.oracle.members(nh) {
			w.use(m.NextHop, f)
		}
	case Resolve, Receive, Broadcast, LinkLocal, Reject, Discard, Lookup, Choice, Multicast, Flood, BySource:
	}
}

func (o *oracle) want() want {
	w := want{map[uint32]map[netip.Prefix]Route{}, map[uint32]map[netip.Prefix]NextHop{}, map[uint32]map[Key]bool{}, map[NextHop]bool{}, o.up, o.resolve(), o}
	for nh := range o.shared {
		w.use(nh, nh.Members.family())
	}
	for instance, routes := range o.routes {
		w.active[instance] = map[netip.Prefix]Route{}
		w.resolved[instance] = map[netip.Prefix]NextHop{}
		w.usable[instance] = map[Key]bool{}
		for k, r := range routes {
			nh := r.NextHop
			usable := true
			end := nh
			switch nh.Kind {
			case Forward, Resolve:
				usable = o.up[link{nh.IfIndex, intf.FamilyOf(k.Prefix.Addr())}]
				if nh.Kind == Forward && usable && r.Source == User {
					w.used[nh] = true
				}
			case Lookup:
				usable = o.routes[nh.Instance] != nil && nh.Instance != instance
			case Indirect:
				end = w.gateways[gatewayKey{nh.Instance, nh.Gateway}].target
				usable = end.Kind != 0
				w.use(nh, intf.FamilyOf(k.Prefix.Addr()))
			case Group:
				usable = nh.Shared != 0 || w.alive(nh, intf.FamilyOf(k.Prefix.Addr()))
				w.use(nh, intf.FamilyOf(k.Prefix.Addr()))
			case Receive, Broadcast, LinkLocal, Reject, Discard, Choice, Multicast, Flood, BySource:
			}
			usable = usable && !r.Ignored
			w.usable[instance][k] = usable
			if !usable {
				continue
			}
			if best, ok := w.active[instance][k.Prefix]; !ok || order(r, best) < 0 {
				w.active[instance][k.Prefix], w.resolved[instance][k.Prefix] = r, end
			}
		}
	}
	return w
}
