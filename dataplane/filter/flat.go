package filter

import (
	"errors"
	"fmt"

	"router/intf"
)

// The flat form of a program is what the fast path reads: 64-bit words without
// pointers, in which everything is named by its distance from the first. The C side is
// dataplane/bpf/filterstore.h; a test compares the constants of the two.
//
//	0  columns, 8 bits; form, 8; words of terms, 16; terms, 32
//	1  fields that columns look at, 32; the terms' records, 32
//	2  order, 32; words' heads, 32
//	3  summaries, 32
//	4  a column of 4 words for each, and one of zeros
//
// A column: its field, 8 bits; whether its key has 128 bits, 8; how far a key of less is
// shifted to the left end of 64 bits, 8; the entry of its trie, 32. Then the vector of packets
// without the field, 32, and the wild terms, 32; their summary, 32.
//
// An entry of a trie is a vector, or (flatStride) a table by so many further bits of the
// key, or (flatSkip) bits that must be these: three words, the bits, what holds below
// and above them, and the entry behind them with their number.
//
// Vectors have a word for each 64 terms. In the form flatOne that is all, in flatWhole
// a summary stands before them. In flatRanked they are those of column.
const (
	flatHeader = 4
	flatColumn = 4
	flatTerm   = 4
	flatRecord = 3 // of skipped bits

	flatOne    = 0
	flatWhole  = 1
	flatRanked = 2

	flatStride      = 1 << 30
	flatSkip        = 2 << 30
	flatStrideShift = 26
	flatStrideBits  = 15
)

const (
	// wholeWords is up to how many words vectors are kept whole behind one word of
	// summary: in the kernel there is no instruction that counts bits.
	wholeWords = 64
	// maxWhole bounds whole vectors, in words; larger ones are ranked.
	maxWhole = 1 << 19
	// maxFlat bounds a program, in words: a stride's offset has so many bits less one.
	maxFlat = 1 << 25
	// maxTrieSteps is how many tables and records a search in a trie may meet. Each takes freeStride
	// of at most 128 bits at least, or what is left.
	maxTrieSteps = 17
)

var errFlat = errors.New("it is too large for the fast path")

// A Handup says why the fast path leaves a packet to the user path that a filter is to
// judge. It is what enum filter_up in dataplane/bpf/filterkey.h says.
type Handup uint8

// The reasons. Those of a term stand in the term.
const (
	HandupNone    Handup = iota
	HandupReject         // something is to be sent to the sender
	HandupLog            // the packet may be logged
	HandupMirror         // a copy is to be sent
	HandupPolicer        // the fast path can't do the policer where it stands
	HandupMAC            // link-layer addresses are compared by a mask that is no prefix
	HandupOptions        // IPv4 options
	HandupSteps          // too many terms or filters follow each other, or a search is too long
	HandupShort          // what the filter looks at isn't in the frame's first buffer
	HandupImage          // the filter has no form for the fast path
)

// String names the reason.
func (h Handup) String() string {
	names := [...]string{"none", "reject", "log", "mirror", "policer", "mac-mask", "options", "steps", "short", "image"}
	if int(h) < len(names) {
		return names[h]
	}
	return fmt.Sprintf("handup(%d)", uint8(h))
}

// A flat is a flat form in the making.
type flat struct {
	w     []uint64
	width uint // bits of the keys of the trie in the making
	err   error
}

// alloc appends n words and returns where they start.
func (f *flat) alloc(n int) int {
	at := len(f.w)
	if at+n > maxFlat {
		f.err = errFlat
		return 0
	}
	f.w = append(f.w, make([]uint64, n)...)
	return at
}

// put32 stores half a word; i counts halves.
func (f *flat) put32(i int, v uint32) {
	shift := uint(i&1) * 32
	f.w[i>>1] = f.w[i>>1]&^(0xffffffff<<shift) | uint64(v)<<shift
}

// Flat is the program in the form that the fast path reads, with all terms' tallies 0.
// It fails when the program is too large.
func (p *Program) Flat() ([]uint64, error) {
	if p.loop != nil {
		var err error
		if p, err = compile(p.spec, 0); err != nil {
			return nil, err
		}
	}
	f := &flat{w: make([]uint64, flatHeader+flatColumn*(len(p.columns)+1))}
	form := p.flatForm()
	f.w[0] = uint64(len(p.columns)) | uint64(form)<<8 | uint64(p.words)<<16 | uint64(p.terms)<<32
	f.w[1] = uint64(p.need)
	f.putTerms(p)
	f.putOrder(p)
	for i := range p.columns {
		f.putColumn(p, &p.columns[i], flatHeader+flatColumn*i, form)
		if f.err != nil {
			return nil, fmt.Errorf("filter %s: %w", p.Name(), f.err)
		}
	}
	return f.w, nil
}

// flatForm chooses the form of the vectors.
func (p *Program) flatForm() int {
	if p.words <= 1 {
		return flatOne
	}
	size := 0
	for i := range p.columns {
		size += p.columns[i].classes(p.spec.Family) * (p.words + 1)
	}
	if p.words <= wholeWords && (p.dense || size <= maxWhole) {
		return flatWhole
	}
	return flatRanked
}

// Term is the place of a term's record in the flat form; that of the number of terms is
// the end of the filter. A record is the action, 64 bits; whom it is given to, 32; the tally, 32;
// the options that it must have or not, 32, why it is handed up, 8, whether it has
// options, 8, and whether it must not have them, 8; the policer's place, 32.
func flatTermAt(w []uint64, t int) int { return int(w[1]>>32) + flatTerm*t }

// SetTally says in a flat form where term t counts.
func SetTally(w []uint64, t int, slot uint32) {
	at := flatTermAt(w, t) + 1
	w[at] = w[at]&0xffffffff | uint64(slot)<<32
}

// putTerms appends the terms' records.
func (f *flat) putTerms(p *Program) {
	at := f.alloc(flatTerm * (p.terms + 1))
	f.w[1] |= uint64(at) << 32
	for t := range p.actions {
		a, w := &p.actions[t], f.w[at+flatTerm*t:]
		w[0] = uint64(a.kind) | uint64(a.reject)<<8 | uint64(a.does)<<16 | uint64(a.dscp)<<24 | uint64(a.loss)<<32 |
			uint64(a.class)<<40 | uint64(a.mark)<<48
		w[1] = uint64(a.to)
		why := a.handup()
		if p.residues != nil && p.residues[t] != nil {
			r := p.residues[t]
			if r.src != nil || r.dst != nil {
				why = HandupMAC
			}
			w[2] = uint64(r.options)
			if r.options != 0 {
				w[2] |= 1 << 40
			}
			if r.not {
				w[2] |= 1 << 48
			}
		}
		w[2] |= uint64(why) << 32
		w[3] = uint64(a.police)
	}
	f.w[at+flatTerm*p.terms] = uint64(Discard)
}

// handup is what of an action the fast path can't do.
func (a *action) handup() Handup {
	switch {
	case a.kind == Reject:
		return HandupReject
	case a.does&doesLog != 0:
		return HandupLog
	case a.does&doesMirror != 0:
		return HandupMirror
	}
	return HandupNone
}

// putOrder appends which term stands where, and for each word of terms the positions that
// are taken and its first and last term.
func (f *flat) putOrder(p *Program) {
	order := f.alloc(32 * p.words)
	heads := f.alloc(2 * p.words)
	f.w[2] = uint64(order) | uint64(heads)<<32
	for i := range 64 * p.words {
		switch {
		case !p.dense:
			f.put32(2*order+i, uint32(p.order[i]))
		case i < p.terms:
			f.put32(2*order+i, uint32(i))
		}
	}
	for w := range p.words {
		valid, lead, tail := ^uint64(0), int32(w<<6), int32(min(w<<6+63, p.terms-1))
		if p.dense {
			valid >>= 63 - uint(tail-lead)
		} else {
			valid, lead, tail = p.valid[w], p.lead[w], p.tail[w]
		}
		f.w[heads+2*w] = valid
		f.w[heads+2*w+1] = uint64(uint32(lead)) | uint64(uint32(tail))<<32
	}
	if p.words > wholeWords {
		at := f.alloc((p.words + 63) / 64)
		f.w[3] = uint64(at)
		for w := range p.words {
			f.w[at+w>>6] |= 1 << (w & 63)
		}
	} else {
		f.w[3] = uint64(f.alloc(1))
		f.w[f.w[3]] = ^uint64(0) >> (64 - uint(max(p.words, 1)))
	}
}

// classes is how many vectors the column has.
func (c *column) classes(fam intf.Family) int {
	known := map[uint32]bool{none: true}
	for _, in := range c.intervals(fam) {
		known[in.vector] = true
	}
	return len(known)
}

// putColumn appends a column's vectors and trie.
func (f *flat) putColumn(p *Program, c *column, at, form int) {
	intervals := c.intervals(p.spec.Family)
	vectors := map[uint32]uint32{}
	if form == flatRanked {
		f.putRanked(c, at)
		base := f.alloc(len(c.vectors))
		if f.err != nil {
			return
		}
		copy(f.w[base:], c.vectors)
		for _, ref := range append([]interval{{vector: none}}, intervals...) {
			if _, ok := vectors[ref.vector]; ok {
				continue
			}
			vectors[ref.vector] = uint32(base) + ref.vector
			for s := range (p.words + 63) / 64 {
				f.w[base+int(ref.vector)+2*s+1] += uint64(base) // ranks are places of the column's own
			}
		}
	} else {
		for _, ref := range append([]interval{{vector: none}}, intervals...) {
			if _, ok := vectors[ref.vector]; !ok {
				vectors[ref.vector] = f.putWhole(p, c, ref.vector, form)
			}
		}
	}
	if f.err != nil {
		return
	}
	for i := range intervals {
		intervals[i].vector = vectors[intervals[i].vector]
	}
	shift := uint64(0)
	if f.width = c.field.width(p.spec.Family); f.width < 64 {
		shift = uint64(64 - f.width)
		for i := range intervals {
			intervals[i].start = point{hi: intervals[i].start.lo << shift}
		}
	} else if f.width == 64 {
		f.err = errFlat // no field has so many
		return
	}
	wide := uint64(0)
	if f.width == 128 {
		wide = 1
	}
	entry := f.trie(intervals, point{}, 0, 0)
	f.w[at] = uint64(c.field) | wide<<8 | shift<<16 | uint64(entry)<<32
	f.w[at+1] |= uint64(vectors[none])
}

// putWhole appends one vector with all its words.
func (f *flat) putWhole(p *Program, c *column, ref uint32, form int) uint32 {
	head := min(form, 1) // a summary, but not for one word
	at := f.alloc(head + p.words)
	if f.err != nil {
		return 0
	}
	to := f.w[at+head : at+head+p.words]
	if p.dense {
		copy(to, c.vectors[ref:])
	} else {
		copy(to, c.wild)
		for s := range (p.words + 63) / 64 {
			rank := 0
			for w := s << 6; w < min(p.words, s<<6+64); w++ {
				if c.vectors[int(ref)+2*s]>>(w&63)&1 != 0 {
					to[w] |= c.vectors[int(c.vectors[int(ref)+2*s+1])+rank]
					rank++
				}
			}
		}
	}
	if head != 0 {
		for w, m := range to {
			if m != 0 {
				f.w[at] |= 1 << w
			}
		}
	}
	return uint32(at)
}

// putRanked appends what a column of ranked vectors has besides.
func (f *flat) putRanked(c *column, at int) {
	wild := f.alloc(len(c.wild))
	summary := f.alloc(len(c.wildSummary))
	if f.err != nil {
		return
	}
	copy(f.w[wild:], c.wild)
	copy(f.w[summary:], c.wildSummary)
	f.w[at+1] = uint64(wild) << 32
	f.w[at+2] = uint64(summary)
}

// The flat form of a policer, in words:
//
//	0  kind, 8 bits; whether it is colour-aware, 8; whether it counts packets, 8;
//	   whether it marks, 8
//	1  committed: ticks of a unit; 2: ticks from empty to full
//	3  the second bucket: ticks of a unit; 4: ticks from empty to full
//	5  places of the committed word, 32 bits, and of the second one, 32
//	6  green, 7 yellow, 8 red: what is done, 8 bits; dscp, 8; loss priority, 8;
//	   forwarding class, 7; whether it is dropped, 1; the tally, 32
const (
	flatPolicer       = 9
	flatPolicerColour = 6
	flatDrop          = 1 << 31
)

// Flat is the policer in the form that the fast path reads, with all tallies 0. It
// is nil for a policer whose buckets are this process's alone. The fast path polices when all
// is decided, so that it leaves to the user path packets whose way could depend on what
// the policer writes to them.
func (p *Policer) Flat() []uint64 {
	w := make([]uint64, flatPolicer)
	w[0] = uint64(p.spec.Kind)
	if p.spec.ColourAware {
		w[0] |= 1 << 8
	}
	if p.spec.Packets {
		w[0] |= 1 << 16
	}
	if p.marks() {
		w[0] |= 1 << 24
	}
	w[1], w[2], w[5] = p.committed.cost, p.committed.size, uint64(p.committed.word.Place)
	if p.committed.word.Place == 0 {
		return nil
	}
	if b := p.second(); b != nil {
		if b.word.Place == 0 {
			return nil
		}
		w[3], w[4], w[5] = b.cost, b.size, w[5]|uint64(b.word.Place)<<32
	}
	for c, a := range p.act {
		v := uint64(a.does) | uint64(a.dscp)<<8 | uint64(a.loss)<<16 | uint64(a.class)<<24
		if a.kind == Discard {
			v |= flatDrop
		}
		w[flatPolicerColour+c] = v
	}
	return w
}

// Tallies are what the policer counts, by Colour.
func (p *Policer) Tallies() []*Tally {
	list := make([]*Tally, len(p.tallies))
	for c := range p.tallies {
		list[c] = &p.tallies[c]
	}
	return list
}

// SetColourTally says in the flat form of a policer where a colour counts.
func SetColourTally(w []uint64, c Colour, slot uint32) {
	w[flatPolicerColour+int(c)] |= uint64(slot) << 32
}

// marks reports whether the policer changes what later terms and hooks may look at.
func (p *Policer) marks() bool {
	return p.act[Green].does|p.act[Yellow].does|p.act[Red].does != 0
}
