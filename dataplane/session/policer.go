package session

import (
	"sync/atomic"
	"time"
)

// A Rate is a policer's limit: packets a second on average, and how many may
// come at once after a pause. A zero PerSecond lets nothing pass.
type Rate struct {
	PerSecond, Burst uint32
}

// A Policer is a token bucket that any number of workers share. It counts in
// nanoseconds of credit, so that there is nothing to refill, and a packet that is
// refused writes nothing: a flood costs the workers no cache line. What all of them
// together let pass within any time t is at most Burst + t x PerSecond. The zero
// Policer lets nothing pass.
type Policer struct {
	cost, depth atomic.Int64 // nanoseconds a packet, and of a full bucket
	_           [48]byte
	full        atomic.Int64 // the instant at which the bucket is full again
	_           [56]byte
}

// SetRate changes the limit. It may be called at any time.
func (p *Policer) SetRate(r Rate) {
	if r.PerSecond == 0 || r.Burst == 0 {
		p.depth.Store(-1)
		return
	}
	cost := max(1, int64(time.Second)/int64(r.PerSecond))
	p.cost.Store(cost)
	p.depth.Store(cost * (int64(r.Burst) - 1))
}

// Conforms reports whether Take would let a packet pass at the instant now. It
// takes nothing.
func (p *Policer) Conforms(now int64) bool {
	cost, depth := p.cost.Load(), p.depth.Load()
	return (cost != 0 || depth != 0) && max(p.full.Load(), now)-now <= depth
}

// Take lets one packet pass at the instant now, in nanoseconds of a clock that
// all callers share, if the limit allows it.
func (p *Policer) Take(now int64) bool {
	cost, depth := p.cost.Load(), p.depth.Load()
	if cost == 0 && depth == 0 {
		return false
	}
	for {
		full := p.full.Load()
		at := max(full, now)
		if at-now > depth {
			return false
		}
		if p.full.CompareAndSwap(full, at+cost) {
			return true
		}
	}
}
