package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// tcp4 is a TCP segment over IPv4 with n octets of data and a valid checksum.
func tcp4(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, IPv4MinHeaderLen+TCPMinHeaderLen+n)
	PutIPv4(b, 0, 1, true, 64, ProtocolTCP, ip4A, ip4B, TCPMinHeaderLen+n)
	s := b[IPv4MinHeaderLen:]
	fill(s[TCPMinHeaderLen:])
	s[12] = 5 << 4
	if !SetTransportChecksum(b) {
		t.Fatal("no TCP checksum set")
	}
	return b
}

// partial puts the sum of the pseudo-header into the checksum field, as Linux
// does, computed the slow way.
func partial(b []byte, l4, field int, protocol byte) {
	var pseudo []byte
	if b[0]>>4 == 4 {
		pseudo = append(pseudo, b[12:20]...)
	} else {
		pseudo = append(pseudo, b[8:40]...)
	}
	pseudo = append(pseudo, 0, protocol, byte((len(b)-l4)>>8), byte(len(b)-l4))
	binary.BigEndian.PutUint16(b[l4+field:], slowSum(pseudo, 0))
}

func TestCompleteChecksum(t *testing.T) {
	tests := []struct {
		name string
		pkt  func() []byte
	}{
		{"TCP over IPv4", func() []byte { b := tcp4(t, 99); partial(b, 20, 16, ProtocolTCP); return b }},
		{"UDP over IPv4", func() []byte { b := udp4(t, 100); partial(b, 20, 6, ProtocolUDP); return b }},
		{"UDP over IPv6", func() []byte { b := udp6(t, 101); partial(b, 40, 6, ProtocolUDP); return b }},
		{"UDP over IPv6 behind destination options", func() []byte {
			plain := udp6(t, 8)
			b := []byte(ext(ProtocolDestOptions, header(ProtocolUDP, 8), plain[40:]))
			partial(b, 48, 6, ProtocolUDP)
			return b
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.pkt()
			if TransportChecksumValid(b) {
				t.Fatal("the partial checksum is valid already")
			}
			if !CompleteChecksum(b) {
				t.Fatal("not completed")
			}
			if !TransportChecksumValid(b) {
				t.Fatalf("completed, but not valid: % x", b)
			}
			if again := bytes.Clone(b); CompleteChecksum(again) || !bytes.Equal(again, b) {
				t.Fatal("a valid checksum was touched")
			}
		})
	}
}

func TestCompleteChecksumLeavesAlone(t *testing.T) {
	fragment := tcp4(t, 40)
	partial(fragment, 20, 16, ProtocolTCP)
	fragment[6] |= ipv4MF >> 8
	IPv4(fragment).SetChecksum()

	none := udp4(t, 40)
	none[26], none[27] = 0, 0

	broken := tcp4(t, 40)
	broken[36] ^= 0x55

	routed := []byte(ext(ProtocolRouting, header(ProtocolUDP, 8, 0, 1), udp6(t, 8)[40:]))
	partial(routed, 48, 6, ProtocolUDP)

	icmp := tcp4(t, 40)
	partial(icmp, 20, 16, ProtocolTCP)
	icmp[9] = ProtocolICMPv4

	for name, b := range map[string][]byte{
		"valid TCP": tcp4(t, 40), "valid UDP": udp4(t, 40), "valid UDP over IPv6": udp6(t, 40), "fragment": fragment,
		"UDP without checksum": none, "TCP damaged on the way": broken, "segments left": routed, "another protocol": icmp,
	} {
		before := bytes.Clone(b)
		if CompleteChecksum(b) || !bytes.Equal(before, b) {
			t.Errorf("%s: was touched", name)
		}
	}
}

// A UDP checksum that comes out as zero is sent as all ones (RFC 768).
func TestComputedZeroBecomesAllOnes(t *testing.T) {
	b := udp4(t, 2)
	sum := binary.BigEndian.Uint16(b[26:28])
	// Adding the checksum to the data makes the new one zero.
	binary.BigEndian.PutUint16(b[28:], slowSum(b[28:30], sum))
	if !SetTransportChecksum(b) {
		t.Fatal("not set")
	}
	if got := binary.BigEndian.Uint16(b[26:28]); got != 0xffff || !TransportChecksumValid(b) {
		t.Fatalf("checksum %04x", got)
	}
}

// For every valid packet, a complete checksum survives, and a partial one is
// completed to a valid one.
func FuzzCompleteChecksum(f *testing.F) {
	f.Add(udp4(f, 5))
	f.Add(tcp4(f, 5))
	f.Add(udp6(f, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if h, fault := CheckIPv4(b); fault == FaultNone {
			b = h
		} else if h, fault := CheckIPv6(b); fault == FaultNone {
			b = h
		} else {
			return
		}
		valid := TransportChecksumValid(b)
		if plainlyWhole(b) && complete(bytes.Clone(b)) {
			t.Fatal("taken for whole at a look, but it was partial")
		}
		done := CompleteChecksum(b)
		if valid && done {
			t.Fatal("a valid checksum was touched")
		}
		if u, _ := wholeUpper(b); done && u.Protocol != ProtocolSCTP && !TransportChecksumValid(b) {
			t.Fatal("completed, but not valid")
		}
		if u, ok := wholeUpper(b); SetTransportChecksum(b) && ok && u.Protocol != ProtocolSCTP {
			if !TransportChecksumValid(b) {
				t.Fatal("set, but not valid")
			}
			if CompleteChecksum(b) {
				t.Fatal("a checksum of ours was taken for a partial one")
			}
		}
	})
}

func TestCompleteSCTP(t *testing.T) {
	b := make([]byte, 20+12+16)
	PutIPv4(b, 0, 1, true, 64, ProtocolSCTP, ip4A, ip4B, 28)
	fill(b[32:])
	if !CompleteChecksum(b) {
		t.Fatal("an SCTP packet without checksum was not completed")
	}
	want := slowCRC32C(append(append(bytes.Clone(b[20:28]), 0, 0, 0, 0), b[32:]...))
	if got := binary.LittleEndian.Uint32(b[28:32]); got != want {
		t.Fatalf("CRC %08x, want %08x", got, want)
	}
	if CompleteChecksum(b) {
		t.Fatal("a whole checksum was touched")
	}
	if got := slowCRC32C([]byte("123456789")); got != 0xe3069283 {
		t.Fatalf("the slow CRC is wrong itself: %08x", got)
	}
}

// slowCRC32C is the definition, bit by bit.
func slowCRC32C(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78*(crc&1)
		}
	}
	return ^crc
}

func TestParseTransport(t *testing.T) {
	u, fault := ParseUDP(udp4(t, 10)[20:])
	if fault != FaultNone || u.SrcPort() != 1024 || u.DstPort() != 53 || len(u.Payload()) != 10 {
		t.Fatalf("UDP: %v % x", fault, []byte(u))
	}
	for _, n := range []uint16{0, 7, 19} {
		b := udp4(t, 10)[20:]
		binary.BigEndian.PutUint16(b[4:], n)
		if _, fault := ParseUDP(b); fault != FaultTruncated {
			t.Errorf("UDP length %d: %v", n, fault)
		}
	}
	s := tcp4(t, 4)[20:]
	s[13] = TCPSyn | TCPAck
	binary.BigEndian.PutUint16(s[0:], 7)
	binary.BigEndian.PutUint16(s[2:], 179)
	seg, fault := ParseTCP(s)
	if fault != FaultNone || seg.SrcPort() != 7 || seg.DstPort() != 179 || seg.Flags() != 0x12 || len(seg.Payload()) != 4 {
		t.Fatalf("TCP: %v % x", fault, []byte(seg))
	}
	for offset, want := range map[byte]Fault{4: FaultHeaderLength, 7: FaultTruncated, 6: FaultNone} {
		s[12] = offset << 4
		if _, fault := ParseTCP(s); fault != want {
			t.Errorf("TCP data offset %d: %v, want %v", offset, fault, want)
		}
	}
}

func FuzzParseTransport(f *testing.F) {
	f.Add(udp4(f, 5)[20:])
	f.Add(tcp4(f, 5)[20:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, fault := ParseUDP(b); fault == FaultNone && len(u.Payload())+UDPHeaderLen > len(b) {
			t.Fatal("UDP payload beyond the packet")
		}
		if s, fault := ParseTCP(b); fault == FaultNone && len(s.Payload())+s.HeaderLen() != len(b) {
			t.Fatal("TCP payload and header do not add up")
		}
	})
}
