package control

import (
	"testing"
	"time"

	"router/models"
)

func TestMeter(t *testing.T) {
	var m meter
	start := time.Unix(1000, 0)
	c := models.Counters{InOctets: 1000, InUnicast: 10, OutOctets: 500, OutUnicast: 5, InDiscards: 3}
	if got := m.shown(c); got != c || m.rates.Known {
		t.Errorf("before anything: %+v, rates %+v", got, m.rates)
	}
	m.take(start, c)
	if m.rates.Known {
		t.Error("a rate of one reading")
	}
	c.InOctets, c.InUnicast, c.InBroadcast = c.InOctets+5000, c.InUnicast+40, 10
	m.take(start.Add(5*time.Second), c)
	if want := (models.Rates{Known: true, InBits: 8000, InPackets: 10}); m.rates != want {
		t.Errorf("%+v, want %+v", m.rates, want)
	}

	m.clear(start, c, map[string]uint64{"ttl-exceeded": 4, "no-route": 2})
	if got := m.shown(c); got != (models.Counters{}) {
		t.Errorf("after the clearing: %+v", got)
	}
	c.InOctets += 64
	c.InUnicast++
	c.InDiscards++
	if got, want := m.shown(c), (models.Counters{InOctets: 64, InUnicast: 1, InDiscards: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	drops := map[string]uint64{"ttl-exceeded": 5, "no-route": 2, "filter": 1}
	m.shownDrops(drops)
	if len(drops) != 2 || drops["ttl-exceeded"] != 1 || drops["filter"] != 1 {
		t.Errorf("%v", drops)
	}

	// The device is opened anew: its counters begin at zero, and so they are shown.
	again := models.Counters{InOctets: 10, InUnicast: 1}
	if got := m.shown(again); got != again {
		t.Errorf("%+v", got)
	}
	m.take(start.Add(10*time.Second), again)
	if m.rates.Known {
		t.Errorf("a rate of counters that went back: %+v", m.rates)
	}
}

// TestMeterBeginsAnew follows the times at which what is shown began.
func TestMeterBeginsAnew(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	var m meter
	is := func(what string, anew, drops, made time.Time) {
		t.Helper()
		if m.anew != anew || m.dropsAnew != drops || m.made != made {
			t.Errorf("%s: %v, %v, %v; want %v, %v, %v", what, m.anew, m.dropsAnew, m.made, anew, drops, made)
		}
	}
	is("nothing", time.Time{}, time.Time{}, time.Time{})
	m.begin(at(100))
	is("made", at(100), at(100), at(100))
	m.carry(models.Counters{InUnicast: 5}, at(30), at(40))
	is("taken over", at(40), at(100), at(100))
	if got := m.shown(models.Counters{InUnicast: 2}); got.InUnicast != 7 || m.cleared != at(30) {
		t.Errorf("%+v, cleared %v", got, m.cleared)
	}
	m.clear(at(200), models.Counters{InUnicast: 9}, nil)
	is("cleared", at(200), at(200), at(100))
	m.begin(at(300))
	is("opened anew", at(300), at(300), at(300))
	if got := m.shown(models.Counters{InUnicast: 2}); got.InUnicast != 2 {
		t.Errorf("%+v", got)
	}
}

func TestSince(t *testing.T) {
	base := map[string]models.PacketCount{"a": {Packets: 5, Octets: 500}}
	for _, c := range []struct {
		term      string
		now, want models.PacketCount
	}{
		{"a", models.PacketCount{Packets: 7, Octets: 650}, models.PacketCount{Packets: 2, Octets: 150}},
		{"a", models.PacketCount{Packets: 1, Octets: 64}, models.PacketCount{Packets: 1, Octets: 64}}, // made anew
		{"b", models.PacketCount{Packets: 1, Octets: 64}, models.PacketCount{Packets: 1, Octets: 64}},
	} {
		if got := since(base, c.term, c.now); got != c.want {
			t.Errorf("%s at %v: %v, want %v", c.term, c.now, got, c.want)
		}
	}
}
