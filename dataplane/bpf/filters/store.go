package filters

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"

	"router/dataplane/filter"
	"router/dataplane/layout"
	"router/vrf/epoch"
)

// Ask is the place of a bound filter for which the user path is asked about every
// packet: of one that the fast path has no form of.
const Ask = layout.AskFilter

// reserved is the words before those that are handed out: place 0 is no filter.
const reserved = 16

// Sizes that a Store begins with: 64 KiB of programs, 8 KiB of counts a processor.
const (
	firstWords = 1 << 13
	firstSlots = 1 << 9
)

// A bound has a header of two words, of which the first says what fields it looks at, and three for each
// node: the program's place and that of the place's own tallies, 32 bits each; the number of its first term,
// and where the nodes that follow are listed; and where its policers are listed.
const (
	boundHeader = 2
	boundNode   = 3
)

// A Store is the filters of one fast path. Its methods may be called from any
// goroutine.
type Store struct {
	mu       sync.Mutex
	programs *mapped
	arena    arena
	counts   *ledger
	limbo    *epoch.Limbo[func()]
	shared   map[programKey]*program
	policers map[*filter.Policer]*police
	bounds   map[*filter.Bound]*bound
	buckets  *buckets
	old      []*mapped // until Settle
	// What had no room last, for Grow: programs are loaded anew for each array.
	wantWords, wantSlots int
	maxWords             int // of the programs' array
}

// programKey names a program with its counts: those of a filter that is deleted and comes
// back begin anew.
type programKey struct {
	program *filter.Program
	end     *filter.Tally
}

// A program is a flat program that bounds lead to.
type program struct {
	at      extent
	refs    int
	tallies []*filter.Tally
}

// A bound is a filter at the places that it is bound to.
type bound struct {
	at       extent // none of a bound that is asked about
	why      error  // it is
	refs     int
	programs []programKey
	own      []*filter.Tally
	policers []*filter.Policer
}

// A police is a policer that bounds lead to.
type police struct {
	at   extent
	refs int
}

// New makes an empty Store, whose programs take so many octets at most, a power of two
// from 64 KiB on. What it frees waits for the readers of domain, among which there is
// one for those in the kernel.
func New(domain *epoch.Domain, octets int) (*Store, error) {
	n, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the processors: %w", err)
	}
	s := &Store{
		limbo:  epoch.NewLimbo[func()](domain),
		shared: map[programKey]*program{}, bounds: map[*filter.Bound]*bound{}, policers: map[*filter.Policer]*police{},
		arena: newArena(reserved, firstWords), maxWords: octets / 8,
	}
	if s.programs, err = newMapped("filters", firstWords); err != nil {
		return nil, err
	}
	if s.counts, err = newLedger(n, firstSlots); err != nil {
		return nil, errors.Join(err, s.programs.close())
	}
	if s.buckets, err = newBuckets(); err != nil {
		return nil, errors.Join(err, s.programs.close(), s.counts.counts.close())
	}
	s.programs.words[Ask] = uint64(filter.HandupImage) << 32
	return s, nil
}

// Hold returns the place of a filter, which stays until as many calls of Release have
// been made as of Hold. A filter that the fast path has no form of has the place Ask. With
// ErrFull nothing has changed.
func (s *Store) Hold(b *filter.Bound) (place uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.bounds[b]; h != nil {
		h.refs++
		return h.place(), nil
	}
	s.reclaim()
	h, err := s.make(b)
	if err != nil {
		return 0, err
	}
	s.bounds[b] = h
	return h.place(), nil
}

// Held reports whether a filter is held.
func (s *Store) Held(b *filter.Bound) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bounds[b] != nil
}

// Reason says why a filter that is held is asked about; nil for one that is not, or is not
// held.
func (s *Store) Reason(b *filter.Bound) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.bounds[b]; h != nil {
		return h.why
	}
	return nil
}

func (h *bound) place() uint32 {
	if h.at.words == 0 {
		return Ask
	}
	return h.at.start
}

// make writes a bound and the programs that it leads to.
func (s *Store) make(b *filter.Bound) (*bound, error) {
	h := &bound{refs: 1}
	nodes := b.Nodes()
	places := make([]uint32, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		key := programKey{n.Program, n.Tallies[len(n.Tallies)-1]}
		p, err := s.holdProgram(key, n)
		if err != nil {
			s.drop(h)
			if errors.Is(err, ErrFull) {
				return nil, err
			}
			return &bound{refs: 1, why: err}, nil // too large, which the user path isn't troubled by
		}
		h.programs = append(h.programs, key)
		places[i] = p.at.start
	}
	words := boundHeader + boundNode*len(nodes)
	for i := range nodes {
		words += (len(nodes[i].Own)+1)/2 + (len(nodes[i].Next)+1)/2 + (len(nodes[i].Policers)+1)/2
	}
	at, ok := s.arena.take(uint32(words))
	if !ok {
		s.drop(h)
		return nil, ErrFull
	}
	h.at = at
	w := s.programs.words[at.start : at.start+at.words]
	clear(w)
	w[0] = uint64(b.Needs())
	list := boundHeader + boundNode*len(nodes) // of halves, behind the nodes
	for i := range nodes {
		n, node := &nodes[i], w[boundHeader+boundNode*i:]
		node[0] = uint64(places[i])
		if n.Own != nil {
			node[0] |= uint64(at.start+uint32(list)) << 32
			for t, tally := range n.Own {
				if tally == nil {
					continue
				}
				slot, ok := s.counts.hold(tally)
				if !ok {
					s.drop(h)
					return nil, ErrFull
				}
				h.own = append(h.own, tally)
				put32(w[list:], t, slot)
			}
			list += (len(n.Own) + 1) / 2
		}
		node[1] = uint64(n.Base) | uint64(at.start+uint32(list))<<32
		for j, next := range n.Next {
			put32(w[list:], j, at.start+boundHeader+boundNode*uint32(next))
		}
		list += (len(n.Next) + 1) / 2
		node[2] = uint64(at.start + uint32(list))
		for j, p := range n.Policers {
			place, err := s.holdPolicer(h, p)
			if err != nil {
				s.drop(h)
				return nil, err
			}
			put32(w[list:], j, place)
		}
		list += (len(n.Policers) + 1) / 2
	}
	return h, nil
}

// put32 stores half a word; i counts halves.
func put32(w []uint64, i int, v uint32) { w[i>>1] |= uint64(v) << (i & 1 * 32) }

// holdProgram finds or writes a program.
func (s *Store) holdProgram(key programKey, n *filter.Node) (*program, error) {
	if p := s.shared[key]; p != nil {
		p.refs++
		return p, nil
	}
	flat, err := n.Program.Flat()
	if err != nil {
		return nil, err
	}
	if len(flat) > s.maxWords/2 {
		return nil, fmt.Errorf("filter %s: its %d octets are too many for the fast path", n.Program.Name(), 8*len(flat))
	}
	s.wantWords, s.wantSlots = len(flat)+boundHeader, len(n.Tallies)
	p := &program{refs: 1}
	for t, tally := range n.Tallies {
		slot, ok := s.counts.hold(tally)
		if !ok {
			s.counts.release(p.tallies)
			return nil, ErrFull
		}
		p.tallies = append(p.tallies, tally)
		filter.SetTally(flat, t, slot)
	}
	at, ok := s.arena.take(uint32(len(flat)))
	if !ok {
		s.counts.release(p.tallies)
		return nil, ErrFull
	}
	p.at = at
	copy(s.programs.words[at.start:], flat)
	s.shared[key] = p
	return p, nil
}

// holdPolicer finds or writes a policer. The place of one that the fast path can't do is
// 0.
func (s *Store) holdPolicer(h *bound, of *filter.Policer) (uint32, error) {
	p := s.policers[of]
	if p == nil {
		flat := of.Flat()
		if flat == nil {
			return 0, nil
		}
		tallies := of.Tallies()
		for c, tally := range tallies {
			slot, ok := s.counts.hold(tally)
			if !ok {
				s.counts.release(tallies[:c])
				return 0, ErrFull
			}
			filter.SetColourTally(flat, filter.Colour(c), slot)
		}
		at, ok := s.arena.take(uint32(len(flat)))
		if !ok {
			s.counts.release(tallies)
			return 0, ErrFull
		}
		copy(s.programs.words[at.start:], flat)
		p = &police{at: at}
		s.policers[of] = p
	}
	p.refs++
	h.policers = append(h.policers, of)
	return p.at.start, nil
}

// Release undoes one Hold. What nobody holds any more is freed when its readers
// have passed: the caller has taken the place out of every unit's record.
func (s *Store) Release(b *filter.Bound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.bounds[b]
	if h == nil {
		return
	}
	if h.refs--; h.refs > 0 {
		return
	}
	delete(s.bounds, b)
	s.limbo.Retire(func() { s.drop(h) })
	s.reclaim()
}

// drop frees a bound that nobody reads, and the programs and policers that only it leads to.
func (s *Store) drop(h *bound) {
	for _, key := range h.programs {
		p := s.shared[key]
		if p.refs--; p.refs > 0 {
			continue
		}
		delete(s.shared, key)
		s.counts.release(p.tallies)
		s.arena.give(p.at)
	}
	for _, of := range h.policers {
		p := s.policers[of]
		if p.refs--; p.refs == 0 {
			delete(s.policers, of)
			s.counts.release(of.Tallies())
			s.arena.give(p.at)
		}
	}
	s.counts.release(h.own)
	if h.at.words > 0 {
		s.arena.give(h.at)
	}
}

// Reclaim frees what readers have passed, and reports whether something is left to be freed. Hold
// and Release do so by themselves; this is for idle times.
func (s *Store) Reclaim() (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reclaim()
	return s.limbo.Len() > 0
}

func (s *Store) reclaim() { s.limbo.Reclaim(func(free func()) { free() }) }

// maxSlots bounds a processor's counts: 16 MiB.
const maxSlots = 1 << 20

// Grow makes room, at least twice as much. The fast path must then be loaded anew with
// Maps and Constants; until Settle the old arrays are still counted in, and
// nothing may be held for the old programs. It fails when nothing larger can be had, and all
// stays as it was.
func (s *Store) Grow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	words, slots := len(s.programs.words), s.counts.size
	// Either may have been what was missing.
	fresh, more := 2*words, 2*slots
	for fresh-words < s.wantWords && fresh < s.maxWords {
		fresh *= 2
	}
	for more-slots < s.wantSlots && more < maxSlots {
		more *= 2
	}
	switch {
	case fresh > s.maxWords:
		return fmt.Errorf("%w: %d MiB are the most that filter-memory allows: raise it", ErrFull, s.maxWords>>17)
	case more > maxSlots:
		return fmt.Errorf("%w: %d terms and policers are counted at most: use fewer, or fewer that are counted at each place", ErrFull, maxSlots)
	}
	programs, err := newMapped("filters", fresh)
	if err != nil {
		return err
	}
	if err := s.counts.grow(more); err != nil {
		return errors.Join(err, programs.close())
	}
	copy(programs.words, s.programs.words)
	s.old = append(s.old, s.programs)
	s.programs = programs
	s.arena.grow(uint32(fresh))
	return nil
}

// Settle gives up the arrays that programs before the last Grow were loaded with. None of
// them may run any more.
func (s *Store) Settle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, m := range append(s.old, s.counts.settle()...) {
		errs = append(errs, m.close())
	}
	s.old = nil
	return errors.Join(errs...)
}

// Stats says how much a Store holds, in octets, and how much it has room for.
type Stats struct {
	Used, Size       uint64
	Counts           uint64 // octets of counts, of all processors
	Programs, Bounds int
}

// Stats returns what the Store holds.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{8 * uint64(s.arena.used()), 8 * uint64(s.arena.size), 8 * uint64(len(s.counts.counts.words)), len(s.shared), len(s.bounds)}
}

// Close gives the arrays up, whatever is held, and leaves what was counted to the
// tallies. No program may use them any more. The words of policers stay, for who refers to
// them.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.detach()
	errs := []error{s.programs.close(), s.counts.counts.close(), s.buckets.memory.array.Close()}
	for _, m := range append(s.old, s.counts.settle()...) {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}
