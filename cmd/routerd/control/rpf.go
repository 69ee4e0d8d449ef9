package control

import (
	"context"
	"fmt"

	"router/intf"
)

// An instance keeps a second table while some family in it checks sources
// against all feasible ways. familyID names such a family.
type familyID struct {
	index  intf.Index
	family intf.Family
}

// wantFeasible notes whether a family of a unit, in an instance, needs the
// second table, and makes it for the first one that does.
func (r *Router) wantFeasible(i intf.Index, f intf.Family, name string, wanted bool) error {
	id := familyID{i, f}
	for other, in := range r.feasible {
		if _, has := in[id]; has && (other != name || !wanted) {
			if delete(in, id); len(in) == 0 {
				delete(r.feasible, other)
				r.dirty.instances[other] = struct{}{}
			}
		}
	}
	if !wanted {
		return nil
	}
	if r.feasible[name] == nil {
		r.feasible[name] = map[familyID]struct{}{}
	}
	r.feasible[name][id] = struct{}{}
	if r.vrfs.Feasible(name) != nil {
		return nil
	}
	if err := r.vrfs.SetFeasible(name, true); err != nil {
		return err
	}
	index, _ := r.vrfs.Index(name)
	r.edit.SetFeasible(index, r.vrfs.Feasible(name))
	return nil
}

// clearFeasible removes the second table of an instance that nobody needs.
func (r *Router) clearFeasible(name string, index uint32) error {
	if len(r.feasible[name]) > 0 || r.vrfs.Feasible(name) == nil {
		return nil
	}
	r.edit.SetFeasible(index, nil)
	r.commitEdit()
	// Workers that have begun in the table must have left it.
	if err := r.domain.Synchronize(context.Background()); err != nil {
		return fmt.Errorf("instance %s: %w", name, err)
	}
	return r.vrfs.SetFeasible(name, false)
}
