package control

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"router/dataplane/bpf"
	"router/intf"
	"router/models"
	"router/routing/neighbor"
)

// A Memory outlives the daemon: what it found out on its links stands there for
// its successor. A Router calls it under its lock.
type Memory interface {
	Put(bpf.Remembered) error
	Delete(bpf.Remembered) error
	// All calls f with all that is remembered; is says whether a unit's name is the
	// one that was remembered. f may call Delete.
	All(f func(r bpf.Remembered, is func(unit string) bool)) error
}

// recollection is what a former run remembered of a unit.
type recollection struct {
	what bpf.Remembered
	is   func(unit string) bool
}

// clock is the reading that the neighbour table goes by. It stands still until
// Adopt: what is asked before can't be answered.
func (r *Router) clock() time.Duration {
	if r.adopting {
		return 0
	}
	return r.now().Sub(r.started)
}

// recall reads what a former run remembered.
func (r *Router) recall() {
	if r.memory == nil {
		return
	}
	err := r.memory.All(func(what bpf.Remembered, is func(string) bool) {
		r.recalled[what.IfIndex] = append(r.recalled[what.IfIndex], recollection{what, is})
	})
	if err != nil {
		r.log.Warn("neighbours of the former run are asked for anew", "err", err)
	}
}

// addAddress gives the neighbour table an address of ours. One that a former run
// had in use is so at once.
func (r *Router) addAddress(u *unit, prefix netip.Prefix) {
	r.act(r.neighbors.AddAddress(r.clock(), u.index, prefix))
	for _, c := range r.recalled[u.index] {
		if c.what.Own && c.what.Addr == prefix.Addr() && c.is(u.key.Name()) {
			r.act(r.neighbors.Trust(r.clock(), u.index, prefix.Addr()))
		}
	}
}

// restoreNeighbors makes those known that a former run knew on a unit.
func (r *Router) restoreNeighbors(u *unit) {
	for _, c := range r.recalled[u.index] {
		if !c.what.Own && c.is(u.key.Name()) {
			r.act(r.neighbors.Restore(r.clock(), neighbor.Key{IfIndex: u.index, Addr: c.what.Addr}, c.what.MAC))
		}
	}
}

// remember keeps a fact for the next run; forget takes it back.
func (r *Router) remember(key neighbor.Key, own bool, mac intf.MAC) {
	u := r.byIndex[key.IfIndex]
	if r.memory == nil || u == nil {
		return
	}
	err := r.memory.Put(bpf.Remembered{IfIndex: key.IfIndex, Unit: u.key.Name(), Addr: key.Addr, Own: own, MAC: mac})
	if err != nil && !r.forgetful {
		r.forgetful = true
		r.log.Warn("not all neighbours will be known at once after a restart", "err", err)
	}
}

func (r *Router) forget(key neighbor.Key, own bool) {
	if r.memory == nil || r.adopting {
		// Until Adopt nothing of the former run is touched.
		return
	}
	if err := r.memory.Delete(bpf.Remembered{IfIndex: key.IfIndex, Addr: key.Addr, Own: own}); err != nil {
		r.log.Debug("still remembered", "ifl", uint32(key.IfIndex), "err", err)
	}
}

// forgetOwn takes back that IPv6 addresses of a unit are ours alone, as its link goes
// down: whoever has them when it comes up again has to be asked.
func (r *Router) forgetOwn(u *unit) {
	fam := u.families[intf.Inet6]
	if fam == nil {
		return
	}
	for prefix := range fam.addresses {
		r.forget(neighbor.Key{IfIndex: u.index, Addr: prefix.Addr()}, true)
	}
	if fam.borrowed.IsValid() {
		r.forget(neighbor.Key{IfIndex: u.index, Addr: fam.borrowed}, true)
	}
}

// An Adoption says what Adopt found.
type Adoption struct {
	Devices int // in use
	// Neighbors are those that the former run knew, and that are in use at once.
	Neighbors int
}

// Adopt ends the start, of which left says how many devices an earlier run had
// left forwarding: everything that is configured is in place, so that
// devices which still forward as a former run left them are taken over, the
// clock starts, and what is to be asked and announced is sent. Until then a
// Router that was made with Adopting set sends nothing of its own accord.
func (r *Router) Adopt(left int) Adoption {
	r.mu.Lock()
	defer r.mu.Unlock()
	var a Adoption
	names := make([]string, 0, len(r.devices))
	for name := range r.devices {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	var failed []*device
	for _, name := range names {
		d := r.devices[name]
		if d.open == nil {
			continue
		}
		if err := r.activate(d); err != nil {
			r.log.Warn("interface could not be taken over", "ifd", d.name, "err", err)
			d.err = err
			failed = append(failed, d)
			continue
		}
		a.Devices++
	}
	r.carryCounts()
	r.adopting, r.started = false, r.now()
	r.keepCounts(false)
	for _, d := range failed {
		r.fail(d, d.err)
	}
	a.Neighbors = r.reviseMemory()
	r.recalled = nil
	if left > 0 {
		r.takeover = &models.TakeoverState{Time: r.started, Devices: uint32(min(left, a.Devices)), Neighbors: uint32(a.Neighbors)}
	}
	r.events.changed(models.Object{Kind: models.System})
	r.finish()
	return a
}

// reviseMemory forgets what a former run remembered and is not so any more, and
// returns how many neighbours of that run are known.
func (r *Router) reviseMemory() (known int) {
	for i, list := range r.recalled {
		for _, c := range list {
			key := neighbor.Key{IfIndex: i, Addr: c.what.Addr}
			if c.what.Own {
				if !r.ownInUse(key) {
					r.forget(key, true)
				}
				continue
			}
			if e, ok := r.neighbors.Lookup(key); ok && e.State.Usable() && !e.Static {
				known++
			} else {
				r.forget(key, false)
			}
		}
	}
	return known
}

func (r *Router) ownInUse(key neighbor.Key) bool {
	return slices.ContainsFunc(r.neighbors.Addresses(key.IfIndex), func(a neighbor.Address) bool {
		return a.Prefix.Addr() == key.Addr && a.Status == neighbor.AddressPreferred
	})
}

// Leave makes Close leave the devices as they are to a successor, those that
// outlive the process forwarding.
func (r *Router) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaving = true
}

// leaveAll frees what is the process's at its devices. Nothing that workers or
// the fast path read is changed.
func (r *Router) leaveAll() error {
	var errs []error
	for _, d := range r.devices {
		if d.open != nil {
			errs = append(errs, d.open.Leave())
		}
	}
	return errors.Join(errs...)
}
