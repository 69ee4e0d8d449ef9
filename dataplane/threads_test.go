package dataplane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/dataplane/memport"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// newThreads makes a world whose workers run on their own threads.
func newThreads(t *testing.T, workers int) *world {
	t.Helper()
	c := worldConfig()
	c.Workers = workers
	c.Spin = 20 * time.Microsecond
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	x := settle(t, e)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// settled waits until the totals balance and nothing moves any more.
func (x *world) settled() Totals {
	x.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for last := (Totals{}); time.Now().Before(deadline); {
		s := x.e.Totals()
		if s == last && s.Received+s.Injected+s.Created == s.Sent+s.Dropped+s.Punted+s.Delivered+s.Absorbed {
			return s
		}
		last = s
		time.Sleep(5 * time.Millisecond)
	}
	x.t.Fatalf("packets are missing: %+v", x.e.Totals())
	return Totals{}
}

// numbered is a frame from a to b that carries a number.
func numbered(src string, router, host intf.MAC, dst string, n uint32) []byte {
	return eth4(router, host, ip4{src: src, dst: dst, payload: binary.BigEndian.AppendUint32(nil, n)})
}

// numberOf is the number in an untagged frame.
func numberOf(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[34:]) }

func TestHandOffBetweenWorkers(t *testing.T) {
	x := newThreads(t, 3)
	const each = 2000
	// Port b has a queue with worker 0 only; a has one with each worker.
	seen := make(map[uint32]int)
	var popped atomic.Uint32
	send := func(q *memport.Queue, n uint32) {
		frame := numbered("192.0.2.10", routerA, hostA, "198.51.100.10", n)
		for !q.Push(frame, 0) {
			time.Sleep(50 * time.Microsecond)
		}
	}
	out := x.queues["b"][0]
	pop := func() bool {
		f, ok := out.Pop(nil)
		if ok {
			seen[numberOf(f)]++
			popped.Add(1)
		}
		return ok
	}
	var sent atomic.Uint32
	var wg sync.WaitGroup
	for i, q := range x.queues["a"] {
		wg.Go(func() {
			for n := range uint32(each) {
				// Keep no more on the way than a ring holds.
				for sent.Load()-popped.Load() > 300 {
					time.Sleep(50 * time.Microsecond)
				}
				send(q, uint32(i)*each+n)
				sent.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	deadline := time.After(30 * time.Second)
	for len(seen) < 3*each {
		if !pop() {
			select {
			case <-deadline:
				t.Fatalf("%d of %d frames arrived; drops %v", len(seen), 3*each, x.drops())
			case <-time.After(50 * time.Microsecond):
			}
		}
	}
	<-done
	for n, times := range seen {
		if times != 1 {
			t.Errorf("frame %d arrived %d times", n, times)
		}
	}
	s := x.settled()
	if s.Absorbed != 2*each {
		t.Errorf("%d frames were handed over, want %d", s.Absorbed, 2*each)
	}
	c, _ := x.e.PortCounters(x.ports["b"])
	if c.OutUnicast != 3*each {
		t.Errorf("port counters: %+v", c)
	}
}

// TestChurnLosesNothingOfAnUnrelatedFlow changes units, instances, ports, next
// hops and routes while a flow passes that none of it concerns.
func TestChurnLosesNothingOfAnUnrelatedFlow(t *testing.T) {
	x := newThreads(t, 2)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var rounds [4]atomic.Int64
	churners := 0
	churn := func(f func(i int)) {
		round := &rounds[churners]
		churners++
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
					round.Add(1)
				}
			}
		})
	}
	churn(func(i int) {
		tx := x.e.Edit()
		u := x.unit(intf.Index(100+i%50), "c", []uint16{0x8100, uint16(200 + i%50)}, routerC, 1, 1500, "10.77.0.1")
		if i%3 == 0 {
			tx.DeleteUnit(u.Index)
		} else {
			tx.SetUnit(u)
		}
		// The address of an unrelated unit, and the flow's own unit unchanged.
		tx.SetUnit(x.unit(unitC, "c", tagC, routerC, 0, 1500, "203.0.113.1", "203.0.113.2"))
		tx.SetUnit(x.unit(unitB, "b", nil, routerB, 0, 1280, "198.51.100.1"))
		tx.SetInstance(0, x.tables[0])
		tx.Commit()
	})
	churn(func(i int) {
		id := routing.NextHopID(1000 + i%3)
		nh := routing.NextHop{Kind: routing.Forward, IfIndex: unitC, Gateway: ip("203.0.113.50")}
		x.e.SetNextHop(id, nh, 0)
		if err := x.tables[0].Insert(prefix("10.55.0.0/16"), uint32(id)); err != nil {
			t.Error(err)
		}
		x.e.SetAdjacency(unitC, ip("203.0.113.50"), hostC, i%2 == 0)
		x.e.SetAdjacency(unitB, ip("198.51.100.10"), hostB, false)
		if _, err := x.tables[0].Delete(prefix("10.55.0.0/16")); err != nil {
			t.Error(err)
		}
		x.e.ClearAdjacency(unitC, ip("203.0.113.50"))
		x.e.DeleteNextHop(id)
	})
	churn(func(i int) {
		queues := []port.Queue{memport.New(x.e.Pools()[0], 4), memport.New(x.e.Pools()[1], 4)}
		id, err := x.e.AddPort("flap", queues, PortOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		tx := x.e.Edit()
		tx.SetUnit(Unit{Index: 300, Port: id, MAC: routerD})
		tx.Commit()
		if err := x.e.RemovePort(id); err != nil {
			t.Error(err)
		}
	})
	churn(func(int) {
		x.e.UnitCounters(unitA)
		x.e.PortCounters(x.ports["a"])
		x.e.Drops(x.ports["a"])
		x.e.PortStats(x.ports["a"])
		time.Sleep(time.Millisecond)
	})
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { _ = x.e.ServeControl(ctx, func(Punt) {}) })

	// The flow, and another one that meets what is being changed.
	const flow, changes = 20000, 300
	changed := func() bool {
		for i := range rounds {
			if rounds[i].Load() < changes {
				return false
			}
		}
		return true
	}
	in, out := x.queues["a"][0], x.queues["b"][0]
	want := uint32(0)
	deadline := time.Now().Add(60 * time.Second)
	for n := uint32(0); want < flow || !changed(); {
		if time.Now().After(deadline) {
			t.Fatalf("frame %d is missing, or changes take too long; drops %v", want, x.drops())
		}
		progress := false
		for n-want < 200 && in.Push(numbered("192.0.2.10", routerA, hostA, "198.51.100.10", n), 0) {
			n++
			progress = true
			if n%16 == 0 {
				in.Push(numbered("192.0.2.10", routerA, hostA, "10.55.1.1", n), 0)
			}
		}
		for f, ok := out.Pop(nil); ok; f, ok = out.Pop(nil) {
			if got := numberOf(f); got != want {
				t.Fatalf("frame %d came where %d was due: lost or out of order; drops %v", got, want, x.drops())
			}
			want++
			progress = true
		}
		if !progress {
			time.Sleep(20 * time.Microsecond)
		}
	}
	close(stop)
	cancel()
	wg.Wait()
	x.settled()
}

// deliveries is a HostSink that hands on copies.
type deliveries chan []byte

func (d deliveries) Deliver(i intf.Index, _ intf.Family, l3 []byte) error {
	d <- append([]byte{byte(i)}, l3...)
	if i == unitD {
		return errors.New("no such unit")
	}
	return nil
}

func TestSleepersAreWoken(t *testing.T) {
	x := newThreads(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	punts, host := make(chan string, 1), make(deliveries, 1)
	wg.Go(func() {
		if err := x.e.ServeControl(ctx, func(p Punt) { punts <- puntString(p) }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := x.e.ServeHost(ctx, host); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	local := ip4{src: "192.0.2.10", dst: "192.0.2.1", payload: data(30)}
	lost := ip4{src: "192.0.2.1", dst: "203.0.113.99", payload: data(30)}
	for range 20 {
		time.Sleep(2 * time.Millisecond) // long enough to fall asleep
		x.push("a", eth4(routerA, hostA, local))
		if got := <-host; !bytes.Equal(got, append([]byte{byte(unitA)}, local.bytes()...)) {
			t.Fatalf("delivered %x", got)
		}
		time.Sleep(2 * time.Millisecond)
		if err := x.e.Originate(0, unitA, lost.bytes()); err != nil {
			t.Fatal(err)
		}
		if got, want := <-punts, unresolvedPunt(unitC, "203.0.113.99", unitA, true, 0x800, lost.bytes())[0]; got != want {
			t.Fatalf("punted %s", got)
		}
	}
	x.push("d", eth4(routerD, hostD, local))
	<-host
	x.settled()
	cancel()
	wg.Wait()
	if n := x.e.Undelivered(); n != 1 {
		t.Errorf("%d packets undelivered, want 1", n)
	}
}

func TestCloseReturnsEveryBuffer(t *testing.T) {
	c := worldConfig()
	c.Workers = 2
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	x := settle(t, e)
	for i := range uint32(100) {
		x.push("a", numbered("192.0.2.10", routerA, hostA, "203.0.113.10", i))
	}
	x.settled()
	// The pools are looked at when the threads have gone, but not the memory.
	for _, w := range e.workers {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	}
	for i, w := range e.workers {
		if w.pool.Free() != w.pool.Size() || w.pool.FreeSpans() != w.pool.Spans() {
			t.Errorf("worker %d: %d of %d buffers, %d of %d spans", i, w.pool.Free(), w.pool.Size(), w.pool.FreeSpans(), w.pool.Spans())
		}
		if err := w.free(); err != nil {
			t.Error(err)
		}
	}
	for name, queues := range x.queues {
		for i, q := range queues {
			if !q.Closed() {
				t.Errorf("queue %d of port %s is open", i, name)
			}
		}
	}
}

// A fdQueue is a memory port that announces its frames by a file descriptor.
type fdQueue struct {
	*memport.Queue
	fd int
}

func newFDQueue(t *testing.T, pool *port.Pool) fdQueue {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return fdQueue{memport.New(pool, 64), fd}
}

func (q fdQueue) FD() int { return q.fd }

func (q fdQueue) Close() error { return errors.Join(q.Queue.Close(), unix.Close(q.fd)) }

func (q fdQueue) Receive(bufs []port.Buf) int {
	var b [8]byte
	_, _ = unix.Read(q.fd, b[:]) // nothing to read is fine
	return q.Queue.Receive(bufs)
}

func (q fdQueue) announce(t *testing.T, frame []byte) {
	t.Helper()
	if !q.Push(frame, 0) {
		t.Fatal("no room")
	}
	if _, err := unix.Write(q.fd, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestIdleWorkersSleepUntilFramesCome(t *testing.T) {
	c := worldConfig()
	c.Workers = 2
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	queues := []fdQueue{newFDQueue(t, e.Pools()[0]), newFDQueue(t, e.Pools()[1])}
	id, err := e.AddPort("a", []port.Queue{queues[0], queues[1]}, PortOptions{})
	if err != nil {
		t.Fatal(err)
	}
	asleep := func() bool {
		for _, w := range e.workers {
			if !w.sleeping.Load() {
				return false
			}
		}
		return true
	}
	for round := range uint64(5) {
		for deadline := time.Now().Add(10 * time.Second); !asleep(); {
			if time.Now().After(deadline) {
				t.Fatal("the workers do not sleep")
			}
			time.Sleep(time.Millisecond)
		}
		for _, q := range queues {
			q.announce(t, data(60))
		}
		for deadline := time.Now().Add(10 * time.Second); e.Totals().Dropped != 2*(round+1); {
			if time.Now().After(deadline) {
				t.Fatalf("frames were not noticed: %+v", e.Totals())
			}
			time.Sleep(time.Millisecond)
		}
	}
	if d := e.Drops(id); d[DropUnknownTag]+d[DropUnknownType]+d[Reason(packet.FaultEtherType)] != 10 {
		t.Errorf("drops: %v", d)
	}
	if err := e.RemovePort(id); err != nil {
		t.Error(err)
	}
}

// TestWorkBeforeTheSleepIsNoticed puts work into a ring while the worker is
// not yet asleep, so that nobody wakes it.
func TestWorkBeforeTheSleepIsNoticed(t *testing.T) {
	x := newWorld(t, worldConfig())
	w := x.e.workers[0]
	if err := x.e.SendUnit(unitA, 0x806, hostA, data(28)); err != nil {
		t.Fatal(err)
	}
	for i := range w.rx {
		w.rx[i].failed = true // so that no queue's polling ends the sleep
	}
	done := make(chan struct{})
	go func() { w.park(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the worker sleeps over a packet")
	}
	for i := range w.rx {
		w.rx[i].failed = false
	}
}

func TestPuntBeforeTheSleepIsNoticed(t *testing.T) {
	c := newConsumer()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	calls := 0
	// The packet comes after the first look; the bell was not rung.
	err := c.serve(ctx, func() bool {
		calls++
		if calls == 2 {
			cancel()
		}
		return calls == 2
	})
	if calls < 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("looked %d times, then %v", calls, err)
	}
}
