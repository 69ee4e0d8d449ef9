package dataplane

import (
	"encoding/binary"
	"net/netip"

	"router/intf"
)

// Builders of packets and frames, with checksums by the book: slow, obvious, and
// independent of what is tested.

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func onesSum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for i := 0; i < len(b); i += 2 {
			v := uint32(b[i]) << 8
			if i+1 < len(b) {
				v |= uint32(b[i+1])
			}
			s += v
		}
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// data is n octets that differ from each other.
func data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// ip4 is an IPv4 packet; zero fields get plain values.
type ip4 struct {
	src, dst string
	ttl      int // 64
	proto    int // 17
	id       int // 0x1234
	tos      int
	df, mf   bool
	offset   int // octets
	options  []byte
	payload  []byte
}

func (p ip4) bytes() []byte {
	flags := p.offset / 8
	if p.df {
		flags |= 0x4000
	}
	if p.mf {
		flags |= 0x2000
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&p.ttl, 64)
	def(&p.proto, 17)
	def(&p.id, 0x1234)
	h := cat([]byte{byte(0x45 + len(p.options)/4), byte(p.tos)}, be16(20+len(p.options)+len(p.payload)), be16(p.id), be16(flags),
		[]byte{byte(p.ttl), byte(p.proto), 0, 0}, ip(p.src).AsSlice(), ip(p.dst).AsSlice(), p.options)
	binary.BigEndian.PutUint16(h[10:], ^onesSum(h))
	return cat(h, p.payload)
}

// ip6 is an IPv6 packet; zero fields get plain values.
type ip6 struct {
	src, dst string
	hops     int // 64
	next     int // 17
	payload  []byte
}

func (p ip6) bytes() []byte {
	if p.hops == 0 {
		p.hops = 64
	}
	if p.next == 0 {
		p.next = 17
	}
	return cat([]byte{0x60, 0, 0, 0}, be16(len(p.payload)), []byte{byte(p.next), byte(p.hops)},
		ip(p.src).AsSlice(), ip(p.dst).AsSlice(), p.payload)
}

// udp is a UDP datagram with a whole checksum, or only the pseudo-header's sum.
func udp(src, dst string, payload []byte, partial bool) []byte {
	u := cat(be16(1000), be16(2000), be16(8+len(payload)), be16(0), payload)
	pseudo := cat(ip(src).AsSlice(), ip(dst).AsSlice(), be32(uint32(len(u))), be32(17))
	sum := ^onesSum(pseudo, u)
	if partial {
		sum = onesSum(pseudo)
	}
	binary.BigEndian.PutUint16(u[6:], sum)
	return u
}

// icmp4 is an ICMP message about a quoted packet.
func icmp4(typ, code int, rest uint32, body []byte) []byte {
	m := cat([]byte{byte(typ), byte(code), 0, 0}, be32(rest), body)
	binary.BigEndian.PutUint16(m[2:], ^onesSum(m))
	return m
}

func icmp6(src, dst string, typ, code int, rest uint32, body []byte) []byte {
	m := cat([]byte{byte(typ), byte(code), 0, 0}, be32(rest), body)
	pseudo := cat(ip(src).AsSlice(), ip(dst).AsSlice(), be32(uint32(len(m))), be32(58))
	binary.BigEndian.PutUint16(m[2:], ^onesSum(pseudo, m))
	return m
}

// eth is an Ethernet frame, padded to the minimum of 60 octets.
func eth(dst, src intf.MAC, tags []uint16, etherType int, payload []byte) []byte {
	f := cat(dst[:], src[:])
	for _, t := range tags {
		f = append(f, be16(int(t))...)
	}
	f = cat(f, be16(etherType), payload)
	for len(f) < 60 {
		f = append(f, 0)
	}
	return f
}

func eth4(dst, src intf.MAC, p ip4) []byte { return eth(dst, src, nil, 0x0800, p.bytes()) }

func eth6(dst, src intf.MAC, p ip6) []byte { return eth(dst, src, nil, 0x86dd, p.bytes()) }
