package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"router/dataplane"
	"router/dataplane/layout"
)

// TestEquivalence lets the program and the user path forward the same packets by
// the same random tables: what the program does not hand up leaves with the same
// octets by the same unit, or is dropped for the same reason, and both count the
// same. In every other pair of worlds frames may be of several buffers, which are
// handed up, whole and uncounted. EQUIVALENCE_PACKETS sets how many packets: .ci/run sends 10^7, `make soak` 10^8.
func TestEquivalence(t *testing.T) {
	amount := 1_000_000
	if text := os.Getenv("EQUIVALENCE_PACKETS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("EQUIVALENCE_PACKETS=%q: want a number of packets", text)
		}
		amount = n
	} else if testing.Short() {
		amount = 50_000
	}
	perWorld := max(1, min(max(125_000, amount/16), amount/2)) // each second world has filters
	var mu sync.Mutex
	var sum outcomesSeen
	start := time.Now()
	t.Run("worlds", func(t *testing.T) {
		for seed := uint64(1); amount > 0; seed++ {
			n := min(amount, perWorld)
			amount -= n
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newRandomWorld(t, seed)
				w.run(n)
				w.close()
				t.Logf("filters %v: %+v", w.filtered, w.seen)
				mu.Lock()
				defer mu.Unlock()
				sum.add(w.seen)
			})
		}
	})
	t.Logf("%+v in %.1f s", sum, time.Since(start).Seconds())
	want := map[string]int{
		"forwarded": sum.Forwarded, "dropped": sum.Dropped, "handed up": sum.HandedUp, "forwarded with other tags": sum.Retagged,
		"forwarded of plain packets": sum.Forwarded - sum.Plain/10,
	}
	if !plainLoads() {
		want["handed up for its several buffers"] = sum.Several
		want["forwarded of those as long as one buffer can be"] = sum.AtLimit
		want["larger than what we take"] = sum.Oversize
	}
	for what, n := range want {
		if n <= 0 {
			t.Errorf("hardly any packet was %s: the test shows nothing", what)
		}
	}
}

// Several, AtLimit and Oversize are frames of several buffers, those forwarded that fill
// the largest first buffer, and those that no span of ours holds.
type outcomesSeen struct {
	Forwarded, Dropped, HandedUp, Retagged, Plain int
	Several, AtLimit, Oversize                    int
}

func (s *outcomesSeen) add(o outcomesSeen) {
	s.Forwarded += o.Forwarded
	s.Dropped += o.Dropped
	s.HandedUp += o.HandedUp
	s.Retagged += o.Retagged
	s.Plain += o.Plain
	s.Several += o.Several
	s.AtLimit += o.AtLimit
	s.Oversize += o.Oversize
}

// recorder is a Fast that remembers what it gave out.
type recorder struct {
	*Fast
	places []uint32
}

func (r *recorder) NewTally() (uint32, error) {
	place, err := r.Fast.NewTally()
	if err == nil && !slices.Contains(r.places, place) {
		r.places = append(r.places, place)
	}
	return place, err
}

// total adds one counter up over all places.
func (r *recorder) total(what int) (sum uint64) {
	t := &r.tallies
	for _, place := range r.places {
		for cpu := range t.cpus {
			sum += atomic.LoadUint64(&t.mem[(cpu*t.stride+int(place)*tallyOctets)/8+what])
		}
	}
	return sum
}

type goWork struct {
	port   int
	frames [][]byte
	outs   [][]goOut
	turn   int
	given  bool
	done   chan struct{}
}

type goOut struct {
	port  int
	frame []byte
}

// A verdict is what the program did with a frame.
type verdict struct {
	in, out []byte // out is nil for a frame that was dropped
	plain   bool
}

func (w *randomWorld) run(amount int) {
	const batch = 2000
	room := 4096 // of a frame, and of what is made of it
	if w.jumbo {
		room = 12288
	}
	space := make([]byte, 2*room*batch)
	for done := 0; done < amount && !w.t.Failed(); done += batch {
		w.load()
		at := w.rng.IntN(len(w.ports))
		var handled []verdict
		for i := range min(batch, amount-done) {
			mine := space[2*room*i:][: 2*room : 2*room]
			frame, plain := w.next(at, mine[:0:room])
			if plain {
				w.seen.Plain++
			}
			if len(frame) < 14 {
				w.seen.HandedUp++ // the kernel gives no such frame to a program
				continue
			}
			if v, ok := w.offer(w.ports[at], frame, mine[room:]); ok {
				v.plain = plain
				handled = append(handled, v)
			}
		}
		w.compare(at, handled)
		w.change()
	}
	w.compareCounters()
}

// load loads the programs if what they are to be loaded with has changed, as Fast does with
// those at devices.
func (w *randomWorld) load() {
	f := w.fast.Fast
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := f.filters.Stats()
	now := fmt.Sprint(f.filtering, stats.Size, stats.Counts, f.size, f.tallies.size)
	if now == w.loaded {
		return
	}
	w.loaded = now
	for _, p := range w.ports {
		if p.prog != nil {
			_ = p.prog.Close()
		}
		var err error
		if p.prog, err = p.set.program("take", w.jumbo, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

// firstMost is how much of a frame a test run puts into the first buffer: a page less
// the headroom and what the kernel keeps behind it (struct skb_shared_info).
const firstMost = 4096 - 256 - 320

// xdpMD is struct xdp_md, as a test run takes it.
type xdpMD struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

// cut draws how many octets of a frame are in its first buffer.
func (w *randomWorld) cut(frame []byte) int {
	n := min(len(frame), firstMost)
	if w.jumbo && !w.uncut && n > firstLeast && w.rng.IntN(8) == 0 {
		n = firstLeast + w.rng.IntN(n-firstLeast)
	}
	return n
}

// firstLeast is FIRST_BUFFER of fast.h.
const firstLeast = 256

// offer gives a frame to the program, which writes to out what becomes of it; ok is false when it was handed up.
func (w *randomWorld) offer(p *randomPort, frame, out []byte) (v verdict, ok bool) {
	before := w.fast.total(layout.TallyInPackets)
	first := w.cut(frame)
	o := ebpf.RunOptions{Data: frame, DataOut: out[:len(frame)+64], Repeat: 1}
	if first < min(len(frame), firstMost) {
		o.Context = xdpMD{DataEnd: uint32(first)}
	}
	act, err := p.prog.Run(&o)
	if o.Context != nil && errors.Is(err, unix.EINVAL) { // before Linux 6.18
		w.uncut, first, o.Context = true, min(len(frame), firstMost), nil
		act, err = p.prog.Run(&o)
	}
	if err != nil {
		w.t.Fatalf("run the program on %x: %v", frame, err)
	}
	counted := w.fast.total(layout.TallyInPackets) - before
	several := first < len(frame)
	const drop, redirect = 1, 4
	switch {
	case counted == 0 && act == drop: // nobody is at the socket
		if !bytes.Equal(o.DataOut, frame) {
			w.t.Fatalf("a frame was changed before it was handed up:\n%x\n%x", frame, o.DataOut)
		}
		w.seen.HandedUp++
		switch {
		case len(frame) > p.set.config.MaxFrame:
			p.oversize++
			w.seen.Oversize++
		default:
			p.handedUp++
		}
		if several {
			w.seen.Several++
		}
		return v, false
	case several:
		w.t.Fatalf("verdict %d with %d packets counted, of %d octets with %d in the first buffer: %x", act, counted, len(frame), first, frame)
	case counted == 1 && act == drop:
		w.seen.Dropped++
		return verdict{in: frame}, true
	case counted == 1 && act == redirect:
		w.seen.Forwarded++
		if [2]byte(frame[12:14]) != [2]byte(o.DataOut[12:14]) {
			w.seen.Retagged++
		}
		if len(frame) > firstMost-8 {
			w.seen.AtLimit++
		}
		return verdict{in: frame, out: o.DataOut}, true
	}
	w.t.Fatalf("verdict %d with %d packets counted, of %x", act, counted, frame)
	return v, false
}

// compare lets the user path do what the program has done.
func (w *randomWorld) compare(at int, handled []verdict) {
	work := &goWork{port: at, turn: -1, outs: make([][]goOut, len(handled)), done: make(chan struct{})}
	for _, v := range handled {
		work.frames = append(work.frames, v.in)
	}
	w.work.Store(work)
	<-work.done
	for i, v := range handled {
		outs := work.outs[i]
		switch {
		case v.out == nil && len(outs) == 0:
		case v.out == nil || len(outs) != 1:
			w.t.Errorf("of frame %x\nthe program makes %x,\nthe user path %d frames: %x", v.in, v.out, len(outs), outs)
			return
		case !bytes.Equal(v.out, outs[0].frame):
			w.t.Errorf("of frame %x\nthe program makes %x,\nthe user path     %x", v.in, v.out, outs[0].frame)
			return
		}
	}
}

// compareCounters: of what was handled, both paths have counted the same, and the
// engine shows their sum.
func (w *randomWorld) compareCounters() {
	var in, inOctets, out, outOctets, dropped uint64
	for _, p := range w.ports {
		c, _ := w.engine.PortCounters(p.id)
		in, inOctets, out, outOctets = in+c.InUnicast, inOctets+c.InOctets, out+c.OutUnicast, outOctets+c.OutOctets
		dropped += c.InDiscards
	}
	for _, x := range []struct {
		name string
		sum  uint64
		what int
	}{
		{"packets in", in, layout.TallyInPackets}, {"octets in", inOctets, layout.TallyInOctets},
		{"packets out", out, layout.TallyOutPackets}, {"octets out", outOctets, layout.TallyOutOctets},
	} {
		if fast := w.fast.total(x.what); x.sum != 2*fast {
			w.t.Errorf("%s: both paths count %d, the program %d: want twice as many", x.name, x.sum, fast)
		}
	}
	for _, p := range w.ports {
		c, err := p.set.Counters(0)
		if want := (Counters{NoSocket: p.handedUp, Oversize: p.oversize}); err != nil || c != want {
			w.t.Errorf("port %d: the program has counted %+v of what it did not handle (%v): want %+v", p.id, c, err, want)
		}
	}
	reasons := map[dataplane.Reason]uint64{}
	for _, p := range w.ports {
		for r, n := range w.engine.Drops(p.id) {
			reasons[r] += n
		}
	}
	rpf := w.fast.total(layout.TallyRPF4) + w.fast.total(layout.TallyRPF6)
	discarded := w.fast.total(layout.TallyDiscarded)
	filtered := w.fast.total(layout.TallyFiltered) + w.fast.total(layout.TallyOutFiltered)
	if reasons[dataplane.DropRPF] != 2*rpf || reasons[dataplane.DropDiscarded] != 2*discarded || reasons[dataplane.DropFiltered] != 2*filtered ||
		dropped != 2*(rpf+discarded+filtered) {
		w.t.Errorf("both paths drop %v, %d in all; the program %d for their source, %d discarded, %d filtered: want twice as many",
			reasons, dropped, rpf, discarded, filtered)
	}
	if w.filtered {
		w.compareTerms()
	}
}

// source gives the worker one frame each time that it receives.
func (w *randomWorld) source(at int, b []byte) int {
	x := w.work.Load()
	switch {
	case x == nil || x.port != at:
		return 0
	case x.given:
		x.given = false
		return 0
	case x.turn+1 == len(x.frames):
		w.work.Store(nil)
		close(x.done)
		return 0
	}
	x.turn++
	x.given = true
	return copy(b, x.frames[x.turn])
}

// sink collects what leaves by a port.
func (w *randomWorld) sink(at int, frame []byte) {
	if x := w.work.Load(); x != nil {
		x.outs[x.turn] = append(x.outs[x.turn], goOut{at, bytes.Clone(frame)})
	}
}
