package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

const threeInterfaces = `{ "routerd:interface": [
	{ "name": "ge0", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] } ] } ] },
	{ "name": "ge1", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] } ] } ] },
	{ "name": "ge2", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "10.0.0.1/24" } ] } ] } ] } ] }`

// threeHosts is a router with hosts h1 and h2 that reach each other, and a third.
func threeHosts(t *testing.T) *lab {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	l.wire("h3", "ge2")
	l.space("h1").Address(l, "eth0", "192.0.2.2/24")
	l.space("h1").Route(l, "default", "192.0.2.1")
	l.space("h2").Address(l, "eth0", "198.51.100.2/24")
	l.space("h2").Route(l, "default", "198.51.100.1")
	l.space("h3").Address(l, "eth0", "10.0.0.2/24")
	l.space("h3").Route(l, "default", "10.0.0.1")
	l.start()
	l.load(threeInterfaces)
	if out, err := l.space("h1").Run("ping", "-c1", "-W5", "198.51.100.2"); err != nil {
		t.Fatalf("h1 does not reach h2: %v\n%s", err, out)
	}
	return l
}

var h2 = netip.MustParseAddrPort("198.51.100.2:4000")

// TestCommitsLoseNothing changes one address again and again while packets pass
// through two other interfaces. With E2E_FULL=1 it makes 1,000 commits.
func TestCommitsLoseNothing(t *testing.T) {
	l := threeHosts(t)
	commits := 100
	if full() {
		commits = 1000
	}
	s := l.dial()
	defer s.conn.Close()
	f := startFlow(t, l.space("h1"), l.space("h2"), h2)

	const family = "/interface[name=ge2]/unit[id=0]/family[type=inet]/address[prefix=%s]"
	old := "10.0.0.1/24"
	var took []time.Duration
	for i := range commits {
		next := fmt.Sprintf("10.%d.%d.1/24", 1+i/250, i%250)
		begin := time.Now()
		err := s.set(context.Background(), fmt.Sprintf(family, old), fmt.Sprintf(family+"/config/prefix %q", next, next))
		if err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
		took = append(took, time.Since(begin))
		old = next
	}
	r := f.end()
	slices.Sort(took)
	t.Logf("%d commits: median %v, 99th percentile %v, longest %v", commits, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	t.Logf("flow: %d packets sent, %d lost (%d by the receiver's socket, longest gap %d), %d came twice; sender at most %v late",
		r.sent, r.lost, r.lostByReceiver, r.longestGap, r.twice, r.senderLate)
	if r.sent < 1000 {
		t.Errorf("only %d packets were sent: this shows nothing", r.sent)
	}
	if r.lost > r.lostByReceiver || r.twice > 0 {
		t.Errorf("%d packets lost and %d duplicated; drops: %s", r.lost, r.twice, l.drops(s))
	}
}

// drops is why the router says that it dropped packets.
func (l *lab) drops(s *session) string {
	out, err := s.get(context.Background(), 0, "/interface[name=*]/state/drops")
	if err != nil {
		return err.Error()
	}
	return out
}
