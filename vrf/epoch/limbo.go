package epoch

// chunkItems is how many items a chunk of a Limbo holds: large enough to make
// the chunk's own cost vanish, small enough that an idle Limbo is small.
const chunkItems = 1022

// chunk holds items that were retired in the same epoch.
type chunk[T any] struct {
	epoch uint64
	next  *chunk[T]
	n     int
	item  [chunkItems]T
}

// A Limbo keeps retired items of one type until their grace period has passed.
// Retiring costs an append into a chunk; chunks are used again, so that a
// stream of millions of items makes no garbage. T is whatever names the item:
// an offset, a (kind, reference) pair, a func().
//
// A Limbo belongs to one writer: its methods must not run concurrently.
type Limbo[T any] struct {
	domain *Domain
	first  *chunk[T] // oldest
	last   *chunk[T] // the one being filled
	spare  *chunk[T] // at most one: bursts give their chunks back to Go
	length int
}

// NewLimbo returns an empty Limbo that follows d.
func NewLimbo[T any](d *Domain) *Limbo[T] { return &Limbo[T]{domain: d} }

// Domain returns the domain that l follows.
func (l *Limbo[T]) Domain() *Domain { return l.domain }

// Len returns how many items wait.
func (l *Limbo[T]) Len() int { return l.length }

// Retire hands over an item that no new reader can reach any more: unlink it
// first.
func (l *Limbo[T]) Retire(item T) {
	c := l.last
	e := l.domain.Epoch()
	if c == nil || c.n == chunkItems || c.epoch != e {
		c = l.push(e)
	}
	c.item[c.n] = item
	c.n++
	l.length++
}

func (l *Limbo[T]) push(e uint64) *chunk[T] {
	c := l.spare
	if c == nil {
		c = &chunk[T]{}
	}
	l.spare = nil
	c.epoch, c.next, c.n = e, nil, 0
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	return c
}

// Reclaim starts a new epoch where that is needed, calls free for every item
// whose grace period has passed, oldest first, and returns their number. It
// never waits; call it now and then, not for every item, because it looks at
// every reader. free must not call the Limbo.
func (l *Limbo[T]) Reclaim(free func(T)) int {
	if l.length == 0 {
		return 0
	}
	if l.last.epoch == l.domain.Epoch() {
		l.domain.Advance()
	}
	passed := l.domain.Passed()
	freed := 0
	for l.first != nil && l.first.epoch < passed {
		c := l.first
		for i := range c.n {
			free(c.item[i])
		}
		freed += c.n
		clear(c.item[:c.n]) // what T points to is garbage now
		if l.first = c.next; l.first == nil {
			l.last = nil
		}
		l.spare = c
	}
	l.length -= freed
	return freed
}

// Each calls f for every item that waits, oldest first.
func (l *Limbo[T]) Each(f func(T)) {
	for c := l.first; c != nil; c = c.next {
		for i := range c.n {
			f(c.item[i])
		}
	}
}
