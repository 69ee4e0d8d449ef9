package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"router/intf"
	"router/models"
)

// A world is a target that is nothing but maps: what is noted, and what is
// published. Steps must come in an order that makes sense.
type world struct {
	objects map[string]any
	failAt  int // the Do, counted from 1, or the Publish behind the last one, that fails
	calls   int
	fail    error
}

func (w *world) parentOf(s Step) string {
	switch s.Kind {
	case Unit:
		return "interface " + s.Unit.Device
	case Family:
		return Step{Kind: Unit, Unit: s.Unit}.Object()
	case Address, Neighbor:
		return Step{Kind: Family, Unit: s.Unit, Family: s.Family}.Object()
	case StaticRoute, MulticastRoute:
		return "instance " + s.Instance
	case System, Instance, Device, LocalClass, Session, PrefixList, Policer, Filter, GRIBI, Role, User, LogServer:
	}
	return ""
}

func (w *world) count() error {
	w.calls++
	if w.calls == w.failAt {
		return w.fail
	}
	return nil
}

func (w *world) Do(_ context.Context, s Step) error {
	if err := w.count(); err != nil {
		return err
	}
	name := s.Object()
	if s.Op == Delete {
		delete(w.objects, name)
		return nil
	}
	if p := w.parentOf(s); p != "" && w.objects[p] == nil {
		return fmt.Errorf("%s before %s", s, p)
	}
	if f := s.New.Family; f != nil && w.objects["instance "+f.Instance] == nil {
		return fmt.Errorf("%s before its instance %s", s, f.Instance)
	}
	w.objects[name] = plain(s.New)
	return nil
}

func (w *world) Publish(context.Context) error { return w.count() }
func (w *world) Settle(context.Context) error  { return nil }
func (w *world) Failed(Step, error)            {}

// plain is the value behind the one pointer that is set.
func plain(s Spec) any {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			return v.Field(i).Elem().Interface()
		}
	}
	return nil
}

// flatten is what an intent amounts to, found without Plan.
func flatten(in models.Intent) map[string]any {
	m := map[string]any{"system": in.System, "gribi": in.GRIBI}
	for name, d := range in.Devices {
		m["interface "+name] = d
	}
	for name, i := range in.Instances {
		m["instance "+name] = i
	}
	for k, s := range in.Static {
		m[fmt.Sprintf("instance %s static-route %s", k.Instance, k.Prefix)] = s
	}
	for k, s := range in.Multicast {
		m[fmt.Sprintf("instance %s multicast-route %s %s", k.Instance, k.Group, k.SourceText())] = s
	}
	for k, u := range in.Units {
		unit := fmt.Sprintf("interface %s unit %s", k.Device, k.ID)
		families := u.Families
		u.Families = nil
		m[unit] = u
		for _, f := range families {
			family := fmt.Sprintf("%s family %s", unit, f.Family)
			for _, a := range f.Addresses {
				m[fmt.Sprintf("%s address %s", family, a.Prefix)] = a
			}
			for _, n := range f.Neighbors {
				m[fmt.Sprintf("%s neighbor %s", family, n.Address)] = n
			}
			f.Addresses, f.Neighbors = nil, nil
			m[family] = f
		}
	}
	return m
}

func randomIntent(r *rand.Rand) models.Intent {
	in := models.Intent{
		System: models.SystemSpec{Hostname: fmt.Sprint(r.IntN(2))}, GRIBI: models.GRIBISpec{Preference: uint8(r.IntN(2))}, Devices: map[string]intf.DeviceSpec{}, Units: map[intf.UnitKey]intf.UnitSpec{},
		Instances: map[string]models.InstanceSpec{"default": {Name: "default"}}, Static: map[models.StaticKey]models.StaticSpec{},
		Multicast: map[models.MulticastKey]models.MulticastSpec{},
	}
	if r.IntN(2) == 0 {
		in.Instances["red"] = models.InstanceSpec{Name: "red", HostNamespace: fmt.Sprint(r.IntN(2))}
	}
	names := slices.Sorted(maps.Keys(in.Instances))
	for _, name := range []string{"ge0", "ge1"} {
		if r.IntN(3) == 0 {
			continue
		}
		in.Devices[name] = intf.DeviceSpec{Name: name, Enabled: r.IntN(2) == 0, MRU: 1518}
		for id := range 3 {
			if r.IntN(2) == 0 {
				continue
			}
			k := intf.UnitKey{Device: name, ID: fmt.Sprint(id)}
			u := intf.UnitSpec{Key: k, Enabled: true, VLAN: intf.VLAN{OuterTPID: 0x8100, OuterID: uint16(1 + r.IntN(2))}}
			for _, f := range intf.Families {
				if r.IntN(2) == 0 {
					continue
				}
				fs := intf.FamilySpec{Family: f, Enabled: true, Instance: names[r.IntN(len(names))], MTU: uint16(1300 + r.IntN(2))}
				for i := range 3 {
					if r.IntN(2) == 0 {
						addr, bits := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 24
						if f == intf.Inet6 {
							addr, bits = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), 64
						}
						fs.Addresses = append(fs.Addresses, intf.AddressSpec{Prefix: netip.PrefixFrom(addr, bits), Primary: r.IntN(2) == 0})
						fs.Neighbors = append(fs.Neighbors, intf.NeighborSpec{Address: addr.Next(), MAC: intf.MAC{2, 5: byte(r.IntN(2))}})
					}
				}
				u.Families = append(u.Families, fs)
			}
			in.Units[k] = u
		}
	}
	for _, name := range names {
		for i := range 3 {
			if r.IntN(2) == 0 {
				k := models.StaticKey{Instance: name, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16)}
				in.Static[k] = models.StaticSpec{Key: k, Preference: uint8(r.IntN(2)), Action: models.Discard}
			}
			if r.IntN(2) == 0 {
				k := models.MulticastKey{Instance: name, Group: netip.PrefixFrom(netip.AddrFrom4([4]byte{239, 0, 0, byte(r.IntN(2))}), 32)}
				if i > 0 {
					k.Source = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16)
				}
				in.Multicast[k] = models.MulticastSpec{Key: k, Action: models.MulticastDiscard, Local: r.IntN(2) == 0}
			}
		}
	}
	return in
}

// difference is the change from a to b.
func difference(a, b models.Intent) models.Change {
	return models.Change{
		System:    &models.Delta[struct{}, models.SystemSpec]{Old: &a.System, New: &b.System},
		GRIBI:     &models.Delta[struct{}, models.GRIBISpec]{Old: &a.GRIBI, New: &b.GRIBI},
		Devices:   deltas(a.Devices, b.Devices),
		Units:     deltas(a.Units, b.Units),
		Instances: deltas(a.Instances, b.Instances),
		Static:    deltas(a.Static, b.Static),
		Multicast: deltas(a.Multicast, b.Multicast),
	}
}

func deltas[K comparable, V any](a, b map[K]V) []models.Delta[K, V] {
	var list []models.Delta[K, V]
	for k, v := range a {
		d := models.Delta[K, V]{Key: k, Old: &v}
		if n, ok := b[k]; ok {
			d.New = &n
		}
		list = append(list, d)
	}
	for k, v := range b {
		if _, ok := a[k]; !ok {
			list = append(list, models.Delta[K, V]{Key: k, New: &v})
		}
	}
	return list
}

// Whatever the two intents, applying the plan leads from one to the other; and
// whichever call fails, undoing leads back.
func TestPlanLeadsFromOldToNew(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	log := slog.New(slog.DiscardHandler)
	broken := errors.New("broken")
	for range 300 {
		a, b := randomIntent(r), randomIntent(r)
		change := difference(a, b)
		plan := Plan(change)
		if again := Plan(difference(a, b)); !slices.EqualFunc(plan, again, func(x, y Step) bool { return x.String() == y.String() }) {
			t.Fatalf("equal changes, different plans:\n%v\n%v", plan, again)
		}
		w := &world{objects: flatten(a)}
		if err := Apply(t.Context(), plan, w, log); err != nil {
			t.Fatal(err)
		}
		if want := flatten(b); !reflect.DeepEqual(w.objects, want) {
			t.Fatalf("got %v\nwant %v\nplan %v", w.objects, want, plan)
		}
		for failAt := 1; failAt <= len(plan)+1; failAt++ {
			w := &world{objects: flatten(a), failAt: failAt, fail: broken}
			if err := Apply(t.Context(), plan, w, log); !errors.Is(err, broken) {
				t.Fatalf("call %d of %d failed, and Apply answered %v", failAt, len(plan)+1, err)
			}
			if want := flatten(a); !reflect.DeepEqual(w.objects, want) {
				t.Fatalf("call %d failed: got %v\nwant %v\nplan %v", failAt, w.objects, want, plan)
			}
		}
	}
}

func TestNothingToDo(t *testing.T) {
	a := randomIntent(rand.New(rand.NewPCG(1, 1)))
	change := difference(a, a)
	change.System, change.GRIBI, change.Devices, change.Instances, change.Static, change.Multicast = nil, nil, nil, nil, nil, nil
	if plan := Plan(change); len(plan) != 0 {
		t.Errorf("units that stay as they are have steps: %v", plan)
	}
}

func TestStartAppliesEverything(t *testing.T) {
	in := randomIntent(rand.New(rand.NewPCG(3, 3)))
	w := &world{objects: map[string]any{}}
	if err := NewApplier(w, slog.New(slog.DiscardHandler)).Start(t.Context(), &in); err != nil {
		t.Fatal(err)
	}
	if want := flatten(in); !reflect.DeepEqual(w.objects, want) {
		t.Errorf("got %v\nwant %v", w.objects, want)
	}
}

// A client that hangs up in the middle doesn't leave half a change.
func TestUndoOutlivesTheClient(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	a, b := randomIntent(r), randomIntent(r)
	ctx, cancel := context.WithCancel(t.Context())
	w := &hangup{world: world{objects: flatten(a)}, after: 3, cancel: cancel}
	if err := Apply(ctx, Plan(difference(a, b)), w, slog.New(slog.DiscardHandler)); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v: want a cancelled Apply", err)
	}
	if want := flatten(a); !reflect.DeepEqual(w.objects, want) {
		t.Errorf("got %v\nwant %v", w.objects, want)
	}
}

type hangup struct {
	world
	after  int
	cancel context.CancelFunc
}

func (h *hangup) Do(ctx context.Context, s Step) error {
	if h.after--; h.after == 0 {
		h.cancel()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return h.world.Do(ctx, s)
}
