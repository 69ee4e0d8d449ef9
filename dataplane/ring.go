package dataplane

import (
	"math/bits"
	"net/netip"
	"sync/atomic"

	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// slotSize is how much of a packet or frame a slot of a ring holds. A longer
// one, a jumbo frame, takes several slots in a row.
const slotSize = port.MaxFrame

// slotsFor is how many slots n octets take.
func slotsFor(n int) int { return max(1, (n+slotSize-1)/slotSize) }

// A puntRing carries packets from one worker to one consumer. Both sides are
// lock-free; a slot is the reader's until the next release.
type puntRing struct {
	_     [64]byte
	head  atomic.Uint64 // slots filled; the worker's
	_     [64]byte
	tail  atomic.Uint64 // slots released; the consumer's
	_     [64]byte
	slots []puntSlot
	whole []byte // the consumer's: a jumbo frame put together
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
	instance   uint32 // of a PuntFlow
	key        adjacencyKey
	src, dst   intf.MAC
	data       [slotSize]byte
}

// newPuntRing makes a ring of size slots, a power of two.
func newPuntRing(size int) *puntRing {
	r := new(puntRing)
	r.slots = mapSlots[puntSlot](r, size)
	return r
}

func (r *puntRing) at(pos uint64) *puntSlot { return &r.slots[pos&uint64(len(r.slots)-1)] }

// next returns the slot to fill for a packet of n octets, nil when the ring has
// no room for it.
func (r *puntRing) next(n int) *puntSlot {
	h := r.head.Load()
	if h-r.tail.Load()+uint64(slotsFor(n)) > uint64(len(r.slots)) {
		return nil
	}
	return r.at(h)
}

// free is how many slots are empty.
func (r *puntRing) free() int { return len(r.slots) - int(r.head.Load()-r.tail.Load()) }

// commit copies data, as long as next was told, behind what was filled in of
// the slot that next returned, and hands it over.
func (r *puntRing) commit(data []byte) {
	h := r.head.Load()
	first := r.at(h)
	first.n = uint16(len(data))
	data = data[copy(first.data[:], data):]
	for h++; len(data) > 0; h++ {
		data = data[copy(r.at(h).data[:], data):]
	}
	r.head.Store(h)
}

// peek returns the oldest packet, valid until it is released; the slot is nil
// when the ring is empty.
func (r *puntRing) peek() (s *puntSlot, data []byte) {
	t := r.tail.Load()
	if t == r.head.Load() {
		return nil, nil
	}
	s = r.at(t)
	if s.n <= slotSize {
		return s, s.data[:s.n:s.n]
	}
	r.whole = r.whole[:0]
	for left := int(s.n); left > 0; left -= slotSize {
		r.whole = append(r.whole, r.at(t).data[:min(left, slotSize)]...)
		t++
	}
	return s, r.whole
}

// release gives back the packet that peek returned.
func (r *puntRing) release() {
	t := r.tail.Load()
	r.tail.Store(t + uint64(slotsFor(int(r.at(t).n))))
}

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
	opProbe                     // as opOriginate, and note when
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
	probe     probeNumber
}

// newInjectRing makes a ring of size slots, a power of two.
func newInjectRing(size int) *injectRing {
	r := &injectRing{shift: uint8(bits.TrailingZeros(uint(size)))}
	r.slots = mapSlots[injectSlot](r, size)
	return r
}

// at returns the slot of a position, and its turn while it is empty.
func (r *injectRing) at(pos uint64) (s *injectSlot, empty uint64) {
	return &r.slots[pos&uint64(len(r.slots)-1)], 2 * (pos >> r.shift)
}

// reserve returns the position of k slots in a row to fill; ok is false when
// the ring has no room for them.
func (r *injectRing) reserve(k int) (pos uint64, ok bool) {
	for {
		pos = r.head.Load()
		// The worker empties slots in order: the last one tells of all.
		s, empty := r.at(pos + uint64(k) - 1)
		switch turn := s.turn.Load(); {
		case turn < empty:
			return 0, false
		case turn == empty && r.head.CompareAndSwap(pos, pos+uint64(k)):
			return pos, true
		}
	}
}

// push fills as many slots as data takes; it reports false when the ring has no
// room for them. data is at most port.MaxJumbo octets.
func (r *injectRing) push(data []byte, h injectHead) bool {
	k := slotsFor(len(data))
	pos, ok := r.reserve(k)
	if !ok {
		return false
	}
	first, _ := r.at(pos)
	first.head, first.n = h, uint16(len(data))
	for i := range k {
		s, _ := r.at(pos + uint64(i))
		data = data[copy(s.data[:], data):]
	}
	// The first one last: who sees it finds all of them filled.
	for i := k - 1; i >= 0; i-- {
		s, empty := r.at(pos + uint64(i))
		s.turn.Store(empty + 1)
	}
	return true
}

// peek returns the slot that the oldest packet begins in, nil when the ring is
// empty.
func (r *injectRing) peek() *injectSlot {
	if s, empty := r.at(r.tail.Load()); s.turn.Load() == empty+1 {
		return s
	}
	return nil
}

// copyTo copies the packet of the last peek to b, which has room for it.
func (r *injectRing) copyTo(b []byte) {
	pos := r.tail.Load()
	s, _ := r.at(pos)
	for left := int(s.n); left > 0; left -= slotSize {
		s, _ := r.at(pos)
		b = b[copy(b, s.data[:min(left, slotSize)]):]
		pos++
	}
}

// release gives back the packet that peek returned.
func (r *injectRing) release() {
	pos := r.tail.Load()
	s, _ := r.at(pos)
	for k := slotsFor(int(s.n)); k > 0; k-- {
		s, empty := r.at(pos)
		s.turn.Store(empty + 2)
		pos++
	}
	r.tail.Store(pos)
}

// addr is the address in a slot's key.
func (s *puntSlot) addr() netip.Addr {
	if s.key == (adjacencyKey{}) {
		return netip.Addr{}
	}
	return s.key.addr()
}
