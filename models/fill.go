package models

import (
	"net/netip"
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
	"router/intf"
)

// The Fill functions write state into dst, next to what stands there already.
// They make the list entries that they need, and in these they set keys and
// state only; config stays as it was.

// FillSystem writes the state of the router as a whole.
func FillSystem(dst *gen.Device, s SystemState) {
	hostname := s.Hostname
	if s.Applied != nil && s.Applied.Hostname != "" {
		hostname = s.Applied.Hostname
	}
	st := &gen.Routerd_System_State{
		Hostname: text(hostname),
		Version:  text(s.Version),
		BootTime: moment(s.BootTime),
		Dataplane: &gen.Routerd_System_State_Dataplane{
			Workers:     ygot.Uint16(s.Workers),
			Buffers:     ygot.Uint32(s.Buffers),
			BuffersFree: ygot.Uint32(s.BuffersFree),

			JumboBuffers:     ygot.Uint32(s.JumboBuffers),
			JumboBuffersFree: ygot.Uint32(s.JumboBuffersFree),
			FibOctets:        ygot.Uint64(s.FIBOctets),
			NextHops:         ygot.Uint32(s.NextHops),
			FibLimit:         ygot.Uint64(s.FIBLimit),
			RoutesWaiting:    ygot.Uint32(s.RoutesWaiting),
			FastPathReason:   text(s.NoFastPath),
			FilterLogLost:    ygot.Uint64(s.FilterLogLost),
		},
		Datastore: &gen.Routerd_System_State_Datastore{
			CommitNumber:   ygot.Uint64(s.CommitNumber),
			LastCommitTime: moment(s.LastCommitTime),
			PendingObjects: ygot.Uint32(s.PendingObjects),
		},
	}
	if t := s.Takeover; t != nil {
		st.Takeover = &gen.Routerd_System_State_Takeover{
			Time: moment(t.Time), Devices: ygot.Uint32(t.Devices), Neighbors: ygot.Uint32(t.Neighbors),
		}
	}
	if s.Applied != nil {
		st.FastPath = gen.Routerd_FastPath_auto
		if s.Applied.NoFastPath {
			st.FastPath = gen.Routerd_FastPath_off
		}
	}
	for i, t := range s.Threads {
		w := st.Dataplane.GetOrCreateWorker(uint16(i))
		if w.Scheduling = scheduling(t.Scheduling); t.Scheduling == intf.SchedOther || t.Scheduling == intf.SchedBatch {
			w.Nice = ygot.Int8(int8(t.Nice))
		}
	}
	for reason, n := range s.Drops {
		st.Dataplane.GetOrCreateDrops(reason).Count = ygot.Uint64(n)
	}
	if p := s.Process; p != (ProcessState{}) {
		st.Process = &gen.Routerd_System_State_Process{ResidentOctets: ygot.Uint64(p.Resident), HeapOctets: ygot.Uint64(p.Heap),
			CpuTime: ygot.Uint64(uint64(p.CPUTime)), Goroutines: ygot.Uint32(p.Goroutines)}
	}
	fillAccess(st, s.Access)
	fillTLS(st, s.TLS)
	dst.GetOrCreateSystem().State = st
}

// FillDevice writes the state of a device, without its units.
func FillDevice(dst *gen.Device, s DeviceState) {
	d := dst.GetOrCreateInterface(s.Name)
	st := &gen.Routerd_Interface_State{
		Name:         ygot.String(s.Name),
		IfIndex:      index(s.IfIndex),
		OperStatus:   operStatus(s.Oper),
		OperReason:   text(s.OperReason),
		LastChange:   moment(s.LastChange),
		DriverInUse:  driverInUse(s.Driver),
		DriverReason: text(s.DriverReason),
		OffloadsOff:  s.OffloadsOff,
		Speed:        count(s.Speed),
		Counters:     deviceCounters(s.Counters),
	}
	st.ApplyStatus, st.ApplyReason, _, st.ApplySince = s.Apply.leaves()
	st.ApplyRetries = ygot.Uint32(s.Apply.Retries)
	st.Counters.LastClear = moment(s.Cleared)
	st.Counters.DiscontinuityTime, st.DropsDiscontinuityTime = moment(s.Anew), moment(s.DropsAnew)
	if r := s.Rates; r.Known {
		st.Rates = &gen.Routerd_Interface_State_Rates{InBitRate: ygot.Uint64(r.InBits), InPacketRate: ygot.Uint64(r.InPackets),
			OutBitRate: ygot.Uint64(r.OutBits), OutPacketRate: ygot.Uint64(r.OutPackets)}
	}
	if a := s.Applied; a != nil {
		st.Description = text(a.Description)
		st.Enabled = ygot.Bool(a.Enabled)
		st.Type = interfaceType(a.Type)
		if a.Type != intf.Loopback {
			st.Mru = ygot.Uint16(a.MRU)
			st.Attach = attach(a.Attach)
			st.Driver = driver(a.Driver)
			st.Polling = polling(a.Polling)
		}
		if a.Queues != 0 {
			st.Queues = ygot.Uint16(a.Queues)
		}
		st.MacAddress = mac(a.MAC)
	}
	if !s.MAC.IsZero() {
		st.MacAddress = mac(s.MAC)
	}
	if s.LinkMTU != 0 {
		st.LinkMtu = ygot.Uint32(s.LinkMTU)
	}
	if s.Driver != intf.DriverAuto {
		st.QueuesInUse = ygot.Uint16(s.QueuesInUse)
		st.XdpMode = xdpMode(s.XDPMode)
		st.ZeroCopy = ygot.Bool(s.ZeroCopy)
		st.KeepsForwarding = ygot.Bool(s.KeepsForwarding)
		st.KeepsForwardingReason = text(s.KeepsReason)
		st.FastPath = &gen.Routerd_Interface_State_FastPath{
			Receives: ygot.Bool(s.FastPath.Receives == ""), ReceivesReason: text(s.FastPath.Receives),
			Packets: ygot.Uint64(s.FastPath.Packets), DiscontinuityTime: moment(s.Made),
			Sends: ygot.Bool(s.FastPath.Sends == ""), SendsReason: text(s.FastPath.Sends),
		}
		st.KernelPolls = ygot.Bool(s.KernelPolls)
		st.TxChecksum = gen.Routerd_TxChecksum_trusted
		if s.CompletesChecksums {
			st.TxChecksum = gen.Routerd_TxChecksum_complete
		}
	}
	d.State = st
	for reason, n := range s.Drops {
		st.GetOrCreateDrops(reason).Count = ygot.Uint64(n)
	}
}

// FillUnit writes the state of a unit, with its families, addresses and
// neighbours.
func FillUnit(dst *gen.Device, s UnitState) {
	u := dst.GetOrCreateInterface(s.Key.Device).GetOrCreateUnit(s.Key.ID)
	st := &gen.Routerd_Interface_Unit_State{
		Id:         ygot.String(s.Key.ID),
		Name:       ygot.String(s.Key.Name()),
		IfIndex:    index(s.IfIndex),
		OperStatus: operStatus(s.Oper),
		OperReason: text(s.OperReason),
		LastChange: moment(s.LastChange),
		Counters:   unitCounters(s.Counters),
	}
	st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.Apply.leaves()
	st.Counters.LastClear = moment(s.Cleared)
	st.Counters.DiscontinuityTime = moment(s.Anew)
	if r := s.Rates; r.Known {
		st.Rates = &gen.Routerd_Interface_Unit_State_Rates{InBitRate: ygot.Uint64(r.InBits), InPacketRate: ygot.Uint64(r.InPackets),
			OutBitRate: ygot.Uint64(r.OutBits), OutPacketRate: ygot.Uint64(r.OutPackets)}
	}
	if a := s.Applied; a != nil {
		st.Description = text(a.Description)
		st.Enabled = ygot.Bool(a.Enabled)
		if a.Group != 0 {
			st.InterfaceGroup = ygot.Uint32(a.Group)
		}
		u.GetOrCreateVlan().State = vlanState(a.VLAN)
	}
	u.State = st
	for _, f := range s.Families {
		fillFamily(u, f)
	}
}

func vlanState(v intf.VLAN) *gen.Routerd_Interface_Unit_Vlan_State {
	st := &gen.Routerd_Interface_Unit_Vlan_State{}
	if v.OuterTPID != 0 {
		st.OuterTpid, st.OuterVlanId = tpidState(v.OuterTPID), ygot.Uint16(v.OuterID)
	}
	if v.InnerTPID != 0 {
		st.InnerTpid, st.InnerVlanId = tpidState(v.InnerTPID), ygot.Uint16(v.InnerID)
	}
	return st
}

func fillFamily(u *gen.Routerd_Interface_Unit, s FamilyState) {
	typ := familyType(s.Family)
	f := u.GetOrCreateFamily(typ)
	st := &gen.Routerd_Interface_Unit_Family_State{
		Type:          typ,
		OperStatus:    operStatus(s.Oper),
		OperReason:    text(s.OperReason),
		HostInterface: text(s.HostInterface),
		HostReason:    text(s.HostReason),

		FastPathReason: text(s.FastReason),
		Counters:       &gen.Routerd_Interface_Unit_Family_State_Counters{RpfFailed: ygot.Uint64(s.RPFFailed), DiscontinuityTime: moment(s.Made)},
	}
	st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.Apply.leaves()
	if s.MTU != 0 {
		st.Mtu = ygot.Uint16(s.MTU)
	}
	if a := s.Applied; a != nil {
		st.Enabled = ygot.Bool(a.Enabled)
		st.Instance = ygot.String(a.Instance)
		if a.Unnumbered != (intf.UnitKey{}) {
			st.Unnumbered = ygot.String(a.Unnumbered.Name())
		}
		st.Redirects = ygot.Bool(!a.NoRedirects)
		st.RpfCheck = rpfCheck(a.RPF)
	}
	st.BorrowedAddress = address(s.Borrowed)
	f.State = st
	fillBindings(f, s)
	if s.Advert != nil {
		fillAdvert(f, s.Advert)
	}
	for _, a := range s.Addresses {
		p := a.Spec.Prefix.String()
		st := &gen.Routerd_Interface_Unit_Family_Address_State{
			Prefix:        ygot.String(p),
			Primary:       ygot.Bool(a.Spec.Primary),
			Preferred:     ygot.Bool(a.Spec.Preferred),
			IgnoreNetwork: ygot.Bool(a.Spec.Ignore),
			Peer:          address(a.Spec.Peer),
			Status:        addressStatus(a.Status),
			Reason:        text(a.Reason),
		}
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = a.Apply.leaves()
		f.GetOrCreateAddress(p).State = st
	}
	for _, n := range s.Neighbors {
		key := n.Address.String()
		st := &gen.Routerd_Interface_Unit_Family_Neighbor_State{
			Address:          ygot.String(key),
			LinkLayerAddress: mac(n.MAC),
			Origin:           gen.Routerd_NeighborOrigin_dynamic,
			State:            neighborState(n.State),
			LastChange:       moment(n.LastChange),
		}
		if n.Static {
			st.Origin = gen.Routerd_NeighborOrigin_static
		}
		if s.Family == intf.Inet6 {
			st.IsRouter = ygot.Bool(n.IsRouter)
		}
		f.GetOrCreateNeighbor(key).State = st
	}
}

// FillInstance writes the state of an instance and the counts of its routes,
// without the routes.
func FillInstance(dst *gen.Device, s InstanceState) {
	i := dst.GetOrCreateInstance(s.Name)
	i.State = &gen.Routerd_Instance_State{
		Name:          ygot.String(s.Name),
		Index:         ygot.Uint32(s.Index),
		HostNamespace: ygot.String(s.HostNamespace),
		HostReason:    text(s.HostReason),
	}
	i.State.ApplyStatus, i.State.ApplyReason, i.State.ApplyRetries, i.State.ApplySince = s.Apply.leaves()
	if s.Applied != nil {
		i.State.Description = text(s.Applied.Description)
	}
	fillCache(i, s)
	for _, r := range s.RIBs {
		afi := familyType(r.Family)
		i.GetOrCreateRib(afi).State = ribState(afi, r)
	}
}

// FillRoute writes the state of one route of an instance. Of routes that differ
// in protocol alone the one filled in first, the preferred one, stays.
func FillRoute(dst *gen.Device, instance string, s RouteState) {
	prefix := s.Prefix.String()
	route := dst.GetOrCreateInstance(instance).GetOrCreateRib(familyType(intf.FamilyOf(s.Prefix.Addr()))).GetOrCreateRoute(prefix)
	route.State = &gen.Routerd_Instance_Rib_Route_State{Prefix: ygot.String(prefix)}
	source, protocol := routeSource(s.Source), routeProtocol(s.Protocol)
	st := &gen.Routerd_Instance_Rib_Route_Entry_State{
		Source:            source,
		Protocol:          protocol,
		IfIndex:           index(s.IfIndex),
		Preference:        ygot.Uint8(s.Preference),
		Active:            ygot.Bool(s.Active),
		IncomingInterface: text(s.Incoming),
		Ignored:           ygot.Bool(s.Ignored),
		Reason:            text(s.Reason),
		NextHopType:       nextHopType(s.NextHop),
		RejectCode:        rejectCode(s.Reject),
		Gateway:           address(s.Gateway),
		Egress:            text(s.Egress),
		Instance:          text(s.Lookup),
		OutgoingInterface: s.Out,
		LastChange:        moment(s.LastChange),
	}
	if s.Resolved.IsValid() {
		st.Resolved = ygot.String(s.Resolved.String())
	}
	if s.Tag != 0 {
		st.Tag = ygot.Uint32(s.Tag)
	}
	entry := route.GetOrCreateEntry(source, uint32(s.IfIndex))
	if entry.State != nil {
		return
	}
	entry.State = st
	for i, m := range s.Members {
		state := &gen.Routerd_Instance_Rib_Route_Entry_Member_State{
			Index:    ygot.Uint8(uint8(i)),
			Gateway:  address(m.Gateway),
			Egress:   text(m.Egress),
			Instance: text(m.Lookup),
			Weight:   ygot.Uint8(m.Weight),
			Backup:   ygot.Bool(m.Backup),
			Usable:   ygot.Bool(m.Usable),
			Active:   ygot.Bool(m.Active),
			Reason:   text(m.Reason),
		}
		if m.Resolved.IsValid() {
			state.Resolved = ygot.String(m.Resolved.String())
		}
		entry.GetOrCreateMember(uint8(i)).State = state
	}
}

// FillStatic mirrors a static route that has been handed to the RIB, with its next hops.
// What the route waits for is FillApply's to say; whether it is the best stands at its entry in
// the RIB.
func FillStatic(dst *gen.Device, s StaticState) {
	prefix := s.Key.Prefix.String()
	r := dst.GetOrCreateInstance(s.Key.Instance).GetOrCreateStaticRoute(prefix)
	st := &gen.Routerd_Instance_StaticRoute_State{
		Prefix:      ygot.String(prefix),
		Preference:  ygot.Uint8(s.Preference),
		Action:      routeAction(s.Action),
		RejectCode:  rejectCode(s.Reject),
		Description: text(s.Description),
	}
	if s.Incoming != (intf.UnitKey{}) {
		st.IncomingInterface = ygot.String(s.Incoming.Name())
	}
	if s.HasTag {
		st.Tag = ygot.Uint32(s.Tag)
	}
	r.State = st
	for i, nh := range s.NextHops {
		n := &gen.Routerd_Instance_StaticRoute_NextHop_State{
			Index:    ygot.Uint8(nh.Index),
			Gateway:  address(nh.Gateway),
			Instance: text(nh.Instance),
			Weight:   ygot.Uint8(nh.Weight),
			Backup:   ygot.Bool(nh.Backup),
		}
		if nh.Interface != (intf.UnitKey{}) {
			n.Interface = ygot.String(nh.Interface.Name())
		}
		var apply ApplyState
		if s.Ways != nil {
			apply = s.Ways[i]
		}
		n.ApplyStatus, n.ApplyReason, n.ApplyRetries, n.ApplySince = apply.leaves()
		r.GetOrCreateNextHop(nh.Index).State = n
	}
}

// The helpers below turn zero values into absent leaves.

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func count(n uint64) *uint64 {
	if n == 0 {
		return nil
	}
	return &n
}

func moment(t time.Time) *uint64 {
	if t.IsZero() {
		return nil
	}
	n := uint64(t.UnixNano())
	return &n
}

func address(a netip.Addr) *string {
	if !a.IsValid() {
		return nil
	}
	return ygot.String(a.String())
}

func mac(m intf.MAC) *string {
	if m.IsZero() {
		return nil
	}
	return ygot.String(m.String())
}

func index(i intf.Index) *uint32 { return ygot.Uint32(uint32(i)) }
