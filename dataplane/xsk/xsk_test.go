package xsk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/dataplane/bpf"
	"router/dataplane/port"
	"router/internal/testnet"
	"router/intf"
)

// testFrame is a frame of size octets whose content follows from number.
func testFrame(size, number int) []byte {
	b := make([]byte, size)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})
	binary.BigEndian.PutUint32(b[14:], uint32(number))
	for i := 18; i < size; i++ {
		b[i] = byte(i + number)
	}
	return b
}

func newPool(t *testing.T, buffers int) *port.Pool {
	t.Helper()
	const spans = 32
	mem, err := unix.Mmap(-1, 0, buffers*port.ChunkSize+spans*port.SpanSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	pool, err := port.NewJumboPool(mem, spans)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// world is a router's namespace with two devices, each with a host behind it.
type world struct {
	router *testnet.Namespace
	hosts  [2]testnet.End
	index  [2]int
	sets   [2]*bpf.Set
}

func newWorld(t *testing.T, queues int, mode bpf.Mode) *world {
	t.Helper()
	return newWorldOf(t, queues, mode, 1500, port.MaxFrame)
}

// newWorldOf is newWorld with an MTU and the longest frame to take.
func newWorldOf(t *testing.T, queues int, mode bpf.Mode, mtu, maxFrame int) *world {
	t.Helper()
	testnet.Require(t)
	w := &world{router: testnet.New(t, "router")}
	for i := range w.hosts {
		ns := testnet.New(t, fmt.Sprintf("host%d", i))
		w.hosts[i] = testnet.End{In: ns, Name: "eth0"}
		dev := testnet.End{In: w.router, Name: fmt.Sprintf("ge%d", i)}
		testnet.Veth{GRO: true, Queues: queues}.Pair(t, w.hosts[i], dev)
		for _, end := range []testnet.End{dev, w.hosts[i]} {
			if err := end.In.Netlink().LinkSetMTU(end.In.Link(t, end.Name), mtu); err != nil {
				t.Fatal(err)
			}
		}
		w.index[i] = w.router.Link(t, dev.Name).Attrs().Index
		set, err := bpf.Load(bpf.Config{Attach: intf.Exclusive, Queues: queues, MaxFrame: maxFrame})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = set.Close() })
		if err := w.router.Do(func() error { return set.AttachTake(w.index[i], mode, true) }); err != nil {
			t.Fatal(err)
		}
		w.sets[i] = set
	}
	return w
}

func (w *world) open(t *testing.T, umem *UMEM, device, queue int) *Queue {
	t.Helper()
	return w.openWith(t, umem, device, Config{Queue: queue})
}

func (w *world) openWith(t *testing.T, umem *UMEM, device int, config Config) *Queue {
	t.Helper()
	var q *Queue
	config.Ifindex, config.RingSize = w.index[device], 256
	err := w.router.Do(func() (err error) {
		q, err = umem.Open(config)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sets[device].SetSocket(config.Queue, q.FD()); err != nil {
		t.Fatal(err)
	}
	return q
}

// forward moves frames between queues until stop is closed: what a queue
// receives leaves by the queue in the same place of `to`.
func forward(pool *port.Pool, from, to []port.Queue, stop <-chan struct{}) (moved int) {
	bufs := make([]port.Buf, 64)
	for {
		select {
		case <-stop:
			return moved
		default:
		}
		idle := true
		for i, q := range from {
			n := q.Receive(bufs)
			if n == 0 {
				continue
			}
			idle = false
			sent := to[i].Transmit(bufs[:n])
			for _, b := range bufs[sent:n] {
				pool.Put(b.Addr)
			}
			to[i].Flush()
			moved += sent
		}
		if idle {
			runtime.Gosched()
		}
	}
}

func TestFramesPassBothWays(t *testing.T) {
	for _, mode := range []bpf.Mode{bpf.Native, bpf.Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorld(t, 1, mode)
			pool := newPool(t, 2048)
			umem := NewUMEM(pool)
			a, b := w.open(t, umem, 0, 0), w.open(t, umem, 1, 0)
			if pool.Free() != pool.Size() {
				t.Errorf("opening took %d buffers of the worker's pool", pool.Size()-pool.Free())
			}
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				forward(pool, []port.Queue{a, b}, []port.Queue{b, a}, stop)
			}()
			time.Sleep(20 * time.Millisecond) // for the first Receives, which give buffers
			wires := [2]*testnet.Wire{testnet.NewWire(t, w.hosts[0]), testnet.NewWire(t, w.hosts[1])}
			for size := 64; size <= 1514; size += 145 {
				for from := range wires {
					want := testFrame(size, size+from)
					if err := wires[from].Send(want); err != nil {
						t.Fatal(err)
					}
					wires[1-from].Expect(t, want)
				}
			}
			close(stop)
			<-done
			for _, q := range []*Queue{a, b} {
				if s := q.Stats(); s.RxDropped+s.TxDropped != 0 {
					t.Errorf("dropped frames: %+v", s)
				}
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			}
			if pool.Free() != pool.Size() {
				t.Errorf("%d of %d buffers are lost after closing", pool.Size()-pool.Free(), pool.Size())
			}
		})
	}
}

func TestSeveralQueuesShareAMemory(t *testing.T) {
	const queues = 3
	w := newWorld(t, queues, bpf.Native)
	pool := newPool(t, 8192)
	umem := NewUMEM(pool)
	var from, to []port.Queue
	for q := range queues {
		a, b := w.open(t, umem, 0, q), w.open(t, umem, 1, q)
		from, to = append(from, a, b), append(to, b, a)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		forward(pool, from, to, stop)
	}()
	time.Sleep(20 * time.Millisecond)
	in, out := testnet.NewWire(t, w.hosts[0]), testnet.NewWire(t, w.hosts[1])
	for i := range 200 {
		want := testFrame(100, i)
		if err := in.Send(want); err != nil {
			t.Fatal(err)
		}
		out.Expect(t, want)
	}
	close(stop)
	<-done
	// The first one owns the registration; the others outlive it.
	for i, q := range from {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if i == 0 {
			again := w.open(t, umem, 0, 0)
			again.Receive(make([]port.Buf, 1))
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if pool.Free() != pool.Size() {
		t.Errorf("%d of %d buffers are lost", pool.Size()-pool.Free(), pool.Size())
	}
}

func TestDeletedDeviceIsNoticed(t *testing.T) {
	for _, name := range []string{"while receiving", "while sending"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, bpf.Native)
			pool := newPool(t, 1024)
			umem := NewUMEM(pool)
			a, b := w.open(t, umem, 0, 0), w.open(t, umem, 1, 0)
			bufs := make([]port.Buf, 8)
			giveBack(pool, bufs[:a.Receive(bufs)])
			if err := a.Err(); err != nil {
				t.Fatalf("before: %v", err)
			}
			w.router.Delete(t, "ge0")
			deadline := time.Now().Add(20 * time.Second)
			for a.Err() == nil && time.Now().Before(deadline) {
				if name == "while receiving" {
					giveBack(pool, bufs[:a.Receive(bufs)])
					continue
				}
				chunk, ok := pool.Get()
				if !ok {
					break
				}
				if a.Transmit([]port.Buf{{Addr: chunk, Len: 64}}) == 0 {
					pool.Put(chunk)
				}
				a.Flush()
			}
			if err := a.Err(); !errors.Is(err, port.ErrGone) {
				t.Errorf("error is %v, want %v", err, port.ErrGone)
			}
			_ = a.Stats()
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			// The other device goes on, and a new one may join its memory.
			if err := b.Err(); err != nil {
				t.Errorf("the other device: %v", err)
			}
			testnet.Pair(t, testnet.End{In: w.hosts[0].In, Name: "eth1"}, testnet.End{In: w.router, Name: "ge2"})
			w.index[0] = w.router.Link(t, "ge2").Attrs().Index
			c := w.open(t, umem, 0, 0)
			for _, q := range []*Queue{b, c} {
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			}
			if pool.Free() != pool.Size() {
				t.Errorf("%d of %d buffers are lost", pool.Size()-pool.Free(), pool.Size())
			}
		})
	}
}

func TestRefusalsOfBindSayWhy(t *testing.T) {
	w := newWorld(t, 1, bpf.Native)
	umem, other := NewUMEM(newPool(t, 512)), NewUMEM(newPool(t, 512))
	first := w.open(t, umem, 0, 0)
	defer first.Close()
	cases := []struct {
		name   string
		umem   *UMEM
		config Config
		errno  error
		words  string
	}{
		{"queue that is taken", other, Config{Ifindex: w.index[0]}, unix.EBUSY, "another AF_XDP socket"},
		{"queue that is not there", other, Config{Ifindex: w.index[1], Queue: 7}, unix.EINVAL, "no such queue"},
		{"zero-copy on veth", other, Config{Ifindex: w.index[1], ZeroCopy: true}, unix.EOPNOTSUPP, "has no zero-copy"},
		{"ring of odd size", other, Config{Ifindex: w.index[1], RingSize: 100}, nil, "power of two"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := w.router.Do(func() error {
				q, err := c.umem.Open(c.config)
				if err == nil {
					_ = q.Close()
				}
				return err
			})
			if err == nil || c.errno != nil && !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error is %v, want %v with %q", err, c.errno, c.words)
			}
		})
	}
}

func TestNothingIsAllocatedPerFrame(t *testing.T) {
	w := newWorld(t, 1, bpf.Native)
	pool := newPool(t, 1024)
	umem := NewUMEM(pool)
	a := w.open(t, umem, 0, 0)
	defer a.Close()
	bufs := make([]port.Buf, 8)
	allocs := testing.AllocsPerRun(1000, func() {
		a.Receive(bufs)
		n := 0
		for i := range bufs {
			chunk, ok := pool.Get()
			if !ok {
				break
			}
			bufs[i] = port.Buf{Addr: chunk, Len: 64}
			n++
		}
		sent := a.Transmit(bufs[:n])
		for _, b := range bufs[sent:n] {
			pool.Put(b.Addr)
		}
		a.Flush()
		_ = a.Err()
	})
	if allocs != 0 {
		t.Errorf("%v allocations a round", allocs)
	}
}

// giveBack puts frames that came unasked back into the pool: the hosts say
// something of their own now and then, such as a neighbour solicitation.
func giveBack(pool *port.Pool, frames []port.Buf) {
	for _, b := range frames {
		pool.Put(b.Addr)
	}
}

func TestIdleQueuesLeaveThePoolToOthers(t *testing.T) {
	const queues = 8
	w := newWorld(t, queues, bpf.Native)
	pool := newPool(t, 2048)
	umem := NewUMEM(pool)
	bufs := make([]port.Buf, 64)
	var opened []*Queue
	for device := range 2 {
		for q := range queues {
			opened = append(opened, w.open(t, umem, device, q))
		}
	}
	for _, q := range opened {
		giveBack(pool, bufs[:q.Receive(bufs)])
		if want := int32(2048 * 3 / 4 / len(opened)); q.filled != want {
			t.Errorf("a queue of %d keeps %d buffers, want %d", len(opened), q.filled, want)
		}
	}
	if pool.Free() != 2048/4 {
		t.Errorf("%d buffers are free, want a quarter of 2048", pool.Free())
	}
	for _, q := range opened[1:] {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	last := opened[0]
	last.target *= 4 // as a busy queue's
	giveBack(pool, bufs[:last.Receive(bufs)])
	if last.filled != 256 {
		t.Errorf("the last queue keeps %d buffers, want all that its ring of 256 holds", last.filled)
	}
	if err := last.Close(); err != nil {
		t.Error(err)
	}
	if pool.Free() != pool.Size() {
		t.Errorf("%d buffers are lost", pool.Size()-pool.Free())
	}
}

func TestADeviceThatIsDownKeepsFewBuffers(t *testing.T) {
	w := newWorld(t, 1, bpf.Native)
	pool := newPool(t, 1024)
	umem := NewUMEM(pool)
	a, b := w.open(t, umem, 0, 0), w.open(t, umem, 1, 0)
	if err := w.router.Netlink().LinkSetDown(w.router.Link(t, "ge0")); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range 1000 {
		chunk, ok := pool.Get()
		if !ok {
			t.Fatal("the pool is empty")
		}
		if a.Transmit([]port.Buf{{Addr: chunk, Len: 64}}) == 0 {
			pool.Put(chunk)
			break
		}
		taken++
		a.Flush()
	}
	if want := 1024 / 4 / 2; taken != want {
		t.Errorf("%d frames wait for a device that is down, want %d", taken, want)
	}
	for _, q := range []*Queue{a, b} {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	if pool.Free() != pool.Size() {
		t.Errorf("%d buffers are lost", pool.Size()-pool.Free())
	}
}
