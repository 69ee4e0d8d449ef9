package models

import (
	"net/netip"
	"reflect"
	"slices"

	"router/dataplane/filter"
	"router/intf"
)

// A FilterSpec is the intended state of a filter. What its terms say of the rest of
// the router by name stands in Refs, and is left out of the terms: whoever applies
// the filter puts the numbers in.
type FilterSpec struct {
	Spec        filter.Spec
	Description string
	Refs        []TermRefs // of the terms that have such names, in order

	next      []string // the filters that it goes on to, each once, sorted
	redirects bool     // a term leads to an instance or a next hop
	perPlace  bool     // a term is counted for each place
}

// TermRefs are the names that one term of a filter uses.
type TermRefs struct {
	Term int // index of the term

	SrcLists, SrcExceptLists []string
	DstLists, DstExceptLists []string
	// Interfaces go into the term's Match.Interface, whose Except is set already.
	Interfaces []intf.UnitKey

	Instance  string       // to look up in, or in which Gateway is looked up
	Gateway   netip.Addr   // zero for none
	NextHopIf intf.UnitKey // zero for none
	Mirror    intf.UnitKey // zero for none
}

// Equal reports whether both declare the same.
func (s FilterSpec) Equal(o FilterSpec) bool { return reflect.DeepEqual(s, o) }

// lists visits the prefix lists that the filter uses.
func (s *FilterSpec) lists(visit func(list string, term int, leaf string)) {
	for i := range s.Refs {
		r := &s.Refs[i]
		for _, l := range []struct {
			leaf  string
			names []string
		}{
			{"source-prefix-list", r.SrcLists}, {"source-prefix-list-except", r.SrcExceptLists},
			{"destination-prefix-list", r.DstLists}, {"destination-prefix-list-except", r.DstExceptLists},
		} {
			for _, name := range l.names {
				visit(name, r.Term, l.leaf)
			}
		}
	}
}

// units visits the units that the filter names, with the path of the leaf below
// the term's.
func (s *FilterSpec) units(visit func(unit intf.UnitKey, term int, leaf string)) {
	for i := range s.Refs {
		r := &s.Refs[i]
		leaf := "match/config/interface"
		if s.Spec.Terms[r.Term].Match.Interface.Except {
			leaf = "match/config/interface-except"
		}
		for _, key := range r.Interfaces {
			visit(key, r.Term, leaf)
		}
		if r.NextHopIf != (intf.UnitKey{}) {
			visit(r.NextHopIf, r.Term, nextHopIfLeaf)
		}
		if r.Mirror != (intf.UnitKey{}) {
			visit(r.Mirror, r.Term, mirrorLeaf)
		}
	}
}

const (
	nextHopIfLeaf = "action/config/next-hop-interface"
	mirrorLeaf    = "action/config/mirror"
)

// Next lists the filters that the filter goes on to, sorted. The list is not to be
// changed.
func (s *FilterSpec) Next() []string { return s.next }

// CountsPerPlace reports whether terms are counted for each place where the filter
// is bound.
func (s *FilterSpec) CountsPerPlace() bool { return s.perPlace }

// UsesList reports whether the filter matches against the prefix list.
func (s *FilterSpec) UsesList(name string) bool {
	found := false
	s.lists(func(list string, _ int, _ string) { found = found || list == name })
	return found
}

// A PrefixListSpec is the intended state of a prefix list.
type PrefixListSpec struct {
	Name        string
	Description string
	Prefixes    []netip.Prefix // masked, sorted, each once
}

// Equal reports whether both declare the same.
func (s PrefixListSpec) Equal(o PrefixListSpec) bool {
	return s.Name == o.Name && s.Description == o.Description && slices.Equal(s.Prefixes, o.Prefixes)
}

// A PolicerSpec is the intended state of a policer. It is comparable.
type PolicerSpec struct {
	Spec        filter.PolicerSpec
	Description string
}

// boundFilters are the filters of a family with their hooks.
func boundFilters(f intf.FilterNames) [filter.NumHooks]string {
	return [filter.NumHooks]string{filter.Input: f.Input, filter.Output: f.Output, filter.InputLocal: f.InputLocal, filter.OutputLocal: f.OutputLocal}
}

// FilterAt is the name of the filter that a family has at a hook, empty for none.
func FilterAt(f intf.FilterNames, h filter.Hook) string { return boundFilters(f)[h] }
