package models

import (
	"fmt"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// sessionCases are about sessions, classes, and values that the types of leaves refuse.
var sessionCases = []ruleCase{
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
