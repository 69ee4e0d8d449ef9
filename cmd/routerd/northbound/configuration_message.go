package northbound

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
)

// nanos is a time as messages have it, 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func editorMessage(e datastore.Editor) *configpb.Editor {
	return &configpb.Editor{User: e.User, Source: e.Source, Since: nanos(e.Since)}
}

func candidateMessage(st datastore.CandidateStatus) *configpb.Candidate {
	m := &configpb.Candidate{Id: st.ID, Kind: kindOf(st.Kind), Name: st.Name, Owner: editorMessage(st.Owner), Edited: nanos(st.Edited),
		Base: st.Base, Behind: st.Behind, Changes: uint64(st.Changes), Conflicts: uint64(st.Conflicts)}
	for _, e := range st.Editors {
		m.Editors = append(m.Editors, editorMessage(e))
	}
	return m
}

func commitMessage(c datastore.Commit) *configpb.Commit {
	return &configpb.Commit{Number: c.Number, Time: nanos(c.Time), User: c.User, Source: c.Source, Comment: c.Comment}
}

// changeMessages are differences as editors see them. They leave out what the caller
// may not read; nil is all.
func changeMessages(s *tree.Schema, list []tree.Difference, readable func(tree.Path) bool) []*configpb.Difference {
	out := make([]*configpb.Difference, 0, len(list))
	for _, c := range marks.Present(s, list) {
		if readable == nil || readable(c.Path) {
			out = append(out, changeMessage(c))
		}
	}
	return out
}

func changeMessage(c marks.Change) *configpb.Difference {
	m := differenceMessage(c.Difference)
	switch c.Aspect {
	case marks.Value:
	case marks.Inactive:
		m.Aspect, m.Old, m.New = configpb.Difference_INACTIVE, c.Text(c.Old), c.Text(c.New)
	case marks.Comment:
		m.Aspect = configpb.Difference_COMMENT
	}
	return m
}

func pendingMessage(p datastore.Pending) *configpb.Pending {
	return &configpb.Pending{Id: p.ID, Commit: p.Commit, Base: p.Base, Deadline: nanos(p.Deadline), User: p.User}
}

func differenceMessage(d tree.Difference) *configpb.Difference {
	for _, v := range []**gnmi.TypedValue{&d.Old, &d.New} {
		if d.Secret && *v != nil {
			*v = &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: tree.Hidden}}
		}
	}
	return &configpb.Difference{Path: d.Path.String(), Old: scalarJSON(d.Old), New: scalarJSON(d.New)}
}

// scalarJSON is a leaf's value as RFC 7951 JSON, "" for none.
func scalarJSON(v *gnmi.TypedValue) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(plainScalar(v))
	if err != nil {
		return "" // the values of leaves are all of forms that JSON has
	}
	return string(b)
}

func plainScalar(v *gnmi.TypedValue) any {
	switch x := v.GetValue().(type) {
	case *gnmi.TypedValue_UintVal:
		return x.UintVal
	case *gnmi.TypedValue_IntVal:
		return x.IntVal
	case *gnmi.TypedValue_BoolVal:
		return x.BoolVal
	case *gnmi.TypedValue_DoubleVal:
		return x.DoubleVal
	case *gnmi.TypedValue_BytesVal:
		return x.BytesVal
	case *gnmi.TypedValue_LeaflistVal:
		list := make([]any, len(x.LeaflistVal.GetElement()))
		for i, e := range x.LeaflistVal.GetElement() {
			list[i] = plainScalar(e)
		}
		return list
	}
	return tree.Text(v)
}

func planMessage(s *tree.Schema, p datastore.Plan, readable func(tree.Path) bool) *configpb.Plan {
	return &configpb.Plan{Base: p.Base, Difference: changeMessages(s, p.Changes, readable), Step: p.Steps, Disturbs: p.Disturbs}
}

func conflictMessages(list []datastore.Conflict) []*configpb.Conflict {
	out := make([]*configpb.Conflict, len(list))
	for i, c := range list {
		out[i] = &configpb.Conflict{Path: c.Path.String(), Mine: differenceMessage(*c.Mine), Theirs: differenceMessage(*c.Theirs), Commit: c.Commit, User: c.User}
	}
	return out
}

// configError is the status of a call of the configuration service that failed.
func configError(err error) error {
	var conflict *datastore.ConflictError
	switch {
	case errors.As(err, &conflict):
		st := status.New(codes.Aborted, conflict.Error())
		if with, derr := st.WithDetails(&configpb.Conflicts{Conflict: conflictMessages(conflict.Conflicts)}); derr == nil {
			st = with
		}
		return st.Err()
	case errors.Is(err, datastore.ErrNoCandidate):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, datastore.ErrOtherEditor):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.Is(err, datastore.ErrTooManyCandidates), errors.Is(err, datastore.ErrCandidateTooLarge),
		errors.Is(err, datastore.ErrCandidatesTooLarge):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return setError(err)
}
