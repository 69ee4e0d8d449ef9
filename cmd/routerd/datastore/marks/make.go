package marks

import (
	"errors"
	"slices"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
)

// Deactivate takes the nodes that the pattern matches out of use, and keeps them. The
// error of the operation says what can't be, or is already.
func Deactivate(s *tree.Schema, pattern tree.Path) tree.Op {
	return expanding(pattern, func(root ygot.GoStruct) ([]tree.Op, error) {
		targets, err := targets(s, root, pattern)
		if err != nil {
			return nil, err
		}
		list := parts(root)
		var ops []tree.Op
		for _, p := range targets {
			more, err := deactivate(s, root, list, p)
			if err != nil {
				return nil, err
			}
			ops = append(ops, more...)
		}
		return ops, nil
	})
}

// Activate brings the inactive nodes that the pattern matches back into use.
func Activate(s *tree.Schema, pattern tree.Path) tree.Op {
	return expanding(pattern, func(root ygot.GoStruct) ([]tree.Op, error) {
		if err := s.Check(pattern); err != nil {
			return nil, err
		}
		canonical := s.Canonical(pattern)
		list := parts(root)
		var ops []tree.Op
		for _, x := range list {
			if len(x.path) != len(canonical) || !covers(canonical, x.path) {
				continue
			}
			more, err := activate(s, root, list, x)
			if err != nil {
				return nil, err
			}
			ops = append(ops, more...)
		}
		if len(ops) == 0 {
			return nil, errorAt(tree.Invalid, pattern, "is not inactive")
		}
		return ops, nil
	})
}

// Annotate puts a comment on the node at the concrete path p; "" takes it away.
func Annotate(s *tree.Schema, p tree.Path, comment string) tree.Op {
	return expanding(p, func(root ygot.GoStruct) ([]tree.Op, error) {
		at, err := markable(s, p)
		if err != nil {
			return nil, err
		}
		text := at.String()
		if comment == "" {
			m := device(root).Mark[text]
			switch {
			case commentOf(m) == "":
				return nil, errorAt(tree.Invalid, at, "has no comment")
			case isInactive(m):
				return []tree.Op{{Kind: tree.Delete, Path: markLeaf(text, "comment")}}, nil
			}
			return []tree.Op{{Kind: tree.Delete, Path: markPath(text)}}, nil
		}
		if !stands(s, root, parts(root), at) {
			return nil, errorAt(tree.Invalid, at, "there is no such node to comment: set it first")
		}
		return []tree.Op{{Kind: tree.Update, Path: markLeaf(text, "comment"), Value: stringValue(comment)}}, nil
	})
}

func expanding(p tree.Path, make func(ygot.GoStruct) ([]tree.Op, error)) tree.Op {
	return tree.Op{Kind: tree.Update, Path: p, Expand: func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
		ops, err := make(root)
		if err != nil {
			return nil, []*tree.Error{asError(p, err)}
		}
		return ops, nil
	}}
}

// markable is the canonical path of a node that can have a mark.
func markable(s *tree.Schema, p tree.Path) (tree.Path, error) {
	n, at, err := s.Concrete(p)
	switch {
	case err != nil:
		return nil, err
	case len(at) == 0:
		return nil, errorAt(tree.Invalid, at, "is the whole configuration: name a node of it")
	case at[0].GetName() == name:
		return nil, errorAt(tree.Invalid, at, "is a mark itself: name the node that it is about")
	case !n.Config:
		return nil, errorAt(tree.Invalid, at, "is state, not configuration")
	case n.Kind == tree.List && len(at[len(at)-1].GetKey()) == 0:
		return nil, errorAt(tree.Invalid, at, "is a whole list: name an entry by its keys")
	case n.IsKey() || n.KeyCopy:
		return nil, errorAt(tree.Invalid, at, "is the key of an entry: name the entry")
	}
	return at, nil
}

// targets are the nodes that a pattern matches, in the tree and in inactive parts.
func targets(s *tree.Schema, root ygot.GoStruct, pattern tree.Path) ([]tree.Path, error) {
	if err := s.Check(pattern); err != nil {
		return nil, err
	}
	if !isPattern(pattern) {
		p, err := markable(s, pattern)
		return []tree.Path{p}, err
	}
	list, err := Expand(s, root, pattern)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errorAt(tree.Invalid, pattern, "matches nothing")
	}
	out := make([]tree.Path, 0, len(list))
	for _, p := range list {
		at, err := markable(s, p)
		if err != nil {
			return nil, err
		}
		out = append(out, at)
	}
	return out, nil
}

func deactivate(s *tree.Schema, root ygot.GoStruct, list []part, p tree.Path) ([]tree.Op, error) {
	text := p.String()
	outer, nested := inside(list, p)
	var rows []row
	var ops []tree.Op
	switch {
	case nested && len(outer.path) == len(p):
		return nil, errorAt(tree.Invalid, p, "is inactive already")
	case nested:
		for _, r := range outer.rows() {
			if r.path.HasPrefix(p) {
				rows = append(rows, r)
			}
		}
		less, errs := editPart(s, outer, tree.Op{Kind: tree.Delete, Path: p})
		if len(errs) > 0 {
			return nil, errs[0]
		}
		ops = append(ops, less...)
	default:
		var err error
		if rows, err = rowsOf(s, root, p); err != nil {
			return nil, err
		}
		ops = append(ops, tree.Op{Kind: tree.Delete, Path: p})
	}
	if len(rows) == 0 {
		return nil, errorAt(tree.Invalid, p, "there is nothing to deactivate")
	}
	ops = append(ops, tree.Op{Kind: tree.Update, Path: markLeaf(text, "inactive"), Value: boolValue(true)})
	if before, ok := entryBefore(s, root, list, p); ok {
		ops = append(ops, tree.Op{Kind: tree.Update, Path: markLeaf(text, "after"), Value: stringValue(before)})
	}
	for _, r := range rows {
		ops = append(ops, r.store(text)...)
	}
	return ops, nil
}

// entryBefore is the key of the entry before the one at p, in the order that a list
// has with its inactive entries; ok is false for the first one, and where there is no order.
func entryBefore(s *tree.Schema, root ygot.GoStruct, list []part, p tree.Path) (key string, ok bool) {
	n := s.Nodes(p)[0]
	if !n.Ordered() {
		return "", false
	}
	keys := order(s, root, list, p[:len(p)-1].Named(n.Name))
	i := slices.Index(keys, keyOf(n, p))
	if i <= 0 {
		return "", false
	}
	return keys[i-1], true
}

func keyOf(n *tree.Node, p tree.Path) string { return p[len(p)-1].GetKey()[n.Keys[0].Name] }

// order are the keys of an ordered list with those of its inactive entries, each
// behind the one that it stood behind.
func order(s *tree.Schema, root ygot.GoStruct, list []part, at tree.Path) []string {
	n := s.Nodes(at)[0]
	var keys []string
	if x, ok := inside(list, at); ok {
		if v := x.mark.Value[at.String()]; v != nil {
			keys = slices.Clone(valueOf(v))
		}
	} else {
		keys = keysOf(s, root, at)
	}
	type absent struct{ key, after string }
	var waiting []absent
	for _, x := range list {
		if last := len(x.path) - 1; last == len(at)-1 && x.path[last].GetName() == n.Name && x.path[:last].HasPrefix(at[:last]) {
			waiting = append(waiting, absent{keyOf(n, x.path), afterOf(x.mark)})
		}
	}
	for progress := true; progress && len(waiting) > 0; {
		progress = false
		waiting = slices.DeleteFunc(waiting, func(a absent) bool {
			i := slices.Index(keys, a.after)
			if i < 0 && a.after != "" {
				return false
			}
			keys, progress = slices.Insert(keys, i+1, a.key), true
			return true
		})
	}
	for _, a := range waiting {
		keys = append(keys, a.key) // what it stood behind is gone
	}
	return keys
}

// keysOf are the keys of an ordered list in the tree, in their order.
func keysOf(s *tree.Schema, root ygot.GoStruct, at tree.Path) (keys []string) {
	w := tree.Walker{Schema: s, Config: root, Filter: tree.ConfigOnly, Depth: 1,
		Match: func(n *tree.Node, p tree.Path) error {
			keys = append(keys, keyOf(n, p))
			return nil
		},
		Leaf: func(tree.LeafValue) error { return nil }}
	if err := w.Walk(at); err != nil {
		return nil
	}
	return keys
}

func activate(s *tree.Schema, root ygot.GoStruct, list []part, x part) ([]tree.Op, error) {
	text := x.text()
	ops := []tree.Op{{Kind: tree.Delete, Path: markPath(text)}}
	if comment := commentOf(x.mark); comment != "" {
		ops = append(ops, tree.Op{Kind: tree.Update, Path: markLeaf(text, "comment"), Value: stringValue(comment)})
	}
	others := slices.DeleteFunc(slices.Clone(list), func(o part) bool { return o.text() == text })
	n := s.Nodes(x.path)[0]
	if outer, nested := inside(others, x.path); nested {
		d, errs := scratch(s, append(outer.rows(), x.rows()...))
		if len(errs) == 0 && n.Ordered() {
			at := x.path[:len(x.path)-1].Named(n.Name)
			errs = s.Editor(d, func(tree.Path) {}).Apply(tree.Op{Kind: tree.Arrange, Path: at, Value: stringList(order(s, root, list, at))})
		}
		if len(errs) > 0 {
			return nil, errs[0]
		}
		after, err := rowsOf(s, d, outer.path)
		return append(ops, restate(outer.text(), outer.rows(), after)...), err
	}
	ops = append(ops, apply(s, x.rows())...)
	if n.Ordered() {
		at := x.path[:len(x.path)-1].Named(n.Name)
		keys := order(s, root, list, at)
		ops = append(ops, tree.Op{Kind: tree.Arrange, Path: at, Value: stringList(keys)})
	}
	return ops, nil
}

// Copy lists the operations that give the entry at to the marks that the entry at
// from has, and what lies below both; with from's own inactive state. The entries
// are of the same list.
func Copy(root ygot.GoStruct, from, to tree.Path) []tree.Op {
	d := device(root)
	if d == nil {
		return nil
	}
	moved := func(text string) (string, bool) {
		p, err := tree.Parse(text)
		if err != nil || !p.HasPrefix(from) {
			return "", false
		}
		return slices.Concat(to, p[len(from):]).String(), true
	}
	var ops []tree.Op
	for text, m := range d.Mark {
		dst, ok := moved(text)
		if !ok {
			continue
		}
		if commentOf(m) != "" {
			ops = append(ops, tree.Op{Kind: tree.Update, Path: markLeaf(dst, "comment"), Value: stringValue(commentOf(m))})
		}
		if !isInactive(m) {
			continue
		}
		ops = append(ops, tree.Op{Kind: tree.Update, Path: markLeaf(dst, "inactive"), Value: boolValue(true)})
		if afterOf(m) != "" {
			ops = append(ops, tree.Op{Kind: tree.Update, Path: markLeaf(dst, "after"), Value: stringValue(afterOf(m))})
		}
		for _, r := range (part{mark: m}).rows() {
			at, ok := moved(r.text)
			if !ok {
				continue
			}
			if own := len(r.path) - len(from); own == 1 && r.path[len(from)].GetKey() == nil {
				if v, ok := to[len(to)-1].GetKey()[r.path[len(from)].GetName()]; ok {
					r.words = []string{v} // the entry's own key
				}
			}
			r.text = at
			ops = append(ops, r.store(dst)...)
		}
	}
	return ops
}

// Has reports whether the node at the concrete path is inactive, or lies in a part that is and
// has it.
func Has(s *tree.Schema, root ygot.GoStruct, p tree.Path) bool {
	list := parts(root)
	x, ok := inside(list, p)
	return ok && (len(x.path) == len(p) || x.holds(s, p))
}

// IsInactive reports whether the node at the concrete path is inactive itself.
func IsInactive(root ygot.GoStruct, p tree.Path) bool {
	d := device(root)
	return d != nil && isInactive(d.Mark[p.String()])
}

// Keys are the keys of an ordered list that lies in an inactive part, in their
// order; ok is false for a list elsewhere.
func Keys(root ygot.GoStruct, list tree.Path) (keys []string, ok bool) {
	x, ok := inside(parts(root), list)
	if !ok {
		return nil, false
	}
	return slices.Clone(valueOf(x.mark.Value[list.String()])), true
}

// Leaves lists the operations that give the entry to what the entry from has in an
// inactive part around it. The entries are of the same list.
func Leaves(s *tree.Schema, root ygot.GoStruct, from, to tree.Path) []tree.Op {
	x, ok := inside(parts(root), from)
	if !ok || len(x.path) == len(from) {
		return nil
	}
	var list []row
	for _, r := range x.rows() {
		if !r.path.HasPrefix(from) {
			continue
		}
		r.path = slices.Concat(to, r.path[len(from):])
		list = append(list, r)
	}
	return apply(s, list)
}

// asError is err as one of the tree.
func asError(p tree.Path, err error) *tree.Error {
	var te *tree.Error
	if errors.As(err, &te) {
		return te
	}
	return errorAt(tree.Invalid, p, "%w", err)
}
