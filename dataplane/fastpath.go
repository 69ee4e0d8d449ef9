package dataplane

import (
	"fmt"
	"maps"

	"router/dataplane/filter"
	"router/dataplane/layout"
	"router/intf"
	"router/routing"
)

// This file is what a faster path has to do with the engine beside its tables.

// FastPort is the offset in the arena of the record by which a program finds the
// units of a port; ok is false where there is none. It stays valid for the port's
// id when the port has gone, and is empty then.
func (e *Engine) FastPort(id PortID) (record uint32, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mirror == nil || e.mirror.ports[id] == nil {
		return 0, false
	}
	return e.mirror.ports[id].record, true
}

// SetFastEgress says that a faster path may send by a port itself, which is the
// kernel's device of that index; 0 for not. Packets to other ports are the user
// path's.
func (e *Engine) SetFastEgress(id PortID, device int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mirror == nil || e.mirror.ports[id] == nil || e.mirror.ports[id].device == uint32(device) {
		return
	}
	e.mirror.ports[id].device = uint32(device)
	s := e.snapshot.Load()
	for i := range e.topology.portUnits[id] {
		u := s.units.at(uint32(i))
		for _, a := range e.topology.adjacencies[i] {
			e.mirror.setNeighbor(a, u)
		}
	}
}

// FastCrowded reports whether the tables had no room for something that a faster path
// should read. The user path does what that is about.
func (e *Engine) FastCrowded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mirror != nil && e.mirror.full
}

// RetryFast writes all down again for a faster path. It costs a look at all units,
// neighbours and next hops.
func (e *Engine) RetryFast() {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.mirror
	if m == nil {
		return
	}
	m.full = false
	s := e.snapshot.Load()
	for id := range e.nextPort {
		if p := s.ports.at(uint32(id)); p != nil {
			m.addPort(id, p.stats)
		}
	}
	for index, t := range m.tables {
		m.setPlace(index, t)
	}
	changed := make(map[intf.Index]struct{})
	for _, units := range e.topology.portUnits {
		maps.Copy(changed, units)
	}
	e.publish(s, changed)
	for id := range uint32(len(*e.nexthops.chunks.Load()) * nexthopChunk) {
		if nh := e.nexthops.at(id); nh != nil {
			m.nexthop(routing.NextHopID(id), nh)
		}
	}
}

// FastReason says why packets of a family that come in by a unit, or leave by it, are the user path's
// whatever they are; empty where they aren't, and where the unit's port says it.
func (e *Engine) FastReason(i intf.Index, f intf.Family) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := e.snapshot.Load().units.at(uint32(i))
	if e.mirror == nil || u == nil || u.port == 0 {
		return ""
	}
	x := e.mirror.units[i]
	switch {
	case x == nil:
		return "the tables have no room for the unit"
	case x.many[f]:
		return fmt.Sprintf("it has more than %d addresses", layout.OwnMost)
	case e.mirror.filters == nil:
		return ""
	}
	for _, h := range []filter.Hook{filter.Input, filter.Output} {
		b := u.spec.Families[f].Filters[h]
		if b == nil {
			continue
		}
		if err := e.mirror.filters.FilterReason(b); err != nil {
			return fmt.Sprintf("filter at %s: %v", h, err)
		}
	}
	return ""
}

// ReclaimFast frees what neither workers nor a faster path have any more, and reports whether there is
// more to be freed: for idle times.
func (e *Engine) ReclaimFast() (more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.mirror
	if m == nil {
		return false
	}
	m.reclaim()
	m.unitSlab.Reclaim()
	m.neighborSlab.Reclaim()
	return m.filters != nil && m.filters.ReclaimFilters() || m.parting.Len() > 0
}

// FastPackets is how many packets that came in by a port a faster path has
// forwarded or dropped.
func (e *Engine) FastPackets(id PortID) uint64 {
	p := e.snapshot.Load().ports.at(uint32(id))
	if p == nil {
		return 0
	}
	t := e.portTally(p)
	return t[layout.TallyInPackets]
}

func (e *Engine) unitTally(u *unit) (t [layout.TallyWords]uint64) {
	if e.mirror == nil {
		return t
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mirror.reclaim()
	return e.mirror.unitTally(u.index, u.stats)
}

func (e *Engine) portTally(p *portView) (t [layout.TallyWords]uint64) {
	if e.mirror == nil {
		return t
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mirror.reclaim()
	return e.mirror.portTally(p.id, p.stats, e.topology.portUnits[p.id])
}

// tallyDrops are the places of a tally that count drops of what came in.
var tallyDrops = map[int]Reason{
	layout.TallyDiscarded: DropDiscarded, layout.TallyRPF4: DropRPF, layout.TallyRPF6: DropRPF,
	layout.TallyFiltered: DropFiltered, layout.TallyPoliced: DropPoliced,
	layout.TallyOutFiltered: DropFiltered, layout.TallyOutPoliced: DropPoliced, layout.TallyLost: DropPortGone,
}

// add adds what a faster path has counted. It takes unicast frames only.
func (c *Counters) add(t [layout.TallyWords]uint64) {
	c.InUnicast += t[layout.TallyInPackets]
	c.InOctets += t[layout.TallyInOctets]
	c.OutUnicast += t[layout.TallyOutPackets]
	c.OutOctets += t[layout.TallyOutOctets]
	for place := range tallyDrops {
		c.InDiscards += t[place]
	}
}
