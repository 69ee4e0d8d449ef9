// Package openconfig translates between the native tree and its view under the
// gNMI origin "openconfig": the configuration both ways, state one way, and
// what a change of one touches in the other. It serves nothing itself.
//
// Invariant: what the view shows of a configuration, written back through it,
// changes nothing; and what it does not show is never changed by an edit of
// something else.
//
// Source: the OpenConfig models in yang/openconfig, less what module
// openconfig-routerd-deviations takes away; docs/decisions/0021-openconfig.md.
package openconfig

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/openconfig"
)

// Origin is the origin of the view's paths.
const Origin = "openconfig"

// A View is the OpenConfig schema with the translations. It is immutable and
// safe for concurrent use.
type View struct{ schema *tree.Schema }

// Load makes the view. It takes some megabytes, so it is made when somebody
// first asks for it; later calls return the same.
var Load = sync.OnceValues(func() (*View, error) {
	entries, err := oc.UnzipSchema()
	if err != nil {
		return nil, fmt.Errorf("schema of OpenConfig: %w", err)
	}
	s, err := tree.NewSchema(entries["Device"], &oc.Device{})
	if err != nil {
		return nil, fmt.Errorf("OpenConfig: %w", err)
	}
	return &View{schema: s}, nil
})

// Schema is the schema of the view.
func (v *View) Schema() *tree.Schema { return v.schema }

// modules are those that nodes of the view come from, and the one that says
// what is missing.
var modules = []string{"openconfig-if-ip", "openconfig-interfaces", "openconfig-local-routing", "openconfig-local-routing-network-instance",
	"openconfig-network-instance", "openconfig-routerd-deviations", "openconfig-system", "openconfig-vlan"}

// deviationsVersion is the revision of the module of deviations, which has no
// semantic version as OpenConfig's own have.
const deviationsVersion = "2026-11-21"

// Models lists the modules with organization and version.
func Models() []*gnmi.ModelData {
	var list []*gnmi.ModelData
	for _, m := range oc.ΓModelData {
		if !slices.Contains(modules, m.GetName()) {
			continue
		}
		d := &gnmi.ModelData{Name: m.GetName(), Organization: m.GetOrganization(), Version: m.GetVersion()}
		if d.Version == "" {
			d.Version = deviationsVersion
		}
		list = append(list, d)
	}
	return list
}

// Read makes what of the view the patterns cover: the configuration, and, with
// a state that is not nil, a source of operational state for a [tree.Walker].
// now and changed are the present time and that of the last commit. native is
// only read, and values are shared with it.
func (v *View) Read(native *gen.Device, state State, now, changed time.Time, patterns ...tree.Path) (ygot.GoStruct, tree.Source) {
	p := newProjection(native)
	p.reading = true
	b := &observation{state: state, config: p, out: &ocDevice{}, now: now, changed: changed, tried: make(map[unitKey]bool)}
	for _, pattern := range patterns {
		for _, s := range scopesOf(pattern) {
			p.add(s)
			if state != nil {
				b.add(s)
			}
		}
	}
	if state == nil {
		return p.out, nil
	}
	return p.out, source{b.out}
}

// A source hands out an observation.
type source struct{ dev *ocDevice }

// Entries implements [tree.Source]: all entries stand in their containers.
func (source) Entries(*tree.Node, tree.Path, map[string]string, func(ygot.GoStruct) error) (bool, error) {
	return false, nil
}

// Container implements [tree.Source].
func (s source) Container(n *tree.Node, _ tree.Path) ygot.GoStruct {
	switch n.Name {
	case "interfaces":
		return s.dev.Interfaces
	case "network-instances":
		return s.dev.NetworkInstances
	case "system":
		return s.dev.System
	}
	return nil
}
