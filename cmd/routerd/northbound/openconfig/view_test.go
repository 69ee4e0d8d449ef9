package openconfig

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

func view(t testing.TB) *View {
	t.Helper()
	v, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func nativeSchema(t testing.TB) *tree.Schema {
	t.Helper()
	s, err := tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func path(t testing.TB, text string) tree.Path {
	t.Helper()
	p, err := tree.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ietf(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(s)}}
}

// native makes a native tree of RFC 7951 JSON.
func native(t testing.TB, s *tree.Schema, json string) *gen.Device {
	t.Helper()
	d := &gen.Device{}
	apply(t, s, d, tree.Op{Kind: tree.Replace, Value: ietf(json)})
	return d
}

func apply(t testing.TB, s *tree.Schema, d *gen.Device, ops ...tree.Op) {
	t.Helper()
	e := s.Editor(d, func(tree.Path) {})
	for _, op := range ops {
		if errs := e.Apply(op); len(errs) > 0 {
			t.Fatalf("%v %s: %v", op.Kind, op.Path, errs)
		}
	}
}

// shown is the view of the configuration as it is when it is edited.
func shown(t testing.TB, v *View, d *gen.Device) string {
	t.Helper()
	p := newProjection(d)
	for _, s := range scopesOf(nil) {
		p.add(s)
	}
	b, err := v.schema.Marshal(p.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// furnished has each kind of thing that the view shows, and much that it does
// not.
const furnished = `{
"routerd:system":{"config":{"hostname":"r1"}},
"routerd:interface":[
 {"name":"ge0","config":{"name":"ge0","description":"up","mru":1600,"driver":"af-packet","enabled":true},"unit":[
  {"id":"0","config":{"id":"0","enabled":false},"family":[{"type":"inet","config":{"type":"inet","rpf-check":"strict"},
    "address":[{"prefix":"192.0.2.1/24","config":{"prefix":"192.0.2.1/24","primary":true}},{"prefix":"192.0.2.2/24"}],
    "neighbor":[{"address":"192.0.2.9","config":{"address":"192.0.2.9","link-layer-address":"02:00:00:00:00:09"}}]},
   {"type":"inet6","config":{"type":"inet6","enabled":false,"mtu":1400},"address":[{"prefix":"2001:db8::1/64"},{"prefix":"fe80::1/64"},{"prefix":"fe80::1/128"}]}]},
  {"id":"100","config":{"id":"100","description":"tagged"},"vlan":{"config":{"outer-vlan-id":100,"outer-tpid":"0x88a8"}},
   "family":[{"type":"inet","config":{"type":"inet","instance":"blue"}},{"type":"inet6","config":{"type":"inet6","instance":"blue"}}]},
  {"id":"100.1","config":{"id":"100.1"},"vlan":{"config":{"outer-vlan-id":7}},"family":[{"type":"inet"}]},
  {"id":"200","vlan":{"config":{"outer-vlan-id":200,"inner-vlan-id":20}},
   "family":[{"type":"inet","config":{"type":"inet","instance":"blue","unnumbered":"lo0"}},{"type":"inet6","config":{"type":"inet6","instance":"default"}}]},
  {"id":"300","vlan":{"config":{"outer-vlan-id":300}}}]},
 {"name":"lo0","config":{"name":"lo0","type":"loopback"},"unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"198.51.100.1/32"}]}]}]}],
"routerd:instance":[
 {"name":"default","config":{"name":"default","description":"the one"},"static-route":[
  {"prefix":"10.0.0.0/8","config":{"prefix":"10.0.0.0/8","preference":9,"tag":77,"description":"ten"},"next-hop":[
    {"index":1,"config":{"index":1,"gateway":"192.0.2.9","weight":3}},{"index":2,"config":{"index":2,"gateway":"192.0.2.8","interface":"ge0","backup":true}}]},
  {"prefix":"11.0.0.0/8","config":{"prefix":"11.0.0.0/8","action":"discard"}},
  {"prefix":"12.0.0.0/8","config":{"prefix":"12.0.0.0/8","action":"reject","reject-code":"host-unreachable"}},
  {"prefix":"13.0.0.0/8","config":{"prefix":"13.0.0.0/8"},"next-hop":[{"index":0,"config":{"index":0,"instance":"blue"}}]},
  {"prefix":"14.0.0.0/8","config":{"prefix":"14.0.0.0/8"},"next-hop":[{"index":0,"config":{"index":0,"gateway":"192.0.2.9","instance":"blue"}}]},
  {"prefix":"15.0.0.0/8","config":{"prefix":"15.0.0.0/8"},"next-hop":[{"index":0,"config":{"index":0,"interface":"ge0.100.1"}}]},
  {"prefix":"2001:db8:1::/48","config":{"prefix":"2001:db8:1::/48"},"next-hop":[{"index":0,"config":{"index":0,"interface":"ge0.100"}}]}]},
 {"name":"blue","config":{"name":"blue","host-namespace":"b"},"static-route":[
  {"prefix":"0.0.0.0/0","config":{"prefix":"0.0.0.0/0"},"next-hop":[{"index":0,"config":{"index":0,"instance":"default"}}]}]},
 {"name":"DEFAULT","config":{"name":"DEFAULT"}}],
"routerd:policer":[{"name":"p","config":{"name":"p","description":"x"}}]}`

// What the view shows, written back in any of these ways, changes nothing.
func TestWrittenBackChangesNothing(t *testing.T) {
	v, s := view(t), nativeSchema(t)
	before := native(t, s, furnished)
	seen := shown(t, v, before)
	for _, kind := range []tree.OpKind{tree.Replace, tree.Update} {
		t.Run(kind.String(), func(t *testing.T) {
			ops, errs := v.Translate(before, []tree.Op{{Kind: kind, Value: ietf(seen)}})
			for _, err := range errs {
				t.Errorf("refused: %v", err)
			}
			for _, op := range ops {
				t.Errorf("changes %v %s to %v", op.Kind, op.Path, op.Value)
			}
		})
	}
	t.Run("into nothing", func(t *testing.T) {
		// A second view of what the first one made is the same, though the native
		// tree has less.
		empty := &gen.Device{}
		ops, errs := v.Translate(empty, []tree.Op{{Kind: tree.Replace, Value: ietf(dropUnnamable(seen))}})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		apply(t, s, empty, ops...)
		if got := shown(t, v, empty); got != dropUnnamable(seen) {
			t.Errorf("view of what was made\n%s\nwant\n%s", got, dropUnnamable(seen))
		}
	})
}

// dropUnnamable takes out the two routes that the view shows without a next
// hop, since it has no words for theirs.
func dropUnnamable(seen string) string {
	for _, r := range []string{`{"config":{"prefix":"12.0.0.0/8"},"prefix":"12.0.0.0/8"},`,
		`{"config":{"prefix":"15.0.0.0/8"},"next-hops":{"next-hop":[{"config":{"index":"0"},"index":"0"}]},"prefix":"15.0.0.0/8"},`} {
		if !strings.Contains(seen, r) {
			panic("the view has no " + r + " in " + seen)
		}
		seen = strings.Replace(seen, r, "", 1)
	}
	return seen
}

// Each edit changes the leaves that it says, and no others.
func TestTranslate(t *testing.T) {
	const (
		sub0   = "/interfaces/interface[name=ge0]/subinterfaces/subinterface[index=0]"
		sub100 = "/interfaces/interface[name=ge0]/subinterfaces/subinterface[index=100]"
		ni     = "/network-instances/network-instance"
		static = ni + "[name=DEFAULT]/protocols/protocol[identifier=STATIC][name=DEFAULT]/static-routes/static"
	)
	v, s := view(t), nativeSchema(t)
	tests := []struct {
		name string
		ops  []tree.Op
		want []string // native leaves that come, "+path value", and go, "-path value"
		err  string
	}{
		{"mtu", []tree.Op{{Kind: tree.Update, Path: path(t, "/interfaces/interface[name=ge0]/config/mtu"), Value: ietf("1514")}},
			[]string{"+/interface[name=ge0]/config/mru 1518", "-/interface[name=ge0]/config/mru 1600"}, ""},
		{"replace of config falls back to defaults", []tree.Op{{Kind: tree.Replace, Path: path(t, "/interfaces/interface[name=ge0]/config"), Value: ietf(`{"type":"iana-if-type:ethernetCsmacd"}`)}},
			[]string{"-/interface[name=ge0]/config/description up", "-/interface[name=ge0]/config/enabled true", "-/interface[name=ge0]/config/mru 1600"}, ""},
		{"other type", []tree.Op{{Kind: tree.Update, Path: path(t, "/interfaces/interface[name=ge0]/config/type"), Value: ietf(`"iana-if-type:ieee8023adLag"`)}}, nil, "no interfaces of type ieee8023adLag"},
		{"new interface with subinterface and address", []tree.Op{{Kind: tree.Update, Path: path(t, "/interfaces"), Value: ietf(
			`{"interface":[{"name":"ge9","config":{"name":"ge9","type":"iana-if-type:ethernetCsmacd"},"subinterfaces":{"subinterface":[{"index":0,
			"openconfig-if-ip:ipv4":{"addresses":{"address":[{"ip":"203.0.113.1","config":{"ip":"203.0.113.1","prefix-length":30}}]}}}]}}]}`)}},
			[]string{"+/interface[name=ge9]/config/name ge9", "+/interface[name=ge9]/name ge9",
				"+/interface[name=ge9]/unit[id=0]/config/id 0", "+/interface[name=ge9]/unit[id=0]/family[type=inet]/address[prefix=203.0.113.1/30]/config/prefix 203.0.113.1/30",
				"+/interface[name=ge9]/unit[id=0]/family[type=inet]/address[prefix=203.0.113.1/30]/prefix 203.0.113.1/30",
				"+/interface[name=ge9]/unit[id=0]/family[type=inet]/config/type inet", "+/interface[name=ge9]/unit[id=0]/family[type=inet]/type inet", "+/interface[name=ge9]/unit[id=0]/id 0"}, ""},
		{"prefix-length", []tree.Op{{Kind: tree.Update, Path: path(t, sub0+"/ipv4/addresses/address[ip=192.0.2.2]/config/prefix-length"), Value: ietf("25")}},
			[]string{"+/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.2/25]/config/prefix 192.0.2.2/25", "+/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.2/25]/prefix 192.0.2.2/25",
				"-/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.2/24]/config/prefix 192.0.2.2/24", "-/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.2/24]/prefix 192.0.2.2/24"}, ""},
		{"address without length", []tree.Op{{Kind: tree.Update, Path: path(t, sub0+"/ipv4/addresses/address[ip=192.0.2.7]/config"), Value: ietf("{}")}}, nil, "prefix-length"},
		{"address in another spelling", []tree.Op{{Kind: tree.Update, Path: path(t, sub0+"/ipv6/addresses/address[ip=2001:DB8::5]/config/prefix-length"), Value: ietf("64")}}, nil, "write 2001:db8::5"},
		{"tags: one to two", []tree.Op{{Kind: tree.Delete, Path: path(t, sub100+"/vlan/match/single-tagged")}, {Kind: tree.Update, Path: path(t, sub100+"/vlan/match/double-tagged/config"), Value: ietf(`{"outer-vlan-id":5,"inner-vlan-id":6}`)}},
			[]string{"+/interface[name=ge0]/unit[id=100]/vlan/config/inner-vlan-id 6", "+/interface[name=ge0]/unit[id=100]/vlan/config/outer-vlan-id 5", "-/interface[name=ge0]/unit[id=100]/vlan/config/outer-vlan-id 100"}, ""},
		{"both kinds of tags", []tree.Op{{Kind: tree.Update, Path: path(t, sub100+"/vlan/match/double-tagged/config"), Value: ietf(`{"outer-vlan-id":5,"inner-vlan-id":6}`)}}, nil, "can't both be set"},
		{"inner tag alone", []tree.Op{{Kind: tree.Update, Path: path(t, sub0+"/vlan/match/double-tagged/config/inner-vlan-id"), Value: ietf("5")}}, nil, "both outer-vlan-id and inner-vlan-id"},
		{"unit out of its instance", []tree.Op{{Kind: tree.Delete, Path: path(t, ni+"[name=blue]/interfaces/interface[id=ge0.100]")}},
			[]string{"-/interface[name=ge0]/unit[id=100]/family[type=inet6]/config/instance blue", "-/interface[name=ge0]/unit[id=100]/family[type=inet]/config/instance blue"}, ""},
		{"unit into an instance before it has addresses", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=blue]/interfaces/interface[id=ge0.300]/config"), Value: ietf(`{"interface":"ge0","subinterface":300}`)}},
			[]string{"+/interface[name=ge0]/unit[id=300]/family[type=inet6]/config/instance blue", "+/interface[name=ge0]/unit[id=300]/family[type=inet6]/config/type inet6", "+/interface[name=ge0]/unit[id=300]/family[type=inet6]/type inet6",
				"+/interface[name=ge0]/unit[id=300]/family[type=inet]/config/instance blue", "+/interface[name=ge0]/unit[id=300]/family[type=inet]/config/type inet", "+/interface[name=ge0]/unit[id=300]/family[type=inet]/type inet"}, ""},
		{"one family into an instance", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=blue]/interfaces/interface[id=ge0.0]/config"), Value: ietf(`{"interface":"ge0","subinterface":0,"associated-address-families":["openconfig-types:IPV6"]}`)}},
			[]string{"+/interface[name=ge0]/unit[id=0]/family[type=inet6]/config/instance blue"}, ""},
		{"a family in two instances", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=DEFAULT]/interfaces/interface[id=ge0.100]/config"), Value: ietf(`{"interface":"ge0","subinterface":100}`)}}, nil, "already"},
		{"a unit that is not there into an instance", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=blue]/interfaces/interface[id=ge0.5]/config"), Value: ietf(`{"interface":"ge0","subinterface":5}`)}}, nil, "no subinterface 5 of interface ge0"},
		{"an id of one's own", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=blue]/interfaces/interface[id=x]/config"), Value: ietf(`{"interface":"ge0","subinterface":0}`)}}, nil, `is "ge0.0"`},
		{"a subinterface goes but not its place", []tree.Op{{Kind: tree.Delete, Path: path(t, sub100)}}, nil, "no subinterface 100"},
		{"an instance by another way than its entry", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=red]/config/description"), Value: ietf(`"x"`)}}, nil, "type of this instance is L3VRF"},
		{"new instance", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=red]/config"), Value: ietf(`{"type":"openconfig-network-instance-types:L3VRF"}`)}},
			[]string{"+/instance[name=red]/config/name red", "+/instance[name=red]/name red"}, ""},
		{"new instance with a unit", []tree.Op{{Kind: tree.Replace, Path: path(t, ni+"[name=red]"), Value: ietf(`{"config":{"type":"L3VRF"},"interfaces":{"interface":[{"id":"ge0.0","config":{"interface":"ge0","subinterface":0}}]}}`)}},
			[]string{"+/instance[name=red]/config/name red", "+/instance[name=red]/name red", "+/interface[name=ge0]/unit[id=0]/family[type=inet6]/config/instance red", "+/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance red"}, ""},
		{"the default instance by its native name", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=default]/config/description"), Value: ietf(`"x"`)}}, nil, "called DEFAULT"},
		{"static route to drop", []tree.Op{{Kind: tree.Replace, Path: path(t, static+"[prefix=13.0.0.0/8]"), Value: ietf(`{"next-hops":{"next-hop":[{"index":"0","config":{"next-hop":"openconfig-local-routing:DROP"}}]}}`)}},
			[]string{"+/instance[name=default]/static-route[prefix=13.0.0.0/8]/config/action discard", "-/instance[name=default]/static-route[prefix=13.0.0.0/8]/next-hop[index=0]/config/index 0",
				"-/instance[name=default]/static-route[prefix=13.0.0.0/8]/next-hop[index=0]/config/instance blue", "-/instance[name=default]/static-route[prefix=13.0.0.0/8]/next-hop[index=0]/index 0"}, ""},
		{"static route from reject to a gateway", []tree.Op{{Kind: tree.Update, Path: path(t, static+"[prefix=12.0.0.0/8]/next-hops/next-hop[index=3]/config/next-hop"), Value: ietf(`"192.0.2.9"`)}},
			[]string{"+/instance[name=default]/static-route[prefix=12.0.0.0/8]/next-hop[index=3]/config/gateway 192.0.2.9", "+/instance[name=default]/static-route[prefix=12.0.0.0/8]/next-hop[index=3]/config/index 3",
				"+/instance[name=default]/static-route[prefix=12.0.0.0/8]/next-hop[index=3]/index 3", "-/instance[name=default]/static-route[prefix=12.0.0.0/8]/config/action reject", "-/instance[name=default]/static-route[prefix=12.0.0.0/8]/config/reject-code host-unreachable"}, ""},
		{"static route without next hop", []tree.Op{{Kind: tree.Update, Path: path(t, static+"[prefix=16.0.0.0/8]/config/description"), Value: ietf(`"x"`)}}, nil, "needs a next hop"},
		{"static route with two preferences", []tree.Op{{Kind: tree.Update, Path: path(t, static+"[prefix=10.0.0.0/8]/next-hops/next-hop[index=1]/config/preference"), Value: ietf(`4`)}}, nil, "one preference"},
		{"drop beside a gateway", []tree.Op{{Kind: tree.Update, Path: path(t, static+"[prefix=11.0.0.0/8]/next-hops/next-hop[index=1]/config/next-hop"), Value: ietf(`"192.0.2.9"`)}}, nil, "only next hop"},
		{"next hop by name", []tree.Op{{Kind: tree.Update, Path: path(t, static+"[prefix=16.0.0.0/8]/next-hops/next-hop[index=AUTO]/config/next-hop"), Value: ietf(`"192.0.2.9"`)}}, nil, "number from 0 to 255"},
		{"another protocol", []tree.Op{{Kind: tree.Update, Path: path(t, ni+"[name=DEFAULT]/protocols/protocol[identifier=BGP][name=x]/config"), Value: ietf("{}")}}, nil, "no protocol BGP"},
		{"a route's tag goes", []tree.Op{{Kind: tree.Delete, Path: path(t, static+"[prefix=10.0.0.0/8]/config/set-tag")}}, []string{"-/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/tag 77"}, ""},
		{"what is not supported", []tree.Op{{Kind: tree.Update, Path: path(t, "/interfaces/interface[name=ge0]/config/loopback-mode"), Value: ietf(`"NONE"`)}}, nil, "openconfig-routerd-deviations"},
		{"hostname", []tree.Op{{Kind: tree.Delete, Path: path(t, "/system/config/hostname")}}, []string{"-/system/config/hostname r1"}, ""},
		{"state", []tree.Op{{Kind: tree.Update, Path: path(t, "/system/state/hostname"), Value: ietf(`"x"`)}}, nil, "is state"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := native(t, s, furnished)
			ops, errs := v.Translate(before, test.ops)
			if test.err != "" {
				if len(errs) == 0 || !strings.Contains(errs[0].Error(), test.err) {
					t.Fatalf("errors %v, want %q", errs, test.err)
				}
				return
			}
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			after := native(t, s, furnished)
			apply(t, s, after, ops...)
			if got := differences(t, s, before, after); !slices.Equal(got, test.want) {
				t.Errorf("changes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func leavesOf(t testing.TB, s *tree.Schema, d *gen.Device) map[string]bool {
	t.Helper()
	list, err := tree.Walker{Schema: s, Config: d, Filter: tree.ConfigOnly}.Leaves(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]bool, len(list))
	for _, l := range list {
		m[l.Path.String()+" "+l.Value.Text()] = true
	}
	return m
}

func differences(t testing.TB, s *tree.Schema, before, after *gen.Device) []string {
	t.Helper()
	a, b := leavesOf(t, s, before), leavesOf(t, s, after)
	var list []string
	for _, l := range slices.Sorted(maps.Keys(b)) {
		if !a[l] {
			list = append(list, "+"+l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(a)) {
		if !b[l] {
			list = append(list, "-"+l)
		}
	}
	return list
}

// supported.txt, from which the deviations are made, and the schema have the
// same leaves; and each is one that the furnished configuration can show.
func TestSupportedLeavesAreTheSchemas(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "..", "..", "yang", "openconfig", "supported.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listed := make(map[string]bool)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		listed[lines.Text()] = true
	}
	var below func(n *tree.Node)
	below = func(n *tree.Node) {
		if n.IsLeaf() && !listed[n.SchemaPath()] {
			t.Errorf("the schema has %s, which supported.txt has not", n.SchemaPath())
		}
		delete(listed, n.SchemaPath())
		for _, c := range n.Children {
			below(c)
		}
	}
	v := view(t)
	below(v.schema.Root)
	for l := range listed {
		t.Errorf("supported.txt has %s, which the schema has not", l)
	}

	d := native(t, nativeSchema(t), furnished)
	p := newProjection(d)
	for _, s := range scopesOf(nil) {
		p.add(s)
	}
	shown := make(map[string]bool)
	leaves, err := tree.Walker{Schema: v.schema, Config: p.out}.Leaves(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		shown[l.Node.SchemaPath()] = true
	}
	var unshown func(n *tree.Node)
	unshown = func(n *tree.Node) {
		if n.IsLeaf() && n.Config && !shown[n.SchemaPath()] {
			switch n.SchemaPath() {
			case "/interfaces/interface/subinterfaces/subinterface/ipv4/config/mtu",
				"/interfaces/interface/subinterfaces/subinterface/ipv6/neighbors/neighbor/ip",
				"/interfaces/interface/subinterfaces/subinterface/ipv6/neighbors/neighbor/config/ip",
				"/interfaces/interface/subinterfaces/subinterface/ipv6/neighbors/neighbor/config/link-layer-address",
				"/interfaces/interface/subinterfaces/subinterface/ipv6/unnumbered/config/enabled",
				"/interfaces/interface/subinterfaces/subinterface/ipv6/unnumbered/interface-ref/config/interface",
				"/interfaces/interface/subinterfaces/subinterface/ipv6/unnumbered/interface-ref/config/subinterface":
				return // shown for the other family
			}
			t.Errorf("nothing shows as %s", n.SchemaPath())
		}
		for _, c := range n.Children {
			unshown(c)
		}
	}
	unshown(v.schema.Root)
}
