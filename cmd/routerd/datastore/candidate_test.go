package datastore

import (
	"context"
	"errors"
	"strings"
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
		`/interface[name=ge1] {"config":{"description":"one"},"unit":[{"id":"0","family":[{"type":"inet6","router-advertisement":{"config":{"dns-server":["2001:db8::1","2001:db8::2"]}}}]}]}`,
		`/filter[name=f] {"config":{"family":"inet"},"term":[{"name":"a"},{"name":"b"}]}`,
	}
	const dns = `/interface[name=ge1]/unit[id=0]/family[type=inet6]/router-advertisement/config/dns-server`
	tests := []struct {
		name         string
		mine, theirs []string // "PATH JSON", or "PATH" to delete it, "PATH -JSON" to delete values
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
		{"both append to a leaf-list", []string{dns + ` ["2001:db8::3"]`}, []string{dns + ` ["2001:db8::4"]`},
			"yours sets " + dns + " to [2001:db8::1 2001:db8::2 2001:db8::3], commit 4 of bob sets " + dns + " to [2001:db8::1 2001:db8::2 2001:db8::4]"},
		{"both delete a value of a leaf-list", []string{dns + ` -["2001:db8::1"]`}, []string{dns + ` -["2001:db8::2"]`},
			"yours sets " + dns + " to [2001:db8::2], commit 4 of bob sets " + dns + " to [2001:db8::1]"},
		{"both delete the same value", []string{dns + ` -["2001:db8::2"]`}, []string{dns + ` -["2001:db8::2"]`}, ""},
	}
	op := func(t *testing.T, text string) tree.Op {
		path, value, ok := strings.Cut(text, " ")
		if !ok {
			return deleteOp(t, path)
		}
		if values, ok := strings.CutPrefix(value, "-"); ok {
			gone := update(t, path, "%s", values)
			gone.Kind = tree.Delete
			return gone
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
