package gnoi

import (
	"fmt"

	"github.com/openconfig/gnoi/system"

	"router/dataplane"
	"router/dataplane/packet"
)

// An icmpMeaning is what an ICMP error says, in the words of ping and in the
// states of gNOI's Traceroute.
type icmpMeaning struct {
	words string
	state system.TracerouteResponse_State
}

const stateICMP = system.TracerouteResponse_ICMP

// The meanings of "destination unreachable" by code: RFC 792, 1122 and 1812 for
// ICMP, RFC 4443 (section 3.1) for ICMPv6.
var (
	unreachable4 = []icmpMeaning{
		{"Destination Net Unreachable", system.TracerouteResponse_NETWORK_UNREACHABLE},
		{"Destination Host Unreachable", system.TracerouteResponse_HOST_UNREACHABLE},
		{"Destination Protocol Unreachable", system.TracerouteResponse_PROTOCOL_UNREACHABLE},
		{"Destination Port Unreachable", stateICMP},
		{"Frag needed and DF set", system.TracerouteResponse_FRAGMENTATION_NEEDED},
		{"Source Route Failed", system.TracerouteResponse_SOURCE_ROUTE_FAILED},
		{"Destination Net Unknown", system.TracerouteResponse_NETWORK_UNREACHABLE},
		{"Destination Host Unknown", system.TracerouteResponse_HOST_UNREACHABLE},
		{"Source Host Isolated", stateICMP},
		{"Destination Net Prohibited", system.TracerouteResponse_PROHIBITED},
		{"Destination Host Prohibited", system.TracerouteResponse_PROHIBITED},
		{"Destination Net Unreachable for Type of Service", system.TracerouteResponse_NETWORK_UNREACHABLE},
		{"Destination Host Unreachable for Type of Service", system.TracerouteResponse_HOST_UNREACHABLE},
		{"Packet filtered", system.TracerouteResponse_PROHIBITED},
		{"Precedence Violation", system.TracerouteResponse_PRECEDENCE_VIOLATION},
		{"Precedence Cutoff", system.TracerouteResponse_PRECEDENCE_CUTOFF},
	}
	unreachable6 = []icmpMeaning{
		{"Destination unreachable: No route", system.TracerouteResponse_NETWORK_UNREACHABLE},
		{"Destination unreachable: Administratively prohibited", system.TracerouteResponse_PROHIBITED},
		{"Destination unreachable: Beyond scope of source address", stateICMP},
		{"Destination unreachable: Address unreachable", system.TracerouteResponse_HOST_UNREACHABLE},
		{"Destination unreachable: Port unreachable", stateICMP},
		{"Destination unreachable: Source address failed ingress/egress policy", system.TracerouteResponse_PROHIBITED},
		{"Destination unreachable: Reject route to destination", system.TracerouteResponse_PROHIBITED},
	}
)

// meaning is what the ICMP error a says.
func meaning(a *dataplane.ProbeAnswer) icmpMeaning {
	if a.From.Is4() {
		switch a.Type {
		case packet.ICMPv4Unreachable:
			if int(a.Code) < len(unreachable4) {
				m := unreachable4[a.Code]
				if a.Code == packet.ICMPv4CodeFragNeeded {
					m.words += fmt.Sprintf(" (mtu = %d)", a.MTU)
				}
				return m
			}
		case packet.ICMPv4TimeExceeded:
			if a.Code == packet.ICMPv4CodeTTL {
				return icmpMeaning{"Time to live exceeded", system.TracerouteResponse_DEFAULT}
			}
			return icmpMeaning{"Frag reassembly time exceeded", stateICMP}
		case packet.ICMPv4ParameterError:
			return icmpMeaning{"Parameter problem", stateICMP}
		case packet.ICMPv4Redirect:
			return icmpMeaning{"Redirect", stateICMP}
		case packet.ICMPv4SourceQuench:
			return icmpMeaning{"Source Quench", stateICMP}
		}
		return icmpMeaning{fmt.Sprintf("ICMP type %d code %d", a.Type, a.Code), stateICMP}
	}
	switch a.Type {
	case packet.ICMPv6Unreachable:
		if int(a.Code) < len(unreachable6) {
			return unreachable6[a.Code]
		}
	case packet.ICMPv6TooBig:
		return icmpMeaning{fmt.Sprintf("Packet too big: mtu=%d", a.MTU), system.TracerouteResponse_FRAGMENTATION_NEEDED}
	case packet.ICMPv6TimeExceeded:
		if a.Code == packet.ICMPv6CodeHopLimit {
			return icmpMeaning{"Time exceeded: Hop limit", system.TracerouteResponse_DEFAULT}
		}
		return icmpMeaning{"Time exceeded: Defragmentation failure", stateICMP}
	case packet.ICMPv6ParameterError:
		return icmpMeaning{"Parameter problem", stateICMP}
	}
	return icmpMeaning{fmt.Sprintf("ICMPv6 type %d code %d", a.Type, a.Code), stateICMP}
}

// advice reports whether an ICMP error only gives advice: the packet went on.
func advice(a *dataplane.ProbeAnswer) bool {
	return a.From.Is4() && (a.Type == packet.ICMPv4Redirect || a.Type == packet.ICMPv4SourceQuench)
}

// passing reports whether an answer comes from a router on the way.
func passing(a *dataplane.ProbeAnswer) bool {
	if !a.Error {
		return false
	}
	if a.From.Is4() {
		return a.Type == packet.ICMPv4TimeExceeded && a.Code == packet.ICMPv4CodeTTL
	}
	return a.Type == packet.ICMPv6TimeExceeded && a.Code == packet.ICMPv6CodeHopLimit
}

// portClosed reports whether an ICMP error says that nobody listens at a port.
func portClosed(a *dataplane.ProbeAnswer) bool {
	if a.From.Is4() {
		return a.Error && a.Type == packet.ICMPv4Unreachable && a.Code == packet.ICMPv4CodePort
	}
	return a.Error && a.Type == packet.ICMPv6Unreachable && a.Code == packet.ICMPv6CodePort
}
