package fib

import (
	"fmt"
	"sync/atomic"

	"router/vrf/epoch"
)

// The directory is a few words at the start of the arena by which those who read
// it without this package find what others keep there beside the tables.
const (
	directory     = 8
	directorySize = 16
)

// SetEntry publishes a word of the directory, number 0 to 15. Whoever finds
// something by it is a reader like those of tables.
func (a *Arena) SetEntry(number int, word uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	atomic.StoreUint64(&a.mem[directory+number%directorySize], word)
}

// EntryAt is the offset of a word of the directory.
func EntryAt(number int) uint32 { return directory + uint32(number%directorySize) }

// Store publishes one word of memory that Alloc or a Slab returned.
func (a *Arena) Store(at uint32, word uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	atomic.StoreUint64(&a.mem[at], word)
}

// Write fills memory that Alloc or a Slab returned and that no reader can find
// yet.
func (a *Arena) Write(at uint32, words []uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	copy(a.mem[at:], words)
}

// Alloc returns the offset of n zeroed words for something that is no table. The
// error is ErrFull.
func (a *Arena) Alloc(n int) (uint32, error) {
	if n < 1 || n > len(a.mem) {
		return 0, fmt.Errorf("%w: %d words at once", ErrFull, n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.alloc(kindOther, class(uint32(n)))
	if at == 0 {
		return 0, a.full()
	}
	clear(a.mem[at : at+uint32(n)])
	return at, nil
}

// Retire gives back what Alloc returned for n, once the readers have passed. No
// reader can find it any more.
func (a *Arena) Retire(at uint32, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retire(extent{at, class(uint32(n))})
}

// slabRecords is how many records a Slab takes from its arena at once.
const slabRecords = 32

// A Slab is records of one size in an arena, each in as few cache lines as it
// can be. It belongs to one writer: its methods must not run concurrently.
type Slab struct {
	a     *Arena
	size  uint32 // words, a power of two from 8 on
	free  []uint32
	limbo *epoch.Limbo[uint32]
	held  int // since the last look at the readers
}

// NewSlab returns an empty slab for records of size words, a power of two from 8
// to 64. Its memory is never given back to the arena.
func (a *Arena) NewSlab(size int) *Slab {
	return &Slab{a: a, size: uint32(size), limbo: epoch.NewLimbo[uint32](a.limbo.Domain())}
}

// Get returns the offset of a record, a multiple of the size, with any content;
// the error is ErrFull.
func (s *Slab) Get() (uint32, error) {
	if len(s.free) == 0 {
		s.Reclaim()
	}
	if len(s.free) == 0 {
		records := uint32(slabRecords)
		at, err := s.a.Alloc(int(s.size * (records + 1)))
		if err != nil {
			// Where tables have come and gone there may be small pieces only.
			records = 1
			at, err = s.a.Alloc(int(2 * s.size))
		}
		if err != nil {
			return 0, err
		}
		at = (at + s.size - 1) &^ (s.size - 1)
		for i := records; i > 0; i-- {
			s.free = append(s.free, at+(i-1)*s.size)
		}
	}
	at := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return at, nil
}

// Retire gives a record back once the readers have passed. No reader can find it
// any more.
func (s *Slab) Retire(at uint32) {
	s.limbo.Retire(at)
	if s.held++; s.held >= reclaimEvery {
		s.Reclaim()
	}
}

// Reclaim takes back the records whose grace period has passed.
func (s *Slab) Reclaim() {
	s.held = 0
	s.limbo.Reclaim(func(at uint32) { s.free = append(s.free, at) })
}
