package dataplane

import (
	"encoding/binary"
	"net/netip"

	"router/dataplane/filter"
	"router/dataplane/layout"
	"router/intf"
)

// addPort makes the record of a port, or uses again what a port of the same id had.
func (m *mirror) addPort(id PortID, stats *portStats) {
	p := m.ports[id]
	if p == nil {
		at, err := m.arena.Alloc(layout.PortWords)
		if err != nil {
			m.noRoom(err)
			return
		}
		p = &mirrorPort{record: at}
		m.ports[id] = p
	}
	p.stats = stats
}

// removePort empties the record of a port whose units have gone.
func (m *mirror) removePort(id PortID) {
	p := m.ports[id]
	if p == nil {
		return
	}
	p.untagged, p.device = 0, 0
	if p.demux != nil {
		demux := p.demux
		p.demux = nil
		m.publishPort(p)
		demux.Close()
		return
	}
	m.publishPort(p)
}

func (m *mirror) publishPort(p *mirrorPort) {
	w := layout.Port{Untagged: p.untagged}
	if p.demux != nil {
		w.Tagged = p.demux.Record()
	}
	m.arena.Store(p.record, w.Word())
}

// A tagPlace is a tag stack of a port.
type tagPlace struct {
	port PortID
	vlan intf.VLAN
}

// setUnits writes down the units that have changed in a snapshot, and returns
// what is to be given back once their neighbours have followed. touched are tag
// stacks that units had on the way there and may have taken from others.
func (m *mirror) setUnits(s *snapshot, changed map[intf.Index]struct{}, touched []tagPlace) (gone []*mirrorUnit) {
	places := make(map[tagPlace]struct{})
	for _, p := range touched {
		places[p] = struct{}{}
	}
	for i := range changed {
		old, u := m.units[i], s.units.at(uint32(i))
		if old != nil {
			places[tagPlace{old.port, old.vlan}] = struct{}{}
			gone = append(gone, old)
		}
		delete(m.units, i)
		if u == nil || u.port == 0 {
			continue
		}
		fresh, err := m.newUnit(u, old)
		if err != nil {
			m.noRoom(err)
			continue
		}
		m.units[i] = fresh
		places[tagPlace{fresh.port, fresh.vlan}] = struct{}{}
	}
	for p := range places {
		m.setDemux(s, p.port, p.vlan)
	}
	return gone
}

// newUnit makes the record of a unit, which has the counters of the old one if it
// is still at the same port.
func (m *mirror) newUnit(u *unit, old *mirrorUnit) (*mirrorUnit, error) {
	x := &mirrorUnit{index: u.index, port: u.port, vlan: u.spec.VLAN, stats: u.stats}
	var err error
	if x.record, err = m.unitSlab.Get(); err != nil {
		return nil, err
	}
	if old != nil && old.port == u.port && old.stats == u.stats {
		x.tally = old.tally
	} else if x.tally, err = m.tallies.NewTally(); err != nil {
		m.unitSlab.Retire(x.record)
		return nil, err
	}
	r := layout.Unit{Station: u.spec.MAC, IfIndex: uint32(u.index), Tally: x.tally}
	for i := range u.fam {
		f, to := &u.fam[i], &r.Families[i]
		to.Flags, to.Group = familyFlags(f), u.spec.Families[i].Group
		m.holdFilters(x, i, &u.spec.Families[i], to)
		if f.table != nil {
			to.Table = f.table.Record()
		}
		if f.sources != nil {
			to.Sources = f.sources.Record()
		}
		to.OwnBits = f.own.filter
		x.own[i], to.OwnCount = m.newOwn(&f.own)
		to.Own = x.own[i].at
		x.many[i] = to.OwnCount == layout.OwnMany
	}
	words := r.Words()
	m.arena.Write(x.record, words[:])
	return x, nil
}

// holdFilters notes where the filters of a unit's family stand.
func (m *mirror) holdFilters(x *mirrorUnit, i int, f *UnitFamily, to *layout.UnitFamily) {
	hold := func(b *filter.Bound) uint32 {
		if b == nil || m.filters == nil {
			return layout.AskFilter
		}
		x.held = append(x.held, b)
		return m.filters.HoldFilter(b)
	}
	if b := f.Filters[filter.Input]; b != nil {
		if to.Filter = hold(b); to.Filter == layout.AskFilter {
			to.Filter = 0
			to.Flags |= layout.FamilyAskIn
		}
	}
	if b := f.Filters[filter.Output]; b != nil {
		x.out[i] = hold(b)
	}
}

// newOwn writes the addresses of a unit's family down.
func (m *mirror) newOwn(s *addressSet) (block, uint8) {
	words := make([]uint64, 0, len(s.v4)+2*len(s.v6))
	for _, a := range s.v4 {
		words = append(words, uint64(a))
	}
	for _, a := range s.v6 {
		words = append(words, a[0], a[1])
	}
	n := len(s.v4) + len(s.v6)
	if n == 0 {
		return block{}, 0
	}
	if n > layout.OwnMost {
		return block{}, layout.OwnMany
	}
	at, err := m.arena.Alloc(len(words))
	if err != nil {
		m.noRoom(err)
		return block{}, layout.OwnMany
	}
	m.arena.Write(at, words)
	return block{at, len(words)}, uint8(n)
}

// demuxKey is what a tag stack is looked up by, as an IPv4 address.
func demuxKey(v intf.VLAN) (netip.Prefix, bool) {
	outer, ok := tagKey(v.OuterTPID, v.OuterID)
	if !ok {
		return netip.Prefix{}, false
	}
	key := layout.TagKey1(outer)
	if v.InnerTPID != 0 {
		inner, ok := tagKey(v.InnerTPID, v.InnerID)
		if !ok {
			return netip.Prefix{}, false
		}
		key = layout.TagKey2(outer, inner)
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], key)
	return netip.PrefixFrom(netip.AddrFrom4(a), 32), true
}

// setDemux has a tag stack of a port lead to the unit that a snapshot says.
func (m *mirror) setDemux(s *snapshot, id PortID, v intf.VLAN) {
	p, view := m.ports[id], s.ports.at(uint32(id))
	if p == nil || view == nil {
		return
	}
	number := uint32(0)
	if u := view.unit(v); u != nil && m.units[u.index] != nil {
		number = m.units[u.index].record / layout.UnitWords
	}
	if v.OuterTPID == 0 {
		p.untagged = number
		m.publishPort(p)
		return
	}
	key, ok := demuxKey(v)
	if !ok {
		return
	}
	if number == 0 {
		if p.demux == nil {
			return
		}
		if _, err := p.demux.Delete(key); err == nil {
			return
		}
		// No room to rewrite the block: nothing stands behind the number 0.
		m.forgetDemux(p)
		return
	}
	if p.demux == nil {
		t, err := m.arena.NewTable()
		if err != nil {
			m.noRoom(err)
			return
		}
		p.demux = t
		m.publishPort(p)
	}
	if err := p.demux.Insert(key, number); err != nil {
		m.noRoom(err)
		m.forgetDemux(p)
	}
}

// forgetDemux hands all tagged frames of a port up, for want of room to say more.
func (m *mirror) forgetDemux(p *mirrorPort) {
	demux := p.demux
	p.demux = nil
	m.publishPort(p)
	demux.Close()
}

// part gives back what nothing leads to any more.
func (m *mirror) part(gone []*mirrorUnit) {
	for _, x := range gone {
		m.unitSlab.Retire(x.record)
		for _, b := range x.held {
			m.filters.ReleaseFilter(b)
		}
		for _, own := range x.own {
			if own.n > 0 {
				m.arena.Retire(own.at, own.n)
			}
		}
		if m.counts(x) {
			continue
		}
		p := parting{place: x.tally, seen: m.tallies.Tally(x.tally), unit: x.stats}
		if port := m.ports[x.port]; port != nil {
			p.port = port.stats
		}
		p.add(p.seen)
		m.parting.Retire(p)
	}
	m.reclaim()
}

// counts reports whether the unit's present record counts where x does.
func (m *mirror) counts(x *mirrorUnit) bool {
	now := m.units[x.index]
	return now != nil && now.tally == x.tally
}

// add takes counts over into what does not go.
func (p *parting) add(n [layout.TallyWords]uint64) {
	for i := range n {
		p.unit.past[i] += n[i]
		if p.port != nil {
			p.port.past[i] += n[i]
		}
	}
}

// reclaim takes the rest over of what no program counts in any more.
func (m *mirror) reclaim() {
	m.parting.Reclaim(func(p parting) {
		now := m.tallies.Tally(p.place)
		for i := range now {
			now[i] -= p.seen[i]
		}
		p.add(now)
		m.tallies.FreeTally(p.place)
	})
}

// unitTally is what the fast path has counted of a unit.
func (m *mirror) unitTally(i intf.Index, stats *unitStats) [layout.TallyWords]uint64 {
	sum := stats.past
	if x := m.units[i]; x != nil && x.stats == stats {
		addTally(&sum, m.tallies.Tally(x.tally))
	}
	return sum
}

// portTally is what the fast path has counted of a port.
func (m *mirror) portTally(id PortID, stats *portStats, units map[intf.Index]struct{}) [layout.TallyWords]uint64 {
	sum := stats.past
	for i := range units {
		if x := m.units[i]; x != nil && x.port == id {
			addTally(&sum, m.tallies.Tally(x.tally))
		}
	}
	return sum
}

func addTally(sum *[layout.TallyWords]uint64, n [layout.TallyWords]uint64) {
	for i := range sum {
		sum[i] += n[i]
	}
}
