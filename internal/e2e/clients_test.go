package e2e

import (
	"context"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api"

	"router/internal/testnet"
)

// foreignLab is a router with ge0, listening with TLS on 127.0.0.1:9339 of its
// namespace, with the certificate that it made itself.
func foreignLab(t *testing.T) *lab {
	l := labOf(t)
	l.wire("h0", "ge0")
	l.start()
	l.load(`{"routerd:interface":[{"name":"ge0","config":{"description":"one"},"unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]}]}`)
	return l
}

// TestGnmicLibrary drives the daemon with gnmic's library, over TLS that
// verifies the certificate.
func TestGnmicLibrary(t *testing.T) {
	l := foreignLab(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ca := filepath.Join(l.dir, "state", "tls-cert.pem")
	target, err := api.NewTarget(api.Name("r1"), api.Address(relay(t, l.space("router"), "127.0.0.1:9339")), api.TLSCA(ca), api.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := target.CreateGNMIClient(ctx); err != nil {
		t.Fatal(err)
	}
	defer target.Close()

	c, err := target.Capabilities(ctx)
	if err != nil || !slices.Contains(c.GetSupportedEncodings(), gpb.Encoding_JSON_IETF) || len(c.GetSupportedModels()) == 0 {
		t.Fatalf("capabilities: %v, %v", c, err)
	}
	set, err := api.NewSetRequest(
		api.Update(api.Path("/interface[name=ge0]/config/description"), api.Value("two", "json_ietf")),
		api.Replace(api.Path("/system/config"), api.Value(map[string]any{"hostname": "r1"}, "json_ietf")),
		api.Delete("/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := target.Set(ctx, set); err != nil || len(r.GetResponse()) != 3 {
		t.Fatalf("set: %v, %v", r, err)
	}
	get, err := api.NewGetRequest(api.Path("/interface[name=ge0]/config/description"), api.Path("/interface[name=ge0]/state/oper-status"), api.EncodingJSON_IETF())
	if err != nil {
		t.Fatal(err)
	}
	got, err := target.Get(ctx, get)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if text := got.String(); !strings.Contains(text, "two") || !strings.Contains(text, "up") {
		t.Errorf("get: %v", got)
	}
	const description = "/interface[name=ge0]/config/description"
	for _, mode := range []struct {
		name    string
		options []api.GNMIOption
	}{
		{"once", []api.GNMIOption{api.SubscriptionListModeONCE(), api.Subscription(api.Path(description))}},
		{"on change", []api.GNMIOption{api.SubscriptionListModeSTREAM(), api.Subscription(api.Path(description), api.SubscriptionModeON_CHANGE())}},
		{"sample", []api.GNMIOption{api.SubscriptionListModeSTREAM(), api.Subscription(api.Path(description), api.SubscriptionModeSAMPLE(), api.SampleInterval(100*time.Millisecond))}},
		{"poll", []api.GNMIOption{api.SubscriptionListModePOLL(), api.Subscription(api.Path(description))}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			req, err := api.NewSubscribeRequest(append(mode.options, api.EncodingJSON_IETF())...)
			if err != nil {
				t.Fatal(err)
			}
			s := l.dial()
			defer s.conn.Close()
			if err := s.set(ctx, description+` "two"`); err != nil {
				t.Fatal(err)
			}
			if mode.name == "once" {
				rs, err := target.SubscribeOnce(ctx, req)
				if err != nil || len(rs) != 1 || !strings.Contains(rs[0].String(), "two") {
					t.Fatalf("%v, %v", rs, err)
				}
				return
			}
			go target.Subscribe(ctx, req, mode.name)
			defer target.StopSubscription(mode.name)
			responses, errs := target.ReadSubscriptions()
			next := func(text string) bool {
				for {
					select {
					case r := <-responses:
						if r.SubscriptionName == mode.name && strings.Contains(r.Response.String(), text) {
							return true
						}
					case err := <-errs:
						t.Errorf("%v", err.Err)
						return false
					case <-ctx.Done():
						return false
					}
				}
			}
			if !next("two") || !next("sync_response:true") {
				t.Fatal("the present value and the end of it never came")
			}
			if err := s.set(ctx, description+` "three"`); err != nil {
				t.Fatal(err)
			}
			if mode.name == "poll" {
				if err := target.SubscribePoll(ctx, mode.name); err != nil {
					t.Fatal(err)
				}
			}
			if !next("three") {
				t.Fatal("the new value never came")
			}
		})
	}
}

// relay listens in the test's own namespace, and passes connections on to an
// address in another: this client's dialer can't be replaced.
func relay(t *testing.T, ns *testnet.Namespace, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			var far net.Conn
			err = ns.Do(func() (err error) {
				far, err = net.Dial("tcp", address)
				return err
			})
			if err != nil {
				near.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					// The client's calls report what goes wrong.
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
				}()
			}
		}
	}()
	return listener.Addr().String()
}

// TestGnmiCLI drives the daemon with gnmi_cli of openconfig/gnmi, as go.mod pins it.
func TestGnmiCLI(t *testing.T) {
	l := foreignLab(t)
	out, err := exec.Command("go", "tool", "-n", "gnmi_cli").Output()
	if err != nil {
		t.Fatalf("gnmi_cli is run by the go command: %v", err)
	}
	program := strings.TrimSpace(string(out))
	ca := filepath.Join(l.dir, "state", "tls-cert.pem")
	const elems = `elem: <name: "interface" key: <key: "name" value: "ge0">> elem: <name: "config"> elem: <name: "description">`
	for _, tc := range []struct {
		name string
		args []string
		want string // a pattern of what it prints
	}{
		{"capabilities", []string{"-capabilities"}, `name: "routerd"`},
		{"set", []string{"-set", "-proto", `update: <path: <` + elems + `> val: <string_val: "by gnmi_cli">>`}, `op: UPDATE`},
		{"get", []string{"-get", "-proto", `path: <` + elems + `> encoding: JSON_IETF`}, `by gnmi_cli`},
		{"subscribe once", []string{"-query", "interface[name=ge0]/config/description", "-query_type", "once"}, `by gnmi_cli`},
		{"subscribe poll", []string{"-query", "interface[name=ge0]/config", "-query_type", "polling", "-count", "2", "-polling_interval", "100ms"}, `(?s)by gnmi_cli.*by gnmi_cli`},
		{"subscribe stream", []string{"-query", "interface[name=ge0]/state/oper-status", "-query_type", "streaming", "-streaming_duration", "500ms"}, `up`},
		{"a set that is refused", []string{"-set", "-proto", `update: <path: <` + elems + `> val: <uint_val: 7>>`}, `InvalidArgument`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"-address", "127.0.0.1:9339", "-ca_crt", ca, "-timeout", "10s", "-target", "r1"}, tc.args...)
			out, code := l.run(program, args...)
			// The text form of messages has one space or two, at the library's whim.
			text := strings.Join(strings.Fields(out), " ")
			if !regexp.MustCompile(tc.want).MatchString(text) {
				t.Errorf("gnmi_cli %v: exit code %d\n%s", tc.args, code, out)
			}
		})
	}
}
