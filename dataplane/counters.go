package dataplane

import (
	"sync/atomic"

	"router/intf"
)

// Counters counts frames of a port or a unit with the meanings of RFC 8343.
// Octets include the Ethernet header and tags, but not the FCS. A counter lags
// behind by at most one batch, never decreases, and starts at 0 when the port
// or unit is created.
type Counters struct {
	InOctets, InUnicast, InMulticast, InBroadcast     uint64
	InDiscards, InErrors, InUnknownProtos             uint64
	OutOctets, OutUnicast, OutMulticast, OutBroadcast uint64
	OutDiscards, OutErrors                            uint64
}

// Places in a counterBlock. Those of frames stand in the order of a castClass.
const (
	inUnicast = iota
	inMulticast
	inBroadcast
	inOctets
	inDiscards
	inErrors
	inUnknown
	outUnicast
	outMulticast
	outBroadcast
	outOctets
	outDiscards
	outErrors
	numCounters
)

// castClass is what a destination MAC is: an offset from inUnicast or outUnicast.
type castClass = int

const (
	unicast castClass = iota
	multicast
	broadcast
)

// A counterBlock is one worker's share of the counters of a port or unit. The
// worker adds up in pend, and moves the sums to live once a batch.
type counterBlock struct {
	live  [numCounters]atomic.Uint64
	pend  [numCounters]uint64
	dirty bool
	rpf   [2]atomic.Uint64 // of a unit: packets by family whose source failed its check
	icmp  bucket           // of a unit: the worker's ICMP errors about what came from there

	redirect bucket // likewise, its redirects
	_        [64]byte
}

func (b *counterBlock) flush() {
	b.dirty = false
	for i := range b.pend {
		if n := b.pend[i]; n != 0 {
			b.live[i].Add(n)
			b.pend[i] = 0
		}
	}
}

// sum adds up the shares of all workers.
func sum(blocks []counterBlock) Counters {
	var v [numCounters]uint64
	for i := range blocks {
		for j := range v {
			v[j] += blocks[i].live[j].Load()
		}
	}
	return Counters{
		InOctets: v[inOctets], InUnicast: v[inUnicast], InMulticast: v[inMulticast], InBroadcast: v[inBroadcast],
		InDiscards: v[inDiscards], InErrors: v[inErrors], InUnknownProtos: v[inUnknown],
		OutOctets: v[outOctets], OutUnicast: v[outUnicast], OutMulticast: v[outMulticast], OutBroadcast: v[outBroadcast],
		OutDiscards: v[outDiscards], OutErrors: v[outErrors],
	}
}

// dropCounts is one worker's drops by reason. Dropping is rare enough for an
// atomic addition each.
type dropCounts [NumReasons]atomic.Uint64

// Totals says where packets came from and went, over all workers. When no
// packet is under way,
//
//	Received + Injected + Created = Sent + Dropped + Punted + Delivered + Absorbed
type Totals struct {
	Received  uint64 // frames from ports
	Injected  uint64 // packets of the control plane and the host, frames handed over by other workers
	Created   uint64 // ICMP errors, resets, fragments, and copies for a mirror or a list
	Sent      uint64 // frames that ports took
	Dropped   uint64 // packets dropped for any Reason
	Punted    uint64 // packets given to the control plane
	Delivered uint64 // packets given to the host
	Absorbed  uint64 // packets cut into fragments, and frames handed to another worker
}

type total uint8

const (
	totalReceived total = iota
	totalInjected
	totalCreated
	totalSent
	totalDropped
	totalPunted
	totalDelivered
	totalAbsorbed
	numTotals
)

// totalCounts is one worker's share of Totals, kept like a counterBlock.
type totalCounts struct {
	live [numTotals]atomic.Uint64
	pend [numTotals]uint64
}

func (c *totalCounts) flush() {
	for i := range c.pend {
		if n := c.pend[i]; n != 0 {
			c.live[i].Add(n)
			c.pend[i] = 0
		}
	}
}

// UnitCounters returns the counters of unit i; ok is false when there is none.
func (e *Engine) UnitCounters(i intf.Index) (c Counters, ok bool) {
	u := e.snapshot.Load().units.at(uint32(i))
	if u == nil {
		return Counters{}, false
	}
	c = sum(u.stats.counted())
	c.add(e.unitTally(u))
	return c, true
}

// PortCounters returns the counters of a port; ok is false when there is none.
// What the driver itself dropped is in PortStats.
func (e *Engine) PortCounters(id PortID) (c Counters, ok bool) {
	p := e.snapshot.Load().ports.at(uint32(id))
	if p == nil {
		return Counters{}, false
	}
	c = sum(p.stats.blocks)
	c.add(e.portTally(p))
	return c, true
}

// Drops returns, by reason, how many frames that came in by the port were
// dropped, and how many were dropped for want of room on its way out. Reasons
// that never occurred are absent; a port that does not exist has none.
func (e *Engine) Drops(id PortID) map[Reason]uint64 {
	p := e.snapshot.Load().ports.at(uint32(id))
	if p == nil {
		return nil
	}
	drops := sumDrops(p.stats.drops)
	t := e.portTally(p)
	for place, r := range tallyDrops {
		if n := t[place]; n != 0 {
			drops[r] += n
		}
	}
	return drops
}

// OwnDrops returns the drops of packets that came from no port: those of the
// host stack and the control plane, and our own ICMP errors.
func (e *Engine) OwnDrops() map[Reason]uint64 {
	own := make(map[Reason]uint64)
	for _, w := range e.workers {
		addDrops(own, &w.ownDrops)
	}
	return own
}

func sumDrops(shares []dropCounts) map[Reason]uint64 {
	m := make(map[Reason]uint64)
	for i := range shares {
		addDrops(m, &shares[i])
	}
	return m
}

func addDrops(m map[Reason]uint64, d *dropCounts) {
	for r := range d {
		if n := d[r].Load(); n != 0 {
			m[Reason(r)] += n
		}
	}
}

// Totals adds up where packets came from and went since New.
func (e *Engine) Totals() Totals {
	var t Totals
	for _, w := range e.WorkerTotals() {
		t.Received += w.Received
		t.Injected += w.Injected
		t.Created += w.Created
		t.Sent += w.Sent
		t.Dropped += w.Dropped
		t.Punted += w.Punted
		t.Delivered += w.Delivered
		t.Absorbed += w.Absorbed
	}
	return t
}

// WorkerTotals says where the packets of each worker came from and went since
// New.
func (e *Engine) WorkerTotals() []Totals {
	list := make([]Totals, len(e.workers))
	for i, w := range e.workers {
		var v [numTotals]uint64
		for j := range v {
			v[j] = w.totals.live[j].Load()
		}
		list[i] = Totals{
			Received: v[totalReceived], Injected: v[totalInjected], Created: v[totalCreated], Sent: v[totalSent],
			Dropped: v[totalDropped], Punted: v[totalPunted], Delivered: v[totalDelivered], Absorbed: v[totalAbsorbed],
		}
	}
	return list
}
