package dataplane

import (
	"time"

	"router/dataplane/packet"
	"router/intf"
	"router/routing"
)

// mayPass reads the IPv4 options of a packet that is to be forwarded or refused.
// It reports false when they end the packet's way: malformed ones are answered
// with a parameter problem (RFC 1812, 4.3.3.5), source routes are not followed
// (RFC 7126, 4.3 and 4.4). What is for the router itself is the host's to check.
func (w *worker) mayPass(p *pkt) bool {
	if p.fam != intf.Inet || p.flags&flagOriginated != 0 {
		return true
	}
	set, bad := packet.CheckIPv4Options(w.l3(p))
	switch {
	case bad != 0:
		w.icmpError(p, packet.ICMPv4ParameterError, 0, uint32(bad)<<24)
		w.drop(p, Reason(packet.FaultOption))
		return false
	case set&packet.OptionSourceRoute != 0:
		w.drop(p, DropSourceRoute)
		return false
	}
	return true
}

// stamp lets a packet that leaves by unit u take along what its IPv4 options
// ask for: the router's address there, the time. The packet has passed mayPass.
func (w *worker) stamp(p *pkt, u *unit) {
	if p.fam != intf.Inet || p.flags&flagOriginated != 0 {
		return
	}
	h := packet.IPv4(w.l3(p))
	if set, bad := packet.CheckIPv4Options(h); bad != 0 || set&packet.OptionStamp == 0 {
		return
	}
	named := false
	if a, ok := packet.PrespecifiedIPv4(h); ok && p.table != nil {
		nh := w.engine.nexthops.at(p.table.Lookup4(a))
		named = nh != nil && nh.kind == routing.Receive && a < 224<<24
	}
	packet.StampIPv4Options(h, w.addressOf(u), w.millis(), named)
}

// addressOf is the IPv4 address that a packet leaving by unit u bears witness of:
// that of the unit, else one of its instance.
func (w *worker) addressOf(u *unit) uint32 {
	f := &u.spec.Families[intf.Inet]
	if f.Primary.Is4() {
		return addr4(f.Primary)
	}
	if r := w.snap.instances.at(f.Instance); r != nil && r.source[intf.Inet].Is4() {
		return addr4(r.source[intf.Inet])
	}
	return 0
}

// millis is the time of day in milliseconds since midnight UT (RFC 791, 3.1).
func (w *worker) millis() uint32 {
	now := w.base.Add(time.Duration(w.instant())).UnixMilli()
	return uint32(now % (24 * time.Hour).Milliseconds())
}

// mayHop reads the hop-by-hop options of a packet that came in and that neither
// its source nor a filter has ended (RFC 8200, 4.3), wherever it is to go. It
// reports false when they end its way.
func (w *worker) mayHop(p *pkt) bool {
	if p.hi>>48 == 0xff00 || p.hi>>48 == 0xff01 || p.hi == 0 && p.lo == 1 {
		// Destinations that never appear on a link (RFC 4291, 2.5.3 and 2.7): the
		// route table drops them, and nobody is told anything.
		return true
	}
	ip := packet.IPv6(w.l3(p))
	verdict, pointer := packet.CheckHopByHop(ip)
	if verdict == packet.OptionsUnknown && p.flags&flagGroup != 0 && !packet.ReportsToGroups(ip[pointer]) {
		verdict = packet.OptionsRefused
	}
	reason := Reason(packet.FaultOption)
	switch verdict {
	case packet.OptionsPass:
		return true
	case packet.OptionsMalformed:
	case packet.OptionsRefused:
		reason = DropUnknownOption
	case packet.OptionsUnknown:
		w.icmpError(p, packet.ICMPv6ParameterError, packet.ICMPv6CodeUnknownOption, uint32(pointer))
		reason = DropUnknownOption
	case packet.OptionsField:
		w.icmpError(p, packet.ICMPv6ParameterError, packet.ICMPv6CodeField, uint32(pointer))
	}
	w.drop(p, reason)
	return false
}
