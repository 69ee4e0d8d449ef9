package control

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"router/cmd/routerd/reconcile"
	"router/intf"
	"router/models"
)

// This file keeps what could not be put in place, and has it tried again. A commit
// fails at the first such object; a start, an event and an undoing go on without it, and
// note it here. Nothing is held for what is in place.

// A failure is an object that could not be put in place, or not be taken away.
type failure struct {
	err     error
	since   time.Time
	retries uint32 // attempts that have failed
	retry   time.Time
	backoff time.Duration
	// clearing says that it failed at what is to go, not at what is wanted.
	clearing bool
	// step is what could not even be noted; nil for what failed later.
	step *reconcile.Step
}

// state is the failure as state shows it.
func (f *failure) state() models.ApplyState {
	return models.ApplyState{Status: models.ApplyError, Reason: f.err.Error(), Retries: f.retries, Since: f.since}
}

// attempt takes down what came of building an object or clearing it away. A strict one's
// error is the caller's, unless the object has failed before and is none of the caller's; else it
// is noted, and nil returned.
func (r *Router) attempt(o models.Object, strict, clearing bool, err error) error {
	f := r.failed[o]
	switch {
	case err != nil && strict && f == nil:
		return err
	case err != nil:
		r.noteFailure(o, err)
		r.failed[o].clearing = clearing
	case f != nil && f.clearing == clearing:
		r.forgetFailure(o)
	}
	return nil
}

func (r *Router) noteFailure(o models.Object, err error) {
	f := r.failed[o]
	if f == nil {
		f = &failure{since: r.now()}
		if r.failed == nil {
			r.failed = make(map[models.Object]*failure)
		}
		r.failed[o] = f
	}
	if f.err == nil || f.err.Error() != err.Error() {
		r.log.Error("not in place, and tried again", "path", o.Path(), "err", err)
	}
	f.err = err
	f.retries++
	f.backoff = min(max(2*f.backoff, retryFirst), retryMost)
	f.retry = r.now().Add(f.backoff)
	if r.lapses++; len(r.lapsed) < lapsesTold {
		r.lapsed = append(r.lapsed, fmt.Errorf("%s: %w", o.Path(), err))
	}
	r.events.changed(o)
	r.events.changed(models.Object{Kind: models.System})
}

func (r *Router) forgetFailure(o models.Object) {
	if _, failed := r.failed[o]; !failed {
		return
	}
	delete(r.failed, o)
	r.events.changed(o)
	r.events.changed(models.Object{Kind: models.System})
}

// lapsesTold bounds how many failures of one convergence its caller is told of.
const lapsesTold = 10

// lapse is the error of the failures since the convergence began, nil for none.
func (r *Router) lapse() error {
	list := r.lapsed
	if more := r.lapses - len(list); more > 0 {
		list = append(slices.Clone(list), fmt.Errorf("and %d more", more))
	}
	return errors.Join(list...)
}

// Failed implements reconcile.Target: the step s, of a start or an undoing, could not be noted.
func (r *Router) Failed(s reconcile.Step, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := objectOf(s)
	r.noteFailure(o, err)
	r.failed[o].step = &s
	r.kick()
}

// retryFailed marks what is to be tried again now, and returns the time until something
// else is, most if nothing is.
func (r *Router) retryFailed(now time.Time, most time.Duration) time.Duration {
	for o, f := range r.failed {
		if wait := f.retry.Sub(now); wait > 0 {
			most = min(most, wait)
			continue
		}
		if f.step != nil {
			s := *f.step
			err := r.note(s)
			r.failed[o] = f // still, until it is in place
			if err != nil {
				r.noteFailure(o, err)
				continue
			}
			f.step = nil
		}
		f.retry = now.Add(retryMost) // unless the attempt says otherwise
		r.mark(o)
	}
	return most
}

// mark has an object looked at by the next convergence. What needs none is in place once
// its step is noted.
func (r *Router) mark(o models.Object) {
	switch o.Kind {
	case models.Device:
		r.dirty.devices[o.Device] = struct{}{}
	case models.Unit:
		r.dirty.units[intf.UnitKey{Device: o.Device, ID: o.Unit}] = struct{}{}
	case models.Instance:
		r.dirty.instances[o.Instance] = struct{}{}
	case models.Static:
		if p, err := netip.ParsePrefix(o.Prefix); err == nil {
			r.dirty.statics[models.StaticKey{Instance: o.Instance, Prefix: p}] = struct{}{}
		}
	case models.Multicast:
		if key, ok := models.MulticastKeyOf(o); ok {
			r.dirty.multicast[key] = struct{}{}
		}
	case models.Class:
		r.dirty.classes[o.Name] = struct{}{}
	case models.Session:
		r.dirty.sessions[o.Name] = struct{}{}
	case models.PrefixList:
		r.dirty.lists[o.Name] = struct{}{}
	case models.Policer:
		r.dirty.policers[o.Name] = struct{}{}
	case models.Filter:
		r.dirty.filters[o.Name] = struct{}{}
	case models.System, models.GRIBI, models.User, models.Role, models.LogServer, models.FilterLog, models.Audit:
		r.forgetFailure(o)
	}
}

// objectOf is the object that a step belongs to.
func objectOf(s reconcile.Step) models.Object {
	switch s.Kind {
	case reconcile.System:
		return models.Object{Kind: models.System}
	case reconcile.Instance:
		return models.Object{Kind: models.Instance, Instance: s.Instance}
	case reconcile.Device:
		return models.Object{Kind: models.Device, Device: s.Device}
	case reconcile.Unit, reconcile.Family, reconcile.Address, reconcile.Neighbor:
		return unitObject(s.Unit)
	case reconcile.StaticRoute:
		return staticObject(models.StaticKey{Instance: s.Instance, Prefix: s.Prefix})
	case reconcile.LocalClass:
		return models.Object{Kind: models.Class, Name: s.Name}
	case reconcile.Session:
		return models.Object{Kind: models.Session, Name: s.Name}
	case reconcile.PrefixList:
		return models.Object{Kind: models.PrefixList, Name: s.Name}
	case reconcile.Policer:
		return models.Object{Kind: models.Policer, Name: s.Name}
	case reconcile.Filter:
		return models.Object{Kind: models.Filter, Name: s.Name}
	case reconcile.MulticastRoute:
		return models.MulticastKey{Instance: s.Instance, Group: s.Prefix, Source: s.Source}.Object()
	case reconcile.GRIBI:
		return models.Object{Kind: models.GRIBI}
	case reconcile.Role:
		return models.Object{Kind: models.Role, Name: s.Name}
	case reconcile.User:
		return models.Object{Kind: models.User, Name: s.Name}
	case reconcile.LogServer:
		return models.Object{Kind: models.LogServer, Name: s.Name}
	}
	return models.Object{Kind: models.System}
}

func unitObject(k intf.UnitKey) models.Object {
	return models.Object{Kind: models.Unit, Device: k.Device, Unit: k.ID}
}

func staticObject(k models.StaticKey) models.Object {
	return models.Object{Kind: models.Static, Instance: k.Instance, Prefix: k.Prefix.String()}
}

// named is the object of a kind that has a name only.
func named(kind models.Kind) func(name string) models.Object {
	return func(name string) models.Object { return models.Object{Kind: kind, Name: name} }
}

func deviceObject(name string) models.Object { return models.Object{Kind: models.Device, Device: name} }

func instanceObject(name string) models.Object {
	return models.Object{Kind: models.Instance, Instance: name}
}

// A worklist works on the objects of one pass, kind after kind.
type worklist struct {
	r      *Router
	strict bool
	errs   []error // of what is no object's
}

// rest takes the error of what is no single object's: a strict pass ends there, another
// goes on and tells it at the end.
func (w *worklist) rest(err error) error {
	if err == nil || w.strict {
		return err
	}
	w.errs = append(w.errs, err)
	return nil
}

// build works on each key, whose object is named by object.
func build[K any](w *worklist, keys []K, object func(K) models.Object, do func(K) error) error {
	return forEach(w, keys, object, false, do)
}

// clearAway is build for taking away what is no longer wanted of each.
func clearAway[K any](w *worklist, keys []K, object func(K) models.Object, do func(K) error) error {
	return forEach(w, keys, object, true, do)
}

func forEach[K any](w *worklist, keys []K, object func(K) models.Object, away bool, do func(K) error) error {
	for _, k := range keys {
		err := do(k)
		// The name of an object takes memory: of 100,000 routes none is asked for.
		if err == nil && len(w.r.failed) == 0 {
			continue
		}
		if err := w.r.attempt(object(k), w.strict, away, err); err != nil {
			return err
		}
	}
	return nil
}
