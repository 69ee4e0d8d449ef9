package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// surviveRate is the load under which routerd is killed, in packets a second.
const surviveRate = 1_000_000

// surviveConfig has a neighbour on each side, for IPv4 and IPv6.
const surviveConfig = `{ "routerd:interface": [
	{ "name": "ge0", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] }, { "type": "inet6", "address": [ { "prefix": "2001:db8:1::1/64" } ] } ] } ] },
	{ "name": "ge1", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] }, { "type": "inet6", "address": [ { "prefix": "2001:db8:2::1/64" } ] } ] } ] } ],
	"routerd:instance": [ { "name": "default", "static-route": [
		{ "prefix": "203.0.113.0/24", "next-hop": [ { "index": 0, "config": { "gateway": "198.51.100.2" } } ] },
		{ "prefix": "2001:db8:f::/48", "next-hop": [ { "index": 0, "config": { "gateway": "2001:db8:2::2" } } ] } ] } ] }`

// survivors is how often routerd is killed: SURVIVE_KILLS, else 20.
func survivors(t *testing.T) int {
	text := os.Getenv("SURVIVE_KILLS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SURVIVE_KILLS=%q: want a number", text)
	}
	return n
}

// A stretch is a router under load.
type stretch struct {
	*lab
	t     *testing.T
	flows []*traffic.Flow
	sink  *traffic.Station
}

// newStretch starts a router between h1 and h2 and resolves what the load needs.
func newStretch(t *testing.T) *stretch {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	h1, h2 := l.space("h1"), l.space("h2")
	h1.Address(l, "eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	h1.Route(l, "default", "192.0.2.1")
	h1.Route(l, "default", "2001:db8:1::1")
	h2.Address(l, "eth0", "198.51.100.2/24", "2001:db8:2::2/64")
	h2.Address(l, "lo", "203.0.113.9/32", "2001:db8:f::9/128")
	h2.Route(l, "default", "198.51.100.1")
	h2.Route(l, "default", "2001:db8:2::1")
	source := traffic.Attach(l, testnet.End{In: h1, Name: "eth0"})
	s := &stretch{lab: l, t: t, sink: traffic.Attach(l, testnet.End{In: h2, Name: "eth0"})}
	l.start()
	l.load(surviveConfig)
	router := l.space("router").MAC(l, "ge0")
	for _, ends := range [][2]string{{"192.0.2.2", "203.0.113.9"}, {"2001:db8:1::2", "2001:db8:f::9"}} {
		s.ping(ends[1])
		s.flows = append(s.flows, source.Flow(l, traffic.Packet{
			SourceMAC: h1.MAC(l, "eth0"), DestMAC: router, Size: 78,
			Source: netip.MustParseAddr(ends[0]), Dest: netip.MustParseAddr(ends[1]),
		}, nil, false))
	}
	return s
}

// ping waits until h1 reaches an address through the router.
func (s *stretch) ping(address string) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err = s.space("h1").Run("ping", "-c", "1", "-W", "1", address); err == nil {
			return
		}
	}
	s.t.Fatalf("%s is not reached: %v", address, err)
}

// A toll is what became of a load.
type toll struct {
	sent, came uint64 // to the router, and from it to h2
	// full is how many h2's queue had no room for, which the next host's slowness
	// loses and not the router; and refused how many the router's queue hadn't, so
	// that they were never sent.
	full, refused uint64
}

// lost is what the router has lost.
func (n toll) lost() uint64 { return n.sent - n.came - n.full }

// under runs f under load and returns what became of it.
func (s *stretch) under(f func()) (n toll) {
	s.t.Helper()
	queues := func() (refused, full uint64) {
		return s.space("h1").Link(s, "eth0").Attrs().Statistics.TxDropped, s.space("router").Link(s, "ge1").Attrs().Statistics.TxDropped
	}
	refused, full := queues()
	result, err := s.sink.Measure(func() error {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			var err error
			// On one processor, so that the queues between devices, which hold 256
			// frames, are emptied in step with it.
			n.sent, err = traffic.Stream(ctx, runtime.NumCPU()-1, surviveRate, s.flows...)
			done <- err
		}()
		time.Sleep(100 * time.Millisecond)
		f()
		time.Sleep(100 * time.Millisecond)
		stop()
		return <-done
	})
	if err != nil {
		s.t.Fatal(err)
	}
	n.came = result.Packets
	n.refused, n.full = queues()
	n.refused -= refused
	n.full -= full
	n.sent -= n.refused
	return n
}

func (n toll) String() string {
	return fmt.Sprintf("%d packets sent, %d lost; besides, h2's queue had no room for %d, and the router's for %d", n.sent, n.lost(), n.full, n.refused)
}

// losses are the counters of each device on the way that speak of losses.
func (s *stretch) losses() string {
	var b strings.Builder
	for _, at := range [][2]string{{"h1", "eth0"}, {"router", "ge0"}, {"router", "ge1"}, {"h2", "eth0"}} {
		out, err := s.space(at[0]).Run("ethtool", "-S", at[1])
		if err != nil {
			out = err.Error()
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "xdp") && !strings.HasSuffix(line, ": 0\n") {
				fmt.Fprintf(&b, "%s %s", at, line)
			}
		}
	}
	return b.String()
}

// restarted starts routerd and returns how long it took until it had taken over.
func (s *stretch) restarted(flags ...string) time.Duration {
	s.t.Helper()
	begin := time.Now()
	s.startQuiet(flags...)
	for deadline := begin.Add(time.Minute); !strings.Contains(s.log(), "forwarding is taken over"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("forwarding was not taken over within a minute:\n%s", s.log())
		}
	}
	return time.Since(begin)
}

func quantile(list []time.Duration, q float64) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[min(len(list)-1, int(q*float64(len(list))))]
}

// TestSurvive kills routerd again and again under a million packets a second, of
// IPv4 and IPv6, starts it anew each time, and counts what is lost.
func TestSurvive(t *testing.T) {
	s := newStretch(t)
	kills := survivors(t)
	var took []time.Duration
	begin := time.Now()
	n := s.under(func() {
		for range kills {
			_ = s.end(syscall.SIGKILL)
			took = append(took, s.restarted())
			s.wait("msg=ready")
		}
	})
	t.Logf("%d kills in %v: %v (%.2f Mpps); forwarding taken over %v (median), %v (p99) after the start",
		kills, time.Since(begin).Round(time.Millisecond), n, float64(n.sent)/time.Since(begin).Seconds()/1e6,
		quantile(took, 0.5), quantile(took, 0.99))
	s.whole(n)
}

// whole fails where something was lost, and checks that the daemon does what only
// it can do.
func (s *stretch) whole(n toll) {
	s.t.Helper()
	if n.lost() != 0 {
		s.t.Errorf("%d packets were lost; what the devices say:\n%s", n.lost(), s.losses())
	}
	s.ping("203.0.113.9")
	s.ping("2001:db8:f::9")
}

// TestSurviveOrders restarts routerd under load in the ways that an operator has.
func TestSurviveOrders(t *testing.T) {
	s := newStretch(t)
	for _, tc := range []struct {
		name string
		do   func()
	}{
		{"in place", func() {
			if out, code := s.rcli("restart"); code != 0 {
				t.Fatalf("rcli restart: %s", out)
			}
			// The process goes on writing to the same log.
			for deadline := time.Now().Add(20 * time.Second); strings.Count(s.log(), "msg=ready") < 2; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("not restarted within 20 s")
				}
			}
		}},
		{"handed over", func() {
			if err := s.end(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			s.restarted()
			s.wait("msg=ready")
		}},
		{"a failed start in between", func() {
			_ = s.end(syscall.SIGKILL)
			s.startQuiet("--socket", "/proc/nowhere/socket")
			if err := <-s.exited; err == nil {
				t.Fatal("it started")
			}
			s.daemon = nil
			s.restarted()
			s.wait("msg=ready")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.t = t
			n := s.under(tc.do)
			t.Log(n)
			s.whole(n)
		})
	}
}

// TestUpgrade replaces routerd under load by a version that lays its tables out
// in another way, and that one by the first. To either, the other's next hops
// mean to discard.
func TestUpgrade(t *testing.T) {
	testnet.Require(t)
	other := buildOther(t)
	s := newStretch(t)
	n := s.under(func() {
		for _, program := range []string{other, ""} {
			_ = s.end(syscall.SIGKILL)
			s.program = program
			s.restarted()
			s.wait("msg=ready")
			time.Sleep(200 * time.Millisecond)
		}
	})
	t.Log(n)
	s.whole(n)
}

// buildOther builds a routerd with another layout of its tables: what means to
// forward and what means to discard are exchanged, in Go and in C.
func buildOther(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case rel == ".git" && d.IsDir(), rel == "bin":
			return fs.SkipDir
		case rel == ".git":
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, change := range layoutChanges[rel] {
			if !bytes.Contains(text, []byte(change[0])) {
				return fmt.Errorf("%s does not say %q: the other layout must follow it", rel, change[0])
			}
			text = bytes.ReplaceAll(text, []byte(change[0]), []byte(change[1]))
		}
		return os.WriteFile(filepath.Join(dir, rel), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "routerd-other")
	for _, argv := range [][]string{{"generate", "./dataplane/bpf"}, {"build", "-trimpath", "-o", program, "./cmd/routerd"}} {
		build := exec.Command("go", argv...)
		build.Dir = dir
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", argv, err, out)
		}
	}
	return program
}

var layoutChanges = map[string][][2]string{
	"dataplane/layout/layout.go": {
		{"NextHopForward  = 1", "NextHopForward  = 2"},
		{"NextHopDiscard  = 2", "NextHopDiscard  = 1"},
	},
	"dataplane/bpf/layout.h": {
		{"\tNEXT_HOP_FORWARD,   /* offset of a struct neighbor */\n\tNEXT_HOP_DISCARD,\n", "\tNEXT_HOP_DISCARD,\n\tNEXT_HOP_FORWARD,\n"},
	},
}
