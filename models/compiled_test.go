package models

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
	"router/intf"
)

func TestUpdateChangesNothingUntilCommit(t *testing.T) {
	w := world{load(t, []byte(base))}
	c, errs := Compile(w.Device)
	if errs != nil {
		t.Fatal(errs)
	}
	before := snapshot(c)
	w.inet("0").GetOrCreateAddress("192.0.2.77/24")
	touched := []Object{{Kind: Unit, Device: "ge0", Unit: "0"}}
	change, errs := c.Update(w.Device, touched)
	if errs != nil {
		t.Fatal(errs)
	}
	sameIntent(t, "after Update", snapshot(c), before)
	if len(change.Units) != 1 || change.Len() != 1 || change.Units[0].Key != (intf.UnitKey{Device: "ge0", ID: "0"}) ||
		len(change.Units[0].Old.Families[0].Addresses) != 1 || len(change.Units[0].New.Families[0].Addresses) != 2 {
		t.Errorf("change is %+v", change)
	}
	if err := c.Commit(change); err != nil {
		t.Fatal(err)
	}
	if got := len(c.Intent().Units[intf.UnitKey{Device: "ge0", ID: "0"}].Families[0].Addresses); got != 2 {
		t.Errorf("%d addresses after Commit, want 2", got)
	}
	if err := c.Commit(change); !errors.Is(err, errStale) {
		t.Errorf("second Commit of one change: %v", err)
	}
	again, errs := c.Update(w.Device, touched)
	if errs != nil || !again.Empty() {
		t.Errorf("nothing changed, and Update says %+v, %v", again, errs)
	}
	if err := c.Commit(c.Inverse(change)); err != nil {
		t.Fatal(err)
	}
	sameIntent(t, "after the inverse", snapshot(c), before)
}

func TestUpdateWithViolationsChangesNothing(t *testing.T) {
	w := world{load(t, []byte(base))}
	c, errs := Compile(w.Device)
	if errs != nil {
		t.Fatal(errs)
	}
	before := snapshot(c)
	objects := AllObjects(w.Device)
	w.DeleteInstance("red")
	w.inet("0").Config.Mtu = ygot.Uint16(9000)
	w.vlan("101", 100, 0)
	change, errs := c.Update(w.Device, append(objects, AllObjects(w.Device)...))
	rules := rulesOf(errs)
	for _, r := range []string{ruleFamilyInstance, ruleFamilyMTU, ruleUnitVLAN, ruleNexthopInstance} {
		if !rules[r] {
			t.Errorf("%s is not reported with the others: %v", r, errs)
		}
	}
	if !change.Empty() {
		t.Errorf("a change comes with the violations: %+v", change)
	}
	sameIntent(t, "afterwards", snapshot(c), before)
}

// snapshot copies the intent of c and its indexes, as text where maps are.
func snapshot(c *Compiled) Intent {
	i := *c.Intent()
	i.Devices, i.Units, i.Instances, i.Static = maps.Clone(i.Devices), maps.Clone(i.Units), maps.Clone(i.Instances), maps.Clone(i.Static)
	i.Classes, i.Sessions = maps.Clone(i.Classes), maps.Clone(i.Sessions)
	return i
}

func sameIntent(t *testing.T, when string, got, want Intent) {
	t.Helper()
	if got.System != want.System || got.GRIBI != want.GRIBI || !maps.Equal(got.Devices, want.Devices) || !maps.Equal(got.Instances, want.Instances) ||
		!maps.Equal(got.Classes, want.Classes) || !maps.Equal(got.Sessions, want.Sessions) ||
		!maps.EqualFunc(got.Static, want.Static, StaticSpec.Equal) || !maps.EqualFunc(got.Units, want.Units, intf.UnitSpec.Equal) {
		t.Errorf("%s, the intent is\n%+v\nwant\n%+v", when, got, want)
	}
}

// sameIndexes compares the indexes of a compiled intent with those that it
// would have if it were compiled from nothing.
func sameIndexes(t *testing.T, got, want indexes) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("the indexes are\n%s\nwant\n%s", g, w)
	}
}

// A random walk through a small universe, in which rules are broken all the
// time: the change says what the whole would say.
func TestIncrementalAgreesWithFull(t *testing.T) {
	steps := 6000
	if testing.Short() {
		steps = 1000
	}
	r := rand.New(rand.NewPCG(1, 2))
	dev := load(t, []byte(base))
	compiled, errs := Compile(dev)
	if errs != nil {
		t.Fatal(errs)
	}
	accepted, refused := 0, 0
	for step := range steps {
		copied, err := ygot.DeepCopy(dev)
		if err != nil {
			t.Fatal(err)
		}
		next := copied.(*gen.Device)
		var touched []Object
		for range 1 + r.IntN(3) {
			touched = append(touched, mutate(r, world{next})...)
		}
		change, incremental := compiled.Update(next, touched)
		whole, full := Compile(next)
		if (incremental == nil) != (full == nil) {
			t.Fatalf("step %d, touched %v:\nas a change %v\nas a whole %v\n%s", step, touched, incremental, full, emit(t, next))
		}
		known := map[string]bool{}
		for _, e := range full {
			known[e.Path+e.Rule] = true
		}
		for _, e := range incremental {
			if !known[e.Path+e.Rule] {
				t.Fatalf("step %d, touched %v: %v is found in the change only", step, touched, e)
			}
		}
		if full != nil {
			refused++
			continue
		}
		accepted++
		if err := compiled.Commit(change); err != nil {
			t.Fatal(err)
		}
		dev = next
		sameIntent(t, fmt.Sprintf("step %d", step), compiled.intent, whole.intent)
		sameIndexes(t, compiled.index, whole.index)
		if t.Failed() {
			t.FailNow()
		}
	}
	if accepted < steps/10 || refused < steps/10 {
		t.Errorf("%d accepted, %d refused: the walk tests little", accepted, refused)
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// mutate changes one thing and returns the objects that it touched.
func mutate(r *rand.Rand, w world) []Object {
	device := pick(r, "ge0", "ge1")
	id := pick(r, "0", "1", "100", "100.1", "100.2", "100.1.1", "200")
	instance := pick(r, "default", "red", "blue")
	prefix := pick(r, "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.1.0/24", "2001:db8::/32")
	unit := Object{Kind: Unit, Device: device, Unit: id}
	static := Object{Kind: Static, Instance: instance, Prefix: prefix}

	switch r.IntN(18) {
	case 16:
		name := pick(r, "x", "y", "ssh", "bgp")
		if r.IntN(3) == 0 {
			w.DeleteSession(name)
		} else {
			c := w.GetOrCreateSession(name).GetOrCreateConfig()
			c.Protocol, c.LocalPort = ygot.String(pick(r, "tcp", "udp")), ygot.Uint16(pick[uint16](r, 22, 179, 830))
			c.Class = ygot.String(pick(r, "default", "gold"))
			c.Instance, c.Interface = nil, nil
			if r.IntN(3) == 0 {
				c.Instance, c.Interface = ygot.String(instance), ygot.String(device+"."+id)
			}
		}
		return []Object{{Kind: Session, Name: name}}
	case 17:
		name := pick(r, "gold", "bgp")
		if w.LocalClass[name] != nil && r.IntN(2) == 0 {
			w.DeleteLocalClass(name)
		} else {
			w.GetOrCreateLocalClass(name).GetOrCreateConfig().Rate = ygot.Uint32(uint32(1 + r.IntN(9)))
		}
		return []Object{{Kind: Class, Name: name}}
	case 0: // a device with all its units
		touched := []Object{{Kind: Device, Device: device}}
		for id := range w.GetOrCreateInterface(device).Unit {
			touched = append(touched, Object{Kind: Unit, Device: device, Unit: id})
		}
		w.DeleteInterface(device)
		return touched
	case 1:
		w.GetOrCreateInterface(device).GetOrCreateConfig().Mru = ygot.Uint16(pick[uint16](r, 1290, 1500, 1518, 1522))
		return []Object{{Kind: Device, Device: device}}
	case 2, 3:
		u := w.GetOrCreateInterface(device).GetOrCreateUnit(id)
		c := u.GetOrCreateVlan().GetOrCreateConfig()
		c.OuterVlanId, c.InnerVlanId = nil, nil
		if r.IntN(4) > 0 {
			c.OuterVlanId = ygot.Uint16(pick[uint16](r, 1, 2, 100))
		}
		if r.IntN(4) == 0 {
			c.InnerVlanId = ygot.Uint16(pick[uint16](r, 1, 2))
		}
		return []Object{{Kind: Device, Device: device}, unit}
	case 4:
		delete(w.GetOrCreateInterface(device).Unit, id)
		return []Object{{Kind: Device, Device: device}, unit}
	case 5, 6:
		f := w.GetOrCreateInterface(device).GetOrCreateUnit(id).GetOrCreateFamily(gen.Routerd_FamilyType_inet)
		address := pick(r, "10.0.0.1/24", "10.0.0.2/24", "10.0.1.1/24", "10.0.0.1/8")
		if f.GetAddress(address) != nil {
			f.DeleteAddress(address)
		} else {
			f.GetOrCreateAddress(address)
		}
		f.GetOrCreateConfig().Instance = ygot.String(instance)
		return []Object{{Kind: Device, Device: device}, unit}
	case 7:
		w.GetOrCreateInstance(instance).GetOrCreateConfig().HostNamespace = ygot.String(pick(r, "red", "blue", "green"))
		return []Object{{Kind: Instance, Instance: instance}}
	case 8: // an instance with all its routes
		touched := []Object{{Kind: Instance, Instance: instance}}
		for prefix := range w.GetOrCreateInstance(instance).StaticRoute {
			touched = append(touched, Object{Kind: Static, Instance: instance, Prefix: prefix})
		}
		w.DeleteInstance(instance)
		return touched
	case 9, 10, 11:
		i := w.GetOrCreateInstance(instance)
		delete(i.StaticRoute, prefix)
		if r.IntN(2) == 0 {
			i.GetOrCreateStaticRoute(prefix).GetOrCreateConfig().Action = gen.Routerd_RouteAction_discard
		}
	default:
		i := w.GetOrCreateInstance(instance)
		delete(i.StaticRoute, prefix)
		c := i.GetOrCreateStaticRoute(prefix).GetOrCreateNextHop(0).GetOrCreateConfig()
		switch r.IntN(5) {
		default:
			c.Instance = ygot.String(pick(r, "default", "red", "blue"))
		case 1:
			c.Gateway = ygot.String(pick(r, "10.0.0.1", "10.0.0.9", "192.0.2.2", "2001:db8::2"))
		case 2:
			c.Interface = ygot.String(device + "." + id)
		}
		if r.IntN(3) == 0 {
			c := i.GetOrCreateStaticRoute(prefix).GetOrCreateNextHop(1).GetOrCreateConfig()
			c.Gateway, c.Backup = ygot.String(pick(r, "10.0.0.1", "10.0.0.9")), ygot.Bool(r.IntN(2) == 0)
			c.Weight = ygot.Uint8(uint8(1 + r.IntN(2)))
			if r.IntN(2) == 0 {
				c.Interface = ygot.String(device + "." + id)
			}
		}
	}
	return []Object{{Kind: Instance, Instance: instance}, static}
}

// What an update costs doesn't depend on how much else there is.
func TestCostFollowsTheChange(t *testing.T) {
	cost := func(units, routes int) float64 {
		dev := large(units, routes)
		c, errs := Compile(dev)
		if errs != nil {
			t.Fatal(errs[0])
		}
		family := dev.GetInterface("ge7").GetUnit("7").GetFamily(gen.Routerd_FamilyType_inet)
		touched := []Object{{Kind: Device, Device: "ge7"}, {Kind: Unit, Device: "ge7", Unit: "7"}}
		n := 0
		return testing.AllocsPerRun(50, func() {
			n++
			clear(family.Address)
			family.GetOrCreateAddress(fmt.Sprintf("10.200.0.%d/24", n%2+1))
			change, errs := c.Update(dev, touched)
			if errs != nil {
				t.Fatal(errs[0])
			}
			if err := c.Commit(change); err != nil {
				t.Fatal(err)
			}
		})
	}
	small, large := cost(10, 100), cost(1000, 10_000)
	if large > 1.2*small {
		t.Errorf("an update allocates %v times among 1,000 units, and %v times among 10", large, small)
	}
}
