package models

import (
	"maps"
	"slices"

	"router/gen"
	"router/intf"
)

// compileStatic compiles the static route to text in an instance; ok is false
// where not even its key is sound.
func compileStatic(instance, text string, g *gen.Routerd_Instance_StaticRoute, v *violations) (s StaticSpec, ok bool) {
	path := staticPathText(instance, text)
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Instance_StaticRoute_Config{}
	}
	implied := *c
	implied.Prefix = &text
	if !checkLeaves(&implied, path+"/config", v) {
		return s, false
	}
	checkKey(c.Prefix, text, path+"/config/prefix", v)
	p, ok := parsePrefix(text, path, v)
	if !ok {
		return s, false
	}
	if p != p.Masked() {
		v.add(path, rulePrefixHostBits, "%v has bits set behind its length: write %v", p, p.Masked())
		return s, false
	}
	if p.String() != text {
		return s, false
	}
	s = StaticSpec{
		Key:         StaticKey{Instance: instance, Prefix: p},
		Preference:  value(c.Preference, defaultPreference),
		Tag:         value(c.Tag, 0),
		HasTag:      c.Tag != nil,
		Description: value(c.Description, ""),
	}
	switch c.Action {
	case gen.Routerd_RouteAction_UNSET, gen.Routerd_RouteAction_forward:
		s.Action = Forward
	case gen.Routerd_RouteAction_reject:
		s.Action = Reject
	case gen.Routerd_RouteAction_discard:
		s.Action = Discard
	case gen.Routerd_RouteAction_receive:
		s.Action = Receive
	}
	switch n := len(g.NextHop); {
	case n > 1:
		v.add(path+"/next-hop", ruleTooMany, "%d next hops: a route has one for now", n)
	case s.Action == Forward && n == 0:
		v.add(path, ruleStaticAction, "action forward without a next hop: add one, or set another action")
	case s.Action != Forward && n > 0:
		v.add(path, ruleStaticAction, "action %v with a next hop: delete it, or set the action to forward", s.Action)
	}
	for _, index := range slices.Sorted(maps.Keys(g.NextHop)) {
		s.NextHop, s.HasNextHop = compileNextHop(s.Key, index, g.NextHop[index], v)
	}
	return s, true
}

func compileNextHop(key StaticKey, index uint8, g *gen.Routerd_Instance_StaticRoute_NextHop, v *violations) (nh StaticNextHop, ok bool) {
	path := nextHopPath(key, index)
	nh.Index = index
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Instance_StaticRoute_NextHop_Config{}
	}
	if !checkLeaves(c, path+"/config", v) {
		return nh, false
	}
	if c.Index != nil && *c.Index != index {
		v.add(path+"/config/index", ruleKey, "config says %d, and the key %d: make them equal", *c.Index, index)
	}
	if (c.Gateway != nil || c.Interface != nil) == (c.Instance != nil) {
		v.add(path, ruleNexthopKind,
			"a next hop has a gateway, an interface or both, or else only an instance: set one of the two kinds")
		return nh, false
	}
	if c.Instance != nil {
		nh.Instance = *c.Instance
		if nh.Instance == key.Instance {
			v.add(path+"/config/instance", ruleNexthopOwnInstance,
				"a look-up in the route's own instance %s finds the route again: name another one", nh.Instance)
			return nh, false
		}
	}
	if c.Interface != nil {
		nh.Interface = ParseUnitName(*c.Interface)
	}
	if c.Gateway == nil {
		return nh, true
	}
	gateway, ok := parseAddr(*c.Gateway, path+"/config/gateway", v)
	if !ok {
		return nh, false
	}
	if intf.FamilyOf(gateway) != intf.FamilyOf(key.Prefix.Addr()) {
		v.add(path+"/config/gateway", ruleNexthopFamily,
			"gateway %v and prefix %v are of different families: use a gateway of the prefix's family", gateway, key.Prefix)
	}
	if err := notUnicast(gateway); err != nil {
		v.add(path+"/config/gateway", ruleGatewayUnicast,
			"gateway %v is %w: use a unicast address of another router", gateway, err)
	}
	if isLinkLocal6(gateway) && c.Interface == nil {
		v.add(path+"/config/gateway", ruleGatewayLinkLocal,
			"the link-local gateway %v needs the interface that it is on: set interface", gateway)
	}
	nh.Gateway = gateway
	return nh, true
}
