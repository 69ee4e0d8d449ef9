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

// heard gives a frame of neighbour discovery of another station to ge0.
func (l *lab) heard(ip []byte, dst intf.MAC) {
	l.t.Helper()
	frame := make([]byte, packet.EthernetHeaderLen+len(ip))
	n := packet.PutEthernet(frame, dst, h1, intf.VLAN{}, packet.EtherTypeIPv6)
	copy(frame[n:], ip)
	l.send("ge0", frame)
}

func (l *lab) advertCounts(want func(*models.AdvertState) bool) *models.AdvertState {
	l.t.Helper()
	var a *models.AdvertState
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, f := range l.unitState("ge0").Families {
			if f.Family == intf.Inet6 {
				a = f.Advert
			}
		}
		if a != nil && want(a) {
			return a
		}
	}
	l.t.Fatalf("the state is %+v", a)
	return nil
}

func TestSolicitationsAreAnswered(t *testing.T) {
	l := newLab(t)
	l.advertising(0)
	l.advert("ge0")
	l.pass(50 * time.Second) // the initial ones are over
	before := l.advertCounts(func(*models.AdvertState) bool { return true }).Sent
	b := make([]byte, packet.NDMaxLen)
	n := packet.PutND(b, netip.MustParseAddr("fe80::77"), netip.MustParseAddr("ff02::2"), packet.ND{Type: packet.ICMPv6RouterSolicit, LinkLayer: h1})
	l.heard(b[:n], intf.MAC{0x33, 0x33, 0, 0, 0, 2})
	l.advertCounts(func(a *models.AdvertState) bool { return a.Solicitations == 1 })
	l.pass(600 * time.Millisecond)
	l.advertCounts(func(a *models.AdvertState) bool { return a.Sent == before+1 })
}

func TestOtherRoutersAreCompared(t *testing.T) {
	l := newLab(t)
	l.advertising(0)
	theirs := intf.Advert{Lifetime: time.Hour, Managed: true}
	b := make([]byte, packet.RouterAdvertLen(&theirs))
	n := packet.PutRouterAdvert(b, netip.MustParseAddr("fe80::77"), h1, &theirs)
	l.heard(b[:n], allNodesMAC)
	a := l.advertCounts(func(a *models.AdvertState) bool { return a.Adverts == 1 })
	if a.Inconsistent != 1 || a.Inconsistency != "fe80::77: managed true, ours is false" {
		t.Errorf("%+v", a)
	}
}
