package northbound

import (
	"errors"
	"fmt"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/command"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
)

func parsePath(text string) (tree.Path, error) {
	p, err := tree.Parse(text)
	if err != nil {
		return nil, failf(codes.InvalidArgument, "%v", err)
	}
	if len(p) > maxElems {
		return nil, failf(codes.InvalidArgument, "the path has %d elements; %d are the most", len(p), maxElems)
	}
	return p, nil
}

// changes reads edits.
func (c *configuration) changes(list []*configpb.Edit) ([]datastore.Change, error) {
	out := make([]datastore.Change, 0, len(list))
	for i, e := range list {
		change, err := c.change(e)
		if err != nil {
			return nil, failf(status.Code(err), "edit %d: %s", i+1, status.Convert(err).Message())
		}
		out = append(out, change)
	}
	return out, nil
}

func (c *configuration) change(e *configpb.Edit) (datastore.Change, error) {
	if ops, ok, err := c.operations(e); ok || err != nil {
		return datastore.Ops(ops...), err
	}
	if e.GetRollback() != nil {
		return nil, failf(codes.InvalidArgument, "a rollback is an edit by itself: nothing else goes with it, and it needs a candidate")
	}
	two := func(from, to string, make func(from, to tree.Path) datastore.Change) (datastore.Change, error) {
		f, err := parsePath(from)
		if err != nil {
			return nil, err
		}
		t, err := parsePath(to)
		if err != nil {
			return nil, err
		}
		return make(f, t), nil
	}
	switch x := e.GetEdit().(type) {
	case *configpb.Edit_Copy_:
		return two(x.Copy.GetFrom(), x.Copy.GetTo(), datastore.CopyEntry)
	case *configpb.Edit_Rename_:
		return two(x.Rename.GetFrom(), x.Rename.GetTo(), datastore.RenameEntry)
	case *configpb.Edit_Insert_:
		place, ok := places[x.Insert.GetPlace()]
		if !ok {
			return nil, failf(codes.InvalidArgument, "place %d is unknown: want first, last, before or after", x.Insert.GetPlace())
		}
		p, err := parsePath(x.Insert.GetPath())
		if err != nil {
			return nil, err
		}
		return datastore.MoveEntry(p, place, x.Insert.GetKey()), nil
	}
	return nil, failf(codes.InvalidArgument, "it says nothing that this router knows")
}

var places = map[configpb.Edit_Insert_Place]datastore.Place{
	configpb.Edit_Insert_FIRST:  datastore.First,
	configpb.Edit_Insert_LAST:   datastore.Last,
	configpb.Edit_Insert_BEFORE: datastore.Before,
	configpb.Edit_Insert_AFTER:  datastore.After,
}

func jsonIETF(text string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(text)}}
}

// operations are those of an edit that needs no candidate; ok is false for another one.
func (c *configuration) operations(e *configpb.Edit) (ops []tree.Op, ok bool, err error) {
	switch x := e.GetEdit().(type) {
	case *configpb.Edit_Set_:
		p, err := parsePath(x.Set.GetPath())
		value := x.Set.GetJson()
		if value == "" {
			value = "{}"
		}
		return []tree.Op{{Kind: tree.Update, Path: p, Value: jsonIETF(value)}}, true, err
	case *configpb.Edit_Delete:
		p, err := parsePath(x.Delete)
		return []tree.Op{{Kind: tree.Delete, Path: p}}, true, err
	case *configpb.Edit_Replace_:
		p, err := parsePath(x.Replace.GetPath())
		return []tree.Op{{Kind: tree.Replace, Path: p, Value: jsonIETF(x.Replace.GetJson())}}, true, err
	case *configpb.Edit_Load_:
		return c.load(x.Load)
	case *configpb.Edit_Deactivate:
		p, err := parsePath(x.Deactivate)
		return []tree.Op{marks.Deactivate(c.s.schema, p)}, true, err
	case *configpb.Edit_Activate:
		p, err := parsePath(x.Activate)
		return []tree.Op{marks.Activate(c.s.schema, p)}, true, err
	case *configpb.Edit_Annotate_:
		p, err := parsePath(x.Annotate.GetPath())
		return []tree.Op{marks.Annotate(c.s.schema, p, x.Annotate.GetComment())}, true, err
	}
	return nil, false, nil
}

func (c *configuration) load(l *configpb.Edit_Load) ([]tree.Op, bool, error) {
	switch l.GetFormat() {
	case configpb.Edit_Load_JSON:
		kind := tree.Update
		if l.GetReplace() {
			kind = tree.Replace
		}
		return []tree.Op{{Kind: kind, Value: jsonIETF(l.GetText())}}, true, nil
	case configpb.Edit_Load_COMMANDS:
		list, bad := command.Parse(c.s.schema, l.GetText())
		if len(bad) > 0 {
			return nil, true, failf(codes.InvalidArgument, "%v", errors.Join(commandErrors(bad)...))
		}
		var ops []tree.Op
		if l.GetReplace() {
			ops = append(ops, tree.Op{Kind: tree.Delete})
		}
		for _, cmd := range list {
			ops = append(ops, cmd.Op)
		}
		return ops, true, nil
	default:
		return nil, true, failf(codes.InvalidArgument, "format %d is unknown: want JSON or COMMANDS", l.GetFormat())
	}
}

func commandErrors(bad []*command.Error) []error {
	var list []error
	for i, e := range bad {
		if i == shownViolations {
			return append(list, fmt.Errorf("and %d more", len(bad)-i))
		}
		list = append(list, e)
	}
	return list
}
