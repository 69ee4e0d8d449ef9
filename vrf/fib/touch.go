package fib

// touchLanes is how many blocks a batch of changes has on the way to the caches at
// once: as many misses as a core can have, twice over.
const touchLanes = 32

// touch reads what the first changes of a batch are going to wait for, one kind of
// cache line after the other for all of them: the slots of the root, the blocks on the
// way down, the owners of the last ones' shadows, the shadows. A change alone waits for
// each of these in turn; here the misses of many overlap, as nothing that is loaded
// decides what else is before all of its kind are on their way. It returns how many
// changes that was, at least one, and changes nothing.
func (w *writer) touch(r *root, ch []change) int {
	a := w.a
	var (
		of    [touchLanes]uint8 // the lane's change
		ref   [touchLanes]uint32
		depth [touchLanes]uint8
		last  [touchLanes]uint32 // blocks that no child leads on from
		seen  uint64             // keeps the loads alive
	)
	n, live, ended := 0, 0, 0
	slot := ^uint32(0)
	for ; n < len(ch) && n < 2*touchLanes && live < touchLanes; n++ {
		c := &ch[n]
		if uint(c.length) <= r.depth+r.bits {
			continue
		}
		if s := r.slotOf(c.hi); s != slot {
			slot = s
			of[live] = uint8(n)
			ref[live] = a.load(r.referencePlace(s))
			live++
		}
	}
	// Empty slots have nothing to touch, and a page does so itself.
	lanes := live
	live = 0
	for i := range lanes {
		if x := ref[i]; x != 0 && x&pageRef != pageRef {
			of[live], ref[live], depth[live] = of[i], x, uint8(r.depth+r.bits)
			live++
		}
	}
	for live > 0 {
		for _, x := range ref[:live] {
			h := anchor(x)
			seen ^= a.mem[h] ^ a.mem[h-1]
		}
		lanes, live = live, 0
		for i := range lanes {
			c, x := &ch[of[i]], ref[i]
			_, skipped := a.skip(x)
			base := uint(depth[i]) + skipped
			if base+stride < uint(c.length) {
				if at, ok := a.child(x, c.slot(base)); ok {
					of[live], ref[live], depth[live] = of[i], a.load(at), uint8(base+stride)
					live++
					continue
				}
			}
			last[ended] = x
			ended++
		}
	}
	entries := 0
	for i, x := range last[:ended] {
		last[i] = a.shadow.of(x)
	}
	for _, x := range last[:ended] {
		if x != 0 {
			last[entries] = x
			entries++
		}
	}
	for _, x := range last[:entries] {
		// An entry of usual size lies in one line or two.
		e := a.shadow.at(x)
		seen ^= e[0] ^ e[min(usualShadow, len(e))-1]
	}
	w.touched = seen
	return n
}

// usualShadow is how many words of a shadow's entry are touched: the bitmap and ten
// next hops.
const usualShadow = 7
