package models

import (
	"slices"
	"strings"

	"router/intf"
)

// A Delta is what becomes of one object. Old is nil for a new one, New for one
// that goes.
type Delta[K, V any] struct {
	Key      K
	Old, New *V
}

// A Change is what an update makes of an Intent: the objects that differ,
// sorted by key. It is only as good as the Compiled that it came from: another
// commit in between makes it void.
type Change struct {
	System    *Delta[struct{}, SystemSpec] // nil when it stays
	GRIBI     *Delta[struct{}, GRIBISpec]  // likewise
	Devices   []Delta[string, intf.DeviceSpec]
	Units     []Delta[intf.UnitKey, intf.UnitSpec]
	Instances []Delta[string, InstanceSpec]
	Static    []Delta[StaticKey, StaticSpec]
	Classes   []Delta[string, ClassSpec]
	Sessions  []Delta[string, SessionSpec]
	Multicast []Delta[MulticastKey, MulticastSpec]

	PrefixLists []Delta[string, PrefixListSpec]
	Policers    []Delta[string, PolicerSpec]
	Filters     []Delta[string, FilterSpec]

	Users      []Delta[string, UserSpec]
	Roles      []Delta[string, RoleSpec]
	LogServers []Delta[string, LogServerSpec]

	generation uint64
	update     uint64 // the number of the Update that made it, 0 for none
}

// Empty reports whether the change changes nothing.
func (c *Change) Empty() bool { return c.Len() == 0 }

// Len is the number of objects that change.
func (c *Change) Len() int {
	n := len(c.Devices) + len(c.Units) + len(c.Instances) + len(c.Static) + len(c.Multicast) + len(c.Classes) + len(c.Sessions) +
		len(c.PrefixLists) + len(c.Policers) + len(c.Filters) + len(c.Users) + len(c.Roles) + len(c.LogServers)
	if c.System != nil {
		n++
	}
	if c.GRIBI != nil {
		n++
	}
	return n
}

// Inverse is the change that undoes c, after c was committed to x.
func (x *Compiled) Inverse(c Change) Change {
	r := c.inverse()
	r.generation = x.generation
	return r
}

func (c *Change) inverse() Change {
	var r Change
	if c.System != nil {
		s := inverse(*c.System)
		r.System = &s
	}
	if c.GRIBI != nil {
		s := inverse(*c.GRIBI)
		r.GRIBI = &s
	}
	r.Devices = inverses(c.Devices)
	r.Units = inverses(c.Units)
	r.Instances = inverses(c.Instances)
	r.Static = inverses(c.Static)
	r.Classes = inverses(c.Classes)
	r.Sessions = inverses(c.Sessions)
	r.PrefixLists = inverses(c.PrefixLists)
	r.Policers = inverses(c.Policers)
	r.Filters = inverses(c.Filters)
	r.Multicast = inverses(c.Multicast)
	r.Users = inverses(c.Users)
	r.Roles = inverses(c.Roles)
	r.LogServers = inverses(c.LogServers)
	return r
}

func inverse[K, V any](d Delta[K, V]) Delta[K, V] {
	return Delta[K, V]{Key: d.Key, Old: d.New, New: d.Old}
}

func inverses[K, V any](ds []Delta[K, V]) []Delta[K, V] {
	r := make([]Delta[K, V], len(ds))
	for i, d := range ds {
		r[i] = inverse(d)
	}
	return r
}

func (c *Change) sort() {
	slices.SortFunc(c.Devices, func(a, b Delta[string, intf.DeviceSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Units, func(a, b Delta[intf.UnitKey, intf.UnitSpec]) int { return a.Key.Compare(b.Key) })
	slices.SortFunc(c.Instances, func(a, b Delta[string, InstanceSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Classes, func(a, b Delta[string, ClassSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Sessions, func(a, b Delta[string, SessionSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Multicast, func(a, b Delta[MulticastKey, MulticastSpec]) int { return a.Key.Compare(b.Key) })
	slices.SortFunc(c.Static, func(a, b Delta[StaticKey, StaticSpec]) int { return a.Key.Compare(b.Key) })
	slices.SortFunc(c.PrefixLists, func(a, b Delta[string, PrefixListSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Policers, func(a, b Delta[string, PolicerSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Filters, func(a, b Delta[string, FilterSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Users, func(a, b Delta[string, UserSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.Roles, func(a, b Delta[string, RoleSpec]) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(c.LogServers, func(a, b Delta[string, LogServerSpec]) int { return strings.Compare(a.Key, b.Key) })
}

// delta compares what old has under key with what is wanted there, nil for
// nothing. ok is false where they are the same.
func delta[K comparable, V any](old map[K]V, key K, want *V, equal func(a, b V) bool) (d Delta[K, V], ok bool) {
	have, there := old[key]
	if !there {
		return Delta[K, V]{Key: key, New: want}, want != nil
	}
	if want != nil && equal(have, *want) {
		return d, false
	}
	kept := have
	return Delta[K, V]{Key: key, Old: &kept, New: want}, true
}

// changes reports whether the object under key is among deltas, which are sorted.
func changes[K, V any](deltas []Delta[K, V], key K, compare func(a, b K) int) bool {
	_, found := slices.BinarySearchFunc(deltas, key, func(d Delta[K, V], key K) int { return compare(d.Key, key) })
	return found
}

func equal[T comparable](a, b T) bool { return a == b }
