package afpacket

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
	"router/internal/testnet"
)

// bench is a device with a host behind it.
type bench struct {
	router *testnet.Namespace
	host   testnet.End
	index  int
	pool   *port.Pool
}

func newBench(t *testing.T) *bench {
	t.Helper()
	testnet.Require(t)
	b := &bench{router: testnet.New(t, "router"), host: testnet.End{In: testnet.New(t, "host"), Name: "eth0"}}
	testnet.Pair(t, b.host, testnet.End{In: b.router, Name: "ge0"})
	b.index = b.router.Link(t, "ge0").Attrs().Index
	pool, err := port.NewPool(make([]byte, 512*port.ChunkSize))
	if err != nil {
		t.Fatal(err)
	}
	b.pool = pool
	return b
}

func (b *bench) open(t *testing.T, config Config, queues int) []*Queue {
	t.Helper()
	config.Ifindex = b.index
	pools := make([]*port.Pool, queues)
	for i := range pools {
		pools[i] = b.pool
	}
	var opened []*Queue
	err := b.router.Do(func() (err error) {
		opened, err = Open(config, pools)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, q := range opened {
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		}
		if b.pool.Free() != b.pool.Size() {
			t.Errorf("%d of %d buffers are lost", b.pool.Size()-b.pool.Free(), b.pool.Size())
		}
	})
	return opened
}

// flowFrame is an IPv4 UDP frame of one flow.
func flowFrame(flow byte) []byte {
	b := make([]byte, 64)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17})
	copy(b[26:], []byte{192, 0, 2, flow, 198, 51, 100, flow, 0x80, flow, 0, 9, 0, 30})
	return b
}

func TestEachFrameComesOnceAndFlowsStayOnTheirQueue(t *testing.T) {
	b := newBench(t)
	wire := testnet.NewWire(t, b.host)
	queues := b.open(t, Config{}, 4)
	const flows, rounds = 32, 20
	for range rounds {
		for flow := range byte(flows) {
			if err := wire.Send(flowFrame(flow)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var on [flows][4]int
	total := 0
	bufs := make([]port.Buf, 64)
	quiet := time.Now().Add(200 * time.Millisecond)
	for time.Now().Before(quiet) {
		for i, q := range queues {
			for _, buf := range bufs[:q.Receive(bufs)] {
				if frame := b.pool.Frame(buf); frame[12] == 8 {
					on[frame[29]][i]++
					total++
					quiet = time.Now().Add(200 * time.Millisecond)
				}
				b.pool.Put(buf.Addr)
			}
		}
	}
	if total != flows*rounds {
		t.Errorf("%d frames came, want %d", total, flows*rounds)
	}
	used := make(map[int]bool)
	for flow, counts := range on {
		for i, n := range counts {
			if n == 0 {
				continue
			}
			used[i] = true
			if n != rounds {
				t.Errorf("flow %d is spread over queues: %v", flow, counts)
			}
		}
	}
	if len(used) < 2 {
		t.Errorf("%d flows use %d of 4 queues", flows, len(used))
	}
}

func TestFramesBeyondABufferAreCounted(t *testing.T) {
	b := newBench(t)
	for _, ns := range []struct {
		in   *testnet.Namespace
		name string
	}{{b.router, "ge0"}, {b.host.In, "eth0"}} {
		if err := ns.in.Netlink().LinkSetMTU(ns.in.Link(t, ns.name), 9000); err != nil {
			t.Fatal(err)
		}
	}
	wire := testnet.NewWire(t, b.host)
	q := b.open(t, Config{}, 1)[0]
	for _, size := range []int{port.MaxFrame, port.MaxFrame + 1, 5000} {
		if err := wire.Send(append(flowFrame(1), make([]byte, size-64)...)); err != nil {
			t.Fatal(err)
		}
	}
	bufs := make([]port.Buf, 8)
	fits := 0
	for end := time.Now().Add(20 * time.Second); q.Stats().RxOversize < 2 && time.Now().Before(end); {
		for _, buf := range bufs[:q.Receive(bufs)] {
			if buf.Len == port.MaxFrame {
				fits++
			}
			b.pool.Put(buf.Addr)
		}
	}
	if got := q.Stats().RxOversize; got != 2 || fits != 1 {
		t.Errorf("%d frames are oversize and %d fit, want 2 and 1", got, fits)
	}
}

func TestJumboFrames(t *testing.T) {
	b := newBench(t)
	for _, ns := range []struct {
		in   *testnet.Namespace
		name string
	}{{b.router, "ge0"}, {b.host.In, "eth0"}} {
		if err := ns.in.Netlink().LinkSetMTU(ns.in.Link(t, ns.name), 9582); err != nil {
			t.Fatal(err)
		}
	}
	mem := make([]byte, 64*port.ChunkSize+16*port.SpanSize)
	pool, err := port.NewJumboPool(mem, 16)
	if err != nil {
		t.Fatal(err)
	}
	b.pool = pool
	wire := testnet.NewWire(t, b.host)
	q := b.open(t, Config{MaxFrame: port.MaxJumbo}, 1)[0]
	bufs := make([]port.Buf, 8)
	for _, size := range []int{64, port.MaxFrame, port.MaxFrame + 1, 5000, 9018, 9596} {
		want := append(flowFrame(1), bytes.Repeat([]byte{byte(size)}, size-64)...)
		if err := wire.Send(want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for end := time.Now().Add(20 * time.Second); n == 0 && time.Now().Before(end); {
			n = q.Receive(bufs)
		}
		if n != 1 || !bytes.Equal(pool.Frame(bufs[0]), want) {
			t.Fatalf("a frame of %d octets arrived as %d frames, or changed", size, n)
		}
		// And back, as it is.
		if q.Transmit(bufs[:1]) != 1 {
			t.Fatal("the frame was not taken")
		}
		q.Flush()
		for {
			got := wire.Receive(time.Now().Add(2 * time.Second))
			if got == nil {
				t.Fatalf("a frame of %d octets did not come back", size)
			}
			if bytes.Equal(got, want) {
				break
			}
		}
	}
	if pool.Free() != pool.Size() || pool.FreeSpans() != pool.Spans() {
		t.Error("buffers are lost")
	}
}

func TestRefusedFramesAreCountedAndTheirBuffersReturn(t *testing.T) {
	b := newBench(t)
	q := b.open(t, Config{}, 1)[0]
	send := func(size uint16) {
		chunk, ok := b.pool.Get()
		if !ok {
			t.Fatal("the pool is empty")
		}
		if n := q.Transmit([]port.Buf{{Addr: chunk + port.Headroom, Len: size}}); n != 1 {
			t.Fatalf("took %d frames", n)
		}
	}
	send(64)
	send(1700) // beyond the MTU
	send(64)
	q.Flush()
	if s := q.Stats(); s.TxDropped != 1 {
		t.Errorf("%d frames were dropped, want the large one", s.TxDropped)
	}
	if err := b.router.Netlink().LinkSetDown(b.router.Link(t, "ge0")); err != nil {
		t.Fatal(err)
	}
	send(64)
	send(64)
	q.Flush()
	if s := q.Stats(); s.TxDropped != 3 || q.Err() != nil {
		t.Errorf("%d frames were dropped on a device that is down, want 3 in all; error %v", s.TxDropped, q.Err())
	}
}

func TestNothingIsAllocatedPerFrame(t *testing.T) {
	b := newBench(t)
	q := b.open(t, Config{}, 1)[0]
	bufs := make([]port.Buf, 8)
	allocs := testing.AllocsPerRun(1000, func() {
		for _, buf := range bufs[:q.Receive(bufs)] {
			b.pool.Put(buf.Addr)
		}
		for i := range bufs {
			chunk, ok := b.pool.Get()
			if !ok {
				t.Fatal("the pool is empty")
			}
			bufs[i] = port.Buf{Addr: chunk, Len: 64}
		}
		for _, buf := range bufs[q.Transmit(bufs):] {
			b.pool.Put(buf.Addr)
		}
		q.Flush()
	})
	if allocs != 0 {
		t.Errorf("%v allocations a round", allocs)
	}
}

func TestRefusalsOfOpen(t *testing.T) {
	b := newBench(t)
	pools := []*port.Pool{b.pool}
	cases := []struct {
		name   string
		config Config
		errno  error
		words  string
	}{
		{"no such device", Config{Ifindex: 9999}, unix.ENODEV, "bind"},
		{"odd ring", Config{Ifindex: b.index, RingSize: 33}, nil, "power of two"},
		{"a filter that fails", Config{Ifindex: b.index, Filter: func(int) error { return unix.EPERM }}, unix.EPERM, "queue 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := b.router.Do(func() error {
				_, err := Open(c.config, pools)
				return err
			})
			if err == nil || c.errno != nil && !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error is %v, want %v with %q", err, c.errno, c.words)
			}
		})
	}
}
