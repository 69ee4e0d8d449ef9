package marks

import (
	"errors"
	"slices"
	"strings"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
)

var errFound = errors.New("found")

// inTree reports whether something stands at or below p in the tree.
func inTree(s *tree.Schema, root ygot.GoStruct, p tree.Path) bool {
	w := tree.Walker{Schema: s, Config: root, Filter: tree.ConfigOnly, Leaf: func(tree.LeafValue) error { return errFound }}
	return w.Walk(p) != nil
}

// holds reports whether the part has something at or below p.
func (x part) holds(s *tree.Schema, p tree.Path) bool {
	text := p.String()
	if x.mark.Value[text] != nil {
		return true
	}
	if n := s.Nodes(p)[0]; n.Kind == tree.List {
		return x.mark.Value[p.Named(n.Keys[0].Name).String()] != nil
	}
	for at := range x.mark.Value {
		if rest, ok := strings.CutPrefix(at, text); ok && strings.HasPrefix(rest, "/") {
			return true
		}
	}
	return false
}

// stands reports whether there is such a node: in the tree, or inactive. Containers
// are there wherever the entry around them is.
func stands(s *tree.Schema, root ygot.GoStruct, list []part, p tree.Path) bool {
	for i := range p {
		at := p[:i+1]
		n := s.Nodes(at)[0]
		if n.Kind == tree.Container {
			continue
		}
		x, ok := inside(list, at)
		switch {
		case !ok:
			if !inTree(s, root, at) {
				return false
			}
		case len(x.path) < len(at) && !x.holds(s, at):
			return false
		}
	}
	return true
}

// Prune lists the operations that remove the marks of nodes that are gone: comments
// with the node, inactive parts with the entry of a list that they lie in. touched are the
// subtrees that have changed; of the marks among them it removes those that made sense
// once, if old is set, and leaves all to Check if not. The cost follows the number of marks.
func Prune(s *tree.Schema, root ygot.GoStruct, touched []tree.Path, old bool) []tree.Op {
	d := device(root)
	if d == nil || len(d.Mark) == 0 {
		return nil
	}
	ids := make(map[string]bool, len(touched))
	for _, p := range touched {
		ids[p.String()] = true
	}
	list := parts(root)
	written := writtenMarks(touched)
	var gone []string
	for text, m := range d.Mark {
		p, err := tree.Parse(text)
		if err != nil || s.Check(p) != nil || !concerns(ids, p, text) || !old && written.has(text) {
			continue // Check refuses what is wrong
		}
		if !holdsOn(s, root, list, part{p, m}) {
			gone = append(gone, text)
		}
	}
	slices.Sort(gone)
	ops := make([]tree.Op, len(gone))
	for i, text := range gone {
		ops[i] = tree.Op{Kind: tree.Delete, Path: markPath(text)}
	}
	return ops
}

// holdsOn reports whether the node that the mark is about is there, or the
// entry that it lies in, if it is inactive.
func holdsOn(s *tree.Schema, root ygot.GoStruct, list []part, x part) bool {
	if !isInactive(x.mark) {
		return stands(s, root, list, x.path)
	}
	// The part stands in its own place.
	others := slices.DeleteFunc(slices.Clone(list), func(o part) bool { return o.mark == x.mark })
	return stands(s, root, others, x.path[:len(x.path)-1])
}

// A writtenSet are the paths of marks that were written; "" stands for all of them.
type writtenSet map[string]bool

func (w writtenSet) has(text string) bool { return w[""] || w[text] }

func writtenMarks(touched []tree.Path) writtenSet {
	written := make(writtenSet)
	for _, p := range touched {
		switch {
		case len(p) == 0, p[0].GetName() == name && len(p[0].GetKey()) == 0:
			written[""] = true
		case p[0].GetName() == name:
			written[p[0].GetKey()["path"]] = true
		}
	}
	return written
}

// concerns reports whether a touched subtree has to do with the mark of the node p.
func concerns(touched map[string]bool, p tree.Path, text string) bool {
	if touched["/"] || touched["/"+name] || touched[markPath(text).String()] || touched[markPath(text).Named("config").String()] {
		return true
	}
	for i, e := range p {
		if touched[p[:i+1].String()] || len(e.GetKey()) > 0 && touched[p[:i].Named(e.GetName()).String()] {
			return true
		}
	}
	return slices.ContainsFunc(markValues(touched), func(at tree.Path) bool { return p.HasPrefix(at) })
}

// markValues are the inactive nodes whose values are touched.
func markValues(touched map[string]bool) []tree.Path {
	var list []tree.Path
	for id := range touched {
		if !strings.HasPrefix(id, "/"+name+"[") {
			continue
		}
		at, err := tree.Parse(id)
		if err != nil {
			continue
		}
		if p, err := tree.Parse(at[0].GetKey()["path"]); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// Check reports what is wrong with the marks that a change of the touched subtrees has to do
// with. The cost follows the number of marks, and what those that changed hold.
func Check(s *tree.Schema, root ygot.GoStruct, touched []tree.Path) []*tree.Error {
	d := device(root)
	if d == nil || len(d.Mark) == 0 {
		return nil
	}
	ids := make(map[string]bool, len(touched))
	for _, p := range touched {
		ids[p.String()] = true
	}
	written, list := writtenMarks(touched), parts(root)
	var errs []*tree.Error
	for text, m := range d.Mark {
		isWritten := written.has(text)
		p, err := tree.Parse(text)
		if err != nil {
			if isWritten {
				errs = append(errs, errorAt(tree.Invalid, markPath(text), "its path names no node: %w", err))
			}
			continue
		}
		if isWritten {
			if e := checkMark(s, p, text, part{p, m}); e != nil {
				errs = append(errs, e)
				continue
			}
			if !holdsOn(s, root, list, part{p, m}) {
				errs = append(errs, errorAt(tree.Invalid, markPath(text), "there is no such node: set it first, or delete the mark"))
				continue
			}
		}
		if isInactive(m) && (isWritten || concerns(ids, p, text) || touchedBelow(touched, p)) && inTree(s, root, p) {
			errs = append(errs, errorAt(tree.Invalid, p, "is inactive and can't be set beside that: activate it in rcli, or delete %s first", markPath(text)))
		}
	}
	slices.SortFunc(errs, func(a, b *tree.Error) int { return strings.Compare(a.Path, b.Path) })
	return errs
}

func touchedBelow(touched []tree.Path, p tree.Path) bool {
	return slices.ContainsFunc(touched, func(t tree.Path) bool { return t.HasPrefix(p) })
}

// checkMark reports what is wrong with one mark by itself.
func checkMark(s *tree.Schema, p tree.Path, text string, x part) *tree.Error {
	at, err := markable(s, p)
	if err != nil {
		return errorAt(tree.Invalid, markPath(text), "it can't be about that node: %w", err)
	}
	if canonical := at.String(); canonical != text {
		return errorAt(tree.Invalid, markPath(text), "its path is to be spelled %s", canonical)
	}
	if !isInactive(x.mark) {
		if len(x.mark.Value) > 0 {
			return errorAt(tree.Invalid, markPath(text), "values are those of an inactive node: set inactive, or delete them")
		}
		return nil
	}
	for leaf := range x.mark.Value {
		p, err := tree.Parse(leaf)
		if err != nil {
			return errorAt(tree.Invalid, valuePath(text, leaf), "its path names no node: %w", err)
		}
		n, canonical, err := s.Concrete(p)
		switch {
		case err != nil:
			return errorAt(tree.Invalid, valuePath(text, leaf), "its path names no node: %w", err)
		case canonical.String() != leaf:
			return errorAt(tree.Invalid, valuePath(text, leaf), "its path is to be spelled %s", canonical)
		case !canonical.HasPrefix(at):
			return errorAt(tree.Invalid, valuePath(text, leaf), "it does not lie in the inactive %s", text)
		case !n.Config || n.KeyCopy || !n.IsLeaf() && (!n.Ordered() || len(p[len(p)-1].GetKey()) > 0):
			return errorAt(tree.Invalid, valuePath(text, leaf), "it is no leaf that can be set, nor a list that its user orders")
		case n.IsSecret() != (x.mark.Value[leaf].GetConfig() != nil && x.mark.Value[leaf].GetConfig().Secret != nil):
			return errorAt(tree.Invalid, valuePath(text, leaf), "the leaf secret is for values that are secrets, and value for others")
		}
	}
	if _, errs := scratch(s, x.rows()); len(errs) > 0 {
		return errorAt(tree.Invalid, markPath(text), "a value is not what its leaf takes: %w", errs[0])
	}
	return nil
}
