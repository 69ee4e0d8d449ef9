package northbound

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// A feed is what all streams have in common that ask for the same on change: the
// same paths, in the same encoding, with the same rights. What happens is looked at
// once, compared with one memory of what there is, and encoded once; its messages stand in a
// short log that the streams, its members, follow each at its own speed, in turns (pacer.go). What leaves the
// log before a member has read it, the member owes its client (arrears.go): by path, not by
// value.
//
// Invariant: each value that a member sends has been read and noted under mu, so that the
// memory is that of the newest value which anybody has sent, and whatever differs from
// it later is told to all.
type feed struct {
	s       *Server
	key     string
	uses    int // guarded by feeds.mu
	changes *dirty
	unwatch []func()

	stopped chan struct{}
	failed  chan struct{} // closed after err is set
	err     error

	mu      sync.Mutex
	c       *stream // reads and encodes
	watches []*watch
	learned bool
	next    *change // what is being read
	heard   *hearing

	logMu   sync.Mutex
	log     []*change
	octets  int    // of the messages in the log
	end     uint64 // the number of the newest change; also guarded by mu
	members map[*member]struct{}
}

// A change is one entry of a feed's log: what one look has found, ready to be
// sent. Its number is the revision of the values in it.
type change struct {
	number   uint64
	by       *member // who has found it, and sent it: nobody, mostly
	messages []outgoing
	octets   int
	tooLarge bool   // to be kept: messages has not all
	marks    []told // what the messages are about
	scans    []int  // the watches whose counters they have
	ends     []boundary
}

// A told is a place where a change has something, by the watch it is for.
type told struct {
	watch int
	path  tree.Path
	last  time.Time
	times uint32
	lost  []lost

	id      string // of path, once somebody owes it
	lostIDs []string
}

const (
	// logOctets and logChanges bound a feed's log, which has what some member has not
	// followed yet: what is behind by more is better told the newest values than each of
	// the past. Fifty members that take turns are behind by some 50 ms, a hundred kB
	// when as many commits as possible are made.
	logOctets  = 256 << 10
	logChanges = 512
	// mostHeld bounds what one look encodes for the log; what is more, each
	// member reads for itself, piece by piece.
	mostHeld = 1 << 20
)

// feeds are a server's feeds by what they are of.
type feeds struct {
	mu sync.Mutex
	by map[string]*feed
}

// feedKey says what the on-change subscriptions of a stream are. Equal keys mean
// equal messages.
func (c *stream) feedKey(subs []*subscription) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %d %v %q %q %p", c.encoding, c.depth, c.filter, slices.Sorted(maps.Keys(c.modules)), c.prefix.GetTarget(), c.prefix.GetOrigin(), c.rights)
	for _, s := range subs {
		fmt.Fprintf(&b, " %p %q %q %v %d", s.schema, s.pattern.String(), s.origin, s.annotation, s.volatile)
	}
	return b.String()
}

// join makes the stream a member of the feed of its on-change subscriptions. The
// feed has learned what there is when it returns, and what changes later reaches
// the member. leave must be called.
func (c *stream) join(ctx context.Context, subs []*subscription) (*member, error) {
	key := c.feedKey(subs)
	c.feeds.mu.Lock()
	f := c.feeds.by[key]
	if f == nil {
		f = c.newFeed(key, subs)
		c.feeds.by[key] = f
	}
	f.uses++
	c.feeds.mu.Unlock()
	c.pacer.members.Add(1)
	m := &member{f: f, c: c, wake: make(chan struct{}, 1), sent: make(chan struct{}, 1)}
	if err := f.learn(ctx); err != nil {
		m.leave()
		return nil, err
	}
	f.logMu.Lock()
	m.next, m.upTo = f.end+1, f.end
	f.members[m] = struct{}{}
	f.logMu.Unlock()
	return m, nil
}

func (c *stream) newFeed(key string, subs []*subscription) *feed {
	own := *c
	own.out = nil
	f := &feed{s: c.Server, key: key, c: &own, changes: newDirty(), stopped: make(chan struct{}), failed: make(chan struct{}),
		members: make(map[*member]struct{})}
	f.changes.bounded = c.filter == tree.ConfigOnly
	for _, sub := range subs {
		f.watches = append(f.watches, &watch{subscription: sub, mem: &seen{}})
	}
	own.hold = f.hold
	// Watched before the first values are read, so that nothing falls between.
	f.unwatch = []func(){c.store.Watch(f.changes.committed), c.source.state.Watch(func(sc StateChange) { f.changes.changed(c.now(), sc) })}
	return f
}

// leave ends the membership, and the feed with its last member.
func (m *member) leave() {
	f := m.f
	f.logMu.Lock()
	delete(f.members, m)
	f.logMu.Unlock()
	f.s.pacer.members.Add(-1)
	f.s.pacer.drop(m)
	f.s.feeds.mu.Lock()
	defer f.s.feeds.mu.Unlock()
	if f.uses--; f.uses > 0 {
		return
	}
	delete(f.s.feeds.by, f.key)
	close(f.stopped)
	for _, stop := range f.unwatch {
		stop()
	}
}

// learn notes what there is, once. Who comes meanwhile waits: for a walk of the
// tree, not for a client.
func (f *feed) learn(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.learned {
		return nil
	}
	f.c.between = ctx.Err
	defer func() { f.c.between = nil }()
	for _, w := range f.watches {
		w.mem = &seen{}
		w.mem.begin(false)
		f.c.brief = true
		err := f.c.eachOf(w.subscription, w.pattern, func(l tree.LeafValue) error {
			v, err := f.c.appendValue(f.c.scratch[:0], l)
			if err == nil {
				f.c.scratch = v
				w.mem.noteEncoded(l.Path, v)
			}
			return err
		})
		f.c.brief = false
		if err != nil {
			return err
		}
	}
	f.learned = true
	go f.run()
	return nil
}

// run looks at what happens until the last member has left.
func (f *feed) run() {
	now := time.Now()
	for _, w := range f.watches {
		if w.subscription.volatile > 0 {
			w.volatile = now.Add(w.subscription.volatile)
		}
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var looked time.Time
	more := false
	for {
		timer.Reset(untilNext(f.watches))
		var err error
		select {
		case <-f.stopped:
			return
		case <-f.changes.wake:
			if pause := f.s.pacer.pause(); pause > 0 && !more {
				time.Sleep(time.Until(looked.Add(pause)))
				f.s.first.wait()
				looked = time.Now()
			}
			more, err = f.look()
		case <-timer.C:
		}
		for i, w := range f.watches {
			if ok, _ := due(&w.volatile, w.subscription.volatile, time.Now()); ok && err == nil {
				err = f.scan(i)
			}
		}
		if err != nil {
			f.err = err
			close(f.failed)
			return
		}
	}
}

// look tells of the differences in what changed since the last look, or of a part of them:
// then there is more to look at, and run is woken.
func (f *feed) look() (more bool, err error) {
	f.s.work()
	defer f.s.rest()
	f.mu.Lock()
	defer f.mu.Unlock()
	marks, more, ends := f.changes.take(marksAtOnce)
	f.begin(nil)
	for _, m := range marks {
		runtime.Gosched() // a commit may be waiting for a processor
		for i, w := range f.watches {
			for _, p := range f.places(w, m) {
				if err := f.differences(i, w, m, p); err != nil {
					return false, err
				}
			}
		}
	}
	for _, w := range f.watches {
		if w.out == nil {
			continue
		}
		if err := w.out.flush(); err != nil {
			return false, err
		}
		w.out = nil
	}
	f.next.ends = ends
	f.publish()
	if more {
		f.changes.again()
	}
	return more, nil
}

// places lists where in the watch's tree the mark shows.
func (f *feed) places(w *watch, m *mark) []tree.Path {
	switch m.in {
	case nil:
		return f.c.placesOf(w.subscription, m.path)
	case w.schema:
		return []tree.Path{m.path}
	}
	return nil
}

// differences tells what of the watch's subscription differs at or below p, where the
// mark shows.
func (f *feed) differences(i int, w *watch, m *mark, p tree.Path) error {
	at := f.c.widened(p)
	q, filter, ok := intersect(w.pattern, at)
	if !ok {
		return nil
	}
	w.mem.begin(true)
	var news []batchOf
	g := gatherer{emit: func(b batchOf) error {
		news = append(news, b)
		return nil
	}}
	err := f.c.eachOf(w.subscription, q, func(l tree.LeafValue) error {
		if filter && !matches(w.pattern, l.Path) {
			return nil
		}
		v, err := f.c.encode(l)
		if err != nil {
			return err
		}
		return g.leaf(l, v, f.note(w, l.Path, v))
	})
	if err == nil {
		err = g.end()
	}
	if err != nil {
		return err
	}
	gone := w.mem.sweep(at, !filter && len(w.pattern) <= len(at))
	if len(gone) == 0 && len(news) == 0 {
		return nil
	}
	last := f.changes.latest(m)
	f.next.marks = append(f.next.marks, told{watch: i, path: at, last: last, times: m.times, lost: gone})
	s, err := f.c.senderFor(w, last, m.times)
	if err != nil {
		return err
	}
	// Deletes go first: within a notification they are done before updates.
	changed, err := f.c.deletes(s, lostPaths(gone), w.mem.has)
	if err != nil {
		return err
	}
	for _, b := range news {
		changed = slices.DeleteFunc(changed, func(p tree.Path) bool { return p.String() == b.at.String() })
		if err := s.send(b); err != nil {
			return err
		}
	}
	return f.c.whole(s, w.subscription, changed, func(l tree.LeafValue, v *gnmi.TypedValue) { w.mem.note(l.Path, v) })
}

// note notes a value that is told to all if it is news: it differs, or nobody has
// told of it.
func (f *feed) note(w *watch, p tree.Path, v *gnmi.TypedValue) bool {
	rev, news := w.mem.note(p, v)
	if rev == untold {
		w.mem.date(p, f.next.number)
		return true
	}
	return news
}

// scan tells of the counters of a watch that moved.
func (f *feed) scan(i int) error {
	f.s.work()
	defer f.s.rest()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin(nil)
	w := f.watches[i]
	s := f.c.sender(w.subscription, f.c.now())
	w.mem.begin(false)
	err := f.c.eachVolatile(w.subscription, func(l tree.LeafValue) error {
		v, err := f.c.encode(l)
		if err != nil || !f.note(w, l.Path, v) {
			return err
		}
		return s.update(l.Path, v)
	})
	if err == nil {
		err = s.flush()
	}
	if err != nil {
		return err
	}
	if len(f.next.messages) > 0 || f.next.tooLarge {
		f.next.scans = []int{i}
	}
	f.publish()
	return nil
}

// begin begins a change; mu is held until publish or the next one.
func (f *feed) begin(by *member) {
	f.next = &change{number: f.end + 1, by: by}
	for _, w := range f.watches {
		w.mem.rev = f.next.number
	}
}

// hold keeps a message of the change that is being read.
func (f *feed) hold(m outgoing) {
	n := f.next
	if n.octets += len(m.b); n.octets > mostHeld {
		n.tooLarge, n.messages = true, nil
	}
	if !n.tooLarge {
		n.messages = append(n.messages, m)
	}
}

// since lists the changes in the log from a number on. logMu is held.
func (f *feed) since(number uint64) []*change {
	// They follow each other without gaps.
	first := f.end + 1 - uint64(len(f.log))
	return f.log[min(uint64(len(f.log)), max(number, first)-first):]
}

// publish puts the change into the log, when it has anything, and out of it what all have
// followed, and what is too old.
func (f *feed) publish() {
	n := f.next
	f.next = nil
	if len(n.marks) == 0 && len(n.scans) == 0 && len(n.ends) == 0 {
		return
	}
	if n.tooLarge {
		n.octets = logOctets + 1
	}
	f.logMu.Lock()
	defer f.logMu.Unlock()
	f.end = n.number
	f.log, f.octets = append(f.log, n), f.octets+n.octets
	first := n.number // that somebody has not followed yet
	for m := range f.members {
		first = min(first, m.next)
	}
	for len(f.log) > 0 && f.log[0].number < first || len(f.log) > logChanges || f.octets > logOctets && (len(f.log) > 1 || n.tooLarge) {
		old := f.log[0]
		f.log[0] = nil
		f.log, f.octets = f.log[1:], f.octets-old.octets
		for m := range f.members {
			if m.next <= old.number {
				m.owe(old)
			}
		}
		if len(f.log) == 0 {
			f.log = nil
		}
	}
	for m := range f.members {
		if m != n.by && m.idle {
			m.idle = false
			f.s.pacer.ask(m)
		}
	}
}

// A hearing is what members find while they read for themselves, and the others
// don't know yet.
type hearing struct {
	out   map[int]*sender
	whole map[int][]tree.Path // atomic nodes
}

// hear notes a value that a member sends by itself, and returns its revision. Counters
// that moved are left to the next scan, other news are told by tell.
func (f *feed) hear(i int, l tree.LeafValue, v *gnmi.TypedValue) (rev uint64, err error) {
	rev, news := f.watches[i].mem.note(l.Path, v)
	return f.heardOf(i, l, rev, news)
}

// hearEncoded is hear for a value that is protobuf already.
func (f *feed) hearEncoded(i int, l tree.LeafValue, v []byte) (rev uint64, err error) {
	rev, news := f.watches[i].mem.noteEncoded(l.Path, v)
	return f.heardOf(i, l, rev, news)
}

func (f *feed) heardOf(i int, l tree.LeafValue, rev uint64, news bool) (uint64, error) {
	if !news {
		return rev, nil
	}
	w := f.watches[i]
	if w.view == nil && f.s.source.isVolatile[l.Node] {
		w.mem.date(l.Path, untold)
		return untold, nil
	}
	now := f.c.now()
	if f.heard == nil {
		f.heard = &hearing{out: make(map[int]*sender), whole: make(map[int][]tree.Path)}
	}
	at := slices.Clone(l.Path)
	if n := l.Node.AtomicElems(); n > 0 {
		at = at[:n]
		list := f.heard.whole[i]
		if len(list) > 0 && at.HasPrefix(list[len(list)-1]) {
			return rev, nil
		}
		f.heard.whole[i] = append(list, at)
	}
	f.next.marks = append(f.next.marks, told{watch: i, path: at, last: now, times: 1})
	if l.Node.AtomicElems() > 0 {
		return rev, nil
	}
	s := f.heard.out[i]
	if s == nil {
		s = f.c.sender(w.subscription, now)
		f.heard.out[i] = s
	}
	v, err := f.c.encode(l)
	if err != nil {
		return rev, err
	}
	return rev, s.update(at, v)
}

// tell publishes what was heard.
func (f *feed) tell() error {
	h := f.heard
	f.heard = nil
	if h != nil {
		for i, w := range f.watches {
			if s := h.out[i]; s != nil {
				if err := s.flush(); err != nil {
					return err
				}
			}
			s := f.c.sender(w.subscription, f.c.now())
			err := f.c.whole(s, w.subscription, h.whole[i], func(l tree.LeafValue, v *gnmi.TypedValue) {
				if _, news := w.mem.note(l.Path, v); news {
					f.next.by = nil // it has sent what was there before
				}
			})
			if err == nil {
				err = s.flush()
			}
			if err != nil {
				return err
			}
		}
	}
	f.publish()
	return nil
}
