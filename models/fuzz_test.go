package models

import (
	"testing"

	"router/gen"
	"router/intf"
)

// FuzzCompile feeds strings to wherever the model takes one.
func FuzzCompile(f *testing.F) {
	f.Add("192.0.2.1/24", "192.0.2.2", "02:00:00:00:00:02", "ge0.0", "default", "100.1", uint16(1500), uint16(5))
	f.Add("2001:DB8::1/64", "fe80::1%eth0", "ff:ff:ff:ff:ff:ff", "ge0.1.2.3.4", "", "..", uint16(0), uint16(65535))
	f.Add("::ffff:1.2.3.4/0", "::", "2:0:0:0:0:2", ".", "red", "0.", uint16(68), uint16(4095))
	f.Fuzz(func(t *testing.T, prefix, address, mac, unit, instance, id string, mtu, vlan uint16) {
		dev := &gen.Device{}
		d := dev.GetOrCreateInterface(unit)
		d.GetOrCreateConfig().MacAddress = &mac
		d.Config.Mru = &mtu
		u := d.GetOrCreateUnit(id)
		u.GetOrCreateVlan().GetOrCreateConfig().OuterVlanId = &vlan
		fam := u.GetOrCreateFamily(gen.E_Routerd_FamilyType(1 + vlan%2))
		fam.GetOrCreateConfig().Instance = &instance
		fam.Config.Mtu = &mtu
		fam.GetOrCreateAddress(prefix).GetOrCreateConfig().Peer = &address
		fam.GetOrCreateNeighbor(address).GetOrCreateConfig().LinkLayerAddress = &mac
		nh := dev.GetOrCreateInstance(instance).GetOrCreateStaticRoute(prefix).GetOrCreateNextHop(0).GetOrCreateConfig()
		nh.Gateway, nh.Interface = &address, &unit
		if vlan%3 == 0 {
			nh.Gateway, nh.Interface, nh.Instance = nil, nil, &id
		}

		c, errs := Compile(dev)
		if (c == nil) != (len(errs) > 0) {
			t.Fatalf("compiled %v, violations %v", c, errs)
		}
		for _, e := range errs {
			if e.Path == "" || e.Rule == "" || e.Err == nil {
				t.Errorf("incomplete violation %+v", e)
			}
		}
		if c == nil {
			return
		}
		// What is accepted is sound.
		for key, s := range c.Intent().Static {
			if key != s.Key || key.Prefix != key.Prefix.Masked() || (len(s.NextHops) > 0) != (s.Action == Forward) {
				t.Errorf("route %+v", s)
			}
		}
		for key, s := range c.Intent().Units {
			if key != s.Key || ParseUnitName(key.Name()) != key {
				t.Errorf("unit %+v", s)
			}
			for _, f := range s.Families {
				for _, a := range f.Addresses {
					if intf.FamilyOf(a.Prefix.Addr()) != f.Family || notInterfaceAddress(a.Prefix) != nil {
						t.Errorf("address %v", a)
					}
				}
			}
		}
	})
}
