package dataplane

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"router/dataplane/filter"
	"router/dataplane/port"
	"router/intf"
	"router/vrf/epoch"
)

// batchSize is how many frames are taken from a queue at once.
const batchSize = 64

// A worker is one thread of the packet path. Fields without another remark
// are the thread's own.
type worker struct {
	engine *Engine
	id     int
	pool   *port.Pool
	mem    []byte // of pool
	reader *epoch.Reader
	waker  *waker
	base   time.Time

	rx []rxQueue
	// How long to look for work after the last, and whether for ever: choosePace. left
	// is what remains of patience after looking in vain.
	patience, left time.Duration
	busy           bool
	tx             []txPort // by PortID
	dirty          []PortID // ports with frames in tx
	snap           *snapshot

	bufs    [batchSize]port.Buf
	batch   [2]batch
	rpf     rpfBatch
	trace   *tracing // of a worker that only tries a packet out; else nil
	replies []pkt    // ICMP errors, resets and echo replies that wait for their turn

	filters  *filter.Worker
	filtered bool // some filter has run in this batch

	clock    func() int64 // nanoseconds since base
	now      int64        // of this batch, read when first wanted
	icmp     bucket
	ipID     uint16
	policers [numPunts]bucket
	rang     [2]bool // control and host have got something in this batch
	logged   bool    // and the reader of the filter log

	touched  []*counterBlock
	totals   totalCounts
	ownDrops dropCounts

	punts   [numPunts]*puntRing
	hostOut *puntRing
	logOut  *logRing
	injects *injectRing // from the control plane
	hostIn  *injectRing // from the host stack
	peers   *injectRing // frames from other workers

	// hostQueued is how many slots of hostOut each class holds; the host's consumer
	// lowers it.
	hostQueued [numClasses]atomic.Int32

	// Shared with other goroutines.
	tid      atomic.Int32 // of the thread, 0 for none
	sleeping atomic.Bool
	mu       sync.Mutex // guards calls
	calls    []func()
	pending  atomic.Bool // calls is not empty
	running  bool        // there is a thread; written before it starts and after it ends
	stopping atomic.Bool
	done     chan struct{}
}

// An rxQueue is a queue that the worker receives from.
type rxQueue struct {
	port     PortID
	queue    port.Queue
	complete bool
	failed   bool
	sends    bool // it is the worker's txPort.queue, too
	block    *counterBlock
	drops    *dropCounts
	polling  intf.Polling
}

// A txPort is a port as a sender sees it. The zero txPort is no port.
type txPort struct {
	queue port.Queue // nil: another worker serves the port
	peer  *worker    // who has a queue, when this worker has none
	block *counterBlock
	drops *dropCounts
	dirty bool // it has a place in worker.dirty
	n     int
	bufs  [batchSize]port.Buf
}

// buffersPerSpan says how many buffers there are for each span. A worker that
// meets no jumbo frame never touches a span's memory.
const buffersPerSpan = 32

func newWorker(e *Engine, id int) (*worker, error) {
	spans := e.config.Buffers / buffersPerSpan
	mem, err := mapFrames(e.config.Buffers*port.ChunkSize + spans*port.SpanSize)
	if err != nil {
		return nil, fmt.Errorf("worker %d: %w", id, err)
	}
	w := &worker{
		engine: e, id: id, mem: mem, base: e.base, filters: e.filters.Worker(id),
		hostOut: newPuntRing(hostOutRing),
		logOut:  newLogRing(),
		injects: newInjectRing(controlRing),
		hostIn:  newInjectRing(hostInRing),
		peers:   newInjectRing(peerRing),
		replies: make([]pkt, 0, 4*batchSize),
		touched: make([]*counterBlock, 0, 4*batchSize),
	}
	w.clock = func() int64 { return int64(time.Since(w.base)) }
	for k := range w.punts {
		w.punts[k] = newPuntRing(puntRings[k])
	}
	if w.pool, err = port.NewJumboPool(mem, spans); err != nil {
		return nil, errors.Join(err, unmapFrames(mem))
	}
	if w.waker, err = newWaker(); err != nil {
		return nil, errors.Join(fmt.Errorf("worker %d: %w", id, err), unmapFrames(mem))
	}
	w.reader = e.config.Domain.Reader()
	w.choosePace()
	return w, nil
}

// start runs the worker on a thread of its own.
func (w *worker) start() error {
	w.running = true
	w.done = make(chan struct{})
	ready := make(chan error)
	go w.loop(ready)
	if err := <-ready; err != nil {
		<-w.done
		w.running = false
		return err
	}
	return nil
}

// stop ends the thread and closes the queues that are left.
func (w *worker) stop() error {
	if w.running {
		w.stopping.Store(true)
		w.waker.wake()
		<-w.done
		w.running = false
	}
	var errs []error
	for i := range w.rx {
		errs = append(errs, w.rx[i].queue.Close())
	}
	w.rx, w.tx = nil, nil
	w.reader.Close()
	return errors.Join(errs...)
}

// free gives the frame memory back. Nobody may look at it any more.
func (w *worker) free() error { return errors.Join(w.waker.close(), unmapFrames(w.mem)) }

// call runs f on the worker's thread between two batches, and waits for it.
func (w *worker) call(f func()) {
	if !w.running {
		f()
		return
	}
	done := make(chan struct{})
	w.mu.Lock()
	w.calls = append(w.calls, func() { f(); close(done) })
	w.pending.Store(true)
	w.mu.Unlock()
	w.wake()
	<-done
}

func (w *worker) runCalls() {
	w.mu.Lock()
	calls := w.calls
	w.calls = nil
	w.pending.Store(false)
	w.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// wake makes the worker look at its rings, if it sleeps.
func (w *worker) wake() {
	if w.sleeping.Load() && w.sleeping.CompareAndSwap(true, false) {
		w.waker.wake()
	}
}

// loop is the worker's thread. A panic in it ends the process: a router that
// has lost a worker without notice is worse than one that restarts.
func (w *worker) loop(ready chan<- error) {
	defer close(w.done)
	// Never unlocked: the thread ends with the worker, and what it was told with it.
	runtime.LockOSThread()
	w.tid.Store(int32(threadID()))
	defer w.tid.Store(0)
	if err := preferThread(w.engine.config.Nice, w.engine.config.RoundRobin); err != nil {
		w.engine.log.Warn("a worker goes before fewer threads than it should", "worker", w.id, "err", err)
	}
	if cpus := w.engine.config.CPUs; len(cpus) > 0 {
		if err := pinThread(cpus[w.id%len(cpus)]); err != nil {
			ready <- fmt.Errorf("worker %d: %w", w.id, err)
			return
		}
	}
	// A worker that spins never gives its processor back to the scheduler, so
	// it brings one along.
	adjustProcs(1)
	defer adjustProcs(-1)
	ready <- nil
	w.reader.Unpark()
	for !w.stopping.Load() {
		if w.runOnce() > 0 || w.busy || w.spin() {
			w.left = w.patience
			continue
		}
		w.left /= 2
		w.park()
	}
	w.reader.Park()
}

// spin looks for work for as long as patience lasts, which may change meanwhile,
// and reports whether it found some.
func (w *worker) spin() bool {
	for start := w.clock(); w.clock()-start < int64(w.left); {
		for range 8 {
			if w.runOnce() > 0 {
				return true
			}
		}
		if w.stopping.Load() {
			return true
		}
	}
	return false
}

// pollInterval bounds the sleep while some queue can't announce frames.
const pollInterval = time.Millisecond

// park sleeps until a queue has frames or somebody calls wake.
func (w *worker) park() {
	w.sleeping.Store(true)
	// Whoever filled a ring before the store was seen did not wake us.
	if w.pending.Load() || w.stopping.Load() || w.runOnce() > 0 {
		w.sleeping.Store(false)
		return
	}
	timeout := time.Duration(-1)
	w.waker.reset()
	for i := range w.rx {
		switch fd := w.rx[i].queue.FD(); {
		case w.rx[i].failed:
		case fd < 0:
			timeout = pollInterval
		default:
			w.waker.add(fd)
		}
	}
	w.reader.Park()
	w.waker.sleep(timeout)
	w.reader.Unpark()
	w.sleeping.Store(false)
}

// runOnce takes a batch from every queue and ring, and returns how many packets
// there were.
func (w *worker) runOnce() (n int) {
	if w.pending.Load() {
		w.runCalls()
	}
	w.reader.Quiesce()
	w.now = 0
	for i := range w.rx {
		n += w.receive(&w.rx[i])
	}
	n += w.drain(w.injects, controlRing)
	n += w.drain(w.hostIn, batchSize)
	n += w.drain(w.peers, batchSize)
	if n > 0 {
		w.finish()
	}
	return n
}

// finish ends a batch: what it produced goes out, and becomes visible.
func (w *worker) finish() {
	w.sendReplies()
	for _, id := range w.dirty {
		t := &w.tx[id]
		w.transmit(t)
		t.dirty = false
		if t.queue != nil {
			t.queue.Flush()
		}
	}
	w.dirty = w.dirty[:0]
	for _, b := range w.touched {
		b.flush()
	}
	w.touched = w.touched[:0]
	w.totals.flush()
	if w.filtered {
		w.filters.Flush()
		w.filtered = false
	}
	if w.logged {
		w.engine.filterLog.wake()
		w.logged = false
	}
	if w.rang[0] {
		w.engine.control.wake()
	}
	if w.rang[1] {
		w.engine.host.wake()
	}
	w.rang = [2]bool{}
}

// touch marks a block as changed in this batch.
func (w *worker) touch(b *counterBlock) {
	if !b.dirty {
		b.dirty = true
		w.touched = append(w.touched, b)
	}
}

// instant is the worker's clock, read once a batch at most.
func (w *worker) instant() int64 {
	if w.now == 0 {
		w.now = w.clock() + 1
	}
	return w.now
}

// attach takes queues of a port into service. own is empty when other workers
// serve the port; then peer is one that does.
func (w *worker) attach(id PortID, own []port.Queue, peer *worker, stats *portStats, o PortOptions) {
	for int(id) >= len(w.tx) {
		w.tx = append(w.tx, txPort{})
	}
	block, drops := &stats.blocks[w.id], &stats.drops[w.id]
	t := &w.tx[id]
	*t = txPort{peer: peer, block: block, drops: drops}
	if len(own) > 0 {
		t.queue = own[0]
	}
	for i, q := range own {
		w.rx = append(w.rx, rxQueue{
			port: id, queue: q, complete: o.CompleteChecksums, sends: i == 0, block: block, drops: drops,
		})
	}
	w.setPolling(id, o.Polling)
}

// detach closes the worker's queues of a port.
func (w *worker) detach(id PortID) error {
	var errs []error
	kept := w.rx[:0]
	for _, q := range w.rx {
		if q.port == id {
			errs = append(errs, q.queue.Close())
			continue
		}
		kept = append(kept, q)
	}
	clear(w.rx[len(kept):])
	w.rx = kept
	w.choosePace()
	w.tx[id] = txPort{}
	return errors.Join(errs...)
}

// drainPeers sends or drops all that other workers have handed over so far.
func (w *worker) drainPeers() {
	for range peerRing / batchSize {
		w.drain(w.peers, batchSize)
		w.finish()
	}
}

// fail takes a queue that reports err out of service.
func (w *worker) fail(q *rxQueue, err error) {
	q.failed = true
	w.choosePace()
	if q.sends {
		w.tx[q.port].queue, w.tx[q.port].peer = nil, nil
	}
	go w.engine.portFailed(q.port, err)
}
