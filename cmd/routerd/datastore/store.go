// Package datastore keeps the configuration: a candidate that operations are
// applied to, the running configuration that readers see, and a journal that
// makes every commit durable before it is acknowledged.
//
// Invariant: outside of Commit the candidate equals running, running is what
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
	"sync"
	"time"

	"router/cmd/routerd/datastore/tree"
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

	now func() time.Time
}

// A Request is what one commit changes. Ops are applied in their order; gNMI
// wants deletes, replaces, updates.
type Request struct {
	Ops     []tree.Op
	User    string
	Source  string
	Comment string
}

// An Event tells watchers of a commit. Touched are the concrete paths of the
// subtrees that it changed; they are shared and must not be changed.
type Event struct {
	Commit  Commit
	Touched []tree.Path
}

// A Store is an open datastore. Its methods are safe for concurrent use.
type Store struct {
	opt    Options
	log    *slog.Logger
	schema *tree.Schema
	lock   *os.File

	mu        sync.Mutex // serialises commits; guards what follows
	candidate *gen.Device
	compiled  *models.Compiled
	journal   *journal
	snapshot  int64 // octets of the newest snapshot
	broken    error // set when candidate and applied state are in doubt
	closed    bool

	view    sync.RWMutex // guards what readers see; held for moments only
	running *gen.Device
	last    Commit

	watchMu  sync.Mutex
	watchers map[int]func(Event)
	nextID   int

	compacting sync.WaitGroup
	stats      stats
}

// Commit applies the operations and returns once the change is in place and
// durable. When it fails, nothing has changed; a [*Rejected] lists what is
// wrong with the request, an [*ApplyError] says why it could not be put in
// place. A request that touches nothing is no commit: the last one is returned.
func (s *Store) Commit(ctx context.Context, req Request) (_ Commit, err error) {
	begin := time.Now()
	defer func() { s.stats.note(time.Since(begin), err) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return Commit{}, err
	}
	if err := ctx.Err(); err != nil {
		return Commit{}, fmt.Errorf("commit: %w", err)
	}
	tx := newTx(s)
	change, err := tx.prepare(req.Ops)
	if err != nil {
		tx.undo()
		return Commit{}, err
	}
	if len(tx.touched) == 0 {
		return s.Last(), nil
	}
	if err := s.opt.Applier.Apply(ctx, change); err != nil {
		tx.undo()
		return Commit{}, &ApplyError{Err: err}
	}
	r := &record{ops: req.Ops, Commit: Commit{
		Number: s.Last().Number + 1, Time: s.opt.now().UTC(), User: req.User, Source: req.Source, Comment: req.Comment}}
	if err := s.journal.append(r); err != nil {
		return Commit{}, s.unapply(ctx, tx, change, err)
	}
	if err := s.compiled.Commit(change); err != nil {
		// Only a change that another commit has overtaken is refused; s.mu rules that out.
		s.broken = fmt.Errorf("commit %d is durable but could not be taken over: restart routerd: %w", r.Number, err)
		return Commit{}, s.broken
	}
	tx.publish(r.Commit)
	s.log.Info("committed", "commit", r.Number, "user", r.User, "source", r.Source, "operations", len(r.ops))
	s.notify(Event{Commit: r.Commit, Touched: tx.touched})
	s.compactIfLarge()
	return r.Commit, nil
}

// unapply takes back a change that is in place but could not be made durable.
func (s *Store) unapply(ctx context.Context, tx *tx, change models.Change, cause error) error {
	// The client's patience must not leave the change in place.
	if err := s.opt.Applier.Revert(context.WithoutCancel(ctx), change); err != nil {
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
	err := s.journal.close()
	s.mu.Unlock()
	s.compacting.Wait()
	return errors.Join(err, s.lock.Close())
}
