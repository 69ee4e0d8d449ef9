package control

import (
	"net/netip"
	"sync"

	"router/intf"
	"router/models"
)

// An Event says that an object's state may have changed. It is a hint to look.
type Event struct {
	Object models.Object // a unit for a neighbour, an instance for a route
	// Neighbor and Route narrow it down where they are set.
	Neighbor netip.Addr
	Route    netip.Prefix
}

// events tells watchers what has changed. Telling never waits: a watcher takes
// what has come together since it took last, each event once, and when more
// comes together than it can hold, it learns that everything may have changed.
type events struct {
	mu       sync.Mutex
	watchers map[*Watcher]struct{}
}

// maxPending bounds what is kept for one watcher.
const maxPending = 16384

// A Watcher is one who is told.
type Watcher struct {
	all     *events
	bell    chan struct{}
	pending map[Event]struct{}
	lost    bool
}

// Watch begins to tell a new watcher.
func (r *Router) Watch() *Watcher {
	w := &Watcher{all: &r.events, bell: make(chan struct{}, 1), pending: map[Event]struct{}{}}
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	if r.events.watchers == nil {
		r.events.watchers = map[*Watcher]struct{}{}
	}
	r.events.watchers[w] = struct{}{}
	return w
}

// C receives when there is something to take.
func (w *Watcher) C() <-chan struct{} { return w.bell }

// Take returns what has come together; all is true when events were lost and
// everything may have changed.
func (w *Watcher) Take() (events []Event, all bool) {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	for e := range w.pending {
		events = append(events, e)
	}
	all = w.lost
	clear(w.pending)
	w.lost = false
	return events, all
}

// Close ends the telling.
func (w *Watcher) Close() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	delete(w.all.watchers, w)
}

func (e *events) tell(v Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.watchers {
		if len(w.pending) < maxPending {
			w.pending[v] = struct{}{}
		} else {
			w.lost = true
		}
		select {
		case w.bell <- struct{}{}:
		default:
		}
	}
}

func (e *events) changed(o models.Object) { e.tell(Event{Object: o}) }

func (e *events) neighbor(u intf.UnitKey, a netip.Addr) {
	e.tell(Event{Object: models.Object{Kind: models.Unit, Device: u.Device, Unit: u.ID}, Neighbor: a})
}

func (e *events) route(instance string, p netip.Prefix) {
	e.tell(Event{Object: models.Object{Kind: models.Instance, Instance: instance}, Route: p})
}
