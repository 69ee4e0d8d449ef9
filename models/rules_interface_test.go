package models

import (
	"fmt"
	"strings"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// interfaceCases are about devices, units, addresses, neighbours and what is advertised.
var interfaceCases = []ruleCase{
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
}
