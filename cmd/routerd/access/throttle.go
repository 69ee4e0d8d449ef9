package access

import (
	"net/netip"
	"sync"
	"time"
)

// A throttle slows guessing down. It counts failures by address, and by user
// and address together: who guesses a user's password from one place doesn't
// lock that user out of another. It is safe for concurrent use.
type throttle struct {
	mu    sync.Mutex
	count map[attempt]failures
}

// An attempt is what failures are counted by; without a user, all of an address.
type attempt struct {
	user string
	from netip.Addr
}

type failures struct {
	n     int
	until time.Time // no other is looked at before
	last  time.Time
}

const (
	freeByUser    = 5                // failures of a user from one address that cost nothing
	freeByAddress = 20               // and of an address, for any users
	firstWait     = time.Second      // after these; then twice as long with each
	longestWait   = 5 * time.Minute  // at most
	forgotten     = 15 * time.Minute // after the last one
	throttleSize  = 8192             // entries, of some 200 octets
)

func newThrottle() *throttle { return &throttle{count: map[attempt]failures{}} }

// keys are what an attempt is counted by. IPv6 addresses count by their /64,
// which one host may have for itself.
func keys(user string, from netip.Addr) [2]attempt {
	from = from.Unmap()
	if from.Is6() {
		if p, err := from.WithZone("").Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	if len(user) > longest {
		user = user[:longest]
	}
	return [2]attempt{{user: user, from: from}, {from: from}}
}

// wait is how long it is until another attempt is looked at.
func (t *throttle) wait(user string, from netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var longest time.Duration
	for _, k := range keys(user, from) {
		longest = max(longest, t.count[k].until.Sub(now))
	}
	return max(0, longest)
}

// fail counts an attempt that failed.
func (t *throttle) fail(user string, from netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.count) >= throttleSize {
		t.forget(now)
	}
	for i, k := range keys(user, from) {
		f := t.count[k]
		if now.Sub(f.last) > forgotten {
			f = failures{}
		}
		f.n++
		f.last = now
		free := freeByUser
		if i == 1 {
			free = freeByAddress
		}
		if over := f.n - free; over > 0 {
			wait := longestWait
			if over <= 8 { // 2^8 s is more than longestWait's half
				wait = min(longestWait, firstWait<<(over-1))
			}
			f.until = now.Add(wait)
		}
		t.count[k] = f
	}
}

// succeed forgets the failures of a user that has got in. Those of the address
// stay: they may be of guesses for others.
func (t *throttle) succeed(user string, from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.count, keys(user, from)[0])
}

// forget makes room: what is old goes, and when that is not enough, what is
// counted by user; then addresses alone still slow down who made it full. t.mu
// is held.
func (t *throttle) forget(now time.Time) {
	for k, f := range t.count {
		if now.Sub(f.last) > forgotten {
			delete(t.count, k)
		}
	}
	if len(t.count) < throttleSize/2 {
		return
	}
	for k := range t.count {
		if k.user != "" {
			delete(t.count, k)
		}
	}
	if len(t.count) >= throttleSize/2 {
		clear(t.count)
	}
}
