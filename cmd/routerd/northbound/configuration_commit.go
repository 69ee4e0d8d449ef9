package northbound

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
)

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
