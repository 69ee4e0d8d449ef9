package vrf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"router/routing"
)

// This file has the cache of flows: a clone for each source that sends to a
// group by a route of more than the one flow, made when the first packet was
// reported. Clones do what their parent does and change with it; they count the
// flow's packets, and go when there are none for a time. Nothing depends on
// them: a flow that has none follows the parent.

// CacheLimits bound the cache of an instance.
type CacheLimits struct {
	Entries int           // clones at most, both families; 0 for no cache
	Idle    time.Duration // without a packet until a clone goes
}

// A Flow is one source that sends to one group.
type Flow struct {
	Group, Source netip.Addr
}

// A CacheStats says what an instance's cache holds, and what it couldn't.
type CacheStats struct {
	Entries  int    // clones
	Negative int    // of these, clones of routes that discard
	Refused  uint64 // flows that found the cache, or the tables, full
}

// cache is the clones of an instance.
type cache struct {
	limits  CacheLimits
	clones  map[Flow]*clone
	refused uint64
	// negative counts the clones that discard; what is in changed has to be
	// looked at before that is true.
	negative int
	changed  map[Flow]struct{}
}

type clone struct {
	tally    uint32
	negative bool
	packets  uint64        // when it was looked at last
	used     time.Duration // when packets had come last
}

func newCache() cache { return cache{clones: map[Flow]*clone{}, changed: map[Flow]struct{}{}} }

// negative reports whether a next hop sends nothing anywhere.
func negative(nh routing.NextHop) bool {
	l := nh.List()
	return len(l.Out) == 0 && !l.Local
}

// LimitCache sets the bounds of an instance's cache. Clones beyond a new one go
// at once, those first that have been idle longest.
func (m *Manager) LimitCache(instance string, l CacheLimits) error {
	ri, err := m.instance(instance)
	if err != nil {
		return fmt.Errorf("multicast cache: %w", err)
	}
	ri.mcast.cache.limits = l
	excess := len(ri.mcast.cache.clones) - l.Entries
	if excess <= 0 {
		return nil
	}
	flows := make([]Flow, 0, len(ri.mcast.cache.clones))
	for f := range ri.mcast.cache.clones {
		flows = append(flows, f)
	}
	slices.SortFunc(flows, func(a, b Flow) int {
		x, y := ri.mcast.cache.clones[a], ri.mcast.cache.clones[b]
		if x.used != y.used {
			return int(min(max(x.used-y.used, -1), 1))
		}
		return int(x.tally) - int(y.tally)
	})
	var errs []error
	for _, f := range flows[:excess] {
		errs = append(errs, m.removeClone(ri, f))
	}
	return errors.Join(errs...)
}

// AddFlow makes the clone of a flow that was reported at the time now, if the
// route that the flow follows still asks for that and there is room. A new flow
// that has somewhere to go displaces one that has not; of those with nowhere to
// go, there are half as many as the cache holds at most. An instance that is gone
// is no error.
func (m *Manager) AddFlow(instance uint32, f Flow, now time.Duration) error {
	ri := m.byIndex[instance]
	if ri == nil {
		return nil
	}
	c := &ri.mcast.cache
	if c.clones[f] != nil || c.limits.Entries == 0 || f.Source.IsMulticast() || f.Source.IsUnspecified() {
		return nil
	}
	parent, _, ok := ri.rib.Parent(f.Group, f.Source)
	if !ok || !parent.NextHop.List().Report {
		return nil
	}
	nowhere := negative(parent.NextHop)
	if len(c.clones) >= c.limits.Entries || nowhere && ri.negatives() >= (c.limits.Entries+1)/2 {
		if nowhere || ri.negatives() == 0 {
			c.refused++
			return nil
		}
		if err := m.displace(ri); err != nil {
			return err
		}
	}
	cl := &clone{tally: m.tally(), used: now}
	err := m.store.Batch(func() error {
		g, err := m.group(ri, f.Group)
		if err != nil {
			return err
		}
		g.used++
		c.clones[f] = cl
		c.changed[f] = struct{}{}
		return g.rib.SetClone(f.Source, cl.tally)
	})
	if err != nil {
		c.refused++
		return errors.Join(fmt.Errorf("instance %s flow from %v to %v: %w", ri.name, f.Source, f.Group, err), m.removeClone(ri, f))
	}
	return nil
}

// AgeFlows removes the clones that have had no packet for as long as their
// instance's limit says; packets tells how many a tally has counted. It returns
// how long it will take until the next one can be due, 0 when there are none.
func (m *Manager) AgeFlows(now time.Duration, packets func(tally uint32) uint64) (next time.Duration, err error) {
	var errs []error
	for _, ri := range m.byIndex {
		c := &ri.mcast.cache
		for f, cl := range c.clones {
			if n := packets(cl.tally); n != cl.packets {
				cl.packets, cl.used = n, now
			}
			left := cl.used + c.limits.Idle - now
			if left <= 0 {
				errs = append(errs, m.removeClone(ri, f))
				continue
			}
			if next == 0 || left < next {
				next = left
			}
		}
	}
	return next, errors.Join(errs...)
}

// Clone is the number that the clone of a flow counts under, and when packets
// were last seen to have come; ok is false when there is none.
func (m *Manager) Clone(instance string, f Flow) (tally uint32, used time.Duration, ok bool) {
	ri := m.byName[instance]
	if ri == nil || ri.mcast.cache.clones[f] == nil {
		return 0, 0, false
	}
	c := ri.mcast.cache.clones[f]
	return c.tally, c.used, true
}

// Cache says what an instance's cache holds.
func (m *Manager) Cache(instance string) CacheStats {
	ri := m.byName[instance]
	if ri == nil {
		return CacheStats{}
	}
	return CacheStats{Entries: len(ri.mcast.cache.clones), Negative: ri.negatives(), Refused: ri.mcast.cache.refused}
}

// onFlow is told of every route by source that changed.
func (m *Manager) onFlow(instance uint32, group netip.Addr, source netip.Prefix) {
	if ri := m.byIndex[instance]; ri != nil && source.IsSingleIP() {
		f := Flow{group, source.Addr()}
		if ri.mcast.cache.clones[f] != nil {
			ri.mcast.cache.changed[f] = struct{}{}
		}
	}
	if m.tellFlow != nil {
		m.tellFlow(instance, group, source)
	}
}

// negatives is the number of clones that discard.
func (ri *instance) negatives() int {
	c := &ri.mcast.cache
	for f := range c.changed {
		cl := c.clones[f]
		for _, e := range ri.mcast.groups[f.Group].rib.Entries(routing.CloneKey(f.Source).Prefix) {
			if e.Source == routing.Clone {
				c.mark(cl, negative(e.NextHop))
			}
		}
	}
	clear(c.changed)
	return c.negative
}

func (c *cache) mark(cl *clone, negative bool) {
	if negative != cl.negative {
		cl.negative = negative
		if negative {
			c.negative++
		} else {
			c.negative--
		}
	}
}

// displace removes the clone that has been idle longest of those that discard.
func (m *Manager) displace(ri *instance) error {
	var oldest Flow
	var found *clone
	for f, cl := range ri.mcast.cache.clones {
		if cl.negative && (found == nil || cl.used < found.used || cl.used == found.used && cl.tally < found.tally) {
			oldest, found = f, cl
		}
	}
	return m.removeClone(ri, oldest)
}

// removeClone removes the clone of a flow. One that isn't there is no error.
func (m *Manager) removeClone(ri *instance, f Flow) error {
	c := &ri.mcast.cache
	cl := c.clones[f]
	if cl == nil {
		return nil
	}
	c.mark(cl, false)
	delete(c.clones, f)
	delete(c.changed, f)
	err := ri.mcast.groups[f.Group].rib.Delete(routing.CloneKey(f.Source))
	return errors.Join(err, m.leaveGroup(ri, f.Group))
}
