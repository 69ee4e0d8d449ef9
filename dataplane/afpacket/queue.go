package afpacket

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

const (
	sendBatch  = 64
	sendBuffer = 16 << 20
	// Every how many empty Receives the socket is asked whether its device lives.
	checkEvery = 64
)

// A Queue is a packet socket bound to a device. It implements [port.Queue].
type Queue struct {
	pool *port.Pool
	ring *ring
	// longest is the largest frame to receive, in octets.
	longest int

	// Frames taken by Transmit and not sent yet; the messages point at them.
	sending  int
	sendBufs [sendBatch]port.Buf
	vectors  [sendBatch]unix.Iovec
	messages [sendBatch]message
	empty    uint32 // Receives in a row without a frame

	gone      atomic.Bool
	oversize  atomic.Uint64
	txDropped atomic.Uint64
	wakeups   atomic.Uint64

	mu        sync.Mutex // of what follows, against Close while Stats reads
	fd        int
	closed    bool
	ringDrops uint64
}

var _ port.Queue = (*Queue)(nil)

// message is struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

func (q *Queue) prepare() {
	for i := range q.messages {
		q.messages[i].header.Iov = &q.vectors[i]
		q.messages[i].header.SetIovlen(1)
	}
}

// FD implements port.Queue.
func (q *Queue) FD() int { return q.fd }

// Receive implements port.Queue.
func (q *Queue) Receive(bufs []port.Buf) int {
	n := 0
	for n < len(bufs) {
		s, ok := q.ring.peek()
		if !ok {
			break
		}
		if s.whole() > q.longest {
			q.ring.release()
			q.oversize.Add(1)
			continue
		}
		chunk, ok := q.pool.GetFor(s.whole())
		if !ok {
			// Left in the ring: buffers come back when frames have been sent.
			// The ring itself bounds what can pile up.
			break
		}
		length, ok := s.copyTo(q.pool.Room(chunk)[port.Headroom:])
		q.ring.release()
		if !ok {
			q.pool.Put(chunk)
			q.oversize.Add(1)
			continue
		}
		bufs[n] = port.Buf{Addr: chunk + port.Headroom, Len: uint16(length)}
		if s.partialSum {
			bufs[n].Flags = port.PartialChecksum
		}
		n++
	}
	if n == 0 {
		q.idle()
	} else {
		q.empty = 0
	}
	return n
}

// idle finds out now and then whether the device is still there.
func (q *Queue) idle() {
	if q.empty++; q.empty%checkEvery != 0 || q.gone.Load() {
		return
	}
	// The kernel marks a socket when its device goes down or away.
	if errno, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
		q.checkGone()
	}
}

// checkGone asks whether the socket still has its device: one that is
// unregistered is unbound, one that is only down is not.
func (q *Queue) checkGone() {
	sa, err := unix.Getsockname(q.fd)
	if ll, ok := sa.(*unix.SockaddrLinklayer); err != nil || !ok || ll.Ifindex <= 0 {
		q.gone.Store(true)
	}
}

// Transmit implements port.Queue. The frames leave with Flush, or as soon as a
// batch is full.
func (q *Queue) Transmit(bufs []port.Buf) int {
	if q.gone.Load() {
		return 0
	}
	for _, b := range bufs {
		if q.sending == sendBatch {
			q.Flush()
		}
		frame := q.pool.Frame(b)
		i := q.sending
		q.sendBufs[i] = b
		q.vectors[i].Base = unsafe.SliceData(frame)
		q.vectors[i].SetLen(len(frame))
		q.sending++
	}
	return len(bufs)
}

// Flush implements port.Queue.
func (q *Queue) Flush() {
	for first := 0; first < q.sending; {
		// Raw: the call does not block, and the batch is small.
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(q.fd),
			uintptr(unsafe.Pointer(&q.messages[first])), uintptr(q.sending-first), unix.MSG_DONTWAIT, 0, 0)
		q.wakeups.Add(1)
		switch {
		case errno == 0:
			first += int(n)
		case errno == unix.EINTR:
			continue
		case errno == unix.ENXIO || errno == unix.ENODEV:
			q.gone.Store(true)
			q.txDropped.Add(uint64(q.sending - first))
			first = q.sending
		case errno == unix.EAGAIN || errno == unix.ENETDOWN:
			// Nothing more can be sent for now; a router does not wait.
			q.txDropped.Add(uint64(q.sending - first))
			first = q.sending
		default:
			// ENOBUFS and EMSGSIZE among others: this one frame was refused.
			q.txDropped.Add(1)
			first++
		}
	}
	for i := range q.sending {
		q.pool.Put(q.sendBufs[i].Addr)
	}
	q.sending = 0
}

// Stats implements port.Queue.
func (q *Queue) Stats() port.Stats {
	return port.Stats{
		RxDropped:    q.drops(),
		RxOversize:   q.oversize.Load(),
		TxDropped:    q.txDropped.Load(),
		WakeupsTaken: q.wakeups.Load(),
	}
}

// drops is how many frames found no room in the ring. The kernel forgets its
// figure when it is read.
func (q *Queue) drops() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		if s, err := unix.GetsockoptTpacketStats(q.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			q.ringDrops += uint64(s.Drops)
		}
	}
	return q.ringDrops
}

// Err implements port.Queue.
func (q *Queue) Err() error {
	if q.gone.Load() {
		return port.ErrGone
	}
	return nil
}

// Close implements port.Queue. Frames that were not flushed are dropped.
func (q *Queue) Close() error {
	q.drops()
	for i := range q.sending {
		q.pool.Put(q.sendBufs[i].Addr)
	}
	q.txDropped.Add(uint64(q.sending))
	q.sending = 0
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errors.New("packet socket is closed already")
	}
	q.closed = true
	if err := errors.Join(q.ring.unmap(), os.NewSyscallError("close", unix.Close(q.fd))); err != nil {
		return fmt.Errorf("close packet socket: %w", err)
	}
	return nil
}
