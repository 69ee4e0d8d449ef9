package datastore

import (
	"fmt"

	"router/cmd/routerd/datastore/tree"
	"router/models"
)

// A Plan says in words what a change does to the router, without doing it.
type Plan struct {
	Base     uint64            // the commit that the change would follow
	Changes  []tree.Difference // what it changes in the configuration, in order
	Steps    []string          // what is done, in this order
	Disturbs []string          // what is interrupted meanwhile, and for how long if that is known
}

// A Describer is an [Applier] that can say what it would do. Describe is pure.
type Describer interface {
	Describe(change models.Change) (steps, disturbs []string)
}

// plan describes a change that the tree for edits has, and that the
// configuration differs by.
func (s *Store) plan(change models.Change, delta tree.Delta) (Plan, error) {
	p := Plan{Base: s.Last().Number}
	var err error
	if p.Changes, err = s.schema.Differences(delta); err != nil {
		return Plan{}, fmt.Errorf("plan: %w", err)
	}
	if d, ok := s.opt.Applier.(Describer); ok {
		p.Steps, p.Disturbs = d.Describe(change)
	}
	return p, nil
}
