package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/gen/configpb"
)

// A fake is a router that answers as the test tells it and remembers Sets.
type fake struct {
	gpb.UnimplementedGNMIServer
	configpb.UnimplementedStateServer
	answers map[string]string // path -> JSON
	matches map[string]string // path -> what of it stands there, for patterns
	routes  []*configpb.RoutePrefix
	failed  []*configpb.Unapplied
	refuse  error
	sets    []*gpb.SetRequest
}

func (f *fake) Get(_ context.Context, req *gpb.GetRequest) (*gpb.GetResponse, error) {
	resp := &gpb.GetResponse{}
	for _, p := range req.GetPath() {
		v, ok := f.answers[pathText(p)]
		if !ok {
			return nil, status.Errorf(codes.NotFound, "%s: nothing there", pathText(p))
		}
		resp.Notification = append(resp.Notification, &gpb.Notification{Update: []*gpb.Update{{
			Path: f.match(p), Val: &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: []byte(v)}}}}})
	}
	return resp, nil
}

// match is the path of the node that a pattern matches.
func (f *fake) match(p *gpb.Path) *gpb.Path {
	if text, ok := f.matches[pathText(p)]; ok {
		if at, err := parsePath(text); err == nil {
			return at
		}
	}
	return p
}

func (f *fake) Routes(req *configpb.RoutesRequest, stream grpc.ServerStreamingServer[configpb.RoutesResponse]) error {
	m := &configpb.RoutesResponse{}
	for _, p := range f.routes {
		if req.GetPermanent() || p.GetEntry()[0].GetSource() != "permanent" {
			m.Prefix = append(m.Prefix, p)
		}
	}
	return stream.Send(m)
}

func (f *fake) Unapplied(_ *configpb.UnappliedRequest, stream grpc.ServerStreamingServer[configpb.UnappliedResponse]) error {
	return stream.Send(&configpb.UnappliedResponse{Object: f.failed})
}

func (f *fake) Set(_ context.Context, req *gpb.SetRequest) (*gpb.SetResponse, error) {
	f.sets = append(f.sets, req)
	return &gpb.SetResponse{}, f.refuse
}

func start(t *testing.T, f *fake) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	gpb.RegisterGNMIServer(s, f)
	configpb.RegisterStateServer(s, f)
	go s.Serve(l) //nolint:errcheck // ends with Stop
	t.Cleanup(s.Stop)
	return path
}

func rcli(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestExitCodes(t *testing.T) {
	f := &fake{answers: map[string]string{"/system/config/hostname": `"r1"`}}
	socket := start(t, f)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"done", []string{"--socket", socket, "get", "/system/config/hostname"}, exitDone, ""},
		{"absent", []string{"--socket", socket, "get", "/system/config"}, exitRefused, "nothing there"},
		{"no router", []string{"--socket", socket + "x", "get", "/"}, exitNoConnection, "is routerd running"},
		{"unknown command", []string{"frobnicate"}, exitUsage, "frobnicate"},
		{"unknown flag", []string{"get", "--deep", "/"}, exitUsage, "--deep"},
		{"too few words", []string{"set", "/system/config/hostname"}, exitUsage, "pairs"},
		{"malformed path", []string{"get", "/interface[name=ge0"}, exitUsage, "want a form such as"},
		{"unknown node", []string{"set", "/nonsense", "x"}, exitUsage, "no such node"},
		{"unknown type", []string{"get", "--type", "both", "/"}, exitUsage, "all, config or state"},
		{"no file", []string{"load", "/nonexistent"}, exitUsage, "no such file"},
		{"unknown table", []string{"show", "cables"}, exitUsage, "cables"},
		{"not a prefix", []string{"show", "routes", "here"}, exitUsage, "want a prefix"},
		{"absent interface", []string{"--socket", socket, "show", "interfaces", "ge9"}, exitRefused, "no interface ge9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, errOut := rcli(t, c.args...)
			if code != c.code || !strings.Contains(errOut, c.says) {
				t.Errorf("exit %d, %q; want %d, %q", code, errOut, c.code, c.says)
			}
		})
	}
}

func TestViolationsAreListed(t *testing.T) {
	st, err := status.New(codes.InvalidArgument, "2 rules are broken").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "/interface[name=ge0]/config/mru", Description: "too small"},
			{Field: "/instance[name=red]", Description: "in use"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	socket := start(t, &fake{refuse: st.Err()})
	code, _, errOut := rcli(t, "--socket", socket, "-c", "delete /instance[name=red]")
	for _, want := range []string{"2 rules are broken", "/interface[name=ge0]/config/mru: too small", "/instance[name=red]: in use"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("%q does not say %q", errOut, want)
		}
	}
	if code != exitRefused {
		t.Errorf("exit %d", code)
	}
}

func TestSetEncodesByTheModel(t *testing.T) {
	f := &fake{}
	socket := start(t, f)
	code, _, errOut := rcli(t, "--socket", socket, "set",
		"/interface[name=ge0]/config/enabled", "false",
		"/interface[name=ge0]/config/mru", "1500",
		"/interface[name=ge0]/config/description", "1500",
		"/interface[name=ge0]/unit[id=0]", `{"config":{"id":"0"}}`)
	if code != exitDone {
		t.Fatal(errOut)
	}
	var got []string
	for _, u := range f.sets[0].GetUpdate() {
		got = append(got, strings.ReplaceAll(u.GetVal().String(), "  ", " "))
	}
	want := []string{`bool_val:false`, `uint_val:1500`, `string_val:"1500"`, `json_ietf_val:"{\"config\":{\"id\":\"0\"}}"`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTables(t *testing.T) {
	const (
		neighbors = "/interface[name=*]/unit[id=*]/family[type=*]/neighbor[address=*]"
		instances = "/interface[name=*]/unit[id=*]/family[type=*]/state/instance"
		family    = "/interface[name=ge0]/unit[id=0]/family[type=inet]"
	)
	socket := start(t, &fake{answers: map[string]string{
		"/interface[name=*]":                 `{"routerd:name":"ge0"}`,
		"/interface[name=*]/name":            `"ge0"`,
		"/interface[name=ge0]/unit[id=*]/id": `"0"`,
		"/interface[name=ge0]/state":         `{"routerd:oper-status":"up","routerd:driver-in-use":"af-xdp","routerd:xdp-mode":"native","routerd:counters":{"in-pkts":"7"},"routerd:rates":{"in-bit-rate":"1500000"}}`,
		"/interface[name=ge0]/unit[id=0]": `{"routerd:id":"0","routerd:state":{"name":"ge0.0","oper-status":"up"},"routerd:family":[{"type":"inet","state":{"instance":"red","oper-status":"up"},
			"address":[{"prefix":"192.0.2.1/24","state":{"status":"preferred"}}]}]}`,
		neighbors: `{"routerd:address":"192.0.2.10","routerd:state":{"link-layer-address":"02:00:00:00:00:01","origin":"dynamic","state":"reachable"}}`,
		instances: `"red"`,
	}, matches: map[string]string{
		"/interface[name=*]/name":            "/interface[name=ge0]/name",
		"/interface[name=ge0]/unit[id=*]/id": "/interface[name=ge0]/unit[id=0]/id",
		neighbors:                            family + "/neighbor[address=192.0.2.10]",
		instances:                            family + "/state/instance",
	}, routes: []*configpb.RoutePrefix{
		{Prefix: "0.0.0.0/0", Entry: []*configpb.RouteEntry{{Source: "permanent", NextHopType: "reject"}}},
		{Prefix: "10.0.0.0/8", Entry: []*configpb.RouteEntry{{Source: "user", Protocol: "static", Preference: 5, Active: true,
			NextHopType: "forward", Gateway: "192.0.2.9", Egress: "ge0.0"}}},
	}})
	for _, c := range []struct {
		args        []string
		want, never string
	}{
		{[]string{"show", "interfaces"}, "192.0.2.1/24 in red", "routerd:"},
		{[]string{"show", "interfaces"}, "1.50 Mbit/s", "routerd:"},
		{[]string{"show", "neighbors"}, "02:00:00:00:00:01", "routerd:"},
		{[]string{"show", "routes"}, "* 10.0.0.0/8", "0.0.0.0/0"},
		{[]string{"show", "routes", "--all"}, "  0.0.0.0/0", "routerd:"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errOut := rcli(t, append([]string{"--socket", socket}, c.args...)...)
			if code != exitDone || !strings.Contains(out, c.want) || strings.Contains(out, c.never) {
				t.Errorf("exit %d %s:\n%s", code, errOut, out)
			}
		})
		t.Run(strings.Join(c.args, " ")+" --json", func(t *testing.T) {
			code, out, errOut := rcli(t, append([]string{"--socket", socket, "--json"}, c.args...)...)
			if code != exitDone || !json.Valid([]byte(out)) {
				t.Errorf("exit %d %s:\n%s", code, errOut, out)
			}
		})
	}
}

func TestWhole(t *testing.T) {
	for start, want := range map[string]string{
		"": "invalid Prefix", "10": "invalid Prefix", "10.": "10.0.0.0/8", "10.7": "10.0.0.0/8", "10.7.1": "10.7.0.0/16", "192.0.2.0/2": "192.0.2.0/24",
		"2001:": "2001::/16", "2001:db8:1": "2001:db8::/32", "2001:db8::": "invalid Prefix", "1.2.3.4.5": "1.2.3.4/32", "300.": "invalid Prefix", "x.y": "invalid Prefix",
	} {
		if got := whole(start).String(); got != want {
			t.Errorf("%q: %s, want %s", start, got, want)
		}
	}
}
