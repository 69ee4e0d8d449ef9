package control

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"router/dataplane/packet"
	"router/intf"
	"router/models"
)

// advert waits for the next advertisement out of a device.
func (l *lab) advert(device string) (a intf.Advert, octets int) {
	l.t.Helper()
	l.receive(device, func(f []byte) bool {
		ip, fault := packet.CheckIPv6(f[packet.EthernetHeaderLen:])
		if fault != packet.FaultNone {
			return false
		}
		if nd, fault := packet.ParseND(ip, packet.IPv6HeaderLen); fault != packet.FaultNone || nd.Type != packet.ICMPv6RouterAdvert {
			return false
		}
		a, fault = packet.ParseRouterAdvert(ip, packet.IPv6HeaderLen)
		if fault != packet.FaultNone {
			l.t.Fatalf("an advertisement with %v", fault)
		}
		octets = len(ip)
		return true
	})
	return a, octets
}

// advertising declares a device whose unit advertises prefixes, and lets its
// link-local address become usable.
func (l *lab) advertising(prefixes int) {
	l.plug("ge0", 1)
	l.mustCommit(func(in *models.Intent) {
		unitOf(in, "ge0", "default", "2001:db8::1/64")
		u := in.Units[intf.UnitKey{Device: "ge0", ID: "0"}]
		spec := &intf.AdvertSpec{MinInterval: 200 * time.Second, MaxInterval: 600 * time.Second, Advert: intf.Advert{Lifetime: 1800 * time.Second}}
		for i := range prefixes {
			spec.Advert.Prefixes = append(spec.Advert.Prefixes, intf.AdvertPrefix{Prefix: netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/64", i+1))})
		}
		u.Families[0].Advert = spec
	})
	l.pass(3 * time.Second)
}

func TestOwnNetworksAreAdvertised(t *testing.T) {
	l := newLab(t)
	l.advertising(0)
	a, _ := l.advert("ge0")
	want := []intf.AdvertPrefix{{Prefix: netip.MustParsePrefix("2001:db8::/64"), OnLink: true, Autonomous: true, Valid: intf.AdvertValid, Preferred: intf.AdvertPreferred}}
	if a.Lifetime != 1800*time.Second || len(a.Prefixes) != 1 || a.Prefixes[0] != want[0] {
		t.Errorf("%+v", a)
	}
}

func TestPrefixesThatDontFitFollow(t *testing.T) {
	const all = 64
	l := newLab(t)
	l.advertising(all)
	for n := 0; n < all; {
		a, octets := l.advert("ge0")
		if octets > intf.MinMTU6 {
			t.Fatalf("an advertisement of %d octets", octets)
		}
		if a.Lifetime != 1800*time.Second || len(a.Prefixes) == 0 {
			t.Fatalf("%+v", a)
		}
		for _, p := range a.Prefixes {
			n++
			if want := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/64", n)); p.Prefix != want {
				t.Fatalf("prefix %v, want %v", p.Prefix, want)
			}
		}
	}
}

// Whatever takes the unit away, the hosts are told first.
func TestHostsAreToldWhenTheRouterGoes(t *testing.T) {
	key := intf.UnitKey{Device: "ge0", ID: "0"}
	for name, edit := range map[string]func(*models.Intent){
		"unit deleted":   func(in *models.Intent) { delete(in.Units, key) },
		"device deleted": func(in *models.Intent) { delete(in.Units, key); delete(in.Devices, "ge0") },
		"device disabled": func(in *models.Intent) {
			d := in.Devices["ge0"]
			d.Enabled = false
			in.Devices["ge0"] = d
		},
		"unit disabled": func(in *models.Intent) {
			u := in.Units[key]
			u.Enabled = false
			in.Units[key] = u
		},
		"family deleted": func(in *models.Intent) {
			u := in.Units[key]
			u.Families = nil
			in.Units[key] = u
		},
		"advertisements off": func(in *models.Intent) {
			u := in.Units[key]
			f := u.Families[0]
			f.Advert = nil
			u.Families = []intf.FamilySpec{f}
			in.Units[key] = u
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.advertising(0)
			if a, _ := l.advert("ge0"); a.Lifetime == 0 {
				t.Fatalf("the first says %+v", a)
			}
			l.pass(3 * time.Second)
			l.mustCommit(edit)
			for {
				if a, _ := l.advert("ge0"); a.Lifetime == 0 {
					return
				}
			}
		})
	}
}
