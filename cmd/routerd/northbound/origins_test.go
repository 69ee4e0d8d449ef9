package northbound

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
)

// config is the whole configuration as set-commands.
func (b *bed) config() string {
	b.t.Helper()
	r, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Encoding: gnmi.Encoding_ASCII, Path: []*gnmi.Path{{Origin: cliOrigin}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return r.GetNotification()[0].GetUpdate()[0].GetVal().GetAsciiVal()
}

func cli(lines ...string) *gnmi.Update {
	return &gnmi.Update{Path: &gnmi.Path{Origin: cliOrigin}, Val: ascii(strings.Join(lines, "\n"))}
}

const (
	one  = "set /interface[name=ge0]/config/description one\n"
	two  = "set /interface[name=ge1]/config/description two\n"
	unit = "set /interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]\n"
	host = "set /system/config/hostname r1\n"
)

func testOrigins(t *checklist) {
	up := func(path string, v *gnmi.TypedValue) *gnmi.Update { return &gnmi.Update{Path: p(t, path), Val: v} }
	prefixed := &gnmi.Path{Origin: cliOrigin}
	for _, tc := range []struct {
		name  string
		req   *gnmi.SetRequest
		code  codes.Code
		parts []string
		want  string // the configuration afterwards; "" for unchanged
	}{
		{"31/a leaf-list", &gnmi.SetRequest{Update: []*gnmi.Update{up("/filter[name=f]", ietf(`{"config":{"family":"inet"},"term":[{"name":"t","match":{"config":{"protocol":["udp","tcp"]}}}]}`)),
			up("/filter[name=f]/term[name=t]/match/config/protocol", ietf(`["tcp","icmp"]`))}}, codes.OK, nil,
			"set /filter[name=f]/config/family inet\nset /filter[name=f]/term[name=t]/match/config/protocol udp tcp icmp\n" + one + unit + two},
		{"37/native", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{up("/interface[name=ge7]", ietf(`{}`)), up("/system/config/hostname", str("r1"))}}, codes.OK, nil,
			"set /interface[name=ge7]\n" + host},
		{"37/native and commands", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{cli(host), up("/interface[name=ge7]/config", ietf(`{"mru":1600}`)), cli("set /interface[name=ge7]/config/mru 1600", "set /interface[name=ge7]/config/enabled false")}}, codes.OK, nil,
			"set /interface[name=ge7]/config/enabled false\nset /interface[name=ge7]/config/mru 1600\n" + host},
		{"37/values that contradict", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{up("/interface[name=ge7]/config", ietf(`{"mru":1600}`)), cli("set /interface[name=ge7]/config/mru 1500")}},
			codes.InvalidArgument, []string{"/interface[name=ge7]/config/mru", "origin routerd sets it to 1600", "origin routerd_cli to 1500"}, ""},
		{"37/native, commands and openconfig", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{ocUpdate(t, "/interfaces/interface[name=ge7]", `{"config":{"type":"ethernetCsmacd","mtu":1596}}`).Update[0],
			up("/system/config/hostname", str("r1")), cli("set /interface[name=ge7]/config/mru 1600")}}, codes.OK, nil, "set /interface[name=ge7]/config/mru 1600\n" + host},
		{"37/native and openconfig overlap", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{ocUpdate(t, "/interfaces/interface[name=ge7]", `{"config":{"mtu":1596}}`).Update[0],
			up("/interface[name=ge7]/config/mru", ietf("1600"))}}, codes.InvalidArgument, []string{"/interface[name=ge7]/config/mru", "leave one out"}, ""},
		{"37/a bad line", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{cli(host, "set /nope x")}}, codes.NotFound, []string{"line 3: "}, ""},
		{"37/a bad value", &gnmi.SetRequest{UnionReplace: []*gnmi.Update{up("/system/config/hostname", str("r1")), cli("", "set /interface[name=ge7]/config/mru 9")}}, codes.InvalidArgument, []string{"line 2: ", "range"}, ""},
		{"38/update", &gnmi.SetRequest{Update: []*gnmi.Update{cli(host, "delete /interface[name=ge1]")}}, codes.OK, nil, one + unit + host},
		{"38/the path is ignored", &gnmi.SetRequest{Update: []*gnmi.Update{{Path: &gnmi.Path{Origin: cliOrigin, Elem: p(t, "/nope[x=y]").Elem}, Val: ascii(host)}}}, codes.OK, nil, one + unit + two + host},
		{"38/by prefix", &gnmi.SetRequest{Prefix: prefixed, Update: []*gnmi.Update{{Val: ascii(host)}}}, codes.OK, nil, one + unit + two + host},
		{"38/replace, then updates", &gnmi.SetRequest{Replace: []*gnmi.Update{cli(host)}, Update: []*gnmi.Update{cli("set /system/config/hostname r2"), cli(two)}}, codes.OK, nil,
			two + "set /system/config/hostname r2\n"},
		{"38/two replaces", &gnmi.SetRequest{Replace: []*gnmi.Update{cli(host), cli(two)}}, codes.InvalidArgument, []string{"replaces everything"}, ""},
		{"38/replace beside another", &gnmi.SetRequest{Replace: []*gnmi.Update{cli(host), up("/system/config", ietf("{}"))}}, codes.InvalidArgument, []string{"replaces everything"}, ""},
		{"38/replace beside a delete", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface")}, Replace: []*gnmi.Update{cli(host)}}, codes.InvalidArgument, []string{"replaces everything"}, ""},
		{"38/delete", &gnmi.SetRequest{Delete: []*gnmi.Path{{Origin: cliOrigin}}}, codes.InvalidArgument, []string{"no delete"}, ""},
		{"38/no commands", &gnmi.SetRequest{Update: []*gnmi.Update{{Path: &gnmi.Path{Origin: cliOrigin}, Val: ietf(`{}`)}}}, codes.Unimplemented, []string{"ascii_val"}, ""},
		{"38/all bad lines", &gnmi.SetRequest{Update: []*gnmi.Update{cli("sett /x", host, "set /system/config/hostname")}}, codes.InvalidArgument, []string{"line 1: ", "line 4: "}, ""},
		{"38/a refused value", &gnmi.SetRequest{Update: []*gnmi.Update{cli(host, "set /interface[name=ge0]/config/mru many")}}, codes.InvalidArgument, []string{"line 3: ", "/interface[name=ge0]/config/mru"}, ""},
		{"39", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=ge1]")}, Update: []*gnmi.Update{cli(host), up("/interface[name=ge2]", ietf("{}"))}}, codes.OK, nil,
			one + unit + "set /interface[name=ge2]\n" + host},
		{"39/with openconfig", &gnmi.SetRequest{Delete: []*gnmi.Path{oc(t, "/interfaces/interface[name=ge1]")}, Update: []*gnmi.Update{cli(host), ocUpdate(t, "/interfaces/interface[name=ge2]/config/mtu", "1500").Update[0], up("/interface[name=ge2]/config/enabled", ietf("false"))}},
			codes.OK, nil, one + unit + "set /interface[name=ge2]/config/enabled false\nset /interface[name=ge2]/config/mru 1504\n" + host},
		{"39/openconfig fails", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=ge1]")}, Update: []*gnmi.Update{cli(host), ocUpdate(t, "/interfaces/interface[name=ge2]/config/mtu", "70000").Update[0]}},
			codes.InvalidArgument, []string{"/interfaces/interface[name=ge2]/config/mtu", "range"}, ""},
		{"39/one fails", &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=ge1]")}, Update: []*gnmi.Update{cli(host), up("/interface[name=ge2]/config/mru", ietf("1"))}},
			codes.InvalidArgument, []string{"range"}, ""},
		{"26/lexical form", &gnmi.SetRequest{Update: []*gnmi.Update{up("/interface[name=ge1]/config/mru", ascii("1600"))}}, codes.OK, nil,
			one + unit + two + "set /interface[name=ge1]/config/mru 1600\n"},
	} {
		t.row(tc.name, func(t *testing.T) {
			b := furnished(t)
			before := b.config()
			r, err := b.client.Set(b.ctx(), tc.req)
			wantCode(t, err, tc.code, tc.parts...)
			if n := len(tc.req.GetDelete()) + len(tc.req.GetReplace()) + len(tc.req.GetUpdate()) + len(tc.req.GetUnionReplace()); err == nil && len(r.GetResponse()) != n {
				t.Errorf("response %v", r)
			}
			if len(tc.req.GetUnionReplace()) > 0 && err == nil && r.GetResponse()[0].GetOp() != gnmi.UpdateResult_UNION_REPLACE {
				t.Errorf("response %v", r)
			}
			want := tc.want
			if want == "" {
				want = before
			}
			if got := b.config(); got != want {
				t.Errorf("the configuration is\n%swant\n%s", got, want)
			}
		})
	}
	// What can't even be read doesn't hide what else is wrong, and the first
	// operation's code is the answer's.
	t.row("22/of several kinds", func(t *testing.T) {
		b := furnished(t)
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{
			Replace: []*gnmi.Update{up("/interface[name=ge0]/confg", ietf("{}"))},
			Update: []*gnmi.Update{{Path: &gnmi.Path{Origin: "junos"}, Val: str("x")}, up("/interface[name=ge0]/config/mru", ietf("1")),
				{Path: &gnmi.Path{Elem: []*gnmi.PathElem{{Name: "@"}}}, Val: str("x")}},
		})
		wantCode(t, err, codes.NotFound)
		var got []string
		for _, d := range status.Convert(err).Details() {
			for _, v := range d.(*errdetails.BadRequest).GetFieldViolations() {
				got = append(got, v.GetField())
			}
		}
		if want := "[/interface[name=ge0]/confg / /interface[name=ge0]/config/mru /@]"; fmt.Sprint(got) != want {
			t.Errorf("details of %v, want %v", got, want)
		}
	})
}

func testAnnotation(t *checklist) {
	const at = "/@/openconfig-metadata:protobuf-metadata"
	octets := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i * i >> 3)
		}
		return b
	}
	read := func(t *testing.T, b *bed, e gnmi.Encoding) *gnmi.TypedValue {
		t.Helper()
		r, err := b.get(&gnmi.GetRequest{Encoding: e}, at)
		if err != nil {
			t.Fatal(err)
		}
		u := r.GetNotification()[0].GetUpdate()[0]
		if got := tree.Path(u.GetPath().GetElem()).String(); got != at {
			t.Errorf("answered at %s", got)
		}
		return u.GetVal()
	}
	want := octets(1 << 20)
	text := base64.StdEncoding.EncodeToString(want)
	t.row("41/1 MiB by its path", func(t *testing.T) {
		b := furnished(t)
		for _, v := range []*gnmi.TypedValue{ietf(`"` + text + `"`), str(text), {Value: &gnmi.TypedValue_BytesVal{BytesVal: want}}} {
			b.delete(at)
			_, err := b.get(&gnmi.GetRequest{}, at)
			wantCode(t, err, codes.NotFound)
			if _, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, at), Val: v}}}); err != nil {
				t.Fatal(err)
			}
			if got := read(t, b, gnmi.Encoding_PROTO).GetBytesVal(); string(got) != string(want) {
				t.Errorf("PROTO: %d octets", len(got))
			}
			if got := valueText(read(t, b, gnmi.Encoding_JSON_IETF)); got != `"`+text+`"` {
				t.Errorf("JSON_IETF: %.40s", got)
			}
		}
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, at), Val: &gnmi.TypedValue{Value: &gnmi.TypedValue_BytesVal{BytesVal: octets(1<<20 + 1)}}}}})
		wantCode(t, err, codes.InvalidArgument, "1048577 octets long")
	})
	t.row("41/in the root's JSON", func(t *testing.T) {
		b := furnished(t)
		b.set("/", `{"@":{"openconfig-metadata:protobuf-metadata":"AAEC"}}`)
		r, err := b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_JSON_IETF, Type: gnmi.GetRequest_CONFIG}, "/")
		if err != nil {
			t.Fatal(err)
		}
		if got := valueText(r.GetNotification()[0].GetUpdate()[0].GetVal()); !strings.Contains(got, `"@":{"openconfig-metadata:protobuf-metadata":"AAEC"}`) || strings.Contains(got, "routerd:annotation") {
			t.Error(got)
		}
		_, err = b.client.Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/interface[name=ge0]"), Val: ietf(`{"@":{"openconfig-metadata:protobuf-metadata":"AAEC"}}`)}}})
		wantCode(t, err, codes.InvalidArgument, "not supported")
		_, err = b.get(&gnmi.GetRequest{}, "/interface[name=ge0]/@/openconfig-metadata:protobuf-metadata")
		wantCode(t, err, codes.Unimplemented, at)
	})
	t.row("41/Subscribe", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, at))
		c.toSync()
		b.set(at, `"AAEC"`)
		if n := c.next(); len(n.GetUpdate()) != 1 || tree.Path(n.GetUpdate()[0].GetPath().GetElem()).String() != at || string(n.GetUpdate()[0].GetVal().GetBytesVal()) != "\x00\x01\x02" {
			t.Errorf("%v", n)
		}
		b.delete(at)
		if n := c.next(); len(n.GetDelete()) != 1 || tree.Path(n.GetDelete()[0].GetElem()).String() != at {
			t.Errorf("%v", n)
		}
	})
	t.row("41/a restart", func(t *testing.T) {
		b := furnished(t)
		b.set(at, `"`+text+`"`)
		b = b.restarted()
		if got := read(t, b, gnmi.Encoding_PROTO).GetBytesVal(); string(got) != string(want) {
			t.Errorf("%d octets came back", len(got))
		}
	})
}

// TestManyViolations: what a client is told has bounds that its library takes.
func TestManyViolations(t *testing.T) {
	const count, text = 50_000, "a reason of some length, which is the same for all of the violations, so that there are many octets"
	r := &datastore.Rejected{}
	for range count {
		r.Violations = append(r.Violations, datastore.Violation{Op: -1, Kind: tree.Invalid, Path: "/interface", Rule: "rule", Err: errors.New(text)})
	}
	err := rejectedError(r)
	wantCode(t, err, codes.InvalidArgument, "and 49980 more")
	list := status.Convert(err).Details()[0].(*errdetails.BadRequest).GetFieldViolations()
	last := list[len(list)-1].GetDescription()
	if size := len(list) * len(text); size < mostDetails*3/4 || size > mostDetails || last != fmt.Sprintf("and %d more, for which there is no room", count-len(list)+1) {
		t.Errorf("%d violations, the last says %q", len(list), last)
	}
}
