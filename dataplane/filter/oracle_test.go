package filter

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"router/intf"
)

// The oracle is the meaning of a filter, read off the comments of spec.go: a loop
// over the terms, and for each a look at the packet's octets. It shares no code with
// the classifier.

// facts is what the oracle sees in a packet; nil stands for what isn't there.
type facts struct {
	src, dst                    netip.Addr
	protocol                    *uint32
	srcPort, dstPort, typ, code *uint32
	flags                       *uint8
	fragment                    string // whole, first, later
	dscp, length, ttl           uint32
	options                     []uint8
	optionsKnown                bool
	in, group                   *uint32
	etherType, vlan, inner      *uint32
	srcMAC, dstMAC              *intf.MAC
	mark                        uint16
	lossPriority, class         uint32
}

func ptr[T any](v T) *T { return &v }

func readFacts(f intf.Family, l3 []byte, m *Meta) facts {
	x := facts{
		mark: m.Mark, lossPriority: uint32(m.LossPriority), class: uint32(m.ForwardingClass),
		length: min(uint32(len(l3)), 65535), fragment: "whole", optionsKnown: true,
	}
	if m.In != 0 {
		x.in = ptr(uint32(m.In))
		if m.Group != 0 {
			x.group = ptr(m.Group)
		}
	}
	x.readFrame(m.Frame)
	var upper []byte // from the transport header on
	icmp := uint8(1)
	if f == intf.Inet {
		x.src, x.dst = netip.AddrFrom4([4]byte(l3[12:16])), netip.AddrFrom4([4]byte(l3[16:20]))
		x.dscp, x.ttl, x.protocol = uint32(l3[1]>>2), uint32(l3[8]), ptr(uint32(l3[9]))
		offset, more := binary.BigEndian.Uint16(l3[6:])&0x1fff, l3[6]&0x20 != 0
		if offset > 0 {
			x.fragment = "later"
		} else if more {
			x.fragment = "first"
		}
		header := int(l3[0]&15) * 4
		if header < 20 || header > len(l3) {
			x.optionsKnown = false
			return x
		}
		for o := l3[20:header]; len(o) > 0; {
			x.options = append(x.options, o[0])
			if o[0] == 0 {
				break
			} else if o[0] == 1 {
				o = o[1:]
			} else if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
				break
			} else {
				o = o[o[1]:]
			}
		}
		upper = l3[header:]
	} else {
		icmp = 58
		x.src, x.dst = netip.AddrFrom16([16]byte(l3[8:24])), netip.AddrFrom16([16]byte(l3[24:40]))
		x.dscp, x.ttl = uint32(binary.BigEndian.Uint16(l3)>>6&63), uint32(l3[7])
		next, rest := l3[6], l3[40:]
		headers := 0
	chain:
		for {
			length := 0
			switch next {
			case 50:
				x.options = append(x.options, next)
				break chain
			case 0, 43, 60, 135, 139, 140:
				if len(rest) >= 2 {
					length = 8 * (1 + int(rest[1]))
				}
			case 51:
				if len(rest) >= 2 {
					length = 4 * (2 + int(rest[1]))
				}
			case 44:
				length = 8
			default:
				break chain
			}
			x.options = append(x.options, next)
			if headers == 8 || next == 0 && headers > 0 || len(rest) < 8 || len(rest) < length {
				return x
			}
			headers++
			if next == 44 {
				if binary.BigEndian.Uint16(rest[2:])>>3 > 0 {
					x.fragment = "later"
					next, rest = rest[0], rest[8:]
					break
				}
				if rest[3]&1 != 0 {
					x.fragment = "first"
				}
			}
			next, rest = rest[0], rest[length:]
		}
		x.protocol = ptr(uint32(next))
		upper = rest
	}
	if x.fragment == "later" {
		return x
	}
	switch p := uint8(*x.protocol); {
	case p == icmp && len(upper) >= 2:
		x.typ, x.code = ptr(uint32(upper[0])), ptr(uint32(upper[1]))
	case (p == 6 || p == 17 || p == 33 || p == 132 || p == 136) && len(upper) >= 4:
		x.srcPort = ptr(uint32(binary.BigEndian.Uint16(upper)))
		x.dstPort = ptr(uint32(binary.BigEndian.Uint16(upper[2:])))
		if p == 6 && len(upper) >= 14 {
			x.flags = ptr(upper[13])
		}
	}
	return x
}

func (x *facts) readFrame(frame []byte) {
	if len(frame) < 14 {
		return
	}
	x.dstMAC, x.srcMAC = ptr(intf.MAC(frame[:6])), ptr(intf.MAC(frame[6:12]))
	rest := frame[12:]
	for range 2 {
		t := binary.BigEndian.Uint16(rest)
		if t != 0x8100 && t != 0x88a8 && t != 0x9100 {
			break
		}
		if len(rest) < 6 {
			return
		}
		switch id := uint32(binary.BigEndian.Uint16(rest[2:]) & 0xfff); {
		case id == 4095:
			return
		case id == 0:
		case x.vlan == nil:
			x.vlan = ptr(id)
		default:
			x.inner = ptr(id)
		}
		rest = rest[4:]
	}
	if t := binary.BigEndian.Uint16(rest); t >= 0x600 {
		x.etherType = ptr(uint32(t))
	}
}

func oracleNumbers(n Numbers, v *uint32) bool {
	if len(n.Ranges) == 0 {
		return true
	}
	if v == nil {
		return false
	}
	for _, r := range n.Ranges {
		if r.Lo <= *v && *v <= r.Hi {
			return !n.Except
		}
	}
	return n.Except
}

func oracleAddress(a *Addresses, addr netip.Addr) bool {
	if len(a.Prefixes)+len(a.Except)+len(a.Lists)+len(a.ExceptLists) == 0 {
		return true
	}
	longest, match := -1, false
	look := func(prefixes []netip.Prefix, except bool) {
		for _, p := range prefixes {
			if p.Contains(addr) && (p.Bits() > longest || p.Bits() == longest && except) {
				longest, match = p.Bits(), !except
			}
		}
	}
	look(a.Prefixes, false)
	look(a.Except, true)
	for _, l := range a.Lists {
		look(l.Prefixes, false)
	}
	for _, l := range a.ExceptLists {
		look(l.Prefixes, true)
	}
	if longest < 0 && len(a.Prefixes)+len(a.Lists) == 0 {
		return true
	}
	return match
}

func oracleMACs(m MACs, a *intf.MAC) bool {
	if len(m.Entries) == 0 {
		return true
	}
	if a == nil {
		return false
	}
	for _, e := range m.Entries {
		same := true
		for i := range a {
			same = same && a[i]&e.Mask[i] == e.MAC[i]&e.Mask[i]
		}
		if same {
			return !m.Except
		}
	}
	return m.Except
}

func oracleTerm(f intf.Family, m *Match, x *facts) bool {
	if !oracleAddress(&m.Src, x.src) || !oracleAddress(&m.Dst, x.dst) ||
		!oracleNumbers(m.Protocol, x.protocol) ||
		!oracleNumbers(m.SrcPort, x.srcPort) || !oracleNumbers(m.DstPort, x.dstPort) ||
		!oracleNumbers(m.ICMPType, x.typ) || !oracleNumbers(m.ICMPCode, x.code) ||
		!oracleNumbers(m.DSCP, &x.dscp) || !oracleNumbers(m.Length, &x.length) || !oracleNumbers(m.TTL, &x.ttl) ||
		!oracleNumbers(m.Interface, x.in) || !oracleNumbers(m.Group, x.group) ||
		!oracleNumbers(m.EtherType, x.etherType) || !oracleNumbers(m.VLAN, x.vlan) || !oracleNumbers(m.InnerVLAN, x.inner) ||
		!oracleNumbers(m.LossPriority, &x.lossPriority) || !oracleNumbers(m.ForwardingClass, &x.class) ||
		!oracleMACs(m.SrcMAC, x.srcMAC) || !oracleMACs(m.DstMAC, x.dstMAC) {
		return false
	}
	if len(m.TCPFlags) > 0 && (x.flags == nil || !slices.ContainsFunc(m.TCPFlags, func(t FlagMatch) bool { return *x.flags&t.Mask == t.Value })) {
		return false
	}
	if m.Established && (x.flags == nil || *x.flags&0x14 == 0) {
		return false
	}
	if m.Initial && (x.flags == nil || *x.flags&2 == 0 || *x.flags&16 != 0) {
		return false
	}
	switch m.Fragment {
	case FragmentNone:
		if x.fragment != "whole" {
			return false
		}
	case FragmentAny:
		if x.fragment == "whole" {
			return false
		}
	case FragmentFirst:
		if x.fragment != "first" {
			return false
		}
	case FragmentLater:
		if x.fragment != "later" {
			return false
		}
	case FragmentIgnored:
	}
	if m.Options.Any || len(m.Options.Numbers) > 0 {
		if !x.optionsKnown {
			return false
		}
		has := slices.ContainsFunc(x.options, func(o uint8) bool {
			if m.Options.Any {
				return f == intf.Inet6 || o > 1
			}
			if f == intf.Inet {
				o &= 31
			}
			return slices.Contains(m.Options.Numbers, o)
		})
		if has == m.Options.Except {
			return false
		}
	}
	if len(m.Mark.Entries) > 0 {
		fits := slices.ContainsFunc(m.Mark.Entries, func(e MaskedMark) bool { return x.mark&e.Mask == e.Value })
		if fits == m.Mark.Except {
			return false
		}
	}
	return true
}

// oracleFirst is the first term from from on that matches, or -1.
func oracleFirst(s *Spec, x *facts, from int) int {
	for i := from; i < len(s.Terms); i++ {
		if oracleTerm(s.Family, &s.Terms[i].Match, x) {
			return i
		}
	}
	return -1
}
