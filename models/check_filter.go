package models

import (
	"maps"
	"net/netip"
	"slices"

	"router/dataplane/filter"
	"router/gen"
	"router/intf"
)

// This file checks what filters have to do with the rest of the configuration.

// A filterIndex finds the filters, by name, that refer to something.
type filterIndex struct {
	byList     multimap[string, string]
	byPolicer  multimap[string, string]
	byInstance multimap[string, string]
	byNext     multimap[string, string] // by the filter that they go on to
	byUnit     multimap[intf.UnitKey, string]
	bound      multimap[string, intf.UnitKey] // units by the filters that are bound there
}

func newFilterIndex() filterIndex {
	return filterIndex{
		byList:     multimap[string, string]{},
		byPolicer:  multimap[string, string]{},
		byInstance: multimap[string, string]{},
		byNext:     multimap[string, string]{},
		byUnit:     multimap[intf.UnitKey, string]{},
		bound:      multimap[string, intf.UnitKey]{},
	}
}

func (x *indexes) filter(add bool, s FilterSpec) {
	name := s.Spec.Name
	s.lists(func(list string, _ int, _ string) { x.filters.byList.set(add, list, name) })
	s.units(func(unit intf.UnitKey, _ int, _ string) { x.filters.byUnit.set(add, unit, name) })
	for _, r := range s.Refs {
		if r.Instance != "" {
			x.filters.byInstance.set(add, r.Instance, name)
		}
	}
	for i := range s.Spec.Terms {
		if p := s.Spec.Terms[i].Action.Police; p != "" {
			x.filters.byPolicer.set(add, p, name)
		}
	}
	for _, next := range s.next {
		x.filters.byNext.set(add, next, name)
	}
}

// bindings adds or removes which filters the unit has.
func (x *indexes) bindings(add bool, s intf.UnitSpec) {
	for _, f := range s.Families {
		for _, name := range boundFilters(f.Filters) {
			if name != "" {
				x.filters.bound.set(add, name, s.Key)
			}
		}
	}
}

// affectedFilters adds the filters, and the units with filters, that the change
// can make wrong.
func (c *Compiled) affectedFilters(change Change, a *affected) {
	x := &c.index.filters
	add := func(names map[string]struct{}) { maps.Copy(a.filters, names) }
	for _, d := range change.PrefixLists {
		if d.New == nil {
			add(x.byList[d.Key])
		}
	}
	for _, d := range change.Policers {
		if d.New == nil {
			add(x.byPolicer[d.Key])
		}
	}
	for _, d := range change.Instances {
		if d.New == nil {
			add(x.byInstance[d.Key])
		}
	}
	for _, d := range change.Units {
		if !sameFamilies(d.Old, d.New) {
			add(x.byUnit[d.Key])
		}
	}
	for _, d := range change.Filters {
		a.filters[d.Key] = struct{}{}
		if sameFromOutside(d.Old, d.New) {
			continue
		}
		for name := range c.leadingTo(d.Key) {
			a.filters[name] = struct{}{}
			maps.Copy(a.units, x.bound[name])
		}
	}
}

// sameFromOutside reports whether nobody who uses a filter can tell its two states
// apart.
func sameFromOutside(a, b *FilterSpec) bool {
	return a != nil && b != nil && a.Spec.Family == b.Spec.Family && a.redirects == b.redirects && slices.Equal(a.next, b.next)
}

// leadingTo is the filter and all that go on to it.
func (c *Compiled) leadingTo(name string) map[string]struct{} {
	found := map[string]struct{}{name: {}}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		for by := range c.index.filters.byNext[todo[0]] {
			if _, ok := found[by]; !ok {
				found[by] = struct{}{}
				todo = append(todo, by)
			}
		}
	}
	return found
}

// checkFilter checks what a filter refers to.
func (c *Compiled) checkFilter(s FilterSpec, v *violations) {
	at := func(term int) string { return termPath(s.Spec.Name, s.Spec.Terms[term].Name) + "/" }
	s.lists(func(list string, term int, leaf string) {
		if _, ok := c.intent.PrefixLists[list]; !ok {
			v.add(at(term)+"match/config/"+leaf, ruleFilterList, "prefix list %s does not exist: declare it or name another one", list)
		}
	})
	s.units(func(key intf.UnitKey, term int, leaf string) {
		unit, ok := c.intent.Units[key]
		if !ok {
			v.add(at(term)+leaf, ruleFilterUnit, "unit %s does not exist: declare it or name another one", key.Name())
			return
		}
		if leaf == mirrorLeaf && c.isLoopback(key) {
			v.add(at(term)+leaf, ruleFilterMirror, "%s is a loopback, which leads nowhere: name a unit of another device, behind which somebody looks at the copies", key.Name())
		}
		carries := func(f intf.FamilySpec) bool { return f.Family == s.Spec.Family }
		if leaf == nextHopIfLeaf && !slices.ContainsFunc(unit.Families, carries) {
			v.add(at(term)+leaf, ruleFilterHopUnit, "unit %s has no family %v: add the family there or name another unit", key.Name(), s.Spec.Family)
		}
	})
	for _, r := range s.Refs {
		if r.Instance != "" {
			if _, ok := c.intent.Instances[r.Instance]; !ok {
				v.add(at(r.Term)+"action/config/instance", ruleFilterInstance, "instance %s does not exist: declare it or name another one", r.Instance)
			}
		}
	}
	for i := range s.Spec.Terms {
		if p := s.Spec.Terms[i].Action.Police; p != "" {
			if _, ok := c.intent.Policers[p]; !ok {
				v.add(at(i)+"action/config/policer", ruleFilterPolicer, "policer %s does not exist: declare it or name another one", p)
			}
		}
	}
	c.checkNextFilters(s, v)
}

// checkNextFilters checks the filters that a filter goes on to.
func (c *Compiled) checkNextFilters(s FilterSpec, v *violations) {
	if len(s.next) == 0 {
		return
	}
	loops := map[string]bool{}
	for i := range s.Spec.Terms {
		t := &s.Spec.Terms[i]
		if t.Action.Kind != filter.NextFilter || t.Action.NextFilter == "" {
			continue
		}
		path := termPath(s.Spec.Name, t.Name) + "/action/config/next-filter"
		next, ok := c.intent.Filters[t.Action.NextFilter]
		switch {
		case !ok:
			v.add(path, ruleFilterNext, "filter %s does not exist: declare it or name another one", t.Action.NextFilter)
			continue
		case next.Spec.Family != s.Spec.Family:
			v.add(path, ruleFilterNext, "filter %s is for family %v, and this one for %v: name one of this family", next.Spec.Name, next.Spec.Family, s.Spec.Family)
			continue
		}
		back, known := loops[next.Spec.Name]
		if !known {
			_, back = c.reachedBy(next.Spec.Name)[s.Spec.Name]
			loops[next.Spec.Name] = back
		}
		if back {
			v.add(path, ruleFilterLoop, "filter %s leads back to %s: let one of them end otherwise", next.Spec.Name, s.Spec.Name)
		}
	}
}

// reachedBy is the filter and all that it goes on to.
func (c *Compiled) reachedBy(name string) map[string]struct{} {
	found := map[string]struct{}{name: {}}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		for _, next := range c.intent.Filters[todo[0]].next {
			if _, ok := found[next]; !ok {
				found[next] = struct{}{}
				todo = append(todo, next)
			}
		}
	}
	return found
}

// checkBindings checks the filters of a family, which may be a loopback's.
func (c *Compiled) checkBindings(f intf.FamilySpec, loopback bool, path string, v *violations) {
	for h, name := range boundFilters(f.Filters) {
		if name == "" {
			continue
		}
		hook := filter.Hook(h)
		leaf := path + "/filter/config/" + hook.String()
		if loopback && (hook == filter.Input || hook == filter.Output) {
			v.add(leaf, ruleFilterLoopback, "nothing comes in or leaves by a loopback: bind filter %s as input-local or output-local, where it speaks for the whole instance", name)
		}
		s, ok := c.intent.Filters[name]
		switch {
		case !ok:
			v.add(leaf, ruleFilterExists, "filter %s does not exist: declare it or name another one", name)
			continue
		case s.Spec.Family != f.Family:
			v.add(leaf, ruleFilterBound, "filter %s is for family %v: bind one for %v", name, s.Spec.Family, f.Family)
			continue
		case hook == filter.Input, hook == filter.OutputLocal:
			continue
		}
		for _, reached := range slices.Sorted(maps.Keys(c.reachedBy(name))) {
			if c.intent.Filters[reached].redirects {
				v.add(leaf, ruleFilterHook,
					"filter %s has terms with disposition routing-instance or next-hop, and packets have been looked up at %v: bind it to input or output-local, or another one here", reached, hook)
				break
			}
		}
	}
}

// compileBindings compiles which filters a family has.
func compileBindings(c *gen.Routerd_Interface_Unit_Family_Filter_Config, path string, v *violations) intf.FilterNames {
	if c == nil || !checkLeaves(c, path+"/filter/config", v) {
		return intf.FilterNames{}
	}
	return intf.FilterNames{
		Input: value(c.Input, ""), Output: value(c.Output, ""), InputLocal: value(c.InputLocal, ""), OutputLocal: value(c.OutputLocal, ""),
	}
}

// prefixSet reads a set of prefixes of both families, without host bits; what is
// spelled twice counts once.
func prefixSet(values []string, path string, v *violations) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(values))
	for _, text := range values {
		if p, ok := parseNetwork(text, path, v); ok {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}
