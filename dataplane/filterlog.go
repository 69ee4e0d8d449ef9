package dataplane

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/intf"
)

// A LogRecord is a packet that a filter's term wants in the log.
type LogRecord struct {
	Time         time.Time
	Filter, Term string // of the term; Filter is the one that the term stands in
	Hook         filter.Hook
	IfIndex      intf.Index // the unit that the filter is bound to
	// Verdict is Accept, Discard, Reject, ToInstance or ToNextHop, and Policed says
	// that a policer made it Discard.
	Verdict filter.Kind
	Policed bool

	Family   intf.Family
	Src, Dst netip.Addr
	Protocol uint8 // behind the extension headers
	// SrcPort and DstPort are 0 where the packet has none; of ICMP they are the type
	// and the code.
	SrcPort, DstPort uint16
	Length           uint16 // octets of the IP packet
}

// logRingSize is in records, a power of two.
const logRingSize = 1024

// A logRing carries records from one worker to ServeLog, as a puntRing does
// packets.
type logRing struct {
	_     [64]byte
	head  atomic.Uint64 // slots filled; the worker's
	lost  atomic.Uint64 // records that found no slot
	_     [64]byte
	tail  atomic.Uint64 // slots released; the reader's
	_     [64]byte
	slots []logSlot
}

type logSlot struct {
	at       int64 // in the workers' clock
	bound    *filter.Bound
	term     filter.TermID
	ifindex  intf.Index
	hook     filter.Hook
	verdict  filter.Kind
	policed  bool
	fam      intf.Family
	protocol uint8
	ports    uint32 // source above destination
	n        uint16
	src, dst [2]uint64
}

func newLogRing() *logRing { return &logRing{slots: make([]logSlot, logRingSize)} }

// next returns the slot to fill, nil when the ring is full.
func (r *logRing) next() *logSlot {
	h := r.head.Load()
	if h-r.tail.Load() == uint64(len(r.slots)) {
		return nil
	}
	return &r.slots[h&uint64(len(r.slots)-1)]
}

// logVerdict notes what a filter did to a packet; when the reader does not keep
// up, only that it did.
func (w *worker) logVerdict(p *pkt, h filter.Hook, u *unit, b *filter.Bound, v *filter.Verdict) {
	s := w.logOut.next()
	if s == nil {
		w.logOut.lost.Add(1)
		return
	}
	*s = logSlot{
		at: w.instant(), bound: b, term: v.Term, ifindex: u.index, hook: h,
		verdict: v.Kind, policed: v.Policed, fam: p.fam, n: p.n,
	}
	l3 := w.l3(p)
	var upper packet.Upper
	fault := packet.FaultNone
	if p.fam == intf.Inet {
		ip := packet.IPv4(l3)
		s.src[1], s.dst[1] = uint64(ip.Src32()), uint64(ip.Dst32())
		upper = ip.Upper()
	} else {
		ip := packet.IPv6(l3)
		s.src[0], s.src[1] = ip.Src64()
		s.dst[0], s.dst[1] = ip.Dst64()
		upper, fault = ip.Upper()
	}
	s.protocol = upper.Protocol
	if fault == packet.FaultNone && upper.First {
		s.ports = ports(l3, upper.Protocol, upper.Offset)
		if (upper.Protocol == packet.ProtocolICMPv4 || upper.Protocol == packet.ProtocolICMPv6) && upper.Offset+2 <= len(l3) {
			s.ports = uint32(l3[upper.Offset])<<16 | uint32(l3[upper.Offset+1])
		}
	}
	w.logOut.head.Store(w.logOut.head.Load() + 1)
	w.logged = true
}

// ServeLog calls f for every packet that filters log, one at a time, until ctx
// ends, and returns ctx's error. One call may be active. Records of one worker
// come in order.
func (e *Engine) ServeLog(ctx context.Context, f func(LogRecord)) error {
	return e.filterLog.serve(ctx, func() (found bool) {
		for _, w := range e.workers {
			found = e.drainLog(w.logOut, f) || found
		}
		return found
	})
}

func (e *Engine) drainLog(r *logRing, f func(LogRecord)) (found bool) {
	for range drainBurst {
		t := r.tail.Load()
		if t == r.head.Load() {
			break
		}
		s := &r.slots[t&uint64(len(r.slots)-1)]
		f(e.record(s))
		s.bound = nil // what was compiled long ago need not stay
		r.tail.Store(t + 1)
		found = true
	}
	return found
}

func (e *Engine) record(s *logSlot) LogRecord {
	r := LogRecord{
		Time: e.base.Add(time.Duration(s.at)), Hook: s.hook, IfIndex: s.ifindex, Verdict: s.verdict, Policed: s.policed,
		Family: s.fam, Protocol: s.protocol, SrcPort: uint16(s.ports >> 16), DstPort: uint16(s.ports), Length: s.n,
	}
	r.Filter, r.Term = s.bound.Term(s.term)
	if s.fam == intf.Inet {
		r.Src, r.Dst = addrFrom4(uint32(s.src[1])), addrFrom4(uint32(s.dst[1]))
	} else {
		r.Src, r.Dst = addrFrom6(s.src[0], s.src[1]), addrFrom6(s.dst[0], s.dst[1])
	}
	return r
}

// LogLost is how many records ServeLog was too slow to take.
func (e *Engine) LogLost() (n uint64) {
	for _, w := range e.workers {
		n += w.logOut.lost.Load()
	}
	return n
}
