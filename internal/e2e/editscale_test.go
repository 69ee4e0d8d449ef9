package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEditingALargeRouter measures what an editor waits for on a large router: with
// E2E_FULL=1 one of 10,000 units and 100,000 routes, else a tenth of that. Each command is typed at an
// rcli that stands at its prompt; the time is from Enter to the next prompt.
func TestEditingALargeRouter(t *testing.T) {
	units := 1000
	if full() {
		units = 10000
	}
	l := labOf(t)
	l.start()
	config := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(config, []byte(largeRouter(units)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := l.scripted(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.in.Close()
	do := func(line, want string) time.Duration {
		t.Helper()
		began := time.Now()
		text, err := s.do(line)
		took := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" && strings.Contains(text, "error") || !strings.Contains(text, want) {
			t.Fatalf("%s: no %q in %s", line, want, text)
		}
		return took
	}
	t.Logf("load replace of %d units: %v", units, do("load replace "+config, "load complete").Round(time.Millisecond))
	t.Logf("its commit: %v", do("commit", "commit 1").Round(time.Millisecond))
	do("set interface ge3 unit 100 description changed", "")
	do("deactivate interface ge4 unit 100", "")
	do("set instance vrf1 static-route 172.16.7.0/24 tag 7", "")
	for _, c := range []struct {
		line, undo, want string
		bound            time.Duration
	}{
		{"show | compare", "", "+  description changed;", 100 * time.Millisecond},
		{"set interface ge3 unit 101 description changed", "", "", 100 * time.Millisecond},
		{"deactivate interface ge4 unit 101", "activate interface ge4 unit 101", "", 100 * time.Millisecond},
		{"show interface ge3 unit 100", "", "description changed;", 100 * time.Millisecond},
		{"commit check", "", "is valid", 0},
	} {
		var times timing
		for range 9 {
			times = append(times, do(c.line, c.want))
			if c.undo != "" {
				do(c.undo, "")
			}
		}
		slices.Sort(times)
		t.Logf("%-55s %v", c.line, times)
		// The machine may be busy: the median of several is what it takes.
		if median := times[len(times)/2]; c.bound > 0 && median > c.bound {
			t.Errorf("%s takes %v, want %v at most", c.line, median, c.bound)
		}
	}
	t.Logf("%-55s %v", "commit", do("commit", "commit 2").Round(time.Millisecond))
}
