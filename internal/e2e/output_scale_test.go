package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	rib "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/protobuf/proto"
)

// A showing is how long a command of rcli took: to its first page, and in all.
type showing struct {
	first, all time.Duration
	lines      int
	memory     int64 // most that rcli had, in octets
}

func (s showing) String() string {
	return fmt.Sprintf("first page %v, all %d lines %v, %.1f MB of rcli's", s.first.Round(time.Millisecond), s.lines, s.all.Round(time.Millisecond), float64(s.memory)/1e6)
}

// pageLines are those of a first page.
const pageLines = 24

// timed runs rcli and reads what it prints.
func (l *lab) timed(t *testing.T, args ...string) (s showing) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "rcli"), append([]string{"--socket", l.socket()}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	memory := watchPeak(cmd.Process.Pid)
	r := bufio.NewReader(out)
	for {
		_, err := r.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.lines++; s.lines == pageLines {
			s.first = time.Since(start)
		}
	}
	s.memory = memory()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("rcli %v: %v", args, err)
	}
	s.all = time.Since(start)
	return s
}

// TestShowsOfALargeRouter shows the interfaces of a large router (with E2E_FULL=1 of
// 10,000 units and 100,000 static routes) and a large table (of 1,000,000 routes):
// the first page has to be there at once, and memory is bounded on both sides.
func TestShowsOfALargeRouter(t *testing.T) {
	units, routes, soon := 500, 20_000, 5*time.Second // other tests may run beside
	if full() {
		units, routes, soon = 10_000, 1_000_000, time.Second
	}
	if text := os.Getenv("E2E_ROUTES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		routes = n
	}
	l := labOf(t)
	l.start()
	l.loadLarge(t, largeRouter(units))
	for _, args := range [][]string{{"show", "interfaces", "terse"}, {"show", "interfaces"}, {"show", "interfaces", "ge3.7"}, {"show", "neighbors"}, {"show", "system"}} {
		s := l.timed(t, args...)
		t.Logf("%d units, %v: %v", units, args, s)
		if s.first > soon {
			t.Errorf("%v: the first page came after %v", args, s.first)
		}
	}
	l.loadLarge(t, `{"routerd:gribi":{"config":{"enabled":true,"entry-limit":2000000}}}`)
	l.programRoutes(t, routes)
	before := l.resident()
	// What rcli is without a table, and what it may take beside: its buffers, and the
	// garbage of what has gone through them.
	small := l.timed(t, "show", "health").memory
	const beside = 32 << 20
	for _, c := range []struct {
		args  []string
		lines int
	}{
		{[]string{"show", "route"}, 2 * routes},
		{[]string{"show", "routes"}, routes},
		{[]string{"--json", "show", "route"}, 10 * routes},
		{[]string{"show", "route", "protocol", "gribi"}, 2 * routes},
		{[]string{"show", "route", "10.0.7.9"}, 4},
		{[]string{"show", "route", "orlonger", "10.0.8.0/21"}, 16},
	} {
		s := l.timed(t, c.args...)
		after := l.resident()
		t.Logf("%d routes, %v: %v; routerd %+.1f MB", routes, c.args, s, (float64(after.all)-float64(before.all))/1e6)
		if s.lines < c.lines {
			t.Errorf("%v: %d lines, want %d at least", c.args, s.lines, c.lines)
		}
		if s.first > soon {
			t.Errorf("%v: the first page came after %v", c.args, s.first)
		}
		if s.memory > small+beside {
			t.Errorf("%v: rcli took %d MB, and %d MB without a table", c.args, s.memory>>20, small>>20)
		}
		// The garbage of a stream is bounded by the collector: half of what is live.
		if after.all > before.all+40<<20+before.all/2 {
			t.Errorf("%v: routerd took %d MB more", c.args, (after.all-before.all)>>20)
		}
	}
	l.onceRoutes(t, routes)
	// At a terminal what has been read can be gone back to: it waits in a file.
	end := min(routes, 100_000) - 1 // a search goes through some 50,000 lines a second
	waiting, searched := l.paged(t, "show route", fmt.Sprintf("%d.%d.%d.0", 10+end>>16, end>>8&0xff, end&0xff))
	t.Logf("%d routes in the pager: %.1f MB of rcli's at the first page, %.1f MB after a search through them", routes, float64(waiting)/1e6, float64(searched)/1e6)
	if small == 0 || waiting == 0 || searched > small+beside {
		t.Errorf("in the pager rcli took %d MB, and %d MB without a table", searched>>20, small>>20)
	}
}

// onceRoutes reads the table with gNMI's Subscribe ONCE, and says what that takes on both sides.
func (l *lab) onceRoutes(t *testing.T, routes int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	s := l.connect(t)
	before, router, own, begin := l.resident(), l.cpuOf(t), cpuTime(t, os.Getpid()), time.Now()
	c, err := s.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_ONCE, Encoding: gpb.Encoding_PROTO,
		Subscription: []*gpb.Subscription{{Path: path("/instance[name=default]/rib[afi=inet]/route")}}}
	if err := c.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
		t.Fatal(err)
	}
	found, leaves, octets := 0, 0, 0
	for {
		r, err := c.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if r.GetSyncResponse() {
			break
		}
		octets += proto.Size(r)
		for _, u := range r.GetUpdate().GetUpdate() {
			leaves++
			if elems := u.GetPath().GetElem(); len(elems) == 1 && elems[0].GetName() == "prefix" {
				found++
			}
		}
	}
	took := time.Since(begin)
	after := l.resident()
	t.Logf("%d routes, Subscribe ONCE: %v for %d leaves in %.0f MB; processor time: routerd %v, this client %v; routerd %+.1f MB", routes, took.Round(time.Millisecond), leaves, float64(octets)/1e6,
		l.cpuOf(t)-router, cpuTime(t, os.Getpid())-own, (float64(after.all)-float64(before.all))/1e6)
	if found < routes {
		t.Errorf("Subscribe ONCE has %d routes of %d", found, routes)
	}
	if after.all > before.all+40<<20+before.all/2 {
		t.Errorf("Subscribe ONCE: routerd took %d MB more", (after.all-before.all)>>20)
	}
}

// loadLarge commits a configuration that takes longer than other commands may.
func (l *lab) loadLarge(t *testing.T, config string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	if out, err := exec.CommandContext(ctx, filepath.Join(bin, "rcli"), "--socket", l.socket(), "load", "replace", file).CombinedOutput(); err != nil {
		t.Fatalf("rcli load: %v: %s", err, out)
	}
	t.Logf("loaded and committed in %v", time.Since(began).Round(time.Millisecond))
}

// paged reads a long table at a terminal, and returns the most memory that rcli had
// while it waited in front of the first page and after a search through all of it.
func (l *lab) paged(t *testing.T, line, last string) (waiting, searched int64) {
	t.Helper()
	s := newScreen(t, []string{"HOME=" + t.TempDir(), "XDG_CONFIG_HOME=", "XDG_STATE_HOME="}, "rcli", "--socket", l.socket())
	s.Expect(`^\S+@\S+>$`)
	s.Line(line)
	s.Expect(`more`)
	time.Sleep(time.Second) // what it reads ahead it has read
	waiting = peak(s.cmd.Process.Pid)
	s.Type("/" + last + keyEnter)
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(s.Text(), last+"/") && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	s.Expect(regexp.QuoteMeta(last) + "/")
	searched = peak(s.cmd.Process.Pid)
	s.Key("q")
	s.ExpectRow(`>$`)
	return waiting, searched
}

// watchPeak looks at a process's memory while it lives: what wait tells at its end has
// the memory of whoever started it in it, too. The returned function ends that.
func watchPeak(pid int) func() int64 {
	stop, result := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		most := int64(0)
		for {
			select {
			case <-tick.C:
				most = max(most, peak(pid))
			case <-stop:
				result <- max(most, peak(pid))
				return
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-result
	}
}

// peak is the most memory that a process has had resident, in octets; 0 when it is over.
func peak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		return 0 // a zombie has none
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return 0
	}
	return kb * 1024
}

// programRoutes has a controller add routes, and leave them there.
func (l *lab) programRoutes(t *testing.T, routes int) {
	t.Helper()
	c := l.gribi(t, 1, true)
	c.do(fibOK, nextHopOp(1, "10.0.0.2"), groupOp(1, 0, 1))
	done := make(chan error, 1)
	go func() {
		for n := 0; n < routes; {
			m, err := c.stream.Recv()
			if err != nil {
				done <- fmt.Errorf("after %d answers: %w", n, err)
				return
			}
			n += len(m.GetResult())
		}
		done <- nil
	}()
	var batch []*rib.AFTOperation
	for i := range routes {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10 + byte(i>>16), byte(i >> 8), byte(i), 0}), 24)
		if batch = append(batch, routeOp(p.String(), 1)); len(batch) == 500 || i == routes-1 {
			c.send(&rib.ModifyRequest{Operation: c.number(batch)})
			batch = nil
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
