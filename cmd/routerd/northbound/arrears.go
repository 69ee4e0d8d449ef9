package northbound

import (
	"cmp"
	"slices"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// Arrears are what a member of a feed owes its client, which doesn't read: the
// places that changed, each once however often it did, and what is gone of what the client
// has been told of. They hold no values: these are read when the client reads.
//
// They are bounded. Of very many changed places the lists that they are in stand for
// them, where only what is newer than the client's is sent again; of very many that are
// gone, the container around them is deleted and sent anew.
type arrears struct {
	marks  map[placeKey]*owedMark
	order  []*owedMark // the oldest first
	wide   []*owedMark // of marks, those that stand for a list
	lost   map[placeKey]*owedLost
	losses []*owedLost // the oldest first
	scans  []uint64    // by watch, the first look at its counters that is owed; 0 for none
	ends   []boundary
}

const (
	mostMarks = 512
	mostLost  = 2048
)

// A placeKey is a path as text, by the watch that it is for.
type placeKey struct {
	watch int
	id    string
}

// An owedMark is a place with values of revision since or newer that the client
// doesn't have.
type owedMark struct {
	key   placeKey
	path  tree.Path
	since uint64
	last  time.Time // of the newest change
	times uint32
	anew  bool // delete first what the client has
}

// An owedLost is a leaf or a subtree that is gone.
type owedLost struct {
	key  placeKey
	path tree.Path
	last time.Time
}

// An owed is a part of arrears, to be paid at once.
type owed struct {
	marks []*owedMark
	lost  []*owedLost
	scans []uint64
	ends  []boundary
}

func newArrears(watches int) *arrears {
	return &arrears{marks: make(map[placeKey]*owedMark), lost: make(map[placeKey]*owedLost), scans: make([]uint64, watches)}
}

func (a *arrears) empty() bool {
	return len(a.marks) == 0 && len(a.lost) == 0 && len(a.ends) == 0 && slices.Max(a.scans) == 0
}

// add owes a change to a client that may have been sent what was there up to the
// revision upTo, and nothing that came with a newer one.
func (a *arrears) add(n *change, upTo uint64) {
	n.name()
	for i := range n.marks {
		t := &n.marks[i]
		for j, l := range t.lost {
			if l.born <= upTo {
				a.lose(placeKey{t.watch, t.lostIDs[j]}, l.path, t.last)
			}
		}
		key := placeKey{t.watch, t.id}
		if len(t.lost) == 1 && t.lostIDs[0] == t.id {
			a.drop(key) // all of it is gone
			continue
		}
		a.mark(key, t.path, n.number, t.last, t.times)
	}
	for _, i := range n.scans {
		if a.scans[i] == 0 {
			a.scans[i] = n.number
		}
	}
	a.ends = append(a.ends, n.ends...)
	if over := len(a.ends) - mostBoundaries; over > 0 {
		a.ends = a.ends[over:]
	}
	if len(a.lost) > mostLost {
		a.anew()
	}
	if len(a.marks) > mostMarks {
		a.collapse()
	}
}

// name makes the texts of the change's paths, which all that owe it share.
func (n *change) name() {
	for i := range n.marks {
		t := &n.marks[i]
		if t.id != "" {
			continue
		}
		t.id, t.lostIDs = t.path.String(), make([]string, len(t.lost))
		for j, l := range t.lost {
			t.lostIDs[j] = l.path.String()
		}
	}
}

func (a *arrears) lose(key placeKey, p tree.Path, last time.Time) {
	if l := a.lost[key]; l != nil {
		l.last = last
		return
	}
	l := &owedLost{key: key, path: p, last: last}
	a.lost[key] = l
	a.losses = append(a.losses, l)
}

func (a *arrears) mark(key placeKey, p tree.Path, since uint64, last time.Time, times uint32) {
	m := a.marks[key]
	if m == nil {
		for _, w := range a.wide {
			if w.key.watch == key.watch && matches(w.path, p) {
				w.last, w.since = last, min(w.since, since)
				return
			}
		}
		m = &owedMark{key: key, path: p, since: since}
		a.marks[key] = m
		a.order = append(a.order, m)
	}
	m.last, m.since = last, min(m.since, since)
	m.times += times
}

func (a *arrears) drop(key placeKey) {
	if m := a.marks[key]; m != nil {
		delete(a.marks, key)
		i := slices.Index(a.order, m)
		a.order = slices.Delete(a.order, i, i+1)
		a.wide = slices.DeleteFunc(a.wide, func(w *owedMark) bool { return w == m })
	}
}

// collapse has lists stand for the places in them, until half of the room is free:
// one list when it has many of them, else all lists at the root.
func (a *arrears) collapse() {
	for range mostMarks {
		if len(a.marks) <= mostMarks/2 {
			return
		}
		inner := make(map[placeKey]int)
		var most placeKey
		for _, m := range a.marks {
			if p, ok := listOf(m.path, lastEntry(m.path)); ok {
				k := placeKey{m.key.watch, p.String()}
				if inner[k]++; cmp.Or(cmp.Compare(inner[k], inner[most]), cmp.Compare(k.id, most.id)) > 0 {
					most = k
				}
			}
		}
		if len(inner) == 0 {
			return // what is left is no list, and as many as the model has
		}
		if inner[most] >= mostMarks/8 {
			a.widen(func(m *owedMark) (tree.Path, bool) {
				p, ok := listOf(m.path, lastEntry(m.path))
				return p, ok && m.key.watch == most.watch && p.String() == most.id
			})
			continue
		}
		a.widen(func(m *owedMark) (tree.Path, bool) { return listOf(m.path, firstEntry(m.path)) })
	}
}

// listOf is the list of the entry that n elements of p lead to.
func listOf(p tree.Path, n int) (tree.Path, bool) {
	if n == 0 {
		return nil, false
	}
	return p[:n-1].Named(p[n-1].GetName()), true
}

// firstEntry is how many elements of p lead to the outermost list entry.
func firstEntry(p tree.Path) int {
	return 1 + slices.IndexFunc(p, func(e *gnmi.PathElem) bool { return len(e.GetKey()) > 0 })
}

// widen replaces marks by others where to says so.
func (a *arrears) widen(to func(*owedMark) (tree.Path, bool)) {
	old := a.order
	a.order, a.wide = nil, nil
	clear(a.marks)
	for _, m := range old {
		if p, ok := to(m); ok {
			if m.anew {
				p = p[:len(p)-1] // no list can be deleted by its path
			}
			a.merge(&owedMark{key: placeKey{m.key.watch, p.String()}, path: p, since: m.since, last: m.last, times: m.times, anew: m.anew})
			continue
		}
		a.merge(m)
	}
	for _, m := range a.order {
		if n := len(m.path); n > 0 && lastEntry(m.path) < n {
			a.wide = append(a.wide, m)
		}
	}
}

// merge puts a mark at the end of the order, or into the one of the same place.
func (a *arrears) merge(m *owedMark) {
	have := a.marks[m.key]
	if have == nil {
		a.marks[m.key] = m
		a.order = append(a.order, m)
		return
	}
	have.since, have.times, have.anew = min(have.since, m.since), max(have.times, m.times), have.anew || m.anew
	if m.last.After(have.last) {
		have.last = m.last
	}
}

// anew has the containers around what is gone sent anew. A list has no path
// of its own to be deleted by.
func (a *arrears) anew() {
	var left []*owedLost // outside of lists, and so as few as the model has
	for _, l := range a.losses {
		n := lastEntry(l.path)
		if n == 0 {
			left = append(left, l)
			continue
		}
		delete(a.lost, l.key)
		p := l.path[:n-1]
		a.merge(&owedMark{key: placeKey{l.key.watch, p.String()}, path: p, last: l.last, times: 1, anew: true})
	}
	a.losses = left
	// What lies in them comes with them.
	var whole []*owedMark
	for _, m := range a.order {
		if m.anew {
			whole = append(whole, m)
		}
	}
	slices.SortFunc(whole, func(x, y *owedMark) int { return cmp.Compare(len(x.path), len(y.path)) })
	kept := a.order[:0]
	for _, m := range a.order {
		if slices.ContainsFunc(whole, func(w *owedMark) bool {
			return w != m && w.key.watch == m.key.watch && len(w.path) < len(m.path) && m.path.HasPrefix(w.path)
		}) {
			delete(a.marks, m.key)
			continue
		}
		kept = append(kept, m)
	}
	a.order = kept
	a.wide = slices.DeleteFunc(a.wide, func(w *owedMark) bool { return a.marks[w.key] != w })
}

// take takes out all that is gone and up to n marks, the oldest first; with the last of
// them the counters, and the ends of commits.
func (a *arrears) take(n int) owed {
	var part owed
	part.lost, a.losses = a.losses, nil
	clear(a.lost)
	part.marks = slices.Clone(a.order[:min(n, len(a.order))])
	a.order = slices.Delete(a.order, 0, len(part.marks))
	for _, m := range part.marks {
		delete(a.marks, m.key)
	}
	a.wide = slices.DeleteFunc(a.wide, func(w *owedMark) bool { return a.marks[w.key] != w })
	if len(a.marks) > 0 {
		return part
	}
	part.scans, part.ends = a.scans, a.ends
	a.scans, a.ends = make([]uint64, len(a.scans)), nil
	return part
}

// pay sends what is owed: what is gone, then what is there with values that the
// client can't have.
func (m *member) pay(part owed) error {
	out := make([]*watch, len(m.f.watches)) // the feed's, with senders of the member's
	for i, w := range m.f.watches {
		out[i] = &watch{subscription: w.subscription, mem: w.mem}
	}
	for rest := part.lost; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].key.watch == rest[0].key.watch && rest[n].last.Equal(rest[0].last) {
			n++
		}
		if err := m.payLost(out[rest[0].key.watch], rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	for _, o := range part.marks {
		if err := m.payMark(out[o.key.watch], o); err != nil {
			return err
		}
	}
	for i, since := range part.scans {
		if since == 0 {
			continue
		}
		if err := m.payScan(out[i], i, since); err != nil {
			return err
		}
	}
	for _, w := range out {
		if w.out == nil {
			continue
		}
		if err := w.out.flush(); err != nil {
			return err
		}
	}
	return nil
}

// payLost tells what is gone since the same time.
func (m *member) payLost(w *watch, list []*owedLost) error {
	s, err := m.c.senderFor(w, list[0].last, 1)
	if err != nil {
		return err
	}
	paths := make([]tree.Path, len(list))
	for i, l := range list {
		paths[i] = l.path
	}
	changed, err := m.c.deletes(s, paths, w.mem.has)
	if err != nil {
		return err
	}
	for _, p := range paths {
		// There again: the client may have been sent it already, when it was read before
		// the feed looked.
		if w.mem.has(p) && m.c.atomicAt(p) == 0 {
			changed = append(changed, p)
		}
	}
	for _, at := range changed { // these, and atomic nodes of which something is left
		if err := m.payMark(w, &owedMark{key: list[0].key, path: at, last: list[0].last, times: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (m *member) payMark(w *watch, o *owedMark) error {
	q, filter, ok := intersect(w.pattern, o.path)
	if !ok {
		return nil
	}
	s, err := m.c.senderFor(w, o.last, o.times)
	if err != nil {
		return err
	}
	if o.anew {
		if err := s.delete(o.path); err != nil {
			return err
		}
	}
	g := gatherer{emit: s.send}
	err = m.toured(w, q, func() error {
		return m.c.eachOf(w.subscription, q, func(l tree.LeafValue) error {
			if filter && !matches(w.pattern, l.Path) {
				return nil
			}
			v, rev, err := m.heard(o.key.watch, l)
			if err != nil {
				return err
			}
			return g.leaf(l, v, rev >= o.since)
		})
	})
	if err != nil {
		return err
	}
	return g.end()
}

// payScan tells of the counters that moved. One that has gone and comes back as it was
// is told of when it moves next: this is no tour.
func (m *member) payScan(w *watch, i int, since uint64) error {
	s, err := m.c.senderFor(w, m.c.now(), 1)
	if err != nil {
		return err
	}
	return m.c.eachVolatile(w.subscription, func(l tree.LeafValue) error {
		v, rev, err := m.heard(i, l)
		if err != nil || rev < since {
			return err
		}
		return s.update(l.Path, v)
	})
}

// heard is the leaf's value, which the feed has noted, and its revision.
func (m *member) heard(i int, l tree.LeafValue) (*gnmi.TypedValue, uint64, error) {
	v, err := m.c.encode(l)
	if err != nil {
		return nil, 0, err
	}
	rev, err := m.f.hear(i, l, v)
	return v, rev, err
}
