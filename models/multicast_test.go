package models

import (
	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

func (w world) groups(prefix, source string, out ...string) *gen.Routerd_Instance_MulticastRoute_Config {
	return w.groupsIn("default", prefix, source, out...)
}

func (w world) groupsIn(instance, prefix, source string, out ...string) *gen.Routerd_Instance_MulticastRoute_Config {
	c := w.GetOrCreateInstance(instance).GetOrCreateMulticastRoute(prefix, source).GetOrCreateConfig()
	c.OutgoingInterface = out
	return c
}

func group(prefix, source string) string { return multicastPathText("default", prefix, source) }

const outgoing = "/config/outgoing-interface"

var multicastCases = []ruleCase{
	{name: "multicast: groups to a unit", spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0.0") }},
	{name: "multicast: a group's source", spoil: func(w world) { w.groups("ff0e::1/128", "2001:db8::/64", "ge0") }},
	{name: "multicast: all groups to nobody", spoil: func(w world) {
		w.groups("224.0.0.0/4", "any").Action = gen.Routerd_MulticastAction_discard
		w.groups("ff00::/8", "any").Action = gen.Routerd_MulticastAction_discard
	}},
	{name: "multicast: to this router alone", spoil: func(w world) { w.groups("239.1.0.0/16", "any").Local = ygot.Bool(true) }},
	{name: "multicast: in another instance", spoil: func(w world) { w.groupsIn("red", "239.1.0.0/16", "any", "ge0.100.1") }},
	{name: "multicast: a flood with where it comes from", spoil: func(w world) {
		c := w.groups("239.1.0.0/16", "any", "ge0.0")
		c.Action, c.IncomingInterface = gen.Routerd_MulticastAction_flood, ygot.String("ge0.0")
	}},

	{name: "multicast: unicast", rule: ruleMulticastRange, xpath: true, path: group("10.0.0.0/8", "any"),
		spoil: func(w world) { w.groups("10.0.0.0/8", "any", "ge0") }},
	{name: "multicast: more than IPv4 multicast", rule: ruleMulticastRange, xpath: true, path: group("224.0.0.0/3", "any"),
		spoil: func(w world) { w.groups("224.0.0.0/3", "any", "ge0") }},
	{name: "multicast: more than IPv6 multicast", rule: ruleMulticastRange, xpath: true, path: group("fe00::/7", "any"),
		spoil: func(w world) { w.groups("fe00::/7", "any", "ge0") }},
	{name: "multicast: a link's groups", rule: ruleMulticastScope, xpath: true, path: group("224.0.0.251/32", "any"),
		spoil: func(w world) { w.groups("224.0.0.251/32", "any", "ge0") }},
	{name: "multicast: a link's IPv6 groups", rule: ruleMulticastScope, xpath: true, path: group("ff02::/16", "any"),
		spoil: func(w world) { w.groups("ff02::/16", "any", "ge0") }},
	{name: "multicast: a link's transient groups", rule: ruleMulticastScope, xpath: true, path: group("ff12::5/128", "any"),
		spoil: func(w world) { w.groups("ff12::5/128", "any", "ge0") }},

	{name: "multicast: a source of many groups", rule: ruleMulticastSrcGroup, xpath: true, path: group("239.1.0.0/16", "192.0.2.2/32"),
		spoil: func(w world) { w.groups("239.1.0.0/16", "192.0.2.2/32", "ge0") }},
	{name: "multicast: a source of the other family", rule: ruleMulticastSrcFamily, xpath: true, path: group("239.1.1.1/32", "2001:db8::/64"),
		spoil: func(w world) { w.groups("239.1.1.1/32", "2001:db8::/64", "ge0") }},
	{name: "multicast: a multicast source", rule: ruleMulticastSource, xpath: true, path: group("239.1.1.1/32", "239.0.0.0/8"),
		spoil: func(w world) { w.groups("239.1.1.1/32", "239.0.0.0/8", "ge0") }},
	{name: "multicast: all sources by prefix", rule: ruleMulticastSource, xpath: true, path: group("ff0e::1/128", "::/0"),
		spoil: func(w world) { w.groups("ff0e::1/128", "::/0", "ge0") }},
	{name: "multicast: link-local sources", rule: ruleMulticastSource, xpath: true, path: group("ff0e::1/128", "fe80::/64"),
		spoil: func(w world) { w.groups("ff0e::1/128", "fe80::/64", "ge0") }},
	{name: "multicast: reserved sources", rule: ruleMulticastSource, xpath: true, path: group("239.1.1.1/32", "240.0.0.0/8"),
		spoil: func(w world) { w.groups("239.1.1.1/32", "240.0.0.0/8", "ge0") }},

	{name: "multicast: forward to nobody", rule: ruleMulticastAction, xpath: true, path: group("239.1.0.0/16", "any"),
		spoil: func(w world) { w.groups("239.1.0.0/16", "any") }},
	{name: "multicast: discard with a way out", rule: ruleMulticastAction, xpath: true, path: group("239.1.0.0/16", "any"),
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0").Action = gen.Routerd_MulticastAction_discard }},
	{name: "multicast: discard with a way in", rule: ruleMulticastAction, xpath: true, path: group("239.1.0.0/16", "any"),
		spoil: func(w world) {
			c := w.groups("239.1.0.0/16", "any")
			c.Action, c.IncomingInterface = gen.Routerd_MulticastAction_discard, ygot.String("ge0")
		}},
	{name: "multicast: back to where it comes from", rule: ruleMulticastLoop, xpath: true, path: group("239.1.0.0/16", "any"),
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0").IncomingInterface = ygot.String("ge0") }},
	{name: "multicast: back to where it comes from, spelled otherwise", rule: ruleMulticastLoop, path: group("239.1.0.0/16", "any"),
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0").IncomingInterface = ygot.String("ge0.0") }},
	{name: "multicast: one unit twice", rule: ruleMulticastUnique, path: group("239.1.0.0/16", "any") + outgoing,
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0", "ge0.0") }},
	{name: "multicast: to a unit that isn't there", rule: ruleMulticastIfExists, path: group("239.1.0.0/16", "any") + outgoing,
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge7") }},
	{name: "multicast: from a unit that isn't there", rule: ruleMulticastIfExists, path: group("239.1.0.0/16", "any") + "/config/incoming-interface",
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0").IncomingInterface = ygot.String("ge7.0") }},
	{name: "multicast: to a unit of another instance", rule: ruleMulticastIfFamily, path: group("239.1.0.0/16", "any") + outgoing,
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0.100.1") }},
	{name: "multicast: to a unit without the family", rule: ruleMulticastIfFamily, path: group("ff0e::/16", "any") + outgoing,
		spoil: func(w world) { w.groups("ff0e::/16", "any", "ge0.100.1") }},
	{name: "multicast: to a unit without families", rule: ruleMulticastIfFamily, path: group("239.1.0.0/16", "any") + outgoing,
		spoil: func(w world) { w.groups("239.1.0.0/16", "any", "ge0.200") }},

	{name: "multicast: host bits", rule: rulePrefixHostBits, path: group("239.1.1.1/16", "any"),
		spoil: func(w world) { w.groups("239.1.1.1/16", "any", "ge0") }},
	{name: "multicast: host bits of the source", rule: rulePrefixHostBits, path: group("239.1.1.1/32", "192.0.2.2/24"),
		spoil: func(w world) { w.groups("239.1.1.1/32", "192.0.2.2/24", "ge0") }},
	{name: "multicast: not the canonical spelling", rule: ruleAddressCanonical, path: group("FF0E::/16", "any"),
		spoil: func(w world) { w.groups("FF0E::/16", "any", "ge0") }},
	{name: "multicast: a source that is none", rule: ruleBadValue, path: group("239.1.1.1/32", "anyone") + "/config/source",
		spoil: func(w world) { w.groups("239.1.1.1/32", "anyone", "ge0") }},
	{name: "multicast: too large a cache", rule: ruleBadValue, path: "/instance[name=red]/multicast/config/cache-entries",
		spoil: func(w world) {
			w.GetOrCreateInstance("red").GetOrCreateMulticast().GetOrCreateConfig().CacheEntries = ygot.Uint16(16385)
		}},
}
