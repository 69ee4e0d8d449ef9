package northbound

import (
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"router/gen/configpb"
	"router/models"
)

func withOptions(t testing.TB, req *gnmi.SetRequest, opt *configpb.SetOptions) *gnmi.SetRequest {
	t.Helper()
	msg, err := proto.Marshal(opt)
	if err != nil {
		t.Fatal(err)
	}
	req.Extension = append(req.Extension, &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_RegisteredExt{
		RegisteredExt: &gnmi_ext.RegisteredExtension{Id: gnmi_ext.ExtensionID_EID_EXPERIMENTAL, Msg: msg}}})
	return req
}

// resultOf is the result in a response, nil for none.
func resultOf(t testing.TB, resp *gnmi.SetResponse) *configpb.SetResult {
	t.Helper()
	for _, e := range resp.GetExtension() {
		if x := e.GetRegisteredExt(); x.GetId() == gnmi_ext.ExtensionID_EID_EXPERIMENTAL {
			r := &configpb.SetResult{}
			if err := proto.Unmarshal(x.GetMsg(), r); err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	return nil
}

func TestSetSaysWhatIsNotInPlace(t *testing.T) {
	b := newBed(t, nil)
	request := func(path, json string) *gnmi.SetRequest {
		return &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, path), Val: ietf(json)}}}
	}
	set := func(req *gnmi.SetRequest) *configpb.SetResult {
		t.Helper()
		resp, err := b.client.Set(b.ctx(), req)
		if err != nil {
			t.Fatal(err)
		}
		return resultOf(t, resp)
	}
	if r := set(request("/interface[name=ge0]/config/mru", "1500")); r != nil {
		t.Errorf("nobody asked, all is in place, and the result is %v", r)
	}
	if r := set(withOptions(t, request("/interface[name=ge0]/config/mru", "1501"), &configpb.SetOptions{})); r.GetCommit() != 2 || len(r.GetUnapplied()) != 0 {
		t.Errorf("all is in place, and the result is %v", r)
	}

	ge1 := models.Object{Kind: models.Device, Device: "ge1"}
	b.state.mu.Lock()
	b.state.unapplied = map[models.Object][]models.Unapplied{ge1: {{Path: "/interface[name=ge1]", ApplyState: models.ApplyState{Status: models.ApplyError, Reason: "busy", Retries: 3}}}}
	b.state.mu.Unlock()
	if r := set(request("/interface[name=ge0]/config/mru", "1502")); r != nil {
		t.Errorf("another object's trouble is in the result: %v", r)
	}
	r := set(request("/", `{"routerd:interface":[{"name":"ge1","config":{"mru":1600}}]}`))
	want := &configpb.Unapplied{Path: "/interface[name=ge1]", Status: "error", Reason: "busy", Retries: 3}
	if len(r.GetUnapplied()) != 1 || !proto.Equal(r.GetUnapplied()[0], want) || r.GetCommit() != 4 {
		t.Errorf("the result is %v, want %v of commit 4", r, want)
	}

	// Waiting ends when it comes, or when the time is over.
	start := time.Now()
	r = set(withOptions(t, request("/interface[name=ge1]/config/mru", "1601"), &configpb.SetOptions{WaitMilliseconds: 150}))
	if took := time.Since(start); len(r.GetUnapplied()) != 1 || took < 150*time.Millisecond {
		t.Errorf("after %v the result is %v", took, r)
	}
	time.AfterFunc(100*time.Millisecond, func() {
		b.state.change(StateChange{Object: ge1}, func() { b.state.unapplied = nil })
	})
	start = time.Now()
	r = set(withOptions(t, request("/interface[name=ge1]/config/mru", "1602"), &configpb.SetOptions{WaitMilliseconds: 15_000}))
	if took := time.Since(start); len(r.GetUnapplied()) != 0 || took > 10*time.Second {
		t.Errorf("after %v the result is %v", took, r)
	}
}

func TestDryRun(t *testing.T) {
	b := newBed(t, nil)
	b.set("/interface[name=ge0]/config/mru", "1500")
	req := func() *gnmi.SetRequest {
		return &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/interface[name=ge0]/config/mru"), Val: ietf("1600")}}}
	}
	resp, err := b.client.Set(b.ctx(), withOptions(t, req(), &configpb.SetOptions{DryRun: true}))
	if err != nil {
		t.Fatal(err)
	}
	r := resultOf(t, resp)
	if d := r.GetPlan().GetDifference(); r.GetCommit() != 1 || len(d) != 1 || d[0].GetOld() != "1500" || d[0].GetNew() != "1600" {
		t.Errorf("the plan is %v", r)
	}
	if n := b.store.Last().Number; n != 1 {
		t.Errorf("there is commit %d", n)
	}
	bad := &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/instance[name=default]/static-route[prefix=10.0.0.0/8]"), Val: ietf("{}")}}}
	_, err = b.client.Set(b.ctx(), withOptions(t, bad, &configpb.SetOptions{DryRun: true}))
	wantStatus(t, "a broken rule", err, codes.InvalidArgument, "static-action-nexthop")

	twice := withOptions(t, withOptions(t, req(), &configpb.SetOptions{}), &configpb.SetOptions{})
	_, err = b.client.Set(b.ctx(), twice)
	wantStatus(t, "the extension twice", err, codes.InvalidArgument, "twice")
	garbage := req()
	garbage.Extension = []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_RegisteredExt{
		RegisteredExt: &gnmi_ext.RegisteredExtension{Id: gnmi_ext.ExtensionID_EID_EXPERIMENTAL, Msg: []byte{0xff}}}}}
	_, err = b.client.Set(b.ctx(), garbage)
	wantStatus(t, "garbage", err, codes.InvalidArgument, "SetOptions")
	_, err = b.client.Set(b.ctx(), withOptions(t, req(), &configpb.SetOptions{WaitMilliseconds: 3_600_000}))
	wantStatus(t, "a wait of an hour", err, codes.InvalidArgument, "wait_milliseconds")
	confirmed := withOptions(t, req(), &configpb.SetOptions{DryRun: true})
	confirmed.Extension = append(confirmed.Extension, &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_Commit{
		Commit: &gnmi_ext.Commit{Id: "x", Action: &gnmi_ext.Commit_Commit{Commit: &gnmi_ext.CommitRequest{}}}}})
	_, err = b.client.Set(b.ctx(), confirmed)
	wantStatus(t, "a dry run to be confirmed", err, codes.InvalidArgument, "dry run")
	if n := b.store.Last().Number; n != 1 {
		t.Errorf("there is commit %d", n)
	}
}
