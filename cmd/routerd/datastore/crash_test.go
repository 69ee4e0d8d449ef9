package datastore

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// hostname commits "hN" as commit N.
func hostname(t testing.TB, s *Store, n int) {
	t.Helper()
	c, err := s.Commit(context.Background(), Request{User: "ann", Ops: ops(t, n)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Number != uint64(n) {
		t.Fatalf("commit %d, want %d", c.Number, n)
	}
}

// journalOf makes a journal of n commits and returns its bytes and the offset
// at which each commit ends.
func journalOf(t testing.TB, n int) (data []byte, ends []int) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, &fakeApplier{})
	for i := range n {
		hostname(t, s, i+1)
		ends = append(ends, int(s.journal.Size()))
	}
	s.Close()
	data, err := os.ReadFile(filepath.Join(dir, "journal-0"))
	if err != nil {
		t.Fatal(err)
	}
	return data, ends
}

func openWith(t testing.TB, journal []byte) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal-0"), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, &fakeApplier{}), dir
}

func TestJournalCutAtEveryByte(t *testing.T) {
	data, ends := journalOf(t, 3)
	for cut := range len(data) {
		whole := 0
		for _, end := range ends {
			if end <= cut {
				whole++
			}
		}
		s, dir := openWith(t, data[:cut])
		if last := s.Last(); last.Number != uint64(whole) {
			t.Fatalf("cut at %d: commit %d, want %d", cut, last.Number, whole)
		}
		torn, err := filepath.Glob(filepath.Join(dir, "torn-*"))
		if err != nil || (len(torn) == 1) != (whole == 0 && cut > 0 || whole > 0 && cut > ends[whole-1]) || s.Status().Damage != nil {
			t.Fatalf("cut at %d: torn ends kept: %v, %v, damage %v", cut, torn, err, s.Status().Damage)
		}
		// The next commit takes the torn one's place.
		hostname(t, s, whole+1)
		s.Close()
	}
}

// TestDamageAtEveryByte flips a bit of every byte of a journal in turn: the store starts
// in the commit before, says so, has kept the rest, and goes on.
func TestDamageAtEveryByte(t *testing.T) {
	data, ends := journalOf(t, 3)
	for at := range data {
		damaged := bytes.Clone(data)
		damaged[at] ^= 0x10
		good := 0
		for _, end := range ends {
			if end <= at {
				good++
			}
		}
		s, dir := openWith(t, damaged)
		if last := s.Last(); last.Number != uint64(good) {
			t.Fatalf("damage at %d: commit %d, want %d", at, last.Number, good)
		}
		if d := s.Status().Damage; len(d) != 1 || !strings.Contains(d[0], "journal-0") {
			t.Fatalf("damage at %d is not told: %q", at, d)
		}
		kept, err := filepath.Glob(filepath.Join(dir, "damaged-*"))
		if err != nil || len(kept) != 1 {
			t.Fatalf("damage at %d: kept %v, %v", at, kept, err)
		}
		from := 0
		if good > 0 {
			from = ends[good-1]
		}
		if rest, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(rest, damaged[from:]) {
			t.Fatalf("damage at %d: %v, and %d octets of %d are kept", at, err, len(rest), len(data)-from)
		}
		hostname(t, s, good+1)
		s.Close()
		if s := open(t, dir, &fakeApplier{}); s.Last().Number != uint64(good+1) || s.Status().Damage != nil {
			t.Fatalf("damage at %d: the next start has commit %d, damage %q", at, s.Last().Number, s.Status().Damage)
		}
	}
}

func TestMissingCommit(t *testing.T) {
	data, ends := journalOf(t, 3)
	s, _ := openWith(t, append(bytes.Clone(data[:ends[0]]), data[ends[1]:]...))
	if d := s.Status().Damage; s.Last().Number != 1 || len(d) != 1 || !strings.Contains(d[0], "commit 3 follows commit 1") {
		t.Errorf("commit %d, damage %q", s.Last().Number, d)
	}
}

// TestKilledWhileCommitting kills a child that commits without pause, again and
// again on one directory. Each commit N sets the hostname to "hN" and ten
// interfaces' descriptions to "dN", so that half a commit would show.
func TestKilledWhileCommitting(t *testing.T) {
	if dir := os.Getenv("DATASTORE_TEST_CHILD"); dir != "" {
		commitUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		acked := killChild(t, dir, time.Duration(20+rand.IntN(60))*time.Millisecond)
		s, err := Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		last := s.Last().Number
		if last != acked && last != acked+1 {
			t.Errorf("round %d: commit %d after a restart, acknowledged was %d", round, last, acked)
		}
		if last > 0 {
			if want := whole(last); running(t, s) != want {
				t.Errorf("round %d: running is not exactly commit %d:\n%s", round, last, running(t, s))
			}
		}
		s.Close()
	}
}

// killChild starts a child on dir, kills it after the time, and returns the
// last commit that it acknowledged or found.
func killChild(t *testing.T, dir string, after time.Duration) (acked uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileCommitting$")
	cmd.Env = append(os.Environ(), "DATASTORE_TEST_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		n, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		acked = n
		if timer == nil {
			timer = time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return acked
}

func commitUntilKilled(t *testing.T, dir string) {
	s, err := Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}, CompactAt: 8192})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(s.Last().Number)
	for {
		n := s.Last().Number + 1
		if _, err := s.Commit(context.Background(), Request{Ops: killedOps(t, n)}); err != nil {
			t.Fatal(err)
		}
		fmt.Println(n)
	}
}

func whole(n uint64) string {
	var list []string
	for i := range 10 {
		list = append(list, fmt.Sprintf(`{"config":{"description":"d%d","name":"ge%d"},"name":"ge%d"}`, n, i, i))
	}
	return fmt.Sprintf(`{"routerd:interface":[%s],"routerd:system":{"config":{"hostname":"h%d"}}}`, strings.Join(list, ","), n)
}

type op = tree.Op

// ops are the operations of the test's commit n.
func ops(t testing.TB, n int) []op {
	return []op{update(t, "/system/config/hostname", `"h%d"`, n)}
}

// killedOps are the operations of commit n of a child that gets killed.
func killedOps(t testing.TB, n uint64) []op {
	list := []op{{Kind: tree.Delete, Path: mustPath(t, "/interface")}}
	for i := range 10 {
		list = append(list, update(t, fmt.Sprintf("/interface[name=ge%d]/config/description", i), `"d%d"`, n))
	}
	return append(list, update(t, "/system/config/hostname", `"h%d"`, n))
}

func BenchmarkCommitOneLeafAt10000Units(b *testing.B) {
	s := open(b, b.TempDir(), &fakeApplier{})
	var units []string
	for i := range 10_000 {
		units = append(units, fmt.Sprintf(`{"id":"%d","vlan":{"config":{"outer-vlan-id":%d}},"family":[{"type":"inet","address":[{"prefix":"10.%d.%d.1/24"}]}]}`,
			i, i%4000+1, i/250, i%250))
	}
	var devices []string
	for d := range 10 {
		devices = append(devices, fmt.Sprintf(`{"name":"ge%d","unit":[%s]}`, d, strings.Join(units[d*1000:(d+1)*1000], ",")))
	}
	var routes []string
	for i := range 100_000 {
		routes = append(routes, fmt.Sprintf(`{"prefix":"%d.%d.%d.0/24","config":{"action":"discard"}}`, 20+i>>16, i>>8&255, i&255))
	}
	start := time.Now()
	if _, err := s.Commit(context.Background(), Request{Ops: []op{
		update(b, "/interface", "[%s]", strings.Join(devices, ",")),
		update(b, "/instance", `[{"name":"default","static-route":[%s]}]`, strings.Join(routes, ",")),
	}}); err != nil {
		b.Fatal(err)
	}
	b.Logf("the first commit, of everything, took %v", time.Since(start))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Commit(context.Background(), Request{Ops: []op{update(b, "/interface[name=ge5]/unit[id=5500]/config/description", `"%d"`, i)}}); err != nil {
			b.Fatal(err)
		}
	}
	s.View(func(*gen.Device, Commit) {})
}
