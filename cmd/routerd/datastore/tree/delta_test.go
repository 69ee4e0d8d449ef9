package tree_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

func edited(t testing.TB, e *tree.Editor, kind tree.OpKind, path, value string) {
	t.Helper()
	p, err := tree.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	op := tree.Op{Kind: kind, Path: p}
	if kind != tree.Delete {
		op.Value = ietf(value)
	}
	if errs := e.Apply(op); len(errs) > 0 {
		t.Fatalf("%s %s: %v", kind, path, errs)
	}
}

func marshalled(t testing.TB, s *tree.Schema, d *gen.Device) string {
	t.Helper()
	b, err := s.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDeltaRandom makes random edits: what Compare finds at the touched paths leads from
// one tree to the other and back, on fresh trees too, and touches no more than it tells.
func TestDeltaRandom(t *testing.T) {
	s := schema(t)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 4))
		old, o := &gen.Device{}, &oracle{leaves: map[string]string{}, entries: map[string]bool{}}
		for range 20 {
			now := &gen.Device{}
			s.Share(now, old, nil)
			var touched []tree.Path
			for range 1 + r.IntN(4) {
				kind, path, value := step(r, o)
				edited(t, s.Editor(now, func(p tree.Path) { touched = append(touched, slices.Clone(p)) }).Spare(old), kind, path, value)
			}
			if len(touched) == 0 {
				continue
			}
			checkDelta(t, s, old, now, s.Compare(old, now, tree.Outermost(touched)...))
			checkDelta(t, s, old, now, s.Compare(old, now))
			old = now
		}
	}
}

func checkDelta(t *testing.T, s *tree.Schema, old, now *gen.Device, d tree.Delta) {
	t.Helper()
	d, err := tree.ParseDelta(d.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want, was := marshalled(t, s, now), marshalled(t, s, old)
	got := &gen.Device{}
	s.Copy(got, old, nil)
	patch := func(backward bool, want string) {
		t.Helper()
		before := &gen.Device{}
		s.Share(before, got, nil)
		shared := marshalled(t, s, before)
		var touched []tree.Path
		if errs := s.Editor(got, func(p tree.Path) { touched = append(touched, slices.Clone(p)) }).Spare(before).Patch(d, backward); len(errs) > 0 {
			t.Fatal(errs)
		}
		if have := marshalled(t, s, before); have != shared {
			t.Fatalf("backward %v: what is shared has changed to\n%s\nfrom\n%s", backward, have, shared)
		}
		if have := marshalled(t, s, got); have != want {
			t.Fatalf("backward %v: patched to\n%s\nwant\n%s", backward, have, want)
		}
		for _, p := range touched {
			s.Share(before, got, p)
		}
		if have := marshalled(t, s, before); have != want {
			t.Fatalf("backward %v: what it touched, %v, does not cover what it changed", backward, touched)
		}
	}
	patch(false, want)
	patch(false, want) // again, which changes nothing
	patch(true, was)
	// The operations say the same.
	ops, err := s.Ops(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		if errs := s.Editor(got, func(tree.Path) {}).Apply(op); len(errs) > 0 {
			t.Fatalf("%s %s: %v", op.Kind, op.Path, errs)
		}
	}
	if have := marshalled(t, s, got); have != want {
		t.Fatalf("the operations\n%v\nlead to\n%s\nwant\n%s", ops, have, want)
	}
	// The differences are those of the leaves.
	list, err := s.Differences(d)
	if err != nil {
		t.Fatal(err)
	}
	a, b := leavesOf(t, s, old), leavesOf(t, s, now)
	for _, diff := range list {
		if diff.Old == nil {
			if _, ok := a[diff.Path.String()]; ok {
				t.Fatalf("%s is new, but was there", diff.Path)
			}
		}
		delete(a, diff.Path.String())
		delete(b, diff.Path.String())
	}
	copies := func(k, _ string) bool {
		return strings.HasSuffix(k, "/config/name") || strings.HasSuffix(k, "/config/id")
	}
	maps.DeleteFunc(a, copies)
	maps.DeleteFunc(b, copies)
	if !maps.Equal(a, b) {
		t.Fatalf("differences\n%v\nleave out some of\n%v\n%v", list, a, b)
	}
}

// filterOf is a filter with the named terms, in their order.
func filterOf(t *testing.T, s *tree.Schema, names string) *gen.Device {
	var terms []string
	for _, n := range names {
		terms = append(terms, fmt.Sprintf(`{"name":"%c","config":{"description":"term %c"}}`, n, n))
	}
	d := &gen.Device{}
	edited(t, s.Editor(d, func(tree.Path) {}), tree.Update, "/filter[name=f]", `{"config":{"family":"inet"},"term":[`+strings.Join(terms, ",")+`]}`)
	return d
}

func TestDeltaOfOrderedLists(t *testing.T) {
	s := schema(t)
	words := []string{"", "a", "abc", "acb", "cab", "b", "ac", "abcd", "dabc", "dcba"}
	for _, from := range words {
		for _, to := range words {
			t.Run(from+" to "+to, func(t *testing.T) {
				old, now := filterOf(t, s, from), filterOf(t, s, to)
				checkDelta(t, s, old, now, s.Compare(old, now))
			})
		}
	}
}

func TestDifferencesCompose(t *testing.T) {
	s := schema(t)
	var deltas []tree.Delta
	var trees []*gen.Device
	for _, w := range []string{"", "abc", "acb", "ac", "acb"} {
		trees = append(trees, filterOf(t, s, w))
		if n := len(trees); n > 1 {
			deltas = append(deltas, s.Compare(trees[n-2], trees[n-1]))
		}
	}
	list, err := s.Differences(deltas[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Path.String() != "/filter[name=f]/term" {
			t.Errorf("%s differs between abc and acb", d.Path)
		}
	}
	list, err = s.Differences(deltas[1], s.Compare(trees[2], trees[1]))
	if err != nil || len(list) != 0 {
		t.Errorf("there and back again: %v, %v", list, err)
	}
}

func TestArrange(t *testing.T) {
	s := schema(t)
	d := filterOf(t, s, "abc")
	want := marshalled(t, s, filterOf(t, s, "cab"))
	edited(t, s.Editor(d, func(tree.Path) {}), tree.Arrange, "/filter[name=f]/term", `["c","none"]`)
	if got := marshalled(t, s, d); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for path, value := range map[string]string{"/filter": `["f"]`, "/filter[name=f]/term": `7`, "/filter[name=f]/term[name=a]": `["a"]`, "/": `[]`} {
		p, err := tree.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if errs := s.Editor(d, func(tree.Path) {}).Apply(tree.Op{Kind: tree.Arrange, Path: p, Value: ietf(value)}); len(errs) == 0 {
			t.Errorf("%s was arranged", path)
		}
	}
}

func FuzzDelta(f *testing.F) {
	s, err := tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		f.Fatal(err)
	}
	d := &gen.Device{}
	edited(f, s.Editor(d, func(tree.Path) {}), tree.Update, "/", `{"routerd:filter":[{"name":"f","config":{"family":"inet"},"term":[{"name":"b"},{"name":"a","match":{"config":{"protocol":["tcp",7]}}}]}],
		"routerd:interface":[{"name":"ge0","config":{"mru":1600,"enabled":false}}]}`)
	f.Add(s.Compare(&gen.Device{}, d).Bytes())
	f.Add(s.Compare(d, &gen.Device{}).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		delta, err := tree.ParseDelta(data)
		if err != nil {
			return
		}
		// Whatever it says, it is refused or applied: nothing panics.
		got := &gen.Device{}
		s.Copy(got, d, nil)
		s.Patch(got, delta, false, func(tree.Path) {})
		s.Patch(got, delta, true, func(tree.Path) {})
		if _, err := s.Differences(delta, delta); err == nil {
			if _, err := s.Ops(delta); err != nil {
				t.Fatalf("differences but no operations: %v", err)
			}
		}
	})
}
