package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// This file has the log of commits, and the ways back. A record holds what its
// commit changed, leaf by leaf and reversibly: the cost of each function is that
// of what changed between, never of the configuration.

// Errors of the log; what is returned matches one and says more.
var (
	ErrNoCommit = journal.ErrNoCommit
	ErrNoRescue = errors.New("no rescue configuration was ever saved")
)

// Log is the commits that can be looked at and gone back to, the newest first:
// the last 200 at least, unless Options say otherwise.
func (s *Store) Log() []Commit { return s.journal.Log() }

// LogEntry is a commit of Log by its number; ok is false when Log doesn't have it.
func (s *Store) LogEntry(n uint64) (c Commit, ok bool) { return s.journal.Commit(n) }

// Change is what commit n did, as operations: deletes first, of whole entries
// where these went, then a leaf each, then the order of lists. It is [ErrNoCommit] when Log doesn't
// have the commit.
func (s *Store) Change(n uint64) ([]tree.Op, error) {
	r, err := s.journal.Read(n)
	if err != nil {
		return nil, err
	}
	return s.schema.Ops(r.Delta)
}

// between reads what the commits from+1 to to changed, in their order.
func (s *Store) between(from, to uint64) ([]tree.Delta, error) {
	var list []tree.Delta
	for n := from + 1; n <= to; n++ {
		r, err := s.journal.Read(n)
		if err != nil {
			return nil, fmt.Errorf("between commits %d and %d: %w", from, to, err)
		}
		list = append(list, r.Delta)
	}
	return list, nil
}

// back reads what lies between commit n and the newest. The caller holds s.mu.
func (s *Store) back(n uint64) ([]tree.Delta, error) {
	last := s.Last().Number
	if n > last {
		return nil, fmt.Errorf("commit %d: %w: the newest is %d", n, ErrNoCommit, last)
	}
	return s.between(n, last)
}

// patchBack undoes deltas, the last first. What this version of the model refuses on the
// way is no mistake if it isn't there at the end.
func (t *tx) patchBack(deltas []tree.Delta) []Violation {
	refused := make(map[string]tree.Leftover)
	for _, d := range slices.Backward(deltas) {
		if v := t.patch(d, true); len(v) == 0 && len(refused) == 0 {
			continue
		}
		err := t.s.schema.Editor(t.s.candidate, t.touch).Spare(t.s.running).Salvage(d, true,
			func(l tree.Leftover) { refused[l.Path.String()] = l }, func(p tree.Path) { delete(refused, p.String()) })
		if err != nil {
			return []Violation{{Op: -1, Kind: tree.Malformed, Err: err}}
		}
	}
	var list []Violation
	for _, path := range slices.Sorted(maps.Keys(refused)) {
		list = append(list, Violation{Op: -1, Kind: tree.Invalid, Path: path, Err: refused[path].Err})
	}
	return list
}

// At calls read with the configuration after commit n, which is not to be kept
// nor changed. Commits wait meanwhile: read must be quick and not call the store. It is [ErrNoCommit] when
// Log doesn't reach back to n, and a [*Rejected] when this version of the model has no place for what
// stood there.
func (s *Store) At(ctx context.Context, n uint64, read func(*gen.Device)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	deltas, err := s.back(n)
	if err != nil {
		return err
	}
	s.evict()
	tx := newTx(s)
	defer tx.undo()
	if v := tx.patchBack(deltas); len(v) > 0 {
		return &Rejected{Violations: v}
	}
	read(s.candidate)
	return nil
}

// Rollback makes the configuration what it was after commit n, as a commit of its
// own: it is checked and applied like any other, and its errors are those of Commit,
// or [ErrNoCommit]. Of req all counts but Ops.
func (s *Store) Rollback(ctx context.Context, n uint64, req Request) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, nil); err != nil {
		return Commit{}, err
	}
	deltas, err := s.back(n)
	if err != nil {
		return Commit{}, err
	}
	return s.change(ctx, req, edit{make: func(tx *tx) []Violation { return tx.patchBack(deltas) }, reverts: &n})
}

// Diff is what turns the configuration after commit from into that after to,
// which may be the older one: concrete leaves, in the order of a walk through the tree. It is [ErrNoCommit] when
// Log doesn't have what lies between.
func (s *Store) Diff(ctx context.Context, from, to uint64) ([]tree.Difference, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if newest := s.Last().Number; max(from, to) > newest {
		return nil, fmt.Errorf("commit %d: %w: the newest is %d", max(from, to), ErrNoCommit, newest)
	}
	deltas, err := s.between(min(from, to), max(from, to))
	if err != nil {
		return nil, err
	}
	list, err := s.schema.Differences(deltas...)
	if err != nil {
		return nil, err
	}
	if from > to {
		for i, d := range list {
			list[i].Old, list[i].New = d.New, d.Old
		}
	}
	return list, nil
}

// DiffRunning is what turns the running configuration into other, at and below
// the paths, which are those of containers, lists or entries; none is the whole.
func (s *Store) DiffRunning(other *gen.Device, at ...tree.Path) ([]tree.Difference, error) {
	var delta tree.Delta
	s.View(func(running *gen.Device, _ Commit) { delta = s.schema.Compare(running, other, tree.Outermost(at)...) })
	return s.schema.Differences(delta)
}

// SaveRescue stores the running configuration as the one to go back to when all
// else fails, durably, in the place of an earlier one. It outlives the log and --flush.
func (s *Store) SaveRescue(_ context.Context, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	now := s.opt.clock.now().UTC()
	r := &journal.Record{Kind: journal.Snapshot, Commit: Commit{Number: s.Last().Number, Time: now, User: user},
		Delta: s.schema.Compare(&gen.Device{}, s.running)}
	if err := s.journal.WriteRescue(r); err != nil {
		return err
	}
	s.rescued = r.Commit
	s.log.Info("rescue configuration saved", "commit", r.Number, "user", user)
	s.notify(Event{Kind: RescueSaved, Time: now, Commit: s.Last()})
	return nil
}

// Rescue makes the configuration what SaveRescue stored, as a commit of its own.
// It is [ErrNoRescue] when there is none; other errors are those of Commit. Of req
// all counts but Ops.
func (s *Store) Rescue(ctx context.Context, req Request) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, nil); err != nil {
		return Commit{}, err
	}
	want := &gen.Device{}
	if err := s.rescue(want); err != nil {
		return Commit{}, err
	}
	delta := s.schema.Compare(s.running, want)
	return s.change(ctx, req, edit{make: func(tx *tx) []Violation { return tx.patch(delta, false) }})
}

// rescue reads the rescue configuration into dst.
func (s *Store) rescue(dst *gen.Device) error {
	r, err := s.journal.ReadRescue()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoRescue
	case err != nil:
		return fmt.Errorf("rescue configuration: %w", err)
	}
	if errs := s.schema.Patch(dst, r.Delta, false, func(tree.Path) {}); len(errs) > 0 {
		rejected := &Rejected{}
		for _, e := range errs {
			rejected.Violations = append(rejected.Violations, Violation{Op: -1, Kind: e.Kind, Path: e.Path, Err: e.Err})
		}
		return rejected
	}
	return nil
}

// A Status is what the store says of itself beside its configuration. It is
// shared and must not be changed.
type Status struct {
	Pending *Pending // the confirmed commit that waits, nil for none
	// Damage says what could not be read at the start, and where it was put
	// aside; a sentence each.
	Damage []string
	// LeftOut says what of the stored configuration this version of the model refuses,
	// and is left out since the start; a sentence each.
	LeftOut []string
	// Rescue is the commit that was the newest when the rescue configuration was
	// saved, with the time and the user of the saving; nil for none.
	Rescue *Commit
}

// Status is the present status. It may be asked for inside View.
func (s *Store) Status() *Status { return s.status.Load() }

// updateStatus publishes the status anew. The caller holds s.mu.
func (s *Store) updateStatus() {
	st := &Status{Damage: s.damage, LeftOut: s.leftOut}
	if s.pending != nil {
		p := s.pending.Pending
		st.Pending = &p
	}
	if !s.rescued.Time.IsZero() {
		c := s.rescued
		st.Rescue = &c
	}
	s.status.Store(st)
}
