// Package capture takes down frames as they come from and go to devices: which are picked is
// said by an expression, and what is kept is a pcapng file, or a stream of packets.
//
// A [Tap] stands in a worker's thread, between a queue and the packet path. It copies what is
// picked into a ring, and drops and counts where there is no room: it never holds a worker up. A
// [Reader] empties the rings of all workers in the order of time.
//
// Sources: draft-ietf-opsawg-pcapng, pcap-filter(7).
package capture

import (
	"cmp"
	"slices"

	"router/intf"
)

// A Packet is a frame as it was captured.
type Packet struct {
	At     int64 // nanoseconds since 1970
	Out    bool  // it was sent, else received
	Length int   // on the wire, without the frame check sequence
	Data   []byte
}

// A Pick says which frames are captured, and how much of each.
type Pick struct {
	// Tagged has only frames with exactly the tags of Stack captured: those of a unit.
	Tagged  bool
	Stack   intf.VLAN
	In, Out bool
	Filter  Expression
	Snap    int // octets of each frame that are kept
}

// wants reports whether a frame is picked. k is room to read it into.
func (p *Pick) wants(k *key, out bool, frame []byte) bool {
	if out && !p.Out || !out && !p.In {
		return false
	}
	if !p.Tagged && p.Filter.test == nil {
		return true
	}
	*k = keyOf(frame)
	if p.Tagged && k.stack() != p.Stack {
		return false
	}
	return p.Filter.test == nil || p.Filter.test(k)
}

// stack is the frame's tags. Of a priority tag, which has no id, the unit without tags has the
// frame.
func (k *key) stack() (v intf.VLAN) {
	if k.n > 0 && !(k.n == 1 && k.tags[0] == 0) {
		v.OuterTPID, v.OuterID = k.tpids[0], k.tags[0]
	}
	if k.n > 1 {
		v.InnerTPID, v.InnerID = k.tpids[1], k.tags[1]
	}
	return v
}

// ringSize is how many octets of frames wait for the reader, for each worker.
const ringSize = 1 << 20

// A Tap picks the frames of one worker. Frame is its worker's; the rest is the Reader's.
type Tap struct {
	pick *Pick
	ring *ring
	key  key
}

// Frame offers a frame that was received or is to be sent at the time at, nanoseconds since 1970. It
// keeps nothing of frame, and doesn't allocate.
func (t *Tap) Frame(at int64, out bool, frame []byte) {
	if t.pick.wants(&t.key, out, frame) {
		t.ring.push(at, out, frame, t.pick.Snap)
	}
}

// A Reader is one capture. Its methods are for one goroutine, but for NewTap, which comes
// before any frame.
type Reader struct {
	pick Pick
	taps []*Tap
	list []Packet
}

// NewReader returns a capture without taps.
func NewReader(p Pick) *Reader { return &Reader{pick: p} }

// NewTap adds a tap, for one worker.
func (r *Reader) NewTap() *Tap {
	t := &Tap{pick: &r.pick, ring: newRing(ringSize)}
	r.taps = append(r.taps, t)
	return t
}

// atOnce bounds what Read takes from each worker.
const atOnce = 1024

// Read returns what was captured since, in the order of time as far as it has come; it is empty
// when nothing was. The slice is valid until the next call.
func (r *Reader) Read() []Packet {
	r.list = r.list[:0]
	for _, t := range r.taps {
		for range atOnce {
			p, ok := t.ring.pop()
			if !ok {
				break
			}
			r.list = append(r.list, p)
		}
	}
	slices.SortStableFunc(r.list, func(a, b Packet) int { return cmp.Compare(a.At, b.At) })
	return r.list
}

// Dropped counts the frames that were picked and lost, because the reader was too slow.
func (r *Reader) Dropped() (n uint64) {
	for _, t := range r.taps {
		n += t.ring.dropped.Load()
	}
	return n
}
