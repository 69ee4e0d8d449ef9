package neighbor

import (
	"net/netip"
	"time"

	"router/intf"
)

// Restore makes a neighbour known that a former run of the router had resolved.
// It is used at once, and verified within DelayTime and ReachableTime: at random
// in that time, so that thousands of them are not asked at once. A neighbour that
// is known by now, an address of ours, and one on a unit whose family is down
// stay as they are.
func (t *Table) Restore(now time.Duration, key Key, mac intf.MAC) []Action {
	t.begin()
	u := t.units[key.IfIndex]
	if u == nil || !isNeighbor(key.Addr) || mac.IsZero() || mac.IsMulticast() || u.own[key.Addr] != nil ||
		!u.params.up(intf.FamilyOf(key.Addr)) {
		return t.out
	}
	e := u.entries[key.Addr]
	switch {
	case e == nil:
		if t.entries >= t.limits.Entries {
			return t.out
		}
		e = t.add(now, u, key.Addr)
		e.proven = true
	case e.state.Usable():
		return t.out
	}
	e.mac, e.retry, e.since = mac, 0, now
	t.timers.arm(&e.timer, now+DelayTime+time.Duration(t.random()*float64(ReachableTime)))
	t.set(u, e, Delay)
	t.deliverQueue(now, u, e)
	return t.out
}

// Trust says that an address of ours was in use until a moment ago, by a former
// run of the router: it is used without being looked for, this once. It may come
// before SetInterface, by TrustTime at most: on a link that was down for longer
// somebody else may have the address by now. An address that is not there is
// nothing to trust.
func (t *Table) Trust(now time.Duration, index intf.Index, addr netip.Addr) []Action {
	t.begin()
	u := t.units[index]
	if u == nil || u.own[addr] == nil {
		return t.out
	}
	a := u.own[addr]
	if a.status != AddressTentative {
		return t.out
	}
	a.trusted, a.until = true, now+TrustTime
	if u.params.up(intf.FamilyOf(addr)) {
		t.startAddress(now, u, a)
	}
	return t.out
}
