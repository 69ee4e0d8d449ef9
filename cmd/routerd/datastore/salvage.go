package datastore

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// This file starts a router whose stored configuration this version of the model doesn't
// accept: what is refused is left out, named, and kept in a file
// (docs/decisions/0038-a-start-with-what-is-refused.md).
//
// Less must never let more pass. So of what protects or carries traffic the whole object
// goes, and by the rules what refers to it: a unit goes with the filter that it binds. Only of
// interfaces, instances, classes and the system as a whole a leaf goes alone at first, and so
// does a description.

// salvageSource is the source of the commit by which a start leaves something out. Clients
// don't choose their source.
const salvageSource = "start"

// toldLeftOut bounds how many parts are named one by one, in state and in the log.
const toldLeftOut = 100

// salvage is what replay does with a delta that is refused, or that may settle what was
// refused before.
func (l *loader) salvage(d tree.Delta) error {
	err := l.schema.Editor(l.candidate, func(tree.Path) {}).Salvage(d, false, l.refuse, func(p tree.Path) {
		if len(l.refused) > 0 {
			delete(l.refused, p.String())
		}
	})
	if err != nil {
		return fmt.Errorf("the change can't be read: %w", err)
	}
	return nil
}

func (l *loader) refuse(r tree.Leftover) {
	if l.refused == nil {
		l.refused = make(map[string]tree.Leftover)
	}
	l.refused[r.Path.String()] = r
}

// leaveOut takes out of the candidate what is refused, and what rules refuse then, until
// they accept the rest, which it compiles. It makes that a commit and keeps what it took in a
// file. The error says that nothing acceptable could be found.
func (s *Store) leaveOut(refused map[string]tree.Leftover, broken []models.PathError) (models.Change, error) {
	stored := &gen.Device{}
	s.schema.Copy(stored, s.candidate, nil)
	lost := make([]tree.Leftover, 0, len(refused))
	o := omission{s: s, tries: make(map[string]int), round: make(map[string]bool)}
	for _, id := range slices.Sorted(maps.Keys(refused)) {
		r := refused[id]
		lost = append(lost, r)
		o.take(r.Path, r.Err.Error(), true)
	}
	var change models.Change
	for first := true; first || len(broken) > 0; first = false {
		clear(o.round)
		for _, b := range broken {
			p, err := tree.Parse(b.Path)
			if err != nil {
				return models.Change{}, fmt.Errorf("this version of the model refuses it, at a path that can't be read: start the version that wrote it, or --flush: %w", b)
			}
			if !o.take(p, b.Err.Error(), false) {
				return models.Change{}, fmt.Errorf("this version of the model refuses it, and leaving out more doesn't help: start the version that wrote it, or --flush: %w", b)
			}
		}
		o.prune()
		change, broken = s.compiled.Load(s.candidate)
	}
	delta := s.schema.Compare(stored, s.candidate).Without(lost)
	s.keepLeftOut(refused, delta)
	s.tellLeftOut(o.told)
	s.commitLeftOut(delta, o)
	return change, nil
}

// An omission is one run of leaveOut.
type omission struct {
	s     *Store
	tries map[string]int  // by path of a culprit: how often something was taken for it
	round map[string]bool // the culprits since the rules were asked last
	told  []string
	paths []tree.Path // of what was taken
}

// take takes out what stands for the culprit p: at first as little as is safe, then more.
// It reports false when there is nothing left to take. gone says that p itself isn't in the
// candidate to begin with.
func (o *omission) take(p tree.Path, reason string, gone bool) bool {
	id := p.String()
	if o.round[id] {
		return true
	}
	o.round[id] = true
	steps := o.ladder(p)
	for i := o.tries[id]; i < len(steps); i++ {
		o.tries[id] = i + 1
		at := steps[i]
		if o.drop(at) || gone {
			o.closeSession(at)
			o.note(at, reason)
			return true
		}
		if o.gone(at) {
			return true // with something else, in this round
		}
	}
	return false
}

func (o *omission) note(at tree.Path, reason string) {
	o.paths = append(o.paths, at)
	o.told = append(o.told, fmt.Sprintf("%s is left out: %s", at, reason))
}

// gone reports whether at, or something around it, was taken before.
func (o *omission) gone(at tree.Path) bool {
	return slices.ContainsFunc(o.paths, func(p tree.Path) bool { return at.HasPrefix(p) })
}

// drop deletes what stands at a path and reports whether there was anything.
func (o *omission) drop(at tree.Path) (any bool) {
	e := o.s.schema.Editor(o.s.candidate, func(tree.Path) { any = true })
	return len(e.Apply(tree.Op{Kind: tree.Delete, Path: at})) == 0 && any
}

// prune takes away the marks of what is gone.
func (o *omission) prune() {
	if !marks.Any(o.s.candidate) {
		return
	}
	e := o.s.schema.Editor(o.s.candidate, func(tree.Path) {})
	for _, op := range marks.Prune(o.s.schema, o.s.candidate, o.paths, true) {
		e.Apply(op)
	}
}

// ladder is what may be taken out for a culprit, the least first: the leaf where that is
// safe, the object around it, the entry at the root around that.
func (o *omission) ladder(p tree.Path) []tree.Path {
	if len(p) == 0 {
		return nil
	}
	if p[0].GetName() == "session" {
		return o.sessionLadder(p)
	}
	var steps []tree.Path
	add := func(q tree.Path) {
		if n := len(steps); n == 0 || len(steps[n-1]) > len(q) {
			steps = append(steps, q)
		}
	}
	object := objectLen(p)
	if whole := len(p[0].GetKey()) == 0; whole || p[len(p)-1].GetName() == "description" ||
		object == 1 && slices.Contains(leafFirst, p[0].GetName()) {
		add(p)
	}
	add(p[:object])
	add(p[:1])
	return steps
}

// leafFirst are the lists at the root whose entries lose a leaf before they go: a default is
// better than no interface, and a class with the default rate stricter than none.
var leafFirst = []string{"interface", "instance", "local-class"}

// objectLen is how many elements of p name the object that it belongs to.
func objectLen(p tree.Path) int {
	if len(p) > 1 && len(p[1].GetKey()) > 0 {
		switch p[0].GetName() + "/" + p[1].GetName() {
		case "interface/unit", "instance/static-route", "instance/multicast-route":
			return 2
		}
	}
	return 1
}

// tellLeftOut says in state and in the log what is left out.
func (s *Store) tellLeftOut(told []string) {
	for i, text := range told {
		if i == toldLeftOut {
			text = fmt.Sprintf("%d more parts are left out", len(told)-i)
		}
		s.log.Error("part of the stored configuration is refused by this version of the model", "commit", s.last.Number, "left-out", text)
		s.leftOut = append(s.leftOut, text)
		if i == toldLeftOut {
			break
		}
	}
}

// commitLeftOut makes leaving out a commit, so that the log has it and later commits
// follow it. One that can't be made durable now is made before the next.
func (s *Store) commitLeftOut(delta tree.Delta, o omission) {
	var paths []string
	for _, p := range o.paths[:min(len(o.paths), 20)] {
		paths = append(paths, p.String())
	}
	s.owed = &journal.Record{Kind: journal.Committed, Delta: delta, Commit: Commit{
		Number: s.last.Number + 1, Time: s.opt.clock.now().UTC(), Source: salvageSource,
		Comment: fmt.Sprintf("left out %d parts that this version of the model refuses", len(o.paths)), Changes: delta.Len(), Paths: paths}}
	if err := s.payOwed(); err != nil {
		s.log.Error("what the start has left out is no commit yet", "err", err)
	}
}

// payOwed makes the commit of a start durable. The caller holds s.mu.
func (s *Store) payOwed() error {
	if s.owed == nil {
		return nil
	}
	if err := s.journal.Append(s.owed); err != nil {
		return fmt.Errorf("the start has left out what the model refuses, and that can't be made durable before this commit: %w", err)
	}
	s.view.Lock()
	s.last = s.owed.Commit
	s.view.Unlock()
	s.owed = nil
	return nil
}

// keepLeftOut writes what is left out into a file, a leaf on a line.
func (s *Store) keepLeftOut(refused map[string]tree.Leftover, delta tree.Delta) {
	lines := make([]string, 0, delta.Len())
	line := func(path string, value any, why string) {
		text, err := json.Marshal(value)
		if err != nil {
			text = fmt.Append(nil, value)
		}
		if why != "" {
			why = "  # " + strings.ReplaceAll(why, "\n", " ")
		}
		lines = append(lines, path+" "+string(text)+why+"\n")
	}
	err := s.schema.Removed(delta, func(p tree.Path, old any) {
		why := ""
		if r, ok := refused[p.String()]; ok {
			why = r.Err.Error()
		}
		line(p.String(), old, why)
	})
	slices.Sort(lines)
	name := fmt.Sprintf("left-out-%d-%s", s.last.Number, s.opt.clock.now().UTC().Format("20060102T150405Z"))
	if err = errors.Join(err, s.journal.KeepAside(name, []byte(strings.Join(lines, "")))); err != nil {
		s.log.Error("what is left out of the stored configuration is not kept in a file", "file", name, "err", err)
		return
	}
	s.log.Warn("what is left out of the stored configuration is kept", "file", name)
}
