package fib

import "math/bits"

// writer is the journal of the transaction under way in an arena. It builds
// fresh blocks at once, but what would be seen by readers, or could not be
// undone, is noted and done by commit. So a transaction that runs out of memory
// leaves no trace.
type writer struct {
	a       *Arena
	stores  []store  // to make the fresh blocks reachable
	built   []uint32 // fresh blocks
	dead    []uint32 // blocks that the stores unlink
	roots   []extent // slots of roots that go with the commit
	news    []uint32 // fresh shadows
	olds    []uint32 // shadows that go with the commit
	hops    []hop    // single next hops to change in shadows
	owners  []owner  // blocks that have another shadow, for undoing
	direct  []direct // changes to a root's direct array, for undoing
	added   int      // routes
	removed int
	// removing says that the transaction has nothing but deletes.
	removing bool
	touched  uint64   // see touch
	scratch  [24]node // one for each level: 128 bits are 22
}

type store struct {
	at    place
	value uint32
}

// hop is the i-th next hop of the shadow at ref, to be.
type hop struct {
	ref uint32
	i   int
	nh  uint32
}

// owner remembers a block's shadow.
type owner struct{ ref, shadow uint32 }

// direct remembers what stood in a root's array.
type direct struct {
	in    []uint32
	index uint32
	old   uint32
}

// commit publishes the transaction and retires what it unlinked.
func (w *writer) commit() {
	w.publish()
	w.retire()
}

// publish makes the stores.
func (w *writer) publish() {
	for _, s := range w.stores {
		w.a.store(s.at, s.value)
	}
}

// retire ends the transaction after publish.
func (w *writer) retire() {
	for _, e := range w.roots {
		w.a.retire(e)
	}
	for _, ref := range w.dead {
		w.a.retire(w.a.extent(ref))
	}
	for _, h := range w.hops {
		w.a.shadow.setValue(h.ref, h.i, h.nh)
	}
	for _, ref := range w.olds {
		w.a.shadow.drop(ref)
	}
	w.clear()
}

// abort undoes everything since the last commit.
func (w *writer) abort() {
	for i := len(w.direct) - 1; i >= 0; i-- {
		d := w.direct[i]
		d.in[d.index] = d.old
	}
	for _, o := range w.owners {
		w.a.shadow.setOf(o.ref, o.shadow)
	}
	for _, ref := range w.built {
		w.a.giveBack(w.a.extent(ref))
	}
	for _, ref := range w.news {
		w.a.shadow.drop(ref)
	}
	w.clear()
}

// keepJournal is how many entries of each kind stay allocated between
// transactions.
const keepJournal = 4096

func (w *writer) clear() {
	w.stores = trim(w.stores)
	w.built = trim(w.built)
	w.dead = trim(w.dead)
	w.roots = trim(w.roots)
	w.news = trim(w.news)
	w.olds = trim(w.olds)
	w.hops = trim(w.hops)
	w.owners = trim(w.owners)
	clear(w.direct) // it has pointers
	w.direct = trim(w.direct)
	w.added, w.removed = 0, 0
}

func trim[T any](s []T) []T {
	if cap(s) > keepJournal {
		return nil
	}
	return s[:0]
}

func (w *writer) store(at place, v uint32) { w.stores = append(w.stores, store{at, v}) }

// kill notes that ref will be unlinked.
func (w *writer) kill(ref uint32) { w.dead = append(w.dead, ref) }

// bury notes that ref and all below it will be unlinked.
func (w *writer) bury(ref uint32) {
	if ref == 0 {
		return
	}
	w.kill(ref)
	if shadow := w.a.shadow.of(ref); shadow != 0 {
		w.olds = append(w.olds, shadow)
	}
	for i := range bits.OnesCount64(w.a.kids(ref)) {
		w.bury(w.a.load(childPlace(ref, i+1)))
	}
}

// write builds n, whose prefixes are as its shadow says unless dirty.
func (w *writer) write(n *node, dirty bool) (uint32, error) {
	if dirty {
		w.reshadow(n)
	}
	ref := w.a.write(n)
	if ref == 0 {
		return 0, w.a.full()
	}
	w.built = append(w.built, ref)
	return ref, nil
}

// reshadow replaces the shadow of n by one of its present prefixes.
func (w *writer) reshadow(n *node) {
	if n.shadow != 0 {
		w.olds = append(w.olds, n.shadow)
	}
	if n.shadow = w.a.shadow.put(&n.set); n.shadow != 0 {
		w.news = append(w.news, n.shadow)
	}
}

// clone replaces ref by a copy with other skipped bits.
func (w *writer) clone(ref uint32, skip uint64) (uint32, error) {
	fresh := w.a.clone(ref, skip)
	if fresh == 0 {
		return 0, w.a.full()
	}
	w.built = append(w.built, fresh)
	w.kill(ref)
	return fresh, nil
}

// shorten drops the first n of the block's skipped bits, by cloning it.
func (w *writer) shorten(ref uint32, n uint) (uint32, error) {
	if n == 0 {
		return ref, nil
	}
	path, have := w.a.skip(ref)
	return w.clone(ref, skipWord(path<<n, have-n))
}
