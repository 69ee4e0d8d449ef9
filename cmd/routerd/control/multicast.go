package control

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"router/dataplane"
	"router/dataplane/packet"
	"router/intf"
	"router/models"
	"router/routing"
	"router/vrf"
)

// A multicast is a route of groups as applied.
type multicast struct {
	want    *models.MulticastSpec
	applied bool
}

func (r *Router) wantMulticast(key models.MulticastKey, spec *models.MulticastSpec) {
	m := r.multicast[key]
	if m == nil {
		m = &multicast{}
		r.multicast[key] = m
	}
	m.want = spec
	r.dirty.multicast[key] = struct{}{}
}

func groupKey(k models.MulticastKey) vrf.GroupKey {
	return vrf.GroupKey{Group: k.Group, Source: k.Source}
}

func (r *Router) buildMulticast(key models.MulticastKey) error {
	m := r.multicast[key]
	if m == nil || m.want == nil {
		return nil
	}
	unit := func(name intf.UnitKey) (intf.Index, error) {
		t := r.tree.Unit(name)
		if t == nil {
			return 0, fmt.Errorf("instance %s multicast-route %s %s: interface %s does not exist",
				key.Instance, key.Group, key.SourceText(), name.Name())
		}
		return t.Index, nil
	}
	route := vrf.GroupRoute{Flood: m.want.Action == models.MulticastFlood, Local: m.want.Local}
	var err error
	if m.want.In != (intf.UnitKey{}) {
		if route.In, err = unit(m.want.In); err != nil {
			return err
		}
	}
	for _, name := range m.want.Out {
		i, err := unit(name)
		if err != nil {
			return err
		}
		route.Out = append(route.Out, i)
	}
	if err := r.vrfs.SetGroup(key.Instance, groupKey(key), route); err != nil {
		return err
	}
	m.applied = true
	r.events.changed(key.Object())
	return nil
}

func (r *Router) clearMulticast(key models.MulticastKey) error {
	m := r.multicast[key]
	if m == nil || m.want != nil {
		return nil
	}
	delete(r.multicast, key)
	if !m.applied {
		return nil
	}
	r.events.changed(key.Object())
	return r.vrfs.DeleteGroup(key.Instance, groupKey(key))
}

// limitCache bounds the cache of flows of an instance as declared.
func (r *Router) limitCache(in *instance) error {
	c := in.want.Cache
	return r.vrfs.LimitCache(in.want.Name, vrf.CacheLimits{Entries: int(c.Entries), Idle: c.Idle})
}

// onFlow is told of every route by source that changed.
func (r *Router) onFlow(instance uint32, group netip.Addr, source netip.Prefix) {
	name := r.names[instance]
	r.events.flow(name, group, source)
	r.changedGroup(models.MulticastKey{Instance: name, Group: netip.PrefixFrom(group, group.BitLen()), Source: source})
}

// changedGroup tells of a declared route of groups, if there is one of that key: whether it
// waits for room is its state.
func (r *Router) changedGroup(key models.MulticastKey) {
	if r.multicast[key] != nil {
		r.events.changed(key.Object())
		r.tellPending()
	}
}

// newFlow makes the route of a flow that the dataplane has reported.
func (r *Router) newFlow(p dataplane.Punt) {
	var f vrf.Flow
	if p.EtherType == packet.EtherTypeIPv4 {
		h := packet.IPv4(p.Frame)
		f = vrf.Flow{Group: h.Dst(), Source: h.Src()}
	} else {
		h := packet.IPv6(p.Frame)
		f = vrf.Flow{Group: h.Dst(), Source: h.Src()}
	}
	if err := r.vrfs.AddFlow(p.Instance, f, r.clock()); err != nil {
		// The cache counts it, and there may be a thousand a second.
		r.log.Debug("no room for a multicast flow", "instance", r.names[p.Instance], "group", f.Group.String(), "source", f.Source.String(), "err", err)
	}
}

// ageInterval is how often the counters of flows are looked at: a clone can
// outlive its time by as much.
const ageInterval = time.Second

// ageFlows removes idle flows, and returns how long it may rest, 0 while there is
// nothing to do.
func (r *Router) ageFlows() time.Duration {
	now := r.clock()
	if now < r.aged+ageInterval {
		return r.aged + ageInterval - now
	}
	r.aged = now
	next, err := r.vrfs.AgeFlows(now, func(tally uint32) uint64 {
		packets, _ := r.engine.Tally(tally)
		return packets
	})
	if err != nil {
		r.log.Error("flows cannot be removed", "err", err)
	}
	if next == 0 {
		return 0
	}
	return max(ageInterval, min(next, 15*time.Second))
}

// unitName is the name of a unit, "" for none.
func (r *Router) unitName(i intf.Index) string {
	if u := r.byIndex[i]; u != nil {
		return u.key.Name()
	}
	return ""
}

func (r *Router) unitNames(list []intf.Index) []string {
	var names []string
	for _, i := range list {
		if name := r.unitName(i); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// MulticastRoutes lists an instance's routes of groups, sorted.
func (r *Router) MulticastRoutes(instance string) []models.MulticastKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []models.MulticastKey
	for key, m := range r.multicast {
		if key.Instance == instance && (m.applied || r.failed[key.Object()] != nil) {
			list = append(list, key)
		}
	}
	slices.SortFunc(list, models.MulticastKey.Compare)
	return list
}

// MulticastState is the state of a route of groups; ok is false when there is
// none.
func (r *Router) MulticastState(key models.MulticastKey) (s models.MulticastState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.multicast[key]
	if m == nil || !m.applied || m.want == nil {
		return s, false
	}
	s.Applied = *m.want
	e, tally, ok := r.vrfs.Group(key.Instance, groupKey(key))
	if ok {
		s.Active = e.Active
		s.Packets, s.Octets = r.engine.Tally(tally)
	}
	return s, true
}

// Flows appends routes by source of an instance's groups to dst: those of group
// when that is valid, else those of all groups behind after (of all when after
// isn't valid), until there are limit of them and the last group is whole.
func (r *Router) Flows(dst []models.FlowState, instance string, f intf.Family, group, after netip.Addr, limit int) []models.FlowState {
	r.mu.Lock()
	defer r.mu.Unlock()
	had := len(dst)
	r.vrfs.Flows(instance, f, group, after, func(g netip.Addr, e routing.Entry) bool {
		if n := len(dst); n-had >= limit && dst[n-1].Group != g {
			return false
		}
		dst = append(dst, r.flowState(instance, g, e))
		return true
	})
	return dst
}

func (r *Router) flowState(instance string, group netip.Addr, e routing.Entry) models.FlowState {
	l := e.NextHop.List()
	s := models.FlowState{
		Group: group, Source: e.Prefix, Origin: e.Source, Active: e.Active, NextHop: e.NextHop.Kind,
		In: r.unitName(l.In), Out: r.unitNames(l.Out), Local: l.Local,
	}
	s.Packets, s.Octets = r.engine.Tally(l.Tally)
	if e.Source != routing.Clone {
		return s
	}
	if _, used, ok := r.vrfs.Clone(instance, vrf.Flow{Group: group, Source: e.Prefix.Addr()}); ok {
		s.LastUsed = r.started.Add(used)
	}
	if parent, source, ok := r.vrfs.RIB(instance).Parent(group, e.Prefix.Addr()); ok {
		s.Parent, s.ParentGroup, s.ParentSource = true, parent.Prefix, source
		if source.IsValid() {
			s.ParentGroup = netip.PrefixFrom(group, group.BitLen())
		}
	}
	return s
}
