package northbound

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

const ge0 = `{"config":{"description":"one"},"unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]}`

// furnished is a bed with an interface, declared and observed.
func furnished(t testing.TB) *bed {
	b := newBed(t, nil)
	b.set("/interface[name=ge0]", ge0, "/interface[name=ge1]/config/description", `"two"`)
	spec := intf.DeviceSpec{Name: "ge0", Enabled: true, MRU: 1518, Description: "one"}
	b.state.devices["ge0"] = models.DeviceState{Name: "ge0", Applied: &spec, Speed: 10_000_000_000, Oper: intf.OperUp,
		Counters: models.Counters{InOctets: 1 << 40}}
	b.state.units[intf.UnitKey{Device: "ge0", ID: "0"}] = models.UnitState{Key: intf.UnitKey{Device: "ge0", ID: "0"},
		Families: []models.FamilyState{{Family: intf.Inet, Neighbors: []models.NeighborState{{Address: netip.MustParseAddr("192.0.2.9")}}}}}
	for i := range 5 {
		b.state.routes["default"] = append(b.state.routes["default"],
			models.RouteState{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", i)), Preference: 5})
	}
	return b
}

func (b *bed) get(req *gnmi.GetRequest, paths ...string) (*gnmi.GetResponse, error) {
	b.t.Helper()
	for _, text := range paths {
		req.Path = append(req.Path, p(b.t, text))
	}
	return b.client.Get(b.ctx(), req)
}

// values maps the paths of an answer's updates to their values.
func values(ns ...*gnmi.Notification) map[string]string {
	m := make(map[string]string)
	for _, n := range ns {
		for _, u := range n.GetUpdate() {
			m[absolute(n, u.GetPath()).String()] = valueText(u.GetVal())
		}
	}
	return m
}

// absolute is the path below the notification's prefix.
func absolute(n *gnmi.Notification, p *gnmi.Path) tree.Path {
	return slices.Concat(tree.Path(n.GetPrefix().GetElem()), tree.Path(p.GetElem()))
}

func valueText(v *gnmi.TypedValue) string {
	switch v := v.GetValue().(type) {
	case *gnmi.TypedValue_JsonIetfVal:
		return string(v.JsonIetfVal)
	case *gnmi.TypedValue_JsonVal:
		return string(v.JsonVal)
	case *gnmi.TypedValue_StringVal:
		return v.StringVal
	case *gnmi.TypedValue_AsciiVal:
		return v.AsciiVal
	case *gnmi.TypedValue_UintVal:
		return fmt.Sprint(v.UintVal)
	case *gnmi.TypedValue_BoolVal:
		return fmt.Sprint(v.BoolVal)
	}
	return v.String()
}

func wantCode(t testing.TB, err error, code codes.Code, parts ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("error %v, want code %v", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func testCapabilities(t *checklist) {
	b := newBed(t, nil)
	t.row("1", func(t *testing.T) {
		c, err := b.client.Capabilities(b.ctx(), &gnmi.CapabilityRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetGNMIVersion() != "0.10.0" || !slices.Equal(c.GetSupportedEncodings(), encodings) || len(encodings) != 4 || len(c.GetExtension()) != 5 {
			t.Errorf("%v", c)
		}
		found := false
		for _, m := range c.GetSupportedModels() {
			found = found || m.GetName() == "routerd"
			if m.GetOrganization() == "" || m.GetVersion() == "" {
				t.Errorf("model %v lacks its organization or revision", m)
			}
		}
		if !found {
			t.Error("model routerd is missing")
		}
	})
	t.row("2", func(t *testing.T) {
		s, err := reflectpb.NewServerReflectionClient(b.conn).ServerReflectionInfo(b.ctx())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		r, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.GetListServicesResponse().GetService(), func(s *reflectpb.ServiceResponse) bool { return s.GetName() == "gnmi.gNMI" }) {
			t.Errorf("%v", r)
		}
	})
}

func testGet(t *checklist) {
	b := furnished(t)
	ietfReq := func() *gnmi.GetRequest { return &gnmi.GetRequest{Encoding: gnmi.Encoding_JSON_IETF} }
	must := func(t *testing.T, r *gnmi.GetResponse, err error) *gnmi.GetResponse {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	object := func(t *testing.T, r *gnmi.GetResponse) map[string]any {
		t.Helper()
		var m map[string]any
		if err := json.Unmarshal([]byte(valueText(r.GetNotification()[0].GetUpdate()[0].GetVal())), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	t.row("5", func(t *testing.T) {
		r, err := b.get(ietfReq(), "/interface[name=ge0]")
		m := object(t, must(t, r, err))
		if m["routerd:config"] == nil || m["routerd:state"] == nil || m["routerd:unit"] == nil {
			t.Errorf("%v", m)
		}
	})
	t.row("6", func(t *testing.T) {
		req := ietfReq()
		req.Type = gnmi.GetRequest_CONFIG
		r, err := b.get(req, "/interface[name=ge0]")
		text := values(must(t, r, err).GetNotification()...)["/interface[name=ge0]"]
		if strings.Contains(text, "state") || strings.Contains(text, "192.0.2.9") || !strings.Contains(text, "192.0.2.1/24") {
			t.Errorf("CONFIG: %s", text)
		}
		req = ietfReq()
		req.Type = gnmi.GetRequest_STATE
		r, err = b.get(req, "/interface[name=ge0]")
		text = values(must(t, r, err).GetNotification()...)["/interface[name=ge0]"]
		if strings.Contains(text, "config") || !strings.Contains(text, "192.0.2.9") {
			t.Errorf("STATE: %s", text)
		}
		req = &gnmi.GetRequest{Type: gnmi.GetRequest_OPERATIONAL, Encoding: gnmi.Encoding_PROTO}
		r, err = b.get(req, "/interface[name=ge0]/state")
		m := values(must(t, r, err).GetNotification()...)
		if m["/interface[name=ge0]/state/mru"] != "" || m["/interface[name=ge0]/state/oper-status"] == "" {
			t.Errorf("OPERATIONAL: %v", m)
		}
	})
	t.row("7", func(t *testing.T) {
		r, err := b.get(&gnmi.GetRequest{}, "/interface[name=ge0]/config/mru")
		if _, ok := must(t, r, err).GetNotification()[0].GetUpdate()[0].GetVal().GetValue().(*gnmi.TypedValue_JsonVal); !ok {
			t.Errorf("%v", r)
		}
		_, err = b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_BYTES}, "/")
		wantCode(t, err, codes.Unimplemented, "BYTES")
	})
	t.row("7/ASCII", func(t *testing.T) {
		for path, want := range map[string]string{
			"/interface[name=ge0]/config/description": "one",
			"/interface[name=ge0]/config/mru":         "1518", // a default
			"/interface[name=ge1]":                    "set /interface[name=ge1]/config/description two\n",
			"/interface[name=ge0]/unit":               "set /interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]\n",
			"/interface[name=ge0]/state/counters":     "# /interface[name=ge0]/state/counters/in-octets 1099511627776\n",
		} {
			r, err := b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_ASCII}, path)
			us := must(t, r, err).GetNotification()[0].GetUpdate()
			if len(us) == 0 {
				t.Errorf("%s: no answer", path)
				continue
			}
			if got := us[0].GetVal().GetAsciiVal(); got != want && (want[0] != '#' || !strings.Contains(got, want)) && !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
		r, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Encoding: gnmi.Encoding_ASCII, Path: []*gnmi.Path{{Origin: "routerd_cli", Elem: []*gnmi.PathElem{{Name: "ignored"}}}}})
		u := must(t, r, err).GetNotification()[0].GetUpdate()[0]
		if text := u.GetVal().GetAsciiVal(); !strings.Contains(text, "set /interface[name=ge0]/config/description one\n") || strings.Contains(text, "state") || u.GetPath().GetOrigin() != "routerd_cli" {
			t.Errorf("%v", u)
		}
		_, err = b.client.Get(b.ctx(), &gnmi.GetRequest{Encoding: gnmi.Encoding_PROTO, Path: []*gnmi.Path{{Origin: "routerd_cli"}}})
		wantCode(t, err, codes.InvalidArgument, "ASCII")
		_, err = b.client.Get(b.ctx(), &gnmi.GetRequest{Encoding: gnmi.Encoding_ASCII, Type: gnmi.GetRequest_STATE, Path: []*gnmi.Path{{Origin: "routerd_cli"}}})
		wantCode(t, err, codes.InvalidArgument, "configuration only")
	})
	t.row("8", func(t *testing.T) {
		r, err := b.get(ietfReq(), "/interface[name=ge0]/config/mru", "/interface[name=ge0]/config", "/interface[name=ge0]/config/mru")
		if ns := must(t, r, err).GetNotification(); len(ns) != 3 || ns[0].GetTimestamp() == 0 || ns[0].GetTimestamp() != ns[2].GetTimestamp() {
			t.Errorf("%v", r)
		}
	})
	t.row("9", func(t *testing.T) {
		_, err := b.get(ietfReq(), "/interface[name=ge9]/config/mru")
		wantCode(t, err, codes.NotFound, "ge9")
		r, err := b.get(ietfReq(), "/interface[name=ge1]/config/mru")
		if m := values(must(t, r, err).GetNotification()...); m["/interface[name=ge1]/config/mru"] != "1518" {
			t.Errorf("default: %v", m)
		}
	})
	t.row("9/another spelling of a key", func(t *testing.T) {
		there := "/instance[name=default]/rib[afi=inet]/route[prefix=10.3.0.0/16]"
		r, err := b.get(ietfReq(), there)
		must(t, r, err)
		for _, other := range []string{"10.3.0.1/16", "10.3.0.0/016", "::ffff:10.3.0.0/112", "x"} {
			_, err := b.get(ietfReq(), strings.Replace(there, "10.3.0.0/16", other, 1))
			wantCode(t, err, codes.NotFound, other)
		}
	})
	t.row("9/an empty key", func(t *testing.T) {
		for _, list := range []string{"/interface[name=x]", "/instance[name=x]", "/instance[name=default]/rib[afi=inet]/route[prefix=x]", "/system/commit[number=x]"} {
			path := p(t, list)
			last := path.GetElem()[len(path.GetElem())-1]
			for k := range last.GetKey() {
				last.Key[k] = ""
			}
			_, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{path}})
			wantCode(t, err, codes.NotFound, last.GetName())
		}
	})
	t.row("10", func(t *testing.T) {
		_, err := b.get(ietfReq(), "/interfaces/interface[name=ge0]")
		wantCode(t, err, codes.Unimplemented, "interfaces")
		_, err = b.get(ietfReq(), "/interface[name=ge0]/confg")
		wantCode(t, err, codes.NotFound, "confg")
		_, err = b.client.Get(b.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{{Elem: []*gnmi.PathElem{{Name: "interface[name=ge0]"}}}}})
		wantCode(t, err, codes.InvalidArgument, "interface[name=ge0]")
		_, err = b.client.Get(b.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{{Elem: []*gnmi.PathElem{{Name: "interface"}, {Name: ""}}}}})
		wantCode(t, err, codes.InvalidArgument, "without a name")
		_, err = b.get(ietfReq(), "/interface[id=ge0]")
		wantCode(t, err, codes.InvalidArgument, "no key")
	})
	t.row("11", func(t *testing.T) {
		for _, pattern := range []string{"/interface[name=*]/config/description", "/interface/config/description",
			"/*/config/description", "/interface/*/description", "/.../config/description"} {
			r, err := b.get(ietfReq(), pattern)
			m := values(must(t, r, err).GetNotification()...)
			if m["/interface[name=ge0]/config/description"] != `"one"` || m["/interface[name=ge1]/config/description"] != `"two"` {
				t.Errorf("%s: %v", pattern, m)
			}
			for path := range m {
				if strings.Contains(path, "*") || strings.Contains(path, "...") {
					t.Errorf("%s: wildcard in %s", pattern, path)
				}
			}
		}
	})
	t.row("12", func(t *testing.T) {
		r, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Prefix: p(t, "/interface[name=ge0]"), Path: []*gnmi.Path{p(t, "/config/description")}})
		if m := values(must(t, r, err).GetNotification()...); m["/interface[name=ge0]/config/description"] != `"one"` {
			t.Errorf("%v", m)
		}
		r, err = b.get(ietfReq(), "/")
		if m := object(t, must(t, r, err)); m["routerd:interface"] == nil || m["routerd:system"] == nil {
			t.Errorf("root: %v", m)
		}
	})
	t.row("13", func(t *testing.T) {
		r, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Prefix: &gnmi.Path{Target: "r1"}, Path: []*gnmi.Path{p(t, "/interface[name=ge0]/config")}})
		if got := must(t, r, err).GetNotification()[0].GetPrefix().GetTarget(); got != "r1" {
			t.Errorf("target %q", got)
		}
		r, err = b.get(ietfReq(), "/interface[name=ge0]/config")
		if got := must(t, r, err).GetNotification()[0].GetPrefix(); got != nil {
			t.Errorf("prefix %v", got)
		}
	})
	t.row("14", func(t *testing.T) {
		_, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Prefix: &gnmi.Path{Origin: "routerd"}, Path: []*gnmi.Path{{Origin: "routerd"}}})
		wantCode(t, err, codes.InvalidArgument, "origin")
	})
	t.row("15", func(t *testing.T) {
		for _, origin := range []string{"", "routerd"} {
			path := p(t, "/interface[name=ge0]/config/description")
			path.Origin = origin
			r, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{path}})
			if got := must(t, r, err).GetNotification()[0].GetUpdate()[0].GetPath().GetOrigin(); got != origin {
				t.Errorf("origin %q, want %q", got, origin)
			}
		}
		_, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{{Origin: "junos"}}})
		wantCode(t, err, codes.Unimplemented, "junos")
	})
	t.row("16", func(t *testing.T) {
		req := ietfReq()
		req.UseModels = []*gnmi.ModelData{{Name: "routerd"}}
		r, err := b.get(req, "/interface[name=ge0]/config")
		must(t, r, err)
		req.UseModels = []*gnmi.ModelData{{Name: "openconfig-bgp"}}
		_, err = b.get(req)
		wantCode(t, err, codes.Unimplemented, "openconfig-bgp")
	})
	t.row("17", func(t *testing.T) {
		r, err := b.get(ietfReq(), "/interface[name=ge0]/state/counters/in-octets", "/interface[name=ge0]/config")
		m := values(must(t, r, err).GetNotification()...)
		if m["/interface[name=ge0]/state/counters/in-octets"] != `"1099511627776"` || !strings.Contains(m["/interface[name=ge0]/config"], `"routerd:mru":1518`) {
			t.Errorf("JSON_IETF: %v", m)
		}
		r, err = b.get(&gnmi.GetRequest{}, "/interface[name=ge0]/state/counters/in-octets", "/interface[name=ge0]/config")
		m = values(must(t, r, err).GetNotification()...)
		if m["/interface[name=ge0]/state/counters/in-octets"] != `1099511627776` || !strings.Contains(m["/interface[name=ge0]/config"], `"mru":1518`) {
			t.Errorf("JSON: %v", m)
		}
	})
	t.row("18", func(t *testing.T) {
		r, err := b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_PROTO}, "/interface[name=ge0]")
		m := values(must(t, r, err).GetNotification()...)
		for path, want := range map[string]string{"/config/mru": "1518", "/config/enabled": "true", "/config/attach": "exclusive", "/state/counters/in-octets": "1099511627776"} {
			if m["/interface[name=ge0]"+path] != want {
				t.Errorf("%s is %q, want %q", path, m["/interface[name=ge0]"+path], want)
			}
		}
	})
	t.row("48", func(t *testing.T) {
		depth := func(n uint32) []*gnmi_ext.Extension {
			return []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Depth{Depth: &gnmi_ext.Depth{Level: n}}}}
		}
		for level, want := range map[uint32]int{1: 1, 2: 2, 0: 5} {
			deepest := 0
			r, err := b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_PROTO, Extension: depth(level)}, "/interface[name=ge0]")
			for path := range values(must(t, r, err).GetNotification()...) {
				deepest = max(deepest, strings.Count(strings.ReplaceAll(path, "/24", ""), "/")-1)
			}
			if level > 0 && deepest != want || level == 0 && deepest < want {
				t.Errorf("depth %d reached %d levels", level, deepest)
			}
		}
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Extension: depth(1)})
		wantCode(t, err, codes.InvalidArgument, "depth")
		_, err = b.client.Capabilities(b.ctx(), &gnmi.CapabilityRequest{Extension: depth(1)})
		wantCode(t, err, codes.InvalidArgument, "depth")
	})
	t.Run("one leaf of state costs one object", func(t *testing.T) {
		clear(b.state.filled)
		r, err := b.get(ietfReq(), "/interface[name=ge0]/state/oper-status")
		must(t, r, err)
		if len(b.state.filled) != 1 {
			t.Errorf("filled %v", b.state.filled)
		}
		clear(b.state.filled)
		r, err = b.get(ietfReq(), "/interface[name=ge0]/config/mru")
		must(t, r, err)
		if len(b.state.filled) != 0 {
			t.Errorf("a config leaf filled %v", b.state.filled)
		}
	})
	t.Run("routes", func(t *testing.T) {
		r, err := b.get(ietfReq(), "/instance[name=default]/rib[afi=inet]/route")
		if m := values(must(t, r, err).GetNotification()...); len(m) != 5 {
			t.Errorf("%v", m)
		}
		r, err = b.get(ietfReq(), "/instance[name=default]/rib[afi=inet]/route[prefix=10.3.0.0/16]")
		if m := values(must(t, r, err).GetNotification()...); len(m) != 1 {
			t.Errorf("%v", m)
		}
	})
	t.Run("extensions where they have no meaning", func(t *testing.T) {
		for _, e := range []*gnmi_ext.Extension{
			{Ext: &gnmi_ext.Extension_MasterArbitration{}}, {Ext: &gnmi_ext.Extension_Commit{}},
			{Ext: &gnmi_ext.Extension_History{}}, {Ext: &gnmi_ext.Extension_ConfigSubscription{}},
		} {
			_, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Extension: []*gnmi_ext.Extension{e}})
			wantCode(t, err, codes.InvalidArgument, "no meaning in Get")
		}
	})
}

func TestGetTooLarge(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxMessage = 4096 })
	for i := range 2000 {
		b.state.routes["default"] = append(b.state.routes["default"],
			models.RouteState{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)})
	}
	for _, e := range encodings {
		_, err := b.get(&gnmi.GetRequest{Encoding: e}, "/instance[name=default]/rib")
		wantCode(t, err, codes.ResourceExhausted, "Subscribe ONCE")
	}
}

func testSet(t *checklist) {
	type result struct {
		code  codes.Code
		parts []string
	}
	ok := result{code: codes.OK}
	fails := func(c codes.Code, parts ...string) result { return result{c, parts} }
	up := func(path string, v *gnmi.TypedValue) *gnmi.Update { return &gnmi.Update{Path: p(t, path), Val: v} }
	tests := []struct {
		name string
		req  *gnmi.SetRequest
		want result
		has  map[string]string // leaves of config afterwards; "" for absent
	}{
		{"19", &gnmi.SetRequest{Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_RegisteredExt{RegisteredExt: &gnmi_ext.RegisteredExtension{Id: 999}}}}}, ok, nil},
		{"20", &gnmi.SetRequest{
			Update:  []*gnmi.Update{up("/interface[name=ge0]/config/description", str("a")), up("/interface[name=ge0]/config/description", str("b"))},
			Replace: []*gnmi.Update{up("/interface[name=ge0]", ietf(`{"config":{"description":"r","mru":1600}}`))},
			Delete:  []*gnmi.Path{p(t, "/interface")},
		}, ok, map[string]string{"/interface[name=ge0]/config/description": "b", "/interface[name=ge0]/config/mru": "1600", "/interface[name=ge1]/config/description": ""}},
		{"22", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/config/description", str("x")),
			up("/interface[name=ge0]/config/nope", str("x")), up("/interface[name=ge0]/config/mru", str("x"))}},
			fails(codes.NotFound, "nope", "config/mru"), map[string]string{"/interface[name=ge0]/config/description": "one"}},
		{"23", &gnmi.SetRequest{Delete: []*gnmi.Path{{Elem: []*gnmi.PathElem{{Name: "interface[name"}}}}}, fails(codes.InvalidArgument, "interface[name"), nil},
		{"24", &gnmi.SetRequest{Update: []*gnmi.Update{up("/nope", str("x"))}}, fails(codes.NotFound, "nope"), nil},
		{"24/replace", &gnmi.SetRequest{Replace: []*gnmi.Update{up("/interface[name=ge0]/nope", str("x"))}}, fails(codes.NotFound, "nope"), nil},
		{"25/type", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/config/mru", str("x"))}}, fails(codes.InvalidArgument, "mru"), nil},
		{"25/range", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/config/mru", ietf("1"))}}, fails(codes.InvalidArgument, "range"), nil},
		{"25/pattern", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/unit[id=x]", ietf("{}"))}}, fails(codes.InvalidArgument, "pattern"), nil},
		{"25/enumeration", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/config/attach", str("x"))}}, fails(codes.InvalidArgument, "exclusive"), nil},
		{"26", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/config/description", &gnmi.TypedValue{Value: &gnmi.TypedValue_ProtoBytes{}})}}, fails(codes.Unimplemented, "not supported"), nil},
		{"27", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/state/mru", ietf("1600"))}}, fails(codes.InvalidArgument, "state"), nil},
		{"27/delete", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=ge0]/state")}}, fails(codes.InvalidArgument, "state"), nil},
		{"28", &gnmi.SetRequest{Replace: []*gnmi.Update{up("/interface[name=ge0]/config", ietf(`{"mru":1600}`))}}, ok,
			map[string]string{"/interface[name=ge0]/config/description": "", "/interface[name=ge0]/config/enabled": "true", "/interface[name=ge0]/config/mru": "1600"}},
		{"29", &gnmi.SetRequest{Replace: []*gnmi.Update{up("/interface", ietf(`[{"name":"ge7"}]`))}}, ok,
			map[string]string{"/interface[name=ge7]/config/name": "ge7", "/interface[name=ge0]/config/name": ""}},
		{"30", &gnmi.SetRequest{Replace: []*gnmi.Update{up("/interface[name=ge0]", ietf(`{}`))}}, fails(codes.InvalidArgument, "{}"), nil},
		{"30/null", &gnmi.SetRequest{Replace: []*gnmi.Update{up("/interface[name=ge0]/config/mru", ietf(`null`))}}, fails(codes.InvalidArgument, "null"), nil},
		{"31", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]", ietf(`{"config":{"mru":1600}}`))}}, ok,
			map[string]string{"/interface[name=ge0]/config/description": "one", "/interface[name=ge0]/config/mru": "1600"}},
		{"32", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface/config/mru", ietf(`1600`))}}, fails(codes.InvalidArgument, "keys"), nil},
		{"33", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]", ietf(`{"name":"ge1"}`))}}, fails(codes.InvalidArgument, "equal"), nil},
		{"34", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=*]/config/description")}}, ok,
			map[string]string{"/interface[name=ge0]/config/description": "", "/interface[name=ge1]/config/description": "", "/interface[name=ge0]/config/name": "ge0"}},
		{"34/partial", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface/unit")}}, ok, map[string]string{"/interface[name=ge0]/unit[id=0]/config/id": ""}},
		{"35", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=ge9]/unit[id=7]")}}, ok, nil},
		{"36", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{up("/", ietf("{}"))}, Delete: []*gnmi.Path{p(t, "/")}}, fails(codes.InvalidArgument, "union_replace"), nil},
		{"module names", &gnmi.SetRequest{Update: []*gnmi.Update{up("/routerd:interface[name=ge0]", ietf(`{"routerd:config":{"mru":1600}}`))}}, ok,
			map[string]string{"/interface[name=ge0]/config/mru": "1600"}},
		{"prefix", &gnmi.SetRequest{Prefix: p(t, "/interface[name=ge0]"), Update: []*gnmi.Update{up("/config/mru", ietf(`1600`))}}, ok,
			map[string]string{"/interface[name=ge0]/config/mru": "1600"}},
	}
	for _, tc := range tests {
		t.row(tc.name, func(t *testing.T) {
			b := furnished(t)
			r, err := b.client.Set(b.ctx(), tc.req)
			wantCode(t, err, tc.want.code, tc.want.parts...)
			if err == nil && (r.GetTimestamp() == 0 || len(r.GetResponse()) != len(tc.req.GetDelete())+len(tc.req.GetReplace())+len(tc.req.GetUpdate())) {
				t.Errorf("response %v", r)
			}
			got, err := b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_PROTO, Type: gnmi.GetRequest_CONFIG}, "/")
			if err != nil {
				t.Fatal(err)
			}
			m := values(got.GetNotification()...)
			for path, want := range tc.has {
				if m[path] != want {
					t.Errorf("%s is %q, want %q", path, m[path], want)
				}
			}
		})
	}
	t.row("21", func(t *testing.T) {
		b := furnished(t)
		r, err := b.client.Set(b.ctx(), &gnmi.SetRequest{
			Update:  []*gnmi.Update{up("/interface[name=ge0]/config/mru", ietf("1600"))},
			Replace: []*gnmi.Update{up("/interface[name=ge1]/config", ietf("{}"))},
			Delete:  []*gnmi.Path{p(t, "/interface[name=ge0]/config/description")},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []gnmi.UpdateResult_Operation{gnmi.UpdateResult_DELETE, gnmi.UpdateResult_REPLACE, gnmi.UpdateResult_UPDATE}
		for i, u := range r.GetResponse() {
			if u.GetOp() != want[i] || len(u.GetPath().GetElem()) == 0 {
				t.Errorf("result %d: %v", i, u)
			}
		}
	})
	t.row("22/details", func(t *testing.T) {
		b := furnished(t)
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{
			up("/interface[name=ge0]/unit[id=0]/family[type=inet]/address", ietf(`[{"prefix":"224.0.0.1/24"}]`)),
			up("/interface[name=ge1]/unit[id=0]/family[type=inet]/address", ietf(`[{"prefix":"192.0.2.1/24"}]`)),
		}})
		wantCode(t, err, codes.InvalidArgument)
		var fields []string
		for _, d := range status.Convert(err).Details() {
			for _, v := range d.(*errdetails.BadRequest).GetFieldViolations() {
				fields = append(fields, v.GetReason()+" "+v.GetField())
			}
		}
		if len(fields) < 2 || !strings.Contains(strings.Join(fields, "\n"), "address-unicast") || !strings.Contains(strings.Join(fields, "\n"), "address-unique-in-instance") {
			t.Errorf("details %q", fields)
		}
	})
	t.row("40", func(t *testing.T) {
		b := newBed(t, nil)
		var list []string
		for i := range 16_000 {
			list = append(list, fmt.Sprintf(`{"prefix":"20.%d.%d.0/24","config":{"action":"discard","description":%q}}`, i>>8, i&255, strings.Repeat("long ", 46)))
		}
		body := `{"routerd:instance":[{"name":"default","static-route":[` + strings.Join(list, ",") + `]}]}`
		if len(body) < 4<<20 {
			t.Fatalf("the body has only %d octets", len(body))
		}
		b.set("/", body)
	})
	t.Run("applying fails", func(t *testing.T) {
		b := furnished(t)
		b.applier.fail = errors.New("the device is on fire")
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge0]/config/mru", ietf("1600"))}})
		wantCode(t, err, codes.Aborted, "on fire")
	})
}
