package marks

import (
	"slices"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// Merged is the configuration as its editors see it at and below the pattern p:
// with inactive parts in their places, and without the list of marks. It is root itself where
// there are none; it must not be changed. The cost follows what stands there.
func Merged(s *tree.Schema, root ygot.GoStruct, p tree.Path) (*gen.Device, []*tree.Error) {
	d := device(root)
	list := parts(root)
	about := slices.DeleteFunc(slices.Clone(list), func(x part) bool { return !meets(p, x.path) })
	if len(about) == 0 && len(p) > 0 {
		return d, nil
	}
	out := &gen.Device{}
	// What is above the first wildcard is copied; keys are those of one node there.
	at := p
	for i := range p {
		if _, _, err := s.Concrete(p[:i+1]); err != nil {
			at = p[:i]
			break
		}
	}
	if n, canonical, err := s.Concrete(at); err == nil {
		if n.IsLeaf() {
			canonical = canonical[:len(canonical)-1]
		}
		s.Copy(out, root, canonical)
	}
	out.Mark = nil
	e := s.Editor(out, func(tree.Path) {})
	for _, x := range about {
		for _, op := range apply(s, x.rows()) {
			if errs := e.Apply(op); len(errs) > 0 {
				return nil, errs
			}
		}
	}
	for _, x := range about {
		n := s.Nodes(x.path)[0]
		if !n.Ordered() {
			continue
		}
		at := x.path[:len(x.path)-1].Named(n.Name)
		if errs := e.Apply(tree.Op{Kind: tree.Arrange, Path: at, Value: stringList(order(s, root, list, at))}); len(errs) > 0 {
			return nil, errs
		}
	}
	return out, nil
}

// meets reports whether the node p is, lies below, or lies above something that the
// pattern matches.
func meets(pattern, p tree.Path) bool {
	return covers(pattern, p) || len(p) < len(pattern) && covers(pattern[:len(p)], p)
}

// A Note is what a mark says of a node.
type Note struct {
	Path     tree.Path
	Inactive bool
	Comment  string
}

// Notes lists what is said of nodes at and below the pattern p, in the order of
// their paths' text.
func Notes(root ygot.GoStruct, p tree.Path) []Note {
	d := device(root)
	if d == nil {
		return nil
	}
	var list []Note
	texts := make([]string, 0, len(d.Mark))
	for text := range d.Mark {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for _, text := range texts {
		at, err := tree.Parse(text)
		if err != nil || !covers(p, at) {
			continue
		}
		m := d.Mark[text]
		list = append(list, Note{Path: at, Inactive: isInactive(m), Comment: commentOf(m)})
	}
	return list
}

// Secret is the secret that the inactive leaf at p has; ok is false for none.
func Secret(root ygot.GoStruct, p tree.Path) (secret string, ok bool) {
	x, ok := inside(parts(root), p)
	if !ok {
		return "", false
	}
	c := x.mark.Value[p.String()].GetConfig()
	if c == nil || c.Secret == nil {
		return "", false
	}
	return *c.Secret, true
}
