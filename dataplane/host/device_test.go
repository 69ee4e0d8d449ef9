package host

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"router/intf"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestPacketOf(t *testing.T) {
	const ether = "020000000001 020000000002 "
	v4 := "4500 0014 0000 0000 4011 0000 c0000201 c0000202"
	v6 := "60000000 0001 3b40 20010db8000000000000000000000001 20010db8000000000000000000000002 aa"
	tests := []struct {
		name, frame string
		want        string // "" where it is no packet
		family      intf.Family
	}{
		{"IPv4", ether + "0800" + v4, v4, intf.Inet},
		{"IPv4 padded to the minimum frame", ether + "0800" + v4 + strings.Repeat("00", 26), v4, intf.Inet},
		{"IPv6", ether + "86dd" + v6, v6, intf.Inet6},
		{"IPv6 padded", ether + "86dd" + v6 + "0000", v6, intf.Inet6},
		{"ARP", ether + "0806" + v4, "", 0},
		{"VLAN tag", ether + "8100" + v4, "", 0},
		{"IPv4 cut short", ether + "0800" + v4[:len(v4)-2], "", 0},
		{"IPv4 longer than the frame", ether + "0800" + "4500 0015" + v4[9:], "", 0},
		{"IPv4 length below the header", ether + "0800" + "4500 0013" + v4[9:], "", 0},
		{"IPv6 in an IPv4 frame", ether + "0800" + v6, "", 0},
		{"IPv6 longer than the frame", ether + "86dd" + v6[:len(v6)-2], "", 0},
		{"no Ethernet header", "0200", "", 0},
		{"empty", "", "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l3, family, ok := packetOf(unhex(test.frame))
			if ok != (test.want != "") || !bytes.Equal(l3, unhex(test.want)) || family != test.family {
				t.Errorf("got %x, %v, %t", l3, family, ok)
			}
		})
	}
}

func FuzzPacketOf(f *testing.F) {
	f.Add(unhex("020000000001 020000000002 0800 45000014000000004011 0000c0000201c0000202"))
	f.Add(unhex("020000000001 020000000002 86dd 60000000 0000 3b40" + strings.Repeat("20", 32)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		l3, family, ok := packetOf(frame)
		if !ok {
			return
		}
		if len(l3) < 20 || len(l3) > len(frame)-etherLen {
			t.Fatalf("%d octets of a frame of %d", len(l3), len(frame))
		}
		if (family == intf.Inet) != (l3[0]>>4 == 4) {
			t.Fatalf("version %d taken for %s", l3[0]>>4, family)
		}
		v := &view{}
		if _, ok := v.destination(family, l3); !ok {
			t.Fatal("a packet that was taken has no destination")
		}
	})
}

func TestDestination(t *testing.T) {
	p := placement{mac: mac(9), families: [2]*Family{intf.Inet: {Addresses: addresses("192.0.2.1/25", "198.51.100.0/31")}}}
	v := &view{mac: p.mac, broadcasts: p.broadcasts()}
	for dst, want := range map[string]string{
		"192.0.2.1":       "02:00:00:00:00:09",
		"192.0.2.127":     "ff:ff:ff:ff:ff:ff",
		"192.0.2.255":     "02:00:00:00:00:09",
		"198.51.100.1":    "02:00:00:00:00:09",
		"255.255.255.255": "ff:ff:ff:ff:ff:ff",
		"224.0.0.5":       "01:00:5e:00:00:05",
		"239.255.1.2":     "01:00:5e:7f:01:02",
		"2001:db8::1":     "02:00:00:00:00:09",
		"ff02::1:ff00:1":  "33:33:ff:00:00:01",
	} {
		a := netip.MustParseAddr(dst)
		family, l3 := intf.Inet6, make([]byte, 40)
		copy(l3[24:], a.AsSlice())
		if a.Is4() {
			family, l3 = intf.Inet, make([]byte, 20)
			copy(l3[16:], a.AsSlice())
		}
		if got, ok := v.destination(family, l3); !ok || got.String() != want {
			t.Errorf("%s: %s, want %s", dst, got, want)
		}
	}
}

func TestNamesForUnits(t *testing.T) {
	for _, unit := range []string{"ge0.100", "enp129s0f0np0.100", "a/b:c%d", "ünit.0", strings.Repeat("x", 100)} {
		list := names(unit)
		if fits := len(unit) <= maxName && validName(unit); (list[0] == unit) != fits {
			t.Errorf("%q: the first name is %q", unit, list[0])
		}
		seen := map[string]bool{}
		for _, name := range list {
			if len(name) > maxName || !validName(name) || seen[name] {
				t.Errorf("%q: name %q", unit, name)
			}
			seen[name] = true
		}
	}
	if a, b := names("enp129s0f0np0.100"), names("enp129s0f0np0.101"); a[0] == b[0] {
		t.Errorf("two units share the name %s", a[0])
	}
}

func TestSpecsThatAreRefused(t *testing.T) {
	good := func() Spec {
		return unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), addresses("2001:db8::1/64"))
	}
	tests := []struct {
		name  string
		spoil func(*Spec)
		want  string
	}{
		{"no index", func(s *Spec) { s.IfIndex = 0 }, "if_index"},
		{"no name", func(s *Spec) { s.Name = "" }, "a name"},
		{"no family", func(s *Spec) { s.Families = nil }, "a family"},
		{"group MAC", func(s *Spec) { s.MAC[0] = 1 }, "unicast MAC"},
		{"family twice", func(s *Spec) { s.Families[1] = s.Families[0] }, "stands twice"},
		{"small IPv6 MTU", func(s *Spec) { s.Families[1].MTU = 1279 }, "at least 1280"},
		{"address of the other family", func(s *Spec) { s.Families[0].Addresses = addresses("2001:db8::1/64") }, "none of family inet"},
		{"address twice", func(s *Spec) { s.Families[0].Addresses = addresses("192.0.2.1/24", "192.0.2.1/25") }, "stands twice"},
		{"peer of the other family", func(s *Spec) { s.Families[0].Addresses[0].Peer = netip.MustParseAddr("::1") }, "none of family"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := good()
			if err := s.check(); err != nil {
				t.Fatal(err)
			}
			test.spoil(&s)
			if err := s.check(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDeprecatedAddressesGiveWayToBetterOnes(t *testing.T) {
	list := addresses("2001:db8:1::1/64", "2001:db8:1::2/64", "2001:db8:2::1/64")
	list[1].Preferred = true
	p := placement{families: [2]*Family{intf.Inet6: {Family: intf.Inet6, Addresses: list}}}
	want := map[string]bool{"2001:db8:1::1/64": true, "2001:db8:1::2/64": false, "2001:db8:2::1/64": false}
	for _, a := range p.addresses(1) {
		if a.Deprecated != want[a.Prefix.String()] {
			t.Errorf("%s: deprecated %t", a.Prefix, a.Deprecated)
		}
	}
}

func TestDeliverAllocatesNothing(t *testing.T) {
	w := newWorld(t, "allocs")
	w.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), nil))
	packet := make([]byte, 1500)
	packet[0] = 0x45
	copy(packet[16:], []byte{192, 0, 2, 1})
	allocs := testing.AllocsPerRun(200, func() {
		if err := w.Deliver(1, intf.Inet, packet); err != nil {
			t.Fatal(err)
		}
	})
	if allocs >= 1 && !raceEnabled {
		t.Errorf("%v allocations for each packet", allocs)
	}
	if err := w.Deliver(1, intf.Inet, packet[:10]); err == nil {
		t.Error("a packet of ten octets was taken")
	}
	if c, ok := w.Counters(1, intf.Inet); !ok || c.Delivered < 200 || c.DeliverDrops != 1 {
		t.Errorf("counters: %+v", c)
	}
}
