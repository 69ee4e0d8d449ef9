package models

import (
	"fmt"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// large has 10,000 units with an address of each family, and 100,000 static
// routes, on ten devices and in ten instances.
func large(units, routes int) *gen.Device {
	dev := &gen.Device{}
	for n := range units {
		device := fmt.Sprintf("ge%d", n%10)
		instance := fmt.Sprintf("i%d", n%10)
		dev.GetOrCreateInstance(instance)
		u := dev.GetOrCreateInterface(device).GetOrCreateUnit(fmt.Sprint(n))
		c := u.GetOrCreateVlan().GetOrCreateConfig()
		c.OuterVlanId, c.InnerVlanId = ygot.Uint16(uint16(n/4000+1)), ygot.Uint16(uint16(n%4000+1))
		f4 := u.GetOrCreateFamily(gen.Routerd_FamilyType_inet)
		f4.GetOrCreateConfig().Instance = ygot.String(instance)
		f4.GetOrCreateAddress(fmt.Sprintf("10.%d.%d.1/24", n/256, n%256))
		f6 := u.GetOrCreateFamily(gen.Routerd_FamilyType_inet6)
		f6.GetOrCreateConfig().Instance = ygot.String(instance)
		f6.GetOrCreateAddress(fmt.Sprintf("2001:db8:%x::1/64", n+1))
	}
	for n := range routes {
		r := dev.GetOrCreateInstance(fmt.Sprintf("i%d", n%10)).GetOrCreateStaticRoute(fmt.Sprintf("%d.%d.%d.0/24", 20+n/65536, n/256%256, n%256))
		r.GetOrCreateNextHop(0).GetOrCreateConfig().Gateway = ygot.String(fmt.Sprintf("10.0.%d.2", n%10))
	}
	return dev
}

// A change of one object doesn't pay for the others.
func BenchmarkUpdate(b *testing.B) {
	for _, size := range []struct{ units, routes int }{{10, 100}, {10_000, 100_000}} {
		dev := large(size.units, size.routes)
		c, errs := Compile(dev)
		if errs != nil {
			b.Fatal(errs[0])
		}
		run := func(name string, o Object, edit func(n int)) {
			b.Run(fmt.Sprintf("%s/units=%d/routes=%d", name, size.units, size.routes), func(b *testing.B) {
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					edit(n)
					change, errs := c.Update(dev, []Object{o})
					if errs != nil {
						b.Fatal(errs[0])
					}
					if err := c.Commit(change); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		family := dev.GetInterface("ge7").GetUnit("7").GetFamily(gen.Routerd_FamilyType_inet)
		run("address", Object{Kind: Unit, Device: "ge7", Unit: "7"}, func(n int) {
			clear(family.Address)
			family.GetOrCreateAddress(fmt.Sprintf("10.200.0.%d/24", n%2+1))
		})
		route := dev.GetInstance("i7").GetStaticRoute("20.0.7.0/24")
		run("route", Object{Kind: Static, Instance: "i7", Prefix: "20.0.7.0/24"}, func(n int) {
			route.GetOrCreateConfig().Tag = ygot.Uint32(uint32(n))
		})
		instance := dev.GetInstance("i7")
		run("instance", Object{Kind: Instance, Instance: "i7"}, func(n int) {
			instance.GetOrCreateConfig().Description = ygot.String(fmt.Sprint(n))
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	dev := large(10_000, 100_000)
	for b.Loop() {
		if _, errs := Compile(dev); errs != nil {
			b.Fatal(errs[0])
		}
	}
}
