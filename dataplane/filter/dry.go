package filter

import "sync/atomic"

// A Step is one term that a packet matched on a dry run, or the end of a filter,
// where Term is empty.
type Step struct {
	Filter, Term string
	// Policer is the policer that the term asks, and Colour what it would say now;
	// empty for none.
	Policer string
	Colour  Colour
	// LogEvery says that the term logs one packet in so many; 0 for none.
	LogEvery uint32
}

// DryWorker is a Worker that filters without a trace: it counts nothing, takes no
// policer's tokens but in a copy of its own, and never asks for the log. Its verdicts
// are those that any other worker would come to at that instant. It notes the terms
// that a packet meets, which [Worker.Steps] returns.
func (t *Table) DryWorker() *Worker {
	return &Worker{dry: &dryRun{policers: map[*Policer]*Policer{}}}
}

// A dryRun is what a DryWorker has noted since it was last asked, and policers as its
// own packets have left them: a packet and its copies may come to one several times.
type dryRun struct {
	steps    []Step
	policers map[*Policer]*Policer
}

// Steps returns the terms that packets have met since the last call, in order; nil
// of a worker that is no DryWorker.
func (w *Worker) Steps() []Step {
	if w.dry == nil {
		return nil
	}
	steps := w.dry.steps
	w.dry.steps = nil
	return steps
}

// meets notes that the packet has come to term t of a node.
func (d *dryRun) meets(n *node, t int32) {
	d.steps = append(d.steps, Step{Filter: n.program.Name(), Term: n.program.termName(int(t))})
}

// asks notes what a policer would say.
func (d *dryRun) asks(name string, c Colour) {
	s := &d.steps[len(d.steps)-1]
	s.Policer, s.Colour = name, c
}

// samples notes that the term logs.
func (d *dryRun) samples(every uint32) { d.steps[len(d.steps)-1].LogEvery = every }

// colour is what p would say of a packet. p stays as it is.
func (d *dryRun) colour(p *Policer, now int64, octets uint32, lossPriority uint8) Colour {
	q := d.policers[p]
	if q == nil {
		c := *p
		q = &c
		for _, b := range []*bucket{&q.committed, &q.peak, &q.excess} {
			if b.owes != nil {
				owes := new(atomic.Uint64)
				owes.Store(b.owes.Load())
				b.owes = owes
			}
		}
		d.policers[p] = q
	}
	return q.colour(now, octets, lossPriority)
}
