// Package classbench makes filters in the shape of real ones, and packets for them,
// to measure classifiers with.
//
// The shapes are those that Taylor and Turner found in filters of providers and
// enterprises ("ClassBench: A Packet Classification Benchmark", IEEE/ACM
// Transactions on Networking, 2007): which lengths of source and destination prefix
// come together, how addresses cluster, which classes of port ranges there are,
// and how protocols mix. The numbers are ours, and so is the generator.
package classbench

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/intf"
)

// A Kind is a kind of filter.
type Kind uint8

// The kinds.
const (
	ACL Kind = iota // access control of a provider's edge
	FW              // a firewall's, with many wild sources
	IPC             // chains of a Linux firewall
)

// Kinds lists all kinds.
var Kinds = []Kind{ACL, FW, IPC}

func (k Kind) String() string { return [...]string{"acl", "fw", "ipc"}[k] }

// A weighted choice.
type choice[T any] struct {
	weight int
	value  T
}

func pick[T any](r *rand.Rand, from []choice[T]) (value T) {
	total := 0
	for _, c := range from {
		total += c.weight
	}
	n := r.IntN(total)
	for _, c := range from {
		if value = c.value; n < c.weight {
			break
		}
		n -= c.weight
	}
	return value
}

// A portClass is a class of port ranges.
type portClass uint8

const (
	wild portClass = iota
	high           // 1024 to 65535
	low            // 0 to 1023
	span           // any other range
	exact
)

// A shape is what a kind's filters look like.
type shape struct {
	lengths   []choice[[2]int] // of source and destination prefix
	ports     []choice[[2]portClass]
	protocols []choice[int] // -1 is wild
	sites     int           // terms for each network that addresses cluster in
}

var shapes = [...]shape{
	ACL: {
		lengths: []choice[[2]int]{
			{22, [2]int{32, 32}}, {14, [2]int{24, 32}}, {10, [2]int{0, 32}}, {12, [2]int{24, 24}}, {8, [2]int{16, 24}},
			{6, [2]int{28, 30}}, {6, [2]int{30, 27}}, {5, [2]int{32, 24}}, {4, [2]int{0, 24}}, {4, [2]int{27, 16}},
			{3, [2]int{8, 32}}, {3, [2]int{22, 21}}, {2, [2]int{32, 0}}, {1, [2]int{23, 8}},
		},
		ports: []choice[[2]portClass]{
			{62, [2]portClass{wild, exact}}, {24, [2]portClass{wild, wild}}, {9, [2]portClass{wild, span}}, {5, [2]portClass{wild, high}},
		},
		protocols: []choice[int]{{76, packet.ProtocolTCP}, {12, packet.ProtocolUDP}, {5, packet.ProtocolICMPv4}, {7, -1}},
		sites:     20,
	},
	FW: {
		lengths: []choice[[2]int]{
			{26, [2]int{0, 32}}, {12, [2]int{0, 24}}, {16, [2]int{32, 0}}, {10, [2]int{32, 32}}, {8, [2]int{24, 0}},
			{8, [2]int{0, 28}}, {6, [2]int{16, 0}}, {6, [2]int{24, 24}}, {4, [2]int{0, 16}}, {3, [2]int{28, 32}}, {1, [2]int{0, 0}},
		},
		ports: []choice[[2]portClass]{
			{34, [2]portClass{wild, exact}}, {16, [2]portClass{wild, wild}}, {18, [2]portClass{exact, wild}}, {12, [2]portClass{high, exact}},
			{8, [2]portClass{wild, high}}, {6, [2]portClass{exact, high}}, {4, [2]portClass{wild, span}}, {2, [2]portClass{high, high}},
		},
		protocols: []choice[int]{{58, packet.ProtocolTCP}, {27, packet.ProtocolUDP}, {7, packet.ProtocolICMPv4}, {3, 47}, {5, -1}},
		sites:     40,
	},
	IPC: {
		lengths: []choice[[2]int]{
			{30, [2]int{32, 32}}, {10, [2]int{24, 24}}, {10, [2]int{16, 32}}, {9, [2]int{32, 24}}, {8, [2]int{0, 32}}, {7, [2]int{24, 32}},
			{7, [2]int{20, 26}}, {6, [2]int{32, 0}}, {5, [2]int{29, 29}}, {4, [2]int{8, 8}}, {4, [2]int{0, 16}},
		},
		ports: []choice[[2]portClass]{
			{34, [2]portClass{wild, wild}}, {26, [2]portClass{wild, exact}}, {10, [2]portClass{exact, wild}}, {8, [2]portClass{exact, exact}},
			{8, [2]portClass{high, exact}}, {6, [2]portClass{wild, span}}, {5, [2]portClass{low, low}}, {3, [2]portClass{span, span}},
		},
		protocols: []choice[int]{{46, packet.ProtocolTCP}, {28, packet.ProtocolUDP}, {10, packet.ProtocolICMPv4}, {3, 50}, {13, -1}},
		sites:     12,
	},
}

// wellKnown are ports that terms name, the popular ones first.
var wellKnown = []uint32{80, 443, 22, 53, 25, 21, 23, 110, 123, 161, 179, 389, 445, 1433, 1521, 3306, 3389, 5060, 8080, 8443}

// A generator makes the terms of one filter.
type generator struct {
	*rand.Rand
	shape
	family intf.Family
	nets   []uint32
}

// Filter makes a filter of n terms, no two of them equal, with more specific ones
// mostly before less specific ones. Terms accept and discard in turns by chance.
// Equal arguments make equal filters.
func Filter(k Kind, f intf.Family, n int, seed uint64) *filter.Spec {
	g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(k))), shape: shapes[k], family: f}
	for range 4 + n/g.sites {
		// Networks that have neighbours: of a few blocks, unevenly.
		block := uint32(10+g.IntN(4)*g.IntN(40)) << 24
		g.nets = append(g.nets, block|g.Uint32N(1<<8)<<16|g.Uint32N(1<<4)<<12)
	}
	type ranked struct {
		term filter.Term
		rank int
	}
	var terms []ranked
	for seen := map[string]bool{}; len(terms) < n; {
		m, rank := g.match()
		if key := fmt.Sprint(m.Src, m.Dst, m.Protocol, m.SrcPort, m.DstPort); !seen[key] {
			seen[key] = true
			t := filter.Term{Match: m}
			if g.IntN(3) == 0 {
				t.Action.Kind = filter.Discard
			}
			terms = append(terms, ranked{t, rank + g.IntN(24)})
		}
	}
	slices.SortStableFunc(terms, func(a, b ranked) int { return cmp.Compare(b.rank, a.rank) })
	s := &filter.Spec{Name: k.String() + strconv.Itoa(n), Family: f}
	for i, t := range terms {
		t.term.Name = "t" + strconv.Itoa(i)
		s.Terms = append(s.Terms, t.term)
	}
	return s
}

// match makes a match, and ranks it by how much it demands.
func (g *generator) match() (m filter.Match, rank int) {
	lengths := pick(g.Rand, g.lengths)
	m.Src, m.Dst = g.addresses(lengths[0]), g.addresses(lengths[1])
	rank = lengths[0] + lengths[1]
	protocol := pick(g.Rand, g.protocols)
	if protocol < 0 {
		return m, rank
	}
	rank += 8
	if protocol == packet.ProtocolICMPv4 && g.family == intf.Inet6 {
		protocol = packet.ProtocolICMPv6
	}
	m.Protocol = only(uint32(protocol))
	if protocol == packet.ProtocolTCP || protocol == packet.ProtocolUDP {
		classes := pick(g.Rand, g.ports)
		m.SrcPort, m.DstPort = g.portsOf(classes[0]), g.portsOf(classes[1])
		for _, c := range classes {
			rank += int(c) * 3
		}
	}
	return m, rank
}

func only(n uint32) filter.Numbers { return filter.Numbers{Ranges: []filter.Range{filter.One(n)}} }

// addresses is a prefix of a length, near others.
func (g *generator) addresses(length int) (a filter.Addresses) {
	if length == 0 {
		return a
	}
	// Low numbers are taken more often.
	i := g.IntN(1 + g.IntN(len(g.nets)))
	n := g.nets[i] | g.Uint32N(16)<<8 | g.Uint32N(1+g.Uint32N(256))
	a.Prefixes = []netip.Prefix{netip.PrefixFrom(address(g.family, n), bits(g.family, length)).Masked()}
	return a
}

// address is the address with a number: in IPv6 of a network of that number.
func address(f intf.Family, n uint32) netip.Addr {
	if f == intf.Inet {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
	binary.BigEndian.PutUint32(a[4:], n)
	return netip.AddrFrom16(a)
}

// bits is the length of a prefix that has a length in IPv4.
func bits(f intf.Family, length int) int {
	switch {
	case f == intf.Inet:
		return length
	case length == 32:
		return 128
	}
	return 32 + length
}

func (g *generator) portsOf(c portClass) (n filter.Numbers) {
	port := func() uint32 {
		if g.IntN(3) > 0 {
			return wellKnown[g.IntN(1+g.IntN(len(wellKnown)))]
		}
		return g.Uint32N(4) * 1000 * (1 + g.Uint32N(9)) % 65536
	}
	switch c {
	case wild:
	case high:
		n.Ranges = []filter.Range{{Lo: 1024, Hi: 65535}}
	case low:
		n.Ranges = []filter.Range{{Lo: 0, Hi: 1023}}
	case span:
		starts := []filter.Range{{Lo: 137, Hi: 139}, {Lo: 6000, Hi: 6063}, {Lo: 33434, Hi: 33534}, {Lo: 49152, Hi: 65535}, {Lo: 5000, Hi: 5999}}
		r := starts[g.IntN(len(starts))]
		if g.IntN(3) == 0 {
			r.Lo = port()
			r.Hi = min(r.Lo+g.Uint32N(2000), 65535)
		}
		n.Ranges = []filter.Range{r}
	case exact:
		n = only(port())
	}
	return n
}

// A Packet is the headers that a classifier looks at.
type Packet struct {
	Src, Dst         netip.Addr
	Protocol         uint8
	SrcPort, DstPort uint16
}

// For is a packet that a term of a filter of Filter matches; what the term leaves
// open is random.
func For(r *rand.Rand, f intf.Family, t *filter.Term) Packet {
	number := func(n filter.Numbers, below uint32) uint32 {
		if len(n.Ranges) == 0 {
			return r.Uint32N(below)
		}
		return n.Ranges[0].Lo + r.Uint32N(n.Ranges[0].Hi-n.Ranges[0].Lo+1)
	}
	in := func(a filter.Addresses) netip.Addr {
		addr := address(f, uint32(10+r.IntN(100))<<24|r.Uint32N(1<<24))
		if len(a.Prefixes) == 0 {
			return addr
		}
		// The prefix, and behind it what the random address has.
		p := a.Prefixes[0]
		x, y := p.Addr().AsSlice(), addr.AsSlice()
		for i := p.Bits(); i < 8*len(x); i++ {
			x[i/8] |= y[i/8] & (0x80 >> (i % 8))
		}
		addr, _ = netip.AddrFromSlice(x)
		return addr
	}
	p := Packet{Src: in(t.Match.Src), Dst: in(t.Match.Dst), Protocol: packet.ProtocolTCP}
	if len(t.Match.Protocol.Ranges) > 0 {
		p.Protocol = uint8(t.Match.Protocol.Ranges[0].Lo)
	}
	p.SrcPort, p.DstPort = uint16(number(t.Match.SrcPort, 65536)), uint16(number(t.Match.DstPort, 65536))
	return p
}

// Octets is the packet in its family, with 20 octets of transport header and a
// valid IPv4 checksum. Transport checksums are not computed.
func (p Packet) Octets() []byte {
	var b []byte
	if p.Src.Is4() {
		b = make([]byte, packet.IPv4MinHeaderLen+packet.TCPMinHeaderLen)
		packet.PutIPv4(b, 0, 0, true, 64, p.Protocol, p.Src, p.Dst, packet.TCPMinHeaderLen)
	} else {
		b = make([]byte, packet.IPv6HeaderLen+packet.TCPMinHeaderLen)
		packet.PutIPv6(b, 0, p.Protocol, 64, p.Src, p.Dst, packet.TCPMinHeaderLen)
	}
	t := b[len(b)-packet.TCPMinHeaderLen:]
	binary.BigEndian.PutUint16(t, p.SrcPort)
	binary.BigEndian.PutUint16(t[2:], p.DstPort)
	t[12], t[13] = 5<<4, packet.TCPAck
	return b
}
