package datastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// NewSchema ties the model's schema to the generated structs. It is made once.
var NewSchema = sync.OnceValues(func() (*tree.Schema, error) {
	return tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
})

// Open takes the state directory, loads the stored configuration, checks all
// of it, and gives it to the applier. A torn end of the journal, left by a
// commit that was never acknowledged, is put aside and logged. Where the directory is
// damaged, the newest good commit is loaded, what can't be read is put aside, and Status says so. What
// this version of the model refuses is left out, by a commit of its own, and Status says that too. A
// confirmed commit whose time has passed is taken back before anything is applied.
func Open(ctx context.Context, opt Options) (_ *Store, err error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.clock == nil {
		opt.clock = machineClock{}
	}
	if opt.CompactAt == 0 {
		opt.CompactAt = 16 << 20
	}
	if opt.fs == nil {
		opt.fs = journal.OS{}
	}
	schema, err := NewSchema()
	if err != nil {
		return nil, fmt.Errorf("datastore: %w", err)
	}
	lock := opt.Lock
	if lock == nil {
		if lock, err = Lock(opt.Dir); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	s := &Store{opt: opt, log: opt.Log, schema: schema, lock: lock, applier: loading{}, compactAt: opt.CompactAt,
		maxChanges: maxChanges, maxTogether: maxTogether, syncAt: syncAt,
		candidate: &gen.Device{}, watchers: make(map[int]func(Event))}
	if opt.Flush {
		aside, err := journal.Flush(opt.fs, opt.Dir, opt.clock.now())
		if err != nil {
			return nil, err
		}
		if aside != "" {
			s.log.Warn("configuration flushed, the old one is kept", "dir", aside)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := loader{Store: s}
	j, found, err := journal.Open(journal.Options{Dir: opt.Dir, FS: opt.fs, Log: opt.Log, Now: opt.clock.now, Keep: opt.Keep}, &l)
	if err != nil {
		return nil, err
	}
	s.journal, s.last, s.snapshot, s.damage = j, found.Last, found.Snapshot, found.Damage
	s.rescued, _ = j.Rescue()
	if err := s.start(ctx, &l); err != nil {
		if s.pending != nil {
			s.pending.stop()
		}
		return nil, errors.Join(err, s.journal.Close())
	}
	s.updateStatus()
	s.compactIfLarge()
	return s, nil
}

// A loader fills the candidate from what is stored.
type loader struct {
	*Store
	pending *pending
	refused map[string]tree.Leftover // what the model has no place for, by path
}

// Base implements [journal.Loader].
func (l *loader) Base(r *journal.Record) error {
	if r == nil {
		return nil
	}
	return l.replay(r)
}

// Replay implements [journal.Loader].
func (l *loader) Replay(r *journal.Record) error {
	switch r.Kind {
	case journal.Committed:
		// Whatever waited has ended: but for a start, nothing else can commit before.
		salvaged := r.Source == salvageSource && r.User == ""
		if !salvaged {
			l.pending = nil
		}
		if r.Deadline != nil {
			l.pending = &pending{deadline: *r.Deadline, Pending: Pending{
				ID: r.ID, Commit: r.Number, Base: r.Number - 1, User: r.User, Deadline: r.Deadline.Wall}}
		}
		if err := l.replay(r); err != nil {
			return err
		}
		if salvaged {
			l.refused = nil // it is what was done about that
		}
	case journal.Confirmed:
		l.pending = nil
	case journal.Rescheduled:
		if l.pending != nil && r.Deadline != nil {
			l.pending.deadline, l.pending.Deadline = *r.Deadline, r.Deadline.Wall
		}
	case journal.Snapshot:
		return errors.New("a snapshot stands in a journal")
	}
	return nil
}

// replay edits the candidate as a commit did that was once accepted.
func (l *loader) replay(r *journal.Record) error {
	untold := func(tree.Path) {}
	if errs := l.schema.Patch(l.candidate, r.Delta, false, untold); len(errs) > 0 || len(l.refused) > 0 {
		if err := l.salvage(r.Delta); err != nil {
			return err
		}
	}
	e := l.schema.Editor(l.candidate, untold)
	for _, op := range r.Ops {
		for _, err := range e.Apply(op) {
			l.refuse(tree.Leftover{Path: op.Path, Err: err.Err})
		}
	}
	return nil
}

// start compiles what l has loaded and puts it in place.
func (s *Store) start(ctx context.Context, l *loader) error {
	s.compiled = models.NewCompiled()
	change, broken := s.compiled.Load(s.candidate)
	if len(broken) > 0 || len(l.refused) > 0 {
		var err error
		if change, err = s.leaveOut(l.refused, broken); err != nil {
			return fmt.Errorf("stored configuration, commit %d: %w", s.last.Number, err)
		}
	}
	if err := s.compiled.Commit(change); err != nil {
		return fmt.Errorf("stored configuration, commit %d: %w", s.last.Number, err)
	}
	s.running = &gen.Device{}
	s.schema.Share(s.running, s.candidate, nil)
	if l.pending != nil {
		s.resume(ctx, l.pending)
	}
	s.applier = s.opt.Applier
	if err := s.applier.Start(ctx, s.compiled.Intent()); err != nil {
		return fmt.Errorf("stored configuration, commit %d: %w", s.last.Number, err)
	}
	return nil
}

// loading stands for the applier until the stored configuration is given to it.
type loading struct{}

func (loading) Start(context.Context, *models.Intent) error { return nil }
func (loading) Apply(context.Context, models.Change) error  { return nil }
func (loading) Revert(context.Context, models.Change) error { return nil }
