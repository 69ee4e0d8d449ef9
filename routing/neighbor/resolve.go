package neighbor

import (
	"time"

	"router/intf"
)

// Resolve asks for a neighbour that packet p is to go to. The packet comes back
// once, at once or later: in Deliver, Reject or Drop.
func (t *Table) Resolve(now time.Duration, key Key, p Packet) []Action {
	t.begin()
	if !isNeighbor(key.Addr) {
		t.drop(key, p, BadAddress)
		return t.out
	}
	u := t.units[key.IfIndex]
	if u == nil {
		t.drop(key, p, UnitDown)
		return t.out
	}
	e := u.entries[key.Addr]
	if e == nil || !e.static {
		if !u.params.up(intf.FamilyOf(key.Addr)) {
			t.drop(key, p, UnitDown)
			return t.out
		}
	}
	if e == nil {
		if why, ok := t.admit(now, u); !ok {
			t.drop(key, p, why)
			return t.out
		}
		e = t.add(now, u, key.Addr)
		e.proven = true
		t.solicit(now, u, e)
	}
	switch e.state {
	case Incomplete:
		t.enqueue(e, p)
	case Failed:
		t.reject(key, p)
	case Stale, Reachable, Delay, Probe, Permanent:
		// The dataplane did not know yet.
		t.use(now, u, e)
		t.emit(Action{Kind: Deliver, Key: key, MAC: e.mac, Packet: p})
	}
	return t.out
}

// admit decides whether a new destination may be asked for (RFC 6583, 4.2, 6.1).
func (t *Table) admit(now time.Duration, u *unit) (Reason, bool) {
	if t.entries >= t.limits.Entries {
		return EntryLimit, false
	}
	if u.unresolved >= t.limits.UnresolvedPerUnit || t.unresolved >= t.limits.Unresolved {
		return UnresolvedLimit, false
	}
	u.tokens = min(u.tokens+max(now-u.filled, 0).Seconds()*t.limits.UnitRate, t.limits.UnitBurst)
	u.filled = now
	if u.tokens < 1 {
		return RateLimit, false
	}
	u.tokens--
	return 0, true
}

func (t *Table) enqueue(e *entry, p Packet) {
	q := e.queue
	if q != nil && q.n >= t.limits.QueuePerNeighbor {
		// The newest are the likeliest to be of use still (RFC 4861, 7.2.2).
		oldest := q.packets[0]
		copy(q.packets[:], q.packets[1:q.n])
		q.packets[q.n-1] = p
		t.drop(e.key, oldest, QueueFull)
		return
	}
	if t.packets >= t.limits.Packets {
		t.drop(e.key, p, PacketLimit)
		return
	}
	if q == nil {
		q = new(queue)
		e.queue = q
	}
	q.packets[q.n] = p
	q.n++
	t.packets++
}

// find returns the entry of key, nil if there is none.
func (t *Table) find(key Key) (*unit, *entry) {
	u := t.units[key.IfIndex]
	if u == nil {
		return nil, nil
	}
	return u, u.entries[key.Addr]
}

// Use says that traffic was sent to the neighbour: one that is stale will be
// verified. The dataplane need call it only for stale entries.
func (t *Table) Use(now time.Duration, key Key) []Action {
	t.begin()
	if u, e := t.find(key); e != nil {
		t.use(now, u, e)
	}
	return t.out
}

func (t *Table) use(now time.Duration, u *unit, e *entry) {
	if e.state == Stale {
		t.delay(now, u, e)
	}
}

// Confirm says that an upper layer knows the neighbour to receive (RFC 4861,
// 7.3.1): a usable entry becomes reachable without being asked.
func (t *Table) Confirm(now time.Duration, key Key) []Action {
	t.begin()
	if u, e := t.find(key); e != nil && !e.static && e.state.Usable() {
		t.reachable(now, u, e, e.mac)
	}
	return t.out
}

// Hold says that a route uses the neighbour: it is asked for at once, verified
// without traffic, and asked for again with growing pauses when it fails. Holds
// are counted; each wants its Release. They may come before SetInterface.
func (t *Table) Hold(now time.Duration, key Key) []Action {
	t.begin()
	if !isNeighbor(key.Addr) {
		return t.out
	}
	u := t.unit(key.IfIndex)
	e := u.entries[key.Addr]
	fresh := e == nil
	if fresh {
		e = t.add(now, u, key.Addr)
		e.proven = true
	}
	e.holds++
	if e.static || e.holds > 1 {
		return t.out
	}
	if !u.params.up(intf.FamilyOf(key.Addr)) {
		t.timers.stop(&e.timer)
		t.set(u, e, Failed)
		return t.out
	}
	switch e.state {
	case Incomplete:
		if fresh {
			t.solicit(now, u, e)
		}
	case Failed:
		t.solicit(now, u, e)
	case Stale:
		t.delay(now, u, e)
	case Reachable, Delay, Probe, Permanent:
	}
	t.recount(u, e)
	return t.out
}

// Release takes one Hold back; the entry then lives as any other.
func (t *Table) Release(now time.Duration, key Key) []Action {
	t.begin()
	u, e := t.find(key)
	if e == nil || e.holds == 0 {
		return t.out
	}
	e.holds--
	if e.holds > 0 {
		return t.out
	}
	t.recount(u, e)
	if e.state == Failed {
		t.remove(u, e, EntryRemoved)
	}
	return t.out
}

// Forget takes what was learned of the neighbour away, as if it had never been heard
// of: one that is held is asked for at once. A static one stays.
func (t *Table) Forget(now time.Duration, key Key) []Action {
	t.begin()
	u, e := t.find(key)
	switch {
	case e == nil || e.static:
	case e.holds == 0:
		t.remove(u, e, EntryRemoved)
	case u.params.up(intf.FamilyOf(key.Addr)):
		t.dropQueue(e, EntryRemoved)
		t.timers.stop(&e.timer)
		e.retry = 0
		t.solicit(now, u, e)
	}
	return t.out
}

// SetStatic makes key a static neighbour, or changes its link-layer address. It
// is not asked for, and no message changes it. It may come before SetInterface.
func (t *Table) SetStatic(now time.Duration, key Key, mac intf.MAC) []Action {
	t.begin()
	if !isNeighbor(key.Addr) {
		return t.out
	}
	u := t.unit(key.IfIndex)
	e := u.entries[key.Addr]
	if e == nil {
		e = t.add(now, u, key.Addr)
	}
	if e.static && e.mac == mac {
		return t.out
	}
	t.timers.stop(&e.timer)
	e.static, e.mac, e.since = true, mac, now
	t.set(u, e, Permanent)
	t.deliverQueue(now, u, e)
	return t.out
}

// RemoveStatic ends a static neighbour. A held one is asked for from now on.
func (t *Table) RemoveStatic(now time.Duration, key Key) []Action {
	t.begin()
	u, e := t.find(key)
	if e == nil || !e.static {
		return t.out
	}
	e.static = false
	if e.holds == 0 {
		t.remove(u, e, EntryRemoved)
		return t.out
	}
	if u.params.up(intf.FamilyOf(key.Addr)) {
		t.solicit(now, u, e)
	} else {
		e.since = now
		t.set(u, e, Failed)
	}
	return t.out
}
