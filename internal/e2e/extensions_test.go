package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"github.com/openconfig/gnmic/pkg/api"
	"github.com/openconfig/gnmic/pkg/api/target"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const portDescription = "/interface[name=ge0]/config/description"

// A gnmicClient is gnmic's library on a router.
type gnmicClient struct {
	*target.Target
	t   *testing.T
	ctx context.Context
}

// gnmic connects over TLS that verifies the router's certificate.
func (l *lab) gnmic(t *testing.T) *gnmicClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	ca := filepath.Join(l.dir, "state", "tls-cert.pem")
	to, err := api.NewTarget(api.Name("r1"), api.Address(relay(t, l.space("router"), "127.0.0.1:9339")), api.TLSCA(ca), api.Timeout(10*time.Second))
	if err == nil {
		err = to.CreateGNMIClient(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	return &gnmicClient{to, t, ctx}
}

func (c *gnmicClient) set(options ...api.GNMIOption) error {
	c.t.Helper()
	req, err := api.NewSetRequest(options...)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = c.Set(c.ctx, req)
	return err
}

func (c *gnmicClient) get(options ...api.GNMIOption) string {
	c.t.Helper()
	req, err := api.NewGetRequest(options...)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := c.Get(c.ctx, req)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.String()
}

func (c *gnmicClient) becomes(text string) {
	c.t.Helper()
	got := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = c.get(api.Path(portDescription), api.EncodingJSON_IETF()); strings.Contains(got, text) {
			return
		}
	}
	c.t.Fatalf("the description never became %q: %s", text, got)
}

func wantStatus(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("error %v, want %v", err, want)
	}
}

// TestGnmicExtensions drives what is more than plain Get, Set and Subscribe with
// gnmic's library.
func TestGnmicExtensions(t *testing.T) {
	l := foreignLab(t)
	c := l.gnmic(t)
	describe := func(text string) api.GNMIOption {
		return api.Update(api.Path(portDescription), api.Value(text, "json_ietf"))
	}
	t.Run("commit confirmed", func(t *testing.T) {
		start := time.Now()
		if err := c.set(describe("tried"), api.Extension_CommitRequest("a", 2*time.Second)); err != nil {
			t.Fatal(err)
		}
		c.becomes("tried")
		wantStatus(t, c.set(describe("plain")), codes.FailedPrecondition)
		wantStatus(t, c.set(describe("other"), api.Extension_CommitRequest("b", time.Minute)), codes.FailedPrecondition)
		wantStatus(t, c.set(api.Extension_CommitConfirm("b")), codes.InvalidArgument)
		c.becomes("one")
		if took := time.Since(start); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("it was taken back after %v, want 2 s", took)
		}
		wantStatus(t, c.set(api.Extension_CommitConfirm("a")), codes.FailedPrecondition)
		for _, options := range [][]api.GNMIOption{
			{describe("confirmed"), api.Extension_CommitRequest("c", time.Second)},
			{api.Extension_CommitSetRollbackDuration("c", time.Minute)},
			{api.Extension_CommitConfirm("c")},
			{describe("cancelled"), api.Extension_CommitRequest("d", time.Minute)},
			{api.Extension_CommitCancel("d")},
		} {
			if err := c.set(options...); err != nil {
				t.Fatal(err)
			}
		}
		c.becomes("confirmed")
	})
	t.Run("depth", func(t *testing.T) {
		got := c.get(api.Path("/interface[name=ge0]"), api.EncodingPROTO(), api.Extension_Depth(2))
		if !strings.Contains(got, `name:"mru"`) || strings.Contains(got, `name:"family"`) {
			t.Errorf("depth 2: %s", got)
		}
	})
	t.Run("union_replace", func(t *testing.T) {
		before := c.get(api.Path("/"), api.EncodingJSON_IETF(), api.DataTypeCONFIG())
		err := c.set(api.UnionReplace(api.Path("/interface[name=ge0]"), api.Value(map[string]any{"config": map[string]any{"description": "of the union"}}, "json_ietf")),
			api.UnionReplace(api.Path("routerd_cli:/"), api.Value("set /system/config/hostname union\nset /interface[name=ge0]/config/mru 1600", "ascii")))
		if err != nil {
			t.Fatal(err)
		}
		after := c.get(api.Path("routerd_cli:/"), api.EncodingASCII())
		for _, line := range []string{"hostname union", "mru 1600", `description \"of the union\"`} {
			if !strings.Contains(strings.ReplaceAll(after, `\\`, `\`), line) {
				t.Errorf("no %q in %s", line, after)
			}
		}
		if strings.Contains(after, "192.0.2.1/24") || !strings.Contains(before, "192.0.2.1/24") {
			t.Errorf("the address is still there, or never was: before %s, after %s", before, after)
		}
		err = c.set(api.UnionReplace(api.Path(portDescription), api.Value("x", "json_ietf")),
			api.UnionReplace(api.Path("routerd_cli:/"), api.Value("set "+portDescription+" y", "ascii")))
		wantStatus(t, err, codes.InvalidArgument)
	})
	t.Run("arbitration", func(t *testing.T) {
		as := func(role string, id uint64) api.GNMIOption {
			return api.Extension(&gnmi_ext.Extension{Ext: &gnmi_ext.Extension_MasterArbitration{MasterArbitration: &gnmi_ext.MasterArbitration{
				Role: &gnmi_ext.Role{Id: role}, ElectionId: &gnmi_ext.Uint128{Low: id}}}})
		}
		for _, tc := range []struct {
			role string
			id   uint64
			want codes.Code
		}{{"a", 5, codes.OK}, {"a", 4, codes.PermissionDenied}, {"b", 1, codes.OK}, {"a", 6, codes.OK}, {"a", 5, codes.PermissionDenied}} {
			wantStatus(t, c.set(describe("by a master"), as(tc.role, tc.id)), tc.want)
		}
	})
	t.Run("history", func(t *testing.T) {
		start := time.Now()
		for _, text := range []string{"first", "second", "third"} {
			if err := c.set(describe(text)); err != nil {
				t.Fatal(err)
			}
		}
		end := time.Now()
		if err := c.set(describe("later")); err != nil {
			t.Fatal(err)
		}
		req, err := api.NewSubscribeRequest(api.EncodingPROTO(), api.SubscriptionListModeONCE(), api.Subscription(api.Path(portDescription)), api.Extension_HistorySnapshotTime(end))
		if err != nil {
			t.Fatal(err)
		}
		rs, err := c.SubscribeOnce(c.ctx, req)
		if err != nil || len(rs) != 1 || !strings.Contains(rs[0].String(), "third") {
			t.Errorf("the snapshot: %v, %v", rs, err)
		}
		req, err = api.NewSubscribeRequest(api.EncodingPROTO(), api.SubscriptionListModeSTREAM(), api.Subscription(api.Path(portDescription), api.SubscriptionModeON_CHANGE()), api.Extension_HistoryRange(start, end))
		if err != nil {
			t.Fatal(err)
		}
		responses, errs := c.SubscribeStreamChan(c.ctx, req, "history")
		var got []string
		for done := false; !done; {
			select {
			case r := <-responses:
				for _, u := range r.GetUpdate().GetUpdate() {
					got = append(got, u.GetVal().GetStringVal())
				}
				done = len(got) == 4
			case err := <-errs:
				if err != nil {
					t.Fatal(err, got)
				}
			case <-c.ctx.Done():
				t.Fatalf("only %q came", got)
			}
		}
		if strings.Join(got, " ") != "by a master first second third" {
			t.Errorf("the range: %q", got)
		}
	})
	t.Run("config subscription", func(t *testing.T) {
		req, err := api.NewSubscribeRequest(api.EncodingPROTO(), api.SubscriptionListModeSTREAM(), api.Subscription(api.Path(portDescription), api.SubscriptionModeON_CHANGE()),
			api.Extension(&gnmi_ext.Extension{Ext: &gnmi_ext.Extension_ConfigSubscription{ConfigSubscription: &gnmi_ext.ConfigSubscription{
				Action: &gnmi_ext.ConfigSubscription_Start{Start: &gnmi_ext.ConfigSubscriptionStart{}}}}}))
		if err != nil {
			t.Fatal(err)
		}
		responses, errs := c.SubscribeStreamChan(c.ctx, req, "config")
		for {
			select {
			case r := <-responses:
				if r.GetSyncResponse() {
					if err := c.set(describe("announced"), api.Extension_CommitRequest("e", time.Minute)); err != nil {
						t.Fatal(err)
					}
				}
				for _, e := range r.GetExtension() {
					if d := e.GetConfigSubscription().GetSyncDone(); d.GetCommitConfirmId() == "e" && d.GetDone() {
						if err := c.set(api.Extension_CommitCancel("e")); err != nil {
							t.Error(err)
						}
						return
					}
				}
			case err := <-errs:
				t.Fatal(err)
			case <-c.ctx.Done():
				t.Fatal("sync_done never came")
			}
		}
	})
	t.Run("the annotation survives a kill, and is rolled back", func(t *testing.T) {
		s := l.dial()
		defer s.conn.Close()
		octets := []byte(strings.Repeat("\x00annotated\xff", 1<<20/12))
		at := &gpb.Path{Elem: []*gpb.PathElem{{Name: "@"}, {Name: "openconfig-metadata:protobuf-metadata"}}}
		if _, err := s.Set(c.ctx, &gpb.SetRequest{Update: []*gpb.Update{{Path: at, Val: &gpb.TypedValue{Value: &gpb.TypedValue_BytesVal{BytesVal: octets}}}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Set(c.ctx, &gpb.SetRequest{Update: []*gpb.Update{{Path: at, Val: &gpb.TypedValue{Value: &gpb.TypedValue_BytesVal{BytesVal: []byte("x")}}}},
			Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Commit{Commit: &gnmi_ext.Commit{Id: "f", Action: &gnmi_ext.Commit_Commit{Commit: &gnmi_ext.CommitRequest{}}}}}}}); err != nil {
			t.Fatal(err)
		}
		_ = l.end(syscall.SIGKILL)
		l.start()
		again := l.dial()
		defer again.conn.Close()
		if _, err := again.Set(c.ctx, &gpb.SetRequest{Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Commit{Commit: &gnmi_ext.Commit{Id: "f",
			Action: &gnmi_ext.Commit_Cancel{Cancel: &gnmi_ext.CommitCancel{}}}}}}}); err != nil {
			t.Fatal(err)
		}
		r, err := again.Get(c.ctx, &gpb.GetRequest{Path: []*gpb.Path{at}, Encoding: gpb.Encoding_PROTO})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.GetNotification()[0].GetUpdate()[0].GetVal().GetBytesVal(); string(got) != string(octets) {
			t.Errorf("%d octets came back, of %d", len(got), len(octets))
		}
	})
}

// TestGnmiCLIExtensions drives the same with gnmi_cli.
func TestGnmiCLIExtensions(t *testing.T) {
	l := foreignLab(t)
	out, err := exec.Command("go", "tool", "-n", "gnmi_cli").Output()
	if err != nil {
		t.Fatalf("gnmi_cli is run by the go command: %v", err)
	}
	program := strings.TrimSpace(string(out))
	ca := filepath.Join(l.dir, "state", "tls-cert.pem")
	const path = `path: <elem: <name: "interface" key: <key: "name" value: "ge0">> elem: <name: "config"> elem: <name: "description">>`
	for _, tc := range []struct{ name, call, proto, want string }{
		{"commit confirmed", "-set", `update: <` + path + ` val: <string_val: "tried">> extension: <commit: <id: "a" commit: <rollback_duration: <seconds: 60>>>>`, "op: UPDATE"},
		{"a plain set meanwhile", "-set", `update: <` + path + ` val: <string_val: "plain">>`, "FailedPrecondition"},
		{"another id", "-set", `extension: <commit: <id: "b" confirm: <>>>`, "InvalidArgument"},
		{"cancel", "-set", `extension: <commit: <id: "a" cancel: <>>>`, "timestamp"},
		{"it is taken back", "-get", path + ` encoding: ASCII`, `ascii_val: "one"`},
		{"depth", "-get", `path: <elem: <name: "interface" key: <key: "name" value: "ge0">> elem: <name: "unit">> encoding: PROTO extension: <depth: <level: 1>>`, `string_val: "0"`},
		{"arbitration", "-set", `extension: <master_arbitration: <election_id: <high: 1 low: 2>>>`, "timestamp"},
		{"an older master", "-set", `extension: <master_arbitration: <election_id: <low: 3>>>`, "PermissionDenied"},
		{"union_replace", "-set", `union_replace: <path: <origin: "routerd_cli"> val: <ascii_val: "set /interface[name=ge0]/config/description union">> union_replace: <path: <elem: <name: "system"> elem: <name: "config"> elem: <name: "hostname">> val: <string_val: "r1">>`, "op: UNION_REPLACE"},
		{"what it made", "-get", `path: <origin: "routerd_cli"> encoding: ASCII`, `ascii_val: "set /interface[name=ge0]/config/description union\nset /system/config/hostname r1\n"`},
		{"a union that contradicts itself", "-set", `union_replace: <path: <origin: "routerd_cli"> val: <ascii_val: "set /system/config/hostname r2">> union_replace: <path: <elem: <name: "system"> elem: <name: "config"> elem: <name: "hostname">> val: <string_val: "r1">>`, "InvalidArgument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, code := l.run(program, "-address", "127.0.0.1:9339", "-ca_crt", ca, "-timeout", "10s", "-target", "r1", tc.call, "-proto", tc.proto)
			// The text form of messages has one space or two, at the library's whim.
			if text := strings.Join(strings.Fields(out), " "); !strings.Contains(text, tc.want) {
				t.Errorf("gnmi_cli %s: exit code %d\n%s", tc.proto, code, out)
			}
		})
	}
}
