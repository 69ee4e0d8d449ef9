package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"router/intf"
)

// What workers need of Linux: frame memory on pages of its own, a thread's
// processor, and a sleep that frames and other goroutines can end.

// mapFrames returns size octets of zeroed, page-aligned memory outside of Go's
// heap. Pages that nobody touches cost nothing.
func mapFrames(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d octets of frame memory: %w: configure fewer buffers", size, err)
	}
	return mem, nil
}

func unmapFrames(mem []byte) error { return unix.Munmap(mem) }

// pinThread keeps the calling thread on one processor.
func pinThread(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("run on processor %d: %w: name one that is online", cpu, err)
	}
	return nil
}

// threadID is the calling thread's, for [threadOf].
func threadID() int { return unix.Gettid() }

// shortTurn is how long a worker's thread asks to run at a time, in nanoseconds, the
// shortest that the kernel grants (Linux 6.12; older ones take no wishes): who asks for
// less is let in sooner when it wakes.
const shortTurn = 100_000

// preferThread puts the calling thread before those of the machine that have a higher
// nice, or, where roundRobin is set and allowed, before all that have no real-time
// policy (sched(7)). Either takes CAP_SYS_NICE. A thread that somebody has given a
// policy of its own keeps it.
func preferThread(nice int, roundRobin bool) error {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("scheduling of a worker: %w", err)
	}
	if a.Policy != unix.SCHED_NORMAL {
		return nil
	}
	var refused error
	if roundRobin {
		// The lowest of the real-time priorities: those who chose one stay before us.
		if refused = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}, 0); refused == nil {
			return nil
		}
		refused = fmt.Errorf("policy SCHED_RR: %w", refused)
	}
	if nice != 0 {
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: int32(nice), Runtime: shortTurn}, 0); err != nil {
			return errors.Join(refused, fmt.Errorf("nice %d: %w", nice, err))
		}
	}
	return refused
}

// threadOf says how the kernel schedules a thread; ok is false when there is none.
func threadOf(tid int) (t Thread, ok bool) {
	a, err := unix.SchedGetAttr(tid, 0)
	if tid == 0 || err != nil {
		return t, false
	}
	return Thread{Scheduling: intf.Scheduling(a.Policy), Nice: int(a.Nice)}, true
}

// A waker lets one thread sleep until a file descriptor is readable or another
// goroutine calls wake. Only wake may be called from elsewhere.
type waker struct {
	fd  int // an eventfd
	set []unix.PollFd
}

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	return &waker{fd: fd}, nil
}

func (k *waker) close() error { return unix.Close(k.fd) }

// reset begins the list of descriptors for the next sleep.
func (k *waker) reset() {
	k.set = append(k.set[:0], unix.PollFd{Fd: int32(k.fd), Events: unix.POLLIN})
}

func (k *waker) add(fd int) {
	k.set = append(k.set, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
}

// sleep waits until a descriptor is ready, wake was called, or timeout is over;
// a negative timeout has no end. It may return early.
func (k *waker) sleep(timeout time.Duration) {
	var limit *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		limit = &t
	}
	n, err := unix.Ppoll(k.set, limit, nil)
	if err == nil && n > 0 && k.set[0].Revents != 0 {
		var b [8]byte
		// EAGAIN means that there is nothing to take back.
		_, _ = unix.Read(k.fd, b[:])
	}
}

// wake ends the sleep, or the next one.
func (k *waker) wake() {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	// The write fails only when 2^64-2 calls are outstanding, or when a signal
	// comes first.
	for {
		if _, err := unix.Write(k.fd, b[:]); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
