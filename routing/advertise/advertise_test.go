package advertise

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"router/intf"
)

const ms = time.Millisecond

var (
	source = netip.MustParseAddr("fe80::1")
	rival  = netip.MustParseAddr("fe80::66")
)

func iface(lifetime time.Duration) Interface {
	return Interface{Source: source, MinInterval: 200 * time.Second, MaxInterval: 600 * time.Second, Advert: intf.Advert{Lifetime: lifetime, HopLimit: 64}}
}

// A sim runs a table against a clock.
type sim struct {
	*testing.T
	table *Table
	now   time.Duration
	sends []sent
}

type sent struct {
	at       time.Duration
	lifetime time.Duration
	source   netip.Addr
}

// newSim draws the random numbers in turn, the last one for ever.
func newSim(t *testing.T, numbers ...float64) *sim {
	return &sim{T: t, table: New(func() float64 {
		x := numbers[0]
		if len(numbers) > 1 {
			numbers = numbers[1:]
		}
		return x
	})}
}

func (s *sim) take(sends []Send) {
	for _, x := range sends {
		s.sends = append(s.sends, sent{s.now, x.Advert.Lifetime, x.Source})
	}
}

// until lets time go by to a moment, by the table's own timers.
func (s *sim) until(end time.Duration) {
	for {
		due, ok := s.table.Next()
		if !ok || due > end {
			s.now = end
			return
		}
		if due < s.now {
			s.Fatalf("at %v something was due at %v", s.now, due)
		}
		s.now = due
		s.take(s.table.Tick(due))
	}
}

func (s *sim) want(times ...time.Duration) {
	s.Helper()
	var got []time.Duration
	for _, x := range s.sends {
		got = append(got, x.at)
	}
	if len(got) != len(times) {
		s.Fatalf("sent at %v, want %v", got, times)
	}
	for i := range got {
		if got[i] != times[i] {
			s.Fatalf("sent at %v, want %v", got, times)
		}
	}
}

func TestInitialAdvertisements(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(1800*time.Second)))
	s.until(1000 * time.Second)
	// Three at once or after 16 s at most, then every 400 s.
	s.want(0, 16*time.Second, 32*time.Second, 432*time.Second, 832*time.Second)
	if c, _, ok := s.table.State(1); !ok || c.Sent != 5 {
		t.Errorf("counted %+v", c)
	}
}

func TestIntervalsAreRandomWithinBounds(t *testing.T) {
	s := newSim(t, 0, 0, 0, 0.25, 0.999)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(1200 * time.Second)
	s.want(0, 16*time.Second, 32*time.Second, 232*time.Second, 532*time.Second, 532*time.Second+200*time.Second+time.Duration(0.999*400*float64(time.Second)))
}

func TestSolicitedAdvertisements(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(100 * time.Second)
	s.sends = nil
	s.table.Solicit(s.now, 1)
	s.until(100*time.Second + 200*ms)
	s.want()
	s.table.Solicit(s.now, 1) // the one that is due answers both
	s.until(101 * time.Second)
	s.want(100*time.Second + 250*ms)
	// Soon after, no sooner than three seconds after the last one.
	s.table.Solicit(s.now, 1)
	s.until(110 * time.Second)
	s.want(100*time.Second+250*ms, 103*time.Second+500*ms)
	// An answer to all is an unsolicited one: the next follows 400 s later.
	s.until(600 * time.Second)
	s.want(100*time.Second+250*ms, 103*time.Second+500*ms, 503*time.Second+500*ms)
	s.table.Solicit(s.now, 2)
	if c, _, _ := s.table.State(1); c.Solicitations != 3 {
		t.Errorf("counted %+v", c)
	}
}

func TestSolicitationsAtAnyRateAreAnsweredEveryThreeSeconds(t *testing.T) {
	s := newSim(t, 0)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	for s.now < 60*time.Second {
		s.table.Solicit(s.now, 1)
		s.until(s.now + 10*ms)
	}
	for i := 1; i < len(s.sends); i++ {
		if d := s.sends[i].at - s.sends[i-1].at; d < MinDelay {
			t.Errorf("advertisements %v apart", d)
		}
	}
	if n := len(s.sends); n < 18 || n > 21 {
		t.Errorf("%d advertisements in a minute", n)
	}
}

func TestWhatChangesIsSaidSoon(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(100 * time.Second)
	s.sends = nil
	s.take(s.table.Set(s.now, 1, iface(time.Hour))) // the same
	s.until(200 * time.Second)
	s.want()
	s.take(s.table.Set(s.now, 1, iface(time.Minute)))
	s.until(300 * time.Second)
	s.want(200*time.Second, 216*time.Second, 232*time.Second)
	// Two changes at once are not two advertisements at once.
	s.sends = nil
	s.take(s.table.Set(s.now, 1, iface(time.Hour)))
	s.take(s.table.Set(s.now, 1, iface(0)))
	s.until(304 * time.Second)
	s.want(300*time.Second, 303*time.Second)
	if s.sends[1].lifetime != 0 {
		t.Errorf("the second says %v", s.sends[1].lifetime)
	}
}

func TestCeasing(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(100 * time.Second)
	s.sends = nil
	s.take(s.table.Cease(s.now, 1))
	s.take(s.table.Cease(s.now, 1))
	s.table.Solicit(s.now, 1)
	s.until(1000 * time.Second)
	s.want(100*time.Second, 103*time.Second, 106*time.Second)
	for _, x := range s.sends {
		if x.lifetime != 0 {
			t.Errorf("a last one with lifetime %v", x.lifetime)
		}
	}
	if _, ok := s.table.Next(); ok {
		t.Error("there is still something to come")
	}
	s.take(s.table.Leave(s.now, 1))
	s.table.Remove(1)
	s.want(100*time.Second, 103*time.Second, 106*time.Second)
	if _, _, ok := s.table.State(1); ok {
		t.Error("still there")
	}
}

func TestLeavingIsSaidAtOnce(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(time.Second)
	s.take(s.table.Leave(s.now, 1))
	s.want(0, time.Second)
	if s.sends[1].lifetime != 0 {
		t.Errorf("it says %v", s.sends[1].lifetime)
	}
	s.take(s.table.Leave(s.now, 1))
	s.table.Remove(1)
	s.until(1000 * time.Second)
	s.want(0, time.Second)
}

func TestALinkThatGoesAndComesBack(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(100 * time.Second)
	s.sends = nil
	s.table.Stop(1)
	s.until(2000 * time.Second)
	s.want()
	s.take(s.table.Set(s.now, 1, iface(time.Hour)))
	s.until(2020 * time.Second)
	s.want(2000*time.Second, 2016*time.Second)
	if c, _, _ := s.table.State(1); c.Sent != 5 {
		t.Errorf("counted %+v", c)
	}
}

func TestANewSourceTakesOver(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	s.until(100 * time.Second)
	s.sends = nil
	other := iface(time.Hour)
	other.Source = netip.MustParseAddr("fe80::2")
	s.take(s.table.Set(s.now, 1, other))
	s.until(110 * time.Second)
	s.want(100*time.Second, 103*time.Second)
	if x := s.sends[0]; x.source != source || x.lifetime != 0 {
		t.Errorf("the old one says %+v", x)
	}
	if x := s.sends[1]; x.source != other.Source || x.lifetime != time.Hour {
		t.Errorf("the new one says %+v", x)
	}
}

func TestUnitsAreIndependent(t *testing.T) {
	s := newSim(t, 0.5)
	for i := range intf.Index(100) {
		s.take(s.table.Set(s.now, i+1, iface(time.Hour)))
	}
	s.until(50 * time.Second)
	if len(s.sends) != 300 {
		t.Errorf("%d advertisements, want 300", len(s.sends))
	}
	s.take(s.table.Cease(s.now, 7))
	s.table.Stop(8)
	s.until(1000 * time.Second)
	if got, want := len(s.table.Units()), 100; got != want {
		t.Errorf("%d units, want %d", got, want)
	}
}

func TestInconsistenciesAreReportedOnce(t *testing.T) {
	s := newSim(t, 0.5)
	s.take(s.table.Set(0, 1, iface(time.Hour)))
	theirs := intf.Advert{HopLimit: 32, Managed: true}
	if got := s.table.Receive(s.now, 1, rival, &theirs); got != "fe80::66: hop limit 32, ours is 64; managed true, ours is false" {
		t.Errorf("reported %q", got)
	}
	s.now = time.Minute
	if got := s.table.Receive(s.now, 1, rival, &theirs); got != "" {
		t.Errorf("the same is reported again: %q", got)
	}
	theirs.HopLimit = 33
	if got := s.table.Receive(s.now, 1, rival, &theirs); !strings.HasPrefix(got, "fe80::66: hop limit 33") {
		t.Errorf("something new: reported %q", got)
	}
	theirs.HopLimit = 34
	if got := s.table.Receive(s.now+time.Second, 1, rival, &theirs); got != "" {
		t.Errorf("something new too soon: reported %q", got)
	}
	if got := s.table.Receive(s.now, 1, rival, &intf.Advert{}); got != "" {
		t.Errorf("a router that leaves everything open: %q", got)
	}
	c, differs, _ := s.table.State(1)
	if c.Adverts != 5 || c.Inconsistent != 4 || !strings.HasPrefix(differs, "fe80::66: hop limit 33") {
		t.Errorf("counted %+v, %q", c, differs)
	}
}

func TestDifferences(t *testing.T) {
	prefix := intf.AdvertPrefix{Prefix: netip.MustParsePrefix("2001:db8::/64"), Valid: time.Hour, Preferred: time.Minute}
	shorter := prefix
	shorter.Valid, shorter.Preferred = time.Minute, time.Second
	ours := intf.Advert{HopLimit: 64, Reachable: time.Second, Retrans: time.Second, MTU: 1500, Prefixes: []intf.AdvertPrefix{prefix}}
	for _, c := range []struct {
		name   string
		change func(*intf.Advert)
		want   string
	}{
		{"nothing", func(*intf.Advert) {}, ""},
		{"open values", func(a *intf.Advert) { *a = intf.Advert{} }, ""},
		{"other lifetime of the router", func(a *intf.Advert) { a.Lifetime = time.Second }, ""},
		{"managed", func(a *intf.Advert) { a.Managed = true }, "managed true, ours is false"},
		{"other", func(a *intf.Advert) { a.Other = true }, "other-config true, ours is false"},
		{"reachable", func(a *intf.Advert) { a.Reachable = time.Minute }, "reachable time 1m0s, ours is 1s"},
		{"retrans", func(a *intf.Advert) { a.Retrans = time.Minute }, "retransmission time 1m0s, ours is 1s"},
		{"mtu", func(a *intf.Advert) { a.MTU = 1280 }, "mtu 1280, ours is 1500"},
		{"prefix", func(a *intf.Advert) { a.Prefixes = []intf.AdvertPrefix{shorter} },
			"valid lifetime of 2001:db8::/64 1m0s, ours is 1h0m0s; preferred lifetime of 2001:db8::/64 1s, ours is 1m0s"},
	} {
		theirs := ours
		c.change(&theirs)
		if got := Differences(&ours, &theirs); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
