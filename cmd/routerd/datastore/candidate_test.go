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

func openCandidate(t testing.TB, s *Store, kind CandidateKind, user string) *Candidate {
	t.Helper()
	c, leave, err := s.OpenCandidate(kind, "", user, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	return c
}

func mustEdit(t testing.TB, c *Candidate, ops ...tree.Op) {
	t.Helper()
	if err := c.Edit(context.Background(), Ops(ops...)); err != nil {
		t.Fatal(err)
	}
}

func deleteOp(t testing.TB, path string) tree.Op {
	return tree.Op{Kind: tree.Delete, Path: mustPath(t, path)}
}

func viewOf(t testing.TB, c *Candidate) string {
	t.Helper()
	var text string
	if err := c.View(func(d *gen.Device) {
		b, err := c.s.schema.Marshal(d)
		if err != nil {
			t.Error(err)
		}
		text = string(b)
	}); err != nil {
		t.Fatal(err)
	}
	return text
}

func commitOf(t testing.TB, c *Candidate, user string) Commit {
	t.Helper()
	commit, err := c.Commit(context.Background(), Request{User: user, Source: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func diffText(t testing.TB, c *Candidate) string {
	t.Helper()
	list, err := c.Compare()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range list {
		line := d.Path.String()
		if d.Old != nil {
			line += " -" + tree.Text(d.Old)
		}
		if d.New != nil {
			line += " +" + tree.Text(d.New)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestCandidateIsNotRunningUntilCommit(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	mustCommit(t, s, update(t, "/interface[name=ge0]/config", `{"description":"one","mru":1500}`))
	before := running(t, s)
	c := openCandidate(t, s, Private, "ann")
	mustEdit(t, c, update(t, "/interface[name=ge0]/config/description", `"two"`), deleteOp(t, "/interface[name=ge0]/config/mru"))
	mustEdit(t, c, update(t, "/interface[name=ge1]", `{}`))
	if got := running(t, s); got != before {
		t.Errorf("running is %s", got)
	}
	want := "/interface[name=ge0]/config/description -one +two\n/interface[name=ge0]/config/mru -1500\n/interface[name=ge1]/name +ge1"
	if got := diffText(t, c); got != want {
		t.Errorf("it changes\n%s\nwant\n%s", got, want)
	}
	view := viewOf(t, c)
	if got := commitOf(t, c, "ann"); got.Number != 2 || got.User != "ann" {
		t.Errorf("commit %+v", got)
	}
	if got := running(t, s); got != view {
		t.Errorf("committed is\n%s\nwhat was seen is\n%s", got, view)
	}
	if got := diffText(t, c); got != "" {
		t.Errorf("after its commit it changes\n%s", got)
	}
	if got := commitOf(t, c, "ann"); got.Number != 2 {
		t.Errorf("a commit of nothing is number %d", got.Number)
	}
}

func mustCommit(t testing.TB, s *Store, ops ...tree.Op) {
	t.Helper()
	if _, err := s.Commit(context.Background(), Request{Ops: ops, User: "bob", Source: "test"}); err != nil {
		t.Fatal(err)
	}
}

func TestCandidateEditIsAllOrNothing(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	c := openCandidate(t, s, Private, "ann")
	mustEdit(t, c, update(t, "/interface[name=ge0]/config/description", `"one"`))
	before := viewOf(t, c)
	err := c.Edit(context.Background(), Ops(update(t, "/interface[name=ge0]/config/description", `"two"`)), Ops(update(t, "/interface[name=ge1]/config/mru", `9`)))
	var rejected *Rejected
	if !errors.As(err, &rejected) || rejected.Violations[0].Op != 1 || rejected.Violations[0].Path != "/interface[name=ge1]/config/mru" {
		t.Errorf("the error is %v", err)
	}
	if got := viewOf(t, c); got != before {
		t.Errorf("half an edit stays:\n%s", got)
	}
	if _, err := c.Check(); err != nil {
		t.Error(err)
	}
	mustEdit(t, c, update(t, "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/action", `"forward"`))
	if _, err := c.Check(); !errors.As(err, &rejected) || rejected.Violations[0].Rule != "static-action-nexthop" {
		t.Errorf("a broken rule gives %v", err)
	}
	if _, err := c.Commit(context.Background(), Request{}); !errors.As(err, &rejected) {
		t.Errorf("a broken rule is committed: %v", err)
	}
	if got := s.Last().Number; got != 0 {
		t.Errorf("there is commit %d", got)
	}
	if err := c.Discard(context.Background(), mustPath(t, "/instance[name=default]")); err != nil {
		t.Error(err)
	}
	if got := viewOf(t, c); got != before {
		t.Errorf("after the discard it is\n%s\nwant\n%s", got, before)
	}
}

func TestConcurrentEditors(t *testing.T) {
	base := []string{
		`/interface[name=ge0]/config {"description":"zero","mru":1500}`,
		`/interface[name=ge1]/config {"description":"one"}`,
		`/filter[name=f] {"config":{"family":"inet"},"term":[{"name":"a"},{"name":"b"}]}`,
	}
	tests := []struct {
		name         string
		mine, theirs []string // "PATH JSON", or "PATH" to delete it
		conflict     string   // part of the error; none: it is merged
	}{
		{"different interfaces", []string{`/interface[name=ge0]/config/description "m"`}, []string{`/interface[name=ge1]/config/description "t"`}, ""},
		{"different leaves of one container", []string{`/interface[name=ge0]/config/description "m"`}, []string{`/interface[name=ge0]/config/mru 1600`}, ""},
		{"the same leaf", []string{`/interface[name=ge0]/config/description "m"`}, []string{`/interface[name=ge0]/config/description "t"`},
			"/interface[name=ge0]/config/description: yours sets /interface[name=ge0]/config/description to m, commit 4 of bob sets /interface[name=ge0]/config/description to t"},
		{"the same leaf and value", []string{`/interface[name=ge0]/config/description "m"`}, []string{`/interface[name=ge0]/config/description "m"`}, ""},
		{"both delete it", []string{`/interface[name=ge0]`}, []string{`/interface[name=ge0]`}, ""},
		{"I delete what they changed", []string{`/interface[name=ge0]`}, []string{`/interface[name=ge0]/config/mru 1600`}, "ge0"},
		{"I delete where they add", []string{`/interface[name=ge0]`}, []string{`/interface[name=ge0]/unit[id=7]/config/description "t"`},
			"/interface[name=ge0]: yours deletes it, commit 4 of bob sets"},
		{"they delete where I add", []string{`/interface[name=ge0]/unit[id=7]/config/description "m"`}, []string{`/interface[name=ge0]`}, "commit 4 of bob deletes it"},
		{"both make the same entry", []string{`/interface[name=ge9]/config/description "x"`}, []string{`/interface[name=ge9]/config/mru 1600`}, ""},
		{"everything deleted against an addition", []string{`/interface`}, []string{`/interface[name=ge9]/config/mru 1600`}, ""},
		{"both append to an ordered list", []string{`/filter[name=f]/term[name=m] {}`}, []string{`/filter[name=f]/term[name=t] {}`},
			"/filter[name=f]/term: yours sets /filter[name=f]/term to [a b m], commit 4 of bob sets /filter[name=f]/term to [a b t]"},
	}
	op := func(t *testing.T, text string) tree.Op {
		path, value, ok := strings.Cut(text, " ")
		if !ok {
			return deleteOp(t, path)
		}
		return update(t, path, "%s", value)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, t.TempDir(), &fakeApplier{})
			for _, b := range base {
				mustCommit(t, s, op(t, b))
			}
			c := openCandidate(t, s, Private, "ann")
			for _, m := range test.mine {
				mustEdit(t, c, op(t, m))
			}
			for _, th := range test.theirs {
				mustCommit(t, s, op(t, th))
			}
			if st := c.Status(); st.Base != 3 || st.Behind != 1 || (st.Conflicts > 0) != (test.conflict != "") {
				t.Errorf("status is %+v", st)
			}
			_, err := c.Commit(context.Background(), Request{User: "ann"})
			if test.conflict == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var conflict *ConflictError
			if !errors.As(err, &conflict) || !strings.Contains(err.Error(), test.conflict) {
				t.Fatalf("the commit says %v, want %s", err, test.conflict)
			}
			if _, err := c.Update(context.Background(), Refuse); !errors.As(err, &conflict) {
				t.Errorf("an update that settles nothing says %v", err)
			}
			after := running(t, s)
			if list, err := c.Update(context.Background(), Theirs); err != nil || len(list) == 0 {
				t.Errorf("update to theirs: %v, %v", list, err)
			}
			if got := viewOf(t, c); got != after {
				t.Errorf("with theirs it is\n%s\nwant\n%s", got, after)
			}
			commitOf(t, c, "ann")
		})
		if test.conflict == "" {
			continue
		}
		t.Run(test.name+", mine stands", func(t *testing.T) {
			s := open(t, t.TempDir(), &fakeApplier{})
			for _, b := range base {
				mustCommit(t, s, op(t, b))
			}
			c := openCandidate(t, s, Private, "ann")
			mustEdit(t, c, op(t, test.mine[0]))
			mustCommit(t, s, op(t, test.theirs[0]))
			if _, err := c.Update(context.Background(), Mine); err != nil {
				t.Fatal(err)
			}
			view := viewOf(t, c)
			commitOf(t, c, "ann")
			if got := running(t, s); got != view {
				t.Errorf("committed is\n%s\nseen was\n%s", got, view)
			}
			if !strings.Contains(test.mine[0], " ") && strings.Contains(running(t, s), "ge0") {
				t.Errorf("what mine deletes is there: %s", running(t, s))
			}
		})
	}
}

func TestExclusiveLocksOthersOut(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	shared, leaveShared, err := s.OpenCandidate(Shared, "", "bob", "ssh")
	if err != nil {
		t.Fatal(err)
	}
	defer leaveShared()
	c, leave, err := s.OpenCandidate(Exclusive, "", "ann", "console")
	if err != nil {
		t.Fatal(err)
	}
	op := update(t, "/system/config/hostname", `"r1"`)
	var locked *LockedError
	_, _, again := s.OpenCandidate(Exclusive, "", "bob", "ssh")
	_, direct := s.Commit(context.Background(), Request{Ops: []tree.Op{op}})
	for what, err := range map[string]error{"a second one": again, "a commit": direct, "an edit": shared.Edit(context.Background(), Ops(op))} {
		if !errors.As(err, &locked) || !strings.Contains(err.Error(), "ann (console, since") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.Candidate(c.ID(), "bob"); !errors.Is(err, ErrOtherEditor) {
		t.Errorf("bob gets ann's candidate: %v", err)
	}
	mustEdit(t, c, op)
	commitOf(t, c, "ann")
	leave()
	if _, err := s.Candidate(c.ID(), "ann"); !errors.Is(err, ErrNoCandidate) {
		t.Errorf("it outlives its session: %v", err)
	}
	mustCommit(t, s, update(t, "/system/config/hostname", `"r2"`))
}

func TestSharedSurvivesItsEditors(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	a, leave, err := s.OpenCandidate(Shared, "night", "ann", "x")
	if err != nil {
		t.Fatal(err)
	}
	mustEdit(t, a, update(t, "/system/config/hostname", `"r1"`))
	leave()
	b, leave, err := s.OpenCandidate(Shared, "night", "bob", "x")
	if err != nil || b != a {
		t.Fatalf("another one: %v", err)
	}
	defer leave()
	if st := b.Status(); st.Changes != 1 || len(st.Editors) != 1 || st.Editors[0].User != "bob" || st.Owner.User != "ann" {
		t.Errorf("status %+v", st)
	}
	b.Close()
	if len(s.Candidates()) != 0 {
		t.Error("it is listed though closed")
	}
	if err := b.Edit(context.Background(), Ops(deleteOp(t, "/system"))); !errors.Is(err, ErrNoCandidate) {
		t.Errorf("a closed one is edited: %v", err)
	}
}

func TestCandidatesAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	for range maxCandidates {
		openCandidate(t, s, Private, "ann")
	}
	if _, _, err := s.OpenCandidate(Private, "", "ann", ""); !errors.Is(err, ErrTooManyCandidates) {
		t.Errorf("one more: %v", err)
	}
}

func TestCopyRenameInsert(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), &fakeApplier{})
	mustCommit(t, s, update(t, "/filter[name=f]", `{"config":{"family":"inet"},"term":[{"name":"a","config":{"description":"A"}},{"name":"b"},{"name":"c"}]}`),
		update(t, "/interface[name=ge0]", `{"config":{"description":"zero"},"unit":[{"id":"0","family":[{"type":"inet","config":{"mtu":1400}}]}]}`))
	c := openCandidate(t, s, Private, "ann")
	order := func() string {
		var names []string
		if err := c.View(func(d *gen.Device) {
			for _, t := range d.Filter["f"].Term.Values() {
				names = append(names, *t.Name)
			}
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, "")
	}
	term := func(name string) tree.Path { return mustPath(t, "/filter[name=f]/term[name="+name+"]") }
	steps := []struct {
		what string
		do   func() error
		want string // the order, or "! " and a part of the error
	}{
		{"to the front", func() error { return c.Edit(ctx, MoveEntry(term("c"), First, "")) }, "cab"},
		{"to the end", func() error { return c.Edit(ctx, MoveEntry(term("c"), Last, "")) }, "abc"},
		{"before", func() error { return c.Edit(ctx, MoveEntry(term("c"), Before, "b")) }, "acb"},
		{"after", func() error { return c.Edit(ctx, MoveEntry(term("a"), After, "c")) }, "cab"},
		{"a new entry", func() error { return c.Edit(ctx, MoveEntry(term("n"), After, "c")) }, "! no such entry"},
		{"beside nothing", func() error { return c.Edit(ctx, MoveEntry(term("a"), After, "zz")) }, "! no entry \"zz\""},
		{"rename keeps the place", func() error { return c.Edit(ctx, RenameEntry(term("a"), term("z"))) }, "czb"},
		{"copy goes to the end", func() error { return c.Edit(ctx, CopyEntry(term("z"), term("y"))) }, "czby"},
		{"copy onto another", func() error { return c.Edit(ctx, CopyEntry(term("z"), term("b"))) }, "! already"},
		{"copy of nothing", func() error { return c.Edit(ctx, CopyEntry(term("q"), term("x"))) }, "! no such entry"},
		{"copy into another list", func() error { return c.Edit(ctx, CopyEntry(term("z"), mustPath(t, "/interface[name=ge1]"))) }, "! another list"},
		{"insert into an unordered list", func() error { return c.Edit(ctx, MoveEntry(mustPath(t, "/interface[name=ge0]"), First, "")) }, "! no order"},
		{"copy with what is below", func() error {
			return c.Edit(ctx, CopyEntry(mustPath(t, "/interface[name=ge0]"), mustPath(t, "/interface[name=ge1]")))
		}, "czby"},
	}
	for _, step := range steps {
		err := step.do()
		if want, bad := strings.CutPrefix(step.want, "! "); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", step.what, err)
			}
			continue
		}
		if err != nil || order() != step.want {
			t.Errorf("%s: %v, and the order is %s, want %s", step.what, err, order(), step.want)
		}
	}
	view := viewOf(t, c)
	for _, want := range []string{`"name":"ge1","unit":[{"config":{"id":"0"},"family":[{"config":{"mtu":1400,"type":"inet"}`, `{"config":{"description":"A","name":"y"},"name":"y"}`} {
		if !strings.Contains(view, want) {
			t.Errorf("%s is not in\n%s", want, view)
		}
	}
	commitOf(t, c, "ann")
	if got := running(t, s); got != view {
		t.Errorf("committed is\n%s\nseen was\n%s", got, view)
	}
}

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
