package control

import (
	"time"

	"router/models"
)

// This file has what the router does about the room in its forwarding tables: routes
// that have none wait, and are tried again as long as they do.

// A TablesConfig says how the memory of the forwarding tables was made.
type TablesConfig struct {
	// Most is how many octets they may take.
	Most int
	// FastPath says why no program in the kernel can read them, nil if they can.
	FastPath func() error
}

const (
	// roomEvery is how often waiting routes are tried again, and roomMost how many
	// at once: as many as take some tens of milliseconds.
	roomEvery = time.Second
	roomMost  = 20_000
	// rewriteEvery is how often it is tried to write all down again for the fast path.
	rewriteEvery = 10 * time.Second
)

// full is told that forwarding tables had no room for some routes.
func (r *Router) full(err error) {
	if r.crowded {
		return
	}
	r.crowded = true
	r.log.Warn("routes wait for room in the forwarding tables", "err", err)
	r.kick()
}

// makeRoom tries routes again that had no room, and what the fast path had none for. It
// returns the time until it wants to be called again.
func (r *Router) makeRoom(now time.Time) time.Duration {
	if !r.crowded && !r.engine.FastCrowded() {
		return time.Minute
	}
	if wait := r.retried.Add(roomEvery).Sub(now); wait > 0 && wait <= roomEvery {
		return wait
	}
	r.retried = now
	if err := r.vrfs.Retry(roomMost); err != nil {
		r.log.Error("routes are not tried again", "err", err)
	}
	if r.crowded && r.vrfs.Waiting() == 0 {
		r.crowded = false
		r.log.Info("all routes have room in the forwarding tables again")
	}
	// All is written down again then, so it has to be worth a try.
	if r.engine.FastCrowded() && !r.crowded && now.Sub(r.rewritten) >= rewriteEvery {
		r.rewritten = now
		r.engine.RetryFast()
		for _, d := range r.devices {
			r.joinFastPath(d)
		}
	}
	r.finish()
	return roomEvery
}

// tablesState adds what is known of the tables.
func (r *Router) tablesState(s *models.SystemState) {
	a := r.arena.Stats()
	s.FIBOctets, s.NextHops = a.Used, uint32(r.vrfs.NextHops())
	s.FIBLimit, s.RoutesWaiting = uint64(r.tables.Most), uint32(r.vrfs.Waiting())
	if f := r.tables.FastPath; f != nil {
		s.NoFastPath = text(f())
	}
}
