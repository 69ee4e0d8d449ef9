package xsk

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

// A Queue is an AF_XDP socket bound to one queue of a device. It implements
// [port.Queue].
type Queue struct {
	umem *UMEM
	pool *port.Pool

	rx, tx           *ring[unix.XDPDesc]
	fill, completion *ring[uint64]
	// held says for each buffer of the pool whether it is this queue's: in a
	// ring, or taken from one by the kernel, which never tells.
	held []bool
	// filled is how many of them are for receiving, and target how many there
	// should be; sending is how many are for sending.
	filled, target, sending int32
	zeroCopy                bool
	empty                   uint32 // Receives in a row without a frame
	busy                    bool   // BusyPoll is on
	napi                    atomic.Bool

	jumbo bool
	// spans says how many descriptors of a span the kernel has not completed.
	spans []uint8
	part  partial

	gone      atomic.Bool
	oversize  atomic.Uint64
	noSpan    atomic.Uint64
	txDropped atomic.Uint64
	wakeups   atomic.Uint64

	mu     sync.Mutex // of fd and last, against Close while Stats reads
	fd     int
	closed bool
	last   unix.XDPStatistics
}

var _ port.Queue = (*Queue)(nil)

// firstTarget is how many buffers a queue keeps for receiving until it is busy:
// idle devices shall not hold what others need. A fill ring can't be emptied
// again.
const firstTarget = 512

// txBudget is how many frames one system call sends in copy mode; the kernel's
// own figure is 32.
const txBudget = 64

// sendBuffer bounds the copies of frames in copy mode that devices have not
// sent yet, in octets. Rings bound them already, so it is ample: the kernel's
// default would stop after some 250 frames.
const sendBuffer = 16 << 20

// Every how many empty Receives the socket is asked whether its device lives.
const checkEvery = 64

// tune sets what helps and need not succeed: older kernels know less.
func (q *Queue) tune() {
	_ = unix.SetsockoptInt(q.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, txBudget)
	_ = unix.SetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer)
}

// ZeroCopy says whether the device reads and writes the buffers itself.
func (q *Queue) ZeroCopy() bool { return q.zeroCopy }

// FD polls readable when frames wait; it is also what an XSKMAP takes.
func (q *Queue) FD() int { return q.fd }

// Receive implements port.Queue.
func (q *Queue) Receive(bufs []port.Buf) int {
	if q.jumbo {
		return q.receiveJumbo(bufs)
	}
	n := q.rx.ready(uint32(len(bufs)))
	for i := range n {
		d := q.rx.at(q.rx.cons + i)
		bufs[i] = port.Buf{Addr: uint32(d.Addr), Len: uint16(d.Len)}
		q.held[uint32(d.Addr)/port.ChunkSize] = false
	}
	if n > 0 {
		q.rx.release(n)
		q.filled -= int32(n)
		q.empty = 0
		if int(n) == len(bufs) {
			q.target *= 2 // as far as refill lets it
		}
	} else {
		q.idle()
	}
	q.refill()
	return int(n)
}

// idle does what must be done now and then when no frames come.
func (q *Queue) idle() {
	if q.tx.waiting() > 0 {
		q.wakeTx()
	}
	if q.busy {
		q.pollDevice()
	}
	if q.empty++; q.empty%checkEvery != 0 || q.gone.Load() {
		return
	}
	// The kernel marks a socket once, when its device is unregistered.
	if errno, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
		q.gone.Store(true)
	}
}

// refill gives the kernel buffers to receive into.
func (q *Queue) refill() {
	q.target = min(q.target, q.umem.rxShare.Load(), int32(q.fill.mask+1))
	n := uint32(max(0, q.target-q.filled))
	if free := uint32(q.pool.Free()); free < n {
		q.reap()
		n = min(n, uint32(q.pool.Free()))
	}
	n = q.fill.room(n)
	for i := range n {
		chunk, ok := q.pool.Get()
		if !ok {
			n = i
			break
		}
		*q.fill.at(q.fill.prod + i) = uint64(chunk)
		q.held[chunk/port.ChunkSize] = true
	}
	if n > 0 {
		q.fill.publish(n)
		q.filled += int32(n)
	}
	if q.fill.needWakeup() {
		_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(q.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		q.wakeups.Add(1)
		q.note(errno)
	}
}

// Transmit implements port.Queue. The frames leave with Flush.
func (q *Queue) Transmit(bufs []port.Buf) int {
	if q.gone.Load() {
		return 0
	}
	if q.jumbo {
		return q.transmitJumbo(bufs)
	}
	n := q.txRoom(len(bufs))
	if n < uint32(len(bufs)) {
		q.wakeTx()
		q.reap()
		n = q.txRoom(len(bufs))
	}
	for i := range n {
		b := bufs[i]
		if _, ok := q.pool.Span(b.Addr); ok {
			// The device's MRU was lowered a moment ago.
			return int(q.sent(i)) + q.refuse(b)
		}
		*q.tx.at(q.tx.prod + i) = unix.XDPDesc{Addr: uint64(b.Addr), Len: uint32(b.Len)}
		q.held[b.Addr/port.ChunkSize] = true
	}
	return int(q.sent(n))
}

// sent shows the kernel n descriptors of frames to send.
func (q *Queue) sent(n uint32) uint32 {
	if n > 0 {
		q.tx.publish(n)
		q.sending += int32(n)
	}
	return n
}

// refuse drops a frame that can't be sent by this socket.
func (q *Queue) refuse(b port.Buf) int {
	q.txDropped.Add(1)
	q.pool.Put(b.Addr)
	return 1
}

// txRoom is how many frames, up to want, may be added to those being sent.
func (q *Queue) txRoom(want int) uint32 {
	return q.tx.room(uint32(max(0, min(int32(want), q.umem.txShare.Load()-q.sending))))
}

// Flush implements port.Queue.
func (q *Queue) Flush() {
	if q.tx.waiting() > 0 {
		q.wakeTx()
	}
	q.reap()
}

// wakeTx has the kernel send what stands in the ring. In copy mode it works
// through the ring within the call, a budget at a time.
func (q *Queue) wakeTx() {
	// In the worst case every frame is refused by a call of its own, so the
	// number of calls is bounded; what is left goes with the next Flush.
	for calls := 8 + q.tx.waiting()/32; calls > 0 && q.tx.needWakeup(); calls-- {
		before := q.tx.waiting()
		if before == 0 {
			return
		}
		// Raw: the call does not block, and at one call a batch the scheduler's
		// bookkeeping around a system call would cost more than it saves.
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(q.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		q.wakeups.Add(1)
		if errno == 0 {
			return
		}
		q.note(errno)
		// The completion ring, full, stops sending as well.
		q.reap()
		if q.tx.waiting() == before {
			return
		}
	}
}

// note takes account of the answer of a wake-up.
func (q *Queue) note(errno unix.Errno) {
	switch {
	case errno == unix.EBUSY:
		// The device dropped a frame, whose buffer comes back all the same.
		q.txDropped.Add(1)
	case errno == unix.ENXIO:
		// The socket has been unbound from its device.
		q.gone.Store(true)
	}
}

// reap puts buffers whose frames have been sent back into the pool.
func (q *Queue) reap() {
	n := q.completion.ready(q.completion.mask + 1)
	for i := range n {
		addr := uint32(*q.completion.at(q.completion.cons + i))
		if span, ok := q.pool.Span(addr); ok {
			if q.spans[span]--; q.spans[span] == 0 {
				q.pool.Put(addr)
			}
			continue
		}
		q.held[addr/port.ChunkSize] = false
		q.pool.Put(addr)
	}
	if n > 0 {
		q.completion.release(n)
		q.sending -= int32(n)
	}
}

// Stats implements port.Queue.
func (q *Queue) Stats() port.Stats {
	s := q.statistics()
	return port.Stats{
		RxDropped:    s.Rx_dropped + s.Rx_ring_full + q.noSpan.Load(),
		RxOversize:   q.oversize.Load(),
		TxDropped:    q.txDropped.Load() + s.Tx_invalid_descs,
		FillStarved:  s.Rx_fill_ring_empty_descs,
		WakeupsTaken: q.wakeups.Load(),
	}
}

func (q *Queue) statistics() unix.XDPStatistics {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		var s unix.XDPStatistics
		if getsockopt(q.fd, unix.XDP_STATISTICS, unsafe.Pointer(&s), unsafe.Sizeof(s)) == nil {
			q.last = s
		}
	}
	return q.last
}

// Err implements port.Queue.
func (q *Queue) Err() error {
	if q.gone.Load() {
		return port.ErrGone
	}
	return nil
}

// zeroCopySettle is how long the kernel may need after a socket's close until
// the device has let go of the buffers: it is done by a deferred work item
// that nothing can wait for.
const zeroCopySettle = 50 * time.Millisecond

// Close implements port.Queue. With zero-copy it takes 50 milliseconds.
func (q *Queue) Close() error {
	q.statistics()
	q.umem.forget(q)
	err := q.release()
	if q.zeroCopy {
		time.Sleep(zeroCopySettle)
	}
	for i, held := range q.held {
		if held {
			q.held[i] = false
			q.pool.Put(uint32(i) * port.ChunkSize)
		}
	}
	for i, left := range q.spans {
		if left > 0 {
			q.spans[i] = 0
			q.pool.Put(q.pool.SpanAt(i))
		}
	}
	if q.part.keeps {
		q.part.keeps = false
		q.pool.Put(q.part.span)
	}
	return err
}

// release frees what the kernel gave, buffers aside.
func (q *Queue) release() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errors.New("AF_XDP socket is closed already")
	}
	q.closed = true
	err := errors.Join(q.rx.unmap(), q.tx.unmap(), q.fill.unmap(), q.completion.unmap(),
		os.NewSyscallError("close", unix.Close(q.fd)))
	if err != nil {
		return fmt.Errorf("close AF_XDP socket: %w", err)
	}
	return nil
}
