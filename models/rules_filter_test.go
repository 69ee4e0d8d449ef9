package models

import (
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// filterBase is the part of base that has filters.
const filterBase = ` "routerd:prefix-list": [
  {"name": "ours", "config": {"name": "ours", "prefix": ["192.0.2.0/24", "2001:db8::/32"]}}],
 "routerd:policer": [
  {"name": "slow", "config": {"name": "slow", "committed-rate": "1000000", "committed-burst": "15000"}}],
 "routerd:filter": [
  {"name": "in4", "config": {"name": "in4", "family": "inet"}, "term": [
   {"name": "first", "config": {"name": "first"}, "match": {"config": {"source-prefix-list": ["ours"], "interface": ["ge0.200"]}},
    "action": {"config": {"disposition": "next-filter", "next-filter": "mid4", "policer": "slow"}}}]},
  {"name": "mid4", "config": {"name": "mid4", "family": "inet"}, "term": [
   {"name": "on", "config": {"name": "on"}, "action": {"config": {"disposition": "next-filter", "next-filter": "tail4"}}}]},
  {"name": "tail4", "config": {"name": "tail4", "family": "inet"}, "term": [
   {"name": "all", "config": {"name": "all"}, "action": {"config": {"disposition": "discard"}}}]},
  {"name": "in6", "config": {"name": "in6", "family": "inet6"}, "term": [
   {"name": "all", "config": {"name": "all"}}]}]
`

func (w world) filter(name string) *gen.Routerd_Filter { return w.GetOrCreateFilter(name) }

// add appends a term, given as the members of its object, to a filter.
func (w world) add(filter, members string) {
	text := []byte(`{"routerd:filter": [{"name": "` + filter + `", "term": [{"name": "spoilt", ` + members[1:] + `]}]}`)
	if err := gen.Unmarshal(text, w.Device); err != nil {
		panic(err)
	}
}

func (w world) bind(f *gen.Routerd_Interface_Unit_Family) *gen.Routerd_Interface_Unit_Family_Filter_Config {
	return f.GetOrCreateFilter().GetOrCreateConfig()
}

func (w world) policer(name string) *gen.Routerd_Policer_Config {
	c := w.GetOrCreatePolicer(name).GetOrCreateConfig()
	c.CommittedRate, c.CommittedBurst = ygot.Uint64(1000), ygot.Uint64(2000)
	return c
}

// completeFilters gives the entries of lists their config leaves.
func (w world) completeFilters() {
	for name, f := range w.Filter {
		f.GetOrCreateConfig().Name = ygot.String(name)
		for _, t := range f.Term.Values() {
			t.GetOrCreateConfig().Name = ygot.String(*t.Name)
		}
	}
	for name, l := range w.PrefixList {
		l.GetOrCreateConfig().Name = ygot.String(name)
	}
	for name, p := range w.Policer {
		p.GetOrCreateConfig().Name = ygot.String(name)
	}
}

// termCases are terms that are added to the end of a filter; path is below the
// term.
var termCases = []struct {
	name, filter, term, rule, path string
	xpath                          bool
}{
	{name: "every condition of IPv4", filter: "in4", term: `{"match": {"config": {"source-prefix": ["10.0.0.0/8"], "source-prefix-except": ["10.1.0.0/16"], "source-prefix-list": ["ours"], "destination-prefix-list-except": ["ours"], "destination-prefix": ["0.0.0.0/0"], "protocol": ["tcp", 17], "source-port": [22, "1024-65535", "ssh"], "destination-port-except": ["bgp"], "fragment": "first", "dscp": ["ef", "8-15", 0], "packet-length": ["40-1500"], "ttl": [255], "ip-option": ["router-alert", 7], "interface": ["ge0"], "interface-group": [3, "10-19"], "ethertype": ["ipv4", "0x0800"], "vlan-id": ["100-199"], "inner-vlan-id": [0], "source-mac": ["02:00:5e:00:00:00/ff:ff:ff:00:00:00"], "destination-mac-except": ["02:00:00:00:00:01"], "mark": ["0x10/0xf0", 7], "loss-priority": ["high"], "forwarding-class": ["0-3"]}}}`},
	{name: "TCP flags", filter: "in4", term: `{"match": {"config": {"tcp-flags": ["syn&!ack", "fin"], "tcp-established": false, "destination-port": ["https"]}}}`},
	{name: "established", filter: "in4", term: `{"match": {"config": {"protocol": ["tcp"], "tcp-established": true}}}`},
	{name: "ICMP by name and number", filter: "in4", term: `{"match": {"config": {"protocol": ["icmp"], "icmp-type": ["unreachable", "9-10"], "icmp-code": [4]}}}`},
	{name: "ICMPv6", filter: "in6", term: `{"match": {"config": {"icmp-type": ["packet-too-big", "neighbor-solicitation"], "protocol": ["icmp6"], "extension-header-except": ["any"], "source-prefix": ["2001:db8::/32"]}}}`},
	{name: "reset", filter: "in4", term: `{"action": {"config": {"disposition": "reject", "reject-with": "tcp-reset"}}, "match": {"config": {"protocol": ["tcp"]}}}`},
	{name: "reset without a protocol", filter: "in4", term: `{"action": {"config": {"disposition": "reject", "reject-with": "tcp-reset"}}}`},
	{name: "everything that a term can do", filter: "in4", term: `{"action": {"config": {"disposition": "next-hop", "next-hop": "192.0.2.2", "next-hop-interface": "ge0.0", "instance": "red", "count-per-interface": true, "log-every": 100, "policer": "slow", "set-dscp": "af11", "set-loss-priority": "high", "set-forwarding-class": 3, "set-mark": 7, "mirror": "ge0.200"}}}`},
	{name: "look-up elsewhere", filter: "in4", term: `{"action": {"config": {"disposition": "routing-instance", "instance": "red"}}}`},
	{name: "message of IPv6", filter: "in6", term: `{"action": {"config": {"disposition": "reject", "reject-with": "policy-failed"}}}`},
	{name: "next filter", filter: "in4", term: `{"action": {"config": {"disposition": "next-filter", "next-filter": "tail4"}}}`},
	{name: "list that is unknown", filter: "in4", term: `{"match": {"config": {"source-prefix-list": ["theirs"]}}}`, rule: ruleFilterList, path: "match/config/source-prefix-list", xpath: true},
	{name: "prefix of the other family", filter: "in4", term: `{"match": {"config": {"destination-prefix": ["2001:db8::/32"]}}}`, rule: ruleFilterPrefixFamily, path: "match/config/destination-prefix", xpath: true},
	{name: "prefix of the other family as an exception", filter: "in6", term: `{"match": {"config": {"source-prefix-except": ["192.0.2.0/24"]}}}`, rule: ruleFilterPrefixFamily, path: "match/config/source-prefix-except", xpath: true},
	{name: "prefix with host bits", filter: "in4", term: `{"match": {"config": {"source-prefix": ["192.0.2.1/24"]}}}`, rule: rulePrefixHostBits, path: "match/config/source-prefix"},
	{name: "prefix in capitals", filter: "in6", term: `{"match": {"config": {"source-prefix": ["2001:DB8::/32"]}}}`, rule: ruleAddressCanonical, path: "match/config/source-prefix"},
	{name: "ports without a protocol", filter: "in4", term: `{"match": {"config": {"destination-port": [22]}}}`, rule: ruleFilterPorts, path: "match/config", xpath: true},
	{name: "ports of a protocol without", filter: "in4", term: `{"match": {"config": {"destination-port": [22], "protocol": ["tcp", "gre"]}}}`, rule: ruleFilterPorts, path: "match/config", xpath: true},
	{name: "ports of all but a protocol", filter: "in4", term: `{"match": {"config": {"source-port-except": [22], "protocol-except": ["udp"]}}}`, rule: ruleFilterPorts, path: "match/config", xpath: true},
	{name: "flags of UDP", filter: "in4", term: `{"match": {"config": {"protocol": ["udp"], "tcp-initial": true}}}`, rule: ruleFilterTCP, path: "match/config", xpath: true},
	{name: "flags of all but TCP", filter: "in4", term: `{"match": {"config": {"protocol-except": [6], "tcp-flags": ["syn"]}}}`, rule: ruleFilterTCP, path: "match/config", xpath: true},
	{name: "ICMP types of TCP", filter: "in4", term: `{"match": {"config": {"protocol": ["tcp"], "icmp-type": [8]}}}`, rule: ruleFilterICMP, path: "match/config", xpath: true},
	{name: "ICMPv6 in inet", filter: "in4", term: `{"match": {"config": {"protocol": ["icmp6"], "icmp-type": [128]}}}`, rule: ruleFilterICMP, path: "match/config", xpath: true},
	{name: "code without a type", filter: "in4", term: `{"match": {"config": {"icmp-code": [1]}}}`, rule: ruleFilterICMPCode, path: "match/config", xpath: true},
	{name: "ICMPv6 name in inet", filter: "in4", term: `{"match": {"config": {"icmp-type": ["packet-too-big"]}}}`, rule: ruleFilterICMPFamily, path: "match/config/icmp-type"},
	{name: "ICMP name in inet6", filter: "in6", term: `{"match": {"config": {"icmp-type-except": ["timestamp"]}}}`, rule: ruleFilterICMPFamily, path: "match/config/icmp-type-except"},
	{name: "ports of later fragments", filter: "in4", term: `{"match": {"config": {"protocol": ["udp"], "fragment": "later", "source-port": [53]}}}`, rule: ruleFilterFragment, path: "match/config", xpath: true},
	{name: "both ways", filter: "in4", term: `{"match": {"config": {"dscp": ["ef"], "dscp-except": ["cs6"]}}}`, rule: ruleFilterExcept, path: "match/config", xpath: true},
	{name: "both ways with units", filter: "in4", term: `{"match": {"config": {"interface": ["ge0"], "interface-except": ["ge0.200"]}}}`, rule: ruleFilterExcept, path: "match/config", xpath: true},
	{name: "both ways with MACs", filter: "in4", term: `{"match": {"config": {"source-mac": ["02:00:00:00:00:01"], "source-mac-except": ["02:00:00:00:00:02"]}}}`, rule: ruleFilterExcept, path: "match/config", xpath: true},
	{name: "both ways with options", filter: "in4", term: `{"match": {"config": {"ip-option": ["any"], "ip-option-except": ["router-alert"]}}}`, rule: ruleFilterExcept, path: "match/config", xpath: true},
	{name: "both ways with marks", filter: "in4", term: `{"match": {"config": {"mark": [1], "mark-except": [2]}}}`, rule: ruleFilterExcept, path: "match/config", xpath: true},
	{name: "extension headers in inet", filter: "in4", term: `{"match": {"config": {"extension-header": ["any"]}}}`, rule: ruleFilterFieldFamily, path: "match/config", xpath: true},
	{name: "options in inet6", filter: "in6", term: `{"match": {"config": {"ip-option-except": ["any"]}}}`, rule: ruleFilterFieldFamily, path: "match/config", xpath: true},
	{name: "reversed ports", filter: "in4", term: `{"match": {"config": {"protocol": ["tcp"], "destination-port": ["90-80"]}}}`, rule: ruleFilterRange, path: "match/config/destination-port"},
	{name: "ports too large", filter: "in4", term: `{"match": {"config": {"protocol": ["tcp"], "destination-port": ["80-70000"]}}}`, rule: ruleFilterRange, path: "match/config/destination-port"},
	{name: "TTL too large", filter: "in4", term: `{"match": {"config": {"ttl": ["256"]}}}`, rule: ruleFilterRange, path: "match/config/ttl"},
	{name: "mark too large", filter: "in4", term: `{"match": {"config": {"mark": ["70000"]}}}`, rule: ruleFilterRange, path: "match/config/mark"},
	{name: "class out of range", filter: "in4", term: `{"match": {"config": {"forwarding-class": [8]}}}`, rule: ruleFilterRange, path: "match/config/forwarding-class"},
	{name: "flag twice", filter: "in4", term: `{"match": {"config": {"tcp-flags": ["syn&!syn"]}}}`, rule: ruleFilterFlags, path: "match/config/tcp-flags"},
	{name: "mark beyond its mask", filter: "in4", term: `{"match": {"config": {"mark": ["0x11/0xf0"]}}}`, rule: ruleFilterMask, path: "match/config/mark"},
	{name: "MAC beyond its mask", filter: "in4", term: `{"match": {"config": {"source-mac": ["02:00:00:00:00:01/ff:ff:ff:00:00:00"]}}}`, rule: ruleFilterMask, path: "match/config/source-mac"},
	{name: "unknown unit", filter: "in4", term: `{"match": {"config": {"interface": ["ge7"]}}}`, rule: ruleFilterUnit, path: "match/config/interface", xpath: true},
	{name: "unknown unit as an exception", filter: "in4", term: `{"match": {"config": {"interface-except": ["ge7.3"]}}}`, rule: ruleFilterUnit, path: "match/config/interface-except", xpath: true},
	{name: "unknown mirror", filter: "in4", term: `{"action": {"config": {"mirror": "ge0.77"}}}`, rule: ruleFilterUnit, path: "action/config/mirror", xpath: true},
	{name: "unknown instance", filter: "in4", term: `{"action": {"config": {"disposition": "routing-instance", "instance": "green"}}}`, rule: ruleFilterInstance, path: "action/config/instance", xpath: true},
	{name: "unknown policer", filter: "in4", term: `{"action": {"config": {"policer": "fast"}}}`, rule: ruleFilterPolicer, path: "action/config/policer", xpath: true},
	{name: "unknown next filter", filter: "in4", term: `{"action": {"config": {"disposition": "next-filter", "next-filter": "none"}}}`, rule: ruleFilterNext, path: "action/config/next-filter", xpath: true},
	{name: "next filter of the other family", filter: "in4", term: `{"action": {"config": {"disposition": "next-filter", "next-filter": "in6"}}}`, rule: ruleFilterNext, path: "action/config/next-filter", xpath: true},
	{name: "next filter is itself", filter: "in4", term: `{"action": {"config": {"disposition": "next-filter", "next-filter": "in4"}}}`, rule: ruleFilterLoop, path: "action/config/next-filter"},
	{name: "instance that is not used", filter: "in4", term: `{"action": {"config": {"disposition": "accept", "instance": "red"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "no instance", filter: "in4", term: `{"action": {"config": {"disposition": "routing-instance"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "no next hop", filter: "in4", term: `{"action": {"config": {"disposition": "next-hop"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "next hop that is not used", filter: "in4", term: `{"action": {"config": {"next-hop": "192.0.2.2"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "no next filter", filter: "in4", term: `{"action": {"config": {"disposition": "next-filter"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "next filter that is not used", filter: "in4", term: `{"action": {"config": {"disposition": "discard", "next-filter": "tail4"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "message that is not sent", filter: "in4", term: `{"action": {"config": {"disposition": "discard", "reject-with": "prohibited"}}}`, rule: ruleFilterArgument, path: "action/config", xpath: true},
	{name: "message of IPv6 in inet", filter: "in4", term: `{"action": {"config": {"disposition": "reject", "reject-with": "route-rejected"}}}`, rule: ruleFilterRejectFamily, path: "action/config/reject-with", xpath: true},
	{name: "message of IPv4 in inet6", filter: "in6", term: `{"action": {"config": {"disposition": "reject", "reject-with": "host-prohibited"}}}`, rule: ruleFilterRejectFamily, path: "action/config/reject-with", xpath: true},
	{name: "reset of UDP", filter: "in4", term: `{"action": {"config": {"disposition": "reject", "reject-with": "tcp-reset"}}, "match": {"config": {"protocol": ["udp"]}}}`, rule: ruleFilterReset, path: "action/config/reject-with", xpath: true},
	{name: "next hop of the other family", filter: "in4", term: `{"action": {"config": {"disposition": "next-hop", "next-hop": "2001:db8::2"}}}`, rule: ruleFilterHopFamily, path: "action/config/next-hop", xpath: true},
	{name: "next hop that is a group", filter: "in4", term: `{"action": {"config": {"disposition": "next-hop", "next-hop": "224.0.0.1"}}}`, rule: ruleFilterHop, path: "action/config/next-hop"},
	{name: "link-local next hop alone", filter: "in6", term: `{"action": {"config": {"disposition": "next-hop", "next-hop": "fe80::2"}}}`, rule: ruleFilterHop, path: "action/config/next-hop"},
	{name: "next hop through a unit without the family", filter: "in4", term: `{"action": {"config": {"disposition": "next-hop", "next-hop-interface": "ge0.200"}}}`, rule: ruleFilterHopUnit, path: "action/config/next-hop-interface", xpath: true},
}

func filterCases() []ruleCase {
	cases := bindingCases
	for _, c := range termCases {
		path := ""
		if c.rule != "" {
			path = termPath(c.filter, "spoilt") + "/" + c.path
		}
		cases = append(cases, ruleCase{name: "term: " + c.name, spoil: func(w world) { w.add(c.filter, c.term) }, rule: c.rule, path: path, xpath: c.xpath})
	}
	return cases
}

var bindingCases = []ruleCase{
	{name: "filters at all hooks", spoil: func(w world) {
		c := w.bind(w.inet("0"))
		c.Input, c.Output, c.InputLocal, c.OutputLocal = ygot.String("in4"), ygot.String("tail4"), ygot.String("in4"), ygot.String("tail4")
		w.bind(w.inet6("0")).Input = ygot.String("in6")
	}},
	{name: "filter that is unknown", rule: ruleFilterExists, xpath: true, path: inet0 + "/filter/config/input",
		spoil: func(w world) { w.bind(w.inet("0")).Input = ygot.String("none") }},
	{name: "filter of the other family", rule: ruleFilterBound, xpath: true, path: inet0 + "/filter/config/output-local",
		spoil: func(w world) { w.bind(w.inet("0")).OutputLocal = ygot.String("in6") }},
	{name: "input filter of a loopback", rule: ruleFilterLoopback, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet]/filter/config/input",
		spoil: func(w world) {
			w.bind(w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet)).Input = ygot.String("in4")
		}},
	{name: "output filter of a loopback", rule: ruleFilterLoopback, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet]/filter/config/output",
		spoil: func(w world) {
			w.bind(w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet)).Output = ygot.String("tail4")
		}},
	{name: "local filters of a loopback", spoil: func(w world) {
		c := w.bind(w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet))
		c.InputLocal, c.OutputLocal = ygot.String("in4"), ygot.String("tail4")
	}},
	{name: "mirror to a loopback", rule: ruleFilterMirror, xpath: true, path: "/filter[name=in4]/term[name=spoilt]/action/config/mirror",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("203.0.113.1/32")
			w.add("in4", `{"action": {"config": {"mirror": "lo0"}}}`)
		}},
	{name: "mirror to a device that becomes a loopback", rule: ruleFilterMirror, path: "/filter[name=in4]/term[name=spoilt]/action/config/mirror",
		spoil: func(w world) {
			w.add("in4", `{"action": {"config": {"mirror": "ge0.0"}}}`)
			w.ge0().Config.Type = gen.Routerd_InterfaceType_loopback
		}},
	{name: "filter without a family", rule: ruleFilterFamily, xpath: true, path: "/filter[name=new]",
		spoil: func(w world) { w.filter("new") }},
	{name: "output filter that looks up elsewhere by the way", rule: ruleFilterHook, path: inet0 + "/filter/config/output",
		spoil: func(w world) {
			w.bind(w.inet("0")).Output = ygot.String("in4")
			w.add("tail4", `{"action": {"config": {"disposition": "routing-instance", "instance": "red"}}}`)
		}},
	{name: "input-local filter with a next hop", rule: ruleFilterHook, path: inet0 + "/filter/config/input-local",
		spoil: func(w world) {
			w.bind(w.inet("0")).InputLocal = ygot.String("tail4")
			w.add("tail4", `{"action": {"config": {"disposition": "next-hop", "next-hop": "192.0.2.2"}}}`)
		}},
	{name: "input filter that looks up elsewhere", spoil: func(w world) {
		w.bind(w.inet("0")).Input = ygot.String("in4")
		w.add("tail4", `{"action": {"config": {"disposition": "routing-instance", "instance": "red"}}}`)
	}},
	{name: "filters in a circle", rule: ruleFilterLoop, path: "/filter[name=tail4]/term[name=spoilt]/action/config/next-filter",
		spoil: func(w world) {
			w.add("tail4", `{"action": {"config": {"disposition": "next-filter", "next-filter": "in4"}}}`)
		}},
	{name: "list that goes", rule: ruleFilterList, xpath: true, path: "/filter[name=in4]/term[name=first]/match/config/source-prefix-list",
		spoil: func(w world) { w.DeletePrefixList("ours") }},
	{name: "policer that goes", rule: ruleFilterPolicer, xpath: true, path: "/filter[name=in4]/term[name=first]/action/config/policer",
		spoil: func(w world) { w.DeletePolicer("slow") }},
	{name: "unit that goes", rule: ruleFilterUnit, xpath: true, path: "/filter[name=in4]/term[name=first]/match/config/interface",
		spoil: func(w world) { w.ge0().DeleteUnit("200") }},
	{name: "next filter that goes", rule: ruleFilterNext, xpath: true, path: "/filter[name=mid4]/term[name=on]/action/config/next-filter",
		spoil: func(w world) { w.DeleteFilter("tail4") }},
	{name: "next filter that changes its family", rule: ruleFilterNext, xpath: true, path: "/filter[name=mid4]/term[name=on]/action/config/next-filter",
		spoil: func(w world) { w.filter("tail4").Config.Family = gen.Routerd_FamilyType_inet6 }},
	{name: "prefix list with host bits", rule: rulePrefixHostBits, path: "/prefix-list[name=ours]/config/prefix",
		spoil: func(w world) { w.GetPrefixList("ours").Config.Prefix = []string{"192.0.2.1/24"} }},
	{name: "prefix list in capitals", rule: ruleAddressCanonical, path: "/prefix-list[name=ours]/config/prefix",
		spoil: func(w world) { w.GetPrefixList("ours").Config.Prefix = []string{"2001:DB8::/32"} }},
	{name: "policer without a rate", rule: rulePolicerRate, xpath: true, path: "/policer[name=p]",
		spoil: func(w world) { w.policer("p").CommittedRate = nil }},
	{name: "three colours without an excess burst", rule: rulePolicerFields, xpath: true, path: "/policer[name=p]",
		spoil: func(w world) { w.policer("p").Type = gen.Routerd_PolicerType_sr_tcm }},
	{name: "single rate with a peak", rule: rulePolicerFields, xpath: true, path: "/policer[name=p]",
		spoil: func(w world) { w.policer("p").PeakRate = ygot.Uint64(5000) }},
	{name: "peak below the committed rate", rule: rulePolicerPeak, xpath: true, path: "/policer[name=p]",
		spoil: func(w world) {
			c := w.policer("p")
			c.Type, c.PeakRate, c.PeakBurst = gen.Routerd_PolicerType_tr_tcm, ygot.Uint64(999), ygot.Uint64(2000)
		}},
	{name: "yellow of a single rate", rule: rulePolicerYellow, xpath: true, path: "/policer[name=p]/yellow",
		spoil: func(w world) {
			w.policer("p")
			w.GetPolicer("p").GetOrCreateYellow().GetOrCreateConfig().SetForwardingClass = ygot.Uint8(1)
		}},
	{name: "marks on what is dropped", rule: rulePolicerDrop, xpath: true, path: "/policer[name=p]/red/config",
		spoil: func(w world) {
			w.policer("p")
			w.GetPolicer("p").GetOrCreateRed().GetOrCreateConfig().SetDscp = gen.UnionUint8(8)
		}},
	{name: "three colours by two rates", spoil: func(w world) {
		c := w.policer("p")
		c.Type, c.PeakRate, c.PeakBurst = gen.Routerd_PolicerType_tr_tcm, ygot.Uint64(5000), ygot.Uint64(2000)
		red := w.GetPolicer("p").GetOrCreateRed().GetOrCreateConfig()
		red.Drop, red.SetDscp, red.SetLossPriority = ygot.Bool(false), gen.Routerd_DscpName_Enum_af13, gen.Routerd_LossPriority_high
		w.GetPolicer("p").GetOrCreateYellow().GetOrCreateConfig().SetForwardingClass = ygot.Uint8(1)
	}},
	{name: "loss priority out of range", rule: ruleBadValue, path: "/filter[name=in4]/term[name=first]/action/config/set-forwarding-class",
		spoil: func(w world) { w.filter("in4").GetTerm("first").Action.Config.SetForwardingClass = ygot.Uint8(8) }},
}

// The names that the model has for numbers stand for the same ones here.
func TestNamesAreThoseOfTheModel(t *testing.T) {
	compareNames(t, "protocol-name", ipProtocolNames)
	compareNames(t, "port-name", portNames)
	compareNames(t, "dscp-name", dscpNames)
}

var enumValue = regexp.MustCompile(`enum (\S+) \{\s*value (\d+);`)

func compareNames(t *testing.T, typedef string, ours names) {
	t.Helper()
	_, text, ok := strings.Cut(yangText(t), "  typedef "+typedef+" {\n")
	if !ok {
		t.Fatalf("no typedef %s", typedef)
	}
	text, _, _ = strings.Cut(text, "\n  }\n")
	theirs := names{}
	for _, m := range enumValue.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseUint(m[2], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		theirs[m[1]] = uint32(n)
	}
	if len(theirs) == 0 || !maps.Equal(ours, theirs) {
		t.Errorf("%s:\n%v\nand in the model\n%v", typedef, ours, theirs)
	}
}
