package datastore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// leaves is a configuration as a flat map.
func leaves(t testing.TB, s *Store, d *gen.Device) map[string]string {
	t.Helper()
	list, err := tree.Walker{Schema: s.schema, Config: d, Filter: tree.ConfigOnly}.Leaves(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string, len(list))
	for _, l := range list {
		if !l.Node.KeyCopy {
			m[l.Path.String()] = l.Value.Text()
		}
	}
	return m
}

// delta lists what becomes of each leaf that differs, "" for none.
func flatDelta(from, to map[string]string) map[string]string {
	d := map[string]string{}
	for k, v := range to {
		if from[k] != v {
			d[k] = v
		}
	}
	for k := range from {
		if _, ok := to[k]; !ok {
			d[k] = ""
		}
	}
	return d
}

func flatApply(base, d map[string]string) map[string]string {
	out := maps.Clone(base)
	for k, v := range d {
		if v == "" {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// flatConflict decides by comparing every leaf with every other.
func flatConflict(mine, theirs map[string]string) bool {
	gone := func(d map[string]string) []string {
		var list []string
		for k, v := range d {
			if i := strings.LastIndex(k, "/"); v == "" && strings.HasSuffix(k[:i], "]") {
				list = append(list, k[:i+1])
			}
		}
		return list
	}
	for k, v := range mine {
		if w, ok := theirs[k]; ok && v != w {
			return true
		}
	}
	for _, pair := range [][2]map[string]string{{mine, theirs}, {theirs, mine}} {
		for _, entry := range gone(pair[0]) {
			for k, v := range pair[1] {
				if v != "" && strings.HasPrefix(k, entry) {
					return true
				}
			}
		}
	}
	return false
}

func randomEdit(t testing.TB, r *rand.Rand) tree.Op {
	name := string(rune('a' + r.IntN(3)))
	route := fmt.Sprintf("/instance[name=%s]/static-route[prefix=10.%d.0.0/16]", name, r.IntN(3))
	switch r.IntN(8) {
	case 0:
		return deleteOp(t, "/interface[name="+name+"]")
	case 1:
		return deleteOp(t, "/interface[name=*]/config/description")
	case 2, 3:
		return update(t, "/interface[name="+name+"]/config/description", `"d%d"`, r.IntN(5))
	case 4:
		return tree.Op{Kind: tree.Replace, Path: mustPath(t, "/interface[name="+name+"]/config"), Value: ietf(`{"mru":%d}`, 1500+r.IntN(3))}
	case 5:
		return update(t, route, `{"config":{"action":"discard","tag":%d}}`, r.IntN(4))
	case 6:
		return deleteOp(t, route)
	default:
		return tree.Op{Kind: tree.Replace, Path: mustPath(t, "/instance"), Value: ietf(`[{"name":%q,"config":{"description":"i%d"}}]`, name, r.IntN(3))}
	}
}

// Random editors on one store: what a candidate shows is always running with
// its changes on top, whoever used the tree meanwhile; conflicts are found exactly
// where a comparison of all leaves finds them, and a commit is what was seen.
func TestRandomEditorsAgainstOracle(t *testing.T) {
	ctx := context.Background()
	merged, refused := 0, 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		s := open(t, t.TempDir(), &fakeApplier{})
		now := func() map[string]string {
			var m map[string]string
			s.View(func(d *gen.Device, _ Commit) { m = leaves(t, s, d) })
			return m
		}
		type editor struct {
			c       *Candidate
			changes map[string]string // over running
		}
		var editors []*editor
		for i := range 3 {
			editors = append(editors, &editor{c: openCandidate(t, s, Private, fmt.Sprint("user", i))})
		}
		view := func(e *editor) map[string]string {
			var m map[string]string
			if err := e.c.View(func(d *gen.Device) { m = leaves(t, s, d) }); err != nil {
				t.Fatal(err)
			}
			return m
		}
		// committed looks at what a commit of by meant for the others.
		committed := func(before map[string]string, by *editor) {
			theirs := flatDelta(before, now())
			for i, e := range editors {
				if e == by {
					continue
				}
				clash := flatConflict(e.changes, theirs)
				if got := e.c.Conflicts(); (len(got) > 0) != clash {
					t.Fatalf("seed %d: editor %d changes %v, a commit %v: conflicts are %v", seed, i, e.changes, theirs, got)
				}
				if !clash {
					e.changes = flatDelta(now(), flatApply(now(), e.changes))
					continue
				}
				refused++
				var conflict *ConflictError
				if _, err := e.c.Commit(ctx, Request{}); !errors.As(err, &conflict) {
					t.Fatalf("seed %d: a conflict is committed: %v", seed, err)
				}
				if _, err := e.c.Update(ctx, Resolution(1+r.IntN(2))); err != nil {
					t.Fatal(err)
				}
				e.changes = flatDelta(now(), view(e))
			}
		}
		for step := range 120 {
			e := editors[r.IntN(len(editors))]
			before := now()
			switch r.IntN(6) {
			case 0:
				if _, err := s.Commit(ctx, Request{Ops: []tree.Op{randomEdit(t, r)}, User: "direct"}); err != nil {
					t.Fatal(err)
				}
				committed(before, nil)
			case 1:
				want := view(e)
				_, err := e.c.Commit(ctx, Request{User: "e"})
				var rejected *Rejected
				if errors.As(err, &rejected) {
					// Two valid changes can make an invalid whole, such as a route without its action.
					if err := e.c.Discard(ctx); err != nil {
						t.Fatal(err)
					}
					e.changes = nil
					break
				}
				if err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, step, err)
				}
				merged++
				if got := now(); !maps.Equal(got, want) {
					t.Fatalf("seed %d, step %d: committed is %v, seen was %v", seed, step, got, want)
				}
				e.changes = nil
				committed(before, e)
			default:
				mustEdit(t, e.c, randomEdit(t, r))
				e.changes = flatDelta(now(), view(e))
			}
			for i, e := range editors {
				if got, want := view(e), flatApply(now(), e.changes); !maps.Equal(got, want) {
					t.Fatalf("seed %d, step %d: editor %d sees %v, want %v", seed, step, i, got, want)
				}
				list, err := e.c.Compare()
				if err != nil {
					t.Fatal(err)
				}
				var paths []string
				for _, d := range list {
					paths = append(paths, d.Path.String())
				}
				slices.Sort(paths)
				if want := slices.Sorted(maps.Keys(e.changes)); !slices.Equal(paths, want) {
					t.Fatalf("seed %d, step %d: editor %d changes %v, want %v", seed, step, i, paths, want)
				}
			}
		}
		for _, e := range editors {
			e.c.Close()
		}
		if got, want := candidate(t, s), running(t, s); got != want {
			t.Fatalf("seed %d: the tree for edits is left as\n%s\nwant\n%s", seed, got, want)
		}
	}
	t.Logf("%d commits of candidates, %d conflicts", merged, refused)
	if refused < 20 || merged < 200 {
		t.Errorf("%d merged, %d refused: the test tests little", merged, refused)
	}
}

// Editors, direct commits and readers at once: nobody sees half of a change, and
// what is left is what was committed.
func TestEditorsAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	ctx := context.Background()
	var wg sync.WaitGroup
	commits := make([]int, 5)
	for i := range commits {
		wg.Go(func() {
			c, leave, err := s.OpenCandidate(CandidateKind(i%2), "", fmt.Sprint("user", i), "test")
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			for n := range 30 {
				// Both leaves are always set together.
				err := c.Edit(ctx, Ops(update(t, fmt.Sprintf("/interface[name=ge%d]/config", i), `{"description":"d%d","mru":%d}`, n, 1500+n)))
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.View(func(d *gen.Device) {
					cfg := d.Interface[fmt.Sprint("ge", i)].Config
					if *cfg.Description != fmt.Sprint("d", n) || int(*cfg.Mru) != 1500+n {
						t.Errorf("editor %d sees %s and %d after edit %d", i, *cfg.Description, *cfg.Mru, n)
					}
				}); err != nil {
					t.Error(err)
					return
				}
				if n%3 == 0 {
					if _, err := c.Commit(ctx, Request{User: fmt.Sprint("user", i)}); err != nil {
						t.Error(err)
						return
					}
					commits[i]++
				}
			}
		})
	}
	wg.Go(func() {
		for n := range 60 {
			if _, err := s.Commit(ctx, Request{Ops: []tree.Op{update(t, "/system/config/hostname", `"r%d"`, n)}}); err != nil {
				t.Error(err)
				return
			}
			for _, st := range s.Candidates() {
				if st.Conflicts > 0 {
					t.Errorf("%s has conflicts though nobody touches the same", st.ID)
				}
			}
			s.View(func(d *gen.Device, _ Commit) {
				for name, i := range d.Interface {
					if *i.Config.Description != fmt.Sprint("d", int(*i.Config.Mru)-1500) {
						t.Errorf("running has %s and %d of %s", *i.Config.Description, *i.Config.Mru, name)
					}
				}
			})
		}
	})
	wg.Wait()
	if got, want := candidate(t, s), running(t, s); got != want {
		// A shared candidate may lie there still, with what was not committed.
		for _, st := range s.Candidates() {
			c, err := s.Candidate(st.ID, st.Owner.User)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		if got := candidate(t, s); got != want {
			t.Errorf("the tree for edits is\n%s\nrunning is\n%s", got, want)
		}
	}
	total := 60
	for _, n := range commits {
		total += n
	}
	// A shared candidate's commit takes what its other editors have done so far with it.
	if last := int(s.Last().Number); last > total || last < 60 {
		t.Errorf("%d commits were made, the last is number %d", total, last)
	}
}
