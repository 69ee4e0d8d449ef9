package restart

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func TestOrderOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	k := Open(dir, clock, quiet)
	if err := k.Ask(time.Hour, "COLD", "an upgrade", "ann"); err != nil {
		t.Fatal(err)
	}
	if err := k.Ask(0, "COLD", "", "bob"); !errors.Is(err, ErrPending) {
		t.Errorf("a second order: %v", err)
	}

	now = now.Add(59 * time.Minute)
	k = Open(dir, clock, quiet)
	st := k.Status()
	want := Order{When: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC), Method: "COLD", Reason: "an upgrade", User: "ann"}
	if st.Pending == nil || *st.Pending != want || st.Count != 0 || st.Last != nil {
		t.Fatalf("after a crash: %+v", st)
	}
	now = now.Add(2 * time.Minute)
	k = Open(dir, clock, quiet)
	if st = k.Status(); st.Pending != nil || st.Count != 1 || st.Last == nil || *st.Last != want {
		t.Fatalf("started after its time: %+v", st)
	}
	if err := k.Cancel("", ""); !errors.Is(err, ErrNone) {
		t.Errorf("cancel nothing: %v", err)
	}
	if err := k.Ask(time.Minute, "WARM", "", ""); err != nil {
		t.Fatal(err)
	}
	if err := k.Cancel("no", "ann"); err != nil {
		t.Fatal(err)
	}
	if st := Open(dir, clock, quiet).Status(); st.Pending != nil || st.Count != 1 {
		t.Errorf("after a cancel: %+v", st)
	}
	for _, delay := range []time.Duration{-1, MaxDelay + 1} {
		if err := k.Ask(delay, "WARM", "", ""); err == nil {
			t.Errorf("a delay of %v", delay)
		}
	}
}

func TestDueAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := Open(t.TempDir(), time.Now, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go k.Run(ctx)
		start := time.Now()
		if err := k.Ask(time.Hour, "COLD", "first", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if err := k.Cancel("", ""); err != nil {
			t.Fatal(err)
		}
		if err := k.Ask(45*time.Minute, "COLD", "second", ""); err != nil {
			t.Fatal(err)
		}
		o := <-k.Due()
		if got := time.Since(start); o.Reason != "second" || got != 75*time.Minute {
			t.Errorf("%q came after %v", o.Reason, got)
		}
		if st := k.Status(); st.Pending != nil || st.Count != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestDiskRefuses(t *testing.T) {
	dir := t.TempDir()
	k := Open(dir, time.Now, quiet)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := k.Ask(time.Hour, "COLD", "", ""); err == nil || k.Status().Pending != nil {
		t.Errorf("%v, %+v", err, k.Status())
	}
}

func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(`{"pending":{"when":"soon`), 0o600); err != nil {
		t.Fatal(err)
	}
	k := Open(dir, time.Now, quiet)
	if st := k.Status(); st != (Status{}) {
		t.Errorf("%+v", st)
	}
	if err := k.Ask(time.Hour, "COLD", "", ""); err != nil {
		t.Error(err)
	}
}

// TestFlushIsForOnce leaves out what would empty the configuration again.
func TestFlushIsForOnce(t *testing.T) {
	got := again([]string{"routerd", "--flush", "--listen", ":1", "--flush=true"})
	if want := []string{"routerd", "--listen", ":1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	env := withoutFlush([]string{"A=1", "ROUTERD_FLUSH=true"})
	if want := []string{"A=1", "ROUTERD_FLUSH=false"}; !slices.Equal(env, want) {
		t.Errorf("%q, want %q", env, want)
	}
}
