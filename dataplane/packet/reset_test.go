package packet

import (
	"encoding/binary"
	"testing"
)

// segment4 and segment6 are segments from host A to host B with valid checksums.
func segment4(flags byte, seq, ack uint32, data int) IPv4 {
	b := make([]byte, 40+data)
	PutIPv4(b, 0xbb, 7, true, 61, ProtocolTCP, ip4A, ip4B, 20+data)
	putSegment(b[20:], flags, seq, ack)
	sumTCP4(b)
	return b
}

func sumTCP4(h IPv4) {
	s := h[20:]
	s[16], s[17] = 0, 0
	binary.BigEndian.PutUint16(s[16:], ^Sum(s, PseudoSum4(h.Src32(), h.Dst32(), ProtocolTCP, uint16(len(s)))))
}

func segment6(flags byte, seq, ack uint32, data int) IPv6 {
	b := make([]byte, 60+data)
	PutIPv6(b, 0xbb, ProtocolTCP, 61, ip6A, ip6B, 20+data)
	putSegment(b[40:], flags, seq, ack)
	s := b[40:]
	binary.BigEndian.PutUint16(s[16:], ^Sum(s, PseudoSum6(b[8:40], ProtocolTCP, uint32(len(s)))))
	return b
}

func putSegment(s []byte, flags byte, seq, ack uint32) {
	binary.BigEndian.PutUint16(s[0:], 40000)
	binary.BigEndian.PutUint16(s[2:], 179)
	binary.BigEndian.PutUint32(s[4:], seq)
	binary.BigEndian.PutUint32(s[8:], ack)
	s[12], s[13] = 5<<4, flags
}

func TestPutReset(t *testing.T) {
	tests := []struct {
		name     string
		flags    byte
		seq, ack uint32
		data     int
		wantFl   byte
		wantSeq  uint32
		wantAck  uint32
	}{
		{"SYN is acknowledged", TCPSyn, 1000, 0, 0, TCPRst | TCPAck, 0, 1001},
		{"SYN with data (RFC 7413)", TCPSyn, 1000, 0, 12, TCPRst | TCPAck, 0, 1013},
		{"FIN without acknowledgment", TCPFin, 1000, 0, 3, TCPRst | TCPAck, 0, 1004},
		{"no flags at all", 0, 5, 77, 4, TCPRst | TCPAck, 0, 9},
		{"sequence numbers wrap", TCPSyn, 0xffffffff, 0, 1, TCPRst | TCPAck, 0, 1},
		{"data with an acknowledgment", TCPAck | TCPPsh, 1000, 4711, 100, TCPRst, 4711, 0},
		{"SYN and ACK", TCPSyn | TCPAck, 1000, 4711, 0, TCPRst, 4711, 0},
	}
	check := func(t *testing.T, s TCP, fl byte, seq, ack uint32) {
		t.Helper()
		if s.SrcPort() != 179 || s.DstPort() != 40000 || s.HeaderLen() != 20 || s.Flags() != fl {
			t.Errorf("segment % x", []byte(s))
		}
		if got := binary.BigEndian.Uint32(s[4:]); got != seq {
			t.Errorf("sequence number %d, want %d", got, seq)
		}
		if got := binary.BigEndian.Uint32(s[8:]); got != ack {
			t.Errorf("acknowledgment %d, want %d", got, ack)
		}
		if s[14] != 0 || s[15] != 0 || s[18] != 0 || s[19] != 0 {
			t.Errorf("window or urgent pointer in % x", []byte(s))
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			buf := make([]byte, ResetMax)
			n := PutReset4(buf, segment4(tt.flags, tt.seq, tt.ack, tt.data))
			h, fault := CheckIPv4(buf[:n])
			if fault != FaultNone {
				t.Fatal(fault)
			}
			if n != 40 || h.Src() != ip4B || h.Dst() != ip4A || h.TOS() != 0xb8 || !h.DontFragment() || h.TTL() != 64 {
				t.Errorf("header % x", []byte(h[:20]))
			}
			if Sum(h.Payload(), PseudoSum4(h.Src32(), h.Dst32(), ProtocolTCP, 20)) != 0xffff {
				t.Error("checksum over IPv4")
			}
			check(t, TCP(h.Payload()), tt.wantFl, tt.wantSeq, tt.wantAck)

			n = PutReset6(buf, segment6(tt.flags, tt.seq, tt.ack, tt.data))
			h6, fault := CheckIPv6(buf[:n])
			if fault != FaultNone {
				t.Fatal(fault)
			}
			if n != 60 || h6.Src() != ip6B || h6.Dst() != ip6A || h6.TrafficClass() != 0xb8 || h6.NextHeader() != ProtocolTCP || h6.HopLimit() != 64 {
				t.Errorf("header % x", []byte(h6[:40]))
			}
			if Sum(h6.Payload(), PseudoSum6(h6[8:40], ProtocolTCP, 20)) != 0xffff {
				t.Error("checksum over IPv6")
			}
			check(t, TCP(h6.Payload()), tt.wantFl, tt.wantSeq, tt.wantAck)
		})
	}
}

func TestNoReset(t *testing.T) {
	edit4 := func(f func(IPv4)) IPv4 { h := segment4(TCPSyn, 1, 0, 8); f(h); h.SetChecksum(); return h }
	edit6 := func(f func(IPv6)) IPv6 { h := segment6(TCPSyn, 1, 0, 8); f(h); return h }
	// A destination options header before the segment; the fragment header's
	// shape is the same.
	extended := func(header byte, octets ...byte) IPv6 {
		h := segment6(TCPSyn, 1, 0, 8)
		b := append(append([]byte(nil), h[:40]...), octets...)
		b = append(b, h[40:]...)
		b[6] = header
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		return b
	}
	for _, tt := range []struct {
		name string
		pkt  IPv4
	}{
		{"a reset", segment4(TCPRst, 1, 0, 0)},
		{"a reset with an acknowledgment", segment4(TCPRst|TCPAck, 1, 9, 0)},
		{"a first fragment", edit4(func(h IPv4) { h[6] = 0x20 })},
		{"a later fragment", edit4(func(h IPv4) { h[7] = 3 })},
		{"a broken checksum", edit4(func(h IPv4) { h[45] ^= 1 })},
		{"a header longer than the packet", edit4(func(h IPv4) { h[32] = 0xf0; sumTCP4(h) })},
		{"a header that is cut", edit4(func(h IPv4) { h[3] = 30 })[:30]},
		{"UDP", edit4(func(h IPv4) { h[9] = ProtocolUDP })},
		{"a multicast source", edit4(func(h IPv4) { h[12] = 224; sumTCP4(h) })},
		{"to a multicast group", edit4(func(h IPv4) { h[16] = 224; sumTCP4(h) })},
		{"to the limited broadcast", edit4(func(h IPv4) { copy(h[16:], "\xff\xff\xff\xff"); sumTCP4(h) })},
	} {
		if n := PutReset4(make([]byte, ResetMax), tt.pkt); n != 0 {
			t.Errorf("IPv4, %s: answered by %d octets", tt.name, n)
		}
	}
	for _, tt := range []struct {
		name string
		pkt  IPv6
		want int
	}{
		{"behind destination options", extended(ProtocolDestOptions, ProtocolTCP, 0, 1, 4, 0, 0, 0, 0), 60},
		{"an atomic fragment", extended(ProtocolFragment, ProtocolTCP, 0, 0, 0, 0, 0, 0, 1), 60},
		{"a first fragment", extended(ProtocolFragment, ProtocolTCP, 0, 0, 1, 0, 0, 0, 1), 0},
		{"a routing header under way", extended(ProtocolRouting, ProtocolTCP, 0, 4, 1, 0, 0, 0, 0), 0},
		{"a reset", segment6(TCPRst, 1, 0, 0), 0},
		{"a broken checksum", edit6(func(h IPv6) { h[65] ^= 1 }), 0},
		{"from the unspecified address", edit6(func(h IPv6) { clear(h[8:24]) }), 0},
		{"to a multicast group", edit6(func(h IPv6) { h[24] = 0xff }), 0},
		{"a header that is cut", edit6(func(h IPv6) { h[5] = 10 })[:50], 0},
	} {
		if n := PutReset6(make([]byte, ResetMax), tt.pkt); n != tt.want {
			t.Errorf("IPv6, %s: answered by %d octets, want %d", tt.name, n, tt.want)
		}
	}
}

// FuzzReset: whatever the packet, an answer is a well-formed reset to its sender,
// and is never answered itself.
func FuzzReset(f *testing.F) {
	f.Add([]byte(segment4(TCPSyn, 1, 0, 0)))
	f.Add([]byte(segment6(TCPAck, 1, 2, 5)))
	f.Fuzz(func(t *testing.T, b []byte) {
		buf := make([]byte, ResetMax)
		if h, fault := CheckIPv4(b); fault == FaultNone {
			if n := PutReset4(buf, h); n != 0 {
				r, fault := CheckIPv4(buf[:n])
				if fault != FaultNone || r.Src() != h.Dst() || r.Dst() != h.Src() || PutReset4(make([]byte, ResetMax), r) != 0 {
					t.Fatalf("% x answered by % x", b, buf[:n])
				}
			}
		}
		if h, fault := CheckIPv6(b); fault == FaultNone {
			if n := PutReset6(buf, h); n != 0 {
				r, fault := CheckIPv6(buf[:n])
				if fault != FaultNone || r.Src() != h.Dst() || r.Dst() != h.Src() || PutReset6(make([]byte, ResetMax), r) != 0 {
					t.Fatalf("% x answered by % x", b, buf[:n])
				}
			}
		}
	})
}
