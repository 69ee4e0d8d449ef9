package filter

import "router/intf"

// A Bound is a filter at a place, with the counters and policers that it has there
// and the filters that may follow it. It is immutable, but for its counts.
type Bound struct {
	family intf.Family
	need   fieldSet
	nodes  []node // the filter itself first
}

// A node is one of the filters that a Bound can reach.
type node struct {
	program  *Program
	base     TermID     // of its first term
	slots    [][]slot   // by worker and term; the end of the filter stands last
	own      [][]*share // likewise: what is counted for the place; nil where nothing is
	policers []*Policer // by place in Program.policerNames
	next     []int32    // nodes by place in Program.filterNames

	counts, ownCounts []*Tally // by term, the end last; ownCounts where own is
}

// A Node is one of the filters that a Bound can reach, as the fast path has to know
// it. Its slices must not be changed.
type Node struct {
	Program *Program
	Base    TermID // of its first term
	// Tallies are by term, that of the end of the filter last; Own are what is counted for the
	// place besides: nil where nothing is.
	Tallies, Own []*Tally
	// Next are the nodes, by their index, that the terms' next filters name by place.
	Next []int32
	// Policers are those that the terms name by place.
	Policers []*Policer
}

// Nodes lists the filters that can be reached, the filter itself first.
func (b *Bound) Nodes() []Node {
	list := make([]Node, len(b.nodes))
	for i := range b.nodes {
		n := &b.nodes[i]
		list[i] = Node{n.program, n.base, n.counts, n.ownCounts, n.next, n.policers}
	}
	return list
}

// Needs is the fields, a bit each in the order of enum filter_field, that the filters of
// the Bound look at.
func (b *Bound) Needs() uint32 { return uint32(b.need) }

// A slot is what a worker needs of a term that matched, side by side.
type slot struct {
	action
	hit *share
}

// Family is the family of packets that the filter takes.
func (b *Bound) Family() intf.Family { return b.family }

// NeedsFrame reports whether Meta.Frame will be looked at.
func (b *Bound) NeedsFrame() bool { return b.need&frameFields != 0 }

// Term names a term of the filter or of one that follows it.
func (b *Bound) Term(id TermID) (filter, term string) {
	for i := len(b.nodes) - 1; i >= 0; i-- {
		if n := &b.nodes[i]; id >= n.base {
			return n.program.Name(), n.program.termName(int(id - n.base))
		}
	}
	return b.nodes[0].program.Name(), endName
}

// Run decides what becomes of a packet: l3 is what packet.CheckIPv4 or CheckIPv6 of
// the filter's family returned, now an instant in nanoseconds. It counts, polices
// and samples, and it changes m where terms say so. It doesn't change l3.
func (b *Bound) Run(w *Worker, now int64, l3 []byte, m *Meta) Verdict {
	v := Verdict{Kind: Discard, Term: NoTerm}
	k := &w.key
	if !k.parse(b.family, l3, m, b.need) {
		return v
	}
	for n := &b.nodes[0]; n != nil; {
		n = n.run(b, w, now, m, &v)
	}
	return v
}

// run filters a packet through one filter and returns the one to go on with, if
// any.
func (n *node) run(b *Bound, w *Worker, now int64, m *Meta, v *Verdict) *node {
	p, k, slots := n.program, &w.key, n.slots[w.id]
	p.prepare(&w.search, k)
	for from := int32(0); ; from++ {
		from = p.next(&w.search, k, from)
		if from == nothing {
			n.count(w, int32(len(slots)-1))
			v.Kind = Discard
			if !v.Log {
				v.Term = NoTerm
			}
			return nil
		}
		n.count(w, from)
		a := &slots[from].action
		id := n.base + TermID(from)
		if !v.Log {
			v.Term = id
		}
		if a.does != 0 {
			changed, pass := n.modify(w, now, a, from, m, v)
			if !pass {
				v.Kind, v.Policed = Discard, true
				return nil
			}
			if a.kind == NextTerm && p.need&changed != 0 {
				p.update(&w.search, k, changed)
			}
		}
		switch a.kind {
		case NextTerm:
		case NextFilter:
			return &b.nodes[n.next[a.to]]
		case Accept, Discard, Reject, ToInstance, ToNextHop:
			v.Kind, v.Reject, v.To = a.kind, a.reject, a.to
			return nil
		}
	}
}

// count counts a packet for a term, or for the end of the filter.
func (n *node) count(w *Worker, t int32) {
	if w.dry != nil {
		w.dry.meets(n, t)
		return
	}
	w.hit(n.slots[w.id][t].hit, w.key.octets)
	if n.own != nil {
		if s := n.own[w.id][t]; s != nil {
			w.hit(s, w.key.octets)
		}
	}
}

// modify does what an action does besides its disposition, and returns the fields
// that it has changed. It reports false for a packet that the policer drops.
func (n *node) modify(w *Worker, now int64, a *action, t int32, m *Meta, v *Verdict) (changed fieldSet, pass bool) {
	changed = a.write(&w.key, m, v)
	if a.does&doesMark != 0 {
		m.Mark, w.key.value[fieldMark] = a.mark, uint64(a.mark)
		changed |= 1 << fieldMark
	}
	if a.does&doesLog != 0 {
		if w.dry != nil {
			w.dry.samples(a.logEvery)
		} else if n.slots[w.id][t].hit.sample(a.logEvery) {
			v.Log, v.Term = true, n.base+TermID(t)
		}
	}
	if a.does&doesPolice != 0 {
		p := n.policers[a.police]
		var c Colour
		if w.dry != nil {
			c = w.dry.colour(p, now, w.key.octets, m.LossPriority)
			w.dry.asks(p.spec.Name, c)
		} else {
			c = p.colour(now, w.key.octets, m.LossPriority)
			w.hit(p.tallies[c].shares[w.id], w.key.octets)
		}
		act := &p.act[c]
		if act.kind == Discard {
			return changed, false
		}
		changed |= act.write(&w.key, m, v)
	}
	if a.does&doesMirror != 0 {
		v.Mirror = intf.Index(a.mirror)
	}
	return changed, true
}

// write gives a packet what an action sets.
func (a *action) write(k *Key, m *Meta, v *Verdict) (changed fieldSet) {
	if a.does&doesDSCP != 0 {
		v.DSCP = Some(a.dscp)
		k.value[fieldDSCP] = uint64(a.dscp)
		changed |= 1 << fieldDSCP
	}
	if a.does&doesLoss != 0 {
		m.LossPriority, k.value[fieldLossPriority] = a.loss, uint64(a.loss)
		changed |= 1 << fieldLossPriority
	}
	if a.does&doesClass != 0 {
		m.ForwardingClass, k.value[fieldForwardingClass] = a.class, uint64(a.class)
		changed |= 1 << fieldForwardingClass
	}
	return changed
}
