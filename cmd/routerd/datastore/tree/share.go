package tree

import (
	"reflect"

	"github.com/openconfig/ygot/ygot"
)

// Two trees may share structs and lists: whatever is one and the same in both, at
// the same place, belongs to both and is never changed. An [Editor] that spares the other
// tree makes its own of what it is about to change, from the root down to there;
// [Schema.Share] goes the other way. So two trees cost what they differ by, but for
// the lists on the way, which are copied without their entries, once, the first
// time that something in them changes after they were shared.

// Share makes the subtree at the concrete path p of dst that of src; both trees
// have it in common then. p names the root, a container, a list, or an entry. dst owns what
// is above p, or has it in common with src, which then needs no work. The cost
// is that of the path.
func (s *Schema) Share(dst, src ygot.GoStruct, p Path) {
	d, from := reflect.ValueOf(dst), reflect.ValueOf(src)
	n := s.Root
	for i, el := range p {
		c := n.Child(el.GetName())
		sf, df := from.Elem().Field(c.field), d.Elem().Field(c.field)
		last := i == len(p)-1
		if c.Kind == Container || last && len(el.GetKey()) == 0 {
			if last || sf.IsNil() {
				df.Set(sf)
				return
			}
			if df.IsNil() {
				df.Set(reflect.New(c.typ))
			}
			from, d, n = sf, df, c
		} else {
			key, err := c.newKey(el)
			if err != nil {
				return // a touched path was made from an entry: its keys are good
			}
			if sf.IsNil() {
				df.SetZero()
				return
			}
			if sf.Pointer() == df.Pointer() {
				return
			}
			entry, have := c.get(sf, key), c.get(df, key)
			switch {
			case !entry.IsValid():
				c.drop(df, key)
				return
			case c.ordered && (last || !have.IsValid()):
				// Entries of an ordered list can't be exchanged, only written over.
				c.put(df, key, c.shallow(entry))
				return
			case last || !have.IsValid():
				c.put(df, key, entry)
				return
			}
			from, d, n = entry, have, c
		}
		if from.Pointer() == d.Pointer() {
			return
		}
	}
	d.Elem().Set(from.Elem())
}

// shallow is a copy of a struct of node n, which shares all that it points to.
func (n *Node) shallow(src reflect.Value) reflect.Value {
	dst := reflect.New(n.typ)
	dst.Elem().Set(src.Elem())
	return dst
}

// common reports whether two fields of a container or a list are one and the same.
func common(a, b reflect.Value) bool {
	return a.IsValid() && b.IsValid() && !a.IsNil() && !b.IsNil() && a.Pointer() == b.Pointer()
}

// own makes the field of container or list n in the struct at, which the tree owns,
// the tree's own too, unless it is absent. The entries of a list stay shared, those of
// an ordered one don't. base is the spared struct at the same place, invalid for none. own
// returns the field, and that of base.
func (n *Node) own(at, base reflect.Value) (field, baseField reflect.Value) {
	field = at.Elem().Field(n.field)
	if !base.IsValid() {
		return field, base
	}
	baseField = base.Elem().Field(n.field)
	if baseField.IsNil() {
		return field, reflect.Value{}
	}
	if !common(field, baseField) {
		return field, baseField
	}
	switch {
	case n.Kind == Container:
		field.Set(n.shallow(field))
	case n.ordered:
		entries := n.values(field)
		field.SetZero()
		for _, e := range entries {
			n.put(field, n.keyOf(e), n.shallow(e))
		}
	default:
		m := reflect.MakeMapWithSize(field.Type(), field.Len())
		for it := field.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), it.Value())
		}
		field.Set(m)
	}
	return field, baseField
}

// makeOwn is own for container n, which it makes if it is absent.
func (n *Node) makeOwn(at, base reflect.Value) (made, below reflect.Value) {
	field, below := n.own(at, base)
	if field.IsNil() {
		field.Set(reflect.New(n.typ))
	}
	return field, below
}

// ownEntry is the entry under key of the list n whose field the tree owns, made the tree's own,
// and that of baseField, the spared list, invalid for none. Both are invalid where
// there is no such entry.
func (n *Node) ownEntry(field, baseField, key reflect.Value) (entry, base reflect.Value) {
	entry = n.get(field, key)
	if baseField.IsValid() {
		base = n.get(baseField, key)
	}
	if entry.IsValid() && common(entry, base) {
		entry = n.shallow(entry)
		n.put(field, key, entry)
	}
	return entry, base
}

// ownAt makes the structs on the way to the concrete path p, and that at p, the
// tree's own, and returns the last, and the spared one there, invalid for none. ok is
// false where there is nothing. p names a container or an entry.
func (e *Editor) ownAt(p Path) (at, base reflect.Value, ok bool) {
	at, base = e.root, e.base
	n := e.schema.Root
	for _, el := range p {
		n = n.Child(el.GetName())
		field, baseField := n.own(at, base)
		if field.IsNil() {
			return field, base, false
		}
		if n.Kind == Container {
			at, base = field, baseField
			continue
		}
		key, err := n.newKey(el)
		if err != nil {
			return field, base, false
		}
		if at, base = n.ownEntry(field, baseField, key); !at.IsValid() {
			return at, base, false
		}
	}
	return at, base, true
}
