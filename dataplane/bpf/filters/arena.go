package filters

import (
	"cmp"
	"errors"
	"slices"
)

// ErrFull says that something has no room: Grow makes some.
var ErrFull = errors.New("the fast path's memory for filters is full")

// An extent is words of the array of programs.
type extent struct{ start, words uint32 }

// An arena hands out words. There are few of them, and they are large, so that the
// first that fits does.
type arena struct {
	free []extent // sorted, and no two of them touch
	size uint32
}

func newArena(reserved, size uint32) arena {
	return arena{free: []extent{{reserved, size - reserved}}, size: size}
}

// take finds n words.
func (a *arena) take(n uint32) (extent, bool) {
	// Whole cache lines.
	n = (n + 7) &^ 7
	for i, e := range a.free {
		if e.words < n {
			continue
		}
		if e.words == n {
			a.free = slices.Delete(a.free, i, i+1)
		} else {
			a.free[i] = extent{e.start + n, e.words - n}
		}
		return extent{e.start, n}, true
	}
	return extent{}, false
}

// give takes words back.
func (a *arena) give(e extent) {
	at, _ := slices.BinarySearchFunc(a.free, e.start, func(f extent, start uint32) int { return cmp.Compare(f.start, start) })
	a.free = slices.Insert(a.free, at, e)
	if at+1 < len(a.free) && a.free[at].start+a.free[at].words == a.free[at+1].start {
		a.free[at].words += a.free[at+1].words
		a.free = slices.Delete(a.free, at+1, at+2)
	}
	if at > 0 && a.free[at-1].start+a.free[at-1].words == a.free[at].start {
		a.free[at-1].words += a.free[at].words
		a.free = slices.Delete(a.free, at, at+1)
	}
}

// grow adds words at the end.
func (a *arena) grow(size uint32) {
	added := extent{a.size, size - a.size}
	a.size = size
	a.give(added)
}

// used is how many words are handed out, reserved ones included.
func (a *arena) used() uint32 {
	used := a.size
	for _, e := range a.free {
		used -= e.words
	}
	return used
}
