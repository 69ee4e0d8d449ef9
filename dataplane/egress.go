package dataplane

import (
	"slices"

	"router/intf"
	"router/routing"
)

// An egressSet is the units that packets leave by which follow a next hop:
// sorted and immutable. nil is the empty set.
type egressSet []intf.Index

// fewUnits is up to how many a look at each is faster than a search.
const fewUnits = 8

// has reports whether packets leave by unit i.
func (s egressSet) has(i intf.Index) bool {
	if len(s) <= fewUnits {
		for _, u := range s {
			if u == i {
				return true
			}
		}
		return false
	}
	_, found := slices.BinarySearch(s, i)
	return found
}

// leadsTo are the next hops that a record goes on by, each once.
func (nh *nexthop) leadsTo() []routing.NextHopID {
	var list []routing.NextHopID
	add := func(id routing.NextHopID) {
		if id != 0 && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	add(nh.via)
	var last routing.NextHopID
	for _, id := range nh.buckets {
		if id != last {
			add(id)
		}
		last = id
	}
	for _, b := range nh.branches {
		add(b.ID)
	}
	return list
}

// egressOf works out where packets leave that follow a record.
func (t *nexthopTable) egressOf(nh *nexthop) egressSet {
	if nh.kind == routing.Forward || nh.kind == routing.Resolve {
		return egressSet{nh.ifindex}
	}
	var set egressSet
	for _, id := range nh.leadsTo() {
		if next := t.at(uint32(id)); next != nil {
			set = append(set, next.units()...)
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// units is where packets leave that follow a record.
func (nh *nexthop) units() egressSet {
	if s := nh.egress.Load(); s != nil {
		return *s
	}
	return nil
}

// prepare works out what the checks of sources want to know of a record that
// is about to become id.
func (t *nexthopTable) prepare(id routing.NextHopID, nh *nexthop) {
	set := t.egressOf(nh)
	nh.egress.Store(&set)
	for _, b := range nh.branches {
		if next := t.at(uint32(b.ID)); next != nil && next.kind == routing.Lookup {
			nh.onward = b.ID
			break
		}
	}
}

// relink has those know that go on by id that its record is not old any more,
// but nh, nil when it is gone.
func (t *nexthopTable) relink(id routing.NextHopID, old, nh *nexthop) {
	var before, after []routing.NextHopID
	if old != nil {
		before = old.leadsTo()
	}
	if nh != nil {
		after = nh.leadsTo()
	}
	for _, to := range before {
		delete(t.users[to], id)
		if len(t.users[to]) == 0 {
			delete(t.users, to)
		}
	}
	for _, to := range after {
		if t.users[to] == nil {
			t.users[to] = make(map[routing.NextHopID]struct{})
		}
		t.users[to][id] = struct{}{}
	}
	if nh != nil && (old == nil || !slices.Equal(old.units(), nh.units())) {
		t.refresh(id)
	}
}

// refresh brings the sets of those up to date that go on by id: each is one
// store, however many routes there are.
func (t *nexthopTable) refresh(id routing.NextHopID) {
	for user := range t.users[id] {
		nh := t.at(uint32(user))
		if nh == nil {
			continue
		}
		if set := t.egressOf(nh); !slices.Equal(set, nh.units()) {
			nh.egress.Store(&set)
			if t.mirror != nil {
				t.mirror.egress(user, nh)
			}
			t.refresh(user)
		}
	}
}
