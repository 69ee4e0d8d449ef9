package tree_test

import (
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

func schema(t testing.TB) *tree.Schema {
	t.Helper()
	s, err := tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func path(t testing.TB, s string) tree.Path {
	t.Helper()
	p, err := tree.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ietf(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(s)}}
}

func text(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: s}}
}

func uint(u uint64) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_UintVal{UintVal: u}}
}

func ascii(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_AsciiVal{AsciiVal: s}}
}

// base is what every case of TestEdit starts from.
const base = `{"routerd:interface":[
 {"name":"ge0","config":{"name":"ge0","description":"one","mru":1600},"unit":[
  {"id":"0","config":{"id":"0"},"family":[{"type":"inet","config":{"type":"inet"},"address":[
   {"prefix":"192.0.2.1/24","config":{"prefix":"192.0.2.1/24"}},{"prefix":"192.0.2.2/24","config":{"prefix":"192.0.2.2/24"}}]}]},
  {"id":"1","config":{"id":"1","description":"x"}}]},
 {"name":"ge1","config":{"name":"ge1","description":"two"}}]}`

func newTree(t testing.TB, s *tree.Schema, json string) *gen.Device {
	t.Helper()
	d := &gen.Device{}
	if errs := s.Editor(d, func(tree.Path) {}).Apply(tree.Op{Kind: tree.Replace, Value: ietf(json)}); len(errs) > 0 {
		t.Fatal(errs)
	}
	return d
}

func marshal(t testing.TB, s *tree.Schema, d *gen.Device) string {
	t.Helper()
	b, err := s.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDeleteValues takes values out of leaf-lists of every kind of type, whose others keep their
// order and stay what another tree has in common with it.
func TestDeleteValues(t *testing.T) {
	s := schema(t)
	const have = `{"routerd:interface":[{"name":"ge0","unit":[{"id":"0","family":[{"type":"inet6","router-advertisement":{"config":{"dns-server":["::3","::1","::2"]}}}]}]}],
 "routerd:filter":[{"name":"f","config":{"family":"inet"},"term":[{"name":"a","match":{"config":{"protocol":["tcp",47,"udp"],"tcp-flags":["syn","!ack"],"loss-priority":["low","high"],"source-prefix-list":["p","q"]}}},
  {"name":"b","match":{"config":{"protocol":["udp"]}}}]}]}`
	const match, dns = "/filter[name=f]/term[name=a]/match/config/", "/interface[name=ge0]/unit[id=0]/family[type=inet6]/router-advertisement/config/dns-server"
	full := marshal(t, s, newTree(t, s, have))
	for _, tc := range []struct {
		name, path string
		values     string   // JSON, or words
		edit       []string // what the whole tree has instead: old, new; "! " and a part of the error
	}{
		{"in the user's order", dns, `["::1"]`, []string{`["::3","::1","::2"]`, `["::3","::2"]`}},
		{"the first and the last", dns, `["::2","::3"]`, []string{`["::3","::1","::2"]`, `["::1"]`}},
		{"all of them", dns, `["::1","::2","::3"]`, []string{`"router-advertisement":{"config":{"dns-server":["::3","::1","::2"]}},`, ``}},
		{"a union's number", match + "protocol", `[47]`, []string{`["tcp",47,"udp"]`, `["tcp","udp"]`}},
		{"a union's name", match + "protocol", `["tcp"]`, []string{`["tcp",47,"udp"]`, `[47,"udp"]`}},
		{"a name that another value has as a number", match + "protocol", `["gre"]`, nil},
		{"an enumeration", match + "loss-priority", `["high"]`, []string{`["low","high"]`, `["low"]`}},
		{"a string", match + "tcp-flags", `["!ack"]`, []string{`["syn","!ack"]`, `["syn"]`}},
		{"a reference", match + "source-prefix-list", `["p"]`, []string{`["p","q"]`, `["q"]`}},
		{"wildcards", "/filter[name=*]/term/match/config/protocol", `["udp"]`, []string{`["tcp",47,"udp"]`, `["tcp",47]`, `"match":{"config":{"protocol":["udp"]}},`, ``}},
		{"what is absent", match + "protocol", `["icmp"]`, nil},
		{"of an entry that is absent", "/filter[name=g]/term[name=a]/match/config/protocol", `["udp"]`, nil},
		{"no values", match + "protocol", `[]`, nil},
		{"a value that it can't have", match + "loss-priority", `["lowest"]`, []string{"! none of"}},
		{"no array", match + "loss-priority", `"low"`, []string{"! array"}},
		{"of a leaf", "/filter[name=f]/config/family", `["inet"]`, []string{"! no leaf-list"}},
		{"of leaves and others", "/filter[name=f]/config/*", `["inet"]`, []string{"! no leaf-list"}},
		{"of a container", "/filter[name=f]/config", `["inet"]`, []string{"! no leaf-list"}},
		{"of state", "/system/state/datastore/left-out", `["x"]`, []string{"! state"}},
		{"of an unknown node", "/filter[name=f]/nope", `["x"]`, []string{"! no node"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			running, candidate := newTree(t, s, have), &gen.Device{}
			s.Share(candidate, running, nil)
			var touched []tree.Path
			e := s.Editor(candidate, func(p tree.Path) { touched = append(touched, p) }).Spare(running)
			errs := e.Apply(tree.Op{Kind: tree.Delete, Path: path(t, tc.path), Value: ietf(tc.values)})
			if got := marshal(t, s, running); got != full {
				t.Errorf("what is shared has changed:\n%s\nwant\n%s", got, full)
			}
			want := full
			if len(tc.edit) == 1 {
				if part := strings.TrimPrefix(tc.edit[0], "! "); len(errs) == 0 || !strings.Contains(errs[0].Error(), part) {
					t.Errorf("errors %v, want one with %q", errs, part)
				}
			} else {
				for i := 0; i < len(tc.edit); i += 2 {
					if !strings.Contains(want, tc.edit[i]) {
						t.Fatalf("%s is not in %s", tc.edit[i], want)
					}
					want = strings.Replace(want, tc.edit[i], tc.edit[i+1], 1)
				}
				if len(errs) > 0 {
					t.Fatal(errs)
				}
			}
			if got := marshal(t, s, candidate); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if want == full && len(touched) > 0 {
				t.Errorf("nothing has changed, and %v is touched", touched)
			}
			for _, p := range touched {
				s.Share(running, candidate, p)
			}
			if got := marshal(t, s, running); got != want {
				t.Errorf("touched paths %v don't carry the change:\n%s\nwant\n%s", touched, got, want)
			}
		})
	}
}

func TestEdit(t *testing.T) {
	s := schema(t)
	full := marshal(t, s, newTree(t, s, base))
	without := func(old ...string) string { return strings.NewReplacer(old...).Replace(full) }
	tests := []struct {
		name  string
		kind  tree.OpKind
		path  string
		value *gnmi.TypedValue
		want  string // the whole tree, or "! " and a part of the error
	}{
		{"delete a leaf", tree.Delete, "/interface[name=ge0]/config/description", nil, without(`"description":"one",`, "")},
		{"delete with a wildcard key", tree.Delete, "/interface[name=*]/config/description", nil,
			without(`"description":"one",`, "", `"description":"two",`, "")},
		{"delete with a key left out", tree.Delete, "/interface/config/description", nil,
			without(`"description":"one",`, "", `"description":"two",`, "")},
		{"delete at any depth", tree.Delete, "/.../description", nil,
			without(`"description":"one",`, "", `"description":"two",`, "", `"description":"x",`, "")},
		{"delete an entry", tree.Delete, "/interface[name=ge1]", nil, without(`,{"config":{"description":"two","name":"ge1"},"name":"ge1"}`, "")},
		{"delete a list", tree.Delete, "/interface", nil, `{}`},
		{"delete all by wildcard", tree.Delete, "/*", nil, `{}`},
		{"delete the root", tree.Delete, "/", nil, `{}`},
		{"delete config keeps the key", tree.Delete, "/interface[name=ge1]/config", nil, without(`"description":"two",`, "")},
		{"delete what is absent", tree.Delete, "/interface[name=ge9]/unit[id=0]", nil, full},
		{"delete a state leaf", tree.Delete, "/interface[name=ge0]/state/mru", nil, "! state"},
		{"delete a key", tree.Delete, "/interface[name=ge0]/config/name", nil, "! key"},
		{"delete of an unknown node", tree.Delete, "/interface[name=ge0]/config/nope", nil, "! no node"},
		{"a key that the list has not", tree.Delete, "/interface[id=ge0]", nil, "! no key"},
		{"keys on a container", tree.Delete, "/system[a=b]", nil, "! no list"},
		{"update a leaf by scalar", tree.Update, "/interface[name=ge0]/config/mru", uint(1700), without("1600", "1700")},
		{"update a leaf by JSON", tree.Update, "/interface[name=ge0]/config/mru", ietf("1700"), without("1600", "1700")},
		{"update with module names", tree.Update, "/routerd:interface[name=ge0]/routerd:config/mru", ietf("1700"), without("1600", "1700")},
		{"update makes the entries on the way", tree.Update, "/interface[name=ge1]/unit[id=5]/config/description", text("new"),
			without(`,"name":"ge1"}]`, `,"name":"ge1","unit":[{"config":{"description":"new","id":"5"},"id":"5"}]}]`)},
		{"update merges", tree.Update, "/interface[name=ge0]", ietf(`{"config":{"mru":1700}}`), without("1600", "1700")},
		{"update from the root merges", tree.Update, "/", ietf(`{"routerd:interface":[{"name":"ge0","config":{"mru":1700}}]}`), without("1600", "1700")},
		{"update an enumeration", tree.Update, "/interface[name=ge1]/config/attach", text("shared"), without(`"config":{"description":"two"`, `"config":{"attach":"shared","description":"two"`)},
		{"replace a container drops what is left out", tree.Replace, "/interface[name=ge0]/config", ietf(`{"mru":1750}`),
			without(`"description":"one",`, "", "1600", "1750")},
		{"replace an entry drops what is left out", tree.Replace, "/interface[name=ge1]", ietf(`{"config":{"mru":1750}}`), without(`"description":"two"`, `"mru":1750`)},
		{"replace a list drops other entries", tree.Replace, "/interface", ietf(`[{"name":"ge7"}]`), `{"routerd:interface":[{"config":{"name":"ge7"},"name":"ge7"}]}`},
		{"update a list keeps other entries", tree.Update, "/interface", ietf(`[{"name":"ge1","config":{"description":"2"}}]`), without("two", "2")},
		{"replace an entry by {}", tree.Replace, "/interface[name=ge0]", ietf(`{}`), "! {}"},
		{"replace a leaf by null", tree.Replace, "/interface[name=ge0]/config/mru", ietf(`null`), "! null"},
		{"replace a container by {}", tree.Replace, "/interface[name=ge1]/config", ietf(`{}`), without(`"description":"two",`, "")},
		{"an array where an entry stands", tree.Update, "/interface[name=ge0]", ietf(`[]`), "! object"},
		{"an object where a list stands", tree.Update, "/interface", ietf(`{}`), "! array"},
		{"update with a wildcard", tree.Update, "/interface[name=*]/config/mru", uint(1700), "! keys"},
		{"update with a name wildcard", tree.Update, "/*/config", ietf(`{}`), "! wildcards"},
		{"update with a key left out", tree.Update, "/interface/config/mru", uint(1700), "! keys"},
		{"update of state", tree.Update, "/interface[name=ge0]/state/mru", uint(1700), "! state"},
		{"update of state in a body", tree.Update, "/interface[name=ge0]", ietf(`{"state":{"mru":1}}`), "! state"},
		{"an unknown node in a body", tree.Update, "/interface[name=ge0]", ietf(`{"confg":{}}`), "! no node"},
		{"an annotation in a body", tree.Update, "/interface[name=ge0]/config", ietf(`{"@mru":{}}`), "! annotations"},
		{"key in the body differs", tree.Update, "/interface[name=ge0]", ietf(`{"name":"ge1"}`), "! equal"},
		{"copied key in the body differs", tree.Update, "/interface[name=ge0]", ietf(`{"config":{"name":"ge1"}}`), "! equal"},
		{"copied key by path differs", tree.Update, "/interface[name=ge0]/config/name", text("ge1"), "! equal"},
		{"copied key by path equals", tree.Update, "/interface[name=ge0]/config/name", text("ge0"), full},
		{"key missing in an array", tree.Update, "/interface", ietf(`[{"config":{}}]`), "! missing"},
		{"an entry twice in an array", tree.Update, "/interface", ietf(`[{"name":"a"},{"name":"a"}]`), "! twice"},
		{"an entry with a member twice", tree.Update, "/interface[name=ge0]", ietf(`{"config":{},"routerd:config":{}}`), "! twice"},
		{"a value twice in a leaf-list", tree.Replace, "/prefix-list[name=a]/config/prefix", ietf(`["10.0.0.0/8","10.1.0.0/16","10.0.0.0/8"]`), "! twice"},
		{"a number with a sign", tree.Update, "/interface[name=ge0]/config/mru", ascii("+1700"), without("1600", "1700")},
		{"a number with leading zeros", tree.Update, "/interface[name=ge0]/config/mru", ascii("01700"), without("1600", "1700")},
		{"a number of a union with leading zeros", tree.Update, "/policer[name=a]/green/config/set-dscp", ascii("010"),
			strings.TrimSuffix(full, "}") + `,"routerd:policer":[{"config":{"name":"a"},"green":{"config":{"set-dscp":10}},"name":"a"}]}`},
		{"a number that fits as an octal one", tree.Update, "/instance[name=a]/static-route[prefix=10.0.0.0/8]/config/preference", ascii("0377"), "! range"},
		{"a binary number", tree.Update, "/interface[name=ge0]/config/mru", ascii("0b11010100100"), "! whole"},
		{"a number of more than 64 bits", tree.Update, "/policer[name=a]/config/committed-rate", ietf(`"99999999999999999999"`), "! range"},
		{"a negative number", tree.Update, "/interface[name=ge0]/config/mru", ietf("-1700"), "! range"},
		{"a string for a number", tree.Update, "/interface[name=ge0]/config/mru", text("1700"), "! number"},
		{"a number out of range", tree.Update, "/interface[name=ge0]/config/mru", uint(70000), "! range"},
		{"a fraction for a number", tree.Update, "/interface[name=ge0]/config/mru", ietf("1500.5"), "! whole"},
		{"a number for a boolean", tree.Update, "/interface[name=ge0]/config/enabled", ietf("1"), "! true or false"},
		{"no name of the enumeration", tree.Update, "/interface[name=ge0]/config/attach", text("both"), "! none of"},
		{"pattern not matched", tree.Update, "/interface[name=ge0]/config/mac-address", text("zz"), "! pattern"},
		{"pattern not matched in a key", tree.Update, "/interface[name=ge0]/unit[id=x]/config", ietf(`{}`), "! pattern"},
		{"an object for a leaf", tree.Update, "/interface[name=ge0]/config/mru", ietf(`{}`), "! number"},
		{"a scalar for a container", tree.Update, "/interface[name=ge0]/config", text("x"), "! JSON"},
		{"bad JSON", tree.Update, "/interface[name=ge0]/config", ietf(`{"mru":`), "! bad JSON"},
		{"JSON that is not UTF-8", tree.Update, "/interface[name=ge0]/config", ietf("{\"description\":\"\xff\"}"), "! UTF-8"},
		{"half of a surrogate pair", tree.Update, "/interface[name=ge0]/config", ietf(`{"description":"\ud834\u0041"}`), "! \\ud834"},
		{"the other half alone", tree.Update, "/interface[name=ge0]/config", ietf(`{"description":"\n\udd1e"}`), "! \\udd1e"},
		{"half of a pair at the end", tree.Update, "/interface[name=ge0]/config/description", ietf(`"\ud834"`), "! \\ud834"},
		{"a surrogate pair", tree.Update, "/interface[name=ge0]/config", ietf(`{"description":"\ud834\udd1e"}`), without("one", "\U0001d11e")},
		{"a backslash before what looks like a half", tree.Update, "/interface[name=ge0]/config", ietf(`{"description":"\\ud834"}`), without("one", `\\ud834`)},
		{"trailing JSON", tree.Update, "/interface[name=ge0]/config", ietf(`{} {}`), "! more after"},
		{"no value", tree.Update, "/interface[name=ge0]/config", nil, "! no value"},
		{"unsupported encoding", tree.Update, "/interface[name=ge0]/config", &gnmi.TypedValue{Value: &gnmi.TypedValue_ProtoBytes{ProtoBytes: []byte("x")}}, "! not supported"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			running, candidate := newTree(t, s, base), &gen.Device{}
			s.Share(candidate, running, nil)
			var touched []tree.Path
			e := s.Editor(candidate, func(p tree.Path) { touched = append(touched, p) }).Spare(running)
			errs := e.Apply(tree.Op{Kind: tc.kind, Path: path(t, tc.path), Value: tc.value})
			if got := marshal(t, s, running); got != full {
				t.Errorf("what is shared has changed:\n%s\nwant\n%s", got, full)
			}
			if part, fails := strings.CutPrefix(tc.want, "! "); fails {
				if len(errs) == 0 || !strings.Contains(errs[0].Error(), part) {
					t.Fatalf("errors %v, want one with %q", errs, part)
				}
				// What a failed operation left behind is undone by its touched paths.
				for _, p := range touched {
					s.Share(candidate, running, p)
				}
				if got := marshal(t, s, candidate); got != full {
					t.Errorf("after undoing:\n%s\nwant\n%s", got, full)
				}
				return
			}
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := marshal(t, s, candidate); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			for _, p := range touched {
				s.Share(running, candidate, p)
			}
			if got := marshal(t, s, running); got != tc.want {
				t.Errorf("touched paths %v don't carry the change:\n%s\nwant\n%s", touched, got, tc.want)
			}
		})
	}
}
