package northbound

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
)

// TestCommitsInState follows a confirmed commit through its life, as a subscriber sees it.
func TestCommitsInState(t *testing.T) {
	b := newBed(t, nil)
	b.set("/system/config/hostname", `"old"`)
	c := b.subscribe(&gnmi.SubscriptionList{Encoding: gnmi.Encoding_PROTO, Subscription: []*gnmi.Subscription{
		{Path: p(t, "/system/state/datastore"), Mode: gnmi.SubscriptionMode_ON_CHANGE},
		{Path: p(t, "/system/commit"), Mode: gnmi.SubscriptionMode_ON_CHANGE}}})
	c.toSync()
	const pending = "/system/state/datastore/pending-commit"
	try := func() {
		t.Helper()
		path, err := tree.Parse("/system/config/hostname")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.store.Commit(context.Background(), datastore.Request{User: "ann", Confirm: &datastore.Confirm{ID: "x", Wait: time.Hour},
			Ops: []tree.Op{{Kind: tree.Update, Path: path, Value: str("new")}}}); err != nil {
			t.Fatal(err)
		}
	}
	try()
	c.until("the pending commit", func(u map[string]string, _ map[string]bool) bool {
		return strings.Contains(u[pending+"/id"], "x") && u[pending+"/deadline"] != "" && strings.Contains(u[pending+"/base-commit-number"], "1") &&
			strings.Contains(u["/system/commit[number=2]/confirm-id"], "x") && strings.Contains(u["/system/commit[number=2]/user"], "ann")
	})
	// Others are refused meanwhile.
	_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: str("other")}}})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a Set beside it: %v", err)
	}
	if err := b.store.SetConfirmWait(context.Background(), "x", 2*time.Hour, "ann", "test"); err != nil {
		t.Fatal(err)
	}
	c.until("the new deadline", func(u map[string]string, _ map[string]bool) bool { return u[pending+"/deadline"] != "" })
	gone := func(_ map[string]string, d map[string]bool) bool { return d[pending+"/id"] || d[pending] }
	if _, err := b.store.Confirm(context.Background(), "x", "ann", "test"); err != nil {
		t.Fatal(err)
	}
	c.until("its confirmation", gone)
	b.set("/system/config/hostname", `"old"`)
	try()
	if _, err := b.store.Cancel(context.Background(), "x", "ann", "test"); err != nil {
		t.Fatal(err)
	}
	c.until("its cancellation", func(u map[string]string, _ map[string]bool) bool {
		return strings.Contains(u["/system/commit[number=5]/reverts-to"], "3")
	})
	if err := b.store.SaveRescue(context.Background(), "ann"); err != nil {
		t.Fatal(err)
	}
	c.until("the rescue configuration", func(u map[string]string, _ map[string]bool) bool {
		return strings.Contains(u["/system/state/datastore/rescue/commit-number"], "5")
	})
}

// TestOldCommitsLeaveState makes more commits than the log keeps.
func TestOldCommitsLeaveState(t *testing.T) {
	b := newBed(t, nil)
	b.set("/system/config/hostname", `"r0"`)
	c := b.subscribe(&gnmi.SubscriptionList{Encoding: gnmi.Encoding_PROTO, Subscription: []*gnmi.Subscription{
		{Path: p(t, "/system/commit"), Mode: gnmi.SubscriptionMode_ON_CHANGE}}})
	c.toSync()
	for i := range 200 {
		b.set("/system/config/hostname", `"r`+strings.Repeat("x", i%50)+`y"`)
	}
	c.until("the first commit's going", func(_ map[string]string, d map[string]bool) bool { return d["/system/commit[number=1]"] })
	if n := len(b.store.Log()); n != 200 {
		t.Errorf("%d commits", n)
	}
}

func TestErrorsOfTheLog(t *testing.T) {
	for err, want := range map[error]codes.Code{
		datastore.ErrPending: codes.FailedPrecondition, datastore.ErrNonePending: codes.FailedPrecondition, datastore.ErrNoRescue: codes.FailedPrecondition,
		datastore.ErrOtherPending: codes.InvalidArgument, datastore.ErrConfirm: codes.InvalidArgument, datastore.ErrNoCommit: codes.NotFound,
	} {
		if got := status.Code(setError(errors.Join(err, errors.New("more")))); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
