package dataplane

import "context"

// Stuck lists the workers that have not come round to the end of a batch by the
// time that ctx ends. It takes as long only if there are any.
func (e *Engine) Stuck(ctx context.Context) []int {
	beats := make(chan int, len(e.workers))
	for _, w := range e.workers {
		if !w.running {
			beats <- w.id
			continue
		}
		w.mu.Lock()
		w.calls = append(w.calls, func() { beats <- w.id })
		w.pending.Store(true)
		w.mu.Unlock()
		w.wake()
	}
	alive := make([]bool, len(e.workers))
	for range e.workers {
		select {
		case id := <-beats:
			alive[id] = true
		case <-ctx.Done():
			var stuck []int
			for id, ok := range alive {
				if !ok {
					stuck = append(stuck, id)
				}
			}
			return stuck
		}
	}
	return nil
}
