package conf

import (
	"strings"
	"testing"

	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

func path(t testing.TB, text string) schema.Path {
	t.Helper()
	p, err := schema.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const commands = `set /filter[name=f]/config/family inet
set /filter[name=f]/term[name=z]/match/config/protocol tcp udp
set /filter[name=f]/term[name=ab]
set /interface[name=ge10]
set /interface[name=ge2]/config/description "to \"x\"; {#1}"
set /interface[name=ge2]/config/mru 1600
set /interface[name=ge2]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]
set /interface[name=ge2]/unit[id=7]/vlan/config/outer-vlan-id 7
set /system/config/hostname r1
annotate /interface[name=ge2]/config/mru "as the switch"
annotate /system "here"
deactivate /interface[name=ge2]/unit[id=7]
deactivate /interface[name=ge2]/config/mru
`

const braces = `filter f {
    family inet;
    term z {
        match {
            protocol [ tcp udp ];
        }
    }
    term ab;
}
interface ge2 {
    description "to \"x\"; {#1}";
    /* as the switch */
    inactive: mru 1600;
    unit 0 {
        family inet {
            address 192.0.2.1/24;
        }
    }
    inactive: unit 7 {
        vlan {
            outer-vlan-id 7;
        }
    }
}
interface ge10;
/* here */
system {
    hostname r1;
}
`

func TestBracesAndBack(t *testing.T) {
	n, err := Read(commands)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Text(); got != braces {
		t.Errorf("written\n%swant\n%s", got, braces)
	}
	parsed, err := Parse(braces, schema.Path{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Text(); got != braces {
		t.Errorf("read back it is\n%swant\n%s", got, braces)
	}
	for _, inWords := range []bool{true, false} {
		var b strings.Builder
		if err := n.Commands(&b, inWords); err != nil {
			t.Fatal(err)
		}
		edits, err := Edits(b.String(), schema.Path{})
		if err != nil || len(edits) != 1 {
			t.Fatalf("%v, %v in\n%s", edits, err, b.String())
		}
		again, err := Read(edits[0].GetLoad().GetText())
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Text(); got != braces {
			t.Errorf("commands\n%smake\n%swant\n%s", b.String(), got, braces)
		}
	}
	at := n.At(path(t, "/interface[name=ge2]/unit[id=0]"))
	if at == nil || at.Text() != "family inet {\n    address 192.0.2.1/24;\n}\n" {
		t.Errorf("below a path it is %v", at)
	}
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"open brace", "interface ge0 {\n mru 1600;\n", "line 1: the brace"},
		{"open comment", "\n/* x", "line 2: the comment"},
		{"open quote", "system {\n hostname \"r1;\n}", "line 2: the quote"},
		{"open bracket", "interface ge0 {\n description [ a b;\n}", "line 2: the bracket"},
		{"too many braces", "interface ge0;\n}", "line 2: a } closes nothing"},
		{"no end", "interface ge0", "does not end"},
		{"no end before a brace", "interface ge0 {\n mru 1600\n}", "line 3"},
		{"no such node", "interface ge0 {\n mur 1600;\n}", "line 2"},
		{"bad value", "interface ge0 {\n\n mru 1;\n}", "line 3"},
		{"a brace first", "{", "stands where a statement begins"},
		{"too deep", strings.Repeat("system {", 100), "line 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Parse(tc.text, schema.Path{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestTags(t *testing.T) {
	got, err := Parse("replace: unit 0 {\n description x;\n}\ndelete: unit 7;\ninactive: mru 1600;", path(t, "/interface[name=ge0]"))
	const want = `delete /interface[name=ge0]/unit[id=0]
set /interface[name=ge0]/unit[id=0]
set /interface[name=ge0]/unit[id=0]/config/description x
delete /interface[name=ge0]/unit[id=7]
set /interface[name=ge0]/config/mru 1600
deactivate /interface[name=ge0]/config/mru
`
	if err != nil || got != want {
		t.Errorf("%v\n%swant\n%s", err, got, want)
	}
}

// TestDeleteOfValues has them in each form of text.
func TestDeleteOfValues(t *testing.T) {
	match := path(t, "/filter[name=f]/term[name=a]/match")
	const at = "/filter[name=f]/term[name=a]/match/config/protocol"
	text := func(edits []*configpb.Edit, err error) (string, error) {
		var b strings.Builder
		for _, e := range edits {
			b.WriteString(e.GetLoad().GetText())
		}
		return b.String(), err
	}
	for _, tc := range []struct {
		name string
		read func(text string) (string, error)
		text string
		want string
	}{
		{"a command", func(s string) (string, error) { return text(Edits(s, schema.Path{})) }, "delete filter f term a match protocol tcp 47", "delete " + at + " tcp 47\n"},
		{"with a path", func(s string) (string, error) { return text(Edits(s, schema.Path{})) }, "delete " + at + " [ tcp 47 ]", "delete " + at + " tcp 47\n"},
		{"of all", func(s string) (string, error) { return text(Edits(s, match)) }, "delete protocol", "delete " + at + "\n"},
		{"a tag", func(s string) (string, error) { return Parse(s, match) }, "delete: protocol [ tcp 47 ];\ndelete: ttl;\n", "delete " + at + " tcp 47\ndelete /filter[name=f]/term[name=a]/match/config/ttl\n"},
		{"a patch", func(s string) (string, error) { return text(Patch(s, schema.Path{})) }, "[edit filter f term a match]\n-  protocol [ tcp 47 ];\n", "delete " + at + " tcp 47\n"},
		{"a patch with others", func(s string) (string, error) { return text(Patch(s, schema.Path{})) }, "[edit filter f term a match]\n-  protocol [ tcp 47 ];\n+  protocol 47;\n", "replace " + at + " 47\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := tc.read(tc.text); err != nil || got != tc.want {
				t.Errorf("%v\n%swant\n%s", err, got, tc.want)
			}
		})
	}
	for _, line := range []string{"delete protocol nonesuch", "deactivate protocol tcp", "delete not-there tcp"} {
		if _, err := Edits(line, match); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}

func TestForms(t *testing.T) {
	for text, want := range map[string]bool{
		"interface ge0 {\n": true, "interface ge0;": true, "/* x */ system {": true, "# c\nsystem {": true,
		"{\"a\": 1}": false, "set /interface[name=ge0]": false, "set interface ge0 mru 1600\n": false, "": false,
	} {
		if IsBraces(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func value(path, old, new string) *configpb.Difference {
	return &configpb.Difference{Path: path, Old: old, New: new}
}

var differences = []*configpb.Difference{
	value("/filter[name=f]/term[name=new]/name", "", `"new"`),
	value("/filter[name=f]/term[name=new]/match/config/protocol", "", `["tcp","udp"]`),
	value("/filter[name=f]/term", `["a","b"]`, `["new","b","a"]`),
	value("/interface[name=ge1]/name", `"ge1"`, ""),
	value("/interface[name=ge1]/config/mru", "1500", ""),
	value("/interface[name=ge2]/config/mru", "1500", "1600"),
	value("/interface[name=ge2]/config/description", "", `"a b"`),
	value("/interface[name=ge2]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]/prefix", "", `"192.0.2.1/24"`),
	value("/interface[name=ge2]/unit[id=0]/vlan/config/outer-vlan-id", "5", "6"),
	{Path: "/interface[name=ge2]/unit[id=7]", New: "true", Aspect: configpb.Difference_INACTIVE},
	{Path: "/interface[name=ge2]/unit[id=8]", Old: "true", Aspect: configpb.Difference_INACTIVE},
	{Path: "/interface[name=ge2]", New: `"to x"`, Aspect: configpb.Difference_COMMENT},
}

const compared = `[edit]
-  interface ge1 {
-      mru 1500;
-  }
!  annotate interface ge2 "to x";
[edit filter f]
+  term new {
+      match {
+          protocol [ tcp udp ];
+      }
+  }
!  order term [ new b a ];
[edit interface ge2]
+  description "a b";
-  mru 1500;
+  mru 1600;
!  inactive: unit 7;
!  active: unit 8;
[edit interface ge2 unit 0 vlan]
-  outer-vlan-id 5;
+  outer-vlan-id 6;
[edit interface ge2 unit 0 family inet]
+  address 192.0.2.1/24;
`

func TestCompare(t *testing.T) {
	var b strings.Builder
	if err := Compare(&b, differences, schema.Path{}); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(b.String(), "[edit")
	want := strings.Split(compared, "[edit")
	for _, w := range want {
		if !strings.Contains(b.String(), w) {
			t.Errorf("no section %q", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("compared\n%s", b.String())
	}
	edits, err := Patch(b.String(), schema.Path{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range edits {
		text.WriteString(e.GetLoad().GetText())
		if i := e.GetInsert(); i != nil {
			text.WriteString("insert " + i.GetPath() + " " + i.GetPlace().String() + " " + i.GetKey() + "\n")
		}
	}
	for _, line := range []string{
		"delete /interface[name=ge1]\n", "annotate /interface[name=ge2] \"to x\"\n",
		"set /filter[name=f]/term[name=new]/match/config/protocol tcp udp\n",
		"insert /filter[name=f]/term[name=new] FIRST \n", "insert /filter[name=f]/term[name=b] AFTER new\n",
		"replace /interface[name=ge2]/config/mru 1600\n",
		"deactivate /interface[name=ge2]/unit[id=7]\n", "activate /interface[name=ge2]/unit[id=8]\n",
		"set /interface[name=ge2]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]\n",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the patch has no %q:\n%s", line, text.String())
		}
	}
	b.Reset()
	if err := CompareCommands(&b, differences, path(t, "/interface[name=ge2]")); err != nil {
		t.Fatal(err)
	}
	if _, err := Edits(b.String(), schema.Path{}); err != nil || !strings.Contains(b.String(), "replace interface ge2 mru 1600\n") || strings.Contains(b.String(), "ge1") {
		t.Errorf("%v in\n%s", err, b.String())
	}
}

func TestPatchErrors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no sign", "[edit]\ninterface ge0;\n", "line 2"},
		{"no such place", "[edit\n", "line 1"},
		{"bad banner", "\n[edit nowhere]\n", "line 2"},
		{"bad statement", "[edit interface ge0]\n-  mru 1500;\n+  mru 7;\n", "line 3"},
		{"bad mark", "[edit]\n!  what: x;\n", "line 2"},
		{"order of no list", "[edit]\n!  order interface [ a ];\n", "line 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Patch(tc.text, schema.Path{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestEditsErrors(t *testing.T) {
	for _, line := range []string{"set", "fly away", "insert interface ge0 first", "insert filter f term a", "rename interface ge0", "rename system to x", "copy interface ge0 to a b c", "annotate interface", "set nowhere 1", "delete \"x"} {
		if _, err := Edits("set interface ge0\n"+line, schema.Path{}); err == nil || !strings.HasPrefix(err.Error(), "line 2") {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{"hello", "}", "\x1b[31mset", strings.Repeat("x", 1<<20)} {
		if _, err := Edits(line, schema.Path{}); err == nil || !strings.Contains(err.Error(), "is no command: there are set, ") || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 300 {
			t.Errorf("%.20q: %.400v", line, err)
		}
	}
	edits, err := Edits("rename interface ge0 to ge1\ncopy unit 0 to unit 1", path(t, "/interface[name=ge0]"))
	if err == nil {
		t.Errorf("words are looked up below the base: %v", edits)
	}
}

func TestNatural(t *testing.T) {
	for _, tc := range []struct{ a, b string }{{"ge2", "ge10"}, {"ge0.2", "ge0.10"}, {"a", "b"}, {"a", "a1"}, {"10.0.0.9/32", "10.0.0.10/32"}} {
		if Natural(tc.a, tc.b) >= 0 || Natural(tc.b, tc.a) <= 0 || Natural(tc.a, tc.a) != 0 {
			t.Errorf("%s and %s", tc.a, tc.b)
		}
	}
}

// FuzzParse gives the readers any text: they must not panic, and what they take can
// be taken again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{braces, commands, compared, "a {", "[edit]\n!  order", "inactive:", "insert a b after", "interface ge0\v{\u00a0mru 1600;}", "set /interface[name=\"", "/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := Parse(text, schema.Path{}); err == nil {
			if n, err := Read(strings.ReplaceAll(got, "delete ", "# ")); err == nil {
				_ = n.Text()
			}
		}
		_, _ = Edits(text, schema.Path{})
		_, _ = Patch(text, schema.Path{})
		_ = IsBraces(text)
	})
}
