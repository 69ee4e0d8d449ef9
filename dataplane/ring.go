package dataplane

import (
	"math/bits"
	"net/netip"
	"sync/atomic"

	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// slotSize is the longest packet or frame that a ring carries.
const slotSize = port.MaxFrame

// A puntRing carries packets from one worker to one consumer. Both sides are
// lock-free; a slot is the reader's until the next release.
type puntRing struct {
	_     [64]byte
	head  atomic.Uint64 // slots filled; the worker's
	_     [64]byte
	tail  atomic.Uint64 // slots released; the consumer's
	_     [64]byte
	slots []puntSlot
}

// A puntSlot holds no pointers, so that the garbage collector skips the rings.
type puntSlot struct {
	kind       PuntKind
	fam        intf.Family
	class      ClassID // of a packet for the host
	originated bool
	n          uint16
	etherType  uint16
	ifindex    intf.Index
	from       intf.Index
	key        adjacencyKey
	src, dst   intf.MAC
	data       [slotSize]byte
}

// newPuntRing makes a ring of size slots, a power of two.
func newPuntRing(size int) *puntRing { return &puntRing{slots: make([]puntSlot, size)} }

// next returns the slot to fill, nil when the ring is full.
func (r *puntRing) next() *puntSlot {
	h := r.head.Load()
	if h-r.tail.Load() == uint64(len(r.slots)) {
		return nil
	}
	return &r.slots[h&uint64(len(r.slots)-1)]
}

// free is how many slots are empty.
func (r *puntRing) free() int { return len(r.slots) - int(r.head.Load()-r.tail.Load()) }

// commit hands over the slot that next returned.
func (r *puntRing) commit() { r.head.Store(r.head.Load() + 1) }

// peek returns the oldest slot, nil when the ring is empty.
func (r *puntRing) peek() *puntSlot {
	t := r.tail.Load()
	if t == r.head.Load() {
		return nil
	}
	return &r.slots[t&uint64(len(r.slots)-1)]
}

// release gives back the slot that peek returned.
func (r *puntRing) release() { r.tail.Store(r.tail.Load() + 1) }

// An injectRing carries packets from any goroutine to one worker: D. Vyukov's
// bounded queue, where each slot's sequence number says whose turn it is.
type injectRing struct {
	_     [64]byte
	head  atomic.Uint64 // next slot to reserve
	_     [64]byte
	tail  atomic.Uint64 // next slot to read; the worker's
	_     [64]byte
	slots []injectSlot
	shift uint8 // binary logarithm of the number of slots
}

// An injectOp is what the worker does with a slot.
type injectOp uint8

const (
	opFrame     injectOp = iota // send this frame out of a port
	opSendUnit                  // prepend the unit's L2 header and send
	opOriginate                 // look it up as a packet of the host
	opReject                    // answer it with an ICMP error
)

type injectSlot struct {
	// turn is twice the round of the ring in which the slot may be filled, one
	// more once it is. A ring of zeroes is empty, so that its memory is touched
	// only when it is used.
	turn atomic.Uint64
	head injectHead
	n    uint16
	data [slotSize]byte
}

// An injectHead says what to do with the data of a slot.
type injectHead struct {
	op        injectOp
	reject    routing.RejectCode
	etherType uint16
	mac       intf.MAC
	ifindex   intf.Index
	number    uint32 // PortID or instance
}

// newInjectRing makes a ring of size slots, a power of two.
func newInjectRing(size int) *injectRing {
	return &injectRing{slots: make([]injectSlot, size), shift: uint8(bits.TrailingZeros(uint(size)))}
}

// at returns the slot of a position, and its turn while it is empty.
func (r *injectRing) at(pos uint64) (s *injectSlot, empty uint64) {
	return &r.slots[pos&uint64(len(r.slots)-1)], 2 * (pos >> r.shift)
}

// reserve returns a slot to fill and the turn that hands it over; nil when the
// ring is full.
func (r *injectRing) reserve() (*injectSlot, uint64) {
	for {
		pos := r.head.Load()
		s, empty := r.at(pos)
		switch turn := s.turn.Load(); {
		case turn < empty:
			return nil, 0
		case turn == empty && r.head.CompareAndSwap(pos, pos+1):
			return s, empty + 1
		}
	}
}

// push fills a slot; it reports false when the ring is full. data is at most
// slotSize octets.
func (r *injectRing) push(data []byte, h injectHead) bool {
	s, full := r.reserve()
	if s == nil {
		return false
	}
	s.head = h
	s.n = uint16(copy(s.data[:], data))
	s.turn.Store(full)
	return true
}

// peek returns the oldest slot, nil when the ring is empty.
func (r *injectRing) peek() *injectSlot {
	if s, empty := r.at(r.tail.Load()); s.turn.Load() == empty+1 {
		return s
	}
	return nil
}

// release gives back the slot that peek returned.
func (r *injectRing) release() {
	pos := r.tail.Load()
	s, empty := r.at(pos)
	s.turn.Store(empty + 2)
	r.tail.Store(pos + 1)
}

// addr is the address in a slot's key.
func (s *puntSlot) addr() netip.Addr {
	if s.key == (adjacencyKey{}) {
		return netip.Addr{}
	}
	return s.key.addr()
}
