package models

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// base is a configuration that breaks no rule and has one of everything.
const base = `{
 "routerd:interface": [
  {"name": "ge0", "config": {"name": "ge0"}, "unit": [
   {"id": "0", "config": {"id": "0"}, "family": [
    {"type": "inet", "config": {"type": "inet"},
     "address": [{"prefix": "192.0.2.1/24", "config": {"prefix": "192.0.2.1/24"}}],
     "neighbor": [{"address": "192.0.2.9", "config": {"address": "192.0.2.9", "link-layer-address": "02:00:00:00:00:09"}}]},
    {"type": "inet6", "config": {"type": "inet6"},
     "address": [{"prefix": "2001:db8::1/64", "config": {"prefix": "2001:db8::1/64"}}]}]},
   {"id": "100", "config": {"id": "100"}, "vlan": {"config": {"outer-vlan-id": 100}}},
   {"id": "100.1", "config": {"id": "100.1"}, "vlan": {"config": {"outer-vlan-id": 1}}, "family": [
    {"type": "inet", "config": {"type": "inet", "instance": "red"},
     "address": [{"prefix": "198.51.100.1/24", "config": {"prefix": "198.51.100.1/24"}}]}]},
   {"id": "200", "config": {"id": "200"}, "vlan": {"config": {"outer-vlan-id": 200, "inner-vlan-id": 1}}}]}],
 "routerd:instance": [
  {"name": "default", "config": {"name": "default"}, "static-route": [
   {"prefix": "0.0.0.0/0", "config": {"prefix": "0.0.0.0/0"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "gateway": "192.0.2.2", "interface": "ge0"}}]},
   {"prefix": "198.51.100.0/24", "config": {"prefix": "198.51.100.0/24"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "instance": "red"}}]},
   {"prefix": "2001:db8:1::/48", "config": {"prefix": "2001:db8:1::/48"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "gateway": "2001:db8::2"}}]},
   {"prefix": "203.0.112.0/24", "config": {"prefix": "203.0.112.0/24"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "instance": "red"}}]},
   {"prefix": "10.0.0.0/8", "config": {"prefix": "10.0.0.0/8", "action": "discard"}}]},
  {"name": "red", "config": {"name": "red"}, "static-route": [
   {"prefix": "203.0.112.0/24", "config": {"prefix": "203.0.112.0/24", "action": "discard"}},
   {"prefix": "0.0.0.0/0", "config": {"prefix": "0.0.0.0/0"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "instance": "default"}}]}]}],
` + filterBase + `}`

// A world is base, with shorthands to spoil it by.
type world struct{ *gen.Device }

func (w world) ge0() *gen.Routerd_Interface { return w.GetOrCreateInterface("ge0") }
func (w world) loopback() *gen.Routerd_Interface {
	i := w.GetOrCreateInterface("lo0")
	i.GetOrCreateConfig().Type = gen.Routerd_InterfaceType_loopback
	i.GetOrCreateUnit("0")
	return i
}
func routerAdvertisement(f *gen.Routerd_Interface_Unit_Family) *gen.Routerd_Interface_Unit_Family_RouterAdvertisement {
	if f.RouterAdvertisement == nil {
		return &gen.Routerd_Interface_Unit_Family_RouterAdvertisement{}
	}
	return f.RouterAdvertisement
}
func (w world) adverts() *gen.Routerd_Interface_Unit_Family_RouterAdvertisement {
	return w.inet6("0").GetOrCreateRouterAdvertisement()
}
func (w world) advert() *gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Config {
	c := w.adverts().GetOrCreateConfig()
	c.Enabled = ygot.Bool(true)
	return c
}
func (w world) borrow(lender string) {
	w.inet("200").GetOrCreateConfig().Unnumbered = ygot.String(lender)
}
func (w world) unit(id string) *gen.Routerd_Interface_Unit { return w.ge0().GetOrCreateUnit(id) }
func (w world) inet(unit string) *gen.Routerd_Interface_Unit_Family {
	return w.unit(unit).GetOrCreateFamily(gen.Routerd_FamilyType_inet)
}
func (w world) inet6(unit string) *gen.Routerd_Interface_Unit_Family {
	return w.unit(unit).GetOrCreateFamily(gen.Routerd_FamilyType_inet6)
}
func (w world) route(instance, prefix string) *gen.Routerd_Instance_StaticRoute {
	return w.GetOrCreateInstance(instance).GetOrCreateStaticRoute(prefix)
}
func (w world) via(instance, prefix string) *gen.Routerd_Instance_StaticRoute_NextHop_Config {
	return w.route(instance, prefix).GetOrCreateNextHop(0).GetOrCreateConfig()
}
func (w world) another(instance, prefix string, index uint8) *gen.Routerd_Instance_StaticRoute_NextHop_Config {
	return w.route(instance, prefix).GetOrCreateNextHop(index).GetOrCreateConfig()
}
func (w world) vlan(unit string, outer, inner uint16) {
	c := w.unit(unit).GetOrCreateVlan().GetOrCreateConfig()
	c.OuterVlanId, c.InnerVlanId = nil, nil
	if outer != 0 {
		c.OuterVlanId = &outer
	}
	if inner != 0 {
		c.InnerVlanId = &inner
	}
}

// complete gives every list entry the config leaf that its key refers to, which
// yanglint asks for.
func (w world) complete() {
	for name, i := range w.Interface {
		i.GetOrCreateConfig().Name = ygot.String(name)
		for id, u := range i.Unit {
			u.GetOrCreateConfig().Id = ygot.String(id)
			for typ, f := range u.Family {
				f.GetOrCreateConfig().Type = typ
				for p, a := range f.Address {
					a.GetOrCreateConfig().Prefix = ygot.String(p)
				}
				for a, n := range f.Neighbor {
					n.GetOrCreateConfig().Address = ygot.String(a)
				}
				for p, a := range routerAdvertisement(f).Prefix {
					a.GetOrCreateConfig().Prefix = ygot.String(p)
				}
				for p, a := range routerAdvertisement(f).Route {
					a.GetOrCreateConfig().Prefix = ygot.String(p)
				}
			}
		}
	}
	for name, s := range w.Session {
		s.GetOrCreateConfig().Name = ygot.String(name)
	}
	for name, c := range w.LocalClass {
		c.GetOrCreateConfig().Name = ygot.String(name)
	}
	for name, i := range w.Instance {
		i.GetOrCreateConfig().Name = ygot.String(name)
		for p, r := range i.StaticRoute {
			r.GetOrCreateConfig().Prefix = ygot.String(p)
			for index, n := range r.NextHop {
				n.GetOrCreateConfig().Index = ygot.Uint8(index)
			}
		}
		for k, r := range i.MulticastRoute {
			r.GetOrCreateConfig().Group, r.GetOrCreateConfig().Source = ygot.String(k.Group), ygot.String(k.Source)
		}
	}
	w.completeFilters()
	w.completeAccess()
}

// sessionLeaves are what a session x is declared to match.
type sessionLeaves struct {
	protocol, prefix string // prefix of the remote address
	local            uint16
	consumer         gen.E_Routerd_SessionConsumer
}

const sessionX = "/session[name=x]"

func (w world) session(s sessionLeaves) *gen.Routerd_Session_Config {
	c := w.GetOrCreateSession("x").GetOrCreateConfig()
	if s.protocol != "" {
		c.Protocol = &s.protocol
	}
	if s.prefix != "" {
		c.RemotePrefix = &s.prefix
	}
	if s.local != 0 {
		c.LocalPort = &s.local
	}
	c.Consumer = s.consumer
	return c
}

const (
	unit0    = "/interface[name=ge0]/unit[id=0]"
	inet0    = unit0 + "/family[type=inet]"
	inet60   = unit0 + "/family[type=inet6]"
	default4 = "/instance[name=default]/static-route[prefix=0.0.0.0/0]"
	nh0      = "/next-hop[index=0]"
)

type ruleCase struct {
	name  string
	spoil func(w world)
	rule  string
	path  string
	xpath bool
}

// allCases are the cases of all files.
func allCases() []ruleCase {
	return slices.Concat(ruleCases, filterCases(), multicastCases, accessCases, logServerCases)
}

// ruleCases spoil base. rule is empty for what is allowed. xpath says that the
// rule is a must that XPath can evaluate, so that yanglint finds it too.
var ruleCases = []ruleCase{
	{name: "nothing", spoil: func(w world) {}},

	{name: "device with a group MAC", rule: ruleDeviceMAC, xpath: true, path: "/interface[name=ge0]/config/mac-address",
		spoil: func(w world) { w.ge0().Config.MacAddress = ygot.String("01:00:00:00:00:01") }},
	{name: "device with a zero MAC", rule: ruleDeviceMAC, xpath: true, path: "/interface[name=ge0]/config/mac-address",
		spoil: func(w world) { w.ge0().Config.MacAddress = ygot.String("00:00:00:00:00:00") }},
	{name: "device with its own MAC", spoil: func(w world) { w.ge0().Config.MacAddress = ygot.String("02:00:00:00:00:01") }},

	{name: "child without a parent", rule: ruleUnitParent, xpath: true, path: "/interface[name=ge0]/unit[id=300.1]",
		spoil: func(w world) { w.vlan("300.1", 5, 0) }},
	{name: "child whose parent goes", rule: ruleUnitParent, xpath: true, path: "/interface[name=ge0]/unit[id=100.1]",
		spoil: func(w world) { w.ge0().DeleteUnit("100") }},
	{name: "grandchild without a parent", rule: ruleUnitParent, xpath: true, path: "/interface[name=ge0]/unit[id=100.2.3]",
		spoil: func(w world) { w.unit("100.2.3") }},
	{name: "another child", spoil: func(w world) { w.vlan("100.2", 2, 0) }},

	{name: "two units with one VLAN", rule: ruleUnitVLAN, xpath: true, path: "/interface[name=ge0]/unit[id=101]/vlan",
		spoil: func(w world) { w.vlan("101", 100, 0) }},
	{name: "two children with one VLAN", rule: ruleUnitVLAN, xpath: true, path: "/interface[name=ge0]/unit[id=100.2]/vlan",
		spoil: func(w world) { w.vlan("100.2", 1, 0) }},
	{name: "both tags of a parent and its child", rule: ruleUnitVLAN, path: "/interface[name=ge0]/unit[id=101]/vlan",
		spoil: func(w world) { w.vlan("101", 100, 1) }},
	{name: "child without a tag of its own", rule: ruleUnitVLAN, path: "/interface[name=ge0]/unit[id=100.2]/vlan",
		spoil: func(w world) { w.unit("100.2") }},
	{name: "one VLAN id under two protocol ids", spoil: func(w world) {
		w.vlan("101", 100, 0)
		w.unit("101").Vlan.Config.OuterTpid = gen.Routerd_Tpid_0x88a8
	}},
	{name: "one inner VLAN id under two protocol ids", spoil: func(w world) {
		w.vlan("201", 200, 1)
		w.unit("201").Vlan.Config.InnerTpid = gen.Routerd_Tpid_0x9100
	}},
	{name: "one VLAN on two devices", spoil: func(w world) {
		w.GetOrCreateInterface("ge1").GetOrCreateUnit("100").GetOrCreateVlan().GetOrCreateConfig().OuterVlanId = ygot.Uint16(100)
	}},

	{name: "two untagged units", rule: ruleUnitUntagged, xpath: true, path: "/interface[name=ge0]/unit[id=1]",
		spoil: func(w world) { w.unit("1") }},
	{name: "an untagged unit on another device", spoil: func(w world) { w.GetOrCreateInterface("ge1").GetOrCreateUnit("1") }},

	{name: "three tags", rule: ruleVLANDepth, xpath: true, path: "/interface[name=ge0]/unit[id=200.1]/vlan",
		spoil: func(w world) { w.vlan("200.1", 5, 0) }},
	{name: "three tags by a change of the parent", rule: ruleVLANDepth, xpath: true, path: "/interface[name=ge0]/unit[id=100.1]/vlan",
		spoil: func(w world) { w.vlan("100", 100, 7) }},
	{name: "inner tag alone", rule: ruleVLANInner, xpath: true, path: "/interface[name=ge1]/unit[id=5]/vlan/config/inner-vlan-id",
		spoil: func(w world) {
			w.GetOrCreateInterface("ge1").GetOrCreateUnit("5").GetOrCreateVlan().GetOrCreateConfig().InnerVlanId = ygot.Uint16(7)
		}},

	{name: "family in an unknown instance", rule: ruleFamilyInstance, xpath: true, path: inet0 + "/config/instance",
		spoil: func(w world) { w.inet("0").Config.Instance = ygot.String("blue") }},
	{name: "family whose instance goes", rule: ruleFamilyInstance, xpath: true, path: "/interface[name=ge0]/unit[id=100.1]/family[type=inet]/config/instance",
		spoil: func(w world) {
			w.DeleteInstance("red")
			delete(w.GetInstance("default").StaticRoute, "198.51.100.0/24")
		}},
	{name: "family in a new instance", spoil: func(w world) {
		w.GetOrCreateInstance("blue")
		w.inet("200").GetOrCreateConfig().Instance = ygot.String("blue")
	}},

	{name: "MTU too large", rule: ruleFamilyMTU, xpath: true, path: inet0 + "/config/mtu",
		spoil: func(w world) { w.inet("0").Config.Mtu = ygot.Uint16(1505) }},
	{name: "MTU as large as can be", spoil: func(w world) { w.inet("0").Config.Mtu = ygot.Uint16(1504) }},
	{name: "MTU too large with two tags", rule: ruleFamilyMTU, xpath: true, path: "/interface[name=ge0]/unit[id=100.1]/family[type=inet]/config/mtu",
		spoil: func(w world) { w.inet("100.1").Config.Mtu = ygot.Uint16(1497) }},
	{name: "MTU as large as can be with two tags", spoil: func(w world) { w.inet("100.1").Config.Mtu = ygot.Uint16(1496) }},
	{name: "MRU too small for an MTU", rule: ruleFamilyMTU, xpath: true, path: inet0 + "/config/mtu",
		spoil: func(w world) { w.inet("0").Config.Mtu = ygot.Uint16(1500); w.ge0().Config.Mru = ygot.Uint16(1500) }},
	{name: "IPv6 with a small MTU", rule: ruleInet6MTU, xpath: true, path: inet60,
		spoil: func(w world) { w.inet6("0").Config.Mtu = ygot.Uint16(1279) }},
	{name: "IPv6 with a small MRU", rule: ruleInet6MTU, xpath: true, path: inet60,
		spoil: func(w world) { w.ge0().Config.Mru = ygot.Uint16(1297) }},
	{name: "IPv6 with the least MRU", spoil: func(w world) { w.ge0().Config.Mru = ygot.Uint16(1298) }},

	{name: "two primary addresses", rule: rulePrimaryUnique, xpath: true, path: inet0 + "/address[prefix=192.0.2.5/24]/config/primary",
		spoil: func(w world) {
			w.inet("0").GetOrCreateAddress("192.0.2.4/24").GetOrCreateConfig().Primary = ygot.Bool(true)
			w.inet("0").GetOrCreateAddress("192.0.2.5/24").GetOrCreateConfig().Primary = ygot.Bool(true)
		}},
	{name: "two preferred addresses of a network", rule: rulePreferredUnique, path: inet0 + "/address[prefix=192.0.2.5/24]/config/preferred",
		spoil: func(w world) {
			w.inet("0").GetOrCreateAddress("192.0.2.4/24").GetOrCreateConfig().Preferred = ygot.Bool(true)
			w.inet("0").GetOrCreateAddress("192.0.2.5/24").GetOrCreateConfig().Preferred = ygot.Bool(true)
		}},
	{name: "preferred addresses of two networks, one primary", spoil: func(w world) {
		w.inet("0").GetOrCreateAddress("192.0.2.4/24").GetOrCreateConfig().Preferred = ygot.Bool(true)
		w.inet("0").GetOrCreateAddress("203.0.113.1/24").GetOrCreateConfig().Preferred = ygot.Bool(true)
		w.inet("0").GetOrCreateAddress("203.0.113.1/24").GetOrCreateConfig().Primary = ygot.Bool(true)
	}},

	{name: "IPv6 address under inet", rule: ruleAddressFamily, xpath: true, path: inet0 + "/address[prefix=2001:db8:5::1/64]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("2001:db8:5::1/64") }},
	{name: "IPv4 address under inet6", rule: ruleAddressFamily, xpath: true, path: inet60 + "/address[prefix=192.0.2.7/24]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("192.0.2.7/24") }},
	{name: "multicast address", rule: ruleAddressUnicast, xpath: true, path: inet0 + "/address[prefix=224.0.0.9/24]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("224.0.0.9/24") }},
	{name: "loopback address", rule: ruleAddressUnicast, xpath: true, path: inet0 + "/address[prefix=127.0.0.1/8]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("127.0.0.1/8") }},
	{name: "address of network zero", rule: ruleAddressUnicast, xpath: true, path: inet0 + "/address[prefix=0.0.0.1/8]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("0.0.0.1/8") }},
	{name: "limited broadcast", rule: ruleAddressUnicast, xpath: true, path: inet0 + "/address[prefix=255.255.255.255/32]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("255.255.255.255/32") }},
	{name: "network's own address", rule: ruleAddressUnicast, path: inet0 + "/address[prefix=203.0.113.0/24]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("203.0.113.0/24") }},
	{name: "network's broadcast address", rule: ruleAddressUnicast, path: inet0 + "/address[prefix=203.0.113.127/25]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("203.0.113.127/25") }},
	{name: "address of length zero", rule: ruleAddressUnicast, path: inet0 + "/address[prefix=203.0.113.1/0]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("203.0.113.1/0") }},
	{name: "subnet-router anycast address", rule: ruleAddressUnicast, path: inet60 + "/address[prefix=2001:db8:5::/64]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("2001:db8:5::/64") }},
	{name: "IPv6 multicast address", rule: ruleAddressUnicast, xpath: true, path: inet60 + "/address[prefix=ff02::1/64]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("ff02::1/64") }},
	{name: "IPv6 loopback", rule: ruleAddressUnicast, xpath: true, path: inet60 + "/address[prefix=::1/128]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("::1/128") }},
	{name: "mapped IPv4 address", rule: ruleAddressUnicast, path: inet60 + "/address[prefix=::ffff:192.0.2.1/128]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("::ffff:192.0.2.1/128") }},
	{name: "both addresses of a /31, /127 and host prefixes", spoil: func(w world) {
		for _, p := range []string{"203.0.113.0/31", "203.0.113.3/31", "203.0.113.8/32", "203.0.113.255/32"} {
			w.inet("0").GetOrCreateAddress(p)
		}
		for _, p := range []string{"2001:db8:5::/127", "2001:db8:6::1/127", "2001:db8:7::/128"} {
			w.inet6("0").GetOrCreateAddress(p)
		}
	}},
	{name: "link-local address of a wrong length", rule: ruleAddressLinkLocal, xpath: true, path: inet60 + "/address[prefix=fe80::1/10]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("fe80::1/10") }},
	{name: "one link-local address on two units", spoil: func(w world) {
		w.inet6("0").GetOrCreateAddress("fe80::1/64")
		w.inet6("200").GetOrCreateAddress("fe80::1/64")
	}},
	{name: "one address on two units", rule: ruleAddressUnique, xpath: true, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/address[prefix=192.0.2.1/32]",
		spoil: func(w world) { w.inet("200").GetOrCreateAddress("192.0.2.1/32") }},
	{name: "one address twice on a unit", rule: ruleAddressUnique, xpath: true, path: inet0 + "/address[prefix=192.0.2.1/25]",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("192.0.2.1/25") }},
	{name: "one address on two units by a change of instance", rule: ruleAddressUnique, xpath: true, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/address[prefix=198.51.100.1/24]",
		spoil: func(w world) {
			w.inet("200").GetOrCreateAddress("198.51.100.1/24")
			w.inet("200").GetOrCreateConfig().Instance = ygot.String("red")
		}},
	{name: "one address in two instances", spoil: func(w world) { w.inet("100.1").GetOrCreateAddress("192.0.2.1/24") }},
	{name: "address in capitals", rule: ruleAddressCanonical, path: inet60 + "/address[prefix=2001:DB8:5::1/64]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("2001:DB8:5::1/64") }},
	{name: "address with zeros", rule: ruleAddressCanonical, path: inet60 + "/address[prefix=2001:db8:5:0::1/64]",
		spoil: func(w world) { w.inet6("0").GetOrCreateAddress("2001:db8:5:0::1/64") }},
	{name: "peer of a network", rule: rulePeerHostPrefix, xpath: true, path: inet0 + "/address[prefix=203.0.113.1/24]/config/peer",
		spoil: func(w world) {
			w.inet("0").GetOrCreateAddress("203.0.113.1/24").GetOrCreateConfig().Peer = ygot.String("203.0.113.2")
		}},
	{name: "peer of the other family", rule: rulePeerUnicast, xpath: true, path: inet0 + "/address[prefix=203.0.113.1/32]/config/peer",
		spoil: func(w world) {
			w.inet("0").GetOrCreateAddress("203.0.113.1/32").GetOrCreateConfig().Peer = ygot.String("2001:db8::2")
		}},
	{name: "peer that is a group", rule: rulePeerUnicast, xpath: true, path: inet0 + "/address[prefix=203.0.113.1/32]/config/peer",
		spoil: func(w world) {
			w.inet("0").GetOrCreateAddress("203.0.113.1/32").GetOrCreateConfig().Peer = ygot.String("224.0.0.5")
		}},
	{name: "address with a peer", spoil: func(w world) {
		w.inet("0").GetOrCreateAddress("203.0.113.1/32").GetOrCreateConfig().Peer = ygot.String("203.0.113.2")
		w.inet("0").GetOrCreateNeighbor("203.0.113.2").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:02")
	}},

	{name: "IPv6 neighbour under inet", rule: ruleNeighborFamily, xpath: true, path: inet0 + "/neighbor[address=2001:db8::2]",
		spoil: func(w world) {
			w.inet("0").GetOrCreateNeighbor("2001:db8::2").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:02")
		}},
	{name: "neighbour without a MAC", rule: ruleNeighborNeedsMAC, xpath: true, path: inet0 + "/neighbor[address=192.0.2.2]",
		spoil: func(w world) { w.inet("0").GetOrCreateNeighbor("192.0.2.2").GetOrCreateConfig() }},
	{name: "neighbour with a broadcast MAC", rule: ruleNeighborMAC, xpath: true, path: inet0 + "/neighbor[address=192.0.2.9]/config/link-layer-address",
		spoil: func(w world) {
			w.inet("0").GetNeighbor("192.0.2.9").Config.LinkLayerAddress = ygot.String("ff:ff:ff:ff:ff:ff")
		}},
	{name: "neighbour with our address", rule: ruleNeighborOwn, xpath: true, path: inet0 + "/neighbor[address=192.0.2.1]",
		spoil: func(w world) {
			w.inet("0").GetOrCreateNeighbor("192.0.2.1").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:02")
		}},
	{name: "neighbour off the link", rule: ruleNeighborOnLink, path: inet0 + "/neighbor[address=203.0.113.2]",
		spoil: func(w world) {
			w.inet("0").GetOrCreateNeighbor("203.0.113.2").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:02")
		}},
	{name: "neighbour whose network goes", rule: ruleNeighborOnLink, path: inet0 + "/neighbor[address=192.0.2.9]",
		spoil: func(w world) { delete(w.inet("0").Address, "192.0.2.1/24") }},
	{name: "link-local neighbour", spoil: func(w world) {
		w.inet6("0").GetOrCreateNeighbor("fe80::2").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:02")
	}},

	{name: "two instances in one namespace", rule: ruleHostNamespace, xpath: true, path: "/instance[name=blue]/config/host-namespace",
		spoil: func(w world) { w.GetOrCreateInstance("blue").GetOrCreateConfig().HostNamespace = ygot.String("red") }},
	{name: "default in another instance's namespace", rule: ruleHostNamespace, xpath: true, path: "/instance[name=default]/config/host-namespace",
		spoil: func(w world) { w.GetInstance("default").Config.HostNamespace = ygot.String("red") }},
	{name: "namespace of an instance that has moved out", spoil: func(w world) {
		w.GetInstance("red").Config.HostNamespace = ygot.String("elsewhere")
		w.GetOrCreateInstance("blue").GetOrCreateConfig().HostNamespace = ygot.String("red")
	}},

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

	{name: "loopback with a driver", rule: ruleLoopbackLink, xpath: true, path: "/interface[name=lo0]/config",
		spoil: func(w world) { w.loopback().Config.Driver = gen.Routerd_Driver_af_packet }},
	{name: "loopback that is polled", rule: ruleLoopbackLink, xpath: true, path: "/interface[name=lo0]/config",
		spoil: func(w world) { w.loopback().Config.Polling = gen.Routerd_Polling_busy }},
	{name: "loopback with a MAC", rule: ruleLoopbackLink, xpath: true, path: "/interface[name=lo0]/config",
		spoil: func(w world) { w.loopback().Config.MacAddress = ygot.String("02:00:00:00:00:01") }},
	{name: "loopback with an MRU", rule: ruleLoopbackLink, xpath: true, path: "/interface[name=lo0]/config",
		spoil: func(w world) { w.loopback().Config.Mru = ygot.Uint16(1600) }},
	{name: "device that becomes a loopback", rule: ruleLoopbackUnit, xpath: true, path: "/interface[name=ge0]/unit[id=100]",
		spoil: func(w world) { w.ge0().Config.Type = gen.Routerd_InterfaceType_loopback }},
	{name: "loopback with a VLAN", rule: ruleLoopbackUnit, xpath: true, path: "/interface[name=lo0]/unit[id=1]",
		spoil: func(w world) {
			w.loopback().GetOrCreateUnit("1").GetOrCreateVlan().GetOrCreateConfig().OuterVlanId = ygot.Uint16(1)
		}},
	{name: "loopback with a child", rule: ruleLoopbackUnit, xpath: true, path: "/interface[name=lo0]/unit[id=0.1]",
		spoil: func(w world) { w.loopback().GetOrCreateUnit("0.1") }},
	{name: "loopback with a network", rule: ruleLoopbackAddress, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet]/address[prefix=203.0.113.1/24]",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("203.0.113.1/24")
		}},
	{name: "loopback with a peer", rule: ruleLoopbackAddress, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet]/address[prefix=203.0.113.1/32]",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("203.0.113.1/32").GetOrCreateConfig().Peer = ygot.String("203.0.113.2")
		}},
	{name: "loopback with a link-local address", rule: ruleLoopbackAddress, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet6]/address[prefix=fe80::1/128]",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet6).GetOrCreateAddress("fe80::1/128")
		}},
	{name: "loopback with a neighbour", rule: ruleLoopbackNeighbor, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet6]/neighbor[address=fe80::1]",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet6).GetOrCreateNeighbor("fe80::1").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:01")
		}},
	{name: "loopbacks with units in several instances", spoil: func(w world) {
		w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("203.0.113.1/32")
		w.loopback().GetOrCreateUnit("1").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("203.0.113.1/32")
		w.loopback().GetUnit("1").GetFamily(gen.Routerd_FamilyType_inet).GetOrCreateConfig().Instance = ygot.String("red")
		w.loopback().GetOrCreateUnit("2").GetOrCreateFamily(gen.Routerd_FamilyType_inet6).GetOrCreateAddress("2001:db8:9::/128")
	}},
	{name: "route through a loopback", rule: ruleNexthopLoopback, xpath: true, path: default4 + nh0 + "/config/interface",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("203.0.113.1/32")
			w.via("default", "0.0.0.0/0").Interface = ygot.String("lo0.0")
		}},
	{name: "route through a device that becomes a loopback", rule: ruleNexthopLoopback, path: default4 + nh0 + "/config/interface",
		spoil: func(w world) { w.ge0().Config.Type = gen.Routerd_InterfaceType_loopback }},

	{name: "advertisements in full", spoil: func(w world) {
		c := w.advert()
		c.MinInterval, c.MaxInterval, c.DefaultLifetime = ygot.Uint16(3), ygot.Uint16(4), ygot.Uint16(4)
		c.LinkMtu, c.DnsServer, c.DnsSearch = ygot.Uint32(1500), []string{"2001:db8::53", "fe80::53"}, []string{"example.net", "a-b.c"}
		w.adverts().GetOrCreatePrefix("2001:db8:1::/64")
		w.adverts().GetOrCreatePrefix("2001:db8:2::/56").GetOrCreateConfig().Autonomous = ygot.Bool(false)
		w.adverts().GetOrCreateRoute("::/0")
	}},
	{name: "advertisements of IPv4", rule: ruleAdvertInet6, xpath: true, path: inet0 + "/router-advertisement",
		spoil: func(w world) {
			w.inet("0").GetOrCreateRouterAdvertisement().GetOrCreateConfig().Enabled = ygot.Bool(true)
		}},
	{name: "advertisements of a loopback", rule: ruleAdvertLink, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet6]/router-advertisement",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet6).GetOrCreateRouterAdvertisement().GetOrCreateConfig().Enabled = ygot.Bool(true)
		}},
	{name: "advertisement that is too long", rule: ruleAdvertFits, path: inet60 + "/router-advertisement",
		spoil: func(w world) {
			for i := range 8 {
				w.advert().DnsSearch = append(w.advert().DnsSearch, strings.Repeat("a.", 100)+fmt.Sprint(i))
			}
		}},
	{name: "too many name servers", rule: ruleTooMany, path: inet60 + "/router-advertisement/config/dns-server",
		spoil: func(w world) {
			for i := range 9 {
				w.advert().DnsServer = append(w.advert().DnsServer, fmt.Sprintf("2001:db8::%x", i+1))
			}
		}},
	{name: "too many advertised routes", rule: ruleTooMany, path: inet60 + "/router-advertisement/route",
		spoil: func(w world) {
			for i := range 17 {
				w.adverts().GetOrCreateRoute(fmt.Sprintf("2001:db8:%x::/48", i+1))
			}
		}},
	{name: "too many advertised prefixes", rule: ruleTooMany, path: inet60 + "/router-advertisement/prefix",
		spoil: func(w world) {
			for i := range 65 {
				w.adverts().GetOrCreatePrefix(fmt.Sprintf("2001:db8:%x::/64", i+1))
			}
		}},
	{name: "search domain that is none", rule: ruleBadValue, path: inet60 + "/router-advertisement/config/dns-search",
		spoil: func(w world) { w.advert().DnsSearch = []string{"example..net"} }},
	{name: "advertisements closer than they may be", rule: ruleAdvertInterval, xpath: true, path: inet60 + "/router-advertisement/config/min-interval",
		spoil: func(w world) { w.advert().MinInterval = ygot.Uint16(451) }},
	{name: "router that hosts forget", rule: ruleAdvertLifetime, xpath: true, path: inet60 + "/router-advertisement/config/default-lifetime",
		spoil: func(w world) { w.advert().DefaultLifetime = ygot.Uint16(599) }},
	{name: "router that is no default router", spoil: func(w world) { w.advert().DefaultLifetime = ygot.Uint16(0) }},
	{name: "advertised MTU above the family's", rule: ruleAdvertMTU, path: inet60 + "/router-advertisement/config/link-mtu",
		spoil: func(w world) { w.advert().LinkMtu = ygot.Uint32(1501) }},
	{name: "family's MTU below the advertised one", rule: ruleAdvertMTU, path: inet60 + "/router-advertisement/config/link-mtu",
		spoil: func(w world) { w.advert().LinkMtu = ygot.Uint32(1400); w.inet6("0").Config.Mtu = ygot.Uint16(1300) }},
	{name: "name server of a group", rule: ruleAdvertDNS, xpath: true, path: inet60 + "/router-advertisement/config/dns-server",
		spoil: func(w world) { w.advert().DnsServer = []string{"ff02::fb"} }},
	{name: "name server in capitals", rule: ruleAddressCanonical, path: inet60 + "/router-advertisement/config/dns-server",
		spoil: func(w world) { w.advert().DnsServer = []string{"2001:DB8::53"} }},
	{name: "prefix preferred for longer than valid", rule: ruleAdvertLifetimes, xpath: true, path: inet60 + "/router-advertisement/prefix[prefix=2001:db8:1::/64]/config/preferred-lifetime",
		spoil: func(w world) {
			w.adverts().GetOrCreatePrefix("2001:db8:1::/64").GetOrCreateConfig().ValidLifetime = ygot.Uint32(604799)
		}},
	{name: "autonomous prefix of another length", rule: ruleAdvertAutonomous, xpath: true, path: inet60 + "/router-advertisement/prefix[prefix=2001:db8:1::/48]",
		spoil: func(w world) { w.adverts().GetOrCreatePrefix("2001:db8:1::/48") }},
	{name: "advertised link-local prefix", rule: ruleAdvertPrefix, xpath: true, path: inet60 + "/router-advertisement/prefix[prefix=fe80::/64]",
		spoil: func(w world) { w.adverts().GetOrCreatePrefix("fe80::/64") }},
	{name: "advertised route to a group", rule: ruleAdvertRoute, xpath: true, path: inet60 + "/router-advertisement/route[prefix=ff0e::/16]",
		spoil: func(w world) { w.adverts().GetOrCreateRoute("ff0e::/16") }},
	{name: "advertised prefix with host bits", rule: rulePrefixHostBits, path: inet60 + "/router-advertisement/prefix[prefix=2001:db8:1::1/64]",
		spoil: func(w world) { w.adverts().GetOrCreatePrefix("2001:db8:1::1/64") }},

	{name: "family that borrows of nobody", rule: ruleUnnumberedExists, xpath: true, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/config/unnumbered",
		spoil: func(w world) { w.borrow("ge1.0") }},
	{name: "family that borrows", spoil: func(w world) {
		w.borrow("ge0")
		w.inet("200").GetOrCreateNeighbor("10.9.9.9").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:09")
	}},
	{name: "neighbour of an unnumbered family that is a group", rule: ruleNeighborOnLink, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/neighbor[address=224.0.0.9]",
		spoil: func(w world) {
			w.borrow("ge0")
			w.inet("200").GetOrCreateNeighbor("224.0.0.9").GetOrCreateConfig().LinkLayerAddress = ygot.String("02:00:00:00:00:09")
		}},
	{name: "family that borrows of another instance", rule: ruleUnnumberedLends, xpath: true, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/config/unnumbered",
		spoil: func(w world) { w.borrow("ge0.100.1") }},
	{name: "family whose lender goes", rule: ruleUnnumberedExists, xpath: true, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/config/unnumbered",
		spoil: func(w world) { w.borrow("lo0.9") }},
	{name: "family that borrows of one that borrows", rule: ruleUnnumberedLends, xpath: true, path: "/interface[name=ge0]/unit[id=201]/family[type=inet]/config/unnumbered",
		spoil: func(w world) {
			w.borrow("ge0")
			w.vlan("201", 201, 0)
			w.inet("201").GetOrCreateConfig().Unnumbered = ygot.String("ge0.200")
		}},
	{name: "family that borrows of one with link-local addresses", rule: ruleUnnumberedLends, xpath: true, path: "/interface[name=ge0]/unit[id=201]/family[type=inet6]/config/unnumbered",
		spoil: func(w world) {
			w.inet6("200").GetOrCreateAddress("fe80::1/64")
			w.vlan("201", 201, 0)
			w.inet6("201").GetOrCreateConfig().Unnumbered = ygot.String("ge0.200")
		}},
	{name: "family that borrows and has an address", rule: ruleUnnumberedAddress, xpath: true, path: "/interface[name=ge0]/unit[id=200]/family[type=inet]/config/unnumbered",
		spoil: func(w world) { w.borrow("ge0"); w.inet("200").GetOrCreateAddress("203.0.113.1/24") }},
	{name: "loopback that borrows", rule: ruleUnnumberedLink, xpath: true, path: "/interface[name=lo0]/unit[id=0]/family[type=inet]/config/unnumbered",
		spoil: func(w world) {
			w.loopback().GetUnit("0").GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateConfig().Unnumbered = ygot.String("ge0")
		}},

	{name: "key and config that differ", rule: ruleKey, path: "/interface[name=ge0]/config/name",
		spoil: func(w world) { w.ge0().Config.Name = ygot.String("ge1") }},
	{name: "MRU out of range", rule: ruleBadValue, path: "/interface[name=ge0]/config/mru",
		spoil: func(w world) { w.ge0().Config.Mru = ygot.Uint16(9601) }},
	{name: "device with a dot in its name", rule: ruleBadValue, path: "/interface[name=ge0.5]/config/name",
		spoil: func(w world) { w.GetOrCreateInterface("ge0.5") }},
	{name: "unit id with a leading zero", rule: ruleBadValue, path: "/interface[name=ge0]/unit[id=01]/config/id",
		spoil: func(w world) { w.vlan("01", 7, 0) }},
	{name: "address that is none", rule: ruleBadValue, path: inet0 + "/address[prefix=192.0.2.300/24]/config/prefix",
		spoil: func(w world) { w.inet("0").GetOrCreateAddress("192.0.2.300/24") }},
	{name: "host name with a space", rule: ruleBadValue, path: "/system/config/hostname",
		spoil: func(w world) { w.GetOrCreateSystem().GetOrCreateConfig().Hostname = ygot.String("a router") }},

	{name: "gribi preference of the router's own routes", rule: ruleBadValue, path: "/gribi/config/preference",
		spoil: func(w world) { w.GetOrCreateGribi().GetOrCreateConfig().Preference = ygot.Uint8(0) }},
	{name: "gribi without room for entries", rule: ruleBadValue, path: "/gribi/config/entry-limit",
		spoil: func(w world) { w.GetOrCreateGribi().GetOrCreateConfig().EntryLimit = ygot.Uint32(0) }},

	{name: "two sessions with one match", rule: ruleSessionUnique, path: sessionX,
		spoil: func(w world) { w.session(sessionLeaves{protocol: "tcp", local: 22}) }},
	{name: "a session that matches everything", rule: ruleSessionUnique, path: sessionX,
		spoil: func(w world) { w.session(sessionLeaves{}) }},
	{name: "a default session moved onto another", rule: ruleSessionUnique, path: "/session[name=ssh]",
		spoil: func(w world) {
			w.GetOrCreateSession("ssh").GetOrCreateConfig().LocalPort = ygot.Uint16(830)
		}},
	{name: "a default session at another port", spoil: func(w world) {
		w.GetOrCreateSession("ssh").GetOrCreateConfig().LocalPort = ygot.Uint16(2222)
		w.session(sessionLeaves{protocol: "6", local: 22, consumer: gen.Routerd_SessionConsumer_discard})
	}},
	{name: "sessions that differ by a prefix", spoil: func(w world) {
		w.session(sessionLeaves{protocol: "tcp", local: 22, prefix: "192.0.2.0/24"})
		w.GetOrCreateSession("y").Config = &gen.Routerd_Session_Config{Protocol: ygot.String("tcp"), LocalPort: ygot.Uint16(22), RemotePrefix: ygot.String("192.0.2.0/25")}
	}},
	{name: "session with a prefix with host bits", rule: rulePrefixHostBits, path: sessionX + "/config/remote-prefix",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "tcp", local: 22, prefix: "192.0.2.1/24"}) }},
	{name: "session of a protocol that is none", rule: ruleBadValue, xpath: true, path: sessionX + "/config/protocol",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "256"}) }},
	{name: "session of an unknown class", rule: ruleSessionClass, path: sessionX + "/config/class",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "tcp"}).Class = ygot.String("gold") }},
	{name: "session of a declared class", spoil: func(w world) {
		w.GetOrCreateLocalClass("gold")
		w.session(sessionLeaves{protocol: "tcp"}).Class = ygot.String("gold")
	}},
	{name: "session in an unknown instance", rule: ruleSessionInstance, path: sessionX + "/config/instance",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "tcp"}).Instance = ygot.String("blue") }},
	{name: "session of an unknown unit", rule: ruleSessionInterface, path: sessionX + "/config/interface",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "tcp"}).Interface = ygot.String("ge7") }},
	{name: "session of an instance and a unit", spoil: func(w world) {
		c := w.session(sessionLeaves{protocol: "tcp"})
		c.Instance, c.Interface = ygot.String("red"), ygot.String("ge0.100.1")
	}},
	{name: "session with a port without a protocol", rule: ruleSessionPort, path: sessionX,
		spoil: func(w world) { w.session(sessionLeaves{local: 22}) }},
	{name: "session with a port of OSPF", rule: ruleSessionPort, path: sessionX,
		spoil: func(w world) { w.session(sessionLeaves{protocol: "ospf"}).RemotePort = ygot.Uint16(5) }},
	{name: "a default session whose port loses its protocol", rule: ruleSessionPort, path: "/session[name=ssh]",
		spoil: func(w world) { w.GetOrCreateSession("ssh").GetOrCreateConfig().Protocol = ygot.String("ospf") }},
	{name: "session with an icmp-type of TCP", rule: ruleSessionType, path: sessionX + "/config/icmp-type",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "tcp"}).IcmpType = ygot.Uint8(3) }},
	{name: "session with an icmp-type", spoil: func(w world) { w.session(sessionLeaves{protocol: "icmp"}).IcmpType = ygot.Uint8(3) }},
	{name: "session between families", rule: ruleSessionFamily, path: sessionX,
		spoil: func(w world) {
			w.session(sessionLeaves{prefix: "192.0.2.0/24"}).LocalPrefix = ygot.String("2001:db8::/32")
		}},
	{name: "session of ICMP over IPv6", rule: ruleSessionFamily, path: sessionX,
		spoil: func(w world) { w.session(sessionLeaves{protocol: "icmp", prefix: "2001:db8::/32"}) }},
	{name: "session for later fragments of a port", rule: ruleSessionFragment, path: sessionX,
		spoil: func(w world) { w.session(sessionLeaves{protocol: "udp", local: 500}).LaterFragments = ygot.Bool(true) }},
	{name: "session for later fragments of a protocol", spoil: func(w world) { w.session(sessionLeaves{protocol: "udp"}).LaterFragments = ygot.Bool(true) }},
	{name: "ARP for the host", rule: ruleSessionNeighbor, path: sessionX + "/config/consumer",
		spoil: func(w world) { w.session(sessionLeaves{protocol: "arp", prefix: "192.0.2.0/24"}) }},
	{name: "neighbour discovery rejected", rule: ruleSessionNeighbor, path: "/session[name=nd-neighbor-solicit]/config/consumer",
		spoil: func(w world) {
			w.GetOrCreateSession("nd-neighbor-solicit").GetOrCreateConfig().Consumer = gen.Routerd_SessionConsumer_reject
		}},
	{name: "ARP discarded", spoil: func(w world) {
		w.session(sessionLeaves{protocol: "arp", prefix: "192.0.2.0/24", consumer: gen.Routerd_SessionConsumer_discard})
	}},
	{name: "TCP for the router itself", rule: ruleSessionRouter, path: sessionX + "/config/consumer",
		spoil: func(w world) {
			w.session(sessionLeaves{protocol: "tcp", local: 7, consumer: gen.Routerd_SessionConsumer_router})
		}},
	{name: "a default class changed", spoil: func(w world) { w.GetOrCreateLocalClass("bgp").GetOrCreateConfig().Rate = ygot.Uint32(7) }},
	{name: "a class without a rate", rule: ruleBadValue, xpath: true, path: "/local-class[name=bgp]/config/rate",
		spoil: func(w world) { w.GetOrCreateLocalClass("bgp").GetOrCreateConfig().Rate = ygot.Uint32(0) }},
	{name: "too many classes", rule: ruleTooMany, path: "/local-class",
		spoil: func(w world) {
			for i := range maxClasses + 1 {
				w.GetOrCreateLocalClass(fmt.Sprintf("c%d", i))
			}
		}},
}

func TestRules(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			w := world{load(t, []byte(base))}
			compiled, errs := Compile(w.Device)
			if errs != nil {
				t.Fatalf("base: %v", errs)
			}
			before := AllObjects(w.Device)
			c.spoil(w)
			touched := append(before, AllObjects(w.Device)...)

			change, incremental := compiled.Update(w.Device, touched)
			_, full := Compile(w.Device)
			if c.rule == "" {
				for _, err := range full {
					t.Error(err)
				}
				if incremental != nil {
					t.Errorf("as a change: %v", incremental)
				}
				if err := compiled.Commit(change); err != nil {
					t.Error(err)
				}
				return
			}
			wantViolation(t, "as a change", incremental, c.rule, c.path)
			wantRule(t, "as a whole", full, c.rule)
		})
	}
}

func wantViolation(t *testing.T, how string, errs []PathError, rule, path string) {
	t.Helper()
	for _, e := range errs {
		if e.Rule == rule && e.Path == path {
			if !strings.Contains(e.Err.Error(), ":") {
				t.Errorf("%q names no cure", e.Err)
			}
			return
		}
	}
	t.Errorf("%s: got %v\nwant %s at %s", how, errs, rule, path)
}

func wantRule(t *testing.T, how string, errs []PathError, rule string) {
	t.Helper()
	if !rulesOf(errs)[rule] {
		t.Errorf("%s: got %v\nwant %s", how, errs, rule)
	}
}

// The musts of the model and the rules here say the same of all cases.
func TestRulesAgreeWithYanglint(t *testing.T) {
	messages := map[string]string{}
	for _, m := range tagAndMessage.FindAllStringSubmatch(yangText(t), -1) {
		messages[m[1]] = m[2]
	}
	dir := t.TempDir()
	for _, c := range allCases() {
		if c.rule != "" && !c.xpath {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := world{load(t, []byte(base))}
			c.spoil(w)
			w.complete()
			file := filepath.Join(dir, "case.json")
			if err := os.WriteFile(file, emit(t, w.Device), 0o600); err != nil {
				t.Fatal(err)
			}
			complaint, ok := yanglint(t, file)
			switch {
			case ok && c.rule != "":
				t.Errorf("yanglint accepts what breaks %s", c.rule)
			case !ok && c.rule == "":
				t.Errorf("yanglint: %s", complaint)
			case !ok && !strings.Contains(complaint, messages[c.rule]):
				t.Errorf("yanglint says %s\nwant %q", complaint, messages[c.rule])
			}
		})
	}
}

func TestEveryRuleIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range allCases() {
		tested[c.rule] = true
	}
	for _, r := range Rules() {
		if !tested[r] {
			t.Errorf("no case breaks %s", r)
		}
	}
}
