package e2e

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	rib "github.com/openconfig/gribi/v1/proto/service"

	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// TestFullTables gives a router more routes than its tables may hold while packets
// flow: those without room wait and say why and what helps, none of the others
// loses a packet, and they come in when there is room.
func TestFullTables(t *testing.T) {
	l := gribiLabWith(t, "--table-memory", "1")
	h1, p1 := l.space("h1"), l.space("p1")
	if !l.pings("198.51.100.2") {
		t.Fatal("p1 is not reached")
	}
	source := traffic.Attach(l, testnet.End{In: h1, Name: "eth0"})
	sink := traffic.Attach(l, testnet.End{In: p1, Name: "eth0"})
	c := l.gribi(t, 0, false)
	const first, all = 1000, 60_000
	prefix := func(i int) string { // spread, so that each costs more than a neighbour would
		n := uint32(i) * 0x9e3779b1
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{20 + byte(n>>24&63), byte(n >> 16), byte(n >> 8), byte(n)}), 28).Masked().String()
	}
	seen := make(map[string]bool)
	var prefixes []string
	for i := 0; len(prefixes) < all; i++ {
		if p := prefix(i); !seen[p] {
			seen[p] = true
			prefixes = append(prefixes, p)
		}
	}
	if out, code := l.rcli("set", "/gribi/config/entry-limit", "1000000"); code != 0 {
		t.Fatal(out)
	}
	c.do(fibOK, nextHopOp(1, "198.51.100.2"), groupOp(1, 0, 1))
	var refused []string
	program := func(list []string, op func(string) *rib.AFTOperation) (in, out int) {
		for part := range slices.Chunk(list, 250) {
			ops := make([]*rib.AFTOperation, len(part))
			for i, p := range part {
				ops[i] = op(p)
			}
			c.send(&rib.ModifyRequest{Operation: c.number(ops)})
			for n := 0; n < len(ops); {
				for _, r := range c.receive().GetResult() {
					p := part[n]
					n++
					switch why := r.GetErrorDetails().GetErrorMessage(); {
					case r.GetStatus() == fibOK:
						in++
					case r.GetStatus() == rib.AFTResult_FIB_FAILED && strings.Contains(why, "table-memory"):
						out++
						refused = append(refused, p)
					default:
						t.Fatalf("operation %d is %v: %s", r.GetId(), r.GetStatus(), why)
					}
				}
			}
		}
		return in, out
	}
	add := func(p string) *rib.AFTOperation { return routeOp(p, 1) }
	if _, out := program(prefixes[:first], add); out > 0 {
		t.Fatalf("%d of %d routes have no room", out, first)
	}
	var destinations []netip.Addr
	for _, p := range prefixes[:first] {
		destinations = append(destinations, netip.MustParsePrefix(p).Addr().Next())
	}
	flow := source.Generate(l, traffic.Pattern{
		Packet: traffic.Packet{
			SourceMAC: h1.MAC(l, "eth0"), DestMAC: l.space("router").MAC(l, "ge0"), Size: 60,
			Source: netip.MustParseAddr("192.0.2.2"), Dest: destinations[0],
		},
		Destinations: destinations, InTurn: true, Unstamped: true,
	})
	s := &stretch{lab: l, t: t, flows: []*traffic.Flow{flow}, sink: sink}
	before := fastPackets(t, l)
	var in, out int
	var declared string
	n := s.under(func() {
		in, out = program(prefixes[first:], add)
		// What is declared waits as well, and the commit that declares it is in force.
		declared = refused[len(refused)-1]
		if text, code := l.rcli("set", "/instance[name=default]/static-route[prefix="+declared+"]/next-hop[index=0]/config/gateway", "198.51.100.2"); code != 0 {
			t.Fatalf("a route without room is refused: %s", text)
		}
		l.shows(t, "table-memory allows: raise it", "get", "--type", "state", "/instance[name=default]/rib[afi=inet]/route[prefix="+declared+"]")
		l.shows(t, "routes wait for room", "show", "system")
		// Room for them.
		if _, out := program(prefixes[first:all-1000], func(p string) *rib.AFTOperation { return deletion(routeOp(p, 0)) }); out > 0 {
			t.Errorf("%d deletions found no room", out)
		}
		l.shows(t, `"routerd:waiting-routes": 0`, "get", "--type", "state", "/instance[name=default]/rib[afi=inet]/state")
	})
	t.Logf("%d routes have room in 1 MiB, %d have not; %v", first+in, out, n)
	if in == 0 || out < 1000 {
		t.Fatalf("%d routes came in, and %d did not: the tables were not filled", in, out)
	}
	if n.lost() != 0 {
		t.Errorf("%d packets were lost", n.lost())
	}
	if fast := fastPackets(t, l) - before; fast < n.sent/100*99 {
		t.Errorf("%d of %d packets took the fast path", fast, n.sent)
	}
	for _, p := range []string{declared, prefixes[all-1]} {
		l.shows(t, "* "+p, "show", "routes", p)
	}
	if !strings.Contains(l.log(), "routes wait for room") || !strings.Contains(l.log(), "all routes have room") {
		t.Error("the log does not tell of it")
	}
}
