package datastore

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/trace"
	"router/gen"
	"router/models"
)

// A Violation is one thing wrong with a request.
type Violation struct {
	Op   int            // index of the operation at fault, -1 when it is the whole result
	Kind tree.ErrorKind // Invalid for a broken rule
	Path string
	Rule string // the model's error-app-tag, "" for an operation that can't be carried out
	Err  error
}

// A Rejected is the answer to a request that breaks the model. Nothing has
// changed. Violations of operations come in the operations' order, those of rules in
// the order of their paths.
type Rejected struct {
	Violations []Violation
}

func (r *Rejected) Error() string {
	v := r.Violations[0]
	text := fmt.Sprintf("%s: %v", v.Path, v.Err)
	if n := len(r.Violations) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// An ApplyError says why a valid request could not be put in place. Nothing
// has changed.
type ApplyError struct{ Err error }

func (e *ApplyError) Error() string { return "the change could not be put in place: " + e.Err.Error() }

// Unwrap gives the applier's error.
func (e *ApplyError) Unwrap() error { return e.Err }

// A tx is one commit under way. The candidate is the store's; the tx knows
// which parts of it differ from running.
type tx struct {
	s       *Store
	touched []tree.Path
	texts   []string // of touched
	seen    map[string]bool
	apart   []tree.Path     // the touched paths that lie at or below no other one; known once edited
	shown   []string        // their texts
	compare chan tree.Delta // gets the delta, where that is made beside the validation
	objects []models.Object // in no order, some more than once
}

// compareAside is from how many touched subtrees on another goroutine makes the delta:
// so many take longer to compare than it takes to start one.
const compareAside = 64

func newTx(s *Store) *tx {
	return &tx{s: s, seen: make(map[string]bool)}
}

// touch notes a subtree that changes.
func (t *tx) touch(p tree.Path) {
	id := p.String()
	if t.seen[id] {
		return
	}
	t.seen[id] = true
	t.touched, t.texts = append(t.touched, slices.Clone(p)), append(t.texts, id)
}

// addObjects notes the objects that stand in a touched subtree, now or before:
// running is as the candidate was.
func (t *tx) addObjects(p tree.Path) {
	for _, dev := range []*gen.Device{t.s.running, t.s.candidate} {
		t.objects = models.AppendObjects(t.objects, dev, &gnmi.Path{Elem: p})
	}
}

// apply applies operations to the candidate.
func (t *tx) apply(ops []tree.Op) []Violation {
	var list []Violation
	e := t.s.schema.Editor(t.s.candidate, t.touch).Spare(t.s.running)
	for i, op := range ops {
		for _, err := range e.Apply(op) {
			list = append(list, Violation{Op: i, Kind: err.Kind, Path: err.Path, Err: err.Err})
		}
	}
	return list
}

// patch applies a delta to the candidate.
func (t *tx) patch(d tree.Delta, backward bool) []Violation {
	var list []Violation
	for _, err := range t.s.schema.Editor(t.s.candidate, t.touch).Spare(t.s.running).Patch(d, backward) {
		list = append(list, Violation{Op: -1, Kind: err.Kind, Path: err.Path, Err: err.Err})
	}
	return list
}

// marks removes the marks of what is gone, and reports what is wrong with the others.
func (t *tx) marks() []Violation {
	if !marks.Any(t.s.candidate) {
		return nil
	}
	list := t.apply(marks.Prune(t.s.schema, t.s.candidate, t.touched, false))
	for _, err := range marks.Check(t.s.schema, t.s.candidate, t.touched) {
		list = append(list, Violation{Op: -1, Kind: err.Kind, Path: err.Path, Err: err.Err})
	}
	return list
}

// delta is what the candidate differs by from running. It is called once, after
// prepare.
func (t *tx) delta() tree.Delta {
	switch {
	case len(t.apart) == 0:
		return tree.Delta{}
	case t.compare != nil:
		return <-t.compare
	}
	return t.s.schema.Compare(t.s.running, t.s.candidate, t.apart...)
}

// paths are the touched paths that the log shows: in order, the first few, and
// none that lies below another.
func (t *tx) paths() []string {
	const most, longest = 20, 256
	var list []string
	for _, text := range t.shown {
		if len(text) > longest || len(list) == most && text >= list[most-1] {
			continue
		}
		at, _ := slices.BinarySearch(list, text)
		list = slices.Insert(list, at, text)
		list = list[:min(len(list), most)]
	}
	return list
}

// prepare edits the candidate and checks the result. After an error the
// caller undoes.
func (t *tx) prepare(ctx context.Context, edit func(*tx) []Violation) (_ models.Change, err error) {
	_, span := trace.Start(ctx, "edit")
	rejected := Rejected{Violations: edit(t)}
	if len(rejected.Violations) == 0 {
		rejected.Violations = t.marks()
	}
	span.Int("subtrees", len(t.touched))
	span.End()
	if len(rejected.Violations) > 0 {
		// Rules are not asked about a tree that is half edited.
		return models.Change{}, &rejected
	}
	_, span = trace.Start(ctx, "validate")
	defer func() { span.Done(err) }()
	t.apart, t.shown = tree.OutermostOf(t.touched, t.texts)
	if len(t.apart) >= compareAside {
		t.compare = make(chan tree.Delta, 1)
		go func() { t.compare <- t.s.schema.Compare(t.s.running, t.s.candidate, t.apart...) }()
	}
	for _, p := range t.apart {
		t.addObjects(p)
	}
	change, broken := t.compile()
	if broken != nil {
		t.delta() // the trees are not to change while they are compared
		return models.Change{}, broken
	}
	return change, nil
}

// compile compiles the objects that were noted, as the candidate has them. The
// second result is nil, or what rules that breaks.
func (t *tx) compile() (models.Change, *Rejected) {
	var rejected Rejected
	t.objects = models.SortObjects(t.objects)
	change, broken := t.s.compiled.Update(t.s.candidate, t.objects)
	for _, b := range broken {
		rejected.Violations = append(rejected.Violations, Violation{Op: -1, Kind: tree.Invalid, Path: b.Path, Rule: b.Rule, Err: b.Err})
	}
	if len(rejected.Violations) > 0 {
		return models.Change{}, &rejected
	}
	return change, nil
}

// undo makes the candidate equal to running again.
func (t *tx) undo() {
	for _, p := range t.touched {
		t.s.schema.Share(t.s.candidate, t.s.running, p)
	}
}

// publish makes running equal to the candidate, in one step for readers.
func (t *tx) publish(c Commit) {
	t.s.view.Lock()
	defer t.s.view.Unlock()
	for _, p := range t.touched {
		t.s.schema.Share(t.s.running, t.s.candidate, p)
	}
	t.s.last = c
}
