package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"router/dataplane/filter"
	"router/dataplane/port"
	"router/intf"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// Config says how an Engine works. Zero fields get the default named.
type Config struct {
	Workers int           // worker threads, each with its own frame buffers; 1
	Buffers int           // frame buffers a worker, of port.ChunkSize octets; 8192
	Log     *slog.Logger  // for what happens to ports and workers; discards
	Domain  *epoch.Domain // in which workers read route tables; a new one
	CPUs    []int         // worker i runs on CPUs[i] only; empty: anywhere

	// Nice puts the workers' threads before those of the machine with a higher one, so
	// that neither the rest of the process nor its garbage collector takes their
	// processor away (sched(7), -20 to 19); 0 leaves them like the process. Where it may
	// not be lowered, that is logged.
	Nice int

	// RoundRobin gives the workers' threads a real-time policy, SCHED_RR with the lowest
	// priority, in the place of Nice: nothing else of the machine that has none runs on
	// a worker's processor while the worker has work or spins, but for what the kernel
	// keeps back (sched_rt_runtime_us, on newer ones its fair server: 5 %). Where the
	// kernel refuses, that is logged, and Nice holds.
	RoundRobin bool

	// Spin is how long a worker without work goes on looking before it sleeps
	// in the kernel: latency against processor time; 50 microseconds, negative
	// for not at all. A worker that finds nothing while it spins sleeps sooner
	// the next time.
	Spin time.Duration

	// ICMP limits our ICMP errors in total, and ICMPUnit those about packets
	// that came in by one unit (RFC 1812, 4.3.2.8; RFC 4443, 2.4 (f)): 1000 a
	// second and 200 at once; 200 a second and 50 at once. Both are shared out
	// among the workers evenly.
	ICMP, ICMPUnit Rate
	// Redirect limits our redirects to what sends by one unit: 10 a second and 10
	// at once, shared out likewise.
	Redirect Rate
	// Unresolved and StaleUse limit what a worker gives to the control plane:
	// 20,000 packets a second each.
	// Neighbor and Host limit what all of them give to the control plane and the
	// host of packets that no session matches: 5000 and 1,000,000 a second.
	Unresolved, StaleUse, Neighbor, Host Rate
	// Flow limits the reports of new flows to groups: 1000 a second.
	Flow Rate

	// FlowSeed decides, with a packet's flow, which member of a group it goes
	// by. Routers in a row need different ones; 0 draws one at random.
	FlowSeed uint64

	// Arena is where the route tables are, and where records of package layout are
	// kept beside them for a faster path, which counts in Tallies; nil for none.
	Arena   *fib.Arena
	Tallies Tallies
	// Filters are where it reads filters; nil where the user path alone can judge.
	Filters FastFilters
}

func (c *Config) setDefaults() {
	if c.Workers == 0 {
		c.Workers = 1
	}
	if c.Buffers == 0 {
		c.Buffers = 8192
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Domain == nil {
		c.Domain = epoch.New()
	}
	if c.Spin == 0 {
		c.Spin = 50 * time.Microsecond
	}
	for _, r := range []struct {
		rate *Rate
		def  Rate
	}{
		{&c.ICMP, Rate{1000, 200}},
		{&c.ICMPUnit, Rate{200, 50}},
		{&c.Redirect, Rate{10, 10}},
		{&c.Neighbor, Rate{5000, 512}},
		{&c.Unresolved, Rate{20000, 512}},
		{&c.StaleUse, Rate{20000, 64}},
		{&c.Host, Rate{1000000, hostOutRing}},
		{&c.Flow, Rate{1000, 128}},
	} {
		if *r.rate == (Rate{}) {
			*r.rate = r.def
		}
	}
	for c.FlowSeed == 0 {
		c.FlowSeed = rand.Uint64()
	}
	c.ICMP = c.ICMP.share(c.Workers)
	c.ICMPUnit = c.ICMPUnit.share(c.Workers)
	c.Redirect = c.Redirect.share(c.Workers)
}

// An Engine is the user path of one router: its workers and their tables. Create
// it with New. Its methods may be called from any goroutine, except that
// nothing may be called during and after Close.
type Engine struct {
	config Config
	// puntRates are Config's limits by PuntKind.
	puntRates [numPunts]Rate
	log       *slog.Logger
	workers   []*worker

	snapshot    atomic.Pointer[snapshot]
	nexthops    *nexthopTable
	adjacencies *adjacencyTable
	sessions    *sessions
	base        time.Time // of the workers' clocks
	boot        int64     // base by the clock that policers go by, which programs in the kernel read, too
	control     consumer
	host        consumer
	undelivered atomic.Uint64
	filters     *filter.Table
	filterLog   consumer
	probes      probes
	mirror      *mirror    // nil for none
	tracing     sync.Mutex // a packet is traced: one at a time

	mu          sync.Mutex // the one writer's turn: all below, and changes to the tables
	topology    topology
	tallies     map[uint32]*tally
	portQueues  map[PortID][]port.Queue
	nextPort    PortID
	freePorts   []PortID
	onPortError func(PortID, error)
}

// New starts an engine without ports, units and routes. Each worker raises
// GOMAXPROCS by one for as long as it runs, so that one that spins takes no
// processor from the rest of the program.
func New(c Config) (*Engine, error) {
	e, err := newEngine(c)
	if err != nil {
		return nil, err
	}
	for _, w := range e.workers {
		if err := w.start(); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// newEngine makes an engine whose workers do not run by themselves: runOnce
// drives them.
func newEngine(c Config) (*Engine, error) {
	c.setDefaults()
	if c.Workers < 0 || c.Workers > 256 {
		return nil, fmt.Errorf("dataplane: %d workers: want 1 to 256", c.Workers)
	}
	if c.Buffers < 2*batchSize || c.Buffers > 1<<20 {
		return nil, fmt.Errorf("dataplane: %d buffers a worker: want %d to %d", c.Buffers, 2*batchSize, 1<<20)
	}
	e := &Engine{
		config:      c,
		log:         c.Log,
		nexthops:    newNexthopTable(c.Domain),
		adjacencies: newAdjacencyTable(),
		sessions:    newSessions(c),
		control:     newConsumer(),
		host:        newConsumer(),
		topology:    newTopology(),
		filters:     filter.NewTable(c.Workers),
		filterLog:   newConsumer(),
		base:        time.Now(),
		tallies:     make(map[uint32]*tally),
		portQueues:  make(map[PortID][]port.Queue),
		nextPort:    1,
	}
	e.boot = monotonic()
	if c.Filters != nil {
		e.filters.SetWords(c.Filters.FilterWord)
	}
	e.puntRates = [numPunts]Rate{PuntUnresolved: c.Unresolved, PuntStaleUse: c.StaleUse, PuntFlow: c.Flow}
	e.snapshot.Store(&snapshot{})
	if c.Arena != nil {
		e.mirror = newMirror(c)
		e.nexthops.mirror = e.mirror
	}
	for i := range c.Workers {
		w, err := newWorker(e, i)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.workers = append(e.workers, w)
	}
	return e, nil
}

// Close stops the workers, closes the queues of all ports on their workers'
// threads, and frees the frame memory.
func (e *Engine) Close() error {
	var errs []error
	for _, w := range e.workers {
		errs = append(errs, w.stop())
	}
	// Only now: a queue's memory is registered with the kernel until it closes.
	for _, w := range e.workers {
		errs = append(errs, w.free())
	}
	return errors.Join(errs...)
}

// Pools returns the frame buffers of each worker. A queue that worker i is to
// serve is opened on pool i.
func (e *Engine) Pools() []*port.Pool {
	pools := make([]*port.Pool, len(e.workers))
	for i, w := range e.workers {
		pools[i] = w.pool
	}
	return pools
}

// PortOptions says what the engine has to know of a port.
type PortOptions struct {
	// CompleteChecksums is for ports behind which a host may leave checksums
	// to a device that does not exist (veth, virtio, TAP): frames whose TCP or
	// UDP checksum is only the pseudo-header's are completed.
	CompleteChecksums bool
	// Polling says how workers wait for frames of the port.
	Polling intf.Polling
}

// AddPort gives a port to the workers: queue i is served by worker i modulo the
// number of workers, and must have been opened on that worker's pool. From then
// on the queues are the engine's. On an error they stay the caller's.
func (e *Engine) AddPort(name string, queues []port.Queue, opts PortOptions) (PortID, error) {
	if len(queues) == 0 {
		return 0, fmt.Errorf("port %s: no queues: open at least one", name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := e.nextPort
	if n := len(e.freePorts); n > 0 {
		id, e.freePorts = e.freePorts[n-1], e.freePorts[:n-1]
	} else {
		e.nextPort++
	}
	stats := &portStats{blocks: make([]counterBlock, len(e.workers)), drops: make([]dropCounts, len(e.workers))}
	for i, w := range e.workers {
		var own []port.Queue
		for q := i; q < len(queues); q += len(e.workers) {
			own = append(own, queues[q])
		}
		peer := e.workers[i%min(len(queues), len(e.workers))]
		w.call(func() { w.attach(id, own, peer, stats, opts) })
	}
	s := *e.snapshot.Load()
	s.ports = s.ports.with(uint32(id), &portView{id: id, name: name, stats: stats})
	e.snapshot.Store(&s)
	if e.mirror != nil {
		e.mirror.addPort(id, stats)
	}
	e.portQueues[id] = slices.Clone(queues)
	for _, w := range e.workers {
		w.wake()
	}
	return id, nil
}

// RemovePort takes a port out of service: its units have no port any more, and
// its queues are closed on their workers' threads before it returns. It returns
// what closing them said. A port that does not exist is no error.
func (e *Engine) RemovePort(id PortID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := *e.snapshot.Load()
	if s.ports.at(uint32(id)) == nil {
		return nil
	}
	changed := make(map[intf.Index]struct{})
	units := slices.Collect(maps.Keys(e.topology.portUnits[id]))
	// Without its port a unit is derived anew as one that has none.
	for _, i := range units {
		e.detachUnit(&s, s.units.at(uint32(i)))
		changed[i] = struct{}{}
	}
	s.ports = s.ports.with(uint32(id), nil)
	for _, i := range units {
		old := s.units.at(uint32(i))
		u := e.newUnit(&s, old.spec, old.stats)
		s.units = s.units.with(uint32(i), u)
		e.attachUnit(&s, u)
	}
	e.publish(&s, changed)
	if e.mirror != nil {
		e.mirror.removePort(id)
	}
	var errs []error
	for _, w := range e.workers {
		w.call(func() { errs = append(errs, w.detach(id)) })
	}
	// Every worker has run detach between two batches, so none has the id in
	// hand, but frames that were handed over before may still lie in a ring.
	for _, w := range e.workers {
		w.call(w.drainPeers)
	}
	delete(e.portQueues, id)
	e.freePorts = append(e.freePorts, id)
	return errors.Join(errs...)
}

// PortStats adds up what the drivers of a port's queues counted; ok is false
// when there is no such port.
func (e *Engine) PortStats(id PortID) (total port.Stats, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	queues, ok := e.portQueues[id]
	for _, q := range queues {
		s := q.Stats()
		total.RxDropped += s.RxDropped
		total.RxOversize += s.RxOversize
		total.TxDropped += s.TxDropped
		total.FillStarved += s.FillStarved
		total.WakeupsTaken += s.WakeupsTaken
	}
	return total, ok
}

// PortErr is what is wrong with a queue of a port; nil when all work, or there is no
// such port.
func (e *Engine) PortErr(id PortID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, q := range e.portQueues[id] {
		if err := q.Err(); err != nil {
			return err
		}
	}
	return nil
}

// OnPortError sets who is told that a queue of a port has failed: once for each
// queue, on a goroutine of its own. The queue is not served any more; RemovePort
// closes it. By the time that it is told the id may be another port's: PortErr says
// whether it is.
func (e *Engine) OnPortError(f func(PortID, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onPortError = f
}

// portFailed runs on a goroutine of its own.
func (e *Engine) portFailed(id PortID, err error) {
	e.mu.Lock()
	f, p := e.onPortError, e.snapshot.Load().ports.at(uint32(id))
	e.mu.Unlock()
	if p == nil {
		return
	}
	e.log.Warn("port queue failed", "ifd", p.name, "err", err)
	if f != nil {
		f(id, err)
	}
}
