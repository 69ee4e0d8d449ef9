package filter

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"router/intf"
)

// A maker makes random filters and packets out of few values, so that they meet.
type maker struct {
	*rand.Rand
	family intf.Family
	lists  []*PrefixList
}

func newMaker(seed uint64, f intf.Family) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 1)), family: f}
	for range 3 {
		l := &PrefixList{Name: "list"}
		for range m.IntN(12) {
			l.Prefixes = append(l.Prefixes, m.prefix())
		}
		// Prefixes of the other family match nothing.
		l.Prefixes = append(l.Prefixes, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))[:len(l.Prefixes)+m.IntN(2)]
		m.lists = append(m.lists, l)
	}
	return m
}

func (m *maker) one(in int) bool { return m.IntN(in) == 0 }

// address is one of a few thousand, some at the ends of the family.
func (m *maker) address() netip.Addr {
	if m.family == intf.Inet {
		a := [4]byte{10, byte(m.IntN(3)), byte(m.IntN(4)), byte(m.IntN(8))}
		if m.one(20) {
			binary.BigEndian.PutUint32(a[:], -uint32(m.IntN(3)))
		}
		return netip.AddrFrom4(a)
	}
	a := [16]byte{0x20, 1, 0x0d, 0xb8, 0, byte(m.IntN(3)), 0, byte(m.IntN(3)), 0, 0, 0, 0, 0, 0, byte(m.IntN(2)), byte(m.IntN(8))}
	switch m.IntN(20) {
	case 0:
		a = [16]byte{15: byte(m.IntN(2))}
	case 1:
		for i := range a {
			a[i] = 0xff
		}
		a[15] -= byte(m.IntN(2))
	case 2:
		a[0] = 0xfe
	}
	return netip.AddrFrom16(a)
}

func (m *maker) prefix() netip.Prefix {
	a := m.address()
	n := m.IntN(a.BitLen() + 1)
	if m.one(2) {
		n = a.BitLen() - m.IntN(12)
	}
	p := netip.PrefixFrom(a, n)
	if m.one(2) {
		return p // with host bits
	}
	return p.Masked()
}

func (m *maker) addresses() (a Addresses) {
	if m.one(4) {
		a.Lists = append(a.Lists, m.lists[m.IntN(len(m.lists))])
	}
	if m.one(6) {
		a.ExceptLists = append(a.ExceptLists, m.lists[m.IntN(len(m.lists))])
	}
	for range m.IntN(3) {
		a.Prefixes = append(a.Prefixes, m.prefix())
	}
	for range m.IntN(6) / 4 {
		a.Except = append(a.Except, m.prefix())
	}
	return a
}

func (m *maker) numbers(of ...uint32) (n Numbers) {
	for range 1 + m.IntN(2) {
		a, b := of[m.IntN(len(of))], of[m.IntN(len(of))]
		if m.one(2) {
			b = a
		}
		n.Ranges = append(n.Ranges, Range{min(a, b), max(a, b)})
	}
	n.Except = m.one(4)
	return n
}

func (m *maker) mac() intf.MAC { return intf.MAC{2, 0, 0, 0, byte(m.IntN(2)), byte(m.IntN(4))} }

func (m *maker) macs() (s MACs) {
	for range 1 + m.IntN(2) {
		masks := []intf.MAC{{255, 255, 255, 255, 255, 255}, {255, 255, 255, 255, 255, 254}, {255}, {}, {0, 0, 0, 0, 0, 255}, {255, 255, 255, 255, 0, 2}}
		s.Entries = append(s.Entries, MaskedMAC{m.mac(), masks[m.IntN(len(masks))]})
	}
	s.Except = m.one(4)
	return s
}

// The values of fields.
var (
	somePorts     = []uint32{0, 1, 22, 53, 80, 255, 256, 443, 1023, 1024, 32768, 65535}
	someProtocols = []uint32{0, 1, 6, 6, 17, 17, 33, 44, 50, 58, 60, 132, 136, 255}
	someTypes     = []uint32{0, 3, 8, 11, 128, 255}
	someLengths   = []uint32{20, 40, 60, 64, 100, 65535}
)

// condition gives a match a random condition on field number f.
func (m *maker) condition(t *Match, f int) {
	switch f {
	case 0:
		t.Src = m.addresses()
	case 1:
		t.Dst = m.addresses()
	case 2:
		t.Protocol = m.numbers(someProtocols...)
	case 3:
		t.SrcPort = m.numbers(somePorts...)
	case 4:
		t.DstPort = m.numbers(somePorts...)
	case 5:
		for range m.IntN(3) {
			mask := uint8(m.IntN(256))
			t.TCPFlags = append(t.TCPFlags, FlagMatch{mask, uint8(m.IntN(256)) & mask})
		}
		t.Established, t.Initial = m.one(3), m.one(3)
	case 6:
		t.ICMPType = m.numbers(someTypes...)
		if m.one(2) {
			t.ICMPCode = m.numbers(0, 1, 3, 4, 255)
		}
	case 7:
		t.Fragment = FragmentMatch(m.IntN(5))
	case 8:
		t.DSCP = m.numbers(0, 8, 46, 63)
	case 9:
		t.Length = m.numbers(someLengths...)
	case 10:
		t.TTL = m.numbers(0, 1, 64, 254, 255)
	case 11:
		t.Options = OptionMatch{Except: m.one(3)}
		if m.one(2) {
			t.Options.Any = true
			break
		}
		numbers := []uint8{0, 1, 3, 7, 20}
		if m.family == intf.Inet6 {
			numbers = extensionHeaders[:]
		}
		for range 1 + m.IntN(2) {
			t.Options.Numbers = append(t.Options.Numbers, numbers[m.IntN(len(numbers))])
		}
	case 12:
		t.Interface = m.numbers(1, 2, 3, 1<<32-1)
	case 13:
		t.Group = m.numbers(1, 2, 3)
	case 14:
		t.EtherType = m.numbers(0x800, 0x86dd, 0x8100)
	case 15:
		t.VLAN = m.numbers(0, 1, 2, 4095)
	case 16:
		t.InnerVLAN = m.numbers(1, 2, 3)
	case 17:
		t.SrcMAC = m.macs()
	case 18:
		t.DstMAC = m.macs()
	case 19:
		for range 1 + m.IntN(2) {
			mask := []uint16{0xffff, 0xffff, 0xff00, 0, 0xfffe}[m.IntN(5)]
			if m.one(50) {
				mask = 5
			}
			t.Mark.Entries = append(t.Mark.Entries, MaskedMark{uint16(m.IntN(4)) & mask, mask})
		}
		t.Mark.Except = m.one(4)
	case 20:
		t.LossPriority = m.numbers(0, 1, 2, 3)
	case 21:
		t.ForwardingClass = m.numbers(0, 1, 7)
	}
}

// conditionKinds is how many cases condition has.
const conditionKinds = 22

// spec is a filter of n terms, whose terms look at few different sets of fields, as
// in real ones, so that all layouts of vectors come up.
func (m *maker) spec(n int) *Spec {
	s := &Spec{Name: "random", Family: m.family}
	var shapes [][]int
	for range 1 + m.IntN(6) {
		var shape []int
		for range m.IntN(5) {
			if f := m.IntN(conditionKinds); m.one(2) {
				shape = append(shape, f)
			} else {
				shape = append(shape, f%5)
			}
		}
		shapes = append(shapes, shape)
	}
	for i := range n {
		t := Term{Name: "t" + string(rune('a'+i%26)) + string(rune('0'+i/26))}
		shape := shapes[m.IntN(len(shapes))]
		if len(shape) == 0 && !m.one(n) {
			shape = []int{m.IntN(2), 4} // few terms match everything
		}
		for _, f := range shape {
			m.condition(&t.Match, f)
		}
		s.Terms = append(s.Terms, t)
	}
	return s
}

// packet is a packet and what is known about it. Its lengths are those that
// packet.CheckIPv4 or CheckIPv6 leave.
func (m *maker) packet() ([]byte, *Meta) {
	meta := &Meta{
		In: intf.Index(m.IntN(4)), Group: uint32(m.IntN(4)),
		ForwardingClass: uint8(m.IntN(8)), LossPriority: uint8(m.IntN(4)), Mark: uint16(m.IntN(8)),
	}
	if !m.one(4) {
		src, dst := m.mac(), m.mac()
		meta.Frame = append(append(meta.Frame, dst[:]...), src[:]...)
		for range m.IntN(3) {
			tpid := []uint16{0x8100, 0x88a8, 0x9100}[m.IntN(3)]
			id := []uint16{0, 1, 2, 0x2001, 3, 4095}[m.IntN(6)]
			meta.Frame = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(meta.Frame, tpid), id)
		}
		meta.Frame = binary.BigEndian.AppendUint16(meta.Frame, []uint16{0x800, 0x86dd, 0x8100, 46}[m.IntN(4)])
		if m.one(10) {
			meta.Frame = meta.Frame[:m.IntN(len(meta.Frame))]
		}
	}
	protocol := uint8(someProtocols[m.IntN(len(someProtocols))])
	var l3 []byte
	if m.family == intf.Inet {
		l3 = make([]byte, 20, 128)
		if m.one(4) {
			for range 1 + m.IntN(3) {
				o := []byte{[]byte{0, 1, 3, 7, 0x83, 0x94, 20, 0x80}[m.IntN(8)], byte(m.IntN(5)), 0, 0}
				l3 = append(l3, o...)
			}
		}
		l3[0] = 0x40 | byte(len(l3)/4)
		if m.one(4) {
			binary.BigEndian.PutUint16(l3[6:], []uint16{0x2000, 0x0001, 0x3fff, 0x4000, 0x8000}[m.IntN(5)])
		}
		l3[8] = []byte{0, 1, 64, 254, 255}[m.IntN(5)]
		l3[9] = protocol
		src, dst := m.address().As4(), m.address().As4()
		copy(l3[12:], src[:])
		copy(l3[16:], dst[:])
		l3[1] = []byte{0, 8, 46, 63}[m.IntN(4)]<<2 | byte(m.IntN(4))
	} else {
		l3 = make([]byte, 40, 256)
		class := []byte{0, 8, 46, 63}[m.IntN(4)]<<2 | byte(m.IntN(4))
		binary.BigEndian.PutUint32(l3, 6<<28|uint32(class)<<20)
		l3[7] = []byte{0, 1, 64, 254, 255}[m.IntN(5)]
		src, dst := m.address().As16(), m.address().As16()
		copy(l3[8:], src[:])
		copy(l3[24:], dst[:])
		next := 6
		if m.one(2) {
			for range m.IntN(11) {
				h := extensionHeaders[m.IntN(len(extensionHeaders))]
				if m.one(2) {
					h = 60
				}
				l3[next] = h
				next = len(l3)
				l3 = append(l3, 0, 0, 0, byte(m.IntN(2)), 0, 0, 0, 0)
				switch {
				case h == 44 && m.one(3):
					l3[next+2] = byte(m.IntN(2))
				case m.one(4):
					l3[next+1] = byte(m.IntN(3))
					l3 = append(l3, make([]byte, 8*int(l3[next+1]))...)
				}
			}
		}
		l3[next] = protocol
	}
	upper := make([]byte, 20)
	switch protocol {
	case 1, 58:
		upper[0], upper[1] = byte(someTypes[m.IntN(len(someTypes))]), []byte{0, 1, 3, 4, 255}[m.IntN(5)]
	default:
		binary.BigEndian.PutUint16(upper, uint16(somePorts[m.IntN(len(somePorts))]))
		binary.BigEndian.PutUint16(upper[2:], uint16(somePorts[m.IntN(len(somePorts))]))
		upper[13] = []byte{2, 16, 18, 4, 20, 0, byte(m.IntN(256))}[m.IntN(7)]
	}
	l3 = append(l3, upper...)
	header := 20
	if m.family == intf.Inet6 {
		header = 40
	}
	if m.one(8) {
		l3 = l3[:max(header, len(l3)-m.IntN(40))]
	}
	return l3, meta
}
