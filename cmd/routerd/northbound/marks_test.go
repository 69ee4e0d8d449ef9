package northbound

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/configpb"
)

func commandsEdit(text string) *configpb.Edit {
	return &configpb.Edit{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Format: configpb.Edit_Load_COMMANDS, Text: text}}}
}

func TestInactivePartsAndComments(t *testing.T) {
	b := newBed(t, nil)
	b.set("/interface[name=ge0]/config", `{"description":"zero","mru":1500}`)
	ann := b.editor("ann", &configpb.OpenRequest{})
	ann.begin()
	ann.edit(&configpb.Edit{Edit: &configpb.Edit_Deactivate{Deactivate: "/interface[name=ge0]"}},
		&configpb.Edit{Edit: &configpb.Edit_Annotate_{Annotate: &configpb.Edit_Annotate{Path: "/interface[name=ge0]", Comment: "later"}}},
		commandsEdit("set /interface[name=ge0]/config/mru 1600\n"))
	diff, err := ann.client.Compare(ann.ctx, &configpb.CandidateRequest{Id: ann.id})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range diff.GetDifference() {
		lines = append(lines, d.GetAspect().String()+" "+d.GetPath()+" "+d.GetOld()+" "+d.GetNew())
	}
	const want = `COMMENT /interface[name=ge0]  "later"
INACTIVE /interface[name=ge0]  true
VALUE /interface[name=ge0]/config/mru 1500 1600`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("it changes\n%s\nwant\n%s", got, want)
	}
	if _, err := ann.client.Commit(ann.ctx, &configpb.CommitRequest{Id: ann.id}); err != nil {
		t.Fatal(err)
	}
	const text = `set /interface[name=ge0]/config/description zero
set /interface[name=ge0]/config/mru 1600
annotate /interface[name=ge0] "later"
deactivate /interface[name=ge0]
`
	for path, want := range map[string]string{"/interface[name=*]": text, "/interface[name=g?0]": text, "/interface[name=*1]": ""} {
		read, err := ann.client.Read(ann.ctx, &configpb.ReadRequest{Path: path, Format: configpb.Edit_Load_COMMANDS, Whole: true})
		if err != nil || read.GetText() != want {
			t.Errorf("%s, %v: it reads\n%swant\n%s", path, err, read.GetText(), want)
		}
	}
	// gNMI sees it as a mark, and can't set it beside that.
	_, err = b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/interface[name=ge0]/config/mru"), Val: &gnmi.TypedValue{Value: &gnmi.TypedValue_UintVal{UintVal: 1700}}}}})
	wantStatus(t, "a Set into it", err, codes.InvalidArgument, "is inactive")
	got, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/interface[name=ge0]/config")}, Encoding: gnmi.Encoding_JSON_IETF})
	if err == nil && strings.Contains(got.String(), "1600") {
		t.Errorf("Get tells %v", got)
	}
	// Rollback as an edit.
	if m := ann.edit(&configpb.Edit{Edit: &configpb.Edit_Rollback_{Rollback: &configpb.Edit_Rollback{Number: 1}}}); m.GetChanges() == 0 {
		t.Errorf("after the rollback: %v", m)
	}
	_, err = ann.client.Edit(ann.ctx, &configpb.EditRequest{Id: ann.id, Edit: []*configpb.Edit{{Edit: &configpb.Edit_Rollback_{Rollback: &configpb.Edit_Rollback{Number: 99}}}}})
	wantStatus(t, "a commit that is not there", err, codes.NotFound, "99")
	_, err = ann.client.Edit(ann.ctx, &configpb.EditRequest{Id: ann.id, Edit: []*configpb.Edit{commandsEdit("set /interface[name=x]"), {Edit: &configpb.Edit_Rollback_{Rollback: &configpb.Edit_Rollback{Number: 1}}}}})
	wantStatus(t, "a rollback among others", err, codes.InvalidArgument, "by itself")
}

func TestMarksKeepToRights(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	net := g.session("net")
	net.begin()
	for name, c := range map[string]struct{ commands, denied string }{
		"a comment of one's own": {"annotate /interface[name=ge0]/config/description x\n", ""},
		"of another's":           {"annotate /interface[name=ge1] x\n", "ge1"},
		"deactivate another's":   {"deactivate /interface[name=ge1]\n", "ge1"},
		"a pattern":              {"deactivate /interface[name=*]\n", "interface"},
		"the list itself":        {"set /mark[path=/interface[name=ge1\\]]/config/comment x\n", "ge1"},
		"a glob":                 {"delete /interface[name=ge?]/config/description\n", "interface"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := net.client.Commit(net.ctx, &configpb.CommitRequest{Edit: []*configpb.Edit{setEdit("/interface[name=ge0]/config/description", `"y"`), commandsEdit(c.commands)}, Check: true})
			if c.denied == "" && err != nil {
				t.Error(err)
			}
			if c.denied != "" {
				wantStatus(t, "commit", err, codes.PermissionDenied, c.denied)
			}
		})
	}
}

func TestWhatCutsAConnection(t *testing.T) {
	schema, err := tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		t.Fatal(err)
	}
	running := &gen.Device{}
	u := running.GetOrCreateInterface("ge0").GetOrCreateUnit("0")
	u.GetOrCreateFamily(gen.Routerd_FamilyType_inet).GetOrCreateAddress("192.0.2.1/24")
	c := connection{local: netip.MustParseAddr("192.0.2.1"), remote: netip.MustParseAddr("203.0.113.9"), user: "ann"}
	str := func(s string) *gnmi.TypedValue {
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: s}}
	}
	no := &gnmi.TypedValue{Value: &gnmi.TypedValue_BoolVal{BoolVal: false}}
	for _, tc := range []struct {
		name, path string
		old, new   *gnmi.TypedValue
		want       string
	}{
		{"its address", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]/prefix", str("x"), nil, "loses the address 192.0.2.1"},
		{"another address", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.2/24]/prefix", str("x"), nil, ""},
		{"a new address", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]/prefix", nil, str("x"), ""},
		{"its device", "/interface[name=ge0]/config/enabled", nil, no, "interface ge0, by whose address"},
		{"another device", "/interface[name=ge1]/config/enabled", nil, no, ""},
		{"its unit's tag", "/interface[name=ge0]/unit[id=0]/vlan/config/outer-vlan-id", nil, str("7"), "ge0 unit 0"},
		{"its family's instance", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance", nil, str("blue"), "family inet"},
		{"a description", "/interface[name=ge0]/config/description", nil, str("x"), ""},
		{"the route back", "/instance[name=default]/static-route[prefix=0.0.0.0/0]/prefix", str("0.0.0.0/0"), nil, "static route 0.0.0.0/0"},
		{"another route", "/instance[name=default]/static-route[prefix=10.0.0.0/8]/prefix", str("10.0.0.0/8"), nil, ""},
		{"its user", "/user[name=ann]/name", str("ann"), nil, "user ann"},
		{"another user", "/user[name=bob]/name", str("bob"), nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := tree.Parse(tc.path)
			if err != nil || schema.Check(p) != nil {
				t.Fatal(err, schema.Check(p))
			}
			got := strings.Join(c.cuts(running, []tree.Difference{{Path: p, Old: tc.old, New: tc.new}}), "; ")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
