package fib

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sort"
)

// check walks all that an arena and its tables hold, compares it with what
// the structure promises, and accounts for every word of the arena and every
// entry of the shadow.
func check(a *Arena, tables ...*Table) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := checker{a: a, shadows: map[uint32]bool{}}
	c.add(0, reservedWords, "reserved")
	for i, w := range a.mem[:reservedWords] {
		if w != 0 {
			return fmt.Errorf("reserved word %d is %#x", i, w)
		}
	}
	open := 0
	for _, t := range tables {
		if t.closed {
			continue
		}
		open++
		c.add(t.rec, recordWords, "record")
		for f := range t.family {
			if err := c.root(&t.family[f]); err != nil {
				return err
			}
		}
	}
	if open != a.stats.Tables {
		return fmt.Errorf("%d tables counted, %d open", a.stats.Tables, open)
	}
	used := c.words
	c.words = 0
	for i := range a.stocks {
		for n, at := range a.stocks[i].free {
			for ; at != 0; at = uint32(a.mem[at]) {
				c.add(at, uint32(n), "free")
			}
		}
	}
	for _, e := range a.large {
		c.add(e.start, e.words, "large")
	}
	free := c.words
	c.words = 0
	for i := range a.stocks {
		for n, at := range a.stocks[i].rest {
			for ; at != 0; at = uint32(a.mem[at]) {
				c.add(at, uint32(n), "rest")
			}
		}
	}
	if rest := uint32(c.words); rest != a.scraps {
		return fmt.Errorf("%d words are counted as rests, %d there", a.scraps, rest)
	}
	c.words = 0
	a.limbo.Each(func(e extent) { c.add(e.start, e.words, "limbo") })
	limbo := c.words
	c.add(a.fresh.start, a.fresh.words, "fresh")
	for i := range a.stocks {
		c.add(a.stocks[i].fresh.start, a.stocks[i].fresh.words, "fresh")
	}
	if got, want := [3]uint64{a.stats.Used, a.stats.Free, a.stats.Limbo}, [3]uint64{8 * used, 8 * free, 8 * limbo}; got != want {
		return fmt.Errorf("stats say used, free, limbo are %d, the arena %d", got, want)
	}
	sort.Slice(c.extents, func(i, j int) bool { return c.extents[i].start < c.extents[j].start })
	next := uint32(0)
	for _, e := range c.extents {
		if e.words == 0 {
			continue
		}
		if e.start != next {
			return fmt.Errorf("%s at word %d, but what is before ends at %d", e.what, e.start, next)
		}
		next += e.words
	}
	if int(next) != int(a.limit) {
		return fmt.Errorf("%d of %d words are accounted for", next, int(a.limit))
	}
	return c.shadow()
}

type checker struct {
	a       *Arena
	words   uint64
	extents []named
	shadows map[uint32]bool
}

type named struct {
	start, words uint32
	what         string
}

func (c *checker) add(start, words uint32, what string) {
	c.words += uint64(words)
	c.extents = append(c.extents, named{start, words, what})
}

func (c *checker) root(r *root) error {
	if got := c.a.mem[r.word]; got != r.packed() {
		return fmt.Errorf("record has root %#x, want %#x", got, r.packed())
	}
	if got := c.a.load(r.innerNextHop()); got != r.array[1] {
		return fmt.Errorf("record has default next hop %d, want %d", got, r.array[1])
	}
	count, err := c.slots(r)
	if err == nil && count != r.count {
		return fmt.Errorf("%d routes counted, %d are there", r.count, count)
	}
	return err
}

// slots checks a root, or a page of one, and counts its routes.
func (c *checker) slots(r *root) (count int, err error) {
	if r.bits > 0 {
		c.add(r.slots, 1<<r.bits, "root")
	}
	for _, nh := range r.array {
		if nh != 0 {
			count++
		}
	}
	for s := range uint32(1) << r.bits {
		_, want := r.match(1<<r.bits | s)
		if want == 0 {
			want = r.covering()
		}
		if r.bits > 0 && c.a.load(r.nextHopPlace(s)) != want {
			return 0, fmt.Errorf("slot %d has next hop %d, want %d", s, c.a.load(r.nextHopPlace(s)), want)
		}
		n, ref := 0, c.a.load(r.referencePlace(s))
		if p := r.pages[s]; p == nil {
			n, err = c.block(ref, r.depth+r.bits)
		} else if n, err = c.slots(p); ref != p.reference() || p.outer != r || p.slot != s || p.array[1] != 0 {
			return 0, fmt.Errorf("slot %d has reference %#x, want that of its page: %#x", s, ref, p.reference())
		}
		if err != nil {
			return 0, fmt.Errorf("slot %d: %w", s, err)
		}
		count += n
		if r.below != nil && int(r.below[s]) != n {
			return 0, fmt.Errorf("slot %d has %d routes below, counted as %d", s, n, r.below[s])
		}
	}
	return count, nil
}

func (c *checker) block(ref uint32, depth uint) (int, error) {
	if ref == 0 {
		return 0, nil
	}
	e := c.a.extent(ref)
	c.add(e.start, e.words, "block")
	path, skip := c.a.skip(ref)
	if ref&flagSkip != 0 && (skip == 0 || skip > maxSkip || skip%stride != 0) {
		return 0, fmt.Errorf("block %d skips %d bits", ref, skip)
	}
	if skip > 0 && path&(1<<(64-skip)-1) != 0 {
		return 0, fmt.Errorf("block %d: path %#x is longer than %d bits", ref, path, skip)
	}
	if line := e.start / lineWords; e.words <= lineWords && (e.start+e.words-1)/lineWords != line {
		return 0, fmt.Errorf("block %d of %d words lies in two lines", ref, e.words)
	} else if e.words > lineWords && e.start%lineWords != 0 {
		return 0, fmt.Errorf("block %d of %d words begins within a line", ref, e.words)
	}
	depth += skip
	if depth >= 128 {
		return 0, fmt.Errorf("block %d is at depth %d", ref, depth)
	}
	var n node
	c.a.read(ref, &n)
	if n.set.n == 0 && n.nkids == 0 {
		return 0, fmt.Errorf("block %d at depth %d is empty", ref, depth)
	}
	if (n.set.n == 0) != (n.shadow == 0) || c.shadows[n.shadow] && n.shadow != 0 {
		return 0, fmt.Errorf("block %d: shadow %d with %d prefixes, or seen twice", ref, n.shadow, n.set.n)
	}
	c.shadows[n.shadow] = true
	var leaf [64]uint32
	starts, leaves := n.set.leaves(&leaf)
	// There may be runs that are like the one before, but not without end.
	got := c.a.mem[anchor(ref)]
	if starts&^got != 0 {
		return 0, fmt.Errorf("block %d: leaf bits %#x, want %#x", ref, got, starts)
	}
	if all := c.a.leaves(ref); all > leaves && all > 6*(n.set.n+1) {
		return 0, fmt.Errorf("block %d has %d leaves for %d prefixes, which need %d", ref, all, n.set.n, leaves)
	}
	for slot := range uint(64) {
		if slot > 0 && got>>slot&1 == 0 {
			continue
		}
		want := leaf[bits.OnesCount64(starts&after(slot))]
		if got := c.a.load(leafPlace(ref, bits.OnesCount64(got&after(slot)))); got != want {
			return 0, fmt.Errorf("block %d: the leaf of slot %d is %d, want %d", ref, slot, got, want)
		}
	}
	count := n.set.n
	for _, kid := range n.kid[:n.nkids] {
		if kid == 0 {
			return 0, fmt.Errorf("block %d has a child bit without a child", ref)
		}
		below, err := c.block(kid, depth+stride)
		if err != nil {
			return 0, err
		}
		count += below
	}
	return count, nil
}

// shadow accounts for the shadow's entries.
func (c *checker) shadow() error {
	s := &c.a.shadow
	var ends []named
	for ref := range c.shadows {
		if ref != 0 {
			w := s.at(ref)
			ends = append(ends, named{ref, shadowWords(bits.OnesCount64(w[0]) + bits.OnesCount64(w[1])), "entry"})
		}
	}
	for n, ref := range s.free {
		for ; ref != 0; ref = uint32(s.at(ref)[0]) {
			ends = append(ends, named{ref, uint32(n), "free entry"})
		}
	}
	slices.SortFunc(ends, func(a, b named) int { return int(a.start) - int(b.start) })
	next := uint32(1)
	for _, e := range ends {
		if e.start != next && (e.start%shadowChunk != 0 || e.start-next >= maxShadow) {
			return fmt.Errorf("%s at %d of the shadow, but what is before ends at %d", e.what, e.start, next)
		}
		next = e.start + e.words
	}
	if s.mark != 0 && s.mark != next {
		return fmt.Errorf("the shadow ends at %d, its entries at %d", s.mark, next)
	}
	return nil
}

// lookup looks an address up as the packet path does.
func (t *Table) lookup(addr netip.Addr) uint32 {
	c := split(addr)
	if addr.Is4() {
		return t.Lookup4(uint32(c.hi >> 32))
	}
	return t.Lookup6(c.hi, c.lo)
}
