package northbound

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
)

func failf(code codes.Code, format string, args ...any) error {
	return status.Error(code, fmt.Sprintf(format, args...))
}

// codeOf is the code of what is wrong with an operation of a Set.
func codeOf(kind tree.ErrorKind) codes.Code {
	switch kind {
	case tree.Malformed, tree.Invalid:
		return codes.InvalidArgument
	case tree.Unknown:
		return codes.NotFound
	case tree.Unsupported:
		return codes.Unimplemented
	case tree.Denied:
		return codes.PermissionDenied
	}
	return codes.Internal
}

// readError is the status of a path that can't be read.
func readError(p tree.Path, err error) error {
	var te *tree.Error
	if !errors.As(err, &te) {
		return failf(codes.Internal, "path %s: %v", p, err)
	}
	code := codeOf(te.Kind)
	if te.Kind == tree.Unknown && !strings.Contains(te.Path[1:], "/") {
		code = codes.Unimplemented
	}
	if te.Path == p.String() {
		return failf(code, "path %v", te)
	}
	return failf(code, "path %s: %v", p, te)
}

// shownViolations bounds the message. The details carry all violations, up to
// mostDetails octets: a status travels in the trailer, of which clients take no more than
// some megabytes.
const (
	shownViolations = 20
	mostDetails     = 4 << 20
)

// setError is the status of a commit that failed. All violations stand in its
// details, as google.rpc.BadRequest, in order.
func setError(err error) error {
	var rejected *datastore.Rejected
	var apply *datastore.ApplyError
	var locked *datastore.LockedError
	if _, ok := status.FromError(err); ok {
		return err // a status already
	}
	switch {
	case errors.As(err, &locked):
		return status.Error(codes.FailedPrecondition, locked.Error())
	case errors.As(err, &rejected):
		return rejectedError(rejected)
	case errors.As(err, &apply):
		return status.Error(codes.Aborted, apply.Error())
	case errors.Is(err, datastore.ErrPending), errors.Is(err, datastore.ErrNonePending), errors.Is(err, datastore.ErrNoRescue):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, datastore.ErrOtherPending), errors.Is(err, datastore.ErrConfirm):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, datastore.ErrNoCommit):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

func rejectedError(r *datastore.Rejected) error {
	details := &errdetails.BadRequest{}
	var text strings.Builder
	size := 0
	for i, v := range r.Violations {
		line := fmt.Sprintf("%s: %v", v.Path, v.Err)
		if v.Rule != "" {
			line += " (" + v.Rule + ")"
		}
		if size += len(line); size <= mostDetails {
			details.FieldViolations = append(details.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Path, Description: v.Err.Error(), Reason: v.Rule,
			})
		}
		switch {
		case i < shownViolations:
			if i > 0 {
				text.WriteString("\n")
			}
			text.WriteString(line)
		case i == shownViolations:
			fmt.Fprintf(&text, "\nand %d more", len(r.Violations)-i)
		}
	}
	if left := len(r.Violations) - len(details.FieldViolations); left > 0 {
		details.FieldViolations = append(details.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: "/", Description: fmt.Sprintf("and %d more, for which there is no room", left)})
	}
	st := status.New(codeOf(r.Violations[0].Kind), text.String())
	if with, err := st.WithDetails(details); err == nil {
		st = with
	}
	return st.Err()
}
