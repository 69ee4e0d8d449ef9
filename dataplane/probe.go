package dataplane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"router/dataplane/packet"
	"router/intf"
)

// MaxProbes bounds the probes that run at a time.
const MaxProbes = 32

// Errors of probes.
var (
	ErrProbes     = fmt.Errorf("dataplane: %d probes run already", MaxProbes)
	ErrProbeEnded = errors.New("dataplane: the probe has been closed")
)

// A ProbeSpec says what a probe sends, and where.
type ProbeSpec struct {
	Src, Dst     netip.Addr // of one family, without zones; Src is ours, or the answers go elsewhere
	Protocol     uint8      // ICMP of the family, UDP or TCP
	Port         uint16     // the destination port of UDP and TCP
	Instance     uint32     // in which Dst is looked up
	From         intf.Index // the unit it is sent by, as Engine.Originate has it
	DontFragment bool       // IPv4 only
}

// A ProbeAnswer is an answer to a packet of a probe.
type ProbeAnswer struct {
	Seq  uint16
	From netip.Addr // who answered
	TTL  uint8      // of the answer, as it came in
	// Error says that it is an ICMP error about the packet, of the Type and Code
	// that stand here too; else it is what Dst, or a member of it, answered.
	Error      bool
	Type, Code uint8
	MTU        uint32 // of "fragmentation needed" and "packet too big": that of the narrow link
	Octets     int    // of the answer, from the transport header on
	// RTT is the time between the moments at which workers had the packet and the
	// answer in hand.
	RTT time.Duration
}

// probeWindow is how many packets of a probe may wait for answers: the time of
// an older one is forgotten.
const probeWindow = 256

// A Probe sends packets through the packet path as the host stack does, and gets
// what answers them. Send may be called beside Receive; each from one goroutine.
type Probe struct {
	engine *Engine
	spec   ProbeSpec
	ident  uint16
	sent   [probeWindow]sentProbe
	rings  []probeRing // a ring for each worker
	bell   consumer
	parts  reassembly
	buf    []byte
	lost   atomic.Uint64 // answers that found no room in their ring
	ended  atomic.Bool
}

// A sentProbe is when packet seq left, by a worker's clock; 0 while it has not.
type sentProbe struct {
	seq atomic.Uint32
	at  atomic.Int64
}

// A probeNumber names a packet of a probe: identifier and sequence number.
type probeNumber uint32

// probes are those that run.
type probes struct {
	// table is what workers read; nil when none runs.
	table atomic.Pointer[probeTable]
	mu    sync.Mutex // the writers' turn
}

// A probeTable is immutable.
type probeTable map[uint16]*Probe

// StartProbe begins a probe. It must be closed.
func (e *Engine) StartProbe(s ProbeSpec) (*Probe, error) {
	if !s.Src.IsValid() || s.Src.Is4() != s.Dst.Is4() || s.Src.Zone()+s.Dst.Zone() != "" {
		return nil, fmt.Errorf("dataplane: probe from %v to %v: want two addresses of one family", s.Src, s.Dst)
	}
	p := &Probe{engine: e, spec: s, rings: make([]probeRing, len(e.workers)), bell: newConsumer()}
	e.probes.mu.Lock()
	defer e.probes.mu.Unlock()
	old := e.probes.table.Load()
	next := probeTable{}
	if old != nil {
		if len(*old) >= MaxProbes {
			return nil, ErrProbes
		}
		for id, q := range *old {
			next[id] = q
		}
	}
	// The dynamic ports (RFC 6335, 6): where a neighbour on the host stack is least
	// expected to speak to the same port of the same host.
	for p.ident == 0 || next[p.ident] != nil {
		p.ident = 0xc000 | uint16(rand.Uint32())
	}
	next[p.ident] = p
	e.probes.table.Store(&next)
	return p, nil
}

// Close ends the probe: answers are the host's again, and Receive returns
// ErrProbeEnded. It may be called from any goroutine, and more than once.
func (p *Probe) Close() {
	if p.ended.Swap(true) {
		return
	}
	x := &p.engine.probes
	x.mu.Lock()
	defer x.mu.Unlock()
	next := probeTable{}
	for id, q := range *x.table.Load() {
		if q != p {
			next[id] = q
		}
	}
	if len(next) == 0 {
		x.table.Store(nil)
	} else {
		x.table.Store(&next)
	}
	p.bell.sleeping.Store(true)
	p.bell.wake()
}

// Send sends packet number seq with size octets of data: those behind the header
// of ICMP or UDP; TCP has none. The errors are those of Originate.
func (p *Probe) Send(seq uint16, ttl uint8, size int) error {
	if p.ended.Load() {
		return ErrProbeEnded
	}
	k := packet.Probe{
		Src: p.spec.Src, Dst: p.spec.Dst, Protocol: p.spec.Protocol, Ident: p.ident, Port: p.spec.Port,
		TTL: ttl, DontFragment: p.spec.DontFragment,
	}
	if n := k.Len(size); n > len(p.buf) {
		if n > 0xffff {
			return ErrTooLong
		}
		p.buf = make([]byte, n)
	}
	w := p.engine.workerOf(p.spec.From)
	if w == nil {
		return ErrNoUnit
	}
	// Until it leaves its time is unknown.
	slot := &p.sent[seq%probeWindow]
	slot.at.Store(0)
	slot.seq.Store(uint32(seq))
	return w.inject(w.hostIn, k.Put(p.buf, seq, size), injectHead{
		op: opProbe, ifindex: p.spec.From, number: p.spec.Instance, probe: probeNumber(p.ident)<<16 | probeNumber(seq),
	})
}

// left notes when a packet leaves. A worker calls it, before anyone can answer.
func (x *probes) left(n probeNumber, at int64) {
	if t := x.table.Load(); t != nil {
		if p := (*t)[uint16(n>>16)]; p != nil {
			p.sent[uint16(n)%probeWindow].at.Store(at)
		}
	}
}

// Receive waits for the next answer until ctx ends.
func (p *Probe) Receive(ctx context.Context) (ProbeAnswer, error) {
	for {
		if a, ok := p.next(); ok {
			return a, nil
		}
		p.bell.sleeping.Store(true)
		if a, ok := p.next(); ok {
			p.bell.sleeping.Store(false)
			return a, nil
		}
		if p.ended.Load() {
			return ProbeAnswer{}, ErrProbeEnded
		}
		select {
		case <-ctx.Done():
			return ProbeAnswer{}, ctx.Err()
		case <-p.bell.bell:
		}
	}
}

// next takes an answer out of the rings; ok is false when there is none.
func (p *Probe) next() (_ ProbeAnswer, ok bool) {
	for i := range p.rings {
		r := &p.rings[i]
		for tail := r.tail.Load(); tail != r.head.Load(); {
			s := r.slots[tail%probeRingSize]
			tail++
			r.tail.Store(tail)
			if s.fragment.part() && !p.parts.add(&s) {
				continue
			}
			a := ProbeAnswer{
				Seq: s.seq, From: s.from(), TTL: s.ttl, Error: s.error, Type: s.typ, Code: s.code, Octets: int(s.octets),
			}
			sent := &p.sent[s.seq%probeWindow]
			at := sent.at.Load()
			if sent.seq.Load() != uint32(s.seq) || at == 0 || at > s.at {
				continue // it answers nothing that waits for an answer
			}
			a.RTT = time.Duration(s.at - at)
			if s.error {
				switch {
				case s.six && s.typ == packet.ICMPv6TooBig:
					a.MTU = s.rest
				case !s.six && s.typ == packet.ICMPv4Unreachable && s.code == packet.ICMPv4CodeFragNeeded:
					a.MTU = s.rest & 0xffff
				}
			}
			return a, true
		}
	}
	return ProbeAnswer{}, false
}

// Lost is how many answers came faster than Receive took them.
func (p *Probe) Lost() uint64 { return p.lost.Load() }
