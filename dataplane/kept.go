package dataplane

import (
	"router/dataplane/layout"
	"router/intf"
)

// This file splits counters into what programs in the kernel count in memory that
// outlives the process, and all else.

// A Kept is the counters of a unit or a port without those that programs have counted,
// since it was made, at a place of the kernel's memory of some number; 0 for none.
type Kept struct {
	Counters
	Place, Memory uint32
}

// UnitKept is UnitCounters, split.
func (e *Engine) UnitKept(i intf.Index) (k Kept, ok bool) {
	u := e.snapshot.Load().units.at(uint32(i))
	if u == nil {
		return k, false
	}
	k.Counters = sum(u.stats.counted())
	if e.mirror == nil {
		return k, true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.mirror
	t := u.stats.past
	if x := m.units[i]; x != nil && x.stats == u.stats {
		var base [layout.TallyWords]uint64
		k.Place = x.tally
		base, k.Memory = m.tallies.Kept(x.tally)
		addTally(&t, base)
	}
	k.add(t)
	return k, true
}

// PortKept is PortCounters without what programs have counted of the port's units, at their
// places.
func (e *Engine) PortKept(id PortID) (c Counters, ok bool) {
	p := e.snapshot.Load().ports.at(uint32(id))
	if p == nil {
		return c, false
	}
	c = sum(p.stats.blocks)
	if e.mirror == nil {
		return c, true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t := p.stats.past
	for i := range e.topology.portUnits[id] {
		if x := e.mirror.units[i]; x != nil && x.port == id {
			base, _ := e.mirror.tallies.Kept(x.tally)
			addTally(&t, base)
		}
	}
	c.add(t)
	return c, true
}

// FastCounters are the counters that programs have counted at a place.
func FastCounters(t [layout.TallyWords]uint64) (c Counters) {
	c.add(t)
	return c
}
