package datastore

import (
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore/tree"
)

// A changes is a list of differences that is searched by path. The zero value is
// empty; one is made at once and never changed.
type changes struct {
	schema *tree.Schema
	list   []tree.Difference
	index  map[string]int // of the leaf's path
	// below counts, for each entry of a list on the way to a change that is no
	// deletion, the changes there.
	below map[string]int
}

func newChanges(s *tree.Schema, list []tree.Difference) changes {
	c := changes{schema: s, list: list, index: make(map[string]int, len(list)), below: make(map[string]int)}
	for i, d := range list {
		c.index[d.Path.String()] = i
		if d.New == nil {
			continue
		}
		for _, at := range entriesOf(d.Path) {
			c.below[at.String()]++
		}
	}
	return c
}

// entriesOf lists the entries of lists that p goes through, from the root down.
func entriesOf(p tree.Path) []tree.Path {
	var list []tree.Path
	for i, e := range p {
		if len(e.GetKey()) > 0 {
			list = append(list, p[:i+1])
		}
	}
	return list
}

// keyOf finds the change that makes or removes the entry at p.
func (c *changes) keyOf(p tree.Path) (tree.Difference, bool) {
	n := c.schema.Nodes(p)[0]
	if i, ok := c.index[p.Named(n.Keys[0].Name).String()]; ok {
		return c.list[i], true
	}
	return tree.Difference{}, false
}

// has reports whether there is a change of the leaf at p.
func (c *changes) has(p tree.Path) bool {
	_, ok := c.index[p.String()]
	return ok
}

// meets finds the change that touches what d changes: both is set when the two
// don't agree, and path names the place where they meet, nil for none. They
// meet in a leaf, and in an entry that one side removes and the other one sets something in.
func (c *changes) meets(d tree.Difference) (mine tree.Difference, path tree.Path, both bool) {
	entries := entriesOf(d.Path)
	for _, at := range entries {
		if key, ok := c.keyOf(at); ok && key.New == nil && d.New != nil {
			return key, at, true
		}
	}
	if len(entries) > 0 && d.New == nil && c.schema.Nodes(d.Path)[0].IsKey() {
		at := entries[len(entries)-1]
		if c.below[at.String()] > 0 {
			for _, mine := range c.list {
				if mine.New != nil && mine.Path.HasPrefix(at) {
					return mine, at, true
				}
			}
		}
	}
	if i, ok := c.index[d.Path.String()]; ok {
		mine = c.list[i]
		return mine, d.Path, !proto.Equal(mine.New, d.New)
	}
	return tree.Difference{}, nil, false
}
