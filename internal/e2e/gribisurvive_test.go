package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	rib "github.com/openconfig/gribi/v1/proto/service"
)

// pour adds routes until the stream ends, and returns what was acknowledged by the FIB.
func (c *controller) pour(group uint64) (acked map[string]bool) {
	acked = map[string]bool{}
	var mu sync.Mutex
	names := map[uint64]string{}
	go func() {
		for n := 0; n < 60_000; {
			var ops []*rib.AFTOperation
			mu.Lock()
			for range 100 {
				o := routeOp(fmt.Sprintf("10.%d.%d.0/24", n>>8&255, n&255), group)
				n++
				ops = append(ops, o)
			}
			for _, o := range c.number(ops) {
				names[o.GetId()] = o.GetIpv4().GetPrefix()
			}
			mu.Unlock()
			if c.stream.Send(&rib.ModifyRequest{Operation: ops}) != nil {
				return
			}
		}
	}()
	for {
		m, err := c.stream.Recv()
		if err != nil {
			return acked
		}
		mu.Lock()
		for _, r := range m.GetResult() {
			if r.GetStatus() == fibOK {
				acked[names[r.GetId()]] = true
			}
		}
		mu.Unlock()
	}
}

// entries are the prefixes of IPv4 that the router has.
func (c *controller) entries() map[string]bool {
	c.t.Helper()
	stream, err := c.client.Get(context.Background(), &rib.GetRequest{NetworkInstance: &rib.GetRequest_Name{Name: "default"}, Aft: rib.AFTType_IPV4})
	if err != nil {
		c.t.Fatal(err)
	}
	list := map[string]bool{}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range m.GetEntry() {
			list[e.GetIpv4().GetPrefix()] = true
		}
	}
}

// TestSurviveWithGRIBI kills routerd in the middle of a controller's programming, under load that
// goes by what was programmed: no packet is lost, nothing that was acknowledged, and no election. A
// file that is damaged is put aside, and entries that nobody takes over end.
func TestSurviveWithGRIBI(t *testing.T) {
	s := newStretch(t)
	c := s.gribi(t, 7, true)
	for _, prefix := range []string{"203.0.113.0/24", "2001:db8:f::/48"} {
		if out, code := s.rcli("delete", "/instance[name=default]/static-route[prefix="+prefix+"]"); code != 0 {
			t.Fatal(out)
		}
	}
	c.do(fibOK, nextHopOp(1, "198.51.100.2"), nextHopOp(2, "2001:db8:2::2"), groupOp(1, 0, 1), groupOp(2, 0, 2),
		routeOp("203.0.113.0/24", 1), routeOp("2001:db8:f::/48", 2))
	var acked map[string]bool
	n := s.under(func() {
		done := make(chan struct{})
		go func() {
			acked = c.pour(1)
			close(done)
		}()
		time.Sleep(150 * time.Millisecond)
		_ = s.end(syscall.SIGKILL)
		<-done
		s.restarted()
		s.wait("msg=ready")
	})
	t.Logf("%v; %d entries were acknowledged", n, len(acked))
	s.whole(n)
	if len(acked) == 0 || len(acked) >= 60_000 {
		t.Errorf("it was not killed in the middle: %d entries were acknowledged", len(acked))
	}

	// One that was primary before is not; the one that was is, and finds its entries.
	old := s.gribiAnswered(t, 3, 7, true)
	old.do(refused, routeOp("10.99.0.0/16", 1))
	old.end()
	s.shows(t, "stale, until ", "show", "gribi")
	d := s.gribi(t, 7, true)
	there := d.entries()
	for prefix := range acked {
		if !there[prefix] {
			t.Fatalf("%s was acknowledged and is gone; there are %d", prefix, len(there))
		}
	}
	d.do(fibOK, routeOp("203.0.113.0/24", 1))
	s.shows(t, "stale, taken over", "show", "gribi")
	d.end()

	// Nobody comes for a second.
	if out, code := s.rcli("set", "/gribi/config/restart-time", "1"); code != 0 {
		t.Fatal(out)
	}
	_ = s.end(syscall.SIGKILL)
	s.restarted()
	s.wait("msg=ready")
	s.shows(t, "preference 6, 0 entries of ", "show", "gribi")
	if out, _ := s.rcli("show", "routes", "203.0.113.0/24"); !strings.Contains(out, "no route") {
		t.Errorf("the programmed route is there still:\n%s", out)
	}

	_ = s.end(syscall.SIGKILL)
	file := filepath.Join(s.dir, "state", "gribi")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[30] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s.restarted()
	s.wait("msg=ready")
	if aside, _ := filepath.Glob(filepath.Join(s.dir, "state", "damaged-gribi-*")); len(aside) != 1 || !strings.Contains(s.log(), "nothing of it is used") {
		t.Errorf("a damaged file: put aside are %v\n%s", aside, s.log())
	}
}
