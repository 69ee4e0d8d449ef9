package datastore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/journal/faultfs"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// fakeApplier counts, and fails when told to.
type fakeApplier struct {
	mu                     sync.Mutex
	started, applied, back int
	failApply, failRevert  error
}

func (a *fakeApplier) Start(context.Context, *models.Intent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.started++
	return nil
}

func (a *fakeApplier) Apply(context.Context, models.Change) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failApply == nil {
		a.applied++
	}
	return a.failApply
}

func (a *fakeApplier) Revert(context.Context, models.Change) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.back++
	return a.failRevert
}

func open(t testing.TB, dir string, a Applier) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{Dir: dir, Applier: a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustPath(t testing.TB, text string) tree.Path {
	t.Helper()
	p, err := tree.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ietf(format string, args ...any) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: fmt.Appendf(nil, format, args...)}}
}

func update(t testing.TB, path, format string, args ...any) tree.Op {
	return tree.Op{Kind: tree.Update, Path: mustPath(t, path), Value: ietf(format, args...)}
}

func running(t testing.TB, s *Store) string {
	t.Helper()
	var text string
	s.View(func(d *gen.Device, _ Commit) {
		b, err := s.schema.Marshal(d)
		if err != nil {
			t.Error(err)
		}
		text = string(b)
	})
	return text
}

func candidate(t testing.TB, s *Store) string {
	t.Helper()
	b, err := s.schema.Marshal(s.candidate)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const ge0 = `{"name":"ge0","unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]}`

func TestCommitIsDurable(t *testing.T) {
	dir, a := t.TempDir(), &fakeApplier{}
	s := open(t, dir, a)
	var events []Event
	s.Watch(func(e Event) { events = append(events, e) })
	c, err := s.Commit(context.Background(), Request{User: "ann", Comment: "first", Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Number != 1 || c.User != "ann" || a.applied != 1 || len(events) != 1 || events[0].Commit.Number != 1 {
		t.Errorf("commit %+v, applied %d, events %v", c, a.applied, events)
	}
	if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{update(t, "/interface[name=ge0]/config/description", `"x"`)}}); err != nil {
		t.Fatal(err)
	}
	want := running(t, s)
	if want != candidate(t, s) || !strings.Contains(want, `"description":"x"`) {
		t.Errorf("running %s\ncandidate %s", want, candidate(t, s))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s2 := open(t, dir, a)
	if got := running(t, s2); got != want {
		t.Errorf("after a restart\n%s\nwant\n%s", got, want)
	}
	if last := s2.Last(); last.Number != 2 || a.started != 2 {
		t.Errorf("last %+v, started %d", last, a.started)
	}
}

func TestRejected(t *testing.T) {
	a := &fakeApplier{}
	s := open(t, t.TempDir(), a)
	if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}}); err != nil {
		t.Fatal(err)
	}
	before := running(t, s)
	tests := []struct {
		name string
		ops  []tree.Op
		want []string // parts of the violations, in order
	}{
		{"every operation's fault is told", []tree.Op{
			update(t, "/interface[name=ge0]/config/description", `"good"`),
			update(t, "/interface[name=ge0]/config/mru", `"x"`),
			update(t, "/interface[name=ge0]/config/nope", `1`),
		}, []string{"config/mru", "config/nope"}},
		{"every broken rule is told", []tree.Op{
			update(t, "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=224.0.0.1/24]", `{}`),
			update(t, "/instance[name=red]/static-route[prefix=10.0.0.0/8]/config", `{"action":"forward"}`),
		}, []string{"static-route", "224.0.0.1"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, err := s.Commit(context.Background(), Request{Ops: tc.ops})
			var r *Rejected
			if !errors.As(err, &r) {
				t.Fatalf("error %v, want a Rejected", err)
			}
			if len(r.Violations) != len(tc.want) {
				t.Fatalf("violations %+v", r.Violations)
			}
			for i, part := range tc.want {
				if !strings.Contains(r.Violations[i].Path, part) {
					t.Errorf("violation %d at %s, want %s", i, r.Violations[i].Path, part)
				}
			}
			if running(t, s) != before || candidate(t, s) != before || a.applied != 1 {
				t.Error("a rejected request changed something")
			}
		})
	}
}

func TestApplyFailureChangesNothing(t *testing.T) {
	a := &fakeApplier{failApply: errors.New("no such device")}
	s := open(t, t.TempDir(), a)
	req := Request{Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}}
	_, err := s.Commit(context.Background(), req)
	var ae *ApplyError
	if !errors.As(err, &ae) || !strings.Contains(err.Error(), "no such device") {
		t.Fatalf("error %v", err)
	}
	if running(t, s) != "{}" || candidate(t, s) != "{}" || s.Last().Number != 0 || s.journal.Size() != 0 {
		t.Error("a failed apply left something behind")
	}
	a.failApply = nil
	if c, err := s.Commit(context.Background(), req); err != nil || c.Number != 1 {
		t.Errorf("the next commit: %+v, %v", c, err)
	}
}

// openFS opens a store on a file system in memory.
func openFS(t testing.TB, f *faultfs.FS, a Applier, opt Options) (*Store, error) {
	t.Helper()
	opt.Dir, opt.Applier, opt.fs = t.TempDir(), a, fixedDir{f}
	s, err := Open(context.Background(), opt)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func TestWriteFailureIsUndone(t *testing.T) {
	f, a := &faultfs.FS{}, &fakeApplier{}
	s, err := openFS(t, f, a, Options{})
	if err != nil {
		t.Fatal(err)
	}
	req := Request{Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}}
	f.Arm(1, faultfs.Full)
	for range 2 {
		if _, err := s.Commit(context.Background(), req); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("error %v", err)
		}
	}
	if a.back != 2 || running(t, s) != "{}" || candidate(t, s) != "{}" || s.Last().Number != 0 {
		t.Errorf("reverted %d times, running %s", a.back, running(t, s))
	}
	f.Heal()
	if c, err := s.Commit(context.Background(), req); err != nil || c.Number != 1 {
		t.Fatalf("with space again: %+v, %v", c, err)
	}
}

func TestRevertFailureStopsCommits(t *testing.T) {
	a := &fakeApplier{failRevert: errors.New("stuck")}
	f := &faultfs.FS{}
	s, err := openFS(t, f, a, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.Arm(1, faultfs.Full)
	req := Request{Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}}
	for range 2 {
		if _, err := s.Commit(context.Background(), req); err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("error %v, want one that tells of the failed undoing", err)
		}
	}
}

func TestEmptyRequestIsNoCommit(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	if c, err := s.Commit(context.Background(), Request{}); err != nil || c.Number != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestTwoDaemonsCannotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, &fakeApplier{})
	_, err := Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

func TestFlushKeepsTheOldConfiguration(t *testing.T) {
	dir, a := t.TempDir(), &fakeApplier{}
	s := open(t, dir, a)
	if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{update(t, "/interface", "["+ge0+"]")}}); err != nil {
		t.Fatal(err)
	}
	want := running(t, s)
	s.Close()
	s, err := Open(context.Background(), Options{Dir: dir, Applier: a, Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := running(t, s); got != "{}" {
		t.Errorf("after a flush %s", got)
	}
	s.Close()
	aside, err := filepath.Glob(filepath.Join(dir, "flushed-*"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("kept aside: %v, %v", aside, err)
	}
	if got := running(t, open(t, aside[0], a)); got != want {
		t.Errorf("kept aside %s, want %s", got, want)
	}
}

func TestCompaction(t *testing.T) {
	dir, a := t.TempDir(), &fakeApplier{}
	s, err := Open(context.Background(), Options{Dir: dir, Applier: a, CompactAt: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{update(t, fmt.Sprintf("/interface[name=ge%d]/config/description", i%7), `"%d"`, i)}}); err != nil {
			t.Fatal(err)
		}
	}
	want := running(t, s)
	s.Close()
	snapshots, err := filepath.Glob(filepath.Join(dir, "snapshot-*"))
	if err != nil || len(snapshots) != 2 {
		t.Errorf("snapshots %v, %v: want the two newest", snapshots, err)
	}
	s = open(t, dir, a)
	if got := running(t, s); got != want || s.Last().Number != 200 {
		t.Errorf("after a restart, commit %d\n%s\nwant\n%s", s.Last().Number, got, want)
	}
	if log := s.Log(); len(log) < 100 || log[0].Number != 200 {
		t.Errorf("the log has %d commits", len(log))
	}
	s.Close()
	// Damaged snapshots are stood in for by the older one and the journals, and then by the journals alone.
	for i := len(snapshots); i > 0; i-- {
		snapshots, err = filepath.Glob(filepath.Join(dir, "snapshot-*"))
		if err != nil || len(snapshots) != i {
			t.Fatalf("snapshots %v, %v", snapshots, err)
		}
		slices.SortFunc(snapshots, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		path := snapshots[i-1]
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-3] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, a)
		if got := running(t, s); got != want || s.Last().Number != 200 {
			t.Errorf("without %s, commit %d\n%s\nwant\n%s", path, s.Last().Number, got, want)
		}
		if d := s.Status().Damage; len(d) != 1 || !strings.Contains(d[0], path) {
			t.Errorf("damage %q", d)
		}
		s.Close()
	}
}

func TestWatchStops(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	n := 0
	stop := s.Watch(func(Event) { n++ })
	for i := range 2 {
		if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{update(t, "/system/config/hostname", `"h%d"`, i)}}); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	if n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// fixedDir has every path of a file system in memory stand in one directory, so that the
// next store finds it whatever directory it has on disk.
type fixedDir struct{ *faultfs.FS }

const memory = "/state"

func (fixedDir) at(name string) string {
	if base := filepath.Base(name); strings.ContainsAny(base, "-") || base == "rescue" || base == "rescue.tmp" {
		return filepath.Join(memory, base)
	}
	return memory
}

func (d fixedDir) OpenFile(name string, flag int) (journal.File, error) {
	return d.FS.OpenFile(d.at(name), flag)
}
func (d fixedDir) ReadFile(name string) ([]byte, error)  { return d.FS.ReadFile(d.at(name)) }
func (d fixedDir) ReadDir(string) ([]fs.DirEntry, error) { return d.FS.ReadDir(memory) }
func (d fixedDir) Rename(from, to string) error          { return d.FS.Rename(d.at(from), d.at(to)) }
func (d fixedDir) Remove(name string) error              { return d.FS.Remove(d.at(name)) }
func (d fixedDir) Mkdir(name string) error               { return d.FS.Mkdir(d.at(name)) }
func (d fixedDir) SyncDir(string) error                  { return d.FS.SyncDir(memory) }
