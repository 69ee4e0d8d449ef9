package northbound

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"router/gen/configpb"
)

// session is an editor's session of a user.
func (g *guardedBed) session(user string) *editor {
	g.t.Helper()
	ctx, end := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), "username", user, "password", user), 2*time.Minute)
	g.t.Cleanup(end)
	e := &editor{t: g.t, ctx: ctx, end: end, client: configpb.NewConfigurationClient(g.conn)}
	var err error
	if e.stream, err = e.client.Open(ctx, &configpb.OpenRequest{Kind: configpb.Kind_KIND_SHARED, Name: "all"}); err != nil {
		g.t.Fatal(err)
	}
	return e
}

func TestCandidatesKeepToRights(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	net := g.session("net")
	net.begin()
	const mine = "/interface[name=ge0]/config/description"
	for name, c := range map[string]struct {
		edit   *configpb.Edit
		denied string
	}{
		"what is permitted": {setEdit(mine, `"x"`), ""},
		"another entry":     {setEdit("/interface[name=ge1]/config/description", `"x"`), "ge1"},
		"a delete of the parent": {&configpb.Edit{Edit: &configpb.Edit_Delete{Delete: "/interface[name=ge0]"}},
			"ge0"},
		"a rename": {&configpb.Edit{Edit: &configpb.Edit_Rename_{Rename: &configpb.Edit_Rename{From: "/interface[name=ge0]", To: "/interface[name=ge7]"}}}, "ge0"},
		"a copy":   {&configpb.Edit{Edit: &configpb.Edit_Copy_{Copy: &configpb.Edit_Copy{From: "/interface[name=ge0]", To: "/interface[name=ge7]"}}}, "ge7"},
		"a copy of what can't be read": {&configpb.Edit{Edit: &configpb.Edit_Copy_{Copy: &configpb.Edit_Copy{From: "/user[name=ann]", To: "/user[name=net2]"}}},
			"/user"},
		"commands": {&configpb.Edit{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Format: configpb.Edit_Load_COMMANDS, Text: "set /system/config/hostname r9\n"}}}, "/system"},
		"a load":   {&configpb.Edit{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Replace: true, Text: "{}"}}}, "/"},
	} {
		t.Run("4/"+name, func(t *testing.T) {
			for how, err := range map[string]error{
				"edit": func() error {
					_, err := net.client.Edit(net.ctx, &configpb.EditRequest{Id: net.id, Edit: []*configpb.Edit{c.edit}})
					return err
				}(),
				"commit of running": func() error {
					_, err := net.client.Commit(net.ctx, &configpb.CommitRequest{Edit: []*configpb.Edit{c.edit}, Check: true})
					return err
				}(),
			} {
				if c.denied == "" && err != nil {
					t.Errorf("%s: %v", how, err)
				}
				if c.denied != "" {
					wantStatus(t, how, err, codes.PermissionDenied, c.denied)
				}
			}
		})
	}
	t.Run("4/another's change in a shared candidate", func(t *testing.T) {
		root := g.session("root")
		root.begin()
		root.edit(setEdit("/system/config/hostname", `"r7"`))
		_, err := net.client.Commit(net.ctx, &configpb.CommitRequest{Id: net.id})
		wantStatus(t, "commit", err, codes.PermissionDenied, "/system/config/hostname")
		if _, err := root.client.Commit(root.ctx, &configpb.CommitRequest{Id: root.id}); err != nil {
			t.Error(err)
		}
	})
	t.Run("4/ways back", func(t *testing.T) {
		_, err := net.client.Rollback(net.ctx, &configpb.RollbackRequest{Number: 1})
		wantStatus(t, "rollback", err, codes.PermissionDenied, "roles")
		_, err = net.client.LoadRescue(net.ctx, &configpb.RollbackRequest{})
		wantStatus(t, "rescue", err, codes.PermissionDenied, "roles")
		_, err = net.client.SaveRescue(net.ctx, &configpb.SaveRescueRequest{})
		wantStatus(t, "save rescue", err, codes.PermissionDenied, "roles")
	})
	t.Run("4/who writes nothing opens nothing", func(t *testing.T) {
		eve := g.session("eve")
		_, err := eve.stream.Recv()
		wantStatus(t, "open", err, codes.PermissionDenied, "roles")
	})
	t.Run("4/what is read", func(t *testing.T) {
		_, err := net.client.Read(net.ctx, &configpb.ReadRequest{Path: "/user[name=ann]"})
		wantStatus(t, "read", err, codes.PermissionDenied, "/user")
		if r, err := net.client.Read(net.ctx, &configpb.ReadRequest{Path: "/user[name=a*]"}); err != nil || r.GetFound() {
			t.Errorf("by a glob: %v, %v", r, err)
		}
		r, err := net.client.Read(net.ctx, &configpb.ReadRequest{Path: "/"})
		if err != nil || strings.Contains(r.GetText(), "ann") || !strings.Contains(r.GetText(), "ge1") {
			t.Errorf("%v, %v", r, err)
		}
		d, err := net.client.Diff(net.ctx, &configpb.DiffRequest{From: 0, To: 1})
		if err != nil || strings.Contains(d.String(), "/user") || !strings.Contains(d.String(), "ge1") {
			t.Errorf("%v, %v", d, err)
		}
	})
}

func TestCandidatesHideSecrets(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	root := g.session("root")
	root.begin()
	other := strings.Replace(annsHash, "$10$N", "$11$M", 1)
	root.edit(setEdit("/user[name=ann]/config/password-hash", `"`+other+`"`), setEdit("/user[name=ann]/config/description", `"x"`))
	answers := map[string]fmt.Stringer{}
	var err error
	note := func(what string, m fmt.Stringer, e error) {
		if err = e; err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		answers[what] = m
	}
	compared, err := root.client.Compare(root.ctx, &configpb.CandidateRequest{Id: root.id})
	note("compare", compared, err)
	plan, err := root.client.Check(root.ctx, &configpb.CandidateRequest{Id: root.id})
	note("check", plan, err)
	for _, format := range []configpb.Edit_Load_Format{configpb.Edit_Load_JSON, configpb.Edit_Load_COMMANDS} {
		r, err := root.client.Read(root.ctx, &configpb.ReadRequest{Id: root.id, Path: "/user[name=ann]", Format: format})
		note("read "+format.String(), r, err)
	}
	committed, err := root.client.Commit(root.ctx, &configpb.CommitRequest{Id: root.id})
	note("commit", committed, err)
	diff, err := root.client.Diff(root.ctx, &configpb.DiffRequest{From: 0, To: g.store.Last().Number})
	note("diff", diff, err)
	for what, m := range answers {
		if strings.Contains(m.String(), "$2a$") || what != "commit" && !strings.Contains(m.String(), "hidden") {
			t.Errorf("%s: %v", what, m)
		}
	}
	// What was read goes into a candidate again.
	root.edit(setEdit("/user[name=ann]/config", `{"password-hash":"<hidden>","description":"y"}`))
	if _, err := root.client.Commit(root.ctx, &configpb.CommitRequest{Id: root.id}); err != nil {
		t.Fatal(err)
	}
	ops, err := g.store.Change(g.store.Last().Number)
	if err != nil || len(ops) != 1 {
		t.Errorf("%v, %v", ops, err)
	}
}

func TestPendingCommitsKeepToRights(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	g.user("net2", "net")
	set := func(user string, c *gnmi_ext.Commit, updates ...*gnmi.Update) error {
		_, err := g.client.Set(g.as(user), &gnmi.SetRequest{Update: updates,
			Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Commit{Commit: c}}}})
		return err
	}
	begin := &gnmi_ext.Commit{Id: "a", Action: &gnmi_ext.Commit_Commit{Commit: &gnmi_ext.CommitRequest{RollbackDuration: durationpb.New(time.Minute)}}}
	if err := set("net", begin, &gnmi.Update{Path: p(t, "/interface[name=ge0]/config/description"), Val: ietf(`"pending"`)}); err != nil {
		t.Fatal(err)
	}
	cancel := &gnmi_ext.Commit{Id: "a", Action: &gnmi_ext.Commit_Cancel{Cancel: &gnmi_ext.CommitCancel{}}}
	for _, user := range []string{"eve", "ops", "net2"} {
		wantCode(t, set(user, cancel), codes.PermissionDenied)
	}
	if err := set("net", cancel); err != nil {
		t.Errorf("one's own: %v", err)
	}
}
