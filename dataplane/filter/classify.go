package filter

import "math/bits"

// nothing is what a search returns when no term matches.
const nothing = -1

// A search looks for the terms that match one packet, in order.
type search struct {
	vectors [numFields]uint32 // by column
}

// prepare looks up the packet's vector in every column.
func (p *Program) prepare(s *search, k *Key) {
	for i := range p.columns {
		s.vectors[i] = p.columns[i].vector(k)
	}
}

// update looks up the vectors anew of the fields that a term has changed.
func (p *Program) update(s *search, k *Key, changed fieldSet) {
	for i := range p.columns {
		if changed.has(p.columns[i].field) {
			s.vectors[i] = p.columns[i].vector(k)
		}
	}
}

// next returns the first term from from on that matches, or nothing.
func (p *Program) next(s *search, k *Key, from int32) int32 {
	if p.loop != nil {
		return p.loop.next(p, k, from)
	}
	if p.dense {
		return p.nextDense(s, k, from)
	}
	return p.nextSparse(s, k, from)
}

// nextDense goes through whole vectors, in which terms stand in their order.
func (p *Program) nextDense(s *search, k *Key, from int32) int32 {
	for w := int(from >> 6); w < p.words; w++ {
		m := ^uint64(0)
		if w == p.words-1 {
			m >>= -p.terms & 63
		}
		if w == int(from>>6) {
			m &= ^uint64(0) << (from & 63)
		}
		for i := range p.columns {
			m &= p.columns[i].vectors[int(s.vectors[i])+w]
		}
		for ; m != 0; m &= m - 1 {
			t := int32(w<<6 + bits.TrailingZeros64(m))
			if p.residues == nil || p.residues[t] == nil || p.residues[t].holds(k) {
				return t
			}
		}
	}
	return nothing
}

// nextSparse asks the summaries which words can hold a term that matches, and looks
// at those until no further word starts with an earlier term than the one found.
func (p *Program) nextSparse(s *search, k *Key, from int32) int32 {
	best := int32(len(p.order)) // above all terms
	for first := 0; first < p.words; first += 64 {
		pair := first >> 5
		words := ^uint64(0)
		if rest := p.words - first; rest < 64 {
			words >>= 64 - rest
		}
		for i := range p.columns {
			c := &p.columns[i]
			words &= c.vectors[int(s.vectors[i])+pair] | c.wildSummary[first>>6]
		}
		for ; words != 0; words &= words - 1 {
			bit := bits.TrailingZeros64(words)
			w := first + bit
			if p.lead[w] >= best {
				return best
			}
			if p.tail[w] < from {
				continue
			}
			m := p.valid[w]
			for i := range p.columns {
				c := &p.columns[i]
				holds := c.wild[w]
				summary := c.vectors[int(s.vectors[i])+pair]
				if summary>>bit&1 != 0 {
					rank := c.vectors[int(s.vectors[i])+pair+1]
					holds |= c.vectors[int(rank)+bits.OnesCount64(summary&(1<<bit-1))]
				}
				if m &= holds; m == 0 {
					break
				}
			}
			for ; m != 0; m &= m - 1 {
				t := p.order[w<<6+bits.TrailingZeros64(m)]
				if t >= best {
					break
				}
				if t >= from && (p.residues == nil || p.residues[t] == nil || p.residues[t].holds(k)) {
					best = t
					break
				}
			}
		}
	}
	if best == int32(len(p.order)) {
		return nothing
	}
	return best
}
