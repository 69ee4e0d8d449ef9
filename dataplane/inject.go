package dataplane

import (
	"errors"

	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// Errors of packets that did not get as far as a worker. Nothing else about a
// packet is an error: what happens to it later is counted.
var (
	ErrBusy    = errors.New("dataplane: the worker's inject ring is full")
	ErrTooLong = errors.New("dataplane: packet is longer than a frame buffer")
	ErrNoUnit  = errors.New("dataplane: no such unit")
)

// SendUnit sends payload out of unit i to dst: what the control plane says
// itself (ARP, neighbour discovery), and packets released after resolution. It
// copies payload and may be called from any goroutine.
func (e *Engine) SendUnit(i intf.Index, etherType uint16, dst intf.MAC, payload []byte) error {
	w := e.workerOf(i)
	if w == nil {
		return ErrNoUnit
	}
	return w.inject(w.injects, payload, injectHead{op: opSendUnit, ifindex: i, etherType: etherType, mac: dst})
}

// FlushUnit returns when what SendUnit took for unit i before has been handed to
// the unit's port: for what is said last before a unit or a port goes.
func (e *Engine) FlushUnit(i intf.Index) {
	if w := e.workerOf(i); w != nil {
		w.call(func() {
			w.drain(w.injects, controlRing)
			w.finish()
		})
	}
}

// Originate sends a packet of the host stack, which left by the TAP of unit
// from: its destination is looked up in instance as originated. Multicast, the
// limited broadcast and link-local destinations leave by from. It copies l3
// and may be called from any goroutine; packets of one unit stay in order.
func (e *Engine) Originate(instance uint32, from intf.Index, l3 []byte) error {
	w := e.workerOf(from)
	if w == nil {
		return ErrNoUnit
	}
	return w.inject(w.hostIn, l3, injectHead{op: opOriginate, ifindex: from, number: instance})
}

// Reject answers a packet that can't be sent on with an ICMP destination
// unreachable, which is subject to the rules and rate limits of all ICMP
// errors. from is the unit where the packet came in (Punt.From). It copies l3 and
// may be called from any goroutine.
func (e *Engine) Reject(l3 []byte, from intf.Index, code routing.RejectCode) error {
	w := e.workerOf(from)
	if w == nil {
		return ErrNoUnit
	}
	return w.inject(w.injects, l3, injectHead{op: opReject, ifindex: from, reject: code})
}

// workerOf is the worker that serves the port of unit i, or any; nil when there
// is no unit.
func (e *Engine) workerOf(i intf.Index) *worker {
	s := e.snapshot.Load()
	u := s.units.at(uint32(i))
	if u == nil {
		return nil
	}
	if p := s.ports.at(uint32(u.port)); p != nil {
		return e.workers[p.home]
	}
	return e.workers[0]
}

// inject copies a packet into a ring of w and wakes w if it sleeps.
func (w *worker) inject(r *injectRing, data []byte, h injectHead) error {
	if len(data) > port.MaxJumbo-maxHeader {
		return ErrTooLong
	}
	if !r.push(data, h) {
		return ErrBusy
	}
	w.wake()
	return nil
}
