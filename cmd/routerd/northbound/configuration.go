package northbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
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
	p = checked.path
	if err := c.s.mayRead(ctx, []tree.Path{p}); err != nil {
		return nil, err
	}
	readable := c.s.readFilter(ctx)
	var matches []*found
	var all []tree.LeafValue
	w := tree.Walker{Schema: c.s.schema, Filter: tree.ConfigOnly, Hide: true,
		Match: func(n *tree.Node, at tree.Path) error {
			matches = append(matches, &found{node: n, at: at})
			return nil
		},
		Leaf: func(l tree.LeafValue) error {
			if readable != nil && !readable(l) {
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
			notes = marks.Notes(d, p)
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

func parsePath(text string) (tree.Path, error) {
	p, err := tree.Parse(text)
	if err != nil {
		return nil, failf(codes.InvalidArgument, "%v", err)
	}
	if len(p) > maxElems {
		return nil, failf(codes.InvalidArgument, "the path has %d elements; %d are the most", len(p), maxElems)
	}
	return p, nil
}

// changes reads edits.
func (c *configuration) changes(list []*configpb.Edit) ([]datastore.Change, error) {
	out := make([]datastore.Change, 0, len(list))
	for i, e := range list {
		change, err := c.change(e)
		if err != nil {
			return nil, failf(status.Code(err), "edit %d: %s", i+1, status.Convert(err).Message())
		}
		out = append(out, change)
	}
	return out, nil
}

func (c *configuration) change(e *configpb.Edit) (datastore.Change, error) {
	if ops, ok, err := c.operations(e); ok || err != nil {
		return datastore.Ops(ops...), err
	}
	if e.GetRollback() != nil {
		return nil, failf(codes.InvalidArgument, "a rollback is an edit by itself: nothing else goes with it, and it needs a candidate")
	}
	two := func(from, to string, make func(from, to tree.Path) datastore.Change) (datastore.Change, error) {
		f, err := parsePath(from)
		if err != nil {
			return nil, err
		}
		t, err := parsePath(to)
		if err != nil {
			return nil, err
		}
		return make(f, t), nil
	}
	switch x := e.GetEdit().(type) {
	case *configpb.Edit_Copy_:
		return two(x.Copy.GetFrom(), x.Copy.GetTo(), datastore.CopyEntry)
	case *configpb.Edit_Rename_:
		return two(x.Rename.GetFrom(), x.Rename.GetTo(), datastore.RenameEntry)
	case *configpb.Edit_Insert_:
		place, ok := places[x.Insert.GetPlace()]
		if !ok {
			return nil, failf(codes.InvalidArgument, "place %d is unknown: want first, last, before or after", x.Insert.GetPlace())
		}
		p, err := parsePath(x.Insert.GetPath())
		if err != nil {
			return nil, err
		}
		return datastore.MoveEntry(p, place, x.Insert.GetKey()), nil
	}
	return nil, failf(codes.InvalidArgument, "it says nothing that this router knows")
}

var places = map[configpb.Edit_Insert_Place]datastore.Place{
	configpb.Edit_Insert_FIRST:  datastore.First,
	configpb.Edit_Insert_LAST:   datastore.Last,
	configpb.Edit_Insert_BEFORE: datastore.Before,
	configpb.Edit_Insert_AFTER:  datastore.After,
}

func jsonIETF(text string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(text)}}
}

// operations are those of an edit that needs no candidate; ok is false for another one.
func (c *configuration) operations(e *configpb.Edit) (ops []tree.Op, ok bool, err error) {
	switch x := e.GetEdit().(type) {
	case *configpb.Edit_Set_:
		p, err := parsePath(x.Set.GetPath())
		value := x.Set.GetJson()
		if value == "" {
			value = "{}"
		}
		return []tree.Op{{Kind: tree.Update, Path: p, Value: jsonIETF(value)}}, true, err
	case *configpb.Edit_Delete:
		p, err := parsePath(x.Delete)
		return []tree.Op{{Kind: tree.Delete, Path: p}}, true, err
	case *configpb.Edit_Replace_:
		p, err := parsePath(x.Replace.GetPath())
		return []tree.Op{{Kind: tree.Replace, Path: p, Value: jsonIETF(x.Replace.GetJson())}}, true, err
	case *configpb.Edit_Load_:
		return c.load(x.Load)
	case *configpb.Edit_Deactivate:
		p, err := parsePath(x.Deactivate)
		return []tree.Op{marks.Deactivate(c.s.schema, p)}, true, err
	case *configpb.Edit_Activate:
		p, err := parsePath(x.Activate)
		return []tree.Op{marks.Activate(c.s.schema, p)}, true, err
	case *configpb.Edit_Annotate_:
		p, err := parsePath(x.Annotate.GetPath())
		return []tree.Op{marks.Annotate(c.s.schema, p, x.Annotate.GetComment())}, true, err
	}
	return nil, false, nil
}

func (c *configuration) load(l *configpb.Edit_Load) ([]tree.Op, bool, error) {
	switch l.GetFormat() {
	case configpb.Edit_Load_JSON:
		kind := tree.Update
		if l.GetReplace() {
			kind = tree.Replace
		}
		return []tree.Op{{Kind: kind, Value: jsonIETF(l.GetText())}}, true, nil
	case configpb.Edit_Load_COMMANDS:
		list, bad := command.Parse(c.s.schema, l.GetText())
		if len(bad) > 0 {
			return nil, true, failf(codes.InvalidArgument, "%v", errors.Join(commandErrors(bad)...))
		}
		var ops []tree.Op
		if l.GetReplace() {
			ops = append(ops, tree.Op{Kind: tree.Delete})
		}
		for _, cmd := range list {
			ops = append(ops, cmd.Op)
		}
		return ops, true, nil
	default:
		return nil, true, failf(codes.InvalidArgument, "format %d is unknown: want JSON or COMMANDS", l.GetFormat())
	}
}

func commandErrors(bad []*command.Error) []error {
	var list []error
	for i, e := range bad {
		if i == shownViolations {
			return append(list, fmt.Errorf("and %d more", len(bad)-i))
		}
		list = append(list, e)
	}
	return list
}

// request is the datastore's request of a commit; plan is set for a check.
func request(ctx context.Context, comment string, check bool, id string, seconds uint32) (req datastore.Request, plan *datastore.Plan) {
	req.User, req.Source = Caller(ctx)
	if md, ok := metadata.FromIncomingContext(ctx); ok && strings.HasPrefix(first(md, "user-agent"), "rcli") {
		req.Source = "rcli"
	}
	req.Comment, req.Touched = comment, new([]tree.Path)
	if id != "" {
		req.Confirm = &datastore.Confirm{ID: id, Wait: time.Duration(seconds) * time.Second}
	}
	if check {
		plan = &datastore.Plan{}
		req.DryRun, req.Plan = true, plan
	}
	return req, plan
}

// committed is the answer to whatever made a commit of req, or planned one.
func (c *configuration) committed(ctx context.Context, commit datastore.Commit, req datastore.Request, plan *datastore.Plan, err error) (*configpb.CommitResponse, error) {
	if err != nil {
		return nil, configError(err)
	}
	resp := &configpb.CommitResponse{Commit: commitMessage(commit)}
	if req.Touched != nil {
		resp.Unapplied, resp.More = c.s.unapplied(ctx, *req.Touched, 0)
	}
	if plan != nil {
		resp.Plan = c.s.plan(ctx, *plan)
	}
	return resp, nil
}

// Commit commits a candidate, or edits of running.
func (c *configuration) Commit(ctx context.Context, req *configpb.CommitRequest) (*configpb.CommitResponse, error) {
	r, plan := request(ctx, req.GetComment(), req.GetCheck(), req.GetConfirmId(), req.GetConfirmSeconds())
	r.Whole = true
	if req.GetId() != "" {
		if len(req.GetEdit()) > 0 {
			return nil, failf(codes.InvalidArgument, "edits come with a commit of running only: edit the candidate first")
		}
		candidate, err := c.candidate(ctx, req.GetId())
		if err != nil {
			return nil, err
		}
		if err := c.authorizeCandidate(ctx, candidate); err != nil {
			return nil, err
		}
		commit, err := candidate.Commit(ctx, r)
		return c.committed(ctx, commit, r, plan, err)
	}
	if err := c.authorizeEdits(ctx, req.GetEdit()); err != nil {
		return nil, err
	}
	plain := true
	for i, e := range req.GetEdit() {
		ops, ok, err := c.operations(e)
		if err != nil {
			return nil, failf(status.Code(err), "edit %d: %s", i+1, status.Convert(err).Message())
		}
		plain = plain && ok
		r.Ops = append(r.Ops, ops...)
	}
	if plain {
		commit, err := c.s.store.Commit(ctx, r)
		return c.committed(ctx, commit, r, plan, err)
	}
	list, err := c.changes(req.GetEdit())
	if err != nil {
		return nil, err
	}
	candidate, leave, err := c.s.store.OpenCandidate(datastore.Private, "", r.User, r.Source)
	if err != nil {
		return nil, configError(err)
	}
	defer leave()
	if err := candidate.Edit(ctx, list...); err != nil {
		return nil, configError(err)
	}
	commit, err := candidate.Commit(ctx, r)
	return c.committed(ctx, commit, r, plan, err)
}

// pendingID is the id of the commit that waits, where the request leaves it out.
func (c *configuration) pendingID(id string) string {
	if p, ok := c.s.store.Pending(); ok && id == "" {
		return p.ID
	}
	return id
}

// Confirm makes the pending commit last.
func (c *configuration) Confirm(ctx context.Context, req *configpb.ConfirmRequest) (*configpb.CommitResponse, error) {
	if err := c.s.mayEndPending(ctx); err != nil {
		return nil, err
	}
	user, via := Caller(ctx)
	commit, err := c.s.store.Confirm(ctx, c.pendingID(req.GetId()), user, via)
	return c.committed(ctx, commit, datastore.Request{}, nil, err)
}

// Cancel takes the pending commit back.
func (c *configuration) Cancel(ctx context.Context, req *configpb.ConfirmRequest) (*configpb.CommitResponse, error) {
	if err := c.s.mayEndPending(ctx); err != nil {
		return nil, err
	}
	user, via := Caller(ctx)
	commit, err := c.s.store.Cancel(ctx, c.pendingID(req.GetId()), user, via)
	return c.committed(ctx, commit, datastore.Request{}, nil, err)
}

// SetWait moves the deadline of the pending commit.
func (c *configuration) SetWait(ctx context.Context, req *configpb.SetWaitRequest) (*configpb.SetWaitResponse, error) {
	if err := c.s.mayEndPending(ctx); err != nil {
		return nil, err
	}
	user, via := Caller(ctx)
	err := c.s.store.SetConfirmWait(ctx, c.pendingID(req.GetId()), time.Duration(req.GetSeconds())*time.Second, user, via)
	if err != nil {
		return nil, configError(err)
	}
	return &configpb.SetWaitResponse{}, nil
}

// Log lists commits.
func (c *configuration) Log(_ context.Context, req *configpb.LogRequest) (*configpb.LogResponse, error) {
	resp := &configpb.LogResponse{}
	for i, commit := range c.s.store.Log() {
		if req.GetLimit() > 0 && i >= int(req.GetLimit()) {
			break
		}
		resp.Commit = append(resp.Commit, commitMessage(commit))
	}
	if p, ok := c.s.store.Pending(); ok {
		resp.Pending = pendingMessage(p)
	}
	return resp, nil
}

// Diff compares the configurations of two commits.
func (c *configuration) Diff(ctx context.Context, req *configpb.DiffRequest) (*configpb.Differences, error) {
	list, err := c.s.store.Diff(ctx, req.GetFrom(), req.GetTo())
	if err != nil {
		return nil, configError(err)
	}
	return &configpb.Differences{Difference: c.differences(ctx, list)}, nil
}

// Rollback goes back to a commit.
func (c *configuration) Rollback(ctx context.Context, req *configpb.RollbackRequest) (*configpb.CommitResponse, error) {
	if err := c.s.mayWriteAll(ctx); err != nil {
		return nil, err
	}
	r, plan := request(ctx, req.GetComment(), req.GetCheck(), req.GetConfirmId(), req.GetConfirmSeconds())
	commit, err := c.s.store.Rollback(ctx, req.GetNumber(), r)
	return c.committed(ctx, commit, r, plan, err)
}

// SaveRescue keeps the running configuration for emergencies.
func (c *configuration) SaveRescue(ctx context.Context, _ *configpb.SaveRescueRequest) (*configpb.SaveRescueResponse, error) {
	if err := c.s.mayWriteAll(ctx); err != nil {
		return nil, err
	}
	user, _ := Caller(ctx)
	if err := c.s.store.SaveRescue(ctx, user); err != nil {
		return nil, configError(err)
	}
	return &configpb.SaveRescueResponse{}, nil
}

// LoadRescue commits the rescue configuration.
func (c *configuration) LoadRescue(ctx context.Context, req *configpb.RollbackRequest) (*configpb.CommitResponse, error) {
	if req.GetNumber() != 0 {
		return nil, failf(codes.InvalidArgument, "the rescue configuration has no number: leave it out")
	}
	if err := c.s.mayWriteAll(ctx); err != nil {
		return nil, err
	}
	r, plan := request(ctx, req.GetComment(), req.GetCheck(), req.GetConfirmId(), req.GetConfirmSeconds())
	commit, err := c.s.store.Rescue(ctx, r)
	return c.committed(ctx, commit, r, plan, err)
}
