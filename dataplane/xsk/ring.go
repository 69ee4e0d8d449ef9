package xsk

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is one of a socket's four rings of descriptors in memory shared with
// the kernel: one side produces, the other consumes, and each publishes how far
// it has come by a 32-bit counter that wraps. This side's own counter and the
// last that was seen of the other's are kept here, so that the shared words are
// touched once a batch.
//
// Go's atomic loads and stores are at least acquire and release, which is what
// the kernel's side asks for (net/xdp/xsk_queue.h).
type ring[D any] struct {
	producer, consumer, flags *uint32

	descs      []D
	mask       uint32
	prod, cons uint32 // this side's counter is exact, the other's may lag
	mem        []byte
}

// mapRing sets the size of one ring of socket fd, which makes it, and maps it.
func mapRing[D any](fd, option int, pgoff int64, offsets func(*unix.XDPMmapOffsets) unix.XDPRingOffset, size uint32) (*ring[D], error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_XDP, option, int(size)); err != nil {
		return nil, fmt.Errorf("make a ring of %d descriptors: %w", size, err)
	}
	var all unix.XDPMmapOffsets
	if err := getsockopt(fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&all), unsafe.Sizeof(all)); err != nil {
		return nil, err
	}
	off := offsets(&all)
	var d D
	mem, err := unix.Mmap(fd, pgoff, int(off.Desc)+int(size)*int(unsafe.Sizeof(d)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map a ring: %w", err)
	}
	word := func(at uint64) *uint32 { return (*uint32)(unsafe.Pointer(&mem[at])) }
	return &ring[D]{
		producer: word(off.Producer), consumer: word(off.Consumer), flags: word(off.Flags),
		descs: unsafe.Slice((*D)(unsafe.Pointer(&mem[off.Desc])), size),
		mask:  size - 1, mem: mem,
	}, nil
}

func (r *ring[D]) unmap() error {
	if r == nil {
		return nil
	}
	return os.NewSyscallError("munmap", unix.Munmap(r.mem))
}

// at is the descriptor that counter i stands for.
func (r *ring[D]) at(i uint32) *D { return &r.descs[i&r.mask] }

// ready is for a ring that this side consumes: how many descriptors, up to
// want, it may read from counter r.cons on.
func (r *ring[D]) ready(want uint32) uint32 {
	if r.prod-r.cons < want {
		r.prod = atomic.LoadUint32(r.producer)
	}
	return min(want, r.prod-r.cons)
}

// release hands n descriptors that were read back to the kernel.
func (r *ring[D]) release(n uint32) {
	r.cons += n
	atomic.StoreUint32(r.consumer, r.cons)
}

// room is for a ring that this side produces: how many descriptors, up to want,
// it may write from counter r.prod on.
func (r *ring[D]) room(want uint32) uint32 {
	size := r.mask + 1
	if size-(r.prod-r.cons) < want {
		r.cons = atomic.LoadUint32(r.consumer)
	}
	return min(want, size-(r.prod-r.cons))
}

// publish shows the kernel n descriptors that were written.
func (r *ring[D]) publish(n uint32) {
	r.prod += n
	atomic.StoreUint32(r.producer, r.prod)
}

// waiting is, for a ring that this side produces, how many descriptors the
// kernel has not consumed yet.
func (r *ring[D]) waiting() uint32 {
	if r.prod == r.cons {
		return 0
	}
	r.cons = atomic.LoadUint32(r.consumer)
	return r.prod - r.cons
}

// needWakeup says whether the kernel sleeps until a system call wakes it.
func (r *ring[D]) needWakeup() bool {
	return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}

// getsockopt reads an option of SOL_XDP into size octets at value.
func getsockopt(fd, option int, value unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return fmt.Errorf("read socket option %d: %w", option, errno)
	}
	return nil
}
