package openconfig

import (
	"maps"
	"slices"
	"strconv"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/openconfig"
)

// staticsBack carries back static routes: those that were projected, and those
// that were made.
func (e *edit) staticsBack() {
	have := make(map[staticKey]*ocStatic)
	for name, o := range e.networks() {
		native, ok := nativeInstance(name)
		if !ok || o.Protocols == nil {
			continue
		}
		for key, p := range o.Protocols.Protocol {
			if key.Identifier != oc.OpenconfigPolicyTypes_INSTALL_PROTOCOL_TYPE_STATIC || key.Name != protocolInstance {
				e.fail(ocInstancePath(name).Named("protocols"), "the router has no protocol %s %q: static routes stand under %s %q",
					key.Identifier, key.Name, staticProtocol, protocolInstance)
				continue
			}
			if p.StaticRoutes == nil {
				continue
			}
			for prefix, r := range p.StaticRoutes.Static {
				have[staticKey{native, prefix}] = r
			}
		}
	}
	compare := func(a, b staticKey) int {
		return slices.Compare([]string{a.instance, a.prefix}, []string{b.instance, b.prefix})
	}
	for _, k := range slices.SortedFunc(maps.Keys(e.statics), compare) {
		name, _ := ocInstance(k.instance)
		if have[k] == nil && (e.networks()[name] != nil || !e.instances[k.instance]) {
			e.remove(at(keyed("instance", "name", k.instance), keyed("static-route", "prefix", k.prefix)))
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(have), compare) {
		e.staticBack(k, have[k])
	}
}

func ocStaticPath(k staticKey) tree.Path {
	name, _ := ocInstance(k.instance)
	protocol := keyed("protocol", "identifier", staticProtocol)
	protocol.Key["name"] = protocolInstance
	return ocInstancePath(name).Named("protocols").Child(protocol).Named("static-routes").Child(keyed("static", "prefix", k.prefix))
}

func (e *edit) staticBack(k staticKey, o *ocStatic) {
	p, here := at(keyed("instance", "name", k.instance), keyed("static-route", "prefix", k.prefix)), ocStaticPath(k)
	if canonical, ok := canonicalPrefix(k.prefix); !ok || canonical != k.prefix {
		e.fail(here, "this is not the canonical spelling (RFC 5952): write %s", canonical)
		return
	}
	var n *gen.Routerd_Instance_StaticRoute
	if i := e.native.Instance[k.instance]; i != nil {
		n = i.StaticRoute[k.prefix]
	}
	fresh := n == nil
	if fresh {
		e.ensure(p)
		n = &gen.Routerd_Instance_StaticRoute{}
	}
	old := n.Config
	if old == nil {
		old = &gen.Routerd_Instance_StaticRoute_Config{}
	}
	cfg := p.Named("config")
	var tag *uint32
	if o.Config != nil {
		leaf(e, cfg.Named("description"), old.Description, o.Config.Description)
		switch t := o.Config.SetTag.(type) {
		case nil:
		case oc.UnionUint32:
			tag = ptr(uint32(t))
		case oc.UnionString:
			v, err := strconv.ParseUint(string(t), 10, 32)
			if err != nil {
				e.fail(here.Named("config").Named("set-tag"), "the router's tags are numbers: %q is none", string(t))
				return
			}
			tag = ptr(uint32(v))
		}
	} else {
		leaf(e, cfg.Named("description"), old.Description, nil)
	}
	leaf(e, cfg.Named("tag"), old.Tag, tag)

	var hops map[string]*ocNextHop
	if o.NextHops != nil {
		hops = o.NextHops.NextHop
	}
	if len(hops) == 0 {
		// Actions that OpenConfig has no word for show as no next hop.
		if fresh || len(n.NextHop) > 0 || old.Action == gen.Routerd_RouteAction_discard {
			e.fail(here, "the route needs a next hop: give one, with the next-hop DROP to discard, or delete the route")
		}
		return
	}
	e.preferenceBack(cfg, here, old.Preference, hops)
	e.hopsBack(p, here, n, old, hops)
}

// preferenceBack carries back the preference, which is one for all next hops.
func (e *edit) preferenceBack(cfg, here tree.Path, old *uint8, hops map[string]*ocNextHop) {
	var want *uint32
	for i, index := range sortedKeys(hops) {
		var p *uint32
		if c := hops[index].Config; c != nil {
			p = c.Preference
		}
		if i > 0 && (p == nil) != (want == nil) || value(p) != value(want) && i > 0 {
			e.fail(here.Named("next-hops"), "the next hops of a route have one preference: give all the same")
			return
		}
		want = p
	}
	if want == nil {
		leaf(e, cfg.Named("preference"), old, nil)
		return
	}
	if *want > 255 {
		e.fail(here.Named("next-hops"), "preference %d is too large: 255 is the largest", *want)
		return
	}
	leaf(e, cfg.Named("preference"), old, ptr(uint8(*want)))
}

func (e *edit) hopsBack(p, here tree.Path, n *gen.Routerd_Instance_StaticRoute, old *gen.Routerd_Instance_StaticRoute_Config, hops map[string]*ocNextHop) {
	drop := false
	wanted := make(map[uint8]*ocNextHop)
	for _, index := range sortedKeys(hops) {
		there := here.Named("next-hops").Child(keyed("next-hop", "index", index))
		if c := hops[index].Config; c != nil && c.NextHop == configNextHop(oc.OpenconfigLocalRouting_LOCAL_DEFINED_NEXT_HOP_DROP) {
			drop = true
			ref := hops[index].InterfaceRef
			switch {
			case len(hops) > 1:
				e.fail(there, "DROP is a route's only next hop: delete the others")
			case index != dropIndex:
				e.fail(there, "the next hop DROP has the index %q: use that", dropIndex)
			case ref != nil && ref.Config != nil && ref.Config.Interface != nil, c.NhNetworkInstance != nil, c.NextNetworkInstance != nil:
				e.fail(there, "DROP leads to no interface and no instance: delete what names one")
			}
			continue
		}
		i, err := strconv.ParseUint(index, 10, 8)
		if err != nil || strconv.FormatUint(i, 10) != index {
			e.fail(there, "the index of a next hop is a number from 0 to 255: use one")
			continue
		}
		wanted[uint8(i)] = hops[index]
	}
	action := p.Named("config").Named("action")
	switch {
	case drop && old.Action != gen.Routerd_RouteAction_discard:
		e.update(action, typed(gen.Routerd_RouteAction_discard.String()))
	case !drop && old.Action != gen.Routerd_RouteAction_UNSET && old.Action != gen.Routerd_RouteAction_forward:
		e.remove(action)
	}
	if old.RejectCode != gen.Routerd_RejectCode_UNSET {
		e.remove(p.Named("config").Named("reject-code"))
	}
	for _, i := range sortedKeys(n.NextHop) {
		if wanted[i] == nil {
			e.remove(p.Child(keyed("next-hop", "index", unitID(uint32(i)))))
		}
	}
	for _, i := range sortedKeys(wanted) {
		index := unitID(uint32(i))
		e.hopBack(p.Child(keyed("next-hop", "index", index)).Named("config"),
			here.Named("next-hops").Child(keyed("next-hop", "index", index)), n.NextHop[i], wanted[i])
	}
}

func (e *edit) hopBack(p, here tree.Path, n *gen.Routerd_Instance_StaticRoute_NextHop, o *ocNextHop) {
	old := &gen.Routerd_Instance_StaticRoute_NextHop_Config{}
	if n != nil && n.Config != nil {
		old = n.Config
	}
	want := o.Config
	if want == nil {
		want = &oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Protocols_Protocol_StaticRoutes_Static_NextHops_NextHop_Config{}
	}
	var unit, gateway, instance *string
	if o.InterfaceRef != nil && o.InterfaceRef.Config != nil {
		ref := o.InterfaceRef.Config
		switch {
		case ref.Interface != nil:
			unit = ptr(unitName(*ref.Interface, value(ref.Subinterface)))
		case ref.Subinterface != nil:
			e.fail(here.Named("interface-ref").Named("config"), "a subinterface needs its interface: set interface")
			return
		}
	}
	link := false
	switch nh := want.NextHop.(type) {
	case nil:
	case oc.UnionString:
		gateway = ptr(string(nh))
	case oc.E_OpenconfigLocalRouting_LOCAL_DEFINED_NEXT_HOP:
		link = true // LOCAL_LINK: DROP never comes here
	}
	if want.NextNetworkInstance != nil {
		if gateway != nil || link || unit != nil || want.NhNetworkInstance != nil {
			e.fail(here, "next-network-instance stands alone: delete next-hop, interface-ref and nh-network-instance")
			return
		}
	}
	switch {
	case gateway == nil && unit == nil && want.NextNetworkInstance == nil:
		// Not told where OpenConfig can't name the unit below another one that stands here.
		if _, _, ok := splitUnit(value(old.Interface)); ok {
			e.fail(here, "the next hop leads nowhere: set next-hop, interface-ref, or next-network-instance")
			return
		}
	case want.NhNetworkInstance != nil && gateway == nil:
		e.fail(here.Named("config").Named("nh-network-instance"), "it says where an address is looked up: set next-hop to one, or use next-network-instance")
		return
	}
	for _, name := range []*string{want.NhNetworkInstance, want.NextNetworkInstance} {
		if name == nil {
			continue
		}
		native, ok := nativeInstance(*name)
		if !ok {
			e.fail(here, "the instance of type DEFAULT_INSTANCE is called %s here: use that name", ocDefault)
			return
		}
		instance = ptr(native)
	}
	if n == nil {
		e.ensure(p[:len(p)-1])
	}
	leaf(e, p.Named("gateway"), old.Gateway, gateway)
	e.unitRef(p.Named("interface"), old.Interface, unit)
	leaf(e, p.Named("instance"), old.Instance, instance)
}
