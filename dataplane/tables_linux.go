package dataplane

import (
	"fmt"
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
