package differential

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"router/dataplane"
	"router/dataplane/memport"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
	"router/vrf"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// A pipeline is our router on ports in memory, with the addresses and routes of
// the kernel. Its one worker sees one packet at a time, so that whatever leaves
// before it asks for the next one belongs to this one.
type pipeline struct {
	engine *dataplane.Engine
	check  intf.RPFCheck // of sources, on all sides
	work   atomic.Pointer[work]
}

// work is a batch of frames on its way through the pipeline.
type work struct {
	frames [][]byte
	turn   int  // frame that the worker has in hand, -1 before the first
	given  bool // and has just got
	outs   [][]out
	done   chan struct{}
}

func newPipeline(t testing.TB, check intf.RPFCheck) *pipeline {
	t.Helper()
	domain := epoch.New()
	none := dataplane.Rate{PerSecond: 1e9, Burst: 1 << 30}
	engine, err := dataplane.New(dataplane.Config{Buffers: 1024, Domain: domain, ICMP: none, ICMPUnit: none, Host: none})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &pipeline{engine: engine, check: check}
	if err := p.configure(domain); err != nil {
		t.Fatal(err)
	}
	return p
}

// configure gives the engine the ports, units, routes and neighbours of sides.
func (p *pipeline) configure(domain *epoch.Domain) error {
	arena, err := fib.NewHeapArena(1<<20, domain)
	if err != nil {
		return err
	}
	routes, err := vrf.New(vrf.Config{Arena: arena, Sink: p.engine})
	if err != nil {
		return err
	}
	tx := p.engine.Edit()
	tx.SetInstance(0, routes.FIB(vrf.Default))
	tx.Commit()
	for i, s := range sides {
		// Port 0 is the only one that packets arrive on, and the first that the
		// worker asks: all the others have sent by then what they were to send.
		var source func([]byte) int
		if i == 0 {
			source = p.source
		}
		queue := memport.NewFunc(p.engine.Pools()[0], source, func(frame []byte) { p.sink(i, frame) })
		id, err := p.engine.AddPort(s.name, []port.Queue{queue}, dataplane.PortOptions{})
		if err != nil {
			return err
		}
		if err := p.addUnit(routes, intf.Index(i+1), id, s); err != nil {
			return err
		}
	}
	p.engine.SetAdjacency(1, nearby, sides[0].far, false)
	return p.addRefusals(routes)
}

// addRefusals adds the routes that lead nowhere.
func (p *pipeline) addRefusals(routes *vrf.Manager) error {
	for _, list := range []struct {
		prefixes []netip.Prefix
		nh       routing.NextHop
	}{
		{refused, routing.NextHop{Kind: routing.Reject, Reject: routing.RejectHost}},
		{prohibited, routing.NextHop{Kind: routing.Reject, Reject: routing.RejectAdmin}},
		{discarded, routing.NextHop{Kind: routing.Discard}},
	} {
		for _, prefix := range list.prefixes {
			u := vrf.UserRoute{Prefix: prefix, NextHop: list.nh}
			if err := routes.Load(vrf.Default, routing.Static, slices.Values([]vrf.UserRoute{u})); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pipeline) addUnit(routes *vrf.Manager, i intf.Index, id dataplane.PortID, s side) error {
	u := dataplane.Unit{Index: i, Port: id, MAC: s.mac}
	for _, prefix := range s.prefixes {
		f := &u.Families[intf.FamilyOf(prefix.Addr())]
		f.Up, f.MTU, f.Primary, f.RPF = true, uint16(s.mtu), prefix.Addr(), p.check
		f.Locals = append(f.Locals, prefix.Addr())
	}
	tx := p.engine.Edit()
	tx.SetUnit(u)
	tx.Commit()
	for j, prefix := range s.prefixes {
		family := intf.FamilyOf(prefix.Addr())
		if err := routes.SetFamily(i, family, vrf.Default, true); err != nil {
			return err
		}
		if err := routes.AddAddress(i, intf.AddressSpec{Prefix: prefix}); err != nil {
			return err
		}
		if err := routes.SetStatic(vrf.Default, s.routes[j], vrf.StaticRoute{Gateway: s.gateways[j], Preference: 5}); err != nil {
			return err
		}
		p.engine.SetAdjacency(i, s.gateways[j], s.far, false)
		if err := routes.AddNeighbor(i, s.gateways[j]); err != nil {
			return err
		}
	}
	return nil
}

// source gives the worker the next frame, one each time that it receives: the
// second question of one receive call is answered by "no more". It runs on the
// worker's thread.
func (p *pipeline) source(frame []byte) int {
	w := p.work.Load()
	switch {
	case w == nil:
		return 0
	case w.given:
		w.given = false
		return 0
	case w.turn+1 == len(w.frames):
		p.work.Store(nil)
		close(w.done)
		return 0
	}
	w.turn++
	w.given = true
	return copy(frame, w.frames[w.turn])
}

// sink collects what leaves by a side. It runs on the worker's thread.
func (p *pipeline) sink(at int, frame []byte) {
	if w := p.work.Load(); w != nil {
		w.outs[w.turn] = append(w.outs[w.turn], newOut(at, frame))
	}
}

// start begins to forward frames; wait returns what came of each one.
func (p *pipeline) start(batch [][]byte) (wait func(t *testing.T) [][]out) {
	w := &work{frames: batch, turn: -1, outs: make([][]out, len(batch)), done: make(chan struct{})}
	p.work.Store(w)
	return func(t *testing.T) [][]out {
		t.Helper()
		select {
		case <-w.done:
		case <-time.After(20 * time.Second):
			t.Fatal("the pipeline has not forwarded a batch within 20 s")
		}
		return w.outs
	}
}
