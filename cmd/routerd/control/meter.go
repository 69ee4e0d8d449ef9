package control

import (
	"time"

	"router/models"
)

// measureEvery is the time over which rates are taken.
const measureEvery = 5 * time.Second

// A meter keeps what is shown beside the counters of a device or a unit: how fast
// they grow, and where they began anew. The counters themselves are the packet path's
// and never go back. The zero meter shows them as they are.
type meter struct {
	carried models.Counters   // of the former run
	base    *models.Counters  // when they were cleared; nil for never
	drops   map[string]uint64 // likewise
	cleared time.Time
	// When what is shown began anew last, drops apart, for they end with the process;
	// and when the packet path's own counters did.
	anew, dropsAnew, made time.Time

	seen  models.Counters // when rates were taken last
	at    time.Time       // of that; zero before
	rates models.Rates
}

// begin notes that the packet path's counters begin at zero.
func (m *meter) begin(now time.Time) {
	m.carried, m.base, m.drops = models.Counters{}, nil, nil
	m.anew, m.dropsAnew, m.made = now, now, now
}

// carry has the counters go on from where those of a former run were; anew is when these
// had begun.
func (m *meter) carry(c models.Counters, cleared, anew time.Time) {
	m.carried, m.cleared, m.anew = c, cleared, anew
}

// shown is what has been counted since the counters were cleared.
func (m *meter) shown(c models.Counters) models.Counters {
	c = plus(c, m.carried)
	if m.base == nil {
		return c
	}
	if c.InOctets < m.base.InOctets || c.OutOctets < m.base.OutOctets {
		// The device was opened anew, and its counters with it.
		m.base, m.drops = nil, nil
		return c
	}
	b := m.base
	return models.Counters{
		InOctets: c.InOctets - b.InOctets, OutOctets: c.OutOctets - b.OutOctets,
		InUnicast: less(c.InUnicast, b.InUnicast), InMulticast: less(c.InMulticast, b.InMulticast), InBroadcast: less(c.InBroadcast, b.InBroadcast),
		InDiscards: less(c.InDiscards, b.InDiscards), InErrors: less(c.InErrors, b.InErrors), InUnknownProtos: less(c.InUnknownProtos, b.InUnknownProtos),
		OutUnicast: less(c.OutUnicast, b.OutUnicast), OutMulticast: less(c.OutMulticast, b.OutMulticast), OutBroadcast: less(c.OutBroadcast, b.OutBroadcast),
		OutDiscards: less(c.OutDiscards, b.OutDiscards), OutErrors: less(c.OutErrors, b.OutErrors),
	}
}

// less is a-b, 0 where b is more.
func less(a, b uint64) uint64 { return a - min(a, b) }

// shownDrops takes what was dropped before the clearing away.
func (m *meter) shownDrops(drops map[string]uint64) {
	for reason, n := range m.drops {
		if left := less(drops[reason], n); left > 0 {
			drops[reason] = left
		} else {
			delete(drops, reason)
		}
	}
}

// clear begins anew at counters and drops as they are.
func (m *meter) clear(now time.Time, c models.Counters, drops map[string]uint64) {
	m.base, m.drops, m.cleared, m.carried = &c, drops, now, models.Counters{}
	m.anew, m.dropsAnew = now, now
}

// take takes the rates since the last time.
func (m *meter) take(now time.Time, c models.Counters) {
	packets := func(c models.Counters) (in, out uint64) {
		return c.InUnicast + c.InMulticast + c.InBroadcast, c.OutUnicast + c.OutMulticast + c.OutBroadcast
	}
	seconds := now.Sub(m.at).Seconds()
	switch {
	case m.at.IsZero() || seconds <= 0:
	case c.InOctets < m.seen.InOctets || c.OutOctets < m.seen.OutOctets:
		m.rates = models.Rates{}
	default:
		in, out := packets(c)
		wasIn, wasOut := packets(m.seen)
		per := func(now, then uint64, factor float64) uint64 {
			return uint64(float64(less(now, then))*factor/seconds + 0.5)
		}
		m.rates = models.Rates{Known: true,
			InBits: per(c.InOctets, m.seen.InOctets, 8), OutBits: per(c.OutOctets, m.seen.OutOctets, 8),
			InPackets: per(in, wasIn, 1), OutPackets: per(out, wasOut, 1)}
	}
	m.seen, m.at = c, now
}

// measure takes all rates when it is time, and returns how long it is until it is.
func (r *Router) measure(now time.Time) time.Duration {
	if wait := r.measured.Add(measureEvery).Sub(now); !r.measured.IsZero() && wait > 0 && wait <= measureEvery {
		return wait
	}
	r.measured = now
	r.keepCounts(false)
	for _, d := range r.devices {
		if d.open == nil {
			continue
		}
		if c, ok := r.engine.PortCounters(d.port); ok {
			d.meter.take(now, models.Counters(c))
		}
	}
	for _, u := range r.units {
		if c, ok := r.engine.UnitCounters(u.index); ok {
			u.meter.take(now, models.Counters(c))
		}
	}
	return measureEvery
}
