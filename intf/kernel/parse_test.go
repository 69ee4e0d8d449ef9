package kernel

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"router/intf"
)

func TestParseLinkReadsWhatIsThere(t *testing.T) {
	b := ifinfo(7, unix.IFF_UP|unix.IFF_LOWER_UP|unix.IFF_NOARP, 0)
	b.text(unix.IFLA_IFNAME, "ge0")
	b.bytes(unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 9})
	b.u32(unix.IFLA_MTU, 1500)
	b.u32(iflaMaxMTU, 9000)
	b.text(unix.IFLA_IFALIAS, "routerd:r1:ge0.0")
	var info message
	info.text(iflaInfoKind, "veth")
	b.bytes(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, info)
	l, err := parseLink(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Link{
		Name: "ge0", Index: 7, Present: true, AdminUp: true, Carrier: true, NoARP: true,
		MAC: intf.MAC{2, 0, 0, 0, 0, 9}, MTU: 1500, MaxMTU: 9000, Kind: "veth", Alias: "routerd:r1:ge0.0",
	}
	if !l.equal(want) {
		t.Errorf("got %+v\nwant %+v", l, want)
	}
	if m, ok := ParseMark(l.Alias); !ok || m != (Mark{Router: "r1", Object: "ge0.0"}) || m.Alias() != l.Alias {
		t.Errorf("mark %+v", m)
	}
}

func TestMarksOfOthers(t *testing.T) {
	for _, alias := range []string{"", "uplink", "routerd:", "routerd:r1", "routerd::ge0.0", "xrouterd:r1:ge0.0"} {
		if m, ok := ParseMark(alias); ok {
			t.Errorf("%q was taken for %+v", alias, m)
		}
	}
}

func TestAddressMessagesSurviveTheRoundTrip(t *testing.T) {
	for _, a := range []Address{
		{Index: 3, Prefix: netip.MustParsePrefix("192.0.2.1/24")},
		{Index: 3, Prefix: netip.MustParsePrefix("192.0.2.1/32"), Peer: netip.MustParseAddr("192.0.2.2")},
		{Index: 3, Prefix: netip.MustParsePrefix("2001:db8::1/64")},
		{Index: 3, Prefix: netip.MustParsePrefix("fe80::1/64")},
	} {
		if got, err := parseAddress(addressMessage(a)); err != nil || got != a {
			t.Errorf("got %+v, %v; want %+v", got, err, a)
		}
	}
}

func TestRoutesAndRulesSurviveTheRoundTrip(t *testing.T) {
	for _, r := range []DefaultRoute{
		{Family: intf.Inet, Table: MainTable, Index: 4, Via: netip.MustParseAddr("192.0.0.8"), Metric: 9, Source: netip.MustParseAddr("192.0.2.1")},
		{Family: intf.Inet6, Table: 0x52000004, Index: 4, Via: netip.MustParseAddr("fe80::8"), Metric: 1},
	} {
		if got, ok := parseDefault(r.message()); !ok || got != r {
			t.Errorf("got %+v, %t; want %+v", got, ok, r)
		}
	}
	for _, r := range []Rule{
		{Source: netip.MustParseAddr("192.0.2.1"), Table: 0x52000004, Priority: 20000},
		{Source: netip.MustParseAddr("2001:db8::1"), Table: MainTable, Priority: 1},
	} {
		if got, ok := parseRule(r.message()); !ok || got != r {
			t.Errorf("got %+v, %t; want %+v", got, ok, r)
		}
	}
}

func TestDiffLinks(t *testing.T) {
	link := func(name string, index, mtu int) Link {
		return Link{Name: name, Index: index, Present: true, MTU: mtu}
	}
	old := map[string]Link{"a": link("a", 1, 1500), "b": link("b", 2, 1500), "c": link("c", 3, 1500), "d": link("d", 4, 1500)}
	addressed := link("d", 4, 1500)
	addressed.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
	now := map[string]Link{"a": link("a", 1, 1500), "b": link("b", 9, 1500), "e": link("e", 5, 1500), "d": addressed}
	var got []string
	for _, l := range diffLinks(old, now) {
		text := l.Name
		if !l.Present {
			text = "-" + text
		}
		got = append(got, text)
	}
	want := []string{"-c", "b", "d", "e"}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestLinkReasons(t *testing.T) {
	whole := Link{Name: "ge0", Present: true, AdminUp: true, Carrier: true}
	tests := []struct {
		name  string
		spoil func(*Link)
		want  string
	}{
		{"whole", func(*Link) {}, ""},
		{"absent", func(l *Link) { l.Present = false }, "no link ge0 in the kernel"},
		{"member of a bond", func(l *Link) { l.Master, l.MasterKind = "bond0", "bond" },
			`link is a member of bond bond0: release it with "ip link set ge0 nomaster"`},
		{"down", func(l *Link) { l.AdminUp = false }, "link is down: set it up"},
		{"no carrier", func(l *Link) { l.Carrier = false }, "no carrier: check the cable or the far end"},
	}
	for _, test := range tests {
		l := whole
		test.spoil(&l)
		if got := l.Reason(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// FuzzParse gives every parser of kernel messages the same octets: none may
// panic, and what is accepted must be usable.
func FuzzParse(f *testing.F) {
	link := ifinfo(7, 1, 0)
	link.text(unix.IFLA_IFNAME, "ge0")
	f.Add([]byte(link))
	f.Add([]byte(addressMessage(Address{Index: 3, Prefix: netip.MustParsePrefix("192.0.2.1/24")})))
	f.Add([]byte(DefaultRoute{Family: intf.Inet, Table: MainTable, Index: 4, Via: netip.MustParseAddr("192.0.0.8")}.message()))
	f.Add([]byte(Rule{Source: netip.MustParseAddr("2001:db8::1"), Table: 9}.message()))
	f.Add(binary.NativeEndian.AppendUint16(make([]byte, 16), 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := parseLink(b); err == nil && (l.Name == "" || l.Index <= 0) {
			t.Errorf("link %+v", l)
		}
		if a, err := parseAddress(b); err == nil && !a.Prefix.IsValid() {
			t.Errorf("address %+v", a)
		}
		if r, ok := parseRule(b); ok && !r.Source.IsValid() {
			t.Errorf("rule %+v", r)
		}
		parseDefault(b)
		for _, typ := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELADDR, unix.RTM_NEWROUTE, unix.RTM_DELRULE} {
			parseEvent(typ, b)
		}
	})
}
