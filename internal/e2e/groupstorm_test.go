package e2e

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// TestGroupStorm sends to 65,536 groups, to half of which a route leads, while a
// flow passes through the same interfaces: the flow loses nothing, the cache of
// flows ends where it is declared to, and the daemon's memory stays as it is.
func TestGroupStorm(t *testing.T) {
	l := threeHosts(t)
	l.load(`{ "routerd:interface": [
		{ "name": "ge0", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] } ] } ] },
		{ "name": "ge1", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] } ] } ] },
		{ "name": "ge2", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "10.0.0.1/16" } ] } ] } ] } ],
		"routerd:instance": [ { "name": "default", "config": { "name": "default" },
			"multicast": { "config": { "cache-entries": 500 } },
			"multicast-route": [ { "group": "239.0.0.0/9", "source": "any",
				"config": { "group": "239.0.0.0/9", "source": "any", "incoming-interface": "ge0", "outgoing-interface": [ "ge2" ] } } ] } ] }`)
	h1 := l.space("h1")
	if out, err := h1.Run("ping", "-c1", "-W5", "198.51.100.2"); err != nil {
		t.Fatalf("h1 does not reach h2: %v\n%s", err, out)
	}
	before := l.resident()
	f := startFlow(t, h1, l.space("h2"), h2)
	var c net.PacketConn
	if err := h1.Do(func() (err error) { c, err = net.ListenPacket("udp4", ":0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := ipv4.NewPacketConn(c).SetMulticastTTL(8); err != nil {
		t.Fatal(err)
	}
	const groups, rate = 1 << 16, 10_000
	start := time.Now()
	for i := range groups {
		for time.Since(start) < time.Duration(i)*time.Second/rate {
			time.Sleep(time.Millisecond)
		}
		// The low bit of the second octet says whether there is a route.
		a := netip.AddrFrom4([4]byte{239, byte(i&1) << 7, byte(i >> 8), byte(i)})
		if _, err := c.WriteTo([]byte("anybody there?"), &net.UDPAddr{IP: a.AsSlice(), Port: 9}); err != nil {
			t.Fatalf("send to %v: %v", a, err)
		}
	}
	r := f.end()
	after := l.resident()
	t.Logf("memory: %v before, %v after", before, after)
	t.Logf("flow: %d packets sent, %d lost (%d by the receiver's socket)", r.sent, r.lost, r.lostByReceiver)
	if r.lost > r.lostByReceiver {
		t.Errorf("%d packets of the flow lost", r.lost-r.lostByReceiver)
	}
	if after.all > before.all+growthMost {
		t.Errorf("memory grew by %.1f MB", float64(after.all-before.all)/1e6)
	}
	out, code := l.rcli("get", "--type", "state", "/instance[name=default]/multicast/state")
	t.Logf("the cache: %s", strings.Join(strings.Fields(out), " "))
	if code != 0 || !strings.Contains(out, `"routerd:flows": 500`) {
		t.Errorf("the cache isn't full of 500 flows: exit code %d: %s", code, out)
	}
}
