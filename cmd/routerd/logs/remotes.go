package logs

import (
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"router/models"
)

// Remotes are the syslog servers that the configuration names. Their methods are
// safe for concurrent use.
type Remotes struct {
	log      *slog.Logger // for what happens to servers; not to the servers
	lowest   atomic.Int64 // the lowest level that a server wants
	hostname atomic.Pointer[string]

	mu       sync.RWMutex
	remotes  map[string]*remote
	closed   bool
	watchMu  sync.Mutex
	watchers map[int]func(name string)
	next     int
}

func newRemotes(log *slog.Logger) *Remotes {
	r := &Remotes{log: log, remotes: map[string]*remote{}, watchers: map[int]func(string){}}
	r.lowest.Store(math.MaxInt64)
	r.SetHostname("")
	return r
}

// SetHostname sets the name by which the router calls itself in messages; empty
// is the machine's.
func (r *Remotes) SetHostname(name string) {
	if old := r.hostname.Load(); old == nil || *old != name {
		r.hostname.Store(&name)
	}
}

// Set makes the server called name what spec says; nil takes it away, what it
// has not been sent included. It doesn't wait for the server: whether it can be reached
// shows in its state.
func (r *Remotes) Set(name string, spec *models.LogServerSpec) {
	r.mu.Lock()
	old := r.remotes[name]
	if old != nil && spec != nil && old.spec == *spec || r.closed {
		r.mu.Unlock()
		return
	}
	delete(r.remotes, name)
	if spec != nil {
		r.remotes[name] = newRemote(*spec, r.log, func() { r.tell(name) })
	}
	lowest := int64(math.MaxInt64)
	for _, m := range r.remotes {
		lowest = min(lowest, int64(m.spec.Level))
	}
	r.lowest.Store(lowest)
	r.mu.Unlock()
	if old != nil {
		// A commit doesn't wait for a server that takes its time.
		go old.close()
	}
	r.tell(name)
}

// Names lists the servers, sorted.
func (r *Remotes) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.remotes))
}

// State is the state of a server; ok is false when there is none.
func (r *Remotes) State(name string) (s models.LogServerState, ok bool) {
	r.mu.RLock()
	m := r.remotes[name]
	r.mu.RUnlock()
	if m == nil {
		return s, false
	}
	return m.state(), true
}

// Watch has fn called with a server's name after each change of its state,
// counters aside, until stop is called. fn doesn't block.
func (r *Remotes) Watch(fn func(name string)) (stop func()) {
	r.watchMu.Lock()
	defer r.watchMu.Unlock()
	id := r.next
	r.next++
	r.watchers[id] = fn
	return func() {
		r.watchMu.Lock()
		defer r.watchMu.Unlock()
		delete(r.watchers, id)
	}
}

func (r *Remotes) tell(name string) {
	r.watchMu.Lock()
	defer r.watchMu.Unlock()
	for _, fn := range r.watchers {
		fn(name)
	}
}

func (r *Remotes) wants(l slog.Level) bool { return int64(l) >= r.lowest.Load() }

var procID = strconv.Itoa(os.Getpid())

// send queues a record for all servers that want its level.
func (r *Remotes) send(rec slog.Record, attrs []pair) {
	h := header{hostname: *r.hostname.Load(), procID: procID}
	if h.hostname == "" {
		h.hostname, _ = os.Hostname() // without one the field is "-" (RFC 5424, 6.2.4)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, m := range r.remotes {
		m.send(h, rec, attrs)
	}
}

func (r *Remotes) close() {
	r.mu.Lock()
	r.closed = true
	all := r.remotes
	r.remotes = map[string]*remote{}
	r.lowest.Store(math.MaxInt64)
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range all {
		wg.Go(m.close)
	}
	wg.Wait()
}
