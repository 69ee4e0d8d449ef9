package control

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"slices"

	"router/cmd/routerd/version"
	"router/dataplane"
	"router/intf"
	"router/intf/kernel"
	"router/models"
	"router/routing"
	"router/routing/neighbor"
	"router/vrf"
)

// The methods in this file say what is applied and observed, as plain data.

// SystemState is the state of the router, but for what the datastore knows.
func (r *Router) SystemState() models.SystemState {
	r.mu.Lock()
	defer r.mu.Unlock()
	system := r.system
	s := models.SystemState{Applied: &system, Version: version.Version, BootTime: r.booted, PendingObjects: r.pendingObjects()}
	if t := r.takeover; t != nil {
		c := *t
		s.Takeover = &c
	}
	if name, err := os.Hostname(); err == nil {
		s.Hostname = name
	}
	u := r.engine.Usage()
	s.Workers, s.Buffers, s.BuffersFree = uint16(u.Workers), uint32(u.Buffers), uint32(u.BuffersFree)
	for _, t := range r.engine.Threads() {
		s.Threads = append(s.Threads, models.ThreadState(t))
	}
	s.FilterLogLost = r.engine.LogLost()
	s.JumboBuffers, s.JumboBuffersFree = uint32(u.Spans), uint32(u.SpansFree)
	s.Drops = reasons(r.engine.OwnDrops())
	r.addNeighborDrops(s.Drops)
	r.tablesState(&s)
	return s
}

// addNeighborDrops adds what came as far as the control plane.
func (r *Router) addNeighborDrops(drops map[string]uint64) {
	c := r.neighbors.Counters()
	for reason, n := range c.Drops {
		if n > 0 {
			drops[neighbor.Reason(reason).String()] = n
		}
	}
	for name, n := range map[string]uint64{"neighbor-malformed": r.malformed, "neighbor-refused": c.Refused, "neighbor-ignored": c.Ignored} {
		if n > 0 {
			drops[name] = n
		}
	}
}

// pendingObjects counts what is declared and not in place.
func (r *Router) pendingObjects() uint32 {
	n := len(r.waiting) + r.parts + r.vrfs.Pending()
	for o := range r.failed {
		if _, waits := r.waiting[o]; waits {
			continue
		}
		// Of a route that fails to be changed, the old one may wait, and is counted.
		if key, ok := models.StaticKeyOf(o); ok && !r.staticEntry(key).Since.IsZero() {
			continue
		}
		n++
	}
	return uint32(n)
}

// changedDevice tells of a device, and notes whether it waits for something.
func (r *Router) changedDevice(name string) {
	o := models.Object{Kind: models.Device, Device: name}
	t, d := r.tree.Device(name), r.devices[name]
	r.wait(o, t != nil && d != nil && (t.Down.Status() == intf.OperPending || d.err != nil))
	r.events.changed(o)
}

// changedUnit tells of a unit, and notes whether it waits for something.
func (r *Router) changedUnit(key intf.UnitKey) {
	t := r.tree.Unit(key)
	r.noteParts(key, t)
	r.wait(models.Object{Kind: models.Unit, Device: key.Device, Unit: key.ID},
		t != nil && r.units[key] != nil && t.Down.Status() == intf.OperPending)
	r.events.unit(key)
}

// wait keeps the set of the objects that wait for something.
func (r *Router) wait(o models.Object, waits bool) {
	if _, was := r.waiting[o]; was == waits {
		return
	}
	if waits {
		r.waiting[o] = struct{}{}
	} else {
		delete(r.waiting, o)
	}
	r.events.changed(models.Object{Kind: models.System})
}

// Devices lists the devices, sorted.
func (r *Router) Devices() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tree.Devices()
}

// Units lists the units of a device, sorted.
func (r *Router) Units(device string) []intf.UnitKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tree.Units(device)
}

// Instances lists the instances, sorted.
func (r *Router) Instances() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.instances))
}

// DeviceState is the state of a device; ok is false when there is none.
func (r *Router) DeviceState(name string) (s models.DeviceState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deviceState(name)
}

func (r *Router) deviceState(name string) (s models.DeviceState, ok bool) {
	d, t := r.devices[name], r.tree.Device(name)
	if d == nil || t == nil {
		return s, false
	}
	var l kernel.Link
	if t.Spec.Type != intf.Loopback {
		l = r.links.Get(name)
	}
	spec := t.Spec
	s = models.DeviceState{
		Name: name, Applied: &spec, IfIndex: t.Index, Oper: t.Down.Status(), OperReason: t.Reason, LastChange: d.changed,
		MAC: t.MAC, Speed: l.Speed, LinkMTU: uint32(max(l.MTU, 0)), Apply: d.apply(t),
	}
	if d.err != nil {
		s.OperReason = d.err.Error()
	} else if s.OperReason == "" {
		s.OperReason = d.warning
	}
	if d.open == nil {
		return s, true
	}
	report := d.open.Report()
	s.Driver, s.DriverReason, s.ZeroCopy, s.CompletesChecksums = report.Driver, report.Reason, report.ZeroCopy, report.Completes
	s.OffloadsOff = report.OffloadsOff
	keeps, why := d.open.Outlives()
	if s.KeepsForwarding = keeps; why != nil {
		s.KeepsReason = why.Error()
	}
	s.FastPath = d.fastState()
	s.FastPath.Packets = r.engine.FastPackets(d.port)
	s.XDPMode, s.QueuesInUse = report.XDPMode, uint16(report.Queues)
	s.KernelPolls = r.engine.KernelPolls(d.port)
	if c, ok := r.engine.PortCounters(d.port); ok {
		s.Counters = models.Counters(c)
	}
	s.Drops = reasons(r.engine.Drops(d.port))
	r.addLosses(d, &s.Counters, s.Drops)
	s.Counters, s.Cleared, s.Rates = d.meter.shown(s.Counters), d.meter.cleared, d.meter.rates
	s.Anew, s.DropsAnew, s.Made = d.meter.anew, d.meter.dropsAnew, d.meter.made
	d.meter.shownDrops(s.Drops)
	return s, true
}

// addLosses adds what a device lost before its packets came to the workers, or after; drops
// may be nil.
func (r *Router) addLosses(d *device, c *models.Counters, drops map[string]uint64) {
	lost := func(reason string, n uint64) {
		if n > 0 && drops != nil {
			drops[reason] += n
		}
	}
	if q, ok := r.engine.PortStats(d.port); ok {
		// What the driver lost is the device's loss too (RFC 8343, in-discards).
		lost("driver-rx", q.RxDropped)
		lost("driver-oversize", q.RxOversize)
		lost("driver-tx", q.TxDropped)
		c.InDiscards += q.RxDropped + q.RxOversize
		c.OutDiscards += q.TxDropped
	}
	for reason, n := range d.open.Lost() {
		lost(reason, n)
		c.InDiscards += n
	}
}

func reasons(drops map[dataplane.Reason]uint64) map[string]uint64 {
	m := make(map[string]uint64, len(drops))
	for reason, n := range drops {
		m[reason.String()] = n
	}
	return m
}

// UnitState is the state of a unit; ok is false when there is none.
func (r *Router) UnitState(key intf.UnitKey) (s models.UnitState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, t := r.units[key], r.tree.Unit(key)
	if u == nil || t == nil {
		return s, false
	}
	spec := t.Spec
	s = models.UnitState{Key: key, Applied: &spec, IfIndex: t.Index, Oper: t.Down.Status(), OperReason: t.Reason, LastChange: u.changed, Apply: r.unitApply(t)}
	if c, ok := r.engine.UnitCounters(t.Index); ok {
		s.Counters, s.Cleared, s.Rates = u.meter.shown(models.Counters(c)), u.meter.cleared, u.meter.rates
		s.Anew = u.meter.anew
	}
	for _, f := range intf.Families {
		if tf := t.Family(f); tf != nil {
			s.Families = append(s.Families, r.familyState(u, tf, f))
		}
	}
	return s, true
}

func (r *Router) familyState(u *unit, t *intf.UnitFamily, f intf.Family) models.FamilyState {
	spec := t.Spec
	s := models.FamilyState{Family: f, Applied: &spec, MTU: t.MTU, Oper: t.Down.Status(), OperReason: t.Reason}
	if h, ok := r.host.Status(u.index, f); ok {
		s.HostInterface, s.HostReason = h.Name, h.Reason
	} else {
		s.HostReason = "waits for the unit's link-layer address"
	}
	if ut := r.tree.Unit(u.key); ut != nil {
		s.Apply = familyApply(t, r.unitApply(ut), r.hostTrouble(u, f))
		s.Apply.Since = u.partSince(part{family: f}, s.Apply)
	}
	if f == intf.Inet6 {
		s.Advert = r.advertState(u, t)
	}
	s.FastReason = r.engine.FastReason(u.index, f)
	s.RPFFailed, s.Made = r.engine.RPFDrops(u.index)[f], u.meter.made
	fam := u.families[f]
	if fam == nil {
		return s
	}
	s.Borrowed = fam.borrowed
	for _, a := range fam.sorted() {
		as := models.AddressState{Spec: a.spec, Reason: a.reason, Apply: addressApply(a, t, s.Apply)}
		as.Apply.Since = u.partSince(part{f, a.spec.Prefix}, as.Apply)
		switch a.status {
		case tentative:
			as.Status = models.AddressTentative
			if !t.Up() {
				as.Status = models.AddressPending
			}
		case preferred:
			as.Status = models.AddressPreferred
		case duplicate:
			as.Status = models.AddressDuplicate
		}
		s.Addresses = append(s.Addresses, as)
	}
	for _, n := range r.neighbors.Entries(u.index) {
		if intf.FamilyOf(n.Key.Addr) == f {
			s.Neighbors = append(s.Neighbors, r.neighborState(n))
		}
	}
	s.Filters = r.placeCounts(u, fam)
	return s
}

func (r *Router) neighborState(n neighbor.Entry) models.NeighborState {
	return models.NeighborState{
		Address: n.Key.Addr, MAC: n.MAC, Static: n.Static, State: n.State, IsRouter: n.Router, LastChange: r.started.Add(n.Since),
	}
}

// InstanceState is the state of an instance; ok is false when there is none.
func (r *Router) InstanceState(name string) (s models.InstanceState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.instances[name]
	if in == nil || !in.applied {
		// Of one that could not be made that is all there is to say.
		f := r.failed[instanceObject(name)]
		if in == nil || f == nil {
			return s, false
		}
		return models.InstanceState{Name: name, Apply: f.state()}, true
	}
	s = models.InstanceState{Name: name, Applied: in.want, Index: in.index, HostNamespace: in.namespace, HostReason: in.reason}
	s.Apply = r.instanceApply(name, in)
	c := r.vrfs.Cache(name)
	s.Cache = models.CacheState{Flows: uint32(c.Entries), Negative: uint32(c.Negative), Refused: c.Refused}
	for _, f := range intf.Families {
		c := r.vrfs.Counts(name, f)
		total, active := c.Total()
		rib := models.RIBState{Family: f, Total: uint32(total), Active: uint32(active), Waiting: uint32(c.NoRoom)}
		for source := range rib.BySource {
			rib.BySource[source] = uint32(c.Routes[source])
		}
		s.RIBs = append(s.RIBs, rib)
	}
	return s, true
}

// StaticRoutes lists the prefixes of an instance's static routes, sorted.
func (r *Router) StaticRoutes(instance string) []netip.Prefix {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []netip.Prefix
	for key, st := range r.statics {
		if key.Instance == instance && (st.applied || len(r.failed) > 0 && r.failed[staticObject(key)] != nil) {
			list = append(list, key.Prefix)
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list
}

// StaticState is a static route as it was handed to the RIB; ok is false when
// there is none.
func (r *Router) StaticState(key models.StaticKey) (s models.StaticState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st := r.statics[key]; st != nil && st.applied && st.want != nil {
		return models.StaticState{StaticSpec: *st.want, Ways: r.wayStates(key, st.want)}, true
	}
	return s, false
}

// Routes appends routes of an instance to dst: those to prefix when that is
// valid, else all of a family behind after in the order of prefixes (from the
// first on when after is not valid), until there are limit of them and the
// last prefix is whole. A walk through a million of them must not hold up
// commits and neighbours, so it comes in such pieces.
func (r *Router) Routes(dst []models.RouteState, instance string, f intf.Family, prefix, after netip.Prefix, limit int) []models.RouteState {
	r.mu.Lock()
	defer r.mu.Unlock()
	rib := r.vrfs.RIB(instance)
	if rib == nil {
		return dst
	}
	if prefix.IsValid() {
		for _, e := range rib.Entries(prefix.Masked()) {
			dst = append(dst, r.routeState(instance, e))
		}
		return dst
	}
	had := len(dst)
	rib.WalkAfter(f, after, func(e routing.Entry) bool {
		if n := len(dst); n-had >= limit && dst[n-1].Prefix != e.Prefix {
			return false
		}
		dst = append(dst, r.routeState(instance, e))
		return true
	})
	return dst
}

func (r *Router) routeState(instance string, e routing.Entry) models.RouteState {
	s := models.RouteState{
		Prefix: e.Prefix, Source: e.Source, Protocol: e.Protocol, IfIndex: e.IfIndex, Preference: e.Preference, Tag: e.Tag,
		Active: e.Active, Ignored: e.Ignored, Reason: e.Reason, NextHop: e.NextHop.Kind, Reject: e.NextHop.Reject, Gateway: e.NextHop.Gateway, Resolved: e.Through,
		LastChange: e.Changed,
	}
	if u := r.byIndex[e.IfIndex]; u != nil && e.Incoming {
		s.Incoming = u.key.Name()
	}
	egress := e.NextHop.IfIndex
	if e.NextHop.Kind == routing.Indirect {
		egress = e.Via.IfIndex
	}
	if u := r.byIndex[egress]; u != nil {
		s.Egress = u.key.Name()
	}
	if l := e.NextHop.List(); e.NextHop.Kind == routing.Multicast || e.NextHop.Kind == routing.Flood {
		s.Egress, s.Incoming, s.Out = "", r.unitName(l.In), r.unitNames(l.Out)
	}
	own, _ := r.vrfs.Index(instance)
	if nh := e.NextHop; nh.Kind == routing.Lookup || nh.Kind == routing.Indirect && nh.Instance != own {
		s.Lookup = r.vrfs.Name(nh.Instance)
	}
	for _, m := range r.vrfs.Members(e.ID) {
		s.Members = append(s.Members, r.memberState(own, m))
	}
	return s
}

func (r *Router) memberState(own uint32, m routing.MemberState) models.MemberState {
	s := models.MemberState{
		Gateway: m.NextHop.Gateway, Resolved: m.Through, Weight: m.Weight, Backup: m.Backup,
		Usable: m.Usable, Active: m.Active, Reason: m.Reason,
	}
	egress := m.NextHop.IfIndex
	if m.NextHop.Kind == routing.Indirect {
		egress = m.Via.IfIndex
	}
	if u := r.byIndex[egress]; u != nil {
		s.Egress = u.key.Name()
	}
	if nh := m.NextHop; nh.Kind == routing.Lookup || nh.Kind == routing.Indirect && nh.Instance != own {
		s.Lookup = r.vrfs.Name(nh.Instance)
	}
	return s
}

// Load adds routes of a feed to an instance.
func (r *Router) Load(instance string, p routing.Protocol, routes func(yield func(vrf.UserRoute) bool)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.vrfs.Load(instance, p, routes)
	r.finish()
	return err
}

// Close releases everything, what was made in the kernel included. The host
// and the engine are the caller's to close, the engine last.
func (r *Router) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leaving {
		r.keepCounts(true)
		return errors.Join(r.leaveAll(), r.indexFile.close())
	}
	var errs []error
	for _, d := range r.devices {
		r.closeDevice(d)
		if d.claimed {
			errs = append(errs, r.links.Release(d.name))
		}
	}
	return errors.Join(append(errs, r.indexFile.close())...)
}
