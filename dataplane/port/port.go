// Package port is the contract between the workers of the dataplane and the
// drivers that exchange frames with devices.
//
// A worker owns one [Pool] of frame buffers and the queues that it serves; all
// three are used from the worker's thread alone, so nothing here locks. A frame
// stays in one buffer from the queue that received it to the queue that sends
// it: drivers that can (AF_XDP) never copy it.
package port

import (
	"errors"
	"fmt"
)

const (
	// ChunkSize is the size of a buffer in octets; buffers lie at multiples of it.
	ChunkSize = 2048
	// Headroom is what a driver leaves free in front of a received frame, for
	// longer L2 headers. It is also what XDP keeps for itself.
	Headroom = 256
	// MaxFrame is the largest frame that a buffer holds behind its headroom.
	MaxFrame = ChunkSize - Headroom

	// SpanChunks is how many buffers' room a span has: one piece of memory for a
	// jumbo frame, so that the packet path finds all of it in a row.
	SpanChunks = 5
	// SpanSize is the size of a span in octets.
	SpanSize = SpanChunks * ChunkSize
	// MaxJumbo is the largest frame that a span holds behind its headroom.
	MaxJumbo = SpanSize - Headroom
)

// ErrGone says that the device behind a queue has disappeared.
var ErrGone = errors.New("device is gone")

// A Flag says something about one frame.
type Flag uint16

const (
	// PartialChecksum marks a frame whose TCP or UDP checksum field holds only
	// the pseudo-header's sum, as the driver knows for certain.
	PartialChecksum Flag = 1 << iota
)

// A Buf is a frame in a buffer of a Pool: Len octets from offset Addr of the
// pool's memory. The zero Buf is a frame of no octets in the first buffer; it
// is not a marker for "none".
type Buf struct {
	Addr  uint32
	Len   uint16
	Flags Flag
}

// A Pool is a worker's frame memory, cut into buffers of ChunkSize octets and,
// behind them, a smaller number of spans for jumbo frames. It is used by one
// thread.
type Pool struct {
	mem   []byte
	spans uint32 // offset of the first span
	free  []uint32
	// freeSpans are those that GetSpan can still hand out.
	freeSpans []uint32
}

// NewPool cuts mem into buffers, without spans. mem must be page-aligned where
// it is to be registered as a UMEM; octets beyond a multiple of ChunkSize stay
// unused.
func NewPool(mem []byte) (*Pool, error) { return NewJumboPool(mem, 0) }

// NewJumboPool is NewPool for a pool that ends with that many spans.
func NewJumboPool(mem []byte, spans int) (*Pool, error) {
	n := len(mem)/ChunkSize - spans*SpanChunks
	if n <= 0 || len(mem) > 1<<32-1 {
		return nil, fmt.Errorf("frame memory of %d octets with %d spans: want %d to %d",
			len(mem), spans, spans*SpanSize+ChunkSize, uint32(1<<32-1))
	}
	p := &Pool{mem: mem, spans: uint32(n) * ChunkSize, free: make([]uint32, n), freeSpans: make([]uint32, spans)}
	for i := range p.free {
		// Low offsets are handed out first, so that an idle router touches few pages.
		p.free[i] = uint32(n-1-i) * ChunkSize
	}
	for i := range p.freeSpans {
		p.freeSpans[i] = p.spans + uint32(spans-1-i)*SpanSize
	}
	return p, nil
}

// Mem is the whole memory, for registration as a UMEM.
func (p *Pool) Mem() []byte { return p.mem }

// Size is the number of buffers, in use or not, spans not counted.
func (p *Pool) Size() int { return int(p.spans / ChunkSize) }

// Spans is the number of spans, in use or not.
func (p *Pool) Spans() int { return (len(p.mem) - int(p.spans)) / SpanSize }

// Free is the number of buffers that Get can still hand out.
func (p *Pool) Free() int { return len(p.free) }

// FreeSpans is the number of spans that GetSpan can still hand out.
func (p *Pool) FreeSpans() int { return len(p.freeSpans) }

// Get takes a buffer and returns its offset; ok is false when none is free.
func (p *Pool) Get() (chunk uint32, ok bool) {
	n := len(p.free)
	if n == 0 {
		return 0, false
	}
	chunk = p.free[n-1]
	p.free = p.free[:n-1]
	return chunk, true
}

// GetSpan takes a span and returns its offset; ok is false when none is free.
func (p *Pool) GetSpan() (span uint32, ok bool) {
	n := len(p.freeSpans)
	if n == 0 {
		return 0, false
	}
	span = p.freeSpans[n-1]
	p.freeSpans = p.freeSpans[:n-1]
	return span, true
}

// GetFor takes a buffer for a frame of n octets behind the headroom, a span
// where that is too long for a buffer; ok is false when none is free, or n is
// more than MaxJumbo.
func (p *Pool) GetFor(n int) (start uint32, ok bool) {
	switch {
	case n <= MaxFrame:
		return p.Get()
	case n <= MaxJumbo:
		return p.GetSpan()
	}
	return 0, false
}

// Put gives back the buffer or span that the octet at offset addr lies in.
func (p *Pool) Put(addr uint32) {
	if addr >= p.spans {
		p.freeSpans = append(p.freeSpans, addr-(addr-p.spans)%SpanSize)
		return
	}
	p.free = append(p.free, addr&^(ChunkSize-1))
}

// Span is the number of the span that the octet at offset addr lies in; ok is
// false when it lies in a buffer.
func (p *Pool) Span(addr uint32) (i int, ok bool) {
	return int(addr-p.spans) / SpanSize, addr >= p.spans
}

// SpanAt is the offset of span i.
func (p *Pool) SpanAt(i int) uint32 { return p.spans + uint32(i)*SpanSize }

// Frame is the octets of b. The slice's capacity ends with the buffer or span.
func (p *Pool) Frame(b Buf) []byte {
	end := b.Addr&^(ChunkSize-1) + ChunkSize
	if i, ok := p.Span(b.Addr); ok {
		end = p.SpanAt(i + 1)
	}
	return p.mem[b.Addr : b.Addr+uint32(b.Len) : end]
}

// Room is all octets of the buffer or span that starts at offset start.
func (p *Pool) Room(start uint32) []byte {
	end := start + ChunkSize
	if start >= p.spans {
		end = start + SpanSize
	}
	return p.mem[start:end:end]
}

// Stats counts what a queue did since it was opened. All counts only grow.
type Stats struct {
	RxDropped    uint64 // frames that the driver or the kernel dropped for want of room
	RxOversize   uint64 // frames larger than a buffer, or a span where the queue takes jumbo frames
	TxDropped    uint64 // frames accepted by Transmit that could not be sent
	FillStarved  uint64 // times that the fill ring was empty when the kernel looked
	WakeupsTaken uint64 // system calls made to wake the kernel
}

// A Poller is a Queue that can have the kernel look at the device in place of the
// device's interrupts.
type Poller interface {
	// BusyPoll has the kernel look at the device in every Receive that finds no
	// frame, or no longer. It is called from the worker's thread.
	BusyPoll(on bool)
	// KernelPolls reports whether it does, which the device must be made for. It
	// may be called from any goroutine.
	KernelPolls() bool
}

// A Queue is one receive and transmit queue of a device, owned by one worker.
// Every method except Stats and Err is called from that worker's thread; no
// method blocks, none allocates.
//
// A queue is opened by another goroutine while its worker runs, so opening it
// must not touch the pool: the first Receive takes the first buffers.
type Queue interface {
	// Receive stores up to len(bufs) received frames and returns their number.
	// The caller owns the buffers of those frames from then on. The driver
	// refills itself from the pool, and keeps what it took there until Close.
	Receive(bufs []Buf) int
	// Transmit takes frames in order and returns how many it took. Those
	// buffers belong to the queue, which puts them back into the pool once sent
	// (at once, or in a later Receive, Transmit or Flush). Frames not taken stay
	// the caller's.
	Transmit(bufs []Buf) int
	// Flush makes sure that what Transmit took is on its way, and collects
	// buffers whose frames have been sent. It is called once after a batch.
	Flush()
	// FD is a file descriptor that polls readable when frames wait, or -1 for
	// a queue that is only ever polled by Receive.
	FD() int
	// Stats may be called from any goroutine.
	Stats() Stats
	// Err is nil while the queue works. ErrGone, possibly wrapped, says that
	// the device has disappeared; the worker then stops serving the queue.
	// It may be called from any goroutine.
	Err() error
	// Close gives every buffer that the queue holds back to the pool and
	// releases the rest. Called from the worker's thread, once.
	Close() error
}
