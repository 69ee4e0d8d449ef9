package neighbor

import (
	"net/netip"
	"time"

	"router/intf"
)

// An entry is a neighbour. Its queue is not empty only while it is incomplete.
type entry struct {
	key     Key
	mac     intf.MAC // of a usable entry
	state   State
	static  bool
	router  bool
	proven  bool // not merely learned from a request of its own
	counted bool // in the counts of unresolved entries
	learned bool // in the unit's count of learned entries
	sent    uint8
	holds   uint32
	retry   time.Duration // last pause of a held entry that failed
	since   time.Duration
	timer   timer
	queue   *queue
}

// A queue is the packets that wait for one neighbour, oldest first.
type queue struct {
	packets [MaxQueue]Packet
	n       int
}

// isNeighbor reports whether an address can be that of a neighbour.
func isNeighbor(a netip.Addr) bool {
	return a.IsValid() && !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !a.Is4In6() && a.Zone() == "" &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// add makes an entry that is incomplete and has neither timer nor count yet.
func (t *Table) add(now time.Duration, u *unit, addr netip.Addr) *entry {
	e := &entry{key: Key{u.index, addr}, since: now}
	e.timer.entry = e
	u.entries[addr] = e
	t.entries++
	return e
}

// remove deletes an entry; what waits for it is dropped for the given reason.
func (t *Table) remove(u *unit, e *entry, why Reason) {
	t.dropQueue(e, why)
	t.timers.stop(&e.timer)
	delete(u.entries, e.key.Addr)
	t.entries--
	if e.counted {
		u.unresolved--
		t.unresolved--
	}
	if e.learned {
		u.learned--
	}
	t.emit(Action{Kind: Removed, Key: e.key})
}

// set changes an entry's state and says so; the caller has set its MAC.
func (t *Table) set(u *unit, e *entry, s State) {
	e.state = s
	if s == Reachable || s == Permanent {
		e.proven = true
	}
	t.recount(u, e)
	a := Action{Kind: Changed, Key: e.key, State: s}
	if s.Usable() {
		a.MAC = e.mac
	}
	t.emit(a)
}

// recount keeps the counts that limits apply to in step with the entry.
func (t *Table) recount(u *unit, e *entry) {
	if counts := e.state == Incomplete && e.holds == 0; counts != e.counted {
		e.counted = counts
		d := 1
		if !counts {
			d = -1
		}
		u.unresolved += d
		t.unresolved += d
	}
	if learned := e.state.Usable() && !e.proven && e.holds == 0; learned != e.learned {
		e.learned = learned
		if learned {
			u.learned++
		} else {
			u.learned--
		}
	}
}

// reachable enters REACHABLE with the given link-layer address: the neighbour is
// known to receive (RFC 4861, 7.3.3).
func (t *Table) reachable(now time.Duration, u *unit, e *entry, mac intf.MAC) {
	t.timers.arm(&e.timer, now+time.Duration((0.5+t.random())*float64(ReachableTime)))
	e.retry = 0
	if e.state != Reachable || e.mac != mac {
		e.mac, e.since = mac, now
		t.set(u, e, Reachable)
	}
	t.deliverQueue(now, u, e)
}

// stale enters STALE with the given link-layer address. A held entry is verified
// without waiting for traffic.
func (t *Table) stale(now time.Duration, u *unit, e *entry, mac intf.MAC) {
	e.mac = mac
	if e.holds > 0 {
		t.delay(now, u, e)
	} else {
		e.since = now
		t.timers.arm(&e.timer, now+StaleTime)
		t.set(u, e, Stale)
	}
	t.deliverQueue(now, u, e)
}

// delay enters DELAY: traffic uses the entry (RFC 4861, 7.3.3).
func (t *Table) delay(now time.Duration, u *unit, e *entry) {
	e.since = now
	t.timers.arm(&e.timer, now+DelayTime)
	t.set(u, e, Delay)
}

// solicit enters INCOMPLETE and asks everybody (RFC 4861, 7.2.2).
func (t *Table) solicit(now time.Duration, u *unit, e *entry) {
	e.sent, e.since = 1, now
	t.timers.arm(&e.timer, now+RetransTimer)
	t.set(u, e, Incomplete)
	t.sendSolicit(u, e)
}

// fail enters FAILED: nobody has answered.
func (t *Table) fail(now time.Duration, u *unit, e *entry) {
	e.since = now
	pause := FailedTime
	if e.holds > 0 {
		e.retry = min(max(2*e.retry, RetryMin), RetryMax)
		pause = e.retry
	}
	t.timers.arm(&e.timer, now+pause)
	t.set(u, e, Failed)
	t.eachQueued(e, func(p Packet) { t.reject(e.key, p) })
}

// entryTimer does what an entry's state demands when its time is over.
func (t *Table) entryTimer(now time.Duration, e *entry) {
	u := t.units[e.key.IfIndex]
	switch e.state {
	case Incomplete:
		if e.sent >= MulticastSolicits {
			t.fail(now, u, e)
			return
		}
		e.sent++
		t.timers.arm(&e.timer, now+RetransTimer)
		t.sendSolicit(u, e)
	case Reachable:
		t.stale(now, u, e, e.mac)
	case Stale:
		t.remove(u, e, EntryRemoved)
	case Delay:
		e.sent, e.since = 1, now
		t.timers.arm(&e.timer, now+RetransTimer)
		t.set(u, e, Probe)
		t.sendSolicit(u, e)
	case Probe:
		switch {
		case e.sent < UnicastSolicits:
			e.sent++
			t.timers.arm(&e.timer, now+RetransTimer)
			t.sendSolicit(u, e)
		case e.holds > 0:
			// It may have moved to another link-layer address: ask everybody.
			t.solicit(now, u, e)
		default:
			// The next packet makes a new entry and asks everybody (RFC 4861, 7.3.3).
			t.remove(u, e, EntryRemoved)
		}
	case Failed:
		if e.holds > 0 {
			t.solicit(now, u, e)
		} else {
			t.remove(u, e, EntryRemoved)
		}
	case Permanent:
		// Has no timer.
	}
}

// sendSolicit asks for an entry: everybody while it is incomplete, else the
// neighbour itself. Without an address to ask from, an IPv6 solicitation can't be
// sent (one from the unspecified address is a detection of duplicates); an ARP
// request then is a probe (RFC 5227, 1.1), which hosts answer.
func (t *Table) sendSolicit(u *unit, e *entry) {
	m := Message{IfIndex: u.index, Kind: ARPRequest, To: e.mac, Target: e.key.Addr, MAC: u.params.MAC}
	m.Src = u.source(e.key.Addr)
	if e.key.Addr.Is4() {
		if e.state == Incomplete {
			m.To = intf.Broadcast
		}
		if !m.Src.IsValid() {
			m.Src = netip.IPv4Unspecified()
		}
	} else {
		if !m.Src.IsValid() {
			return
		}
		m.Kind, m.Dst = NeighborSolicit, e.key.Addr
		if e.state == Incomplete {
			m.Dst = solicitedNode(e.key.Addr)
			m.To = groupMAC(m.Dst)
		}
	}
	t.emit(Action{Kind: Send, Key: e.key, Message: m})
}

// eachQueued empties an entry's queue.
func (t *Table) eachQueued(e *entry, f func(Packet)) {
	q := e.queue
	if q == nil {
		return
	}
	e.queue = nil
	t.packets -= q.n
	for _, p := range q.packets[:q.n] {
		f(p)
	}
}

// deliverQueue sends what waited for an entry that has become usable.
func (t *Table) deliverQueue(now time.Duration, u *unit, e *entry) {
	if e.queue == nil {
		return
	}
	t.eachQueued(e, func(p Packet) { t.emit(Action{Kind: Deliver, Key: e.key, MAC: e.mac, Packet: p}) })
	if e.state == Stale {
		// These packets are the traffic that uses the entry.
		t.delay(now, u, e)
	}
}

func (t *Table) dropQueue(e *entry, why Reason) {
	t.eachQueued(e, func(p Packet) { t.drop(e.key, p, why) })
}

func (t *Table) drop(key Key, p Packet, why Reason) {
	t.counters.Drops[why]++
	t.emit(Action{Kind: Drop, Key: key, Packet: p, Reason: why})
}

func (t *Table) reject(key Key, p Packet) {
	t.counters.Rejects++
	t.emit(Action{Kind: Reject, Key: key, Packet: p})
}
