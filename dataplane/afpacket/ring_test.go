package afpacket

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

// inSlot builds a slot as the kernel fills it: struct tpacket2_hdr, then the
// frame at offset mac.
func inSlot(length, snapped, mac uint16, tci, tpid uint16, frame []byte) []byte {
	b := make([]byte, slotSize)
	e := binary.NativeEndian
	e.PutUint32(b[4:], uint32(length))
	e.PutUint32(b[8:], uint32(snapped))
	e.PutUint16(b[12:], mac)
	e.PutUint16(b[24:], tci)
	e.PutUint16(b[26:], tpid)
	if int(mac) < len(b) {
		copy(b[mac:], frame)
	}
	return b
}

func TestSlots(t *testing.T) {
	frame := make([]byte, 100)
	for i := range frame {
		frame[i] = byte(i)
	}
	tagged := func(tpid, tci uint16) []byte {
		b := append([]byte{}, frame[:12]...)
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, tpid), tci)
		return append(b, frame[12:]...)
	}
	const user = unix.TP_STATUS_USER
	cases := []struct {
		name    string
		status  uint32
		slot    []byte
		room    int
		want    []byte // nil: refused
		partial bool
	}{
		{"plain", user, inSlot(100, 100, 66, 0, 0, frame), port.MaxFrame, frame, false},
		{"checksum left to the device", user | unix.TP_STATUS_CSUMNOTREADY, inSlot(100, 100, 66, 0, 0, frame), port.MaxFrame, frame, true},
		{"802.1ad tag taken out", user | unix.TP_STATUS_VLAN_VALID | unix.TP_STATUS_VLAN_TPID_VALID,
			inSlot(100, 100, 66, 0xe00a, 0x88a8, frame), port.MaxFrame, tagged(0x88a8, 0xe00a), false},
		{"tag of a kernel that does not say which", user | unix.TP_STATUS_VLAN_VALID,
			inSlot(100, 100, 66, 100, 0, frame), port.MaxFrame, tagged(0x8100, 100), false},
		{"tag field without its flag", user, inSlot(100, 100, 66, 100, 0x8100, frame), port.MaxFrame, frame, false},
		{"just fits", user, inSlot(100, 100, 66, 0, 0, frame), 100, frame, false},
		{"too large", user, inSlot(100, 100, 66, 0, 0, frame), 99, nil, false},
		{"too large with its tag", user | unix.TP_STATUS_VLAN_VALID, inSlot(100, 100, 66, 7, 0x8100, frame), 103, nil, false},
		{"cut short by the ring", user, inSlot(3000, 1982, 66, 0, 0, frame), port.MaxFrame, nil, false},
		{"no Ethernet frame", user, inSlot(13, 13, 66, 0, 0, frame), port.MaxFrame, nil, false},
		{"starts beyond its slot", user, inSlot(100, 100, 4000, 0, 0, frame), port.MaxFrame, nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var s slot
			s.parse(c.status, c.slot)
			dst := make([]byte, c.room)
			n, ok := s.copyTo(dst)
			if ok != (c.want != nil) || ok && !bytes.Equal(dst[:n], c.want) {
				t.Errorf("accepted %v:\n got %x\nwant %x", ok, dst[:n], c.want)
			}
			if ok && s.partialSum != c.partial {
				t.Errorf("partial checksum %v, want %v", s.partialSum, c.partial)
			}
		})
	}
}

func FuzzSlot(f *testing.F) {
	f.Add(uint32(unix.TP_STATUS_USER), inSlot(60, 60, 66, 0, 0, make([]byte, 60))[:200])
	f.Add(uint32(unix.TP_STATUS_USER|unix.TP_STATUS_VLAN_VALID), inSlot(60, 60, 66, 100, 0x8100, make([]byte, 60))[:200])
	f.Add(uint32(unix.TP_STATUS_USER), bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, status uint32, b []byte) {
		if len(b) < 32 {
			return // a slot always holds its header
		}
		var s slot
		s.parse(status, b)
		dst := make([]byte, 128)
		if n, ok := s.copyTo(dst); ok && (n > len(dst) || n < 14 || n > s.length+4) {
			t.Errorf("%d octets of a frame of %d", n, s.length)
		}
	})
}
