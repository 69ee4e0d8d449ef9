package session

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPolicer(t *testing.T) {
	second := int64(time.Second)
	var p Policer
	if p.Take(1) {
		t.Error("the zero policer let a packet pass")
	}
	p.SetRate(Rate{PerSecond: 100, Burst: 10})
	passed := func(from, to, step int64) (n int) {
		for now := from; now < to; now += step {
			if p.Take(now) {
				n++
			}
		}
		return n
	}
	if n := passed(second, second+1000, 1); n != 10 {
		t.Errorf("%d packets at once, want the burst of 10", n)
	}
	if n := passed(2*second, 12*second, 1_000_000); n < 1000 || n > 1010 {
		t.Errorf("%d packets in ten seconds at 100 a second", n)
	}
	p.SetRate(Rate{})
	if n := passed(20*second, 21*second, 1_000_000); n != 0 {
		t.Errorf("%d packets at a rate of 0", n)
	}
	p.SetRate(Rate{PerSecond: 4_000_000_000, Burst: 1})
	if n := passed(30*second, 30*second+100, 1); n != 100 {
		t.Errorf("%d of 100 packets at more than one a nanosecond", n)
	}
}

// TestPolicerShared: workers together get what one would have got.
func TestPolicerShared(t *testing.T) {
	var p Policer
	p.SetRate(Rate{PerSecond: 1000, Burst: 50})
	var clock, passed atomic.Int64
	clock.Store(int64(time.Hour))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50_000 {
				if p.Take(clock.Add(50_000)) {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// 200,000 steps of 50 microseconds are ten seconds.
	if n := passed.Load(); n < 9_990 || n > 10_050+4 {
		t.Errorf("%d packets passed, want 10,050", n)
	}
}
