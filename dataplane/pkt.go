package dataplane

import (
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/vrf/fib"
)

// A pkt is one packet on its way through the pipeline: 64 octets, a cache line.
// Whoever handles it last puts its buffer back, passes it on to a queue, or
// copies it into a ring.
type pkt struct {
	buf      port.Buf // the whole frame
	at       uint32   // offset of the network-layer header in the pool's memory
	n        uint16   // octets of the network-layer packet, padding excluded
	fam      intf.Family
	flags    pktFlag
	instance uint32 // in which it was looked up last
	label    label
	in       *unit // where it came in, or the unit that the host sent it by
	table    *fib.Table
	hi, lo   uint64   // destination in host byte order; IPv4 in lo
	rx       *rxQueue // nil for what came from no port
}

// A label is what filters have given a packet, for filters that follow; the zero
// label is that of a packet that none has touched.
type label struct {
	mark        uint16
	loss, class uint8
}

// A pktFlag is a reason to look closer.
type pktFlag uint8

const (
	flagOriginated pktFlag = 1 << iota // not received from a port
	flagReply                          // one of our ICMP errors
	flagGroup                          // came in a link-layer multicast or broadcast
	flagNoSource                       // unspecified source: for us or for nobody
	flagLinkLocal                      // link-local source
	flagOptions                        // an IPv4 header with options, or hop-by-hop options
	flagSteered                        // a filter chose its way: other packets to the same place go elsewhere
)

// A batch is the packets of one family out of one receive call.
type batch struct {
	n     int
	rpf   bool    // some packet's source is to be checked
	hooks hookSet // of the families that the packets came in by
	// steered says that via holds next hops that input filters chose instead of
	// the lookup's; 0 where they did not.
	steered bool

	pkts [batchSize]pkt
	dst4 [batchSize]uint32    // destinations of an IPv4 batch, side by side
	dst6 [batchSize][2]uint64 // of an IPv6 batch, while it is looked up
	nhs  [batchSize]uint32    // ids of the next hops that the lookup found
	via  [batchSize]uint32
}

// lookup finds the next hops of all packets of a batch.
func (b *batch) lookup(f intf.Family) {
	pkts := b.pkts[:b.n]
	if f == intf.Inet6 {
		for i := range pkts {
			b.dst6[i] = [2]uint64{pkts[i].hi, pkts[i].lo}
		}
	}
	for start, end := 0, 0; start < len(pkts); start = end {
		t := pkts[start].table
		for end < len(pkts) && pkts[end].table == t {
			end++
		}
		if f == intf.Inet6 {
			t.Lookup6Batch(b.dst6[start:end], b.nhs[start:end])
		} else {
			t.Lookup4Batch(b.dst4[start:end], b.nhs[start:end])
		}
	}
}

// lookup finds the next hop of one packet in its table.
func (p *pkt) lookup() uint32 {
	if p.fam == intf.Inet {
		return p.table.Lookup4(uint32(p.lo))
	}
	return p.table.Lookup6(p.hi, p.lo)
}

// lookup is p.lookup where it decides about the packet.
func (w *worker) lookup(p *pkt) uint32 {
	if w.trace != nil {
		w.trace.looksUp(p)
	}
	return p.lookup()
}

// l3 is the packet's octets from the network-layer header on.
func (w *worker) l3(p *pkt) []byte {
	end := p.at + uint32(p.n)
	return w.mem[p.at:end:end]
}

// drop ends a packet's way.
func (w *worker) drop(p *pkt, r Reason) {
	w.pool.Put(p.buf.Addr)
	w.countDrop(p, r)
}

// countDrop counts a packet whose buffer is already in other hands.
func (w *worker) countDrop(p *pkt, r Reason) {
	if w.trace != nil {
		w.trace.add(TraceStep{Kind: TraceDropped, Reason: r})
	}
	w.totals.pend[totalDropped]++
	if p.rx == nil {
		w.ownDrops[r].Add(1)
		return
	}
	p.rx.drops[r].Add(1)
	place := inDiscards
	switch {
	case r.isError():
		place = inErrors
	case r == DropUnknownType:
		place = inUnknown
	}
	w.touch(p.rx.block)
	p.rx.block.pend[place]++
	if p.in != nil {
		b := &p.in.stats.blocks[w.id]
		w.touch(b)
		b.pend[place]++
	}
}

// castOf classifies a frame by the destination it starts with.
func castOf(frame []byte) castClass {
	switch {
	case frame[0]&1 == 0:
		return unicast
	case intf.MAC(frame[:6]) == intf.Broadcast:
		return broadcast
	}
	return multicast
}

// isGroup reports whether the packet's destination is an IP multicast group.
func (p *pkt) isGroup() bool {
	if p.fam == intf.Inet {
		return p.lo>>28 == 0xe
	}
	return p.hi>>56 == 0xff
}

// dstKey names the packet's destination as a neighbour on unit i.
func (p *pkt) dstKey(i intf.Index) adjacencyKey {
	if p.fam == intf.Inet {
		return adjacencyKey{i, notIPv6, p.lo}
	}
	return adjacencyKey{i, p.hi, p.lo}
}

// groupMAC is the link-layer group of the packet's multicast destination.
func (p *pkt) groupMAC() intf.MAC {
	if p.fam == intf.Inet {
		return packet.MulticastMAC(addrFrom4(uint32(p.lo)))
	}
	return packet.MulticastMAC(addrFrom6(p.hi, p.lo))
}
