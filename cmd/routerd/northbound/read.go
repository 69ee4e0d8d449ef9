package northbound

import (
	"maps"
	"slices"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// each calls visit with every leaf that the pattern matches. It reads a device
// or an instance in one go, so that it is of one commit, and routes in pieces; so no
// lock is held for long, and none while visit runs.
func (c *stream) each(pattern tree.Path, visit func(tree.LeafValue) error) error {
	for _, p := range c.pieces(pattern) {
		c.arrive(p)
		if err := c.piece(p, visit); err != nil {
			return err
		}
		if err := c.pause(); err != nil {
			return err
		}
	}
	return nil
}

// arrive is called ahead of reading what a pattern matches.
func (c *stream) arrive(pattern tree.Path) {
	if c.tour != nil {
		c.tour.arrive(pattern)
	}
}

// pause is called where all that has been read has been visited.
func (c *stream) pause() error {
	if c.between == nil {
		return nil
	}
	return c.between()
}

// pieces splits a pattern that covers several devices or instances by their
// names. What appears meanwhile comes as a change, where changes are watched.
func (c *stream) pieces(pattern tree.Path) []tree.Path {
	if c.depth > 0 {
		return []tree.Path{pattern} // depth counts from the end of the pattern
	}
	if len(pattern) == 0 {
		var list []tree.Path
		for _, n := range c.schema.Root.Children {
			list = append(list, c.pieces(tree.Path{{Name: n.Name}})...)
		}
		return list
	}
	first := pattern[0]
	if name, ok := first.GetKey()["name"]; ok && name != "*" {
		return []tree.Path{pattern}
	}
	var names []string
	switch c.schema.Root.Child(first.GetName()) {
	case c.source.device:
		names = slices.Clone(c.source.state.Names(models.Device, ""))
		c.store.View(func(dev *gen.Device, _ datastore.Commit) { names = slices.AppendSeq(names, maps.Keys(dev.Interface)) })
	case c.source.instance:
		names = slices.Clone(c.source.state.Names(models.Instance, ""))
		c.store.View(func(dev *gen.Device, _ datastore.Commit) { names = slices.AppendSeq(names, maps.Keys(dev.Instance)) })
	default:
		return []tree.Path{pattern}
	}
	slices.Sort(names)
	var list []tree.Path
	for _, name := range slices.Compact(names) {
		list = append(list, slices.Concat(tree.Path{keyed(first.GetName(), "name", name)}, pattern[1:]))
	}
	return list
}

// walker is how the stream reads a tree.
func (c *stream) walker() tree.Walker {
	return tree.Walker{Schema: c.schema, Defaults: true, Depth: c.depth, Filter: c.filter, Hide: true}
}

// wanted reports whether the stream sends the leaf.
func (c *stream) wanted(l tree.LeafValue) bool {
	return (c.modules == nil || c.modules[l.Node.Module]) && (c.readable == nil || c.readable(l))
}

func (c *stream) piece(pattern tree.Path, visit func(tree.LeafValue) error) error {
	var leaves []tree.LeafValue
	var later []tree.Deferred
	w := c.walker()
	w.Leaf = func(l tree.LeafValue) error {
		if c.wanted(l) {
			leaves = append(leaves, l)
		}
		return nil
	}
	w.Defer = func(d tree.Deferred) bool {
		if d.Node != c.source.rib && d.Node != c.source.flow {
			return false
		}
		later = append(later, d)
		return true
	}
	var err error
	c.store.View(func(dev *gen.Device, commit datastore.Commit) {
		source := c.source.at(commit)
		source.between, source.wanted = c.between, pattern
		w.Config, w.State = dev, source
		err = w.Walk(pattern)
	})
	if err != nil {
		return err
	}
	for _, l := range leaves {
		if err := visit(l); err != nil {
			return err
		}
	}
	w.Brief = c.brief
	w.Leaf = func(l tree.LeafValue) error {
		if !c.wanted(l) {
			return nil
		}
		return visit(l)
	}
	for _, d := range later {
		if err := w.Resume(d); err != nil {
			return err
		}
	}
	return nil
}
