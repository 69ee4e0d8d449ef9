package filter

import "router/intf"

// A loop goes over the terms of a small filter and tests one condition after the
// other. For few terms that is faster than to look up a vector for each field: a
// term mostly fails in its first test.
type loop struct {
	terms []loopTerm
	tests []test
}

// A loopTerm is a term of a loop: the fields that it needs, and its tests.
type loopTerm struct {
	need     fieldSet
	from, to uint16
}

// A test is whether a value lies in a range. Several tests of one field in a row are
// alternatives.
type test struct {
	low, width uint64
	value      field
	more       uint8 // alternatives that follow
}

// maxLoop is up to how many terms a filter is looped over; see BenchmarkLoop.
const maxLoop = 20

// maxAlternatives is up to how many ranges a condition may have in a loop.
const maxAlternatives = 4

// testOrder is the order in which fields are tested. What tells most terms apart
// comes first.
var testOrder = [...]field{
	fieldDst, fieldSrc, fieldDstPort, fieldSrcPort, fieldProtocol, fieldICMP, fieldTCPFlags, fieldFragment, fieldDSCP, fieldLength,
	fieldTTL, fieldOptions, fieldEtherType, fieldVLAN, fieldInnerVLAN, fieldMark, fieldLossPriority, fieldForwardingClass,
	fieldInterface, fieldGroup, fieldSrcMAC, fieldDstMAC,
}

// makeLoop makes a loop for the filter if its conditions are simple enough.
func (c *compiler) makeLoop() bool {
	tests := make([][]test, len(c.spec.Terms))
	for _, f := range testOrder {
		for i := range c.fields[f].conds {
			cond := &c.fields[f].conds[i]
			of, ok := testsOf(f, c.spec.Family, cond.spans)
			if !ok && len(cond.terms) > 0 {
				return false
			}
			for _, t := range cond.terms {
				tests[t] = append(tests[t], of...)
			}
		}
	}
	l := &loop{}
	for t := range tests {
		from := len(l.tests)
		l.tests = append(l.tests, tests[t]...)
		l.terms = append(l.terms, loopTerm{c.looks[t], uint16(from), uint16(len(l.tests))})
	}
	c.program.loop = l
	return true
}

// testsOf turns a condition into tests, if it is simple enough.
func testsOf(f field, fam intf.Family, spans []span) ([]test, bool) {
	if len(spans) == 0 || len(spans) > maxAlternatives {
		return nil, false
	}
	var out []test
	for i, s := range spans {
		more := uint8(len(spans) - 1 - i)
		high := f + (fieldSrcHi - fieldSrc)
		switch {
		case f < fieldSrc || fam == intf.Inet:
			out = append(out, test{s.lo.lo, s.hi.lo - s.lo.lo, f, more})
		case s.lo.lo == 0 && s.hi.lo == ^uint64(0):
			out = append(out, test{s.lo.hi, s.hi.hi - s.lo.hi, high, more})
		case s.lo.hi == s.hi.hi && len(spans) == 1:
			out = append(out, test{s.lo.hi, 0, high, 0}, test{s.lo.lo, s.hi.lo - s.lo.lo, f, 0})
		default:
			return nil, false
		}
	}
	return out, true
}

// next returns the first term from from on that matches, or nothing.
func (l *loop) next(p *Program, k *Key, from int32) int32 {
	for i := int(from); i < len(l.terms); i++ {
		t := &l.terms[i]
		if t.need&^k.has == 0 && l.holds(t, k) &&
			(p.residues == nil || p.residues[i] == nil || p.residues[i].holds(k)) {
			return int32(i)
		}
	}
	return nothing
}

// holds reports whether a packet passes the tests of a term.
func (l *loop) holds(t *loopTerm, k *Key) bool {
	tests := l.tests[t.from:t.to]
	for i := 0; i < len(tests); i++ {
		test := &tests[i]
		if k.value[test.value]-test.low <= test.width {
			i += int(test.more)
		} else if test.more == 0 {
			return false
		}
	}
	return true
}
