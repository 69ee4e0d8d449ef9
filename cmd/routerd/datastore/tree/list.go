package tree

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// newEntry makes an entry of list n with the keys of e, all of them, checked,
// and returns it with its key in the map. The config copies of the keys are set.
func (n *Node) newEntry(e *gnmi.PathElem) (entry, key reflect.Value, err error) {
	return n.entryOf(func(name string) (any, bool) {
		v, ok := e.GetKey()[name]
		return fromText(v), ok
	})
}

// entryOf is newEntry for keys that come from wherever.
func (n *Node) entryOf(key func(name string) (any, bool)) (entry, mapKey reflect.Value, err error) {
	entry = reflect.New(n.typ)
	for _, k := range n.Keys {
		v, ok := key(k.Name)
		if !ok {
			return entry, mapKey, fmt.Errorf("list %s needs its key %q", n.Name, k.Name)
		}
		if err := k.set(entry, v); err != nil {
			return entry, mapKey, fmt.Errorf("key %s: %w", k.Name, err)
		}
	}
	n.copyKeys(entry)
	return entry, n.keyOf(entry), nil
}

// plainKey reports whether list n has one key, whose text is the value as it is.
func (n *Node) plainKey() bool { return len(n.Keys) == 1 && n.mapKey.Kind() == reflect.String }

// newKey is the map key of e, all of whose keys are there, for those who look up
// and make nothing. It is not checked where that is dear: nothing stands under a
// key that is none of the type.
func (n *Node) newKey(e *gnmi.PathElem) (reflect.Value, error) {
	if v, ok := e.GetKey()[n.Keys[0].Name]; ok && n.plainKey() {
		key := reflect.New(n.mapKey).Elem()
		key.SetString(v)
		return key, nil
	}
	_, key, err := n.newEntry(e)
	return key, err
}

// checked is text that is known to be good for the leaf that it goes into.
type checked string

// canonical is e with its keys, all of which it has, checked and in their canonical form.
func (n *Node) canonical(e *gnmi.PathElem) (*gnmi.PathElem, error) {
	if n.plainKey() && len(e.GetKey()) == 1 && e.GetName() == n.Name {
		k := n.Keys[0]
		t := k.typ
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if err := k.leaf.check(fromText(e.GetKey()[k.Name]), t); err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		return e, nil
	}
	made, _, err := n.newEntry(e)
	if err != nil {
		return nil, err
	}
	return n.elem(made), nil
}

// newCanonical is newEntry for what canonical gave.
func (n *Node) newCanonical(e *gnmi.PathElem) (entry, key reflect.Value, err error) {
	if !n.plainKey() {
		return n.newEntry(e)
	}
	return n.entryOf(func(name string) (any, bool) {
		v, ok := e.GetKey()[name]
		return checked(v), ok
	})
}

// keyOf makes the map key of an entry from its key leaves.
func (n *Node) keyOf(entry reflect.Value) reflect.Value {
	if len(n.Keys) == 1 {
		v := entry.Elem().Field(n.Keys[0].field)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		return v
	}
	key := reflect.New(n.mapKey).Elem()
	for _, k := range n.Keys {
		v := entry.Elem().Field(k.field)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		key.FieldByName(n.typ.Field(k.field).Name).Set(v)
	}
	return key
}

// copyKeys sets the leaf config/K to the key K wherever the model has one.
func (n *Node) copyKeys(entry reflect.Value) {
	cfg := n.index["config"]
	if cfg == nil || !n.Config {
		return
	}
	for _, k := range n.Keys {
		c := cfg.index[k.Name]
		if c == nil {
			continue
		}
		holder := cfg.make(entry)
		dst := holder.Elem().Field(c.field)
		if src := entry.Elem().Field(k.field); src.Type() == dst.Type() {
			dst.Set(src)
		} else if err := c.set(holder, fromText(textOf(src))); err != nil {
			// The key leaf is a reference to this leaf and was checked with its type.
			dst.SetZero()
		}
	}
}

// make returns container n in the struct that parent points to, made if absent.
func (n *Node) make(parent reflect.Value) reflect.Value {
	f := parent.Elem().Field(n.field)
	if f.IsNil() {
		f.Set(reflect.New(n.typ))
	}
	return f
}

// elem is the path element of an entry.
func (n *Node) elem(entry reflect.Value) *gnmi.PathElem {
	e := &gnmi.PathElem{Name: n.Name, Key: make(map[string]string, len(n.Keys))}
	for _, k := range n.Keys {
		e.Key[k.Name] = textOf(entry.Elem().Field(k.field))
	}
	return e
}

// matches reports whether the entry has the keys that the pattern asks for; an
// absent key and "*" ask for nothing.
func (n *Node) matches(entry reflect.Value, pattern map[string]string) bool {
	for _, k := range n.Keys {
		want, ok := pattern[k.Name]
		if ok && want != anyName && textOf(entry.Elem().Field(k.field)) != want {
			return false
		}
	}
	return true
}

// exact reports whether the pattern gives every key of the list.
func (n *Node) exact(pattern map[string]string) bool {
	for _, k := range n.Keys {
		if v, ok := pattern[k.Name]; !ok || v == anyName {
			return false
		}
	}
	return true
}

// find lists the entries of m, the field of list n, that match the pattern: in
// the order of their keys, or in their own order where that is the user's. A
// pattern with every key costs one look-up.
func (n *Node) find(m reflect.Value, pattern map[string]string) []reflect.Value {
	if m.IsNil() {
		return nil
	}
	if n.exact(pattern) {
		key, err := n.newKey(&gnmi.PathElem{Key: pattern})
		if err != nil {
			return nil
		}
		if v := n.get(m, key); v.IsValid() {
			return []reflect.Value{v}
		}
		return nil
	}
	list := slices.DeleteFunc(n.values(m), func(e reflect.Value) bool { return !n.matches(e, pattern) })
	if !n.ordered {
		slices.SortFunc(list, n.compare)
	}
	return list
}

// compare orders entries by their keys: numbers by value, the rest as text.
func (n *Node) compare(a, b reflect.Value) int {
	for _, k := range n.Keys {
		x, _ := scalar(a.Elem().Field(k.field))
		y, _ := scalar(b.Elem().Field(k.field))
		c := 0
		switch {
		case x.CanUint() && y.CanUint():
			c = cmp.Compare(x.Uint(), y.Uint())
		case x.CanInt() && y.CanInt():
			c = cmp.Compare(x.Int(), y.Int())
		default:
			c = strings.Compare(textOf(x), textOf(y))
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
