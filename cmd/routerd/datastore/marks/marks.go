// Package marks gives the list "mark" of the model its meaning: comments on nodes of
// the configuration, and parts of it that are inactive, which means kept, shown, and
// out of use.
//
// An inactive part is not in its place in the tree. Its leaves stand in the list as
// text, one entry a leaf, so that everything that works on leaves (commits, the journal,
// rollback, candidates, conflicts, secrets) works on them, and so that what compiles the
// configuration never sees them.
//
// Invariants, of a configuration that [Check] accepts: a mark's path is canonical and names one
// node; nothing stands in the tree at or below an inactive node, and its values lie at or below it;
// the inactive node of the longest path has what two of them could claim.
//
// Source: docs/decisions/0025-marks.md.
package marks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// name is that of the list.
const name = "mark"

// device is the root as it is generated. Trees of other models have no marks.
func device(root ygot.GoStruct) *gen.Device {
	d, _ := root.(*gen.Device)
	return d
}

// Any reports whether the configuration has marks at all.
func Any(root ygot.GoStruct) bool {
	d := device(root)
	return d != nil && len(d.Mark) > 0
}

func isInactive(m *gen.Routerd_Mark) bool {
	c := m.GetConfig()
	return c != nil && c.Inactive != nil && *c.Inactive
}

func commentOf(m *gen.Routerd_Mark) string {
	return text(m.GetConfig(), func(c *gen.Routerd_Mark_Config) *string { return c.Comment })
}
func afterOf(m *gen.Routerd_Mark) string {
	return text(m.GetConfig(), func(c *gen.Routerd_Mark_Config) *string { return c.After })
}

func text(c *gen.Routerd_Mark_Config, leaf func(*gen.Routerd_Mark_Config) *string) string {
	if c == nil || leaf(c) == nil {
		return ""
	}
	return *leaf(c)
}

func valueOf(v *gen.Routerd_Mark_Value) []string {
	if c := v.GetConfig(); c != nil {
		return c.Value
	}
	return nil
}

// markPath is the path of the mark of the node whose path is text.
func markPath(text string) tree.Path {
	return tree.Path{{Name: name, Key: map[string]string{"path": text}}}
}

func markLeaf(text, leaf string) tree.Path { return markPath(text).Named("config").Named(leaf) }

func valuePath(mark, leaf string) tree.Path {
	return markPath(mark).Child(&gnmi.PathElem{Name: "value", Key: map[string]string{"path": leaf}})
}

// A part is an inactive node.
type part struct {
	path tree.Path
	mark *gen.Routerd_Mark
}

func (p part) text() string { return *p.mark.Path }

// parts lists the inactive nodes, the outer ones before those inside. The cost
// follows the number of marks.
func parts(root ygot.GoStruct) []part {
	d := device(root)
	if d == nil {
		return nil
	}
	var list []part
	for text, m := range d.Mark {
		if !isInactive(m) {
			continue
		}
		if p, err := tree.Parse(text); err == nil {
			list = append(list, part{p, m})
		}
	}
	slices.SortFunc(list, func(a, b part) int { return strings.Compare(a.text(), b.text()) })
	return list
}

// inside finds the inactive node that p is or lies in, the innermost.
func inside(list []part, p tree.Path) (part, bool) {
	var found part
	for _, x := range list {
		if p.HasPrefix(x.path) && len(x.path) > len(found.path) {
			found = x
		}
	}
	return found, found.mark != nil
}

// A row is one leaf of an inactive part, or the order of a list in it.
type row struct {
	path   tree.Path
	text   string
	words  []string
	secret bool
}

func (r row) same(other row) bool {
	return r.secret == other.secret && slices.Equal(r.words, other.words)
}

// rows are what the inactive node has, in an order in which they can be applied.
func (p part) rows() []row {
	list := make([]row, 0, len(p.mark.Value))
	for text, v := range p.mark.Value {
		at, err := tree.Parse(text)
		if err != nil {
			continue // Check has refused it
		}
		r := row{path: at, text: text, words: valueOf(v)}
		if c := v.GetConfig(); c != nil && c.Secret != nil {
			r.words, r.secret = []string{*c.Secret}, true
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b row) int { return strings.Compare(a.text, b.text) })
	return list
}

// rowsOf are the rows of what stands at and below p in the tree.
func rowsOf(s *tree.Schema, root ygot.GoStruct, p tree.Path) ([]row, error) {
	at := p
	if n := s.Nodes(p)[0]; n.IsLeaf() {
		at = p[:len(p)-1]
	}
	differences, err := s.Differences(s.Compare(&gen.Device{}, root, at))
	if err != nil {
		return nil, err
	}
	var list []row
	for _, d := range differences {
		if d.Path.HasPrefix(p) && d.New != nil {
			list = append(list, row{path: d.Path, text: d.Path.String(), words: tree.Words(d.New), secret: d.Secret})
		}
	}
	return list, nil
}

// op is the operation that makes the row part of the tree.
func (r row) op(s *tree.Schema) tree.Op {
	n := s.Nodes(r.path)[0]
	switch {
	case n.IsKey():
		return tree.Op{Kind: tree.Update, Path: r.path[:len(r.path)-1], Value: emptyObject()}
	case n.Kind == tree.List:
		return tree.Op{Kind: tree.Arrange, Path: r.path, Value: stringList(r.words)}
	case n.Kind == tree.LeafList:
		return tree.Op{Kind: tree.Replace, Path: r.path, Value: asciiList(r.words)}
	}
	return tree.Op{Kind: tree.Update, Path: r.path, Value: ascii(strings.Join(r.words, " "))}
}

// apply lists the operations that make rows part of the tree: orders of lists
// come last, when their entries are there.
func apply(s *tree.Schema, list []row) []tree.Op {
	var ops, orders []tree.Op
	for _, r := range list {
		if op := r.op(s); op.Kind == tree.Arrange {
			orders = append(orders, op)
		} else {
			ops = append(ops, op)
		}
	}
	return append(ops, orders...)
}

// store is the operation that puts the row under the mark of the node at text.
func (r row) store(mark string) []tree.Op {
	at := valuePath(mark, r.text)
	if r.secret {
		return []tree.Op{{Kind: tree.Update, Path: at.Named("config").Named("secret"), Value: stringValue(strings.Join(r.words, ""))}}
	}
	return []tree.Op{{Kind: tree.Replace, Path: at.Named("config").Named("value"), Value: stringList(r.words)}}
}

// drop is the operation that takes the row out of the mark of the node at text.
func (r row) drop(mark string) tree.Op {
	return tree.Op{Kind: tree.Delete, Path: valuePath(mark, r.text)}
}

// scratch is a tree with nothing but rows.
func scratch(s *tree.Schema, list []row) (*gen.Device, []*tree.Error) {
	d := &gen.Device{}
	e := s.Editor(d, func(tree.Path) {})
	for _, op := range apply(s, list) {
		if errs := e.Apply(op); len(errs) > 0 {
			return d, errs
		}
	}
	return d, nil
}

// restate lists the operations that make the rows of the mark at text, which
// has before, those of after.
func restate(text string, before, after []row) []tree.Op {
	have := make(map[string]row, len(before))
	for _, r := range before {
		have[r.text] = r
	}
	var ops []tree.Op
	for _, r := range after {
		old, ok := have[r.text]
		delete(have, r.text)
		if !ok || !old.same(r) {
			ops = append(ops, r.store(text)...)
		}
	}
	for _, r := range before {
		if _, gone := have[r.text]; gone {
			ops = append(ops, r.drop(text))
		}
	}
	return ops
}

func emptyObject() *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte("{}")}}
}

func stringValue(v string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: v}}
}

func boolValue(v bool) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_BoolVal{BoolVal: v}}
}

func ascii(v string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_AsciiVal{AsciiVal: v}}
}

func listOf(words []string, scalar func(string) *gnmi.TypedValue) *gnmi.TypedValue {
	array := &gnmi.ScalarArray{}
	for _, w := range words {
		array.Element = append(array.Element, scalar(w))
	}
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_LeaflistVal{LeaflistVal: array}}
}

func stringList(words []string) *gnmi.TypedValue { return listOf(words, stringValue) }
func asciiList(words []string) *gnmi.TypedValue  { return listOf(words, ascii) }

func errorAt(kind tree.ErrorKind, p tree.Path, format string, args ...any) *tree.Error {
	return &tree.Error{Kind: kind, Path: p.String(), Err: fmt.Errorf(format, args...)}
}
