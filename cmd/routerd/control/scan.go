package control

import (
	"router/intf"
	"router/models"
)

// This file reads what changes all the time of many objects at once: one look
// at the router for a device's units, not one for each.

// UnitCounters appends the counters of all units of a device to dst, in the order
// of the units.
func (r *Router) UnitCounters(dst []models.UnitCounters, device string) []models.UnitCounters {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.tree.Units(device) {
		u, t := r.units[key], r.tree.Unit(key)
		if u == nil || t == nil {
			continue
		}
		s := models.UnitCounters{Key: key, Up: t.Down.Status() == intf.OperUp}
		if c, ok := r.engine.UnitCounters(t.Index); ok {
			s.Counters = u.meter.shown(models.Counters(c))
		}
		s.RPFFailed = r.engine.RPFDrops(u.index)
		for i, f := range intf.Families {
			s.HasFamily[i] = t.Family(f) != nil
		}
		dst = append(dst, s)
	}
	return dst
}

// Neighbors counts the neighbours of all units by family and state.
func (r *Router) Neighbors() (n models.NeighborCounts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.units {
		for _, e := range r.neighbors.Entries(u.index) {
			n[intf.FamilyOf(e.Key.Addr)][e.State]++
		}
	}
	return n
}

// WorkerTotals says where the packets of each worker came from and went.
func (r *Router) WorkerTotals() []models.WorkerTotals {
	totals := r.engine.WorkerTotals()
	list := make([]models.WorkerTotals, len(totals))
	for i, t := range totals {
		list[i] = models.WorkerTotals(t)
	}
	return list
}

// SystemSpec is what is declared of the router as a whole.
func (r *Router) SystemSpec() models.SystemSpec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.system
}
