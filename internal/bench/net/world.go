package main

import (
	"net"
	"net/netip"

	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// The namespaces, behind the prefix.
const (
	inGenerator = "generator"
	inSink      = "sink"
	inKernel    = "kernel"
	inRouterd   = "routerd"
)

// A line is one way from the generator to the sink: two veths with a router
// between them, or one veth alone.
type line struct {
	name   string // of the devices at both stations
	router string // the namespace between them, "" for none
}

var lines = []line{{"straight", ""}, {"kernel", inKernel}, {"routerd", inRouterd}}

// ports are the devices of a router: in and out.
var ports = [2]string{"ge0", "ge1"}

// Addresses of the router's ports, of the generator, and of the neighbours that
// routes lead to, all of whom are the sink.
var (
	routerPrefix = map[bool][2]string{false: {"192.0.2.254/24", "198.51.100.254/24"}, true: {"2001:db8:1::ff/64", "2001:db8:2::ff/64"}}
	source       = map[bool]netip.Addr{false: netip.MustParseAddr("192.0.2.1"), true: netip.MustParseAddr("2001:db8:1::1")}
	firstGateway = map[bool]netip.Addr{false: netip.MustParseAddr("198.51.100.1"), true: netip.MustParseAddr("2001:db8:2::1")}
)

// gateways is how many next hops routes have, drawn at random: as hard for a table
// as a real one, where neighbouring prefixes seldom lead the same way.
const gateways = 64

// gateway is the address of a neighbour behind the second port.
func gateway(v6 bool, i int) netip.Addr {
	b := firstGateway[v6].AsSlice()
	b[len(b)-1] += byte(i % gateways)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// build makes the namespaces and what joins them.
func build(t testnet.T, prefix string) {
	generator, sink := testnet.NewNamed(t, prefix+inGenerator), testnet.NewNamed(t, prefix+inSink)
	for _, l := range lines {
		from, to := testnet.End{In: generator, Name: l.name}, testnet.End{In: sink, Name: l.name}
		if l.router == "" {
			testnet.Pair(t, from, to)
			continue
		}
		router := testnet.NewNamed(t, prefix+l.router)
		testnet.Pair(t, from, testnet.End{In: router, Name: ports[0]})
		testnet.Pair(t, testnet.End{In: router, Name: ports[1]}, to)
	}
}

// A world is the namespaces with a station at each end of each line.
type world struct {
	t        testnet.T
	spaces   map[string]*testnet.Namespace
	stations map[string][2]*traffic.Station // by line: generator and sink
}

// enter finds the namespaces that setup made.
func enter(t testnet.T, prefix string) *world {
	w := &world{t: t, spaces: make(map[string]*testnet.Namespace), stations: make(map[string][2]*traffic.Station)}
	for _, name := range []string{inGenerator, inSink, inKernel, inRouterd} {
		w.spaces[name] = testnet.Open(t, prefix+name)
	}
	for _, l := range lines {
		w.stations[l.name] = [2]*traffic.Station{
			traffic.Attach(t, testnet.End{In: w.spaces[inGenerator], Name: l.name}),
			traffic.Attach(t, testnet.End{In: w.spaces[inSink], Name: l.name}),
		}
	}
	return w
}

// sinkMAC is the link-layer address of all neighbours of a line's router.
func (w *world) sinkMAC(l string) net.HardwareAddr { return w.spaces[inSink].MAC(w.t, l) }

// pattern is the packets of a scenario on a line.
func (w *world) pattern(l line, s *scenario, destinations []netip.Addr) traffic.Pattern {
	entry := w.sinkMAC(l.name)
	if l.router != "" {
		entry = w.spaces[l.router].MAC(w.t, ports[0])
	}
	p := traffic.Pattern{
		Packet: traffic.Packet{
			SourceMAC: w.spaces[inGenerator].MAC(w.t, l.name), DestMAC: entry,
			Source: source[s.V6], Dest: destinations[0], Size: s.size(),
		},
		Destinations: destinations, InTurn: true, Sizes: s.Sizes, Unstamped: !s.Latency,
	}
	if s.Instances > 0 {
		p.VLAN, p.VLANs = firstVLAN, s.Instances
		p.Size += 4
	}
	return p
}

// do runs a command in a namespace.
func (w *world) do(space string, argv ...string) {
	if out, err := w.spaces[space].Run(argv[0], argv[1:]...); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}
