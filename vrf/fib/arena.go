package fib

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"router/vrf/epoch"
)

// ErrFull is returned by changes that need more memory than the arena has. The
// table is unchanged then. The cure is a larger arena. Errors that wrap it say why
// it did not grow.
var ErrFull = errors.New("the forwarding tables are full")

const (
	// reservedWords stand at the start of the arena. The first ones stay zero:
	// they are the empty block that the zero reference names. The directory
	// (record.go) follows.
	reservedWords = 64

	// maxBlock is the size in words of the largest block: 64 children, their
	// bitmap, skipped bits, that of the leaves, 64 leaves.
	maxBlock = 32 + 1 + 1 + 1 + 32

	// maxClass is the size set aside for it, the last that has a free list.
	maxClass = 68

	// lineWords is the size of a cache line. What is no larger lies in one, and
	// what is larger begins with one.
	lineWords = 8

	// reclaimEvery is how many blocks are retired between two looks at the
	// readers.
	reclaimEvery = 128

	// pageWords is the size of a page of memory, which holds blocks of one kind.
	pageWords = 512

	maxWords = 1 << (32 - anchorAt) // what a reference can name
)

// The kinds of blocks, by family. Each has pages of memory to itself as long as there
// is room, so that lookups of a family come by fewer of them: what the processor has
// to find a page (a miss of its TLB) costs as much as a miss of its cache.
const (
	kindOther = 2 // after the two families
	kinds     = 3
)

// A stock is the memory for one kind of blocks.
type stock struct {
	fresh extent               // what the rising mark cuts from
	free  [maxClass + 1]uint32 // heads of the lists of free blocks, by words
	rest  [lineWords]uint32    // likewise of what is left of lines since they were cut
}

// extent is a run of words in the arena.
type extent struct{ start, words uint32 }

// An Arena is the memory of any number of tables, and its allocator: a mark
// that rises, and a free list for each size. Changes to the tables of one
// arena take its lock, so that they may come from any goroutine; lookups take
// none.
type Arena struct {
	mem []uint64 // never moves, never grows

	mu      sync.Mutex
	limit   uint32 // how many words of mem may be used; the rest is for grow
	grow    func(words int) error
	family  uint8        // of the blocks that are written now
	stocks  [kinds]stock // by kind
	kindOf  []uint8      // what a page of memory is for
	fresh   extent       // what the pages of stocks, and roots, are cut from
	scraps  uint32       // words in rest of all stocks
	large   []extent     // free roots
	limbo   *epoch.Limbo[extent]
	retired int   // since the last reclaim
	refused error // why the arena did not grow when it was asked to last; nil if it did
	stats   ArenaStats
	shadow  shadow
	w       writer
	single  [1]change // that is made alone
}

// ArenaStats says where an arena's memory is, in bytes.
type ArenaStats struct {
	Size   uint64 // all of the memory that the caller gave
	Room   uint64 // of Size, what may be used before the arena has to grow
	Used   uint64 // in what readers can reach
	Free   uint64 // given back by its users, not yet used again
	Limbo  uint64 // unlinked, waiting for readers to pass
	Rest   uint64 // not cut into blocks yet
	Shadow uint64 // the writer's own memory, outside the arena
	Tables int    // tables that are not closed
}

// NewArena returns an arena in words, which are zero and belong to it from now
// on; mapped memory may lie behind them, and is touched only as far as it is
// used. Readers of all its tables take part in domain. It fails when there are
// fewer than 128 words, or more than 2^28.
func NewArena(words []uint64, domain *epoch.Domain) (*Arena, error) {
	if len(words) < 2*reservedWords || len(words) > maxWords {
		return nil, fmt.Errorf("fib: arena of %d words: give %d to 2^28", len(words), 2*reservedWords)
	}
	return newArena(words, len(words), nil, domain), nil
}

// NewGrowingArena is NewArena for words of which only the first ones may be used
// as yet. When they are full, grow is asked for more: once it returns without an
// error, as many words from the start as it was asked for may be used, and hold
// what stood there. It is called with the arena's lock held, so that nothing in
// the memory changes meanwhile, and must not call the arena. Its error makes a
// change fail with ErrFull, and is asked for again with the next change.
func NewGrowingArena(words []uint64, first int, grow func(words int) error, domain *epoch.Domain) (*Arena, error) {
	if first < 2*reservedWords || first > len(words) || len(words) > maxWords {
		return nil, fmt.Errorf("fib: arena that starts with %d of %d words: give %d to 2^28", first, len(words), 2*reservedWords)
	}
	return newArena(words, first, grow, domain), nil
}

func newArena(words []uint64, first int, grow func(words int) error, domain *epoch.Domain) *Arena {
	a := &Arena{
		mem:   words,
		limit: uint32(first) &^ (lineWords - 1),
		grow:  grow,
		fresh: extent{reservedWords, uint32(first)&^(lineWords-1) - reservedWords},
		limbo: epoch.NewLimbo[extent](domain),
	}
	a.w.a = a
	a.stats.Size = 8 * uint64(len(words))
	a.stats.Used = 8 * reservedWords
	return a
}

// NewHeapArena returns an arena of about size bytes in Go's heap.
func NewHeapArena(size int, domain *epoch.Domain) (*Arena, error) {
	return NewArena(make([]uint64, max(size, 0)/8), domain)
}

// Words returns the arena's memory, for those who read it by offset. They must
// not write to it, and must take part in the domain.
func (a *Arena) Words() []uint64 { return a.mem }

// Stats returns where the memory is now.
func (a *Arena) Stats() ArenaStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stats
	s.Room, s.Rest = 8*uint64(a.limit), 8*uint64(a.fresh.words+a.scraps)
	for i := range a.stocks {
		s.Rest += 8 * uint64(a.stocks[i].fresh.words)
	}
	s.Shadow = a.shadow.bytes()
	return s
}

// Reclaim takes back the blocks whose grace period has passed. Changes do so
// by themselves now and then; this is for idle times.
func (a *Arena) Reclaim() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reclaim()
}

func (a *Arena) reclaim() {
	a.retired = 0
	a.limbo.Reclaim(func(e extent) {
		a.stats.Limbo -= 8 * uint64(e.words)
		a.release(e)
	})
}

// class returns how many words are set aside for a block that needs n.
func class(n uint32) uint32 {
	if n <= lineWords || n > maxBlock {
		return n
	}
	return (n + 1) &^ 1
}

// alloc returns the start of n words of a kind with any content, or 0 when the arena
// is full. n is a class. They lie in one line if they can, and else begin with one.
func (a *Arena) alloc(kind uint8, n uint32) uint32 {
	s := &a.stocks[kind]
	if at := a.take(s, n); at != 0 {
		return at
	}
	if at := a.scrap(s, n); at != 0 {
		return at
	}
	lines := (n + lineWords - 1) &^ (lineWords - 1)
	from := a.source(kind, lines)
	if from == nil {
		// Nothing of this size and nothing fresh. First what readers have
		// passed, then of what is for others, then a piece of something larger.
		a.reclaim()
		if at := a.take(s, n); at != 0 {
			return at
		}
		for i := range a.stocks {
			o := &a.stocks[i]
			if at := a.take(o, n); at != 0 {
				return at
			}
			if at := a.scrap(o, n); at != 0 {
				return at
			}
			if from == nil && o.fresh.words >= lines+a.heldBack() {
				from = &o.fresh
			}
		}
		if from == nil {
			if at := a.split(kind, n); at != 0 {
				return at
			}
			want := lines + a.heldBack()
			if !a.refresh(want) && !a.extend(want) {
				return 0
			}
			from = a.source(kind, lines)
		}
	}
	at := from.start
	from.start += lines
	from.words -= lines
	a.stats.Used += 8 * uint64(n)
	a.keep(at+n, lines-n)
	return at
}

// source returns where so many fresh words, whole lines, are cut from: the stock's
// own, which takes another page if it has to, or for large ones what is for all. It
// returns nil when neither has them.
func (a *Arena) source(kind uint8, lines uint32) *extent {
	s := &a.stocks[kind]
	held := a.heldBack()
	switch {
	case s.fresh.words >= lines && s.fresh.words+a.fresh.words >= lines+held:
		return &s.fresh
	case lines > pageWords/2:
		if a.fresh.words >= lines+held {
			return &a.fresh
		}
		return nil
	}
	run := min(pageWords-a.fresh.start%pageWords, a.fresh.words)
	if a.fresh.words < lines+held {
		return nil
	}
	if run < lines {
		return &a.fresh
	}
	a.scatter(s.fresh)
	s.fresh = extent{a.fresh.start, run}
	a.fresh.start += run
	a.fresh.words -= run
	a.assign(s.fresh.start, kind)
	return &s.fresh
}

// assign notes that a page of memory is for a kind.
func (a *Arena) assign(at uint32, kind uint8) {
	i := int(at / pageWords)
	for len(a.kindOf) <= i {
		a.kindOf = append(a.kindOf, kindOther)
	}
	a.kindOf[i] = kind
}

// stockOf returns where free words belong.
func (a *Arena) stockOf(at uint32) *stock {
	if i := int(at / pageWords); i < len(a.kindOf) {
		return &a.stocks[a.kindOf[i]]
	}
	return &a.stocks[kindOther]
}

// holdBack is up to how many words only deletes may use, as these write what is
// left of a block before they free it.
const holdBack = 64

func (a *Arena) heldBack() uint32 {
	if a.w.removing {
		return 0
	}
	return min(holdBack, a.limit/64) &^ (lineWords - 1)
}

// keep puts what a block has left of its line on a list of its own, so that it
// is used before a fresh line is cut.
func (a *Arena) keep(at, words uint32) {
	if words == 0 {
		return
	}
	s := a.stockOf(at)
	a.mem[at] = uint64(s.rest[words])
	s.rest[words] = at
	a.scraps += words
}

// scrap finds n words in what a stock has left of lines.
func (a *Arena) scrap(s *stock, n uint32) uint32 {
	for m := n; m < lineWords; m++ {
		at := s.rest[m]
		if at == 0 {
			continue
		}
		s.rest[m] = uint32(a.mem[at])
		a.scraps -= m
		a.stats.Used += 8 * uint64(n)
		a.keep(at+n, m-n)
		return at
	}
	return 0
}

// take finds free words of exactly size n: of a stock, or those of a root.
func (a *Arena) take(s *stock, n uint32) uint32 {
	var at uint32
	if n <= maxClass {
		if at = s.free[n]; at == 0 {
			return 0
		}
		s.free[n] = uint32(a.mem[at])
	} else {
		i := slices.IndexFunc(a.large, func(e extent) bool { return e.words == n })
		if i < 0 {
			return 0
		}
		at = a.large[i].start
		a.large = slices.Delete(a.large, i, i+1)
	}
	a.stats.Free -= 8 * uint64(n)
	a.stats.Used += 8 * uint64(n)
	return at
}

// split cuts n words off a larger free block, of the kind if there is one.
func (a *Arena) split(kind uint8, n uint32) uint32 {
	for i := range a.stocks {
		s := &a.stocks[(int(kind)+i)%kinds]
		for m := n + 1; m <= maxClass; m++ {
			if s.free[m] == 0 {
				continue
			}
			at := a.take(s, m)
			a.stats.Used -= 8 * uint64(m-n)
			a.scatter(extent{at + n, m - n})
			return at
		}
	}
	return 0
}

// refresh makes a free root, at least n words large, the fresh memory.
func (a *Arena) refresh(n uint32) bool {
	i := slices.IndexFunc(a.large, func(e extent) bool { return e.words >= n })
	if i < 0 {
		return false
	}
	rest := a.fresh
	a.fresh = a.large[i]
	a.large = slices.Delete(a.large, i, i+1)
	a.stats.Free -= 8 * uint64(a.fresh.words)
	a.scatter(rest)
	if odd := a.fresh.words % lineWords; odd != 0 {
		a.fresh.words -= odd
		a.scatter(extent{a.fresh.start + a.fresh.words, odd})
	}
	return true
}

// steepUntil is up to how many words the arena quadruples, and beyond which it
// doubles: growing costs readers' programs a change of tables.
const steepUntil = 1 << 19

// extend asks for more memory, until n words are fresh, and reports whether there
// is enough.
func (a *Arena) extend(n uint32) bool {
	if a.grow == nil {
		return false
	}
	limit := uint64(a.limit)
	for limit < uint64(a.limit)+uint64(n) {
		if limit *= 2; limit < steepUntil {
			limit *= 2
		}
	}
	if most := uint64(len(a.mem)) &^ (lineWords - 1); uint64(a.limit)+uint64(n) <= most {
		limit = min(limit, most)
	}
	a.refused = a.grow(int(limit))
	if a.refused == nil && limit > uint64(len(a.mem)) {
		a.refused = fmt.Errorf("%d octets are set aside", 8*len(a.mem))
	}
	if a.refused != nil {
		return false
	}
	more := extent{a.limit, uint32(limit) - a.limit}
	if a.fresh.start+a.fresh.words == a.limit {
		a.fresh.words += more.words
	} else {
		rest := a.fresh
		a.fresh = more
		a.scatter(rest)
	}
	a.limit = uint32(limit)
	return true
}

// full is ErrFull, and why.
func (a *Arena) full() error {
	if a.refused == nil {
		return ErrFull
	}
	return &fullError{a.refused}
}

type fullError struct{ why error }

func (e *fullError) Error() string   { return ErrFull.Error() + ": " + e.why.Error() }
func (*fullError) Is(err error) bool { return err == ErrFull }
func (e *fullError) Unwrap() error   { return e.why }

// scatter puts words of any number on the free lists, none of less than a line
// beyond the end of its line.
func (a *Arena) scatter(e extent) {
	for e.words > 0 {
		n := min(e.words, lineWords-e.start%lineWords)
		if n == lineWords {
			n = min(e.words&^(lineWords-1), 64)
		}
		a.release(extent{e.start, n})
		e.start += n
		e.words -= n
	}
}

// release puts words that nobody reads on their free list.
func (a *Arena) release(e extent) {
	a.stats.Free += 8 * uint64(e.words)
	if e.words > maxClass {
		a.large = append(a.large, e)
		return
	}
	s := a.stockOf(e.start)
	a.mem[e.start] = uint64(s.free[e.words])
	s.free[e.words] = e.start
}

// giveBack releases words that were allocated and never published.
func (a *Arena) giveBack(e extent) {
	a.stats.Used -= 8 * uint64(e.words)
	a.release(e)
}

// retire releases words once the readers have passed.
func (a *Arena) retire(e extent) {
	a.stats.Used -= 8 * uint64(e.words)
	a.stats.Limbo += 8 * uint64(e.words)
	a.limbo.Retire(e)
	if a.retired++; a.retired >= reclaimEvery {
		a.reclaim()
	}
}
