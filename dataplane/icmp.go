package dataplane

import (
	"net/netip"

	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// reject answers a packet with the destination unreachable that code names. The
// packet itself stays the caller's.
func (w *worker) reject(p *pkt, code routing.RejectCode) {
	if p.flags&flagGroup != 0 || p.flags&flagNoSource != 0 {
		return
	}
	c, ok := code.ICMP(p.fam)
	if !ok {
		return
	}
	typ := uint8(packet.ICMPv4Unreachable)
	if p.fam == intf.Inet6 {
		typ = packet.ICMPv6Unreachable
	}
	w.icmpError(p, typ, c, 0)
}

// icmpError makes an ICMP error about a packet, if one may be sent at all and
// the rates allow it, and puts it with the replies. The packet, not yet changed,
// stays the caller's.
func (w *worker) icmpError(p *pkt, typ, code uint8, rest uint32) {
	w.icmpErrorFrom(p, typ, code, rest, netip.Addr{})
}

// icmpErrorFrom is icmpError with an address of ours to come from; the zero one
// leaves the choice to errorSource.
func (w *worker) icmpErrorFrom(p *pkt, typ, code uint8, rest uint32, src netip.Addr) {
	if p.flags&flagReply != 0 {
		return // nobody waits for it, and replies beget no replies
	}
	l3 := w.l3(p)
	group := p.flags&flagGroup != 0
	if p.fam == intf.Inet && !packet.MayAnswerICMPv4(l3, group) ||
		p.fam == intf.Inet6 && !packet.MayAnswerICMPv6(l3, typ, code, group) {
		return
	}
	if !src.IsValid() {
		src = w.errorSource(p)
	}
	if !src.IsValid() {
		return
	}
	now, c := w.instant(), &w.engine.config
	if !p.in.stats.blocks[w.id].icmp.take(now, c.ICMPUnit) || !w.icmp.take(now, c.ICMP) {
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
		r.n = uint16(packet.PutICMPv4Error(dst, typ, code, rest, src, w.ipID, l3))
		r.lo = uint64(packet.IPv4(dst).Dst32())
	} else {
		r.n = uint16(packet.PutICMPv6Error(dst, typ, code, rest, src, l3))
		r.hi, r.lo = packet.IPv6(dst).Dst64()
	}
	if w.trace != nil {
		w.trace.answered(&r, typ, code, rest, src)
	}
	w.reply(&r)
}

// reply puts a packet of our own that answers one of this batch with the replies.
func (w *worker) reply(r *pkt) {
	r.buf = port.Buf{Addr: r.at, Len: r.n}
	w.totals.pend[totalCreated]++
	if len(w.replies) == cap(w.replies) {
		w.drop(r, DropNoBuffer)
		return
	}
	w.replies = append(w.replies, *r)
}

// errorSource is the address that our ICMP errors about a packet come from: the
// primary one of the family where it came in (RFC 1812, 4.3.2.4), so that a
// traceroute shows that side of the router; else any of the instance.
func (w *worker) errorSource(p *pkt) netip.Addr {
	f := &p.in.spec.Families[p.fam]
	if f.Primary.IsValid() && !f.Primary.IsLinkLocalUnicast() {
		return f.Primary
	}
	if r := w.snap.instances.at(f.Instance); r != nil && r.source[p.fam].IsValid() {
		return r.source[p.fam]
	}
	if f.Primary.IsValid() {
		return f.Primary
	}
	if len(f.Locals) > 0 {
		return f.Locals[0]
	}
	return netip.Addr{}
}

// sendReplies sends the ICMP errors and resets of this batch as packets of our
// own. Nothing answers a reply, so there is nothing more afterwards.
func (w *worker) sendReplies() {
	for i := range w.replies {
		p := &w.replies[i]
		if w.trace != nil {
			w.trace.subject(TraceAnswer, 0)
		}
		if !w.filterOwn(p) {
			continue
		}
		if p.table == nil {
			w.drop(p, DropNoInstance)
			continue
		}
		w.act(p, w.lookup(p))
	}
	w.replies = w.replies[:0]
}
