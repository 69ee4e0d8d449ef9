package datastore

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A clock tells the time twice: by the wall, and since the machine was booted.
type clock interface {
	now() time.Time
	// boot names this run of the machine, "" when that isn't known, and says how long
	// it lasts, suspensions included.
	boot() (id string, up time.Duration)
}

// machineClock is the clock of the machine.
type machineClock struct{}

func (machineClock) now() time.Time { return time.Now() }

var bootID = sync.OnceValue(func() string {
	// random(4): it is made anew at each boot.
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
})

func (machineClock) boot() (string, time.Duration) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return "", 0
	}
	return bootID(), time.Duration(t.Nano())
}
