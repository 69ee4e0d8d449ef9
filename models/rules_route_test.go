package models

import (
	"fmt"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// routeCases are about static routes and their next hops.
var routeCases = []ruleCase{
	{name: "route with host bits", rule: rulePrefixHostBits, path: "/instance[name=default]/static-route[prefix=10.0.0.1/8]",
		spoil: func(w world) {
			w.route("default", "10.0.0.1/8").GetOrCreateConfig().Action = gen.Routerd_RouteAction_discard
		}},
	{name: "route in capitals", rule: ruleAddressCanonical, path: "/instance[name=default]/static-route[prefix=2001:DB8:2::/48]",
		spoil: func(w world) {
			w.route("default", "2001:DB8:2::/48").GetOrCreateConfig().Action = gen.Routerd_RouteAction_discard
		}},
	{name: "forward without a next hop", rule: ruleStaticAction, xpath: true, path: "/instance[name=default]/static-route[prefix=172.16.0.0/12]",
		spoil: func(w world) { w.route("default", "172.16.0.0/12") }},
	{name: "reject with a next hop", rule: ruleStaticAction, xpath: true, path: default4,
		spoil: func(w world) {
			w.route("default", "0.0.0.0/0").GetOrCreateConfig().Action = gen.Routerd_RouteAction_reject
		}},
	{name: "reject and receive", spoil: func(w world) {
		w.route("default", "172.16.0.0/12").GetOrCreateConfig().Action = gen.Routerd_RouteAction_reject
		w.route("red", "203.0.113.53/32").GetOrCreateConfig().Action = gen.Routerd_RouteAction_receive
	}},
	{name: "reject with a code", spoil: func(w world) {
		for prefix, code := range map[string]gen.E_Routerd_RejectCode{
			"172.16.0.0/12": gen.Routerd_RejectCode_precedence_cutoff, "172.32.0.0/12": gen.Routerd_RejectCode_port_unreachable,
			"2001:db8:2::/48": gen.Routerd_RejectCode_reject_route, "2001:db8:3::/48": gen.Routerd_RejectCode_host_unreachable,
		} {
			c := w.route("default", prefix).GetOrCreateConfig()
			c.Action, c.RejectCode = gen.Routerd_RouteAction_reject, code
		}
	}},
	{name: "route of one incoming unit", spoil: func(w world) {
		w.route("default", "10.0.0.0/8").Config.IncomingInterface = ygot.String("ge0")
		// Its packets come by a look-up in another instance.
		w.route("red", "203.0.112.0/24").Config.IncomingInterface = ygot.String("ge0.0")
	}},
	{name: "route of an incoming unit that is not there", rule: ruleIncomingExists, xpath: true, path: "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/incoming-interface",
		spoil: func(w world) { w.route("default", "10.0.0.0/8").Config.IncomingInterface = ygot.String("ge0.7") }},
	{name: "route of an incoming unit that goes", rule: ruleIncomingExists, xpath: true, path: "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/incoming-interface",
		spoil: func(w world) {
			w.route("default", "10.0.0.0/8").Config.IncomingInterface = ygot.String("ge0.200")
			w.ge0().DeleteUnit("200")
		}},
	{name: "route of an incoming unit without the family", rule: ruleIncomingFamily, xpath: true, path: "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/incoming-interface",
		spoil: func(w world) {
			w.route("default", "10.0.0.0/8").Config.IncomingInterface = ygot.String("ge0.200")
		}},
	{name: "address whose network is ignored", spoil: func(w world) {
		w.inet("0").Address["192.0.2.1/24"].Config.IgnoreNetwork = ygot.Bool(true)
		w.inet6("0").GetOrCreateAddress("2001:db8::1/64").Config.IgnoreNetwork = ygot.Bool(true)
	}},
	{name: "ignored network of a host address", rule: ruleIgnoreNetwork, xpath: true, path: inet0 + "/address[prefix=192.0.2.33/32]/config/ignore-network",
		spoil: func(w world) {
			w.inet("0").GetOrCreateAddress("192.0.2.33/32").GetOrCreateConfig().IgnoreNetwork = ygot.Bool(true)
		}},
	{name: "ignored network of a link-local address", rule: ruleIgnoreNetwork, xpath: true, path: inet60 + "/address[prefix=fe80::1/64]/config/ignore-network",
		spoil: func(w world) {
			w.inet6("0").GetOrCreateAddress("fe80::1/64").GetOrCreateConfig().IgnoreNetwork = ygot.Bool(true)
		}},
	{name: "discard with a reject-code", rule: ruleRejectAction, xpath: true, path: "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/reject-code",
		spoil: func(w world) {
			w.route("default", "10.0.0.0/8").Config.RejectCode = gen.Routerd_RejectCode_host_unreachable
		}},
	{name: "IPv4 with a code of IPv6", rule: ruleRejectFamily, xpath: true, path: "/instance[name=default]/static-route[prefix=172.16.0.0/12]/config/reject-code",
		spoil: func(w world) {
			c := w.route("default", "172.16.0.0/12").GetOrCreateConfig()
			c.Action, c.RejectCode = gen.Routerd_RouteAction_reject, gen.Routerd_RejectCode_source_policy
		}},
	{name: "IPv6 with a code of IPv4", rule: ruleRejectFamily, xpath: true, path: "/instance[name=default]/static-route[prefix=2001:db8:2::/48]/config/reject-code",
		spoil: func(w world) {
			c := w.route("default", "2001:db8:2::/48").GetOrCreateConfig()
			c.Action, c.RejectCode = gen.Routerd_RouteAction_reject, gen.Routerd_RejectCode_host_prohibited
		}},
	{name: "two next hops", spoil: func(w world) {
		c := w.another("default", "0.0.0.0/0", 1)
		c.Gateway, c.Weight, c.Backup = ygot.String("192.0.2.3"), ygot.Uint8(64), ygot.Bool(true)
	}},
	{name: "too many next hops", rule: ruleTooMany, path: default4 + "/next-hop",
		spoil: func(w world) {
			for i := range maxNextHops {
				w.another("default", "0.0.0.0/0", uint8(1+i)).Gateway = ygot.String(fmt.Sprint("192.0.2.", 10+i))
			}
		}},
	{name: "weight 0", rule: ruleBadValue, path: default4 + "/next-hop[index=1]/config/weight",
		spoil: func(w world) {
			c := w.another("default", "0.0.0.0/0", 1)
			c.Gateway, c.Weight = ygot.String("192.0.2.3"), ygot.Uint8(0)
		}},
	{name: "the same next hop twice", rule: ruleNexthopUnique, path: default4 + "/next-hop[index=1]",
		spoil: func(w world) {
			first, c := w.via("default", "0.0.0.0/0"), w.another("default", "0.0.0.0/0", 1)
			c.Gateway, c.Interface, c.Weight = first.Gateway, first.Interface, ygot.Uint8(2)
		}},
	{name: "the same next hop, spelled otherwise", rule: ruleNexthopUnique, path: "/instance[name=default]/static-route[prefix=2001:db8:1::/48]/next-hop[index=1]",
		spoil: func(w world) {
			c := w.via("default", "2001:db8:1::/48")
			c.Gateway, c.Interface = ygot.String("fe80::2"), ygot.String("ge0.0")
			c = w.another("default", "2001:db8:1::/48", 1)
			c.Gateway, c.Interface = ygot.String("fe80::2"), ygot.String("ge0")
		}},
	{name: "backups alone", rule: ruleBackupPrimary, xpath: true, path: default4,
		spoil: func(w world) {
			w.via("default", "0.0.0.0/0").Backup = ygot.Bool(true)
			c := w.another("default", "0.0.0.0/0", 1)
			c.Gateway, c.Backup = ygot.String("192.0.2.3"), ygot.Bool(true)
		}},
	{name: "look-up beside a gateway", rule: ruleNexthopAlone, xpath: true, path: default4 + "/next-hop[index=1]",
		spoil: func(w world) { w.another("default", "0.0.0.0/0", 1).Instance = ygot.String("red") }},
	{name: "second gateway that is ours", rule: ruleGatewayOwn, xpath: true, path: default4 + "/next-hop[index=1]/config/gateway",
		spoil: func(w world) { w.another("default", "0.0.0.0/0", 1).Gateway = ygot.String("192.0.2.1") }},
	{name: "empty next hop", rule: ruleNexthopKind, xpath: true, path: default4 + nh0,
		spoil: func(w world) { c := w.via("default", "0.0.0.0/0"); c.Gateway, c.Interface = nil, nil }},
	{name: "interface and instance", rule: ruleNexthopKind, xpath: true, path: default4 + nh0,
		spoil: func(w world) { w.via("default", "0.0.0.0/0").Instance = ygot.String("red") }},
	{name: "gateways that another instance finds", spoil: func(w world) {
		c := w.via("default", "203.0.114.0/24")
		c.Gateway, c.Instance = ygot.String("198.51.100.9"), ygot.String("red")
		c = w.another("default", "203.0.114.0/24", 1)
		c.Gateway = ygot.String("198.51.100.9") // in this one
		// The other instance's address is not ours there.
		w.via("red", "203.0.114.0/24").Gateway = ygot.String("192.0.2.1")
	}},
	{name: "gateway that the own instance finds, said twice", rule: ruleNexthopOwnInstance, xpath: true, path: "/instance[name=red]/static-route[prefix=203.0.114.0/24]" + nh0 + "/config/instance",
		spoil: func(w world) {
			c := w.via("red", "203.0.114.0/24")
			c.Gateway, c.Instance = ygot.String("198.51.100.9"), ygot.String("red")
		}},
	{name: "gateway in an unknown instance", rule: ruleNexthopInstance, xpath: true, path: "/instance[name=red]/static-route[prefix=203.0.114.0/24]" + nh0 + "/config/instance",
		spoil: func(w world) {
			c := w.via("red", "203.0.114.0/24")
			c.Gateway, c.Instance = ygot.String("198.51.100.9"), ygot.String("blue")
		}},
	{name: "gateway that is ours in the other instance", rule: ruleGatewayOwn, xpath: true, path: "/instance[name=default]/static-route[prefix=203.0.114.0/24]" + nh0 + "/config/gateway",
		spoil: func(w world) {
			c := w.via("default", "203.0.114.0/24")
			c.Gateway, c.Instance = ygot.String("198.51.100.1"), ygot.String("red")
		}},
	{name: "gateway on a unit of another instance, where it is ours", rule: ruleGatewayOwn, xpath: true, path: "/instance[name=default]/static-route[prefix=203.0.114.0/24]" + nh0 + "/config/gateway",
		spoil: func(w world) {
			c := w.via("default", "203.0.114.0/24")
			c.Gateway, c.Interface = ygot.String("198.51.100.1"), ygot.String("ge0.100.1")
		}},
	{name: "the same gateway in the same instance", rule: ruleNexthopUnique, path: "/instance[name=default]/static-route[prefix=203.0.114.0/24]/next-hop[index=1]",
		spoil: func(w world) {
			for i := range uint8(2) {
				c := w.another("default", "203.0.114.0/24", i)
				c.Gateway, c.Instance = ygot.String("198.51.100.9"), ygot.String("red")
			}
		}},
	{name: "gateway of the other family", rule: ruleNexthopFamily, xpath: true, path: default4 + nh0 + "/config/gateway",
		spoil: func(w world) { w.via("default", "0.0.0.0/0").Gateway = ygot.String("2001:db8::2") }},
	{name: "gateway that is a group", rule: ruleGatewayUnicast, xpath: true, path: default4 + nh0 + "/config/gateway",
		spoil: func(w world) { w.via("default", "0.0.0.0/0").Gateway = ygot.String("224.0.0.2") }},
	{name: "gateway in capitals", rule: ruleAddressCanonical, path: "/instance[name=default]/static-route[prefix=2001:db8:1::/48]" + nh0 + "/config/gateway",
		spoil: func(w world) { w.via("default", "2001:db8:1::/48").Gateway = ygot.String("2001:DB8::2") }},
	{name: "link-local gateway alone", rule: ruleGatewayLinkLocal, xpath: true, path: "/instance[name=default]/static-route[prefix=2001:db8:1::/48]" + nh0 + "/config/gateway",
		spoil: func(w world) { w.via("default", "2001:db8:1::/48").Gateway = ygot.String("fe80::2") }},
	{name: "link-local gateway on an interface", spoil: func(w world) {
		c := w.via("default", "2001:db8:1::/48")
		c.Gateway, c.Interface = ygot.String("fe80::2"), ygot.String("ge0.0")
	}},
	{name: "gateway that is ours", rule: ruleGatewayOwn, xpath: true, path: default4 + nh0 + "/config/gateway",
		spoil: func(w world) { w.via("default", "0.0.0.0/0").Gateway = ygot.String("192.0.2.1") }},
	{name: "gateway that becomes ours", rule: ruleGatewayOwn, xpath: true, path: default4 + nh0 + "/config/gateway",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("192.0.2.2/24") }},
	{name: "gateway that is ours in another instance", spoil: func(w world) { w.inet("100.1").GetOrCreateAddress("192.0.2.2/24") }},
	{name: "unknown unit", rule: ruleNexthopIfExists, xpath: true, path: default4 + nh0 + "/config/interface",
		spoil: func(w world) { w.via("default", "0.0.0.0/0").Interface = ygot.String("ge0.7") }},
	{name: "unit that goes", rule: ruleNexthopIfExists, xpath: true, path: default4 + nh0 + "/config/interface",
		spoil: func(w world) { w.ge0().DeleteUnit("0") }},
	{name: "unit without the family", rule: ruleNexthopIfFamily, xpath: true, path: default4 + nh0 + "/config/interface",
		spoil: func(w world) { w.via("default", "0.0.0.0/0").Interface = ygot.String("ge0.200") }},
	{name: "unit of another instance", spoil: func(w world) {
		w.via("default", "0.0.0.0/0").Interface = ygot.String("ge0.100.1")
	}},
	{name: "unit that moves to another instance", spoil: func(w world) { w.inet("0").Config.Instance = ygot.String("red") }},
	{name: "unit that loses the family", rule: ruleNexthopIfFamily, xpath: true, path: default4 + nh0 + "/config/interface",
		spoil: func(w world) { w.unit("0").DeleteFamily(gen.Routerd_FamilyType_inet) }},
	{name: "unit alone, by its full name", spoil: func(w world) {
		c := w.via("default", "0.0.0.0/0")
		c.Gateway, c.Interface = nil, ygot.String("ge0.0")
	}},
	{name: "look-up in an unknown instance", rule: ruleNexthopInstance, xpath: true, path: "/instance[name=red]/static-route[prefix=0.0.0.0/0]" + nh0 + "/config/instance",
		spoil: func(w world) { w.via("red", "0.0.0.0/0").Instance = ygot.String("blue") }},
	{name: "look-up in an instance that goes", rule: ruleNexthopInstance, xpath: true, path: "/instance[name=default]/static-route[prefix=198.51.100.0/24]" + nh0 + "/config/instance",
		spoil: func(w world) { w.DeleteInstance("red"); w.ge0().DeleteUnit("100.1") }},
	{name: "look-up in the own instance", rule: ruleNexthopOwnInstance, xpath: true, path: "/instance[name=red]/static-route[prefix=0.0.0.0/0]" + nh0 + "/config/instance",
		spoil: func(w world) { w.via("red", "0.0.0.0/0").Instance = ygot.String("red") }},
	{name: "look-up and look-up back", rule: ruleStaticLoop, path: default4,
		spoil: func(w world) {
			c := w.via("default", "0.0.0.0/0")
			c.Gateway, c.Interface, c.Instance = nil, nil, ygot.String("red")
		}},
	{name: "look-up that comes back by a shorter prefix", rule: ruleStaticLoop, path: "/instance[name=default]/static-route[prefix=203.0.113.0/24]",
		spoil: func(w world) { w.via("default", "203.0.113.0/24").Instance = ygot.String("red") }},
	{name: "look-up whose far network goes", rule: ruleStaticLoop, path: "/instance[name=default]/static-route[prefix=198.51.100.0/24]",
		spoil: func(w world) { w.ge0().DeleteUnit("100.1") }},
	{name: "look-up whose far route goes", rule: ruleStaticLoop, path: "/instance[name=default]/static-route[prefix=203.0.112.0/24]",
		spoil: func(w world) { delete(w.GetInstance("red").StaticRoute, "203.0.112.0/24") }},
	{name: "look-up that a discard route ends", spoil: func(w world) {
		w.via("default", "203.0.113.0/24").Instance = ygot.String("red")
		w.route("red", "203.0.0.0/16").GetOrCreateConfig().Action = gen.Routerd_RouteAction_discard
	}},
}
