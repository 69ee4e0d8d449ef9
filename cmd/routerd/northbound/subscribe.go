package northbound

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/northbound/openconfig"
)

// A subscription is one checked element of a SubscriptionList.
type subscription struct {
	pattern tree.Path // as asked for, spelled as concrete paths are
	schema  *tree.Schema
	view    *openconfig.View    // nil for the native tree
	members map[string][]string // of the view: instances that the client has units in, by the entries' ids
	origin  string              // echoed
	// annotation is set when the request spells the path as that of an annotation.
	annotation bool
	onChange   bool // STREAM: send on change, else on a timer
	interval   time.Duration
	suppress   bool
	beat       time.Duration // 0 for none
	volatile   time.Duration // onChange: how often counters are looked at; 0 when there are none
}

// Subscribe implements gNMI's Subscribe (specification, section 3.5).
func (s *Server) Subscribe(stream gnmi.GNMI_SubscribeServer) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	list := first.GetSubscribe()
	if list == nil {
		return failf(codes.InvalidArgument, "the first message must be a SubscriptionList")
	}
	c, err := s.newStream(stream, first)
	if err != nil {
		return err
	}
	if q := list.GetQos(); q != nil {
		unmark, err := s.mark(stream.Context(), q.GetMarking())
		if err != nil {
			return err
		}
		defer unmark()
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel() // ends the goroutine below
	in := make(chan message)
	go receive(ctx, stream, in)
	if c.asks != nil {
		return c.history(ctx, c.asks)
	}
	switch list.GetMode() {
	case gnmi.SubscriptionList_ONCE:
		return c.sendFirst()
	case gnmi.SubscriptionList_POLL:
		return c.poll(ctx, in)
	case gnmi.SubscriptionList_STREAM:
		return c.run(ctx, in)
	default:
		return failf(codes.InvalidArgument, "mode %d is unknown", list.GetMode())
	}
}

// A message is what the client sent, or why it sends no more.
type message struct {
	req *gnmi.SubscribeRequest
	err error
}

// receive passes the client's messages on until they end or nobody listens.
// Its Recv returns when the handler does, at the latest.
func receive(ctx context.Context, stream gnmi.GNMI_SubscribeServer, in chan<- message) {
	for {
		req, err := stream.Recv()
		select {
		case in <- message{req, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// errStopping ends streams when the server stops.
var errStopping = failf(codes.Unavailable, "the router is stopping")

// poll answers each Poll with all values. A client that closes its side ends it.
func (c *stream) poll(ctx context.Context, in <-chan message) error {
	if err := c.sendFirst(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.done:
			return errStopping
		case m := <-in:
			switch {
			case errors.Is(m.err, io.EOF):
				return nil
			case m.err != nil:
				return m.err
			case m.req.GetPoll() == nil:
				return failf(codes.InvalidArgument, "after the SubscriptionList of a POLL subscription only Poll may come")
			}
			if err := c.sendFirst(); err != nil {
				return err
			}
		}
	}
}

// sendFirst sends what comes before a sync_response, and that.
func (c *stream) sendFirst() error {
	if !c.updatesOnly {
		if err := c.sendAll(); err != nil {
			return err
		}
	}
	return c.sync()
}

// newStream checks a SubscriptionList.
func (s *Server) newStream(out gnmi.GNMI_SubscribeServer, req *gnmi.SubscribeRequest) (*stream, error) {
	list := req.GetSubscribe()
	want, err := extensions(req.GetExtension(), rpcSubscribe)
	if err != nil {
		return nil, err
	}
	if err := checkEncoding(list.GetEncoding()); err != nil {
		return nil, err
	}
	modules, err := useModels(list.GetUseModels())
	if err != nil {
		return nil, err
	}
	if len(list.GetSubscription()) == 0 {
		return nil, failf(codes.InvalidArgument, "the SubscriptionList has no subscription: give one for each path")
	}
	c := &stream{Server: s, out: out, prefix: list.GetPrefix(), encoding: list.GetEncoding(), modules: modules,
		depth: want.depth, updatesOnly: list.GetUpdatesOnly(), readable: s.readFilter(out.Context())}
	if r, everything := rights(out.Context()); c.readable != nil && !everything {
		c.rights = r
	}
	if want.configOnly {
		c.filter = tree.ConfigOnly
	}
	for _, sub := range list.GetSubscription() {
		p, err := s.readPath(list.GetPrefix(), sub.GetPath())
		if err != nil {
			return nil, err
		}
		if err := s.mayReadOf(out.Context(), p); err != nil {
			return nil, err
		}
		if err := checkView(list.GetEncoding(), p); err != nil {
			return nil, err
		}
		one := &subscription{pattern: p.schema.Canonical(p.path), schema: p.schema, view: p.view, origin: sub.GetPath().GetOrigin(), annotation: isAnnotation(list.GetPrefix(), sub.GetPath())}
		if list.GetMode() == gnmi.SubscriptionList_STREAM {
			if err := s.checkMode(one, sub, want.configOnly); err != nil {
				return nil, err
			}
		}
		c.subs = append(c.subs, one)
	}
	if c.asks = want.history; c.asks != nil {
		return c, c.checkHistory(c.asks, list.GetMode())
	}
	return c, nil
}

// checkMode takes over how one path of a STREAM is to be watched.
func (s *Server) checkMode(one *subscription, sub *gnmi.Subscription, configOnly bool) error {
	interval, beat := sub.GetSampleInterval(), sub.GetHeartbeatInterval()
	const longest = uint64(1<<63 - 1)
	if interval > longest || beat > longest {
		return failf(codes.InvalidArgument, "path %s: an interval is longer than 292 years", one.pattern)
	}
	one.interval, one.beat, one.suppress = time.Duration(interval), time.Duration(beat), sub.GetSuppressRedundant()
	if beat > 0 && one.beat < s.opt.MinSample {
		return failf(codes.InvalidArgument, "path %s: heartbeat_interval %v is too short: %v is the shortest", one.pattern, one.beat, s.opt.MinSample)
	}
	switch sub.GetMode() {
	case gnmi.SubscriptionMode_TARGET_DEFINED, gnmi.SubscriptionMode_ON_CHANGE:
		if interval != 0 && sub.GetMode() == gnmi.SubscriptionMode_TARGET_DEFINED {
			return failf(codes.InvalidArgument, "path %s: with TARGET_DEFINED the router chooses the interval: leave sample_interval out", one.pattern)
		}
		one.onChange = true
		if !configOnly && coversVolatile(one) {
			one.volatile = s.opt.Volatile
			if sub.GetMode() == gnmi.SubscriptionMode_TARGET_DEFINED {
				one.volatile *= 2
			}
		}
	case gnmi.SubscriptionMode_SAMPLE:
		if interval == 0 {
			one.interval = s.opt.MinSample
		}
		if one.interval < s.opt.MinSample {
			return failf(codes.InvalidArgument, "path %s: sample_interval %v is too short: %v is the shortest, and what 0 asks for",
				one.pattern, one.interval, s.opt.MinSample)
		}
	default:
		return failf(codes.InvalidArgument, "path %s: mode %d is unknown", one.pattern, sub.GetMode())
	}
	return nil
}

// coversVolatile reports whether the subscription can have counters or gauges.
func coversVolatile(sub *subscription) bool {
	var below func(n *tree.Node) bool
	below = func(n *tree.Node) bool {
		if sub.view == nil && isVolatile(n) || sub.view != nil && slices.Contains(viewVolatile, n.SchemaPath()) {
			return true
		}
		return slices.ContainsFunc(n.Children, below)
	}
	for _, n := range sub.schema.Nodes(sub.pattern) {
		// A leaf of the view's counters is below the place that is listed.
		for at := n; sub.view != nil && at.Parent != nil; at = at.Parent {
			if slices.Contains(viewVolatile, at.SchemaPath()) {
				return true
			}
		}
		if below(n) {
			return true
		}
	}
	return false
}
