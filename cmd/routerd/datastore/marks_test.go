package datastore

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"router/cmd/routerd/datastore/command"
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// commandOps are the operations of lines of commands.
func commandOps(t testing.TB, s *Store, text string) []tree.Op {
	t.Helper()
	list, errs := command.Parse(s.schema, text)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ops := make([]tree.Op, len(list))
	for i, c := range list {
		ops[i] = c.Op
	}
	return ops
}

// edited is the candidate as its editor sees it.
func edited(t testing.TB, c *Candidate) string {
	t.Helper()
	var text string
	if err := c.View(func(d *gen.Device) { text = wholeOf(t, c.s, d) }); err != nil {
		t.Fatal(err)
	}
	return text
}

func wholeOf(t testing.TB, s *Store, d *gen.Device) string {
	t.Helper()
	m, errs := marks.Merged(s.schema, d, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	leaves, err := tree.Walker{Schema: s.schema, Config: m, Filter: tree.ConfigOnly}.Leaves(nil)
	if err != nil {
		t.Fatal(err)
	}
	return command.Format(leaves) + command.Notes(marks.Notes(d, nil))
}

func presented(t testing.TB, c *Candidate) string {
	t.Helper()
	list, err := c.Compare()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, d := range marks.Present(c.s.schema, list) {
		fmt.Fprintf(&b, "%d %s", d.Aspect, d.Path)
		if d.Old != nil {
			b.WriteString(" -" + tree.Text(d.Old))
		}
		if d.New != nil {
			b.WriteString(" +" + tree.Text(d.New))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const marksBase = `set /filter[name=f]/config/family inet
set /filter[name=f]/term[name=a]/match/config/protocol tcp udp
set /filter[name=f]/term[name=b]/match/config/ttl 7
set /filter[name=f]/term[name=c]
set /interface[name=ge0]/config/mru 1500
set /interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]
set /interface[name=ge0]/unit[id=7]/vlan/config/outer-vlan-id 7
`

func TestMarks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		edits  string // each line an edit
		want   string // the candidate in the end, lines that base doesn't have
		gone   string // lines of base that it hasn't any more
		change string // of the last line, with those before committed
	}{
		{"an entry", "deactivate /interface[name=ge0]/unit[id=7]",
			"deactivate /interface[name=ge0]/unit[id=7]\n", "",
			"1 /interface[name=ge0]/unit[id=7] +true\n"},
		{"and back", "deactivate /interface[name=ge0]\nactivate /interface[name=ge0]", "", "",
			"1 /interface[name=ge0] -true\n"},
		{"a leaf", "deactivate /interface[name=ge0]/config/mru",
			"deactivate /interface[name=ge0]/config/mru\n", "",
			"1 /interface[name=ge0]/config/mru +true\n"},
		{"a container", "deactivate /filter[name=f]/term[name=b]/match",
			"deactivate /filter[name=f]/term[name=b]/match\n", "",
			"1 /filter[name=f]/term[name=b]/match +true\n"},
		{"a term keeps its place", "deactivate /filter[name=f]/term[name=b]\nset /filter[name=f]/term[name=d]\nactivate /filter[name=f]/term[name=b]",
			"set /filter[name=f]/term[name=d]\n", "", ""},
		{"an edit inside", "deactivate /interface[name=ge0]\nset /interface[name=ge0]/config/mru 1600",
			"set /interface[name=ge0]/config/mru 1600\ndeactivate /interface[name=ge0]\n", "set /interface[name=ge0]/config/mru 1500\n",
			"0 /interface[name=ge0]/config/mru -1500 +1600\n"},
		{"a new leaf inside", "deactivate /interface[name=ge0]/unit[id=7]\nset /interface[name=ge0]/unit[id=7]/config/description x",
			"set /interface[name=ge0]/unit[id=7]/config/description x\ndeactivate /interface[name=ge0]/unit[id=7]\n", "",
			"0 /interface[name=ge0]/unit[id=7]/config/description +x\n"},
		{"a delete inside", "deactivate /interface[name=ge0]\ndelete /interface[name=ge0]/unit[id=7]",
			"deactivate /interface[name=ge0]\n", "set /interface[name=ge0]/unit[id=7]/vlan/config/outer-vlan-id 7\n",
			"0 /interface[name=ge0]/unit[id=7]/id -7\n0 /interface[name=ge0]/unit[id=7]/vlan/config/outer-vlan-id -7\n"},
		{"a delete of all of it", "deactivate /interface[name=ge0]/unit[id=7]\ndelete /interface[name=ge0]/unit[id=7]",
			"", "set /interface[name=ge0]/unit[id=7]/vlan/config/outer-vlan-id 7\n",
			"1 /interface[name=ge0]/unit[id=7] -true\n0 /interface[name=ge0]/unit[id=7]/id -7\n0 /interface[name=ge0]/unit[id=7]/vlan/config/outer-vlan-id -7\n"},
		{"a delete of values inside", "deactivate /filter[name=f]/term[name=a]\ndelete /filter[name=f]/term[name=a]/match/config/protocol udp",
			"set /filter[name=f]/term[name=a]/match/config/protocol tcp\ndeactivate /filter[name=f]/term[name=a]\n", "set /filter[name=f]/term[name=a]/match/config/protocol tcp udp\n",
			"0 /filter[name=f]/term[name=a]/match/config/protocol -[tcp udp] +[tcp]\n"},
		{"a delete of values of an inactive leaf-list", "deactivate /filter[name=f]/term[name=a]/match/config/protocol\ndelete /filter[name=*]/term/match/config/protocol tcp",
			"set /filter[name=f]/term[name=a]/match/config/protocol udp\ndeactivate /filter[name=f]/term[name=a]/match/config/protocol\n", "set /filter[name=f]/term[name=a]/match/config/protocol tcp udp\n",
			"0 /filter[name=f]/term[name=a]/match/config/protocol -[tcp udp] +[udp]\n"},
		{"a delete of its last value", "deactivate /filter[name=f]/term[name=a]/match/config/protocol\ndelete /filter[name=f]/term[name=a]/match/config/protocol udp tcp",
			"set /filter[name=f]/term[name=a]\n", "set /filter[name=f]/term[name=a]/match/config/protocol tcp udp\n",
			"1 /filter[name=f]/term[name=a]/match/config/protocol -true\n0 /filter[name=f]/term[name=a]/match/config/protocol -[tcp udp]\n"},
		{"a delete of the last leaf of an inactive container", "deactivate /filter[name=f]/term[name=b]/match\ndelete /filter[name=f]/term[name=b]/match/config/ttl",
			"set /filter[name=f]/term[name=b]\n", "set /filter[name=f]/term[name=b]/match/config/ttl 7\n",
			"1 /filter[name=f]/term[name=b]/match -true\n0 /filter[name=f]/term[name=b]/match/config/ttl -[7]\n"},
		{"the entry around goes", "deactivate /interface[name=ge0]/unit[id=7]\ndelete /interface[name=ge0]",
			"", "set /interface[name=ge0]/config/mru 1500\nset /interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]\nset /interface[name=ge0]/unit[id=7]/vlan/config/outer-vlan-id 7\n", ""},
		{"one in another", "deactivate /interface[name=ge0]/unit[id=7]\ndeactivate /interface[name=ge0]\nactivate /interface[name=ge0]",
			"deactivate /interface[name=ge0]/unit[id=7]\n", "", "1 /interface[name=ge0] -true\n"},
		{"inside one that is inactive", "deactivate /interface[name=ge0]\ndeactivate /interface[name=ge0]/unit[id=7]\nactivate /interface[name=ge0]/unit[id=7]",
			"deactivate /interface[name=ge0]\n", "", "1 /interface[name=ge0]/unit[id=7] -true\n"},
		{"a term of an inactive filter", "deactivate /filter[name=f]\ndeactivate /filter[name=f]/term[name=b]\nactivate /filter[name=f]/term[name=b]",
			"deactivate /filter[name=f]\n", "", "1 /filter[name=f]/term[name=b] -true\n0 /filter[name=f]/term -[a c] +[a b c]\n"},
		{"a comment", `annotate /interface[name=ge0]/config/mru "as the \"switch\" has it"`,
			`annotate /interface[name=ge0]/config/mru "as the \"switch\" has it"` + "\n", "",
			"2 /interface[name=ge0]/config/mru +as the \"switch\" has it\n"},
		{"a comment goes with its node", "annotate /interface[name=ge0]/config/mru x\ndelete /interface[name=ge0]/config/mru",
			"", "set /interface[name=ge0]/config/mru 1500\n", "0 /interface[name=ge0]/config/mru -1500\n2 /interface[name=ge0]/config/mru -x\n"},
		{"a comment stays with an inactive node", "annotate /interface[name=ge0] x\ndeactivate /interface[name=ge0]",
			"annotate /interface[name=ge0] \"x\"\ndeactivate /interface[name=ge0]\n", "", "1 /interface[name=ge0] +true\n"},
		{"a comment is taken away", "annotate /interface[name=ge0] x\nannotate /interface[name=ge0] \"\"", "", "", "2 /interface[name=ge0] -x\n"},
		{"a pattern", "deactivate /interface[name=*]/unit[id=*]",
			"deactivate /interface[name=ge0]/unit[id=7]\ndeactivate /interface[name=ge0]/unit[id=0]\n", "",
			"1 /interface[name=ge0]/unit[id=0] +true\n1 /interface[name=ge0]/unit[id=7] +true\n"},
		{"a glob", "set /interface[name=ge*]/unit[id=?]/config/description x",
			"set /interface[name=ge0]/unit[id=0]/config/description x\nset /interface[name=ge0]/unit[id=7]/config/description x\n", "",
			"0 /interface[name=ge0]/unit[id=0]/config/description +x\n0 /interface[name=ge0]/unit[id=7]/config/description +x\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, t.TempDir(), &fakeApplier{})
			mustCommit(t, s, commandOps(t, s, marksBase)...)
			before := running(t, s)
			c := openCandidate(t, s, Private, "ann")
			lines := strings.Split(tc.edits, "\n")
			for i, line := range lines {
				if i == len(lines)-1 && i > 0 {
					commitOf(t, c, "ann")
				}
				mustEdit(t, c, commandOps(t, s, line)...)
			}
			if got := presented(t, c); tc.change != "" && got != tc.change {
				t.Errorf("it changes\n%s\nwant\n%s", got, tc.change)
			}
			n := s.Last().Number
			commitOf(t, c, "ann")
			got := edited(t, c)
			base := make(map[string]bool)
			for line := range strings.Lines(marksBase) {
				base[line] = true
			}
			var more, gone strings.Builder
			for line := range strings.Lines(got) {
				if !base[line] {
					more.WriteString(line)
				}
				delete(base, line)
			}
			for line := range strings.Lines(marksBase) {
				if base[line] {
					gone.WriteString(line)
				}
			}
			if more.String() != tc.want || gone.String() != tc.gone {
				t.Errorf("it has more\n%sand lost\n%swant more\n%sand lost\n%s", more.String(), gone.String(), tc.want, tc.gone)
			}
			// The text makes the same again, and the way back is exact.
			again := open(t, t.TempDir(), &fakeApplier{})
			other := openCandidate(t, again, Private, "bob")
			mustEdit(t, other, commandOps(t, again, got)...)
			commitOf(t, other, "bob")
			if second := edited(t, other); second != got {
				t.Errorf("loaded again it is\n%s\nwant\n%s", second, got)
			}
			if _, err := s.Rollback(context.Background(), 1, Request{User: "ann"}); err != nil {
				t.Fatal(err)
			}
			if back := running(t, s); back != before {
				t.Errorf("after rollback it is\n%s\nwant\n%s", back, before)
			}
			if _, err := s.Rollback(context.Background(), n+1, Request{User: "ann"}); err != nil {
				t.Fatal(err)
			}
			s.View(func(d *gen.Device, _ Commit) {
				if forth := wholeOf(t, s, d); forth != got {
					t.Errorf("and forth\n%s\nwant\n%s", forth, got)
				}
			})
		})
	}
}

func TestEntriesOfInactiveParts(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	mustCommit(t, s, commandOps(t, s, marksBase)...)
	c := openCandidate(t, s, Private, "ann")
	mustEdit(t, c, commandOps(t, s, "deactivate /filter[name=f]\ndeactivate /interface[name=ge0]")...)
	edit := func(change Change) {
		t.Helper()
		if err := c.Edit(context.Background(), change); err != nil {
			t.Fatal(err)
		}
	}
	term := func(name string) tree.Path { return mustPath(t, "/filter[name=f]/term[name="+name+"]") }
	edit(MoveEntry(term("c"), First, ""))
	edit(MoveEntry(term("a"), After, "b"))
	edit(CopyEntry(term("b"), term("d")))
	edit(RenameEntry(term("a"), term("e")))
	edit(RenameEntry(mustPath(t, "/interface[name=ge0]"), mustPath(t, "/interface[name=ge1]")))
	const want = `set /filter[name=f]/config/family inet
set /filter[name=f]/term[name=c]
set /filter[name=f]/term[name=b]/match/config/ttl 7
set /filter[name=f]/term[name=e]/match/config/protocol tcp udp
set /filter[name=f]/term[name=d]/match/config/ttl 7
set /interface[name=ge1]/config/mru 1500
set /interface[name=ge1]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]
set /interface[name=ge1]/unit[id=7]/vlan/config/outer-vlan-id 7
deactivate /interface[name=ge1]
deactivate /filter[name=f]
`
	if got := edited(t, c); got != want {
		t.Errorf("it is\n%swant\n%s", got, want)
	}
	commitOf(t, c, "ann")
}

func TestMarksAreRefused(t *testing.T) {
	for _, tc := range []struct{ name, before, edit, want string }{
		{"nothing there", "", "deactivate /interface[name=ge9]", "nothing to deactivate"},
		{"twice", "deactivate /interface[name=ge0]", "deactivate /interface[name=ge0]", "inactive already"},
		{"not inactive", "", "activate /interface[name=ge0]", "not inactive"},
		{"the root", "", "deactivate /", "whole configuration"},
		{"a list", "", "deactivate /interface", "whole list"},
		{"a key", "", "deactivate /interface[name=ge0]/name", "is the key"},
		{"state", "", "annotate /interface[name=ge0]/state/mru x", "state"},
		{"a comment on nothing", "", "annotate /interface[name=ge9] x", "no such node"},
		{"a bad value inside", "deactivate /interface[name=ge0]", "set /interface[name=ge0]/config/mru 7", "86"},
		{"a pattern of nothing", "", "deactivate /interface[name=x*]", "matches nothing"},
		{"a mark of a mark", "annotate /interface[name=ge0] x", "deactivate /mark[path=/interface[name=ge0\\]]", "mark itself"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, t.TempDir(), &fakeApplier{})
			mustCommit(t, s, commandOps(t, s, marksBase)...)
			c := openCandidate(t, s, Private, "ann")
			if tc.before != "" {
				mustEdit(t, c, commandOps(t, s, tc.before)...)
			}
			had := edited(t, c)
			err := c.Edit(context.Background(), Ops(commandOps(t, s, tc.edit)...))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
			if got := edited(t, c); got != had {
				t.Errorf("after the refusal it is\n%s\nwant\n%s", got, had)
			}
		})
	}
}

// TestMarksOfOthers has the list of marks written as gNMI writes it.
func TestMarksOfOthers(t *testing.T) {
	const mark = `/mark[path=/interface[name=ge0\]]`
	for _, tc := range []struct{ name, edit, want string }{
		{"set beside it", "set /interface[name=ge0]/config/mru 1600", "is inactive"},
		{"no path", "set /mark[path=xx]/config/comment y", "no node"},
		{"spelled otherwise", "set /mark[path=/routerd:interface[name=ge0\\]]/config/comment y", "spelled"},
		{"an unknown node", "set /mark[path=/nothing]/config/comment y", "no node"},
		{"values of an active node", `set "/mark[path=/interface[name=ge1\\]]/value[path=/interface[name=ge1\\]/config/mru]/config/value" 1500`, "inactive node"},
		{"a value outside", `set "` + strings.ReplaceAll(mark, `\`, `\\`) + `/value[path=/interface[name=ge1\\]/config/mru]/config/value" 1500`, "does not lie"},
		{"a bad value", `replace "` + strings.ReplaceAll(mark, `\`, `\\`) + `/value[path=/interface[name=ge0\\]/config/mru]/config/value" 1`, "what its leaf takes"},
		{"no leaf", `set "` + strings.ReplaceAll(mark, `\`, `\\`) + `/value[path=/interface[name=ge0\\]/config]/config/value" 1`, "no leaf"},
		{"of a node that is not there", "set /mark[path=/interface[name=ge9\\]]/config/comment y", "no such node"},
		{"a comment", "set " + mark + "/config/comment y", ""},
		{"it goes", "delete " + mark, ""},
		{"everything is replaced", "delete /mark", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, t.TempDir(), &fakeApplier{})
			mustCommit(t, s, commandOps(t, s, marksBase+"deactivate /interface[name=ge0]")...)
			_, err := s.Commit(context.Background(), Request{Ops: commandOps(t, s, tc.edit), User: "bob"})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestRollbackIntoACandidate(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	mustCommit(t, s, commandOps(t, s, marksBase)...)
	c := openCandidate(t, s, Private, "ann")
	first := edited(t, c)
	mustEdit(t, c, commandOps(t, s, "deactivate /filter[name=f]/term[name=b]\ndelete /interface[name=ge0]/unit[id=7]\nset /filter[name=f]/term[name=a]/match/config/protocol icmp")...)
	commitOf(t, c, "ann")
	second := edited(t, c)
	mustEdit(t, c, commandOps(t, s, "set /interface[name=ge9]\ndelete /filter")...)
	if err := c.Rollback(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := edited(t, c); got != first {
		t.Errorf("it is\n%s\nwant\n%s", got, first)
	}
	if err := s.SaveRescue(context.Background(), "ann"); err != nil {
		t.Fatal(err)
	}
	commitOf(t, c, "ann")
	if err := c.Rescue(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := edited(t, c); got != second {
		t.Errorf("the rescue configuration is\n%s\nwant\n%s", got, second)
	}
	if err := c.Rollback(context.Background(), 99); err == nil {
		t.Error("a commit that is not there")
	}
	if got := edited(t, c); got != second {
		t.Errorf("after the refusal it is\n%s", got)
	}
}
