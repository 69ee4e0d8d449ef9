package fib

import "math/bits"

// apply makes the changes in the subtree that ref names, which begins at bit
// depth, and returns what names it afterwards. The first used bits that ref
// skips lie before depth and are dropped. All changes are longer than depth,
// agree in the bits before it, and are sorted and unique; apply may reorder
// the slice's memory.
func (w *writer) apply(ref uint32, used, depth uint, ch []change, level int) (uint32, error) {
	if ref == 0 {
		return w.grow(depth, ch, level)
	}
	path, n := w.a.skip(ref)
	path, n = path<<used, n-used
	if n > 0 {
		keep := n // how many of the skipped bits all new routes share
		rest := ch[:0]
		for _, c := range ch {
			same := min(uint(bits.LeadingZeros64(c.window(depth)^path)), n)
			same = min(same, uint(c.length)-1-depth)
			same -= same % stride
			switch {
			case same >= n:
			case c.nh == 0:
				continue // not there: nothing to delete
			default:
				keep = min(keep, same)
			}
			rest = append(rest, c)
		}
		ch = rest
		if keep < n {
			return w.fork(ref, used, depth, keep, ch, level)
		}
	}
	if len(ch) == 0 {
		return w.shorten(ref, used)
	}
	base := depth + n

	// The usual case, a change somewhere below a single child, does not touch
	// the block itself.
	first, last := &ch[0], &ch[len(ch)-1]
	if slot := first.slot(base); used == 0 && uint(first.length) > base+stride && slot == last.slot(base) {
		if at, ok := w.a.child(ref, slot); ok {
			old := w.a.load(at)
			fresh, err := w.apply(old, 0, base+stride, ch, level+1)
			switch {
			case err != nil || fresh == old:
				return ref, err
			case fresh != 0:
				w.store(at, fresh)
				return ref, nil
			}
			nd := &w.scratch[level]
			w.a.read(ref, nd)
			nd.skip = skipWord(path, n)
			nd.link(slot, 0)
			w.kill(ref)
			return w.finish(nd, false, len(w.stores))
		}
	}

	nd := &w.scratch[level]
	if len(ch) == 1 && used == 0 {
		switch w.alone(ref, nd, first, base) {
		case made:
			return ref, nil
		case rebuilt:
			nd.skip = skipWord(path, n)
			w.kill(ref)
			return w.finish(nd, true, len(w.stores))
		case refused:
		}
	}
	w.a.read(ref, nd)
	nd.skip = skipWord(path, n)
	kids, mark := nd.kids, len(w.stores)
	dirty, moved, err := w.edit(nd, base, ch, 0, 0, level)
	switch {
	case err != nil:
		return 0, err
	case used > 0 || nd.kids != kids || dirty && (moved != 0 || !w.inPlace(ref, nd)):
		w.kill(ref)
		return w.finish(nd, dirty, mark)
	case dirty:
		return ref, nil
	}
	for ; moved != 0; moved &= moved - 1 {
		slot := uint(bits.TrailingZeros64(moved))
		at, _ := w.a.child(ref, slot)
		w.store(at, nd.kid[nd.rank(slot)])
	}
	return ref, nil
}

// edit makes the changes in the node that begins at bit base: in its own
// prefixes, which dirty reports, and in its children's subtrees, where moved
// has the slots of those that were there before and changed their name. The
// child at slot odd, if any, is an old block of whose skipped bits used are
// dropped.
func (w *writer) edit(nd *node, base uint, ch []change, odd, used uint, level int) (dirty bool, moved uint64, err error) {
	for len(ch) > 0 {
		c := &ch[0]
		slot := c.slot(base)
		if uint(c.length) <= base+stride {
			if w.setLocal(&nd.set, prefixIndex(slot, uint(c.length)-base), c.nh) {
				dirty = true
			}
			ch = ch[1:]
			continue
		}
		n := 1
		for n < len(ch) && ch[n].slot(base) == slot {
			n++
		}
		old, skipped := uint32(0), uint(0)
		if nd.kids>>slot&1 != 0 {
			old = nd.kid[nd.rank(slot)]
			if slot == odd {
				skipped = used
			}
		}
		fresh, err := w.apply(old, skipped, base+stride, ch[:n], level+1)
		if err != nil {
			return false, 0, err
		}
		if fresh != old {
			nd.link(slot, fresh)
			if old != 0 && fresh != 0 {
				moved |= 1 << slot
			}
		}
		ch = ch[n:]
	}
	return dirty, moved, nil
}

// setLocal makes one change in a set and reports whether it did.
func (w *writer) setLocal(set *prefixSet, index uint, nh uint32) bool {
	if nh == 0 {
		if set.remove(index) == 0 {
			return false
		}
		w.removed++
		return true
	}
	old := set.set(index, nh)
	if old == 0 {
		w.added++
	}
	return old != nh
}

// grow builds a subtree out of the routes among the changes.
func (w *writer) grow(depth uint, ch []change, level int) (uint32, error) {
	rest := ch[:0]
	for _, c := range ch {
		if c.nh != 0 {
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		return 0, nil
	}
	// Sorted, so what the first and the last share, all do.
	path := rest[0].window(depth)
	n := uint(bits.LeadingZeros64(path ^ rest[len(rest)-1].window(depth)))
	for i := range rest {
		n = min(n, uint(rest[i].length)-1-depth)
	}
	n = min(n-n%stride, maxSkip)
	nd := &w.scratch[level]
	nd.empty()
	nd.skip = skipWord(path, n)
	if _, _, err := w.edit(nd, depth+n, rest, 0, 0, level); err != nil {
		return 0, err
	}
	return w.write(nd, nd.set.n > 0)
}

// fork puts a node before ref, after keep of its skipped bits, and makes the
// changes there.
func (w *writer) fork(ref uint32, used, depth, keep uint, ch []change, level int) (uint32, error) {
	path, _ := w.a.skip(ref)
	path <<= used
	nd := &w.scratch[level]
	nd.empty()
	nd.skip = skipWord(path, keep)
	slot := uint(path << keep >> (64 - stride))
	nd.link(slot, ref)
	used += keep + stride
	mark := len(w.stores)
	dirty, moved, err := w.edit(nd, depth+keep, ch, slot, used, level)
	if err != nil {
		return 0, err
	}
	if nd.kids>>slot&1 != 0 && moved>>slot&1 == 0 && nd.kid[nd.rank(slot)] == ref {
		// No change below it, so it still has bits that now lie before it.
		fresh, err := w.shorten(ref, used)
		if err != nil {
			return 0, err
		}
		nd.link(slot, fresh)
	}
	return w.finish(nd, dirty, mark)
}

// finish builds the node, or what does the same with fewer blocks: nothing
// for an empty one, the child for one that has no more than that. What was
// done below the node stands in the journal from mark on.
func (w *writer) finish(nd *node, dirty bool, mark int) (uint32, error) {
	if nd.set.n > 0 || nd.nkids > 1 {
		return w.write(nd, dirty)
	}
	if dirty {
		w.reshadow(nd)
	}
	if nd.nkids == 0 {
		return 0, nil
	}
	path, n := splitSkip(nd.skip)
	below, m := w.a.skip(nd.kid[0])
	if n+stride+m > maxSkip {
		return w.write(nd, false)
	}
	slot := uint64(bits.TrailingZeros64(nd.kids))
	path |= slot<<(64-stride)>>n | below>>(n+stride)
	kid := nd.kid[0]
	fresh, err := w.clone(kid, skipWord(path, n+stride+m))
	if err != nil {
		return 0, err
	}
	// What the journal would store in the child belongs into its copy.
	for _, s := range w.stores[mark:] {
		if to, ok := w.a.moved(s.at, kid, fresh); ok {
			w.a.store(to, s.value)
		}
	}
	return fresh, nil
}

// inPlace makes a change to the prefixes of a block that moves no run of
// leaves and gives at most one of them another next hop, by storing that.
func (w *writer) inPlace(ref uint32, nd *node) bool {
	nd.spread()
	if nd.starts != w.a.mem[anchor(ref)] || nd.set.n == 0 {
		return false
	}
	differs := -1
	for i, nh := range nd.leaf[:nd.leaves] {
		if w.a.load(leafPlace(ref, i)) == nh {
			continue
		}
		if differs >= 0 || nh > widest(widthOf(ref)) {
			return false
		}
		differs = i
	}
	if differs >= 0 {
		w.store(leafPlace(ref, differs), nd.leaf[differs])
	}
	w.owners = append(w.owners, owner{ref, nd.shadow})
	w.reshadow(nd)
	w.a.shadow.setOf(ref, nd.shadow)
	return true
}
