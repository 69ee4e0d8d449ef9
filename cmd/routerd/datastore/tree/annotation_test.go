package tree_test

import (
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

func TestAnnotation(t *testing.T) {
	s := schema(t)
	const json = `{"@":{"openconfig-metadata:protobuf-metadata":"AAEC/w=="},"routerd:system":{"config":{"hostname":"r1"}}}`
	d := newTree(t, s, json)
	if got := d.Annotation.Config.ProtobufMetadata; string(got) != "\x00\x01\x02\xff" {
		t.Errorf("the model has %q", got)
	}
	if got := marshal(t, s, d); got != json {
		t.Errorf("written %s", got)
	}
	for name, tc := range map[string]struct {
		at, value, want string
	}{
		"another annotation":    {"/", `{"@":{"x:y":"AAEC"}}`, "no such annotation"},
		"no object":             {"/", `{"@":"AAEC"}`, "takes an object"},
		"no base64":             {"/", `{"@":{"openconfig-metadata:protobuf-metadata":"%"}}`, "octets or a base64 string"},
		"below the root":        {"/system", `{"@":{"openconfig-metadata:protobuf-metadata":"AAEC"}}`, "not supported"},
		"larger than 1 MiB":     {"/", `{"@":{"openconfig-metadata:protobuf-metadata":"` + strings.Repeat("AAAA", 1<<20/3+1) + `"}}`, "1048578 octets long"},
		"of a leaf":             {"/system/config", `{"@hostname":{"x:y":1}}`, "not supported"},
		"no number is octets":   {"/annotation/config/protobuf-metadata", `1`, "octets or a base64 string"},
		"the model's own place": {"/annotation/config/protobuf-metadata", `"%"`, "octets or a base64 string"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := s.Editor(&gen.Device{}, func(tree.Path) {}).Apply(tree.Op{Kind: tree.Update, Path: path(t, tc.at), Value: ietf(tc.value)})
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), tc.want) {
				t.Errorf("errors %.200v", errs)
			}
		})
	}
}

// Values in their lexical form, and octets, as a TypedValue has them.
func TestLexicalValues(t *testing.T) {
	s := schema(t)
	ascii := func(v string) *gnmi.TypedValue {
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_AsciiVal{AsciiVal: v}}
	}
	d := newTree(t, s, `{}`)
	e := s.Editor(d, func(tree.Path) {})
	for _, op := range []tree.Op{
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/mru"), Value: ascii("1600")},
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/enabled"), Value: ascii("false")},
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/attach"), Value: ascii("shared")},
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/description"), Value: ascii("")},
		{Kind: tree.Update, Path: path(t, "/filter[name=f]/term[name=t]/match/config/protocol"), Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_LeaflistVal{
			LeaflistVal: &gnmi.ScalarArray{Element: []*gnmi.TypedValue{ascii("tcp"), ascii("47")}}}}},
		{Kind: tree.Update, Path: path(t, "/annotation/config/protobuf-metadata"), Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_BytesVal{BytesVal: []byte("abc")}}},
	} {
		if errs := e.Apply(op); len(errs) > 0 {
			t.Error(errs)
		}
	}
	const want = `{"@":{"openconfig-metadata:protobuf-metadata":"YWJj"},"routerd:filter":[{"config":{"name":"f"},"name":"f","term":[{"config":{"name":"t"},"match":{"config":{"protocol":["tcp",47]}},"name":"t"}]}],` +
		`"routerd:interface":[{"config":{"attach":"shared","description":"","enabled":false,"mru":1600,"name":"ge0"},"name":"ge0"}]}`
	if got := marshal(t, s, d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, op := range []tree.Op{
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/mru"), Value: ascii("x")},
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/enabled"), Value: ascii("yes")},
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/attach"), Value: ascii("both")},
		{Kind: tree.Update, Path: path(t, "/interface[name=ge0]/config/mru"), Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_BytesVal{BytesVal: []byte("1600")}}},
	} {
		if errs := e.Apply(op); len(errs) != 1 {
			t.Errorf("%v %v: errors %v", op.Path, op.Value, errs)
		}
	}
	// An empty array leaves no leaf-list behind.
	if errs := e.Apply(tree.Op{Kind: tree.Replace, Path: path(t, "/filter[name=f]/term[name=t]/match/config/protocol"), Value: ietf(`[]`)}); len(errs) > 0 {
		t.Error(errs)
	}
	if got := marshal(t, s, d); strings.Contains(got, "protocol") {
		t.Errorf("an empty leaf-list stands in %s", got)
	}
}
