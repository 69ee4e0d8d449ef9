package filter

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
)

// A Policer measures packets against a PolicerSpec and colours them. Any number of
// workers may use it at once without locks.
//
// Its buckets conform exactly: what all workers together take never exceeds burst
// and rate, by the clock that is passed in. A worker whose reading is older than
// another's, by a batch, finds that much less refilled, never more.
type Policer struct {
	spec      *PolicerSpec
	committed bucket
	peak      bucket // of TwoRate
	excess    bucket // of SingleRate: its debt doesn't pass by itself
	act       [NumColours]action
	tallies   []Tally // by Colour
}

// A bucket is a token bucket whose tokens are time: owes is the instant at which it
// will be full again. A packet puts that off by the time that its octets take at
// the bucket's rate, and conforms if the debt stays within the time that the whole
// bucket takes to fill. So there is no refill, and a bucket is one word, from which
// to take is one compare-and-swap.
//
// The unit is a tick of 2^-7 ns: 64 octets at 400 Gb/s are 164 of them. Instants
// wrap after 4.5 years, which only a bucket can notice that saw no packet for more
// than two.
type bucket struct {
	owes *atomic.Uint64
	word *Word  // where owes is; nil for a bucket that the policer doesn't have
	size uint64 // ticks from empty to full
	cost uint64 // ticks of a unit, which is an octet or a packet, times 2^costBits
}

const (
	tickBits = 7
	costBits = 20
	second   = 1_000_000_000 << tickBits
	// maxSize keeps debts far below half the range of instants, 104 days.
	maxSize = 1 << 60
	// wrapped is more than any debt, whatever clocks differ by and bursts were.
	wrapped = 1 << 62
)

// errSlow is what is wrong with a rate that takes too long to fill a bucket.
var errSlow = errors.New("the burst takes more than 100 days at the rate: raise the rate or lower the burst")

// A Word is that of a bucket, which may lie where the fast path takes from it too.
type Word struct {
	Owes *atomic.Uint64
	// Place is the number by which the fast path knows the word; 0 for a word that is
	// this process's alone.
	Place uint32
}

// use makes the bucket one that stands in a word.
func (b *bucket) use(w *Word) { b.word, b.owes = w, w.Owes }

// newBucket is a bucket for rate units a second, without its word.
func newBucket(rate, burst uint64, packets bool) (bucket, error) {
	var b bucket
	unit := uint64(8 * second) // rates are in bits
	if packets {
		unit = second
	}
	b.cost = max(1, unit<<costBits/rate)
	var ok bool
	if b.size, ok = b.ticks(burst); !ok || b.size > maxSize {
		return b, errSlow
	}
	return b, nil
}

// ticks is how long units take; it reports false when that can't be said.
func (b *bucket) ticks(units uint64) (uint64, bool) {
	hi, lo := bits.Mul64(units, b.cost)
	return hi<<(64-costBits) | lo>>costBits, hi>>costBits == 0
}

// debt is what the bucket owes at an instant, and how long it has been full.
func (b *bucket) debt(owes, now uint64) (debt, idle uint64) {
	switch d := int64(owes - now); {
	case d <= 0:
		return 0, uint64(-d)
	case d > wrapped:
		return 0, b.size
	default:
		return uint64(d), 0
	}
}

// take takes ticks of tokens at an instant if they are there.
func (b *bucket) take(now, ticks uint64) bool {
	for {
		owes := b.owes.Load()
		debt, _ := b.debt(owes, now)
		if debt += ticks; debt > b.size {
			return false
		}
		if b.owes.CompareAndSwap(owes, now+debt) {
			return true
		}
	}
}

// takeOver is take for a bucket whose surplus goes over to another one: tokens that
// come while it is full. Whoever moves owes on from an instant that has passed has
// the surplus since then to give, so it is given once.
func (b *bucket) takeOver(now, ticks uint64, to *bucket) bool {
	for {
		owes := b.owes.Load()
		debt, idle := b.debt(owes, now)
		fits := debt+ticks <= b.size
		if !fits && idle == 0 {
			return false
		}
		next := now + debt
		if fits {
			next += ticks
		}
		if next == owes || b.owes.CompareAndSwap(owes, next) {
			if idle > 0 {
				to.give(idle)
			}
			return fits
		}
	}
}

// give lowers the debt of a bucket whose debt is a number of ticks, not an instant.
func (b *bucket) give(ticks uint64) {
	for {
		owes := b.owes.Load()
		if owes == 0 || b.owes.CompareAndSwap(owes, owes-min(owes, ticks)) {
			return
		}
	}
}

// takeDebt takes from such a bucket.
func (b *bucket) takeDebt(ticks uint64) bool {
	for {
		owes := b.owes.Load()
		if owes+ticks > b.size {
			return false
		}
		if b.owes.CompareAndSwap(owes, owes+ticks) {
			return true
		}
	}
}

// Check finds what is wrong with a policer.
func (s *PolicerSpec) Check() error {
	_, err := newPolicer(s, 1)
	return err
}

// newPolicer makes a policer whose buckets have no words yet.
func newPolicer(s *PolicerSpec, workers int) (*Policer, error) {
	p := &Policer{spec: s, tallies: newTallies(int(NumColours), workers)}
	if err := p.build(); err != nil {
		return nil, fmt.Errorf("policer %s: %w", s.Name, err)
	}
	return p, nil
}

func (p *Policer) build() (err error) {
	s := p.spec
	switch {
	case s.Kind > TwoRate:
		return fmt.Errorf("kind %d is unknown", s.Kind)
	case s.Rate == 0:
		return errors.New("the rate is 0: use the discard action to pass nothing")
	case s.Burst == 0:
		return errors.New("the burst is 0, so no packet would conform: give it at least the MTU")
	case s.Kind != TwoRate && s.PeakRate != 0:
		return errors.New("only a two-rate policer has a peak rate: remove it")
	case s.Kind == TwoColour && s.ExtraBurst != 0:
		return errors.New("a two-colour policer has one burst: remove the other")
	case s.Kind == TwoColour && s.Yellow != ColourAction{}:
		return errors.New("a two-colour policer has no yellow packets: remove their action")
	case s.Kind == TwoRate && s.PeakRate < s.Rate:
		return fmt.Errorf("the peak rate %d is below the committed rate %d: raise it", s.PeakRate, s.Rate)
	case s.Kind == TwoRate && s.ExtraBurst == 0:
		return errors.New("the peak burst is 0, so no packet would conform: give it at least the MTU")
	}
	if p.committed, err = newBucket(s.Rate, s.Burst, s.Packets); err != nil {
		return err
	}
	switch s.Kind {
	case TwoColour:
	case SingleRate:
		p.excess, err = newBucket(s.Rate, s.ExtraBurst, s.Packets)
	case TwoRate:
		p.peak, err = newBucket(s.PeakRate, s.ExtraBurst, s.Packets)
	}
	if err != nil {
		return err
	}
	for c, a := range [...]*ColourAction{&s.Green, &s.Yellow, &s.Red} {
		if err := checkMarking("a colour's", a.DSCP, a.LossPriority, a.ForwardingClass); err != nil {
			return err
		}
		p.act[c] = action{
			does: marking(a.DSCP, a.LossPriority, a.ForwardingClass),
			dscp: a.DSCP.V, loss: a.LossPriority.V, class: a.ForwardingClass.V,
		}
		if a.Drop {
			p.act[c].kind = Discard
		}
	}
	return nil
}

// start gives full buckets to a policer that has not adopted any. words may be nil.
func (p *Policer) start(words func() *Word) *Policer {
	fresh := func() *Word {
		if words != nil {
			if w := words(); w != nil {
				return w
			}
		}
		return &Word{Owes: new(atomic.Uint64)}
	}
	if p.committed.word == nil {
		p.committed.use(fresh())
	}
	if second := p.second(); second != nil && second.word == nil {
		second.use(fresh())
	}
	return p
}

// second is the bucket besides the committed one; nil where there is none.
func (p *Policer) second() *bucket {
	switch p.spec.Kind {
	case TwoColour:
	case SingleRate:
		return &p.excess
	case TwoRate:
		return &p.peak
	}
	return nil
}

// adopt carries on with the buckets and counts of old. Debts stay what they are in
// time; buckets of another kind or unit start full.
func (p *Policer) adopt(old *Policer) {
	p.tallies = old.tallies
	if p.spec.Kind != old.spec.Kind || p.spec.Packets != old.spec.Packets {
		return
	}
	p.committed.use(old.committed.word)
	if second := p.second(); second != nil {
		second.use(old.second().word)
	}
}

// colour measures a packet. now is in nanoseconds.
func (p *Policer) colour(now int64, octets uint32, lossPriority uint8) Colour {
	units := uint64(octets)
	if p.spec.Packets {
		units = 1
	}
	was := Green
	if p.spec.ColourAware {
		was = colourOf(lossPriority)
	}
	at := uint64(now) << tickBits
	// No packet is so long that this could fail: the rate is at least 1.
	ticks, _ := p.committed.ticks(units)
	switch p.spec.Kind {
	case TwoColour:
		if was != Green || !p.committed.take(at, ticks) {
			return Red
		}
		return Green
	case SingleRate:
		want := ticks
		if was != Green {
			want = maxSize + 1 // only the surplus is seen to
		}
		if p.committed.takeOver(at, want, &p.excess) {
			return Green
		}
		if was != Red && p.excess.takeDebt(ticks) {
			return Yellow
		}
		return Red
	case TwoRate:
		peak, _ := p.peak.ticks(units)
		if was == Red || !p.peak.take(at, peak) {
			return Red
		}
		if was == Yellow || !p.committed.take(at, ticks) {
			return Yellow
		}
	}
	return Green
}

// colourOf is the colour that a loss priority says.
func colourOf(lossPriority uint8) Colour {
	switch {
	case lossPriority == LossLow:
		return Green
	case lossPriority < LossHigh:
		return Yellow
	}
	return Red
}
