package command

import (
	"context"
	"slices"
	"strings"
	"testing"

	"router/cmd/rcli/schema"
)

// testTable is a small table with one of everything.
func testTable(t testing.TB) *Table {
	t.Helper()
	run := func(context.Context, *Env, *Input) error { return nil }
	table, err := NewTable([]*Command{
		{Words: "show", Help: "print things"},
		{Words: "show route", Aliases: []string{"show routes"}, Modes: Operational, Help: "routes", Run: run, Args: []Arg{
			{Name: "prefix", Optional: true, Type: AddressOrPrefix, Help: "a prefix"},
			{Name: "instance", Kind: Keyword, Help: "routing instance", Type: Leaf("/instance/config/name")},
			{Name: "interface", Kind: Keyword, Help: "unit"},
			{Name: "all", Kind: Switch, Help: "permanent ones too"}}},
		{Words: "show route summary", Modes: Operational, Help: "how many", Run: run},
		{Words: "show access roles", Aliases: []string{"show roles"}, Modes: Operational, Help: "roles", Run: run},
		{Words: "show interfaces", Modes: Operational, Help: "devices", Run: run, Args: []Arg{
			{Name: "name", Optional: true, Type: Leaf("/interface/config/name"), Help: "a device"},
			{Name: "terse", Kind: Switch, Help: "a line each"}}},
		{Words: "ping", Modes: Operational, Help: "echo", Run: run, Args: []Arg{
			{Name: "destination", Help: "who"}, {Name: "count", Short: "n", Kind: Keyword, Type: Integer(1, 100, "packets"), Help: "how many", Default: "5"}}},
		{Words: "info", Modes: Operational, Help: "state", Run: run, Args: []Arg{
			{Name: "path", Kind: Path, View: schema.State, Optional: true, Whole: true, Help: "where"},
			{Name: "depth", Kind: Keyword, Type: Integer(1, 9, ""), Help: "how deep"}}},
		{Words: "set", Modes: Configuration, Help: "change", Run: run, Args: []Arg{{Name: "what", Kind: Set, Help: "a leaf"}}},
		{Words: "delete", Modes: Configuration, Help: "take away", Run: run, Args: []Arg{{Name: "what", Kind: Path, Optional: true, Whole: true, Some: true, Help: "a node"}}},
		{Words: "edit", Modes: Configuration, Help: "go", Run: run, Args: []Arg{{Name: "path", Kind: Path, Optional: true, Help: "where"}}},
		{Words: "annotate", Modes: Configuration, Help: "comment", Run: run, Args: []Arg{{Name: "path", Kind: Path, Help: "where"}, {Name: "text", Help: "what"}}},
		{Words: "rename", Modes: Configuration, Help: "new key", Run: run, Args: []Arg{
			{Name: "path", Kind: Path, Help: "what"}, {Name: "to", Kind: Keyword, Of: Path, Required: true, Help: "new place"}}},
		{Words: "run", Modes: Configuration, Help: "operational", Run: run, Args: []Arg{{Name: "command", Kind: Nested, Mode: Operational, Help: "it"}}},
		{Words: "set", Modes: Once, Help: "for scripts", Run: run, Args: []Arg{{Name: "words", Kind: Rest, Help: "pairs"}}},
	}, []*PipeStage{
		{Words: "match", Help: "lines that match", Args: []Arg{{Name: "pattern", Help: "a pattern"}}},
		{Words: "display json", Help: "as JSON"},
		{Words: "count", Help: "how many lines"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func edit(t testing.TB, path string) schema.Path {
	t.Helper()
	p, err := schema.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	table := testTable(t)
	for _, c := range []struct {
		line string
		mode Mode
		edit string
		want string // the command
		args map[string]string
	}{
		{"show route", Operational, "/", "show route", nil},
		{"sh ro", Operational, "/", "show route", nil},
		{"show routes 10.0.0.0/8", Operational, "/", "show route", map[string]string{"prefix": "10.0.0.0/8"}},
		{"show roles", Operational, "/", "show access roles", nil},
		{"sh ro sum", Operational, "/", "show route summary", nil},
		{"sh ro inst blue 10.0.0.1 a", Operational, "/", "show route", map[string]string{"instance": "blue", "prefix": "10.0.0.1", "all": "true"}},
		{"show route --instance=blue --all", Operational, "/", "show route", map[string]string{"instance": "blue", "all": "true"}},
		{"show interfaces ge0", Operational, "/", "show interfaces", map[string]string{"name": "ge0"}},
		{"show int ter", Operational, "/", "show interfaces", map[string]string{"terse": "true"}},
		{`show int "terse"`, Operational, "/", "show interfaces", map[string]string{"name": "terse"}},
		{"ping 192.0.2.1 -n 3", Operational, "/", "ping", map[string]string{"destination": "192.0.2.1", "count": "3"}},
		{"ping host count 3 # comment", Operational, "/", "ping", map[string]string{"destination": "host", "count": "3"}},
		{"info interface ge0 depth 2", Operational, "/", "info", map[string]string{"path": "/interface[name=ge0]", "depth": "2"}},
		{"info depth 2 interface ge0 oper", Operational, "/", "", nil}, // several: oper-status, oper-reason
		{"info depth 2 interface ge0 oper-s", Operational, "/", "info", map[string]string{"path": "/interface[name=ge0]/state/oper-status"}},
		{"/interface[name=ge0]", Operational, "/", "info", map[string]string{"path": "/interface[name=ge0]"}},
		{"set interface ge0 unit 0 family inet address 192.0.2.1/24", Configuration, "/", "set",
			map[string]string{"what": "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]"}},
		{"set mru 1600", Configuration, "/interface[name=ge0]", "set", map[string]string{"what": "/interface[name=ge0]/config/mru 1600"}},
		{"set mru 1600 description x", Configuration, "/interface[name=ge0]", "set", map[string]string{"what": "/interface[name=ge0]/config/mru 1600;/interface[name=ge0]/config/description x"}},
		{"set /interface[name=ge0]/config/mru 1600", Configuration, "/instance[name=a]", "set", map[string]string{"what": "/interface[name=ge0]/config/mru 1600"}},
		{"set interface eth[0-3] unit * description x", Configuration, "/", "set", map[string]string{"what": "/interface[name=eth[0-3\\]]/unit[id=*]/config/description x"}},
		{"set filter f term a match protocol [ tcp udp ]", Configuration, "/", "set", map[string]string{"what": "/filter[name=f]/term[name=a]/match/config/protocol tcp udp"}},
		{"delete filter f term a match protocol tcp 47", Configuration, "/", "delete", map[string]string{"what": "/filter[name=f]/term[name=a]/match/config/protocol tcp 47"}},
		{"delete protocol [ tcp icm ]", Configuration, "/filter[name=f]/term[name=a]/match", "", nil}, // icmp, icmp6
		{"delete protocol [ tcp igm ]", Configuration, "/filter[name=f]/term[name=a]/match", "delete", map[string]string{"what": "/filter[name=f]/term[name=a]/match/config/protocol tcp igmp"}},
		{"delete /filter[name=*]/term[name=a]/match/config/protocol tcp", Configuration, "/", "delete", map[string]string{"what": "/filter[name=*]/term[name=a]/match/config/protocol tcp"}},
		{"delete filter f term a match protocol", Configuration, "/", "delete", map[string]string{"what": "/filter[name=f]/term[name=a]/match/config/protocol"}},
		{"delete interface ge0 mru 1600", Configuration, "/", "", nil},
		{"edit filter f term a match protocol tcp", Configuration, "/", "", nil},
		{"/interface[name=ge0]/unit[id=0]", Configuration, "/", "edit", map[string]string{"path": "/interface[name=ge0]/unit[id=0]"}},
		{"edit unit 0", Configuration, "/interface[name=ge0]", "edit", map[string]string{"path": "/interface[name=ge0]/unit[id=0]"}},
		{`annotate interface ge0 "to the core"`, Configuration, "/", "annotate", map[string]string{"path": "/interface[name=ge0]", "text": "to the core"}},
		{"rename interface ge0 to interface ge1", Configuration, "/", "rename", map[string]string{"path": "/interface[name=ge0]", "to": "/interface[name=ge1]"}},
		{"run sh ro 10.0.0.0/8", Configuration, "/", "run", nil},
		{"", Operational, "/", "", nil},
		{"# nothing", Operational, "/", "", nil},
	} {
		t.Run(c.line, func(t *testing.T) {
			in, err := table.Parse(c.line, c.mode, edit(t, c.edit))
			if in == nil {
				if c.want != "" {
					t.Fatalf("not understood: %v", err)
				}
				return
			}
			if in.Command.Words != c.want {
				t.Fatalf("it is %q", in.Command.Words)
			}
			for name, want := range c.args {
				got := in.Value(name)
				if s := in.Statements(name); len(s) > 0 {
					var parts []string
					for _, x := range s {
						parts = append(parts, strings.TrimSpace(x.Path.String()+" "+strings.Join(x.Values, " ")))
					}
					got = strings.Join(parts, ";")
				}
				if got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestPipes(t *testing.T) {
	in, err := testTable(t).Parse("show ro | mat 'a|b' | disp j | count", Operational, schema.Path{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range in.Pipes {
		got = append(got, strings.TrimSpace(p.Stage.Words+" "+p.Input.Value("pattern")))
	}
	if want := []string{"match a|b", "display json", "count"}; !slices.Equal(got, want) || in.Line != "show ro" {
		t.Errorf("%q of %q, want %q", got, in.Line, want)
	}
	in, err = testTable(t).Parse("run show route | count", Configuration, schema.Path{})
	if err != nil || len(in.Pipes) != 1 || in.Nested.Command.Words != "show route" {
		t.Errorf("a pipe behind run: %v %+v", err, in)
	}
}

func TestErrorsPointAtTheMistake(t *testing.T) {
	table := testTable(t)
	for _, c := range []struct {
		line string
		mode Mode
		mark string // under the line
		says string
	}{
		{"shw route", Operational, "^^^", "did you mean show"},
		{"show intrefaces", Operational, "     ^^^^^^^^^^", "did you mean interfaces"},
		{"show", Operational, "    ^", "more is wanted"},
		{"show route 10.0.0.0/8 everything", Operational, "                      ^^^^^^^^^^", "none of what may follow"},
		{"ping x count 1000", Operational, "             ^^^^", "from 1 to 100"},
		{"ping x count", Operational, "            ^", "wants a value"},
		{"ping", Operational, "    ^", "DESTINATION is wanted"},
		{"set intreface ge0", Configuration, "    ^^^^^^^^^", "did you mean interface"},
		{"set interface ge0 mru 9", Configuration, "                      ^", "want 86..9600"},
		{"set interface ge0 type ethernte", Configuration, "                       ^^^^^^^^", "did you mean ethernet"},
		{"set interface", Configuration, "             ^", "wants its key name"},
		{"set /interface[name=ge0]/cnfig/mru 9", Configuration, "                         ^^^^^", "did you mean config"},
		{"set interface ge0", Operational, "^^^", "set is a command of configuration mode"},
		{"ping x", Configuration, "^^^^", "say run ping"},
		{"show route | mtch x", Operational, "             ^^^^", "did you mean match"},
		{"| match x", Operational, "^", "in front of the pipe"},
		{`ping "日本" cafés`, Operational, "            ^^^^^", "none of what may follow"},
		{`show route "x`, Operational, "           ^", "not closed"},
	} {
		t.Run(c.line, func(t *testing.T) {
			_, err := table.Parse(c.line, c.mode, schema.Path{})
			e, ok := AsError(err)
			if !ok {
				t.Fatalf("no error of a line: %v", err)
			}
			if got := strings.TrimRight(e.Mark(0), "\n"); got != c.mark || !strings.Contains(e.Error(), c.says) {
				t.Errorf("\n%s\n%s\n%s, want %q", c.line, got, e.Error(), c.says)
			}
		})
	}
}

// live is a router's keys, for completion.
func live(_ context.Context, path, key, prefix string, limit int) []Candidate {
	var list []Candidate
	for _, n := range map[string][]string{
		"/interface name":              {"ge0", "ge1", "xe0"},
		"/interface[name=ge0]/unit id": {"0", "100"},
		"/instance name":               {"blue", "default"},
	}[path+" "+key] {
		if strings.HasPrefix(n, prefix) && len(list) < limit {
			list = append(list, Candidate{Text: n})
		}
	}
	return list
}

func present(_ context.Context, path string) []Candidate {
	if path == "/filter[name=f]/term[name=a]/match/config/protocol" {
		return []Candidate{{Text: "tcp"}, {Text: "47"}}
	}
	return nil
}

func TestComplete(t *testing.T) {
	table := testTable(t)
	for _, c := range []struct {
		line string
		mode Mode
		want []string // some of the candidates, with marks and the start of their help
		not  string
	}{
		{"", Operational, []string{"  show print things", "  ping echo"}, "set"},
		{"sh", Operational, []string{"  show print things"}, "ping"},
		{"show r", Operational, []string{"  route routes"}, "routes "},
		{"show route ", Operational, []string{"  summary how many", "  instance routing instance", "  all ", "  <prefix>", "  | "}, ""},
		{"show route instance ", Operational, []string{"  blue", "  default", "  <instance-name>"}, "all"},
		{"show interfaces g", Operational, []string{"  ge0", "  ge1"}, "xe0"},
		{"ping h count ", Operational, []string{"  <1..100> how many (packets), default 5"}, ""},
		{"show route | ", Operational, []string{"  match lines", "  display as JSON", "  count"}, ""},
		{"show route | display ", Operational, []string{"  json as JSON"}, ""},
		{"set ", Configuration, []string{"> interface A device"}, ""},
		{"set interface ", Configuration, []string{"* ge0", "* <link-name> The name of the kernel's link"}, ""},
		{"set interface ge0 m", Configuration, []string{"  mru The largest frame", "  mac-address"}, "unit"},
		{"set interface ge0 mru ", Configuration, []string{"  <86..9600> The largest frame"}, ""},
		{"set interface ge0 unit ", Configuration, []string{"* 0", "* 100"}, ""},
		{"set interface ge0 type ", Configuration, []string{"  ethernet", "  loopback"}, "<"},
		{"set instance red static-route 10.0.0.0/8 next-hop 1 interface ", Configuration, []string{"  ge0.", "  <unit-name>"}, ""},
		{"set instance red static-route 10.0.0.0/8 next-hop 1 interface ge0.", Configuration, []string{"  ge0.0", "  ge0.100"}, ""},
		{"set interface ge0 unit 0 family inet instance b", Configuration, []string{"  blue"}, ""},
		{"set /inter", Configuration, []string{"> /interface[name="}, ""},
		{"set /interface[name=g", Configuration, []string{"* /interface[name=ge0]"}, "xe0"},
		{"set /interface[name=ge0]/config/m", Configuration, []string{"  /interface[name=ge0]/config/mru"}, "unit"},
		{"delete filter f term a match protocol ", Configuration, []string{"  tcp", "  47"}, "udp"},
		{"delete filter f term a match protocol tcp ", Configuration, []string{"  47"}, "tcp"},
		{"delete filter f term a match protocol t", Configuration, []string{"  tcp"}, "47"},
		{"delete filter f term b match protocol ", Configuration, nil, "tcp"},
		{"run show ", Configuration, []string{"  route routes"}, ""},
		{"info interface ge0 oper", Operational, []string{"  oper-status", "  oper-reason"}, ""},
		{"show # ", Operational, nil, "route"},
	} {
		t.Run(c.line, func(t *testing.T) {
			got := table.Complete(context.Background(), &Env{Keys: live, Present: present}, c.line, c.mode, schema.Path{})
			var lines []string
			for _, x := range got.Candidates {
				lines = append(lines, x.Mark.String()+" "+x.Text+" "+x.Help)
			}
			all := strings.Join(lines, "\n")
			for _, w := range c.want {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, w) }) {
					t.Errorf("no %q in\n%s\n%v", w, all, got.Err)
				}
			}
			if c.not != "" && strings.Contains(all, " "+c.not) {
				t.Errorf("%q is in\n%s", c.not, all)
			}
		})
	}
}

func TestInsert(t *testing.T) {
	table := testTable(t)
	for _, c := range []struct {
		line, want string
		finished   bool
	}{
		{"sh", "show", true},
		{"show int", "interfaces", true},
		{"show interfaces g", "ge", false},
		{"show interfaces x", "xe0", true},
		{"show access", "access", true},
	} {
		got := table.Complete(context.Background(), &Env{Keys: live}, c.line, Operational, schema.Path{})
		text, finished, ok := got.Insert()
		if text != c.want || finished != c.finished || !ok {
			t.Errorf("%s: %q %v %v, want %q %v", c.line, text, finished, ok, c.want, c.finished)
		}
	}
}

func TestApropos(t *testing.T) {
	list := testTable(t).Apropos(Everywhere, "MRU")
	if len(list) == 0 || !slices.ContainsFunc(list, func(c Candidate) bool { return c.Text == "set interface <name> mru" }) {
		t.Errorf("%v", list)
	}
	if list := testTable(t).Apropos(Everywhere, "echo"); len(list) == 0 || !strings.HasPrefix(list[0].Text, "ping") {
		t.Errorf("%v", list)
	}
}

func TestSplitJoin(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"get /system", []string{"get", "/system"}},
		{`set /system/config/hostname "a b"`, []string{"set", "/system/config/hostname", "a b"}},
		{`set /x ''`, []string{"set", "/x", ""}},
		{"get /interface[name=a b]/config", []string{"get", "/interface[name=a b]/config"}},
		{`say "a \"b\" \\ c"`, []string{"say", `a "b" \ c`}},
		{"a # b", []string{"a"}},
		{"a b#c", []string{"a", "b#c"}},
		{"  ", nil},
	} {
		if got, err := Words(c.line); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q %v, want %q", c.line, got, err, c.want)
		}
	}
	if _, err := Split(`get "x`); err == nil {
		t.Error("an open quote was accepted")
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("set /interface[name=a b]/config/description \"x y\"", "w")
	f.Add("a | b 'c d' # e", `"`)
	f.Fuzz(func(t *testing.T, line, word string) {
		if tokens, err := Split(line); err == nil {
			for i, tok := range tokens {
				if tok.At < 0 || tok.End <= tok.At || tok.End > len(line) || i > 0 && tok.At < tokens[i-1].End {
					t.Fatalf("%q: token %d is at %d to %d", line, i, tok.At, tok.End)
				}
			}
		}
		if got, err := Words(QuoteWord(word)); err != nil || len(got) != 1 || got[0] != word {
			t.Errorf("%q is %q as a word: %q %v", word, QuoteWord(word), got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"set interface ge0 unit 0 family inet address 192.0.2.1/24", "set /interface[name=ge0]/config/mru 9", "annotate interface ge0 \"x\"",
		"rename interface a to interface b", "run sh ro | match x", "/interface[name=a][", "set filter f term a match protocol [ tcp",
	} {
		f.Add(line)
	}
	table := testTable(f)
	f.Fuzz(func(t *testing.T, line string) {
		for _, mode := range []Mode{Operational, Configuration} {
			_, err := table.Parse(line, mode, schema.Path{})
			if e, ok := AsError(err); err != nil && (!ok || e.At > e.End || e.End > len(line)) {
				t.Errorf("%q: %v", line, err)
			}
			c := table.Complete(context.Background(), &Env{Keys: live}, line, mode, schema.Path{})
			if c.From > len(line) || c.From < 0 {
				t.Errorf("%q: replaces from %d", line, c.From)
			}
			c.Insert()
		}
	})
}

func TestRowsAreChecked(t *testing.T) {
	run := func(context.Context, *Env, *Input) error { return nil }
	for _, c := range []struct {
		name string
		rows []*Command
	}{
		{"twice", []*Command{{Words: "a", Help: "x", Modes: Operational, Run: run}, {Words: "b", Aliases: []string{"a"}, Help: "x", Modes: Operational, Run: run}}},
		{"no help", []*Command{{Words: "a", Modes: Operational, Run: run}}},
		{"unknown leaf", []*Command{{Words: "a", Help: "x", Modes: Operational, Run: run, Args: []Arg{{Name: "n", Type: Leaf("/no/such")}}}}},
		{"behind the rest", []*Command{{Words: "a", Help: "x", Modes: Operational, Run: run, Args: []Arg{{Name: "n", Kind: Rest}, {Name: "m"}}}}},
		{"mandatory behind optional", []*Command{{Words: "a", Help: "x", Modes: Operational, Run: run, Args: []Arg{{Name: "n", Optional: true}, {Name: "m"}}}}},
	} {
		if _, err := NewTable(c.rows, nil); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}
