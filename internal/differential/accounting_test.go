package differential

import (
	"context"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"router/dataplane"
	"router/dataplane/memport"
	"router/dataplane/port"
	"router/internal/frames"
	"router/intf"
	"router/vrf"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// A feed is the generated frames of one queue: half of them well-formed, as far
// as the generator's packets are, half of them spoiled.
type feed struct {
	g    *frames.Generator
	left *atomic.Int64 // frames that all feeds together still have to give
	buf  []byte
	n    int
}

// next writes a frame to b. It runs on a worker's thread.
func (f *feed) next(b []byte) int {
	if f.left.Add(-1) < 0 {
		return 0
	}
	f.n++
	f.buf = f.buf[:0]
	if f.n%2 == 0 {
		f.buf = f.g.Next4(f.buf)
	} else {
		f.buf = f.g.Next6(f.buf)
	}
	switch f.n % 8 {
	case 0, 1, 2:
		f.buf = f.g.Mutate(f.buf)
	case 3:
		f.buf = f.g.Mutate(f.g.Mutate(f.buf))
	case 4:
		// As on a link with tags.
		f.buf = append(f.buf, 0, 0, 0, 0)
		copy(f.buf[16:], f.buf[12:])
		copy(f.buf[12:], []byte{0x81, 0, byte(f.n >> 12 & 15), byte(f.n >> 4)})
	}
	n := copy(b[:min(len(b), port.MaxFrame)], f.buf)
	if n == 0 {
		return copy(b, "\x00") // no length at all would say that there is no frame
	}
	return n
}

// TestEveryFuzzedFrameIsAccountedFor: whatever comes in on ports in memory, in =
// out + drops + punts holds exactly when it is over, and every buffer is back in
// its pool. ACCOUNTING_FRAMES sets how many frames; `make soak` sends 10^8.
func TestEveryFuzzedFrameIsAccountedFor(t *testing.T) {
	amount := int64(2_000_000)
	if text := os.Getenv("ACCOUNTING_FRAMES"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			t.Fatalf("ACCOUNTING_FRAMES=%q: want a number of frames", text)
		}
		amount = n
	} else if testing.Short() {
		amount = 100_000
	}
	domain := epoch.New()
	engine, err := dataplane.New(dataplane.Config{Workers: 2, Buffers: 2048, Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}()
	arena, err := fib.NewHeapArena(1<<20, domain)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := vrf.New(vrf.Config{Arena: arena, Sink: engine})
	if err != nil {
		t.Fatal(err)
	}
	p := &pipeline{engine: engine}
	tx := engine.Edit()
	tx.SetInstance(0, routes.FIB(vrf.Default))
	tx.Commit()
	// Nothing is given before everything stands.
	var left atomic.Int64
	var ports []dataplane.PortID
	for i, s := range sides {
		w := world()
		w.Station, w.Host = s.mac, s.far
		var queues []port.Queue
		// One queue only behind d: one worker hands over to the other.
		for j, pool := range engine.Pools()[:2-i/3] {
			f := &feed{g: frames.New(uint64(10*i+j), w), left: &left}
			queues = append(queues, memport.NewFunc(pool, f.next, nil))
		}
		id, err := engine.AddPort(s.name, queues, dataplane.PortOptions{CompleteChecksums: i == 1})
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, id)
		if err := p.addUnit(routes, intf.Index(i+1), id, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.addRefusals(routes); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var consumers sync.WaitGroup
	consumers.Go(func() { _ = engine.ServeControl(ctx, func(dataplane.Punt) {}) })
	consumers.Go(func() { _ = engine.ServeHost(ctx, nowhere{}) })
	defer consumers.Wait()
	defer cancel()

	var over time.Time
	start := time.Now()
	left.Store(amount)
	balance := func() (s dataplane.Totals, in, out uint64) {
		s = engine.Totals()
		return s, s.Received + s.Injected + s.Created, s.Sent + s.Dropped + s.Punted + s.Delivered + s.Absorbed
	}
	for quiet := 0; quiet < 3; time.Sleep(20 * time.Millisecond) {
		// The last batch counts when it has ended.
		if s, in, out := balance(); s.Received == uint64(amount) && in == out {
			quiet++
		} else if quiet = 0; left.Load() < 0 {
			// All are given: what is under way takes no seconds.
			if over.IsZero() {
				over = time.Now()
			} else if time.Since(over) > 20*time.Second {
				break
			}
		}
	}
	took := time.Since(start)
	s, in, out := balance()
	if s.Received != uint64(amount) || in != out {
		t.Errorf("%d frames were given; %d packets came in, %d are accounted for: %+v", amount, in, out, s)
	}
	var dropped uint64
	count := func(drops map[dataplane.Reason]uint64) {
		for _, n := range drops {
			dropped += n
		}
	}
	for _, id := range ports {
		count(engine.Drops(id))
	}
	count(engine.OwnDrops())
	if dropped != s.Dropped {
		t.Errorf("drops by reason add up to %d of %d", dropped, s.Dropped)
	}
	if u := engine.Usage(); u.BuffersFree != u.Buffers {
		t.Errorf("%d of %d buffers are free", u.BuffersFree, u.Buffers)
	}
	t.Logf("%d frames in %.1f s (%.0f ns each): %+v", amount, took.Seconds(), float64(took.Nanoseconds())/float64(amount), s)
}

// nowhere is a host stack that takes everything.
type nowhere struct{}

func (nowhere) Deliver(intf.Index, intf.Family, []byte) error { return nil }
