// Package filter decides about packets by ordered terms: what a filter means
// ([Spec]), its compiled form ([Program]), and what a filter does to a packet at a
// hook ([Bound]): counting, policing, sampling for the log, and a [Verdict].
//
// Nothing here does I/O or reads a clock. What runs per packet neither allocates
// nor locks. The terms' first-match order is the only semantics there is: the
// classifier must never answer differently from a loop over the terms.
//
// # Use
//
// The control plane compiles, away from the packet path:
//
//	p, err := filter.Compile(spec)           // pure; *Program, immutable
//
// A Table keeps what outlives a Program: counters, policers, and which filters
// follow each other. Any goroutine may call its methods.
//
//	t := filter.NewTable(workers)
//	t.SetPolicer(policerSpec)                // error; keeps the bucket's fill
//	t.DeletePolicer(name)
//	t.SetFilter(p)                           // replaces the one of that name
//	t.DeleteFilter(name)
//	b, err := t.Bind(name, place)            // *Bound, for each Place
//	t.Unbind(name, place)                    // forgets the Place's own counters
//
// After any change, everything is bound anew, and the new Bounds are published
// together; binding a filter for which nothing changed returns the same Bound. Old
// Bounds stay usable as long as packets are under way.
//
// A worker filters, with scratch memory of its own:
//
//	s := t.Worker(id)                        // *Worker, once
//	v := b.Run(s, now, l3, &meta)            // Verdict
//	s.Flush()                                // once a batch: publishes counts
//
// now is in nanoseconds by a clock that all workers share, since they share
// policers; it may be that of the batch.
//
// l3 is what packet.CheckIPv4 or CheckIPv6 returned. [Meta] carries what the octets
// don't say: the frame, the receiving unit and its group, and the packet's mark,
// loss priority and forwarding class, which Run changes where terms say so. A new
// DSCP is in the Verdict.
//
// Source: the filters of Junos for the meaning; Lakshman and Stiliadis
// (SIGCOMM 1998) and Baboescu and Varghese (SIGCOMM 2001) for bit vectors with
// summaries.
package filter
