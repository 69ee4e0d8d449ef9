package xsk

import (
	"testing"

	"golang.org/x/sys/unix"

	"router/dataplane/bpf"
	"router/dataplane/port"
	"router/internal/testnet"
)

// TestBusyPolling sets what asks the kernel for it, takes it back, and finds that a
// veth, which has nothing to look at, forwards all the same.
func TestBusyPolling(t *testing.T) {
	w := newWorld(t, 1, bpf.Native)
	pool := newPool(t, 2048)
	q := w.open(t, NewUMEM(pool), 0, 0)
	option := func(name int) int {
		v, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	q.BusyPoll(true)
	if option(unix.SO_PREFER_BUSY_POLL) != 1 || option(unix.SO_BUSY_POLL) != busyTime || !q.busy {
		t.Errorf("busy polling is off: preferred %d, %d microseconds", option(unix.SO_PREFER_BUSY_POLL), option(unix.SO_BUSY_POLL))
	}
	bufs := make([]port.Buf, 8)
	q.Receive(bufs) // gives the kernel buffers
	wire := testnet.NewWire(t, w.hosts[0])
	if err := wire.Send(testFrame(100, 1)); err != nil {
		t.Fatal(err)
	}
	got := 0
	for range 1000000 {
		// Also often enough without a frame to ask for the device's queue.
		n := q.Receive(bufs)
		for _, b := range bufs[:n] {
			pool.Put(b.Addr)
		}
		if got += n; got > 0 && q.empty > 2*checkEvery {
			break
		}
	}
	if got == 0 {
		t.Error("no frame came")
	}
	if id := option(unix.SO_INCOMING_NAPI_ID); q.KernelPolls() != (id != 0) {
		t.Errorf("the kernel polls: %v, with NAPI id %d", q.KernelPolls(), id)
	}
	q.BusyPoll(false)
	if option(unix.SO_PREFER_BUSY_POLL) != 0 || option(unix.SO_BUSY_POLL) != 0 || q.KernelPolls() {
		t.Error("busy polling stays on")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}
