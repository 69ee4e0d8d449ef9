package openconfig

import (
	"slices"

	"router/gen"
	"router/gen/openconfig"
)

// A unitKey names a unit of the native tree.
type unitKey struct{ device, id string }

// A staticKey names a static route of the native tree.
type staticKey struct{ instance, prefix string }

// A projection is the part of the native configuration that its scopes cover,
// as OpenConfig says it. What was translated is remembered, so that an edit of the
// result can be carried back.
type projection struct {
	native  *gen.Device
	out     *ocDevice
	reading bool // for readers, who are told that an undeclared family is not enabled

	system    bool
	bodies    map[string]bool // devices whose own leaves are in out
	units     map[unitKey]bool
	instances map[string]bool // instances whose own leaves are in out, by native name
	statics   map[staticKey]bool

	members map[string][]unitKey // units by the instance that their families name; made when asked for
}

func newProjection(native *gen.Device) *projection {
	return &projection{native: native, out: &ocDevice{}, bodies: make(map[string]bool), units: make(map[unitKey]bool),
		instances: make(map[string]bool), statics: make(map[staticKey]bool)}
}

// add translates what the scope covers and is not there yet.
func (p *projection) add(s scope) {
	if s.system {
		p.addSystem()
	}
	eachEntry(s.device, p.native.Interface, func(name string, i *gen.Routerd_Interface) { p.addInterface(name, i, s) })
	if s.instance.none() {
		return
	}
	if s.member.on && !s.member.all() {
		// The instance may be new; the unit is what is edited.
		if device, sub, ok := splitUnit(s.member.key); ok {
			p.addUnitEntry(unitKey{device, unitID(sub)})
		}
	}
	if s.instance.all() {
		p.addInstance(defaultInstance, p.native.Instance[defaultInstance], s)
	} else if n, ok := nativeInstance(s.instance.key); !ok {
		return
	} else if n == defaultInstance {
		p.addInstance(n, p.native.Instance[n], s)
		return
	}
	eachEntry(s.instance, p.native.Instance, func(name string, i *gen.Routerd_Instance) {
		if name != defaultInstance {
			p.addInstance(name, i, s)
		}
	})
}

// eachEntry visits the selected entries of a map.
func eachEntry[V any](s selection, m map[string]*V, visit func(string, *V)) {
	switch {
	case s.none():
	case !s.all():
		if e := m[s.key]; e != nil {
			visit(s.key, e)
		}
	default:
		for k, e := range m {
			visit(k, e)
		}
	}
}

func (p *projection) addSystem() {
	p.system = true
	if n := p.native.System; n != nil && n.Config != nil && n.Config.Hostname != nil {
		p.out.GetOrCreateSystem().GetOrCreateConfig().Hostname = n.Config.Hostname
	}
}

func (p *projection) addInterface(name string, n *gen.Routerd_Interface, s scope) {
	o := p.out.GetOrCreateInterfaces().GetOrCreateInterface(name)
	if s.body && !p.bodies[name] {
		p.bodies[name] = true
		projectInterface(o, n)
	}
	eachEntry(s.unit, n.Unit, func(id string, u *gen.Routerd_Interface_Unit) { p.addUnit(unitKey{name, id}, u) })
}

func projectInterface(o *ocInterface, n *gen.Routerd_Interface) {
	cfg := o.GetOrCreateConfig()
	cfg.Name = o.Name
	cfg.Type = oc.IETFInterfaces_InterfaceType_ethernetCsmacd
	c := n.Config
	if c == nil {
		return
	}
	if c.Type == gen.Routerd_InterfaceType_loopback {
		cfg.Type = oc.IETFInterfaces_InterfaceType_softwareLoopback
	}
	cfg.Description, cfg.Enabled = c.Description, c.Enabled
	if c.Mru != nil {
		cfg.Mtu = ptr(*c.Mru - tagLength)
	}
}

// addUnit translates a unit with its memberships, which are part of it in the
// native tree.
func (p *projection) addUnit(k unitKey, n *gen.Routerd_Interface_Unit) {
	index, ok := subIndex(k.id)
	if !ok || p.units[k] {
		return
	}
	p.units[k] = true
	o := p.out.GetOrCreateInterfaces().GetOrCreateInterface(k.device).GetOrCreateSubinterfaces().GetOrCreateSubinterface(index)
	cfg := o.GetOrCreateConfig()
	cfg.Index = o.Index
	if n.Config != nil {
		cfg.Description, cfg.Enabled = n.Config.Description, n.Config.Enabled
	}
	if v := n.Vlan; v != nil && v.Config != nil && v.Config.OuterVlanId != nil {
		if v.Config.InnerVlanId == nil {
			o.GetOrCreateVlan().GetOrCreateMatch().GetOrCreateSingleTagged().GetOrCreateConfig().VlanId = v.Config.OuterVlanId
		} else {
			tags := o.GetOrCreateVlan().GetOrCreateMatch().GetOrCreateDoubleTagged().GetOrCreateConfig()
			tags.OuterVlanId, tags.InnerVlanId = v.Config.OuterVlanId, v.Config.InnerVlanId
		}
	}
	for _, f := range families {
		p.addFamily(o, f, n.Family[f])
	}
	for _, m := range membershipsOf(n) {
		p.addMember(k, index, m)
	}
}

func (p *projection) addFamily(o *ocSubinterface, which gen.E_Routerd_FamilyType, n *gen.Routerd_Interface_Unit_Family) {
	var f family
	switch {
	case n != nil:
		f = projectFamily(n)
	case p.reading:
		f = family{enabled: ptr(false)}
	default:
		return
	}
	if which == gen.Routerd_FamilyType_inet6 {
		f.writeIPv6(o.GetOrCreateIpv6())
	} else {
		f.writeIPv4(o.GetOrCreateIpv4())
	}
}

// projectFamily is a declared family. That it is enabled is always said, since
// OpenConfig has nothing else that says that the family is declared.
func projectFamily(n *gen.Routerd_Interface_Unit_Family) family {
	f := family{enabled: ptr(true)}
	if c := n.Config; c != nil {
		if c.Enabled != nil {
			f.enabled = c.Enabled
		}
		if c.Mtu != nil {
			f.mtu = ptr(uint32(*c.Mtu))
		}
		if c.Unnumbered != nil {
			if device, sub, ok := splitUnit(*c.Unnumbered); ok {
				f.unnumbered, f.refDevice, f.refUnit = ptr(true), &device, &sub
			}
		}
	}
	if len(n.Address) > 0 {
		f.addresses = make(map[string]*uint8, len(n.Address))
	}
	for _, prefix := range sortedKeys(n.Address) {
		// One address can stand under two lengths only if it is link-local; the
		// first in order is shown.
		if ip, length, ok := splitPrefix(prefix); ok {
			if _, taken := f.addresses[ip]; !taken {
				f.addresses[ip] = &length
			}
		}
	}
	if len(n.Neighbor) > 0 {
		f.neighbors = make(map[string]*string, len(n.Neighbor))
	}
	for ip, nb := range n.Neighbor {
		f.neighbors[ip] = nil
		if nb.Config != nil {
			f.neighbors[ip] = nb.Config.LinkLayerAddress
		}
	}
	return f
}

// A membership says which families of a unit belong to an instance.
type membership struct {
	instance string
	families []gen.E_Routerd_FamilyType
	whole    bool // all families that the unit has
}

// membershipsOf lists the instances that the unit's families name. A family
// that names none is the default instance's without an entry there.
func membershipsOf(n *gen.Routerd_Interface_Unit) []membership {
	var list []membership
	for _, f := range families {
		nf := n.Family[f]
		if nf == nil || nf.Config == nil || nf.Config.Instance == nil {
			continue
		}
		name := *nf.Config.Instance
		if len(list) > 0 && list[0].instance == name {
			list[0].families = append(list[0].families, f)
			continue
		}
		list = append(list, membership{instance: name, families: []gen.E_Routerd_FamilyType{f}})
	}
	for i := range list {
		list[i].whole = len(list[i].families) == len(n.Family)
	}
	return list
}

func (p *projection) addMember(k unitKey, index uint32, m membership) {
	name, ok := ocInstance(m.instance)
	if !ok {
		return
	}
	id := unitName(k.device, index)
	o := p.out.GetOrCreateNetworkInstances().GetOrCreateNetworkInstance(name).GetOrCreateInterfaces().GetOrCreateInterface(id)
	cfg := o.GetOrCreateConfig()
	cfg.Id, cfg.Interface, cfg.Subinterface = ptr(id), ptr(k.device), ptr(index)
	if !m.whole {
		for _, f := range m.families {
			cfg.AssociatedAddressFamilies = append(cfg.AssociatedAddressFamilies, afi(f))
		}
	}
}

// saysDefault reports whether a family of the unit names the default instance,
// which it would be in anyway.
func (p *projection) saysDefault(k unitKey) bool {
	if i := p.native.Interface[k.device]; i != nil && i.Unit[k.id] != nil {
		return slices.ContainsFunc(membershipsOf(i.Unit[k.id]), func(m membership) bool { return m.instance == defaultInstance })
	}
	return false
}

// membersOf lists the units that name the instance; the first call looks at
// every unit.
func (p *projection) membersOf(instance string) []unitKey {
	if p.members == nil {
		p.members = membersByInstance(p.native)
	}
	return p.members[instance]
}

func membersByInstance(native *gen.Device) map[string][]unitKey {
	members := make(map[string][]unitKey)
	for device, i := range native.Interface {
		for id, u := range i.Unit {
			for _, m := range membershipsOf(u) {
				members[m.instance] = append(members[m.instance], unitKey{device, id})
			}
		}
	}
	return members
}

// addInstance translates an instance; n is nil for a default instance that is
// not declared.
func (p *projection) addInstance(native string, n *gen.Routerd_Instance, s scope) {
	name, ok := ocInstance(native)
	if !ok {
		return
	}
	o := p.out.GetOrCreateNetworkInstances().GetOrCreateNetworkInstance(name)
	if s.own && !p.instances[native] {
		p.instances[native] = true
		cfg := o.GetOrCreateConfig()
		cfg.Name, cfg.Type = ptr(name), instanceType(native)
		if n != nil && n.Config != nil {
			cfg.Description = n.Config.Description
		}
	}
	if s.member.all() {
		for _, k := range p.membersOf(native) {
			p.addUnitEntry(k)
		}
	}
	if s.protocols {
		addProtocol(o)
	}
	if n == nil {
		return
	}
	eachEntry(s.static, n.StaticRoute, func(prefix string, r *gen.Routerd_Instance_StaticRoute) {
		k := staticKey{native, prefix}
		if !p.statics[k] {
			p.statics[k] = true
			projectStatic(o, prefix, r)
		}
	})
}

func (p *projection) addUnitEntry(k unitKey) {
	if i := p.native.Interface[k.device]; i != nil && i.Unit[k.id] != nil {
		p.addUnit(k, i.Unit[k.id])
	}
}

func instanceType(native string) oc.E_OpenconfigNetworkInstanceTypes_NETWORK_INSTANCE_TYPE {
	if native == defaultInstance {
		return oc.OpenconfigNetworkInstanceTypes_NETWORK_INSTANCE_TYPE_DEFAULT_INSTANCE
	}
	return oc.OpenconfigNetworkInstanceTypes_NETWORK_INSTANCE_TYPE_L3VRF
}

// addProtocol makes the entry that static routes stand in; every instance has
// it.
func addProtocol(o *ocNetwork) *ocProtocol {
	p := o.GetOrCreateProtocols().GetOrCreateProtocol(oc.OpenconfigPolicyTypes_INSTALL_PROTOCOL_TYPE_STATIC, protocolInstance)
	cfg := p.GetOrCreateConfig()
	cfg.Identifier, cfg.Name = oc.OpenconfigPolicyTypes_INSTALL_PROTOCOL_TYPE_STATIC, ptr(protocolInstance)
	return p
}

func projectStatic(o *ocNetwork, prefix string, n *gen.Routerd_Instance_StaticRoute) {
	r := addProtocol(o).GetOrCreateStaticRoutes().GetOrCreateStatic(prefix)
	cfg := r.GetOrCreateConfig()
	cfg.Prefix = ptr(prefix)
	c := n.Config
	if c == nil {
		c = &gen.Routerd_Instance_StaticRoute_Config{}
	}
	cfg.Description = c.Description
	if c.Tag != nil {
		cfg.SetTag = oc.UnionUint32(*c.Tag)
	}
	var preference *uint32
	if c.Preference != nil {
		preference = ptr(uint32(*c.Preference))
	}
	if c.Action == gen.Routerd_RouteAction_discard {
		nh := r.GetOrCreateNextHops().GetOrCreateNextHop(dropIndex).GetOrCreateConfig()
		nh.Index, nh.NextHop, nh.Preference = ptr(dropIndex), oc.OpenconfigLocalRouting_LOCAL_DEFINED_NEXT_HOP_DROP, preference
	}
	for index, h := range n.NextHop {
		e := r.GetOrCreateNextHops().GetOrCreateNextHop(unitID(uint32(index)))
		nh := e.GetOrCreateConfig()
		nh.Index, nh.Preference = e.Index, preference
		c := h.Config
		if c == nil {
			continue
		}
		hop := nextHopOf(c.Gateway, c.Interface, c.Instance)
		nh.NextHop, nh.NhNetworkInstance, nh.NextNetworkInstance = hop.next, hop.gatewayInstance, hop.lookup
		if hop.device != nil {
			ref := e.GetOrCreateInterfaceRef().GetOrCreateConfig()
			ref.Interface, ref.Subinterface = hop.device, hop.sub
		}
	}
}

// A hop is the content of an OpenConfig next hop.
type hop struct {
	next            configNextHop
	gatewayInstance *string
	lookup          *string
	device          *string
	sub             *uint32
}

// nextHopOf translates the native next hop with these leaves.
func nextHopOf(gateway, unit, instance *string) (h hop) {
	if gateway != nil {
		h.next = oc.UnionString(*gateway)
	}
	if unit != nil {
		if device, sub, ok := splitUnit(*unit); ok {
			h.device, h.sub = &device, &sub
			if gateway == nil {
				h.next = oc.OpenconfigLocalRouting_LOCAL_DEFINED_NEXT_HOP_LOCAL_LINK
			}
		}
	}
	if instance != nil {
		if name, ok := ocInstance(*instance); ok {
			if gateway != nil {
				h.gatewayInstance = &name
			} else {
				h.lookup = &name
			}
		}
	}
	return h
}
