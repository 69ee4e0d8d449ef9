package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/tree"
)

// records takes all records of a journal.
type records []*journal.Record

func (r *records) Base(*journal.Record) error { return nil }

func (r *records) Replay(x *journal.Record) error {
	*r = append(*r, x)
	return nil
}

// rewrite makes the lab's store one that a version with another model has written: edits are
// pairs of equally long texts in the changes.
func rewrite(t *testing.T, l *lab, edits ...string) {
	t.Helper()
	state := filepath.Join(l.dir, "state")
	var all records
	j, _, err := journal.Open(journal.Options{Dir: state}, &all)
	l.check(err)
	l.check(j.Close())
	dir := t.TempDir()
	other, _, err := journal.Open(journal.Options{Dir: dir}, new(records))
	l.check(err)
	for _, r := range all {
		data := r.Delta.Bytes()
		for i := 0; i < len(edits); i += 2 {
			if !bytes.Contains(data, []byte(edits[i])) && r.Number == 2 {
				t.Fatalf("commit %d has no %q", r.Number, edits[i])
			}
			data = bytes.ReplaceAll(data, []byte(edits[i]), []byte(edits[i+1]))
		}
		r.Delta, err = tree.ParseDelta(data)
		l.check(err)
		l.check(other.Append(r))
	}
	l.check(other.Close())
	text, err := os.ReadFile(filepath.Join(dir, "journal-0"))
	l.check(err)
	l.check(os.WriteFile(filepath.Join(state, "journal-0"), text, 0o600))
}

// TestStartWithARefusedConfiguration starts routerd on a store that a version with another model
// wrote: it forwards as before where it may, says what it has left out, and is repaired by rcli.
func TestStartWithARefusedConfiguration(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	l.wire("h3", "ge2")
	for host, n := range map[string]string{"h1": "0", "h2": "1", "h3": "2"} {
		l.space(host).Address(l, "eth0", "192.0."+n+".2/24")
		l.space(host).Route(l, "default", "192.0."+n+".1")
	}
	reach := func(from, to string, want bool) {
		t.Helper()
		out, err := l.space(from).Run("ping", "-c", "1", "-W", "2", to)
		for i := 0; want && err != nil && i < 5; i++ {
			out, err = l.space(from).Run("ping", "-c", "1", "-W", "2", to)
		}
		if (err == nil) != want {
			t.Errorf("%s reaches %s: %t\n%s", from, to, err == nil, out)
		}
	}
	says := func(want string, args ...string) {
		t.Helper()
		if out, code := l.rcli(args...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("rcli %s: exit code %d, no %q in\n%s", strings.Join(args, " "), code, want, out)
		}
	}
	l.start()
	says("", "set", "/system/config/hostname", "first")
	l.load(`{"routerd:system": {"config": {"hostname": "edge"}},
	"routerd:filter": [{"name": "guard", "config": {"family": "inet"}, "term": [
		{"name": "ssh", "match": {"config": {"protocol": ["tcp"], "destination-port": ["33333"]}}, "action": {"config": {"disposition": "discard"}}}, {"name": "rest"}]}],
	"routerd:interface": [
		{"name": "ge0", "config": {"description": "uplink", "driver": "af-packet"}, "unit": [{"id": "0", "family": [{"type": "inet", "address": [{"prefix": "192.0.0.1/24"}]}]}]},
		{"name": "ge1", "config": {"mru": 1522, "driver": "af-packet"}, "unit": [{"id": "0", "family": [{"type": "inet", "address": [{"prefix": "192.0.1.1/24"}]}]}]},
		{"name": "ge2", "config": {"driver": "af-packet"}, "unit": [{"id": "0", "family": [{"type": "inet", "address": [{"prefix": "192.0.2.1/24"}], "filter": {"config": {"input": "guard"}}}]}]}],
	"routerd:instance": [{"name": "default", "static-route": [{"prefix": "10.0.0.0/8", "next-hop": [{"index": 0, "config": {"gateway": "192.0.2.2", "interface": "ge2.0"}}]}]}]}`)
	reach("h1", "192.0.1.2", true)
	reach("h1", "192.0.2.2", true)
	if err := l.end(syscall.SIGUSR2); err != nil {
		t.Fatalf("routerd: %v\n%s", err, l.log())
	}

	// The port of the filter is out of range for the other model, and it doesn't have the MRU.
	rewrite(t, l, "33333", "99999", "\x03mru", "\x03mrx")
	l.start()
	reach("h1", "192.0.1.2", true)
	reach("h1", "192.0.2.2", false) // its unit has gone with the filter that protects it
	for _, part := range []string{"/filter[name=guard]", "/interface[name=ge1]/config/mrx", "/interface[name=ge2]/unit[id=0]", "static-route[prefix=10.0.0.0/8]"} {
		says(part, "get", "/system/state/datastore/left-out")
		if !strings.Contains(l.log(), part) {
			t.Errorf("the log doesn't name %s", part)
		}
	}
	says("Refused by this version at start: /filter[name=guard] is left out", "show", "commits")
	says("unhealthy", "show", "health", "datastore")
	says("192.0.1.1", "get", "--type", "config", "/interface[name=ge1]")
	kept, err := filepath.Glob(filepath.Join(l.dir, "state", "left-out-2-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("what is left out isn't kept: %v, %v", kept, err)
	}
	if text, err := os.ReadFile(kept[0]); err != nil || !strings.Contains(string(text), "99999") || !strings.Contains(string(text), "mrx") {
		t.Errorf("%v: %s", err, text)
	}

	// Back to before it came in, and then a repair.
	if out, code := l.rcli("rollback", "2"); code != 1 || !strings.Contains(out, "/interface[name=ge1]/config/mrx") {
		t.Errorf("rollback to what is refused: exit code %d: %s", code, out)
	}
	says("commit 4", "rollback", "1")
	says("commit 5", "rollback", "3")
	reach("h1", "192.0.1.2", true)
	says("", "set", "/interface[name=ge2]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]/config/prefix", "192.0.2.1/24")
	reach("h1", "192.0.2.2", true)
	if err := l.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.start()
	if out, _ := l.rcli("show", "commits"); strings.Contains(out, "Refused") {
		t.Errorf("after a restart: %s", out)
	}
	reach("h1", "192.0.2.2", true)
}
