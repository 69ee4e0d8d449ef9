package dataplane

import (
	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/intf"
)

// A refusal is the type and code of the ICMP error that says no.
type refusal struct{ typ, code uint8 }

// refusals are what kinds of rejection mean in each family; a TCP reset is for
// TCP, and what isn't TCP is told that the administrator forbids it.
var refusals = [...][2]refusal{
	filter.RejectProhibited: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeProhibited},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeProhibited},
	},
	filter.RejectNetwork: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeNet},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeNoRoute},
	},
	filter.RejectHost: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeHost},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeAddress},
	},
	filter.RejectProtocol: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeProtocol},
		intf.Inet6: {packet.ICMPv6ParameterError, packet.ICMPv6CodeUnknownNext},
	},
	filter.RejectPort: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodePort},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodePort},
	},
	filter.RejectNetProhibited: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeNetProhibited},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeProhibited},
	},
	filter.RejectHostProhibited: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeHostProhibited},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeProhibited},
	},
	filter.RejectPolicy: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeProhibited},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodePolicy},
	},
	filter.RejectRoute: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeProhibited},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeReject},
	},
	filter.RejectTCPReset: {
		intf.Inet:  {packet.ICMPv4Unreachable, packet.ICMPv4CodeProhibited},
		intf.Inet6: {packet.ICMPv6Unreachable, packet.ICMPv6CodeProhibited},
	},
}

// filterReject tells a packet's sender what kind says, as far as the rules and
// limits of ICMP errors allow. The packet itself stays the caller's.
func (w *worker) filterReject(p *pkt, kind filter.RejectKind) {
	if p.flags&(flagGroup|flagNoSource|flagReply) != 0 {
		return
	}
	var u packet.Upper
	if p.fam == intf.Inet {
		u = packet.IPv4(w.l3(p)).Upper()
	} else {
		u, _ = packet.IPv6(w.l3(p)).Upper()
	}
	if kind == filter.RejectTCPReset && u.Protocol == packet.ProtocolTCP {
		// The way back begins where the packet came in, wherever it was looked up.
		q, f := *p, &p.in.fam[p.fam]
		q.instance, q.table = f.instance, f.table
		w.reset(&q)
		return
	}
	r := refusals[kind][p.fam]
	rest := uint32(0)
	if p.fam == intf.Inet6 && r.typ == packet.ICMPv6ParameterError {
		rest = uint32(packet.IPv6(w.l3(p)).NextHeaderAt(u))
	}
	w.icmpError(p, r.typ, r.code, rest)
}
