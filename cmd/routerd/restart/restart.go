// Package restart keeps the one restart of routerd that may be asked for at a
// time. It is durable: a restart that is still to come when the daemon is killed,
// or the machine goes down, comes at its time all the same; one whose time has
// passed meanwhile has happened, since routerd was started anew.
package restart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// file holds the record, in the state directory.
const file = "restart.json"

// MaxDelay bounds how far ahead a restart may be.
const MaxDelay = 366 * 24 * time.Hour

// Errors of Ask and Cancel.
var (
	ErrPending = errors.New("a restart is pending")
	ErrNone    = errors.New("no restart is pending")
)

// An Order is a restart that was asked for.
type Order struct {
	When   time.Time `json:"when"`
	Method string    `json:"method"` // in the words of who asked
	Reason string    `json:"reason,omitempty"`
	User   string    `json:"user,omitempty"`
}

// A record is what the file holds.
type record struct {
	Pending *Order `json:"pending,omitempty"`
	Last    *Order `json:"last,omitempty"` // that has happened
	Count   uint32 `json:"count"`          // that have happened
}

// Status says what is to come, and what was last.
type Status struct {
	Pending *Order // nil for none
	Last    *Order // nil for none
	Count   uint32 // restarts that were asked for and have happened
}

// A Keeper keeps restarts. Its methods may be called from any goroutine.
type Keeper struct {
	dir  string
	log  *slog.Logger
	now  func() time.Time
	wake chan struct{}
	due  chan Order

	mu  sync.Mutex
	rec record
}

// Open reads what is kept in dir. A record that can't be read is worth a warning,
// and no more: the router must start.
func Open(dir string, now func() time.Time, log *slog.Logger) *Keeper {
	k := &Keeper{dir: dir, log: log, now: now, wake: make(chan struct{}, 1), due: make(chan Order, 1)}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err == nil {
		err = json.Unmarshal(text, &k.rec)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("restarts that were asked for are forgotten", "err", err)
		k.rec = record{}
	}
	if p := k.rec.Pending; p != nil && !p.When.After(now()) {
		k.happened()
		if err := k.save(); err != nil {
			log.Warn("cannot note that the restart has happened", "err", err)
		}
	}
	return k
}

// happened moves the pending order to the past. The caller holds mu, or nobody
// else has k yet.
func (k *Keeper) happened() {
	k.rec.Last, k.rec.Pending = k.rec.Pending, nil
	k.rec.Count++
}

// save writes the record. The caller holds mu.
func (k *Keeper) save() error {
	text, err := json.Marshal(k.rec)
	if err != nil {
		return err
	}
	path := filepath.Join(k.dir, file)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("note the restart: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		var d *os.File
		if d, err = os.Open(k.dir); err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("note the restart: %w", err)
	}
	return nil
}

// Ask orders a restart after a delay. When it returns without an error the order
// is on disk. ErrPending says that there is one already.
func (k *Keeper) Ask(delay time.Duration, method, reason, user string) error {
	if delay < 0 || delay > MaxDelay {
		return fmt.Errorf("a delay of %v: want up to %v", delay, MaxDelay)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.rec.Pending; p != nil {
		return fmt.Errorf("%w at %s: cancel it first", ErrPending, p.When.UTC().Format(time.RFC3339))
	}
	// By the wall clock: it is to hold over a restart of the machine.
	k.rec.Pending = &Order{When: k.now().Add(delay).Round(0), Method: method, Reason: reason, User: user}
	if err := k.save(); err != nil {
		k.rec.Pending = nil
		return err
	}
	k.log.Warn("a restart has been asked for", "when", k.rec.Pending.When, "method", method, "reason", reason, "user", user)
	k.ring()
	return nil
}

// Cancel takes the order back. ErrNone says that there is none.
func (k *Keeper) Cancel(reason, user string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.rec.Pending
	if p == nil {
		return ErrNone
	}
	k.rec.Pending = nil
	if err := k.save(); err != nil {
		k.rec.Pending = p
		return err
	}
	k.log.Warn("the restart has been cancelled", "reason", reason, "user", user)
	k.ring()
	return nil
}

func (k *Keeper) ring() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Status says how things stand.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Count: k.rec.Count}
	if p := k.rec.Pending; p != nil {
		o := *p
		s.Pending = &o
	}
	if l := k.rec.Last; l != nil {
		o := *l
		s.Last = &o
	}
	return s
}

// Due gets the order whose time has come. It is for the one who restarts.
func (k *Keeper) Due() <-chan Order { return k.due }

// longest is how long Run sleeps at most: the wall clock may be set meanwhile.
const longest = time.Minute

// Run watches the clock until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		k.mu.Lock()
		wait := time.Duration(-1)
		if p := k.rec.Pending; p != nil {
			wait = p.When.Sub(k.now())
			if wait <= 0 {
				order := *p
				k.happened()
				if err := k.save(); err != nil {
					// Open counts it then.
					k.log.Warn("cannot note that the restart happens", "err", err)
				}
				k.mu.Unlock()
				k.due <- order
				return
			}
		}
		k.mu.Unlock()
		var timer *time.Timer
		var fire <-chan time.Time
		if wait > 0 {
			timer = time.NewTimer(min(wait, longest))
			fire = timer.C
		}
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-fire:
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
	}
}
