package northbound

import (
	"context"
	"errors"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"github.com/openconfig/ygot/ygot"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
)

// rights are what the caller may do; everything is true where nobody has to ask.
func rights(ctx context.Context) (r *access.Rights, everything bool) {
	c := callOf(ctx)
	if c == nil || c.subject == nil {
		return nil, true
	}
	return c.subject.Rights, false
}

// Authorize checks that the caller may do what the operations of a transaction
// do, and says by a status error what it may not. Services that change the
// configuration call it before they commit. A path that the model has not is denied
// where not everything is permitted. Operations that expand are changed, to be
// asked about when they do. The cost follows the request.
func (s *Server) Authorize(ctx context.Context, ops []tree.Op) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	for i, op := range ops {
		if op.Expand != nil {
			ops[i].Expand = s.authorizedExpand(r, op.Expand)
			continue
		}
		if err := s.authorizeOp(r, op); err != nil {
			s.denied()
			return err
		}
	}
	return nil
}

// authorizedExpand asks about the native operations that one of another origin
// turns out to be.
func (s *Server) authorizedExpand(r *access.Rights, expand func(ygot.GoStruct) ([]tree.Op, []*tree.Error)) func(ygot.GoStruct) ([]tree.Op, []*tree.Error) {
	return func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
		ops, errs := expand(root)
		if len(errs) > 0 {
			return ops, errs
		}
		for _, op := range ops {
			if err := s.authorizeOp(r, op); err != nil {
				s.denied()
				return nil, []*tree.Error{{Kind: tree.Denied, Path: op.Path.String(), Err: errors.New(status.Convert(err).Message())}}
			}
		}
		return ops, nil
	}
}

func (s *Server) authorizeOp(r *access.Rights, op tree.Op) error {
	p := s.schema.Canonical(op.Path)
	if about, _, ok := marks.About(p); ok && len(p) > 0 {
		p = about
	}
	switch r.Path(access.Write, p) {
	case access.Permit:
		return nil
	case access.Mixed:
	case access.Deny:
		return failf(codes.PermissionDenied, "path %s: your roles don't permit to %s it", p, op.Kind)
	}
	// Part of it is permitted: an update does no more than it says.
	if op.Kind == tree.Update {
		var denied tree.Path
		ok := s.schema.Leaves(p, op.Value, func(leaf tree.Path) {
			if denied == nil && r.Path(access.Write, s.schema.Canonical(leaf)) != access.Permit {
				denied = leaf
			}
		})
		switch {
		case denied != nil:
			return failf(codes.PermissionDenied, "path %s: your roles don't permit to update it", denied)
		case ok:
			return nil
		}
	}
	return failf(codes.PermissionDenied, "path %s: your roles don't permit to %s all that stands below it: name what you want to change", p, op.Kind)
}

// mayWrite refuses who may write nothing at all, before it changes anything by
// asking.
func (s *Server) mayWrite(ctx context.Context) error {
	r, everything := rights(ctx)
	if everything || r.Path(access.Write, nil) != access.Deny {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "your roles don't permit to change the configuration")
}

// authorizePending checks that the caller may confirm, cancel or put off the
// commit that waits: it has made it, or may write everything.
func (s *Server) authorizePending(ctx context.Context, c *gnmi_ext.Commit) error {
	if c == nil || c.GetCommit() != nil {
		return nil
	}
	return s.mayEndPending(ctx)
}

// mayEndPending is authorizePending for whatever asks for it.
func (s *Server) mayEndPending(ctx context.Context) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	name, _ := Caller(ctx)
	if p, ok := s.store.Pending(); ok && p.User == name {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "your roles permit to end unconfirmed commits of your own only")
}

// mayWriteAll refuses who may not write everything: what goes back to another
// configuration can change anything.
func (s *Server) mayWriteAll(ctx context.Context) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "your roles don't permit to change all of the configuration, which this can do")
}

// pathFilter is readFilter for paths of leaves.
func pathFilter(ctx context.Context) func(tree.Path) bool {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	return func(p tree.Path) bool {
		if about, _, ok := marks.About(p); ok {
			p = about
		}
		return r.Path(access.Read, p) == access.Permit
	}
}

// authorizeEdits checks that the caller may do what edits do.
func (c *configuration) authorizeEdits(ctx context.Context, edits []*configpb.Edit) error {
	if r, everything := rights(ctx); everything || r.Everything(access.Write) {
		return nil
	}
	var ops []tree.Op
	whole := func(texts ...string) error {
		for _, text := range texts {
			p, err := parsePath(text)
			if err != nil {
				return err
			}
			// As a delete does, it touches all that stands there.
			ops = append(ops, tree.Op{Kind: tree.Delete, Path: p})
		}
		return nil
	}
	for _, e := range edits {
		list, ok, err := c.operations(e)
		if err != nil {
			return err
		}
		for _, op := range list {
			op.Path = marks.Widen(op.Path)
			if op.Expand != nil {
				// It is about all that stands there.
				op = tree.Op{Kind: tree.Delete, Path: op.Path}
			}
			ops = append(ops, op)
		}
		if ok {
			continue
		}
		switch x := e.GetEdit().(type) {
		case *configpb.Edit_Copy_:
			// What is copied can be read in the copy.
			if p, err := parsePath(x.Copy.GetFrom()); err != nil {
				return err
			} else if r, _ := rights(ctx); r.Path(access.Read, c.s.schema.Canonical(p)) != access.Permit {
				c.s.denied()
				return failf(codes.PermissionDenied, "path %s: your roles don't permit to read all of it", p)
			}
			err = whole(x.Copy.GetTo())
		case *configpb.Edit_Rename_:
			err = whole(x.Rename.GetFrom(), x.Rename.GetTo())
		case *configpb.Edit_Insert_:
			err = whole(x.Insert.GetPath())
		case *configpb.Edit_Rollback_:
			err = c.s.mayWriteAll(ctx)
		}
		if err != nil {
			return err
		}
	}
	return c.s.Authorize(ctx, ops)
}

// authorizeCandidate checks that the caller may make the changes of a candidate,
// others' in a shared one included.
func (c *configuration) authorizeCandidate(ctx context.Context, candidate *datastore.Candidate) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	list, err := candidate.Compare()
	if err != nil {
		return configError(err)
	}
	for _, d := range list {
		p, _, ok := marks.About(d.Path)
		if !ok {
			continue // comes with what is told
		}
		if p = c.s.schema.Canonical(p); c.s.schema.Check(p) != nil {
			p = d.Path // the commit refuses it
		}
		switch n := c.s.schema.Nodes(p)[0]; {
		case n.KeyCopy:
			continue // it comes and goes with the key
		case n.IsKey():
			// The entry comes or goes.
			if p = p[:len(p)-1]; d.New != nil && r.Path(access.Write, p) == access.Mixed {
				continue // the leaves that come with it are asked about
			}
		}
		if r.Path(access.Write, p) != access.Permit {
			c.s.denied()
			return failf(codes.PermissionDenied, "path %s: your roles don't permit to change it", p)
		}
	}
	return nil
}

// mayRead checks the paths that a request asks for. A path that names one node,
// of which nothing is permitted, is an error; what patterns match is filtered as
// it is read.
func (s *Server) mayRead(ctx context.Context, paths []tree.Path) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	for _, p := range paths {
		p = s.schema.Canonical(p)
		if !isPattern(s.schema, p) && r.Path(access.Read, p) == access.Deny {
			s.denied()
			return failf(codes.PermissionDenied, "path %s: your roles don't permit to read it", p)
		}
	}
	return nil
}

// MayRead refuses who may not read all of the nodes of the model's root that are
// named: for calls of other services whose answers tell of them.
func (s *Server) MayRead(ctx context.Context, names ...string) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	for _, name := range names {
		if r.Path(access.Read, tree.Path{{Name: name}}) != access.Permit {
			s.denied()
			return failf(codes.PermissionDenied, "your roles don't permit to read all of /%s, of which this tells", name)
		}
	}
	return nil
}

// behindView are the native subtrees that the OpenConfig view shows below each of
// its roots.
var behindView = map[string][]string{
	"interfaces":        {"interface"},
	"network-instances": {"instance", "interface"},
	"system":            {"system"},
}

// mayReadOf is mayRead for paths of either tree. The view is read whole or not at all:
// rights are about native paths, and a leaf of the view may come from many.
func (s *Server) mayReadOf(ctx context.Context, list ...readable) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	for _, p := range list {
		if p.view == nil {
			if err := s.mayRead(ctx, []tree.Path{p.path}); err != nil {
				return err
			}
			continue
		}
		behind := []string{"interface", "instance", "system"}
		if len(p.path) > 0 {
			_, name, ok := strings.Cut(p.path[0].GetName(), ":")
			if !ok {
				name = p.path[0].GetName()
			}
			if some, known := behindView[name]; known {
				behind = some
			}
		}
		for _, name := range behind {
			if r.Path(access.Read, tree.Path{{Name: name}}) != access.Permit {
				s.denied()
				return failf(codes.PermissionDenied, "path %s of origin openconfig: your roles don't permit to read all of /%s, from which it comes: read what they permit there", p.path, name)
			}
		}
	}
	return nil
}

// isNative reports whether the node is one of the native tree.
func (s *Server) isNative(n *tree.Node) bool {
	for n.Parent != nil {
		n = n.Parent
	}
	return n == s.schema.Root
}

// readFilter reports, for the path of a leaf, whether the caller may read it. It is
// nil where everything is permitted. A key is readable where something of its entry
// may be.
func (s *Server) readFilter(ctx context.Context) func(tree.LeafValue) bool {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	return func(l tree.LeafValue) bool {
		if !s.isNative(l.Node) {
			return true // mayReadOf has asked about all that it can show
		}
		if about, _, ok := marks.About(l.Path); ok && l.Path[0].GetName() == "mark" {
			return r.Path(access.Read, s.schema.Canonical(about)) == access.Permit
		}
		if l.Node.IsKey() {
			return r.Path(access.Read, l.Path[:len(l.Path)-1]) != access.Deny
		}
		return r.Path(access.Read, l.Path) == access.Permit
	}
}

func (s *Server) denied() {
	if s.opt.Guard != nil {
		s.opt.Guard.Denied()
	}
}
