package tree

import (
	"reflect"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
)

// Patch applies a delta to the configuration at root: forward, so that the new
// values stand there, or backward. touch is called as an [Editor] calls it.
// What the model doesn't accept (it may have changed since the delta was made) is
// returned, and the tree is half edited then.
//
// A delta can be applied to another configuration than that which it was made
// from: leaves get its values whatever they had, and entries that are
// gone are made again. To remove what the model has no place for is no mistake: it
// isn't there.
func (s *Schema) Patch(root ygot.GoStruct, d Delta, backward bool, touch func(Path)) []*Error {
	return s.Editor(root, touch).Patch(d, backward)
}

// Patch applies a delta as [Schema.Patch] does.
func (e *Editor) Patch(d Delta, backward bool) []*Error {
	e.errs = nil
	p := patcher{Editor: e}
	p.frames = append(p.frames, frame{node: e.schema.Root, at: e.root, base: e.base})
	p.reader = deltaReader{data: d.data, lean: true}
	for !p.reader.done() {
		diff, err := p.reader.next()
		if err != nil {
			return append(p.errs, &Error{Kind: Malformed, Path: p.reader.full(p.reader.path).String(), Err: err})
		}
		p.apply(diff, diff.side(backward))
	}
	return p.errs
}

// A frame is a struct on the way to the leaf that is being patched.
type frame struct {
	node    *Node
	at      reflect.Value // invalid when it is absent; the tree's own
	base    reflect.Value // the spared one, invalid for none
	covered bool          // a touched path covers it
	told    bool          // it is touched itself
}

// A patcher applies differences one after the other. Most of them share
// most of their path with the one before, so the structs on the way are kept.
type patcher struct {
	*Editor
	reader deltaReader
	frames []frame // frames[i] is the struct at path[:i]
}

// keyed reports whether element i of the path of the difference has keys.
func (p *patcher) keyed(path Path, i int) bool {
	return p.reader.keys[i].name != "" || len(path[i].GetKey()) > 0
}

// full is a path with all its keys: those of the reader have them apart.
func (p *patcher) full(path Path) Path { return p.reader.full(path) }

func (p *patcher) apply(d difference, want any) {
	if keep := d.shared + 1; keep < len(p.frames) {
		p.frames = p.frames[:keep]
	}
	last := len(d.path) - 1
	for len(p.frames) <= last {
		if !p.enter(d.path[:len(p.frames)], want != nil) {
			return
		}
	}
	// An entry that an earlier difference has removed may be wanted again.
	for i := range p.frames[:last+1] {
		if !p.frames[i].at.IsValid() && want != nil {
			p.frames = p.frames[:i]
			for len(p.frames) <= last {
				if !p.enter(d.path[:len(p.frames)], true) {
					return
				}
			}
			break
		}
	}
	f := &p.frames[last]
	n := f.node.Child(d.path[last].GetName())
	switch {
	case n == nil || !n.Config:
		if want != nil {
			p.fail(Unknown, p.full(d.path), "the model has no such node to configure")
		}
	case n.Kind == List && !p.keyed(d.path, last) && n.ordered:
		if f.at.IsValid() {
			p.arrange(n, f.at, p.full(d.path), want)
		}
	case !n.IsLeaf():
		if want != nil {
			p.fail(Invalid, p.full(d.path), "is no leaf in this model")
		}
	case n.IsKey():
		if want == nil {
			p.dropEntry(d.path[:last])
		}
	case !f.at.IsValid():
		// Nothing is there, and nothing is wanted.
	default:
		field := f.at.Elem().Field(n.field)
		if want == nil && !isSet(field) {
			return
		}
		if !f.covered && !f.told {
			p.touch(p.full(d.path[:last]))
			f.told = true
		}
		if want == nil {
			field.SetZero()
		} else if err := n.set(f.at, want); err != nil {
			p.fail(Invalid, p.full(d.path), "%w", err)
		}
	}
}

// enter adds the frame of the struct at path, making it if need be. It reports
// false when the model has none.
func (p *patcher) enter(path Path, create bool) bool {
	up := p.frames[len(p.frames)-1]
	el := path[len(path)-1]
	n := up.node.Child(el.GetName())
	if n == nil || n.IsLeaf() || !n.Config || (n.Kind == List) != p.keyed(path, len(path)-1) {
		if create {
			p.fail(Unknown, p.full(path), "the model has no such node to configure")
		}
		return false
	}
	f := frame{node: n, covered: up.covered || up.told}
	if up.at.IsValid() {
		field, below := n.own(up.at, up.base)
		if n.Kind == Container {
			switch {
			case !field.IsNil():
				f.at, f.base = field, below
			case create:
				f.at = n.make(up.at)
			}
		} else if !p.enterEntry(&f, n, field, below, path, create) {
			return false
		}
	}
	p.frames = append(p.frames, f)
	return true
}

func (p *patcher) enterEntry(f *frame, n *Node, field, list reflect.Value, path Path, create bool) bool {
	lean, full := p.reader.keys[len(path)-1], path[len(path)-1].GetKey()
	made, key, err := n.entryOf(func(name string) (any, bool) {
		if lean.name != "" {
			return text(lean.value), name == lean.name
		}
		v, ok := full[name]
		return text(v), ok
	})
	if err != nil {
		if create {
			p.fail(Invalid, p.full(path), "%w", err)
		}
		return false
	}
	if f.at, f.base = n.ownEntry(field, list, key); f.at.IsValid() || !create {
		return true
	}
	if !f.covered {
		p.touchEntry(n, path)
		f.covered = true
	}
	f.at = n.put(field, key, made)
	return true
}

// touchEntry tells that an entry comes or goes.
func (p *patcher) touchEntry(n *Node, path Path) {
	path = p.full(path)
	if n.ordered {
		// The places of other entries change with it.
		path[len(path)-1] = &gnmi.PathElem{Name: n.Name}
	}
	p.touch(path)
}

// dropEntry removes the entry that the last frame holds.
func (p *patcher) dropEntry(path Path) {
	f, up := &p.frames[len(path)], &p.frames[len(path)-1]
	if !f.at.IsValid() || !up.at.IsValid() {
		return
	}
	if !f.covered {
		p.touchEntry(f.node, path)
	}
	field := up.at.Elem().Field(f.node.field)
	f.node.drop(field, f.node.keyOf(f.at))
	f.at, f.base, f.covered = reflect.Value{}, reflect.Value{}, true
}

// arrange puts the entries of an ordered list into the order that want gives by
// their keys. Those that it doesn't name follow, in the order that they have.
func (e *Editor) arrange(n *Node, at reflect.Value, p Path, want any) {
	keys, ok := want.([]any)
	if want != nil && !ok {
		e.fail(Invalid, p, "the order of a list is a list of its keys, not %s", describe(want))
		return
	}
	field := at.Elem().Field(n.field)
	if field.IsNil() {
		return
	}
	entries := n.values(field)
	place := make(map[string]reflect.Value, len(entries))
	for i, k := range n.keyTexts(entries) {
		place[k] = entries[i]
	}
	ordered := make([]reflect.Value, 0, len(entries))
	take := func(k string) {
		if entry, ok := place[k]; ok {
			ordered = append(ordered, entry)
			delete(place, k)
		}
	}
	for _, k := range keys {
		s, ok := k.(string)
		if !ok {
			e.fail(Invalid, p, "the order of a list is given by its keys as strings, not %s", describe(k))
			return
		}
		take(s)
	}
	for _, k := range n.keyTexts(entries) {
		take(k)
	}
	if slices.EqualFunc(ordered, entries, func(a, b reflect.Value) bool { return a.Pointer() == b.Pointer() }) {
		return
	}
	e.touch(slices.Clone(p))
	field.SetZero()
	for _, entry := range ordered {
		n.put(field, n.keyOf(entry), entry)
	}
}

// order carries out an Arrange.
func (e *Editor) order(path Path, v any) {
	n, p, err := e.schema.concrete(path)
	if err != nil {
		e.failure(path, err)
		return
	}
	if n.Kind != List || !n.ordered || len(p[len(p)-1].GetKey()) > 0 || !n.Config {
		e.fail(Invalid, p, "is no list that its user orders: only entries of such a list can be arranged")
		return
	}
	if at, _, ok := e.ownAt(p[:len(p)-1]); ok {
		e.arrange(n, at, p, v)
	}
}
