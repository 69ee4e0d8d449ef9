package northbound

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// Get implements gNMI's Get (specification, section 3.3): one notification for
// each path, all of one snapshot of the configuration.
func (s *Server) Get(ctx context.Context, req *gnmi.GetRequest) (*gnmi.GetResponse, error) {
	want, err := extensions(req.GetExtension(), rpcGet)
	if err != nil {
		return nil, err
	}
	if err := checkEncoding(req.GetEncoding()); err != nil {
		return nil, err
	}
	modules, err := useModels(req.GetUseModels())
	if err != nil {
		return nil, err
	}
	g := getter{Server: s, encoding: req.GetEncoding(), modules: modules, left: s.opt.MaxMessage,
		readable: s.readFilter(ctx), walker: tree.Walker{Schema: s.schema, Defaults: true, Depth: want.depth, Hide: true}}
	switch req.GetType() {
	case gnmi.GetRequest_ALL:
		g.walker.Filter = tree.All
	case gnmi.GetRequest_CONFIG:
		g.walker.Filter = tree.ConfigOnly
	case gnmi.GetRequest_STATE:
		g.walker.Filter = tree.StateOnly
	case gnmi.GetRequest_OPERATIONAL:
		g.walker.Filter = tree.Operational
	default:
		return nil, failf(codes.InvalidArgument, "data type %d is unknown", req.GetType())
	}
	paths := make([]readable, len(req.GetPath()))
	for i, p := range req.GetPath() {
		if o, _ := origin(req.GetPrefix(), p); o == cliOrigin {
			if err := checkCommands(req); err != nil {
				return nil, err
			}
			g.commands = append(g.commands, i)
			paths[i].schema = s.schema
			continue // the root: its path is ignored
		}
		if paths[i], err = s.readPath(req.GetPrefix(), p); err != nil {
			return nil, err
		}
		if err := checkView(req.GetEncoding(), paths[i]); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		// A prefix alone asks for what it names.
		if o, _ := origin(req.GetPrefix(), nil); o == cliOrigin {
			if err := checkCommands(req); err != nil {
				return nil, err
			}
			paths, g.commands = []readable{{schema: s.schema}}, []int{0}
		} else {
			p, err := s.readPath(req.GetPrefix(), nil)
			if err != nil {
				return nil, err
			}
			if err := checkView(req.GetEncoding(), p); err != nil {
				return nil, err
			}
			paths = []readable{p}
		}
	}
	if err := s.mayReadOf(ctx, paths...); err != nil {
		return nil, err
	}
	resp, err := g.answer(paths)
	if errors.Is(err, errTooLarge) {
		return nil, failf(codes.ResourceExhausted, "the answer is larger than a message may be (%d octets): "+
			"ask for a narrower path, or use Subscribe ONCE, which streams", s.opt.MaxMessage)
	}
	if err != nil {
		return nil, err
	}
	for i, n := range resp.GetNotification() {
		n.Timestamp, n.Prefix = g.at.UnixNano(), echo(req.GetPrefix())
		if i < len(req.GetPath()) {
			annotation := isAnnotation(req.GetPrefix(), req.GetPath()[i])
			for _, u := range n.GetUpdate() {
				u.Path.Origin = req.GetPath()[i].GetOrigin()
				u.Path.Elem = asAsked(u.Path.Elem, annotation)
			}
		}
	}
	return resp, nil
}

// echo is the prefix of an answer: the request's target and origin. Paths in
// answers are absolute.
func echo(prefix *gnmi.Path) *gnmi.Path {
	if prefix.GetTarget() == "" && prefix.GetOrigin() == "" {
		return nil
	}
	return &gnmi.Path{Target: prefix.GetTarget(), Origin: prefix.GetOrigin()}
}

var errTooLarge = errors.New("answer too large")

// cost is the least that a leaf adds to the answer, in octets. It ends a walk
// early that could never fit, before it has filled the memory.
func (g *getter) cost(l tree.LeafValue) int {
	const separators = 5 // "":x,
	n := separators + len(l.Node.Name) + l.Value.Size()
	if g.encoding == gnmi.Encoding_PROTO && !l.Extra {
		for _, e := range l.Path {
			n += len(e.GetName()) + 4 // two tags, two lengths
		}
	}
	return n
}

// A getter gathers the answer to one Get. Leaves are collected while the
// configuration is locked, which is quick, and encoded afterwards.
type getter struct {
	*Server
	encoding gnmi.Encoding
	walker   tree.Walker
	modules  map[string]bool
	readable func(tree.LeafValue) bool // nil: all is
	left     int                       // octets that the answer may still take
	least    int                       // octets that the leaves so far take at least
	at       time.Time                 // of the snapshot
	commands []int                     // indices of the paths of origin routerd_cli

	matches []*found
	later   []later
}

// A found is one node that a path matched, with the leaves there.
type found struct {
	path   int // index among the request's paths
	node   *tree.Node
	at     tree.Path
	leaves []tree.LeafValue
}

// A later is a long list of state, to be read when nothing is locked.
type later struct {
	tree.Deferred
	path int
	into *found // the match that the list belongs to, when there is one already

	filter tree.Filter
}

func (g *getter) answer(paths []readable) (*gnmi.GetResponse, error) {
	var err error
	g.store.View(func(dev *gen.Device, commit datastore.Commit) {
		g.at = g.now()
		filter := g.walker.Filter
		for i, p := range paths {
			g.walker.Schema, g.walker.Config, g.walker.State = p.schema, dev, g.source.at(commit)
			if p.view != nil {
				g.walker.Config, g.walker.State = p.view.Read(dev, g.source.state, g.at, commit.Time, p.path)
			}
			g.walker.Filter, g.walker.Defaults = filter, g.defaults(p)
			if slices.Contains(g.commands, i) {
				g.walker.Filter = tree.ConfigOnly
			}
			if err = g.collect(i, func() error { return g.walker.Walk(p.path) }, nil); err != nil {
				return
			}
		}
		g.walker.Schema, g.walker.Config, g.walker.State = g.schema, dev, g.source.at(commit)
	})
	if err != nil {
		return nil, err
	}
	for _, l := range g.later {
		g.walker.Filter = l.filter
		if err := g.collect(l.path, func() error { return g.walker.Resume(l.Deferred) }, l.into); err != nil {
			return nil, err
		}
	}
	resp := &gnmi.GetResponse{Notification: make([]*gnmi.Notification, len(paths))}
	have := make([]bool, len(paths))
	for i := range paths {
		resp.Notification[i] = &gnmi.Notification{}
	}
	for _, f := range g.matches {
		n := resp.GetNotification()[f.path]
		before := len(n.GetUpdate())
		if err := g.encode(n, f); err != nil {
			return nil, err
		}
		have[f.path] = have[f.path] || len(n.GetUpdate()) > before
	}
	for i, p := range paths {
		if !have[i] && len(p.path) > 0 && !isPattern(p.schema, p.path) {
			return nil, failf(codes.NotFound, "path %s: there is no such data", p.path)
		}
	}
	if proto.Size(resp) > g.opt.MaxMessage {
		return nil, errTooLarge
	}
	return resp, nil
}

// collect runs one walk for the path of that index. into is the match that the
// walk goes on with.
func (g *getter) collect(path int, walk func() error, into *found) error {
	g.walker.Match = func(node *tree.Node, at tree.Path) error {
		into = &found{path: path, node: node, at: at}
		g.matches = append(g.matches, into)
		return nil
	}
	g.walker.Leaf = func(l tree.LeafValue) error {
		if g.modules != nil && !g.modules[l.Node.Module] || g.readable != nil && !g.readable(l) {
			return nil
		}
		if g.least += g.cost(l); g.least > g.opt.MaxMessage {
			return errTooLarge
		}
		into.leaves = append(into.leaves, l)
		return nil
	}
	g.walker.Defer = func(d tree.Deferred) bool {
		if d.Node != g.source.rib {
			return false
		}
		g.later = append(g.later, later{d, path, into, g.walker.Filter})
		return true
	}
	return walk()
}

// encode adds the updates of a match: one of JSON, or one for each leaf. A match
// without leaves, but for the root, is no data.
func (g *getter) encode(n *gnmi.Notification, f *found) error {
	if g.encoding == gnmi.Encoding_PROTO {
		for _, l := range f.leaves {
			if !l.Extra {
				n.Update = append(n.Update, &gnmi.Update{Path: &gnmi.Path{Elem: l.Path}, Val: l.Value.Typed()})
			}
		}
		return nil
	}
	if g.encoding == gnmi.Encoding_ASCII {
		return g.encodeASCII(n, f)
	}
	o := tree.NewObject(f.node, f.at, g.encoding == gnmi.Encoding_JSON_IETF)
	for _, l := range f.leaves {
		o.Add(l)
	}
	f.leaves = nil
	if o.Empty() && len(f.at) > 0 {
		return nil
	}
	b, err := o.JSON()
	if err != nil {
		return failf(codes.Internal, "path %s: %v", f.at, err)
	}
	if g.left -= len(b); g.left < 0 {
		return errTooLarge
	}
	n.Update = append(n.Update, &gnmi.Update{Path: &gnmi.Path{Elem: f.at}, Val: jsonValue(g.encoding, b)})
	return nil
}

func jsonValue(e gnmi.Encoding, b []byte) *gnmi.TypedValue {
	if e == gnmi.Encoding_JSON_IETF {
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: b}}
	}
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonVal{JsonVal: b}}
}
