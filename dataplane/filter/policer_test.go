package filter

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A reference is a policer as RFC 2697 and 2698 write it: buckets of tokens that are
// refilled up to their size, with fractions that are exact.
type reference struct {
	spec     *PolicerSpec
	last     int64
	tc, te   *big.Rat // te is Tp of RFC 2698
	cbs, ebs *big.Rat
}

func newReference(s *PolicerSpec) *reference {
	r := &reference{spec: s}
	r.cbs, r.ebs = new(big.Rat).SetUint64(s.Burst), new(big.Rat).SetUint64(s.ExtraBurst)
	r.tc, r.te = new(big.Rat).Set(r.cbs), new(big.Rat).Set(r.ebs)
	return r
}

// tokens is what comes in at a rate over a time.
func (r *reference) tokens(rate uint64, nanoseconds int64) *big.Rat {
	per := int64(8_000_000_000)
	if r.spec.Packets {
		per = 1_000_000_000
	}
	t := new(big.Rat).SetUint64(rate)
	return t.Mul(t, big.NewRat(nanoseconds, per))
}

func (r *reference) colour(now int64, octets uint32, loss uint8) Colour {
	fill := func(b, size, with *big.Rat) (surplus *big.Rat) {
		b.Add(b, with)
		surplus = new(big.Rat).Sub(b, size)
		if surplus.Sign() <= 0 {
			return new(big.Rat)
		}
		b.Set(size)
		return surplus
	}
	in := r.tokens(r.spec.Rate, now-r.last)
	switch r.spec.Kind {
	case TwoColour:
		fill(r.tc, r.cbs, in)
	case SingleRate:
		fill(r.te, r.ebs, fill(r.tc, r.cbs, in))
	case TwoRate:
		fill(r.tc, r.cbs, in)
		fill(r.te, r.ebs, r.tokens(r.spec.PeakRate, now-r.last))
	}
	r.last = now
	b := new(big.Rat).SetUint64(uint64(octets))
	if r.spec.Packets {
		b.SetInt64(1)
	}
	aware := r.spec.ColourAware
	wasYellow, wasRed := aware && (loss == LossMediumLow || loss == LossMediumHigh), aware && loss == LossHigh
	take := func(t *big.Rat) bool {
		if t.Cmp(b) < 0 {
			return false
		}
		t.Sub(t, b)
		return true
	}
	switch r.spec.Kind {
	case TwoColour:
		if wasYellow || wasRed || !take(r.tc) {
			return Red
		}
		return Green
	case SingleRate:
		switch {
		case !wasYellow && !wasRed && take(r.tc):
			return Green
		case !wasRed && take(r.te):
			return Yellow
		}
		return Red
	case TwoRate:
		switch {
		case wasRed || !take(r.te):
			return Red
		case wasYellow || !take(r.tc):
			return Yellow
		}
	}
	return Green
}

// policers for tests: the rates divide a tick, so that the reference's fractions and
// our ticks agree to the last packet.
var testPolicers = []PolicerSpec{
	{Name: "two-colour", Rate: 8_000_000, Burst: 3000},
	{Name: "two-colour aware", Rate: 8_000_000, Burst: 3000, ColourAware: true},
	{Name: "two-colour fast", Rate: 8_000_000_000, Burst: 64000},
	{Name: "two-colour packets", Rate: 1000, Burst: 5, Packets: true},
	{Name: "srTCM", Kind: SingleRate, Rate: 8_000_000, Burst: 3000, ExtraBurst: 6000},
	{Name: "srTCM without excess", Kind: SingleRate, Rate: 8_000_000, Burst: 3000},
	{Name: "srTCM aware", Kind: SingleRate, Rate: 8_000_000, Burst: 3000, ExtraBurst: 6000, ColourAware: true},
	{Name: "srTCM packets", Kind: SingleRate, Rate: 1000, Burst: 3, ExtraBurst: 4, Packets: true},
	{Name: "trTCM", Kind: TwoRate, Rate: 8_000_000, Burst: 3000, PeakRate: 16_000_000, ExtraBurst: 6000},
	{Name: "trTCM aware", Kind: TwoRate, Rate: 8_000_000, Burst: 3000, PeakRate: 16_000_000, ExtraBurst: 6000, ColourAware: true},
	{Name: "trTCM packets", Kind: TwoRate, Rate: 1000, Burst: 5, PeakRate: 2000, ExtraBurst: 4, Packets: true},
}

func TestPolicersAgreeWithRFC(t *testing.T) {
	for _, s := range testPolicers {
		t.Run(s.Name, func(t *testing.T) {
			seeds := uint64(20)
			if testing.Short() {
				seeds = 3
			}
			for seed := range seeds {
				r := rand.New(rand.NewPCG(seed, 2))
				p, err := started(&s)
				if err != nil {
					t.Fatal(err)
				}
				ref := newReference(&s)
				var seen [NumColours]int
				// A load about as high as the rate, with pauses that fill the buckets.
				mean := ref.tokens(s.Rate, 1_000_000_000)
				perSecond, _ := mean.Float64()
				now := int64(0)
				for i := range 3000 {
					octets := uint32(40 + r.IntN(1461))
					units := float64(octets)
					if s.Packets {
						units = 1
					}
					gap := units / perSecond * 1e9 * []float64{0, 0.2, 0.5, 1, 2}[r.IntN(5)] * r.Float64() * 1.7
					if r.IntN(100) == 0 {
						gap *= 50
					}
					now += int64(gap)
					loss := uint8(r.IntN(4))
					got, want := p.colour(now, octets, loss), ref.colour(now, octets, loss)
					if got != want {
						t.Fatalf("seed %d: packet %d, %d octets at %d ns, loss priority %d: colour %d, want %d", seed, i, octets, now, loss, got, want)
					}
					seen[got]++
				}
				if seen[Green] == 0 || seen[Red] == 0 || s.Kind != TwoColour && s.ExtraBurst > 0 && seen[Yellow] == 0 {
					t.Fatalf("seed %d: colours %v: the load shows nothing", seed, seen)
				}
			}
		})
	}
}

// Many workers at one policer take together what one worker could, whatever the
// order in which they come, also with clocks that differ by a batch.
func TestPolicerIsSharedExactly(t *testing.T) {
	const workers, octets = 4, 1000
	for _, s := range testPolicers {
		if s.ColourAware {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			p, err := started(&s)
			if err != nil {
				t.Fatal(err)
			}
			ref := newReference(&s)
			unit := uint64(octets)
			if s.Packets {
				unit = 1
			}
			// Four times the load that is let through, over 10,000 bursts.
			gap := new(big.Rat).Quo(new(big.Rat).SetUint64(unit), ref.tokens(s.Rate, 1))
			f, _ := gap.Float64()
			step := max(1, int64(f/4))
			end := int64(float64(s.Burst) / float64(unit) * f * 10_000)
			var clock atomic.Int64
			var green, passed [workers]uint64
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for {
						now := clock.Add(step)
						if now > end {
							return
						}
						//exhaustive:ignore what is red is dropped
						switch p.colour(max(0, now-int64(w)*step), octets, 0) {
						case Green:
							green[w] += unit
							passed[w] += unit
						case Yellow:
							passed[w] += unit
						}
					}
				})
			}
			wg.Wait()
			var g, all uint64
			for w := range workers {
				g += green[w]
				all += passed[w]
			}
			check := func(what string, got, rate, burst uint64) {
				in, _ := ref.tokens(rate, end).Float64()
				most := in + float64(burst)
				// Clocks behind and the last packet that doesn't fit may leave a little.
				least := in - float64(4*burst) - 4*float64(unit)
				if float64(got) > most || float64(got) < least {
					t.Errorf("%s: %d, want %.0f to %.0f", what, got, least, most)
				}
			}
			switch s.Kind {
			case TwoColour:
				check("green", g, s.Rate, s.Burst)
			case SingleRate:
				check("green", g, s.Rate, s.Burst)
				check("green and yellow", all, s.Rate, s.Burst+s.ExtraBurst)
			case TwoRate:
				check("green", g, s.Rate, s.Burst)
				check("green and yellow", all, s.PeakRate, s.ExtraBurst)
			}
		})
	}
}

func TestPolicerThatWasIdleForYears(t *testing.T) {
	p, err := started(&PolicerSpec{Name: "p", Rate: 8_000, Burst: 2000})
	if err != nil {
		t.Fatal(err)
	}
	const day = int64(86_400e9)
	for _, d := range []int64{0, 1, 300, 1000, 1800, 2600} {
		if got := p.colour(d*day, 1000, 0); got != Green {
			t.Errorf("after %d days: colour %d, want green", d, got)
		}
	}
}

func TestPolicerSpecsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		spec PolicerSpec
		want string
	}{
		{PolicerSpec{Burst: 1}, "rate is 0"},
		{PolicerSpec{Rate: 1}, "burst is 0"},
		{PolicerSpec{Rate: 1000, Burst: 1 << 40}, "more than 100 days"},
		{PolicerSpec{Rate: 1, Burst: ^uint64(0)}, "more than 100 days"},
		{PolicerSpec{Rate: 1000, Burst: 1, PeakRate: 2000}, "only a two-rate policer"},
		{PolicerSpec{Rate: 1000, Burst: 1, ExtraBurst: 1}, "has one burst"},
		{PolicerSpec{Rate: 1000, Burst: 1, Yellow: ColourAction{Drop: true}}, "no yellow"},
		{PolicerSpec{Kind: TwoRate, Rate: 1000, Burst: 1, PeakRate: 999, ExtraBurst: 1}, "below the committed rate"},
		{PolicerSpec{Kind: TwoRate, Rate: 1000, Burst: 1, PeakRate: 1000}, "peak burst is 0"},
		{PolicerSpec{Rate: 1000, Burst: 1, Red: ColourAction{DSCP: Some[uint8](64)}}, "dscp 64 is above 63"},
		{PolicerSpec{Rate: 1000, Burst: 1, Red: ColourAction{LossPriority: Some[uint8](4)}}, "loss priority 4 is above 3"},
		{PolicerSpec{Kind: 9, Rate: 1000, Burst: 1}, "unknown"},
	} {
		c.spec.Name = "p"
		err := c.spec.Check()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "policer p: ") {
			t.Errorf("%+v: error %v, want one with %q", c.spec, err, c.want)
		}
	}
}

// started is a policer with full buckets.
func started(s *PolicerSpec) (*Policer, error) {
	p, err := newPolicer(s, 1)
	if err != nil {
		return nil, err
	}
	return p.start(nil), nil
}
