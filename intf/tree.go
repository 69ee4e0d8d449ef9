package intf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Tree holds the specs of devices and units and what was observed of the
// devices, and derives from them what everything else wants to know.
//
// What it derives is a function of the specs and the observations alone, not of
// the order in which they came: a unit may be set before the device or unit
// above it, and is down (NoParent) until that is there. A change costs what
// stands below it: one unit, or all the units of a device.
//
// That no two units of a device have the same tags is for the model to see to.
//
// One goroutine at a time; what Device and Unit return may be kept and read by
// any.
type Tree struct {
	indexes  *Indexes
	observed map[string]Observed
	devices  map[string]*Device
	units    map[UnitKey]*Unit
	specs    map[UnitKey]UnitSpec
	children map[UnitKey]map[UnitKey]struct{} // key with an empty ID: units right on the device
	byIndex  map[Index]UnitKey
}

// Changes lists what a call changed, sorted: what was there before, is there
// now, or both, and isn't the same. Look each up to see what has become of it.
type Changes struct {
	Devices []string
	Units   []UnitKey // the unit or any of its families
}

// Empty reports whether nothing changed.
func (c Changes) Empty() bool { return len(c.Devices) == 0 && len(c.Units) == 0 }

// Add takes o into c. Both stay sorted, without duplicates.
func (c *Changes) Add(o Changes) {
	if len(o.Devices) > 0 {
		c.Devices = append(c.Devices, o.Devices...)
		slices.Sort(c.Devices)
		c.Devices = slices.Compact(c.Devices)
	}
	if len(o.Units) > 0 {
		c.Units = append(c.Units, o.Units...)
		slices.SortFunc(c.Units, UnitKey.Compare)
		c.Units = slices.Compact(c.Units)
	}
}

func (c Changes) sorted() Changes {
	slices.SortFunc(c.Units, UnitKey.Compare)
	return c
}

// NewTree returns an empty tree whose devices and units are numbered by x.
func NewTree(x *Indexes) *Tree {
	return &Tree{
		indexes:  x,
		observed: map[string]Observed{},
		devices:  map[string]*Device{},
		units:    map[UnitKey]*Unit{},
		specs:    map[UnitKey]UnitSpec{},
		children: map[UnitKey]map[UnitKey]struct{}{},
		byIndex:  map[Index]UnitKey{},
	}
}

// SetDevice adds a device or changes its spec. It fails, changing nothing, for
// a name that a unit bears already.
func (t *Tree) SetDevice(s DeviceSpec) (Changes, error) {
	if i := t.indexes.Lookup(s.Name); i != 0 {
		if u, taken := t.byIndex[i]; taken {
			return Changes{}, fmt.Errorf("interface %s: the name is taken by unit %s of %s: rename one of them", s.Name, u.ID, u.Device)
		}
	}
	var c Changes
	t.deriveDevice(s.Name, &s, &c)
	return c.sorted(), nil
}

// DeleteDevice removes a device's spec; what was observed of it is remembered.
// Deleting what is absent changes nothing.
func (t *Tree) DeleteDevice(name string) Changes {
	var c Changes
	t.deriveDevice(name, nil, &c)
	return c.sorted()
}

// Observe tells what was seen of a device, configured or not.
func (t *Tree) Observe(name string, o Observed) Changes {
	var c Changes
	if t.observed[name] == o {
		return c
	}
	if o == (Observed{}) {
		delete(t.observed, name)
	} else {
		t.observed[name] = o
	}
	if d := t.devices[name]; d != nil {
		t.deriveDevice(name, &d.Spec, &c)
	}
	return c.sorted()
}

// SetUnit adds a unit or changes its spec. It fails, changing nothing, for a
// name that a device bears already.
func (t *Tree) SetUnit(s UnitSpec) (Changes, error) {
	if name := s.Key.Name(); t.devices[name] != nil {
		return Changes{}, fmt.Errorf("interface %s unit %s: the name %s is taken by a device: rename one of them", s.Key.Device, s.Key.ID, name)
	}
	var c Changes
	parent := parentOf(s.Key)
	if t.children[parent] == nil {
		t.children[parent] = map[UnitKey]struct{}{}
	}
	t.children[parent][s.Key] = struct{}{}
	t.specs[s.Key] = s
	t.deriveUnit(s.Key, &c)
	return c.sorted(), nil
}

// DeleteUnit removes a unit; its children stay, without a parent. Deleting what
// is absent changes nothing.
func (t *Tree) DeleteUnit(key UnitKey) Changes {
	var c Changes
	if _, ok := t.specs[key]; !ok {
		return c
	}
	parent := parentOf(key)
	delete(t.children[parent], key)
	if len(t.children[parent]) == 0 {
		delete(t.children, parent)
	}
	delete(t.specs, key)
	t.deriveUnit(key, &c)
	return c.sorted()
}

// Device is the device called name, nil when it is not configured.
func (t *Tree) Device(name string) *Device { return t.devices[name] }

// Unit is the unit with the given key, nil when it is not configured.
func (t *Tree) Unit(key UnitKey) *Unit { return t.units[key] }

// UnitByIndex is the unit that i names, nil when it is gone.
func (t *Tree) UnitByIndex(i Index) *Unit {
	key, ok := t.byIndex[i]
	if !ok {
		return nil
	}
	return t.units[key]
}

// Devices lists the names of the configured devices, sorted.
func (t *Tree) Devices() []string { return slices.Sorted(maps.Keys(t.devices)) }

// Units lists the keys of the units of a device, sorted.
func (t *Tree) Units(device string) []UnitKey {
	var keys []UnitKey
	t.below(UnitKey{Device: device}, func(k UnitKey) { keys = append(keys, k) })
	slices.SortFunc(keys, UnitKey.Compare)
	return keys
}

// below calls f for everything configured beneath key, parents first.
func (t *Tree) below(key UnitKey, f func(UnitKey)) {
	for k := range t.children[key] {
		f(k)
		t.below(k, f)
	}
}

// parentOf is what a unit is a child of: "100" for "100.1"; for "100" the
// device, as a key with an empty ID.
func parentOf(k UnitKey) UnitKey {
	dot := strings.LastIndexByte(k.ID, '.')
	return UnitKey{Device: k.Device, ID: k.ID[:max(dot, 0)]}
}
