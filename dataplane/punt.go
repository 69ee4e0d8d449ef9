package dataplane

import (
	"context"
	"net/netip"
	"sync/atomic"

	"router/intf"
)

// A PuntKind says why the control plane gets a packet. It is a closed set.
type PuntKind uint8

// The kinds. Each has a ring of its own in every worker, and a policer or, if it
// is a packet for the router itself, its session's, so that none starves another.
const (
	// PuntNeighbor is an ARP packet, or a message of neighbour discovery to one
	// of our addresses or groups. Frame is the ARP packet, or the IPv6 packet
	// with its header; it has been checked no further.
	PuntNeighbor PuntKind = iota
	// PuntUnresolved is a packet for the neighbour Addr on IfIndex, whose
	// link-layer address is unknown. Frame is the packet as it is to be sent (TTL
	// lowered, no larger than the MTU): SendUnit is all that releasing it takes.
	PuntUnresolved
	// PuntStaleUse says that the stale neighbour Addr on IfIndex is being used;
	// the packet itself was sent, and Frame is empty.
	PuntStaleUse
	// PuntFlow says that a source sends to a group by a route that wants to be
	// told of it. The packet itself went where the route says; Frame is its IP
	// header, without options, and Instance the one that it was looked up in.
	PuntFlow

	numPunts = iota
)

func (k PuntKind) String() string {
	switch k {
	case PuntNeighbor:
		return "neighbor"
	case PuntUnresolved:
		return "unresolved"
	case PuntStaleUse:
		return "stale-use"
	case PuntFlow:
		return "flow"
	}
	return "unknown"
}

// A Punt is a packet for the control plane.
type Punt struct {
	Kind      PuntKind
	IfIndex   intf.Index // Neighbor, Flow: the ingress unit; else the egress unit
	Addr      netip.Addr // Unresolved, StaleUse: the neighbour
	EtherType uint16     // of Frame
	Src, Dst  intf.MAC   // Neighbor: the frame's link-layer addresses

	// From is the unit where an unresolved packet came in, or that the host
	// originated it on; Reject wants it.
	From       intf.Index
	Originated bool // the packet is the host's own

	Instance uint32 // Flow: the index of a routing instance

	// Frame is valid during the call only.
	Frame []byte
}

// A HostSink takes packets for the router itself.
type HostSink interface {
	// Deliver passes a network-layer packet to the host as received by unit i:
	// the ingress unit, or the one that owns the address when another instance
	// recognised it. l3 is valid during the call. The sink counts what it drops;
	// the error is for a unit that the host does not have.
	Deliver(i intf.Index, f intf.Family, l3 []byte) error
}

// Ring sizes in packets, powers of two.
const (
	hostOutRing = 1024
	hostInRing  = 1024
	controlRing = 256
	peerRing    = 1024
)

var puntRings = [numPunts]int{PuntNeighbor: 512, PuntUnresolved: 512, PuntStaleUse: 64, PuntFlow: 64}

// A consumer is the far end of the workers' rings of one purpose: it sleeps
// without polling, and a worker wakes it after a batch.
type consumer struct {
	sleeping atomic.Bool
	bell     chan struct{}
}

func newConsumer() consumer { return consumer{bell: make(chan struct{}, 1)} }

// wake rings the bell if the consumer sleeps. It never blocks.
func (c *consumer) wake() {
	if c.sleeping.Load() && c.sleeping.CompareAndSwap(true, false) {
		select {
		case c.bell <- struct{}{}:
		default:
		}
	}
}

// serve calls drain until ctx ends; drain reports whether it found anything.
func (c *consumer) serve(ctx context.Context, drain func() bool) error {
	for {
		for drain() {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		// Announce the sleep, then look once more: a worker that filled a ring
		// before it saw the announcement is noticed here.
		c.sleeping.Store(true)
		if drain() {
			c.sleeping.Store(false)
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.bell:
		}
	}
}

// ServeControl calls f for every packet punted to the control plane, one at a
// time, until ctx ends, and returns ctx's error. One call may be active. Under
// load each kind has its turn.
func (e *Engine) ServeControl(ctx context.Context, f func(Punt)) error {
	return e.control.serve(ctx, func() (found bool) {
		for _, w := range e.workers {
			for _, r := range w.punts {
				found = e.drainPunts(r, f) || found
			}
		}
		return found
	})
}

// drainBurst is how many packets of one ring are taken before the next ring
// has its turn.
const drainBurst = 32

func (e *Engine) drainPunts(r *puntRing, f func(Punt)) bool {
	n := 0
	for ; n < drainBurst; n++ {
		s, data := r.peek()
		if s == nil {
			break
		}
		f(Punt{
			Kind: s.kind, IfIndex: s.ifindex, Addr: s.addr(), EtherType: s.etherType, Src: s.src, Dst: s.dst,
			From: s.from, Originated: s.originated, Instance: s.instance, Frame: data,
		})
		r.release()
	}
	return n > 0
}

// ServeHost delivers the packets for the router itself to the host stack until
// ctx ends, and returns ctx's error. One call may be active.
func (e *Engine) ServeHost(ctx context.Context, sink HostSink) error {
	return e.host.serve(ctx, func() (found bool) {
		for _, w := range e.workers {
			for range drainBurst {
				s, l3 := w.hostOut.peek()
				if s == nil {
					break
				}
				if err := sink.Deliver(s.ifindex, s.fam, l3); err != nil {
					e.undelivered.Add(1)
				}
				w.releaseHost(s)
				found = true
			}
		}
		return found
	})
}

// Undelivered is how many packets the HostSink refused with an error.
func (e *Engine) Undelivered() uint64 { return e.undelivered.Load() }
