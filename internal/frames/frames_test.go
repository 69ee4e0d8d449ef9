package frames

import (
	"bytes"
	"net/netip"
	"testing"

	"router/dataplane/packet"
	"router/intf"
)

func testWorld() World {
	return World{
		Station: intf.MAC{2, 0, 0, 0, 0, 1}, Host: intf.MAC{2, 0, 0, 0, 0, 2},
		Sources:    []netip.Prefix{netip.MustParsePrefix("10.64.0.0/10"), netip.MustParsePrefix("2001:db8:1000::/36")},
		Targets:    []netip.Prefix{netip.MustParsePrefix("20.0.0.0/8"), netip.MustParsePrefix("2001:db8:2000::/36")},
		OddSources: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
		OddTargets: []netip.Addr{netip.MustParseAddr("240.0.0.1"), netip.MustParseAddr("ff02::1")},
		MTUs:       []int{1280, 1500},
	}
}

// TestSeedNamesFrames: a failure can be had again by its seed.
func TestSeedNamesFrames(t *testing.T) {
	a, b, c := New(1, testWorld()), New(1, testWorld()), New(2, testWorld())
	differ := false
	for range 1000 {
		x, y, z := a.Next4(nil), b.Next4(nil), c.Next4(nil)
		if !bytes.Equal(x, y) {
			t.Fatal("one seed makes two frames")
		}
		differ = differ || !bytes.Equal(x, z)
		if !bytes.Equal(a.Mutate(x), b.Mutate(y)) {
			t.Fatal("one seed makes two mutations")
		}
		c.Mutate(z)
	}
	if !differ {
		t.Error("two seeds make the same frames")
	}
}

// TestEveryKindIsMade: among some thousand frames there is each kind of packet
// that somebody has to answer for.
func TestEveryKindIsMade(t *testing.T) {
	g := New(3, testWorld())
	kinds := map[string]int{}
	for range 20_000 {
		f := g.Next4(nil)[packet.EthernetHeaderLen:]
		ip, fault := packet.CheckIPv4(f)
		kinds["IPv4 "+fault.String()]++
		if fault != packet.FaultNone {
			continue
		}
		set, bad := packet.CheckIPv4Options(ip)
		count(kinds, "IPv4 malformed option", bad != 0)
		count(kinds, "IPv4 source route", set&packet.OptionSourceRoute != 0)
		count(kinds, "IPv4 stamp", set&packet.OptionStamp != 0)
		count(kinds, "IPv4 alert", set&packet.OptionAlert != 0)
		count(kinds, "IPv4 first fragment", ip.IsFragment() && ip.FragmentOffset() == 0)
		count(kinds, "IPv4 later fragment", ip.FragmentOffset() != 0)
		count(kinds, "IPv4 TTL 0", ip.TTL() == 0)
		count(kinds, "IPv4 TTL 1", ip.TTL() == 1)
		count(kinds, "IPv4 1500", len(ip) == 1500)
		count(kinds, "IPv4 1501", len(ip) == 1501)
	}
	for range 20_000 {
		f := g.Next6(nil)[packet.EthernetHeaderLen:]
		ip, fault := packet.CheckIPv6(f)
		kinds["IPv6 "+fault.String()]++
		if fault != packet.FaultNone {
			continue
		}
		if ip.NextHeader() == packet.ProtocolHopByHop {
			v, _ := packet.CheckHopByHop(ip)
			count(kinds, "IPv6 options pass", v == packet.OptionsPass)
			count(kinds, "IPv6 options malformed", v == packet.OptionsMalformed)
			count(kinds, "IPv6 options refused", v == packet.OptionsRefused)
			count(kinds, "IPv6 options unknown", v == packet.OptionsUnknown)
			count(kinds, "IPv6 options field", v == packet.OptionsField)
		}
		u, fault := ip.Upper()
		kinds["IPv6 chain "+fault.String()]++
		count(kinds, "IPv6 fragment", u.Fragment)
		count(kinds, "IPv6 routing", u.Routing)
		count(kinds, "IPv6 hop limit 1", ip.HopLimit() == 1)
		count(kinds, "IPv6 1281", len(ip) == 1281)
	}
	for _, kind := range []string{
		"IPv4 none", "IPv4 truncated", "IPv4 bad-version", "IPv4 bad-header-length", "IPv4 bad-total-length", "IPv4 bad-checksum",
		"IPv4 malformed option", "IPv4 source route", "IPv4 stamp", "IPv4 alert", "IPv4 first fragment", "IPv4 later fragment",
		"IPv4 TTL 0", "IPv4 TTL 1", "IPv4 1500", "IPv4 1501",
		"IPv6 none", "IPv6 truncated", "IPv6 bad-version", "IPv6 options pass", "IPv6 options malformed", "IPv6 options refused",
		"IPv6 options unknown", "IPv6 options field", "IPv6 chain none", "IPv6 chain truncated", "IPv6 chain bad-option",
		"IPv6 fragment", "IPv6 routing", "IPv6 hop limit 1", "IPv6 1281",
	} {
		if kinds[kind] < 5 {
			t.Errorf("%d of 20000 packets are %s: %v", kinds[kind], kind, kinds)
		}
	}
}

func count(kinds map[string]int, kind string, is bool) {
	if is {
		kinds[kind]++
	}
}

// TestOrdinaryFramesAreOrdinary: nothing about them is for anybody to look at twice.
func TestOrdinaryFramesAreOrdinary(t *testing.T) {
	g := New(5, testWorld())
	for range 5000 {
		f := g.Ordinary4(nil)[packet.EthernetHeaderLen:]
		ip, fault := packet.CheckIPv4(f)
		if fault != packet.FaultNone || ip.IsFragment() || ip.HeaderLen() != packet.IPv4MinHeaderLen || ip.TTL() < 2 {
			t.Fatalf("%v: %x", fault, f)
		}
		f = g.Ordinary6(nil)[packet.EthernetHeaderLen:]
		ip6, fault := packet.CheckIPv6(f)
		if fault != packet.FaultNone || ip6.HopLimit() < 2 {
			t.Fatalf("%v: %x", fault, f)
		}
	}
}
