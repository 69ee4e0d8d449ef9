package northbound

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"router/gen/configpb"
)

// An editor is a user with a session of the configuration service.
type editor struct {
	t      testing.TB
	ctx    context.Context
	end    context.CancelFunc
	client configpb.ConfigurationClient
	stream configpb.Configuration_OpenClient
	id     string
}

func (b *bed) editor(user string, req *configpb.OpenRequest) *editor {
	b.t.Helper()
	ctx, end := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), "username", user), 2*time.Minute)
	b.t.Cleanup(end)
	e := &editor{t: b.t, ctx: ctx, end: end, client: configpb.NewConfigurationClient(b.conn)}
	var err error
	if e.stream, err = e.client.Open(ctx, req); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// begin waits for the session's first answer.
func (e *editor) begin() *configpb.Candidate {
	e.t.Helper()
	m, err := e.stream.Recv()
	if err != nil {
		e.t.Fatal(err)
	}
	e.id = m.GetId()
	return m
}

func setEdit(path, json string) *configpb.Edit {
	return &configpb.Edit{Edit: &configpb.Edit_Set_{Set: &configpb.Edit_Set{Path: path, Json: json}}}
}

func (e *editor) edit(edits ...*configpb.Edit) *configpb.Candidate {
	e.t.Helper()
	m, err := e.client.Edit(e.ctx, &configpb.EditRequest{Id: e.id, Edit: edits})
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

func wantStatus(t testing.TB, what string, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		t.Errorf("%s: %v, want %v with %q", what, err, code, text)
	}
}

func TestConfigurationService(t *testing.T) {
	b := newBed(t, nil)
	b.set("/interface[name=ge0]/config", `{"description":"zero","mru":1500}`)
	ann := b.editor("ann", &configpb.OpenRequest{})
	if m := ann.begin(); m.GetBase() != 1 || m.GetKind() != configpb.Kind_KIND_PRIVATE || !strings.HasPrefix(m.GetOwner().GetUser(), "ann") {
		t.Errorf("it opens as %v", m)
	}
	st := ann.edit(setEdit("/interface[name=ge0]/config/description", `"one"`), setEdit("/interface[name=ge1]", ""),
		&configpb.Edit{Edit: &configpb.Edit_Copy_{Copy: &configpb.Edit_Copy{From: "/interface[name=ge0]", To: "/interface[name=ge2]"}}},
		&configpb.Edit{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Format: configpb.Edit_Load_COMMANDS, Text: "set /interface[name=ge1]/config/mru 1600\n"}}})
	if st.GetChanges() != 6 {
		t.Errorf("it has %d changes, want 6: %v", st.GetChanges(), st)
	}

	diff, err := ann.client.Compare(ann.ctx, &configpb.CandidateRequest{Id: ann.id})
	if err != nil || len(diff.GetDifference()) != 6 || diff.GetDifference()[0].GetOld() != `"zero"` || diff.GetDifference()[0].GetNew() != `"one"` {
		t.Errorf("compare: %v, %v", diff, err)
	}
	read := func(id, path string, format configpb.Edit_Load_Format) string {
		t.Helper()
		resp, err := ann.client.Read(ann.ctx, &configpb.ReadRequest{Id: id, Path: path, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetText()
	}
	for _, c := range []struct {
		id, path, want string
		format         configpb.Edit_Load_Format
	}{
		{ann.id, "/interface[name=ge1]/config/mru", "1600", configpb.Edit_Load_JSON},
		{"", "/interface[name=ge1]/config/mru", "", configpb.Edit_Load_JSON},
		{"", "/interface[name=ge0]/config/description", `"zero"`, configpb.Edit_Load_JSON},
		{ann.id, "/interface[name=*]/config/mru", `{"/interface[name=ge0]/config/mru":1500,"/interface[name=ge1]/config/mru":1600,"/interface[name=ge2]/config/mru":1500}`, configpb.Edit_Load_JSON},
		{ann.id, "/interface[name=*1]/config/mru", `{"/interface[name=ge1]/config/mru":1600}`, configpb.Edit_Load_JSON},
		{ann.id, "/interface[name=ge1]", "set /interface[name=ge1]\nset /interface[name=ge1]/config/mru 1600\n", configpb.Edit_Load_COMMANDS},
	} {
		got := read(c.id, c.path, c.format)
		if c.format == configpb.Edit_Load_COMMANDS {
			if !strings.Contains(got, "/interface[name=ge1]/config/mru 1600\n") {
				t.Errorf("%s of %q is %q", c.path, c.id, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s of %q is %s, want %s", c.path, c.id, got, c.want)
		}
	}

	// What is wrong is said with its place, and changes nothing.
	_, err = ann.client.Edit(ann.ctx, &configpb.EditRequest{Id: ann.id, Edit: []*configpb.Edit{setEdit("/interface[name=ge0]/config/mru", "9")}})
	wantStatus(t, "a bad value", err, codes.InvalidArgument, "/interface[name=ge0]/config/mru")
	_, err = ann.client.Edit(ann.ctx, &configpb.EditRequest{Id: ann.id, Edit: []*configpb.Edit{setEdit("/nope", "9")}})
	wantStatus(t, "an unknown node", err, codes.NotFound, "nope")
	_, err = ann.client.Edit(ann.ctx, &configpb.EditRequest{Id: ann.id, Edit: []*configpb.Edit{{}}})
	wantStatus(t, "an empty edit", err, codes.InvalidArgument, "edit 1")
	bob := configpb.NewConfigurationClient(b.conn)
	bobCtx := metadata.AppendToOutgoingContext(b.ctx(), "username", "bob")
	_, err = bob.Edit(bobCtx, &configpb.EditRequest{Id: ann.id})
	wantStatus(t, "somebody else's candidate", err, codes.PermissionDenied, "another user")

	// Somebody commits meanwhile: the session says so, and a conflict shows both sides.
	b.set("/interface[name=ge0]/config/description", `"theirs"`)
	if m, err := ann.stream.Recv(); err != nil || m.GetBehind() != 1 || m.GetConflicts() != 1 {
		t.Errorf("after a commit of another the session says %v, %v", m, err)
	}
	_, err = ann.client.Commit(ann.ctx, &configpb.CommitRequest{Id: ann.id})
	wantStatus(t, "a conflict", err, codes.Aborted, `/interface[name=ge0]/config/description`)
	details := status.Convert(err).Details()
	if len(details) != 1 {
		t.Fatalf("details are %v", details)
	}
	if c := details[0].(*configpb.Conflicts).GetConflict()[0]; c.GetMine().GetNew() != `"one"` || c.GetTheirs().GetNew() != `"theirs"` || c.GetCommit() != 2 {
		t.Errorf("the conflict is %v", c)
	}
	up, err := ann.client.Update(ann.ctx, &configpb.UpdateRequest{Id: ann.id, Resolution: configpb.UpdateRequest_MINE})
	if err != nil || len(up.GetSettled()) != 1 || up.GetCandidate().GetConflicts() != 0 {
		t.Errorf("update: %v, %v", up, err)
	}

	check, err := ann.client.Commit(ann.ctx, &configpb.CommitRequest{Id: ann.id, Check: true})
	if err != nil || check.GetCommit().GetNumber() != 2 || check.GetPlan().GetBase() != 2 || len(check.GetPlan().GetDifference()) != 6 {
		t.Errorf("check: %v, %v", check, err)
	}
	done, err := ann.client.Commit(ann.ctx, &configpb.CommitRequest{Id: ann.id, Comment: "why", ConfirmId: "x", ConfirmSeconds: 60})
	if err != nil || done.GetCommit().GetNumber() != 3 || done.GetCommit().GetComment() != "why" {
		t.Fatalf("commit: %v, %v", done, err)
	}
	_, err = ann.client.Commit(ann.ctx, &configpb.CommitRequest{Edit: []*configpb.Edit{setEdit("/system/config/hostname", `"r"`)}})
	wantStatus(t, "a commit while one waits", err, codes.FailedPrecondition, `"x"`)
	_, err = ann.client.Confirm(ann.ctx, &configpb.ConfirmRequest{Id: "y"})
	wantStatus(t, "another id", err, codes.InvalidArgument, `"x"`)
	if _, err := ann.client.SetWait(ann.ctx, &configpb.SetWaitRequest{Seconds: 120}); err != nil {
		t.Error(err)
	}
	if _, err := ann.client.Confirm(ann.ctx, &configpb.ConfirmRequest{}); err != nil {
		t.Error(err)
	}

	log, err := ann.client.Log(ann.ctx, &configpb.LogRequest{Limit: 2})
	if err != nil || len(log.GetCommit()) != 2 || log.GetCommit()[0].GetNumber() != 3 || log.GetPending() != nil {
		t.Errorf("log: %v, %v", log, err)
	}
	d, err := ann.client.Diff(ann.ctx, &configpb.DiffRequest{From: 1, To: 2})
	if err != nil || len(d.GetDifference()) != 1 || d.GetDifference()[0].GetNew() != `"theirs"` {
		t.Errorf("diff: %v, %v", d, err)
	}
	if _, err := ann.client.SaveRescue(ann.ctx, &configpb.SaveRescueRequest{}); err != nil {
		t.Error(err)
	}
	back, err := ann.client.Rollback(ann.ctx, &configpb.RollbackRequest{Number: 1, Check: true})
	if err != nil || len(back.GetPlan().GetDifference()) != 6 || back.GetCommit().GetNumber() != 3 {
		t.Errorf("check of a rollback: %v, %v", back, err)
	}
	if back, err = ann.client.Rollback(ann.ctx, &configpb.RollbackRequest{Number: 1}); err != nil || back.GetCommit().GetNumber() != 4 {
		t.Errorf("rollback: %v, %v", back, err)
	}
	if got := read("", "/interface[name=ge1]", configpb.Edit_Load_JSON); got != "" {
		t.Errorf("after the rollback there is %s", got)
	}
	_, err = ann.client.Rollback(ann.ctx, &configpb.RollbackRequest{Number: 99})
	wantStatus(t, "a commit that never was", err, codes.NotFound, "99")
	if back, err = ann.client.LoadRescue(ann.ctx, &configpb.RollbackRequest{}); err != nil || back.GetCommit().GetNumber() != 5 {
		t.Errorf("rescue: %v, %v", back, err)
	}

	// The end of the session is the end of the candidate.
	ann.end()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, err := bob.List(bobCtx, &configpb.ListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.GetCandidate()) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the candidate outlives its session: %v", list)
		}
	}
}

func TestExclusiveCandidateLocksSet(t *testing.T) {
	b := newBed(t, nil)
	ann := b.editor("ann", &configpb.OpenRequest{Kind: configpb.Kind_KIND_EXCLUSIVE})
	ann.begin()
	_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: str("r")}}})
	wantStatus(t, "a Set", err, codes.FailedPrecondition, "exclusive candidate of ann")
	second := b.editor("bob", &configpb.OpenRequest{Kind: configpb.Kind_KIND_EXCLUSIVE})
	_, err = second.stream.Recv()
	wantStatus(t, "a second one", err, codes.FailedPrecondition, "ann")
	shared := b.editor("bob", &configpb.OpenRequest{Kind: configpb.Kind_KIND_SHARED, Name: "night"})
	shared.begin()
	_, err = shared.client.Edit(shared.ctx, &configpb.EditRequest{Id: shared.id, Edit: []*configpb.Edit{setEdit("/system/config/hostname", `"r"`)}})
	wantStatus(t, "an edit of another", err, codes.FailedPrecondition, "ann")
	if _, err := ann.client.Close(ann.ctx, &configpb.CandidateRequest{Id: ann.id}); err != nil {
		t.Error(err)
	}
	_, err = ann.stream.Recv()
	wantStatus(t, "the session of a closed candidate", err, codes.NotFound, "closed")
	b.set("/system/config/hostname", `"r"`)
	bad := b.editor("ann", &configpb.OpenRequest{Name: "x"})
	_, err = bad.stream.Recv()
	wantStatus(t, "a private one with a name", err, codes.InvalidArgument, "name")
}
