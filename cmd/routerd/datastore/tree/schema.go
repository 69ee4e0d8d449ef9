// Package tree reads and edits ygot's uncompressed structs by gNMI path.
//
// Job: find the schema node of a path, decode and check a value, apply a
// delete, replace or update, copy a subtree from one tree to another, and walk
// the leaves below a path, of a configuration alone or laid over operational
// state. The cost of each follows the part that it touches.
//
// Invariant: an edited tree holds configuration only; every list entry in it
// stands under its own key, and the config copy of a key equals the key.
//
// Source: the gNMI specification, sections 2.2 and 3.4; RFC 7950 and RFC 7951.
// ygot's own editing functions are not used: they accept writes to config
// false, wipe an entry that is replaced by {}, refuse wildcards, and leave a
// half-edited tree behind a type error.
package tree

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/goyang/pkg/yang"
	"github.com/openconfig/ygot/util"
	"github.com/openconfig/ygot/ygot"
)

// A NodeKind is what a schema node is.
type NodeKind uint8

// The kinds of schema nodes that the model uses (RFC 7950, section 7).
const (
	Container NodeKind = iota
	List
	Leaf
	LeafList
)

// A Node is one schema node, tied to the field of the generated struct that
// holds it. Nodes are immutable once the schema is made.
type Node struct {
	Name     string
	Module   string // the module that defines the node, "" at the root
	Kind     NodeKind
	Config   bool // false for config false
	Parent   *Node
	Children []*Node // in the order of their names
	Keys     []*Node // of a list: its key leaves, in the model's order

	// KeyCopy is set on the leaf config/K of an entry of a list with key K: its
	// value is the key's.
	KeyCopy bool

	depth  int // elements of the node's path
	atomic int // elements of the path of the outermost atomic node that it is or lies in; 0 for none

	annotation bool // the leaf that JSON has as an annotation of the root

	entry    *yang.Entry
	pathElem *gnmi.PathElem // of a node without keys; shared, never changed
	index    map[string]*Node
	field    int          // index of the field in the parent's struct
	typ      reflect.Type // container, list: the struct; leaf: the field's type
	mapKey   reflect.Type // list: the map's key type
	ordered  bool         // list: ordered by user, and kept in a ygot.GoOrderedMap
	leaf     *leafType    // leaf, leaf-list
	secret   bool         // leaf whose value is shown to nobody
	union    *union       // of a leaf or leaf-list whose Go type is an interface
	def      reflect.Value
}

// A Schema is the model's schema tied to the generated structs. It is safe for
// concurrent use.
type Schema struct {
	Root *Node
}

// NewSchema ties the entries below root, the entry of the fake root, to the
// struct that fakeRoot points to.
func NewSchema(root *yang.Entry, fakeRoot ygot.GoStruct) (*Schema, error) {
	if root == nil {
		return nil, errors.New("schema: the entry of the root is missing: regenerate gen with its schema included")
	}
	t := reflect.TypeOf(fakeRoot)
	n := &Node{Name: "", Kind: Container, Config: true, entry: root, typ: t.Elem()}
	if err := n.build(); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s := &Schema{Root: n}
	s.markAnnotation()
	return s, nil
}

// build makes the children of n from its struct's fields.
func (n *Node) build() error {
	n.index = make(map[string]*Node)
	for i := range n.typ.NumField() {
		f := n.typ.Field(i)
		name, ok := f.Tag.Lookup("path")
		if !ok || strings.HasPrefix(name, "@") {
			continue
		}
		if strings.Contains(name, "/") || strings.Contains(name, "|") {
			return fmt.Errorf("struct %s, field %s: path %q is compressed: generate uncompressed", n.typ.Name(), f.Name, name)
		}
		e := childEntry(n.entry, name)
		if e == nil {
			return fmt.Errorf("struct %s, field %s: no schema node %q", n.typ.Name(), f.Name, name)
		}
		module, _ := f.Tag.Lookup("module")
		if j := strings.LastIndexByte(module, '/'); j >= 0 {
			module = module[j+1:]
		}
		c := &Node{Name: name, Module: module, Config: n.Config && e.Config != yang.TSFalse, Parent: n, entry: e, field: i, pathElem: &gnmi.PathElem{Name: name},
			depth: n.depth + 1, atomic: n.atomic}
		if c.atomic == 0 && slices.ContainsFunc(e.Exts, func(x *yang.Statement) bool { return strings.HasSuffix(x.Keyword, ":atomic") }) {
			c.atomic = c.depth
		}
		if err := c.tie(f); err != nil {
			return err
		}
		n.Children = append(n.Children, c)
		n.index[name] = c
	}
	slices.SortFunc(n.Children, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	if n.Kind != List {
		return nil
	}
	for _, k := range strings.Fields(n.entry.Key) {
		key := n.index[k]
		if key == nil {
			return fmt.Errorf("list %s: no key leaf %q", n.Name, k)
		}
		n.Keys = append(n.Keys, key)
		if cfg := n.index["config"]; cfg != nil && cfg.index[k] != nil {
			cfg.index[k].KeyCopy = true
		}
	}
	return nil
}

// tie finds what kind of node the field f holds, and descends.
func (n *Node) tie(f reflect.StructField) error {
	switch {
	case n.entry.IsLeaf(), n.entry.IsLeafList():
		n.Kind, n.typ = Leaf, f.Type
		if n.entry.IsLeafList() {
			n.Kind = LeafList
		}
		return n.tieLeaf()
	case n.entry.IsList():
		n.Kind = List
		if f.Type.Implements(goOrderedMap) {
			if err := n.tieOrdered(f.Type); err != nil {
				return err
			}
			return n.build()
		}
		if f.Type.Kind() != reflect.Map {
			return fmt.Errorf("list %s: a list without keys can't be addressed by gNMI", n.Name)
		}
		n.mapKey, n.typ = f.Type.Key(), f.Type.Elem().Elem()
		return n.build()
	}
	n.Kind, n.typ = Container, f.Type.Elem()
	return n.build()
}

func (n *Node) tieLeaf() error {
	e, err := util.ResolveIfLeafRef(n.entry)
	if err != nil {
		return fmt.Errorf("leaf %s: %w", n.Name, err)
	}
	n.secret = isSecretType(n.entry.Type.Name)
	n.leaf, err = newLeafType(e.Type)
	if err != nil {
		return fmt.Errorf("leaf %s: %w", n.Name, err)
	}
	t := n.typ
	if n.Kind == LeafList {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface {
		n.union = newUnion(n)
	}
	if n.Kind != Leaf || !n.Config {
		return nil
	}
	d, ok := n.entry.SingleDefaultValue()
	if !ok && e.Type.HasDefault && n.entry.Mandatory != yang.TSTrue {
		d, ok = e.Type.Default, true // of the typedef (RFC 7950, section 7.3.4)
	}
	if !ok {
		return nil
	}
	holder := reflect.New(n.Parent.typ)
	if err := n.set(holder, fromText(d)); err != nil {
		return fmt.Errorf("leaf %s: default: %w", n.Name, err)
	}
	n.def = holder.Elem().Field(n.field)
	return nil
}

// childEntry finds the data node name below e, looking through choices.
func childEntry(e *yang.Entry, name string) *yang.Entry {
	if c := e.Dir[name]; c != nil && !c.IsChoice() && !c.IsCase() {
		return c
	}
	for _, c := range e.Dir {
		if c.IsChoice() || c.IsCase() {
			if f := childEntry(c, name); f != nil {
				return f
			}
		}
	}
	return nil
}

// Child finds the child called name, which may carry its module's name before
// a colon (RFC 7951, section 4).
func (n *Node) Child(name string) *Node {
	if c := n.index[name]; c != nil {
		return c
	}
	if module, local, ok := strings.Cut(name, ":"); ok {
		if c := n.index[local]; c != nil && c.Module == module {
			return c
		}
	}
	return nil
}

// IsLeaf reports whether the node holds a value: a leaf or a leaf-list.
func (n *Node) IsLeaf() bool { return n.Kind == Leaf || n.Kind == LeafList }

// IsKey reports whether the node is a key leaf of a list.
func (n *Node) IsKey() bool {
	return n.Parent != nil && n.Parent.Kind == List && slices.Contains(n.Parent.Keys, n)
}

// Counter reports whether the leaf counts: whether its type is the model's counter64.
func (n *Node) Counter() bool {
	return n.IsLeaf() && n.entry.Type != nil && n.entry.Type.Name == "counter64"
}

// AtomicElems is how many elements of a path of the node lead to the node around
// it, or itself, that the model marks rt:atomic: what is to be read whole. It is 0 for none.
func (n *Node) AtomicElems() int { return n.atomic }

// HasDefault reports whether the leaf is configurable and has a default.
func (n *Node) HasDefault() bool { return n.def.IsValid() }

// MirrorsConfig reports whether the node is a leaf of a state container whose
// sibling config has the same leaf: applied state rather than observed only.
func (n *Node) MirrorsConfig() bool {
	if n.Parent == nil || n.Parent.Name != "state" || n.Parent.Parent == nil {
		return false
	}
	cfg := n.Parent.Parent.index["config"]
	return cfg != nil && cfg.index[n.Name] != nil
}

// SchemaPath is the node's path without keys, "/interface/config/mru".
func (n *Node) SchemaPath() string {
	if n.Parent == nil {
		return ""
	}
	return n.Parent.SchemaPath() + "/" + n.Name
}
