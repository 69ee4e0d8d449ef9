package bpf

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve sets address space aside, of which nothing takes memory until it is
// written or covered. It is never given back.
func reserve(octets int) ([]uint64, error) {
	mem, err := unix.Mmap(-1, 0, octets, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("address space of %d octets: %w", octets, err)
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), octets/8), nil
}

// cover puts a map's memory in the place of the first octets of words. Who reads
// there at the time finds the old or the new memory: the kernel exchanges them
// as one.
func cover(words []uint64, fd, octets int) error {
	if octets > 8*len(words) {
		return fmt.Errorf("map of %d octets over %d", octets, 8*len(words))
	}
	_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(&words[0]), uintptr(octets), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("map a table: %w", err)
	}
	return nil
}

// mapWords maps a map's memory somewhere; unmapWords ends that.
func mapWords(fd, octets int) ([]uint64, error) {
	mem, err := unix.Mmap(fd, 0, octets, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a table: %w", err)
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), octets/8), nil
}

func unmapWords(words []uint64) error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words)))
}
