package intf

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var (
	macA = MAC{2, 0, 0, 0, 0, 0xa}
	macB = MAC{2, 0, 0, 0, 0, 0xb}
	macC = MAC{2, 0, 0, 0, 0, 0xc}
)

func device(name string) DeviceSpec {
	return DeviceSpec{Name: name, Enabled: true, MRU: 1518}
}

func unit(device, id string, v VLAN, families ...FamilySpec) UnitSpec {
	return UnitSpec{Key: UnitKey{device, id}, Enabled: true, VLAN: v, Families: families}
}

func family(f Family) FamilySpec { return FamilySpec{Family: f, Enabled: true, Instance: "default"} }

var seen = Observed{Present: true, Up: true, MAC: macA, LinkMTU: 1500}

// build sets everything, and fails the test where that fails.
func build(t testing.TB, devices []DeviceSpec, o Observed, units ...UnitSpec) *Tree {
	t.Helper()
	x, err := NewIndexes(nil)
	if err != nil {
		t.Fatal(err)
	}
	tree := NewTree(x)
	for _, d := range devices {
		tree.Observe(d.Name, o)
		if _, err := tree.SetDevice(d); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range units {
		if _, err := tree.SetUnit(u); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestHeaderIsThatOfTheParentsAndOneOwnPart(t *testing.T) {
	q := func(tpid, id uint16) VLAN { return VLAN{OuterTPID: tpid, OuterID: id} }
	two := VLAN{0x88a8, 7, 0x8100, 8}
	tree := build(t, []DeviceSpec{device("ge0")}, seen,
		unit("ge0", "0", VLAN{}), unit("ge0", "100", q(0x8100, 100)), unit("ge0", "200", q(0x88a8, 200)),
		unit("ge0", "200.1", q(0x8100, 1)), unit("ge0", "200.1.0", VLAN{}), unit("ge0", "7", two))
	for _, tt := range []struct {
		id     string
		header string
		stack  VLAN
		parent string
	}{
		{"0", "02000000000b 02000000000a 0800", VLAN{}, "ge0"},
		{"100", "02000000000b 02000000000a 81000064 0800", q(0x8100, 100), "ge0"},
		{"200", "02000000000b 02000000000a 88a800c8 0800", q(0x88a8, 200), "ge0"},
		{"200.1", "02000000000b 02000000000a 88a800c8 81000001 0800", VLAN{0x88a8, 200, 0x8100, 1}, "ge0.200"},
		{"200.1.0", "02000000000b 02000000000a 88a800c8 81000001 0800", VLAN{0x88a8, 200, 0x8100, 1}, "ge0.200.1"},
		{"7", "02000000000b 02000000000a 88a80007 81000008 0800", two, "ge0"},
	} {
		u := tree.Unit(UnitKey{"ge0", tt.id})
		want := strings.ReplaceAll(tt.header, " ", "")
		if got := fmt.Sprintf("%x", u.AppendHeader(nil, macB, 0x0800)); got != want {
			t.Errorf("unit %s: header %s, want %s", tt.id, got, want)
		}
		if u.Overhead() != len(want)/2 {
			t.Errorf("unit %s: overhead %d, want %d", tt.id, u.Overhead(), len(want)/2)
		}
		if u.Stack != tt.stack || u.DemuxKey() != (DemuxKey{tree.Device("ge0").Index, tt.stack}) {
			t.Errorf("unit %s: stack %v, key %v, want %v", tt.id, u.Stack, u.DemuxKey(), tt.stack)
		}
		if parent := tree.indexes.Name(u.Parent); parent != tt.parent || u.Name != "ge0."+tt.id {
			t.Errorf("unit %s: %s, child of %s, want %s", tt.id, u.Name, parent, tt.parent)
		}
		if !u.Up() || u.Reason != "" {
			t.Errorf("unit %s: %v %s, want up", tt.id, u.Down, u.Reason)
		}
	}
	prefix := []byte{1, 2, 3}
	if got := tree.Unit(UnitKey{"ge0", "0"}).AppendHeader(prefix, macB, 0x86dd); !bytes.HasPrefix(got, prefix) || len(got) != 17 {
		t.Errorf("appended header: % x", got)
	}
}

func TestDownFlagsAreCollectedFromParents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Tree)
		device Down
		outer  Down // unit 5
		inner  Down // unit 5.6
		inet   Down // of 5.6
		status OperStatus
		reason string // part of the family's
	}{
		{"everything up", func(*Tree) {}, 0, 0, 0, 0, OperUp, ""},
		{"device disabled", func(t *Tree) {
			d := device("ge0")
			d.Enabled = false
			t.SetDevice(d)
		}, AdminDown, ParentDown, ParentDown, ParentDown, OperDown, "device ge0: disabled"},
		{"no carrier", func(t *Tree) {
			t.Observe("ge0", Observed{Present: true, MAC: macA, LinkMTU: 1500, Reason: "no cable"})
		}, LinkDown, LinkDown, LinkDown, LinkDown, OperDown, "link down: no cable"},
		{"device absent", func(t *Tree) { t.Observe("ge0", Observed{}) },
			Absent, Absent, Absent, Absent, OperPending, "device absent"},
		{"device absent and disabled", func(t *Tree) {
			d := device("ge0")
			d.Enabled = false
			t.SetDevice(d)
			t.Observe("ge0", Observed{Reason: "pulled"})
		}, AdminDown | Absent, ParentDown | Absent, ParentDown | Absent, ParentDown | Absent, OperPending, "disabled, device absent: pulled"},
		{"device not configured", func(t *Tree) { t.DeleteDevice("ge0") },
			0, NoParent, NoParent, NoParent, OperPending, "device ge0 is not configured"},
		{"parent unit disabled", func(t *Tree) {
			u := unit("ge0", "5", VLAN{OuterTPID: 0x8100, OuterID: 5})
			u.Enabled = false
			t.SetUnit(u)
		}, 0, AdminDown, ParentDown, ParentDown, OperDown, "unit ge0.5: disabled"},
		{"parent unit gone", func(t *Tree) { t.DeleteUnit(UnitKey{"ge0", "5"}) },
			0, 0, NoParent, NoParent, OperPending, "unit 5 of ge0 is not configured"},
		{"unit disabled", func(t *Tree) {
			u := unit("ge0", "5.6", VLAN{OuterTPID: 0x8100, OuterID: 6}, family(Inet))
			u.Enabled = false
			t.SetUnit(u)
		}, 0, 0, AdminDown, ParentDown, OperDown, "unit ge0.5.6: disabled"},
		{"family disabled", func(t *Tree) {
			f := family(Inet)
			f.Enabled = false
			t.SetUnit(unit("ge0", "5.6", VLAN{OuterTPID: 0x8100, OuterID: 6}, f))
		}, 0, 0, 0, AdminDown, OperDown, "disabled"},
		{"a third tag", func(t *Tree) {
			t.SetUnit(unit("ge0", "5", VLAN{0x88a8, 5, 0x8100, 4}))
		}, 0, 0, BadTags, BadTags, OperDown, "at most two tags"},
		{"an inner tag alone", func(t *Tree) {
			t.SetUnit(unit("ge0", "5", VLAN{InnerTPID: 0x8100, InnerID: 4}))
		}, 0, BadTags, BadTags, BadTags, OperDown, "inner one with an outer one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := build(t, []DeviceSpec{device("ge0")}, seen,
				unit("ge0", "5", VLAN{OuterTPID: 0x8100, OuterID: 5}),
				unit("ge0", "5.6", VLAN{OuterTPID: 0x8100, OuterID: 6}, family(Inet)))
			tt.change(tree)
			if d := tree.Device("ge0"); d != nil && d.Down != tt.device {
				t.Errorf("device: %v, want %v", d.Down, tt.device)
			}
			if u := tree.Unit(UnitKey{"ge0", "5"}); u != nil && u.Down != tt.outer {
				t.Errorf("unit 5: %v, want %v", u.Down, tt.outer)
			}
			u := tree.Unit(UnitKey{"ge0", "5.6"})
			f := u.Family(Inet)
			if u.Down != tt.inner || f.Down != tt.inet {
				t.Errorf("unit 5.6: %v, inet %v, want %v and %v", u.Down, f.Down, tt.inner, tt.inet)
			}
			if f.Down.Status() != tt.status || f.Up() != (tt.status == OperUp) {
				t.Errorf("inet: %v, want %v", f.Down.Status(), tt.status)
			}
			if !strings.Contains(f.Reason, tt.reason) || (f.Reason == "") != (f.Down == 0) {
				t.Errorf("inet: reason %q, want %q", f.Reason, tt.reason)
			}
			if u.Family(Inet6) != nil {
				t.Error("inet6 is not configured, but there")
			}
		})
	}
}

func TestMTUFitsTheMRU(t *testing.T) {
	one := VLAN{OuterTPID: 0x8100, OuterID: 1}
	two := VLAN{0x88a8, 1, 0x8100, 2}
	for _, tt := range []struct {
		name      string
		mru, link uint16
		vlan      VLAN
		family    Family
		mtu       uint16
		want      uint16
		down      Down
	}{
		{"untagged default", 1518, 1500, VLAN{}, Inet, 0, 1500, 0},
		{"one tag, the same default", 1518, 1500, one, Inet, 0, 1500, 0},
		{"two tags", 1518, 1500, two, Inet6, 0, 1496, 0},
		{"untagged, all that fits", 1518, 1500, VLAN{}, Inet, 1504, 1504, 0},
		{"untagged, one octet more", 1518, 1500, VLAN{}, Inet, 1505, 1505, MRUTooSmall},
		{"two tags, all that fits", 1518, 1500, two, Inet, 1496, 1496, 0},
		{"two tags, one octet more", 1518, 1500, two, Inet, 1497, 1497, MRUTooSmall},
		{"link takes less", 1518, 1400, VLAN{}, Inet, 0, 1400, 0},
		{"link takes less than configured", 1518, 1400, VLAN{}, Inet, 1500, 1500, MRUTooSmall},
		{"link takes more", 1518, 9000, VLAN{}, Inet, 0, 1500, 0},
		{"ipv6 minimum", 1298, 1280, VLAN{}, Inet6, 0, 1280, 0},
		{"below the ipv6 minimum", 1297, 1500, VLAN{}, Inet6, 0, 1279, MTUTooSmall},
		{"ipv4 minimum", 86, 1500, VLAN{}, Inet, 0, 68, 0},
		{"below the ipv4 minimum", 86, 1500, two, Inet, 0, 64, MTUTooSmall},
		{"an mru of nothing", 10, 1500, two, Inet, 0, 0, MTUTooSmall},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := device("ge0")
			d.MRU = tt.mru
			f := family(tt.family)
			f.MTU = tt.mtu
			o := seen
			o.LinkMTU = tt.link
			tree := build(t, []DeviceSpec{d}, o, unit("ge0", "0", tt.vlan, f))
			got := tree.Unit(UnitKey{"ge0", "0"}).Family(tt.family)
			if got.MTU != tt.want || got.Down != tt.down {
				t.Errorf("mtu %d, %v (%s), want %d, %v", got.MTU, got.Down, got.Reason, tt.want, tt.down)
			}
		})
	}
}

func TestChangesNameWhatChanged(t *testing.T) {
	one := VLAN{OuterTPID: 0x8100, OuterID: 1}
	tree := build(t, []DeviceSpec{device("ge0"), device("ge1")}, seen,
		unit("ge0", "1", one, family(Inet)), unit("ge0", "1.2", one, family(Inet)), unit("ge0", "10", VLAN{}), unit("ge1", "0", VLAN{}))
	ge0 := func(ids ...string) (keys []UnitKey) {
		for _, id := range ids {
			keys = append(keys, UnitKey{"ge0", id})
		}
		return keys
	}
	must := func(c Changes, err error) Changes {
		if err != nil {
			t.Error(err)
		}
		return c
	}
	renamed := unit("ge0", "1", one, family(Inet))
	renamed.Description = "uplink"
	disabled := renamed
	disabled.Enabled = false
	mac := device("ge0")
	mac.MAC = macC
	noted := mac
	noted.Description = "to the lab"
	for _, tt := range []struct {
		name string
		do   func() Changes
		want Changes
	}{
		{"the same device again", func() Changes { return must(tree.SetDevice(device("ge0"))) }, Changes{}},
		{"the same unit again", func() Changes { return must(tree.SetUnit(unit("ge0", "1", one, family(Inet)))) }, Changes{}},
		{"the same observation again", func() Changes { return tree.Observe("ge0", seen) }, Changes{}},
		{"a description stays with its unit", func() Changes { return must(tree.SetUnit(renamed)) }, Changes{Units: ge0("1")}},
		{"a switch reaches the children", func() Changes { return must(tree.SetUnit(disabled)) }, Changes{Units: ge0("1", "1.2")}},
		{"and back", func() Changes { return must(tree.SetUnit(renamed)) }, Changes{Units: ge0("1", "1.2")}},
		{"an address of the device reaches all its units", func() Changes { return must(tree.SetDevice(mac)) },
			Changes{Devices: []string{"ge0"}, Units: ge0("1", "1.2", "10")}},
		{"a description of the device stays with it", func() Changes { return must(tree.SetDevice(noted)) }, Changes{Devices: []string{"ge0"}}},
		{"carrier lost", func() Changes { o := seen; o.Up = false; return tree.Observe("ge0", o) },
			Changes{Devices: []string{"ge0"}, Units: ge0("1", "1.2", "10")}},
		{"an unknown device observed", func() Changes { return tree.Observe("ge9", seen) }, Changes{}},
		{"a leaf unit deleted", func() Changes { return tree.DeleteUnit(UnitKey{"ge0", "10"}) }, Changes{Units: ge0("10")}},
		{"and again", func() Changes { return tree.DeleteUnit(UnitKey{"ge0", "10"}) }, Changes{}},
		{"the device deleted", func() Changes { return tree.DeleteDevice("ge0") },
			Changes{Devices: []string{"ge0"}, Units: ge0("1", "1.2")}},
		{"and again", func() Changes { return tree.DeleteDevice("ge0") }, Changes{}},
	} {
		if got := tt.do(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: changed %v, want %v", tt.name, got, tt.want)
		}
	}
	var c Changes
	c.Add(Changes{Devices: []string{"b"}, Units: ge0("2", "3")})
	c.Add(Changes{Devices: []string{"a", "b"}, Units: ge0("1", "3")})
	if want := (Changes{Devices: []string{"a", "b"}, Units: ge0("1", "2", "3")}); !reflect.DeepEqual(c, want) {
		t.Errorf("changes added up: %v, want %v", c, want)
	}
}

func TestDeviceAndUnitCannotShareAName(t *testing.T) {
	tree := build(t, []DeviceSpec{device("ge0"), device("ge1.5")}, seen, unit("ge0", "5", VLAN{}))
	if c, err := tree.SetDevice(device("ge0.5")); err == nil || !c.Empty() {
		t.Errorf("device ge0.5 beside unit 5 of ge0: %v, %v", c, err)
	}
	if c, err := tree.SetUnit(unit("ge1", "5", VLAN{})); err == nil || !c.Empty() {
		t.Errorf("unit 5 of ge1 beside device ge1.5: %v, %v", c, err)
	}
	tree.DeleteUnit(UnitKey{"ge0", "5"})
	if _, err := tree.SetDevice(device("ge0.5")); err != nil {
		t.Errorf("after the unit is gone: %v", err)
	}
}

// TestTreeIsAFunctionOfWhatItHolds changes a tree at random, and compares it
// with one built from the same specs in sorted order; what differs from before
// must be in the Changes, and nothing else.
func TestTreeIsAFunctionOfWhatItHolds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"ge0", "ge1"}
	ids := []string{"0", "1", "1.1", "1.2", "1.2.3", "4"}
	devices, observed, units := map[string]DeviceSpec{}, map[string]Observed{}, map[UnitKey]UnitSpec{}
	x, _ := NewIndexes(nil)
	tree := NewTree(x)
	type state struct {
		devices map[string]Device
		units   map[UnitKey]Unit
	}
	snapshot := func(tr *Tree) state {
		s := state{map[string]Device{}, map[UnitKey]Unit{}}
		for _, d := range tr.Devices() {
			s.devices[d] = *tr.Device(d)
		}
		for k, u := range tr.units {
			s.units[k] = *u
		}
		return s
	}
	flip := func() bool { return rnd.IntN(2) == 0 }
	for step := range 5000 {
		before := snapshot(tree)
		name := names[rnd.IntN(len(names))]
		key := UnitKey{name, ids[rnd.IntN(len(ids))]}
		var c Changes
		switch rnd.IntN(5) {
		case 0:
			d := DeviceSpec{Name: name, Enabled: flip(), MRU: []uint16{60, 1300, 1518}[rnd.IntN(3)]}
			devices[name] = d
			c, _ = tree.SetDevice(d)
		case 1:
			o := Observed{Present: flip(), Up: flip(), MAC: []MAC{macA, macB}[rnd.IntN(2)], LinkMTU: []uint16{0, 1280, 1500}[rnd.IntN(3)]}
			observed[name] = o
			c = tree.Observe(name, o)
		case 2:
			if flip() {
				delete(devices, name)
				c = tree.DeleteDevice(name)
			} else {
				delete(units, key)
				c = tree.DeleteUnit(key)
			}
		default:
			u := UnitSpec{Key: key, Enabled: rnd.IntN(4) > 0}
			if flip() {
				u.VLAN = VLAN{OuterTPID: 0x8100, OuterID: uint16(1 + rnd.IntN(3))}
			}
			for _, f := range Families {
				if flip() {
					u.Families = append(u.Families, FamilySpec{Family: f, Enabled: flip(), MTU: []uint16{0, 1280, 1500}[rnd.IntN(3)]})
				}
			}
			units[key] = u
			c, _ = tree.SetUnit(u)
		}

		again := NewTree(x)
		for _, k := range slices.SortedFunc(maps.Keys(units), UnitKey.Compare) {
			again.SetUnit(units[k])
		}
		for n, d := range devices {
			again.SetDevice(d)
			again.Observe(n, observed[n])
		}
		now := snapshot(tree)
		if want := snapshot(again); !reflect.DeepEqual(now, want) {
			t.Fatalf("step %d: the tree is\n%+v\nbuilt anew it is\n%+v", step, now, want)
		}
		for _, n := range names {
			a, had := before.devices[n]
			b, has := now.devices[n]
			if changed := had != has || a != b; changed != slices.Contains(c.Devices, n) {
				t.Fatalf("step %d: device %s changed %v, but changes are %v", step, n, changed, c)
			}
			for _, id := range ids {
				k := UnitKey{n, id}
				a, had := before.units[k]
				b, has := now.units[k]
				if changed := had != has || !reflect.DeepEqual(a, b); changed != slices.Contains(c.Units, k) {
					t.Fatalf("step %d: unit %v changed %v, but changes are %v", step, k, changed, c)
				}
			}
		}
		for k, u := range now.units {
			if tree.UnitByIndex(u.Index) != tree.Unit(k) {
				t.Fatalf("step %d: index %d does not lead to %v", step, u.Index, k)
			}
		}
	}
}

func TestUnitsListsThoseOfADevice(t *testing.T) {
	tree := build(t, []DeviceSpec{device("ge0")}, seen,
		unit("ge0", "2", VLAN{}), unit("ge0", "1.1", VLAN{}), unit("ge0", "1", VLAN{}), unit("ge1", "0", VLAN{}))
	want := []UnitKey{{"ge0", "1"}, {"ge0", "1.1"}, {"ge0", "2"}}
	if got := tree.Units("ge0"); !slices.Equal(got, want) {
		t.Errorf("units %v, want %v", got, want)
	}
	if tree.UnitByIndex(999) != nil {
		t.Error("an index of nothing leads somewhere")
	}
}

func tenThousand(b *testing.B) *Tree {
	var units []UnitSpec
	for i := range 10_000 {
		units = append(units, unit("ge0", fmt.Sprint(i), VLAN{0x88a8, uint16(i / 4000), 0x8100, uint16(i % 4000)}, family(Inet)))
	}
	return build(b, []DeviceSpec{device("ge0")}, seen, units...)
}

// BenchmarkSetUnit changes one of 10,000 units of a device.
func BenchmarkSetUnit(b *testing.B) {
	tree := tenThousand(b)
	i := 0
	for b.Loop() {
		i++
		f := family(Inet)
		f.MTU = 1000 + uint16(i%2)
		if c, err := tree.SetUnit(unit("ge0", "5000", VLAN{0x88a8, 1, 0x8100, 1}, f)); err != nil || len(c.Units) != 1 {
			b.Fatal(c, err)
		}
	}
}

// BenchmarkCarrier takes the carrier of a device with 10,000 units away and back.
func BenchmarkCarrier(b *testing.B) {
	tree := tenThousand(b)
	o := seen
	for b.Loop() {
		o.Up = !o.Up
		if c := tree.Observe("ge0", o); len(c.Units) != 10_000 {
			b.Fatal(len(c.Units))
		}
	}
}
