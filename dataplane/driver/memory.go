package driver

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
	"router/dataplane/xsk"
)

// A Memory is one worker's frame memory, for the queues of all its devices.
type Memory struct {
	Pool *port.Pool

	umem *xsk.UMEM
	mem  []byte
}

// NewMemory makes room for that many buffers of port.ChunkSize octets, and for
// a span for each 32 of them. Each
// queue keeps up to a ring of them for receiving (Spec.RingSize), and as many
// may wait to be sent. AF_XDP pins the whole in physical memory.
func NewMemory(buffers int) (*Memory, error) {
	spans := buffers / 32
	mem, err := unix.Mmap(-1, 0, buffers*port.ChunkSize+spans*port.SpanSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("frame memory of %d buffers: %w", buffers, err)
	}
	pool, err := port.NewJumboPool(mem, spans)
	if err != nil {
		_ = unix.Munmap(mem)
		return nil, err
	}
	return &Memory{Pool: pool, umem: xsk.NewUMEM(pool), mem: mem}, nil
}

// Close frees the memory. All queues on it must be closed.
func (m *Memory) Close() error {
	if free, size := m.Pool.Free()+m.Pool.FreeSpans(), m.Pool.Size()+m.Pool.Spans(); free != size {
		return fmt.Errorf("frame memory: %d of %d buffers are in use, close the queues first", size-free, size)
	}
	return os.NewSyscallError("munmap", unix.Munmap(m.mem))
}
