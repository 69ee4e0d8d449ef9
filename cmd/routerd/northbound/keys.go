package northbound

import (
	"context"

	"google.golang.org/grpc/codes"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/configpb"
)

const (
	usualKeys = 256
	mostKeys  = 10000
)

// Keys lists the keys of a list in a candidate or in running, as far as the caller
// may read the entries.
func (c *configuration) Keys(ctx context.Context, req *configpb.KeysRequest) (*configpb.KeysResponse, error) {
	p, err := parsePath(req.GetPath())
	if err != nil {
		return nil, err
	}
	key := req.GetKey()
	if key == "" {
		nodes := c.s.schema.Nodes(p)
		if len(nodes) != 1 || len(nodes[0].Keys) != 1 {
			return nil, failf(codes.InvalidArgument, "path %s: which key is wanted? the list has not exactly one", p)
		}
		key = nodes[0].Keys[0].Name
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = usualKeys
	}
	limit = min(limit, mostKeys)
	var allow func(tree.Path) bool
	if r, everything := rights(ctx); !everything && !r.Everything(access.Read) {
		allow = func(p tree.Path) bool { return r.Path(access.Read, p) != access.Deny }
	}
	resp := &configpb.KeysResponse{}
	read := func(d *gen.Device) {
		resp.Key, resp.More, err = c.s.schema.Keys(d, p, key, req.GetPrefix(), limit, allow)
	}
	if req.GetId() == "" {
		c.s.store.View(func(d *gen.Device, _ datastore.Commit) { read(d) })
	} else {
		candidate, cerr := c.candidate(ctx, req.GetId())
		if cerr != nil {
			return nil, cerr
		}
		if err := candidate.View(read); err != nil {
			return nil, configError(err)
		}
	}
	if err != nil {
		return nil, failf(codes.InvalidArgument, "%v", err)
	}
	return resp, nil
}
