package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A row is a row of the checklist for rcli, tested with the real binary in a
// pseudo-terminal. Its name begins with row- and the number.
type row struct {
	name string
	run  func(t *testing.T, w *world)
}

// TestRows runs all rows, one after the other, against one router.
func TestRows(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	l.start()
	w := &world{lab: l}
	for _, r := range slices.Concat(
		rowsShell(),
		rowsRemote(),
		rowsOutput(),
		rowsEdit(),
	) {
		t.Run(r.name, func(t *testing.T) {
			l.fatalf = t.Fatalf
			l.load(rowsConfig)
			r.run(t, w)
		})
	}
	l.fatalf = t.Fatalf
}

// rowsConfig is the configuration that every row begins with.
const rowsConfig = `{
  "routerd:system": { "config": { "hostname": "r1" } },
  "routerd:interface": [
    { "name": "ge0", "config": { "description": "to h1" }, "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] } ] } ] },
    { "name": "ge1", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] } ] },
                               { "id": "10", "vlan": { "config": { "outer-vlan-id": 10 } }, "family": [ { "type": "inet", "config": { "instance": "blue" } } ] } ] } ],
  "routerd:instance": [ { "name": "blue" },
    { "name": "default", "static-route": [ { "prefix": "10.0.0.0/8", "next-hop": [ { "index": 1, "config": { "gateway": "192.0.2.2" } } ] } ] } ],
  "routerd:filter": [ { "name": "edge", "config": { "family": "inet" }, "term": [ { "name": "a" }, { "name": "b" } ] } ]
}`

// A world is the router of TestRows.
type world struct {
	*lab
}

// home is a home directory for a test, for history and aliases.
func (w *world) home(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rcliShell starts rcli in a terminal, with a home of its own, and waits for its
// prompt.
func (w *world) rcliShell(t *testing.T, args ...string) *screen {
	t.Helper()
	return w.rcliShellAt(t, w.home(t), args...)
}

// rcliShellAt is rcliShell with a home that may have been used before.
func (w *world) rcliShellAt(t *testing.T, home string, args ...string) *screen {
	t.Helper()
	s := newScreen(t, []string{"HOME=" + home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME="}, "rcli", append([]string{"--socket", w.socket()}, args...)...)
	s.Expect(`^\S+@r1[>#]$`)
	return s
}

// Until waits until something about the router is true.
func (w *world) Until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
