package tree

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/gen"
)

// All tests of this package share out small lists, too.
func init() { asideSize, asideEntries = 8, 2 }

// shareOut turns sharing out on or off until the test ends.
func shareOut(t *testing.T, on bool) {
	size, entries := asideSize, asideEntries
	t.Cleanup(func() { asideSize, asideEntries = size, entries })
	if !on {
		asideSize, asideEntries = 1<<30, 1<<30
	}
}

// What several processors make of a list is what one makes of it, errors included.
func TestSharedOutIsTheSame(t *testing.T) {
	s, err := NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		t.Fatal(err)
	}
	interfaces := func(change map[int]string) string {
		var list []string
		for i := range 100 {
			item := fmt.Sprintf(`{"name":"ge%d","unit":[{"id":"0"},{"id":"1","config":{"description":"x%d"}},{"id":"2"}]}`, i, i)
			if c, ok := change[i]; ok {
				item = c
			}
			list = append(list, item)
		}
		return `{"routerd:interface":[` + strings.Join(list, ",") + `]}`
	}
	tests := []struct {
		name    string
		changes map[int]string // of the second replace
	}{
		{"nothing", nil},
		{"leaves and entries", map[int]string{3: `{"name":"ge3"}`, 50: `{"name":"ge50","config":{"mru":9000}}`, 99: `{"name":"new"}`}},
		{"an entry twice", map[int]string{7: `{"name":"ge70"}`}},
		{"wrong values", map[int]string{2: `{"name":"ge2","config":{"mru":"x"}}`, 80: `{"name":"ge80","nonsense":1}`}},
		{"no object, and no key", map[int]string{5: `17`, 60: `{"unit":[]}`}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			edit := func(on bool) (d *gen.Device, touched, wrong []string) {
				shareOut(t, on)
				d = &gen.Device{}
				for _, text := range []string{interfaces(nil), interfaces(tc.changes)} {
					touched, wrong = nil, nil
					e := s.Editor(d, func(p Path) { touched = append(touched, p.String()) })
					op := Op{Kind: Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(text)}}}
					for _, err := range e.Apply(op) {
						wrong = append(wrong, err.Error())
					}
				}
				slices.Sort(touched)
				slices.Sort(wrong)
				return d, touched, wrong
			}
			now, touched, wrong := edit(true)
			now1, touched1, wrong1 := edit(false)
			if delta := s.Compare(now1, now); !delta.Empty() || !slices.Equal(touched, touched1) || !slices.Equal(wrong, wrong1) {
				t.Errorf("shared out, %d leaves differ, touched %q, errors %q; alone, touched %q, errors %q", delta.Len(), touched, wrong, touched1, wrong1)
			}
			if len(wrong) == 0 && strings.Contains(tc.name, "wrong") {
				t.Error("nothing is wrong")
			}
		})
	}
}
