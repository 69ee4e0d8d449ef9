package session

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// A Table leads from packets to values. Lookup may be called from any number of
// goroutines at any time; Set and Delete from one at a time. Make it with New.
//
// A lookup that runs while the table changes finds, for each entry that is
// changed, the old or the new state of it. So what replaces an entry of another
// match is best set before that one is deleted.
type Table[V any] struct {
	seed uint64
	// lists are the shapes to be tried for each protocol, the most specific one
	// first. An element is replaced as a whole.
	lists [numProtocols]atomic.Pointer[[]*bucket[V]]

	// The writer's own.
	shapes map[Shape]*bucket[V]
	n      int
}

// A bucket holds the entries of one shape, in a hash table with open addressing.
type bucket[V any] struct {
	shape Shape
	mask  mask
	slots atomic.Pointer[[]slot[V]] // a power of two of them, at most half full

	// The writer's own.
	used, live int // slots that are not empty; those that hold an entry
	protocols  map[Protocol]int
}

// A slot is empty, deleted (an entry without a value), or holds an entry, which
// never changes.
type slot[V any] struct{ entry atomic.Pointer[entry[V]] }

type entry[V any] struct {
	hash  uint64
	key   Key
	match Match
	value *V
}

// minSlots is the size of a new hash table.
const minSlots = 8

// New returns an empty table.
func New[V any]() *Table[V] {
	t := &Table[V]{seed: rand.Uint64() | 1, shapes: make(map[Shape]*bucket[V])}
	none := []*bucket[V]{}
	for i := range t.lists {
		t.lists[i].Store(&none)
	}
	return t
}

// Len is the number of entries; it is the writer's to ask.
func (t *Table[V]) Len() int { return t.n }

// Shapes is the number of shapes, which bounds the probes of a lookup; it is the
// writer's to ask.
func (t *Table[V]) Shapes() int { return len(t.shapes) }

// Lookup returns the value of the most specific entry that matches k, nil when
// none does.
func (t *Table[V]) Lookup(k *Key) *V {
	p := k.protocol()
	if p >= numProtocols {
		return nil
	}
	for _, b := range *t.lists[p].Load() {
		if v := b.find(k, t.seed); v != nil {
			return v
		}
	}
	return nil
}

func (b *bucket[V]) find(k *Key, seed uint64) *V {
	masked := b.mask.apply(k)
	h := masked.hash(seed, b.mask.addresses)
	slots := *b.slots.Load()
	for i := h; ; i++ {
		e := slots[i&uint64(len(slots)-1)].entry.Load()
		if e == nil {
			return nil
		}
		if e.hash == h && e.value != nil && e.key == masked {
			return e.value
		}
	}
}

// hash mixes the words of a masked key; those of addresses that nobody looks at
// are zero, and left out.
func (k *Key) hash(seed uint64, addresses bool) uint64 {
	h := mix(k.head[0]^seed, 0x9e3779b97f4a7c15)
	h = mix(h^k.head[1], 0xbf58476d1ce4e5b9)
	if addresses {
		h = mix(h^k.addr[0], 0x94d049bb133111eb)
		h = mix(h^k.addr[1], 0xd6e8feb86659fd93)
		h = mix(h^k.addr[2], 0xa0761d6478bd642f)
		h = mix(h^k.addr[3], 0xe7037ed1a0b428db)
	}
	return h
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo ^ b
}

// Set gives the packets of m the value v, which readers see as it is. An entry of
// the same match is replaced.
func (t *Table[V]) Set(m Match, v *V) {
	b := t.bucket(m)
	key := m.key()
	e := &entry[V]{hash: key.hash(t.seed, b.mask.addresses), key: key, match: m, value: v}
	if s := b.slot(e.hash, &key); s != nil {
		s.entry.Store(e)
		return
	}
	if slots := *b.slots.Load(); 2*(b.used+1) > len(slots) {
		b.grow()
	}
	b.insert(*b.slots.Load(), e)
	b.used++
	b.live++
	t.n++
	t.count(b, m, 1)
}

// Delete takes the entry of m away, if its value is v; so one that has been
// replaced stays. It reports whether there was one.
func (t *Table[V]) Delete(m Match, v *V) bool {
	b := t.shapes[m.Shape()]
	if b == nil {
		return false
	}
	key := m.key()
	hash := key.hash(t.seed, b.mask.addresses)
	s := b.slot(hash, &key)
	if s == nil || s.entry.Load().value != v {
		return false
	}
	// It stays as a step for what was inserted behind it.
	s.entry.Store(&entry[V]{hash: hash})
	b.live--
	t.n--
	t.count(b, m, -1)
	return true
}

func (t *Table[V]) bucket(m Match) *bucket[V] {
	shape := m.Shape()
	b := t.shapes[shape]
	if b == nil {
		b = &bucket[V]{shape: shape, mask: shape.mask(), protocols: make(map[Protocol]int)}
		slots := make([]slot[V], minSlots)
		b.slots.Store(&slots)
		t.shapes[shape] = b
	}
	return b
}

// slot finds the slot that holds key, nil when none does.
func (b *bucket[V]) slot(hash uint64, key *Key) *slot[V] {
	slots := *b.slots.Load()
	for i := hash; ; i++ {
		s := &slots[i&uint64(len(slots)-1)]
		e := s.entry.Load()
		if e == nil {
			return nil
		}
		if e.value != nil && e.hash == hash && e.key == *key {
			return s
		}
	}
}

// insert puts an entry that is not in slots into the first empty slot of its way.
func (b *bucket[V]) insert(slots []slot[V], e *entry[V]) {
	i := e.hash
	for slots[i&uint64(len(slots)-1)].entry.Load() != nil {
		i++
	}
	slots[i&uint64(len(slots)-1)].entry.Store(e)
}

// grow moves the entries into a new hash table, without those that are deleted.
func (b *bucket[V]) grow() {
	size := minSlots
	for size < 4*(b.live+1) {
		size *= 2
	}
	slots := make([]slot[V], size)
	old := *b.slots.Load()
	for i := range old {
		if e := old[i].entry.Load(); e != nil && e.value != nil {
			b.insert(slots, e)
		}
	}
	b.used = b.live
	b.slots.Store(&slots)
}

// count keeps the lists: a shape is tried for the protocols that it has entries
// of.
func (t *Table[V]) count(b *bucket[V], m Match, by int) {
	p, any := m.Protocol, m.Fields&HasProtocol == 0
	if any {
		p = numProtocols // stands for all of them
	}
	was := b.protocols[p]
	b.protocols[p] = was + by
	switch {
	case was > 0 && was+by > 0:
		return
	case was+by == 0:
		delete(b.protocols, p)
	}
	if any {
		for i := range t.lists {
			t.list(Protocol(i), b, by > 0)
		}
	} else if p < numProtocols {
		t.list(p, b, by > 0)
	}
	if len(b.protocols) == 0 {
		delete(t.shapes, b.shape)
	}
}

func (t *Table[V]) list(p Protocol, b *bucket[V], add bool) {
	old := *t.lists[p].Load()
	i, found := slices.BinarySearchFunc(old, b, func(x, y *bucket[V]) int { return x.shape.Compare(y.shape) })
	var list []*bucket[V]
	switch {
	case add && !found:
		list = slices.Insert(slices.Clone(old), i, b)
	case !add && found:
		list = slices.Delete(slices.Clone(old), i, i+1)
	default:
		return
	}
	t.lists[p].Store(&list)
}

// All calls yield for each entry, in no order, until it returns false. It is
// the writer's to call.
func (t *Table[V]) All(yield func(Match, *V) bool) {
	for _, b := range t.shapes {
		slots := *b.slots.Load()
		for i := range slots {
			if e := slots[i].entry.Load(); e != nil && e.value != nil && !yield(e.match, e.value) {
				return
			}
		}
	}
}
