package intf

import "fmt"

// deriveDevice makes name's Device from spec (nil: there is none any more), and
// derives everything beneath it anew if something changed.
func (t *Tree) deriveDevice(name string, spec *DeviceSpec, c *Changes) {
	old := t.devices[name]
	if spec == nil {
		if old == nil {
			return
		}
		delete(t.devices, name)
	} else {
		d := t.device(*spec)
		if old != nil && *old == *d {
			return
		}
		t.devices[name] = d
	}
	c.Devices = append(c.Devices, name)
	t.deriveChildren(UnitKey{Device: name}, c)
}

// device derives a device from its spec and what was observed.
func (t *Tree) device(spec DeviceSpec) *Device {
	d := &Device{Spec: spec, Observed: t.observed[spec.Name], MAC: spec.MAC, MRU: spec.MRU}
	d.Index, _ = t.indexes.Get(spec.Name)
	o := &d.Observed
	if spec.Type == Loopback {
		// Nothing of it can be seen, nor go away.
		d.Observed, d.MAC = Observed{}, MAC{}
		if !spec.Enabled {
			d.Down = AdminDown
			d.Reason = d.Down.String()
		}
		return d
	}
	if d.MAC.IsZero() {
		d.MAC = o.MAC
	}
	if o.Present && o.LinkMTU != 0 && uint32(o.LinkMTU)+MTUReserve < uint32(d.MRU) {
		d.MRU = o.LinkMTU + MTUReserve
	}
	if !spec.Enabled {
		d.Down |= AdminDown
	}
	switch {
	case !o.Present:
		d.Down |= Absent
	case !o.Up:
		d.Down |= LinkDown
	}
	if d.Down == 0 {
		return d
	}
	d.Reason = d.Down.String()
	if o.Reason != "" && d.Down&(Absent|LinkDown) != 0 {
		d.Reason += ": " + o.Reason
	}
	return d
}

// deriveUnit makes key's Unit from its spec and its parent, and derives its
// children anew if something changed.
func (t *Tree) deriveUnit(key UnitKey, c *Changes) {
	old := t.units[key]
	spec, ok := t.specs[key]
	if ok {
		u := t.unit(spec)
		if old != nil && old.equal(u) {
			return
		}
		t.units[key] = u
		t.byIndex[u.Index] = key
	} else {
		if old == nil {
			return
		}
		delete(t.units, key)
		delete(t.byIndex, old.Index)
	}
	c.Units = append(c.Units, key)
	// What a child takes from its parent is not in the families or the
	// description: a change of an address stays with its unit.
	if now := t.units[key]; old != nil && now != nil && old.sameForChildren(now) {
		return
	}
	t.deriveChildren(key, c)
}

func (t *Tree) deriveChildren(parent UnitKey, c *Changes) {
	for k := range t.children[parent] {
		t.deriveUnit(k, c)
	}
}

// unit derives a unit from its spec and its parent.
func (t *Tree) unit(spec UnitSpec) *Unit {
	u := &Unit{Spec: spec, Name: spec.Key.Name()}
	u.Index, _ = t.indexes.Get(u.Name)

	// From here on the parent, of either kind, is what it passes on.
	var (
		down   = NoParent
		reason string
		header []byte
		stack  VLAN
	)
	parent := parentOf(spec.Key)
	if parent.ID == "" {
		reason = fmt.Sprintf("device %s is not configured", parent.Device)
		if d := t.devices[parent.Device]; d != nil {
			u.Parent, u.DeviceIndex, u.MAC, u.MRU = d.Index, d.Index, d.MAC, d.MRU
			u.Loopback = d.Spec.Type == Loopback
			down, reason, header = d.Down.inherited(), d.Reason, d.MAC[:]
		}
	} else {
		reason = fmt.Sprintf("unit %s of %s is not configured", parent.ID, parent.Device)
		if p := t.units[parent]; p != nil {
			u.Parent, u.DeviceIndex, u.MAC, u.MRU, u.Loopback = p.Index, p.DeviceIndex, p.MAC, p.MRU, p.Loopback
			down, reason, header, stack = p.Down.inherited(), p.Reason, p.header[:p.length], p.Stack
		}
	}
	u.Down = down
	if down&^NoParent != 0 {
		u.Reason = parentName(parent) + ": " + reason
	} else {
		u.Reason = reason
	}
	if !u.push(header, stack, spec.VLAN) {
		u.Down |= BadTags
		u.Reason = "at most two tags, the inner one with an outer one, parents' tags counted"
	}
	if !spec.Enabled {
		u.Down |= AdminDown
		u.Reason = "disabled"
	}
	for _, f := range spec.Families {
		if int(f.Family) < len(u.families) {
			u.families[f.Family] = u.family(f)
		}
	}
	return u
}

// family derives a family of u from its spec.
func (u *Unit) family(spec FamilySpec) UnitFamily {
	if spec.Instance == "" {
		spec.Instance = "default"
	}
	f := UnitFamily{Spec: spec, Down: u.Down.inherited(), Reason: u.Reason}
	if f.Down != 0 {
		f.Reason = "unit " + u.Name + ": " + u.Reason
	}
	if !spec.Enabled {
		f.Down |= AdminDown
		f.Reason = "disabled"
	}
	if u.DeviceIndex == 0 {
		// There is no MRU to hold the MTU against yet.
		f.MTU = spec.MTU
		return f
	}
	room := max(int(u.MRU)-u.Overhead(), 0)
	f.MTU = spec.MTU
	if f.MTU == 0 {
		f.MTU = uint16(max(int(u.MRU)-max(MTUReserve, u.Overhead()), 0))
	}
	if int(f.MTU) > room {
		f.Down |= MRUTooSmall
		f.Reason = fmt.Sprintf("mtu %d and %d octets of L2 header exceed the mru of %d: lower the mtu or raise the mru", f.MTU, u.Overhead(), u.MRU)
	}
	if least := minMTU(spec.Family); f.MTU < least {
		f.Down |= MTUTooSmall
		f.Reason = fmt.Sprintf("mtu %d is less than the %d that %v needs: raise the mru or the mtu", f.MTU, least, spec.Family)
	}
	return f
}

// minMTU is the least MTU that a link of the family must have.
func minMTU(f Family) uint16 {
	switch f {
	case Inet:
		return MinMTU4
	case Inet6:
		return MinMTU6
	}
	return 0
}

func parentName(k UnitKey) string {
	if k.ID == "" {
		return "device " + k.Device
	}
	return "unit " + k.Name()
}

// equal reports whether nothing at all differs.
func (u *Unit) equal(o *Unit) bool {
	if !u.Spec.Equal(o.Spec) || !u.sameForChildren(o) || u.Parent != o.Parent {
		return false
	}
	for i := range u.families {
		a, b := &u.families[i], &o.families[i]
		if a.MTU != b.MTU || a.Down != b.Down || a.Reason != b.Reason {
			return false
		}
	}
	return true
}

// sameForChildren reports whether children derive the same from u and o.
func (u *Unit) sameForChildren(o *Unit) bool {
	return u.Index == o.Index && u.DeviceIndex == o.DeviceIndex && u.Stack == o.Stack &&
		u.Loopback == o.Loopback && u.MAC == o.MAC && u.MRU == o.MRU && u.Down == o.Down && u.Reason == o.Reason &&
		u.header == o.header && u.length == o.length
}
