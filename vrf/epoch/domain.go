// Package epoch tells a writer when memory that lock-free readers may still
// be looking at can be used again.
//
// The job: a writer unlinks an object from a shared structure, retires it, and
// gets it back after a grace period, that is once every reader has been seen
// at a point where it holds no reference into the structure. Readers pay
// nothing per access and at most one atomic store per batch.
//
// The invariant: an item retired in epoch e is handed back only when the
// epoch is past e and every registered reader has passed an epoch greater than
// e, or is parked.
//
// The source: quiescent-state-based reclamation as in P. McKenney's RCU, and
// Hart, McKenney, Brown and Walpole, "Performance of memory reclamation for
// lockless synchronization" (2007), section 3.
package epoch

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// cacheLine separates what different cores write; 128 because adjacent lines
// are fetched in pairs.
const cacheLine = 128

// parked is the state of a reader that holds no references.
const parked = 0

// A Domain is a set of readers and the epoch they follow. All structures that
// are read in the same batch share one Domain.
//
// Use New; all methods are safe for concurrent use.
type Domain struct {
	_     [cacheLine]byte
	epoch atomic.Uint64
	_     [cacheLine - 8]byte

	mu      sync.Mutex // guards the list against concurrent registration
	readers atomic.Pointer[[]*Reader]
	advance atomic.Pointer[func()]
}

// New returns a Domain without readers, in which everything retired can be
// used again at once.
func New() *Domain {
	d := &Domain{}
	d.epoch.Store(1)
	d.readers.Store(&[]*Reader{})
	return d
}

// Epoch returns the current epoch, at least 1. It never decreases.
func (d *Domain) Epoch() uint64 { return d.epoch.Load() }

// Reader registers a reader. It starts parked: call Quiesce, Unpark or Enter
// before the first access. Close it when its goroutine ends.
func (d *Domain) Reader() *Reader {
	r := &Reader{domain: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	list := append(slices.Clone(*d.readers.Load()), r)
	d.readers.Store(&list)
	return r
}

// Readers returns the number of registered readers, parked ones included.
func (d *Domain) Readers() int { return len(*d.readers.Load()) }

// Advance starts a new epoch and returns it. What was unlinked before the
// call may be used again once Passed returns at least the result.
func (d *Domain) Advance() uint64 {
	e := d.epoch.Add(1)
	if f := d.advance.Load(); f != nil {
		(*f)()
	}
	return e
}

// OnAdvance has f called, which must not wait, whenever an epoch begins: for a
// reader that stands for others, whose grace period somebody has to ask for.
func (d *Domain) OnAdvance(f func()) { d.advance.Store(&f) }

// Passed returns the oldest epoch that some reader may still be in; with no
// reader at work that is the current epoch. Whatever was unlinked in an
// earlier epoch than that is out of every reader's reach.
func (d *Domain) Passed() uint64 {
	// The epoch first: a reader that wakes up later announces this or more,
	// or reads after our scan and so cannot find what was unlinked before.
	oldest := d.epoch.Load()
	for _, r := range *d.readers.Load() {
		if e := r.state.Load(); e != parked && e < oldest {
			oldest = e
		}
	}
	return oldest
}

// Synchronize returns once every reader has passed a quiescent point that lies
// after the call, or with ctx's error. It polls, from 20 microseconds up to 1
// millisecond apart, and is meant for slow paths such as closing a device.
// A goroutine that is itself an unparked reader would wait for itself.
func (d *Domain) Synchronize(ctx context.Context) error {
	target := d.Advance()
	wait := 20 * time.Microsecond
	for d.Passed() < target {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait = min(2*wait, time.Millisecond)
	}
	return nil
}

// A Reader is one goroutine's place in a Domain. Its methods belong to that
// goroutine alone; only the Domain looks at it from others.
type Reader struct {
	_      [cacheLine]byte
	state  atomic.Uint64 // epoch last passed, or parked
	_      [cacheLine - 8]byte
	seen   uint64 // copy of state for the owner, which spares it the shared line
	domain *Domain
}

// Quiesce declares that the caller holds no reference into the domain's
// structures, and that it goes on reading. A worker calls it once per batch.
// It stores only when the epoch has changed since.
func (r *Reader) Quiesce() {
	if e := r.domain.epoch.Load(); e != r.seen {
		r.Pass(e)
	}
}

// Pass declares that the caller holds no reference that it obtained before
// Epoch returned e. It serves those who learn of a grace period afterwards,
// such as a proxy for readers in the kernel: read Epoch, wait for the kernel's
// grace period, Pass. An e older than one already passed changes nothing.
func (r *Reader) Pass(e uint64) {
	if e > r.seen {
		r.seen = e
		r.state.Store(e)
	}
}

// Park declares that the caller holds no reference and reads nothing until
// Unpark. A parked reader holds nobody up; a worker parks before it sleeps.
func (r *Reader) Park() {
	r.seen = parked
	r.state.Store(parked)
}

// Unpark ends Park.
func (r *Reader) Unpark() {
	// The store is sequentially consistent, so no later read can move before
	// it. An epoch that is outdated by now only delays the writer.
	r.Pass(r.domain.epoch.Load())
}

// Enter begins a critical section of an occasional reader, which is parked in
// between. Sections do not nest.
func (r *Reader) Enter() { r.Unpark() }

// Exit ends the section that Enter began.
func (r *Reader) Exit() { r.Park() }

// Close removes the reader from its domain. It must not be used afterwards.
func (r *Reader) Close() {
	r.Park()
	d := r.domain
	d.mu.Lock()
	defer d.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(*d.readers.Load()), func(x *Reader) bool { return x == r })
	d.readers.Store(&list)
}
