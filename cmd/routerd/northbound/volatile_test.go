package northbound

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

// schemaPath is p without keys.
func schemaPath(p tree.Path) string {
	var b strings.Builder
	for _, e := range p {
		b.WriteString("/" + e.GetName())
	}
	return b.String()
}

// under reports whether the path is one of tops or below one.
func under(path string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return path == top || strings.HasPrefix(path, top+"/") })
}

// announced are the places in the schema that events tell of.
func announced() []string {
	changes := []StateChange{
		{Object: models.Object{Kind: models.Instance, Instance: "i"}, Route: netip.MustParsePrefix("192.0.2.0/24")},
		{Object: models.Object{Kind: models.Instance, Instance: "i"}, Route: netip.MustParsePrefix("192.0.2.0/24"), Group: netip.MustParseAddr("239.1.1.1")},
		{Object: models.Object{Kind: models.Instance, Instance: "i"}, Table: true, Family: intf.Inet},
	}
	for kind := models.System; !strings.HasPrefix(kind.String(), "kind("); kind++ {
		changes = append(changes, StateChange{Object: models.Object{Kind: kind, Device: "d", Unit: "0", Instance: "i", Prefix: "192.0.2.0/24", Name: "n", Group: "239.1.1.1/32", Source: "any"}})
	}
	var list []string
	for _, p := range commitPaths(datastore.Event{Commit: datastore.Commit{Number: 1}}) {
		list = append(list, schemaPath(p))
	}
	for _, c := range changes {
		for _, p := range changedPaths(c) {
			list = append(list, schemaPath(p))
		}
	}
	return list
}

// Every leaf of state is a counter or a gauge, which are looked at, or below a
// place that events tell of.
func TestEveryLeafIsAnnounced(t *testing.T) {
	b := newBed(t, nil)
	events := announced()
	var looked []string
	for _, p := range b.server.source.volatile {
		looked = append(looked, schemaPath(p))
	}
	leaves := 0
	used := map[string]bool{}
	var visit func(n *tree.Node)
	visit = func(n *tree.Node) {
		if n.IsLeaf() && !n.Config {
			leaves++
			path := n.SchemaPath()
			switch {
			case isVolatile(n):
				if !under(path, looked) {
					t.Errorf("%s is a counter or a gauge that nobody looks at", path)
				}
				for _, g := range gauges {
					used[g] = used[g] || under(path, []string{g})
				}
			case !under(path, events):
				t.Errorf("%s is neither a counter nor told of by an event", path)
			}
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	visit(b.server.schema.Root)
	if leaves < 300 {
		t.Errorf("%d leaves of state: the test looks in the wrong place", leaves)
	}
	for _, g := range gauges {
		if !used[g] {
			t.Errorf("there is no %s", g)
		}
	}
}
