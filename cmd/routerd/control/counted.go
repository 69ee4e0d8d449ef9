package control

import (
	"time"

	"router/dataplane"
	"router/dataplane/bpf"
	"router/dataplane/layout"
	"router/intf"
	"router/models"
)

// A Ledger outlives the daemon: counters stand there for its successor, which go on from
// there. A Router calls it under its lock.
type Ledger interface {
	Put(bpf.Counted) error
	// Written says that all there is has been Put since it was called last.
	Written() error
	// Take empties it. fast is what programs have counted beside.
	Take(f func(c bpf.Counted, fast [layout.TallyWords]uint64, is func(name string) bool)) error
}

// words lays counters out as a Ledger has them.
func words(c models.Counters) [bpf.CountedWords]uint64 {
	return [...]uint64{
		c.InOctets, c.InUnicast, c.InMulticast, c.InBroadcast, c.InDiscards, c.InErrors, c.InUnknownProtos,
		c.OutOctets, c.OutUnicast, c.OutMulticast, c.OutBroadcast, c.OutDiscards, c.OutErrors,
	}
}

// fromWords is the inverse of words.
func fromWords(w [bpf.CountedWords]uint64) models.Counters {
	return models.Counters{
		InOctets: w[0], InUnicast: w[1], InMulticast: w[2], InBroadcast: w[3], InDiscards: w[4], InErrors: w[5], InUnknownProtos: w[6],
		OutOctets: w[7], OutUnicast: w[8], OutMulticast: w[9], OutBroadcast: w[10], OutDiscards: w[11], OutErrors: w[12],
	}
}

// plus and minus are those of counters, modulo 2^64.
func plus(a, b models.Counters) models.Counters {
	w, v := words(a), words(b)
	for i := range w {
		w[i] += v[i]
	}
	return fromWords(w)
}

func minus(a, b models.Counters) models.Counters {
	w, v := words(a), words(b)
	for i := range w {
		w[i] -= v[i]
	}
	return fromWords(w)
}

// kept is what a successor goes on from: c and what was carried, since they were cleared.
func (m *meter) kept(c models.Counters) [bpf.CountedWords]uint64 {
	c = plus(c, m.carried)
	if m.base != nil {
		c = minus(c, *m.base)
	}
	return words(c)
}

// keepCounts writes all counters down for a successor. exact says that nobody will read
// them any more.
func (r *Router) keepCounts(exact bool) {
	if r.ledger == nil || r.adopting {
		return
	}
	nanoseconds := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixNano()
	}
	put := func(c bpf.Counted, m *meter) bool {
		c.Since, c.Anew, c.Exact = nanoseconds(m.cleared), nanoseconds(m.anew), exact
		err := r.ledger.Put(c)
		if err != nil && !r.uncounted {
			r.uncounted = true
			r.log.Warn("not all counters will go on after a restart", "err", err)
		}
		return err == nil
	}
	for name, d := range r.devices {
		t := r.tree.Device(name)
		if d.open == nil || t == nil {
			continue
		}
		c, ok := r.engine.PortKept(d.port)
		if !ok {
			continue
		}
		counts := models.Counters(c)
		r.addLosses(d, &counts, nil)
		if !put(bpf.Counted{IfIndex: t.Index, Name: name, Counts: d.meter.kept(counts)}, &d.meter) {
			return
		}
		for _, key := range r.tree.Units(name) {
			u := r.units[key]
			if u == nil {
				continue
			}
			k, ok := r.engine.UnitKept(u.index)
			if !ok {
				continue
			}
			c := bpf.Counted{
				IfIndex: u.index, Device: t.Index, Name: key.Name(), Counts: u.meter.kept(models.Counters(k.Counters)), Place: k.Place, Memory: k.Memory,
			}
			if !put(c, &u.meter) {
				return
			}
		}
	}
	if err := r.ledger.Written(); err != nil {
		r.log.Debug("counters of what is gone are still kept", "err", err)
	}
}

// carryCounts has counters go on from where those of the former run are by now.
func (r *Router) carryCounts() {
	if r.ledger == nil {
		return
	}
	devices := make(map[intf.Index]*device)
	names := make(map[intf.Index]string)
	for name, d := range r.devices {
		if t := r.tree.Device(name); t != nil && d.open != nil {
			devices[t.Index], names[t.Index] = d, name
		}
	}
	fastOf := make(map[intf.Index]models.Counters) // of the devices' units
	cleared := func(ns int64) time.Time {
		if ns == 0 {
			return time.Time{}
		}
		return time.Unix(0, ns)
	}
	now := r.now()
	// What a crash has cost may have been shown already.
	anew := func(c bpf.Counted) time.Time {
		if !c.Exact || c.Anew == 0 {
			return now
		}
		return time.Unix(0, c.Anew)
	}
	var known []*device
	err := r.ledger.Take(func(c bpf.Counted, fast [layout.TallyWords]uint64, is func(string) bool) {
		counts := fromWords(c.Counts)
		if c.Device == 0 {
			if d := devices[c.IfIndex]; d != nil && is(names[c.IfIndex]) {
				d.meter.carry(counts, cleared(c.Since), anew(c))
				known = append(known, d)
			}
			return
		}
		more := models.Counters(dataplane.FastCounters(fast))
		fastOf[c.Device] = plus(fastOf[c.Device], more)
		if u := r.byIndex[c.IfIndex]; u != nil && is(u.key.Name()) {
			u.meter.carry(plus(counts, more), cleared(c.Since), anew(c))
			r.events.unit(u.key)
		}
	})
	for _, d := range known {
		d.meter.carried = plus(d.meter.carried, fastOf[r.tree.Device(d.name).Index])
		r.events.changed(models.Object{Kind: models.Device, Device: d.name})
	}
	if err != nil {
		r.log.Warn("counters of the former run are not taken over whole", "err", err)
	}
}
