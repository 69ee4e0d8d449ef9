package dataplane

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	count := func(b *bucket, now time.Duration, r Rate) (n int) {
		for b.take(int64(now), r) {
			n++
		}
		return n
	}
	r := Rate{PerSecond: 100, Burst: 20}
	var b bucket
	for _, c := range []struct {
		name string
		at   time.Duration
		want int
	}{
		{"a full bucket gives its burst", time.Hour, 20},
		{"nothing more at once", time.Hour, 0},
		{"one token for each interval", time.Hour + 10*time.Millisecond, 1},
		{"half a second would be 50", time.Hour + 510*time.Millisecond, 20},
		{"a long pause gives no more than the burst", 2 * time.Hour, 20},
	} {
		if got := count(&b, c.at, r); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	if (&bucket{}).take(1, Rate{Burst: 5}) {
		t.Error("a rate of zero lets a packet pass")
	}
}
