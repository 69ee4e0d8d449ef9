package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"router/cmd/routerd/datastore"
)

const (
	// trimAfter is how long nothing is committed before memory is given back, and
	// trimBusy how long at most when commits don't stop.
	trimAfter = time.Second
	trimBusy  = 5 * time.Second
	// trimShare bounds the time that giving back takes, as a part of all.
	trimShare = 30
)

// trim gives memory back to the system that a start or commits used and left:
// a router is idle for days after minutes of work, and the runtime by itself
// keeps what it once had. It returns when ctx ends.
func trim(ctx context.Context, store *datastore.Store) {
	begin := time.Now()
	var last atomic.Int64 // when something was committed last, since begin
	var armed atomic.Bool // commits need not wake us
	committed := make(chan struct{}, 1)
	defer store.Watch(func(datastore.Event) {
		last.Store(int64(time.Since(begin)))
		if armed.CompareAndSwap(false, true) {
			committed <- struct{}{}
		}
	})()
	armed.Store(true)
	// A start leaves as much as it keeps: that goes at once.
	last.Store(-int64(trimAfter))
	started := true
	t := time.NewTimer(0)
	defer t.Stop()
	var next time.Time // no look before
	since := begin     // the first commit after the last look
	for {
		select {
		case <-ctx.Done():
			return
		case <-committed:
			since = time.Now()
			t.Reset(max(trimAfter, time.Until(next)))
		case <-t.C:
			now := time.Now()
			quiet := begin.Add(time.Duration(last.Load()) + trimAfter)
			if due := latest(earliest(quiet, since.Add(trimBusy)), next); now.Before(due) {
				t.Reset(due.Sub(now))
				continue
			}
			armed.Store(false)
			if started || wasteful() {
				started = false
				debug.FreeOSMemory()
				next = time.Now().Add(trimShare * time.Since(now))
			}
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// wasteful reports whether the heap holds much more than is in use: free memory
// and what has become garbage since the last collection.
func wasteful() bool {
	s := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	free, objects, live := s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()
	return free+max(objects, live)-live > 1<<20+live/8
}
