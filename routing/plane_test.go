package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"router/intf"
)

// A plane is a data plane that checks the order of what it is told.
type plane struct {
	tb    testing.TB
	hops  map[NextHopID]struct{ nh, via NextHop }
	ids   map[NextHopID]NextHopID   // via
	deals map[NextHopID][]NextHopID // buckets of groups
	picks map[NextHopID][]Branch    // branches of choices
	fibs  []*fakeFIB
	sets  int // SetNextHop calls
	used  map[NextHop]bool
	told  map[string]int // OnRoute calls
	quiet bool           // check nothing
}

func newPlane(tb testing.TB) *plane {
	return &plane{
		tb: tb, hops: map[NextHopID]struct{ nh, via NextHop }{}, ids: map[NextHopID]NextHopID{}, deals: map[NextHopID][]NextHopID{},
		picks: map[NextHopID][]Branch{},
		used:  map[NextHop]bool{}, told: map[string]int{},
	}
}

func (p *plane) config() Config {
	return Config{
		Sink: p,
		OnGateway: func(i intf.Index, a netip.Addr, used bool) {
			nh := NextHop{Kind: Forward, IfIndex: i, Gateway: a}
			if p.used[nh] == used {
				p.tb.Errorf("OnGateway(%v, %v) told twice", nh, used)
			}
			p.used[nh] = used
			if !used {
				delete(p.used, nh)
			}
		},
		OnRoute: func(instance uint32, prefix netip.Prefix) { p.told[fmt.Sprint(instance, " ", prefix)]++ },
	}
}

func (p *plane) SetNextHop(id NextHopID, nh NextHop, via NextHopID) {
	p.sets++
	if id == 0 {
		p.tb.Error("next hop 0 set")
	}
	if via != 0 && nh.Kind != Indirect {
		p.tb.Errorf("next hop %v has via %d", nh, via)
	}
	v, ok := p.hops[via]
	if via != 0 && !ok {
		p.tb.Errorf("next hop %v set before its via %d", nh, via)
	}
	p.hops[id] = struct{ nh, via NextHop }{nh, v.nh}
	p.ids[id] = via
	if via == 0 && nh.Kind == Indirect {
		p.unreferenced(id, "left unresolved")
	}
}

func (p *plane) SetGroup(id NextHopID, buckets []NextHopID) {
	p.sets++
	if id == 0 {
		p.tb.Error("next hop 0 set")
	}
	for _, b := range buckets {
		if _, ok := p.hops[b]; !ok {
			p.tb.Errorf("group %d set before its member %d", id, b)
		}
	}
	if n := len(buckets); n&(n-1) != 0 {
		p.tb.Errorf("group %d has %d buckets", id, n)
	}
	p.hops[id] = struct{ nh, via NextHop }{nh: NextHop{Kind: Group}}
	p.deals[id] = buckets
	if len(buckets) == 0 {
		p.unreferenced(id, "left without members")
	}
}

func (p *plane) SetSources(id NextHopID, sources Sources) {
	p.sets++
	if id == 0 || sources == nil {
		p.tb.Errorf("next hop %d set to sources %v", id, sources)
	}
	p.hops[id] = struct{ nh, via NextHop }{nh: NextHop{Kind: BySource}}
}

func (p *plane) SetChoice(id NextHopID, branches []Branch) {
	p.sets++
	if id == 0 {
		p.tb.Error("next hop 0 set")
	}
	for i, b := range branches {
		if _, ok := p.hops[b.ID]; !ok {
			p.tb.Errorf("choice %d set before its branch %d", id, b.ID)
		}
		if i > 0 && branches[i-1].IfIndex == 0 && b.IfIndex != 0 {
			p.tb.Errorf("choice %d has a branch behind the one for all: %v", id, branches)
		}
	}
	p.hops[id] = struct{ nh, via NextHop }{nh: NextHop{Kind: Choice}}
	p.picks[id] = branches
}

func (p *plane) DeleteNextHop(id NextHopID) {
	if _, ok := p.hops[id]; !ok {
		p.tb.Errorf("next hop %d deleted, but it isn't there", id)
	}
	delete(p.hops, id)
	delete(p.ids, id)
	delete(p.deals, id)
	delete(p.picks, id)
	p.unreferenced(id, "deleted")
	if p.quiet {
		return
	}
	for other, via := range p.ids {
		if via == id {
			p.tb.Errorf("next hop %d deleted while %d goes through it", id, other)
		}
	}
	for other, buckets := range p.deals {
		if slices.Contains(buckets, id) {
			p.tb.Errorf("next hop %d deleted while group %d has it", id, other)
		}
	}
	for other, branches := range p.picks {
		if slices.ContainsFunc(branches, func(b Branch) bool { return b.ID == id }) {
			p.tb.Errorf("next hop %d deleted while choice %d has it", id, other)
		}
	}
}

func (p *plane) unreferenced(id NextHopID, what string) {
	if p.quiet {
		return
	}
	for _, f := range p.fibs {
		for prefix, got := range f.routes {
			if got == id {
				p.tb.Errorf("next hop %d %s while %v uses it", id, what, prefix)
			}
		}
	}
}

// A fakeFIB is a map that checks what it is given.
type fakeFIB struct {
	plane            *plane
	routes           map[netip.Prefix]NextHopID
	inserts, deletes int
	together         int  // the most changes that came at a time
	room             int  // prefixes, 0 for any number
	stuck            bool // nothing can be deleted
	second           bool // of SetFeasible
}

var errFull = errors.New("full")

func (p *plane) fib() *fakeFIB {
	f := &fakeFIB{plane: p, routes: map[netip.Prefix]NextHopID{}}
	p.fibs = append(p.fibs, f)
	return f
}

func (f *fakeFIB) Insert(prefix netip.Prefix, id uint32) error {
	f.inserts++
	nh, ok := f.plane.hops[NextHopID(id)]
	if !ok {
		f.plane.tb.Errorf("%v inserted with next hop %d that the sink doesn't know", prefix, id)
	}
	if nh.nh.Kind == Group && len(f.plane.deals[NextHopID(id)]) == 0 {
		f.plane.tb.Errorf("%v inserted with group %d, which nobody is in", prefix, id)
	}
	if nh.nh.Kind == Indirect && nh.via.Kind == 0 {
		f.plane.tb.Errorf("%v inserted with an unresolved %v", prefix, nh.nh)
	}
	if _, there := f.routes[prefix]; !there && f.room > 0 && len(f.routes) >= f.room {
		return errFull
	}
	f.routes[prefix] = NextHopID(id)
	return nil
}

func (f *fakeFIB) Delete(prefix netip.Prefix) (bool, error) {
	f.deletes++
	if f.stuck {
		return false, errFull
	}
	if _, ok := f.routes[prefix]; !ok && !f.second {
		f.plane.tb.Errorf("%v deleted, but it isn't there", prefix)
	}
	delete(f.routes, prefix)
	return true, nil
}

func (f *fakeFIB) SetAll(prefixes []netip.Prefix, ids []uint32) error {
	more := 0
	seen := map[netip.Prefix]bool{}
	for i, p := range prefixes {
		if seen[p] {
			f.plane.tb.Errorf("%v comes twice", p)
		}
		seen[p] = true
		if _, there := f.routes[p]; !there && ids[i] != 0 {
			more++
		}
		if ids[i] == 0 && f.stuck {
			return errFull
		}
	}
	if f.room > 0 && more > 0 && len(f.routes)+more > f.room {
		return errFull
	}
	f.together = max(f.together, len(prefixes))
	for i, p := range prefixes {
		var err error
		if ids[i] == 0 {
			_, err = f.Delete(p)
		} else {
			err = f.Insert(p, ids[i])
		}
		if err != nil {
			f.plane.tb.Errorf("%v of many: %v", p, err)
		}
	}
	return nil
}
