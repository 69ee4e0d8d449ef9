package models

import (
	"router/dataplane/filter"
	"router/gen"
	"router/intf"
)

// compileAction compiles what a term does; its leaves are sound each by itself.
func (t *termCompiler) compileAction(c *gen.Routerd_Filter_Term_Action_Config) {
	a, path := &t.term.Action, t.path+"/action/config"
	switch c.Disposition {
	case gen.Routerd_Disposition_UNSET, gen.Routerd_Disposition_accept:
		a.Kind = filter.Accept
	case gen.Routerd_Disposition_discard:
		a.Kind = filter.Discard
	case gen.Routerd_Disposition_reject:
		a.Kind = filter.Reject
	case gen.Routerd_Disposition_next_term:
		a.Kind = filter.NextTerm
	case gen.Routerd_Disposition_next_filter:
		a.Kind = filter.NextFilter
	case gen.Routerd_Disposition_routing_instance:
		a.Kind = filter.ToInstance
	case gen.Routerd_Disposition_next_hop:
		a.Kind = filter.ToNextHop
	}
	a.NextFilter = value(c.NextFilter, "")
	a.CountPerInterface = value(c.CountPerInterface, false)
	a.LogEvery = value(c.LogEvery, 0)
	a.Police = value(c.Policer, "")
	a.DSCP = compileDSCP(c.SetDscp, path+"/set-dscp", t.v)
	a.LossPriority = compileLoss(c.SetLossPriority)
	if c.SetForwardingClass != nil {
		a.ForwardingClass = filter.Some(*c.SetForwardingClass)
	}
	if c.SetMark != nil {
		a.Mark = filter.Some(*c.SetMark)
	}
	if c.Mirror != nil {
		t.refs.Mirror, t.named = ParseUnitName(*c.Mirror), true
	}
	t.compileReject(c, path)
	t.compileTarget(c, path)
}

func (t *termCompiler) compileReject(c *gen.Routerd_Filter_Term_Action_Config, path string) {
	a := &t.term.Action
	only, onlyOne := intf.Inet, false
	switch c.RejectWith {
	case gen.Routerd_RejectWith_UNSET, gen.Routerd_RejectWith_prohibited:
		a.Reject = filter.RejectProhibited
	case gen.Routerd_RejectWith_network_unreachable:
		a.Reject = filter.RejectNetwork
	case gen.Routerd_RejectWith_host_unreachable:
		a.Reject = filter.RejectHost
	case gen.Routerd_RejectWith_protocol_unreachable:
		a.Reject = filter.RejectProtocol
	case gen.Routerd_RejectWith_port_unreachable:
		a.Reject = filter.RejectPort
	case gen.Routerd_RejectWith_network_prohibited:
		a.Reject, only, onlyOne = filter.RejectNetProhibited, intf.Inet, true
	case gen.Routerd_RejectWith_host_prohibited:
		a.Reject, only, onlyOne = filter.RejectHostProhibited, intf.Inet, true
	case gen.Routerd_RejectWith_policy_failed:
		a.Reject, only, onlyOne = filter.RejectPolicy, intf.Inet6, true
	case gen.Routerd_RejectWith_route_rejected:
		a.Reject, only, onlyOne = filter.RejectRoute, intf.Inet6, true
	case gen.Routerd_RejectWith_tcp_reset:
		a.Reject = filter.RejectTCPReset
		if some, _ := protocols(t.term.Match.Protocol, func(p uint32) bool { return p == ipTCP }); !some {
			t.v.add(path+"/reject-with", ruleFilterReset, "a TCP reset for what is no TCP: set protocol to tcp, or reject with another message")
		}
	}
	if c.RejectWith != gen.Routerd_RejectWith_UNSET && a.Kind != filter.Reject {
		t.v.add(path, ruleFilterArgument, "reject-with without disposition reject: delete it or set the disposition")
	}
	if onlyOne && only != t.family {
		t.v.add(path+"/reject-with", ruleFilterRejectFamily, "%s is a message of family %v, and the filter is for %v: use another one", c.RejectWith, only, t.family)
	}
}

// compileTarget compiles where the disposition leads.
func (t *termCompiler) compileTarget(c *gen.Routerd_Filter_Term_Action_Config, path string) {
	kind := t.term.Action.Kind
	argument := func(set bool, leaf string, wanted bool, needs string) {
		switch {
		case set && !wanted:
			t.v.add(path, ruleFilterArgument, "%s without a disposition that uses it: delete it or set the disposition", leaf)
		case !set && needs != "":
			t.v.add(path, ruleFilterArgument, "disposition %s lacks its argument: set %s", needs, leaf)
		}
	}
	needs := func(k filter.Kind, word string) string {
		if kind == k {
			return word
		}
		return ""
	}
	argument(c.NextFilter != nil, "next-filter", kind == filter.NextFilter, needs(filter.NextFilter, "next-filter"))
	argument(c.Instance != nil, "instance", kind == filter.ToInstance || kind == filter.ToNextHop, needs(filter.ToInstance, "routing-instance"))
	argument(c.NextHop != nil || c.NextHopInterface != nil, "next-hop or next-hop-interface", kind == filter.ToNextHop, needs(filter.ToNextHop, "next-hop"))
	if kind != filter.ToInstance && kind != filter.ToNextHop {
		return
	}
	t.named = true
	t.refs.Instance = value(c.Instance, DefaultInstance)
	if kind == filter.ToInstance {
		return
	}
	if c.NextHopInterface != nil {
		t.refs.NextHopIf = ParseUnitName(*c.NextHopInterface)
	}
	if c.NextHop == nil {
		return
	}
	gateway, ok := parseAddr(*c.NextHop, path+"/next-hop", t.v)
	if !ok {
		return
	}
	if intf.FamilyOf(gateway) != t.family {
		t.v.add(path+"/next-hop", ruleFilterHopFamily, "%v is not of family %v, which the filter is for: use one of its family", gateway, t.family)
	}
	if err := notUnicast(gateway); err != nil {
		t.v.add(path+"/next-hop", ruleFilterHop, "%v is %w: a next hop is the unicast address of another router", gateway, err)
	} else if isLinkLocal6(gateway) && c.NextHopInterface == nil {
		t.v.add(path+"/next-hop", ruleFilterHop, "the link-local next hop %v needs the unit that it is on: set next-hop-interface", gateway)
	}
	t.refs.Gateway = gateway
}

// compileDSCP reads a code point, of one of the union types that ygot makes of the
// same typedef.
func compileDSCP(u any, path string, v *violations) filter.Opt[uint8] {
	if u == nil {
		return filter.Opt[uint8]{}
	}
	for _, r := range ranges([]any{u}, field{names: dscpNames, max: 63}, path, v) {
		return filter.Some(uint8(r.Lo))
	}
	return filter.Opt[uint8]{}
}

func compileLoss(e gen.E_Routerd_LossPriority) filter.Opt[uint8] {
	switch e {
	case gen.Routerd_LossPriority_UNSET:
	case gen.Routerd_LossPriority_low:
		return filter.Some[uint8](filter.LossLow)
	case gen.Routerd_LossPriority_medium_low:
		return filter.Some[uint8](filter.LossMediumLow)
	case gen.Routerd_LossPriority_medium_high:
		return filter.Some[uint8](filter.LossMediumHigh)
	case gen.Routerd_LossPriority_high:
		return filter.Some[uint8](filter.LossHigh)
	}
	return filter.Opt[uint8]{}
}

func compilePrefixList(name string, g *gen.Routerd_PrefixList, v *violations) (s PrefixListSpec, ok bool) {
	path := prefixListPath(name)
	s.Name = name
	c := g.GetConfig()
	if c == nil {
		return s, true
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s, false
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, "")
	s.Prefixes = prefixSet(c.Prefix, path+"/config/prefix", v)
	return s, true
}

func compilePolicer(name string, g *gen.Routerd_Policer, v *violations) (s PolicerSpec, ok bool) {
	path := policerPath(name)
	s.Spec.Name = name
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Policer_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s, false
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, "")
	switch c.Type {
	case gen.Routerd_PolicerType_UNSET, gen.Routerd_PolicerType_single_rate:
		s.Spec.Kind = filter.TwoColour
	case gen.Routerd_PolicerType_sr_tcm:
		s.Spec.Kind = filter.SingleRate
	case gen.Routerd_PolicerType_tr_tcm:
		s.Spec.Kind = filter.TwoRate
	}
	s.Spec.Packets = c.Unit == gen.Routerd_PolicerUnit_packets
	s.Spec.ColourAware = value(c.ColorAware, false)
	s.Spec.Rate, s.Spec.Burst = value(c.CommittedRate, 0), value(c.CommittedBurst, 0)
	s.Spec.PeakRate = value(c.PeakRate, 0)
	s.Spec.ExtraBurst = value(c.ExcessBurst, value(c.PeakBurst, 0))
	checkRates(c, s.Spec, path, v)
	green, yellow, red := g.GetGreen().GetConfig(), g.GetYellow().GetConfig(), g.GetRed().GetConfig()
	if green == nil {
		green = &gen.Routerd_Policer_Green_Config{}
	}
	if yellow == nil {
		yellow = &gen.Routerd_Policer_Yellow_Config{}
	}
	if red == nil {
		red = &gen.Routerd_Policer_Red_Config{}
	}
	s.Spec.Green = compileColour(colourLeaves{green.Drop, green.SetDscp, green.SetLossPriority, green.SetForwardingClass}, false, green, path+"/green/config", v)
	s.Spec.Yellow = compileColour(colourLeaves{yellow.Drop, yellow.SetDscp, yellow.SetLossPriority, yellow.SetForwardingClass}, false, yellow, path+"/yellow/config", v)
	s.Spec.Red = compileColour(colourLeaves{red.Drop, red.SetDscp, red.SetLossPriority, red.SetForwardingClass}, true, red, path+"/red/config", v)
	if s.Spec.Kind == filter.TwoColour && s.Spec.Yellow != (filter.ColourAction{}) {
		v.add(path+"/yellow", rulePolicerYellow, "a single-rate policer makes no packets yellow: delete yellow, or use sr-tcm or tr-tcm")
	}
	return s, true
}

// checkRates checks the rates and bursts of a policer.
func checkRates(c *gen.Routerd_Policer_Config, s filter.PolicerSpec, path string, v *violations) {
	if c.CommittedRate == nil || c.CommittedBurst == nil {
		v.add(path, rulePolicerRate, "policer %s lacks a rate or a burst: set committed-rate and committed-burst", s.Name)
	}
	for _, l := range []struct {
		leaf string
		set  bool
		kind filter.PolicerKind
		word string
	}{
		{"excess-burst", c.ExcessBurst != nil, filter.SingleRate, "sr-tcm"},
		{"peak-rate", c.PeakRate != nil, filter.TwoRate, "tr-tcm"},
		{"peak-burst", c.PeakBurst != nil, filter.TwoRate, "tr-tcm"},
	} {
		switch {
		case l.set && s.Kind != l.kind:
			v.add(path, rulePolicerFields, "%s is for type %s only: delete it or change the type", l.leaf, l.word)
		case !l.set && s.Kind == l.kind:
			v.add(path, rulePolicerFields, "a policer of type %s lacks its %s: set it", l.word, l.leaf)
		}
	}
	if c.PeakRate != nil && s.PeakRate < s.Rate || c.PeakBurst != nil && *c.PeakBurst < s.Burst {
		v.add(path, rulePolicerPeak, "the peak is below what is committed: raise peak-rate and peak-burst, or lower committed-rate and committed-burst")
	}
}

// colourLeaves are the leaves that all colours have.
type colourLeaves struct {
	drop  *bool
	dscp  any
	loss  gen.E_Routerd_LossPriority
	class *uint8
}

// compileColour compiles what becomes of a colour; container is the generated
// struct of the leaves, and drop what holds when nothing is said.
func compileColour(l colourLeaves, drop bool, container any, path string, v *violations) filter.ColourAction {
	a := filter.ColourAction{Drop: value(l.drop, drop)}
	if !checkLeaves(container, path, v) {
		return a
	}
	a.DSCP = compileDSCP(l.dscp, path+"/set-dscp", v)
	a.LossPriority = compileLoss(l.loss)
	if l.class != nil {
		a.ForwardingClass = filter.Some(*l.class)
	}
	if a.Drop && (a.DSCP.Valid || a.LossPriority.Valid || a.ForwardingClass.Valid) {
		v.add(path, rulePolicerDrop, "packets are dropped and given something, too: set drop to false, or delete the rest")
	}
	return a
}
