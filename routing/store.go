package routing

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"router/intf"
)

// Config says whom a Store tells. Calls come from within the methods that cause
// them, and must not call the Store; each may be nil.
type Config struct {
	// Sink is the data plane's table of next hops.
	Sink Sink
	// OnGateway tells which neighbours usable user routes go through, directly
	// or after resolution: used when the first such route appears, not used when
	// the last is gone.
	OnGateway func(ifindex intf.Index, gateway netip.Addr, used bool)
	// OnRoute tells of each prefix whose routes or whose choice of the best has
	// changed, when the FIB is up to date, and of those whose way has changed
	// alone, as long as these are few.
	OnRoute func(instance uint32, prefix netip.Prefix)
	// OnRoutes tells, where they are many, that the way of any route of a family in
	// an instance may have changed.
	OnRoutes func(instance uint32, f intf.Family)
	// OnFull is told that a FIB had no room for some of what changed, which waits for
	// [Store.Retry]. Where it is nil, the methods that make the change return that.
	OnFull func(error)
	// OnSource is OnRoute for the routes of a group by source.
	OnSource func(instance uint32, group netip.Addr, source netip.Prefix)
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// A Store holds the RIBs of all instances, in memory that they share, and the
// next hops and gateways that link them.
//
// Each change settles before the call returns, or with the Batch around it:
// gateways are resolved anew where a route that covers them has changed, the
// sink learns of next hops, the FIBs get what is added, then lose what is gone,
// and last the sink forgets next hops. So no packet finds neither the old
// answer nor the new, and each prefix changes at most once.
//
// A gateway resolves to what its longest match among the usable routes leads
// to; among routes to one prefix, those of source InterfaceDestination come
// first. Routes that go through the gateway itself don't count. Gateways that
// wait for each other in a circle are all unresolved. That makes resolution a
// function of the routes: every gateway follows its longest match until that
// turns out to be unresolved, then the next one, and a circle ends the search.
//
// One goroutine at a time, for reading too.
type Store struct {
	config    Config
	began     time.Time
	now       uint32 // the tick of the Batch under way
	nodes     slab[node]
	records   slab[record]
	hops      hops
	ribs      map[uint32]*RIB // by instance
	slots     []*RIB          // by number, which is shorter than the instance's
	freeSlots []uint16
	up        map[link]bool

	gateways map[gatewayKey]*gateway
	numbers  []*gateway // by number; 0 is nobody's
	unused   []uint32   // numbers free for use

	choices   map[uint32]*hop // by node
	feasibles map[uint32]*hop // by node; see RIB.SetFeasible

	noRoom  noRoom
	pending map[uint32]pendingRoute // by record; nil when there is none

	discard *hop // for prefixes that a FIB can't let go, and shared groups without a usable member; nil until there was one

	lastShared   uint32 // number of the shared group made last
	feasibleRIBs int    // RIBs with a second FIB

	depth     int      // of Batches
	queue     []uint32 // nodes to settle
	changes   changes  // for the FIB that is given some
	fresh     []*hop   // hops that the sink doesn't know
	stuck     []uint32 // nodes to settle again the next time
	kept      int      // how many stuck was when they were settled last
	dying     []*hop   // hops that perhaps nobody refers to
	wants     []*hop   // hops whose use has perhaps changed
	dirty     []*gateway
	regroups  []*hop     // groups to deal anew
	regrouped []*hop     // groups dealt anew
	moved     []*hop     // hops whose way has changed
	idle      []*gateway // gateways that perhaps nobody needs
	path      []*gateway // of the resolution under way
	steps     []uint32   // nodes that the gateways of path may follow
}

// A link is a family of a unit.
type link struct {
	ifindex intf.Index
	family  intf.Family
}

// NewStore returns a Store without RIBs.
func NewStore(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{
		config:   c,
		began:    c.Now(),
		hops:     newHops(),
		ribs:     map[uint32]*RIB{},
		up:       map[link]bool{},
		gateways: map[gatewayKey]*gateway{},
		numbers:  make([]*gateway, 1),
	}
}

// AddRIB makes an empty RIB for an instance, whose winners go to fib.
func (s *Store) AddRIB(instance uint32, fib FIB) (*RIB, error) {
	if s.ribs[instance] != nil {
		return nil, fmt.Errorf("instance %d has a RIB already", instance)
	}
	r := &RIB{store: s, instance: instance, fib: fib}
	if err := s.place(r); err != nil {
		return nil, fmt.Errorf("instance %d: %w", instance, err)
	}
	s.ribs[instance] = r
	for _, g := range s.numbers {
		if g != nil && g.instance == instance {
			s.index(r, g)
			s.touch(g)
		}
	}
	return r, s.instanceChanged(instance)
}

// place gives r a slot.
func (s *Store) place(r *RIB) error {
	slot := len(s.slots)
	if n := len(s.freeSlots); n > 0 {
		slot = int(s.freeSlots[n-1])
		s.freeSlots = s.freeSlots[:n-1]
	} else {
		if slot > math.MaxUint16 {
			return fmt.Errorf("there are %d instances and groups already, the most there can be", slot)
		}
		s.slots = append(s.slots, nil)
	}
	s.slots[slot], r.slot = r, uint16(slot)
	return nil
}

// displace takes r's slot back. No node may bear it any more.
func (s *Store) displace(r *RIB) {
	s.slots[r.slot] = nil
	s.freeSlots = append(s.freeSlots, r.slot)
}

// RemoveRIB removes the RIB of an instance with all its routes; its groups must have been
// removed (RemoveSources). It settles what is pending, within
// a Batch too, so that its FIB can be closed when it returns.
func (s *Store) RemoveRIB(r *RIB) error {
	return s.Batch(func() error {
		for _, f := range intf.Families {
			walk(&s.nodes, r.routes[f].root, func(i uint32) bool {
				n := s.nodes.at(i)
				for n.head != 0 {
					s.remove(r, i, n, &n.head)
				}
				return true
			})
		}
		// Settle while the RIB can still be found by what is queued.
		err := s.settle()
		// What its FIB couldn't let go goes with the FIB.
		s.queue = slices.DeleteFunc(s.queue, func(i uint32) bool { return s.nodes.at(i).rib == r.slot })
		delete(s.ribs, r.instance)
		s.displace(r)
		if r.feasible != nil {
			s.feasibleRIBs--
			r.feasible = nil
		}
		for _, g := range s.numbers {
			if g != nil && g.instance == r.instance {
				s.touch(g)
			}
		}
		for f := range r.gateways {
			s.clear(r.gateways[f].root)
			s.clear(r.routes[f].root)
			r.gateways[f].root, r.routes[f].root = 0, 0
		}
		return errors.Join(err, s.instanceChanged(r.instance))
	})
}

// clear frees the nodes at and below i.
func (s *Store) clear(i uint32) {
	if i == 0 {
		return
	}
	child := s.nodes.at(i).child
	s.dropPrivate(s.choices, i)
	s.dropPrivate(s.feasibles, i)
	s.nodes.put(i)
	s.clear(child[0])
	s.clear(child[1])
}

// RIB is the RIB of an instance, nil when there is none.
func (s *Store) RIB(instance uint32) *RIB { return s.ribs[instance] }

// instanceChanged follows up that an instance has appeared or gone.
func (s *Store) instanceChanged(instance uint32) error {
	for h := range s.hops.lookups[instance] {
		h.kill(s.ribs[instance] == nil)
		h.turn(s.tick())
		s.linkChanged(h)
		s.enqueueRoutes(h)
	}
	return s.settleUnlessBatch()
}

// SetLink tells whether packets of a family can leave through a unit. They can't
// until it is told that they can.
func (s *Store) SetLink(ifindex intf.Index, f intf.Family, up bool) error {
	l := link{ifindex, f}
	if s.up[l] == up {
		return nil
	}
	if up {
		s.up[l] = true
	} else {
		delete(s.up, l)
	}
	for h := range s.hops.links[ifindex] {
		h.dead[f], h.turned[f] = !up, s.tick()
		s.checkWanted(h)
		s.linkChanged(h)
		s.enqueueRoutes(h)
	}
	return s.settleUnlessBatch()
}

// Batch runs f, and settles all that f changes together. The error joins f's
// and that of settling; f's does not undo what f did. Batches nest, and the
// outermost settles.
func (s *Store) Batch(f func() error) error {
	if s.depth == 0 {
		s.now = s.tick()
	}
	s.depth++
	err := f()
	s.depth--
	return errors.Join(err, s.settleUnlessBatch())
}

// tickLength is the unit in which a route keeps when it changed: four octets are enough
// for 13 years, and the tick stays there.
const tickLength = 100 * time.Millisecond

// tick is the time now, in ticks since the Store was made. Of a Batch it is when that
// began: a clock costs as much as a tenth of a change.
func (s *Store) tick() uint32 {
	if s.depth > 0 {
		return s.now
	}
	return uint32(min(max(s.config.Now().Sub(s.began)/tickLength, 0), math.MaxUint32))
}

func (s *Store) settleUnlessBatch() error {
	if s.depth > 0 {
		return nil
	}
	return s.settle()
}

// enqueue has node i settled.
func (s *Store) enqueue(i uint32, n *node) {
	if n.flags&nodeQueued == 0 {
		n.flags |= nodeQueued
		s.queue = append(s.queue, i)
	}
}

// enqueueRoutes has all nodes settled that have routes with h.
func (s *Store) enqueueRoutes(h *hop) {
	for j := h.routes; j != 0; {
		rec := s.records.at(j)
		s.enqueue(rec.node, s.nodes.at(rec.node))
		j = rec.hopNext
	}
}
