package capture

import (
	"encoding/binary"
	"sync/atomic"
)

// A ring carries frames from one worker to the capture, without locks. Each takes a head
// and its octets, in a row but for the ring's end.
//
// Written by one thread, read by one goroutine.
type ring struct {
	head    atomic.Uint64 // octets written; the worker's
	_       [56]byte
	tail    atomic.Uint64 // octets read; the reader's
	_       [56]byte
	dropped atomic.Uint64 // frames without room
	data    []byte        // its length is a power of two
}

// frameHead is the size of a frame's head: time, length on the wire, length kept with the
// direction in its top bit.
const frameHead = 16

const outBit = 1 << 31

func newRing(size int) *ring { return &ring{data: make([]byte, size)} }

// push adds the first octets of a frame, keep of them, or counts it as dropped.
func (r *ring) push(at int64, out bool, frame []byte, keep int) {
	kept := min(len(frame), keep)
	size := uint64(frameHead+kept+7) &^ 7
	head := r.head.Load()
	if uint64(len(r.data))-(head-r.tail.Load()) < size {
		r.dropped.Add(1)
		return
	}
	var h [frameHead]byte
	binary.NativeEndian.PutUint64(h[:], uint64(at))
	binary.NativeEndian.PutUint32(h[8:], uint32(len(frame)))
	length := uint32(kept)
	if out {
		length |= outBit
	}
	binary.NativeEndian.PutUint32(h[12:], length)
	r.put(head, h[:])
	r.put(head+frameHead, frame[:kept])
	r.head.Store(head + size)
}

func (r *ring) put(at uint64, b []byte) {
	n := copy(r.data[at&uint64(len(r.data)-1):], b)
	copy(r.data, b[n:])
}

func (r *ring) get(at uint64, b []byte) {
	n := copy(b, r.data[at&uint64(len(r.data)-1):])
	copy(b[n:], r.data)
}

// pop takes the oldest frame; ok is false when there is none. Its Data is new memory.
func (r *ring) pop() (p Packet, ok bool) {
	tail := r.tail.Load()
	if tail == r.head.Load() {
		return p, false
	}
	var h [frameHead]byte
	r.get(tail, h[:])
	length := binary.NativeEndian.Uint32(h[12:])
	p.At, p.Length, p.Out = int64(binary.NativeEndian.Uint64(h[:])), int(binary.NativeEndian.Uint32(h[8:])), length&outBit != 0
	p.Data = make([]byte, length&^outBit)
	r.get(tail+frameHead, p.Data)
	r.tail.Store(tail + uint64(frameHead+len(p.Data)+7)&^7)
	return p, true
}
