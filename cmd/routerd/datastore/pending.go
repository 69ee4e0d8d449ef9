package datastore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"router/cmd/routerd/datastore/journal"
)

// This file has confirmed commits: a commit that is taken back by itself
// unless somebody confirms it in time (gNMI commit confirmed extension; RFC 6241, 8.4).
// It is part of the journal, so that neither a kill nor a reboot makes it lasting or
// puts its deadline off.

// A Confirm makes a commit one that waits to be confirmed.
type Confirm struct {
	ID   string        // by which it is confirmed, cancelled or put off; never empty
	Wait time.Duration // 0 means 10 minutes
}

// A Pending is a confirmed commit that waits.
type Pending struct {
	ID       string
	Commit   uint64
	Base     uint64 // the commit whose configuration is gone back to
	Deadline time.Time
	User     string
	// Late says why it could not be taken back at its deadline, "" before
	// that; it is tried again.
	Late string
}

// Errors of confirmed commits; what is returned matches one and says more.
var (
	ErrPending      = errors.New("a confirmed commit is pending")
	ErrNonePending  = errors.New("no confirmed commit is pending")
	ErrOtherPending = errors.New("the pending commit has another id")
	ErrConfirm      = errors.New("a confirmed commit needs an id, and a wait above 0")
)

const (
	defaultWait = 10 * time.Minute
	// recheck bounds the time for which a timer is trusted: it stands still
	// while the machine is suspended.
	recheck = 30 * time.Second

	revertSource = "confirm-timeout"
	firstRetry   = time.Second
	lastRetry    = time.Minute
)

// A pending is the confirmed commit that waits, with its timer. The store's mu
// guards it.
type pending struct {
	Pending
	deadline journal.Deadline
	timer    *time.Timer
	failures int
	// owed is the record of a revert that is in place but not durable yet. A
	// start before it is makes the same revert again.
	owed *journal.Record
}

func (p *pending) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// Pending is the confirmed commit that waits; ok is false for none.
func (s *Store) Pending() (p Pending, ok bool) {
	if st := s.Status(); st.Pending != nil {
		return *st.Pending, true
	}
	return Pending{}, false
}

// deadline is when a commit that is made now must be confirmed.
func (s *Store) deadline(c Confirm) (*journal.Deadline, error) {
	if c.Wait == 0 {
		c.Wait = defaultWait
	}
	if c.ID == "" || c.Wait < 0 {
		return nil, ErrConfirm
	}
	boot, up := s.opt.clock.boot()
	return &journal.Deadline{Wall: s.opt.clock.now().UTC().Add(c.Wait), Wait: c.Wait, Boot: boot, Up: up + c.Wait}, nil
}

// left is how long it is until the deadline.
func (s *Store) left(d journal.Deadline) time.Duration {
	if boot, up := s.opt.clock.boot(); boot != "" && boot == d.Boot {
		return d.Up - up
	}
	return min(d.Wall.Sub(s.opt.clock.now()), d.Wait)
}

// setPending arms the timer of p. The caller holds s.mu.
func (s *Store) setPending(p *pending) {
	s.pending = p
	s.arm(p, s.left(p.deadline))
}

func (s *Store) arm(p *pending, wait time.Duration) {
	p.stop()
	p.timer = time.AfterFunc(min(max(wait, 0), recheck), func() { s.expire(p) })
}

// endPending forgets the pending commit. The caller holds s.mu.
func (s *Store) endPending() {
	s.pending.stop()
	s.pending = nil
}

// expire takes p back if its time has come.
func (s *Store) expire(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != p || s.closed {
		return
	}
	if left := s.left(p.deadline); left > 0 && p.failures == 0 {
		s.arm(p, left)
		return
	}
	s.timeOut(context.Background(), p)
}

// timeOut takes p back, or has that tried again. The caller holds s.mu.
func (s *Store) timeOut(ctx context.Context, p *pending) {
	err := s.usable()
	switch {
	case err != nil:
	case p.owed != nil:
		if err = s.journal.Append(p.owed); err == nil {
			s.endPending()
			s.notify(Event{Kind: Confirmed, Time: s.opt.clock.now(), Commit: s.Last()})
		}
	default:
		_, err = s.takeBack(ctx, p, true, "", revertSource, fmt.Sprintf("commit %d, id %q, was not confirmed in time", p.Commit, p.ID))
	}
	if err == nil {
		s.log.Warn("a confirmed commit was taken back: it was not confirmed in time", "commit", p.Commit, "id", p.ID, "base", p.Base)
		return
	}
	wait := min(firstRetry<<min(p.failures, 10), lastRetry)
	p.failures++
	p.Late = err.Error()
	if p.owed != nil {
		p.Late = "it is taken back, but that is not durable yet: " + p.Late
	}
	s.log.Error("a confirmed commit could not be taken back in time, and is tried again", "commit", p.Commit, "id", p.ID, "again", wait, "err", err)
	s.arm(p, wait)
	s.notify(Event{Kind: RevertLate, Time: s.opt.clock.now(), Commit: s.Last()})
}

// takeBack makes the commit that undoes p. The caller holds s.mu.
func (s *Store) takeBack(ctx context.Context, p *pending, owe bool, user, source, comment string) (Commit, error) {
	r, err := s.journal.Read(p.Commit)
	if err != nil {
		return Commit{}, fmt.Errorf("confirmed commit %q can't be taken back: %w", p.ID, err)
	}
	return s.change(ctx, Request{User: user, Source: source, Comment: comment}, edit{
		make: func(tx *tx) []Violation { return tx.patch(r.Delta, true) }, reverts: &p.Base, ends: p, owe: owe})
}

// resume goes on with a confirmed commit that a start has found. The caller
// holds s.mu; nothing is applied yet.
func (s *Store) resume(ctx context.Context, p *pending) {
	left := s.left(p.deadline)
	s.setPending(p)
	if left <= 0 {
		s.timeOut(ctx, p)
		return
	}
	s.log.Warn("a confirmed commit waits to be confirmed", "commit", p.Commit, "id", p.ID, "left", left)
	boot, up := s.opt.clock.boot()
	if boot == p.deadline.Boot {
		return
	}
	// From here on this run of the machine keeps the time, whatever becomes of the wall clock.
	d := journal.Deadline{Wall: s.opt.clock.now().UTC().Add(left), Wait: left, Boot: boot, Up: up + left}
	if err := s.journal.Append(&journal.Record{Kind: journal.Rescheduled, ID: p.ID, Deadline: &d, Commit: Commit{Number: s.last.Number, Time: s.opt.clock.now().UTC()}}); err != nil {
		s.log.Error("the deadline of a confirmed commit is kept by the wall clock alone", "id", p.ID, "err", err)
	}
	p.deadline, p.Deadline = d, d.Wall
	s.arm(p, left)
}

// waiting is the pending commit with the id. The caller holds s.mu.
func (s *Store) waiting(id string) (*pending, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	switch p := s.pending; {
	case p == nil:
		return nil, ErrNonePending
	case p.ID != id:
		return nil, fmt.Errorf("%w: %q, not %q", ErrOtherPending, p.ID, id)
	default:
		return p, nil
	}
}

// Confirm makes the pending commit with the id last, durably, and returns it. It is
// [ErrNonePending] or [ErrOtherPending] when there is no such commit (any more).
func (s *Store) Confirm(_ context.Context, id, user, source string) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.waiting(id)
	if err != nil {
		return Commit{}, err
	}
	if p.owed != nil || s.left(p.deadline) <= 0 {
		return Commit{}, fmt.Errorf("%w: the time of commit %d, id %q, is over", ErrNonePending, p.Commit, p.ID)
	}
	now := s.opt.clock.now().UTC()
	err = s.journal.Append(&journal.Record{Kind: journal.Confirmed, ID: id, Commit: Commit{Number: p.Commit, Time: now, User: user, Source: source}})
	if err != nil {
		return Commit{}, fmt.Errorf("confirm: %w", err)
	}
	s.endPending()
	c := s.Last()
	s.log.Info("confirmed", "commit", c.Number, "id", id, "user", user, "source", source)
	s.notify(Event{Kind: Confirmed, Time: now, Commit: c})
	s.compactIfLarge()
	return c, nil
}

// Cancel takes the pending commit with the id back now, and returns the commit
// that does. Errors are those of Confirm and of Commit.
func (s *Store) Cancel(ctx context.Context, id, user, source string) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.waiting(id)
	if err != nil {
		return Commit{}, err
	}
	if p.owed != nil {
		return Commit{}, fmt.Errorf("%w: commit %d, id %q, is taken back already", ErrNonePending, p.Commit, p.ID)
	}
	return s.takeBack(ctx, p, false, user, source, fmt.Sprintf("commit %d, id %q, was cancelled", p.Commit, p.ID))
}

// SetConfirmWait moves the deadline of the pending commit with the id to wait
// from now, durably. Errors are those of Confirm, and [ErrConfirm] for a wait that isn't
// above 0.
func (s *Store) SetConfirmWait(_ context.Context, id string, wait time.Duration, user, source string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.waiting(id)
	if err != nil {
		return err
	}
	if wait <= 0 {
		return fmt.Errorf("%w: the wait is %v", ErrConfirm, wait)
	}
	if p.owed != nil || s.left(p.deadline) <= 0 {
		return fmt.Errorf("%w: the time of commit %d, id %q, is over", ErrNonePending, p.Commit, p.ID)
	}
	d, err := s.deadline(Confirm{ID: id, Wait: wait})
	if err != nil {
		return err
	}
	now := s.opt.clock.now().UTC()
	err = s.journal.Append(&journal.Record{Kind: journal.Rescheduled, ID: id, Deadline: d, Commit: Commit{Number: p.Commit, Time: now, User: user, Source: source}})
	if err != nil {
		return fmt.Errorf("set the wait of a confirmed commit: %w", err)
	}
	p.deadline, p.Deadline = *d, d.Wall
	s.arm(p, wait)
	s.log.Info("deadline of a confirmed commit moved", "commit", p.Commit, "id", id, "wait", wait, "user", user)
	s.notify(Event{Kind: Rescheduled, Time: now, Commit: s.Last()})
	return nil
}
