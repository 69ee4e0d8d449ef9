package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"router/internal/testnet"
)

// failoverMost is how long a flow may stand still when the link that it goes by
// is seen to be down, in packets.
const failoverMost = flowRate * 50 / 1000

// TestFailover takes down the links of a route's two next hops, one after the
// other, under a flow: the flow goes on by the other link within 50 ms, and
// does not notice when the link goes down that it doesn't use. With the links
// up again it has lost nothing more.
func TestFailover(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	testnet.Pair(l, testnet.End{In: l.space("router"), Name: "ge2"}, testnet.End{In: l.space("h2"), Name: "eth1"})
	h1, h2 := l.space("h1"), l.space("h2")
	h1.Address(l, "eth0", "192.0.2.2/24")
	h1.Route(l, "default", "192.0.2.1")
	for _, name := range []string{"all", "eth0", "eth1"} {
		// It has no route back by the link that packets come in by.
		h2.Sysctl(l, "net/ipv4/conf/"+name+"/rp_filter", "0")
	}
	h2.Address(l, "eth0", "198.51.100.2/25")
	h2.Address(l, "eth1", "198.51.100.130/25")
	h2.Address(l, "lo", "203.0.113.9/32")
	l.start()
	l.load(`{ "routerd:interface": [
		{ "name": "ge0", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] } ] } ] },
		{ "name": "ge1", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "198.51.100.1/25" } ] } ] } ] },
		{ "name": "ge2", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "198.51.100.129/25" } ] } ] } ] } ],
		"routerd:instance": [ { "name": "default", "static-route": [ { "prefix": "203.0.113.0/24", "next-hop": [
			{ "index": 0, "config": { "gateway": "198.51.100.2", "interface": "ge1" } },
			{ "index": 1, "config": { "gateway": "198.51.100.130", "interface": "ge2" } } ] } ] } ] }`)
	until := func(gateway string, active bool) {
		t.Helper()
		mark := ""
		if active {
			mark = "* "
		}
		line := mark + gateway + " weight 1"
		out := ""
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			out, _ = l.rcli("show", "routes", "203.0.113.0/24")
			if strings.Contains(out, line) && strings.Contains(out, "* "+gateway) == active {
				return
			}
		}
		t.Fatalf("after 30 s there is no line %q:\n%s", line, out)
	}
	gateways := map[string]string{"eth0": "198.51.100.2", "eth1": "198.51.100.130"}
	for _, gateway := range gateways {
		until(gateway, true)
	}
	dst := netip.MustParseAddrPort("203.0.113.9:4000")
	probe := startFlow(t, h1, h2, dst) // neighbours are found, and all is warm
	time.Sleep(time.Second)
	if r := probe.end(); r.sent == r.lost {
		t.Fatalf("nothing arrives: %d packets lost", r.lost)
	}
	// The device of h2 that most packets come in by.
	received := func(device string) uint64 { return h2.Link(l, device).Attrs().Statistics.RxPackets }
	for _, tc := range []struct {
		name   string
		in     bool // the flow's own link goes down, else the other one
		reason string
	}{{"the flow's own link", true, "it went on late"}, {"the other link", false, "it moved though its own link was up"}} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFlow(t, h1, h2, dst)
			one, two := received("eth0"), received("eth1")
			time.Sleep(500 * time.Millisecond)
			device := "eth0"
			if tc.in != (received("eth0")-one > received("eth1")-two) {
				device = "eth1"
			}
			h2.Down(l, device)
			until(gateways[device], false)
			time.Sleep(500 * time.Millisecond)
			h2.Up(l, device)
			until(gateways[device], true)
			time.Sleep(500 * time.Millisecond)
			r := f.end()
			lost := r.lost - min(r.lost, r.lostByReceiver)
			t.Logf("%s down: %d packets sent, %d lost (%d more by the receiver's socket), longest gap %d (%.1f ms); sender at most %v late",
				gateways[device], r.sent, lost, r.lostByReceiver, r.longestGap, float64(r.longestGap)*1000/flowRate, r.senderLate)
			most := uint64(0)
			if tc.in {
				// What holds up the sender holds up the router as well.
				most = failoverMost + uint64(r.senderLate*flowRate/time.Second)
			}
			if lost > most {
				t.Errorf("%d packets lost, want %d at most: %s", lost, most, tc.reason)
			}
		})
	}
}
