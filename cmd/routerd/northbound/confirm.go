package northbound

import (
	"context"

	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
)

// commit commits req, as the extension commit asks; nil asks for nothing.
func (s *Server) commit(ctx context.Context, c *gnmi_ext.Commit, req datastore.Request) error {
	if c != nil {
		return failf(codes.Unimplemented, "extension commit (commit confirmed) is not supported")
	}
	if len(req.Ops) == 0 {
		return nil
	}
	_, err := s.store.Commit(ctx, req)
	return err
}
