package dataplane

import (
	"context"
	"net/netip"
	"sync/atomic"

	"router/intf"
	"router/routing"
	"router/vrf/epoch"
)

// A nexthop is the record behind an id, immutable but for what its adjacency
// learns, and for its egress set, which follows what it leads to.
type nexthop struct {
	kind     routing.Kind
	reject   routing.RejectCode
	ifindex  intf.Index
	instance uint32
	via      routing.NextHopID // of an Indirect
	gateway  netip.Addr
	adj      *adjacency // of a Forward
	// buckets of a Group hold what their flows go by; a power of two of them, or
	// none.
	buckets []routing.NextHopID
	// branches of a Choice, in order of preference.
	branches []routing.Branch
	onward   routing.NextHopID // the first branch of a Choice that looks up again; 0 for none
	egress   atomic.Pointer[egressSet]
	list     *copyList       // of a Multicast or a Flood
	sources  routing.Sources // of a BySource
}

const nexthopChunk = 256

// A nexthopTable maps ids to records. Workers read it without locks; the writer
// holds Engine.mu.
type nexthopTable struct {
	chunks atomic.Pointer[[]*[nexthopChunk]atomic.Pointer[nexthop]]

	// Deleted records stay readable until no worker can hold their ids any
	// more: a packet that was looked up before still goes where it should.
	limbo   *epoch.Limbo[routing.NextHopID]
	waiting map[routing.NextHopID]struct{}
	domain  *epoch.Domain
	users   map[routing.NextHopID]map[routing.NextHopID]struct{} // who goes on by an id
	mirror  *mirror                                              // nil for none
}

func newNexthopTable(d *epoch.Domain) *nexthopTable {
	t := &nexthopTable{
		limbo: epoch.NewLimbo[routing.NextHopID](d), waiting: make(map[routing.NextHopID]struct{}), domain: d,
		users: make(map[routing.NextHopID]map[routing.NextHopID]struct{}),
	}
	t.chunks.Store(&[]*[nexthopChunk]atomic.Pointer[nexthop]{})
	return t
}

// at returns the record of id, nil where there is none.
func (t *nexthopTable) at(id uint32) *nexthop {
	chunks := *t.chunks.Load()
	if c := id / nexthopChunk; c < uint32(len(chunks)) {
		return chunks[c][id%nexthopChunk].Load()
	}
	return nil
}

func (t *nexthopTable) set(id routing.NextHopID, nh *nexthop) {
	chunks := *t.chunks.Load()
	if c := int(id / nexthopChunk); c >= len(chunks) {
		grown := make([]*[nexthopChunk]atomic.Pointer[nexthop], c+1)
		for i := copy(grown, chunks); i <= c; i++ {
			grown[i] = new([nexthopChunk]atomic.Pointer[nexthop])
		}
		t.chunks.Store(&grown)
		chunks = grown
	}
	chunks[id/nexthopChunk][id%nexthopChunk].Store(nh)
	if t.mirror != nil {
		t.mirror.nexthop(id, nh)
	}
}

// reclaim drops the records whose grace period is over.
func (t *nexthopTable) reclaim() {
	t.limbo.Reclaim(func(id routing.NextHopID) {
		delete(t.waiting, id)
		t.set(id, nil)
	})
}

// SetNextHop implements [routing.Sink]. When id was deleted a moment ago it
// waits until no worker can have an old meaning of id in hand, for about the
// duration of a batch. The record's neighbour may be unknown: packets are then
// punted as Unresolved.
func (e *Engine) SetNextHop(id routing.NextHopID, nh routing.NextHop, via routing.NextHopID) {
	if id == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	record := &nexthop{
		kind: nh.Kind, reject: nh.Reject, ifindex: nh.IfIndex, instance: nh.Instance, via: via, gateway: nh.Gateway,
	}
	if nh.Kind == routing.Forward {
		record.adj = e.holdAdjacency(nh.IfIndex, nh.Gateway)
	}
	if nh.Kind == routing.Multicast || nh.Kind == routing.Flood {
		record.list = e.newList(nh.List())
	}
	e.putNexthop(id, record)
}

// SetGroup implements [routing.Sink]. It is one store, whatever the group's
// size and however many routes have it, and waits as SetNextHop does.
func (e *Engine) SetGroup(id routing.NextHopID, buckets []routing.NextHopID) {
	if id == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.putNexthop(id, &nexthop{kind: routing.Group, buckets: buckets})
}

// SetChoice implements [routing.Sink]. It is one store, and waits as SetNextHop
// does.
func (e *Engine) SetChoice(id routing.NextHopID, branches []routing.Branch) {
	if id == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.putNexthop(id, &nexthop{kind: routing.Choice, branches: branches})
}

// SetSources implements [routing.Sink].
func (e *Engine) SetSources(id routing.NextHopID, sources routing.Sources) {
	if id == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.putNexthop(id, &nexthop{kind: routing.BySource, sources: sources})
}

// putNexthop makes record what id means. The caller holds e.mu.
func (e *Engine) putNexthop(id routing.NextHopID, record *nexthop) {
	t := e.nexthops
	if _, ok := t.waiting[id]; ok {
		t.reclaim()
	}
	for _, ok := t.waiting[id]; ok; _, ok = t.waiting[id] {
		// Without a deadline it cannot fail, and workers pass every batch.
		_ = t.domain.Synchronize(context.Background())
		t.reclaim()
	}
	old := t.at(uint32(id))
	t.prepare(id, record)
	t.set(id, record)
	t.relink(id, old, record)
	e.releaseNexthop(old)
}

// DeleteNextHop implements [routing.Sink]. Packets that were looked up before
// still find the record.
func (e *Engine) DeleteNextHop(id routing.NextHopID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.nexthops
	t.reclaim()
	nh := t.at(uint32(id))
	if _, gone := t.waiting[id]; nh == nil || gone {
		return
	}
	e.releaseNexthop(nh)
	t.relink(id, nh, nil)
	t.waiting[id] = struct{}{}
	t.limbo.Retire(id)
}

func (e *Engine) releaseNexthop(nh *nexthop) {
	if nh != nil && nh.adj != nil {
		nh.adj.holders--
		e.dropAdjacency(nh.adj)
	}
	if nh != nil && nh.list != nil {
		e.dropTally(nh.list.tally)
		e.dropTally(nh.list.under)
	}
}
