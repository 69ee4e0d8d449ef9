package schema

import (
	"testing"

	"github.com/openconfig/goyang/pkg/yang"
)

// What a model says of what has to be there comes to the nodes: leaves, lists with a
// least number, and the cases of a choice of which one has to be.
func TestMandatory(t *testing.T) {
	const module = `module m {
  yang-version 1.1; namespace "urn:m"; prefix m;
  container c {
    leaf free { type string; }
    leaf must { type string; mandatory true; }
    leaf-list two { type string; min-elements 2; }
    list entries { key k; min-elements 1; leaf k { type string; } }
    choice way {
      mandatory true;
      leaf by-name { type string; }
      leaf by-number { type uint8; }
    }
  }
}`
	ms := yang.NewModules()
	if err := ms.Parse(module, "m.yang"); err != nil {
		t.Fatal(err)
	}
	if errs := ms.Process(); len(errs) > 0 {
		t.Fatal(errs)
	}
	m, ok := ms.Modules["m"]
	if !ok {
		t.Fatal("the module is not there")
	}
	c := build(yang.ToEntry(m).Dir["c"], nil, true)
	for name, want := range map[string]bool{"free": false, "must": true, "two": true, "entries": true, "by-name": true, "by-number": true} {
		n := c.Child(name)
		if n == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		if n.Mandatory != want {
			t.Errorf("%s: mandatory is %v, want %v", name, n.Mandatory, want)
		}
	}
}
