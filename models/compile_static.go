package models

import (
	"net/netip"
	"slices"

	"router/gen"
	"router/intf"
	"router/routing"
)

// compileStatic compiles the static route to text in an instance; ok is false
// where not even its key is sound.
func compileStatic(instance, text string, g *gen.Routerd_Instance_StaticRoute, v *violations) (s StaticSpec, ok bool) {
	before := len(*v)
	if s, ok = compileRoute(instance, text, g, v); len(*v) > before {
		v.below(before, staticPathText(instance, text))
	}
	return s, ok
}

// compileRoute is compileStatic with violations whose paths begin at the route:
// most of many routes have none, and making their paths would cost more than all the rest.
func compileRoute(instance, text string, g *gen.Routerd_Instance_StaticRoute, v *violations) (s StaticSpec, ok bool) {
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Instance_StaticRoute_Config{}
	}
	said := c.Prefix
	if said == nil || *said != text {
		implied := *c
		implied.Prefix = &text
		c = &implied
	}
	if !checkLeaves(c, "/config", v) {
		return s, false
	}
	checkKey(said, text, "/config/prefix", v)
	p, ok := parsePrefix(text, "", v)
	if !ok {
		return s, false
	}
	if p != p.Masked() {
		v.add("", rulePrefixHostBits, "%v has bits set behind its length: write %v", p, p.Masked())
		return s, false
	}
	var buf [64]byte
	if string(p.AppendTo(buf[:0])) != text {
		return s, false
	}
	s = StaticSpec{
		Key:         StaticKey{Instance: instance, Prefix: p},
		Preference:  value(c.Preference, routing.Static.Preference()),
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
	if c.IncomingInterface != nil {
		s.Incoming = ParseUnitName(*c.IncomingInterface)
	}
	checkReject(&s, c.RejectCode, "/config/reject-code", v)
	switch n := len(g.NextHop); {
	case n > maxNextHops:
		v.add("/next-hop", ruleTooMany, "%d next hops: a route has %d at most", n, maxNextHops)
	case s.Action == Forward && n == 0:
		v.add("", ruleStaticAction, "action forward without a next hop: add one, or set another action")
	case s.Action != Forward && n > 0:
		v.add("", ruleStaticAction, "action %v with a next hop: delete it, or set the action to forward", s.Action)
	}
	if len(g.NextHop) > 0 {
		s.NextHops = make([]StaticNextHop, 0, len(g.NextHop))
	}
	for index, g := range g.NextHop {
		before := len(*v)
		nh, ok := compileNextHop(s.Key, index, g, v)
		if ok {
			s.NextHops = append(s.NextHops, nh)
		}
		if len(*v) > before {
			v.below(before, nextHopElem(index))
		}
	}
	slices.SortFunc(s.NextHops, func(a, b StaticNextHop) int { return int(a.Index) - int(b.Index) })
	// Of next hops that are not sound, nothing more can be said.
	if len(s.NextHops) == len(g.NextHop) {
		checkNextHops(s, v)
	}
	return s, true
}

// checkReject takes in the code of a route that rejects.
func checkReject(s *StaticSpec, g gen.E_Routerd_RejectCode, path string, v *violations) {
	code := rejectCodeOf(g)
	if code == routing.RejectNone {
		return
	}
	f := intf.FamilyOf(s.Key.Prefix.Addr())
	if s.Action != Reject {
		v.add(path, ruleRejectAction, "action %v with a reject-code: delete the code, or set the action to reject", s.Action)
	}
	if _, ok := code.ICMP(f); !ok {
		v.add(path, ruleRejectFamily, "%v has no code %v: use one that it has, such as %v", f, code, routing.RejectHost)
	}
	s.Reject = code
}

// maxNextHops is how many next hops a static route can have.
const maxNextHops = routing.MaxMembers

// checkNextHops checks what the next hops of a route have to do with each other.
func checkNextHops(s StaticSpec, v *violations) {
	type target struct {
		gateway  netip.Addr
		unit     intf.UnitKey
		instance string
	}
	var seen map[target]uint8
	if len(s.NextHops) > 1 {
		seen = make(map[target]uint8, len(s.NextHops))
	}
	primaries := 0
	for _, nh := range s.NextHops {
		if !nh.Backup {
			primaries++
		}
		if nh.isLookup() {
			if len(s.NextHops) > 1 {
				v.add(nextHopElem(nh.Index), ruleNexthopAlone,
					"a look-up in instance %s beside other next hops: delete it or them", nh.Instance)
			}
			continue
		}
		t := target{nh.Gateway, nh.Interface, nh.Instance}
		if other, ok := seen[t]; ok {
			v.add(nextHopElem(nh.Index), ruleNexthopUnique,
				"next hop %d is the same: delete one of them, and set the weight of the other", other)
		}
		if seen != nil {
			seen[t] = nh.Index
		}
	}
	if len(s.NextHops) > 0 && primaries == 0 {
		v.add("", ruleBackupPrimary, "all next hops are backups: set backup to false for one of them")
	}
}

// compileNextHop compiles a next hop; paths of violations begin at it.
func compileNextHop(key StaticKey, index uint8, g *gen.Routerd_Instance_StaticRoute_NextHop, v *violations) (nh StaticNextHop, ok bool) {
	nh.Index, nh.Weight = index, 1
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Instance_StaticRoute_NextHop_Config{}
	}
	if !checkLeaves(c, "/config", v) {
		return nh, false
	}
	if c.Index != nil && *c.Index != index {
		v.add("/config/index", ruleKey, "config says %d, and the key %d: make them equal", *c.Index, index)
	}
	if c.Gateway == nil && c.Interface == nil && c.Instance == nil || c.Interface != nil && c.Instance != nil {
		v.add("", ruleNexthopKind,
			"a next hop has a gateway, an interface, or an instance; a gateway may have one of the other two: set one of these")
		return nh, false
	}
	nh.Weight, nh.Backup = value(c.Weight, 1), value(c.Backup, false)
	if c.Instance != nil {
		nh.Instance = *c.Instance
		if nh.Instance == key.Instance {
			v.add("/config/instance", ruleNexthopOwnInstance,
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
	gateway, ok := parseAddr(*c.Gateway, "/config/gateway", v)
	if !ok {
		return nh, false
	}
	if intf.FamilyOf(gateway) != intf.FamilyOf(key.Prefix.Addr()) {
		v.add("/config/gateway", ruleNexthopFamily,
			"gateway %v and prefix %v are of different families: use a gateway of the prefix's family", gateway, key.Prefix)
	}
	if err := notUnicast(gateway); err != nil {
		v.add("/config/gateway", ruleGatewayUnicast,
			"gateway %v is %w: use a unicast address of another router", gateway, err)
	}
	if isLinkLocal6(gateway) && c.Interface == nil {
		v.add("/config/gateway", ruleGatewayLinkLocal,
			"the link-local gateway %v needs the interface that it is on: set interface", gateway)
	}
	nh.Gateway = gateway
	return nh, true
}
