package render

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNaturalOrder(t *testing.T) {
	want := []string{"ge0", "ge0.0", "ge0.2", "ge0.10", "ge0.100.1", "ge1", "ge2", "ge10", "lo0"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Natural)
	if !slices.Equal(got, want) {
		t.Errorf("names: %v", got)
	}
	want = []string{"9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "10.2.0.0/16", "2001:db8::/32", "2001:db8:1::/48"}
	got = slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Natural)
	if !slices.Equal(got, want) {
		t.Errorf("prefixes: %v", got)
	}
}

func FuzzNatural(f *testing.F) {
	f.Add("ge0.2", "ge0.10", "ge00.2")
	f.Add("10.0.0.1", "9.0.0.1", "x")
	f.Add("", "0", "00")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if (Natural(a, b) == 0) != (a == b) || Natural(a, b) != -Natural(b, a) {
			t.Fatalf("%q and %q: %d and %d", a, b, Natural(a, b), Natural(b, a))
		}
		all := []string{a, b, c}
		slices.SortFunc(all, Natural)
		if Natural(all[0], all[1]) > 0 || Natural(all[1], all[2]) > 0 || Natural(all[0], all[2]) > 0 {
			t.Fatalf("%q is not in order", all)
		}
	})
}

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{BitRate(0), "0 bit/s"}, {BitRate(999), "999 bit/s"}, {BitRate(1000), "1.00 kbit/s"}, {BitRate(9.42e9), "9.42 Gbit/s"},
		{BitRate(94.2e9), "94.2 Gbit/s"}, {BitRate(942e6), "942 Mbit/s"}, {PacketRate(812), "812 pps"}, {PacketRate(1.488e6), "1.49 Mpps"},
		{Octets(58_100_000), "58.1 MB"}, {Octets(12), "12 B"},
		{Duration(1500 * time.Microsecond), "2ms"}, {Duration(12 * time.Second), "12 s"}, {Duration(200 * time.Minute), "3 h 20 min"},
		{Duration(60 * time.Second), "1 min"}, {Duration((41*24 + 7) * time.Hour), "41 d 7 h"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func draw(t *testing.T, s Screen, columns []Column, rows ...[]Cell) string {
	t.Helper()
	var b bytes.Buffer
	table := NewTable(&b, s, columns)
	for _, r := range rows {
		if err := table.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	columns := []Column{{Head: "Name"}, {Head: "State"}, {Head: "Description", Wrap: true, Drop: 1}, {Head: "MAC", Drop: 2}, {Head: "Packets"}}
	rows := [][]Cell{
		Cells("ge0.0", "up", "to the core of the network", "02:00:00:00:00:01", "7"),
		Cells("ge0.10", "down", "-", "-", "123456", "no link"),
	}
	for _, c := range []struct {
		name  string
		width int
		want  string
	}{
		{"a pipe has all", 0, `
Name    State  Description                 MAC                Packets
ge0.0   up     to the core of the network  02:00:00:00:00:01        7
ge0.10  down   -                           -                   123456  no link
`},
		{"wide enough", 80, `
Name    State  Description                 MAC                Packets
ge0.0   up     to the core of the network  02:00:00:00:00:01        7
ge0.10  down   -                           -                   123456  no link
`},
		{"the least important goes first", 56, `
Name    State  Description                 Packets
ge0.0   up     to the core of the network        7
ge0.10  down   -                            123456  no link
not shown for want of room: MAC
`},
		{"then texts are wrapped", 40, `
Name    State  Description       Packets
ge0.0   up     to the core of          7
               the network
ge0.10  down   -                  123456  no link
not shown for want of room: MAC
`},
		{"then more goes", 24, `
Name    State  Packets
ge0.0   up           7
ge0.10  down    123456  no link
not shown for want of room: MAC, Description
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := draw(t, Screen{Width: c.width}, slices.Clone(columns), rows...); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("\n%s", got)
			}
		})
	}
}

func TestWideCharacters(t *testing.T) {
	const want = `
Name  Text          Number
a     日本語             1
b     日本語ケーブ       2
      ル
café  -                  3
`
	columns := []Column{{Head: "Name"}, {Head: "Text", Wrap: true}, {Head: "Number"}}
	rows := [][]Cell{Cells("a", "日本語", "1"), Cells("b", "日本語ケーブル", "2"), Cells("café", "-", "3")}
	if got := draw(t, Screen{Width: 26}, columns, rows...); got != want[1:] {
		t.Errorf("\n%s\nwant%s", got, want)
	}
}

func TestTableOfManyRowsIsWrittenAsTheyCome(t *testing.T) {
	var b bytes.Buffer
	table := NewTable(&b, Screen{}, Columns("Name Number"))
	for range sample {
		if err := table.Add(Cells("ge0", "1")); err != nil {
			t.Fatal(err)
		}
	}
	before := b.Len()
	if err := table.Add(Cells("a name that is longer", "1")); err != nil {
		t.Fatal(err)
	}
	if before == 0 || b.Len() == before || len(table.rows) != 0 {
		t.Errorf("%d octets before, %d after, %d rows held", before, b.Len(), len(table.rows))
	}
}

func TestNothingHostileReachesATerminal(t *testing.T) {
	got := draw(t, Screen{Width: 80, Colour: true}, Columns("Text"), Cells("a\x1b]0;evil\x07b\nc\xff\u202e"))
	if strings.ContainsAny(strings.ReplaceAll(strings.ReplaceAll(got, "\x1b[1m", ""), "\x1b[0m", ""), "\x1b\x07\u202e") || strings.Count(got, "\n") != 2 {
		t.Errorf("%q", got)
	}
}

func TestColours(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{"TERM": "xterm"}, true},
		{map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{map[string]string{"TERM": "dumb"}, false},
		{nil, false},
	} {
		if got := Colours(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
	if got := (Screen{Colour: true}).Paint(Bad, "down"); got != "\x1b[31mdown\x1b[0m" {
		t.Errorf("%q", got)
	}
	if got := (Screen{}).Paint(Bad, "down"); got != "down" {
		t.Errorf("%q", got)
	}
}
