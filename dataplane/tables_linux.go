package dataplane

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReserveTables maps size octets, rounded up to pages, for the arena of the
// route tables (package vrf/fib). They are zero, lie outside Go's heap, and take
// physical memory only as far as they are written. They are never given back.
func ReserveTables(size int) ([]uint64, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("address space of %d octets for route tables: %w", size, err)
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), len(mem)/8), nil
}

// mapSlots is n zeroed slots, which hold no pointers, outside of Go's heap: they
// take memory only once they are used, and the collector takes no account of
// them. They go when owner does. Where there is no such memory they come from
// the heap.
func mapSlots[T, O any](owner *O, n int) []T {
	var slot T
	mem, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(slot)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return make([]T, n)
	}
	runtime.AddCleanup(owner, func(mem []byte) { _ = unix.Munmap(mem) }, mem)
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[0])), n)
}

// monotonic is the kernel's monotonic clock, in nanoseconds: bpf_ktime_get_ns.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // there is no kernel without
	}
	return t.Nano()
}
