package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// slowSum is the definition of RFC 1071, word by word.
func slowSum(b []byte, initial uint16) uint16 {
	s := uint32(initial)
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		if s > 0xffff {
			s -= 0xffff
		}
	}
	return uint16(s)
}

func TestSumRFC1071Example(t *testing.T) {
	// RFC 1071, 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
	if got := Sum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0); got != 0xddf2 {
		t.Fatalf("got %04x, want ddf2", got)
	}
}

func TestSumEqualsDefinitionAtEveryLength(t *testing.T) {
	b := make([]byte, 200)
	for _, fill := range []byte{0, 0xff, 0x80} {
		for i := range b {
			b[i] = fill
		}
		for n := range b {
			for _, initial := range []uint16{0, 1, 0xfffe, 0xffff} {
				if got, want := Sum(b[:n], initial), slowSum(b[:n], initial); got != want {
					t.Fatalf("fill %x length %d initial %x: got %04x, want %04x", fill, n, initial, got, want)
				}
			}
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint16(0))
	f.Add(bytes.Repeat([]byte{0xff}, 65), uint16(0xffff))
	f.Fuzz(func(t *testing.T, b []byte, initial uint16) {
		got, want := Sum(b, initial), slowSum(b, initial)
		if got != want {
			t.Fatalf("got %04x, want %04x", got, want)
		}
		half := len(b) / 2 &^ 1
		if split := Sum(b[half:], Sum(b[:half], initial)); split != got {
			t.Fatalf("in two parts %04x, in one %04x", split, got)
		}
	})
}

// FuzzUpdate holds the incremental forms against full recomputation.
func FuzzUpdate(f *testing.F) {
	f.Add([]byte{0xcd, 0x7a, 0x55, 0x55, 0, 0}, uint16(0x3285), uint32(0x01020304)) // the words of RFC 1624, 4
	f.Add(make([]byte, 20), uint16(0xffff), uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, b []byte, new16 uint16, new32 uint32) {
		if len(b) < 6 {
			return
		}
		b = bytes.Clone(b)
		// RFC 1624, 3: a header whose words are all zero does not occur; over it
		// the two forms of zero could be told apart.
		b = append(b[:len(b)&^1], 0x45, 0)
		sum := ^slowSum(b, 0)
		got := UpdateChecksum16(sum, binary.BigEndian.Uint16(b), new16)
		binary.BigEndian.PutUint16(b, new16)
		if want := ^slowSum(b, 0); got != want {
			t.Fatalf("16 bits: got %04x, want %04x", got, want)
		}
		got = UpdateChecksum32(got, binary.BigEndian.Uint32(b[2:]), new32)
		binary.BigEndian.PutUint32(b[2:], new32)
		if want := ^slowSum(b, 0); got != want {
			t.Fatalf("32 bits: got %04x, want %04x", got, want)
		}
	})
}

func FuzzDecrementTTL(f *testing.F) {
	f.Add([]byte("\x45\x00\x00\x54\x00\x00\x40\x00\x40\x01\x00\x00\xc0\x00\x02\x01\xc6\x33\x64\x01"))
	f.Add([]byte("\x45\xff\xff\xff\xff\xff\xff\xff\x02\xff\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < IPv4MinHeaderLen {
			return
		}
		h := IPv4(bytes.Clone(b[:IPv4MinHeaderLen]))
		h[0] = 0x45
		h.SetChecksum()
		ttl, before := h.TTL(), bytes.Clone(h)
		if !DecrementTTL(h) {
			if ttl > 1 || !bytes.Equal(before, h) {
				t.Fatalf("ttl %d refused or packet changed", ttl)
			}
			return
		}
		sum := h.Checksum()
		h.SetChecksum()
		if h.TTL() != ttl-1 || h.TTL() == 0 || sum != h.Checksum() {
			t.Fatalf("ttl %d to %d, checksum %04x, recomputed %04x", ttl, h.TTL(), sum, h.Checksum())
		}
	})
}

// Every checksum that a header can have, not only those a fuzzer finds.
func TestDecrementTTLOverAllChecksums(t *testing.T) {
	h := IPv4(make([]byte, 20))
	h[0], h[8] = 0x45, 64
	for id := range 1 << 16 {
		binary.BigEndian.PutUint16(h[4:6], uint16(id))
		h[8] = byte(2 + id%254)
		h.SetChecksum()
		DecrementTTL(h)
		got := h.Checksum()
		h.SetChecksum()
		if got != h.Checksum() {
			t.Fatalf("id %04x: patched %04x, recomputed %04x", id, got, h.Checksum())
		}
	}
}

func BenchmarkSum1500(b *testing.B) {
	buf := make([]byte, 1500)
	for i := range buf {
		buf[i] = byte(rand.Uint32())
	}
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		Sum(buf, 0)
	}
}

func BenchmarkCheckIPv4(b *testing.B) {
	pkt := udp4(b, 26)
	for b.Loop() {
		if _, fault := CheckIPv4(pkt); fault != FaultNone {
			b.Fatal(fault)
		}
	}
}

func BenchmarkParseEthernet(b *testing.B) {
	frame := make([]byte, 64)
	PutEthernet(frame, macA, macB, vlan100, EtherTypeIPv4)
	for b.Loop() {
		if _, fault := ParseEthernet(frame); fault != FaultNone {
			b.Fatal(fault)
		}
	}
}

func BenchmarkDecrementTTL(b *testing.B) {
	pkt := udp4(b, 26)
	for b.Loop() {
		pkt[8] = 64
		DecrementTTL(pkt)
	}
}
