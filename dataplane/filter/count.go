package filter

import (
	"sync"
	"sync/atomic"
)

// A Count is how many packets something matched, and the octets of those packets.
type Count struct{ Packets, Octets uint64 }

func (c Count) add(d Count) Count { return Count{c.Packets + d.Packets, c.Octets + d.Octets} }

// A TermCount is the count of a term.
type TermCount struct {
	Term string // empty for the end of the filter
	Count
}

// A share is one worker's part of a tally. Only the worker writes it, and adds to
// what others read once a batch.
type share struct {
	packets, octets atomic.Uint64
	pending         Count
	skip            uint32 // packets to come that are not logged
	dirty           bool
}

// A Tally counts one thing, a term or the end of a filter, over all workers and over
// those who count beside them.
type Tally struct {
	shares []*share

	mu   sync.Mutex
	past Count        // of those who have been detached
	also func() Count // of who is attached; nil for nobody
}

// Attach adds to the tally what also returns, from now until Detach. Who is attached
// counts from 0, and there is one at most. Any goroutine may call it; also is called by
// any, and must not call the tally or its Table.
func (t *Tally) Attach(also func() Count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.also = also
}

// Detach keeps what was counted until now and asks no more.
func (t *Tally) Detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.also != nil {
		t.past, t.also = t.past.add(t.also()), nil
	}
}

// beside is what was counted by others than the workers.
func (t *Tally) beside() Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.also == nil {
		return t.past
	}
	return t.past.add(t.also())
}

// newTallies makes n tallies. The shares of one worker lie next to each other and
// apart from those of others.
func newTallies(n, workers int) []Tally {
	all := make([]Tally, n)
	list := make([]*share, n*workers)
	for i := range all {
		all[i].shares, list = list[:workers:workers], list[workers:]
	}
	for w := range workers {
		slab := make([]share, n+2) // the last two part it from what follows
		for i := range all {
			all[i].shares[w] = &slab[i]
		}
	}
	return all
}

// value adds up the shares.
func (t *Tally) value() (c Count) {
	for _, s := range t.shares {
		// Packets first: of what is published between the two loads, octets may
		// be in without their packets, but never the other way round.
		c.Packets += s.packets.Load()
		c.Octets += s.octets.Load()
	}
	return c.add(t.beside())
}

// A Worker is what one thread of the packet path needs to filter: scratch memory
// and what it has not published yet. Only that thread may use it.
type Worker struct {
	id     int
	key    Key
	search search
	dirty  []*share
	dry    *dryRun // of a DryWorker
}

// hit counts a packet.
func (w *Worker) hit(s *share, octets uint32) {
	s.pending.Packets++
	s.pending.Octets += uint64(octets)
	if s.dirty {
		return
	}
	if len(w.dirty) == cap(w.dirty) {
		w.Flush()
	}
	s.dirty = true
	w.dirty = append(w.dirty, s)
}

// Flush publishes what was counted. A worker calls it at the end of each batch.
func (w *Worker) Flush() {
	for i, s := range w.dirty {
		s.octets.Add(s.pending.Octets)
		s.packets.Add(s.pending.Packets)
		s.pending, s.dirty = Count{}, false
		w.dirty[i] = nil
	}
	w.dirty = w.dirty[:0]
}

// sample reports whether the packet that a share was just hit by is the one in
// every that is logged. The first is.
func (s *share) sample(every uint32) bool {
	if s.skip == 0 || s.skip >= every {
		s.skip = every - 1
		return true
	}
	s.skip--
	return false
}
