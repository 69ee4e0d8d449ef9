package differential

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"router/dataplane/packet"
)

// A trial is one packet and what came of it.
type trial struct {
	frame        []byte
	theirs, ours []out
}

// l3 is the packet, with all that follows it in the frame.
func (c *trial) l3() []byte { return c.frame[packet.EthernetHeaderLen:] }

// v4 is the packet as IPv4; nil when it isn't one that all checks pass.
func (c *trial) v4() packet.IPv4 {
	if ip, fault := packet.CheckIPv4(c.l3()); c.frame[12] == 0x08 && fault == packet.FaultNone {
		return ip
	}
	return nil
}

// v6 is the packet as IPv6; nil when it isn't one.
func (c *trial) v6() packet.IPv6 {
	if ip, fault := packet.CheckIPv6(c.l3()); c.frame[12] == 0x86 && fault == packet.FaultNone {
		return ip
	}
	return nil
}

// src and dst are the packet's addresses; the zero Addr when it is none.
func (c *trial) src() netip.Addr {
	if ip := c.v4(); ip != nil {
		return ip.Src()
	} else if ip := c.v6(); ip != nil {
		return ip.Src()
	}
	return netip.Addr{}
}

func (c *trial) dst() netip.Addr {
	if ip := c.v4(); ip != nil {
		return ip.Dst()
	} else if ip := c.v6(); ip != nil {
		return ip.Dst()
	}
	return netip.Addr{}
}

// A report is an ICMP error that a router sent.
type report struct {
	typ, code uint8
	rest      uint32
	to        netip.Addr
	side      int
	quote     []byte
}

// reportOf reads o as an error of the router's own; ok is false for anything else.
func reportOf(o out) (r report, ok bool) {
	if !o.l2 {
		return r, false
	}
	if o.l3[0]>>4 == 4 {
		ip, fault := packet.CheckIPv4(o.l3)
		if fault != packet.FaultNone || ip.Protocol() != packet.ProtocolICMPv4 || !own(ip.Src()) || ip.IsFragment() {
			return r, false
		}
		m, fault := packet.ParseICMPv4(ip.Payload())
		if fault != packet.FaultNone || !packet.IsErrorICMPv4(m.Type()) {
			return r, false
		}
		return report{m.Type(), m.Code(), m.Rest(), ip.Dst(), o.side, m.Body()}, true
	}
	ip, fault := packet.CheckIPv6(o.l3)
	if fault != packet.FaultNone || ip.NextHeader() != packet.ProtocolICMPv6 || !own(ip.Src()) {
		return r, false
	}
	m, fault := packet.ParseICMPv6(ip, packet.IPv6HeaderLen)
	if fault != packet.FaultNone || !packet.IsErrorICMPv6(m.Type()) {
		return r, false
	}
	return report{m.Type(), m.Code(), m.Rest(), ip.Dst(), o.side, m.Body()}, true
}

// minQuote is how much of the packet an error quotes at the least: the header
// and eight octets (RFC 792), or all that there is.
const minQuote = packet.IPv4MinHeaderLen + 8

// same reports whether two errors say the same about the same packet. How much
// they quote is their own choice, as are identification, TTL, type of service
// and which of the router's addresses they come from.
func (r report) same(o report) bool {
	n := min(len(r.quote), len(o.quote))
	if n < minQuote && len(r.quote) != len(o.quote) {
		return false
	}
	return r.typ == o.typ && r.code == o.code && r.rest == o.rest && r.to == o.to && r.side == o.side &&
		bytes.Equal(r.quote[:n], o.quote[:n])
}

// equal reports whether the same came out, octet by octet where there is no
// choice.
func (c *trial) equal() bool {
	return slices.EqualFunc(c.theirs, c.ours, func(a, b out) bool {
		if a.side == b.side && a.l2 && b.l2 && bytes.Equal(a.l3, b.l3) {
			return true
		}
		x, ok := reportOf(a)
		y, ok2 := reportOf(b)
		return ok && ok2 && x.same(y)
	})
}

// reports are the errors among outs, if that is all there is.
func reports(outs []out) (all []report) {
	for _, o := range outs {
		r, ok := reportOf(o)
		if !ok {
			return nil
		}
		all = append(all, r)
	}
	return all
}

// forwarded reports whether outs are the packet or its fragments.
func forwarded(outs []out) bool {
	for _, o := range outs {
		if _, ok := reportOf(o); ok {
			return false
		}
	}
	return len(outs) > 0
}

// reassembled is the packet that fragments were cut from, without a header: nil
// when a piece is missing. The first fragment's header comes along.
func reassembled(outs []out) (header, payload []byte) {
	for i, o := range outs {
		if !o.l2 || o.l3[0]>>4 != 4 {
			return nil, nil
		}
		ip, fault := packet.CheckIPv4(o.l3)
		if fault != packet.FaultNone || o.side != outs[0].side {
			return nil, nil
		}
		if i == 0 {
			header = ip[:ip.HeaderLen()]
		} else if ip.FragmentOffset() != packet.IPv4(outs[0].l3).FragmentOffset()+len(payload) {
			return nil, nil
		}
		payload = append(payload, ip.Payload()...)
	}
	return header, payload
}

// outcome is what came out in a few words, for messages and sums.
func outcome(outs []out) string {
	if len(outs) == 0 {
		return "nothing"
	}
	var words []string
	for _, o := range outs {
		r, ok := reportOf(o)
		switch {
		case ok:
			words = append(words, fmt.Sprintf("ICMP %d/%d rest %#x by %s", r.typ, r.code, r.rest, sides[o.side].name))
		case !o.l2:
			words = append(words, "a bad frame by "+sides[o.side].name)
		default:
			words = append(words, fmt.Sprintf("%d octets by %s", len(o.l3), sides[o.side].name))
		}
	}
	return strings.Join(words, ", ")
}

// kind is outcome without numbers that differ from packet to packet.
func kind(outs []out) string {
	switch rs := reports(outs); {
	case len(outs) == 0:
		return "nothing"
	case len(rs) == 1:
		return fmt.Sprintf("error %d/%d", rs[0].typ, rs[0].code)
	case len(outs) == 1:
		return "packet"
	}
	return fmt.Sprintf("%d packets", len(outs))
}

func (c *trial) String() string {
	var b strings.Builder
	l3 := c.l3()
	fmt.Fprintf(&b, "%v to %v, %d octets: %x\n", c.src(), c.dst(), len(l3), l3[:min(len(l3), 100)])
	for _, s := range []struct {
		who  string
		outs []out
	}{{"Linux", c.theirs}, {"ours ", c.ours}} {
		fmt.Fprintf(&b, "  %s: %s\n", s.who, outcome(s.outs))
		for _, o := range s.outs {
			fmt.Fprintf(&b, "    %x\n", o.l3[:min(len(o.l3), 120)])
		}
	}
	return b.String()
}

// word is the number of two octets.
func word(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
