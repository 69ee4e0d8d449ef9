package dataplane

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
