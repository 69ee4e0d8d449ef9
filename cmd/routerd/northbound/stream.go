package northbound

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore/tree"
)

// A stream is one Subscribe call. Everything is sent by the one goroutine of the call,
// which computes it too, but for what a feed has computed for many.
type stream struct {
	*Server
	out         gnmi.GNMI_SubscribeServer
	prefix      *gnmi.Path
	subs        []*subscription
	encoding    gnmi.Encoding
	modules     map[string]bool
	readable    func(tree.LeafValue) bool // nil: all is
	rights      *access.Rights            // what readable asks; nil when all is readable
	depth       int
	filter      tree.Filter
	asks        *gnmi_ext.History // nil for the present
	updatesOnly bool

	hold    func(outgoing) // takes messages instead of the client, when it is set
	between func() error   // called where all that was read has been visited; nil for nothing
	tour    *tour          // what is read is part of it; nil for none
	brief   bool           // who visits leaves keeps none of their paths
	scratch []byte
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
	r := &gnmi.SubscribeResponse{Response: &gnmi.SubscribeResponse_Update{Update: n}}
	if s.c.hold == nil {
		s.c.count(len(n.GetUpdate()), s.duplicates)
		return s.c.out.Send(r)
	}
	b, err := proto.Marshal(r)
	if err != nil {
		return failf(codes.Internal, "%v", err)
	}
	s.c.hold(outgoing{b: b, updates: len(n.GetUpdate()), duplicates: s.duplicates})
	return nil
}

// An outgoing message is an encoded SubscribeResponse. Its octets don't change: many
// streams send the same.
type outgoing struct {
	b          written
	updates    int
	duplicates uint32
}

// deliver sends a message, or has it held.
func (c *stream) deliver(m outgoing) error {
	if c.hold != nil {
		c.hold(m)
		return nil
	}
	return c.transmit(m)
}

// transmit sends a message to the client.
func (c *stream) transmit(m outgoing) error {
	c.count(m.updates, m.duplicates)
	return c.out.SendMsg(m.b)
}

func (c *stream) count(updates int, duplicates uint32) {
	c.calls.updates.Add(uint64(updates))
	c.calls.coalesced.Add(uint64(duplicates))
}

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
		if err := c.sample(sub, 0, nil); err != nil {
			return err
		}
	}
	return nil
}

// sample sends the values of a subscription: those that pick, when it is set, wants
// when it is given each with its encoded value.
func (c *stream) sample(sub *subscription, duplicates uint32, pick func(tree.LeafValue, []byte) (bool, error)) error {
	if c.canEncode(sub) {
		return c.sampleEncoded(sub, duplicates, pick)
	}
	s := c.sender(sub, c.now())
	s.duplicates = duplicates
	g := gatherer{emit: s.send}
	err := c.eachOf(sub, sub.pattern, func(l tree.LeafValue) error {
		v, err := c.encode(l)
		if err != nil {
			return err
		}
		wanted := true
		if pick != nil {
			encoded, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(c.scratch[:0], v)
			if err != nil {
				return failf(codes.Internal, "path %s: %v", l.Path, err)
			}
			c.scratch = encoded
			if wanted, err = pick(l, encoded); err != nil {
				return err
			}
		}
		return g.leaf(l, v, wanted)
	})
	if err == nil {
		err = g.end()
	}
	if err != nil {
		return err
	}
	return s.flush()
}

// sampleKept samples a subscription with suppress_redundant: all of it, or with onlyNews
// what differs from the memory; and what is gone (specification, section 3.5.2.3).
func (c *stream) sampleKept(w *watch, onlyNews bool, duplicates uint32) error {
	w.mem.rev++
	w.mem.begin(true)
	err := c.sample(w.subscription, duplicates, func(l tree.LeafValue, encoded []byte) (bool, error) {
		_, news := w.mem.noteEncoded(l.Path, encoded)
		return news || !onlyNews, nil
	})
	if err != nil {
		return err
	}
	gone := lostPaths(w.mem.sweep(nil, false))
	s := c.sender(w.subscription, c.now())
	s.duplicates = duplicates
	changed, err := c.deletes(s, gone, w.mem.has)
	if err != nil {
		return err
	}
	if onlyNews { // else they have been sent
		if err := c.whole(s, w.subscription, changed, nil); err != nil {
			return err
		}
	}
	return s.flush()
}

// learn fills the memory without sending (updates_only).
func (c *stream) learn(w *watch) error {
	w.mem.begin(true)
	err := c.eachOf(w.subscription, w.pattern, func(l tree.LeafValue) error {
		v, err := c.encode(l)
		if err == nil {
			w.mem.note(l.Path, v)
		}
		return err
	})
	w.mem.sweep(nil, false)
	return err
}

// A watch is a subscription of a STREAM with its timers. A zero time is never.
type watch struct {
	*subscription
	out      *sender // of what has not been sent yet
	mem      *seen   // of a feed's, and of samples that leave out what has not changed
	inFeed   int     // which of the feed's watches it is, when it is on change
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
	var onChange []*subscription
	for _, sub := range c.subs {
		if sub.onChange {
			onChange = append(onChange, sub)
		}
	}
	var m *member // nil when nothing is on change
	var wake, failed <-chan struct{}
	if len(onChange) > 0 {
		var err error
		if m, err = c.join(ctx, onChange); err != nil {
			return err
		}
		defer m.leave()
		wake, failed = m.wake, m.f.failed
	}
	watches, err := c.start(m)
	if err != nil {
		return err
	}
	if m != nil {
		if err := m.follow(); err != nil {
			return err
		}
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
		case <-failed:
			return m.f.err
		case msg := <-in:
			switch {
			case errors.Is(msg.err, io.EOF):
				in = nil // it sends no more but still listens
			case msg.err != nil:
				return msg.err
			default:
				return failf(codes.InvalidArgument, "nothing may follow the SubscriptionList of a STREAM subscription")
			}
		case <-wake:
			if err := m.follow(); err != nil {
				return err
			}
			m.done()
		case <-timer.C:
		}
		for _, w := range watches {
			if err := c.tick(m, w, time.Now()); err != nil {
				return err
			}
		}
	}
}

// start sends the first values and sync_response, and sets the timers.
func (c *stream) start(m *member) ([]*watch, error) {
	var watches []*watch
	changing := 0
	for _, sub := range c.subs {
		w := &watch{subscription: sub}
		watches = append(watches, w)
		var err error
		switch {
		case sub.onChange:
			w.inFeed = changing
			changing++
			if !c.updatesOnly {
				err = m.walk(w.inFeed, 0)
			}
		case sub.suppress:
			w.mem = &seen{}
			if c.updatesOnly {
				err = c.learn(w)
			} else {
				err = c.sampleKept(w, false, 0)
			}
		case !c.updatesOnly:
			err = c.sample(sub, 0, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	now := time.Now()
	for _, w := range watches {
		if !w.onChange {
			w.sample = now.Add(w.interval)
		}
		if w.beats() {
			w.beat = now.Add(w.subscription.beat)
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

// due reports whether the time t has come, and how often it should have before; it
// sets t to the next one.
func due(t *time.Time, every time.Duration, now time.Time) (bool, uint32) {
	if t.IsZero() || t.After(now) {
		return false, 0
	}
	missed := now.Sub(*t) / every
	*t = t.Add((missed + 1) * every)
	return true, uint32(min(missed, 1<<31))
}

// tick does what the timers of w ask for. Ticks that went by while the client
// was not reading are one, and counted as duplicates.
func (c *stream) tick(m *member, w *watch, now time.Time) error {
	if ok, missed := due(&w.beat, w.subscription.beat, now); ok {
		if w.onChange {
			if err := m.walk(w.inFeed, missed); err != nil {
				return err
			}
			return m.follow()
		}
		// It also serves as the sample that may be due now.
		due(&w.sample, w.interval, now)
		return c.sampleKept(w, false, missed)
	}
	ok, missed := due(&w.sample, w.interval, now)
	switch {
	case !ok:
		return nil
	case w.suppress:
		return c.sampleKept(w, true, missed)
	}
	return c.sample(w.subscription, missed, nil)
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

// senderFor is the watch's sender, for what happened at that time, and so often before
// that it is told of once.
func (c *stream) senderFor(w *watch, last time.Time, times uint32) (*sender, error) {
	s := w.out
	if s != nil && s.stamp == last.UnixNano() && s.duplicates == times-1 {
		return s, nil
	}
	if s != nil {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	s = c.sender(w.subscription, last)
	s.duplicates, w.out = times-1, s
	return s, nil
}
