package northbound

import (
	"context"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
)

// Set implements gNMI's Set (specification, section 3.4): all operations are
// one transaction, in the order delete, replace, update.
func (s *Server) Set(ctx context.Context, req *gnmi.SetRequest) (_ *gnmi.SetResponse, err error) {
	ctx, span := startSpan(ctx, "gnmi.Set")
	defer func() { span.Done(err) }()
	if _, err := extensions(req.GetExtension(), false); err != nil {
		return nil, err
	}
	if n := len(req.GetUnionReplace()); n > 0 {
		if len(req.GetDelete())+len(req.GetReplace())+len(req.GetUpdate()) > 0 {
			return nil, failf(codes.InvalidArgument, "union_replace can't be mixed with other operations")
		}
		return nil, failf(codes.Unimplemented, "union_replace is not supported: use replace")
	}
	resp := &gnmi.SetResponse{Prefix: req.GetPrefix()}
	var ops []tree.Op
	add := func(kind tree.OpKind, op gnmi.UpdateResult_Operation, p *gnmi.Path, v *gnmi.TypedValue) error {
		full, err := join(req.GetPrefix(), p)
		if err != nil {
			return err
		}
		ops = append(ops, tree.Op{Kind: kind, Path: full, Value: v})
		resp.Response = append(resp.Response, &gnmi.UpdateResult{Path: p, Op: op})
		return nil
	}
	for _, p := range req.GetDelete() {
		if err := add(tree.Delete, gnmi.UpdateResult_DELETE, p, nil); err != nil {
			return nil, err
		}
	}
	for _, u := range req.GetReplace() {
		if err := checkUpdate(u); err != nil {
			return nil, err
		}
		if err := add(tree.Replace, gnmi.UpdateResult_REPLACE, u.GetPath(), u.GetVal()); err != nil {
			return nil, err
		}
	}
	for _, u := range req.GetUpdate() {
		if err := checkUpdate(u); err != nil {
			return nil, err
		}
		if err := add(tree.Update, gnmi.UpdateResult_UPDATE, u.GetPath(), u.GetVal()); err != nil {
			return nil, err
		}
	}
	if len(ops) == 0 {
		resp.Timestamp = s.now().UnixNano()
		return resp, nil
	}
	user, via := caller(ctx)
	if _, err := s.store.Commit(ctx, datastore.Request{Ops: ops, User: user, Source: via}); err != nil {
		return nil, setError(err)
	}
	resp.Timestamp = s.now().UnixNano()
	return resp, nil
}

func checkUpdate(u *gnmi.Update) error {
	//lint:ignore SA1019 A client that sends only the old form must be told so.
	if u.GetValue() != nil {
		return failf(codes.Unimplemented, "the update's field value is deprecated: use val")
	}
	return nil
}
