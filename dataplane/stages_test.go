package dataplane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"router/dataplane/filter"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
)

// singly is receive without stages over whole batches: each frame is classified, and
// each packet's next hop acts, by itself.
func (w *worker) singly(q *rxQueue) int {
	n := q.queue.Receive(w.bufs[:])
	if n == 0 {
		return 0
	}
	w.snap = w.engine.snapshot.Load()
	view := w.snap.ports.at(uint32(q.port))
	w.touch(q.block)
	w.totals.pend[totalReceived] += uint64(n)
	for f := range w.batch {
		w.batch[f].n, w.batch[f].hooks, w.batch[f].steered, w.batch[f].rpf = 0, 0, false, false
	}
	for _, b := range w.bufs[:n] {
		w.classify(q, view, b)
	}
	for _, f := range intf.Families {
		b := &w.batch[f]
		if b.hooks.has(filter.Input) {
			w.filterInput(b)
		}
		if b.rpf {
			w.checkSources(b, f)
		}
		b.lookup(f)
		if b.steered {
			b.steer()
		}
		for i := range b.n {
			w.actOn(b, i, f)
		}
	}
	return n
}

// TestStagesDecideNothing gives the same frames, whole ones and damaged ones, to a
// router that takes batches through its stages and to one that takes packets one by
// one: the same comes out everywhere, and all counters are the same.
func TestStagesDecideNothing(t *testing.T) {
	for _, kind := range []string{"plain", "filters and checks of sources"} {
		t.Run(kind, func(t *testing.T) {
			var worlds [2]*world
			for i := range worlds {
				c := worldConfig()
				c.Domain, c.FlowSeed = epoch.New(), 7
				c.ICMP, c.ICMPUnit = Rate{1e9, 1e6}, Rate{1e9, 1e6}
				x := newWorld(t, c)
				x.group(900, "20.0.0.0/8", forwardTo(unitB, "198.51.100.10"), forwardTo(unitC, "203.0.113.10"))
				x.group(901, "2620::/16", forwardTo(unitB, "2001:db8:b::10"), forwardTo(unitC, "2001:db8:c::10"))
				x.e.SetNextHop(903, routing.NextHop{Kind: routing.Indirect}, 900)
				if err := x.tables[0].Insert(prefix("30.0.0.0/8"), 903); err != nil {
					t.Fatal(err)
				}
				x.e.SetAdjacency(unitB, ip("198.51.100.12"), intf.MAC{3, 0, 0, 0, 0, 1}, false) // a group of stations
				x.route(0, "40.0.0.0/8", forwardTo(unitB, "198.51.100.12"))
				x.route(0, "50.0.0.0/8", forwardTo(unitA, "192.0.2.10")) // back
				if kind != "plain" {
					x.filterEverywhere()
					x.setRPF(intf.RPFLoose)
				}
				worlds[i] = x
			}
			testStages(t, worlds[0], worlds[1])
		})
	}
}

func testStages(t *testing.T, staged, single *world) {
	r := rand.New(rand.NewPCG(3, 4))
	var seeds [][]byte
	for _, dst := range []string{"198.51.100.10", "198.51.100.99", "203.0.113.10", "20.1.2.3", "30.1.2.3", "40.1.1.1", "50.1.1.1", "192.0.2.1", "8.8.8.8", "224.0.0.1"} {
		seeds = append(seeds, eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: dst, payload: data(26)}))
	}
	for _, dst := range []string{"2001:db8:b::10", "2001:db8:c::10", "2620::1", "2001:db8:a::1", "2400::1", "ff02::1", "fe80::1:b"} {
		seeds = append(seeds, eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: dst, payload: data(12)}))
	}
	seeds = append(seeds,
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(1400)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: nil}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", options: []byte{148, 4, 0, 0}, payload: data(9)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", ttl: 1, payload: data(9)}),
		eth4(intf.Broadcast, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(9)}),
		eth(routerC, hostC, tagC, 0x800, ip4{src: "203.0.113.10", dst: "198.51.100.10", payload: data(9)}.bytes()),
		eth(intf.Broadcast, hostA, nil, 0x806, data(28)))
	ports := []string{"a", "b", "c", "d"}
	forwarded := 0
	for round := range 3000 {
		var frames [][]byte
		var in []string
		for range 1 + r.IntN(40) {
			frame := bytes.Clone(seeds[r.IntN(len(seeds))])
			switch r.IntN(4) {
			case 0:
				frame[r.IntN(min(len(frame), 60))] ^= 1 << r.IntN(8)
			case 1:
				frame = frame[:r.IntN(len(frame)+1)]
			}
			// Checksums that are wrong end most ways; so many are made right.
			if len(frame) >= 34 && frame[12] == 8 && frame[14] == 0x45 && r.IntN(2) == 0 {
				h := frame[14:34]
				h[10], h[11] = 0, 0
				binary.BigEndian.PutUint16(h[10:], ^onesSum(h))
			}
			frames, in = append(frames, frame), append(in, ports[min(3, r.IntN(8)/2)*r.IntN(2)])
		}
		var said [2]string
		for i, x := range []*world{staged, single} {
			x.now += time.Second
			for j, f := range frames {
				x.push(in[j], f)
			}
			w := x.e.workers[0]
			if x == single {
				w.reader.Quiesce()
				w.now = 0
				for k := range w.rx {
					w.singly(&w.rx[k])
				}
				w.finish()
			}
			x.run()
			out := x.collect()
			forwarded += len(out)
			said[i] = fmt.Sprintf("%q %q %q %v %+v", out, x.punts, x.host, x.drops(), x.e.Totals())
			for _, name := range ports {
				c, _ := x.e.PortCounters(x.ports[name])
				said[i] += fmt.Sprintf(" %+v", c)
			}
			for _, u := range []intf.Index{unitA, unitB, unitC, unitQ, unitD, unitN} {
				c, _ := x.e.UnitCounters(u)
				said[i] += fmt.Sprintf(" %+v", c)
			}
		}
		if !reflect.DeepEqual(said[0], said[1]) {
			t.Fatalf("round %d, %d frames into %v:\n%.4000s\none by one:\n%.4000s\nframes %x", round, len(frames), in, said[0], said[1], frames)
		}
	}
	if forwarded < 10000 {
		t.Errorf("only %d frames came out of both", forwarded)
	}
	staged.checkAccounts()
	single.checkAccounts()
}
