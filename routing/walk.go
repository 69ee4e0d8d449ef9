package routing

import (
	"net/netip"

	"router/intf"
)

// WalkAfter visits as Walk does, but only the routes to prefixes behind after
// in the order of prefixes; an invalid after means all. It lets a walk through
// a large table be interrupted for changes and taken up again.
func (r *RIB) WalkAfter(f intf.Family, after netip.Prefix, visit func(Entry) bool) {
	if !after.IsValid() {
		r.Walk(f, visit)
		return
	}
	s := r.store
	walkAfter(&s.nodes, r.routes[f].root, keyOf(after.Addr()), uint8(after.Bits()),
		func(i uint32) bool { return s.visit(i, visit) })
}

// walkAfter visits the nodes with a head at and below i that come behind
// k/length. What lies wholly before it is not looked at.
func walkAfter(nodes *slab[node], i uint32, k key, length uint8, visit func(uint32) bool) bool {
	if i == 0 {
		return true
	}
	n := nodes.at(i)
	if same := n.common(k, n.bits); same < n.bits {
		if n.bit(same) < k.bit(same) {
			return true
		}
		return walk(nodes, i, visit)
	}
	if n.key == k && n.bits > length {
		return walk(nodes, i, visit)
	}
	left, right := n.child[0], n.child[1]
	if k.bit(n.bits&127) == 0 && n.bits < 128 {
		return walkAfter(nodes, left, k, length, visit) && walk(nodes, right, visit)
	}
	return walkAfter(nodes, right, k, length, visit)
}
