package northbound

import (
	"context"

	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
)

// commit commits req, as the extension commit asks (gNMI commit confirmed,
// section 3.2); nil asks for nothing.
func (s *Server) commit(ctx context.Context, c *gnmi_ext.Commit, req datastore.Request) error {
	if c == nil {
		if len(req.Ops) == 0 {
			return nil
		}
		_, err := s.store.Commit(ctx, req)
		return err
	}
	if c.GetId() == "" {
		return failf(codes.InvalidArgument, "extension commit needs its id")
	}
	if a, ok := c.GetAction().(*gnmi_ext.Commit_Commit); ok {
		d := a.Commit.GetRollbackDuration()
		if d != nil && (!d.IsValid() || d.AsDuration() < 0) {
			return failf(codes.InvalidArgument, "commit %q: rollback_duration must not be negative", c.GetId())
		}
		if len(req.Ops) == 0 {
			return failf(codes.InvalidArgument, "commit %q has no operations: there would be nothing to confirm", c.GetId())
		}
		req.Confirm = &datastore.Confirm{ID: c.GetId(), Wait: d.AsDuration()}
		_, err := s.store.Commit(ctx, req)
		return err
	}
	if len(req.Ops) > 0 {
		return failf(codes.InvalidArgument, "commit %q: operations go with a new commit only: one under way can't be amended", c.GetId())
	}
	var err error
	switch a := c.GetAction().(type) {
	case *gnmi_ext.Commit_Confirm:
		_, err = s.store.Confirm(ctx, c.GetId(), req.User, req.Source)
	case *gnmi_ext.Commit_Cancel:
		_, err = s.store.Cancel(ctx, c.GetId(), req.User, req.Source)
	case *gnmi_ext.Commit_SetRollbackDuration:
		d := a.SetRollbackDuration.GetRollbackDuration()
		if d == nil || !d.IsValid() || d.AsDuration() <= 0 {
			return failf(codes.InvalidArgument, "commit %q: rollback_duration must be given and greater than 0", c.GetId())
		}
		err = s.store.SetConfirmWait(ctx, c.GetId(), d.AsDuration(), req.User, req.Source)
	default:
		return failf(codes.InvalidArgument, "extension commit needs an action: commit, confirm, cancel or set_rollback_duration")
	}
	return err
}
