package command

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

// apply makes the configuration that ops make of nothing; nil when they are
// refused.
func apply(s *tree.Schema, ops ...tree.Op) (*gen.Device, []*tree.Error) {
	dev := &gen.Device{}
	e := s.Editor(dev, func(tree.Path) {})
	var errs []*tree.Error
	for _, op := range ops {
		errs = append(errs, e.Apply(op)...)
	}
	return dev, errs
}

func load(t testing.TB, s *tree.Schema, json string) *gen.Device {
	t.Helper()
	dev, errs := apply(s, tree.Op{Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(json)}}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return dev
}

func format(t testing.TB, s *tree.Schema, dev *gen.Device) string {
	t.Helper()
	leaves, err := tree.Walker{Schema: s, Config: dev, Filter: tree.ConfigOnly}.Leaves(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Format(leaves)
}

func marshal(t testing.TB, s *tree.Schema, dev *gen.Device) string {
	t.Helper()
	b, err := s.Marshal(dev)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t testing.TB, s *tree.Schema, text string) []tree.Op {
	t.Helper()
	list, errs := Parse(s, text)
	if len(errs) > 0 {
		t.Fatalf("%v in\n%s", errs, text)
	}
	ops := make([]tree.Op, len(list))
	for i, c := range list {
		ops[i] = c.Op
	}
	return ops
}

// config has what is odd about a configuration: bare entries, entries that only
// hold others, lists in their user's order, leaf-lists, text with blanks.
const config = `{
 "routerd:system": {"config": {"hostname": "r1"}},
 "routerd:interface": [
  {"name": "ge0", "config": {"description": "to \"the\" core # one\\two\n\tthree", "mru": 1600},
   "unit": [{"id": "0", "family": [{"type": "inet", "address": [{"prefix": "192.0.2.1/24"}]}, {"type": "inet6"}]}]},
  {"name": "ge1"},
  {"name": "ge2", "config": {"description": ""}, "unit": [{"id": "7", "vlan": {"config": {"outer-vlan-id": 7}}}]}],
 "routerd:prefix-list": [{"name": "a", "config": {"description": "'", "prefix": ["10.0.0.0/8", "2001:db8::/32"]}}, {"name": "empty"}],
 "routerd:filter": [{"name": "f", "config": {"family": "inet"}, "term": [
   {"name": "z", "match": {"config": {"protocol": ["tcp", 47], "source-port": [22, "1024-65535"]}}},
   {"name": "a"}]}],
 "routerd:instance": [{"name": "default", "static-route": [
   {"prefix": "0.0.0.0/0", "next-hop": [{"index": 0, "config": {"gateway": "192.0.2.2"}}]},
   {"prefix": "10.0.0.0/8", "config": {"action": "discard", "tag": 4294967295}}]}]}`

func TestRoundTrip(t *testing.T) {
	s := schema(t)
	dev := load(t, s, config)
	text := format(t, s, dev)
	again, errs := apply(s, parse(t, s, text)...)
	if len(errs) > 0 {
		t.Fatalf("%v in\n%s", errs, text)
	}
	if got, want := marshal(t, s, again), marshal(t, s, dev); got != want {
		t.Errorf("the commands\n%smake\n%s\nwant\n%s", text, got, want)
	}
	if second := format(t, s, again); second != text {
		t.Errorf("formatted again:\n%s\nwant\n%s", second, text)
	}
	for _, line := range []string{
		"set /interface[name=ge1]\n",
		`set /interface[name=ge0]/config/description "to \"the\" core # one\\two\n\tthree"` + "\n",
		`set /interface[name=ge2]/config/description ""` + "\n",
		"set /interface[name=ge0]/unit[id=0]/family[type=inet6]\n",
		"set /prefix-list[name=a]/config/prefix 10.0.0.0/8 2001:db8::/32\n",
		"set /filter[name=f]/term[name=z]/match/config/protocol tcp 47\n",
		"set /instance[name=default]/static-route[prefix=10.0.0.0/8]/config/tag 4294967295\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	for _, none := range []string{"set /interface[name=ge0]\n", "/config/name", "unit[id=0]\n"} {
		if strings.Contains(text, none) {
			t.Errorf("%q is redundant in\n%s", none, text)
		}
	}
	if z, a := strings.Index(text, "term[name=z]"), strings.Index(text, "term[name=a]"); z < 0 || a < z {
		t.Errorf("the terms are out of order:\n%s", text)
	}
}

func TestStateIsComments(t *testing.T) {
	s := schema(t)
	n := s.Nodes(tree.Path{{Name: "system"}, {Name: "state"}, {Name: "hostname"}})[0]
	leaves, err := tree.Walker{Schema: s, Config: load(t, s, config), Filter: tree.ConfigOnly}.Leaves(tree.Path{{Name: "system"}})
	if err != nil || len(leaves) != 1 {
		t.Fatal(leaves, err)
	}
	leaves = append(leaves, tree.LeafValue{Node: n, Path: tree.Path{{Name: "system"}, {Name: "state"}, {Name: "hostname"}}, Value: leaves[0].Value})
	text := Format(leaves)
	if want := "set /system/config/hostname r1\n# /system/state/hostname r1\n"; text != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	if ops := parse(t, s, text); len(ops) != 1 {
		t.Errorf("%v", ops)
	}
}

func TestParse(t *testing.T) {
	s := schema(t)
	const text = `
# a comment, and an empty line

set interface[name=ge0]/config/mru 1500 # set twice
  set /interface[name=ge0]/config/mru	1600
set "/interface[name=ge1]/config/description" "a # b"
set /interface[name=ge2]/config/enabled false
set /interface[name=ge3]
delete /interface[name=ge3]
set /filter[name=f]/term[name=t]/match/config/protocol tcp
set /filter[name=f]/term[name=t]/match/config/protocol udp
replace /filter[name=f]/term[name=t]/match/config/ttl 1 2-3
delete /interface[name=*]/config/description
set /filter[name=f]/term[name=t]/match/config/icmp-type 8 echo-reply 0
delete /filter[name=f]/term[name=t]/match/config/icmp-type echo-reply 8
set /prefix-list[name=p]/config/prefix 10.0.0.0/8
delete /prefix-list/config/prefix 10.0.0.0/8 192.0.2.0/24
`
	dev, errs := apply(s, parse(t, s, text)...)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	const want = `set /filter[name=f]/term[name=t]/match/config/icmp-type 0
set /filter[name=f]/term[name=t]/match/config/protocol tcp udp
set /filter[name=f]/term[name=t]/match/config/ttl 1 2-3
set /interface[name=ge0]/config/mru 1600
set /interface[name=ge1]
set /interface[name=ge2]/config/enabled false
set /prefix-list[name=p]
`
	if got := format(t, s, dev); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if list, _ := Parse(s, text); list[0].Line != 4 || list[len(list)-1].Line != 17 {
		t.Errorf("lines %d to %d", list[0].Line, list[len(list)-1].Line)
	}
}

func TestParseErrors(t *testing.T) {
	s := schema(t)
	for _, tc := range []struct {
		name, line string
		kind       tree.ErrorKind
		want       string
	}{
		{"no command", "commit", tree.Malformed, `"commit" is no command`},
		{"no path", "set", tree.Malformed, "needs a path"},
		{"bad path", "set /interface[name /x", tree.Malformed, "a key must read"},
		{"unknown node", "set /interface[name=ge0]/confg/mru 1", tree.Unknown, `no node "confg"`},
		{"a leaf without a value", "set /system/config/hostname", tree.Malformed, "one value, not 0"},
		{"a leaf with two", "set /system/config/hostname a b", tree.Malformed, "one value, not 2"},
		{"a container with a value", "set /system/config x", tree.Malformed, "is no leaf"},
		{"a list without keys", "set /interface", tree.Malformed, "keys are missing"},
		{"replace of a container", "replace /system/config", tree.Malformed, "replace is for leaves"},
		{"delete with a value", "delete /system/config/hostname r1", tree.Malformed, "a path alone"},
		{"a wildcard", "set /interface[name=ge0]/*/mru 1", tree.Malformed, "wildcards are for delete"},
		{"no values", "set /filter[name=f]/term[name=t]/match/config/ttl", tree.Malformed, "values are missing"},
		{"open quotes", `set /system/config/hostname "r1`, tree.Malformed, "inside quotes"},
		{"a bad escape", `set /system/config/hostname "\r\x"`, tree.Malformed, "no escape"},
		{"quotes inside", `set /system/config/hostname r"1"`, tree.Malformed, "double quotes as a whole"},
		{"quotes that go on", `set /system/config/hostname "r"1`, tree.Malformed, "follows a closing quote"},
		{"no text", "set /system/config/hostname \xff", tree.Malformed, "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, errs := Parse(s, "set /system/config/hostname ok\n"+tc.line+"\n")
			if len(errs) != 1 || list != nil {
				t.Fatalf("%v, %v", list, errs)
			}
			if e := errs[0]; e.Line != 2 || e.Kind != tc.kind || !strings.Contains(e.Error(), tc.want) || !strings.HasPrefix(e.Error(), "line 2: ") {
				t.Errorf("kind %d: %v", e.Kind, e)
			}
		})
	}
	if _, errs := Parse(s, strings.Repeat("bad\n", 20_000)); len(errs) != mostErrors {
		t.Errorf("%d bad lines are told", len(errs))
	}
	if _, errs := Parse(s, "x\n\ny\n"); len(errs) != 2 || errs[1].Line != 3 {
		t.Errorf("all lines are told: %v", errs)
	}
}

// FuzzValues puts any text into a value and a key: what the editor takes comes
// back unchanged.
func FuzzValues(f *testing.F) {
	s := schema(f)
	for _, seed := range []string{"", "a b", `"`, `\`, "#", "]", "[", "a\n\tb\r", "\u00a0", "'", "é", "/", "=", "\u2028"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, value, key string) {
		str := func(v string) *gnmi.TypedValue {
			return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: v}}
		}
		list := tree.Path{{Name: "prefix-list", Key: map[string]string{"name": key}}}
		dev, errs := apply(s,
			tree.Op{Kind: tree.Update, Path: tree.Path{{Name: "interface", Key: map[string]string{"name": "ge0"}}, {Name: "config"}, {Name: "description"}}, Value: str(value)},
			tree.Op{Kind: tree.Update, Path: list, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonVal{JsonVal: []byte("{}")}}})
		if len(errs) > 0 {
			return
		}
		text := format(t, s, dev)
		again, errs := apply(s, parse(t, s, text)...)
		if len(errs) > 0 {
			t.Fatalf("%q: %v", text, errs)
		}
		if got, want := marshal(t, s, again), marshal(t, s, dev); got != want {
			t.Errorf("%q makes %s, want %s", text, got, want)
		}
	})
}

// FuzzParse gives the parser any text. What it and the editor take has a
// canonical form that means the same.
func FuzzParse(f *testing.F) {
	s := schema(f)
	f.Add("set /interface[name=ge0]/config/mru 1500\ndelete /...\n")
	f.Add(`replace "/prefix-list[name=a\\]b]/config/prefix" "::/0" # x`)
	f.Add("set /filter[name=f]/term[name=t]/match/config/ttl 1 \"2\"\n")
	dev := load(f, s, config)
	f.Add(format(f, s, dev))
	f.Fuzz(func(t *testing.T, text string) {
		list, errs := Parse(s, text)
		if len(errs) > 0 {
			return
		}
		ops := make([]tree.Op, len(list))
		for i, c := range list {
			ops[i] = c.Op
		}
		dev, refused := apply(s, ops...)
		if len(refused) > 0 {
			return
		}
		canonical := format(t, s, dev)
		again, refused := apply(s, parse(t, s, canonical)...)
		if len(refused) > 0 {
			t.Fatalf("%q: %v", canonical, refused)
		}
		if got, want := marshal(t, s, again), marshal(t, s, dev); got != want {
			t.Errorf("%q makes %s, want %s", canonical, got, want)
		}
	})
}
