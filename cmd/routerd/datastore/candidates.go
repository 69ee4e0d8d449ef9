package datastore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"router/cmd/routerd/datastore/tree"
)

// This file has the open candidates: who may edit, and what is told of them.

// A CandidateKind says who may edit a candidate, and what its being open means
// for others.
type CandidateKind uint8

// The kinds. The set is closed.
const (
	Private   CandidateKind = iota // one editor's; gone with its session
	Shared                         // found by its name; stays until it is closed
	Exclusive                      // one editor's, and nobody else edits or commits while it is open
)

func (k CandidateKind) String() string {
	switch k {
	case Private:
		return "private"
	case Shared:
		return "shared"
	case Exclusive:
		return "exclusive"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Bounds of what candidates may take. A change of one leaf takes some 300
// octets while it waits.
const (
	maxCandidates = 256
	maxEditors    = 256
	maxChanges    = 500_000
	// maxTogether bounds what all candidates hold, and with it their memory.
	maxTogether = 1_000_000
	// syncAt is how many octets of edits wait before they are reduced to what
	// they changed.
	syncAt = 4 << 20
	// countWithin is how long a candidate may take to be counted: one that takes
	// longer is counted when its changes are looked at anyhow.
	countWithin = 5 * time.Millisecond
)

// An Editor is somebody at work on a candidate.
type Editor struct {
	User   string
	Source string
	Since  time.Time
}

func (e Editor) String() string {
	who := e.User
	if who == "" {
		who = "somebody"
	}
	return fmt.Sprintf("%s (%s, since %s)", who, e.Source, e.Since.UTC().Format(time.RFC3339))
}

// A CandidateStatus is what there is to know of an open candidate.
type CandidateStatus struct {
	ID        string
	Kind      CandidateKind
	Name      string   // of a shared one
	Owner     Editor   // who opened it
	Editors   []Editor // who has it open now
	Edited    time.Time
	Base      uint64 // the commit that it was opened on, made equal to, or updated to last
	Behind    uint64 // commits since then
	Changes   int    // leaves that it changes; of a large one, without the last edits
	Conflicts int    // of them, those that a commit of somebody else changed too
}

// A Conflict is a change of a candidate that somebody's commit touched since.
// nil stands for absent: a whole entry where Path is that of its key, or of
// something below it on the other side.
type Conflict struct {
	Path   tree.Path
	Mine   *tree.Difference
	Theirs *tree.Difference
	Commit uint64
	User   string
}

// A ConflictError refuses a commit, or an update, for what both sides changed.
type ConflictError struct{ Conflicts []Conflict }

func (e *ConflictError) Error() string {
	c := e.Conflicts[0]
	text := fmt.Sprintf("%s: yours %s, commit %d of %s %s", c.Path, whatIs(c.Mine), c.Commit, cmp.Or(c.User, "somebody"), whatIs(c.Theirs))
	if n := len(e.Conflicts) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text + ": update the candidate with yours or theirs, or discard there"
}

func whatIs(d *tree.Difference) string {
	if d.New == nil {
		return "deletes it"
	}
	if d.Secret {
		return fmt.Sprintf("sets %s", d.Path)
	}
	return fmt.Sprintf("sets %s to %s", d.Path, tree.Text(d.New))
}

// A LockedError says that an exclusive candidate is open.
type LockedError struct{ Holder Editor }

func (e *LockedError) Error() string {
	return fmt.Sprintf("the configuration is locked by the exclusive candidate of %s: wait until it is closed", e.Holder)
}

// What can be wrong with a candidate rather than with what it holds.
var (
	ErrNoCandidate        = errors.New("there is no such candidate: it was closed, or its session has ended")
	ErrTooManyCandidates  = fmt.Errorf("%d candidates are open, which is the most: close one", maxCandidates)
	ErrCandidateTooLarge  = fmt.Errorf("a candidate holds changes of %d leaves at most: commit some of them, or load them with one Set", maxChanges)
	ErrCandidatesTooLarge = fmt.Errorf("all open candidates together hold changes of %d leaves at most: commit or close some", maxTogether)
	ErrOtherEditor        = errors.New("the candidate belongs to another user: open one of your own, or a shared one")
)

// OpenCandidate opens a candidate and makes user its first editor. A shared one is
// found by its name if it is open already. The editor has left when leave was
// called, and a private or exclusive candidate is closed with its editor. The error is a
// *LockedError while somebody holds the configuration, or ErrTooManyCandidates.
func (s *Store) OpenCandidate(kind CandidateKind, name, user, source string) (c *Candidate, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errors.New("datastore: it is closed: the router is stopping")
	}
	who := Editor{User: user, Source: source, Since: s.opt.clock.now().UTC()}
	if kind == Shared {
		for _, c := range s.candidates {
			if c.kind == Shared && c.name == name {
				leave, err := c.join(who)
				return c, leave, err
			}
		}
	}
	if held := s.exclusive(); held != nil && kind == Exclusive {
		return nil, nil, &LockedError{held.owner}
	}
	if len(s.candidates) >= maxCandidates {
		return nil, nil, ErrTooManyCandidates
	}
	s.lastCandidate++
	c = &Candidate{s: s, id: fmt.Sprintf("%s-%d", kind, s.lastCandidate), kind: kind, name: name, owner: who,
		editors: make(map[int]Editor), base: s.Last().Number, conflicts: make(map[string]Conflict), done: make(chan struct{})}
	if s.candidates == nil {
		s.candidates = make(map[string]*Candidate)
	}
	s.candidates[c.id] = c
	leave, err = c.join(who)
	return c, leave, err
}

func (c *Candidate) join(who Editor) (leave func(), err error) {
	if len(c.editors) >= maxEditors {
		return nil, fmt.Errorf("candidate %s has %d editors, which is the most", c.id, maxEditors)
	}
	id := c.nextID
	c.nextID++
	c.editors[id] = who
	return func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		delete(c.editors, id)
		if c.kind != Shared && len(c.editors) == 0 {
			c.close()
		}
	}, nil
}

// Candidate finds an open candidate for user, who has to be its owner unless it
// is shared.
func (s *Store) Candidate(id, user string) (*Candidate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.candidates[id]
	switch {
	case c == nil:
		return nil, fmt.Errorf("candidate %s: %w", id, ErrNoCandidate)
	case c.kind != Shared && c.owner.User != user:
		return nil, fmt.Errorf("candidate %s of %s: %w", id, c.owner.User, ErrOtherEditor)
	}
	return c, nil
}

// roomFor reports whether the candidate, and all of them together, hold more than
// they may. The caller holds s.mu.
func (s *Store) roomFor(c *Candidate) error {
	together := 0
	for _, other := range s.candidates {
		together += len(other.changed.list)
	}
	switch {
	case len(c.changed.list) > s.maxChanges:
		return ErrCandidateTooLarge
	case together > s.maxTogether && len(c.changed.list) > 0:
		return ErrCandidatesTooLarge
	}
	return nil
}

// Candidates lists the open candidates, the oldest first.
func (s *Store) Candidates() []CandidateStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]CandidateStatus, 0, len(s.candidates))
	for _, c := range s.candidates {
		list = append(list, c.status())
	}
	slices.SortFunc(list, func(a, b CandidateStatus) int {
		return cmp.Or(a.Owner.Since.Compare(b.Owner.Since), strings.Compare(a.ID, b.ID))
	})
	return list
}

// exclusive is the candidate that locks others out, nil for none.
func (s *Store) exclusive() *Candidate {
	for _, c := range s.candidates {
		if c.kind == Exclusive {
			return c
		}
	}
	return nil
}

// lockedFor is the error of whoever is not by, the candidate at work, nil for none.
func (s *Store) lockedFor(by *Candidate) error {
	if held := s.exclusive(); held != nil && held != by {
		return &LockedError{held.owner}
	}
	return nil
}
