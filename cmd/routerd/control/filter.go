package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"router/dataplane/filter"
	"router/intf"
	"router/models"
	"router/routing"
)

// This file keeps filters, with the prefix lists and policers that they use, in
// place. What units bind is built before the units, and cleared away after them;
// so no packet passes between a filter and the one that takes its place.

// A prefixList is a prefix list as wanted and as filters were compiled with it.
type prefixList struct {
	want *models.PrefixListSpec
	list *filter.PrefixList
}

// A policer is a policer as wanted and applied.
type policer struct {
	want, applied *models.PolicerSpec
}

// A packetFilter is a filter as wanted and applied.
type packetFilter struct {
	want    *models.FilterSpec
	applied *models.FilterSpec
	took    time.Duration // its compilation
	hops    []routing.NextHopID
	reason  string // why it discards everything instead of what is wanted

	// What it had counted when its counters were cleared, by term, of all places
	// together and of each; nil for never.
	base    map[string]models.PacketCount
	places  map[filter.Place]map[string]models.PacketCount
	cleared time.Time
	anew    time.Time // when its terms began to count, or did so again
}

// filterTable is what the router knows of filters.
type filterTable struct {
	lists    map[string]*prefixList
	policers map[string]*policer
	filters  map[string]*packetFilter
	// changed says that units have to be bound anew.
	changed bool
	// Of what was replaced, until no packet begins with it any more.
	hops   []routing.NextHopID
	unbind []binding
}

// A binding is a filter at a place.
type binding struct {
	name  string
	place filter.Place
}

func newFilterTable() filterTable {
	return filterTable{lists: map[string]*prefixList{}, policers: map[string]*policer{}, filters: map[string]*packetFilter{}}
}

// entry is the entry under key, made if there is none.
func entry[V any](m map[string]*V, key string) *V {
	if m[key] == nil {
		m[key] = new(V)
	}
	return m[key]
}

func (r *Router) wantPrefixList(name string, spec *models.PrefixListSpec) {
	entry(r.filters.lists, name).want = spec
	r.dirty.lists[name] = struct{}{}
}

func (r *Router) wantPolicer(name string, spec *models.PolicerSpec) {
	entry(r.filters.policers, name).want = spec
	r.dirty.policers[name] = struct{}{}
}

func (r *Router) wantFilter(name string, spec *models.FilterSpec) {
	entry(r.filters.filters, name).want = spec
	r.dirty.filters[name] = struct{}{}
}

// buildFilters builds what is dirty, from the ground up, and swaps it in at all
// units at once.
func (r *Router) buildFilters(w *worklist, p *pass) error {
	p.lists = take(&r.dirty.lists, strings.Compare)
	for _, name := range p.lists {
		r.buildPrefixList(name)
	}
	p.policers = take(&r.dirty.policers, strings.Compare)
	if err := build(w, p.policers, named(models.Policer), r.buildPolicer); err != nil {
		return err
	}
	p.filters = take(&r.dirty.filters, strings.Compare)
	err := build(w, p.filters, named(models.Filter), func(name string) error { return r.buildFilter(name, w.strict) })
	if err != nil {
		return err
	}
	if r.filters.changed {
		r.filters.changed = false
		if err := w.rest(r.rebind()); err != nil {
			return err
		}
		r.commitEdit()
	}
	return nil
}

// buildPrefixList makes the list that filters are compiled with, and has those
// compiled that use it.
func (r *Router) buildPrefixList(name string) {
	l := r.filters.lists[name]
	if l == nil || l.want == nil {
		return
	}
	l.list = &filter.PrefixList{Name: name, Prefixes: l.want.Prefixes}
	for by, f := range r.filters.filters {
		if f.want != nil && f.want.UsesList(name) {
			r.dirty.filters[by] = struct{}{}
		}
	}
	r.events.changed(models.Object{Kind: models.PrefixList, Name: name})
}

func (r *Router) buildPolicer(name string) error {
	p := r.filters.policers[name]
	if p == nil || p.want == nil {
		return nil
	}
	if err := r.engine.Filters().SetPolicer(&p.want.Spec); err != nil {
		return fmt.Errorf("policer %s: %w", name, err)
	}
	p.applied = p.want
	r.filters.changed = true
	r.events.changed(models.Object{Kind: models.Policer, Name: name})
	return nil
}

// buildFilter compiles a filter. Where that fails and nobody can be refused for it
// (strict is false), a filter that discards everything takes its place: a filter
// that is missing must not let everything pass. The error tells of that, too.
func (r *Router) buildFilter(name string, strict bool) (cause error) {
	f := r.filters.filters[name]
	if f == nil || f.want == nil {
		return nil
	}
	begin := r.now()
	spec, hops, err := r.resolveFilter(f.want)
	var program *filter.Program
	if err == nil {
		program, err = filter.Compile(spec)
	}
	blind := f.applied == nil || f.reason != "" // it has no terms
	f.reason = ""
	if err != nil {
		err = fmt.Errorf("filter %s: %w", name, err)
		r.filters.hops = append(r.filters.hops, hops...)
		if strict && r.failed[models.Object{Kind: models.Filter, Name: name}] == nil {
			return err
		}
		cause = fmt.Errorf("%w; it discards everything until that is mended", err)
		f.reason = cause.Error()
		hops = nil
		if program, err = filter.Compile(&filter.Spec{Name: name, Family: f.want.Spec.Family}); err != nil {
			return fmt.Errorf("filter %s: %w", name, err)
		}
	}
	r.engine.Filters().SetFilter(program)
	if blind || f.reason != "" {
		f.anew = r.now()
	}
	f.took = r.now().Sub(begin)
	r.filters.hops = append(r.filters.hops, f.hops...)
	f.applied, f.hops = f.want, hops
	r.filters.changed = true
	r.events.changed(models.Object{Kind: models.Filter, Name: name})
	return cause
}

// resolveFilter puts numbers where the declared filter has names. The next hops
// that it holds are the caller's to let go.
func (r *Router) resolveFilter(want *models.FilterSpec) (_ *filter.Spec, hops []routing.NextHopID, err error) {
	spec := want.Spec
	spec.Terms = slices.Clone(spec.Terms)
	var errs []error
	index := func(key intf.UnitKey) intf.Index {
		t := r.tree.Unit(key)
		if t == nil {
			errs = append(errs, fmt.Errorf("unit %s does not exist", key.Name()))
			return 0
		}
		return t.Index
	}
	lists := func(names []string) []*filter.PrefixList {
		var list []*filter.PrefixList
		for _, name := range names {
			l := r.filters.lists[name]
			if l == nil || l.list == nil {
				errs = append(errs, fmt.Errorf("prefix list %s does not exist", name))
				continue
			}
			list = append(list, l.list)
		}
		return list
	}
	for _, ref := range want.Refs {
		t := &spec.Terms[ref.Term]
		t.Match.Src.Lists, t.Match.Src.ExceptLists = lists(ref.SrcLists), lists(ref.SrcExceptLists)
		t.Match.Dst.Lists, t.Match.Dst.ExceptLists = lists(ref.DstLists), lists(ref.DstExceptLists)
		for _, key := range ref.Interfaces {
			t.Match.Interface.Ranges = append(t.Match.Interface.Ranges, filter.One(uint32(index(key))))
		}
		if ref.Mirror != (intf.UnitKey{}) {
			t.Action.Mirror = index(ref.Mirror)
		}
		if ref.NextHopIf != (intf.UnitKey{}) {
			t.Action.NextHopIf = index(ref.NextHopIf)
		}
		if ref.Instance == "" {
			continue
		}
		i, ok := r.vrfs.Index(ref.Instance)
		if !ok {
			errs = append(errs, fmt.Errorf("instance %s does not exist", ref.Instance))
			continue
		}
		t.Action.Instance = i
		if t.Action.Kind == filter.ToNextHop {
			t.Action.Instance = 0
			id, err := r.vrfs.HoldNextHop(ref.Instance, spec.Family, ref.Gateway, t.Action.NextHopIf)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			t.Action.NextHop = uint32(id)
			hops = append(hops, id)
		}
	}
	return &spec, hops, errors.Join(errs...)
}

// rebind publishes the units whose filters have become others.
func (r *Router) rebind() error {
	for key, u := range r.units {
		t := r.tree.Unit(key)
		if t == nil || u.want == nil || u.index == 0 {
			continue
		}
		stale := false
		for _, f := range intf.Families {
			if tf, fam := t.Family(f), u.families[f]; tf != nil && fam != nil {
				bound, err := r.bind(u, tf)
				if err != nil {
					return err
				}
				stale = stale || bound != fam.bound
			}
		}
		if stale {
			if err := r.publishUnit(u, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind gives a family its filters, as they are now.
func (r *Router) bind(u *unit, t *intf.UnitFamily) (bound [filter.NumHooks]*filter.Bound, err error) {
	for h := range bound {
		name := models.FilterAt(t.Spec.Filters, filter.Hook(h))
		if name == "" {
			continue
		}
		bound[h], err = r.engine.Filters().Bind(name, filter.Place{Hook: filter.Hook(h), Unit: u.index})
		if err != nil {
			return bound, fmt.Errorf("%s filter of %s family %s: %w", filter.Hook(h), u.key.Name(), t.Spec.Family, err)
		}
	}
	return bound, nil
}

// rebound notes what a family is bound to from now on, and which places of filters
// are given up once that is published.
func (r *Router) rebound(u *unit, fam *family, names intf.FilterNames, bound [filter.NumHooks]*filter.Bound) {
	for h := range bound {
		hook := filter.Hook(h)
		if old := models.FilterAt(fam.filters, hook); old != "" && old != models.FilterAt(names, hook) {
			r.filters.unbind = append(r.filters.unbind, binding{old, filter.Place{Hook: hook, Unit: u.index}})
			r.events.changed(models.Object{Kind: models.Filter, Name: old})
		}
		if name := models.FilterAt(names, hook); name != "" && name != models.FilterAt(fam.filters, hook) {
			r.events.changed(models.Object{Kind: models.Filter, Name: name})
		}
	}
	fam.filters, fam.bound = names, bound
}

// clearFilters takes away what is no longer wanted, and lets go what is no longer
// used. No unit is bound to it any more.
func (r *Router) clearFilters(p *pass) error {
	table := r.engine.Filters()
	for _, b := range r.filters.unbind {
		table.Unbind(b.name, b.place)
	}
	r.filters.unbind = nil
	var errs []error
	for _, name := range p.filters {
		f := r.filters.filters[name]
		if f == nil || f.want != nil {
			continue
		}
		delete(r.filters.filters, name)
		table.DeleteFilter(name)
		r.filters.hops = append(r.filters.hops, f.hops...)
		r.events.changed(models.Object{Kind: models.Filter, Name: name})
	}
	for _, name := range p.policers {
		if pl := r.filters.policers[name]; pl != nil && pl.want == nil {
			delete(r.filters.policers, name)
			table.DeletePolicer(name)
			r.events.changed(models.Object{Kind: models.Policer, Name: name})
		}
	}
	for _, name := range p.lists {
		if l := r.filters.lists[name]; l != nil && l.want == nil {
			delete(r.filters.lists, name)
			r.events.changed(models.Object{Kind: models.PrefixList, Name: name})
		}
	}
	for _, id := range r.filters.hops {
		errs = append(errs, r.vrfs.ReleaseNextHop(id))
	}
	r.filters.hops = nil
	return errors.Join(errs...)
}

// PrefixLists lists the prefix lists, sorted.
func (r *Router) PrefixLists() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.filters.lists))
}

// Policers lists the policers, sorted.
func (r *Router) Policers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.filters.policers))
}

// Filters lists the filters, sorted.
func (r *Router) Filters() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.filters.filters))
}

// PrefixListSpec is a prefix list as applied; ok is false when there is none.
func (r *Router) PrefixListSpec(name string) (s models.PrefixListSpec, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.filters.lists[name]
	if l == nil || l.want == nil || l.list == nil {
		return s, false
	}
	return *l.want, true
}

// PolicerState is the state of a policer; ok is false when there is none.
func (r *Router) PolicerState(name string) (s models.PolicerState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.filters.policers[name]
	if p == nil || p.applied == nil {
		return s, false
	}
	s.Applied = *p.applied
	counts, _ := r.engine.Filters().PolicerCounts(name)
	for c, n := range counts {
		s.Colours[c] = models.PacketCount(n)
	}
	return s, true
}

// FilterState is the state of a filter; ok is false when there is none.
func (r *Router) FilterState(name string) (s models.FilterState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.filters.filters[name]
	if f == nil {
		return s, false
	}
	s = models.FilterState{Name: name, Applied: f.applied, CompileTime: f.took, Reason: f.reason, Cleared: f.cleared, Anew: f.anew}
	for _, u := range r.units {
		for _, fam := range u.families {
			if fam == nil {
				continue
			}
			for h := range fam.bound {
				if models.FilterAt(fam.filters, filter.Hook(h)) == name {
					s.Bindings++
				}
			}
		}
	}
	if f.applied == nil {
		return s, true
	}
	counts := r.engine.Filters().Counts(name)
	// One that discards everything has no terms but the end.
	for i := range f.applied.Spec.Terms {
		if len(counts) == len(f.applied.Spec.Terms)+1 {
			s.Terms = append(s.Terms, since(f.base, counts[i].Term, models.PacketCount(counts[i].Count)))
		}
	}
	if n := len(counts); n > 0 {
		s.Unmatched = since(f.base, counts[n-1].Term, models.PacketCount(counts[n-1].Count))
	}
	return s, true
}

// placeCounts is what the filters of a family count there by themselves.
func (r *Router) placeCounts(u *unit, fam *family) []models.FilterCount {
	var list []models.FilterCount
	for h := range fam.bound {
		hook := filter.Hook(h)
		seen := map[string]struct{}{}
		todo := []string{models.FilterAt(fam.filters, hook)}
		for ; len(todo) > 0; todo = todo[1:] {
			f := r.filters.filters[todo[0]]
			if _, again := seen[todo[0]]; again || f == nil || f.applied == nil {
				continue
			}
			seen[todo[0]] = struct{}{}
			todo = append(todo, f.applied.Next()...)
			if !f.applied.CountsPerPlace() {
				continue
			}
			place := filter.Place{Hook: hook, Unit: u.index}
			for _, c := range r.engine.Filters().PlaceCounts(todo[0], place) {
				if c.Term != "" {
					list = append(list, models.FilterCount{Hook: hook, Filter: todo[0], Term: c.Term, PacketCount: since(f.places[place], c.Term, models.PacketCount(c.Count))})
				}
			}
		}
	}
	return list
}
