package filter

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"router/intf"
)

// A Program is a compiled filter. It is immutable, and any number of workers may
// use it at once.
type Program struct {
	spec  *Spec
	need  fieldSet
	words int

	loop    *loop    // instead of columns, in small filters
	columns []column // the most selective first
	dense   bool
	terms   int

	// Positions in the vectors belong to terms by order: words hold terms that look
	// at the same fields, so the positions aren't in the order of the terms, but
	// those within a word are, and words are in the order of their first terms.
	order []int32
	lead  []int32  // first term of each word
	tail  []int32  // last term of each word
	valid []uint64 // positions of each word that hold a term

	residues []*residue // by term; nil where no term has one

	actions      []action // by term
	policerNames []string // that actions name
	filterNames  []string // that actions go on with
	perPlace     bool     // some terms have counters of their own per place
}

// MaxTerms is how many terms a filter may have.
const MaxTerms = 1 << 16

// maxVectors bounds the octets of a column's bit vectors, by the worst of filters:
// tens of thousands of terms whose ranges all overlap.
const maxVectors = 1 << 30

// denseWords is up to how many words vectors are kept without summary: to go
// through a cache line's worth of them costs less than to be clever (measured in
// docs/decisions/0012).
const denseWords = 8

// Name is the filter's name.
func (p *Program) Name() string { return p.spec.Name }

// Spec is what the program was compiled from. It must not be changed.
func (p *Program) Spec() *Spec { return p.spec }

// Compile turns a filter into its program. It reports everything that is wrong
// with the filter: conditions of another family, numbers out of range, reversed
// ranges, term names that are empty or used twice. The spec and the prefix lists
// that it refers to must not be changed afterwards.
func Compile(s *Spec) (*Program, error) { return compile(s, maxLoop) }

// compile is Compile with a limit of its own for filters that are looped over.
func compile(s *Spec, loopUpTo int) (*Program, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	c := compiler{spec: s, program: &Program{spec: s, terms: len(s.Terms)}}
	c.program.compileActions()
	c.collect()
	c.program.need = c.need()
	if len(s.Terms) <= loopUpTo && c.makeLoop() {
		return c.program, nil
	}
	c.arrange()
	if err := c.build(); err != nil {
		return nil, err
	}
	return c.program, nil
}

// A compiler is the state of one Compile.
type compiler struct {
	spec    *Spec
	program *Program
	fields  [numFields]fieldConditions
	looks   []fieldSet // by term: fields with a condition
	place   []int32    // by term: position in the vectors
}

// fieldConditions are the conditions on one field. Terms that demand the same share
// one.
type fieldConditions struct {
	known map[string]int32
	conds []condition
}

// collect gathers the conditions of all terms by field.
func (c *compiler) collect() {
	c.looks = make([]fieldSet, len(c.spec.Terms))
	lists := map[*PrefixList]int{}
	var key []byte
	for i := range c.spec.Terms {
		t := int32(i)
		m := &c.spec.Terms[i].Match
		if !m.Src.isAny() {
			key = m.Src.appendKey(key[:0], lists)
			c.demand(fieldSrc, t, key, func() []span { return m.Src.spans(c.spec.Family) })
		}
		if !m.Dst.isAny() {
			key = m.Dst.appendKey(key[:0], lists)
			c.demand(fieldDst, t, key, func() []span { return m.Dst.spans(c.spec.Family) })
		}
		for _, n := range m.numbers() {
			if len(n.set.Ranges) == 0 {
				continue
			}
			key = n.set.appendKey(key[:0])
			c.demand(n.field, t, key, func() []span { return n.set.spans(domain(n.field)) })
		}
		c.collectICMP(t, m)
		c.collectSpecial(t, m)
	}
}

// need is the fields that the classifier will look at.
func (c *compiler) need() (need fieldSet) {
	for _, looks := range c.looks {
		need |= looks
	}
	for _, r := range c.program.residues {
		if r != nil && r.src != nil {
			need |= 1 << fieldSrcMAC
		}
		if r != nil && r.dst != nil {
			need |= 1 << fieldDstMAC
		}
	}
	return need
}

// demand notes that a term demands of a field what spans returns. Equal keys mean
// equal spans.
func (c *compiler) demand(f field, term int32, key []byte, spans func() []span) {
	fc := &c.fields[f]
	i, ok := fc.known[string(key)]
	if !ok {
		if fc.known == nil {
			fc.known = map[string]int32{}
		}
		i = int32(len(fc.conds))
		fc.known[string(key)] = i
		fc.conds = append(fc.conds, condition{spans: spans()})
	}
	if alwaysThere.has(f) && fc.conds[i].isEverything(f, c.spec.Family) {
		return
	}
	fc.conds[i].terms = append(fc.conds[i].terms, term)
	c.looks[term] |= 1 << f
}

// domain is the highest number that a field of the key could hold.
func domain(f field) uint64 {
	if f < numSmall {
		return 1<<16 - 1
	}
	return 1<<32 - 1
}

// alwaysThere are the fields that every packet has.
const alwaysThere fieldSet = headerFields | metaFields | 1<<fieldFragment

// isEverything reports whether each value of a field meets the condition.
func (c *condition) isEverything(f field, fam intf.Family) bool {
	if len(c.spans) != 1 || c.spans[0].lo != (point{}) {
		return false
	}
	last := number(0xffff)
	//exhaustive:ignore all others have 16 bits at most
	switch f {
	case fieldSrc, fieldDst:
		last = lastAddress(fam)
	case fieldDSCP:
		last = number(63)
	case fieldTTL, fieldForwardingClass, fieldLossPriority:
		last = number(255)
	}
	return !c.spans[0].hi.less(last)
}

// isAny reports whether a is no condition.
func (a *Addresses) isAny() bool {
	return len(a.Prefixes)+len(a.Except)+len(a.Lists)+len(a.ExceptLists) == 0
}

// appendKey appends what tells a from other conditions on the same field.
func (a *Addresses) appendKey(key []byte, lists map[*PrefixList]int) []byte {
	for _, p := range a.Prefixes {
		key = append(p.AppendTo(key), '+')
	}
	for _, p := range a.Except {
		key = append(p.AppendTo(key), '-')
	}
	number := func(l *PrefixList) int64 {
		if _, ok := lists[l]; !ok {
			lists[l] = len(lists)
		}
		return int64(lists[l])
	}
	for _, l := range a.Lists {
		key = append(strconv.AppendInt(key, number(l), 10), '*')
	}
	for _, l := range a.ExceptLists {
		key = append(strconv.AppendInt(key, number(l), 10), '/')
	}
	return key
}

// appendKey appends what tells n from other conditions on the same field.
func (n *Numbers) appendKey(key []byte) []byte {
	if n.Except {
		key = append(key, '!')
	}
	for _, r := range n.Ranges {
		key = strconv.AppendUint(key, uint64(r.Lo), 36)
		if r.Hi != r.Lo {
			key = strconv.AppendUint(append(key, '-'), uint64(r.Hi), 36)
		}
		key = append(key, ',')
	}
	return key
}

// groupMin is how many terms that look at the same fields make words of their own.
const groupMin = 32

// arrange gives every term its position. In a large filter, terms that look at the
// same fields share words: a word whose terms all look at an address is out for
// most packets, whereas one wild term among them keeps it in for all.
func (c *compiler) arrange() {
	p := c.program
	n := len(c.spec.Terms)
	c.place = make([]int32, n)
	words := (n + 63) / 64
	p.dense = words <= denseWords
	if p.dense {
		p.words = words
		p.order = make([]int32, n)
		for i := range p.order {
			p.order[i], c.place[i] = int32(i), int32(i)
		}
		return
	}
	groups := map[fieldSet][]int32{}
	for t, looks := range c.looks {
		groups[looks] = append(groups[looks], int32(t))
	}
	var chunks [][]int32
	var rest []int32
	for _, terms := range groups {
		if len(terms) < groupMin {
			rest = append(rest, terms...)
			continue
		}
		chunks = slices.AppendSeq(chunks, slices.Chunk(terms, 64))
	}
	slices.Sort(rest)
	chunks = slices.AppendSeq(chunks, slices.Chunk(rest, 64))
	slices.SortFunc(chunks, func(a, b []int32) int { return int(a[0] - b[0]) })
	p.words = len(chunks)
	p.order = make([]int32, 64*len(chunks))
	for w, terms := range chunks {
		for i, t := range terms {
			at := int32(w<<6 + i)
			p.order[at], c.place[t] = t, at
		}
		p.lead = append(p.lead, terms[0])
		p.tail = append(p.tail, terms[len(terms)-1])
		p.valid = append(p.valid, ^uint64(0)>>(64-len(terms)))
	}
}

// build makes the columns.
func (c *compiler) build() error {
	p := c.program
	for f := range field(numFields) {
		conds := c.fields[f].conds
		col := column{field: f, wild: make([]uint64, p.words)}
		for t, looks := range c.looks {
			if at := c.place[t]; looks.has(f) {
				col.lookups++
			} else {
				col.wild[at>>6] |= 1 << (at & 63)
			}
		}
		if col.lookups == 0 {
			continue
		}
		for i := range conds {
			for j, t := range conds[i].terms {
				conds[i].terms[j] = c.place[t]
			}
		}
		summaries := (p.words + 63) / 64
		col.wildSummary = make([]uint64, summaries)
		for w, m := range col.wild {
			if m != 0 {
				col.wildSummary[w>>6] |= 1 << (w & 63)
			}
		}
		s := sweep{
			column: &col, dense: p.dense,
			words: make([]uint64, p.words), summary: make([]uint64, summaries),
		}
		if err := s.run(conds); err != nil {
			return fmt.Errorf("filter %s: %w", c.spec.Name, err)
		}
		if f < numSmall {
			col.tabulate(s.starts, s.refs)
		} else {
			col.index = newRanges(f, s.starts, s.refs)
		}
		p.columns = append(p.columns, col)
	}
	// What most terms look at, and with the most different values, excludes most.
	slices.SortStableFunc(p.columns, func(a, b column) int { return b.weight() - a.weight() })
	return nil
}

// weight is high for columns whose vectors are thin.
func (c *column) weight() int {
	return int(c.lookups) * bits.Len(uint(len(c.vectors)))
}

// errVectors says that a filter can't be compiled.
var errVectors = errors.New("its terms overlap too much to be compiled: use fewer terms, or split it with next-filter")

// A residue is what a match demands beyond the columns, which let too much through.
type residue struct {
	options  uint32 // one of these, or with not none of them; 0 for no condition
	not      bool
	src, dst *MACs
}

// holds reports whether a packet that passed all columns meets the residue.
func (r *residue) holds(k *Key) bool {
	if r.options != 0 && (!k.has.has(fieldOptions) || k.options&r.options != 0 == r.not) {
		return false
	}
	return (r.src == nil || k.has.has(fieldSrcMAC) && r.src.has(k.value[fieldSrcMAC])) &&
		(r.dst == nil || k.has.has(fieldDstMAC) && r.dst.has(k.value[fieldDstMAC]))
}

// has reports whether the set holds an address.
func (m *MACs) has(a uint64) bool {
	for _, e := range m.Entries {
		mask := mac64(e.Mask)
		if a&mask == mac64(e.MAC)&mask {
			return !m.Except
		}
	}
	return m.Except
}
