package xsk

import (
	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

var _ port.Poller = (*Queue)(nil)

// What the kernel does in one look at the device: so many packets at most, and for
// a call that may wait, so many microseconds. Ours never wait.
const (
	busyPackets = 64
	busyTime    = 20
)

// BusyPoll implements port.Poller by SO_PREFER_BUSY_POLL (Linux 5.11): where the
// device has queues of its own (NAPI), each Receive that finds nothing has the
// kernel look at them, and interrupts stay away meanwhile. Older kernels, and
// devices without, are looked at as before.
func (q *Queue) BusyPoll(on bool) {
	q.busy = on
	q.napi.Store(false)
	preferred, microseconds := 0, 0
	if on {
		preferred, microseconds = 1, busyTime
	}
	for _, o := range []struct{ option, value int }{
		{unix.SO_PREFER_BUSY_POLL, preferred}, {unix.SO_BUSY_POLL, microseconds}, {unix.SO_BUSY_POLL_BUDGET, busyPackets},
	} {
		if unix.SetsockoptInt(q.fd, unix.SOL_SOCKET, o.option, o.value) != nil {
			q.busy = false
			return
		}
	}
}

// KernelPolls implements port.Poller.
func (q *Queue) KernelPolls() bool { return q.napi.Load() }

// pollDevice has the kernel look at the device. Which of its queues the socket's
// frames come from, the kernel knows after the first one.
func (q *Queue) pollDevice() {
	if !q.napi.Load() {
		if q.empty%checkEvery == 0 {
			id, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_INCOMING_NAPI_ID)
			q.napi.Store(err == nil && id != 0)
		}
		return
	}
	// Frames come by the ring all the same: the call only looks.
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(q.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	q.wakeups.Add(1)
	q.note(errno)
}
