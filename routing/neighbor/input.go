package neighbor

import (
	"net/netip"
	"time"

	"router/intf"
)

// Input takes a received message. Its form was validated before; a message from
// a unit whose family is down, or that we sent ourselves, is ignored.
func (t *Table) Input(now time.Duration, m Message) []Action {
	t.begin()
	u := t.units[m.IfIndex]
	if u == nil || !u.accepts(m) {
		t.counters.Ignored++
		return t.out
	}
	switch m.Kind {
	case ARPRequest, ARPReply:
		t.inputARP(now, u, m)
	case NeighborSolicit:
		t.inputSolicit(now, u, m)
	case NeighborAdvert:
		t.inputAdvert(now, u, m)
	case RouterSolicit:
		// A router learns hosts so (RFC 4861, 6.2.6).
		if isNeighbor(m.Src) {
			t.learn(now, u, m, false)
		}
	case RouterAdvert:
		// Hosts learn routers so (RFC 4861, 6.3.4); we only mark those we know.
		if e := u.entries[m.Src]; e != nil && !e.static {
			t.learn(now, u, m, true)
		}
	}
	return t.out
}

// accepts checks what would confuse the rest: family, and frames of our own that
// a loop in the link brought back (RFC 4862, 5.4.3 and appendix A; a host with
// our MAC goes unnoticed, and could not work on this link anyway).
func (u *unit) accepts(m Message) bool {
	mac := u.params.MAC
	if m.From == mac || m.MAC == mac || m.MAC.IsMulticast() {
		return false
	}
	switch m.Kind {
	case ARPRequest, ARPReply:
		return u.params.Inet && m.Src.Is4() && m.Target.Is4() && !m.MAC.IsZero()
	case NeighborSolicit, NeighborAdvert:
		return u.params.Inet6 && m.Src.Is6() && isNeighbor(m.Target) && m.Target.Is6()
	case RouterSolicit, RouterAdvert:
		return u.params.Inet6 && m.Src.Is6()
	}
	return false
}

// inputARP is RFC 826, "Packet Reception": merge, then answer. A reply that
// came to us alone counts as a solicited advertisement, anything else as an
// unsolicited one. A unit without address asks from 0.0.0.0 and is answered there.
func (t *Table) inputARP(now time.Duration, u *unit, m Message) {
	if a := u.own[m.Src]; a != nil {
		t.conflict(now, u, a, m.MAC)
		return
	}
	target := u.own[m.Target]
	if isNeighbor(m.Src) {
		e := u.entries[m.Src]
		switch {
		case e != nil && e.static:
		case e != nil && m.Kind == ARPReply && (target != nil || m.Target.IsUnspecified()) && !m.To.IsMulticast():
			t.reachable(now, u, e, m.MAC)
		case e != nil:
			t.merge(now, u, e, m.MAC)
		case m.Kind == ARPRequest && target != nil && m.Src != m.Target && u.onLink(m.Src):
			t.create(now, u, m.Src, m.MAC)
		}
	}
	// An IPv4 address is never tentative while its family is up.
	if m.Kind == ARPRequest && target != nil {
		t.emit(Action{Kind: Send, Key: Key{u.index, m.Src}, Message: Message{
			IfIndex: u.index, Kind: ARPReply, To: m.MAC, Src: m.Target, Target: m.Src, MAC: u.params.MAC,
		}})
	}
}

// inputSolicit is RFC 4861, 7.2.3 and 7.2.4, and RFC 4862, 5.4.3.
func (t *Table) inputSolicit(now time.Duration, u *unit, m Message) {
	a := u.own[m.Target]
	if a == nil {
		return
	}
	search := m.Src.IsUnspecified() // its sender wants to use the address
	switch a.status {
	case AddressTentative:
		if search {
			t.duplicate(u, a, m.From)
		}
		return
	case AddressDup:
		return
	case AddressPreferred:
	}
	reply := Message{
		IfIndex: u.index, Kind: NeighborAdvert, Src: m.Target, Target: m.Target, MAC: u.params.MAC,
		Router: true, Override: true,
	}
	if search {
		reply.Dst, reply.To = allNodes, groupMAC(allNodes)
	} else {
		if !isNeighbor(m.Src) || u.own[m.Src] != nil {
			return
		}
		reply.Dst, reply.Solicited = m.Src, true
		reply.To = t.learn(now, u, m, false)
		if reply.To.IsZero() {
			return
		}
	}
	t.emit(Action{Kind: Send, Key: Key{u.index, reply.Dst}, Message: reply})
}

// learn takes the source link-layer address of a solicitation or router
// advertisement (RFC 4861, 7.2.3, 6.2.6) and returns the address at which the
// sender can be answered, zero if there is none.
func (t *Table) learn(now time.Duration, u *unit, m Message, router bool) intf.MAC {
	e := u.entries[m.Src]
	if e != nil && router {
		e.router = true
	}
	switch {
	case e == nil && m.MAC.IsZero(), e != nil && m.MAC.IsZero() && !e.state.Usable():
		// Without the option the frame's own source is all there is.
		if m.From.IsMulticast() {
			return intf.MAC{}
		}
		return m.From
	case e == nil:
		if u.own[m.Src] == nil {
			t.create(now, u, m.Src, m.MAC)
		}
		return m.MAC
	case m.MAC.IsZero():
		return e.mac
	case !e.static:
		t.merge(now, u, e, m.MAC)
		return m.MAC
	}
	return e.mac
}

// merge takes a link-layer address that did not come as an answer to us: new or
// other, it is to be verified; the same again says nothing.
func (t *Table) merge(now time.Duration, u *unit, e *entry, mac intf.MAC) {
	if !e.state.Usable() || e.mac != mac {
		t.stale(now, u, e, mac)
	}
}

// create makes an entry for a host that asked for us.
func (t *Table) create(now time.Duration, u *unit, addr netip.Addr, mac intf.MAC) {
	if u.learned >= t.limits.LearnedPerUnit || t.entries >= t.limits.Entries {
		// It is asked for when a packet goes there.
		t.counters.Refused++
		return
	}
	t.stale(now, u, t.add(now, u, addr), mac)
}

// inputAdvert is RFC 4861, 7.2.5, and RFC 4862, 5.4.4.
func (t *Table) inputAdvert(now time.Duration, u *unit, m Message) {
	if a := u.own[m.Target]; a != nil {
		mac := m.MAC
		if mac.IsZero() {
			mac = m.From
		}
		switch a.status {
		case AddressTentative:
			t.duplicate(u, a, mac)
		case AddressPreferred:
			t.conflict(now, u, a, mac)
		case AddressDup:
			a.rival = mac
		}
		return
	}
	e := u.entries[m.Target]
	if e == nil || e.static {
		return
	}
	if !e.state.Usable() {
		if m.MAC.IsZero() {
			return
		}
		e.router = m.Router
		if m.Solicited {
			t.reachable(now, u, e, m.MAC)
		} else {
			t.stale(now, u, e, m.MAC)
		}
		return
	}
	mac := m.MAC
	if mac.IsZero() {
		mac = e.mac
	}
	if mac != e.mac && !m.Override {
		if e.state == Reachable {
			t.stale(now, u, e, e.mac)
		}
		return
	}
	e.router = m.Router
	switch {
	case m.Solicited:
		t.reachable(now, u, e, mac)
	case mac != e.mac:
		t.stale(now, u, e, mac)
	}
}
