package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	rib "github.com/openconfig/gribi/v1/proto/service"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that ready wraps
	"google.golang.org/grpc/mem"

	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// A churn is how hard TestChurn is: CHURN in the environment is the time that
// routes change for, in all, with the generator at full speed and as many changes
// as CHURN_RATE says; without, it is short and moderate.
type churn struct {
	length time.Duration
	rate   int // changes a second
	load   int // packets a second; 0: as many as one processor sends
	rounds int
	routes int // that change, and as many that don't
}

func churnOf(t *testing.T) churn {
	text := os.Getenv("CHURN")
	if text == "" {
		return churn{length: 6 * time.Second, rate: 20_000, load: 1_000_000, rounds: 2, routes: 20_000}
	}
	c := churn{rate: 100_000, routes: 100_000}
	var err error
	if c.length, err = time.ParseDuration(text); err != nil || c.length < time.Second {
		t.Fatalf("CHURN=%q: want a time such as 5m", text)
	}
	if text := os.Getenv("CHURN_RATE"); text != "" {
		if c.rate, err = strconv.Atoi(text); err != nil || c.rate < 1000 {
			t.Fatalf("CHURN_RATE=%q: want changes a second, 1000 or more", text)
		}
	}
	c.rounds = max(2, min(20, int(c.length/(5*time.Second))))
	return c
}

// TestChurn changes routes over gRIBI while packets go to destinations of those and
// of others. A packet follows the route before the change or the one after it, both
// of which lead to the same address behind another device: so none may be
// lost. With CHURN the forwarding rate is compared with that while nothing changes, and
// with that while the other processors do nothing but spin: what of the difference is
// the machine's, whose processors share caches, clock and perhaps a core. The three take
// turns.
func TestChurn(t *testing.T) {
	c := churnOf(t)
	l := gribiLab(t)
	x := newChanges(t, l, c)
	h1 := l.space("h1")
	source := traffic.Attach(l, testnet.End{In: h1, Name: "eth0"})
	sinks := []*traffic.Station{
		traffic.Attach(l, testnet.End{In: l.space("p1"), Name: "eth0"}), traffic.Attach(l, testnet.End{In: l.space("p2"), Name: "eth0"}),
	}
	for _, to := range []string{"198.51.100.2", "198.51.101.2"} {
		if !l.pings(to) {
			t.Fatalf("%s is not reached", to)
		}
	}
	flow := source.Generate(l, traffic.Pattern{
		Packet: traffic.Packet{
			SourceMAC: h1.MAC(l, "eth0"), DestMAC: l.space("router").MAC(l, "ge0"), Size: 60,
			Source: netip.MustParseAddr("192.0.2.2"), Dest: x.destinations[0],
		},
		Destinations: x.destinations, InTurn: true, Unstamped: true,
	})
	if c.load == 0 {
		apart(t, l)
	}
	window := c.length / time.Duration(c.rounds) // of changes
	load := func() (float64, toll) { return x.load(l, flow, sinks, c.load, window) }
	load() // the flow learns how fast it is
	before := fastPackets(t, l)
	var still, beside, busy []float64
	var all toll
	var idle time.Duration
	changed, changing, slowest := 0, time.Duration(0), time.Duration(0)
	for range c.rounds {
		mpps, n := load()
		still = append(still, mpps)
		all.add(n)
		if c.load == 0 && runtime.NumCPU() > 1 {
			stop := spin()
			mpps, n = load()
			stop()
			beside = append(beside, mpps)
			all.add(n)
		}
		stop, began, rested := x.start(c.rate), time.Now(), othersIdle(t)
		mpps, n = load()
		changing += time.Since(began)
		idle += othersIdle(t) - rested
		done, worst := stop()
		busy = append(busy, mpps)
		all.add(n)
		changed += done
		slowest = max(slowest, worst)
	}
	rate := float64(changed) / changing.Seconds()
	t.Logf("%d changes in %v, %.0f a second, of which the last in a request was answered after %v at most; %v",
		changed, changing.Round(time.Millisecond), rate, slowest.Round(time.Millisecond), all)
	t.Logf("forwarding: %.2f Mpps while nothing changed, %.2f while routes did (medians of %d rounds, %d destinations): %.1f %% less",
		middle(still), middle(busy), c.rounds, len(x.destinations), 100*(1-middle(busy)/middle(still)))
	if len(beside) > 0 {
		t.Logf("%.2f Mpps beside processors that spin: %.1f %% less; changing routes keeps them busy for %.0f %% of the time",
			middle(beside), 100*(1-middle(beside)/middle(still)),
			100*(1-idle.Seconds()/changing.Seconds()/float64(runtime.NumCPU()-1)))
	}
	if all.lost() != 0 {
		t.Errorf("%d packets were lost", all.lost())
	}
	if fast := fastPackets(t, l) - before; fast < all.sent/100*99 {
		t.Errorf("%d of %d packets took the fast path", fast, all.sent)
	}
	if changed == 0 || c.load == 0 && rate < 0.9*float64(c.rate) {
		t.Errorf("%.0f changes a second were made, not %d", rate, c.rate)
	}
}

// fastPackets is how many packets that came in by ge0 the fast path has forwarded.
func fastPackets(t *testing.T, l *lab) uint64 {
	t.Helper()
	return l.number(t, "/interface[name=ge0]/state/fast-path/packets")
}

// number is the value of a state leaf.
func (l *lab) number(t *testing.T, path string) uint64 {
	t.Helper()
	out, _ := l.rcli("get", "--type", "state", path)
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, out[strings.LastIndex(out, ":")+1:])
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		t.Fatalf("%s: %s", path, out)
	}
	return n
}

func middle(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

func (n *toll) add(m toll) {
	n.sent += m.sent
	n.came += m.came
	n.full += m.full
	n.refused += m.refused
}

// apart leaves the generator's processor to it: routerd and the rest of this process
// go to the others.
func apart(t *testing.T, l *lab) {
	if runtime.NumCPU() < 2 {
		return
	}
	var was, others unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < runtime.NumCPU(); n++ {
		others.Set(n)
	}
	move := func(process int, to *unix.CPUSet) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", process))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			if id, err := strconv.Atoi(filepath.Base(thread)); err == nil {
				_ = unix.SchedSetaffinity(id, to) // a thread may have ended
			}
		}
	}
	move(l.daemon.Process.Pid, &others)
	move(os.Getpid(), &others)
	t.Cleanup(func() { move(os.Getpid(), &was) })
}

// spin keeps each processor but the generator's busy with next to no memory, until stop.
func spin() (stop func()) {
	var end atomic.Bool
	var all sync.WaitGroup
	for range runtime.NumCPU() - 1 {
		all.Go(func() {
			for !end.Load() {
			}
		})
	}
	return func() { end.Store(true); all.Wait() }
}

// othersIdle is how long the processors other than the generator's have had nothing to do.
func othersIdle(t *testing.T) (idle time.Duration) {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		// Name, then hundredths of a second: user, nice, system, idle, iowait.
		fields := strings.Fields(line)
		n, err := strconv.Atoi(strings.TrimPrefix(fields[0], "cpu"))
		if err != nil || n == 0 {
			continue // all processors together, or no processor at all
		}
		for _, text := range fields[4:6] {
			ticks, err := strconv.Atoi(text)
			if err != nil {
				t.Fatalf("/proc/stat: %s: %v", line, err)
			}
			idle += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return idle
}

// changes are requests that are made again and again, ready to be sent.
type changes struct {
	t            *testing.T
	stream       grpc.ClientStream
	there, back  [][]byte // the odd ones undo the even ones
	each         int      // operations of a request
	destinations []netip.Addr
	pending      chan time.Time // of requests that are not answered
}

// ready is a codec for requests that are encoded already.
type ready struct{ encoding.CodecV2 }

func (r ready) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return r.CodecV2.Marshal(v)
}

const (
	byP1 = 1 // the groups
	byP2 = 2
	// changesEach is how many operations a request has.
	changesEach = 200
)

// newChanges programs c.routes that stay and as many that will change, of three
// kinds: those whose next hop does; those that come and go below one that stays; and
// those that come and go in a part of the table that has them alone, under a
// default route.
func newChanges(t *testing.T, l *lab, c churn) *changes {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.Cleanup(func() { cancel(); _ = conn.Close() })
	x := &changes{t: t, each: changesEach, pending: make(chan time.Time, 16)}
	x.stream, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, rib.GRIBI_Modify_FullMethodName,
		grpc.ForceCodecV2(ready{encoding.GetCodecV2("proto")}))
	if err != nil {
		t.Fatal(err)
	}
	if err := x.stream.SendMsg(&rib.ModifyRequest{Params: &rib.SessionParameters{AckType: rib.SessionParameters_RIB_AND_FIB_ACK}}); err != nil {
		t.Fatal(err)
	}
	if err := x.stream.RecvMsg(&rib.ModifyResponse{}); err != nil {
		t.Fatal(err)
	}
	if out, code := l.rcli("set", "/gribi/config/entry-limit", fmt.Sprint(4*c.routes)); code != 0 {
		t.Fatal(out)
	}
	r := rand.New(rand.NewPCG(6, 6))
	slash24 := func(i int) netip.Prefix { // in an order that jumps
		n := uint32(i) * 0x9e3779b1 >> 12
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{20 + byte(n>>16), byte(n >> 8), byte(n)}), 24)
	}
	inside := func(p netip.Prefix) netip.Addr {
		a := p.Addr().As4()
		a[3] |= byte(r.UintN(1 << (32 - p.Bits())))
		return netip.AddrFrom4(a)
	}
	first := []*rib.AFTOperation{nextHopOp(1, "198.51.100.2"), nextHopOp(2, "198.51.101.2"), groupOp(byP1, 0, 1), groupOp(byP2, 0, 2), routeOp("0.0.0.0/0", byP1)}
	var there, back []*rib.AFTOperation
	seen := make(map[netip.Prefix]bool)
	for i := 0; len(seen) < 2*c.routes; i++ {
		p := slash24(i)
		if seen[p] {
			continue
		}
		seen[p] = true
		n := len(seen)
		x.destinations = append(x.destinations, inside(p))
		switch {
		case n%2 == 0: // stays
			first = append(first, routeOp(p.String(), byP1))
		case n%8 == 1: // comes and goes below one that stays
			below := netip.PrefixFrom(inside(p), 27).Masked()
			x.destinations[len(x.destinations)-1] = inside(below)
			first = append(first, routeOp(p.String(), byP1))
			there, back = append(there, routeOp(below.String(), byP2)), append(back, deletion(routeOp(below.String(), byP2)))
		case n%8 == 3: // comes and goes, alone
			there, back = append(there, routeOp(p.String(), byP2)), append(back, deletion(routeOp(p.String(), byP2)))
		default:
			first = append(first, routeOp(p.String(), byP1))
			there, back = append(there, routeOp(p.String(), byP2)), append(back, routeOp(p.String(), byP1))
		}
	}
	id := uint64(0)
	requests := func(ops []*rib.AFTOperation) (list [][]byte) {
		for ops := range slices.Chunk(ops, x.each) {
			for _, o := range ops {
				id++
				o.Id, o.NetworkInstance = id, "default"
				if o.GetOp() == rib.AFTOperation_INVALID {
					o.Op = rib.AFTOperation_ADD
				}
			}
			b, err := encoding.GetCodecV2("proto").Marshal(&rib.ModifyRequest{Operation: ops})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, b.Materialize())
		}
		return list
	}
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		for n := 0; n < len(first); {
			n += x.answers()
		}
	}()
	for _, b := range requests(first) {
		if err := x.stream.SendMsg(b); err != nil {
			t.Fatal(err)
		}
	}
	<-loaded
	whole := len(there) / x.each * x.each
	x.there, x.back = requests(there[:whole]), requests(back[:whole])
	r.Shuffle(len(x.destinations), func(i, j int) {
		x.destinations[i], x.destinations[j] = x.destinations[j], x.destinations[i]
	})
	return x
}

// answers reads an answer and returns how many operations it is to.
func (x *changes) answers() int {
	var m rib.ModifyResponse
	if err := x.stream.RecvMsg(&m); err != nil {
		if !errors.Is(err, io.EOF) {
			x.t.Errorf("answers: %v", err)
		}
		return 1 << 30
	}
	for _, r := range m.GetResult() {
		if r.GetStatus() != fibOK {
			x.t.Errorf("operation %d is %v: %s", r.GetId(), r.GetStatus(), r.GetErrorDetails().GetErrorMessage())
			return 1 << 30
		}
	}
	return len(m.GetResult())
}

// start changes routes at a rate until stop is called, which returns how many changes
// were answered and the longest time that a request waited for its last answer.
// After it all routes are as before.
func (x *changes) start(rate int) (stop func() (done int, slowest time.Duration)) {
	end := make(chan struct{})
	sent := make(chan int, 1)
	go func() {
		n := 0
		defer func() { close(x.pending); sent <- n }()
		for begin := time.Now(); ; {
			for _, list := range [][][]byte{x.there, x.back} {
				for _, b := range list {
					if ahead := time.Duration(float64(n)/float64(rate)*float64(time.Second)) - time.Since(begin); ahead > time.Millisecond {
						time.Sleep(ahead)
					}
					x.pending <- time.Now()
					if err := x.stream.SendMsg(b); err != nil {
						x.t.Errorf("send: %v", err)
						return
					}
					n += x.each
				}
			}
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	type result struct {
		n       int
		slowest time.Duration
	}
	answered := make(chan result, 1)
	stopped := make(chan time.Time, 1)
	go func() {
		var r result
		n := 0 // an answer may be to several requests
		for began := range x.pending {
			for n < x.each {
				n += x.answers()
			}
			n -= x.each
			r.slowest = max(r.slowest, time.Since(began))
			select {
			case at := <-stopped:
				stopped <- at // what comes after does not count
			default:
				r.n += x.each
			}
		}
		answered <- r
	}()
	return func() (int, time.Duration) {
		stopped <- time.Now()
		close(end)
		r := <-answered
		<-sent
		x.pending = make(chan time.Time, cap(x.pending))
		return r.n, r.slowest
	}
}

// load sends for a time, at a rate in packets a second or as fast as one processor
// can for 0, and returns how many millions a second that were and what became of
// them.
func (x *changes) load(l *lab, flow *traffic.Flow, sinks []*traffic.Station, rate int, length time.Duration) (mpps float64, n toll) {
	x.t.Helper()
	queues := func() (refused, full uint64) {
		refused = l.space("h1").Link(l, "eth0").Attrs().Statistics.TxDropped
		for _, out := range []string{"ge1", "ge2"} {
			full += l.space("router").Link(l, out).Attrs().Statistics.TxDropped
		}
		return refused, full
	}
	refused, full := queues()
	var took time.Duration
	var second traffic.Result
	first, err := sinks[0].Measure(func() (err error) {
		second, err = sinks[1].Measure(func() (err error) {
			begin := time.Now()
			if rate == 0 {
				n.sent, err = flow.Blast(0, length)
			} else {
				ctx, cancel := context.WithTimeout(context.Background(), length)
				n.sent, err = traffic.Stream(ctx, runtime.NumCPU()-1, rate, flow)
				cancel()
			}
			took = time.Since(begin)
			return err
		})
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	n.came = first.Packets + second.Packets
	n.refused, n.full = queues()
	n.refused -= refused
	n.full -= full
	n.sent -= n.refused
	return float64(n.came) / took.Seconds() / 1e6, n
}
