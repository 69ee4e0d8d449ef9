package dataplane

import (
	"cmp"
	"slices"

	"router/dataplane/filter"
	"router/intf"
)

// A hookSet says at which hooks a family has a filter: a bit for each.
type hookSet uint8

func hooksOf(f *UnitFamily) (s hookSet) {
	for h, b := range f.Filters {
		if b != nil {
			s |= 1 << h
		}
	}
	return s
}

// guardHooks are where a loopback's filters speak for its instance.
const guardHooks hookSet = 1<<filter.InputLocal | 1<<filter.OutputLocal

// setGuard puts unit u, nil for nobody, in the place of unit i among the guards of
// an instance.
func setGuard(s *snapshot, instance uint32, f intf.Family, i intf.Index, u *unit) {
	r := s.instances.at(instance)
	if r == nil {
		return
	}
	at, found := slices.BinarySearchFunc(r.guards[f], i, func(u *unit, i intf.Index) int { return cmp.Compare(u.index, i) })
	if u != nil && (!u.spec.Loopback || u.fam[f].hooks&guardHooks == 0) {
		u = nil
	}
	if !found && u == nil {
		return
	}
	next := *r
	next.guards[f] = slices.Clone(r.guards[f])
	switch {
	case found && u == nil:
		next.guards[f] = slices.Delete(next.guards[f], at, at+1)
	case found:
		next.guards[f][at] = u
	default:
		next.guards[f] = slices.Insert(next.guards[f], at, u)
	}
	s.instances = s.instances.with(instance, &next)
}

func (s hookSet) has(h filter.Hook) bool { return s>>h&1 != 0 }

// Filters is what the engine's filters are made and bound with. Its Worker method is
// the engine's own to call. What Bind returns takes effect in a UnitFamily.
func (e *Engine) Filters() *filter.Table { return e.filters }
