package northbound

import (
	"context"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/northbound/openconfig"
)

// Set implements gNMI's Set (specification, section 3.4): all operations are
// one transaction, in the order delete, replace, update.
func (s *Server) Set(ctx context.Context, req *gnmi.SetRequest) (*gnmi.SetResponse, error) {
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
	var view viewOps
	add := func(kind tree.OpKind, op gnmi.UpdateResult_Operation, p *gnmi.Path, v *gnmi.TypedValue) error {
		full, err := join(req.GetPrefix(), p)
		if err != nil {
			return err
		}
		change := tree.Op{Kind: kind, Path: full, Value: v}
		if originOf(req.GetPrefix(), p) == openconfig.Origin {
			if ops, err = view.add(ops, change); err != nil {
				return err
			}
		} else {
			ops = append(ops, change)
			view.end()
		}
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

// viewOps gathers the operations on the OpenConfig view that stand in a row into
// one that the datastore expands: what they mean can depend on each other, as
// that of an interface and its place in an instance does.
type viewOps struct{ row *[]tree.Op }

// add appends op to the row, which is one of ops.
func (v *viewOps) add(ops []tree.Op, op tree.Op) ([]tree.Op, error) {
	if v.row != nil {
		*v.row = append(*v.row, op)
		return ops, nil
	}
	view, err := openconfig.Load()
	if err != nil {
		return nil, failf(codes.Internal, "%v", err)
	}
	row := []tree.Op{op}
	v.row = &row
	return append(ops, tree.Op{Path: op.Path, Expand: func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
		return view.Translate(root, row)
	}}), nil
}

// end ends the row: what follows is not of the view.
func (v *viewOps) end() { v.row = nil }

func checkUpdate(u *gnmi.Update) error {
	//lint:ignore SA1019 A client that sends only the old form must be told so.
	if u.GetValue() != nil {
		return failf(codes.Unimplemented, "the update's field value is deprecated: use val")
	}
	return nil
}
