package filter

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A Table holds the filters and policers of a router by name, and keeps their
// counts while they change. Any goroutine may call its methods.
type Table struct {
	workers int
	words   func() *Word

	mu       sync.Mutex
	filters  map[string]*live
	policers map[string]*livePolicer
	bounds   map[placed]*Bound
	own      map[placed]tallies // of filters with counters for each place
}

// placed names a filter at a place; the zero Place is that of all places where
// filters don't have anything of their own.
type placed struct {
	filter string
	at     Place
}

// tallies are counters of terms, by their names.
type tallies map[string]*Tally

// live is a filter in force.
type live struct {
	program *Program
	tallies tallies
	slots   [][]slot // by worker and term
	counts  []*Tally // by term; the end of the filter stands last
}

// livePolicer is a policer in force, and its instances for filters that have their
// own.
type livePolicer struct {
	shared *Policer
	own    map[placed]*Policer
	gone   [NumColours]Count // what instances had counted that are no more
}

// NewTable is an empty Table for a number of workers.
func NewTable(workers int) *Table {
	return &Table{
		workers: workers, filters: map[string]*live{}, policers: map[string]*livePolicer{},
		bounds: map[placed]*Bound{}, own: map[placed]tallies{},
	}
}

// SetWords has the buckets of policers stand in words of words, which may return nil for
// one that is this process's alone. It is to be called before there are policers. A Word is
// in use as long as it is referred to.
func (t *Table) SetWords(words func() *Word) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.words = words
}

// Worker is what the worker with a number below that of the workers filters with.
func (t *Table) Worker(id int) *Worker {
	return &Worker{id: id, dirty: make([]*share, 0, 256)}
}

// SetFilter puts a filter in force, in the place of one with the same name. Terms
// keep the counts of terms with their names.
func (t *Table) SetFilter(p *Program) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &live{program: p}
	var old tallies
	if was := t.filters[p.Name()]; was != nil {
		old = was.tallies
	}
	var hits [][]*share
	f.tallies, hits = t.carry(p, old, func(int) bool { return true })
	for _, of := range hits {
		slots := make([]slot, len(of))
		for i := range of {
			if slots[i].hit = of[i]; i < len(p.actions) {
				slots[i].action = p.actions[i]
			}
		}
		f.slots = append(f.slots, slots)
	}
	f.counts = p.inOrder(f.tallies)
	t.filters[p.Name()] = f
}

// carry finds the tallies of a program's terms: those of old, and new ones. It
// gives them by name, and by worker and term.
func (t *Table) carry(p *Program, old tallies, counts func(term int) bool) (tallies, [][]*share) {
	n := len(p.actions) + 1
	all := make(tallies, n)
	var missing []string
	for i := range n {
		name := p.termName(i)
		if !counts(i) {
			continue
		}
		if c := old[name]; c != nil {
			all[name] = c
		} else {
			missing = append(missing, name)
		}
	}
	fresh := newTallies(len(missing), t.workers)
	for i, name := range missing {
		all[name] = &fresh[i]
	}
	hits := make([][]*share, t.workers)
	for w := range hits {
		hits[w] = make([]*share, n)
		for i := range n {
			if c := all[p.termName(i)]; c != nil {
				hits[w][i] = c.shares[w]
			}
		}
	}
	return all, hits
}

// inOrder lists tallies by term, the end last; nil for a term that has none.
func (p *Program) inOrder(by tallies) []*Tally {
	list := make([]*Tally, len(p.actions)+1)
	for i := range list {
		list[i] = by[p.termName(i)]
	}
	return list
}

// DeleteFilter takes a filter out of force and forgets its counts. Deleting what is
// absent is no error.
func (t *Table) DeleteFilter(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.filters, name)
	maps.DeleteFunc(t.bounds, func(k placed, _ *Bound) bool { return k.filter == name })
	maps.DeleteFunc(t.own, func(k placed, _ tallies) bool { return k.filter == name })
	for _, l := range t.policers {
		for k := range l.own {
			if k.filter == name {
				l.forget(k)
			}
		}
	}
}

// forget drops the instance of a place, but for what it has counted.
func (l *livePolicer) forget(k placed) {
	p := l.own[k]
	if p == nil {
		return
	}
	for c := range l.gone {
		l.gone[c] = l.gone[c].add(p.tallies[c].value())
	}
	delete(l.own, k)
}

// Filter is the program in force by a name, or nil.
func (t *Table) Filter(name string) *Program {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.filters[name]; f != nil {
		return f.program
	}
	return nil
}

// SetPolicer puts a policer in force, in the place of one with the same name, whose
// counts and fill it keeps.
func (t *Table) SetPolicer(s *PolicerSpec) error {
	p, err := newPolicer(s, t.workers)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.policers[s.Name]
	if l == nil {
		t.policers[s.Name] = &livePolicer{shared: p.start(t.words), own: map[placed]*Policer{}}
		return nil
	}
	p.adopt(l.shared)
	l.shared = p.start(t.words)
	for at, old := range l.own {
		// The spec was good a moment ago.
		own, _ := newPolicer(s, t.workers)
		own.adopt(old)
		l.own[at] = own.start(t.words)
	}
	return nil
}

// DeletePolicer takes a policer out of force. Deleting what is absent is no error.
func (t *Table) DeletePolicer(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.policers, name)
}

// Bind makes a filter ready for a place. It fails where a filter or policer that is
// named isn't in force, where filters of two families follow each other, and where
// they do so in a circle.
func (t *Table) Bind(name string, at Place) (*Bound, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	reach, err := t.reach(nil, name, nil)
	if err != nil {
		return nil, err
	}
	key := placed{name, Place{}}
	if slices.ContainsFunc(reach, func(f *live) bool { return f.program.perPlace }) {
		key.at = at
	}
	b := &Bound{family: reach[0].program.spec.Family}
	index := map[string]int32{}
	base := TermID(0)
	for i, f := range reach {
		index[f.program.Name()] = int32(i)
		b.nodes = append(b.nodes, node{program: f.program, base: base, slots: f.slots, counts: f.counts})
		b.need |= f.program.need
		base += TermID(len(f.program.actions))
	}
	for i := range b.nodes {
		n := &b.nodes[i]
		for _, name := range n.program.filterNames {
			n.next = append(n.next, index[name])
		}
		for _, name := range n.program.policerNames {
			p, err := t.policer(name, n.program, at)
			if err != nil {
				return nil, err
			}
			n.policers = append(n.policers, p)
		}
	}
	if old := t.bounds[key]; old != nil && old.same(b) {
		return old, nil
	}
	for i := range b.nodes {
		if n := &b.nodes[i]; n.program.perPlace {
			k := placed{n.program.Name(), at}
			t.own[k], n.own = t.carry(n.program, t.own[k], n.program.countsPerPlace)
			n.ownCounts = n.program.inOrder(t.own[k])
		}
	}
	t.bounds[key] = b
	return b, nil
}

// reach lists a filter and those that may follow it, each once. path leads to it.
func (t *Table) reach(list []*live, name string, path []string) ([]*live, error) {
	f := t.filters[name]
	switch {
	case f == nil && path == nil:
		return nil, fmt.Errorf("filter %s does not exist: define it, or unbind it", name)
	case f == nil:
		return nil, fmt.Errorf("filter %s: next-filter %s does not exist: define it", path[len(path)-1], name)
	case slices.Contains(path, name):
		return nil, fmt.Errorf("filter %s: next-filter leads back to it: remove one of the steps", name)
	case path != nil && f.program.spec.Family != t.filters[path[0]].program.spec.Family:
		return nil, fmt.Errorf("filter %s: next-filter %s is of family %s: use one of the same family", path[len(path)-1], name, f.program.spec.Family)
	}
	path = append(path, name)
	if slices.Contains(list, f) {
		// What follows it is listed, too, and a circle would have been found then.
		return list, nil
	}
	list = append(list, f)
	for _, next := range f.program.filterNames {
		var err error
		if list, err = t.reach(list, next, path); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// policer finds or makes the policer that a program uses at a place.
func (t *Table) policer(name string, p *Program, at Place) (*Policer, error) {
	l := t.policers[name]
	if l == nil {
		return nil, fmt.Errorf("filter %s: policer %s does not exist: define it", p.Name(), name)
	}
	if !p.spec.InterfaceSpecific {
		return l.shared, nil
	}
	key := placed{p.Name(), at}
	if l.own[key] == nil {
		// The spec was good when the shared one was made.
		own, _ := newPolicer(l.shared.spec, t.workers)
		l.own[key] = own.start(t.words)
	}
	return l.own[key], nil
}

// same reports whether two Bounds of one filter do the same.
func (b *Bound) same(c *Bound) bool {
	return slices.EqualFunc(b.nodes, c.nodes, func(m, n node) bool {
		return m.program == n.program && &m.slots[0] == &n.slots[0] && slices.Equal(m.policers, n.policers)
	})
}

// Unbind forgets what a filter, and those that follow it, counted at a place on
// their own account.
func (t *Table) Unbind(name string, at Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bounds[placed{name, at}]
	if b == nil || at == (Place{}) {
		return
	}
	delete(t.bounds, placed{name, at})
	for i := range b.nodes {
		key := placed{b.nodes[i].program.Name(), at}
		delete(t.own, key)
		for _, l := range t.policers {
			l.forget(key)
		}
	}
}

// Counts is what the terms of a filter have matched at all places, in their order,
// and last what came to its end; nil without such a filter.
func (t *Table) Counts(filter string) []TermCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.filters[filter]
	if f == nil {
		return nil
	}
	return f.program.counts(f.tallies, func(int) bool { return true })
}

// PlaceCounts is what those terms that count per place have matched at one, in
// their order; nil when there are none.
func (t *Table) PlaceCounts(filter string, at Place) []TermCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.filters[filter]
	if f == nil {
		return nil
	}
	return f.program.counts(t.own[placed{filter, at}], f.program.countsPerPlace)
}

func (p *Program) counts(by tallies, counts func(term int) bool) []TermCount {
	var out []TermCount
	for i := range len(p.actions) + 1 {
		name := p.termName(i)
		if c := by[name]; c != nil && counts(i) {
			out = append(out, TermCount{name, c.value()})
		}
	}
	return out
}

// PolicerCounts is how many packets a policer gave each Colour, in all its
// instances; false without such a policer.
func (t *Table) PolicerCounts(name string) ([NumColours]Count, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.policers[name]
	if l == nil {
		return [NumColours]Count{}, false
	}
	sum := l.gone
	for c := range sum {
		sum[c] = sum[c].add(l.shared.tallies[c].value())
		for _, p := range l.own {
			sum[c] = sum[c].add(p.tallies[c].value())
		}
	}
	return sum, true
}
