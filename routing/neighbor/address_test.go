package neighbor

import (
	"net/netip"
	"testing"
	"time"

	"router/intf"
)

// bare is a world whose unit has no addresses yet.
func bare(t *testing.T) *world {
	w := &world{T: t, Table: New(Options{Random: func() float64 { return 0.5 }}), now: time.Hour}
	w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true, Inet6: true})
	return w
}

const (
	dadLine   = "send neighbor-solicit :: asks 2001:db8::1 of 33:33:ff:00:00:01"
	naLine    = "send neighbor-advert 2001:db8::1 is 02:00:00:00:00:01 to 33:33:00:00:00:01"
	announced = "send arp-request 192.0.2.1 asks 192.0.2.1 of ff:ff:ff:ff:ff:ff"
)

var (
	prefix4 = netip.MustParsePrefix("192.0.2.1/24")
	prefix6 = netip.MustParsePrefix("2001:db8::1/64")
)

func TestDuplicateAddressDetection(t *testing.T) {
	w := bare(t)
	w.want(lines(w.AddAddress(w.now, ge0, prefix6)), dadLine)
	// A tentative address does not answer, nor learn (RFC 4862, 5.4.3).
	w.want(lines(w.Input(w.now, solicit("2001:db8::9", "2001:db8::1", theirs))))
	w.none("2001:db8::9")
	w.want(w.pass(time.Second), "1s 2001:db8::1 ok", "1s "+naLine)
	w.want(w.pass(time.Minute), "2s "+naLine)
	w.want(lines(w.AddAddress(w.now, ge0, prefix6))) // idempotent
}

func TestDuplicateAddressIsNotUsed(t *testing.T) {
	tests := map[string]Message{
		"its holder advertises": advert("2001:db8::1", theirs, "O"),
		"another searches, too": solicit("::", "2001:db8::1", intf.MAC{}),
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			w := bare(t)
			w.AddAddress(w.now, ge0, prefix6)
			w.want(lines(w.Input(w.now, m)), "2001:db8::1 duplicate at 02:00:00:00:00:02")
			w.want(w.pass(time.Minute))
			w.want(lines(w.Input(w.now, solicit("2001:db8::9", "2001:db8::1", theirs))))
			if a := w.Addresses(ge0); len(a) != 1 || a[0].Status != AddressDup || a[0].Rival != theirs {
				t.Fatalf("%+v", a)
			}
			// It is tried again when the family comes back.
			w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true})
			w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true, Inet6: true})), dadLine)
		})
	}
}

func TestOurOwnSolicitationComeBackIsNoDuplicate(t *testing.T) {
	w := bare(t)
	w.AddAddress(w.now, ge0, prefix6)
	m := solicit("::", "2001:db8::1", intf.MAC{})
	m.From = ours
	w.want(lines(w.Input(w.now, m)))
	w.want(w.pass(time.Second), "1s 2001:db8::1 ok", "1s "+naLine)
}

func TestDADDelay(t *testing.T) {
	w := bare(t)
	w.dadDelay = time.Second
	w.want(lines(w.AddAddress(w.now, ge0, prefix6)))
	w.want(w.pass(1500*time.Millisecond), "500ms "+dadLine, "1.5s 2001:db8::1 ok", "1.5s "+naLine)
}

func TestIPv4AddressIsUsedAndAnnouncedAtOnce(t *testing.T) {
	w := bare(t)
	w.want(lines(w.AddAddress(w.now, ge0, prefix4)), "192.0.2.1 ok", announced)
	w.want(w.pass(time.Minute), "2s "+announced)
}

func TestAddressesWaitForTheirFamily(t *testing.T) {
	w := &world{T: t, Table: New(Options{Random: func() float64 { return 0.5 }})}
	w.want(lines(w.AddAddress(w.now, ge0, prefix4)))
	w.want(lines(w.AddAddress(w.now, ge0, prefix6)))
	w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true, Inet6: true})),
		"192.0.2.1 ok", announced, dadLine)
}

// RFC 5227, 2.4: defend, but not more than once in ten seconds.
func TestIPv4ConflictIsReportedAndDefended(t *testing.T) {
	w := newWorld(t, Limits{})
	m := arpRequest("192.0.2.1", "192.0.2.7", theirs)
	const report = "192.0.2.1 conflict with 02:00:00:00:00:02"
	w.want(lines(w.Input(w.now, m)), report, announced)
	w.pass(DefendInterval - 1)
	w.want(lines(w.Input(w.now, m)))
	w.pass(1)
	w.want(lines(w.Input(w.now, m)), report, announced)
	// A reply or an announcement is as good a conflict.
	w.pass(DefendInterval)
	w.want(lines(w.Input(w.now, arpReply("192.0.2.1", "192.0.2.7", others))), "192.0.2.1 conflict with 02:00:00:00:00:03", announced)
	if a := w.Addresses(ge0); a[0].Status != AddressPreferred || a[0].Rival != others {
		t.Fatalf("%+v", a[0])
	}
}

func TestIPv6ConflictIsReported(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want(lines(w.Input(w.now, advert("2001:db8::1", others, "O"))), "2001:db8::1 conflict with 02:00:00:00:00:03")
	w.want(lines(w.Input(w.now, advert("2001:db8::1", others, "O"))))
}

func TestNewMACIsAnnounced(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: others, Inet: true, Inet6: true})),
		announced,
		"send neighbor-advert fe80::1 is 02:00:00:00:00:03 to 33:33:00:00:00:01",
		"send neighbor-advert 2001:db8::1 is 02:00:00:00:00:03 to 33:33:00:00:00:01")
	if got := w.pass(time.Minute); len(got) != 3 {
		t.Fatalf("second announcements: %v", got)
	}
}

func TestRemovedAddressIsNotAnswered(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want(lines(w.RemoveAddress(w.now, ge0, addr("192.0.2.1"))))
	w.want(lines(w.RemoveAddress(w.now, ge0, addr("192.0.2.1"))))
	w.want(lines(w.Input(w.now, arpRequest("192.0.2.9", "192.0.2.1", theirs))))
}

func TestRemovedWhileAnnouncing(t *testing.T) {
	w := bare(t)
	w.AddAddress(w.now, ge0, prefix4)
	w.AddAddress(w.now, ge0, prefix6)
	w.RemoveAddress(w.now, ge0, prefix4.Addr())
	w.RemoveAddress(w.now, ge0, prefix6.Addr())
	w.want(w.pass(time.Minute))
}

func TestSourceAddress(t *testing.T) {
	w := newWorld(t, Limits{})
	w.AddAddress(w.now, ge0, netip.MustParsePrefix("192.0.2.129/25"))
	w.AddAddress(w.now, ge0, netip.MustParsePrefix("198.51.100.1/24"))
	w.AddAddress(w.now, ge0, netip.MustParsePrefix("2001:db8:f::1/64")) // tentative
	u := w.units[ge0]
	for target, want := range map[string]string{
		"192.0.2.9": "192.0.2.1", "192.0.2.200": "192.0.2.129", "198.51.100.9": "198.51.100.1", "203.0.113.9": "192.0.2.1",
		"fe80::9": "fe80::1", "2001:db8::9": "2001:db8::1", "2001:db8:f::9": "fe80::1", "2001:db8:e::9": "fe80::1",
	} {
		if got := u.source(addr(target)); got != addr(want) {
			t.Errorf("for %s: %v, want %s", target, got, want)
		}
	}
}

// Packets that come before the first address is usable are not lost.
func TestResolutionWaitsForAnAddress(t *testing.T) {
	w := bare(t)
	w.AddAddress(w.now, ge0, prefix6)
	w.want(lines(w.Resolve(w.now, key("2001:db8::9"), Packet{Token: 1})), "2001:db8::9 incomplete")
	const ask = "1s send neighbor-solicit 2001:db8::1 asks 2001:db8::9 of 33:33:ff:00:00:09"
	found := false
	for _, line := range w.pass(time.Second) {
		found = found || line == ask
	}
	if !found {
		t.Fatal("it was not asked for once the address was usable")
	}
	w.want(lines(w.Input(w.now, advert("2001:db8::9", theirs, "S"))), "2001:db8::9 reachable 02:00:00:00:00:02", "deliver 1 to 02:00:00:00:00:02")
}
