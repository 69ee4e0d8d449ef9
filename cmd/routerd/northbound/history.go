package northbound

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// This file answers from the past, as far back as the log of commits goes (gNMI
// history extension). The log holds configuration; of state there is no history.

// checkHistory checks what the extension asks for before anything is read.
func (c *stream) checkHistory(h *gnmi_ext.History, mode gnmi.SubscriptionList_Mode) error {
	now := c.now().UnixNano()
	switch r := h.GetRequest().(type) {
	case *gnmi_ext.History_SnapshotTime:
		switch {
		case mode != gnmi.SubscriptionList_ONCE:
			return failf(codes.InvalidArgument, "a snapshot of history takes mode ONCE, not %s", mode)
		case r.SnapshotTime > now:
			return failf(codes.Unimplemented, "the time of the snapshot lies in the future")
		}
	case *gnmi_ext.History_Range:
		switch {
		case mode != gnmi.SubscriptionList_STREAM:
			return failf(codes.InvalidArgument, "a range of history takes mode STREAM, not %s", mode)
		case r.Range.GetStart() > r.Range.GetEnd():
			return failf(codes.InvalidArgument, "the range of history starts after its end")
		case r.Range.GetEnd() > now:
			return failf(codes.Unimplemented, "the range of history ends in the future")
		}
	default:
		return failf(codes.InvalidArgument, "extension history needs a snapshot_time or a range")
	}
	for _, sub := range c.subs {
		if !slices.ContainsFunc(sub.schema.Nodes(sub.pattern), func(n *tree.Node) bool { return n.Config }) {
			return failf(codes.Unimplemented, "path %s: there is no history of state", sub.pattern)
		}
	}
	return nil
}

// history serves the whole call.
func (c *stream) history(ctx context.Context, h *gnmi_ext.History) error {
	var err error
	if r, ok := h.GetRequest().(*gnmi_ext.History_Range); ok {
		err = c.replay(ctx, time.Unix(0, r.Range.GetStart()), time.Unix(0, r.Range.GetEnd()))
	} else {
		err = c.snapshot(ctx, time.Unix(0, h.GetSnapshotTime()))
	}
	if errors.Is(err, datastore.ErrNoCommit) {
		return failf(codes.OutOfRange, "history doesn't reach back that far (any more): %v", err)
	}
	return err
}

// commits are those of the log, the oldest first, behind the one whose
// configuration was there before; of that one the time may be unknown.
func (c *stream) commits() []datastore.Commit {
	list := c.store.Log()
	slices.Reverse(list)
	if len(list) == 0 {
		return []datastore.Commit{c.store.Last()}
	}
	return slices.Insert(list, 0, datastore.Commit{Number: list[0].Number - 1})
}

// snapshot sends the configuration as it was at a time, and ends.
func (c *stream) snapshot(ctx context.Context, at time.Time) error {
	list := c.commits()
	n := len(list) - 1
	for n > 0 && list[n].Time.After(at) {
		n--
	}
	if n == 0 && list[0].Number > 0 && list[0].Time.IsZero() {
		return failf(codes.OutOfRange, "history goes back to commit %d, of %s", list[1].Number, list[1].Time.Format(time.RFC3339Nano))
	}
	if !c.updatesOnly {
		if err := c.past(ctx, list[n], at, make([]*seen, len(c.subs)), nil); err != nil {
			return err
		}
	}
	return c.sync()
}

// replay sends the configuration as it was at start, and what each commit from
// then on until before end changed, and ends.
func (c *stream) replay(ctx context.Context, start, end time.Time) error {
	list := c.commits()
	n := len(list) - 1
	for n > 0 && !list[n].Time.Before(start) {
		n--
	}
	mem := make([]*seen, len(c.subs))
	for i := range mem {
		mem[i] = &seen{}
	}
	quiet := *c
	if c.updatesOnly {
		quiet.out = nothing{c.out}
	}
	if err := quiet.past(ctx, list[n], start, mem, nil); err != nil {
		return err
	}
	if err := c.sync(); err != nil {
		return err
	}
	for _, commit := range list[n+1:] {
		if !commit.Time.Before(end) {
			break
		}
		ops, err := c.store.Change(commit.Number)
		if err != nil {
			return err
		}
		if err := c.past(ctx, commit, start, mem, c.touched(ops)); err != nil {
			return err
		}
	}
	return nil
}

// nothing is a client that is sent nothing.
type nothing struct{ gnmi.GNMI_SubscribeServer }

func (nothing) Send(*gnmi.SubscribeResponse) error { return nil }

// touched are the subtrees that operations change: the container of a leaf, whose
// defaults may have come with it, or the list entry that a key makes. Of very many
// the root stands for all.
func (c *stream) touched(ops []tree.Op) []tree.Path {
	const most = 1000
	var paths []tree.Path
	known := make(map[string]bool)
	for _, op := range ops {
		p := op.Path
		n := c.schema.Root
		for _, e := range p {
			n = n.Child(e.GetName())
		}
		switch {
		case n.IsKey():
			p = p[:len(p)-1]
		case n.KeyCopy:
			p = p[:len(p)-2]
		case n.IsLeaf():
			p = p[:len(p)-1]
		}
		p = c.widened(p)
		if id := p.String(); !known[id] {
			known[id] = true
			paths = append(paths, p)
		}
		if len(paths) > most {
			return []tree.Path{nil}
		}
	}
	return paths
}

// A look is what a subscription has at and below a path.
type look struct {
	sub    int
	at     tree.Path
	whole  bool // all at and below the path is the subscription's
	leaves []tree.LeafValue
}

// past sends the configuration after a commit: all of it when paths is nil, else
// what differs from the memory at and below these. A commit without a time has
// that of the request.
func (c *stream) past(ctx context.Context, commit datastore.Commit, start time.Time, mem []*seen, paths []tree.Path) error {
	if paths == nil {
		paths = []tree.Path{nil}
	}
	var looks []look
	err := c.store.At(ctx, commit.Number, func(dev *gen.Device) {
		for i, sub := range c.subs {
			for _, p := range pastPlaces(sub, paths) {
				if q, filter, ok := intersect(sub.pattern, p); ok {
					l := look{sub: i, at: p, whole: !filter && len(sub.pattern) <= len(p)}
					l.leaves = c.configAt(dev, sub, q, filter)
					looks = append(looks, l)
				}
			}
		}
	})
	if err != nil {
		return err
	}
	stamp := commit.Time
	if stamp.IsZero() {
		stamp = start
	}
	for _, l := range looks {
		if err := c.sendLook(l, mem[l.sub], stamp); err != nil {
			return err
		}
	}
	return nil
}

// configAt collects the leaves of dev that q finds and the stream wants.
func (c *stream) configAt(dev *gen.Device, sub *subscription, q tree.Path, filter bool) []tree.LeafValue {
	var leaves []tree.LeafValue
	w := c.walker()
	w.Config, w.Filter = dev, tree.ConfigOnly
	if sub.view != nil {
		w.Schema = sub.schema
		w.Config, _ = sub.view.Read(dev, nil, c.now(), time.Time{}, q)
	}
	w.Leaf = func(l tree.LeafValue) error {
		if c.wanted(l) && (!filter || matches(sub.pattern, l.Path)) {
			leaves = append(leaves, l)
		}
		return nil
	}
	// Leaf returns no error, and nothing but configuration is read.
	_ = w.Walk(q)
	return leaves
}

func (c *stream) sendLook(l look, mem *seen, stamp time.Time) error {
	s := c.sender(c.subs[l.sub], stamp)
	if mem == nil {
		mem = &seen{}
	}
	mem.begin(true)
	values, news := make([]*gnmi.TypedValue, len(l.leaves)), make([]bool, len(l.leaves))
	for i, leaf := range l.leaves {
		v, err := c.encode(leaf)
		if err != nil {
			return err
		}
		values[i] = v
		_, news[i] = mem.note(leaf.Path, v)
	}
	changed, err := c.deletes(s, lostPaths(mem.sweep(l.at, l.whole)), mem.has)
	if err != nil {
		return err
	}
	again := make(map[string]bool) // atomic nodes that lost a leaf
	for _, at := range changed {
		again[at.String()] = true
	}
	g := gatherer{emit: s.send}
	for i, leaf := range l.leaves {
		lost := false
		if n := leaf.Node.AtomicElems(); n > 0 && len(again) > 0 {
			lost = again[leaf.Path[:n].String()]
		}
		if err := g.leaf(leaf, values[i], news[i] || lost); err != nil {
			return err
		}
	}
	if err := g.end(); err != nil {
		return err
	}
	return s.flush()
}
