package neighbor

import (
	"net/netip"
	"slices"
	"time"

	"router/intf"
)

// An AddressStatus is how far one of our addresses has come.
type AddressStatus uint8

// The statuses.
const (
	AddressTentative AddressStatus = iota // not in use: being looked for (RFC 4862, 5.4), or its family is down
	AddressPreferred                      // in use
	AddressDup                            // somebody else has it; never used
)

func (s AddressStatus) String() string {
	switch s {
	case AddressTentative:
		return "tentative"
	case AddressPreferred:
		return "preferred"
	case AddressDup:
		return "duplicate"
	}
	return "unknown"
}

// An ownAddress is an address of the router on a unit.
type ownAddress struct {
	unit     *unit
	prefix   netip.Prefix // host bits kept
	status   AddressStatus
	probes   uint8 // solicitations sent in search of a duplicate
	announce uint8 // announcements still to come
	rival    intf.MAC
	reported time.Duration // when a conflict was reported and defended against last
	conflict bool          // reported means something
	trusted  bool          // nobody else has it: see Trust
	until    time.Duration // trusted means something
	timer    timer
}

// An Address is an address of ours, for display.
type Address struct {
	Prefix netip.Prefix
	Status AddressStatus
	Rival  intf.MAC // the host that was seen to use it last; zero for none or unknown
}

// AddAddress gives the router an address on a unit; prefix keeps the host bits
// and says what is on the link. An IPv6 address is tentative until nobody
// objected (RFC 4862, 5.4); an IPv4 address is used and announced at once
// (RFC 5227, 2.3), and a conflict is reported. AddressOK says when it may be
// used. Adding what is there changes the length of the prefix only.
func (t *Table) AddAddress(now time.Duration, index intf.Index, prefix netip.Prefix) []Action {
	t.begin()
	if !isNeighbor(prefix.Addr()) {
		return t.out
	}
	u := t.unit(index)
	if a := u.own[prefix.Addr()]; a != nil {
		a.prefix = prefix
		return t.out
	}
	a := &ownAddress{unit: u, prefix: prefix}
	a.timer.own = a
	u.own[prefix.Addr()] = a
	u.order = append(u.order, a)
	if e := u.entries[prefix.Addr()]; e != nil && !e.static && e.holds == 0 {
		t.remove(u, e, EntryRemoved)
	}
	if u.params.up(intf.FamilyOf(prefix.Addr())) {
		t.startAddress(now, u, a)
	}
	return t.out
}

// RemoveAddress takes an address away. Removing what is absent does nothing.
func (t *Table) RemoveAddress(_ time.Duration, index intf.Index, addr netip.Addr) []Action {
	t.begin()
	u := t.units[index]
	if u == nil || u.own[addr] == nil {
		return t.out
	}
	a := u.own[addr]
	t.timers.stop(&a.timer)
	delete(u.own, addr)
	u.order = slices.DeleteFunc(u.order, func(o *ownAddress) bool { return o == a })
	return t.out
}

// Addresses returns the addresses of a unit in the order in which they were added.
func (t *Table) Addresses(index intf.Index) []Address {
	u := t.units[index]
	if u == nil {
		return nil
	}
	s := make([]Address, len(u.order))
	for i, a := range u.order {
		s[i] = Address{Prefix: a.prefix, Status: a.status, Rival: a.rival}
	}
	return s
}

// startAddress begins with an address whose family is up.
func (t *Table) startAddress(now time.Duration, u *unit, a *ownAddress) {
	a.probes, a.announce, a.rival, a.conflict = 0, 0, intf.MAC{}, false
	trusted := a.trusted && now <= a.until
	a.trusted = false
	if a.prefix.Addr().Is4() || trusted {
		t.addressOK(now, u, a)
		return
	}
	a.status = AddressTentative
	if pause := time.Duration(t.random() * float64(t.dadDelay)); pause > 0 {
		t.timers.arm(&a.timer, now+pause)
		return
	}
	t.addressTimer(now, a)
}

// addressTimer sends the next solicitation or announcement of an address.
func (t *Table) addressTimer(now time.Duration, a *ownAddress) {
	u := a.unit
	switch {
	case a.status == AddressTentative && a.probes < DADTransmits:
		a.probes++
		t.timers.arm(&a.timer, now+RetransTimer)
		target := a.prefix.Addr()
		group := solicitedNode(target)
		// From the unspecified address, hence without link-layer address (RFC 4861, 4.3).
		t.emit(Action{Kind: Send, Key: Key{u.index, target}, Message: Message{
			IfIndex: u.index, Kind: NeighborSolicit, To: groupMAC(group),
			Src: netip.IPv6Unspecified(), Dst: group, Target: target,
		}})
	case a.status == AddressTentative:
		t.addressOK(now, u, a)
	case a.status == AddressPreferred && a.announce > 0:
		t.announce(now, u, a, a.announce)
	}
}

func (t *Table) addressOK(now time.Duration, u *unit, a *ownAddress) {
	addr := a.prefix.Addr()
	first := !u.source(addr).IsValid()
	a.status = AddressPreferred
	t.emit(Action{Kind: AddressOK, Key: Key{u.index, addr}})
	t.announce(now, u, a, Announcements)
	if addr.Is4() || !first {
		return
	}
	// Until now there was no address to ask from.
	for _, e := range u.sorted() {
		if e.state == Incomplete && e.key.Addr.Is6() {
			e.sent = 1
			t.timers.arm(&e.timer, now+RetransTimer)
			t.sendSolicit(u, e)
		}
	}
}

// announce tells everybody on the link our link-layer address, n times in all
// (RFC 5227, 2.3; RFC 4861, 7.2.6).
func (t *Table) announce(now time.Duration, u *unit, a *ownAddress, n uint8) {
	addr := a.prefix.Addr()
	m := Message{IfIndex: u.index, Kind: ARPRequest, To: intf.Broadcast, Src: addr, Target: addr, MAC: u.params.MAC}
	if addr.Is6() {
		m.Kind, m.Dst, m.To = NeighborAdvert, allNodes, groupMAC(allNodes)
		m.Router, m.Override = true, true
	}
	t.emit(Action{Kind: Send, Key: Key{u.index, addr}, Message: m})
	a.announce = n - 1
	if a.announce > 0 {
		t.timers.arm(&a.timer, now+AnnounceInterval)
	} else {
		t.timers.stop(&a.timer)
	}
}

// duplicate ends the search for a duplicate: there is one.
func (t *Table) duplicate(u *unit, a *ownAddress, mac intf.MAC) {
	t.timers.stop(&a.timer)
	a.status, a.rival = AddressDup, mac
	t.emit(Action{Kind: AddressDuplicate, Key: Key{u.index, a.prefix.Addr()}, MAC: mac})
}

// conflict reports that the host mac uses an address of ours. An IPv4 address is
// defended by one announcement (RFC 5227, 2.4 (c)): a router's address does not
// give way. Both happen once in DefendInterval, so that two defenders don't
// flood the link.
func (t *Table) conflict(now time.Duration, u *unit, a *ownAddress, mac intf.MAC) {
	a.rival = mac
	if a.conflict && now-a.reported < DefendInterval {
		return
	}
	a.conflict, a.reported = true, now
	t.emit(Action{Kind: Conflict, Key: Key{u.index, a.prefix.Addr()}, MAC: mac})
	if a.prefix.Addr().Is4() {
		t.announce(now, u, a, max(a.announce, 1))
	}
}

// source chooses the address of ours to ask for addr from: one whose prefix holds
// addr, the longest; else for IPv6 a link-local one; else the first of the
// family. It is invalid if there is none in use.
func (u *unit) source(addr netip.Addr) netip.Addr {
	var best *ownAddress
	rank := -1
	for _, a := range u.order {
		own := a.prefix.Addr()
		if a.status != AddressPreferred || own.Is4() != addr.Is4() {
			continue
		}
		r := 0
		switch {
		case a.prefix.Contains(addr):
			r = 2 + a.prefix.Bits()
		case own.IsLinkLocalUnicast():
			r = 1
		}
		if r > rank {
			best, rank = a, r
		}
	}
	if best == nil {
		return netip.Addr{}
	}
	return best.prefix.Addr()
}

// onLink reports whether addr lies in the prefix of one of our addresses.
func (u *unit) onLink(addr netip.Addr) bool {
	for _, a := range u.order {
		if a.prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// allNodes is the group of all nodes on a link (RFC 4291, 2.7.1).
var allNodes = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 1})

// solicitedNode is the group in which an address is asked for (RFC 4291, 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// groupMAC is the Ethernet group that carries an IPv6 group (RFC 2464, 7).
func groupMAC(group netip.Addr) intf.MAC {
	b := group.As16()
	return intf.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}
