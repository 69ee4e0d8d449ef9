// Package datastore keeps the configuration: a candidate that operations are
// applied to, the running configuration that readers see, and a journal that
// makes every commit durable before it is acknowledged.
//
// Invariant: outside of Commit the candidate equals running, but for the open
// [Candidate] that lies on it, running is what
// the applier has in place, and both are what the journal says. After a kill
// at any moment the next start finds exactly the last acknowledged commit, or
// the one in flight, whole.
//
// The cost of a commit follows the size of the change: only the subtrees that
// it touches are compiled, checked, applied and copied.
//
// Source: architecture.md, section 3; docs/decisions/0007-commits.md.
package datastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/trace"
	"router/gen"
	"router/models"
)

// An Applier puts compiled configuration in place. Its methods are called by
// one goroutine at a time.
type Applier interface {
	// Start puts the stored configuration in place, once, before any Apply. The
	// intent stays the store's and changes with later commits: read it, don't keep it.
	Start(ctx context.Context, intent *models.Intent) error
	// Apply puts a change in place. When it fails, it has undone what it did,
	// whether ctx has ended or not.
	Apply(ctx context.Context, change models.Change) error
	// Revert undoes a change that Apply put in place.
	Revert(ctx context.Context, change models.Change) error
}

// Options say how a store is opened.
type Options struct {
	Dir     string // the state directory
	Applier Applier
	Log     *slog.Logger // nil for none
	Flush   bool         // start with an empty configuration; the old one is kept aside

	// Lock is what Lock(Dir) returned, for a caller that must be alone in the
	// directory before it opens the store; nil has Open take it. The store closes
	// it.
	Lock *os.File

	// CompactAt is the size of the journal, in octets, from which on it is
	// folded into a snapshot; 0 means 16 MiB.
	CompactAt int64

	// Keep is how many commits the log holds at least; 0 means 200.
	Keep int

	fs    journal.FS
	clock clock
}

// A Commit is one numbered change of the running configuration.
type Commit = journal.Commit

// Lock makes the state directory if need be and takes its lock, so that no two
// daemons write one journal. Closing the file gives it back.
func Lock(dir string) (*os.File, error) { return journal.Lock(dir) }

// A Request is what one commit changes. Ops are applied in their order; gNMI
// wants deletes, replaces, updates.
type Request struct {
	Ops     []tree.Op
	User    string
	Source  string
	Comment string

	// Whole says that Ops are those of an editor who sees inactive parts, and edits
	// them; for gNMI they aren't there. Their paths may be patterns, with globs for keys.
	Whole bool

	// Confirm makes it a confirmed commit, which is taken back by itself unless
	// it is confirmed in time; nil for an ordinary one.
	Confirm *Confirm
	// DryRun has the request checked and changes nothing; Plan, if set, is
	// filled with what the commit would do.
	DryRun bool
	Plan   *Plan

	// Touched, if set, is filled with the concrete paths of the subtrees that the
	// commit changed.
	Touched *[]tree.Path

	by *Candidate // whose changes are committed; nil for none
}

// An EventKind says what an Event tells of. The set is closed.
type EventKind uint8

// The kinds.
const (
	Committed   EventKind = iota // a commit was made
	Confirmed                    // the pending commit was confirmed
	Rescheduled                  // the deadline of the pending commit was moved
	RevertLate                   // the pending commit could not be taken back in time
	RescueSaved                  // the running configuration was saved as rescue configuration
)

// An Event tells watchers of a commit, or of what became of a confirmed one.
// Commit is the newest commit. Touched are the concrete paths of the subtrees that a commit
// changed, none for the other kinds; they are shared and must not be changed.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Commit  Commit
	Touched []tree.Path
	Dropped uint64 // the commit that has left the log by this one; 0 for none
	// Ends is the id of the confirmed commit that this commit took back, "" for
	// none.
	Ends string
}

// A Store is an open datastore. Its methods are safe for concurrent use.
type Store struct {
	opt    Options
	log    *slog.Logger
	schema *tree.Schema
	lock   *os.File
	damage []string // what Open found damaged
	// leftOut is what Open has left out because this version of the model refuses it.
	leftOut []string

	mu        sync.Mutex // serialises commits; guards what follows
	applier   Applier
	candidate *gen.Device
	compiled  *models.Compiled
	journal   *journal.Journal
	snapshot  int64 // octets of the newest snapshot
	compactAt int64 // size of the journal at which compaction is tried next
	broken    error // set when candidate and applied state are in doubt
	closed    bool
	pending   *pending // the confirmed commit that waits
	rescued   Commit   // when the rescue configuration was saved
	// owed is the commit by which the start has left something out, while it is not
	// durable yet; nil else.
	owed *journal.Record

	// candidates are the open ones; resident is the one that lies on the tree for
	// edits, which equals running but for it, nil for none.
	candidates    map[string]*Candidate
	resident      *Candidate
	lastCandidate int
	maxChanges    int // of a candidate
	maxTogether   int // of all candidates
	syncAt        int // octets

	view    sync.RWMutex // guards what readers see; held for moments only
	running *gen.Device
	last    Commit

	status atomic.Pointer[Status]

	watchMu  sync.Mutex
	watchers map[int]func(Event)
	nextID   int

	compacting sync.WaitGroup
	stats      stats
}

// Commit applies the operations and returns once the change is in place and
// durable. When it fails, nothing has changed; a [*Rejected] lists what is
// wrong with the request, an [*ApplyError] says why it could not be put in
// place, and [ErrPending] matches while a confirmed commit waits. A request that
// changes nothing is no commit, unless it is to be confirmed: the last one is returned.
func (s *Store) Commit(ctx context.Context, req Request) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, nil); err != nil {
		return Commit{}, err
	}
	req.Ops = s.keepSecrets(req.Ops)
	if req.Whole {
		req.Ops = slices.Clone(req.Ops)
		for i := range req.Ops {
			req.Ops[i] = marks.Wild(s.schema, req.Ops[i])
		}
	}
	return s.change(ctx, req, edit{make: func(tx *tx) []Violation { return tx.apply(req.Ops) }})
}

// ready reports why by, nil for none, can't make a commit now. The caller holds
// s.mu.
func (s *Store) ready(ctx context.Context, by *Candidate) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.lockedFor(by); err != nil {
		return err
	}
	if p := s.pending; p != nil {
		return fmt.Errorf("%w: commit %d, id %q, until %s: confirm or cancel it first",
			ErrPending, p.Commit, p.ID, p.Deadline.Format(time.RFC3339))
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// An edit is how one commit changes the candidate, and what it is beside that.
type edit struct {
	make    func(*tx) []Violation
	reverts *uint64 // the commit whose configuration it brings back
	ends    *pending
	// owe has the change stay in place even if it can't be made durable now:
	// pending.owed has the record then.
	owe bool
}

// change makes one commit. The caller holds s.mu.
func (s *Store) change(ctx context.Context, req Request, e edit) (_ Commit, err error) {
	begin := time.Now()
	ctx, span := trace.Start(ctx, "commit")
	defer func() {
		s.stats.note(time.Since(begin), err)
		span.Done(err)
	}()
	if err := s.payOwed(); err != nil {
		return Commit{}, err
	}
	var deadline *journal.Deadline
	if req.Confirm != nil {
		if deadline, err = s.deadline(*req.Confirm); err != nil {
			return Commit{}, err
		}
	}
	s.evict()
	tx := newTx(s)
	change, err := tx.prepare(ctx, e.make)
	if err != nil {
		tx.undo()
		return Commit{}, err
	}
	delta := tx.delta()
	if req.DryRun && req.Plan != nil {
		if *req.Plan, err = s.plan(change, delta); err != nil {
			tx.undo()
			return Commit{}, err
		}
	}
	if req.DryRun || delta.Empty() && deadline == nil && e.ends == nil {
		tx.undo()
		return s.Last(), nil
	}
	applying, step := trace.Start(ctx, "apply")
	err = s.applier.Apply(applying, change)
	step.Done(err)
	if err != nil {
		tx.undo()
		return Commit{}, &ApplyError{Err: err}
	}
	r := &journal.Record{Kind: journal.Committed, Delta: delta, Deadline: deadline, Commit: Commit{
		Number: s.Last().Number + 1, Time: s.opt.clock.now().UTC(), User: req.User, Source: req.Source, Comment: req.Comment,
		Changes: delta.Len(), Paths: tx.paths()}}
	if e.reverts != nil {
		r.Reverts, r.IsRevert = *e.reverts, true
	}
	if deadline != nil {
		r.ID, r.ConfirmID = req.Confirm.ID, req.Confirm.ID
	}
	if e.ends != nil {
		r.ID, r.Ends = e.ends.ID, true
	}
	_, step = trace.Start(ctx, "fsync")
	late := s.journal.Append(r)
	step.Done(late)
	if late != nil && !e.owe {
		return Commit{}, s.unapply(ctx, tx, change, late)
	}
	if err := s.compiled.Commit(change); err != nil {
		// Only a change that another commit has overtaken is refused; s.mu rules that out.
		s.broken = fmt.Errorf("commit %d is durable but could not be taken over: restart routerd: %w", r.Number, err)
		return Commit{}, s.broken
	}
	base := s.Last().Number
	switch {
	case late != nil:
		e.ends.owed = r
	case e.ends != nil:
		s.endPending()
	case deadline != nil:
		s.setPending(&pending{Pending: Pending{ID: r.ID, Commit: r.Number, Base: base, User: r.User, Deadline: deadline.Wall}, deadline: *deadline})
	}
	_, step = trace.Start(ctx, "swap")
	tx.publish(r.Commit)
	step.End()
	span.Int("commit", int(r.Number))
	if req.Touched != nil {
		*req.Touched = tx.touched
	}
	s.overtaken(r.Commit, delta, req.by)
	s.log.Info("committed", "commit", r.Number, "user", r.User, "source", r.Source, "octets", len(delta.Bytes()))
	event := Event{Time: r.Time, Commit: r.Commit, Touched: tx.touched}
	if keep := uint64(s.journal.Keep()); r.Number > keep {
		event.Dropped = r.Number - keep
	}
	if e.ends != nil {
		event.Ends = e.ends.ID
	}
	_, step = trace.Start(ctx, "notify")
	s.notify(event)
	step.End()
	s.compactIfLarge()
	return r.Commit, late
}

// unapply takes back a change that is in place but could not be made durable.
func (s *Store) unapply(ctx context.Context, tx *tx, change models.Change, cause error) error {
	// The client's patience must not leave the change in place.
	if err := s.applier.Revert(context.WithoutCancel(ctx), change); err != nil {
		s.broken = fmt.Errorf("a commit could not be undone after its write failed: restart routerd: %w", err)
		cause = errors.Join(cause, s.broken)
	}
	tx.undo()
	return fmt.Errorf("commit: %w", cause)
}

func (s *Store) usable() error {
	switch {
	case s.closed:
		return errors.New("datastore: it is closed: the router is stopping")
	case s.broken != nil:
		return fmt.Errorf("datastore: no commits are taken: %w", s.broken)
	}
	return nil
}

// View calls read with the running configuration, which doesn't change until
// read returns, and with the commit that made it. read must be quick, keep nothing but leaf
// values, and not call the store.
func (s *Store) View(read func(*gen.Device, Commit)) {
	s.view.RLock()
	defer s.view.RUnlock()
	read(s.running, s.last)
}

// Last is the newest commit.
func (s *Store) Last() Commit {
	s.view.RLock()
	defer s.view.RUnlock()
	return s.last
}

// Schema is the schema of the trees.
func (s *Store) Schema() *tree.Schema { return s.schema }

// Watch calls fn after each commit, in order, until stop is called. fn runs
// inside the commit: it must not block, nor call the store.
func (s *Store) Watch(fn func(Event)) (stop func()) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	id := s.nextID
	s.nextID++
	s.watchers[id] = fn
	return func() {
		s.watchMu.Lock()
		defer s.watchMu.Unlock()
		delete(s.watchers, id)
	}
}

func (s *Store) notify(e Event) {
	s.updateStatus()
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	for _, fn := range s.watchers {
		fn(e)
	}
}

// Close ends the store; what is committed is durable already. Commits in
// flight are waited for, later ones refused.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	if s.pending != nil {
		s.pending.stop()
	}
	err := s.journal.Close()
	s.mu.Unlock()
	s.compacting.Wait()
	return errors.Join(err, s.lock.Close())
}
