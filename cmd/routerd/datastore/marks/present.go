package marks

import (
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore/tree"
)

// An Aspect is what of a node a [Change] is about. The set is closed.
type Aspect uint8

// The aspects.
const (
	Value    Aspect = iota // its value, active or not
	Inactive               // whether it is inactive: the values are true, or absent
	Comment                // what is noted of it
)

// A Change is a difference of configurations as their editors see it.
type Change struct {
	tree.Difference
	Aspect Aspect
}

// About is the node that the path is about: another one for what stands in the list of
// marks, and ok is false for what of a mark isn't told.
func About(p tree.Path) (at tree.Path, aspect Aspect, ok bool) {
	if len(p) == 0 || p[0].GetName() != name {
		return p, Value, true
	}
	text := p[0].GetKey()["path"]
	if len(p) > 1 && p[1].GetName() == "value" {
		if text = p[1].GetKey()["path"]; text == "" {
			return nil, Value, false
		}
	}
	at, err := tree.Parse(text)
	if err != nil {
		return nil, Value, false
	}
	if len(p) == 1 {
		return at, Inactive, true
	}
	leaf := p[len(p)-1].GetName()
	switch {
	case p[1].GetName() == "value":
		return at, Value, leaf == "value" || leaf == "secret"
	case leaf == "inactive":
		return at, Inactive, true
	case leaf == "comment":
		return at, Comment, true
	}
	return at, Inactive, false
}

// Present turns differences of leaves into those that an editor sees: what of an inactive
// part changes stands in its place, and what only becomes inactive, or active, is one change.
func Present(s *tree.Schema, list []tree.Difference) []Change {
	if !slices.ContainsFunc(list, func(d tree.Difference) bool { return len(d.Path) > 0 && d.Path[0].GetName() == name }) {
		out := make([]Change, len(list))
		for i, d := range list {
			out[i].Difference = d
		}
		return out
	}
	type slot struct {
		id     string
		aspect Aspect
	}
	var out []*Change
	index := make(map[slot]*Change)
	for _, d := range list {
		at, aspect, ok := About(d.Path)
		if !ok {
			continue
		}
		c := Change{Difference: d, Aspect: aspect}
		c.Path = at
		if len(d.Path) > 0 && d.Path[0].GetName() == name && aspect == Value {
			if s.Check(at) != nil {
				continue
			}
			n := s.Nodes(at)[0]
			c.Secret = n.IsSecret()
			c.Old, c.New = n.Typed(tree.Words(d.Old)), n.Typed(tree.Words(d.New))
		}
		id := slot{at.String(), aspect}
		have := index[id]
		if have == nil {
			index[id] = &c
			out = append(out, &c)
			continue
		}
		if have.Old == nil {
			have.Old = c.Old
		}
		if have.New == nil {
			have.New = c.New
		}
	}
	changes := make([]Change, 0, len(out))
	for _, c := range out {
		if !proto.Equal(c.Old, c.New) {
			changes = append(changes, *c)
		}
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return s.ComparePaths(a.Path, b.Path) })
	return changes
}

// Text is a comment, or whether a node is inactive, "" for no.
func (c Change) Text(v *gnmi.TypedValue) string {
	if v == nil || c.Aspect == Inactive && !v.GetBoolVal() {
		return ""
	}
	return tree.Text(v)
}
