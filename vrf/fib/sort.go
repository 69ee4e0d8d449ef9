package fib

import "slices"

// A key is the first bits of a change's address, and below them its place in the list:
// comparing keys is a machine's instruction, and equal addresses stay in their order.
const keyPlace = 24

// sorter has the memory for sorting a list of changes.
type sorter struct {
	keys []uint64
	out  []change
}

// unique sorts the changes, in memory of the list's or the sorter's, and keeps the last
// of those for one prefix.
func (s *sorter) unique(ch []change) []change {
	if !slices.IsSortedFunc(ch, change.compare) {
		ch = s.sort(ch)
	}
	n := 0
	for i := range ch {
		if i+1 < len(ch) && ch[i].compare(ch[i+1]) == 0 {
			continue
		}
		ch[n] = ch[i]
		n++
	}
	return ch[:n]
}

// sort returns the changes in order, those for one prefix as they came. The list's
// memory is the sorter's then.
func (s *sorter) sort(ch []change) []change {
	if len(ch) >= 1<<keyPlace {
		slices.SortStableFunc(ch, change.compare)
		return ch
	}
	s.keys = slices.Grow(s.keys[:0], len(ch))
	for i := range ch {
		s.keys = append(s.keys, ch[i].hi>>keyPlace<<keyPlace|uint64(i))
	}
	slices.Sort(s.keys)
	out := slices.Grow(s.out[:0], len(ch))
	equal := 0 // where what has the last key's bits begins
	for i, k := range s.keys {
		if (k^s.keys[equal])>>keyPlace != 0 {
			settle(out[equal:])
			equal = i
		}
		out = append(out, ch[k&(1<<keyPlace-1)])
	}
	settle(out[equal:])
	s.out = ch
	return out
}

// settle sorts changes whose keys do not tell them apart.
func settle(ch []change) {
	if len(ch) > 1 {
		slices.SortStableFunc(ch, change.compare)
	}
}
