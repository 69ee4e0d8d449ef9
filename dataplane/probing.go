package dataplane

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"router/dataplane/packet"
	"router/intf"
)

// probeRingSize is how many answers of a worker wait for a probe.
const probeRingSize = 64

// A probeRing carries answers from one worker to one probe, without locks.
type probeRing struct {
	head  atomic.Uint64 // slots filled; the worker's
	_     [56]byte
	tail  atomic.Uint64 // slots taken; the probe's
	_     [56]byte
	slots [probeRingSize]probeSlot
}

// A probeSlot is an answer as the worker saw it, or a piece of one.
type probeSlot struct {
	at        int64 // the worker's clock
	hi, lo    uint64
	six       bool
	error     bool
	typ, code uint8
	ttl       uint8
	seq       uint16
	octets    uint32
	rest      uint32
	fragment  fragment
}

// A fragment says which piece of its packet an answer is; the zero fragment is
// that of a whole one.
type fragment struct {
	id     uint32
	offset uint32 // of the payload, octets
	n      uint32
	more   bool
	first  bool
}

func (f fragment) part() bool { return f.n != 0 }

func (s *probeSlot) from() netip.Addr {
	if s.six {
		return addrFrom6(s.hi, s.lo)
	}
	return addrFrom4(uint32(s.lo))
}

// answersProbe gives a packet for us to the probe that it answers, and reports
// whether there is one: then the packet is done with.
func (w *worker) answersProbe(t *probeTable, p *pkt) bool {
	l3 := w.l3(p)
	var u packet.Upper
	if p.fam == intf.Inet {
		u = packet.IPv4(l3).Upper()
	} else {
		var fault packet.Fault
		if u, fault = packet.IPv6(l3).Upper(); fault != packet.FaultNone {
			return false
		}
	}
	if !u.First {
		w.restOfAnswer(t, p, l3, u)
		return false
	}
	a, src, dst, ok := packet.ParseProbeAnswer(l3, u)
	if !ok {
		return false
	}
	probe := (*t)[a.Key.Ident]
	if probe == nil || probe.spec.Protocol != a.Key.Protocol || probe.spec.Src != src {
		return false
	}
	// Whoever is a member answers for a group, by an address of its own.
	if probe.spec.Dst != dst && (a.Error || !groupAddr(probe.spec.Dst)) {
		return false
	}
	if !u.Fragment && !validAnswer(l3, u) {
		return false // the host stack counts it
	}
	s := w.answerOf(p, l3)
	s.error, s.typ, s.code, s.seq, s.octets, s.rest = a.Error, a.Type, a.Code, a.Seq, uint32(a.Octets), a.Rest
	if u.Fragment {
		s.fragment = pieceOf(l3, u)
	}
	probe.take(w, s)
	if u.Protocol == packet.ProtocolTCP && p.flags&flagOriginated == 0 && packet.TCP(l3[u.Offset:]).Flags()&packet.TCPSyn != 0 {
		// We never meant to have the connection.
		w.reset(p)
	}
	w.consumed(p)
	return true
}

// validAnswer reports whether a whole packet's transport checksum adds up.
func validAnswer(l3 []byte, u packet.Upper) bool {
	switch u.Protocol {
	case packet.ProtocolICMPv4:
		_, fault := packet.ParseICMPv4(l3[u.Offset:])
		return fault == packet.FaultNone
	case packet.ProtocolICMPv6:
		_, fault := packet.ParseICMPv6(l3, u.Offset)
		return fault == packet.FaultNone
	}
	return packet.TransportChecksumValid(l3)
}

// restOfAnswer tells the probes of a later fragment whose answer it may belong to. It may
// as well be of something that the host puts together, and stays the host's.
func (w *worker) restOfAnswer(t *probeTable, p *pkt, l3 []byte, u packet.Upper) {
	s := w.answerOf(p, l3)
	s.fragment = pieceOf(l3, u)
	for _, probe := range *t {
		// An echo whose data takes fragments is answered in fragments; nothing else is.
		if probe.spec.Protocol == u.Protocol && probe.spec.Dst == s.from() {
			probe.take(w, s)
		}
	}
}

// consumed ends the way of a packet that a probe has taken.
func (w *worker) consumed(p *pkt) {
	w.totals.pend[totalPunted]++
	w.pool.Put(p.buf.Addr)
}

func (w *worker) answerOf(p *pkt, l3 []byte) probeSlot {
	s := probeSlot{at: w.clock(), six: p.fam == intf.Inet6, ttl: w.ttl(p)}
	if s.six {
		s.hi, s.lo = packet.IPv6(l3).Src64()
	} else {
		s.lo = uint64(packet.IPv4(l3).Src32())
	}
	return s
}

// pieceOf says which piece of its packet l3 is. u is its transport header.
func pieceOf(l3 []byte, u packet.Upper) fragment {
	f := fragment{n: uint32(len(l3) - u.Offset), first: u.First}
	if l3[0]>>4 == 4 {
		h := packet.IPv4(l3)
		f.id, f.offset, f.more = uint32(h.ID()), uint32(h.FragmentOffset()), h.MoreFragments()
		return f
	}
	// The fragment header is the last one before the payload of a later fragment.
	// A first one has it there too, unless more headers follow, which answers to
	// our echoes don't have.
	if u.Offset >= packet.IPv6HeaderLen+8 {
		h := l3[u.Offset-8 : u.Offset]
		word := binary.BigEndian.Uint16(h[2:4])
		f.id, f.offset, f.more = binary.BigEndian.Uint32(h[4:8]), uint32(word&^7), word&1 != 0
	}
	return f
}

func groupAddr(a netip.Addr) bool {
	return a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// take puts an answer into the worker's ring of the probe.
func (p *Probe) take(w *worker, s probeSlot) {
	r := &p.rings[w.id]
	h := r.head.Load()
	if h-r.tail.Load() == probeRingSize {
		p.lost.Add(1)
		return
	}
	r.slots[h%probeRingSize] = s
	r.head.Store(h + 1)
	p.bell.wake()
}

// maxPartial is how many answers in fragments a probe puts together at a time.
const maxPartial = 16

// A reassembly counts the fragments of answers until they are whole. What they
// hold is of no concern.
type reassembly struct{ partial []partialAnswer }

type partialAnswer struct {
	from  netip.Addr
	id    uint32
	have  uint32 // octets that have come
	total uint32 // known once the last fragment has come
	head  *probeSlot
}

// add takes a fragment, and reports whether its answer is whole now: then s is
// made the whole one, which came when its last piece did.
func (r *reassembly) add(s *probeSlot) bool {
	from, i := s.from(), 0
	for i < len(r.partial) && (r.partial[i].id != s.fragment.id || r.partial[i].from != from) {
		i++
	}
	if i == len(r.partial) {
		if i == maxPartial {
			r.partial = append(r.partial[:0], r.partial[1:]...)
			i--
		}
		r.partial = append(r.partial, partialAnswer{from: from, id: s.fragment.id})
	}
	a := &r.partial[i]
	a.have += s.fragment.n
	if !s.fragment.more {
		a.total = s.fragment.offset + s.fragment.n
	}
	if s.fragment.first {
		head := *s
		a.head = &head
	}
	if a.head == nil || a.total == 0 || a.have < a.total {
		return false
	}
	at := max(a.head.at, s.at)
	octets := a.total
	*s = *a.head
	s.at, s.octets, s.fragment = at, octets, fragment{}
	r.partial = append(r.partial[:i], r.partial[i+1:]...)
	return true
}
