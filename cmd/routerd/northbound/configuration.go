package northbound

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/command"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/configpb"
)

// A configuration is the service of configuration.proto: candidates, the log of
// commits and the ways back. It decides nothing: each call is one of the datastore.
type configuration struct {
	configpb.UnimplementedConfigurationServer
	s *Server
}

// kinds are the candidates' kinds as the service has them.
var kinds = map[configpb.Kind]datastore.CandidateKind{
	configpb.Kind_KIND_PRIVATE:   datastore.Private,
	configpb.Kind_KIND_SHARED:    datastore.Shared,
	configpb.Kind_KIND_EXCLUSIVE: datastore.Exclusive,
}

func kindOf(k datastore.CandidateKind) configpb.Kind {
	switch k {
	case datastore.Private:
		return configpb.Kind_KIND_PRIVATE
	case datastore.Shared:
		return configpb.Kind_KIND_SHARED
	case datastore.Exclusive:
		return configpb.Kind_KIND_EXCLUSIVE
	}
	return configpb.Kind_KIND_PRIVATE
}

// Open is an editor's session: it lasts until the client ends the call or is gone.
func (c *configuration) Open(req *configpb.OpenRequest, stream configpb.Configuration_OpenServer) error {
	kind, ok := kinds[req.GetKind()]
	if !ok {
		return failf(codes.InvalidArgument, "candidate kind %d is unknown: want private, shared or exclusive", req.GetKind())
	}
	if req.GetName() != "" && kind != datastore.Shared {
		return failf(codes.InvalidArgument, "only a shared candidate has a name")
	}
	if err := c.s.mayWrite(stream.Context()); err != nil {
		return err
	}
	user, via := Caller(stream.Context())
	candidate, leave, err := c.s.store.OpenCandidate(kind, req.GetName(), user, via)
	if err != nil {
		return configError(err)
	}
	defer leave()
	wake := make(chan struct{}, 1)
	defer c.s.store.Watch(func(datastore.Event) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})()
	for {
		st := candidate.Status()
		m := candidateMessage(st)
		if p, ok := c.s.store.Pending(); ok {
			m.Pending = pendingMessage(p)
		}
		if err := stream.Send(m); err != nil {
			return err
		}
		select {
		case <-wake:
		case <-candidate.Done():
			return configError(fmt.Errorf("candidate %s: %w", st.ID, datastore.ErrNoCandidate))
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-c.s.done:
			return failf(codes.Unavailable, "the router is stopping: the candidate is gone")
		}
	}
}

// List lists the open candidates.
func (c *configuration) List(context.Context, *configpb.ListRequest) (*configpb.ListResponse, error) {
	resp := &configpb.ListResponse{}
	for _, st := range c.s.store.Candidates() {
		resp.Candidate = append(resp.Candidate, candidateMessage(st))
	}
	return resp, nil
}

// candidate finds the candidate of a request.
func (c *configuration) candidate(ctx context.Context, id string) (*datastore.Candidate, error) {
	user, _ := Caller(ctx)
	candidate, err := c.s.store.Candidate(id, user)
	if err != nil {
		return nil, configError(err)
	}
	return candidate, nil
}

// Close discards a candidate.
func (c *configuration) Close(ctx context.Context, req *configpb.CandidateRequest) (*configpb.CloseResponse, error) {
	candidate, err := c.candidate(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	candidate.Close()
	return &configpb.CloseResponse{}, nil
}

// Edit applies edits to a candidate.
func (c *configuration) Edit(ctx context.Context, req *configpb.EditRequest) (*configpb.Candidate, error) {
	candidate, err := c.candidate(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	if len(req.GetEdit()) == 1 && req.GetEdit()[0].GetRollback() != nil {
		return c.rollbackCandidate(ctx, candidate, req.GetEdit()[0].GetRollback())
	}
	list, err := c.changes(req.GetEdit())
	if err != nil {
		return nil, err
	}
	if err := c.authorizeEdits(ctx, req.GetEdit()); err != nil {
		return nil, err
	}
	if err := candidate.Edit(ctx, list...); err != nil {
		return nil, configError(err)
	}
	return candidateMessage(candidate.Status()), nil
}

// Compare lists what a candidate changes.
func (c *configuration) Compare(ctx context.Context, req *configpb.CandidateRequest) (*configpb.Differences, error) {
	candidate, err := c.candidate(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	list, err := candidate.Compare()
	if err != nil {
		return nil, configError(err)
	}
	return &configpb.Differences{Difference: c.differences(ctx, list)}, nil
}

// Check says what the commit of a candidate would do.
func (c *configuration) Check(ctx context.Context, req *configpb.CandidateRequest) (*configpb.Plan, error) {
	candidate, err := c.candidate(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	plan, err := candidate.Check()
	if err != nil {
		return nil, configError(err)
	}
	return c.s.plan(ctx, plan), nil
}

// resolutions are those of the service.
var resolutions = map[configpb.UpdateRequest_Resolution]datastore.Resolution{
	configpb.UpdateRequest_REFUSE: datastore.Refuse,
	configpb.UpdateRequest_MINE:   datastore.Mine,
	configpb.UpdateRequest_THEIRS: datastore.Theirs,
}

// Update lays a candidate on the newest commit.
func (c *configuration) Update(ctx context.Context, req *configpb.UpdateRequest) (*configpb.UpdateResponse, error) {
	candidate, err := c.candidate(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	r, ok := resolutions[req.GetResolution()]
	if !ok {
		return nil, failf(codes.InvalidArgument, "resolution %d is unknown: want refuse, mine or theirs", req.GetResolution())
	}
	settled, err := candidate.Update(ctx, r)
	if err != nil {
		return nil, configError(err)
	}
	return &configpb.UpdateResponse{Candidate: candidateMessage(candidate.Status()), Settled: conflictMessages(settled)}, nil
}

// Discard takes changes of a candidate back.
func (c *configuration) Discard(ctx context.Context, req *configpb.DiscardRequest) (*configpb.Candidate, error) {
	candidate, err := c.candidate(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	paths := make([]tree.Path, len(req.GetPath()))
	for i, p := range req.GetPath() {
		if paths[i], err = parsePath(p); err != nil {
			return nil, err
		}
	}
	if err := candidate.Discard(ctx, paths...); err != nil {
		return nil, configError(err)
	}
	return candidateMessage(candidate.Status()), nil
}

// Read gives what a candidate, or running, has at a path.
func (c *configuration) Read(ctx context.Context, req *configpb.ReadRequest) (*configpb.ReadResponse, error) {
	p, err := parsePath(req.GetPath())
	if err != nil {
		return nil, err
	}
	checked, err := c.s.readPath(nil, &gnmi.Path{Elem: p})
	if err != nil {
		return nil, err
	}
	pattern := checked.path
	p = marks.Widen(pattern)
	if err := c.s.mayRead(ctx, []tree.Path{p}); err != nil {
		return nil, err
	}
	readable := c.s.readFilter(ctx)
	var matches []*found
	var all []tree.LeafValue
	passed := false // the node that the leaves belong to, by the pattern's globs
	w := tree.Walker{Schema: c.s.schema, Filter: tree.ConfigOnly, Hide: true,
		Match: func(n *tree.Node, at tree.Path) error {
			if passed = !marks.Globs(pattern, at); !passed {
				matches = append(matches, &found{node: n, at: at})
			}
			return nil
		},
		Leaf: func(l tree.LeafValue) error {
			if passed || readable != nil && !readable(l) {
				return nil
			}
			last := matches[len(matches)-1]
			last.leaves = append(last.leaves, l)
			all = append(all, l)
			return nil
		}}
	var walked error
	var notes []marks.Note
	read := func(d *gen.Device) {
		if req.GetWhole() && req.GetFormat() == configpb.Edit_Load_COMMANDS {
			notes = slices.DeleteFunc(marks.Notes(d, p), func(n marks.Note) bool { return !marks.Globs(pattern, n.Path) })
			merged, errs := marks.Merged(c.s.schema, d, p)
			if len(errs) > 0 {
				walked = errs[0]
				return
			}
			d = merged
		}
		w.Config = d
		walked = w.Walk(p)
	}
	if req.GetId() == "" {
		c.s.store.View(func(d *gen.Device, _ datastore.Commit) { read(d) })
	} else {
		candidate, err := c.candidate(ctx, req.GetId())
		if err != nil {
			return nil, err
		}
		if err := candidate.View(read); err != nil {
			return nil, configError(err)
		}
	}
	if walked != nil {
		return nil, failf(codes.Internal, "path %s: %v", p, walked)
	}
	resp := &configpb.ReadResponse{Found: len(all) > 0}
	switch req.GetFormat() {
	case configpb.Edit_Load_JSON:
		resp.Text, err = jsonOf(matches, isPattern(c.s.schema, p))
		if err != nil {
			return nil, failf(codes.Internal, "path %s: %v", p, err)
		}
	case configpb.Edit_Load_COMMANDS:
		if keep := pathFilter(ctx); keep != nil {
			notes = slices.DeleteFunc(notes, func(n marks.Note) bool { return !keep(n.Path) })
		}
		resp.Text = command.Format(all) + command.Notes(notes)
	default:
		return nil, failf(codes.InvalidArgument, "format %d is unknown: want JSON or COMMANDS", req.GetFormat())
	}
	return resp, nil
}

// jsonOf is the JSON of what a path matches: of the node, or of a pattern an
// object of the matches by their paths.
func jsonOf(matches []*found, pattern bool) (string, error) {
	byPath := map[string]json.RawMessage{}
	for _, f := range matches {
		o := tree.NewObject(f.node, f.at, true)
		for _, l := range f.leaves {
			o.Add(l)
		}
		if o.Empty() && len(f.at) > 0 {
			continue
		}
		b, err := o.JSON()
		if err != nil {
			return "", err
		}
		if !pattern {
			return string(b), nil
		}
		byPath[f.at.String()] = b
	}
	if !pattern {
		return "", nil
	}
	b, err := json.Marshal(byPath)
	return string(b), err
}
