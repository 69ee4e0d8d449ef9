package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// A tracing takes down what a tracer's pipeline does. Stages call its methods where
// they decide, and where they would reach out of the worker.
type tracing struct {
	worker *worker
	now    int // the subject of the steps that follow
	result Trace
}

func (t *tracing) add(s TraceStep) {
	s.Subject = t.now
	t.result.Steps = append(t.result.Steps, s)
}

// subject has the steps that follow tell of another packet, until now is what it
// returns again.
func (t *tracing) subject(k TraceSubjectKind, i intf.Index) (was int) {
	was, t.now = t.now, len(t.result.Subjects)
	t.result.Subjects = append(t.result.Subjects, TraceSubject{k, i})
	return was
}

func (t *tracing) filtered(p *pkt, h filter.Hook, u *unit, v *filter.Verdict) {
	t.add(TraceStep{Kind: TraceFilter, Hook: h, IfIndex: u.index, Instance: p.instance, Terms: t.worker.filters.Steps(), Verdict: *v})
}

func (t *tracing) checked(p *pkt, passed bool) {
	f := &p.in.fam[p.fam]
	t.add(TraceStep{Kind: TraceSource, IfIndex: p.in.index, Instance: f.instance, Addr: t.source(p), RPF: f.rpf, Passed: passed})
}

func (t *tracing) source(p *pkt) netip.Addr {
	if p.fam == intf.Inet {
		return addrFrom4(packet.IPv4(t.worker.l3(p)).Src32())
	}
	return addrFrom6(t.worker.source6(p))
}

// lookedUp tells of the lookup of a batch. Where a filter has chosen the next hop,
// nobody asks what it found.
func (t *tracing) lookedUp(b *batch) {
	for i := range b.n {
		if !b.steered || b.via[i] == 0 {
			t.looksUp(&b.pkts[i])
		}
	}
}

func (t *tracing) looksUp(p *pkt) {
	t.add(TraceStep{Kind: TraceLookup, Instance: p.instance, Addr: p.dstKey(0).addr()})
}

// comesTo tells of the next hop id that a packet has come to.
func (t *tracing) comesTo(p *pkt, id uint32, nh *nexthop) {
	if nh == nil {
		return
	}
	s := TraceStep{
		Kind: TraceNextHop, NextHop: routing.NextHopID(id), Via: nh.kind, IfIndex: nh.ifindex, Addr: nh.gateway,
		Instance: nh.instance, Reject: nh.reject, Buckets: len(nh.buckets),
	}
	t.add(s)
	if nh.adj != nil {
		t.neighbor(nh.adj)
	}
}

// chose tells of the bucket of a group that the packet's flow is in.
func (t *tracing) chose(i, of uint64) {
	t.add(TraceStep{Kind: TraceBucket, Bucket: int(i), Buckets: int(of)})
}

func (t *tracing) neighbor(a *adjacency) {
	s := TraceStep{Kind: TraceNeighbor, IfIndex: a.key.ifindex, Addr: a.key.addr()}
	if rw := a.rewrite.Load(); rw != nil && rw.unit != nil {
		s.MAC, s.Stale = intf.MAC(rw.header[:6]), rw.stale.Load()
	}
	t.add(s)
}

// unresolved ends the way of a packet whose neighbour has to be asked for.
func (t *tracing) unresolved(p *pkt, k adjacencyKey) {
	t.add(TraceStep{Kind: TraceUnresolved, IfIndex: k.ifindex, Addr: k.addr(), Frame: bytes.Clone(t.worker.l3(p))})
	t.worker.pool.Put(p.buf.Addr)
}

// toControl ends the way of a packet of ARP or neighbour discovery.
func (t *tracing) toControl(p *pkt) {
	t.add(TraceStep{Kind: TraceControl, IfIndex: p.in.index})
	t.worker.pool.Put(p.buf.Addr)
}

func (t *tracing) session(e *localEntry) {
	t.add(TraceStep{Kind: TraceSession, Session: e.id, Class: e.class.id, Consumer: e.consumer})
}

// delivered ends the way of a packet for the host.
func (t *tracing) delivered(p *pkt, to intf.Index) {
	t.add(TraceStep{Kind: TraceDelivered, IfIndex: to, Frame: bytes.Clone(t.worker.l3(p))})
	t.worker.pool.Put(p.buf.Addr)
}

// sent ends the way of a frame that leaves by a port.
func (t *tracing) sent(id PortID, b port.Buf) {
	w := t.worker
	s := TraceStep{Kind: TraceSent, Port: id, Frame: bytes.Clone(w.pool.Frame(b))}
	w.pool.Put(b.Addr)
	if l2, fault := packet.ParseEthernet(s.Frame); fault == packet.FaultNone {
		s.MAC = l2.Dst
		if v := w.snap.ports.at(uint32(id)); v != nil {
			if u := v.unit(l2.VLAN); u != nil {
				s.IfIndex = u.index
				switch l2.EtherType {
				case packet.EtherTypeIPv4:
					s.MTU = u.fam[intf.Inet].mtu
				case packet.EtherTypeIPv6:
					s.MTU = u.fam[intf.Inet6].mtu
				}
			}
		}
	}
	t.add(s)
}

// answered tells of the ICMP error r.
func (t *tracing) answered(r *pkt, typ, code uint8, rest uint32, src netip.Addr) {
	s := TraceStep{Kind: TraceICMP, Type: typ, Code: code, Addr: src, Frame: bytes.Clone(t.worker.l3(r))}
	if r.fam == intf.Inet && typ == packet.ICMPv4Unreachable && code == packet.ICMPv4CodeFragNeeded ||
		r.fam == intf.Inet6 && typ == packet.ICMPv6TooBig {
		s.MTU = uint16(rest)
	}
	t.add(s)
}

// ipOf is the IP packet in a frame, without padding; ok is false where there is
// none.
func ipOf(frame []byte) (l3 []byte, ok bool) {
	l2, fault := packet.ParseEthernet(frame)
	if fault != packet.FaultNone {
		return nil, false
	}
	l3 = frame[l2.HeaderLen:]
	switch l2.EtherType {
	case packet.EtherTypeIPv4:
		if len(l3) < packet.IPv4MinHeaderLen {
			return nil, false
		}
		return l3[:min(len(l3), int(binary.BigEndian.Uint16(l3[2:])))], true
	case packet.EtherTypeIPv6:
		if len(l3) < packet.IPv6HeaderLen {
			return nil, false
		}
		return l3[:min(len(l3), packet.IPv6HeaderLen+int(binary.BigEndian.Uint16(l3[4:])))], true
	}
	return nil, false
}

// Packet is the IP packet of the step's Frame, without padding; nil where there is
// none.
func (s *TraceStep) Packet() []byte {
	if s.Kind != TraceSent {
		return s.Frame
	}
	l3, _ := ipOf(s.Frame)
	return l3
}
