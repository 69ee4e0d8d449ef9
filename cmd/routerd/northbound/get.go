package northbound

import (
	"context"
	"errors"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// Get implements gNMI's Get (specification, section 3.3): one notification for
// each path, all of one snapshot of the configuration.
func (s *Server) Get(_ context.Context, req *gnmi.GetRequest) (*gnmi.GetResponse, error) {
	depth, err := extensions(req.GetExtension(), true)
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
	g := getter{Server: s, req: req, modules: modules, left: s.opt.MaxMessage,
		walker: tree.Walker{Schema: s.schema, Defaults: true, Depth: depth}}
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
	paths := make([]tree.Path, len(req.GetPath()))
	for i, p := range req.GetPath() {
		if paths[i], err = readPath(s.schema, req.GetPrefix(), p); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		// A prefix alone asks for what it names.
		p, err := readPath(s.schema, req.GetPrefix(), nil)
		if err != nil {
			return nil, err
		}
		paths = []tree.Path{p}
	}
	resp := &gnmi.GetResponse{}
	now := s.now().UnixNano()
	s.store.View(func(dev *gen.Device, commit datastore.Commit) {
		g.walker.Config, g.walker.State = dev, s.source.at(commit)
		for i, p := range paths {
			var n *gnmi.Notification
			if n, err = g.notification(p); err != nil {
				return
			}
			n.Timestamp = now
			n.Prefix = echo(req.GetPrefix())
			if i < len(req.GetPath()) {
				for _, u := range n.GetUpdate() {
					u.Path.Origin = req.GetPath()[i].GetOrigin()
				}
			}
			resp.Notification = append(resp.Notification, n)
		}
	})
	if err == nil && proto.Size(resp) > s.opt.MaxMessage {
		err = errTooLarge
	}
	if errors.Is(err, errTooLarge) {
		return nil, failf(codes.ResourceExhausted, "the answer is larger than a message may be (%d octets): "+
			"ask for a narrower path, or use Subscribe ONCE, which streams", s.opt.MaxMessage)
	}
	if err != nil {
		return nil, err
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

// leafCost is the least that a leaf adds to a JSON answer, in octets: it lets
// a walk end early that could never fit.
const leafCost = 8

type getter struct {
	*Server
	req     *gnmi.GetRequest
	walker  tree.Walker
	modules map[string]bool
	left    int
}

// notification answers one path.
func (g *getter) notification(p tree.Path) (*gnmi.Notification, error) {
	n := &gnmi.Notification{}
	var object *tree.Object
	var at tree.Path
	found := false
	flush := func() error {
		if object == nil || object.Empty() && len(at) > 0 {
			return nil
		}
		b, err := object.JSON()
		if err != nil {
			return failf(codes.Internal, "path %s: %v", at, err)
		}
		if g.left -= len(b); g.left < 0 {
			return errTooLarge
		}
		n.Update = append(n.Update, &gnmi.Update{Path: &gnmi.Path{Elem: at}, Val: jsonValue(g.req.GetEncoding(), b)})
		return nil
	}
	leaves := 0
	g.walker.Match = func(node *tree.Node, mp tree.Path) error {
		if g.req.GetEncoding() == gnmi.Encoding_PROTO {
			return nil
		}
		if err := flush(); err != nil {
			return err
		}
		leaves = 0
		object, at = tree.NewObject(node, mp, g.req.GetEncoding() == gnmi.Encoding_JSON_IETF), mp
		return nil
	}
	g.walker.Leaf = func(l tree.LeafValue) error {
		if g.modules != nil && !g.modules[l.Node.Module] {
			return nil
		}
		if leaves++; leaves*leafCost > g.left {
			return errTooLarge
		}
		found = found || !l.Extra
		if object != nil {
			object.Add(l)
			return nil
		}
		if l.Extra {
			return nil
		}
		u := &gnmi.Update{Path: &gnmi.Path{Elem: l.Path}, Val: l.Value.Typed()}
		if g.left -= proto.Size(u); g.left < 0 {
			return errTooLarge
		}
		n.Update = append(n.Update, u)
		return nil
	}
	if err := g.walker.Walk(p); err != nil {
		return nil, err
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if !found && len(p) > 0 && !isPattern(g.schema, p) {
		return nil, failf(codes.NotFound, "path %s: there is no such data", p)
	}
	return n, nil
}

func jsonValue(e gnmi.Encoding, b []byte) *gnmi.TypedValue {
	if e == gnmi.Encoding_JSON_IETF {
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: b}}
	}
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonVal{JsonVal: b}}
}
