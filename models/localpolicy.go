package models

import (
	"router/dataplane/session"
	"router/intf"
)

// A ClassSpec is the intended state of a class of packets for the router itself.
// It is comparable.
type ClassSpec struct {
	Name        string
	Description string
	Rate        uint32 // packets a second
	Burst       uint32 // packets
	Configured  bool   // declared; else it is one of the default policy as it is
}

// A SessionSpec is the intended state of a session. It is comparable.
type SessionSpec struct {
	Name        string
	Description string
	Match       SessionMatch
	Consumer    session.Consumer
	Class       string
	Configured  bool // declared; else it is one of the default policy as it is
}

// A SessionMatch is session.Match with names for what has a number. The fields
// that Fields does not name are zero. It is comparable, and an index finds equal
// ones.
type SessionMatch struct {
	session.Match              // without Instance and IfIndex
	InstanceName  string       // with HasInstance
	Unit          intf.UnitKey // with HasIfIndex
}

// DefaultClass is the class of sessions that name none.
const DefaultClass = "default"

// What a class has that says nothing.
const (
	defaultRate  = 1000
	defaultBurst = 100
)

// defaultClasses protect the router: each gets its rate whatever the others do.
// The rates are generous, since what comes of them is the host's ordinary work;
// they keep junk of one kind from being all that the host has time for.
var defaultClasses = []ClassSpec{
	{Name: "arp", Rate: 5000, Burst: 512, Description: "ARP"},
	{Name: "nd", Rate: 5000, Burst: 512, Description: "IPv6 neighbour discovery"},
	{Name: "bgp", Rate: 50_000, Burst: 5000, Description: "BGP that others open"},
	{Name: "bgp-active", Rate: 50_000, Burst: 5000, Description: "BGP that we open; anybody can send from port 179"},
	{Name: "bfd", Rate: 20_000, Burst: 2000, Description: "failure detection"},
	{Name: "routing", Rate: 20_000, Burst: 2000, Description: "the other routing protocols"},
	{Name: "management", Rate: 50_000, Burst: 5000, Description: "ssh, gNMI, NETCONF, SNMP, DHCP"},
	{Name: "answers", Rate: 20_000, Burst: 2000, Description: "answers of DNS, NTP and LDP servers; anybody can send from their ports"},
	{Name: "icmp-echo", Rate: 20_000, Burst: 2000, Description: "echo requests"},
	{Name: "icmp", Rate: 5000, Burst: 500, Description: "all other ICMP"},
	{Name: "fragments", Rate: 5000, Burst: 500, Description: "later fragments, which have no ports"},
	{Name: DefaultClass, Rate: 500_000, Burst: 5000, Description: "everything else"},
}

const (
	protoICMP   = 1
	protoIGMP   = 2
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoOSPF   = 89
	protoPIM    = 103
	protoVRRP   = 112
)

func byProtocol(p session.Protocol) SessionMatch {
	return SessionMatch{Match: session.Match{Fields: session.HasProtocol, Protocol: p}}
}

func byLocalPort(p session.Protocol, port uint16) SessionMatch {
	return SessionMatch{Match: session.Match{Fields: session.HasProtocol | session.HasLocalPort, Protocol: p, LocalPort: port}}
}

func byRemotePort(p session.Protocol, port uint16) SessionMatch {
	return SessionMatch{Match: session.Match{Fields: session.HasProtocol | session.HasRemotePort, Protocol: p, RemotePort: port}}
}

// defaultSessions sort what comes into the default classes.
var defaultSessions = []SessionSpec{
	{Name: "arp", Match: byProtocol(session.ARP), Consumer: session.ToRouter, Class: "arp"},
	{Name: "nd-router-solicit", Match: byLocalPort(protoICMPv6, 133), Consumer: session.ToRouter, Class: "nd"},
	{Name: "nd-router-advert", Match: byLocalPort(protoICMPv6, 134), Consumer: session.ToRouter, Class: "nd"},
	{Name: "nd-neighbor-solicit", Match: byLocalPort(protoICMPv6, 135), Consumer: session.ToRouter, Class: "nd"},
	{Name: "nd-neighbor-advert", Match: byLocalPort(protoICMPv6, 136), Consumer: session.ToRouter, Class: "nd"},
	{Name: "nd-redirect", Match: byLocalPort(protoICMPv6, 137), Consumer: session.ToRouter, Class: "nd"},

	{Name: "bgp", Match: byLocalPort(protoTCP, 179), Class: "bgp"},
	{Name: "bgp-active", Match: byRemotePort(protoTCP, 179), Class: "bgp-active"},
	{Name: "bfd", Match: byLocalPort(protoUDP, 3784), Class: "bfd"},
	{Name: "bfd-echo", Match: byLocalPort(protoUDP, 3785), Class: "bfd"},
	{Name: "bfd-multihop", Match: byLocalPort(protoUDP, 4784), Class: "bfd"},
	{Name: "ospf", Match: byProtocol(protoOSPF), Class: "routing"},
	{Name: "rip", Match: byLocalPort(protoUDP, 520), Class: "routing"},
	{Name: "ripng", Match: byLocalPort(protoUDP, 521), Class: "routing"},
	{Name: "ldp", Match: byLocalPort(protoTCP, 646), Class: "routing"},
	{Name: "ldp-hello", Match: byLocalPort(protoUDP, 646), Class: "routing"},
	{Name: "ldp-active", Match: byRemotePort(protoTCP, 646), Class: "answers"},
	{Name: "pim", Match: byProtocol(protoPIM), Class: "routing"},
	{Name: "vrrp", Match: byProtocol(protoVRRP), Class: "routing"},
	{Name: "igmp", Match: byProtocol(protoIGMP), Class: "routing"},
	{Name: "mld-query", Match: byLocalPort(protoICMPv6, 130), Class: "routing"},
	{Name: "mld-report", Match: byLocalPort(protoICMPv6, 131), Class: "routing"},
	{Name: "mld-done", Match: byLocalPort(protoICMPv6, 132), Class: "routing"},
	{Name: "mld2-report", Match: byLocalPort(protoICMPv6, 143), Class: "routing"},

	{Name: "ssh", Match: byLocalPort(protoTCP, 22), Class: "management"},
	{Name: "gnmi", Match: byLocalPort(protoTCP, 9339), Class: "management"},
	{Name: "netconf", Match: byLocalPort(protoTCP, 830), Class: "management"},
	{Name: "snmp", Match: byLocalPort(protoUDP, 161), Class: "management"},
	{Name: "ntp", Match: byLocalPort(protoUDP, 123), Class: "management"},
	{Name: "dhcp-server", Match: byLocalPort(protoUDP, 67), Class: "management"},
	{Name: "dhcp-client", Match: byLocalPort(protoUDP, 68), Class: "management"},
	{Name: "dhcpv6-client", Match: byLocalPort(protoUDP, 546), Class: "management"},
	{Name: "dhcpv6-server", Match: byLocalPort(protoUDP, 547), Class: "management"},
	{Name: "ntp-answers", Match: byRemotePort(protoUDP, 123), Class: "answers"},
	{Name: "dns-answers", Match: byRemotePort(protoUDP, 53), Class: "answers"},
	{Name: "dns-tcp-answers", Match: byRemotePort(protoTCP, 53), Class: "answers"},

	{Name: "echo", Match: byLocalPort(protoICMP, 8), Consumer: session.ToRouter, Class: "icmp-echo"},
	{Name: "echo6", Match: byLocalPort(protoICMPv6, 128), Consumer: session.ToRouter, Class: "icmp-echo"},
	{Name: "icmp", Match: byProtocol(protoICMP), Class: "icmp"},
	{Name: "icmpv6", Match: byProtocol(protoICMPv6), Class: "icmp"},
	{Name: "fragments", Match: SessionMatch{Match: session.Match{Fragment: true}}, Class: "fragments"},
	{Name: "other", Class: DefaultClass},
}

// The default policy by name.
var (
	classByName   = byName(defaultClasses, func(s ClassSpec) string { return s.Name })
	sessionByName = byName(defaultSessions, func(s SessionSpec) string { return s.Name })
)

func byName[V any](list []V, name func(V) string) map[string]V {
	m := make(map[string]V, len(list))
	for _, v := range list {
		m[name(v)] = v
	}
	return m
}

// protocolNames are the protocols that have a name in the model, by number.
var protocolNames = map[session.Protocol]string{
	protoICMP: "icmp", protoIGMP: "igmp", protoTCP: "tcp", protoUDP: "udp", 33: "dccp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah",
	protoICMPv6: "icmpv6", 88: "eigrp", protoOSPF: "ospf", protoPIM: "pim", protoVRRP: "vrrp", 115: "l2tp", 132: "sctp", 136: "udplite",
	session.ARP: "arp",
}
