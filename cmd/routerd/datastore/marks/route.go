package marks

import (
	"slices"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// Route makes an operation reach inactive parts as well: what it sets in one is kept
// there, and what it deletes or replaces goes there, too. It is for editors of the whole
// configuration, inactive parts included; an operation of gNMI is about what is active.
func Route(s *tree.Schema, op tree.Op) tree.Op {
	if op.Expand != nil {
		return op
	}
	routed := op
	routed.Expand = func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
		list := parts(root)
		if len(list) == 0 || len(op.Path) > 0 && op.Path[0].GetName() == name {
			return []tree.Op{op}, nil
		}
		switch op.Kind {
		case tree.Delete:
			ops, errs := deletes(s, list, op)
			return append([]tree.Op{op}, ops...), errs
		case tree.Replace, tree.Update, tree.Arrange:
		}
		n, p, err := s.Concrete(op.Path)
		if err != nil {
			return []tree.Op{op}, nil // whose error is the editor's to tell
		}
		if x, ok := inside(list, p); ok && (op.Kind != tree.Arrange || len(p) > len(x.path)) {
			return editPart(s, x, op)
		}
		if op.Kind == tree.Arrange || n.IsLeaf() {
			return []tree.Op{op}, nil
		}
		below := slices.DeleteFunc(slices.Clone(list), func(x part) bool { return !x.path.HasPrefix(prefixOf(n, p)) })
		switch {
		case len(below) == 0:
			return []tree.Op{op}, nil
		case op.Kind == tree.Replace && len(p) > 0:
			var ops []tree.Op
			for _, x := range below {
				ops = append(ops, tree.Op{Kind: tree.Delete, Path: markPath(x.text())})
			}
			return append(ops, op), nil
		case op.Kind == tree.Replace:
			return []tree.Op{op}, nil // the list of marks is a part of the root
		}
		return spread(s, list, below, op)
	}
	return routed
}

// prefixOf is p as a prefix of what stands below it: for a list without keys
// its parent, which is more than needed and never less.
func prefixOf(n *tree.Node, p tree.Path) tree.Path {
	if n.Kind == tree.List && len(p[len(p)-1].GetKey()) == 0 {
		return p[:len(p)-1]
	}
	return p
}

// editPart carries out an operation in an inactive part.
func editPart(s *tree.Schema, x part, op tree.Op) ([]tree.Op, []*tree.Error) {
	after, errs := rowsAfter(s, x, op)
	if len(errs) > 0 {
		return nil, errs
	}
	return restate(x.text(), x.rows(), after), nil
}

// rowsAfter are the rows that an operation leaves of an inactive part.
func rowsAfter(s *tree.Schema, x part, op tree.Op) ([]row, []*tree.Error) {
	d, errs := scratch(s, x.rows())
	if len(errs) > 0 {
		return nil, errs
	}
	if errs := s.Editor(d, func(tree.Path) {}).Apply(op); len(errs) > 0 {
		return nil, errs
	}
	after, err := rowsOf(s, d, x.path)
	if err != nil {
		return nil, []*tree.Error{errorAt(tree.Invalid, x.path, "%w", err)}
	}
	return after, nil
}

// deletes takes what a delete's pattern matches out of inactive parts.
func deletes(s *tree.Schema, list []part, op tree.Op) (ops []tree.Op, errs []*tree.Error) {
	pattern := s.Canonical(op.Path)
	for _, x := range list {
		if covers(pattern, x.path) && op.Value == nil {
			ops = append(ops, tree.Op{Kind: tree.Delete, Path: markPath(x.text())})
			continue
		}
		if !slices.ContainsFunc(x.rows(), func(r row) bool { return covers(pattern, r.path) }) {
			continue
		}
		after, bad := rowsAfter(s, x, op)
		errs = append(errs, bad...)
		switch {
		case len(bad) > 0:
		case len(after) == 0 && !slices.ContainsFunc(list, func(o part) bool { return len(o.path) > len(x.path) && o.path.HasPrefix(x.path) }):
			// What has nothing any more can't be inactive.
			ops = append(ops, tree.Op{Kind: tree.Delete, Path: markPath(x.text())})
		default:
			ops = append(ops, restate(x.text(), x.rows(), after)...)
		}
	}
	return ops, errs
}

// covers reports whether p is, or lies below, something that the pattern matches.
func covers(pattern, p tree.Path) bool {
	if len(pattern) == 0 {
		return true
	}
	el := pattern[0]
	if el.GetName() == "..." {
		for i := range p {
			if covers(pattern[1:], p[i:]) {
				return true
			}
		}
		return false
	}
	if len(p) == 0 || el.GetName() != "*" && el.GetName() != p[0].GetName() {
		return false
	}
	for k, v := range el.GetKey() {
		if v != "*" && p[0].GetKey()[k] != v {
			return false
		}
	}
	return covers(pattern[1:], p[1:])
}

// spread carries out an update of a node around inactive parts: what its value
// has for these goes there, the rest into the tree.
func spread(s *tree.Schema, all, below []part, op tree.Op) ([]tree.Op, []*tree.Error) {
	d := &gen.Device{}
	if errs := s.Editor(d, func(tree.Path) {}).Apply(op); len(errs) > 0 {
		return nil, errs
	}
	rows, err := rowsOf(s, d, nil)
	if err != nil {
		return nil, []*tree.Error{errorAt(tree.Invalid, op.Path, "%w", err)}
	}
	var outside []row
	within := make(map[string][]row)
	for _, r := range rows {
		x, ok := inside(all, r.path)
		if !ok {
			outside = append(outside, r)
			continue
		}
		within[x.text()] = append(within[x.text()], r)
	}
	if len(within) == 0 {
		return []tree.Op{op}, nil
	}
	ops := updates(s, outside)
	for _, x := range below {
		list := within[x.text()]
		if len(list) == 0 {
			continue
		}
		before := x.rows()
		d, errs := scratch(s, before)
		if len(errs) > 0 {
			return nil, errs
		}
		e := s.Editor(d, func(tree.Path) {})
		for _, o := range updates(s, list) {
			if errs := e.Apply(o); len(errs) > 0 {
				return nil, errs
			}
		}
		after, err := rowsOf(s, d, x.path)
		if err != nil {
			return nil, []*tree.Error{errorAt(tree.Invalid, x.path, "%w", err)}
		}
		ops = append(ops, restate(x.text(), before, after)...)
	}
	return ops, nil
}

// updates merges rows into a tree: unlike what makes a part whole again, it takes
// nothing away, and changes no order that there is.
func updates(s *tree.Schema, list []row) []tree.Op {
	ops := apply(s, list)
	for i := range ops {
		if ops[i].Kind == tree.Replace {
			ops[i].Kind = tree.Update
		}
	}
	return slices.DeleteFunc(ops, func(op tree.Op) bool { return op.Kind == tree.Arrange })
}
