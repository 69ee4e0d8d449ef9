package northbound

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore/tree"
)

// A stream is one Subscribe call. Everything is computed and sent by the one
// goroutine of the call: while the client doesn't read, Send waits, changes gather in
// the dirty set, and the values sent later are those of then.
type stream struct {
	*Server
	out         gnmi.GNMI_SubscribeServer
	prefix      *gnmi.Path
	subs        []*subscription
	encoding    gnmi.Encoding
	modules     map[string]bool
	readable    func(tree.LeafValue) bool // nil: all is
	depth       int
	filter      tree.Filter
	asks        *gnmi_ext.History // nil for the present
	updatesOnly bool
	working     bool // the stream has one of the Server's turns
}

// batch is how many updates a notification takes. One update holds one leaf.
const batch = 128

// marksAtOnce is how many changed subtrees are looked at between two looks at
// the timers.
const marksAtOnce = 256

// A sender gathers updates into notifications.
type sender struct {
	c          *stream
	origin     string
	annotation bool
	stamp      int64
	duplicates uint32
	n          *gnmi.Notification
}

func (c *stream) sender(sub *subscription, at time.Time) *sender {
	return &sender{c: c, origin: sub.origin, annotation: sub.annotation, stamp: at.UnixNano()}
}

func (s *sender) notification() *gnmi.Notification {
	if s.n == nil {
		s.n = &gnmi.Notification{Timestamp: s.stamp, Prefix: echo(s.c.prefix)}
	}
	return s.n
}

func (s *sender) update(p tree.Path, v *gnmi.TypedValue) error {
	n := s.notification()
	n.Update = append(n.Update, &gnmi.Update{Path: &gnmi.Path{Origin: s.origin, Elem: asAsked(p, s.annotation)}, Val: v, Duplicates: s.duplicates})
	if len(n.Update) < batch {
		return nil
	}
	return s.flush()
}

func (s *sender) delete(p tree.Path) error {
	if s.n != nil && len(s.n.Update) > 0 {
		// Within a notification deletes are done before updates.
		if err := s.flush(); err != nil {
			return err
		}
	}
	n := s.notification()
	n.Delete = append(n.Delete, &gnmi.Path{Origin: s.origin, Elem: asAsked(p, s.annotation)})
	if len(n.Delete) < batch {
		return nil
	}
	return s.flush()
}

func (s *sender) flush() error {
	if s.n == nil {
		return nil
	}
	n := s.n
	s.n = nil
	s.c.calls.updates.Add(uint64(len(n.GetUpdate())))
	s.c.calls.coalesced.Add(uint64(s.duplicates))
	return s.c.send(&gnmi.SubscribeResponse{Response: &gnmi.SubscribeResponse_Update{Update: n}})
}

// send waits for the client, and lets others have the turn meanwhile.
func (c *stream) send(r *gnmi.SubscribeResponse) error {
	if !c.working {
		return c.out.Send(r)
	}
	c.rest()
	defer c.work()
	return c.out.Send(r)
}

// work takes a turn, rest gives it back. There are fewer turns than processors, so
// that a change that many streams tell of leaves one for the commits that follow it.
func (c *stream) work() { c.turns <- struct{}{}; c.working = true }
func (c *stream) rest() { <-c.turns; c.working = false }

func (c *stream) sync() error {
	return c.out.Send(&gnmi.SubscribeResponse{Response: &gnmi.SubscribeResponse_SyncResponse{SyncResponse: true}})
}

// encode is the leaf's value in the stream's encoding.
func (c *stream) encode(l tree.LeafValue) (*gnmi.TypedValue, error) {
	if c.encoding == gnmi.Encoding_PROTO {
		return l.Value.Typed(), nil
	}
	if c.encoding == gnmi.Encoding_ASCII {
		return asciiLeaf(l.Value), nil
	}
	o := tree.NewObject(l.Node, l.Path, c.encoding == gnmi.Encoding_JSON_IETF)
	o.Add(l)
	b, err := o.JSON()
	if err != nil {
		return nil, failf(codes.Internal, "path %s: %v", l.Path, err)
	}
	return jsonValue(c.encoding, b), nil
}

// sendAll sends the values of all subscriptions (ONCE and POLL).
func (c *stream) sendAll() error {
	for _, sub := range c.subs {
		if err := c.sample(sub, nil, false, 0); err != nil {
			return err
		}
	}
	return nil
}

// sample sends the values of a subscription; with a memory, it keeps what was
// sent, and with onlyNews it sends only what differs.
func (c *stream) sample(sub *subscription, mem *seen, onlyNews bool, duplicates uint32) error {
	if c.canEncode(sub) {
		return c.sampleEncoded(sub, mem, onlyNews, duplicates)
	}
	s := c.sender(sub, c.now())
	s.duplicates = duplicates
	if mem != nil {
		mem.begin()
	}
	g := gatherer{emit: s.send}
	err := c.eachOf(sub, sub.pattern, func(l tree.LeafValue) error {
		v, err := c.encode(l)
		if err != nil {
			return err
		}
		news := mem == nil || mem.note(l.Path, v) || !onlyNews
		return g.leaf(l, v, news)
	})
	if err == nil {
		err = g.end()
	}
	if err != nil {
		return err
	}
	if mem != nil && !sub.onChange {
		// A sampled leaf that is gone is only forgotten: samples have no deletes.
		// What is left of an atomic node is news, though.
		gone := mem.sweep(nil, false)
		if err := c.resend(s, sub, mem, gone, onlyNews); err != nil {
			return err
		}
	}
	return s.flush()
}

// learn fills the memory without sending (updates_only).
func (c *stream) learn(sub *subscription, mem *seen) error {
	mem.begin()
	return c.eachOf(sub, sub.pattern, func(l tree.LeafValue) error {
		v, err := c.encode(l)
		if err == nil {
			mem.note(l.Path, v)
		}
		return err
	})
}

// A watch is a subscription of a STREAM with its timers. A zero time is never.
type watch struct {
	*subscription
	out      *sender // of what has not been sent yet
	mem      *seen
	sample   time.Time
	beat     time.Time
	volatile time.Time
}

func (w *watch) next() time.Time {
	var first time.Time
	for _, t := range []time.Time{w.sample, w.beat, w.volatile} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// run serves a STREAM until the client goes or the server stops.
func (c *stream) run(ctx context.Context, in <-chan message) error {
	changes := newDirty()
	changes.bounded = c.filter == tree.ConfigOnly && c.hasOnChange()
	// Watched before the first values are read, so that nothing falls between.
	defer c.store.Watch(changes.committed)()
	defer c.source.state.Watch(func(sc StateChange) { changes.changed(c.now(), sc) })()
	watches, err := c.start()
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilNext(watches))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.done:
			return errStopping
		case m := <-in:
			switch {
			case errors.Is(m.err, io.EOF):
				in = nil // it sends no more but still listens
			case m.err != nil:
				return m.err
			default:
				return failf(codes.InvalidArgument, "nothing may follow the SubscriptionList of a STREAM subscription")
			}
		case <-changes.wake:
			if err := c.deliver(watches, changes); err != nil {
				return err
			}
		case <-timer.C:
		}
		for _, w := range watches {
			if err := c.tick(w, time.Now()); err != nil {
				return err
			}
		}
	}
}

// start sends the first values and sync_response, and sets the timers.
func (c *stream) start() ([]*watch, error) {
	var watches []*watch
	for _, sub := range c.subs {
		w := &watch{subscription: sub}
		if sub.onChange || sub.suppress {
			w.mem = &seen{}
		}
		var err error
		switch {
		case !c.updatesOnly:
			err = c.sample(sub, w.mem, false, 0)
		case w.mem != nil:
			err = c.learn(sub, w.mem)
		}
		if err != nil {
			return nil, err
		}
		watches = append(watches, w)
	}
	now := time.Now()
	for _, w := range watches {
		if !w.onChange {
			w.sample = now.Add(w.interval)
		}
		if w.beats() {
			w.beat = now.Add(w.subscription.beat)
		}
		if w.onChange && w.subscription.volatile > 0 {
			w.volatile = now.Add(w.subscription.volatile)
		}
	}
	return watches, c.sync()
}

// beats reports whether heartbeats mean anything: on change, and for samples
// that leave out what has not changed.
func (w *watch) beats() bool { return w.subscription.beat > 0 && (w.onChange || w.suppress) }

func untilNext(watches []*watch) time.Duration {
	const idle = time.Hour
	wait := idle
	for _, w := range watches {
		if t := w.next(); !t.IsZero() {
			wait = min(wait, max(0, time.Until(t)))
		}
	}
	return wait
}

// tick does what the timers of w ask for. Ticks that went by while the client
// was not reading are one, and counted as duplicates.
func (c *stream) tick(w *watch, now time.Time) error {
	due := func(t *time.Time, every time.Duration) (bool, uint32) {
		if t.IsZero() || t.After(now) {
			return false, 0
		}
		missed := now.Sub(*t) / every
		*t = t.Add((missed + 1) * every)
		return true, uint32(min(missed, 1<<31))
	}
	if ok, missed := due(&w.beat, w.subscription.beat); ok {
		// It also serves as the sample that may be due now.
		if err := c.sample(w.subscription, w.mem, false, missed); err != nil {
			return err
		}
		due(&w.sample, w.interval)
		return nil
	}
	if ok, missed := due(&w.sample, w.interval); ok {
		if err := c.sample(w.subscription, w.mem, w.suppress, missed); err != nil {
			return err
		}
	}
	if ok, _ := due(&w.volatile, w.subscription.volatile); ok {
		return c.lookAtCounters(w)
	}
	return nil
}

// lookAtCounters sends the counters of an ON_CHANGE subscription that moved.
func (c *stream) lookAtCounters(w *watch) error {
	s := c.sender(w.subscription, c.now())
	w.mem.begin()
	err := c.eachVolatile(w.subscription, func(l tree.LeafValue) error {
		v, err := c.encode(l)
		if err != nil || !w.mem.note(l.Path, v) {
			return err
		}
		return s.update(l.Path, v)
	})
	if err != nil {
		return err
	}
	return s.flush()
}

// eachVolatile is each, for what changes without an announcement only.
func (c *stream) eachVolatile(sub *subscription, visit func(tree.LeafValue) error) error {
	places, err := c.volatileOf(sub)
	if err != nil {
		return err
	}
	for _, p := range places {
		q, filter, ok := intersect(sub.pattern, p)
		if !ok {
			continue
		}
		err := c.eachOf(sub, q, func(l tree.LeafValue) error {
			if filter && !matches(sub.pattern, l.Path) || sub.view == nil && !c.source.isVolatile[l.Node] {
				return nil
			}
			return visit(l)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deliver sends the differences in what changed since the last look. What changed
// at one time goes into one notification.
func (c *stream) deliver(watches []*watch, changes *dirty) error {
	c.work()
	defer c.rest()
	marks, more, ends := changes.take(marksAtOnce)
	for _, m := range marks {
		for _, w := range watches {
			if !w.onChange {
				continue
			}
			for _, p := range c.placesOf(w.subscription, m.path) {
				if err := c.differences(w, m, p); err != nil {
					return err
				}
			}
		}
	}
	for _, w := range watches {
		if w.out == nil {
			continue
		}
		if err := w.out.flush(); err != nil {
			return err
		}
		w.out = nil
	}
	if err := c.syncDone(ends); err != nil {
		return err
	}
	if more {
		select {
		case changes.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// differences sends what of the subscription differs at or below p, where the
// mark shows.
func (c *stream) differences(w *watch, m *mark, p tree.Path) error {
	at := c.widened(p)
	q, filter, ok := intersect(w.pattern, at)
	if !ok {
		return nil
	}
	s, err := c.senderFor(w, m)
	if err != nil {
		return err
	}
	w.mem.begin()
	var news []batchOf
	g := gatherer{emit: func(b batchOf) error {
		news = append(news, b)
		return nil
	}}
	err = c.eachOf(w.subscription, q, func(l tree.LeafValue) error {
		if filter && !matches(w.pattern, l.Path) {
			return nil
		}
		v, err := c.encode(l)
		if err != nil {
			return err
		}
		return g.leaf(l, v, w.mem.note(l.Path, v))
	})
	if err == nil {
		err = g.end()
	}
	if err != nil {
		return err
	}
	// Deletes go first: within a notification they are done before updates.
	whole := !filter && len(w.pattern) <= len(at)
	changed, err := c.deletes(s, w.mem.sweep(at, whole), w.mem.has)
	if err != nil {
		return err
	}
	for _, b := range news {
		changed = slices.DeleteFunc(changed, func(p tree.Path) bool { return p.String() == b.at.String() })
		if err := s.send(b); err != nil {
			return err
		}
	}
	return c.whole(s, w.subscription, changed)
}

// senderFor is the watch's sender, for what happened when the mark was made.
func (c *stream) senderFor(w *watch, m *mark) (*sender, error) {
	s := w.out
	if s != nil && s.stamp == m.last.UnixNano() && s.duplicates == m.times-1 {
		return s, nil
	}
	if s != nil {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	s = c.sender(w.subscription, m.last)
	s.duplicates, w.out = m.times-1, s
	return s, nil
}
