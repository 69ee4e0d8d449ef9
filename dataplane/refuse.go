package dataplane

import (
	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/port"
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
		intf.Inet6: {packet.ICMPv6ParameterError, packet.ICMPv6CodeNextHeader},
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

// refuse tells a packet's sender what kind says, as far as the rules and limits
// of ICMP errors allow. The packet itself stays the caller's.
func (w *worker) refuse(p *pkt, kind filter.RejectKind) {
	if p.flags&(flagGroup|flagNoSource) != 0 {
		return
	}
	protocol, field := w.upperProtocol(p)
	if kind == filter.RejectTCPReset && protocol == packet.ProtocolTCP {
		w.reset(p)
		return
	}
	r := refusals[kind][p.fam]
	rest := uint32(0)
	if p.fam == intf.Inet6 && r.typ == packet.ICMPv6ParameterError {
		rest = uint32(field)
	}
	w.icmpError(p, r.typ, r.code, rest)
}

// upperProtocol is the protocol behind a packet's last header, and for IPv6 the
// offset of the field that announces it.
func (w *worker) upperProtocol(p *pkt) (protocol uint8, field int) {
	if p.fam == intf.Inet {
		return packet.IPv4(w.l3(p)).Protocol(), 0
	}
	h := packet.IPv6(w.l3(p))
	u, _ := h.Upper()
	return u.Protocol, h.NextHeaderField(u.Offset)
}

// reset answers a TCP segment with a reset, under the limits of ICMP errors: both
// are traffic that strangers make us send. The packet stays the caller's.
func (w *worker) reset(p *pkt) {
	if p.flags&(flagGroup|flagNoSource|flagReply) != 0 {
		return
	}
	chunk, ok := w.pool.Get()
	if !ok {
		return
	}
	f := &p.in.fam[p.fam]
	r := pkt{at: chunk + port.Headroom, fam: p.fam, flags: flagOriginated | flagReply, in: p.in, instance: f.instance, table: f.table}
	dst := w.mem[r.at : chunk+port.ChunkSize]
	if p.fam == intf.Inet {
		r.n = uint16(packet.PutReset4(dst, w.l3(p)))
	} else {
		r.n = uint16(packet.PutReset6(dst, w.l3(p)))
	}
	now, c := w.instant(), &w.engine.config
	if r.n == 0 || !p.in.stats.blocks[w.id].icmp.take(now, c.ICMPUnit) || !w.icmp.take(now, c.ICMP) {
		w.pool.Put(chunk)
		return
	}
	if p.fam == intf.Inet {
		r.lo = uint64(packet.IPv4(dst).Dst32())
	} else {
		r.hi, r.lo = packet.IPv6(dst).Dst64()
	}
	w.reply(&r)
}
