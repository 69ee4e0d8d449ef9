package filters

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// A mapped is an array of the kernel with one value, which this process sees as words.
type mapped struct {
	array *ebpf.Map
	octet []byte
	words []uint64
}

func arraySpec(name string, octets int) *ebpf.MapSpec {
	return &ebpf.MapSpec{
		Name: name, Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE,
		KeySize: 4, ValueSize: uint32(octets), MaxEntries: 1,
	}
}

// newMapped makes an array of so many words, a power of two.
func newMapped(name string, words int) (*mapped, error) {
	array, err := ebpf.NewMap(arraySpec(name, 8*words))
	if err != nil {
		return nil, fmt.Errorf("make map %s of %d octets: %w", name, 8*words, err)
	}
	// Kernels round the size of an array up to whole pages.
	size := max(8*words, unix.Getpagesize())
	octet, err := unix.Mmap(array.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = array.Close()
		return nil, fmt.Errorf("map %s into memory: %w", name, err)
	}
	return &mapped{array, octet, unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(octet))), words)}, nil
}

// close gives the array up. Nobody may look at the words any more.
func (m *mapped) close() error {
	if m == nil {
		return nil
	}
	m.words = nil
	if err := unix.Munmap(m.octet); err != nil {
		return fmt.Errorf("unmap a map of filters: %w", err)
	}
	if err := m.array.Close(); err != nil {
		return fmt.Errorf("close a map of filters: %w", err)
	}
	return nil
}
