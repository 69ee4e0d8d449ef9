package tree_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

func terms(d *gen.Device) []string {
	var names []string
	f := d.GetFilter("f")
	if f == nil {
		return nil
	}
	for _, t := range f.Term.Values() {
		names = append(names, *t.Name)
	}
	return names
}

// The order that users give a list survives every operation, its undoing, its
// publication and the way through JSON; a flat slice is the oracle.
func TestOrderedList(t *testing.T) {
	s := schema(t)
	r := rand.New(rand.NewPCG(3, 7))
	running, candidate := &gen.Device{}, &gen.Device{}
	var want []string
	longest := 0
	body := func(names []string) string {
		var entries []string
		for _, n := range names {
			entries = append(entries, fmt.Sprintf(`{"name":%q,"config":{"description":"d%d"}}`, n, r.IntN(9)))
		}
		return "[" + strings.Join(entries, ",") + "]"
	}
	name := func() string { return fmt.Sprint("t", r.IntN(12)) }
	some := func() []string {
		var names []string
		for range 1 + r.IntN(4) {
			if n := name(); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		return names
	}
	for i := range 3000 {
		next := slices.Clone(want)
		add := func(names ...string) {
			for _, n := range names {
				if !slices.Contains(next, n) {
					next = append(next, n)
				}
			}
		}
		var ops []tree.Op
		op := func(kind tree.OpKind, path, json string) {
			p, err := tree.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			o := tree.Op{Kind: kind, Path: p}
			if json != "" {
				o.Value = &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(json)}}
			}
			ops = append(ops, o)
		}
		for range 1 + r.IntN(3) {
			switch r.IntN(7) {
			case 0:
				n := name()
				next = slices.DeleteFunc(next, func(s string) bool { return s == n })
				op(tree.Delete, "/filter[name=f]/term[name="+n+"]", "")
			case 1:
				names := some()
				next = names
				op(tree.Replace, "/filter[name=f]/term", body(names))
			case 2:
				names := some()
				add(names...)
				op(tree.Update, "/filter[name=f]/term", body(names))
			case 3:
				n := name()
				add(n)
				op(tree.Update, "/filter[name=f]/term[name="+n+"]/config/description", `"x"`)
			case 4:
				n := name()
				add(n)
				op(tree.Replace, "/filter[name=f]/term[name="+n+"]", `{"config":{"description":"y"}}`)
			case 5:
				names := some()
				add(names...)
				op(tree.Update, "/filter[name=f]", `{"term":`+body(names)+`}`)
			case 6:
				next = nil
				op(tree.Delete, "/filter[name=f]/term[name=*]", "")
			}
		}
		var touched []tree.Path
		e := s.Editor(candidate, func(p tree.Path) { touched = append(touched, slices.Clone(p)) }).Spare(running)
		for _, o := range ops {
			if errs := e.Apply(o); len(errs) > 0 {
				t.Fatal(errs[0])
			}
		}
		if got := terms(running); !slices.Equal(got, want) {
			t.Fatalf("step %d: %v changed what is shared: %v, not %v", i, ops, got, want)
		}
		if got := terms(candidate); !slices.Equal(got, next) {
			t.Fatalf("step %d: %v gave %v, want %v", i, ops, got, next)
		}
		if r.IntN(3) == 0 { // undo
			for _, p := range touched {
				s.Share(candidate, running, p)
			}
			if got := terms(candidate); !slices.Equal(got, want) {
				t.Fatalf("step %d: undoing %v gave %v, want %v", i, ops, got, want)
			}
			continue
		}
		want = next
		for _, p := range touched {
			s.Share(running, candidate, p)
		}
		if got := terms(running); !slices.Equal(got, want) {
			t.Fatalf("step %d: publishing %v gave %v, want %v", i, ops, got, want)
		}
		if i%100 == 0 {
			throughJSON(t, s, running)
			longest = max(longest, len(want))
		}
	}
	if longest < 3 {
		t.Errorf("the longest list that went through JSON had %d entries", longest)
	}
}

func throughJSON(t *testing.T, s *tree.Schema, d *gen.Device) {
	t.Helper()
	text, err := s.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	read := &gen.Device{}
	load := tree.Op{Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: text}}}
	if errs := s.Editor(read, func(tree.Path) {}).Apply(load); len(errs) > 0 {
		t.Fatal(errs[0])
	}
	if got, want := terms(read), terms(d); !slices.Equal(got, want) {
		t.Errorf("through JSON %v became %v", want, got)
	}
}
