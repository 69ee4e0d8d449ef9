package control

import (
	"net/netip"
	"sync"

	"router/intf"
	"router/models"
)

// An Event says that an object's state may have changed, or with a valid Route
// the routes to that prefix in the object, an instance. It is a hint to look.
type Event struct {
	Object models.Object
	Route  netip.Prefix
	// Group, when it is valid, says that it is the group's route for the sources
	// Route.
	Group netip.Addr
	// Table says that it is about the way of all routes of Family in the instance.
	Table  bool
	Family intf.Family
}

// events tells watchers what has changed.
type events struct {
	mu       sync.Mutex
	watchers map[int]func(Event)
	next     int
}

// Watch has fn called for each event until stop is called. fn runs within the
// change: it must neither block nor call the Router.
func (r *Router) Watch(fn func(Event)) (stop func()) {
	e := &r.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers == nil {
		e.watchers = map[int]func(Event){}
	}
	id := e.next
	e.next++
	e.watchers[id] = fn
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, id)
	}
}

func (e *events) tell(v Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, fn := range e.watchers {
		fn(v)
	}
}

func (e *events) changed(o models.Object) { e.tell(Event{Object: o}) }

func (e *events) unit(k intf.UnitKey) {
	e.changed(models.Object{Kind: models.Unit, Device: k.Device, Unit: k.ID})
}

func (e *events) route(instance string, p netip.Prefix) {
	e.tell(Event{Object: models.Object{Kind: models.Instance, Instance: instance}, Route: p})
}

func (e *events) flow(instance string, group netip.Addr, source netip.Prefix) {
	e.tell(Event{Object: models.Object{Kind: models.Instance, Instance: instance}, Route: source, Group: group})
}
