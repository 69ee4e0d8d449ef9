package tree

import (
	"reflect"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
)

// Compare is what turns the configuration old into new at and below the paths,
// which are concrete, of containers, lists or entries, and none at or below another
// (see [Outermost]); no path is the whole. The cost follows what stands there. Entries
// of lists come in no particular order.
func (s *Schema) Compare(old, new ygot.GoStruct, at ...Path) Delta {
	if len(at) == 0 {
		at = []Path{nil}
	}
	c := comparer{path: make(Path, 0, 16)}
	for _, p := range at {
		c.descend(s.Root, reflect.ValueOf(old), reflect.ValueOf(new), p)
	}
	return Delta{c.out.data, c.out.n}
}

// Outermost leaves out paths that lie at or below another one.
func Outermost(at []Path) []Path {
	if len(at) < 2 {
		return at
	}
	texts := make([]string, len(at))
	for i, p := range at {
		texts[i] = p.String()
	}
	out, _ := OutermostOf(at, texts)
	return out
}

// OutermostOf is Outermost for paths whose texts are known; it returns those of the result, too.
func OutermostOf(at []Path, texts []string) ([]Path, []string) {
	if len(at) < 2 {
		return at, texts
	}
	told := make(map[string]bool, len(at)) // the paths; true once they are in the result
	for _, text := range texts {
		told[text] = false
	}
	_, all := told[Path(nil).String()]
	covered := func(p Path, text string) bool {
		// Each path above p is the beginning of its text.
		end := 0
		for i, e := range p {
			if i > 0 {
				if _, ok := told[text[:end]]; ok {
					return true
				}
			}
			if len(e.GetKey()) > 0 {
				// An entry lies below its list as well.
				if _, ok := told[text[:end+1+len(e.GetName())]]; ok {
					return true
				}
			}
			end += elemLen(e)
		}
		return all && len(p) > 0
	}
	out, outTexts := make([]Path, 0, len(at)), make([]string, 0, len(at))
	for i, p := range at {
		if text := texts[i]; !told[text] && !covered(p, text) {
			told[text] = true
			out, outTexts = append(out, p), append(outTexts, text)
		}
	}
	return out, outTexts
}

// A comparer walks two trees side by side. An invalid Value stands for a struct
// that a side doesn't have.
type comparer struct {
	path Path
	out  deltaWriter
}

func (c *comparer) descend(n *Node, a, b reflect.Value, rest Path) {
	if len(rest) == 0 {
		c.structs(n, a, b)
		return
	}
	el := rest[0]
	sub := n.Child(el.GetName())
	switch {
	case sub == nil || sub.IsLeaf():
		return // a touched path names a node with nodes below
	case sub.Kind == List && len(el.GetKey()) == 0:
		c.list(sub, fieldOf(sub, a), fieldOf(sub, b))
		return
	case sub.Kind == List:
		key, err := sub.newKey(el)
		if err != nil {
			return // a touched path was made from an entry: its keys are good
		}
		c.below(sub.entryAt(a, key), sub.entryAt(b, key), el, func(x, y reflect.Value) { c.descend(sub, x, y, rest[1:]) })
	default:
		c.below(containerAt(sub, a), containerAt(sub, b), sub.static(), func(x, y reflect.Value) { c.descend(sub, x, y, rest[1:]) })
	}
}

// below goes on in the structs x and y of element el, unless both are absent.
func (c *comparer) below(x, y reflect.Value, el *gnmi.PathElem, visit func(x, y reflect.Value)) {
	if !x.IsValid() && !y.IsValid() {
		return
	}
	c.path = append(c.path, el)
	visit(x, y)
	c.path = c.path[:len(c.path)-1]
}

func fieldOf(n *Node, at reflect.Value) reflect.Value {
	if !at.IsValid() {
		return reflect.Value{}
	}
	return at.Elem().Field(n.field)
}

func containerAt(n *Node, at reflect.Value) reflect.Value {
	f := fieldOf(n, at)
	if !f.IsValid() || f.IsNil() {
		return reflect.Value{}
	}
	return f
}

func (n *Node) entryAt(at, key reflect.Value) reflect.Value {
	f := fieldOf(n, at)
	if !f.IsValid() || f.IsNil() {
		return reflect.Value{}
	}
	return n.get(f, key)
}

func (c *comparer) structs(n *Node, a, b reflect.Value) {
	if common(a, b) {
		return
	}
	for _, k := range n.Keys {
		c.leaf(k, a, b)
	}
	for _, sub := range n.Children {
		switch {
		case !sub.Config:
		case sub.Kind == List:
			c.list(sub, fieldOf(sub, a), fieldOf(sub, b))
		case sub.Kind == Container:
			c.below(containerAt(sub, a), containerAt(sub, b), sub.static(), func(x, y reflect.Value) { c.structs(sub, x, y) })
		case !sub.KeyCopy && !slices.Contains(n.Keys, sub):
			c.leaf(sub, a, b)
		}
	}
}

func (c *comparer) leaf(n *Node, a, b reflect.Value) {
	x, y := fieldOf(n, a), fieldOf(n, b)
	hasX, hasY := x.IsValid() && isSet(x), y.IsValid() && isSet(y)
	if !hasX && !hasY || hasX && hasY && sameLeaf(x, y) {
		return
	}
	var old, new any
	if hasX {
		old = plainOf(x, false)
	}
	if hasY {
		new = plainOf(y, false)
	}
	c.path = append(c.path, n.static())
	c.out.add(c.path, old, new)
	c.path = c.path[:len(c.path)-1]
}

func (c *comparer) list(n *Node, a, b reflect.Value) {
	if common(a, b) {
		return
	}
	hasA, hasB := a.IsValid() && !a.IsNil(), b.IsValid() && !b.IsNil()
	var old, new []reflect.Value
	if hasA {
		old = n.values(a)
	}
	if hasB {
		new = n.values(b)
	}
	entry := func(x, y, any reflect.Value) {
		if common(x, y) {
			return
		}
		c.below(x, y, n.elem(any), func(x, y reflect.Value) { c.structs(n, x, y) })
	}
	for _, x := range old {
		var y reflect.Value
		if hasB {
			y = n.get(b, n.keyOf(x))
		}
		entry(x, y, x)
	}
	for _, y := range new {
		if !hasA || !n.get(a, n.keyOf(y)).IsValid() {
			entry(reflect.Value{}, y, y)
		}
	}
	if n.ordered && len(old)+len(new) > 0 {
		c.order(n, n.keyTexts(old), n.keyTexts(new))
	}
}

// keyTexts are the keys of entries of an ordered list, which has one key.
func (n *Node) keyTexts(entries []reflect.Value) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = textOf(e.Elem().Field(n.Keys[0].field))
	}
	return list
}

// order adds the order of a list. It is told whenever entries come, go or move,
// so that deltas can be joined: what one implies is gone in the sum.
func (c *comparer) order(n *Node, old, new []string) {
	if slices.Equal(old, new) {
		return
	}
	plain := func(list []string) any {
		if len(list) == 0 {
			return nil
		}
		out := make([]any, len(list))
		for i, s := range list {
			out[i] = s
		}
		return out
	}
	c.path = append(c.path, n.static())
	c.out.add(c.path, plain(old), plain(new))
	c.path = c.path[:len(c.path)-1]
}
