package dataplane

import (
	"net/netip"

	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
)

// redirect tells the sender of a packet, which leaves by the unit it came in by,
// of the neighbour that it could have sent it to (RFC 1812, 5.2.7.2; RFC 4861,
// 8.2): if both are on one of the unit's networks, and not too often. The packet
// stays the caller's.
func (w *worker) redirect(p *pkt, rw *rewrite) {
	if p.flags&(flagOriginated|flagGroup|flagNoSource|flagOptions|flagSteered) != 0 {
		return // with options it may be source-routed
	}
	l3 := w.l3(p)
	target := rw.key.addr()
	var src netip.Addr // ours
	if p.fam == intf.Inet {
		if !packet.MayAnswerICMPv4(l3, false) {
			return
		}
		src = p.in.fam[intf.Inet].shares(packet.IPv4(l3).Src(), target)
	} else {
		// The target is named by its link-local address, or is the destination.
		from := packet.IPv6(l3).Src()
		onLink := from.IsLinkLocalUnicast() || p.in.fam[intf.Inet6].shares(from, from).IsValid()
		if !onLink || !target.IsLinkLocalUnicast() && target != packet.IPv6(l3).Dst() ||
			!packet.MayAnswerICMPv6(l3, packet.ICMPv6Redirect, 0, false) {
			return
		}
		src = p.in.linkLocal()
	}
	if !src.IsValid() {
		return
	}
	now, c := w.instant(), &w.engine.config
	if !p.in.stats.blocks[w.id].redirect.take(now, c.Redirect) {
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
		w.ipID++
		r.n = uint16(packet.PutICMPv4Error(dst, packet.ICMPv4Redirect, packet.ICMPv4CodeRedirectHost, addr4(target), src, w.ipID, l3))
		r.lo = uint64(packet.IPv4(dst).Dst32())
	} else {
		r.n = uint16(packet.PutRedirectv6(dst, src, target, intf.MAC(rw.header[:6]), l3))
		r.hi, r.lo = packet.IPv6(dst).Dst64()
	}
	r.buf = port.Buf{Addr: r.at, Len: r.n}
	w.totals.pend[totalCreated]++
	if len(w.replies) == cap(w.replies) {
		w.drop(&r, DropNoBuffer)
		return
	}
	if w.trace != nil {
		w.trace.add(TraceStep{Kind: TraceRedirect, Addr: target, IfIndex: p.in.index})
	}
	w.replies = append(w.replies, r)
}

// returns reports whether a packet leaves by the unit that it came in by, and its
// sender may be told so.
func (w *worker) returns(p *pkt, rw *rewrite) bool {
	return rw.key.ifindex == p.in.index && len(p.in.fam[p.fam].redirects) > 0
}

// shares is our address in the network that holds both a and b, the zero one
// where there is none: the address that a host there knows the router by.
func (f *family) shares(a, b netip.Addr) netip.Addr {
	for _, p := range f.redirects {
		if p.Contains(a) && p.Contains(b) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// linkLocal is the unit's link-local IPv6 address, the zero one while it has none.
func (u *unit) linkLocal() netip.Addr {
	for _, a := range u.spec.Families[intf.Inet6].Locals {
		if a.IsLinkLocalUnicast() {
			return a
		}
	}
	return netip.Addr{}
}
