package northbound

import (
	"fmt"
	"maps"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/command"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// commands reads set-commands, the value of an operation of origin routerd_cli;
// its path is ignored. A replace begins with nothing (gNMI union_replace, section
// 4.1).
func (r *setReader) commands(index int, kind tree.OpKind, v *gnmi.TypedValue) {
	if kind == tree.Delete {
		r.refuseAt(index, pathError(tree.Invalid, nil, "origin %s has no delete: send a delete command in an update", cliOrigin))
		return
	}
	list, ok := r.lines(index, v)
	if !ok {
		return
	}
	if kind == tree.Replace {
		r.add(place{op: index}, tree.Op{Kind: tree.Delete})
	}
	for _, c := range list {
		r.add(place{op: index, line: c.Line}, c.Op)
	}
}

// lines parses a value of set-commands.
func (r *setReader) lines(index int, v *gnmi.TypedValue) (list []command.Command, ok bool) {
	text, isASCII := v.GetValue().(*gnmi.TypedValue_AsciiVal)
	if !isASCII {
		r.refuseAt(index, pathError(tree.Unsupported, nil, "origin %s takes set-commands in ascii_val", cliOrigin))
		return nil, false
	}
	list, errs := command.Parse(r.schema, text.AsciiVal)
	for _, err := range errs {
		r.refuseAt(index, &tree.Error{Kind: err.Kind, Path: "/", Err: err})
	}
	return list, len(errs) == 0
}

// A share is what a union has of one origin.
type share struct {
	origin string
	ops    []tree.Op
	from   []place
}

// union reads a union_replace: what the updates of all origins make together
// becomes the whole configuration. What two origins set must not contradict each
// other (gNMI union_replace, sections 5.2.2 and 5.3.3).
func (r *setReader) union(updates []*gnmi.Update) {
	shares := map[string]*share{nativeOrigin: {origin: nativeOrigin}, openconfigOrigin: {origin: openconfigOrigin}, cliOrigin: {origin: cliOrigin}}
	// The operations of each origin are read into the reader's list and moved to
	// the origin's.
	for _, u := range updates {
		index := len(r.resp.GetResponse())
		o, err := origin(r.prefix, u.GetPath())
		r.operation(tree.Update, gnmi.UpdateResult_UNION_REPLACE, u)
		if err != nil {
			continue
		}
		s := shares[o]
		s.ops, s.from = append(s.ops, r.ops...), append(s.from, r.from...)
		for _, op := range r.foreign {
			s.ops, s.from = append(s.ops, op), append(s.from, place{op: index})
		}
		r.ops, r.from, r.foreign = nil, nil, nil
	}
	if oc := shares[openconfigOrigin]; len(oc.ops) > 0 {
		first := oc.from[0]
		var ops []tree.Op
		if view := r.view(first.op, oc.ops[0].Path); view != nil {
			var errs []*tree.Error
			ops, errs = view.Translate(&gen.Device{}, oc.ops)
			for _, err := range errs {
				r.refuseAt(first.op, err)
			}
		}
		oc.ops, oc.from = nil, nil
		for _, op := range ops {
			oc.ops, oc.from = append(oc.ops, op), append(oc.from, first)
		}
	}
	list := []*share{shares[openconfigOrigin], shares[nativeOrigin], shares[cliOrigin]}
	r.overlaps(list)
	r.add(place{}, tree.Op{Kind: tree.Delete})
	for _, s := range list {
		for i, op := range s.ops {
			r.add(s.from[i], op)
		}
	}
}

// overlaps finds the leaves that two origins set: routerd and openconfig must
// not at all, routerd_cli and another not to different values. Keys, which both
// need, don't count.
func (r *setReader) overlaps(shares []*share) {
	shares = slices.DeleteFunc(slices.Clone(shares), func(s *share) bool { return len(s.ops) == 0 })
	if len(shares) < 2 {
		return
	}
	by := make(map[string]leafOf)
	for _, s := range shares {
		leaves := r.leaves(s)
		for _, path := range slices.Sorted(maps.Keys(leaves)) {
			l := leaves[path]
			other, ok := by[path]
			switch {
			case !ok:
				by[path] = l
			case l.value != other.value:
				r.bad = append(r.bad, datastore.Violation{Op: l.op, Kind: tree.Invalid, Path: path,
					Err: fmt.Errorf("origin %s sets it to %s, and origin %s to %s: leave one out", other.origin, other.value, l.origin, l.value)})
			case l.origin == nativeOrigin && other.origin == openconfigOrigin:
				r.bad = append(r.bad, datastore.Violation{Op: l.op, Kind: tree.Invalid, Path: path,
					Err: fmt.Errorf("origin %s and origin %s set it: leave one out", other.origin, l.origin)})
			}
		}
	}
}

// A leafOf is a leaf that one origin sets.
type leafOf struct {
	origin, value string
	op            int // the origin's first in the request
}

// leaves are the leaves that a share sets, by their paths. What is wrong with its
// operations is told when they are carried out.
func (r *setReader) leaves(s *share) map[string]leafOf {
	dev := &gen.Device{}
	e := r.schema.Editor(dev, func(tree.Path) {})
	for _, op := range s.ops {
		e.Apply(op)
	}
	found := make(map[string]leafOf)
	w := tree.Walker{Schema: r.schema, Config: dev, Filter: tree.ConfigOnly, Leaf: func(l tree.LeafValue) error {
		if !l.Node.IsKey() && !l.Node.KeyCopy {
			found[l.Path.String()] = leafOf{origin: s.origin, value: command.Value(l.Value), op: s.from[0].op}
		}
		return nil
	}}
	// Leaf returns no error, and the root is there.
	_ = w.Walk(nil)
	return found
}
