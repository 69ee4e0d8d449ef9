package tree

import (
	"reflect"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// A target is a node of the data tree that a delete matched.
type target struct {
	node  *Node
	entry reflect.Value // of a list: the entry, or invalid for the whole list
	path  Path
}

// remove deletes what the pattern matches. What is absent is no error; a
// wildcard passes over state and keys, a plain name of one is an error.
func (e *Editor) remove(pattern Path) {
	if err := e.schema.Check(pattern); err != nil {
		e.failure(pattern, err)
		return
	}
	if len(pattern) == 0 {
		e.touch(nil)
		e.root.Elem().SetZero()
		return
	}
	wild := false
	for _, el := range pattern {
		wild = wild || el.GetName() == anyName || el.GetName() == "..."
	}
	if !wild {
		n := e.schema.Nodes(pattern)[0]
		switch {
		case !n.Config:
			e.fail(Invalid, pattern, "is state and can't be deleted")
			return
		case n.KeyCopy || n.IsKey():
			e.fail(Invalid, pattern, "is the entry's key: delete the entry itself")
			return
		}
	}
	var targets []target
	match(e.schema.Root, e.root, nil, pattern, func(t target) { targets = append(targets, t) })
	for _, t := range targets {
		e.removeTarget(t)
	}
}

// removeValues takes the values, an array, out of the leaf-lists that the pattern matches, whose
// other values keep their order; one that has no others goes. What is absent is no
// error.
func (e *Editor) removeValues(pattern Path, values any) {
	if err := e.schema.Check(pattern); err != nil {
		e.failure(pattern, err)
		return
	}
	gone := make(map[*Node]map[string]bool)
	for _, n := range e.schema.Nodes(pattern) {
		switch {
		case n.Kind != LeafList:
			e.fail(Invalid, pattern, "is no leaf-list of which single values could be deleted: delete it without values")
			return
		case !n.Config:
			e.fail(Invalid, pattern, "is state and can't be deleted")
			return
		}
		holder := reflect.New(n.Parent.typ)
		if err := n.set(holder, values); err != nil {
			e.fail(Invalid, pattern, "%w", err)
			return
		}
		list := holder.Elem().Field(n.field)
		gone[n] = make(map[string]bool, list.Len())
		for i := range list.Len() {
			gone[n][textOf(list.Index(i))] = true
		}
	}
	var targets []target
	match(e.schema.Root, e.root, nil, pattern, func(t target) { targets = append(targets, t) })
	for _, t := range targets {
		e.removeValuesAt(t, gone[t.node])
	}
}

// removeValuesAt takes the values whose text is in gone out of one leaf-list.
func (e *Editor) removeValuesAt(t target, gone map[string]bool) {
	holder := t.path[:len(t.path)-1]
	parent, _, ok := e.ownAt(holder)
	if !ok {
		return
	}
	f := parent.Elem().Field(t.node.field)
	// The old slice is perhaps another tree's, too.
	rest := reflect.MakeSlice(f.Type(), 0, f.Len())
	for i := range f.Len() {
		if v := f.Index(i); !gone[textOf(v)] {
			rest = reflect.Append(rest, v)
		}
	}
	switch rest.Len() {
	case f.Len():
		return
	case 0:
		rest = reflect.Zero(f.Type()) // RFC 7950, section 7.7: there is no empty leaf-list
	}
	e.touch(holder)
	f.Set(rest)
}

func (e *Editor) removeTarget(t target) {
	parent, base, ok := e.ownAt(t.path[:len(t.path)-1])
	if !ok {
		return // gone with one above it
	}
	f := parent.Elem().Field(t.node.field)
	switch t.node.Kind {
	case Leaf, LeafList:
		if !isSet(f) {
			return
		}
		e.touch(t.path[:len(t.path)-1])
		f.SetZero()
	case Container:
		if f.IsNil() {
			return
		}
		e.touch(t.path)
		f.SetZero()
		if t.node.Name == "config" && t.node.Parent.Kind == List {
			t.node.Parent.copyKeys(parent)
		}
	case List:
		if f.IsNil() {
			return
		}
		if !t.entry.IsValid() {
			e.touch(t.path)
			f.SetZero()
			return
		}
		if t.node.ordered {
			// The places of the entries behind it change.
			t.path = t.path[:len(t.path)-1].Named(t.node.Name)
		}
		e.touch(t.path)
		t.node.own(parent, base)
		t.node.drop(f, t.node.keyOf(t.entry))
	}
}

// match calls visit with every configurable node in the struct at, of node n
// and path done, that the pattern matches. The nodes are not to be changed
// while it runs.
func match(n *Node, at reflect.Value, done, pattern Path, visit func(target)) {
	el, rest := pattern[0], pattern[1:]
	if el.GetName() == "..." {
		if len(rest) > 0 {
			match(n, at, done, rest, visit)
		}
		for _, c := range n.Children {
			if !c.Config || c.IsKey() || c.KeyCopy {
				continue
			}
			if len(rest) == 0 {
				visit(target{node: c, path: done.Child(&gnmi.PathElem{Name: c.Name})})
				continue
			}
			each(c, at, done, nil, func(sub reflect.Value, p Path) { match(c, sub, p, pattern, visit) })
		}
		return
	}
	for _, c := range patternChildren(n, el.GetName()) {
		if !c.Config || c.IsKey() || c.KeyCopy || checkKeys(c, el) != nil {
			continue
		}
		if len(rest) > 0 {
			each(c, at, done, el.GetKey(), func(sub reflect.Value, p Path) { match(c, sub, p, rest, visit) })
			continue
		}
		if c.Kind != List || len(el.GetKey()) == 0 {
			visit(target{node: c, path: done.Child(&gnmi.PathElem{Name: c.Name})})
			continue
		}
		for _, entry := range c.find(at.Elem().Field(c.field), el.GetKey()) {
			visit(target{node: c, entry: entry, path: done.Child(c.elem(entry))})
		}
	}
}

// each calls visit with the struct of container c, or of each matching entry of
// list c, in the struct at.
func each(c *Node, at reflect.Value, done Path, keys map[string]string, visit func(reflect.Value, Path)) {
	f := at.Elem().Field(c.field)
	switch c.Kind {
	case Leaf, LeafList:
	case Container:
		if !f.IsNil() {
			visit(f, done.Child(&gnmi.PathElem{Name: c.Name}))
		}
	case List:
		for _, entry := range c.find(f, keys) {
			visit(entry, done.Child(c.elem(entry)))
		}
	}
}
