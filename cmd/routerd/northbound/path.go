package northbound

import (
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/northbound/openconfig"
)

// nativeOrigin names the tree of architecture.md, section 5; a path without
// origin means the same.
const nativeOrigin = "routerd"

// maxElems bounds a path: the model is less deep, and a pattern with many
// wildcards is costly to follow.
const maxElems = 32

// originOf is the origin of p below prefix: that of either, or the native one.
func originOf(prefix, p *gnmi.Path) string {
	if o := prefix.GetOrigin() + p.GetOrigin(); o != "" {
		return o
	}
	return nativeOrigin
}

// join makes the absolute path of p below prefix, and checks what can be
// checked without the schema.
func join(prefix, p *gnmi.Path) (tree.Path, error) {
	if prefix.GetOrigin() != "" && p.GetOrigin() != "" {
		return nil, failf(codes.InvalidArgument, "path %s: origin stands in the prefix (%q) and in the path (%q): give it once",
			tree.Path(p.GetElem()), prefix.GetOrigin(), p.GetOrigin())
	}
	if p.GetTarget() != "" {
		return nil, failf(codes.InvalidArgument, "path %s: a target stands in the prefix only", tree.Path(p.GetElem()))
	}
	switch origin := originOf(prefix, p); origin {
	case nativeOrigin, openconfig.Origin:
	default:
		return nil, failf(codes.Unimplemented, "origin %q is not supported: leave it out, or use %q or %q", origin, nativeOrigin, openconfig.Origin)
	}
	// Old clients send both forms, which is fine; one alone must be told.
	//lint:ignore SA1019 See above.
	if len(prefix.GetElement()) > len(prefix.GetElem()) || len(p.GetElement()) > len(p.GetElem()) {
		return nil, failf(codes.InvalidArgument, "the path's field element is deprecated: use elem")
	}
	full := slices.Concat(tree.Path(prefix.GetElem()), tree.Path(p.GetElem()))
	// Several "..." in a row mean the same as one, but cost a search for each.
	full = slices.CompactFunc(full, func(a, b *gnmi.PathElem) bool {
		return a.GetName() == "..." && b.GetName() == "..." && len(a.GetKey())+len(b.GetKey()) == 0
	})
	if len(full) > maxElems {
		return nil, failf(codes.InvalidArgument, "the path has %d elements; %d are the most", len(full), maxElems)
	}
	if len(full) > 0 && full[0].GetName() == "@" {
		return nil, failf(codes.Unimplemented, "path %s: metadata annotations are not supported", full)
	}
	return full, nil
}

// readPath joins and checks a path that is to be read. A path below a root node
// that the model has not is UNIMPLEMENTED (it belongs to a model that is not
// served); a path that leaves the model further down is NOT_FOUND.
func (s *Server) readPath(prefix, p *gnmi.Path) (readable, error) {
	full, err := join(prefix, p)
	if err != nil {
		return readable{}, err
	}
	r := readable{path: full, schema: s.schema}
	if originOf(prefix, p) == openconfig.Origin {
		if r.view, err = openconfig.Load(); err != nil {
			return readable{}, failf(codes.Internal, "%v", err)
		}
		r.schema = r.view.Schema()
	}
	if err := r.schema.Check(full); err != nil {
		return readable{}, readError(full, err)
	}
	return r, nil
}

// A readable is a checked pattern in one of the trees.
type readable struct {
	path   tree.Path
	schema *tree.Schema
	view   *openconfig.View // nil for the native tree
}

// isPattern reports whether the path can match any number of nodes.
func isPattern(s *tree.Schema, p tree.Path) bool {
	n := s.Root
	for _, e := range p {
		if e.GetName() == "*" || e.GetName() == "..." {
			return true
		}
		n = n.Child(e.GetName())
		for _, k := range n.Keys {
			if v, ok := e.GetKey()[k.Name]; !ok || v == "*" {
				return true
			}
		}
	}
	return false
}

// matches reports whether the concrete path p lies at or below a node that the
// pattern stands for.
func matches(pattern, p tree.Path) bool {
	if len(pattern) == 0 {
		return true
	}
	if pattern[0].GetName() == "..." {
		return matches(pattern[1:], p) || len(p) > 0 && matches(pattern, p[1:])
	}
	return len(p) > 0 && elemMatches(pattern[0], p[0]) && matches(pattern[1:], p[1:])
}

// elemMatches reports whether the concrete element e fits the pattern's. An
// element without keys fits all entries, and so does a list without keys.
func elemMatches(pattern, e *gnmi.PathElem) bool {
	if pattern.GetName() != "*" && pattern.GetName() != e.GetName() {
		return false
	}
	for k, want := range pattern.GetKey() {
		if have, ok := e.GetKey()[k]; ok && want != "*" && want != have {
			return false
		}
	}
	return true
}

// plain drops the modules' names from a checked pattern, so that it can be
// compared with concrete paths.
func plain(s *tree.Schema, pattern tree.Path) tree.Path {
	out := make(tree.Path, len(pattern))
	for i, e := range pattern {
		out[i] = e
		nodes := s.Nodes(pattern[:i+1])
		if name := e.GetName(); name != "*" && name != "..." && len(nodes) > 0 {
			out[i] = &gnmi.PathElem{Name: nodes[0].Name, Key: e.GetKey()}
		}
	}
	return out
}

// intersect narrows the pattern to what lies at or below the concrete path p.
// ok is false when nothing can. filter is set when the result is too wide, and
// what it finds must be matched against the pattern.
func intersect(pattern, p tree.Path) (q tree.Path, filter, ok bool) {
	for i, e := range pattern {
		switch {
		case e.GetName() == "...":
			return p, true, true
		case i >= len(p):
			return slices.Concat(p, pattern[i:]), false, true
		case !elemMatches(e, p[i]):
			return nil, false, false
		}
		// p may end in a list without keys: the pattern's keys still count.
		if i == len(p)-1 && len(p[i].GetKey()) < len(e.GetKey()) {
			last := &gnmi.PathElem{Name: p[i].GetName(), Key: e.GetKey()}
			return slices.Concat(p[:i], tree.Path{last}, pattern[i+1:]), false, true
		}
	}
	return p, false, true
}
