// Package xsk exchanges frames with a device through AF_XDP sockets: frames
// lie in the worker's own buffers from the device that received them to the
// device that sends them.
//
// A worker's frame memory is one [UMEM] for all its sockets, each of which
// serves one queue of one device with rings of its own. The kernel brings
// frames to a socket only through an XDP program at the device (package bpf).
//
// Source: Documentation/networking/af_xdp.rst.
package xsk

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

// A Config says how a socket is opened.
type Config struct {
	Ifindex int
	Queue   int
	// ZeroCopy asks that the device itself reads and writes the buffers; else
	// the kernel copies, which every device can do.
	ZeroCopy bool
	// RingSize is how many descriptors each ring holds, a power of two from 64
	// on; 0 is DefaultRingSize. The receiving half of a socket keeps up to that
	// many buffers of the pool, or less where many sockets share it.
	RingSize int
	// Jumbo asks for frames of up to port.MaxJumbo octets, which the kernel hands
	// over in several buffers (XDP_USE_SG, Linux 6.6).
	Jumbo bool
}

// DefaultRingSize is the size of rings where none is asked for.
const DefaultRingSize = 2048

// A UMEM registers the memory of a worker's pool with the kernel. Its methods
// may be called from any goroutine; they do not touch the pool.
type UMEM struct {
	pool *port.Pool

	// How many buffers a queue may keep for receiving, and for sending.
	rxShare, txShare atomic.Int32

	mu     sync.Mutex
	queues []*Queue
}

// NewUMEM makes the UMEM of a pool whose memory is page-aligned. The kernel
// sees it when the first socket opens.
func NewUMEM(pool *port.Pool) *UMEM { return &UMEM{pool: pool} }

// Open binds a socket to one queue of a device. The device must be one of the
// calling thread's network namespace. The queue takes no buffers before its
// first Receive, so that Open may run beside the worker, and it is served by
// the worker from then on.
func (u *UMEM) Open(config Config) (*Queue, error) {
	if config.RingSize == 0 {
		config.RingSize = DefaultRingSize
	}
	if n := config.RingSize; n < 64 || n > 1<<20 || n&(n-1) != 0 {
		return nil, fmt.Errorf("ring size %d: want a power of two from 64 to %d", n, 1<<20)
	}
	for start := time.Now(); ; time.Sleep(releasePoll) {
		q, err := u.tryOpen(config)
		if err == nil {
			return q, nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Since(start) > releaseWait {
			return nil, fmt.Errorf("queue %d: %w", config.Queue, err)
		}
	}
}

// The kernel frees the queue of a closed socket in a deferred work item, so a
// queue may be busy for a moment that was closed just now.
const (
	releasePoll = 5 * time.Millisecond
	releaseWait = 200 * time.Millisecond
)

func (u *UMEM) tryOpen(config Config) (*Queue, error) {
	// Not held while waiting: a worker's Close takes it.
	u.mu.Lock()
	defer u.mu.Unlock()
	q, err := u.open(config, u.peer(config))
	if errors.Is(err, unix.EBADF) {
		// The device of the socket to share with went away a moment ago.
		q, err = u.open(config, nil)
	}
	if err != nil {
		return nil, err
	}
	u.queues = append(u.queues, q)
	u.divide()
	return q, nil
}

// divide shares the pool out among the queues: three quarters for receiving, a
// quarter for sending, so that devices which do not send (as they are down)
// can't keep it all.
func (u *UMEM) divide() {
	n := max(1, len(u.queues))
	u.rxShare.Store(int32(max(64, u.pool.Size()*3/4/n)))
	u.txShare.Store(int32(max(128, u.pool.Size()/4/n)))
}

// peer is a socket to share the registration with: one of the same kind, as a
// shared UMEM takes copy or zero-copy, and frames of several buffers or not,
// from there. It is nil where there is none.
func (u *UMEM) peer(config Config) *Queue {
	for _, q := range u.queues {
		if q.zeroCopy == config.ZeroCopy && q.jumbo == config.Jumbo && q.Err() == nil {
			return q
		}
	}
	return nil
}

// open makes a socket that shares with's registration, or makes its own.
func (u *UMEM) open(config Config, with *Queue) (_ *Queue, err error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("AF_XDP socket: %w (the kernel needs CONFIG_XDP_SOCKETS, routerd CAP_NET_RAW)", err)
	}
	q := &Queue{umem: u, pool: u.pool, fd: fd, held: make([]bool, u.pool.Size()), target: firstTarget, jumbo: config.Jumbo}
	if q.jumbo {
		q.spans = make([]uint8, u.pool.Spans())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.release())
		}
	}()
	if with == nil {
		if err := u.register(fd, config.Jumbo); err != nil {
			return nil, err
		}
	}
	size := uint32(config.RingSize)
	if q.fill, err = mapRing[uint64](fd, unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_PGOFF_FILL_RING,
		func(o *unix.XDPMmapOffsets) unix.XDPRingOffset { return o.Fr }, size); err != nil {
		return nil, err
	}
	if q.completion, err = mapRing[uint64](fd, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_UMEM_PGOFF_COMPLETION_RING,
		func(o *unix.XDPMmapOffsets) unix.XDPRingOffset { return o.Cr }, size); err != nil {
		return nil, err
	}
	if q.rx, err = mapRing[unix.XDPDesc](fd, unix.XDP_RX_RING, unix.XDP_PGOFF_RX_RING,
		func(o *unix.XDPMmapOffsets) unix.XDPRingOffset { return o.Rx }, size); err != nil {
		return nil, err
	}
	if q.tx, err = mapRing[unix.XDPDesc](fd, unix.XDP_TX_RING, unix.XDP_PGOFF_TX_RING,
		func(o *unix.XDPMmapOffsets) unix.XDPRingOffset { return o.Tx }, size); err != nil {
		return nil, err
	}
	q.tune()
	addr := &unix.SockaddrXDP{Ifindex: uint32(config.Ifindex), QueueID: uint32(config.Queue)}
	switch {
	case with != nil:
		addr.Flags, addr.SharedUmemFD = unix.XDP_SHARED_UMEM, uint32(with.fd)
	case config.ZeroCopy:
		addr.Flags = unix.XDP_ZEROCOPY | unix.XDP_USE_NEED_WAKEUP
	default:
		addr.Flags = unix.XDP_COPY | unix.XDP_USE_NEED_WAKEUP
	}
	if config.Jumbo && with == nil {
		addr.Flags |= unix.XDP_USE_SG
	}
	if err := unix.Bind(fd, addr); err != nil {
		return nil, bindError(err, config)
	}
	var options uint32
	if err := getsockopt(fd, unix.XDP_OPTIONS, unsafe.Pointer(&options), unsafe.Sizeof(options)); err != nil {
		return nil, err
	}
	q.zeroCopy = options&unix.XDP_OPTIONS_ZEROCOPY != 0
	if q.zeroCopy != config.ZeroCopy {
		return nil, fmt.Errorf("bound with zero-copy %v where %v was asked for", q.zeroCopy, config.ZeroCopy)
	}
	return q, nil
}

// register makes the buffers known to the kernel, and the spans where they are
// sent from. What is registered is pinned.
func (u *UMEM) register(fd int, jumbo bool) error {
	size := u.pool.Size() * port.ChunkSize
	if jumbo {
		size += u.pool.Spans() * port.SpanSize
	}
	mem := u.pool.Mem()[:size]
	// The kernel keeps XDP_PACKET_HEADROOM, which is port.Headroom, by itself.
	reg := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))), Len: uint64(len(mem)), Size: port.ChunkSize,
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0)
	if errno == 0 {
		return nil
	}
	err := fmt.Errorf("register %d octets of frame memory: %w", len(mem), errno)
	if errno == unix.ENOBUFS || errno == unix.ENOMEM {
		err = fmt.Errorf("%w (raise the memlock limit, or use fewer buffers)", err)
	}
	return err
}

// bindError adds what an errno of bind means here.
func bindError(err error, config Config) error {
	why, zeroCopy := "", config.ZeroCopy
	switch {
	case config.Jumbo && zeroCopy && errors.Is(err, unix.EOPNOTSUPP):
		why = fmt.Sprintf(" (the device's driver has no zero-copy for frames over %d octets)", port.MaxFrame)
	case config.Jumbo && errors.Is(err, unix.EINVAL):
		why = fmt.Sprintf(" (no such queue, or a kernel before 6.6: AF_XDP takes no frames over %d octets there)", port.MaxFrame)
	case zeroCopy && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT)):
		why = " (the device's driver has no zero-copy, or its XDP program is not native)"
	case zeroCopy && errors.Is(err, unix.EINVAL):
		why = " (no such queue, or the device's MTU needs several buffers a frame)"
	case errors.Is(err, unix.EINVAL):
		why = " (no such queue: see `ethtool -l`)"
	case errors.Is(err, unix.EBUSY):
		why = " (another AF_XDP socket is bound to this queue: see `ss --xdp -p`)"
	case errors.Is(err, unix.ENETDOWN):
		why = " (the device is down)"
	}
	return fmt.Errorf("bind with zero-copy %v: %w%s", zeroCopy, err, why)
}

func (u *UMEM) forget(q *Queue) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queues = slices.DeleteFunc(u.queues, func(o *Queue) bool { return o == q })
	u.divide()
}
