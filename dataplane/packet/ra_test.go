package packet

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"router/intf"
)

// fullAdvert has one of everything.
var fullAdvert = intf.Advert{
	HopLimit: 64, Managed: true, Other: true, Preference: intf.PreferHigh, Lifetime: 1800 * time.Second,
	Reachable: 30 * time.Second, Retrans: 1500 * time.Millisecond, MTU: 1480,
	Prefixes: []intf.AdvertPrefix{
		{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), OnLink: true, Autonomous: true, Valid: intf.Infinity, Preferred: time.Hour},
		{Prefix: netip.MustParsePrefix("2001:db8:2::/48"), Valid: time.Hour},
	},
	Routes: []intf.AdvertRoute{
		{Prefix: netip.MustParsePrefix("::/0"), Preference: intf.PreferLow, Lifetime: time.Minute},
		{Prefix: netip.MustParsePrefix("2001:db8:3::/48"), Lifetime: intf.Infinity},
		{Prefix: netip.MustParsePrefix("2001:db8:4::1/128"), Preference: intf.PreferHigh},
	},
	DNSServers:  []netip.Addr{netip.MustParseAddr("2001:db8::53"), llB},
	DNSSearch:   []string{"example.net", "a.b.example.org"},
	DNSLifetime: time.Hour,
}

func putAdvert(a *intf.Advert) IPv6 {
	b := bytes.Repeat([]byte{0xee}, RouterAdvertLen(a))
	return IPv6(b[:PutRouterAdvert(b, llA, macA, a)])
}

func TestRouterAdvertIsReadBack(t *testing.T) {
	for name, a := range map[string]intf.Advert{
		"full":                            fullAdvert,
		"nothing":                         {},
		"no preference without lifetime":  {Preference: intf.PreferMedium},
		"one search name of seven octets": {DNSSearch: []string{"abc.def"}, DNSLifetime: time.Second},
	} {
		p, fault := CheckIPv6(putAdvert(&a))
		if fault != FaultNone || p.Src() != llA || p.Dst() != allNodes || p.HopLimit() != 255 {
			t.Fatalf("%s: %v", name, fault)
		}
		nd, fault := ParseND(p, IPv6HeaderLen)
		if fault != FaultNone || nd.Type != ICMPv6RouterAdvert || nd.LinkLayer != macA {
			t.Fatalf("%s: %+v %v", name, nd, fault)
		}
		got, fault := ParseRouterAdvert(p, IPv6HeaderLen)
		if fault != FaultNone || !got.Equal(&a) {
			t.Errorf("%s: read %+v, want %+v (%v)", name, got, a, fault)
		}
	}
}

// The octets that other stacks expect, by hand out of the RFCs.
func TestRouterAdvertBytes(t *testing.T) {
	want := []byte{
		134, 0, 0, 0, 64, 0xc8, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 0x05, 0xdc, // RFC 4861, 4.2; RFC 4191, 2.2
		1, 1, macA[0], macA[1], macA[2], macA[3], macA[4], macA[5],
		5, 1, 0, 0, 0, 0, 0x05, 0xc8,
		3, 4, 64, 0xc0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x0e, 0x10, 0, 0, 0, 0,
		0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		3, 4, 48, 0, 0, 0, 0x0e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0,
		0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		24, 1, 0, 0x18, 0, 0, 0, 60,
		24, 2, 48, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0x01, 0x0d, 0xb8, 0, 3, 0, 0,
		24, 3, 128, 0x08, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		25, 5, 0, 0, 0, 0, 0x0e, 0x10,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b,
		31, 5, 0, 0, 0, 0, 0x0e, 0x10,
		7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'n', 'e', 't', 0,
		1, 'a', 1, 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 0,
	}
	got := putAdvert(&fullAdvert)[IPv6HeaderLen:]
	got[2], got[3] = 0, 0 // the checksum, which ParseND checks elsewhere
	if !bytes.Equal(got, want) {
		t.Errorf("got\n% x\nwant\n% x", []byte(got), want)
	}
}

func TestFinalAdvert(t *testing.T) {
	got, fault := ParseRouterAdvert(putAdvert(new(fullAdvert.Final())), IPv6HeaderLen)
	if fault != FaultNone || got.Lifetime != 0 || got.DNSLifetime != 0 || got.Preference != intf.PreferMedium {
		t.Errorf("%+v", got)
	}
	for _, r := range got.Routes {
		if r.Lifetime != 0 {
			t.Errorf("route %+v", r)
		}
	}
	if !reflect.DeepEqual(got.Prefixes, fullAdvert.Prefixes) {
		t.Errorf("prefixes %+v", got.Prefixes)
	}
	if fullAdvert.Routes[1].Lifetime != intf.Infinity {
		t.Error("Final changed the original")
	}
}

func TestParseRouterAdvertPassesOverWhatMakesNoSense(t *testing.T) {
	for name, options := range map[string][]byte{
		"unknown option":             {200, 1, 0, 0, 0, 0, 0, 0},
		"prefix of length 129":       append([]byte{3, 4, 129, 0xc0}, make([]byte, 28)...),
		"short prefix option":        {3, 1, 64, 0, 0, 0, 0, 0},
		"long MTU option":            {5, 2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"route longer than its room": {24, 1, 48, 0, 0, 0, 0, 1},
		"DNS without a server":       {25, 1, 0, 0, 0, 0, 0, 1},
		"half a DNS server":          append([]byte{25, 2, 0, 0, 0, 0, 0, 1}, make([]byte, 8)...),
		"search name cut short":      {31, 2, 0, 0, 0, 0, 0, 0, 63, 'a', 'b', 'c', 'd', 'e', 'f', 'g'},
	} {
		p := router(ICMPv6RouterAdvert, llA, allNodes, ndAdvertLen, options...)
		if got, fault := ParseRouterAdvert(p, IPv6HeaderLen); fault != FaultNone || !got.Equal(&intf.Advert{}) {
			t.Errorf("%s: %+v %v", name, got, fault)
		}
	}
	for name, options := range map[string][]byte{
		"option of length zero": {200, 0, 0, 0, 0, 0, 0, 0},
		"option beyond the end": {200, 2, 0, 0, 0, 0, 0, 0},
	} {
		p := router(ICMPv6RouterAdvert, llA, allNodes, ndAdvertLen, options...)
		if _, fault := ParseRouterAdvert(p, IPv6HeaderLen); fault != FaultOption {
			t.Errorf("%s: %v", name, fault)
		}
	}
	if _, fault := ParseRouterAdvert(IPv6(make([]byte, 50)), IPv6HeaderLen); fault != FaultTruncated {
		t.Errorf("a short one: %v", fault)
	}
}

func FuzzRouterAdvert(f *testing.F) {
	f.Add([]byte(putAdvert(&fullAdvert))[IPv6HeaderLen:])
	f.Add([]byte(putAdvert(&intf.Advert{}))[IPv6HeaderLen:])
	f.Fuzz(func(t *testing.T, m []byte) {
		b := make([]byte, IPv6HeaderLen+len(m))
		copy(b[IPv6HeaderLen:], m)
		a, fault := ParseRouterAdvert(IPv6(b), IPv6HeaderLen)
		if fault != FaultNone {
			return
		}
		// Labels on the wire may hold anything; what we write is names.
		a.DNSSearch = nil
		if len(a.DNSServers) > 127 {
			return // more than one option holds
		}
		if len(a.DNSServers) == 0 {
			a.DNSLifetime = 0
		}
		again, fault := ParseRouterAdvert(putAdvert(&a), IPv6HeaderLen)
		if fault != FaultNone || !again.Equal(&a) {
			t.Errorf("read %+v, wrote it, and read %+v (%v)", a, again, fault)
		}
	})
}
