package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// optioned is a sound IPv4 packet with the given options and n octets of data.
func optioned(options []byte, n int) IPv4 {
	hl := 20 + (len(options)+3)&^3
	b := make([]byte, hl+n)
	PutIPv4(b, 0, 0x4242, false, 64, ProtocolUDP, ip4A, ip4B, hl-20+n)
	copy(b[20:], options)
	b[0] = 0x40 | byte(hl/4)
	fill(b[hl:])
	h := IPv4(b)
	h.SetChecksum()
	return h
}

// reassemble collects the fragments of pkt and checks each of them.
func reassemble(t testing.TB, pkt IPv4, mtu int) (payload []byte, frags []IPv4) {
	t.Helper()
	f, fault := NewFragmenter(pkt, mtu)
	if fault != FaultNone {
		t.Fatalf("fragmenter: %v", fault)
	}
	for range 10000 {
		buf := make([]byte, mtu)
		n := f.Next(buf)
		if n == 0 {
			return payload, frags
		}
		h, fault := CheckIPv4(buf[:n])
		if fault != FaultNone || len(h) != n || n > mtu {
			t.Fatalf("fragment of %d octets: %v", n, fault)
		}
		if at := pkt.FragmentOffset() + len(payload); h.FragmentOffset() != at {
			t.Fatalf("offset %d, want %d", h.FragmentOffset(), at)
		}
		if h.ID() != pkt.ID() || h.TTL() != pkt.TTL() || h.Src() != pkt.Src() || h.Dst() != pkt.Dst() ||
			h.Protocol() != pkt.Protocol() || h.DontFragment() != pkt.DontFragment() {
			t.Fatal("a field changed")
		}
		payload = append(payload, h.Payload()...)
		frags = append(frags, h)
	}
	t.Fatal("no end of fragments")
	return nil, nil
}

func TestFragmentation(t *testing.T) {
	copied := []byte{0x83, 7, 4, 192, 0, 2, 9}           // loose source route, copied
	alone := []byte{0x07, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0} // record route, first fragment only
	tests := []struct {
		name    string
		pkt     IPv4
		mtu     int
		headers []int // length of each fragment's header
	}{
		{"two even parts", optioned(nil, 1480), 764, []int{20, 20}},
		{"fits in one", optioned(nil, 100), 120, []int{20}},
		{"one octet too many", optioned(nil, 101), 120, []int{20, 20}},
		{"units of eight", optioned(nil, 100), 71, []int{20, 20, 20}},
		{"copied option in all", optioned(copied, 110), 80, []int{28, 28, 28}},
		{"other option in the first", optioned(alone, 110), 80, []int{32, 20, 20}},
		{"both kinds", optioned(append(append([]byte{1}, alone...), copied...), 110), 88, []int{40, 28, 28}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload, frags := reassemble(t, tt.pkt, tt.mtu)
			if !bytes.Equal(payload, tt.pkt.Payload()) {
				t.Fatal("the payload is not put together again")
			}
			if len(frags) != len(tt.headers) {
				t.Fatalf("%d fragments, want %d", len(frags), len(tt.headers))
			}
			for i, h := range frags {
				if h.HeaderLen() != tt.headers[i] {
					t.Errorf("fragment %d: header of %d octets, want %d", i, h.HeaderLen(), tt.headers[i])
				}
				if h.MoreFragments() != (i < len(frags)-1) {
					t.Errorf("fragment %d: more fragments is %v", i, h.MoreFragments())
				}
			}
		})
	}
}

func TestFragmentOfAFragmentKeepsItsPlace(t *testing.T) {
	pkt := optioned(nil, 400)
	binary.BigEndian.PutUint16(pkt[6:8], ipv4MF|100) // in the middle: offset 800, more to come
	pkt.SetChecksum()
	payload, frags := reassemble(t, pkt, 180)
	if !bytes.Equal(payload, pkt.Payload()) || len(frags) != 3 {
		t.Fatalf("%d fragments", len(frags))
	}
	for i, h := range frags {
		if !h.MoreFragments() {
			t.Errorf("fragment %d says that it is the last of the whole", i)
		}
	}
}

func TestFragmenterRefuses(t *testing.T) {
	tests := []struct {
		name  string
		pkt   IPv4
		mtu   int
		fault Fault
	}{
		{"MTU without room for data", optioned(nil, 100), 27, FaultTotalLength},
		{"option of length 1", optioned([]byte{0x83, 1, 0, 0}, 100), 80, FaultOption},
		{"option of length 0", optioned([]byte{0x83, 0, 0, 0}, 100), 80, FaultOption},
		{"option beyond the header", optioned([]byte{0x83, 9, 0, 0}, 100), 80, FaultOption},
		{"option without length", optioned([]byte{1, 1, 1, 0x83}, 100), 80, FaultOption},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, fault := NewFragmenter(tt.pkt, tt.mtu); fault != tt.fault {
				t.Fatalf("got %v, want %v", fault, tt.fault)
			}
		})
	}
}

func TestFragmenterIntoASmallBuffer(t *testing.T) {
	f, _ := NewFragmenter(optioned(nil, 200), 120)
	if n := f.Next(make([]byte, 100)); n != 0 {
		t.Fatalf("wrote %d octets into 100", n)
	}
	if n := f.Next(make([]byte, 120)); n != 116 {
		t.Fatalf("then %d octets, want the first fragment of 116", n)
	}
}

func FuzzFragmenter(f *testing.F) {
	f.Add([]byte(optioned([]byte{0x83, 7, 4, 192, 0, 2, 9}, 300)), 100)
	f.Add([]byte(optioned(nil, 1480)), 68)
	f.Fuzz(func(t *testing.T, b []byte, mtu int) {
		if len(b) < 20 || mtu > 1<<16 {
			return
		}
		// Make the header sound, so that the fuzzer gets past the checks.
		b = bytes.Clone(b)
		b[0] = 0x40 | b[0]&15
		binary.BigEndian.PutUint16(b[2:4], uint16(len(b)))
		if hl := int(b[0]&15) * 4; hl >= 20 && hl <= len(b) {
			IPv4(b).SetChecksum()
		}
		pkt, fault := CheckIPv4(b)
		if fault != FaultNone || pkt.FragmentOffset()+len(pkt.Payload()) > 65535 {
			return
		}
		if _, fault := NewFragmenter(pkt, mtu); fault != FaultNone {
			return
		}
		payload, _ := reassemble(t, pkt, mtu)
		if !bytes.Equal(payload, pkt.Payload()) {
			t.Fatal("the payload is not put together again")
		}
	})
}
