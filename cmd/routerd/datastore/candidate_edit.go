package datastore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
)

// A Place says where an entry of an ordered list goes. The set is closed.
type Place uint8

// The places.
const (
	First Place = iota
	Last
	Before // the entry with the key that is given with it
	After
)

// CopyEntry makes a new entry of a list, to, with all that the entry from has.
// Both are entries of the same list, of the same or another parent. References to the entry stay as they are.
func CopyEntry(from, to tree.Path) Change {
	return func(c *Candidate) ([]tree.Op, error) { return c.copyOps(from, to) }
}

// RenameEntry gives an entry of a list another key; in an ordered list it keeps
// its place. References to the entry stay as they are, and the check names those that lead
// nowhere.
func RenameEntry(from, to tree.Path) Change {
	return func(c *Candidate) ([]tree.Op, error) {
		ops, err := c.copyOps(from, to)
		if err != nil {
			return nil, err
		}
		n, from, err := c.entry(from)
		if err != nil {
			return nil, err
		}
		_, to, err := c.entry(to)
		if err != nil {
			return nil, err
		}
		list := from[:len(from)-1].Named(n.Name)
		ops = append(ops, tree.Op{Kind: tree.Delete, Path: from})
		if !n.Ordered() || list.String() != to[:len(to)-1].Named(n.Name).String() {
			return ops, nil
		}
		keys, err := c.keys(list)
		if err != nil {
			return nil, err
		}
		i := slices.Index(keys, keyText(n, from))
		if i < 0 {
			return ops, nil // inactive: its mark says where it stands
		}
		keys[i] = keyText(n, to)
		return append(ops, arrange(list, keys)), nil
	}
}

// MoveEntry moves an entry of an ordered list to a place; key is that of the
// entry that Before and After refer to.
func MoveEntry(path tree.Path, place Place, key string) Change {
	return func(c *Candidate) ([]tree.Op, error) {
		n, p, err := c.entry(path)
		if err != nil {
			return nil, err
		}
		if !n.Ordered() {
			return nil, refuse(p, "the entries of list %s have no order that could be changed", n.Name)
		}
		list := p[:len(p)-1].Named(n.Name)
		keys, err := c.keys(list)
		if err != nil {
			return nil, err
		}
		own := keyText(n, p)
		if marks.IsInactive(c.s.candidate, p) {
			return nil, refuse(p, "is inactive, and keeps its place: activate it to move it")
		}
		if !slices.Contains(keys, own) {
			return nil, refuse(p, "there is no such entry to move: set it first")
		}
		keys = slices.DeleteFunc(keys, func(k string) bool { return k == own })
		at := 0
		switch place {
		case First:
		case Last:
			at = len(keys)
		case Before, After:
			if at = slices.Index(keys, key); at < 0 {
				return nil, refuse(p, "there is no entry %q in list %s to stand beside: name another one", key, n.Name)
			}
			if place == After {
				at++
			}
		}
		return []tree.Op{arrange(list, slices.Insert(keys, at, own))}, nil
	}
}

func arrange(list tree.Path, keys []string) tree.Op {
	array := &gnmi.ScalarArray{}
	for _, k := range keys {
		array.Element = append(array.Element, &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: k}})
	}
	return tree.Op{Kind: tree.Arrange, Path: list, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_LeaflistVal{LeaflistVal: array}}}
}

func refuse(p tree.Path, format string, args ...any) error {
	return &Rejected{Violations: []Violation{{Kind: tree.Invalid, Path: p.String(), Err: fmt.Errorf(format, args...)}}}
}

// entry resolves the path of an entry that the candidate has.
func (c *Candidate) entry(path tree.Path) (*tree.Node, tree.Path, error) {
	n, p, err := c.s.schema.Concrete(path)
	if err != nil {
		return nil, nil, rejectedPath(path, err)
	}
	if n.Kind != tree.List || len(p[len(p)-1].GetKey()) == 0 {
		return nil, nil, refuse(p, "is no entry of a list: give its keys")
	}
	return n, p, nil
}

// keyText is the key of the entry at p, of a list with one key.
func keyText(n *tree.Node, p tree.Path) string { return p[len(p)-1].GetKey()[n.Keys[0].Name] }

// keys are the keys of an ordered list's entries, in their order.
func (c *Candidate) keys(list tree.Path) ([]string, error) {
	if keys, ok := marks.Keys(c.s.candidate, list); ok {
		return keys, nil
	}
	var keys []string
	w := tree.Walker{Schema: c.s.schema, Config: c.s.candidate, Filter: tree.ConfigOnly, Depth: 1,
		Match: func(n *tree.Node, p tree.Path) error {
			keys = append(keys, keyText(n, p))
			return nil
		},
		Leaf: func(tree.LeafValue) error { return nil }}
	if err := w.Walk(list); err != nil {
		return nil, err
	}
	return keys, nil
}

var errFound = errors.New("found")

// has reports whether the candidate has something at the path.
func (c *Candidate) has(p tree.Path) bool {
	w := tree.Walker{Schema: c.s.schema, Config: c.s.candidate, Filter: tree.ConfigOnly,
		Leaf: func(tree.LeafValue) error { return errFound }}
	return w.Walk(p) != nil
}

// copyOps are the operations that make the entry to as from is.
func (c *Candidate) copyOps(from, to tree.Path) ([]tree.Op, error) {
	n, from, err := c.entry(from)
	if err != nil {
		return nil, err
	}
	m, to, err := c.entry(to)
	switch {
	case err != nil:
		return nil, err
	case n != m:
		return nil, refuse(to, "is an entry of another list than %s", from)
	case !c.has(from) && !marks.Has(c.s.schema, c.s.candidate, from):
		return nil, refuse(from, "there is no such entry to take from")
	case c.has(to) || marks.Has(c.s.schema, c.s.candidate, to):
		return nil, refuse(to, "there is such an entry already: delete it first, or choose another name")
	}
	leaves, err := tree.Walker{Schema: c.s.schema, Config: c.s.candidate, Filter: tree.ConfigOnly}.Leaves(from)
	if err != nil {
		return nil, err
	}
	ops := make([]tree.Op, 0, len(leaves)+1)
	if c.has(from) {
		ops = append(ops, tree.Op{Kind: tree.Update, Path: to, Value: jsonObject()})
	}
	for _, l := range leaves {
		rest := l.Path[len(from):]
		if l.Node.IsKey() && l.Node.Parent == n || l.Node.KeyCopy && l.Node.Parent.Parent == n {
			continue // the new entry has its own
		}
		ops = append(ops, tree.Op{Kind: tree.Update, Path: slices.Concat(to, rest), Value: l.Value.Typed()})
	}
	ops = append(ops, marks.Leaves(c.s.schema, c.s.candidate, from, to)...)
	return append(ops, marks.Copy(c.s.candidate, from, to)...), nil
}

// jsonObject is the value that makes an entry of a list with nothing but its keys.
func jsonObject() *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte("{}")}}
}
