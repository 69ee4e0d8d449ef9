package northbound

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/northbound/openconfig"
	"router/cmd/routerd/trace"
	"router/gen"
)

// Set implements gNMI's Set (specification, section 3.4): all operations, of
// whatever origins, are one transaction, in the order delete, replace, update.
func (s *Server) Set(ctx context.Context, req *gnmi.SetRequest) (_ *gnmi.SetResponse, err error) {
	ctx, span := startSpan(ctx, "gnmi.Set")
	defer func() { span.Done(err) }()
	want, err := extensions(req.GetExtension(), rpcSet)
	if err != nil {
		return nil, err
	}
	if err := s.mayWrite(ctx); err != nil {
		return nil, err // before it becomes the primary
	}
	done, err := s.masters.take(ctx, want.arbitration)
	if err != nil {
		return nil, err
	}
	defer done()
	r := &setReader{Server: s, prefix: req.GetPrefix(), resp: &gnmi.SetResponse{Prefix: req.GetPrefix()}}
	_, parse := trace.Start(ctx, "parse")
	err = r.read(req)
	parse.Done(err)
	if err != nil {
		return nil, err
	}
	if err := s.Authorize(ctx, r.ops); err != nil {
		return nil, err
	}
	if err := s.authorizePending(ctx, want.commit); err != nil {
		return nil, err
	}
	t := setting{s: s}
	if t.opt, err = setOptions(req.GetExtension()); err != nil {
		return nil, err
	}
	if t.opt.GetDryRun() && want.commit != nil {
		return nil, failf(codes.InvalidArgument, "a dry run makes no commit that could be confirmed: leave the extension commit out")
	}
	user, via := Caller(ctx)
	commit := datastore.Request{Ops: r.ops, User: user, Source: via}
	t.request(&commit)
	if err := s.commit(ctx, want.commit, commit); err != nil {
		return nil, setError(r.placed(err))
	}
	r.resp.Extension = t.result(ctx)
	r.resp.Timestamp = s.now().UnixNano()
	return r.resp, nil
}

// A place is where an operation of a transaction comes from.
type place struct {
	op   int // index among the request's operations
	line int // of its set-commands, from 1; 0 for none
}

// A setReader turns a SetRequest into the operations of one transaction.
type setReader struct {
	*Server
	prefix *gnmi.Path
	resp   *gnmi.SetResponse
	ops    []tree.Op
	from   []place // of ops
	bad    []datastore.Violation

	foreign []tree.Op // openconfig, not translated yet: all of one run
	run     int       // the request's operation that begins the run
}

// read takes the request over. Its errors are statuses; one tells of all
// operations that are wrong.
func (r *setReader) read(req *gnmi.SetRequest) error {
	if n := len(req.GetUnionReplace()); n > 0 {
		if len(req.GetDelete())+len(req.GetReplace())+len(req.GetUpdate()) > 0 {
			return failf(codes.InvalidArgument, "union_replace can't be mixed with other operations")
		}
		r.union(req.GetUnionReplace())
		return r.verdict()
	}
	for _, p := range req.GetDelete() {
		r.operation(tree.Delete, gnmi.UpdateResult_DELETE, &gnmi.Update{Path: p})
	}
	for _, u := range req.GetReplace() {
		if o, err := origin(r.prefix, u.GetPath()); err == nil && o == cliOrigin && len(req.GetDelete())+len(req.GetReplace()) > 1 {
			r.refuse(pathError(tree.Invalid, nil, "a replace of origin %s replaces everything: no other replace and no delete may stand beside it", cliOrigin))
		}
		r.operation(tree.Replace, gnmi.UpdateResult_REPLACE, u)
	}
	for _, u := range req.GetUpdate() {
		r.operation(tree.Update, gnmi.UpdateResult_UPDATE, u)
	}
	r.translate()
	return r.verdict()
}

// refuse notes what is wrong with the operation that comes next.
func (r *setReader) refuse(err *tree.Error) { r.refuseAt(len(r.resp.GetResponse()), err) }

func (r *setReader) refuseAt(op int, err *tree.Error) {
	r.bad = append(r.bad, datastore.Violation{Op: op, Kind: err.Kind, Path: err.Path, Err: err.Err})
}

// operation reads one operation.
func (r *setReader) operation(kind tree.OpKind, op gnmi.UpdateResult_Operation, u *gnmi.Update) {
	index := len(r.resp.GetResponse())
	defer func() {
		r.resp.Response = append(r.resp.Response, &gnmi.UpdateResult{Path: u.GetPath(), Op: op})
	}()
	o, err := origin(r.prefix, u.GetPath())
	if err != nil {
		r.refuse(err)
		return
	}
	if o != openconfigOrigin {
		r.translate()
	}
	//lint:ignore SA1019 A client that sends only the old form must be told so.
	if u.GetValue() != nil {
		r.refuse(pathError(tree.Unsupported, u.GetPath().GetElem(), "the update's field value is deprecated: use val"))
		return
	}
	if o == cliOrigin {
		r.commands(index, kind, u.GetVal())
		return
	}
	full, err := join(r.prefix, u.GetPath())
	switch {
	case err != nil:
		r.refuse(err)
	case o == openconfigOrigin:
		if len(r.foreign) == 0 {
			r.run = index
		}
		r.foreign = append(r.foreign, tree.Op{Kind: kind, Path: full, Value: u.GetVal()})
	default:
		r.add(place{op: index}, tree.Op{Kind: kind, Path: full, Value: u.GetVal()})
	}
}

func (r *setReader) add(from place, ops ...tree.Op) {
	for _, op := range ops {
		r.ops = append(r.ops, op)
		r.from = append(r.from, from)
	}
}

// translate makes one operation of the gathered ones of origin openconfig, which
// the datastore expands to native ones: what they mean can depend on each other, as
// that of an interface and its place in an instance does, and on the ones before.
func (r *setReader) translate() {
	if len(r.foreign) == 0 {
		return
	}
	if view := r.view(r.run, r.foreign[0].Path); view != nil {
		row := r.foreign
		// It is an operation on the root: what it comes to is not known yet.
		r.add(place{op: r.run}, tree.Op{Expand: func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
			return view.Translate(root, row)
		}})
	}
	r.foreign = nil
}

// view is the OpenConfig view, or nil, which it tells of the operation.
func (r *setReader) view(op int, p tree.Path) *openconfig.View {
	v, err := openconfig.Load()
	if err != nil {
		r.refuseAt(op, pathError(tree.Unsupported, p, "%w", err))
	}
	return v
}

// verdict is what is wrong with the request, nil when it can be committed.
// Operations that could be read are tried on nothing, so that the answer tells all that
// can be told.
func (r *setReader) verdict() error {
	if len(r.bad) == 0 {
		return nil
	}
	e := r.schema.Editor(&gen.Device{}, func(tree.Path) {})
	for i, op := range r.ops {
		if op.Expand != nil {
			continue // it needs what is there
		}
		for _, err := range e.Apply(op) {
			r.bad = append(r.bad, r.violation(datastore.Violation{Op: i, Kind: err.Kind, Path: err.Path, Err: err.Err}))
		}
	}
	slices.SortStableFunc(r.bad, func(a, b datastore.Violation) int { return cmp.Compare(a.Op, b.Op) })
	return rejectedError(&datastore.Rejected{Violations: r.bad})
}

// violation tells of the request what v tells of the transaction.
func (r *setReader) violation(v datastore.Violation) datastore.Violation {
	if v.Op < 0 || v.Op >= len(r.from) {
		return v
	}
	from := r.from[v.Op]
	if v.Op = from.op; from.line > 0 {
		v.Err = fmt.Errorf("line %d: %w", from.line, v.Err)
	}
	return v
}

// placed is err with its violations told of the request.
func (r *setReader) placed(err error) error {
	var rejected *datastore.Rejected
	if !errors.As(err, &rejected) {
		return err
	}
	list := make([]datastore.Violation, len(rejected.Violations))
	for i, v := range rejected.Violations {
		list[i] = r.inView(r.violation(v))
	}
	return &datastore.Rejected{Violations: list}
}
