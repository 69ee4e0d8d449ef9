package tree

import (
	"reflect"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// differ calls touch with paths that together cover every configured node in
// which two structs of node n, at path p, differ. What is alike in both, now
// has in common with old then.
func (n *Node) differ(old, now reflect.Value, p Path, touch func(Path)) {
	for _, c := range n.Children {
		if c.Config && c.IsLeaf() && !sameLeaf(old.Elem().Field(c.field), now.Elem().Field(c.field)) {
			touch(p)
			n.reuse(old, now)
			return
		}
	}
	for _, c := range n.Children {
		if c.Config && !c.IsLeaf() {
			c.differField(old.Elem().Field(c.field), now.Elem().Field(c.field), p.Named(c.Name), touch)
		}
	}
}

// differField does for the field of container or list n, at path p, what
// differ does for a struct.
func (n *Node) differField(old, now reflect.Value, p Path, touch func(Path)) {
	switch {
	case old.IsNil() && now.IsNil():
		return
	case old.IsNil() || now.IsNil():
		touch(p)
		return
	case old.Pointer() == now.Pointer():
		return
	case n.Kind == Container && n.same(old, now):
		now.Set(old)
		return
	case n.Kind == Container:
		n.differ(old, now, p, touch)
		return
	}
	at := p[:len(p)-1]
	if n.ordered {
		n.differOrdered(old, now, at, touch)
		return
	}
	alike := old.Len() == now.Len()
	for _, p := range n.twins(old, now) {
		switch {
		case !p.old.IsValid():
			touch(at.Child(n.elem(p.now)))
			alike = false
		case !p.same:
			n.differ(p.old, p.now, at.Child(n.elem(p.now)), touch)
			alike = false
		default:
			now.SetMapIndex(p.key, p.old)
		}
	}
	if alike {
		now.Set(old)
		return
	}
	for it := old.MapRange(); it.Next(); {
		if !now.MapIndex(it.Key()).IsValid() {
			touch(at.Child(n.elem(it.Value())))
		}
	}
}

// differOrdered is differField for a list whose order counts: entries that
// stand elsewhere, come or go are a matter of the whole list.
func (n *Node) differOrdered(old, now reflect.Value, at Path, touch func(Path)) {
	before, after := n.values(old), n.values(now)
	moved := len(before) != len(after)
	for i := 0; !moved && i < len(before); i++ {
		moved = !n.keyOf(before[i]).Equal(n.keyOf(after[i]))
	}
	if moved {
		touch(at.Child(&gnmi.PathElem{Name: n.Name}))
		return
	}
	alike := true
	for i := range before {
		if !n.same(before[i], after[i]) {
			n.differ(before[i], after[i], at.Child(n.elem(after[i])), touch)
			alike = false
		}
	}
	if alike {
		now.Set(old)
	}
}

// reuse has now have in common with old what is alike in both, below the leaves of
// two structs of node n.
func (n *Node) reuse(old, now reflect.Value) {
	for _, c := range n.Children {
		if c.Config && !c.IsLeaf() {
			c.differField(old.Elem().Field(c.field), now.Elem().Field(c.field), Path{c.static()}, func(Path) {})
		}
	}
}

// same reports whether two structs of node n are configured alike. It makes
// nothing: most of what a large replace writes is what stands there already.
func (n *Node) same(a, b reflect.Value) bool {
	if a.Pointer() == b.Pointer() {
		return true
	}
	a, b = a.Elem(), b.Elem()
	for _, c := range n.Children {
		if !c.Config {
			continue
		}
		x, y := a.Field(c.field), b.Field(c.field)
		switch c.Kind {
		case Leaf, LeafList:
			if !sameLeaf(x, y) {
				return false
			}
		case Container:
			if x.IsNil() != y.IsNil() || !x.IsNil() && !c.same(x, y) {
				return false
			}
		case List:
			if !c.sameList(x, y) {
				return false
			}
		}
	}
	return true
}

func (n *Node) sameList(a, b reflect.Value) bool {
	if a.IsNil() || b.IsNil() {
		return a.IsNil() == b.IsNil()
	}
	if a.Pointer() == b.Pointer() {
		return true
	}
	if n.ordered {
		x, y := n.values(a), n.values(b)
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !n.same(x[i], y[i]) {
				return false // the keys are leaves, too
			}
		}
		return true
	}
	if a.Len() != b.Len() {
		return false
	}
	if a.Len() >= asideEntries {
		return !slices.ContainsFunc(n.twins(a, b), func(p twin) bool { return !p.same })
	}
	for it := a.MapRange(); it.Next(); {
		if other := b.MapIndex(it.Key()); !other.IsValid() || !n.same(it.Value(), other) {
			return false
		}
	}
	return true
}

// sameLeaf compares the fields of two leaves, or leaf-lists in their order.
func sameLeaf(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Elem().Equal(b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() || a.IsNil() != b.IsNil() {
			return false
		}
		for i := range a.Len() {
			if !sameLeaf(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Elem().Type() == b.Elem().Type() && sameLeaf(a.Elem(), b.Elem())
	default:
		return a.Equal(b)
	}
}
