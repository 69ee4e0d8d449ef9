package northbound

import (
	"fmt"
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

// cliOrigin names the configuration as set-commands; openconfigOrigin the view
// of it, and of state, in OpenConfig's models.
const (
	cliOrigin        = "routerd_cli"
	openconfigOrigin = openconfig.Origin
)

// origin is the origin of p below prefix, nativeOrigin when none is given. It is
// the one place that decides which schema a path belongs to.
func origin(prefix, p *gnmi.Path) (string, *tree.Error) {
	if prefix.GetOrigin() != "" && p.GetOrigin() != "" {
		return "", pathError(tree.Malformed, p.GetElem(), "origin stands in the prefix (%q) and in the path (%q): give it once",
			prefix.GetOrigin(), p.GetOrigin())
	}
	switch o := prefix.GetOrigin() + p.GetOrigin(); o {
	case "", nativeOrigin:
		return nativeOrigin, nil
	case cliOrigin, openconfigOrigin:
		return o, nil
	default:
		return "", pathError(tree.Unsupported, p.GetElem(), "origin %q is not supported: leave it out, or use %q, %q or %q", o, nativeOrigin, openconfigOrigin, cliOrigin)
	}
}

func pathError(kind tree.ErrorKind, p tree.Path, format string, args ...any) *tree.Error {
	return &tree.Error{Kind: kind, Path: p.String(), Err: fmt.Errorf(format, args...)}
}

// join makes the absolute path of p below prefix, and checks what can be
// checked without the schema.
func join(prefix, p *gnmi.Path) (tree.Path, *tree.Error) {
	if p.GetTarget() != "" {
		return nil, pathError(tree.Malformed, p.GetElem(), "a target stands in the prefix only")
	}
	// Old clients send both forms, which is fine; one alone must be told.
	//lint:ignore SA1019 See above.
	if len(prefix.GetElement()) > len(prefix.GetElem()) || len(p.GetElement()) > len(p.GetElem()) {
		return nil, pathError(tree.Malformed, p.GetElem(), "the path's field element is deprecated: use elem")
	}
	full := slices.Concat(tree.Path(prefix.GetElem()), tree.Path(p.GetElem()))
	// Several "..." in a row mean the same as one, but cost a search for each.
	full = slices.CompactFunc(full, func(a, b *gnmi.PathElem) bool {
		return a.GetName() == "..." && b.GetName() == "..." && len(a.GetKey())+len(b.GetKey()) == 0
	})
	if len(full) > maxElems {
		return nil, pathError(tree.Malformed, full[:maxElems], "the path has %d elements; %d are the most", len(full), maxElems)
	}
	return fromAnnotation(full)
}

// A readable is a checked pattern in one of the trees.
type readable struct {
	path   tree.Path
	schema *tree.Schema
	view   *openconfig.View // nil for the native tree
}

// readPath joins and checks a path, of the native origin or openconfig, that is to be
// read. A path below a root node that the model has not is UNIMPLEMENTED (it belongs to a model that is not
// served); a path that leaves the model further down is NOT_FOUND.
func (s *Server) readPath(prefix, p *gnmi.Path) (readable, error) {
	o, bad := origin(prefix, p)
	if bad != nil {
		return readable{}, failf(codeOf(bad.Kind), "path %v", bad)
	}
	r := readable{schema: s.schema}
	switch o {
	case nativeOrigin:
	case openconfigOrigin:
		var err error
		if r.view, err = openconfig.Load(); err != nil {
			return readable{}, failf(codes.Internal, "%v", err)
		}
		r.schema = r.view.Schema()
	default:
		return readable{}, failf(codes.Unimplemented, "origin %q is not supported here: leave it out or use %q", o, nativeOrigin)
	}
	if r.path, bad = join(prefix, p); bad != nil {
		return readable{}, failf(codeOf(bad.Kind), "path %v", bad)
	}
	if err := r.schema.Check(r.path); err != nil {
		return readable{}, readError(r.path, err)
	}
	return r, nil
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

// within reports whether the leaf p lies at most depth elements below something that the
// pattern matches.
func within(pattern, p tree.Path, depth int) bool {
	for n := max(0, len(p)-depth); n <= len(p); n++ {
		if matchesWhole(pattern, p[:n]) {
			return true
		}
	}
	return false
}

// matchesWhole reports whether the pattern matches the concrete path p, and not merely
// something above it.
func matchesWhole(pattern, p tree.Path) bool {
	switch {
	case len(pattern) == 0:
		return len(p) == 0
	case pattern[0].GetName() == "...":
		return matchesWhole(pattern[1:], p) || len(p) > 0 && matchesWhole(pattern, p[1:])
	}
	return len(p) > 0 && elemMatches(pattern[0], p[0]) && matchesWhole(pattern[1:], p[1:])
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
