package dataplane

import (
	"runtime"
	"sync"
)

// procs is how many threads may run Go code at once without workers, and how many
// workers there are beside, in all engines.
var procs struct {
	sync.Mutex
	others, workers int
}

// adjustProcs has delta more workers run beside everything else.
func adjustProcs(delta int) {
	procs.Lock()
	defer procs.Unlock()
	if procs.workers == 0 {
		procs.others = runtime.GOMAXPROCS(0)
	}
	if procs.workers += delta; procs.workers == 0 {
		runtime.GOMAXPROCS(procs.others)
		return
	}
	runtime.GOMAXPROCS(wholeMarkers(procs.others + procs.workers))
}

// wholeMarkers is the lowest number of at least n for which the collector's share, a
// quarter, is threads of its own. With 1, 2, 3 or 6 it takes a part of everybody's time
// (runtime/mgcpacer.go, startCycle: more than 30 % off), and takes it in one piece:
// milliseconds, in which a worker that was interrupted waits.
func wholeMarkers(n int) int {
	switch {
	case n < 4:
		return 4
	case n == 6:
		return 7
	}
	return n
}
