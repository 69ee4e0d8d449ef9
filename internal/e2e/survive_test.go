package e2e

import (
	"context"
	"net/netip"
	"os"
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

// survivors is how often routerd is killed: SURVIVE_KILLS, else 20, or 3 in short
// runs.
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
	sinks []*traffic.Station
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
	sink := traffic.Attach(l, testnet.End{In: h2, Name: "eth0"})
	s := &stretch{lab: l, t: t, sinks: []*traffic.Station{sink}}
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

// under runs f under load and returns what was sent and what came, of each flow.
func (s *stretch) under(f func()) (sent, came uint64) {
	s.t.Helper()
	result, err := s.sinks[0].Measure(func() error {
		ctx, stop := context.WithCancel(context.Background())
		type end struct {
			sent uint64
			err  error
		}
		ends := make(chan end, len(s.flows))
		for _, flow := range s.flows {
			go func() {
				n, err := flow.Stream(ctx, -1, surviveRate/len(s.flows))
				ends <- end{n, err}
			}()
		}
		time.Sleep(100 * time.Millisecond)
		f()
		time.Sleep(100 * time.Millisecond)
		stop()
		var first error
		for range s.flows {
			e := <-ends
			sent += e.sent
			if first == nil {
				first = e.err
			}
		}
		return first
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return sent, result.Packets
}

// restarted starts routerd and returns how long it took until it had taken over.
func (s *stretch) restarted(flags ...string) time.Duration {
	s.t.Helper()
	begin := time.Now()
	s.startQuiet(flags...)
	for deadline := begin.Add(20 * time.Second); !strings.Contains(s.log(), "forwarding is taken over"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("forwarding was not taken over within 20 s:\n%s", s.log())
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
	if sent, came := s.under(func() { time.Sleep(300 * time.Millisecond) }); sent != came {
		t.Logf("already without a kill %d of %d packets are lost", sent-came, sent)
	}
	begin := time.Now()
	sent, came := s.under(func() {
		for range kills {
			_ = s.end(syscall.SIGKILL)
			took = append(took, s.restarted())
			s.wait("msg=ready")
		}
	})
	t.Logf("%d kills in %v: %d packets sent, %d lost (%.2f Mpps); forwarding taken over %v (median), %v (p99) after the start",
		kills, time.Since(begin).Round(time.Millisecond), sent, sent-came, float64(sent)/time.Since(begin).Seconds()/1e6,
		quantile(took, 0.5), quantile(took, 0.99))
	if sent != came {
		t.Errorf("%d packets were lost", sent-came)
	}
	// The daemon is whole: what only it can do works.
	s.ping("203.0.113.9")
	s.ping("2001:db8:f::9")
}
