package main

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"router/models"
)

// process is what routerd takes of the machine now (proc(5), statm; getrusage(2)). What
// can't be found out is zero.
func process() models.ProcessState {
	s := models.ProcessState{Goroutines: uint32(runtime.NumGoroutine())}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(text)); len(f) > 1 {
			pages, _ := strconv.ParseUint(f[1], 10, 64)
			s.Resident = pages * uint64(os.Getpagesize())
		}
	}
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if v := sample[0].Value; v.Kind() == metrics.KindUint64 {
		s.Heap = v.Uint64()
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		s.CPUTime = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return s
}
