package northbound

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api"
)

// TestGnmicLibrary drives the server with a client that we did not write.
func TestGnmicLibrary(t *testing.T) {
	b := furnished(t)
	config, err := TLSConfig(TLSFiles{StateDir: t.TempDir()}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	target, err := api.NewTarget(api.Name("r1"), api.Address(b.listen(config)), api.SkipVerify(true), api.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := target.CreateGNMIClient(ctx); err != nil {
		t.Fatal(err)
	}
	defer target.Close()

	c, err := target.Capabilities(ctx)
	if err != nil || c.GetGNMIVersion() != version {
		t.Fatalf("capabilities: %v, %v", c, err)
	}
	set, err := api.NewSetRequest(
		api.Update(api.Path("interface[name=ge0]/config"), api.Value(map[string]any{"description": "by gnmic", "mru": 1600}, "json_ietf")),
		api.Replace(api.Path("interface[name=ge1]/config/description"), api.Value("replaced", "json_ietf")),
		api.Delete("interface[name=ge0]/unit[id=0]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Set(ctx, set); err != nil {
		t.Fatalf("set: %v", err)
	}
	get, err := api.NewGetRequest(api.Path("interface[name=ge0]/config/description"), api.Path("interface[name=*]/config/mru"), api.EncodingJSON_IETF())
	if err != nil {
		t.Fatal(err)
	}
	got, err := target.Get(ctx, get)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	m := values(got.GetNotification()...)
	if m[desc] != `"by gnmic"` || m["/interface[name=ge0]/config/mru"] != "1600" {
		t.Errorf("get: %v", m)
	}
	sub, err := api.NewSubscribeRequest(api.EncodingJSON_IETF(), api.SubscriptionListModeONCE(), api.Subscription(api.Path("interface/config/description")))
	if err != nil {
		t.Fatal(err)
	}
	once, err := target.SubscribeOnce(ctx, sub)
	if err != nil {
		t.Fatalf("subscribe once: %v", err)
	}
	seen := map[string]string{}
	for _, r := range once {
		for path, v := range values(r.GetUpdate()) {
			seen[path] = v
		}
	}
	if seen[desc] != `"by gnmic"` || seen["/interface[name=ge1]/config/description"] != `"replaced"` {
		t.Errorf("subscribe once: %v", seen)
	}
	sub, err = api.NewSubscribeRequest(api.EncodingPROTO(), api.SubscriptionListModeSTREAM(),
		api.Subscription(api.Path("interface[name=ge0]/config/description"), api.SubscriptionModeON_CHANGE()))
	if err != nil {
		t.Fatal(err)
	}
	responses, errs := target.SubscribeStreamChan(ctx, sub, "watch")
	for synced, changed := false, false; !changed; {
		select {
		case r := <-responses:
			switch {
			case r.GetSyncResponse():
				synced = true
				b.set(desc, `"streamed"`)
			case synced:
				changed = values(r.GetUpdate())[desc] == "streamed"
			}
		case err := <-errs:
			t.Fatalf("subscribe stream: %v", err)
		case <-ctx.Done():
			t.Fatal("subscribe stream: the change never came")
		}
	}
}

// TestGnmiCLI runs gnmi_cli of openconfig/gnmi, as go.mod pins it.
func TestGnmiCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("gnmi_cli is run by the go command: %v", err)
	}
	b := furnished(t)
	config, err := TLSConfig(TLSFiles{StateDir: t.TempDir()}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	addr := b.listen(config)
	path, err := exec.Command(goTool, "tool", "-n", "gnmi_cli").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := strings.TrimSpace(string(path))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"capabilities", []string{"-capabilities"}, `name: "routerd"`},
		{"set", []string{"-set", "-proto", `update: <path: <elem: <name: "interface" key: <key: "name" value: "ge0">> elem: <name: "config"> elem: <name: "description">> val: <string_val: "by gnmi_cli">>`}, "UPDATE"},
		{"get", []string{"-get", "-proto", `path: <elem: <name: "interface" key: <key: "name" value: "ge0">> elem: <name: "config"> elem: <name: "description">> encoding: JSON_IETF`}, "by gnmi_cli"},
		{"subscribe once", []string{"-query", "interface[name=ge0]/config/description", "-query_type", "once"}, "by gnmi_cli"},
		{"subscribe poll", []string{"-query", "interface[name=ge0]/config", "-query_type", "polling", "-count", "1", "-polling_interval", "100ms"}, "by gnmi_cli"},
		{"subscribe stream", []string{"-query", "interface", "-query_type", "streaming", "-streaming_duration", "500ms"}, "by gnmi_cli"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			args := append([]string{"-address", addr, "-tls_skip_verify", "-timeout", "10s", "-target", "r1"}, tc.args...)
			out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
			// So this client reports that its time is over, whichever layer notices first.
			over := strings.Contains(string(out), "context deadline exceeded") || strings.Contains(string(out), "code = DeadlineExceeded")
			if tc.name == "subscribe stream" && over {
				err = nil
			}
			// The text form of messages has one space or two, at the library's whim.
			if err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), tc.want) {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		})
	}
}

var _ gnmi.GNMIServer = (*Server)(nil)
