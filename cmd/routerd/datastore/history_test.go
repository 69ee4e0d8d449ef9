package datastore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

func commit(t testing.TB, s *Store, ops ...tree.Op) Commit {
	t.Helper()
	c, err := s.Commit(context.Background(), Request{User: "ann", Source: "test", Ops: ops})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func remove(t testing.TB, path string) tree.Op {
	return tree.Op{Kind: tree.Delete, Path: mustPath(t, path)}
}

// story makes ten commits of all sorts and returns the configuration after each, that of
// commit 0 first.
func story(t testing.TB, s *Store) []string {
	t.Helper()
	after := []string{running(t, s)}
	for _, ops := range [][]tree.Op{
		{update(t, "/interface", "["+ge0+"]")},
		{update(t, "/system/config/hostname", `"one"`), update(t, "/interface[name=ge1]/config/mru", "1600")},
		{update(t, "/filter[name=f]", `{"config":{"family":"inet"},"term":[{"name":"a"},{"name":"b"},{"name":"c"}]}`)},
		{{Kind: tree.Arrange, Path: mustPath(t, "/filter[name=f]/term"), Value: ietf(`["c","a","b"]`)}},
		{remove(t, "/filter[name=f]/term[name=a]"), update(t, "/instance[name=red]/config/description", `"r"`)},
		{remove(t, "/interface[name=ge0]")},
		{remove(t, "/system/config/hostname"), update(t, "/interface", "["+ge0+"]")},
		{{Kind: tree.Replace, Path: mustPath(t, "/"), Value: ietf(`{"routerd:interface":[%s]}`, ge0)}},
		{update(t, "/prefix-list[name=l]/config/prefix", `["10.0.0.0/8","10.1.0.0/16"]`)},
		{{Kind: tree.Replace, Path: mustPath(t, "/prefix-list[name=l]/config/prefix"), Value: ietf(`["10.1.0.0/16"]`)}},
	} {
		commit(t, s, ops...)
		after = append(after, running(t, s))
	}
	return after
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, &fakeApplier{})
	story(t, s)
	check := func(s *Store) {
		t.Helper()
		log := s.Log()
		if len(log) != 10 {
			t.Fatalf("%d commits in the log, want 10", len(log))
		}
		for i, c := range log {
			if c.Number != uint64(10-i) || c.User != "ann" || c.Source != "test" || c.Time.IsZero() {
				t.Errorf("commit %+v", c)
			}
		}
	}
	check(s)
	ops, err := s.Change(2)
	if err != nil || len(ops) != 3 || !strings.HasSuffix(ops[2].Path.String(), "hostname") {
		t.Errorf("commit 2 did %v, %v", ops, err)
	}
	if _, err := s.Change(11); !errors.Is(err, ErrNoCommit) {
		t.Errorf("commit 11: %v", err)
	}
	s.Close()
	check(open(t, dir, &fakeApplier{}))
}

func TestSameAgainIsNoCommit(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	for range 2 {
		if c := commit(t, s, update(t, "/interface", "["+ge0+"]")); c.Number != 1 {
			t.Errorf("commit %d", c.Number)
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	a := &fakeApplier{}
	s := open(t, t.TempDir(), a)
	if _, err := s.Commit(context.Background(), Request{DryRun: true, Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}}); err != nil {
		t.Fatal(err)
	}
	var rejected *Rejected
	if _, err := s.Commit(context.Background(), Request{DryRun: true, Ops: []tree.Op{update(t, "/interface[name=ge0]/config/mru", "1")}}); !errors.As(err, &rejected) {
		t.Errorf("error %v", err)
	}
	if a.applied != 0 || running(t, s) != "{}" || candidate(t, s) != "{}" || s.Last().Number != 0 {
		t.Error("a dry run changed something")
	}
}

// TestWaysBack goes from each commit to each other, by At, Rollback, and Diff, before and
// after a restart.
func TestWaysBack(t *testing.T) {
	dir, a := t.TempDir(), &fakeApplier{}
	s := open(t, dir, a)
	after := story(t, s)
	for restart := range 2 {
		for n, want := range after {
			var got string
			if err := s.At(context.Background(), uint64(n), func(d *gen.Device) {
				b, err := s.schema.Marshal(d)
				if err != nil {
					t.Error(err)
				}
				got = string(b)
			}); err != nil || got != want {
				t.Fatalf("at commit %d: %v\n%s\nwant\n%s", n, err, got, want)
			}
			if candidate(t, s) != running(t, s) {
				t.Fatalf("looking at commit %d left something in the candidate", n)
			}
			c, err := s.Rollback(context.Background(), uint64(n), Request{User: "bob"})
			if err != nil || running(t, s) != want {
				t.Fatalf("rollback %d: %v\n%s\nwant\n%s", n, err, running(t, s), want)
			}
			if c.Number == s.Log()[0].Number && !(c.IsRevert && c.Reverts == uint64(n)) && restart == 0 && n < 9 {
				t.Errorf("rollback %d is logged as %+v", n, c)
			}
			for m := range after {
				list, err := s.Diff(context.Background(), uint64(n), uint64(m))
				back, err2 := s.Diff(context.Background(), uint64(m), uint64(n))
				if err != nil || err2 != nil || len(list) != len(back) || (len(list) == 0) != (after[n] == after[m]) {
					t.Fatalf("from %d to %d: %v, %v: %v", n, m, err, err2, list)
				}
				paths := func(d tree.Difference) string { return d.Path.String() }
				if x, y := texts(list, paths), texts(back, paths); !slices.Equal(x, y) {
					t.Fatalf("from %d to %d and back: %v\n%v", n, m, x, y)
				}
			}
		}
		s.Close()
		s = open(t, dir, a)
	}
	if _, err := s.Rollback(context.Background(), 1000, Request{}); !errors.Is(err, ErrNoCommit) {
		t.Errorf("rollback 1000: %v", err)
	}
	if err := s.At(context.Background(), 1000, nil); !errors.Is(err, ErrNoCommit) {
		t.Errorf("at 1000: %v", err)
	}
	if _, err := s.Diff(context.Background(), 0, 1000); !errors.Is(err, ErrNoCommit) {
		t.Errorf("diff 1000: %v", err)
	}
}

func texts(list []tree.Difference, text func(tree.Difference) string) []string {
	var out []string
	for _, d := range list {
		out = append(out, text(d))
	}
	return out
}

func TestDiffSaysOldAndNew(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	commit(t, s, update(t, "/interface[name=ge0]/config/mru", "1600"))
	commit(t, s, update(t, "/interface[name=ge0]/config/mru", "1700"), update(t, "/system/config/hostname", `"r"`))
	text := func(d tree.Difference) string {
		return fmt.Sprintf("%s %v -> %v", d.Path, d.Old.GetUintVal(), d.New.GetUintVal())
	}
	list, err := s.Diff(context.Background(), 1, 2)
	if err != nil || len(list) != 2 || text(list[0]) != "/interface[name=ge0]/config/mru 1600 -> 1700" || list[1].Old != nil || list[1].New.GetStringVal() != "r" {
		t.Errorf("from 1 to 2: %v, %v", list, err)
	}
	list, err = s.Diff(context.Background(), 2, 1)
	if err != nil || len(list) != 2 || text(list[0]) != "/interface[name=ge0]/config/mru 1700 -> 1600" || list[1].New != nil {
		t.Errorf("from 2 to 1: %v, %v", list, err)
	}
	other := &gen.Device{}
	if list, err := s.DiffRunning(other); err != nil || len(list) != 3 || list[0].New != nil {
		t.Errorf("to nothing: %v, %v", list, err)
	}
}

// TestLogIsBounded makes more commits than are kept, with compactions between.
func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}, CompactAt: 2000, Keep: 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		hostname(t, s, i+1)
		s.compacting.Wait()
	}
	for restart := range 2 {
		log := s.Log()
		if len(log) != 20 || log[0].Number != 150 {
			t.Fatalf("restart %d: the log has %d commits, the newest is %d", restart, len(log), log[0].Number)
		}
		if err := s.At(context.Background(), log[19].Number, func(d *gen.Device) {
			if got, want := *d.GetSystem().GetConfig().Hostname, fmt.Sprintf("h%d", log[19].Number); got != want {
				t.Errorf("hostname %s, want %s", got, want)
			}
		}); err != nil {
			t.Error(err)
		}
		if _, err := s.Change(100); !errors.Is(err, ErrNoCommit) {
			t.Errorf("commit 100 of a log of 20: %v", err)
		}
		s.Close()
		if s, err = Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}, Keep: 20}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
}

func TestRescue(t *testing.T) {
	dir, a := t.TempDir(), &fakeApplier{}
	s := open(t, dir, a)
	if _, err := s.Rescue(context.Background(), Request{}); !errors.Is(err, ErrNoRescue) {
		t.Errorf("no rescue configuration: %v", err)
	}
	commit(t, s, update(t, "/interface", "["+ge0+"]"))
	want := running(t, s)
	if err := s.SaveRescue(context.Background(), "ann"); err != nil {
		t.Fatal(err)
	}
	story(t, s)
	s.Close()
	s = open(t, dir, a)
	if r := s.Status().Rescue; r == nil || r.User != "ann" || r.Number != 1 {
		t.Errorf("rescue %+v", r)
	}
	n := len(s.Log())
	if _, err := s.Rescue(context.Background(), Request{User: "bob"}); err != nil || running(t, s) != want || len(s.Log()) != n+1 {
		t.Errorf("%v: running %s, want %s", err, running(t, s), want)
	}
}

// TestRollbackIsChecked goes back to a configuration that can't be put in place any more.
func TestRollbackIsChecked(t *testing.T) {
	a := &fakeApplier{}
	s := open(t, t.TempDir(), a)
	story(t, s)
	want := running(t, s)
	a.failApply = errors.New("the device is gone")
	var ae *ApplyError
	if _, err := s.Rollback(context.Background(), 3, Request{}); !errors.As(err, &ae) || running(t, s) != want || candidate(t, s) != want || len(s.Log()) != 10 {
		t.Errorf("error %v", err)
	}
}
