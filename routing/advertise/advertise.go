// Package advertise says when router advertisements are sent, for each unit
// (RFC 4861, 6.2), and compares what other routers on the link say with what we
// say.
//
// A [Table] has no socket and no clock: it takes readings of a monotonic clock
// and returns the [Send]s that are due. Equal inputs give equal outputs.
//
// Invariants: a unit that began to advertise says that it ceases, unless its link
// is gone; advertisements to all nodes are never closer than MinDelay, but for
// the one that says that the unit goes.
//
// Sources: RFC 4861, 6.2; RFC 4191; RFC 8106.
package advertise

import (
	"container/heap"
	"maps"
	"net/netip"
	"slices"
	"time"

	"router/intf"
)

// Constants of RFC 4861, 10.
const (
	InitialInterval = 16 * time.Second       // MAX_INITIAL_RTR_ADVERT_INTERVAL
	InitialCount    = 3                      // MAX_INITIAL_RTR_ADVERTISEMENTS
	FinalCount      = 3                      // MAX_FINAL_RTR_ADVERTISEMENTS
	MinDelay        = 3 * time.Second        // MIN_DELAY_BETWEEN_RAS
	ResponseDelay   = 500 * time.Millisecond // MAX_RA_DELAY_TIME
)

// ReportInterval is how often, at most, a new difference to another router's
// advertisements is reported for a unit: a storm of them must not fill the log.
const ReportInterval = 10 * time.Second

// An Interface is what a unit advertises.
type Interface struct {
	Source                   netip.Addr    // its link-local address
	MinInterval, MaxInterval time.Duration // between unsolicited advertisements
	Advert                   intf.Advert
}

func (i *Interface) equal(o *Interface) bool {
	return i.Source == o.Source && i.MinInterval == o.MinInterval && i.MaxInterval == o.MaxInterval && i.Advert.Equal(&o.Advert)
}

// A Send is an advertisement to be sent to all nodes on the link of a unit.
type Send struct {
	IfIndex intf.Index
	Source  netip.Addr
	Advert  intf.Advert
}

// Counters count for a unit, since it first advertised.
type Counters struct {
	Sent          uint64 // advertisements to all nodes
	Solicitations uint64 // received
	Adverts       uint64 // received of other routers
	Inconsistent  uint64 // of these, those that say other than we do
}

// A Table holds the units that advertise. It is for one goroutine. Times are
// readings of one monotonic clock. What its methods return is valid until the
// next call.
type Table struct {
	random func() float64
	units  map[intf.Index]*unit
	queue  queue
	out    []Send
}

// New makes an empty table. random returns numbers in [0, 1).
func New(random func() float64) *Table {
	return &Table{random: random, units: map[intf.Index]*unit{}}
}

// A phase is what a unit is about. The set is closed.
type phase uint8

const (
	silent      phase = iota // its link is down, or it has ceased
	advertising              // it advertises
	ceasing                  // it says that it ceases
)

type unit struct {
	index    intf.Index
	now      Interface
	phase    phase
	left     int // quick advertisements still to come, or in ceasing all
	due      time.Duration
	pos      int           // in the queue, counted from 1; 0 while silent
	sent     bool          // last means something
	last     time.Duration // when something was sent
	counters Counters
	differs  string        // what the last inconsistent advertisement said
	reported time.Duration // when that was reported
	told     bool          // reported means something
}

// Set has a unit advertise, or say something else. What is new is said three
// times, soon (RFC 4861, 6.2.4). Another source takes over from the old one,
// which is said to be no router any more (6.2.8).
func (t *Table) Set(now time.Duration, i intf.Index, want Interface) []Send {
	t.out = t.out[:0]
	u := t.units[i]
	if u == nil {
		u = &unit{index: i}
		t.units[i] = u
	}
	old := u.now
	if u.phase == advertising && old.equal(&want) {
		return t.out
	}
	u.now = want
	if u.phase == advertising && old.Source != want.Source {
		t.send(now, u, old.Source, old.Advert.Final())
	}
	u.phase, u.left = advertising, InitialCount
	t.arm(now, u, now)
	t.fire(now, u)
	return t.out
}

// Stop has a unit advertise no more, without a word: its link is gone.
func (t *Table) Stop(i intf.Index) {
	if u := t.units[i]; u != nil {
		t.silence(u)
	}
}

// Cease has a unit say that it is no router any more (RFC 4861, 6.2.5), and then
// be silent.
func (t *Table) Cease(now time.Duration, i intf.Index) []Send {
	t.out = t.out[:0]
	u := t.units[i]
	if u == nil || u.phase != advertising {
		return t.out
	}
	u.phase, u.left = ceasing, FinalCount
	t.arm(now, u, now)
	t.fire(now, u)
	return t.out
}

// Leave has a unit say at once that it is no router any more, if it advertised,
// and then be silent: there will be no other time.
func (t *Table) Leave(now time.Duration, i intf.Index) []Send {
	t.out = t.out[:0]
	if u := t.units[i]; u != nil && u.phase != silent {
		t.send(now, u, u.now.Source, u.now.Advert.Final())
		t.silence(u)
	}
	return t.out
}

// Remove forgets a unit, without a word.
func (t *Table) Remove(i intf.Index) {
	t.Stop(i)
	delete(t.units, i)
}

// Solicit takes a valid router solicitation. It is answered to all nodes within
// half a second, or later where MinDelay asks for it (RFC 4861, 6.2.6).
func (t *Table) Solicit(now time.Duration, i intf.Index) {
	u := t.units[i]
	if u == nil {
		return
	}
	u.counters.Solicitations++
	if u.phase != advertising {
		return
	}
	if at := t.earliest(u, now) + time.Duration(t.random()*float64(ResponseDelay)); at < u.due {
		t.arm(now, u, at)
	}
}

// Receive takes what the router from, on the link, advertised. report is how it
// differs from what we say (RFC 4861, 6.2.7), when that has not been reported
// lately; empty for nothing to report.
func (t *Table) Receive(now time.Duration, i intf.Index, from netip.Addr, theirs *intf.Advert) (report string) {
	u := t.units[i]
	if u == nil || u.phase != advertising {
		return ""
	}
	u.counters.Adverts++
	differs := Differences(&u.now.Advert, theirs)
	if differs == "" {
		return ""
	}
	u.counters.Inconsistent++
	differs = from.String() + ": " + differs
	if differs == u.differs || u.told && now-u.reported < ReportInterval {
		return ""
	}
	u.differs, u.reported, u.told = differs, now, true
	return differs
}

// Tick returns what is due.
func (t *Table) Tick(now time.Duration) []Send {
	t.out = t.out[:0]
	for len(t.queue) > 0 && t.queue[0].due <= now {
		t.fire(now, t.queue[0])
	}
	return t.out
}

// fire sends what is due of a unit, if it is.
func (t *Table) fire(now time.Duration, u *unit) {
	if u.due > now {
		return
	}
	switch u.phase {
	case silent:
	case advertising:
		t.send(now, u, u.now.Source, u.now.Advert)
		u.left = max(u.left-1, 0)
		t.arm(now, u, now+t.interval(u))
	case ceasing:
		t.send(now, u, u.now.Source, u.now.Advert.Final())
		if u.left--; u.left == 0 {
			t.silence(u)
			return
		}
		t.arm(now, u, now+MinDelay)
	}
}

// interval is the pause before the next unsolicited advertisement, random so
// that routers don't fall into step (RFC 4861, 6.2.4).
func (t *Table) interval(u *unit) time.Duration {
	pause := u.now.MinInterval + time.Duration(t.random()*float64(u.now.MaxInterval-u.now.MinInterval))
	if u.left > 0 {
		pause = min(pause, InitialInterval)
	}
	return pause
}

// arm sets when a unit is heard next: at due, but no sooner than it may.
func (t *Table) arm(now time.Duration, u *unit, due time.Duration) {
	u.due = max(due, t.earliest(u, now))
	if u.pos == 0 {
		heap.Push(&t.queue, u)
	} else {
		heap.Fix(&t.queue, u.pos-1)
	}
}

// silence ends what a unit says.
func (t *Table) silence(u *unit) {
	u.phase = silent
	if u.pos > 0 {
		heap.Remove(&t.queue, u.pos-1)
	}
}

// earliest is when the next advertisement to all nodes may be sent.
func (t *Table) earliest(u *unit, now time.Duration) time.Duration {
	if u.sent {
		return max(now, u.last+MinDelay)
	}
	return now
}

func (t *Table) send(now time.Duration, u *unit, source netip.Addr, a intf.Advert) {
	u.sent, u.last = true, now
	u.counters.Sent++
	t.out = append(t.out, Send{IfIndex: u.index, Source: source, Advert: a})
}

// Next is when Tick is wanted next; ok is false when nothing waits for a time.
func (t *Table) Next() (due time.Duration, ok bool) {
	if len(t.queue) == 0 {
		return 0, false
	}
	return t.queue[0].due, true
}

// Units lists the units that the table knows, sorted.
func (t *Table) Units() []intf.Index { return slices.Sorted(maps.Keys(t.units)) }

// State is what a unit has counted, and how another router's advertisements
// differed from ours when that was last reported, empty for not at all; ok is
// false for a unit that has never advertised.
func (t *Table) State(i intf.Index) (c Counters, differs string, ok bool) {
	u := t.units[i]
	if u == nil {
		return Counters{}, "", false
	}
	return u.counters, u.differs, true
}

// A queue is a heap of the units that are not silent, the next one first.
type queue []*unit

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	if q[i].due != q[j].due {
		return q[i].due < q[j].due
	}
	return q[i].index < q[j].index
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].pos, q[j].pos = i+1, j+1
}

// Push is for package heap.
func (q *queue) Push(x any) {
	u := x.(*unit)
	*q = append(*q, u)
	u.pos = len(*q)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	u := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	u.pos = 0
	return u
}
