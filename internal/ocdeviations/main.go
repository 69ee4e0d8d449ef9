// Command ocdeviations writes the module openconfig-routerd-deviations: every
// node of the OpenConfig modules that are served is "not-supported" unless
// supported.txt lists a leaf at or below it.
//
//	ocdeviations DIR
//
// DIR holds the modules and supported.txt, a data path without keys on each
// line; the module is written there.
package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openconfig/goyang/pkg/yang"
)

// roots are the containers that are served, by module.
var roots = map[string]string{
	"openconfig-interfaces":       "interfaces",
	"openconfig-network-instance": "network-instances",
	"openconfig-system":           "system",
}

// modules are read besides those, because they augment them.
var modules = []string{"openconfig-if-ip", "openconfig-vlan", "openconfig-local-routing-network-instance"}

const name = "openconfig-routerd-deviations"

const header = `module ` + name + ` {
  yang-version 1;
  namespace "urn:routerd:openconfig-deviations";
  prefix rd-dev;

%s
  organization
    "The routerd project";
  contact
    "The routerd project's issue tracker";
  description
    "What of the OpenConfig models the router does not have. Made from
     supported.txt by internal/ocdeviations; never edited.";

  revision 2026-11-21 {
    description
      "First revision.";
  }
`

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: ocdeviations DIR")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatalf("ocdeviations: %v", err)
	}
}

func run(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "supported.txt"))
	if err != nil {
		return err
	}
	w := walker{wanted: make(map[string]bool), leaves: make(map[string]bool), imports: make(map[string]string)}
	for _, line := range strings.Fields(string(text)) {
		w.leaves[line] = true
		for p := line; p != ""; p = p[:strings.LastIndexByte(p, '/')] {
			w.wanted[p] = true
		}
	}
	w.ms = yang.NewModules()
	w.ms.AddPath(dir)
	for _, m := range slices.Concat(slices.Sorted(maps.Keys(roots)), modules) {
		if err := w.ms.Read(m); err != nil {
			return err
		}
	}
	if errs := w.ms.Process(); len(errs) > 0 {
		return errs[0]
	}
	for _, m := range slices.Sorted(maps.Keys(roots)) {
		e, errs := w.ms.GetModule(m)
		if len(errs) > 0 {
			return errs[0]
		}
		if err := w.walk(e.Dir[roots[m]], "", ""); err != nil {
			return err
		}
	}
	for _, l := range slices.Sorted(maps.Keys(w.leaves)) {
		return fmt.Errorf("supported.txt: no module has a leaf %s", l)
	}
	var imports strings.Builder
	for _, m := range slices.Sorted(maps.Keys(w.imports)) {
		fmt.Fprintf(&imports, "  import %s {\n    prefix %s;\n  }\n", m, w.imports[m])
	}
	out := fmt.Sprintf(header, imports.String()) + w.out.String() + "}\n"
	return os.WriteFile(filepath.Join(dir, name+".yang"), []byte(out), 0o644)
}

// A walker writes the deviations in the order of the tree.
type walker struct {
	ms      *yang.Modules
	wanted  map[string]bool   // data paths at or above a supported leaf
	leaves  map[string]bool   // supported leaves that have not been come across
	imports map[string]string // module -> prefix
	out     strings.Builder
}

// walk visits e; data and schema are the paths of its parent as data and with
// prefixes, choices and cases.
func (w *walker) walk(e *yang.Entry, data, schema string) error {
	m, err := w.ms.FindModuleByNamespace(e.Namespace().Name)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", data, e.Name, err)
	}
	if !e.IsChoice() && !e.IsCase() {
		data += "/" + e.Name
	}
	schema += "/" + m.GetPrefix() + ":" + e.Name
	w.imports[m.Name] = m.GetPrefix()
	switch {
	case e.IsChoice(), e.IsCase():
		return fmt.Errorf("%s: choices are not handled", schema)
	case !w.wanted[data]:
		fmt.Fprintf(&w.out, "\n  deviation \"%s\" {\n    deviate not-supported;\n  }\n", schema)
		return nil
	case e.IsLeaf(), e.IsLeafList():
		delete(w.leaves, data)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(e.Dir)) {
		if err := w.walk(e.Dir[name], data, schema); err != nil {
			return err
		}
	}
	return nil
}
