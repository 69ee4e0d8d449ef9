package reconcile

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"router/intf"
	"router/models"
)

func TestDescribe(t *testing.T) {
	device := func(change func(*intf.DeviceSpec)) *intf.DeviceSpec {
		d := &intf.DeviceSpec{Name: "ge0", Enabled: true, MRU: 1518}
		change(d)
		return d
	}
	same := device(func(*intf.DeviceSpec) {})
	prefix := netip.MustParsePrefix("10.0.0.0/8")
	route := func(gateway string) *models.StaticSpec {
		return &models.StaticSpec{Key: models.StaticKey{Instance: "default", Prefix: prefix},
			NextHops: []models.StaticNextHop{{Gateway: netip.MustParseAddr(gateway), Weight: 1}}}
	}
	unit := intf.UnitKey{Device: "ge0", ID: "100"}
	tests := []struct {
		name     string
		step     Step
		words    string
		disturbs string // a part, "" for nothing
	}{
		{"a new unit", Step{Op: Create, Kind: Unit, Unit: unit, New: Spec{Unit: &intf.UnitSpec{Key: unit, Enabled: true, VLAN: intf.VLAN{OuterTPID: 0x8100, OuterID: 100}}}},
			"create interface ge0 unit 100 (VLAN 100)", ""},
		{"another gateway", Step{Op: Update, Kind: StaticRoute, Instance: "default", Prefix: prefix, Old: Spec{Static: route("192.0.2.1")}, New: Spec{Static: route("192.0.2.2")}},
			"move instance default static-route 10.0.0.0/8 from via 192.0.2.1 to via 192.0.2.2", ""},
		{"another preference", Step{Op: Update, Kind: StaticRoute, Instance: "default", Prefix: prefix, Old: Spec{Static: route("192.0.2.1")},
			New: Spec{Static: func() *models.StaticSpec { r := route("192.0.2.1"); r.Preference = 9; return r }()}},
			"change instance default static-route 10.0.0.0/8: preference 0 -> 9", ""},
		{"another driver", Step{Op: Update, Kind: Device, Device: "ge0", Old: Spec{Device: same}, New: Spec{Device: device(func(d *intf.DeviceSpec) { d.Driver = intf.DriverAFPacket })}},
			"change interface ge0: driver auto -> af-packet", "opened anew (driver auto -> af-packet)"},
		{"a larger MRU", Step{Op: Update, Kind: Device, Device: "ge0", Old: Spec{Device: same}, New: Spec{Device: device(func(d *intf.DeviceSpec) { d.MRU = 1600 })}},
			"change interface ge0: mru 1518 -> 1600", "MTU changes"},
		{"an MRU of jumbo frames", Step{Op: Update, Kind: Device, Device: "ge0", Old: Spec{Device: same}, New: Spec{Device: device(func(d *intf.DeviceSpec) { d.MRU = 9000 })}},
			"change interface ge0: mru 1518 -> 9000", "opened anew"},
		{"a description", Step{Op: Update, Kind: Device, Device: "ge0", Old: Spec{Device: same}, New: Spec{Device: device(func(d *intf.DeviceSpec) { d.Description = "x" })}},
			`change interface ge0: description none -> "x"`, ""},
		{"a device given back", Step{Op: Delete, Kind: Device, Device: "ge0", Old: Spec{Device: same}}, "delete interface ge0", "given back"},
		{"another instance", Step{Op: Update, Kind: Family, Unit: unit, Old: Spec{Family: &intf.FamilySpec{Enabled: true, Instance: "default"}},
			New: Spec{Family: &intf.FamilySpec{Enabled: true, Instance: "red"}}},
			`change interface ge0 unit 100 family inet: instance "default" -> "red"`, "moves from instance default to red"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			steps, disturbs := Describe([]Step{test.step})
			if !slices.Equal(steps, []string{test.words}) {
				t.Errorf("the words are %q, want %q", steps, test.words)
			}
			if got := strings.Join(disturbs, "\n"); (got == "") != (test.disturbs == "") || !strings.Contains(got, test.disturbs) {
				t.Errorf("it disturbs %q, want %q", got, test.disturbs)
			}
		})
	}
}
