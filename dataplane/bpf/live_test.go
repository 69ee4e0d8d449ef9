package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"router/dataplane"
	"router/dataplane/filter"
	"router/dataplane/memport"
	"router/dataplane/port"
	"router/internal/bench/net/peers"
	"router/internal/classbench"
	"router/internal/testnet"
	"router/internal/testnet/traffic"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
	"router/vrf/fib/fibtest"
)

// A live is a router of two veth ports in one namespace, 1,000 routes to 64 neighbours behind the
// second, a generator and a sink: what a packet costs with all that surrounds the program.
type live struct {
	b       *testing.B
	fast    *Fast
	engine  *dataplane.Engine
	router  testnet.End
	out     testnet.End
	far     [2]*traffic.Station
	farMAC  [2]net.HardwareAddr
	targets [2][]netip.Addr
	port    dataplane.PortID
	units   [2]dataplane.Unit
}

const (
	liveRoutes    = 1000
	liveNeighbors = 64
	liveTargets   = 1 << 20
)

// liveLengths are common lengths of prefixes.
var liveLengths = [2][]int{{24, 24, 24, 24, 24, 24, 22, 22, 23, 20, 21, 19, 16}, {48, 48, 48, 48, 48, 48, 32, 32, 44, 40, 36, 47, 46}}

// liveTime is how long the generator runs for one figure.
const liveTime = 50 * time.Millisecond

// BenchmarkLive is the programs forwarding live frames from veth to veth, interleaved with one that
// only redirects. It reports nanoseconds a packet, generator and sink included: that of the fastest
// eighth of the runs, as what else runs only adds. LIVE_OBJECTS names other builds of the programs,
// "name=plain.o,filtering.o" separated by spaces, to compare with. With LIVE_TABLE=real the routes
// are those of the Internet. All runs on the last processor.
//
//	go test -run '^$' -bench Live -benchtime 20x ./dataplane/bpf
func BenchmarkLive(b *testing.B) {
	testnet.Require(b)
	l := newLive(b)
	builds := []build{{name: "ours"}}
	for _, text := range strings.Fields(os.Getenv("LIVE_OBJECTS")) {
		name, files, _ := strings.Cut(text, "=")
		plain, filtering, _ := strings.Cut(files, ",")
		builds = append(builds, build{name, plain, filtering})
	}
	for _, terms := range []int{0, 1000} {
		for _, f := range intf.Families {
			l.run(b, f, terms, builds)
		}
	}
}

// A build is the programs as compiled, from files or the embedded ones.
type build struct{ name, plain, filtering string }

func (x build) spec(filtering bool) (*ebpf.CollectionSpec, error) {
	file, load := x.plain, loadRouter
	if filtering {
		file, load = x.filtering, loadFiltering
	}
	if file == "" {
		return load()
	}
	return ebpf.LoadCollectionSpec(file)
}

func newLive(b *testing.B) *live {
	l := &live{b: b}
	domain := epoch.New()
	var err error
	l.fast = newTestFast(b)
	arena, err := fib.NewGrowingArena(l.fast.Words(), l.fast.First(), l.fast.Grow, domain)
	if err != nil {
		b.Fatal(err)
	}
	l.engine, err = dataplane.New(dataplane.Config{
		Workers: 1, Buffers: 128, Domain: domain, FlowSeed: 1, Arena: arena, Tallies: l.fast, Filters: l.fast,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.engine.Close() })
	gen, router, sink := testnet.New(b, "gen"), testnet.New(b, "router"), testnet.New(b, "sink")
	west, east := testnet.End{In: gen, Name: "west"}, testnet.End{In: sink, Name: "east"}
	l.router, l.out = testnet.End{In: router, Name: "ge0"}, testnet.End{In: router, Name: "ge1"}
	testnet.Pair(b, west, l.router)
	testnet.Pair(b, l.out, east)
	for i, end := range []testnet.End{west, east} {
		l.far[i], l.farMAC[i] = traffic.Attach(b, end), end.In.MAC(b, end.Name)
	}
	table, err := arena.NewTable()
	if err != nil {
		b.Fatal(err)
	}
	tx := l.engine.Edit()
	tx.SetInstance(0, table)
	tx.Commit()
	for i, end := range []testnet.End{l.router, l.out} {
		id, err := l.engine.AddPort(end.Name, []port.Queue{memport.NewFunc(l.engine.Pools()[0], rest, nil)}, dataplane.PortOptions{})
		if err != nil {
			b.Fatal(err)
		}
		index := end.In.Link(b, end.Name).Attrs().Index
		if err := router.Do(func() error { return l.fast.SetEgress(uint32(id), index) }); err != nil {
			b.Fatal(err)
		}
		l.engine.SetFastEgress(id, index)
		if i == 0 {
			l.port = id
		}
		u := &l.units[i]
		*u = dataplane.Unit{Index: intf.Index(i + 1), Port: id, MAC: intf.MAC(end.In.MAC(b, end.Name))}
		for f := range u.Families {
			u.Families[f] = dataplane.UnitFamily{Up: true, MTU: 1500}
		}
		tx := l.engine.Edit()
		tx.SetUnit(*u)
		tx.Commit()
	}
	l.addRoutes(table)
	return l
}

// rest is a queue without frames, whose worker leaves the processor to others.
func rest([]byte) int {
	time.Sleep(10 * time.Millisecond)
	return 0
}

// addRoutes makes random routes, each by a group of one neighbour, as those of gRIBI are.
func (l *live) addRoutes(table *fib.Table) {
	rng := rand.New(rand.NewPCG(1, 2))
	for f := range 2 {
		for n := range liveNeighbors {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})
			if f == 1 {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n+1))
			}
			l.engine.SetAdjacency(2, a, intf.MAC(l.farMAC[1]), false)
			id := routing.NextHopID(1 + f*2*liveNeighbors + 2*n)
			l.engine.SetNextHop(id, routing.NextHop{Kind: routing.Forward, IfIndex: 2, Gateway: a}, 0)
			l.engine.SetGroup(id+1, []routing.NextHopID{id})
		}
	}
	err := table.Update(func(x *fib.Txn) error {
		for f := range 2 {
			// Where packets for filters go.
			whole := netip.PrefixFrom([]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[f], 0)
			if err := x.Insert(whole, uint32(2+f*2*liveNeighbors)); err != nil {
				return err
			}
			all := l.prefixes(f, rng)
			for _, p := range all {
				if err := x.Insert(p, uint32(2+f*2*liveNeighbors+2*rng.IntN(liveNeighbors))); err != nil {
					return err
				}
			}
			for range liveTargets {
				l.targets[f] = append(l.targets[f], fibtest.Address(rng, all[rng.IntN(len(all))]))
			}
		}
		return nil
	})
	if err != nil {
		l.b.Fatal(err)
	}
}

// prefixes are those of a family.
func (l *live) prefixes(f int, rng *rand.Rand) (all []netip.Prefix) {
	if os.Getenv("LIVE_TABLE") == "real" {
		return fibtest.Family(fibtest.Prefixes(l.b), f == 1)
	}
	for range liveRoutes {
		a := netip.AddrFrom4([4]byte{byte(11 + rng.IntN(100)), byte(rng.Uint32()), byte(rng.Uint32())})
		if f == 1 {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], 0x20<<56|rng.Uint64()>>8)
			a = netip.AddrFrom16(b)
		}
		all = append(all, netip.PrefixFrom(a, liveLengths[f][rng.IntN(len(liveLengths[f]))]).Masked())
	}
	return all
}

// run measures all builds for packets of a family, through filters of so many terms at input and
// output.
func (l *live) run(b *testing.B, f intf.Family, terms int, builds []build) {
	source := netip.MustParseAddr([]string{"192.0.2.1", "2001:db8:ffff::1"}[f])
	targets := l.targets[f]
	if terms > 0 {
		spec := classbench.Filter(classbench.ACL, f, terms, 1)
		var err error
		if targets, err = classbench.Probe(spec, source, 9, 256); err != nil {
			b.Fatal(err)
		}
		p, err := filter.Compile(spec)
		if err != nil {
			b.Fatal(err)
		}
		l.engine.Filters().SetFilter(p)
		l.bind(f, spec.Name)
		defer l.bind(f, "")
	}
	flow := l.far[0].Generate(b, traffic.Pattern{
		Packet: traffic.Packet{
			SourceMAC: l.farMAC[0], DestMAC: l.router.In.MAC(b, l.router.Name), Source: source, Dest: targets[0], Size: 60 + 2*int(f),
		},
		Destinations: targets, InTurn: true, Unstamped: true,
	})
	b.Run(fmt.Sprintf("%s/terms=%d", f, terms), func(b *testing.B) {
		all := make(map[string][]float64)
		note := func(name string, end func() error, err error) {
			if err != nil {
				b.Fatal(err)
			}
			r, err := l.far[1].Measure(func() error {
				_, err := flow.Blast(runtime.NumCPU()-1, liveTime)
				return err
			})
			if err = errors.Join(err, end()); err != nil {
				b.Fatal(err)
			}
			if r.Mpps() == 0 {
				b.Fatalf("%s: nothing arrives", name)
			}
			all[name] = append(all[name], 1e3/r.Mpps())
		}
		for b.Loop() {
			end, err := l.redirect()
			note("redirect", end, err)
			for _, x := range builds {
				end, err := l.attach(x)
				note(x.name, end, err)
			}
		}
		for name, ns := range all {
			slices.Sort(ns)
			b.ReportMetric(ns[len(ns)/8], name+"-ns")
		}
	})
}

// bind has packets judged by a filter when they come in and when they leave; "" is none.
func (l *live) bind(f intf.Family, name string) {
	tx := l.engine.Edit()
	for i, hook := range []filter.Hook{filter.Input, filter.Output} {
		u := &l.units[i]
		u.Families[f].Filters[hook] = nil
		if name != "" {
			bound, err := l.engine.Filters().Bind(name, filter.Place{Hook: hook, Unit: u.Index})
			if err != nil {
				l.b.Fatal(err)
			}
			u.Families[f].Filters[hook] = bound
		}
		tx.SetUnit(*u)
	}
	tx.Commit()
}

func (l *live) redirect() (end func() error, err error) {
	var p *peers.Peer
	err = l.router.In.Do(func() (err error) {
		p, err = peers.Attach(peers.Redirect, peers.Config{
			In: l.router.In.Link(l.b, "ge0").Attrs().Index, Out: l.router.In.Link(l.b, "ge1").Attrs().Index,
			SourceMAC: l.router.In.MAC(l.b, "ge1"), DestMAC: l.farMAC[1],
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.Close, nil
}

// attach makes a build of the program forward at the first port, as a driver does.
func (l *live) attach(x build) (end func() error, err error) {
	s, err := Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: port.MaxFrame, spec: x.spec})
	if err != nil {
		return nil, err
	}
	record, _ := l.engine.FastPort(l.port)
	err = l.router.In.Do(func() error {
		if err := s.AttachTake(l.router.In.Link(l.b, "ge0").Attrs().Index, Native, true); err != nil {
			return err
		}
		return s.Forward(l.fast, record, false)
	})
	return s.Close, err
}
