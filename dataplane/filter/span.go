package filter

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"router/intf"
)

// A point is a value of a field: an IPv6 address, or a number in lo.
type point struct{ hi, lo uint64 }

func (p point) less(q point) bool { return p.hi < q.hi || p.hi == q.hi && p.lo < q.lo }

func (p point) compare(q point) int {
	if c := cmp.Compare(p.hi, q.hi); c != 0 {
		return c
	}
	return cmp.Compare(p.lo, q.lo)
}

// next is the point after p; that of the last one is 0.
func (p point) next() point {
	if p.lo++; p.lo == 0 {
		p.hi++
	}
	return p
}

func (p point) prev() point {
	if p.lo == 0 {
		p.hi--
	}
	p.lo--
	return p
}

// A span is the points from lo to hi, both included. What a condition accepts is a
// list of spans: sorted, apart from each other, none next to another.
type span struct{ lo, hi point }

// number is a point of a numeric field.
func number(n uint64) point { return point{0, n} }

// merge sorts spans and joins those that overlap or touch.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.lo.compare(b.lo) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if end := last.hi.next(); end == (point{}) || !end.less(s.lo) {
				if last.hi.less(s.hi) {
					last.hi = s.hi
				}
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// complement is what a merged list leaves of the points up to last.
func complement(spans []span, last point) []span {
	var out []span
	at := point{}
	for _, s := range spans {
		if at.less(s.lo) {
			out = append(out, span{at, s.lo.prev()})
		}
		if s.hi == last {
			return out
		}
		at = s.hi.next()
	}
	return append(out, span{at, last})
}

// spans is what n accepts of the numbers up to last.
func (n Numbers) spans(last uint64) []span {
	out := make([]span, 0, len(n.Ranges))
	for _, r := range n.Ranges {
		out = append(out, span{number(uint64(r.Lo)), number(uint64(r.Hi))})
	}
	out = merge(out)
	if n.Except {
		out = complement(out, number(last))
	}
	return out
}

// An entry is a prefix of an address condition.
type entry struct {
	first, last point
	except      bool
}

// entryOf is a prefix's entry.
func entryOf(p netip.Prefix, except bool) entry {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		hosts := uint64(1)<<(32-p.Bits()) - 1
		first := uint64(binary.BigEndian.Uint32(a[:])) &^ hosts
		return entry{number(first), number(first | hosts), except}
	}
	a := p.Addr().As16()
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	// A shift by 64 or more leaves 0, so these are right for every length.
	hostsHi, hostsLo := ^uint64(0)>>p.Bits(), ^uint64(0)
	if p.Bits() > 64 {
		hostsLo >>= p.Bits() - 64
	}
	return entry{point{hi &^ hostsHi, lo &^ hostsLo}, point{hi | hostsHi, lo | hostsLo}, except}
}

// lastAddress is the highest address of a family.
func lastAddress(f intf.Family) point {
	switch f {
	case intf.Inet:
		return number(1<<32 - 1)
	case intf.Inet6:
	}
	return point{^uint64(0), ^uint64(0)}
}

// spans is what a accepts of a family's addresses.
func (a *Addresses) spans(f intf.Family) []span {
	var entries []entry
	add := func(prefixes []netip.Prefix, except bool) {
		entries = slices.Grow(entries, len(prefixes))
		for _, p := range prefixes {
			if intf.FamilyOf(p.Addr()) == f {
				entries = append(entries, entryOf(p, except))
			}
		}
	}
	add(a.Prefixes, false)
	add(a.Except, true)
	for _, l := range a.Lists {
		add(l.Prefixes, false)
	}
	for _, l := range a.ExceptLists {
		add(l.Prefixes, true)
	}
	if len(a.Prefixes)+len(a.Lists) == 0 {
		entries = append(entries, entry{point{}, lastAddress(f), false})
	}
	return longest(entries)
}

// longest is the spans in which the longest of all prefixes is no exception.
func longest(entries []entry) []span {
	// An outer prefix before those in it; of equal ones the exception is the inner.
	slices.SortFunc(entries, func(a, b entry) int {
		if c := a.first.compare(b.first); c != 0 {
			return c
		}
		if c := b.last.compare(a.last); c != 0 {
			return c
		}
		switch {
		case a.except == b.except:
			return 0
		case b.except:
			return -1
		}
		return 1
	})
	var (
		out  []span
		open []entry // each within the one before
		at   point   // up to here everything is said
		done bool    // up to the very last point
	)
	say := func(to point, except bool) {
		if done || to.less(at) {
			return
		}
		if n := len(out); !except && n > 0 && out[n-1].hi.next() == at {
			out[n-1].hi = to
		} else if !except {
			out = append(out, span{at, to})
		}
		at = to.next()
		done = at == point{}
	}
	for _, e := range entries {
		for len(open) > 0 && open[len(open)-1].last.less(e.first) {
			top := open[len(open)-1]
			say(top.last, top.except)
			open = open[:len(open)-1]
		}
		if len(open) > 0 && at.less(e.first) {
			say(e.first.prev(), open[len(open)-1].except)
		}
		if len(open) == 0 {
			at = e.first
		}
		open = append(open, e)
	}
	for n := len(open); n > 0; n-- {
		say(open[n-1].last, open[n-1].except)
	}
	return out
}
