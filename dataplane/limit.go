package dataplane

import "time"

// A Rate is a policer's limit: packets a second on average, and how many may
// come at once after a pause. A zero PerSecond lets nothing pass.
type Rate struct {
	PerSecond, Burst uint32
}

// A bucket is a token bucket for one Rate. It counts in nanoseconds of credit,
// so that there is nothing to refill. The zero bucket is full. It belongs to
// one goroutine.
type bucket struct {
	full int64 // the instant, in the worker's clock, at which the bucket is full again
}

// take removes one token at the instant now, if there is one.
func (b *bucket) take(now int64, r Rate) bool {
	if r.PerSecond == 0 {
		return false
	}
	cost := int64(time.Second) / int64(r.PerSecond)
	at := max(b.full, now)
	if at-now > cost*(int64(r.Burst)-1) {
		return false
	}
	b.full = at + cost
	return true
}

// share is the part of one worker among n.
func (r Rate) share(n int) Rate {
	if r.PerSecond == 0 {
		return r
	}
	return Rate{max(1, r.PerSecond/uint32(n)), max(1, r.Burst/uint32(n))}
}
