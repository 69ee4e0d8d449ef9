package tree

// Salvage applies a delta as [Editor.Patch] does, but goes on behind what the model
// doesn't accept: refused gets each such difference, with its value, and it is left
// out. settled gets the path of each other one: it holds what the delta wants, or, where
// that is nothing, the model has no place for it, which is the same. The error says that the
// delta itself can't be read to its end.
func (e *Editor) Salvage(d Delta, backward bool, refused func(Leftover), settled func(Path)) error {
	e.errs = nil
	p := patcher{Editor: e}
	p.frames = append(p.frames, frame{node: e.schema.Root, at: e.root, base: e.base})
	p.reader = deltaReader{data: d.data, lean: true}
	for !p.reader.done() {
		diff, err := p.reader.next()
		if err != nil {
			return &Error{Kind: Malformed, Path: p.full(p.reader.path).String(), Err: err}
		}
		e.errs = e.errs[:0]
		p.apply(diff, diff.side(backward))
		path := p.full(diff.path)
		if len(e.errs) > 0 {
			refused(Leftover{Path: path, Value: diff.side(backward), Err: e.errs[0].Err})
			continue
		}
		settled(path)
	}
	return nil
}

// A Leftover is a leaf that a model doesn't accept. Value has the form that RFC
// 7951 JSON decodes to, numbers as [encoding/json.Number].
type Leftover struct {
	Path  Path
	Value any
	Err   error
}

// Without is the delta that takes away what list names, and then does what d does, so that going
// back behind it asks for that again. d may give what is taken away another value.
func (d Delta) Without(list []Leftover) Delta {
	if len(list) == 0 {
		return d
	}
	var w deltaWriter
	for _, l := range list {
		w.add(l.Path, l.Value, nil)
	}
	return Delta{append(w.data, d.data...), w.n + d.n}
}

// Removed calls f for each leaf that the delta takes away or changes, with the value that
// it had, in the form of a [Leftover]'s. The path is valid for the call.
func (s *Schema) Removed(d Delta, f func(p Path, old any)) error {
	r := deltaReader{data: d.data}
	for !r.done() {
		diff, err := r.next()
		if err != nil {
			return &Error{Kind: Malformed, Path: r.path.String(), Err: err}
		}
		if diff.old != nil {
			f(diff.path, diff.old)
		}
	}
	return nil
}
