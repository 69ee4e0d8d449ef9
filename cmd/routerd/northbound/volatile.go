package northbound

import (
	"slices"

	"router/cmd/routerd/datastore/tree"
)

// Most of state is announced when it changes. What changes with every packet is
// not, and is looked at now and then: the counters, by their type, and the few nodes
// below. Everything else of state has an event, which TestEveryLeafIsAnnounced
// holds to.

// gauges are the nodes of state that go up and down with the traffic or with the
// work of the router, by their paths in the schema; all below a container counts.
var gauges = []string{
	"/interface/state/drops", // entries appear with the first packet
	"/interface/state/rates",
	"/interface/unit/state/rates",
	"/system/state/dataplane",
	"/system/state/process",
	"/instance/multicast/state/negative-flows",
	"/instance/rib/flow/state/last-used",
}

// isVolatile reports whether the leaf is a counter or a gauge.
func isVolatile(n *tree.Node) bool {
	if n.Config {
		return false
	}
	return n.Counter() || slices.Contains(gauges, n.SchemaPath()) || n.Parent != nil && inGauge(n.Parent)
}

func inGauge(n *tree.Node) bool {
	for ; n.Parent != nil; n = n.Parent {
		if slices.Contains(gauges, n.SchemaPath()) {
			return true
		}
	}
	return false
}

// volatileLeaves are the leaves below root that are counters or gauges.
func volatileLeaves(root *tree.Node) map[*tree.Node]bool {
	leaves := map[*tree.Node]bool{}
	var below func(n *tree.Node)
	below = func(n *tree.Node) {
		if n.IsLeaf() && isVolatile(n) {
			leaves[n] = true
		}
		for _, c := range n.Children {
			below(c)
		}
	}
	below(root)
	return leaves
}

// volatilePaths are the containers and lists that have counters or gauges, outside of
// others that do: where to look.
func volatilePaths(root *tree.Node) (list []tree.Path) {
	var below func(n *tree.Node, at tree.Path)
	below = func(n *tree.Node, at tree.Path) {
		if slices.ContainsFunc(n.Children, func(c *tree.Node) bool { return c.IsLeaf() && isVolatile(c) }) {
			list = append(list, at)
			return
		}
		for _, c := range n.Children {
			if !c.IsLeaf() {
				below(c, at.Named(c.Name))
			}
		}
	}
	below(root, nil)
	return list
}
