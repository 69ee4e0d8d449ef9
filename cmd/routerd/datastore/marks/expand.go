package marks

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
)

// isPattern reports whether a path has wildcards.
func isPattern(p tree.Path) bool {
	return slices.ContainsFunc(p, func(e *gnmi.PathElem) bool {
		if strings.ContainsAny(e.GetName(), "*") || e.GetName() == "..." {
			return true
		}
		for _, v := range e.GetKey() {
			if isGlob(v) {
				return true
			}
		}
		return false
	})
}

func isGlob(key string) bool { return strings.ContainsAny(key, "*?") }

// Expand lists the concrete paths that a pattern stands for. Keys may be globs, such
// as "ge*", where ? is any character and * any number of them; what follows the last of them need not be
// there yet. A path without wildcards stands for itself. Inactive entries are found, too.
func Expand(s *tree.Schema, root ygot.GoStruct, pattern tree.Path) ([]tree.Path, error) {
	if err := s.Check(pattern); err != nil {
		return nil, err
	}
	end := 0
	wide := make(tree.Path, len(pattern))
	for i, e := range pattern {
		wide[i] = e
		if !isPattern(tree.Path{e}) {
			continue
		}
		end = i + 1
		wide[i] = &gnmi.PathElem{Name: e.GetName(), Key: make(map[string]string)}
		for k, v := range e.GetKey() {
			if isGlob(v) {
				v = "*"
			}
			wide[i].Key[k] = v
		}
	}
	if end == 0 {
		return []tree.Path{pattern}, nil
	}
	rest := pattern[end:]
	var out []tree.Path
	seen := make(map[string]bool)
	add := func(p tree.Path) {
		if id := p.String(); !seen[id] && Globs(pattern, p) {
			seen[id] = true
			out = append(out, slices.Concat(p, rest))
		}
	}
	w := tree.Walker{Schema: s, Config: root, Filter: tree.ConfigOnly, Depth: 1,
		Match: func(_ *tree.Node, p tree.Path) error { add(slices.Clone(p)); return nil },
		Leaf:  func(tree.LeafValue) error { return nil }}
	if err := w.Walk(wide[:end]); err != nil {
		return nil, err
	}
	list := parts(root)
	for _, x := range list {
		if len(x.path) >= end && covers(wide[:end], x.path[:end]) {
			add(x.path[:end])
		}
		for _, r := range x.rows() {
			if len(r.path) >= end && covers(wide[:end], r.path[:end]) && len(x.path) <= end {
				add(r.path[:end])
			}
		}
	}
	return out, nil
}

// Globs reports whether the keys of p, which Widen's pattern matches, are what the pattern's globs
// match.
func Globs(pattern, p tree.Path) bool {
	for i, e := range p {
		if i >= len(pattern) || pattern[i].GetName() == "..." {
			return true // names of any depth have no globs
		}
		for k, want := range pattern[i].GetKey() {
			if !isGlob(want) || want == "*" {
				continue
			}
			// A key may have slashes and brackets, which mean something else to path.Match.
			plain := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`)
			if ok, err := path.Match(plain.Replace(want), strings.ReplaceAll(e.GetKey()[k], "/", "\x00")); err != nil || !ok {
				return false
			}
		}
	}
	return true
}

// Wild makes an operation of an editor take patterns: it is done for each node that the
// pattern stands for, or refused when there is none.
func Wild(s *tree.Schema, op tree.Op) tree.Op {
	if !isPattern(op.Path) || op.Expand != nil {
		return Route(s, op)
	}
	wild := op
	wild.Expand = func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
		list, err := Expand(s, root, op.Path)
		if err != nil {
			return nil, []*tree.Error{asError(op.Path, err)}
		}
		if len(list) == 0 && op.Kind != tree.Delete {
			return nil, []*tree.Error{errorAt(tree.Invalid, op.Path, "matches nothing")}
		}
		ops := make([]tree.Op, len(list))
		for i, p := range list {
			ops[i] = Route(s, tree.Op{Kind: op.Kind, Path: p, Value: op.Value})
		}
		return ops, nil
	}
	return wild
}

// Widen is a pattern that matches all that p does, with '*' in the place of globs.
func Widen(p tree.Path) tree.Path {
	out := slices.Clone(p)
	for i, e := range p {
		for k, v := range e.GetKey() {
			if !isGlob(v) || v == "*" {
				continue
			}
			keys := maps.Clone(out[i].GetKey())
			keys[k] = "*"
			out[i] = &gnmi.PathElem{Name: e.GetName(), Key: keys}
		}
	}
	return out
}
