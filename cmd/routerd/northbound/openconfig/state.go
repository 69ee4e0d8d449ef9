package openconfig

import (
	"time"

	"router/gen"
	"router/gen/openconfig"
	"router/models"
)

// A State is where the native operational state comes from: the server's
// source, of which this is a part. It may be asked with the configuration locked.
type State interface {
	// Names lists the objects of a kind that have state.
	Names(kind models.Kind, parent string) []string
	// Fill writes the state of object o into dst; false when it has none.
	Fill(dst *gen.Device, o models.Object) bool
}

// An observation is the operational state that its scopes cover, as OpenConfig
// says it: containers called state, and the entries that only state has.
type observation struct {
	state   State
	config  *projection // of the same configuration
	out     *ocDevice
	now     time.Time
	changed time.Time // the last commit
	tried   map[unitKey]bool
}

func (b *observation) add(s scope) {
	if s.system {
		b.addSystem()
	}
	for _, name := range b.names(models.Device, "", s.device) {
		if s.body {
			b.addInterface(name)
		}
		for _, id := range b.names(models.Unit, name, s.unit) {
			b.addUnit(unitKey{name, id})
		}
	}
	b.addInstances(s)
}

// names lists the selected objects of a kind.
func (b *observation) names(kind models.Kind, parent string, s selection) []string {
	switch {
	case s.none():
		return nil
	case !s.all():
		return []string{s.key}
	}
	return b.state.Names(kind, parent)
}

func (b *observation) addSystem() {
	dev := &gen.Device{}
	if !b.state.Fill(dev, models.Object{Kind: models.System}) {
		return
	}
	n := dev.System.State
	st := b.out.GetOrCreateSystem().GetOrCreateState()
	st.Hostname, st.SoftwareVersion, st.BootTime = n.Hostname, n.Version, n.BootTime
	st.CurrentDatetime = ptr(b.now.UTC().Format("2006-01-02T15:04:05Z"))
	if n.BootTime != nil {
		st.UpTime = ptr(uint64(b.now.UnixNano()) - *n.BootTime)
	}
	if !b.changed.IsZero() {
		st.LastConfigurationTimestamp = ptr(uint64(b.changed.UnixNano()))
	}
}

func (b *observation) addInterface(name string) {
	dev := &gen.Device{}
	if !b.state.Fill(dev, models.Object{Kind: models.Device, Device: name}) || dev.Interface[name] == nil || dev.Interface[name].State == nil {
		return
	}
	n := dev.Interface[name].State
	st := b.out.GetOrCreateInterfaces().GetOrCreateInterface(name).GetOrCreateState()
	st.Name, st.Description, st.Enabled, st.Ifindex, st.LastChange = n.Name, n.Description, n.Enabled, n.IfIndex, n.LastChange
	switch n.Type {
	case gen.Routerd_InterfaceType_loopback:
		st.Type = oc.IETFInterfaces_InterfaceType_softwareLoopback
	case gen.Routerd_InterfaceType_ethernet:
		st.Type = oc.IETFInterfaces_InterfaceType_ethernetCsmacd
	case gen.Routerd_InterfaceType_UNSET:
	}
	if n.Mru != nil {
		st.Mtu = ptr(*n.Mru - tagLength)
	}
	st.AdminStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_AdminStatus_DOWN
	if value(n.Enabled) {
		st.AdminStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_AdminStatus_UP
	}
	switch n.OperStatus {
	case gen.Routerd_OperStatus_up:
		st.OperStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_OperStatus_UP
	case gen.Routerd_OperStatus_down:
		st.OperStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_OperStatus_DOWN
	case gen.Routerd_OperStatus_pending:
		st.OperStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_OperStatus_NOT_PRESENT
	case gen.Routerd_OperStatus_UNSET:
	}
	if c := n.Counters; c != nil {
		st.Counters = &oc.OpenconfigInterfaces_Interfaces_Interface_State_Counters{
			InPkts: c.InPkts, InOctets: c.InOctets, InUnicastPkts: c.InUnicastPkts, InMulticastPkts: c.InMulticastPkts, InBroadcastPkts: c.InBroadcastPkts,
			InDiscards: c.InDiscards, InErrors: c.InErrors, InUnknownProtos: c.InUnknownProtos,
			OutPkts: c.OutPkts, OutOctets: c.OutOctets, OutUnicastPkts: c.OutUnicastPkts, OutMulticastPkts: c.OutMulticastPkts, OutBroadcastPkts: c.OutBroadcastPkts,
			OutDiscards: c.OutDiscards, OutErrors: c.OutErrors,
		}
	}
}

// addUnit translates the state of a unit and its memberships.
func (b *observation) addUnit(k unitKey) {
	index, ok := subIndex(k.id)
	if !ok || b.tried[k] {
		return
	}
	b.tried[k] = true
	dev := &gen.Device{}
	if !b.state.Fill(dev, models.Object{Kind: models.Unit, Device: k.device, Unit: k.id}) {
		return
	}
	u := dev.Interface[k.device].Unit[k.id]
	o := b.out.GetOrCreateInterfaces().GetOrCreateInterface(k.device).GetOrCreateSubinterfaces().GetOrCreateSubinterface(index)
	if u.State != nil {
		observeUnit(o, u)
	}
	for _, f := range families {
		n := u.Family[f]
		if n == nil {
			continue
		}
		if f == gen.Routerd_FamilyType_inet6 {
			observeIPv6(o.GetOrCreateIpv6(), n)
		} else {
			observeIPv4(o.GetOrCreateIpv4(), n)
		}
	}
	b.observeMembers(k, index, u)
}

func observeUnit(o *ocSubinterface, u *gen.Routerd_Interface_Unit) {
	n := u.State
	st := o.GetOrCreateState()
	st.Index, st.Name, st.Description, st.Enabled, st.Ifindex, st.LastChange = o.Index, n.Name, n.Description, n.Enabled, n.IfIndex, n.LastChange
	st.AdminStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_AdminStatus_DOWN
	if value(n.Enabled) {
		st.AdminStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_AdminStatus_UP
	}
	switch n.OperStatus {
	case gen.Routerd_OperStatus_up:
		st.OperStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_OperStatus_UP
	case gen.Routerd_OperStatus_down:
		st.OperStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_OperStatus_DOWN
	case gen.Routerd_OperStatus_pending:
		st.OperStatus = oc.OpenconfigInterfaces_Interfaces_Interface_State_OperStatus_LOWER_LAYER_DOWN
	case gen.Routerd_OperStatus_UNSET:
	}
	if c := n.Counters; c != nil {
		st.Counters = &oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_State_Counters{
			InPkts: c.InPkts, InOctets: c.InOctets, InUnicastPkts: c.InUnicastPkts, InMulticastPkts: c.InMulticastPkts, InBroadcastPkts: c.InBroadcastPkts,
			InDiscards: c.InDiscards, InErrors: c.InErrors, InUnknownProtos: c.InUnknownProtos,
			OutPkts: c.OutPkts, OutOctets: c.OutOctets, OutUnicastPkts: c.OutUnicastPkts, OutMulticastPkts: c.OutMulticastPkts, OutBroadcastPkts: c.OutBroadcastPkts,
			OutDiscards: c.OutDiscards, OutErrors: c.OutErrors,
		}
	}
	if u.Vlan == nil || u.Vlan.State == nil || u.Vlan.State.OuterVlanId == nil {
		return
	}
	if v := u.Vlan.State; v.InnerVlanId == nil {
		o.GetOrCreateVlan().GetOrCreateMatch().GetOrCreateSingleTagged().GetOrCreateState().VlanId = v.OuterVlanId
	} else {
		tags := o.GetOrCreateVlan().GetOrCreateMatch().GetOrCreateDoubleTagged().GetOrCreateState()
		tags.OuterVlanId, tags.InnerVlanId = v.OuterVlanId, v.InnerVlanId
	}
}

func observeIPv4(o *ocIPv4, n *gen.Routerd_Interface_Unit_Family) {
	if st := n.State; st != nil {
		o.GetOrCreateState().Enabled, o.GetOrCreateState().Mtu = st.Enabled, st.Mtu
		if device, sub, ok := splitUnit(value(st.Unnumbered)); st.Unnumbered != nil && ok {
			o.GetOrCreateUnnumbered().GetOrCreateState().Enabled = ptr(true)
			ref := o.GetOrCreateUnnumbered().GetOrCreateInterfaceRef().GetOrCreateState()
			ref.Interface, ref.Subinterface = &device, &sub
		}
	}
	for _, prefix := range sortedKeys(n.Address) {
		ip, length, ok := splitPrefix(prefix)
		if !ok || n.Address[prefix].State == nil {
			continue
		}
		st := o.GetOrCreateAddresses().GetOrCreateAddress(ip).GetOrCreateState()
		if st.Ip == nil {
			st.Ip, st.PrefixLength, st.Origin = ptr(ip), ptr(length), oc.OpenconfigIfIp_IpAddressOrigin_STATIC
		}
	}
	for ip, nb := range n.Neighbor {
		if nb.State == nil {
			continue
		}
		st := o.GetOrCreateNeighbors().GetOrCreateNeighbor(ip).GetOrCreateState()
		st.Ip, st.LinkLayerAddress, st.Origin = ptr(ip), nb.State.LinkLayerAddress, neighborOrigin(nb.State.Origin)
	}
}

func observeIPv6(o *ocIPv6, n *gen.Routerd_Interface_Unit_Family) {
	if st := n.State; st != nil {
		o.GetOrCreateState().Enabled = st.Enabled
		if st.Mtu != nil {
			o.GetOrCreateState().Mtu = ptr(uint32(*st.Mtu))
		}
		if device, sub, ok := splitUnit(value(st.Unnumbered)); st.Unnumbered != nil && ok {
			o.GetOrCreateUnnumbered().GetOrCreateState().Enabled = ptr(true)
			ref := o.GetOrCreateUnnumbered().GetOrCreateInterfaceRef().GetOrCreateState()
			ref.Interface, ref.Subinterface = &device, &sub
		}
	}
	for _, prefix := range sortedKeys(n.Address) {
		ip, length, ok := splitPrefix(prefix)
		if !ok || n.Address[prefix].State == nil {
			continue
		}
		st := o.GetOrCreateAddresses().GetOrCreateAddress(ip).GetOrCreateState()
		if st.Ip == nil {
			st.Ip, st.PrefixLength, st.Origin = ptr(ip), ptr(length), oc.OpenconfigIfIp_IpAddressOrigin_STATIC
			st.Status = addressStatus(n.Address[prefix].State.Status)
		}
	}
	for ip, nb := range n.Neighbor {
		if nb.State == nil {
			continue
		}
		st := o.GetOrCreateNeighbors().GetOrCreateNeighbor(ip).GetOrCreateState()
		st.Ip, st.LinkLayerAddress, st.Origin = ptr(ip), nb.State.LinkLayerAddress, neighborOrigin(nb.State.Origin)
		st.IsRouter, st.NeighborState = nb.State.IsRouter, neighborState(nb.State.State)
	}
}

func addressStatus(s gen.E_Routerd_AddressStatus) oc.E_OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Addresses_Address_State_Status {
	switch s {
	case gen.Routerd_AddressStatus_preferred:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Addresses_Address_State_Status_PREFERRED
	case gen.Routerd_AddressStatus_tentative:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Addresses_Address_State_Status_TENTATIVE
	case gen.Routerd_AddressStatus_duplicate:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Addresses_Address_State_Status_DUPLICATE
	case gen.Routerd_AddressStatus_pending:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Addresses_Address_State_Status_INACCESSIBLE
	case gen.Routerd_AddressStatus_UNSET:
	}
	return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Addresses_Address_State_Status_UNSET
}

func neighborOrigin(o gen.E_Routerd_NeighborOrigin) oc.E_OpenconfigIfIp_NeighborOrigin {
	switch o {
	case gen.Routerd_NeighborOrigin_static:
		return oc.OpenconfigIfIp_NeighborOrigin_STATIC
	case gen.Routerd_NeighborOrigin_dynamic:
		return oc.OpenconfigIfIp_NeighborOrigin_DYNAMIC
	case gen.Routerd_NeighborOrigin_UNSET:
	}
	return oc.OpenconfigIfIp_NeighborOrigin_UNSET
}

// neighborState is the state in OpenConfig's words. A declared neighbour is
// always usable, and one that did not answer is being asked for again.
func neighborState(s gen.E_Routerd_NeighborState) oc.E_OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState {
	switch s {
	case gen.Routerd_NeighborState_reachable, gen.Routerd_NeighborState_permanent:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState_REACHABLE
	case gen.Routerd_NeighborState_stale:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState_STALE
	case gen.Routerd_NeighborState_delay:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState_DELAY
	case gen.Routerd_NeighborState_probe:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState_PROBE
	case gen.Routerd_NeighborState_incomplete, gen.Routerd_NeighborState_failed:
		return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState_INCOMPLETE
	case gen.Routerd_NeighborState_UNSET:
	}
	return oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6_Neighbors_Neighbor_State_NeighborState_UNSET
}

// observeMembers tells of the instances that the unit's families are in.
// Families of the default instance are entries of it only where the
// configuration says so by name.
func (b *observation) observeMembers(k unitKey, index uint32, u *gen.Routerd_Interface_Unit) {
	id := unitName(k.device, index)
	in := make(map[string][]gen.E_Routerd_FamilyType)
	for _, f := range families {
		if n := u.Family[f]; n != nil && n.State != nil && n.State.Instance != nil {
			in[*n.State.Instance] = append(in[*n.State.Instance], f)
		}
	}
	for native, of := range in {
		name, ok := ocInstance(native)
		if !ok || native == defaultInstance && !b.config.saysDefault(k) {
			continue
		}
		st := b.out.GetOrCreateNetworkInstances().GetOrCreateNetworkInstance(name).GetOrCreateInterfaces().GetOrCreateInterface(id).GetOrCreateState()
		st.Id, st.Interface, st.Subinterface = ptr(id), ptr(k.device), ptr(index)
		if len(of) < len(u.Family) {
			for _, f := range of {
				st.AssociatedAddressFamilies = append(st.AssociatedAddressFamilies, afi(f))
			}
		}
	}
}

func (b *observation) addInstances(s scope) {
	sel := s.instance
	if sel.on && !sel.all() {
		native, ok := nativeInstance(sel.key)
		if !ok {
			return
		}
		sel.key = native
	}
	for _, native := range b.names(models.Instance, "", sel) {
		b.addInstance(native, s)
	}
}

func (b *observation) addInstance(native string, s scope) {
	name, ok := ocInstance(native)
	if !ok {
		return
	}
	dev := &gen.Device{}
	if !b.state.Fill(dev, models.Object{Kind: models.Instance, Instance: native}) || dev.Instance[native] == nil {
		return
	}
	o := b.out.GetOrCreateNetworkInstances().GetOrCreateNetworkInstance(name)
	if s.own {
		st := o.GetOrCreateState()
		st.Name, st.Type = ptr(name), instanceType(native)
		if n := dev.Instance[native].State; n != nil {
			st.Description = n.Description
		}
	}
	if s.member.all() {
		for _, k := range b.config.membersOf(native) {
			b.addUnit(k)
		}
	} else if device, sub, ok := splitUnit(s.member.key); s.member.on && ok {
		b.addUnit(unitKey{device, unitID(sub)})
	}
	if s.protocols {
		st := o.GetOrCreateProtocols().GetOrCreateProtocol(oc.OpenconfigPolicyTypes_INSTALL_PROTOCOL_TYPE_STATIC, protocolInstance).GetOrCreateState()
		st.Identifier, st.Name = oc.OpenconfigPolicyTypes_INSTALL_PROTOCOL_TYPE_STATIC, ptr(protocolInstance)
	}
	for _, prefix := range b.names(models.Static, native, s.static) {
		dev := &gen.Device{}
		if b.state.Fill(dev, models.Object{Kind: models.Static, Instance: native, Prefix: prefix}) {
			observeStatic(o, prefix, dev.Instance[native].StaticRoute[prefix])
		}
	}
}

func observeStatic(o *ocNetwork, prefix string, n *gen.Routerd_Instance_StaticRoute) {
	if n == nil || n.State == nil {
		return
	}
	p := o.GetOrCreateProtocols().GetOrCreateProtocol(oc.OpenconfigPolicyTypes_INSTALL_PROTOCOL_TYPE_STATIC, protocolInstance)
	r := p.GetOrCreateStaticRoutes().GetOrCreateStatic(prefix)
	st := r.GetOrCreateState()
	st.Prefix, st.Description = ptr(prefix), n.State.Description
	if n.State.Tag != nil {
		st.SetTag = oc.UnionUint32(*n.State.Tag)
	}
	var preference *uint32
	if n.State.Preference != nil {
		preference = ptr(uint32(*n.State.Preference))
	}
	if n.State.Action == gen.Routerd_RouteAction_discard {
		nh := r.GetOrCreateNextHops().GetOrCreateNextHop(dropIndex).GetOrCreateState()
		nh.Index, nh.NextHop, nh.Preference = ptr(dropIndex), oc.OpenconfigLocalRouting_LOCAL_DEFINED_NEXT_HOP_DROP, preference
	}
	for index, h := range n.NextHop {
		if h.State == nil {
			continue
		}
		e := r.GetOrCreateNextHops().GetOrCreateNextHop(unitID(uint32(index)))
		nh := e.GetOrCreateState()
		hop := nextHopOf(h.State.Gateway, h.State.Interface, h.State.Instance)
		nh.Index, nh.Preference, nh.NhNetworkInstance, nh.NextNetworkInstance = e.Index, preference, hop.gatewayInstance, hop.lookup
		nh.NextHop, _ = hop.next.(stateNextHop)
		if hop.device != nil {
			ref := e.GetOrCreateInterfaceRef().GetOrCreateState()
			ref.Interface, ref.Subinterface = hop.device, hop.sub
		}
	}
}
