package tree

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
)

// An OpKind is one of gNMI's three ways to change a node (specification,
// section 3.4), or Arrange, which gNMI has no word for.
type OpKind uint8

const (
	Delete  OpKind = iota // remove what the path matches; wildcards allowed. With a value: those values of leaf-lists
	Replace               // the node becomes exactly the value
	Update                // the value is merged into the node
	Arrange               // the entries of an ordered list take the order that the value gives: a leaf-list of their keys
)

func (k OpKind) String() string {
	switch k {
	case Delete:
		return "delete"
	case Replace:
		return "replace"
	case Update:
		return "update"
	case Arrange:
		return "arrange"
	}
	return fmt.Sprintf("operation(%d)", uint8(k))
}

// An Op is one change. Value is nil for a delete of whole nodes, which is all that gNMI has.
type Op struct {
	Kind  OpKind
	Path  Path
	Value *gnmi.TypedValue

	// Expand, if set, makes the operations that are applied in place of this one,
	// from the tree as the operations before it leave it, which it only reads.
	Expand func(root ygot.GoStruct) ([]Op, []*Error)
}

// An Editor applies operations to one tree. It is not safe for concurrent use.
// After an error the tree is half edited: the owner copies every touched path back from
// a good tree.
type Editor struct {
	schema *Schema
	root   reflect.Value
	base   reflect.Value // the tree that is spared, invalid for none
	touch  func(Path)
	errs   []*Error
}

// Editor edits the tree at root, a pointer to the struct that the schema was
// made for. touch is called when a subtree changes, before it does or after,
// with the concrete path of a container, a list, or a list entry; that path covers every change
// below it. Of what a replace leaves as it was, nothing is reported: its cost to
// those who follow is that of its differences.
func (s *Schema) Editor(root ygot.GoStruct, touch func(Path)) *Editor {
	return &Editor{schema: s, root: reflect.ValueOf(root), touch: touch}
}

// Spare has the editor leave what its tree shares with base as it is, and make
// its own of it before it changes something there. It returns e.
func (e *Editor) Spare(base ygot.GoStruct) *Editor {
	e.base = reflect.ValueOf(base)
	return e
}

// Apply applies one operation and returns everything that is wrong with it.
func (e *Editor) Apply(op Op) []*Error {
	if op.Expand != nil {
		return e.expand(op)
	}
	e.errs = nil
	switch op.Kind {
	case Delete:
		if op.Value == nil {
			e.remove(op.Path)
			break
		}
		v, err := decode(op.Value)
		if err != nil {
			return []*Error{{Kind: err.Kind, Path: op.Path.String(), Err: err.Err}}
		}
		e.removeValues(op.Path, v.plain())
	case Replace, Update:
		v, err := decode(op.Value)
		if err != nil {
			return []*Error{{Kind: err.Kind, Path: op.Path.String(), Err: err.Err}}
		}
		e.write(op, v)
	case Arrange:
		v, err := decode(op.Value)
		if err != nil {
			return []*Error{{Kind: err.Kind, Path: op.Path.String(), Err: err.Err}}
		}
		e.order(op.Path, v.plain())
	}
	return e.errs
}

func (e *Editor) expand(op Op) []*Error {
	root, ok := e.root.Interface().(ygot.GoStruct)
	if !ok {
		return []*Error{errorAt(Invalid, op.Path, "the root is a %s, not a struct of ygot", e.root.Type())}
	}
	ops, errs := op.Expand(root)
	for _, o := range ops {
		errs = append(errs, e.Apply(o)...)
	}
	return errs
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
		if v.isObject() && v.isEmpty() {
			e.fail(Invalid, p, "an entry can't be replaced by {}: delete it instead")
			return
		}
	}
	if len(p) == 0 {
		e.writeRoot(op.Kind, v)
		return
	}
	m := merger{Editor: e, replace: op.Kind == Replace}
	m.descend(e.schema.Root, e.root, e.base, nil, p, v)
}

func (e *Editor) writeRoot(kind OpKind, v value) {
	m := merger{Editor: e, replace: kind == Replace}
	if kind == Replace {
		m.covered = true
		m.replacing(e.schema.Root, e.root, nil, func() { m.members(e.schema.Root, e.root, reflect.Value{}, reflect.Value{}, &trail{}, v) })
		return
	}
	m.members(e.schema.Root, e.root, e.base, reflect.Value{}, &trail{}, v)
}

// replacing empties the struct at, of node n and path p, has fill write it
// anew, and reports as touched what is then not as it was. When fill finds an
// error, all is as it was.
func (e *Editor) replacing(n *Node, at reflect.Value, p Path, fill func()) {
	old := reflect.New(n.typ)
	old.Elem().Set(at.Elem())
	at.Elem().SetZero()
	known := len(e.errs)
	fill()
	if len(e.errs) > known {
		at.Elem().Set(old.Elem())
		return
	}
	n.differ(old, at, p, e.touch)
}

// replacingField does for the field of node n, a container or a list, in the
// struct at what replacing does for a struct.
func (e *Editor) replacingField(n *Node, at reflect.Value, p Path, fill func()) {
	f := at.Elem().Field(n.field)
	old := reflect.New(f.Type()).Elem()
	old.Set(f)
	f.SetZero()
	known := len(e.errs)
	fill()
	if len(e.errs) > known {
		f.Set(old)
		return
	}
	n.differField(old, f, p, e.touch)
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
		canonical, err := n.canonical(el)
		if err != nil {
			return nil, nil, errorAt(Invalid, path[:i+1], "%w", err)
		}
		p = append(p, canonical)
	}
	return n, p, nil
}

// A merger writes one value. covered is set once a touched path covers all that
// follows, or what follows is compared when it has been written.
type merger struct {
	*Editor
	replace bool
	covered bool
}

// descend walks from the struct at, of node n and path done, to the end of
// rest, making what is absent, and writes v there. base is the spared struct at
// the same place, invalid for none.
func (m *merger) descend(n *Node, at, base reflect.Value, done, rest Path, v value) {
	el, last := rest[0], len(rest) == 1
	c := n.Child(el.GetName())
	p := done.Child(el)
	switch c.Kind {
	case Leaf, LeafList:
		m.leafAt(c, at, done, p, v.plain())
	case Container:
		if last {
			m.container(c, at, base, p, v)
			return
		}
		sub, base := c.makeOwn(at, base)
		m.descend(c, sub, base, p, rest[1:], v)
	case List:
		if last && len(el.GetKey()) == 0 {
			m.wholeList(c, at, base, p, v)
			return
		}
		if last && !v.isObject() {
			m.fail(Invalid, p, "an entry is written as an object, not %s", describe(v.plain()))
			return
		}
		made, key, err := c.newCanonical(el)
		if err != nil {
			m.fail(Invalid, p, "%w", err)
			return
		}
		_, list := c.own(at, base)
		entry, base, old := m.entry(c, at, list, made, key, &trail{path: p})
		switch {
		case last && m.replace && old:
			m.covered = true
			m.replacing(c, entry, p, func() {
				entry.Elem().Set(made.Elem())
				m.members(c, entry, reflect.Value{}, entry, &trail{path: p}, v)
			})
		case last:
			m.members(c, entry, base, entry, &trail{path: p}, v)
		default:
			m.descend(c, entry, base, p, rest[1:], v)
		}
	}
}

// touchOnce reports the path as touched unless one above it was.
func (m *merger) touchOnce(t *trail) {
	if !m.covered {
		m.touch(t.Path())
	}
}

// entry finds the entry under key at t in the list's field, which the tree owns, or puts made
// there; old says that it found one. list is the spared list, invalid for none, and base
// its entry.
func (m *merger) entry(n *Node, at, list, made, key reflect.Value, t *trail) (entry, base reflect.Value, old bool) {
	f := at.Elem().Field(n.field)
	if entry, base := n.ownEntry(f, list, key); entry.IsValid() {
		return entry, base, true
	}
	if !m.covered {
		p := t.Path()
		if n.ordered {
			// Where an entry stands is a matter of the list, not of the entry.
			p = p[:len(p)-1].Named(n.Name)
		}
		m.touch(p)
		m.covered = true
	}
	return n.put(f, key, made), reflect.Value{}, false
}

func (m *merger) container(n *Node, at, base reflect.Value, p Path, v value) {
	if !m.replace {
		sub, base := n.makeOwn(at, base)
		m.members(n, sub, base, at, &trail{path: p}, v)
		return
	}
	m.covered = true
	m.replacingField(n, at, p, func() {
		if n.Name == "config" && n.Parent.Kind == List {
			n.Parent.copyKeys(at)
		}
		m.members(n, n.make(at), reflect.Value{}, at, &trail{path: p}, v)
	})
}

// wholeList writes all entries of a list. A replace removes those that the array
// leaves out.
func (m *merger) wholeList(n *Node, at, base reflect.Value, p Path, v value) {
	if !m.replace {
		m.list(n, at, base, &trail{path: p}, v)
		return
	}
	m.covered = true
	m.replacingField(n, at, p, func() { m.list(n, at, reflect.Value{}, &trail{path: p}, v) })
}

// list merges an array of entries.
func (m *merger) list(n *Node, at, base reflect.Value, t *trail, v value) {
	if !v.isArray() {
		m.fail(Invalid, t.Path(), "a list is written as an array of objects, not %s; an entry needs its keys in the path", describe(v.plain()))
		return
	}
	defer func(c bool) { m.covered = c }(m.covered)
	covered := m.covered
	field, spared := n.own(at, base)
	if covered && field.IsNil() && !n.ordered && v.size() >= asideSize {
		m.listAside(n, at, t, v)
		return
	}
	// What an empty list has got by now came from this array.
	var seen map[any]struct{}
	if !field.IsNil() {
		seen = make(map[any]struct{})
	}
	v.items(func(i int, item value) {
		m.covered = covered
		made, key, et, ok := m.item(n, t, i, item)
		if !ok {
			return
		}
		twice := false
		if seen != nil {
			id := key.Interface()
			_, twice = seen[id]
			seen[id] = struct{}{}
		} else {
			twice = n.get(field, key).IsValid()
		}
		if twice {
			m.fail(Invalid, et.Path(), standsTwice)
			return
		}
		entry, base, _ := m.entry(n, at, spared, made, key, &et)
		m.members(n, entry, base, entry, &et, item)
	})
}

const standsTwice = "stands twice in the array"

// item makes the entry of an array's item, with its keys; et is its place. ok is false where
// the item can't be one.
func (m *merger) item(n *Node, t *trail, i int, item value) (made, key reflect.Value, et trail, ok bool) {
	if !item.isObject() {
		m.fail(Invalid, t.Path(), "entry %d is %s, not an object", i+1, describe(item.plain()))
		return made, key, et, false
	}
	made, key, err := n.bodyEntry(func(name string) (any, bool) {
		v, ok := item.member(name)
		if !ok {
			return nil, false
		}
		return v.plain(), true
	})
	if err != nil {
		m.fail(Invalid, t.Path(), "entry %d: %w", i+1, err)
		return made, key, et, false
	}
	et = trail{up: t.up, node: n, entry: made}
	if t.up == nil {
		et.path = t.path[:len(t.path)-1]
	}
	return made, key, et, true
}

// bodyEntry makes an entry with the keys that an object has as members, checked with
// their JSON types, and returns it with its key in the map.
func (n *Node) bodyEntry(member func(name string) (any, bool)) (entry, key reflect.Value, err error) {
	entry = reflect.New(n.typ)
	for _, k := range n.Keys {
		v, ok := member(k.Name)
		if !ok {
			v, ok = member(k.Module + ":" + k.Name)
		}
		if !ok {
			return entry, key, fmt.Errorf("the key %q is missing", k.Name)
		}
		if err := k.set(entry, v); err != nil {
			return entry, key, fmt.Errorf("key %s: %w", k.Name, err)
		}
	}
	n.copyKeys(entry)
	return entry, n.keyOf(entry), nil
}

// members merges the object v into the struct at, which the tree owns. base is the spared
// struct at the same place, invalid for none. entry is the list entry that
// the struct belongs to, when its leaves may be copies of the entry's keys.
func (m *merger) members(n *Node, at, base, entry reflect.Value, t *trail, v value) {
	if !v.isObject() {
		m.fail(Invalid, t.Path(), "takes an object, not %s", describe(v.plain()))
		return
	}
	told := false
	for member := range v.members() {
		c := n.index[string(member.name)]
		if c == nil {
			c = n.Child(string(member.name))
		}
		switch {
		case string(member.name) == "@" && n.Parent == nil && n.Child(annotationAt[0].GetName()) != nil:
			m.annotations(n, at, base, member.value.plain())
			continue
		case len(member.name) > 0 && member.name[0] == '@':
			m.fail(Invalid, t.Path(), "annotations such as %q are not supported", member.name)
			continue
		case c == nil:
			m.fail(Invalid, t.Path(), "the model has no node %q here%s", member.name, suggestion(map[*Node]bool{n: true}))
			continue
		case !c.Config:
			m.fail(Invalid, t.Path().Named(c.Name), "is state and can't be written; write the config beside it")
			continue
		case len(member.name) > len(c.Name) && v.has(c.Name):
			m.fail(Invalid, t.Path(), "has %s twice, with its module's name and without", c.Name)
			continue
		}
		ct := trail{up: t, node: c}
		covered := m.covered
		switch c.Kind {
		case Leaf, LeafList:
			if !told && !c.IsKey() {
				m.touchOnce(t)
				told = true
			}
			m.leaf(c, at, entry, &ct, member.value.plain())
		case Container:
			made, below := c.makeOwn(at, base)
			m.members(c, made, below, at, &ct, member.value)
		case List:
			// Below a replaced node the list is empty by now: merging suffices.
			sub := merger{Editor: m.Editor, covered: m.covered}
			sub.list(c, at, base, &ct, member.value)
		}
		m.covered = covered
	}
}

// leafAt writes a leaf that the path itself names. holder's path is done.
func (m *merger) leafAt(n *Node, at reflect.Value, done, p Path, v any) {
	m.touchOnce(&trail{path: done})
	t := &trail{path: p}
	if n.KeyCopy || n.IsKey() {
		// The entry's keys stand in the path, in the element of the list.
		for i := len(done) - 1; i >= 0; i-- {
			if want, ok := done[i].GetKey()[n.Name]; ok {
				m.keyLeaf(n, t, v, want)
				return
			}
		}
	}
	m.leaf(n, at, reflect.Value{}, t, v)
}

// keyLeaf accepts only the key's own value.
func (m *merger) keyLeaf(n *Node, t *trail, v any, want string) {
	holder := reflect.New(n.Parent.typ)
	if err := n.set(holder, v); err != nil {
		m.fail(Invalid, t.Path(), "%w", err)
		return
	}
	if got := textOf(holder.Elem().Field(n.field)); got != want {
		m.fail(Invalid, t.Path(), "is %q but the entry's key is %q: they must be equal", got, want)
	}
}

func (m *merger) leaf(n *Node, at, entry reflect.Value, t *trail, v any) {
	if v == nil {
		m.fail(Invalid, t.Path(), "null is no value: delete the leaf instead")
		return
	}
	if entry.IsValid() && (n.IsKey() || n.KeyCopy) {
		key := n
		if n.KeyCopy {
			key = n.Parent.Parent.index[n.Name]
		}
		want := entry.Elem().Field(key.field)
		if s, ok := v.(string); ok && want.Kind() == reflect.Pointer && want.Type().Elem().Kind() == reflect.String && s == want.Elem().String() {
			return // checked when it became the key
		}
		m.keyLeaf(n, t, v, textOf(want))
		return
	}
	f := at.Elem().Field(n.field)
	var old reflect.Value
	if n.Kind == LeafList && !m.replace {
		old = reflect.ValueOf(f.Interface())
	}
	if err := n.set(at, v); err != nil {
		if n.secret {
			err = errSecret
		}
		m.fail(Invalid, t.Path(), "%w", err)
		return
	}
	if old.IsValid() && !old.IsNil() {
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
