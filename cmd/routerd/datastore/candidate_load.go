package datastore

import (
	"context"
	"fmt"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// Rollback makes the candidate the configuration after commit n, whatever it has
// changed so far. It is [ErrNoCommit] when the log doesn't reach back to n; other errors are those of
// Edit, and the candidate is as before.
func (c *Candidate) Rollback(ctx context.Context, n uint64) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	deltas, err := c.s.back(n)
	if err != nil {
		return err
	}
	list, err := c.s.schema.Back(deltas...)
	if err != nil {
		return err
	}
	return c.become(ctx, list)
}

// Rescue makes the candidate the rescue configuration. It is [ErrNoRescue] when
// there is none; other errors are those of Edit.
func (c *Candidate) Rescue(ctx context.Context) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	want := &gen.Device{}
	if err := c.s.rescue(want); err != nil {
		return err
	}
	list, err := c.s.schema.Differences(c.s.schema.Compare(c.s.running, want))
	if err != nil {
		return err
	}
	return c.become(ctx, list)
}

// become makes the candidate running with the differences of list. The caller
// holds s.mu.
func (c *Candidate) become(ctx context.Context, list []tree.Difference) error {
	if err := c.use(); err != nil {
		return err
	}
	c.sync()
	ops := append(opsOf(c.s.schema, swap(c.changed.list)), opsOf(c.s.schema, list)...)
	if err := c.edit(ctx, Ops(ops...)); err != nil {
		return fmt.Errorf("the candidate can't become that: %w", err)
	}
	return nil
}

// swap is what undoes differences.
func swap(list []tree.Difference) []tree.Difference {
	out := make([]tree.Difference, len(list))
	for i, d := range list {
		d.Old, d.New = d.New, d.Old
		out[i] = d
	}
	return out
}

// opsOf lists the operations that make differences, which are ordered as
// [tree.Schema.Differences] does.
func opsOf(s *tree.Schema, list []tree.Difference) []tree.Op {
	var deletes, updates, orders []tree.Op
	var gone tree.Path
	for _, d := range list {
		n := s.Nodes(d.Path)[0]
		switch {
		case gone != nil && d.Path.HasPrefix(gone):
		case n.Kind == tree.List:
			if d.New != nil {
				orders = append(orders, tree.Op{Kind: tree.Arrange, Path: d.Path, Value: d.New})
			}
		case n.IsKey() && d.New == nil:
			gone = d.Path[:len(d.Path)-1]
			deletes = append(deletes, tree.Op{Kind: tree.Delete, Path: gone})
		case n.IsKey():
			updates = append(updates, tree.Op{Kind: tree.Update, Path: d.Path[:len(d.Path)-1], Value: jsonObject()})
		case d.New == nil:
			deletes = append(deletes, tree.Op{Kind: tree.Delete, Path: d.Path})
		default:
			updates = append(updates, tree.Op{Kind: tree.Replace, Path: d.Path, Value: d.New})
		}
	}
	return append(append(deletes, updates...), orders...)
}
