package neighbor

import (
	"net/netip"
	"slices"
	"time"

	"router/intf"
)

// An Interface is what a Table needs to know of a unit.
type Interface struct {
	MAC         intf.MAC
	Inet, Inet6 bool // the family is up
}

func (i Interface) up(f intf.Family) bool {
	switch f {
	case intf.Inet:
		return i.Inet
	case intf.Inet6:
		return i.Inet6
	}
	return false
}

// Counters count since the table was made.
type Counters struct {
	Drops   [NumReasons]uint64 // packets, by reason
	Rejects uint64             // packets that were rejected
	Refused uint64             // hosts that were not learned because LearnedPerUnit or Entries was reached
	Ignored uint64             // messages from units that are down, of the wrong family, or our own come back
}

// A Table holds the neighbours and the router's own addresses of all units.
//
// It is for one goroutine. Times are readings of one monotonic clock, as a
// duration since any fixed moment, and don't go backwards. The slice of actions
// that a method returns is in the order in which they are to be done, and valid
// until the next call.
type Table struct {
	limits   Limits
	random   func() float64
	dadDelay time.Duration

	units      map[intf.Index]*unit
	timers     timers
	entries    int // all entries
	unresolved int // entries that count against Limits.Unresolved
	packets    int // packets that wait
	counters   Counters
	out        []Action
}

// Options are how a Table is made. The zero Limits mean DefaultLimits.
type Options struct {
	Limits Limits
	// Random returns a number in [0, 1), for the spread of RFC 4861, 6.3.2.
	Random func() float64
	// DADDelay is the upper bound of the random pause before duplicate address
	// detection (RFC 4862, 5.4.2: one second where many hosts start at once).
	DADDelay time.Duration
}

// New makes an empty table. o.Random is needed.
func New(o Options) *Table {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	o.Limits.QueuePerNeighbor = min(max(o.Limits.QueuePerNeighbor, 1), MaxQueue)
	return &Table{limits: o.Limits, random: o.Random, dadDelay: o.DADDelay, units: map[intf.Index]*unit{}}
}

// A unit is the table's view of an ifl. One that SetInterface has not named yet
// has no family up.
type unit struct {
	index   intf.Index
	params  Interface
	entries map[netip.Addr]*entry
	own     map[netip.Addr]*ownAddress
	order   []*ownAddress // in the order in which they were added

	unresolved int // entries that count against Limits.UnresolvedPerUnit
	learned    int // entries that count against Limits.LearnedPerUnit
	tokens     float64
	filled     time.Duration // when tokens was right
}

func (t *Table) unit(index intf.Index) *unit {
	u := t.units[index]
	if u == nil {
		u = &unit{
			index: index, entries: map[netip.Addr]*entry{}, own: map[netip.Addr]*ownAddress{},
			tokens: t.limits.UnitBurst,
		}
		t.units[index] = u
	}
	return u
}

// begin starts a call: the actions of the last one are forgotten.
func (t *Table) begin() {
	if cap(t.out) > 4*tickBatch {
		t.out = nil
	}
	clear(t.out)
	t.out = t.out[:0]
}

func (t *Table) emit(a Action) { t.out = append(t.out, a) }

// SetInterface adds a unit or changes it. A family that comes up starts the
// detection or announcement of its addresses and asks for its held neighbours;
// one that goes down loses its dynamic entries. A new MAC is announced.
func (t *Table) SetInterface(now time.Duration, index intf.Index, params Interface) []Action {
	t.begin()
	u := t.unit(index)
	old := u.params
	u.params = params
	for _, f := range intf.Families {
		was, is := old.up(f), params.up(f)
		switch {
		case was && !is:
			t.familyDown(now, u, f)
		case !was && is:
			t.familyUp(now, u, f)
		case is && old.MAC != params.MAC:
			for _, a := range u.order {
				if intf.FamilyOf(a.prefix.Addr()) == f && a.status == AddressPreferred {
					t.announce(now, u, a, Announcements)
				}
			}
		}
	}
	return t.out
}

// RemoveInterface forgets a unit with its entries, static and held ones
// included, and its addresses. Removing what is absent does nothing.
func (t *Table) RemoveInterface(_ time.Duration, index intf.Index) []Action {
	t.begin()
	u := t.units[index]
	if u == nil {
		return t.out
	}
	for _, e := range u.sorted() {
		t.remove(u, e, UnitDown)
	}
	for _, a := range u.order {
		t.timers.stop(&a.timer)
	}
	delete(t.units, index)
	return t.out
}

func (t *Table) familyDown(now time.Duration, u *unit, f intf.Family) {
	for _, e := range u.sorted() {
		if intf.FamilyOf(e.key.Addr) != f || e.static {
			continue
		}
		if e.holds == 0 {
			t.remove(u, e, UnitDown)
			continue
		}
		t.dropQueue(e, UnitDown)
		t.timers.stop(&e.timer)
		e.retry, e.since = 0, now
		t.set(u, e, Failed)
	}
	for _, a := range u.order {
		if intf.FamilyOf(a.prefix.Addr()) == f {
			t.timers.stop(&a.timer)
			a.status = AddressTentative
		}
	}
}

func (t *Table) familyUp(now time.Duration, u *unit, f intf.Family) {
	for _, a := range u.order {
		if intf.FamilyOf(a.prefix.Addr()) == f {
			t.startAddress(now, u, a)
		}
	}
	for _, e := range u.sorted() {
		if intf.FamilyOf(e.key.Addr) == f && e.state == Failed {
			t.solicit(now, u, e)
		}
	}
}

// Tick does what is due at now, at most a few thousand things; while Next says
// that more is due, it is to be called again.
func (t *Table) Tick(now time.Duration) []Action {
	t.begin()
	for range tickBatch {
		if len(t.timers) == 0 || t.timers[0].due > now {
			break
		}
		timer := t.timers[0]
		t.timers.stop(timer)
		if timer.entry != nil {
			t.entryTimer(now, timer.entry)
		} else {
			t.addressTimer(now, timer.own)
		}
	}
	return t.out
}

// Next is when Tick is wanted next; ok is false when nothing waits for a time.
func (t *Table) Next() (due time.Duration, ok bool) {
	if len(t.timers) == 0 {
		return 0, false
	}
	return t.timers[0].due, true
}

// Counters are the table's counters.
func (t *Table) Counters() Counters { return t.counters }

// An Entry is a neighbour, for display.
type Entry struct {
	Key    Key
	MAC    intf.MAC // zero unless the state is usable
	State  State
	Static bool
	Router bool          // it says that it is a router (IPv6)
	Held   bool          // a route uses it
	Since  time.Duration // when State or MAC changed last
}

func (e *entry) export() Entry {
	x := Entry{Key: e.key, State: e.state, Static: e.static, Router: e.router, Held: e.holds > 0, Since: e.since}
	if e.state.Usable() {
		x.MAC = e.mac
	}
	return x
}

// Lookup returns the entry of key.
func (t *Table) Lookup(key Key) (Entry, bool) {
	if u := t.units[key.IfIndex]; u != nil {
		if e := u.entries[key.Addr]; e != nil {
			return e.export(), true
		}
	}
	return Entry{}, false
}

// Entries returns the neighbours of a unit, ordered by address.
func (t *Table) Entries(index intf.Index) []Entry {
	u := t.units[index]
	if u == nil {
		return nil
	}
	s := make([]Entry, 0, len(u.entries))
	for _, e := range u.sorted() {
		s = append(s, e.export())
	}
	return s
}

// sorted makes the order of actions independent of that of a map.
func (u *unit) sorted() []*entry {
	s := make([]*entry, 0, len(u.entries))
	for _, e := range u.entries {
		s = append(s, e)
	}
	slices.SortFunc(s, func(a, b *entry) int { return a.key.Addr.Compare(b.key.Addr) })
	return s
}
