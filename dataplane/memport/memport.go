// Package memport is a port in memory, for tests and benchmarks: frames that
// one goroutine pushes are received by a worker, and what the worker transmits
// is popped.
//
// The invariant is that of every driver: a buffer is in the pool, with the
// worker, or with the queue; a Queue keeps none between calls. Nothing allocates.
package memport

import (
	"sync/atomic"

	"router/dataplane/port"
)

// A Queue implements [port.Queue]. Push and Pop belong to one goroutine each,
// which may be another one than the worker's.
type Queue struct {
	pool    *port.Pool
	in, out *ring
	source  func(frame []byte) int
	sink    func(frame []byte)
	jumbo   []byte // what source writes to, where frames may need a span

	txDropped atomic.Uint64
	err       atomic.Pointer[error]
	closed    atomic.Bool
}

// New returns a queue on the worker's pool that holds up to size frames, a power
// of two, in each direction. Transmit does not take frames beyond that.
func New(pool *port.Pool, size int) *Queue {
	return &Queue{pool: pool, in: newRing(size, port.MaxFrame), out: newRing(size, port.MaxFrame+2*tagLen)}
}

// NewFunc returns a queue without rings. It receives what source writes to a
// buffer: source returns the frame's length, 0 for none now. sink sees each
// frame that is transmitted, during the call. Either may be nil.
func NewFunc(pool *port.Pool, source func(frame []byte) int, sink func(frame []byte)) *Queue {
	return &Queue{pool: pool, source: source, sink: sink}
}

// NewJumboFunc is NewFunc for frames of up to [port.MaxJumbo] octets, which are
// copied once more on receipt.
func NewJumboFunc(pool *port.Pool, source func(frame []byte) int, sink func(frame []byte)) *Queue {
	q := NewFunc(pool, source, sink)
	q.jumbo = make([]byte, port.MaxJumbo)
	return q
}

// NewJumbo is New for frames of up to [port.MaxJumbo] octets.
func NewJumbo(pool *port.Pool, size int) *Queue {
	return &Queue{pool: pool, in: newRing(size, port.MaxJumbo), out: newRing(size, port.MaxJumbo+2*tagLen)}
}

// Push makes a copy of frame, of at most [port.MaxFrame] octets (MaxJumbo with
// NewJumbo), the next frame to be received. It reports false when there is no room. It needs a Queue made by
// New.
func (q *Queue) Push(frame []byte, flags port.Flag) bool {
	s := q.in.next()
	if s == nil || len(frame) > len(s.data) {
		return false
	}
	s.n, s.flags = uint16(copy(s.data, frame)), flags
	q.in.commit()
	return true
}

// Pop appends the oldest transmitted frame to b; ok is false when there is
// none. It needs a Queue made by New.
func (q *Queue) Pop(b []byte) (frame []byte, ok bool) {
	s := q.out.peek()
	if s == nil {
		return b, false
	}
	b = append(b, s.data[:s.n]...)
	q.out.release()
	return b, true
}

// Pending is how many pushed frames have not been received yet.
func (q *Queue) Pending() int { return q.in.length() }

// Fail makes Err return err, as when a device disappears.
func (q *Queue) Fail(err error) { q.err.Store(&err) }

// Closed reports whether the queue has been closed.
func (q *Queue) Closed() bool { return q.closed.Load() }

// Receive implements [port.Queue].
func (q *Queue) Receive(bufs []port.Buf) int {
	if q.err.Load() != nil {
		return 0
	}
	if q.in == nil {
		return q.generate(bufs)
	}
	n := 0
	for ; n < len(bufs); n++ {
		s := q.in.peek()
		if s == nil {
			break
		}
		chunk, ok := q.pool.GetFor(int(s.n))
		if !ok {
			break
		}
		frame := q.pool.Room(chunk)[port.Headroom:]
		bufs[n] = port.Buf{Addr: chunk + port.Headroom, Len: uint16(copy(frame, s.data[:s.n])), Flags: s.flags}
		q.in.release()
	}
	return n
}

// generate receives what source writes.
func (q *Queue) generate(bufs []port.Buf) int {
	if q.source == nil {
		return 0
	}
	if q.jumbo != nil {
		return q.generateJumbo(bufs)
	}
	mem := q.pool.Mem()
	for i := range bufs {
		chunk, ok := q.pool.Get()
		if !ok {
			return i
		}
		n := q.source(mem[chunk+port.Headroom : chunk+port.ChunkSize : chunk+port.ChunkSize])
		if n == 0 {
			q.pool.Put(chunk)
			return i
		}
		bufs[i] = port.Buf{Addr: chunk + port.Headroom, Len: uint16(n)}
	}
	return len(bufs)
}

// generateJumbo is generate where the length of a frame says what it lies in.
func (q *Queue) generateJumbo(bufs []port.Buf) int {
	for i := range bufs {
		n := q.source(q.jumbo)
		if n == 0 {
			return i
		}
		chunk, ok := q.pool.GetFor(n)
		if !ok {
			return i
		}
		bufs[i] = port.Buf{Addr: chunk + port.Headroom, Len: uint16(copy(q.pool.Room(chunk)[port.Headroom:], q.jumbo[:n]))}
	}
	return len(bufs)
}

// Transmit implements [port.Queue].
func (q *Queue) Transmit(bufs []port.Buf) int {
	if q.out == nil && q.sink == nil {
		for _, b := range bufs {
			q.pool.Put(b.Addr)
		}
		return len(bufs)
	}
	for i, b := range bufs {
		frame := q.pool.Frame(b)
		if q.out != nil {
			s := q.out.next()
			if s == nil {
				return i
			}
			if len(frame) > len(s.data) {
				q.txDropped.Add(1)
				q.pool.Put(b.Addr)
				continue
			}
			s.n, s.flags = uint16(copy(s.data, frame)), b.Flags
			q.out.commit()
		} else if q.sink != nil {
			q.sink(frame)
		}
		q.pool.Put(b.Addr)
	}
	return len(bufs)
}

// Flush implements [port.Queue]; there is nothing to wait for.
func (q *Queue) Flush() {}

// FD implements [port.Queue]: the queue must be polled.
func (q *Queue) FD() int { return -1 }

// Stats implements [port.Queue].
func (q *Queue) Stats() port.Stats { return port.Stats{TxDropped: q.txDropped.Load()} }

// Err implements [port.Queue].
func (q *Queue) Err() error {
	if err := q.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Close implements [port.Queue].
func (q *Queue) Close() error {
	q.closed.Store(true)
	return nil
}

// tagLen is the length of a VLAN tag: the longest frame that the router makes
// out of one that it received has two more of them.
const tagLen = 4

type slot struct {
	n     uint16
	flags port.Flag
	data  []byte
}

// A ring carries frames from one goroutine to another without locks.
type ring struct {
	head  atomic.Uint64 // slots filled
	_     [64]byte
	tail  atomic.Uint64 // slots released
	_     [64]byte
	slots []slot
}

func newRing(size, longest int) *ring {
	r := &ring{slots: make([]slot, size)}
	mem := make([]byte, size*longest)
	for i := range r.slots {
		r.slots[i].data = mem[i*longest : (i+1)*longest : (i+1)*longest]
	}
	return r
}

func (r *ring) next() *slot {
	h := r.head.Load()
	if h-r.tail.Load() == uint64(len(r.slots)) {
		return nil
	}
	return &r.slots[h&uint64(len(r.slots)-1)]
}

func (r *ring) commit() { r.head.Add(1) }

func (r *ring) peek() *slot {
	t := r.tail.Load()
	if t == r.head.Load() {
		return nil
	}
	return &r.slots[t&uint64(len(r.slots)-1)]
}

func (r *ring) release() { r.tail.Add(1) }

func (r *ring) length() int { return int(r.head.Load() - r.tail.Load()) }
