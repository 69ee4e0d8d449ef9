package tree

import (
	"encoding/json"
	"slices"

	"github.com/openconfig/ygot/ygot"
)

// An Object gathers leaves into the JSON value of one node. IETF follows RFC
// 7951: 64-bit numbers are strings, and a name carries its module where the
// module changes, the outermost included.
type Object struct {
	node *Node
	skip int // elements of the node's own path
	ietf bool
	leaf any
	set  bool
	obj  object
}

type object map[string]any

// An array is a list's entries, found by their keys.
type array struct {
	index map[string]object
	items []object
}

// MarshalJSON writes the entries in the order in which they came.
func (a *array) MarshalJSON() ([]byte, error) { return json.Marshal(a.items) }

// NewObject starts the value of node n at the concrete path p.
func NewObject(n *Node, p Path, ietf bool) *Object {
	return &Object{node: n, skip: len(p), ietf: ietf, obj: object{}}
}

// Add puts a leaf at or below the node into the value.
func (o *Object) Add(l LeafValue) {
	o.set = o.set || !l.Extra
	if len(l.Path) == o.skip {
		o.leaf = l.Value.Plain(o.ietf)
		return
	}
	if l.Node.annotation && o.node.Parent == nil {
		o.addAnnotation(l)
		return
	}
	at, n := o.obj, o.node
	for _, el := range l.Path[o.skip : len(l.Path)-1] {
		c := n.index[el.GetName()]
		name := o.name(n, c)
		if c.Kind == List {
			a, _ := at[name].(*array)
			if a == nil {
				a = &array{index: make(map[string]object)}
				at[name] = a
			}
			at = a.entry(c.entryID(el.GetKey()))
		} else {
			sub, _ := at[name].(object)
			if sub == nil {
				sub = object{}
				at[name] = sub
			}
			at = sub
		}
		n = c
	}
	at[o.name(n, l.Node)] = l.Value.Plain(o.ietf)
}

// entryID joins the keys' values into what tells entries of one list apart.
func (n *Node) entryID(keys map[string]string) string {
	if len(n.Keys) == 1 {
		return keys[n.Keys[0].Name]
	}
	var id []byte
	for _, k := range n.Keys {
		id = append(append(id, keys[k.Name]...), 0)
	}
	return string(id)
}

func (a *array) entry(id string) object {
	e := a.index[id]
	if e == nil {
		e = object{}
		a.index[id] = e
		a.items = append(a.items, e)
	}
	return e
}

func (o *Object) name(parent, c *Node) string {
	if o.ietf && (parent == o.node || c.Module != parent.Module) {
		return c.Module + ":" + c.Name
	}
	return c.Name
}

// Empty reports that no leaf was added, keys left out by the filter aside.
func (o *Object) Empty() bool { return !o.set }

// JSON is the value: an object, or the bare value of a leaf.
func (o *Object) JSON() ([]byte, error) {
	if o.node.IsLeaf() {
		return json.Marshal(o.leaf)
	}
	return json.Marshal(o.obj)
}

// Marshal is the whole configuration at root as RFC 7951 JSON, defaults left
// out. The members' order is stable, and Unmarshal reads it back.
func (s *Schema) Marshal(root ygot.GoStruct) ([]byte, error) {
	o := NewObject(s.Root, nil, true)
	w := Walker{Schema: s, Config: root, Filter: ConfigOnly, Leaf: func(l LeafValue) error {
		o.Add(l)
		return nil
	}}
	if err := w.Walk(nil); err != nil {
		return nil, err
	}
	return o.JSON()
}

// Leaves collects what a walk of the pattern finds.
func (w Walker) Leaves(pattern Path) ([]LeafValue, error) {
	var list []LeafValue
	w.Leaf = func(l LeafValue) error {
		list = append(list, l)
		return nil
	}
	err := w.Walk(pattern)
	return slices.Clip(list), err
}
