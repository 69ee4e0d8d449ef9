package dataplane

import (
	"net/netip"

	"router/intf"
	"router/vrf/fib"
)

// topology is the writer's side of the snapshot: who refers to what, so that a
// change finds those whom it concerns. Guarded by Engine.mu.
type topology struct {
	portUnits     map[PortID]map[intf.Index]struct{}
	instanceUnits map[uint32]map[intf.Index]struct{} // units with a family in the instance
	adjacencies   map[intf.Index]map[netip.Addr]*adjacency
}

func newTopology() topology {
	return topology{
		portUnits:     make(map[PortID]map[intf.Index]struct{}),
		instanceUnits: make(map[uint32]map[intf.Index]struct{}),
		adjacencies:   make(map[intf.Index]map[netip.Addr]*adjacency),
	}
}

func link[K comparable](m map[K]map[intf.Index]struct{}, k K, i intf.Index) {
	s := m[k]
	if s == nil {
		s = make(map[intf.Index]struct{})
		m[k] = s
	}
	s[i] = struct{}{}
}

func unlink[K comparable](m map[K]map[intf.Index]struct{}, k K, i intf.Index) {
	delete(m[k], i)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}

// An Edit is a transaction on units and instances. Nothing is visible before
// Commit, and all of it at once afterwards: a batch sees all or nothing. The
// cost of an Edit follows what it changes. It belongs to one goroutine; edits
// of different goroutines may interleave, and the later Commit wins an object.
type Edit struct {
	engine    *Engine
	units     []unitEdit
	instances []instanceEdit
}

type unitEdit struct {
	unit Unit
	gone bool
}

type instanceEdit struct {
	index    uint32
	table    *fib.Table
	feasible bool // the table is the second one
}

// Edit begins a transaction. One that is not committed has no effect.
func (e *Engine) Edit() *Edit { return &Edit{engine: e} }

// SetUnit creates unit u.Index or replaces it. Its counters live on. A tag stack
// that another unit of the port had belongs to u from then on.
func (x *Edit) SetUnit(u Unit) { x.units = append(x.units, unitEdit{unit: u}) }

// DeleteUnit removes a unit; one that does not exist is no error. Packets on
// their way to its neighbours are dropped as "egress-down".
func (x *Edit) DeleteUnit(i intf.Index) {
	x.units = append(x.units, unitEdit{unit: Unit{Index: i}, gone: true})
}

// SetInstance gives a routing instance its table, or another one. Workers may
// read the old one until they have passed (Config.Domain).
func (x *Edit) SetInstance(index uint32, t *fib.Table) {
	x.instances = append(x.instances, instanceEdit{index: index, table: t})
}

// SetFeasible gives a routing instance, which exists, a second table, in which
// families with the check RPFFeasible look up sources; nil takes it away. As
// SetInstance, it is in force after Commit, and workers may read the old one
// until they have passed.
func (x *Edit) SetFeasible(index uint32, t *fib.Table) {
	x.instances = append(x.instances, instanceEdit{index: index, table: t, feasible: true})
}

// DeleteInstance removes a routing instance; one that does not exist is no
// error. Packets that would be looked up in it are dropped as "no-instance".
func (x *Edit) DeleteInstance(index uint32) {
	x.instances = append(x.instances, instanceEdit{index: index})
}

// Commit publishes the changes in the order in which they were made, instances
// before units, as one new snapshot.
func (x *Edit) Commit() {
	e := x.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	s := *e.snapshot.Load()
	changed := make(map[intf.Index]struct{})
	var touched []tagPlace
	for _, c := range x.instances {
		e.editInstance(&s, c, changed)
	}
	for i := range x.units {
		c := &x.units[i]
		e.editUnit(&s, c.unit, c.gone)
		if e.mirror != nil && len(x.units) > 1 && !c.gone {
			touched = append(touched, tagPlace{c.unit.Port, c.unit.VLAN})
		}
		changed[c.unit.Index] = struct{}{}
	}
	e.publish(&s, changed, touched...)
	x.units, x.instances = nil, nil
}

// publish makes s visible, and then brings the L2 headers of the changed units'
// neighbours up to date. touched is as for [mirror.setUnits].
func (e *Engine) publish(s *snapshot, changed map[intf.Index]struct{}, touched ...tagPlace) {
	e.snapshot.Store(s)
	var gone []*mirrorUnit
	if e.mirror != nil {
		gone = e.mirror.setUnits(s, changed, touched)
	}
	for i := range changed {
		u := s.units.at(uint32(i))
		for _, a := range e.topology.adjacencies[i] {
			e.publishAdjacency(a, u, false)
		}
	}
	if e.mirror != nil {
		e.mirror.part(gone)
	}
}

func (e *Engine) editInstance(s *snapshot, c instanceEdit, changed map[intf.Index]struct{}) {
	old := s.instances.at(c.index)
	var next *instanceView
	switch {
	case old == nil && (c.table == nil || c.feasible):
		return
	case c.feasible && old.feasible == c.table || !c.feasible && old != nil && old.table == c.table:
		return
	case c.feasible || c.table != nil:
		next = &instanceView{}
		if old != nil {
			*next = *old
		}
		if c.feasible {
			next.feasible = c.table
		} else {
			next.table = c.table
		}
	}
	s.instances = s.instances.with(c.index, next)
	if e.mirror != nil && !c.feasible {
		e.mirror.setInstance(c.index, c.table)
	}
	for i := range e.topology.instanceUnits[c.index] {
		e.editUnit(s, s.units.at(uint32(i)).spec, false)
		changed[i] = struct{}{}
	}
}

func (e *Engine) editUnit(s *snapshot, spec Unit, gone bool) {
	key := uint32(spec.Index)
	var stats *unitStats
	old := s.units.at(key)
	if old != nil {
		stats = old.stats
		e.detachUnit(s, old)
	}
	if gone {
		s.units = s.units.with(key, nil)
	} else {
		if stats == nil {
			stats = newUnitStats(len(e.workers))
		}
		u := e.newUnit(s, spec, stats)
		s.units = s.units.with(key, u)
		e.attachUnit(s, u)
	}
	// The sources last, when the unit stands as it will be seen.
	if old != nil {
		for _, f := range intf.Families {
			setGuard(s, old.fam[f].instance, f, old.index, nil)
			e.chooseSource(s, old.fam[f].instance, f, old.index)
		}
	}
	if !gone {
		for _, f := range intf.Families {
			setGuard(s, spec.Families[f].Instance, f, spec.Index, s.units.at(key))
			e.chooseSource(s, spec.Families[f].Instance, f, spec.Index)
		}
	}
}

func (e *Engine) newUnit(s *snapshot, spec Unit, stats *unitStats) *unit {
	u := &unit{index: spec.Index, port: spec.Port, station: stationOf(spec.MAC), stats: stats, spec: spec}
	if s.ports.at(uint32(u.port)) == nil {
		u.port = 0
	}
	for _, f := range intf.Families {
		want := &spec.Families[f]
		u.fam[f] = family{
			up: want.Up, hooks: hooksOf(want), rpf: want.RPF, instance: want.Instance, mtu: want.MTU, own: newAddressSet(want.Locals),
			redirects: want.Redirects,
		}
		if r := s.instances.at(want.Instance); r != nil {
			u.fam[f].table, u.fam[f].sources = r.table, r.sources(want.RPF)
		}
	}
	return u
}

func (e *Engine) attachUnit(s *snapshot, u *unit) {
	if p := s.ports.at(uint32(u.port)); u.port != 0 && p != nil {
		s.ports = s.ports.with(uint32(u.port), p.withUnit(u.spec.VLAN, u))
		link(e.topology.portUnits, u.port, u.index)
	}
	for _, f := range u.fam {
		link(e.topology.instanceUnits, f.instance, u.index)
	}
}

func (e *Engine) detachUnit(s *snapshot, u *unit) {
	if p := s.ports.at(uint32(u.port)); u.port != 0 && p != nil {
		// Another unit may have taken the tags over in the meantime.
		if p.unit(u.spec.VLAN) == u {
			s.ports = s.ports.with(uint32(u.port), p.withUnit(u.spec.VLAN, nil))
		}
		unlink(e.topology.portUnits, u.port, u.index)
	}
	for _, f := range u.fam {
		unlink(e.topology.instanceUnits, f.instance, u.index)
	}
}

// chooseSource keeps an instance's address for ICMP errors after unit i has
// changed: that of its owner as long as the owner has one.
func (e *Engine) chooseSource(s *snapshot, instance uint32, f intf.Family, i intf.Index) {
	r := s.instances.at(instance)
	if r == nil {
		return
	}
	owner := r.owner[f]
	if owner == 0 {
		owner = i
	}
	source := sourceOf(s, owner, instance, f)
	if !source.IsValid() && r.owner[f] != 0 {
		// The owner has lost its address: the only case that asks everyone.
		owner = 0
		for j := range e.topology.instanceUnits[instance] {
			if a := sourceOf(s, j, instance, f); a.IsValid() && (owner == 0 || j < owner) {
				owner, source = j, a
			}
		}
	}
	if !source.IsValid() {
		owner = 0
	}
	if owner == r.owner[f] && source == r.source[f] {
		return
	}
	next := *r
	next.owner[f], next.source[f] = owner, source
	s.instances = s.instances.with(instance, &next)
}

// sourceOf is the address that unit i can lend to its instance: link-local ones
// mean nothing on other links.
func sourceOf(s *snapshot, i intf.Index, instance uint32, f intf.Family) netip.Addr {
	u := s.units.at(uint32(i))
	if u == nil || !u.fam[f].up || u.fam[f].instance != instance || u.spec.Families[f].Primary.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	return u.spec.Families[f].Primary
}
