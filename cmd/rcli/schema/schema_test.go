package schema

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func find(t testing.TB, path string) *Node {
	t.Helper()
	n, err := Find(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWordsAreUnambiguous keeps a leaf of config from having the name of a node
// beside config: words could not tell them apart.
func TestWordsAreUnambiguous(t *testing.T) {
	var check func(n *Node)
	check = func(n *Node) {
		for _, v := range []View{Config, State} {
			seen := map[string]bool{}
			for _, c := range n.Words(v) {
				if seen[c.Name] {
					t.Errorf("%s has two nodes %q in words", n, c.Name)
				}
				seen[c.Name] = true
			}
		}
		for _, c := range n.Children() {
			check(c)
		}
	}
	check(Root())
}

// TestEveryLeafIsReached keeps the words complete: each leaf of configuration can be
// said, and none of state can be set.
func TestEveryLeafIsReached(t *testing.T) {
	reached := map[*Node]bool{}
	var walk func(n *Node)
	walk = func(n *Node) {
		for _, c := range n.Words(Config) {
			reached[c] = true
			if !c.Config {
				t.Errorf("%s is state, and can be set", c)
			}
			walk(c)
		}
	}
	walk(Root())
	var all func(n *Node)
	all = func(n *Node) {
		if n.Config && !n.IsKey && (n.Kind == Leaf || n.Kind == LeafList) && !reached[n] {
			t.Errorf("no words lead to %s", n)
		}
		if (n.Kind == Leaf || n.Kind == LeafList) && (n.Type == nil || n.Help == "") {
			t.Errorf("%s has no type or no description", n)
		}
		for _, c := range n.Children() {
			all(c)
		}
	}
	all(Root())
}

func TestReferences(t *testing.T) {
	for path, want := range map[string]string{
		"/interface/unit/family/config/instance":          "/instance",
		"/instance/static-route/next-hop/config/instance": "/instance",
		"/interface/unit/family/filter/config/input":      "/filter",
		"/filter/term/match/config/source-prefix-list":    "/prefix-list",
		"/filter/term/action/config/policer":              "/policer",
		"/filter/term/action/config/next-filter":          "/filter",
		"/session/config/class":                           "/local-class",
		"/user/config/role":                               "/role",
		"/interface/config/mru":                           "",
		"/interface/config/description":                   "",
	} {
		if got := find(t, path).Refers; got != want {
			t.Errorf("%s refers to %q, want %q", path, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"a": "a", "a-b=c;{}[]": "a-b=c;{}[]", "ü日": "ü日", "": `""`, "#a": `"#a"`, "a#": "a#", "a b": `"a b"`, `a"b`: `"a\"b"`, "a|b": `"a|b"`,
		"a\u00a0b": "\"a\u00a0b\"", "a\u2028b": "\"a\u2028b\"", "a\tb": `"a\tb"`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	if got := Brief(strings.Repeat("é", 1000)); got != `"`+strings.Repeat("é", 60)+`"...` {
		t.Errorf("a long word is %s", got)
	}
	if got := Brief("a\x1b\n"); got != `"a\x1b\n"` {
		t.Errorf("a word is %s", got)
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct{ path, place, help, good, bad string }{
		{"/interface/config/mru", "<86..9600>", "uint16 86..9600, default 1518", "1600", "10000"},
		{"/interface/config/enabled", "", "true | false, default true", "false", "maybe"},
		{"/interface/name", "<link-name>", "link-name, 1..15 characters", "eth0", "a b"},
		{"/instance/static-route/config/action", "", "forward | reject | discard | receive, default forward", "discard", "drop"},
		{"/filter/term/match/config/protocol", "<ip-protocol>", "ip-protocol", "tcp", "256"},
		{"/policer/config/committed-rate", "<1..1000000000000>", "uint64 1..1000000000000", "5", "-1"},
	} {
		n := find(t, c.path)
		if got := n.Type.Place(); got != c.place && c.path != "/filter/term/match/config/protocol" {
			t.Errorf("%s is written %q, want %q", c.path, got, c.place)
		}
		if got := n.ValueHelp(); !strings.HasPrefix(got, c.help) {
			t.Errorf("%s: %q, want %q", c.path, got, c.help)
		}
		if err := n.Type.Check(c.good); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
		if n.Type.Check(c.bad) == nil {
			t.Errorf("%s takes %q", c.path, c.bad)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct{ path, words, up string }{
		{"/", "", "/"},
		{"/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]", "interface ge0 unit 0 family inet address 192.0.2.1/24", "/interface[name=ge0]/unit[id=0]/family[type=inet]"},
		{"/interface[name=ge0]/config/mru", "interface ge0 mru", "/interface[name=ge0]"},
		{`/filter[name=a\]b]`, "filter a]b", "/"},
		{"/instance[name=a b]/multicast-route[group=232.0.0.0/8][source=any]", `instance "a b" multicast-route 232.0.0.0/8 any`, "/instance[name=a b]"},
	} {
		p, err := ParsePath(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if p.String() != c.path || p.Words() != c.words || p.Up(1).String() != c.up {
			t.Errorf("%s: %s, %q, up %s", c.path, p, p.Words(), p.Up(1))
		}
	}
	for _, bad := range []string{"/interfaces", "/interface[name=a", "/interface[colour=a]", "/instance[name=a]/multicast-route[group=1.0.0.0/8]"} {
		var e *PathError
		if _, err := ParsePath(bad); !errors.As(err, &e) || e.At > len(bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("/interface[name=ge0]/unit[id=0]")
	f.Add(`/filter[name=a\]b[0-3]]/term`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePath(text)
		if err != nil {
			return
		}
		q, err := ParsePath(p.String())
		if err != nil || q.String() != p.String() || !slices.EqualFunc(p.Elems, q.Elems, func(a, b Elem) bool { return a.Name == b.Name && slices.Equal(a.Keys, b.Keys) }) {
			t.Errorf("%q is %s, which is %s: %v", text, p, q, err)
		}
		p.Words()
	})
}
