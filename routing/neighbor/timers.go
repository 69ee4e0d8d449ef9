package neighbor

import "time"

// A timer belongs to an entry or to an address of ours; exactly one is set.
type timer struct {
	due   time.Duration
	pos   int // in the heap, counted from 1; 0 when not armed
	entry *entry
	own   *ownAddress
}

// timers is a binary heap of armed timers, the earliest first. Arming, moving
// and stopping one takes a time logarithmic in their number.
type timers []*timer

func (h *timers) arm(t *timer, due time.Duration) {
	t.due = due
	if t.pos == 0 {
		*h = append(*h, t)
		t.pos = len(*h)
	}
	h.down(h.up(t.pos - 1))
}

func (h *timers) stop(t *timer) {
	if t.pos == 0 {
		return
	}
	i, last := t.pos-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	t.pos = 0
	if i < last {
		h.down(h.up(i))
	}
}

func (h *timers) swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	s[i].pos, s[j].pos = i+1, j+1
}

func (h *timers) up(i int) int {
	for i > 0 {
		parent := (i - 1) / 2
		if (*h)[parent].due <= (*h)[i].due {
			break
		}
		h.swap(i, parent)
		i = parent
	}
	return i
}

func (h *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(*h) {
			return
		}
		if child+1 < len(*h) && (*h)[child+1].due < (*h)[child].due {
			child++
		}
		if (*h)[i].due <= (*h)[child].due {
			return
		}
		h.swap(i, child)
		i = child
	}
}
