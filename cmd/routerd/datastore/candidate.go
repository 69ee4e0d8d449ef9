package datastore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// A Candidate is a set of changes to running that is edited by and by. It holds
// no tree: only what it changes, which is laid over running, on the store's one tree for
// edits, while somebody looks at it, and stays there until another needs that
// tree. So a look costs the candidate's own changes, at most once between two looks of
// others, and an edit costs the edit. What it shows is always the newest running
// with its changes on top (docs/decisions/0019-candidates.md).
//
// Its methods are safe for concurrent use; they wait for commits, and commits for them.
type Candidate struct {
	s    *Store
	id   string
	kind CandidateKind
	name string

	// What follows is guarded by s.mu.
	owner   Editor
	editors map[int]Editor
	nextID  int
	edited  time.Time
	base    uint64
	closed  bool
	done    chan struct{} // closed with the candidate

	delta   tree.Delta    // what it changes on running, but for pending
	changed changes       // delta, to be searched
	pending []tree.Op     // edits since delta was made
	weight  int           // octets of pending
	moved   bool          // running has changed since delta was made
	took    time.Duration // to make delta

	seen    map[string]bool // touched, by its text
	touched []tree.Path     // what differs between the trees, while it lies on the tree for edits

	conflicts map[string]Conflict
}

// ID names the candidate among the open ones.
func (c *Candidate) ID() string { return c.id }

// Done is closed when the candidate is.
func (c *Candidate) Done() <-chan struct{} { return c.done }

// Status is the candidate's status.
func (c *Candidate) Status() CandidateStatus {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.status()
}

func (c *Candidate) status() CandidateStatus {
	if c.took < countWithin {
		c.sync()
	}
	st := CandidateStatus{ID: c.id, Kind: c.kind, Name: c.name, Owner: c.owner, Edited: c.edited, Base: c.base,
		Behind: c.s.Last().Number - c.base, Changes: len(c.changed.list), Conflicts: len(c.conflicts)}
	for _, e := range c.editors {
		st.Editors = append(st.Editors, e)
	}
	slices.SortFunc(st.Editors, func(a, b Editor) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.User, b.User)) })
	return st
}

// Close drops the candidate with all that it holds.
func (c *Candidate) Close() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.close()
}

func (c *Candidate) close() {
	if c.closed {
		return
	}
	if c.s.resident == c {
		c.clear()
	}
	c.closed = true
	close(c.done)
	delete(c.s.candidates, c.id)
}

// use begins work on the candidate: the tree for edits shows it when use returns.
func (c *Candidate) use() error {
	switch {
	case c.closed:
		return fmt.Errorf("candidate %s: %w", c.id, ErrNoCandidate)
	case c.s.resident == c && !c.moved:
		return c.s.usable()
	}
	if err := c.s.usable(); err != nil {
		return err
	}
	c.s.evict()
	return c.lay()
}

// lay puts the candidate's changes onto the tree for edits, which equals running.
func (c *Candidate) lay() error {
	c.s.resident = c
	c.seen = make(map[string]bool)
	if errs := c.s.schema.Editor(c.s.candidate, c.touch).Spare(c.s.running).Patch(c.delta, false); len(errs) > 0 {
		c.clear()
		return fmt.Errorf("candidate %s can't be laid over the running configuration any more: discard there: %w", c.id, errs[0])
	}
	if err := c.replay(c.pending); err != nil {
		c.clear()
		return err
	}
	if c.moved {
		// What running has by now is no change any more.
		c.moved = false
		c.take()
	}
	return nil
}

func (c *Candidate) replay(ops []tree.Op) error {
	e := c.s.schema.Editor(c.s.candidate, c.touch).Spare(c.s.running)
	var rejected Rejected
	for i, op := range ops {
		for _, err := range e.Apply(op) {
			rejected.Violations = append(rejected.Violations, Violation{Op: i, Kind: err.Kind, Path: err.Path, Err: err.Err})
		}
	}
	if len(rejected.Violations) > 0 {
		return &rejected
	}
	return nil
}

func (c *Candidate) touch(p tree.Path) {
	id := p.String()
	if !c.seen[id] {
		c.seen[id] = true
		c.touched = append(c.touched, slices.Clone(p))
	}
}

// clear makes the tree for edits equal to running again.
func (c *Candidate) clear() {
	for _, p := range c.touched {
		c.s.schema.Share(c.s.candidate, c.s.running, p)
	}
	c.seen, c.touched = nil, nil
	c.s.resident = nil
}

// evict makes the tree for edits equal to running, whoever lies on it. Every
// other user of that tree calls it first.
func (s *Store) evict() {
	if c := s.resident; c != nil {
		c.sync()
		c.clear()
	}
}

// sync makes delta say all that the candidate changes.
func (c *Candidate) sync() {
	if len(c.pending) > 0 && c.s.resident == c {
		c.take()
	}
}

func (c *Candidate) take() {
	start := time.Now()
	defer func() { c.took = time.Since(start) }()
	delta := c.s.schema.Compare(c.s.running, c.s.candidate, tree.Outermost(c.touched)...)
	list, err := c.s.schema.Differences(delta)
	if err != nil {
		// The delta was made from trees of this schema.
		c.s.log.Error("a candidate's changes can't be listed", "candidate", c.id, "err", err)
		return
	}
	c.delta, c.changed = delta, newChanges(c.s.schema, list)
	c.pending, c.weight = nil, 0
	for id, conflict := range c.conflicts {
		if !c.changed.has(conflict.Mine.Path) {
			delete(c.conflicts, id)
		}
	}
}

// A Change of a candidate gives the operations that make it, of the candidate as
// it is by then. It runs inside the store: it must not call it.
type Change func(c *Candidate) ([]tree.Op, error)

// Ops is the change that the operations make.
func Ops(ops ...tree.Op) Change { return func(*Candidate) ([]tree.Op, error) { return ops, nil } }

// Edit makes changes one after the other, all or none; the error is a *Rejected for
// what is wrong with them, with the index of the change. What the rules of the
// model say is asked by Check and Commit.
func (c *Candidate) Edit(ctx context.Context, list ...Change) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.edit(ctx, list...)
}

func (c *Candidate) edit(ctx context.Context, list ...Change) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("candidate %s: %w", c.id, err)
	}
	if err := c.s.lockedFor(c); err != nil {
		return err
	}
	if err := c.use(); err != nil {
		return err
	}
	var done []tree.Op
	var err error
	weight := 0
	for i, change := range list {
		var ops []tree.Op
		if ops, err = change(c); err == nil {
			ops = c.s.keepSecrets(ops)
			for j := range ops {
				ops[j] = marks.Wild(c.s.schema, ops[j])
			}
			err = c.replay(ops)
		}
		if err != nil {
			var rejected *Rejected
			if errors.As(err, &rejected) {
				for j := range rejected.Violations {
					rejected.Violations[j].Op = i
				}
			}
			break
		}
		done = append(done, ops...)
		for _, op := range ops {
			weight += 64 + proto.Size(op.Value)
		}
	}
	if err == nil {
		if prune := marks.Prune(c.s.schema, c.s.candidate, c.touched, true); len(prune) > 0 {
			done, err = append(done, prune...), c.replay(prune)
		}
	}
	if err == nil {
		before, delta, changed, pending, old := maps.Clone(c.conflicts), c.delta, c.changed, c.pending, c.weight
		c.pending, c.weight = append(c.pending[:len(c.pending):len(c.pending)], done...), c.weight+weight
		if c.weight > c.s.syncAt {
			c.sync()
		}
		if err = c.s.roomFor(c); err == nil {
			c.edited = c.s.opt.clock.now().UTC()
			return nil
		}
		c.conflicts, c.delta, c.changed, c.pending, c.weight = before, delta, changed, pending, old
	}
	// The tree is half edited: what was there before is laid on it anew.
	c.clear()
	return errors.Join(err, c.lay())
}

// View calls read with the configuration as the candidate has it, which doesn't change
// until read returns. read must be quick, keep nothing but leaf values, and not
// call the store.
func (c *Candidate) View(read func(*gen.Device)) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.use(); err != nil {
		return err
	}
	read(c.s.candidate)
	return nil
}

// Compare lists what the candidate changes on the running configuration, in order.
func (c *Candidate) Compare() ([]tree.Difference, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.use(); err != nil {
		return nil, err
	}
	c.sync()
	return slices.Clone(c.changed.list), nil
}

// Conflicts lists the changes that somebody's commit has touched since they were
// made, in order.
func (c *Candidate) Conflicts() []Conflict {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.conflicting()
}

func (c *Candidate) conflicting() []Conflict {
	list := make([]Conflict, 0, len(c.conflicts))
	for _, conflict := range c.conflicts {
		list = append(list, conflict)
	}
	slices.SortFunc(list, func(a, b Conflict) int { return strings.Compare(a.Path.String(), b.Path.String()) })
	return list
}

// Check says what a commit would do, or returns the *Rejected or *ConflictError
// that it would return.
func (c *Candidate) Check() (Plan, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.use(); err != nil {
		return Plan{}, err
	}
	c.sync()
	if len(c.conflicts) > 0 {
		return Plan{}, &ConflictError{c.conflicting()}
	}
	if errs := marks.Check(c.s.schema, c.s.candidate, c.touched); len(errs) > 0 {
		rejected := &Rejected{}
		for _, e := range errs {
			rejected.Violations = append(rejected.Violations, Violation{Op: -1, Kind: e.Kind, Path: e.Path, Err: e.Err})
		}
		return Plan{}, rejected
	}
	change, rejected := c.s.compile(c.touched)
	if rejected != nil {
		return Plan{}, rejected
	}
	return c.s.plan(change, c.delta)
}

// compile compiles what the tree for edits has at the touched paths, and what
// running has there.
func (s *Store) compile(touched []tree.Path) (models.Change, *Rejected) {
	t := newTx(s)
	for _, p := range touched {
		t.addObjects(p)
	}
	return t.compile()
}

// A Resolution says whose change an update keeps where both touched.
type Resolution uint8

// The resolutions. The set is closed.
const (
	Refuse Resolution = iota // change nothing and say where
	Mine                     // the candidate's changes stand
	Theirs                   // the candidate's changes are dropped there
)

// Update makes the newest commit the candidate's base. With Refuse, a
// *ConflictError says where both sides changed something, and nothing happens; else the
// conflicts are settled, and returned.
func (c *Candidate) Update(ctx context.Context, r Resolution) ([]Conflict, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.use(); err != nil {
		return nil, err
	}
	list := c.conflicting()
	if err := c.s.lockedFor(c); err != nil {
		return nil, err
	}
	if len(list) > 0 {
		switch r {
		case Refuse:
			return nil, &ConflictError{list}
		case Mine:
		case Theirs:
			for _, conflict := range list {
				if err := c.discard(ctx, conflict.Path); err != nil {
					return nil, err
				}
			}
		}
	}
	clear(c.conflicts)
	c.base = c.s.Last().Number
	return list, nil
}

// Discard takes back what the candidate changes at and below the paths, which
// are concrete; none takes back everything.
func (c *Candidate) Discard(ctx context.Context, paths ...tree.Path) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.s.lockedFor(c); err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []tree.Path{nil}
	}
	for _, p := range paths {
		if err := c.discard(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *Candidate) discard(ctx context.Context, p tree.Path) error {
	if len(p) == 0 {
		if c.closed {
			return fmt.Errorf("candidate %s: %w", c.id, ErrNoCandidate)
		}
		if c.s.resident == c {
			c.clear()
		}
		c.reset(c.s.Last().Number)
		return nil
	}
	n, p, err := c.s.schema.Concrete(p)
	if err != nil {
		return rejectedPath(p, err)
	}
	if err := c.use(); err != nil {
		return err
	}
	switch {
	case n.IsKey():
		p = p[:len(p)-1] // the entry's being there
	case n.IsLeaf():
		c.sync()
		i, ok := c.changed.index[p.String()]
		if !ok {
			return nil
		}
		op := tree.Op{Kind: tree.Replace, Path: p, Value: c.changed.list[i].Old}
		if op.Value == nil {
			op.Kind = tree.Delete
		}
		return c.edit(ctx, Ops(op))
	}
	for i := range p {
		if at := p[:i+1]; len(p[i].GetKey()) > 0 && c.s.schema.Nodes(at)[0].Ordered() {
			if d, ok := c.changed.keyOf(at); ok && (d.Old == nil) != (d.New == nil) {
				// The places of the others change with an entry that comes or goes.
				p = at[:i].Named(at[i].GetName())
				break
			}
		}
	}
	c.touch(p)
	c.s.schema.Share(c.s.candidate, c.s.running, p)
	c.take()
	c.edited = c.s.opt.clock.now().UTC()
	return nil
}

// reset empties the candidate, which equals commit n then.
func (c *Candidate) reset(n uint64) {
	c.delta, c.changed, c.pending, c.weight, c.moved = tree.Delta{}, changes{}, nil, 0, false
	clear(c.conflicts)
	c.base = n
}

func rejectedPath(p tree.Path, err error) error {
	var te *tree.Error
	if !errors.As(err, &te) {
		return err
	}
	return &Rejected{Violations: []Violation{{Kind: te.Kind, Path: te.Path, Err: te.Err}}}
}

// Commit makes the candidate's changes a commit, as [Store.Commit] does with
// req, whose Ops are not looked at. Changes that others have committed meanwhile
// stay; where both touch the same, the error is a *ConflictError and nothing
// happens. After a success the candidate is empty and open.
func (c *Candidate) Commit(ctx context.Context, req Request) (Commit, error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, c); err != nil {
		return Commit{}, err
	}
	if err := c.use(); err != nil {
		return Commit{}, err
	}
	c.sync()
	if len(c.conflicts) > 0 {
		return Commit{}, &ConflictError{c.conflicting()}
	}
	req.by = c
	return s.change(ctx, req, edit{make: func(tx *tx) []Violation { return tx.patch(c.delta, false) }})
}

// overtaken tells the open candidates of a commit that by made, nil for one from
// elsewhere. It runs inside the commit; the cost follows what the commit changed.
func (s *Store) overtaken(commit Commit, delta tree.Delta, by *Candidate) {
	waiting := false
	for _, c := range s.candidates {
		waiting = waiting || c != by && len(c.changed.list) > 0
	}
	var theirs []tree.Difference
	if waiting {
		var err error
		if theirs, err = s.schema.Differences(delta); err != nil {
			s.log.Error("what a commit changes can't be listed for candidates", "err", err)
		}
	}
	for _, c := range s.candidates {
		if c == by {
			c.reset(commit.Number)
			continue
		}
		c.moved = true
		if len(c.changed.list) == 0 {
			continue
		}
		for _, d := range theirs {
			mine, path, both := c.changed.meets(d)
			switch {
			case both:
				c.conflicts[path.String()] = Conflict{Path: path, Mine: &mine, Theirs: &d, Commit: commit.Number, User: commit.User}
			case path != nil:
				// Theirs has become what mine is.
				delete(c.conflicts, path.String())
			}
		}
	}
}
