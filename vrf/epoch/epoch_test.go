package epoch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// reclaimed runs one Reclaim and returns what came back.
func reclaimed(l *Limbo[int]) (got []int) {
	l.Reclaim(func(i int) { got = append(got, i) })
	return got
}

func TestReclaimWaitsForReaders(t *testing.T) {
	tests := []struct {
		name   string
		before func(d *Domain, r *Reader) // before the item is retired
		after  func(d *Domain, r *Reader) // between the first and the second Reclaim
		first  []int
		second []int
	}{
		{name: "reader never started", first: []int{7}},
		{name: "reader parked", before: func(_ *Domain, r *Reader) { r.Quiesce(); r.Park() }, first: []int{7}},
		{name: "reader closed", before: func(_ *Domain, r *Reader) { r.Quiesce(); r.Close() }, first: []int{7}},
		{name: "reader left its section", before: func(_ *Domain, r *Reader) { r.Enter(); r.Exit() }, first: []int{7}},
		{name: "reader stays in its batch", before: func(_ *Domain, r *Reader) { r.Quiesce() }},
		{name: "reader stays in its section", before: func(_ *Domain, r *Reader) { r.Enter() }},
		{
			name:   "reader starts the next batch",
			before: func(_ *Domain, r *Reader) { r.Quiesce() },
			after:  func(_ *Domain, r *Reader) { r.Quiesce() },
			second: []int{7},
		},
		{
			name:   "reader parks later",
			before: func(_ *Domain, r *Reader) { r.Unpark() },
			after:  func(_ *Domain, r *Reader) { r.Park() },
			second: []int{7},
		},
		{
			name:   "one that passes an old epoch does not count",
			before: func(_ *Domain, r *Reader) { r.Quiesce() },
			after:  func(d *Domain, r *Reader) { r.Pass(d.Epoch() - 1) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := New()
			r := d.Reader()
			l := NewLimbo[int](d)
			if tt.before != nil {
				tt.before(d, r)
			}
			l.Retire(7)
			if got := reclaimed(l); !slices.Equal(got, tt.first) {
				t.Fatalf("first reclaim returned %v, want %v", got, tt.first)
			}
			if tt.after != nil {
				tt.after(d, r)
			}
			if got := reclaimed(l); !slices.Equal(got, tt.second) {
				t.Fatalf("second reclaim returned %v, want %v", got, tt.second)
			}
			if want := 1 - len(tt.first) - len(tt.second); l.Len() != want {
				t.Fatalf("%d items wait, want %d", l.Len(), want)
			}
		})
	}
}

func TestReclaimReturnsEachItemOnceInOrder(t *testing.T) {
	d := New()
	r := d.Reader()
	l := NewLimbo[int](d)
	next, want := 0, 0
	for round := range 50 {
		r.Quiesce()
		for range 700 { // not a divisor of the chunk's size
			l.Retire(next)
			next++
		}
		if round%3 == 0 {
			l.Reclaim(func(i int) {
				if i != want {
					t.Fatalf("item %d came back, want %d", i, want)
				}
				want++
			})
		}
	}
	r.Park()
	l.Reclaim(func(i int) {
		if i != want {
			t.Fatalf("item %d came back, want %d", i, want)
		}
		want++
	})
	if want != next || l.Len() != 0 {
		t.Fatalf("%d of %d items came back, %d wait", want, next, l.Len())
	}
}

func TestEachShowsWhatWaits(t *testing.T) {
	d := New()
	r := d.Reader()
	r.Quiesce()
	l := NewLimbo[int](d)
	for i := range 3 {
		l.Retire(i)
		d.Advance()
	}
	var got []int
	l.Each(func(i int) { got = append(got, i) })
	if !slices.Equal(got, []int{0, 1, 2}) {
		t.Fatalf("got %v", got)
	}
}

func TestSynchronize(t *testing.T) {
	d := New()
	r := d.Reader()
	r.Quiesce()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := d.Synchronize(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with a reader that stays: %v, want deadline exceeded", err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Synchronize(t.Context()) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
			r.Quiesce()
		}
	}
}

// TestNoReaderSeesReclaimed swaps a shared object while readers use it without
// locks. A reclaimed object is overwritten with plain stores, so that both the
// check and the race detector find a grace period that is too short.
func TestNoReaderSeesReclaimed(t *testing.T) {
	type object struct{ a, b uint64 }
	d := New()
	var current atomic.Pointer[object]
	current.Store(&object{1, 1})
	var stop atomic.Bool
	var wg sync.WaitGroup
	var reads atomic.Int64
	for id := range 3 {
		r := d.Reader()
		wg.Go(func() {
			defer r.Close()
			for n := 0; !stop.Load(); n++ {
				if id == 2 { // an occasional reader
					r.Enter()
				} else {
					r.Quiesce()
				}
				for range 16 {
					if o := current.Load(); o.a != o.b || o.a == 0 {
						t.Errorf("reader %d saw a reclaimed object: %d, %d", id, o.a, o.b)
						return
					}
				}
				if id == 2 {
					r.Exit()
				}
				if id == 1 && n%64 == 0 {
					r.Park()
					time.Sleep(time.Microsecond)
					r.Unpark()
				}
				reads.Add(1)
			}
		})
	}
	l := NewLimbo[*object](d)
	var pool []*object
	reused := 0
	deadline := time.Now().Add(300 * time.Millisecond)
	for i := uint64(2); time.Now().Before(deadline) || reused < 100 || reads.Load() < 100; i++ {
		var o *object
		if n := len(pool); n > 0 {
			o, pool = pool[n-1], pool[:n-1]
			reused++
		} else {
			o = new(object)
		}
		o.a, o.b = i, i
		l.Retire(current.Swap(o))
		l.Reclaim(func(o *object) {
			o.a, o.b = 0, 0
			pool = append(pool, o)
		})
	}
	stop.Store(true)
	wg.Wait()
}

func TestReaderAndLimboDoNotAllocate(t *testing.T) {
	d := New()
	r := d.Reader()
	l := NewLimbo[uint32](d)
	if n := testing.AllocsPerRun(100, func() {
		d.Advance()
		r.Quiesce()
		r.Park()
		r.Unpark()
	}); n != 0 {
		t.Errorf("a reader's batch allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		for i := range uint32(500) {
			l.Retire(i)
		}
		r.Quiesce()
		l.Reclaim(func(uint32) {})
		r.Quiesce()
		l.Reclaim(func(uint32) {})
	}); n > 1 {
		t.Errorf("retiring 500 items allocates %v times", n)
	}
}

func BenchmarkQuiesce(b *testing.B) {
	r := New().Reader()
	for b.Loop() {
		r.Quiesce()
	}
}

func BenchmarkRetireReclaim(b *testing.B) {
	d := New()
	r := d.Reader()
	l := NewLimbo[uint32](d)
	for i := 0; b.Loop(); i++ {
		l.Retire(uint32(i))
		if i%256 == 0 {
			r.Quiesce()
			l.Reclaim(func(uint32) {})
		}
	}
}
