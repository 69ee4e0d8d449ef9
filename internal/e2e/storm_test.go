package e2e

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"router/internal/testnet"
)

// sweep sends a packet to each of n addresses in a row, at most rate a second,
// or as fast as one socket can when rate is 0.
func sweep(t *testing.T, from *testnet.Namespace, first netip.Addr, n, rate int) {
	t.Helper()
	var c net.PacketConn
	network := "udp4"
	if first.Is6() {
		network = "udp6"
	}
	err := from.Do(func() (err error) {
		c, err = net.ListenPacket(network, ":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	refused := 0
	for i, a := 0, first; i < n; a = a.Next() {
		if rate > 0 && time.Since(start) < time.Duration(i)*time.Second/time.Duration(rate) {
			time.Sleep(time.Millisecond)
		}
		// What the router answers comes back as an error of a later write.
		if _, err := c.WriteTo([]byte("anybody there?"), &net.UDPAddr{IP: a.AsSlice(), Port: 9}); err != nil {
			refused++
			if refused > n/2 {
				t.Fatalf("sweep: half of all packets could not be sent: %v", err)
			}
		}
		i++
	}
	took := time.Since(start)
	t.Logf("sweep of %d addresses from %v: %v, %.0f a second", n, first, took.Round(time.Millisecond), float64(n)/took.Seconds())
}

// growthMost is what the daemon's memory may grow by in a storm, in octets:
// buffers that are used for the first time.
const growthMost = 24 << 20

// TestStorm asks for 65,536 IPv4 and as many IPv6 addresses that nobody has,
// while a flow passes through two other interfaces: the flow loses nothing and
// the daemon's memory stays as it is. With E2E_FULL=1 each is done three times
// at a set rate, and three times at the highest that a socket makes.
func TestStorm(t *testing.T) {
	l := threeHosts(t)
	s := l.dial()
	defer s.conn.Close()
	l.load(`{ "routerd:interface": [
		{ "name": "ge0", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] },
			{ "type": "inet6", "address": [ { "prefix": "2001:db8:1::1/64" } ] } ] } ] },
		{ "name": "ge1", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] } ] } ] },
		{ "name": "ge2", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "10.0.0.1/16" } ] },
			{ "type": "inet6", "address": [ { "prefix": "2001:db8:3::1/64" } ] } ] } ] } ] }`)
	h1 := l.space("h1")
	h1.Address(l, "eth0", "2001:db8:1::2/64")
	h1.Route(l, "default", "2001:db8:1::1")
	if out, err := h1.Run("ping", "-c1", "-W5", "10.0.0.2"); err != nil {
		t.Fatalf("h1 does not reach h3: %v\n%s", err, out)
	}
	time.Sleep(2 * time.Second) // IPv6 addresses become usable
	rates := []int{20_000}
	if full() {
		rates = []int{20_000, 20_000, 20_000, 0, 0, 0}
	}
	before := l.resident()
	f := startFlow(t, h1, l.space("h2"), h2)
	for _, rate := range rates {
		sweep(t, h1, netip.MustParseAddr("10.0.0.3"), 1<<16-4, rate)
		sweep(t, h1, netip.MustParseAddr("2001:db8:3::1:0"), 1<<16, rate)
	}
	r := f.end()
	after := l.resident()
	t.Logf("memory: %v before, %v after", before, after)
	t.Logf("flow: %d packets sent, %d lost (%d by the receiver's socket, longest gap %d); sender at most %v late", r.sent, r.lost, r.lostByReceiver, r.longestGap, r.senderLate)
	drops := l.drops(s)
	t.Logf("drops: %s", drops)
	if r.lost > r.lostByReceiver {
		t.Errorf("%d packets of the flow lost", r.lost-r.lostByReceiver)
	}
	if after.all > before.all+growthMost {
		t.Errorf("memory grew by %.1f MB", float64(after.all-before.all)/1e6)
	}
	// Those who are there are still found: no real neighbour was pushed out.
	if out, err := h1.Run("ping", "-c1", "-W5", "10.0.0.2"); err != nil {
		t.Errorf("h1 does not reach h3 after the storm: %v\n%s", err, out)
	}
}
