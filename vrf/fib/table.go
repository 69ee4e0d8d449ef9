package fib

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// A Table is the routes of one instance, of both families: from a prefix to a
// next hop's id, which is not 0.
//
// Lookups may run at any time, from any number of goroutines that are readers
// of the arena's epoch.Domain. All other methods take the arena's lock, so
// they may be called concurrently too, but not from within each other's
// callbacks. Use Arena.NewTable.
type Table struct {
	mem []uint64 // the arena's
	rec uint32   // offset of the record, see root.go

	a      *Arena
	family [2]root
	closed bool
}

// NewTable returns an empty table. Close it to give its memory back. The error
// is ErrFull.
func (a *Arena) NewTable() (*Table, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rec := a.alloc(kindOther, recordWords)
	if rec == 0 {
		return nil, a.full()
	}
	t := &Table{mem: a.mem, rec: rec, a: a}
	clear(a.mem[rec : rec+recordWords])
	for f := range uint32(2) {
		r := &t.family[f]
		*r = root{word: rec + recordRoot + f, inner: rec + recordSlot + f, slots: rec + recordSlot + f, array: make([]uint32, 2),
			family: uint8(f), steps: &rootSteps[f], dense: pageRoutes}
		atomic.StoreUint64(&a.mem[r.word], r.packed())
	}
	a.stats.Tables++
	return t, nil
}

// Record returns the offset in the arena's words of the table's record, where
// those begin who read the arena without this package.
func (t *Table) Record() uint32 { return t.rec }

// Len returns the number of routes of each family.
func (t *Table) Len() (v4, v6 int) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	return t.family[0].count, t.family[1].count
}

// errZero says that an id is reserved.
var errZero = errors.New("next hop 0 means no route: use Delete")

// Insert sets the route of a prefix to a next hop, whether it exists or not.
// Bits of the address past the prefix's length do not count. It fails with
// ErrFull, the table unchanged, or when the prefix is not valid or nh is 0.
func (t *Table) Insert(p netip.Prefix, nh uint32) error {
	if nh == 0 {
		return fmt.Errorf("fib: prefix %s: %w", p, errZero)
	}
	_, err := t.change(p, nh)
	return err
}

// Delete removes the route of a prefix and reports whether there was one. It
// fails with ErrFull, the table unchanged, as what remains of a block is
// written to a new one; deleting what is absent is no error.
func (t *Table) Delete(p netip.Prefix) (bool, error) {
	n, err := t.change(p, 0)
	return n != 0, err
}

// change sets one route and returns how many more there are now.
func (t *Table) change(p netip.Prefix, nh uint32) (int, error) {
	f, c, err := route(p, nh)
	if err != nil {
		return 0, err
	}
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.closed {
		return 0, errClosed
	}
	t.a.single[0] = c
	var changes [2][]change
	changes[f] = t.a.single[:]
	before := t.family[f].count
	if err := t.commit(&changes); err != nil {
		return 0, fmt.Errorf("prefix %s: %w", p, err)
	}
	return t.family[f].count - before, nil
}

var errClosed = errors.New("fib: table is closed")

// A Txn collects changes for Update, and is no more once that returns. Of several for
// the same prefix the last one counts.
type Txn struct {
	ch     [2][]change
	sorter sorter
}

// txns has those that no Update uses.
var txns = sync.Pool{New: func() any { return new(Txn) }}

// done leaves the transaction empty for the next Update.
func (x *Txn) done() {
	for f := range x.ch {
		x.ch[f] = trim(x.ch[f])
	}
	x.sorter.keys, x.sorter.out = trim(x.sorter.keys), trim(x.sorter.out)
	txns.Put(x)
}

// Insert is Table.Insert for when the transaction is committed.
func (x *Txn) Insert(p netip.Prefix, nh uint32) error {
	if nh == 0 {
		return fmt.Errorf("fib: prefix %s: %w", p, errZero)
	}
	return x.add(p, nh)
}

// Delete is Table.Delete for when the transaction is committed.
func (x *Txn) Delete(p netip.Prefix) error { return x.add(p, 0) }

func (x *Txn) add(p netip.Prefix, nh uint32) error {
	f, c, err := route(p, nh)
	if err == nil {
		x.ch[f] = append(x.ch[f], c)
	}
	return err
}

// Grow makes room for n more changes of each family.
func (x *Txn) Grow(v4, v6 int) {
	x.ch[0] = slices.Grow(x.ch[0], v4)
	x.ch[1] = slices.Grow(x.ch[1], v6)
}

// Update makes all the changes that f collects, or none: when f or the commit
// fails the table is unchanged. Each block that changes is written and
// published once, however many changes it takes; readers see the blocks change
// one by one. Changes in Walk's order are the fastest.
func (t *Table) Update(f func(*Txn) error) error {
	x := txns.Get().(*Txn)
	defer x.done()
	if err := f(x); err != nil {
		return err
	}
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.closed {
		return errClosed
	}
	for i := range x.ch {
		x.ch[i] = x.sorter.unique(x.ch[i])
		// Once and ahead, rather than in the middle of a growing table.
		if n := t.family[i].count + len(x.ch[i]); len(x.ch[i]) > rootSteps[i][0].max {
			t.family[i].fit(&t.a.w, n)
		}
	}
	return t.commit(&x.ch)
}

// SetAll sets the route of each prefix to the next hop that stands at its place in
// nexthops, or takes it away where that is 0: all of them, or with an error none. Of
// several for the same prefix the last one counts.
func (t *Table) SetAll(prefixes []netip.Prefix, nexthops []uint32) error {
	nexthops = nexthops[:len(prefixes)]
	return t.Update(func(x *Txn) error {
		for i, p := range prefixes {
			if err := x.add(p, nexthops[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// commit makes the changes of each family, which are sorted and unique. It may reorder
// the slices' memory.
func (t *Table) commit(changes *[2][]change) error {
	w := &t.a.w
	w.removing = true
	for _, ch := range changes {
		for i := range ch {
			w.removing = w.removing && ch[i].nh == 0
		}
	}
	var delta [2]int
	for f, ch := range changes {
		if len(ch) == 0 {
			continue
		}
		before := w.added - w.removed
		if err := t.family[f].apply(w, ch); err != nil {
			w.abort()
			w.removing = false
			return err
		}
		delta[f] = w.added - w.removed - before
	}
	w.commit()
	w.removing = false
	for f, ch := range changes {
		if len(ch) > 0 {
			r := &t.family[f]
			r.count += delta[f]
			r.fit(w, r.count)
		}
	}
	return nil
}

// Get returns the next hop of exactly this prefix, 0 when it has no route.
func (t *Table) Get(p netip.Prefix) uint32 {
	f, c, err := route(p, 0)
	if err != nil {
		return 0
	}
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.closed {
		return 0
	}
	if length, nh, ok := t.family[f].find(t.a, c, uint(c.length)); ok && length == uint(c.length) {
		return nh
	}
	return 0
}

// LookupPrefix returns the longest prefix that matches addr, and its next hop.
// It takes the arena's lock and looks where readers never do; it is for people
// and for tests.
func (t *Table) LookupPrefix(addr netip.Addr) (netip.Prefix, uint32, bool) {
	if !addr.IsValid() {
		return netip.Prefix{}, 0, false
	}
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.closed {
		return netip.Prefix{}, 0, false
	}
	length, nh, ok := t.family[family(addr)].find(t.a, split(addr), uint(addr.BitLen()))
	if !ok {
		return netip.Prefix{}, 0, false
	}
	return netip.PrefixFrom(addr.WithZone(""), int(length)).Masked(), nh, true
}

// Walk calls yield for each route, IPv4 first, in the order of addresses and,
// for one address, with the shorter prefix first, until yield returns false.
// It holds the arena's lock: yield must not change or close a table.
func (t *Table) Walk(yield func(p netip.Prefix, nh uint32) bool) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.closed {
		return
	}
	for f := range t.family {
		if !t.family[f].walk(t.a, 0, func(c change) bool { return yield(c.prefix(f == 1), c.nh) }) {
			return
		}
	}
}

// Close unlinks all of the table and returns its memory once readers have
// passed. Lookups answer 0 from now on, and must end before the readers' next
// quiescent point. Closing twice is no error.
func (t *Table) Close() {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	w := &t.a.w
	for f := range t.family {
		r := &t.family[f]
		r.bury(w)
		// A root of 0 bits and nothing in its slot.
		w.store(r.innerNextHop(), 0)
		w.store(r.innerReference(), 0)
		r.slots, r.bits, r.reach, r.below, r.pages = r.inner, 0, 0, nil, nil
	}
	w.publish()
	for f := range t.family {
		atomic.StoreUint64(&t.mem[t.family[f].word], t.family[f].packed())
	}
	w.roots = append(w.roots, extent{t.rec, recordWords})
	w.retire()
	t.a.stats.Tables--
}
