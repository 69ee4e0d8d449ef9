package tree

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
)

// An OpKind is one of gNMI's three ways to change a node (specification,
// section 3.4).
type OpKind uint8

const (
	Delete  OpKind = iota // remove what the path matches; wildcards allowed
	Replace               // the node becomes exactly the value
	Update                // the value is merged into the node
)

func (k OpKind) String() string {
	switch k {
	case Delete:
		return "delete"
	case Replace:
		return "replace"
	case Update:
		return "update"
	}
	return fmt.Sprintf("operation(%d)", uint8(k))
}

// An Op is one change. Value is nil for a delete.
type Op struct {
	Kind  OpKind
	Path  Path
	Value *gnmi.TypedValue
}

// An Editor applies operations to one tree. It is not safe for concurrent use.
// After an error the tree is half edited: the owner copies every touched path back from
// a good tree.
type Editor struct {
	schema *Schema
	root   reflect.Value
	touch  func(Path)
	errs   []*Error
}

// Editor edits the tree at root, a pointer to the struct that the schema was
// made for. touch is called before a subtree changes, with the concrete path of
// a container, a list, or a list entry; that path covers every change below it.
func (s *Schema) Editor(root ygot.GoStruct, touch func(Path)) *Editor {
	return &Editor{schema: s, root: reflect.ValueOf(root), touch: touch}
}

// Apply applies one operation and returns everything that is wrong with it.
func (e *Editor) Apply(op Op) []*Error {
	e.errs = nil
	switch op.Kind {
	case Delete:
		e.remove(op.Path)
	case Replace, Update:
		v, err := decode(op.Value)
		if err != nil {
			return []*Error{{Kind: err.Kind, Path: op.Path.String(), Err: err.Err}}
		}
		e.write(op, v)
	}
	return e.errs
}

func (e *Editor) fail(kind ErrorKind, p Path, format string, args ...any) {
	e.errs = append(e.errs, errorAt(kind, p, format, args...))
}

// failure records an error that Check or a function like it returned.
func (e *Editor) failure(p Path, err error) {
	var te *Error
	if !errors.As(err, &te) {
		te = &Error{Kind: Invalid, Path: p.String(), Err: err}
	}
	e.errs = append(e.errs, te)
}

// write replaces or updates the node at op.Path.
func (e *Editor) write(op Op, v value) {
	n, p, err := e.schema.concrete(op.Path)
	if err != nil {
		e.failure(op.Path, err)
		return
	}
	switch {
	case !n.Config:
		e.fail(Invalid, p, "is state and can't be written; write the config beside it")
		return
	case v.scalar && !n.IsLeaf():
		e.fail(Invalid, p, "takes a JSON value, not a scalar")
		return
	}
	if op.Kind == Replace && n.Kind == List && len(p[len(p)-1].GetKey()) > 0 {
		if m, ok := v.any.(map[string]any); ok && len(m) == 0 {
			e.fail(Invalid, p, "an entry can't be replaced by {}: delete it instead")
			return
		}
	}
	if len(p) == 0 {
		e.writeRoot(op.Kind, v.any)
		return
	}
	m := merger{Editor: e, replace: op.Kind == Replace}
	m.descend(e.schema.Root, e.root, nil, p, v.any)
}

func (e *Editor) writeRoot(kind OpKind, v any) {
	m := merger{Editor: e, replace: kind == Replace}
	if kind == Replace {
		e.touch(nil)
		m.covered = true
		e.root.Elem().SetZero()
	}
	m.members(e.schema.Root, e.root, reflect.Value{}, nil, v)
}

// concrete resolves a path that names exactly one node, or one list.
func (s *Schema) concrete(path Path) (*Node, Path, error) {
	if err := s.Check(path); err != nil {
		return nil, nil, err
	}
	n, p := s.Root, make(Path, 0, len(path))
	for i, el := range path {
		if el.GetName() == anyName || el.GetName() == "..." {
			return nil, nil, errorAt(Invalid, path[:i+1], "wildcards are for deletes and reads")
		}
		n = n.Child(el.GetName())
		if n.Kind == List && !n.exact(el.GetKey()) && (i < len(path)-1 || len(el.GetKey()) > 0) {
			return nil, nil, errorAt(Invalid, path[:i+1], "the keys of list %s must be given: %s", n.Name, n.keyNames())
		}
		if n.Kind != List || len(el.GetKey()) == 0 {
			p = append(p, &gnmi.PathElem{Name: n.Name})
			continue
		}
		made, _, err := n.newEntry(el)
		if err != nil {
			return nil, nil, errorAt(Invalid, path[:i+1], "%w", err)
		}
		p = append(p, n.elem(made))
	}
	return n, p, nil
}

// A merger writes one value. covered is set once a touched path covers all that
// follows.
type merger struct {
	*Editor
	replace bool
	covered bool
}

// descend walks from the struct at, of node n and path done, to the end of
// rest, making what is absent, and writes v there.
func (m *merger) descend(n *Node, at reflect.Value, done, rest Path, v any) {
	el, last := rest[0], len(rest) == 1
	c := n.Child(el.GetName())
	p := done.Child(el)
	switch c.Kind {
	case Leaf, LeafList:
		m.leafAt(c, at, done, p, v)
	case Container:
		if last {
			m.container(c, at, p, v)
			return
		}
		m.descend(c, c.make(at), p, rest[1:], v)
	case List:
		if last && len(el.GetKey()) == 0 {
			m.list(c, at, p, v)
			return
		}
		_, isMap := v.(map[string]any)
		if last && !isMap {
			m.fail(Invalid, p, "an entry is written as an object, not %s", describe(v))
			return
		}
		entry := m.entry(c, at, p, last && m.replace)
		if !entry.IsValid() {
			return
		}
		if last {
			m.members(c, entry, entry, p, v)
			return
		}
		m.descend(c, entry, p, rest[1:], v)
	}
}

// touchOnce reports the path as touched unless one above it was.
func (m *merger) touchOnce(p Path) {
	if !m.covered {
		m.touch(p)
	}
}

// entry finds the entry that the last element of p names, or makes it; fresh
// makes it anew in any case.
func (m *merger) entry(n *Node, at reflect.Value, p Path, fresh bool) reflect.Value {
	made, key, err := n.newEntry(p[len(p)-1])
	if err != nil {
		m.fail(Invalid, p, "%w", err)
		return reflect.Value{}
	}
	f := at.Elem().Field(n.field)
	old := n.get(f, key)
	if old.IsValid() && !fresh {
		return old
	}
	if n.ordered && !old.IsValid() {
		// Where an entry stands is a matter of the list, not of the entry.
		p = p[:len(p)-1].Named(n.Name)
	}
	m.touchOnce(p)
	m.covered = true
	return n.put(f, key, made)
}

func (m *merger) container(n *Node, at reflect.Value, p Path, v any) {
	if m.replace {
		m.touchOnce(p)
		m.covered = true
		at.Elem().Field(n.field).SetZero()
		if n.Name == "config" && n.Parent.Kind == List {
			n.Parent.copyKeys(at)
		}
	}
	m.members(n, n.make(at), at, p, v)
}

// list writes an array of entries. A replace removes the entries that the
// array leaves out.
func (m *merger) list(n *Node, at reflect.Value, p Path, v any) {
	entries, ok := v.([]any)
	if !ok {
		m.fail(Invalid, p, "a list is written as an array of objects, not %s; an entry needs its keys in the path", describe(v))
		return
	}
	defer func(c bool) { m.covered = c }(m.covered)
	if m.replace {
		m.touchOnce(p)
		m.covered = true
		at.Elem().Field(n.field).SetZero()
	}
	covered := m.covered
	seen := make(map[string]bool, len(entries))
	for i, item := range entries {
		m.covered = covered
		obj, ok := item.(map[string]any)
		if !ok {
			m.fail(Invalid, p, "entry %d is %s, not an object", i+1, describe(item))
			continue
		}
		el, err := n.bodyKeys(obj)
		if err != nil {
			m.fail(Invalid, p, "entry %d: %w", i+1, err)
			continue
		}
		ep := p[:len(p)-1].Child(el)
		if id := ep[len(ep)-1:].String(); seen[id] {
			m.fail(Invalid, ep, "stands twice in the array")
			continue
		} else {
			seen[id] = true
		}
		if entry := m.entry(n, at, ep, false); entry.IsValid() {
			m.members(n, entry, entry, ep, obj)
		}
	}
}

// bodyKeys is the path element of an entry given as an object.
func (n *Node) bodyKeys(obj map[string]any) (*gnmi.PathElem, error) {
	el := &gnmi.PathElem{Name: n.Name, Key: make(map[string]string, len(n.Keys))}
	for _, k := range n.Keys {
		v, ok := obj[k.Name]
		if !ok {
			v, ok = obj[k.Module+":"+k.Name]
		}
		if !ok {
			return nil, fmt.Errorf("the key %q is missing", k.Name)
		}
		// The entry's own type check sees the value again, with its JSON type.
		holder := reflect.New(n.typ)
		if err := k.set(holder, v); err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		el.Key[k.Name] = textOf(holder.Elem().Field(k.field))
	}
	return el, nil
}

// members merges the object v into the struct at. entry is the list entry that
// the struct belongs to, when its leaves may be copies of the entry's keys.
func (m *merger) members(n *Node, at, entry reflect.Value, p Path, v any) {
	obj, ok := v.(map[string]any)
	if !ok {
		m.fail(Invalid, p, "takes an object, not %s", describe(v))
		return
	}
	told := false
	for _, name := range slices.Sorted(maps.Keys(obj)) {
		c := n.Child(name)
		switch {
		case strings.HasPrefix(name, "@"):
			m.fail(Invalid, p, "annotations such as %q are not supported", name)
			continue
		case c == nil:
			m.fail(Invalid, p, "the model has no node %q here%s", name, suggestion(map[*Node]bool{n: true}))
			continue
		case !c.Config:
			m.fail(Invalid, p.Named(c.Name), "is state and can't be written; write the config beside it")
			continue
		}
		cp := p.Named(c.Name)
		covered := m.covered
		switch c.Kind {
		case Leaf, LeafList:
			if !told && !c.IsKey() {
				m.touchOnce(p)
				told = true
			}
			m.leaf(c, at, entry, cp, obj[name])
		case Container:
			m.members(c, c.make(at), at, cp, obj[name])
		case List:
			// Below a replaced node the list is empty by now: merging suffices.
			sub := merger{Editor: m.Editor, covered: m.covered}
			sub.list(c, at, cp, obj[name])
		}
		m.covered = covered
	}
}

// leafAt writes a leaf that the path itself names. holder's path is done.
func (m *merger) leafAt(n *Node, at reflect.Value, done, p Path, v any) {
	m.touchOnce(done)
	entry := reflect.Value{}
	if n.KeyCopy || n.IsKey() {
		// The entry's keys stand in the path, in the element of the list.
		for i := len(done) - 1; i >= 0; i-- {
			if want, ok := done[i].GetKey()[n.Name]; ok {
				m.keyLeaf(n, p, v, want)
				return
			}
		}
	}
	m.leaf(n, at, entry, p, v)
}

// keyLeaf accepts only the key's own value.
func (m *merger) keyLeaf(n *Node, p Path, v any, want string) {
	holder := reflect.New(n.Parent.typ)
	if err := n.set(holder, v); err != nil {
		m.fail(Invalid, p, "%w", err)
		return
	}
	if got := textOf(holder.Elem().Field(n.field)); got != want {
		m.fail(Invalid, p, "is %q but the entry's key is %q: they must be equal", got, want)
	}
}

func (m *merger) leaf(n *Node, at, entry reflect.Value, p Path, v any) {
	if v == nil {
		m.fail(Invalid, p, "null is no value: delete the leaf instead")
		return
	}
	if entry.IsValid() && n.IsKey() {
		m.keyLeaf(n, p, v, textOf(entry.Elem().Field(n.field)))
		return
	}
	if entry.IsValid() && n.KeyCopy {
		list := n.Parent.Parent
		m.keyLeaf(n, p, v, textOf(entry.Elem().Field(list.index[n.Name].field)))
		return
	}
	f := at.Elem().Field(n.field)
	old := reflect.ValueOf(f.Interface())
	if err := n.set(at, v); err != nil {
		if n.secret {
			err = errSecret
		}
		m.fail(Invalid, p, "%w", err)
		return
	}
	if n.Kind == LeafList && !m.replace && old.IsValid() && !old.IsNil() {
		f.Set(appendUnique(old, f))
	}
}

// appendUnique appends the values of add that are not in list (row 31 of the
// checklist: an update never removes; RFC 7950, 7.7: the values are unique).
func appendUnique(list, add reflect.Value) reflect.Value {
	out := reflect.AppendSlice(reflect.MakeSlice(list.Type(), 0, list.Len()+add.Len()), list)
	known := make(map[string]struct{}, list.Len())
	for i := range list.Len() {
		known[textOf(list.Index(i))] = struct{}{}
	}
	for i := range add.Len() {
		v := add.Index(i)
		if _, ok := known[textOf(v)]; !ok {
			out = reflect.Append(out, v)
		}
	}
	return out
}
