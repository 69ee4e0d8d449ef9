package dataplane

import (
	"log/slog"

	"router/dataplane/filter"
	"router/dataplane/layout"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// Tallies are where a faster path counts. Its methods must not call the Engine.
type Tallies interface {
	// NewTally gives out a place for counters, which are zero there, Tally reads
	// one, and FreeTally takes it back, once no reader can find it any more.
	NewTally() (place uint32, err error)
	Tally(place uint32) [layout.TallyWords]uint64
	// Kept is what of Tally programs have not counted in their present memory, and that
	// memory's number in the kernel, 0 for none.
	Kept(place uint32) (base [layout.TallyWords]uint64, memory uint32)
	FreeTally(place uint32)
}

// FastFilters are where a faster path reads filters. Its methods must not call the
// Engine.
type FastFilters interface {
	// HoldFilter says where a filter stands there, until ReleaseFilter is called as
	// often; layout.AskFilter for one that only the user path can do.
	HoldFilter(b *filter.Bound) (place uint32)
	ReleaseFilter(b *filter.Bound)
	// FilterReason says why it is one for the user path; nil if it isn't.
	FilterReason(b *filter.Bound) error
	// ReclaimFilters frees what no reader has any more, and reports whether there is more to
	// be freed.
	ReclaimFilters() (more bool)
	// FilterWord is a word for the bucket of a policer that both paths take from.
	FilterWord() *filter.Word
}

// A mirror is what the writer of the engine's tables notes for a faster path: the
// same things as records of package layout, in the arena of the route tables. It
// is derived from what workers read, by the same calls, so that both say the
// same. Where the arena has no room, the record that leads there says that the
// user path knows better, which is always true. Guarded by Engine.mu.
type mirror struct {
	arena   *fib.Arena
	tallies Tallies
	filters FastFilters // nil for none
	log     *slog.Logger

	neighborSlab *fib.Slab
	unitSlab     *fib.Slab
	parting      *epoch.Limbo[parting]

	nexthops struct{ at, room uint32 }
	places   struct{ at, room uint32 } // of the instances' tables
	groups   map[routing.NextHopID]block
	neighbor map[routing.NextHopID]*adjacency              // of the Forward next hops
	ids      map[*adjacency]map[routing.NextHopID]struct{} // the other way round
	lookups  map[uint32]map[routing.NextHopID]struct{}     // Lookup next hops, by instance
	instance map[routing.NextHopID]uint32                  // the other way round
	tables   map[uint32]*fib.Table                         // by instance

	units map[intf.Index]*mirrorUnit
	ports map[PortID]*mirrorPort
	full  bool // it has been logged
}

// A block is words of the arena.
type block struct {
	at uint32
	n  int
}

// A mirrorUnit is the record of a unit that has a port.
type mirrorUnit struct {
	index  intf.Index
	record uint32
	own    [2]block
	tally  uint32
	port   PortID
	vlan   intf.VLAN
	stats  *unitStats
	held   []*filter.Bound
	out    [2]uint32 // places of the output filters; 0 for none, layout.AskFilter for one to ask about
	many   [2]bool   // addresses
}

// A mirrorPort stays when the port goes, for a program may still read the record.
type mirrorPort struct {
	record   uint32
	untagged uint32     // number of the unit
	demux    *fib.Table // of the others, nil while there is none
	device   uint32     // that frames can leave by without the user path; 0 for none
	stats    *portStats
}

// A parting is a place of counters that readers may still find; seen has been
// taken over already.
type parting struct {
	place uint32
	seen  [layout.TallyWords]uint64
	unit  *unitStats
	port  *portStats
}

func newMirror(c Config) *mirror {
	return &mirror{
		arena: c.Arena, tallies: c.Tallies, filters: c.Filters, log: c.Log,
		neighborSlab: c.Arena.NewSlab(layout.NeighborWords), unitSlab: c.Arena.NewSlab(layout.UnitWords),
		parting: epoch.NewLimbo[parting](c.Domain),
		groups:  make(map[routing.NextHopID]block), neighbor: make(map[routing.NextHopID]*adjacency),
		ids: make(map[*adjacency]map[routing.NextHopID]struct{}), lookups: make(map[uint32]map[routing.NextHopID]struct{}), instance: make(map[routing.NextHopID]uint32),
		tables: make(map[uint32]*fib.Table), units: make(map[intf.Index]*mirrorUnit), ports: make(map[PortID]*mirrorPort),
	}
}

// noRoom notes that something can't be written down.
func (m *mirror) noRoom(err error) {
	if !m.full {
		m.full = true
		m.log.Warn("some packets take the user path for want of room in the tables of the fast path", "err", err)
	}
}

// nexthop writes down what id means, nil for nothing.
func (m *mirror) nexthop(id routing.NextHopID, nh *nexthop) {
	if uint32(id) >= m.nexthops.room && !m.growNexthops(uint32(id)) {
		return
	}
	m.unlink(id)
	word, was := uint64(layout.NextHopUp), m.groups[id]
	delete(m.groups, id)
	if nh != nil {
		word = m.nexthopWord(id, nh)
	}
	at := m.nexthops.at + 2*uint32(id)
	m.arena.Store(at, word)
	m.arena.Store(at+1, egressWord(nh))
	if was.n > 0 {
		m.arena.Retire(was.at, was.n)
	}
}

func (m *mirror) nexthopWord(id routing.NextHopID, nh *nexthop) uint64 {
	switch nh.kind {
	case routing.Forward:
		m.neighbor[id] = nh.adj
		note(m.ids, nh.adj, id)
		return m.forwardWord(nh.adj)
	case routing.Discard:
		return layout.NextHopWord(layout.NextHopDiscard, 0)
	case routing.Lookup:
		m.instance[id] = nh.instance
		note(m.lookups, nh.instance, id)
		return m.lookupWord(nh.instance)
	case routing.Indirect:
		return layout.NextHopWord(layout.NextHopIndirect, uint32(nh.via))
	case routing.Group:
		return m.groupWord(id, nh.buckets)
	case routing.Resolve, routing.Receive, routing.Broadcast, routing.LinkLocal, routing.Reject,
		routing.Multicast, routing.Flood, routing.BySource, routing.Choice:
	}
	return layout.NextHopUp
}

func (m *mirror) forwardWord(a *adjacency) uint64 {
	if a.record == 0 {
		return layout.NextHopUp
	}
	return layout.NextHopWord(layout.NextHopForward, a.record)
}

func (m *mirror) lookupWord(instance uint32) uint64 {
	if t := m.tables[instance]; t != nil {
		return layout.NextHopWord(layout.NextHopLookup, t.Record())
	}
	return layout.NextHopUp
}

func (m *mirror) groupWord(id routing.NextHopID, buckets []routing.NextHopID) uint64 {
	switch len(buckets) {
	case 0:
		return layout.NextHopUp
	case 1:
		return layout.NextHopWord(layout.NextHopIndirect, uint32(buckets[0]))
	}
	words := make([]uint64, (len(buckets)+1)/2)
	for i, b := range buckets {
		words[i/2] |= uint64(b) << (i % 2 * 32)
	}
	at, err := m.arena.Alloc(len(words))
	if err != nil {
		m.noRoom(err)
		return layout.NextHopUp
	}
	m.arena.Write(at, words)
	m.groups[id] = block{at, len(words)}
	return layout.GroupWord(at, layout.Log2(len(buckets)))
}

// egressWord says where packets leave that follow a next hop.
func egressWord(nh *nexthop) uint64 {
	if nh == nil {
		return layout.EgressNone
	}
	switch nh.kind {
	case routing.Forward, routing.Resolve:
		return layout.EgressWord(layout.EgressOne, uint32(nh.ifindex))
	case routing.Lookup:
		return layout.EgressMany
	case routing.Indirect, routing.Group, routing.Choice:
		units := nh.units()
		switch {
		case nh.onward != 0 || len(units) > 1:
			return layout.EgressMany
		case len(units) == 1:
			return layout.EgressWord(layout.EgressOne, uint32(units[0]))
		}
	case routing.Receive, routing.Broadcast, routing.LinkLocal, routing.Reject, routing.Discard,
		routing.Multicast, routing.Flood, routing.BySource:
	}
	return layout.EgressNone
}

// egress brings that up to date for one that stays what it is.
func (m *mirror) egress(id routing.NextHopID, nh *nexthop) {
	if uint32(id) < m.nexthops.room {
		m.arena.Store(m.nexthops.at+2*uint32(id)+1, egressWord(nh))
	}
}

func (m *mirror) unlink(id routing.NextHopID) {
	if a := m.neighbor[id]; a != nil {
		delete(m.neighbor, id)
		delete(m.ids[a], id)
		if len(m.ids[a]) == 0 {
			delete(m.ids, a)
		}
	}
	if instance, ok := m.instance[id]; ok {
		delete(m.instance, id)
		delete(m.lookups[instance], id)
		if len(m.lookups[instance]) == 0 {
			delete(m.lookups, instance)
		}
	}
}

func note[K comparable](of map[K]map[routing.NextHopID]struct{}, k K, id routing.NextHopID) {
	if of[k] == nil {
		of[k] = make(map[routing.NextHopID]struct{})
	}
	of[k][id] = struct{}{}
}

// growNexthops makes room for id.
func (m *mirror) growNexthops(id uint32) bool {
	room := max(m.nexthops.room, 256)
	for room <= id {
		room *= 2
	}
	at, err := m.arena.Alloc(int(2 * room))
	if err != nil {
		m.noRoom(err)
		return false
	}
	old := m.nexthops
	m.arena.Write(at, m.arena.Words()[old.at:old.at+2*old.room])
	m.nexthops.at, m.nexthops.room = at, room
	m.arena.SetEntry(layout.EntryNextHops, uint64(at)<<32|uint64(room))
	if old.room > 0 {
		m.arena.Retire(old.at, int(2*old.room))
	}
	return true
}

// setNeighbor writes down what workers see of a neighbour on unit u.
func (m *mirror) setNeighbor(a *adjacency, u *unit) {
	old := a.record
	a.record = m.newNeighbor(a, u)
	if old == a.record {
		return
	}
	for id := range m.ids[a] {
		m.arena.Store(m.nexthops.at+2*uint32(id), m.forwardWord(a))
	}
	if old != 0 {
		m.neighborSlab.Retire(old)
	}
}

func (m *mirror) newNeighbor(a *adjacency, u *unit) uint32 {
	r := a.rewrite.Load()
	if r == nil || r == egressDown || u == nil {
		return 0
	}
	port, from := m.ports[u.port], m.units[u.index]
	if port == nil || port.device == 0 || from == nil || from.port != u.port || a.mac[0]&1 != 0 {
		return 0
	}
	n := layout.Neighbor{
		Header: r.header, HeaderLen: r.hlen, MTU: r.mtu, Port: uint32(u.port), IfIndex: uint32(u.index), Tally: from.tally, Device: port.device,
	}
	for f, place := range from.out {
		// The user path's output looks closer where there is a filter.
		if place != 0 && place != layout.AskFilter && u.fam[f].up {
			n.Filter[f], n.MTU[f] = place, u.fam[f].mtu
		}
	}
	if r.stale.Load() {
		n.Flags |= layout.NeighborStale
	}
	at, err := m.neighborSlab.Get()
	if err != nil {
		m.noRoom(err)
		return 0
	}
	words := n.Words()
	m.arena.Write(at, words[:])
	return at
}

// setInstance writes down an instance's table, nil for none.
func (m *mirror) setInstance(index uint32, t *fib.Table) {
	if m.tables[index] == t {
		return
	}
	m.tables[index] = t
	if t == nil {
		delete(m.tables, index)
	}
	m.setPlace(index, t)
	for id := range m.lookups[index] {
		m.arena.Store(m.nexthops.at+2*uint32(id), m.lookupWord(index))
	}
}

// setPlace writes down where an instance's table is, for filters that choose it.
func (m *mirror) setPlace(index uint32, t *fib.Table) {
	record := uint64(0)
	if t != nil {
		record = uint64(t.Record())
	}
	if index >= m.places.room {
		if record == 0 {
			return
		}
		room := max(2*m.places.room, 16)
		for room <= index {
			room *= 2
		}
		at, err := m.arena.Alloc(int(room))
		if err != nil {
			m.noRoom(err)
			return
		}
		old := m.places
		m.arena.Write(at, m.arena.Words()[old.at:old.at+old.room])
		for i := old.room; i < room; i++ {
			m.arena.Store(at+i, 0)
		}
		m.places.at, m.places.room = at, room
		m.arena.SetEntry(layout.EntryInstances, uint64(at)<<32|uint64(room))
		if old.room > 0 {
			m.arena.Retire(old.at, int(old.room))
		}
	}
	m.arena.Store(m.places.at+index, record)
}

// familyFlags say what has to be known of a family before a packet is looked up.
func familyFlags(f *family) (flags uint8) {
	if f.up && f.table != nil {
		flags |= layout.FamilyUp
	}
	if len(f.redirects) > 0 {
		flags |= layout.FamilyRedirects
	}
	switch f.rpf {
	case intf.RPFNone:
	case intf.RPFLoose:
		flags |= layout.FamilyRPFLoose
	case intf.RPFStrict, intf.RPFFeasible:
		flags |= layout.FamilyRPFStrict
	}
	return flags
}
