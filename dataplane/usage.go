package dataplane

import "router/intf"

// Usage says how much of the engine's memory is in use.
type Usage struct {
	Workers     int
	Buffers     int // of all workers
	BuffersFree int // neither in a batch nor held by a queue
	Spans       int // buffers for jumbo frames, likewise
	SpansFree   int
}

// Usage asks every worker, which takes until each is between two batches.
func (e *Engine) Usage() Usage {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := Usage{Workers: len(e.workers)}
	for _, w := range e.workers {
		w.call(func() {
			u.Buffers += w.pool.Size()
			u.BuffersFree += w.pool.Free()
			u.Spans += w.pool.Spans()
			u.SpansFree += w.pool.FreeSpans()
		})
	}
	return u
}

// A Thread is how the kernel schedules a worker (sched(7)).
type Thread struct {
	Scheduling intf.Scheduling
	Nice       int // -20 to 19, in force where Scheduling goes by it
}

// Threads are those of the workers, in their order, as the kernel has them now: anybody
// may change them (chrt, renice). A worker without a thread is left out.
func (e *Engine) Threads() (list []Thread) {
	for _, w := range e.workers {
		if t, ok := threadOf(int(w.tid.Load())); ok {
			list = append(list, t)
		}
	}
	return list
}
