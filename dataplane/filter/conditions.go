package filter

import (
	"math/bits"

	"router/intf"
)

// numericCondition is a condition of a match that is a set of numbers.
type numericCondition struct {
	name  string // as configuration calls it
	field field
	last  uint32 // the highest legal number
	set   *Numbers
}

// numbers lists the conditions of m that are sets of numbers on a field each. The
// two of ICMP are not among them, since they share a field.
func (m *Match) numbers() [13]numericCondition {
	return [...]numericCondition{
		{"protocol", fieldProtocol, 255, &m.Protocol},
		{"source port", fieldSrcPort, 65535, &m.SrcPort},
		{"destination port", fieldDstPort, 65535, &m.DstPort},
		{"dscp", fieldDSCP, 63, &m.DSCP},
		{"packet length", fieldLength, 65535, &m.Length},
		{"ttl", fieldTTL, 255, &m.TTL},
		{"ethertype", fieldEtherType, 65535, &m.EtherType},
		{"vlan id", fieldVLAN, 4095, &m.VLAN},
		{"inner vlan id", fieldInnerVLAN, 4095, &m.InnerVLAN},
		{"loss priority", fieldLossPriority, LossHigh, &m.LossPriority},
		{"forwarding class", fieldForwardingClass, 7, &m.ForwardingClass},
		{"interface", fieldInterface, 1<<32 - 1, &m.Interface},
		{"interface group", fieldGroup, 1<<32 - 1, &m.Group},
	}
}

// collectICMP gathers what a match says about ICMP types and codes.
func (c *compiler) collectICMP(t int32, m *Match) {
	if len(m.ICMPType.Ranges)+len(m.ICMPCode.Ranges) == 0 {
		return
	}
	key := m.ICMPCode.appendKey(append(m.ICMPType.appendKey(nil), '/'))
	c.demand(fieldICMP, t, key, func() []span {
		types, codes := []span{{number(0), number(255)}}, []span{{number(0), number(255)}}
		if len(m.ICMPType.Ranges) > 0 {
			types = m.ICMPType.spans(255)
		}
		if len(m.ICMPCode.Ranges) > 0 {
			codes = m.ICMPCode.spans(255)
		}
		var out []span
		for _, ty := range types {
			for v := ty.lo.lo; v <= ty.hi.lo; v++ {
				for _, co := range codes {
					out = append(out, span{number(v<<8 | co.lo.lo), number(v<<8 | co.hi.lo)})
				}
			}
		}
		return merge(out)
	})
}

// collectSpecial gathers the conditions that are not plain sets of numbers.
func (c *compiler) collectSpecial(t int32, m *Match) {
	if len(m.TCPFlags) > 0 || m.Established || m.Initial {
		var set [256]bool
		key := make([]byte, 0, 32)
		for v := range set {
			set[v] = m.flags(uint8(v))
			if v%8 == 0 {
				key = append(key, 0)
			}
			if set[v] {
				key[v/8] |= 1 << (v % 8)
			}
		}
		c.demand(fieldTCPFlags, t, key, func() []span { return spansWhere(set[:]) })
	}
	if m.Fragment != FragmentIgnored {
		c.demand(fieldFragment, t, []byte{byte(m.Fragment)}, func() []span {
			set := [3]bool{}
			for v := range set {
				set[v] = m.Fragment.holds(v)
			}
			return spansWhere(set[:])
		})
	}
	c.collectOptions(t, &m.Options)
	c.collectMAC(t, fieldSrcMAC, &m.SrcMAC)
	c.collectMAC(t, fieldDstMAC, &m.DstMAC)
	if len(m.Mark.Entries) > 0 {
		var key []byte
		if m.Mark.Except {
			key = append(key, '!')
		}
		for _, e := range m.Mark.Entries {
			key = append(key, byte(e.Value>>8), byte(e.Value), byte(e.Mask>>8), byte(e.Mask))
		}
		c.demand(fieldMark, t, key, m.Mark.spans)
	}
}

// spansWhere is the spans of the indexes that are set.
func spansWhere(set []bool) []span {
	var out []span
	for v := 0; v < len(set); v++ {
		first := v
		for v < len(set) && set[v] {
			v++
		}
		if v > first {
			out = append(out, span{number(uint64(first)), number(uint64(v - 1))})
		}
	}
	return out
}

// flags reports whether TCP flags meet the conditions on them.
func (m *Match) flags(v uint8) bool {
	const fin, syn, rst, ack = 1, 2, 4, 16
	if m.Established && v&(ack|rst) == 0 || m.Initial && v&(syn|ack) != syn {
		return false
	}
	for _, f := range m.TCPFlags {
		if v&f.Mask == f.Value {
			return true
		}
	}
	return len(m.TCPFlags) == 0
}

// holds reports whether a value of fieldFragment meets the condition.
func (f FragmentMatch) holds(v int) bool {
	switch f {
	case FragmentIgnored:
	case FragmentNone:
		return v == fragmentWhole
	case FragmentAny:
		return v != fragmentWhole
	case FragmentFirst:
		return v == fragmentFirst
	case FragmentLater:
		return v == fragmentLater
	}
	return true
}

// collectOptions gathers a condition on options. The column tells whether there are
// any, and which ones is for the residue: few packets have some.
func (c *compiler) collectOptions(t int32, o *OptionMatch) {
	if !o.Any && len(o.Numbers) == 0 {
		return
	}
	var lo, hi uint64 = optionsNone, optionsReal
	switch {
	case o.Any && o.Except:
		hi = optionsFill
	case o.Any:
		lo = optionsReal
	case !o.Except:
		lo = optionsFill
	}
	c.demand(fieldOptions, t, []byte{byte(lo), byte(hi)}, func() []span { return []span{{number(lo), number(hi)}} })
	if !o.Any {
		r := c.residue(t)
		r.not = o.Except
		for _, n := range o.Numbers {
			r.options |= optionBit(c.spec.Family, n)
		}
	}
}

// optionBit is the bit of an option number or extension header in Key.options; 0
// for a number that a condition can't name.
func optionBit(f intf.Family, n uint8) uint32 {
	switch f {
	case intf.Inet:
		return 1 << n // 0 above 31
	case intf.Inet6:
	}
	return extensionBits[n]
}

// collectMAC gathers a condition on a link-layer address. Masks that are prefixes
// make spans; others are left to the residue.
func (c *compiler) collectMAC(t int32, f field, m *MACs) {
	if len(m.Entries) == 0 {
		return
	}
	const all = 1<<48 - 1
	var spans []span
	var key []byte
	for _, e := range m.Entries {
		mask := mac64(e.Mask)
		host := ^mask & all
		if host&(host+1) != 0 {
			if r := c.residue(t); f == fieldSrcMAC {
				r.src = m
			} else {
				r.dst = m
			}
			return
		}
		first := mac64(e.MAC) & mask
		spans = append(spans, span{number(first), number(first | host)})
		key = append(append(key, e.MAC[:]...), byte(bits.OnesCount64(mask)))
	}
	spans = merge(spans)
	if m.Except {
		spans = complement(spans, number(all))
		key = append(key, '!')
	}
	c.demand(f, t, key, func() []span { return spans })
}

// residue is the residue of a term, made when first wanted.
func (c *compiler) residue(t int32) *residue {
	p := c.program
	if p.residues == nil {
		p.residues = make([]*residue, len(c.spec.Terms))
	}
	if p.residues[t] == nil {
		p.residues[t] = &residue{}
	}
	return p.residues[t]
}

// spans is the marks that the set holds.
func (m Marks) spans() []span {
	var set [1 << 16]bool
	for _, e := range m.Entries {
		// All values of the bits that the mask leaves open.
		for open := ^e.Mask; ; open = (open - 1) & ^e.Mask {
			set[e.Value&e.Mask|open] = true
			if open == 0 {
				break
			}
		}
	}
	if m.Except {
		for v := range set {
			set[v] = !set[v]
		}
	}
	return spansWhere(set[:])
}
