package tree

import (
	"reflect"

	"github.com/openconfig/ygot/ygot"
)

// Copy makes the subtree at the concrete path p of dst equal to that of src,
// sharing no memory with it except the immutable values of leaves. p names the root, a
// container, a list, or an entry. The cost follows the size of the subtree.
func (s *Schema) Copy(dst, src ygot.GoStruct, p Path) {
	d, from := reflect.ValueOf(dst), reflect.ValueOf(src)
	n := s.Root
	for i, el := range p {
		c := n.Child(el.GetName())
		sf, df := from.Elem().Field(c.field), d.Elem().Field(c.field)
		last := i == len(p)-1
		if c.Kind == Container {
			if last || sf.IsNil() {
				df.Set(c.clone(sf))
				return
			}
			from, d, n = sf, c.make(d), c
			continue
		}
		if last && len(el.GetKey()) == 0 {
			df.Set(c.clone(sf))
			return
		}
		_, key, err := c.newEntry(el)
		if err != nil {
			return // a touched path was made from an entry: its keys are good
		}
		if sf.IsNil() {
			df.SetZero()
			return
		}
		entry := c.get(sf, key)
		if !entry.IsValid() {
			c.drop(df, key)
			return
		}
		have := c.get(df, key)
		if last || !have.IsValid() {
			c.put(df, key, c.cloneStruct(entry))
			return
		}
		from, d, n = entry, have, c
	}
	d.Elem().Set(n.cloneStruct(from).Elem())
}

// clone copies the value of a field.
func (n *Node) clone(f reflect.Value) reflect.Value {
	switch n.Kind {
	case Leaf, LeafList:
		// Values are replaced, never changed in place.
		return f
	case Container:
		if f.IsNil() {
			return f
		}
		return n.cloneStruct(f)
	case List:
		if f.IsNil() {
			return f
		}
		if n.ordered {
			m := reflect.New(f.Type()).Elem()
			for _, e := range n.values(f) {
				n.put(m, n.keyOf(e), n.cloneStruct(e))
			}
			return m
		}
		m := reflect.MakeMapWithSize(f.Type(), f.Len())
		for it := f.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), n.cloneStruct(it.Value()))
		}
		return m
	}
	return f
}

func (n *Node) cloneStruct(src reflect.Value) reflect.Value {
	dst := reflect.New(n.typ)
	for _, c := range n.Children {
		dst.Elem().Field(c.field).Set(c.clone(src.Elem().Field(c.field)))
	}
	return dst
}
