package tree

import (
	"fmt"
	"reflect"

	"github.com/openconfig/ygot/ygot"
)

// This file reads and writes the field of a list: a Go map, or for a list that is
// ordered by its user (RFC 7950, 7.7.7) the ordered map that ygot generates, whose
// methods differ in nothing but the types of the key and the entry.

var goOrderedMap = reflect.TypeFor[ygot.GoOrderedMap]()

// tieOrdered ties list n to an ordered map. Ordered lists have one key.
func (n *Node) tieOrdered(t reflect.Type) error {
	get, ok := t.MethodByName("Get")
	if !ok || get.Type.NumIn() != 2 {
		return fmt.Errorf("list %s: an ordered list has one key", n.Name)
	}
	n.ordered, n.mapKey, n.typ = true, get.Type.In(1), get.Type.Out(0).Elem()
	return nil
}

// get is the entry under key in the list's field f, or the zero Value.
func (n *Node) get(f, key reflect.Value) reflect.Value {
	if f.IsNil() {
		return reflect.Value{}
	}
	if !n.ordered {
		return f.MapIndex(key)
	}
	if e := f.MethodByName("Get").Call([]reflect.Value{key})[0]; !e.IsNil() {
		return e
	}
	return reflect.Value{}
}

// put stores the entry under key, in an ordered list at the place of the one that
// it replaces, or else at the end. It returns the entry that stands there now.
func (n *Node) put(f, key, entry reflect.Value) reflect.Value {
	if !n.ordered {
		if f.IsNil() {
			f.Set(reflect.MakeMap(f.Type()))
		}
		f.SetMapIndex(key, entry)
		return entry
	}
	if f.IsNil() {
		f.Set(reflect.New(f.Type().Elem()))
	}
	if old := n.get(f, key); old.IsValid() {
		old.Elem().Set(entry.Elem())
		return old
	}
	// It fails for a known key and for an entry without one: neither is here.
	f.MethodByName("Append").Call([]reflect.Value{entry})
	return entry
}

// drop removes the entry under key, and the list with its last entry.
func (n *Node) drop(f, key reflect.Value) {
	if f.IsNil() {
		return
	}
	left := 0
	if n.ordered {
		f.MethodByName("Delete").Call([]reflect.Value{key})
		left = int(f.MethodByName("Len").Call(nil)[0].Int())
	} else {
		f.SetMapIndex(key, reflect.Value{})
		left = f.Len()
	}
	if left == 0 {
		f.SetZero()
	}
}

// values are the entries: those of an ordered list in their order, others in none.
func (n *Node) values(f reflect.Value) []reflect.Value {
	if n.ordered {
		entries := f.MethodByName("Values").Call(nil)[0]
		list := make([]reflect.Value, entries.Len())
		for i := range list {
			list[i] = entries.Index(i)
		}
		return list
	}
	list := make([]reflect.Value, 0, f.Len())
	for it := f.MapRange(); it.Next(); {
		list = append(list, it.Value())
	}
	return list
}
