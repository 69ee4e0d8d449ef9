package models

import (
	"maps"
	"net/netip"
	"slices"

	"router/dataplane/filter"
	"router/gen"
	"router/intf"
)

// compileFilter compiles a filter with its terms; ok is false where nothing can be
// said of it.
func compileFilter(name string, g *gen.Routerd_Filter, v *violations) (s FilterSpec, ok bool) {
	path := filterPath(name)
	s.Spec.Name = name
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Filter_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s, false
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, "")
	s.Spec.InterfaceSpecific = value(c.InterfaceSpecific, false)
	switch c.Family {
	case gen.Routerd_FamilyType_UNSET:
		v.add(path, ruleFilterFamily, "filter %s has no family: set family to inet or inet6", name)
		return s, false
	case gen.Routerd_FamilyType_inet:
		s.Spec.Family = intf.Inet
	case gen.Routerd_FamilyType_inet6:
		s.Spec.Family = intf.Inet6
	}
	terms := g.Term.Values()
	s.Spec.Terms = make([]filter.Term, 0, len(terms))
	next := map[string]struct{}{}
	for i, t := range terms {
		term := termCompiler{
			path: termPath(name, value(t.Name, "")), family: s.Spec.Family, v: v,
			term: filter.Term{Name: value(t.Name, "")}, refs: TermRefs{Term: i},
		}
		term.compile(t)
		s.Spec.Terms = append(s.Spec.Terms, term.term)
		s.perPlace = s.perPlace || s.Spec.InterfaceSpecific || term.term.Action.CountPerInterface
		if term.named {
			s.Refs = append(s.Refs, term.refs)
		}
		switch term.term.Action.Kind {
		case filter.NextFilter:
			next[term.term.Action.NextFilter] = struct{}{}
		case filter.ToInstance, filter.ToNextHop:
			s.redirects = true
		case filter.Accept, filter.Discard, filter.Reject, filter.NextTerm:
		}
	}
	s.next = slices.Sorted(maps.Keys(next))
	return s, true
}

// A termCompiler compiles one term.
type termCompiler struct {
	path   string
	family intf.Family
	v      *violations
	term   filter.Term
	refs   TermRefs
	named  bool // refs has a name
}

func (t *termCompiler) compile(g *gen.Routerd_Filter_Term) {
	if c := g.GetConfig(); c != nil {
		implied := *c
		implied.Name = &t.term.Name
		if checkLeaves(&implied, t.path+"/config", t.v) {
			checkKey(c.Name, t.term.Name, t.path+"/config/name", t.v)
		}
	}
	if c := g.GetMatch().GetConfig(); c != nil {
		t.compileAddresses(c)
		t.compileTransport(c)
		t.compileNetwork(c)
		t.compileFrame(c)
		t.checkMatch(c)
	}
	if c := g.GetAction().GetConfig(); c != nil && checkLeaves(c, t.path+"/action/config", t.v) {
		t.compileAction(c)
	}
}

func (t *termCompiler) at(leaf string) string { return t.path + "/match/config/" + leaf }

// numbers reads a condition from its two leaf-lists, of which one is empty.
func numbers[T, X any](t *termCompiler, leaf string, values []T, except []X, f field) filter.Numbers {
	if len(values)+len(except) == 0 {
		return filter.Numbers{}
	}
	t.alone(leaf, len(values), len(except))
	if len(values) > 0 {
		return filter.Numbers{Ranges: ranges(values, f, t.at(leaf), t.v)}
	}
	return filter.Numbers{Ranges: ranges(except, f, t.at(leaf+"-except"), t.v), Except: true}
}

// alone reports a condition that lists both what matches and what doesn't.
func (t *termCompiler) alone(leaf string, values, except int) {
	if values > 0 && except > 0 {
		t.v.add(t.path+"/match/config", ruleFilterExcept, "%s and %s-except are both set: delete one of the two", leaf, leaf)
	}
}

func (t *termCompiler) compileAddresses(c *gen.Routerd_Filter_Term_Match_Config) {
	m := &t.term.Match
	m.Src.Prefixes = t.prefixes(c.SourcePrefix, "source-prefix")
	m.Src.Except = t.prefixes(c.SourcePrefixExcept, "source-prefix-except")
	m.Dst.Prefixes = t.prefixes(c.DestinationPrefix, "destination-prefix")
	m.Dst.Except = t.prefixes(c.DestinationPrefixExcept, "destination-prefix-except")
	t.refs.SrcLists, t.refs.SrcExceptLists = c.SourcePrefixList, c.SourcePrefixListExcept
	t.refs.DstLists, t.refs.DstExceptLists = c.DestinationPrefixList, c.DestinationPrefixListExcept
	t.named = t.named || len(c.SourcePrefixList)+len(c.SourcePrefixListExcept)+len(c.DestinationPrefixList)+len(c.DestinationPrefixListExcept) > 0
}

func (t *termCompiler) prefixes(values []string, leaf string) []netip.Prefix {
	if len(values) == 0 {
		return nil
	}
	list := make([]netip.Prefix, 0, len(values))
	for _, text := range values {
		p, ok := parseNetwork(text, t.at(leaf), t.v)
		if !ok {
			continue
		}
		if intf.FamilyOf(p.Addr()) != t.family {
			t.v.add(t.at(leaf), ruleFilterPrefixFamily, "%v is no prefix of family %v, which the filter is for: use one of its family", p, t.family)
			continue
		}
		list = append(list, p)
	}
	return list
}

func (t *termCompiler) compileTransport(c *gen.Routerd_Filter_Term_Match_Config) {
	m := &t.term.Match
	port := field{names: portNames, max: 0xffff}
	m.Protocol = numbers(t, "protocol", c.Protocol, c.ProtocolExcept, field{names: ipProtocolNames, max: 255})
	m.SrcPort = numbers(t, "source-port", c.SourcePort, c.SourcePortExcept, port)
	m.DstPort = numbers(t, "destination-port", c.DestinationPort, c.DestinationPortExcept, port)
	m.TCPFlags = flagMatches(c.TcpFlags, t.at("tcp-flags"), t.v)
	m.Established = value(c.TcpEstablished, false)
	m.Initial = value(c.TcpInitial, false)
	m.ICMPType = numbers(t, "icmp-type", ownNames(t, c.IcmpType, "icmp-type"), ownNames(t, c.IcmpTypeExcept, "icmp-type-except"),
		field{names: icmpNames[t.family], max: 255})
	m.ICMPCode = numbers(t, "icmp-code", c.IcmpCode, c.IcmpCodeExcept, field{max: 255})
}

// ownNames reports the names of ICMP types that are of the other family, and leaves
// them out.
func ownNames[T any](t *termCompiler, values []T, leaf string) []T {
	var own []T
	for _, value := range values {
		if name, ok := any(value).(gen.E_Routerd_IcmpTypeName_Enum); ok {
			if _, known := icmpNames[t.family][name.String()]; !known {
				t.v.add(t.at(leaf), ruleFilterICMPFamily, "family %v has no ICMP type %s: use one of its own, or a number", t.family, name.String())
				continue
			}
		}
		own = append(own, value)
	}
	return own
}

func (t *termCompiler) compileNetwork(c *gen.Routerd_Filter_Term_Match_Config) {
	m := &t.term.Match
	switch c.Fragment {
	case gen.Routerd_FragmentMatch_UNSET:
	case gen.Routerd_FragmentMatch_none:
		m.Fragment = filter.FragmentNone
	case gen.Routerd_FragmentMatch_any:
		m.Fragment = filter.FragmentAny
	case gen.Routerd_FragmentMatch_first:
		m.Fragment = filter.FragmentFirst
	case gen.Routerd_FragmentMatch_later:
		m.Fragment = filter.FragmentLater
	}
	m.DSCP = numbers(t, "dscp", c.Dscp, c.DscpExcept, field{names: dscpNames, max: 63})
	m.Length = numbers(t, "packet-length", c.PacketLength, c.PacketLengthExcept, field{max: 0xffff})
	m.TTL = numbers(t, "ttl", c.Ttl, c.TtlExcept, field{max: 255})
	if t.family == intf.Inet {
		m.Options = options(t, "ip-option", c.IpOption, c.IpOptionExcept, field{names: optionNames, max: 31})
	} else {
		m.Options = options(t, "extension-header", c.ExtensionHeader, c.ExtensionHeaderExcept, field{names: extensionNames, max: 255})
	}
	m.Mark.Entries, m.Mark.Except = maskedMarks(c.Mark, t.at("mark"), t.v), false
	if len(c.MarkExcept) > 0 {
		t.alone("mark", len(c.Mark), len(c.MarkExcept))
		m.Mark.Entries, m.Mark.Except = maskedMarks(c.MarkExcept, t.at("mark-except"), t.v), true
	}
	m.LossPriority = numbers(t, "loss-priority", c.LossPriority, c.LossPriorityExcept, field{names: lossNames, max: filter.LossHigh})
	m.ForwardingClass = numbers(t, "forwarding-class", c.ForwardingClass, c.ForwardingClassExcept, field{max: 7})
}

// options reads a condition on options or extension headers, where a name stands
// for all of them.
func options[T, X any](t *termCompiler, leaf string, values []T, except []X, f field) filter.OptionMatch {
	var m filter.OptionMatch
	t.alone(leaf, len(values), len(except))
	add := func(value any, at string) {
		if valueText(value) == "any" {
			m.Any = true
			return
		}
		for _, r := range ranges([]any{value}, f, at, t.v) {
			m.Numbers = append(m.Numbers, uint8(r.Lo))
		}
	}
	for _, value := range values {
		add(value, t.at(leaf))
	}
	for _, value := range except {
		m.Except = true
		add(value, t.at(leaf+"-except"))
	}
	return m
}

func (t *termCompiler) compileFrame(c *gen.Routerd_Filter_Term_Match_Config) {
	m := &t.term.Match
	t.alone("interface", len(c.Interface), len(c.InterfaceExcept))
	for _, name := range slices.Concat(c.Interface, c.InterfaceExcept) {
		t.refs.Interfaces = append(t.refs.Interfaces, ParseUnitName(name))
		t.named = true
	}
	m.Interface.Except = len(c.InterfaceExcept) > 0
	vlan := field{max: 4094}
	m.Group = numbers(t, "interface-group", c.InterfaceGroup, c.InterfaceGroupExcept, field{min: 1, max: 1<<32 - 1})
	m.EtherType = numbers(t, "ethertype", c.Ethertype, c.EthertypeExcept, field{names: ethertypeNames, max: 0xffff})
	m.VLAN = numbers(t, "vlan-id", c.VlanId, c.VlanIdExcept, vlan)
	m.InnerVLAN = numbers(t, "inner-vlan-id", c.InnerVlanId, c.InnerVlanIdExcept, vlan)
	m.SrcMAC = t.macs("source-mac", c.SourceMac, c.SourceMacExcept)
	m.DstMAC = t.macs("destination-mac", c.DestinationMac, c.DestinationMacExcept)
}

func (t *termCompiler) macs(leaf string, values, except []string) filter.MACs {
	t.alone(leaf, len(values), len(except))
	if len(except) > 0 {
		return filter.MACs{Entries: maskedMACs(except, t.at(leaf+"-except"), t.v), Except: true}
	}
	return filter.MACs{Entries: maskedMACs(values, t.at(leaf), t.v)}
}

// protocols reports whether the term matches some packets of a protocol that ok
// takes, and whether it can match others, too.
func protocols(n filter.Numbers, ok func(uint32) bool) (some, others bool) {
	for p := range uint32(256) {
		in := len(n.Ranges) == 0 || slices.ContainsFunc(n.Ranges, func(r filter.Range) bool { return r.Lo <= p && p <= r.Hi }) != n.Except
		some, others = some || in && ok(p), others || in && !ok(p)
	}
	return some, others
}

// The protocols that conditions depend on.
const (
	ipICMP, ipTCP, ipUDP, ipDCCP, ipICMP6, ipSCTP, ipUDPLite = 1, 6, 17, 33, 58, 132, 136
)

func hasPorts(p uint32) bool {
	return p == ipTCP || p == ipUDP || p == ipDCCP || p == ipSCTP || p == ipUDPLite
}

// checkMatch checks what the conditions of the term have to do with each other.
func (t *termCompiler) checkMatch(c *gen.Routerd_Filter_Term_Match_Config) {
	m, path := &t.term.Match, t.path+"/match/config"
	ports := len(m.SrcPort.Ranges)+len(m.DstPort.Ranges) > 0
	tcp := len(m.TCPFlags) > 0 || m.Established || m.Initial
	icmp := len(m.ICMPType.Ranges) > 0
	limited := len(m.Protocol.Ranges) > 0
	if ports && !tcp {
		if _, others := protocols(m.Protocol, hasPorts); others {
			t.v.add(path, ruleFilterPorts, "ports without a protocol that has them: set protocol to tcp, udp, dccp, sctp or udp-lite")
		}
	}
	if tcp && limited {
		if _, others := protocols(m.Protocol, func(p uint32) bool { return p == ipTCP }); others {
			t.v.add(path, ruleFilterTCP, "flags of TCP with another protocol: set protocol to tcp, or leave it out")
		}
	}
	own := uint32(ipICMP)
	if t.family == intf.Inet6 {
		own = ipICMP6
	}
	if icmp && limited {
		if _, others := protocols(m.Protocol, func(p uint32) bool { return p == own }); others {
			t.v.add(path, ruleFilterICMP, "ICMP types with another protocol than %d, the ICMP of family %v: set protocol to it, or leave it out", own, t.family)
		}
	}
	if len(c.IcmpCode)+len(c.IcmpCodeExcept) > 0 && len(c.IcmpType) == 0 {
		t.v.add(path, ruleFilterICMPCode, "an ICMP code without a type: set icmp-type, too")
	}
	if m.Fragment == filter.FragmentLater && (ports || tcp || icmp) {
		t.v.add(path, ruleFilterFragment, "fragment later with ports, flags or ICMP types, which later fragments lack: use fragment first or leave these out")
	}
	if t.family == intf.Inet && len(c.ExtensionHeader)+len(c.ExtensionHeaderExcept) > 0 {
		t.v.add(path, ruleFilterFieldFamily, "extension headers in family inet: use ip-option there")
	}
	if t.family == intf.Inet6 && len(c.IpOption)+len(c.IpOptionExcept) > 0 {
		t.v.add(path, ruleFilterFieldFamily, "IPv4 options in family inet6: use extension-header there")
	}
}
