package tree

import (
	"reflect"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// A Difference is one leaf that two configurations don't have in common: its
// value before and after, nil where it is absent. The difference of an ordered list has the
// path of the list, without a key, and for its values the keys of the entries in their order.
type Difference struct {
	Path     Path
	Old, New *gnmi.TypedValue
	Secret   bool // the values are for the router alone: show Hidden in their place
}

// Differences is what deltas do one after the other, ordered by path: what one
// changes and a later one changes back is left out. The error names a node that the model
// doesn't have any more.
func (s *Schema) Differences(deltas ...Delta) ([]Difference, error) {
	list, err := s.compose(deltas, func(d difference) bool { return d.old == nil && d.new == nil })
	if err != nil {
		return nil, err
	}
	out := make([]Difference, len(list))
	for i, d := range list {
		n := s.Nodes(d.path)[0]
		out[i].Path, out[i].Secret = d.path, n.secret
		if out[i].Old, err = n.typedPlain(d.path, d.old); err != nil {
			return nil, err
		}
		if out[i].New, err = n.typedPlain(d.path, d.new); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Back is what undoes deltas, the last first: Differences with their sides swapped.
// That the model has no place any more for what they have set is no mistake there, as
// that goes; what has to come back must have one. Old is nil where it isn't valid any more.
func (s *Schema) Back(deltas ...Delta) ([]Difference, error) {
	list, err := s.compose(deltas, func(d difference) bool { return d.old == nil })
	if err != nil {
		return nil, err
	}
	out := make([]Difference, len(list))
	for i, d := range list {
		n := s.Nodes(d.path)[0]
		out[i].Path, out[i].Secret = d.path, n.secret
		if out[i].New, err = n.typedPlain(d.path, d.old); err != nil {
			return nil, err
		}
		if out[i].Old, err = n.typedPlain(d.path, d.new); err != nil {
			out[i].Old = nil
		}
	}
	return out, nil
}

// A composed is a difference with the text of its path, by which it is found.
type composed struct {
	difference
	id string
}

// compose joins deltas, and sorts what is left by path. Keys stand before the
// rest of their entry. Of nodes that the model doesn't have, those that moot reports are
// left out; others are an error.
func (s *Schema) compose(deltas []Delta, moot func(difference) bool) ([]composed, error) {
	var list []composed
	index := make(map[string]int)
	for _, delta := range deltas {
		r := deltaReader{data: delta.data}
		for !r.done() {
			d, err := r.next()
			if err != nil {
				return nil, &Error{Kind: Malformed, Path: r.path.String(), Err: err}
			}
			id := d.path.String()
			if i, ok := index[id]; ok && len(deltas) > 1 {
				list[i].new = d.new
				continue
			}
			d.path = slices.Clone(d.path)
			index[id] = len(list)
			list = append(list, composed{d, id})
		}
	}
	list = slices.DeleteFunc(list, func(c composed) bool { return samePlain(c.old, c.new) })
	var unknown error
	list = slices.DeleteFunc(list, func(c composed) bool {
		err := s.Check(c.path)
		if err != nil && unknown == nil && !moot(c.difference) {
			unknown = err
		}
		return err != nil
	})
	if unknown != nil {
		return nil, unknown
	}
	slices.SortStableFunc(list, func(a, b composed) int { return s.comparePaths(a.path, b.path) })
	return list, nil
}

func samePlain(a, b any) bool { return reflect.DeepEqual(a, b) }

// comparePaths orders paths as a walk of the tree meets them; but an entry's
// keys come first, and the order of a list after its entries.
func (s *Schema) comparePaths(a, b Path) int {
	n := s.Root
	for i := range min(len(a), len(b)) {
		x, y := n.Child(a[i].GetName()), n.Child(b[i].GetName())
		if x != y {
			if x.IsKey() != y.IsKey() {
				if x.IsKey() {
					return -1
				}
				return 1
			}
			return strings.Compare(x.Name, y.Name)
		}
		if x.Kind == List {
			if c := x.compareElems(a[i], b[i]); c != 0 {
				return c
			}
		}
		n = x
	}
	return len(a) - len(b)
}

// compareElems orders the elements of one list by their keys: numbers by value,
// the rest as text.
func (n *Node) compareElems(a, b *gnmi.PathElem) int {
	if ka, kb := len(a.GetKey()) > 0, len(b.GetKey()) > 0; ka != kb {
		if ka {
			return -1
		}
		return 1
	}
	for _, k := range n.Keys {
		x, y := a.GetKey()[k.Name], b.GetKey()[k.Name]
		if number := k.typ.Kind() == reflect.Pointer && k.typ.Elem().Kind() >= reflect.Int && k.typ.Elem().Kind() <= reflect.Uint64; number && len(x) != len(y) {
			return len(x) - len(y)
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// typedPlain is the gNMI scalar of a leaf's plain value.
func (n *Node) typedPlain(p Path, v any) (*gnmi.TypedValue, error) {
	if v == nil {
		return nil, nil
	}
	if n.Kind == List {
		keys, ok := v.([]any)
		if !ok {
			return nil, errorAt(Invalid, p, "the order of a list is a list of its keys, not %s", describe(v))
		}
		list := &gnmi.ScalarArray{}
		for _, k := range keys {
			s, _ := k.(string)
			list.Element = append(list.Element, &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: s}})
		}
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_LeaflistVal{LeaflistVal: list}}, nil
	}
	if !n.IsLeaf() {
		return nil, errorAt(Invalid, p, "is no leaf in this model")
	}
	holder := reflect.New(n.Parent.typ)
	if err := n.set(holder, v); err != nil {
		return nil, errorAt(Invalid, p, "%w", err)
	}
	return typedOf(holder.Elem().Field(n.field)), nil
}

// Ops is what deltas do one after the other, as operations that can be read and
// applied: deletes first, of whole entries where these go, then an update of each leaf,
// then the order of lists.
func (s *Schema) Ops(deltas ...Delta) ([]Op, error) {
	list, err := s.compose(deltas, func(d difference) bool { return d.new == nil })
	if err != nil {
		return nil, err
	}
	var deletes, updates, orders []Op
	var gone Path
	for _, d := range list {
		n := s.Nodes(d.path)[0]
		v, err := n.typedPlain(d.path, d.new)
		if err != nil {
			return nil, err
		}
		switch {
		case gone != nil && d.path.HasPrefix(gone):
		case n.Kind == List:
			if v != nil {
				orders = append(orders, Op{Kind: Arrange, Path: d.path, Value: v})
			}
		case d.new != nil:
			updates = append(updates, Op{Kind: Update, Path: d.path, Value: v})
		case n.IsKey():
			gone = d.path[:len(d.path)-1]
			deletes = append(deletes, Op{Kind: Delete, Path: gone})
		default:
			deletes = append(deletes, Op{Kind: Delete, Path: d.path})
		}
	}
	return slices.Concat(deletes, updates, orders), nil
}
