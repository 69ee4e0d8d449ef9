package datastore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"router/cmd/routerd/datastore/journal/faultfs"
	"router/cmd/routerd/datastore/tree"
)

// A fakeClock is moved by hand.
type fakeClock struct {
	mu   sync.Mutex
	wall time.Time
	id   string
	up   time.Duration
}

func newClock() *fakeClock {
	return &fakeClock{wall: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), id: "first"}
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *fakeClock) boot() (string, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id, c.up
}

// pass has both clocks go on.
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.up = c.wall.Add(d), c.up+d
}

// step sets the wall clock alone.
func (c *fakeClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

func (c *fakeClock) reboot(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.up = id, 0
}

// look has the store look at the clock, as its timer does.
func look(s *Store) {
	s.mu.Lock()
	p := s.pending
	s.mu.Unlock()
	if p != nil {
		s.expire(p)
	}
}

// A bed is a store on a file system in memory, with a clock.
type bed struct {
	t     *testing.T
	s     *Store
	fs    *faultfs.FS
	clock *fakeClock
	a     *fakeApplier
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t, fs: &faultfs.FS{}, clock: newClock(), a: &fakeApplier{}}
	b.open()
	return b
}

func (b *bed) open() {
	b.t.Helper()
	var err error
	if b.s, err = openFS(b.t, b.fs, b.a, Options{clock: b.clock}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) restart() {
	b.t.Helper()
	b.s.Close()
	b.open()
}

func (b *bed) try(wait time.Duration, text string) error {
	_, err := b.s.Commit(context.Background(), Request{User: "ann", Confirm: &Confirm{ID: "x", Wait: wait},
		Ops: []tree.Op{update(b.t, "/system/config/hostname", "%q", text)}})
	return err
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// hostname says what runs and whether something is pending.
func (b *bed) is(hostname string, pending bool) {
	b.t.Helper()
	if got := running(b.t, b.s); !strings.Contains(got, `"`+hostname+`"`) {
		b.t.Errorf("running %s, want hostname %s", got, hostname)
	}
	if p, ok := b.s.Pending(); ok != pending {
		b.t.Errorf("pending %+v, %v; want %v", p, ok, pending)
	}
}

func (b *bed) first() *bed {
	commit(b.t, b.s, update(b.t, "/system/config/hostname", `"old"`))
	return b
}

func TestConfirmedCommit(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name string
		run  func(b *bed)
	}{
		{"it is taken back in time", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.is("new", true)
			b.clock.pass(59 * time.Second)
			look(b.s)
			b.is("new", true)
			b.clock.pass(time.Second)
			look(b.s)
			b.is("old", false)
			c := b.s.Log()[0]
			if c.Number != 3 || c.Source != "confirm-timeout" || !c.IsRevert || c.Reverts != 1 {
				t.Errorf("the revert is logged as %+v", c)
			}
			if b.s.Log()[1].ConfirmID != "x" {
				t.Errorf("the confirmed commit is logged as %+v", b.s.Log()[1])
			}
		}},
		{"the default is ten minutes", func(b *bed) {
			b.must(b.try(0, "new"))
			b.clock.pass(10*time.Minute - 1)
			look(b.s)
			b.is("new", true)
			b.clock.pass(1)
			look(b.s)
			b.is("old", false)
		}},
		{"confirmed, it stays, after a restart too", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			c, err := b.s.Confirm(ctx, "x", "bob", "test")
			b.must(err)
			if c.Number != 2 {
				t.Errorf("confirmed commit %d", c.Number)
			}
			b.clock.pass(time.Hour)
			b.restart()
			b.is("new", false)
		}},
		{"cancelled, it goes at once", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			c, err := b.s.Cancel(ctx, "x", "bob", "test")
			b.must(err)
			if c.Number != 3 || c.User != "bob" || c.Source != "test" {
				t.Errorf("cancelled by %+v", c)
			}
			b.is("old", false)
			b.restart()
			b.is("old", false)
		}},
		{"the deadline is moved, lasting", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.clock.pass(30 * time.Second)
			b.must(b.s.SetConfirmWait(ctx, "x", 2*time.Minute, "bob", "test"))
			b.restart()
			b.clock.pass(119 * time.Second)
			look(b.s)
			b.is("new", true)
			b.clock.pass(time.Second)
			look(b.s)
			b.is("old", false)
		}},
		{"restarts in the window don't put it off", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			for range 5 {
				b.clock.pass(11 * time.Second)
				b.restart()
				b.is("new", true)
			}
			b.clock.pass(5 * time.Second)
			look(b.s)
			b.is("old", false)
		}},
		{"its time over while the router is down, it never runs again", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			applied := b.a.applied
			b.s.Close()
			b.clock.pass(time.Hour)
			b.open()
			b.is("old", false)
			if b.a.applied != applied || b.s.Last().Source != "confirm-timeout" {
				t.Errorf("applied %d changes; the last commit is %+v", b.a.applied-applied, b.s.Last())
			}
			b.restart()
			b.is("old", false)
		}},
		{"a wall clock set back puts nothing off", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.clock.step(-24 * time.Hour)
			b.restart()
			b.clock.pass(time.Minute)
			look(b.s)
			b.is("old", false)
		}},
		{"nor, across a reboot, beyond the wait", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.s.Close()
			b.clock.step(-24 * time.Hour)
			b.clock.reboot("second")
			b.open()
			b.clock.pass(59 * time.Second)
			look(b.s)
			b.is("new", true)
			b.restart()
			b.clock.pass(time.Second)
			look(b.s)
			b.is("old", false)
		}},
		{"a wall clock set forward brings nothing on", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.clock.step(24 * time.Hour)
			b.restart()
			b.clock.pass(59 * time.Second)
			look(b.s)
			b.is("new", true)
		}},
		{"a reboot goes by the wall clock", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.s.Close()
			b.clock.pass(50 * time.Second)
			b.clock.reboot("second")
			b.open()
			b.is("new", true)
			b.clock.pass(10 * time.Second)
			look(b.s)
			b.is("old", false)
		}},
		{"others wait", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			_, err := b.s.Commit(ctx, Request{Ops: ops(t, 7)})
			_, err2 := b.s.Rollback(ctx, 0, Request{})
			b.must(b.s.SaveRescue(ctx, "ann"))
			_, err3 := b.s.Rescue(ctx, Request{})
			for _, err := range []error{err, err2, err3, b.try(time.Minute, "newer")} {
				if !errors.Is(err, ErrPending) || !strings.Contains(err.Error(), `id "x"`) {
					t.Errorf("error %v", err)
				}
			}
			b.is("new", true)
		}},
		{"ids must fit", func(b *bed) {
			wrong := func(want error) {
				t.Helper()
				_, err := b.s.Confirm(ctx, "y", "", "")
				_, err2 := b.s.Cancel(ctx, "y", "", "")
				for _, err := range []error{err, err2, b.s.SetConfirmWait(ctx, "y", 1, "", "")} {
					if !errors.Is(err, want) {
						t.Errorf("error %v, want %v", err, want)
					}
				}
			}
			wrong(ErrNonePending)
			b.must(b.try(time.Minute, "new"))
			wrong(ErrOtherPending)
			if err := b.s.SetConfirmWait(ctx, "x", 0, "", ""); !errors.Is(err, ErrConfirm) {
				t.Errorf("a wait of 0: %v", err)
			}
			b.clock.pass(time.Minute)
			if _, err := b.s.Confirm(ctx, "x", "", ""); !errors.Is(err, ErrNonePending) {
				t.Errorf("too late: %v", err)
			}
			look(b.s)
			wrong(ErrNonePending)
		}},
		{"a commit that fails waits for nothing", func(b *bed) {
			b.a.failApply = errors.New("no")
			if err := b.try(time.Minute, "new"); err == nil {
				t.Error("no error")
			}
			b.a.failApply = nil
			if err := b.try(time.Minute, "no good name"); err == nil {
				t.Error("no error")
			}
			b.is("old", false)
			if _, err := b.s.Commit(ctx, Request{Confirm: &Confirm{}, Ops: ops(t, 1)}); !errors.Is(err, ErrConfirm) {
				t.Errorf("no id: %v", err)
			}
		}},
		{"what changes nothing can be confirmed too", func(b *bed) {
			b.must(b.try(time.Minute, "old"))
			b.is("old", true)
			_, err := b.s.Confirm(ctx, "x", "", "")
			b.must(err)
		}},
		{"a revert that can't be applied is tried again", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.clock.pass(time.Minute)
			b.a.failApply = errors.New("busy")
			look(b.s)
			b.is("new", true)
			if p, _ := b.s.Pending(); !strings.Contains(p.Late, "busy") {
				t.Errorf("pending %+v", p)
			}
			b.a.failApply = nil
			look(b.s)
			b.is("old", false)
		}},
		{"a revert that can't be written is in place all the same", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.clock.pass(time.Minute)
			b.fs.Arm(1, faultfs.Full)
			look(b.s)
			b.is("old", true)
			if _, err := b.s.Commit(ctx, Request{Ops: ops(t, 7)}); !errors.Is(err, ErrPending) {
				t.Errorf("a commit before the revert is durable: %v", err)
			}
			if _, err := b.s.Confirm(ctx, "x", "", ""); !errors.Is(err, ErrNonePending) {
				t.Errorf("confirmed afterwards: %v", err)
			}
			b.restart()
			b.is("old", true)
			b.fs.Heal()
			look(b.s)
			b.is("old", false)
			b.restart()
			b.is("old", false)
		}},
		{"a full disk refuses to confirm, and leaves it pending", func(b *bed) {
			b.must(b.try(time.Minute, "new"))
			b.fs.Arm(1, faultfs.Full)
			if _, err := b.s.Confirm(ctx, "x", "", ""); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("error %v", err)
			}
			b.fs.Heal()
			b.is("new", true)
			_, err := b.s.Confirm(ctx, "x", "", "")
			b.must(err)
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { tc.run(newBed(t).first()) })
	}
}

// TestConfirmedCommitOnTheMachine has a real clock and a real disk.
func TestConfirmedCommitOnTheMachine(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, &fakeApplier{})
	hostname(t, s, 1)
	start := time.Now()
	reverted := make(chan time.Time, 1)
	if _, err := s.Commit(context.Background(), Request{Confirm: &Confirm{ID: "x", Wait: 300 * time.Millisecond}, Ops: ops(t, 2)}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir, &fakeApplier{})
	s.Watch(func(e Event) { reverted <- time.Now() })
	select {
	case at := <-reverted:
		if late := at.Sub(start) - 300*time.Millisecond; late < 0 || late > time.Second {
			t.Errorf("taken back %v after the deadline", late)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not taken back")
	}
	if s.Last().Source != "confirm-timeout" {
		t.Errorf("last commit %+v", s.Last())
	}
}

// TestFirstFormat opens a directory of the version before.
func TestFirstFormat(t *testing.T) {
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/first-format/*")
	if err != nil || len(files) != 2 {
		t.Fatalf("test data %v, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		s := open(t, dir, &fakeApplier{})
		want, err := os.ReadFile("testdata/first-format.json")
		if err != nil {
			t.Fatal(err)
		}
		if got := running(t, s); got != strings.TrimSpace(string(want)) || s.Last().Number != 100 || s.Last().User != "ann" {
			t.Fatalf("commit %+v\n%s\nwant\n%s", s.Last(), got, want)
		}
		if log := s.Log(); len(log) != 0 {
			t.Errorf("the log has %v", log)
		}
		s.Close()
	}
	s := open(t, dir, &fakeApplier{})
	hostname(t, s, 101)
	if c, err := s.Rollback(context.Background(), 100, Request{}); err != nil || c.Number != 102 {
		t.Errorf("rollback: %+v, %v", c, err)
	}
	if _, err := s.Rollback(context.Background(), 99, Request{}); !errors.Is(err, ErrNoCommit) {
		t.Errorf("rollback into the first format: %v", err)
	}
}
