package filters

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"router/dataplane/filter"
)

// A ledger is the array of counts: in each processor's row two words, packets and octets, for each
// slot. Slot 0 counts nothing. It has a lock of its own, since whoever reads a
// tally comes here with the tally's.
type ledger struct {
	processors int

	mu     sync.Mutex
	counts *mapped
	size   int // slots in a row
	free   []uint32
	used   map[*filter.Tally]*slot
	past   []past // still counted in by programs that have not been replaced
}

type slot struct {
	number uint32
	refs   int
	base   filter.Count // from arrays that are no more
}

type past struct {
	counts *mapped
	size   int
}

func newLedger(processors, size int) (*ledger, error) {
	l := &ledger{processors: processors, used: map[*filter.Tally]*slot{}}
	return l, l.begin(1, size)
}

// begin goes on with an array of its own for size slots, of which those from from on
// are new.
func (l *ledger) begin(from, size int) error {
	counts, err := newMapped("filter_counts", 2*size<<bits.Len(uint(l.processors-1)))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts != nil {
		l.past = append(l.past, past{l.counts, l.size})
	}
	l.counts, l.size = counts, size
	for n := from; n < size; n++ {
		l.free = append(l.free, uint32(n))
	}
	return nil
}

// grow makes it size slots.
func (l *ledger) grow(size int) error { return l.begin(l.size, size) }

// settle takes over what was counted in past arrays and gives them up.
func (l *ledger) settle() []*mapped {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gone []*mapped
	for _, p := range l.past {
		for _, s := range l.used {
			s.base = plus(s.base, l.sum(p.counts, p.size, s.number))
		}
		gone = append(gone, p.counts)
	}
	l.past = nil
	return gone
}

// hold finds the slot of a tally, or gives it one. It reports false when there is
// none left.
func (l *ledger) hold(t *filter.Tally) (uint32, bool) {
	l.mu.Lock()
	if s := l.used[t]; s != nil {
		s.refs++
		l.mu.Unlock()
		return s.number, true
	}
	if len(l.free) == 0 {
		l.mu.Unlock()
		return 0, false
	}
	last := len(l.free) - 1
	s := &slot{number: l.free[last], refs: 1}
	l.free = l.free[:last]
	l.used[t] = s
	l.mu.Unlock()
	t.Attach(func() filter.Count { return l.read(s) })
	return s.number, true
}

// release undoes one hold for each of the tallies. Nothing counts any more in a slot that
// nobody holds.
func (l *ledger) release(tallies []*filter.Tally) {
	for _, t := range tallies {
		l.mu.Lock()
		s := l.used[t]
		s.refs--
		gone := s.refs == 0
		l.mu.Unlock()
		if !gone {
			continue
		}
		t.Detach()
		l.mu.Lock()
		delete(l.used, t)
		l.clear(s.number)
		l.free = append(l.free, s.number)
		l.mu.Unlock()
	}
}

// detach leaves to all tallies what was counted for them.
func (l *ledger) detach() {
	l.mu.Lock()
	var all []*filter.Tally
	for t, s := range l.used {
		s.refs = 1
		all = append(all, t)
	}
	l.mu.Unlock()
	l.release(all)
}

// read is what all processors have counted in a slot.
func (l *ledger) read(s *slot) filter.Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := plus(s.base, l.sum(l.counts, l.size, s.number))
	for _, p := range l.past {
		c = plus(c, l.sum(p.counts, p.size, s.number))
	}
	return c
}

func plus(a, b filter.Count) filter.Count {
	return filter.Count{Packets: a.Packets + b.Packets, Octets: a.Octets + b.Octets}
}

// rows calls f with the words of a slot in every processor's row.
func (l *ledger) rows(counts *mapped, size int, number uint32, f func(packets, octets *uint64)) {
	if int(number) >= size {
		return // it came with a later array
	}
	for row := range slices.Chunk(counts.words[:2*size*l.processors], 2*size) {
		f(&row[2*number], &row[2*number+1])
	}
}

func (l *ledger) sum(counts *mapped, size int, number uint32) (c filter.Count) {
	l.rows(counts, size, number, func(packets, octets *uint64) {
		// As in the workers' shares: never packets without their octets.
		c.Packets += atomic.LoadUint64(packets)
		c.Octets += atomic.LoadUint64(octets)
	})
	return c
}

func (l *ledger) clear(number uint32) {
	wipe := func(packets, octets *uint64) {
		atomic.StoreUint64(packets, 0)
		atomic.StoreUint64(octets, 0)
	}
	l.rows(l.counts, l.size, number, wipe)
	for _, p := range l.past {
		l.rows(p.counts, p.size, number, wipe)
	}
}
