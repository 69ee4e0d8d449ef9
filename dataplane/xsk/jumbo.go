package xsk

import (
	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

// A partial is a frame of several buffers of which not all have been seen.
type partial struct {
	inside bool   // there is one
	keeps  bool   // span is taken
	span   uint32 // what the frame is put together in
	n      int    // octets so far
}

// receiveJumbo is Receive where a frame may lie in several buffers. Those are
// put together in a span, at the price of a copy: the rest of the router finds
// every packet in one piece, and frames that fit a buffer stay where they are.
func (q *Queue) receiveJumbo(bufs []port.Buf) int {
	ready := q.rx.ready(uint32(len(bufs)) * port.SpanChunks)
	i, got := uint32(0), 0
	for ; i < ready && got < len(bufs); i++ {
		d := q.rx.at(q.rx.cons + i)
		q.held[uint32(d.Addr)/port.ChunkSize] = false
		more := d.Options&unix.XDP_PKT_CONTD != 0
		if !more && !q.part.inside {
			bufs[got] = port.Buf{Addr: uint32(d.Addr), Len: uint16(d.Len)}
			got++
			continue
		}
		q.gather(uint32(d.Addr), int(d.Len))
		if more {
			continue
		}
		if q.part.keeps {
			bufs[got] = port.Buf{Addr: q.part.span + port.Headroom, Len: uint16(q.part.n)}
			got++
		}
		q.part = partial{}
	}
	if i > 0 {
		q.rx.release(i)
		q.filled -= int32(i)
		q.empty = 0
		if got == len(bufs) {
			q.target *= 2 // as far as refill lets it
		}
	} else {
		q.idle()
	}
	q.refill()
	return got
}

// gather adds the n octets at addr to the frame that is being put together, and
// gives their buffer back.
func (q *Queue) gather(addr uint32, n int) {
	p := &q.part
	if !p.inside {
		p.inside = true
		if p.span, p.keeps = q.pool.GetSpan(); !p.keeps {
			q.noSpan.Add(1)
		}
	}
	if p.keeps && p.n+n > port.MaxJumbo {
		q.oversize.Add(1)
		q.pool.Put(p.span)
		p.keeps = false
	}
	if p.keeps {
		p.n += copy(q.pool.Room(p.span)[port.Headroom+p.n:], q.pool.Mem()[addr:addr+uint32(n)])
	}
	q.pool.Put(addr)
}

// transmitJumbo is Transmit for frames that may lie in spans, which leave as a
// descriptor for each buffer's room of it, without a copy.
func (q *Queue) transmitJumbo(bufs []port.Buf) int {
	taken, descs := 0, uint32(0)
	for ; taken < len(bufs); taken++ {
		b := bufs[taken]
		first, last := b.Addr/port.ChunkSize, (b.Addr+uint32(b.Len)-1)/port.ChunkSize
		k := last - first + 1
		if q.txRoom(int(descs+k)) < descs+k {
			// Those before it must be seen to make room.
			q.sent(descs)
			descs = 0
			q.wakeTx()
			q.reap()
			if q.txRoom(int(k)) < k {
				break
			}
		}
		if span, ok := q.pool.Span(b.Addr); ok {
			q.spans[span] = uint8(k)
		} else {
			q.held[first] = true
		}
		for addr, left := b.Addr, uint32(b.Len); left > 0; descs++ {
			n := min(left, port.ChunkSize-addr%port.ChunkSize)
			left -= n
			d := unix.XDPDesc{Addr: uint64(addr), Len: n}
			if left > 0 {
				d.Options = unix.XDP_PKT_CONTD
			}
			*q.tx.at(q.tx.prod + descs) = d
			addr += n
		}
	}
	q.sent(descs)
	return taken
}
