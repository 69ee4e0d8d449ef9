package northbound

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
	"router/models"
)

// unappliedAtOnce is how many objects a message takes.
const unappliedAtOnce = 128

// stands reports whether p lies at or below a path, whose keys may be left out.
func stands(p, under tree.Path) bool {
	if len(p) < len(under) {
		return false
	}
	for i, e := range under {
		if p[i].GetName() != e.GetName() {
			return false
		}
		for k, v := range e.GetKey() {
			if v != "*" && p[i].GetKey()[k] != v {
				return false
			}
		}
	}
	return true
}

// Unapplied streams what is declared and not in place, of what the caller may read.
func (v *stateService) Unapplied(req *configpb.UnappliedRequest, stream grpc.ServerStreamingServer[configpb.UnappliedResponse]) error {
	state, ok := v.s.opt.State.(Applied)
	if !ok {
		return failf(codes.Unimplemented, "this router doesn't say what is in place")
	}
	var under tree.Path
	if text := req.GetPath(); text != "" {
		var err error
		if under, err = tree.Parse(text); err != nil {
			return failf(codes.InvalidArgument, "path %q: %v", text, err)
		}
		if err := v.s.schema.Check(under); err != nil {
			return failf(codes.InvalidArgument, "path %s: %v", text, err)
		}
	}
	root := ""
	if len(under) > 0 {
		root = under[0].GetName()
	}
	switch req.GetStatus() {
	case "", models.ApplyPending.String(), models.ApplyError.String():
	default:
		return failf(codes.InvalidArgument, "status %q: want pending, error, or none for both", req.GetStatus())
	}
	may := pathFilter(stream.Context())
	var list []*configpb.Unapplied
	var failed error
	sent := uint32(0)
	flush := func() bool {
		if len(list) > 0 {
			failed = stream.Send(&configpb.UnappliedResponse{Object: list})
			list = nil
		}
		return failed == nil
	}
	state.EachUnapplied(root, func(u models.Unapplied) bool {
		if want := req.GetStatus(); want != "" && want != u.Status.String() {
			return true
		}
		p, err := tree.Parse(u.Path)
		if err != nil || !stands(p, under) || may != nil && !may(p) {
			return true
		}
		list = append(list, unappliedMessage(u))
		sent++
		if len(list) == unappliedAtOnce && !flush() {
			return false
		}
		return sent != req.GetLimit()
	})
	if failed != nil {
		return failed
	}
	flush()
	return failed
}
