package dataplane

import (
	"slices"
	"time"

	"router/dataplane/port"
)

// A FrameTap is shown frames of a port on a worker's thread. It must neither block nor keep the
// frame.
type FrameTap interface {
	Frame(at int64, out bool, frame []byte) // at is in nanoseconds since 1970
}

// An observedQueue stands in a queue's place while somebody looks at its frames: those that it
// receives, and those that are handed to it, whether the driver has room for them or not. Otherwise
// nothing stands there, and costs nothing.
type observedQueue struct {
	port.Queue
	pool *port.Pool
	taps []FrameTap
}

// Receive implements port.Queue.
func (q *observedQueue) Receive(bufs []port.Buf) int {
	n := q.Queue.Receive(bufs)
	q.show(false, bufs[:n])
	return n
}

// Transmit implements port.Queue. The frames are the queue's once it has them.
func (q *observedQueue) Transmit(bufs []port.Buf) int {
	q.show(true, bufs)
	return q.Queue.Transmit(bufs)
}

func (q *observedQueue) show(out bool, bufs []port.Buf) {
	if len(bufs) == 0 {
		return
	}
	at := time.Now().UnixNano()
	for _, b := range bufs {
		frame := q.pool.Frame(b)
		for _, t := range q.taps {
			t.Frame(at, out, frame)
		}
	}
}

// BusyPoll implements port.Poller, for a queue that is one.
func (q *observedQueue) BusyPoll(on bool) {
	if k, ok := q.Queue.(port.Poller); ok {
		k.BusyPoll(on)
	}
}

// KernelPolls implements port.Poller.
func (q *observedQueue) KernelPolls() bool {
	k, ok := q.Queue.(port.Poller)
	return ok && k.KernelPolls()
}

// Observe has taps shown the frames of a port, one tap for each worker, which newTap makes. When
// stop returns, they are shown no more. A port that doesn't exist, or that goes meanwhile, shows
// nothing.
func (e *Engine) Observe(id PortID, newTap func() FrameTap) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	taps := make([]FrameTap, len(e.workers))
	for i, w := range e.workers {
		t := newTap()
		taps[i] = t
		w.call(func() { w.observe(id, t) })
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for i, w := range e.workers {
			w.call(func() { w.ignore(id, taps[i]) })
		}
	}
}

// observe adds a tap to the worker's queues of a port.
func (w *worker) observe(id PortID, t FrameTap) {
	w.exchange(id, func(q port.Queue) port.Queue {
		o, ok := q.(*observedQueue)
		if !ok {
			o = &observedQueue{Queue: q, pool: w.pool}
		}
		o.taps = append(o.taps, t)
		return o
	})
}

// ignore takes a tap away, wherever it is.
func (w *worker) ignore(id PortID, t FrameTap) {
	w.exchange(id, func(q port.Queue) port.Queue {
		o, ok := q.(*observedQueue)
		if !ok {
			return q
		}
		o.taps = slices.DeleteFunc(o.taps, func(x FrameTap) bool { return x == t })
		if len(o.taps) == 0 {
			return o.Queue
		}
		return o
	})
}

// exchange puts another queue in the place of each of the worker's queues of a port.
func (w *worker) exchange(id PortID, by func(port.Queue) port.Queue) {
	for i := range w.rx {
		q := &w.rx[i]
		if q.port != id {
			continue
		}
		was := q.queue
		q.queue = by(was)
		if int(id) < len(w.tx) && w.tx[id].queue == was {
			w.tx[id].queue = q.queue
		}
	}
}
