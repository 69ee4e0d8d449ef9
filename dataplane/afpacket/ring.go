package afpacket

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

const (
	slotSize = port.ChunkSize
	// jumboSlotSize is the power of two that holds port.MaxJumbo octets and the
	// kernel's header.
	jumboSlotSize = 8 * slotSize
	blockSize     = 1 << 16
)

// A ring is a TPACKET_V2 receive ring in memory shared with the kernel: slots of
// size octets that both sides visit in turn, each with a status word that
// says whose it is.
type ring struct {
	mem  []byte
	next uint32 // slot
	mask uint32
	size uint32 // of a slot
}

// newRing gives socket fd a ring of that many slots, a power of two from 32 on,
// for frames of up to longest octets.
func newRing(fd, slots, longest int) (*ring, error) {
	size := slotSize
	if longest > port.MaxFrame {
		size = jumboSlotSize
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, os.NewSyscallError("set TPACKET_V2", err)
	}
	req := unix.TpacketReq{
		Block_size: blockSize, Block_nr: uint32(slots * size / blockSize),
		Frame_size: uint32(size), Frame_nr: uint32(slots),
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("make a receive ring of %d frames: %w", slots, err)
	}
	mem, err := unix.Mmap(fd, 0, slots*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map the receive ring: %w", err)
	}
	return &ring{mem: mem, mask: uint32(slots - 1), size: uint32(size)}, nil
}

func (r *ring) unmap() error {
	if r == nil {
		return nil
	}
	return os.NewSyscallError("munmap", unix.Munmap(r.mem))
}

const tagLen = 4

// A slot is a received frame in the ring.
type slot struct {
	data       []byte // what the ring holds of it
	length     int    // octets, as received
	tpid, tci  uint16 // of a tag that the kernel took out; tpid 0 if none
	partialSum bool   // the transport checksum was left to the device
}

func (r *ring) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.mem[(r.next&r.mask)*r.size]))
}

// peek is the next frame; ok is false while the kernel still owns its slot.
func (r *ring) peek() (s slot, ok bool) {
	status := atomic.LoadUint32(r.status())
	if status&unix.TP_STATUS_USER == 0 {
		return slot{}, false
	}
	b := r.mem[(r.next&r.mask)*r.size:][:r.size]
	s.parse(status, b)
	return s, true
}

// parse reads struct tpacket2_hdr and what it says about the rest of b.
func (s *slot) parse(status uint32, b []byte) {
	e := binary.NativeEndian
	s.length = int(e.Uint32(b[4:]))
	start := min(int(e.Uint16(b[12:])), len(b))
	end := min(start+int(e.Uint32(b[8:])), len(b))
	s.data = b[start:end]
	if status&unix.TP_STATUS_VLAN_VALID != 0 {
		s.tci, s.tpid = e.Uint16(b[24:]), e.Uint16(b[26:])
		if status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
			s.tpid = unix.ETH_P_8021Q
		}
	}
	s.partialSum = status&unix.TP_STATUS_CSUMNOTREADY != 0
}

// whole is the frame's length with the tag that the kernel took out.
func (s *slot) whole() int {
	if s.tpid == 0 {
		return s.length
	}
	return s.length + tagLen
}

// release hands the slot of the last peek back to the kernel.
func (r *ring) release() {
	atomic.StoreUint32(r.status(), unix.TP_STATUS_KERNEL)
	r.next++
}

// copyTo writes the frame to dst, with its tag where it belongs, and returns
// its length. It reports false for a frame that is incomplete here, does not
// fit dst, or is no Ethernet frame.
func (s *slot) copyTo(dst []byte) (n int, ok bool) {
	const macs = 12
	if s.length != len(s.data) || s.length < macs+2 {
		return 0, false
	}
	if s.tpid == 0 {
		return copy(dst, s.data), s.length <= len(dst)
	}
	if s.length+tagLen > len(dst) {
		return 0, false
	}
	copy(dst, s.data[:macs])
	binary.BigEndian.PutUint16(dst[macs:], s.tpid)
	binary.BigEndian.PutUint16(dst[macs+2:], s.tci)
	return macs + tagLen + copy(dst[macs+tagLen:], s.data[macs:]), true
}
