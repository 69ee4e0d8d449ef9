package output

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"router/cmd/rcli/render"
)

// through writes a text through a stage in pieces of that size.
func through(t *testing.T, text string, size int, stage func(io.Writer) (io.WriteCloser, error)) string {
	t.Helper()
	var b bytes.Buffer
	w, err := stage(&b)
	if err != nil {
		t.Fatal(err)
	}
	for rest := text; rest != ""; {
		n := min(size, len(rest))
		if _, err := io.WriteString(w, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLines(t *testing.T) {
	const text = "ge0 up\nge1 Down\nGE2 up\n\nlast line without an end"
	file := filepath.Join(t.TempDir(), "saved")
	for _, c := range []struct {
		name  string
		stage func(io.Writer) (io.WriteCloser, error)
		want  string
	}{
		{"match without case", func(w io.Writer) (io.WriteCloser, error) { return Match("ge. u", w) }, "ge0 up\nGE2 up\n"},
		{"match with case", func(w io.Writer) (io.WriteCloser, error) { return Match("^GE", w) }, "GE2 up\n"},
		{"match at the end", func(w io.Writer) (io.WriteCloser, error) { return Match("up$", w) }, "ge0 up\nGE2 up\n"},
		{"except", func(w io.Writer) (io.WriteCloser, error) { return Except("up", w) }, "ge1 Down\n\nlast line without an end\n"},
		{"find", func(w io.Writer) (io.WriteCloser, error) { return Find("down", w) }, "ge1 Down\nGE2 up\n\nlast line without an end\n"},
		{"find nothing", func(w io.Writer) (io.WriteCloser, error) { return Find("nothing", w) }, ""},
		{"count", func(w io.Writer) (io.WriteCloser, error) { return Count(w), nil }, "Count: 5 lines\n"},
		{"last", func(w io.Writer) (io.WriteCloser, error) { return Last(2, w) }, "\nlast line without an end\n"},
		{"last of few", func(w io.Writer) (io.WriteCloser, error) { return Last(9, w) }, text + "\n"},
		{"save", func(w io.Writer) (io.WriteCloser, error) { return Save(file, false, w) }, fmt.Sprintf("5 lines written to %s\n", file)},
		{"append", func(w io.Writer) (io.WriteCloser, error) { return Save(file, true, w) }, fmt.Sprintf("5 lines written to %s\n", file)},
	} {
		t.Run(c.name, func(t *testing.T) {
			sizes := []int{1, 3, 1000}
			if strings.Contains(c.want, file) {
				sizes = sizes[:1]
			}
			for _, size := range sizes {
				if got := through(t, text, size, c.stage); got != c.want {
					t.Errorf("in pieces of %d:\n%s", size, got)
				}
			}
		})
	}
	saved, err := os.ReadFile(file)
	if err != nil || string(saved) != text+"\n"+text+"\n" {
		t.Errorf("%v: %q", err, saved)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, st.Mode())
	}
	for name, err := range map[string]error{
		"pattern": second(Match("(", io.Discard)), "none": second(Last(0, io.Discard)), "too many": second(Last(1e9, io.Discard)),
		"no directory": second(Save(filepath.Join(file, "x"), false, io.Discard)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ io.WriteCloser, err error) error { return err }

func TestAVeryLongLineTakesNoMemory(t *testing.T) {
	n := 0
	w, err := Match("x", writer(func(b []byte) { n += len(b) }))
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("x"), 1<<16)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if held := w.(*lineStage).rest; len(held) > 2*maxLine || n == 0 {
		t.Errorf("%d octets are held, %d were passed on", len(held), n)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

const ge0 = `{"routerd:name":"ge0","routerd:config":{"name":"ge0","mru":1500},"routerd:state":{"name":"ge0","mru":1400,"oper-status":"up","counters":{"in-pkts":"7"}},
 "routerd:unit":[{"id":"0","state":{"id":"0","name":"ge0.0","oper-status":"up"},"family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"},{"prefix":"198.51.100.1/24"}]}]}]}`

func result(t *testing.T, form string, fields []string, values ...Value) (string, error) {
	t.Helper()
	var b bytes.Buffer
	s, err := NewSink(&b, render.Screen{}, form, fields)
	if err != nil {
		return "", err
	}
	for _, v := range values {
		if err := s.Value(v); err != nil {
			return b.String(), err
		}
	}
	err = s.Close()
	return b.String(), err
}

func TestForms(t *testing.T) {
	value := Value{Path: "/interface[name=ge0]", JSON: []byte(ge0), Commands: func() (string, error) {
		return "set /interface[name=ge0]/config/mru 1500\n# /interface[name=ge0]/state/oper-status up\n", nil
	}}
	leaf := Value{Path: "/system/config/hostname", JSON: []byte(`"r1"`), Alone: true, Commands: func() (string, error) { return "set /system/config/hostname r1\n", nil }}
	for _, c := range []struct {
		name   string
		form   string
		fields []string
		value  Value
		want   string
	}{
		{"json of a list", JSON, []string{"oper-status"}, value, `[
  {
    "name": "ge0",
    "state": {
      "oper-status": "up"
    },
    "unit": [
      {
        "id": "0",
        "state": {
          "oper-status": "up"
        }
      }
    ]
  }
]
`},
		{"json of one value", JSON, nil, leaf, "\"r1\"\n"},
		{"yaml", YAML, []string{"mru", "in-pkts"}, value, `- name: ge0
  config:
    mru: 1500
  state:
    mru: 1400
    counters:
      in-pkts: "7"
`},
		{"tables", Table, nil, value, `interface
interface  mru  oper-status  in-pkts
ge0        1400  up                 7
`},
		{"fields of a table", "", []string{"oper-status", "prefix"}, value, ``},
		{"set", Set, nil, value, "set /interface[name=ge0]/config/mru 1500\n# /interface[name=ge0]/state/oper-status up\n"},
		{"set of a leaf", Set, nil, leaf, "set /system/config/hostname r1\n"},
		{"xpath", XPath, nil, value, "/interface[name='ge0']/config/mru 1500\n/interface[name='ge0']/state/oper-status up\n"},
		{"curly", Curly, []string{"mru", "prefix"}, value, `interface ge0 {
    config {
        mru 1500
    }
    state {
        mru 1400
    }
    unit 0 {
        family inet {
            address 192.0.2.1/24
            address 198.51.100.1/24
        }
    }
}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := result(t, c.form, c.fields, c.value)
			if err != nil {
				t.Fatal(err)
			}
			if c.form == Table || c.form == "" {
				return // TestTables has them
			}
			if got != c.want {
				t.Errorf("\n%s", got)
			}
		})
	}
}

func TestTables(t *testing.T) {
	value := Value{Path: "/interface[name=ge0]", JSON: []byte(ge0)}
	got, err := result(t, Table, nil, value)
	if err != nil {
		t.Fatal(err)
	}
	want := `interface
interface   mru  oper-status  in-pkts
ge0        1400  up                 7

interface/unit
interface  unit  name   oper-status
ge0           0  ge0.0  up

interface/unit/family/address
interface  unit  family-type  address-prefix
ge0           0  inet         192.0.2.1/24
ge0           0  inet         198.51.100.1/24
`
	if got != want {
		t.Errorf("\n%s", got)
	}
	unit := Value{Path: "/interface[name=ge0]/unit[id=0]", JSON: []byte(`{"id":"0","state":{"oper-status":"up"}}`)}
	if got, err = result(t, "", []string{"oper-status"}, unit, unit); err != nil || got != "interface  unit  oper-status\nge0           0  up\nge0           0  up\n" {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err = result(t, "", []string{"oper-statos"}, unit); err == nil || !strings.Contains(err.Error(), "oper-statos") {
		t.Errorf("a field that isn't there: %v", err)
	}
}

func TestManyRowsStream(t *testing.T) {
	var b bytes.Buffer
	s, err := NewSink(&b, render.Screen{}, Table, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		v := Value{Path: fmt.Sprintf("/interface[name=ge%d]/state", i), JSON: []byte(`{"oper-status":"up"}`)}
		if err := s.Value(v); err != nil {
			t.Fatal(err)
		}
	}
	if held := s.(*tables).all[0].rows; len(held) > firstRows {
		t.Errorf("%d rows are held", len(held))
	}
	if err := s.Close(); err != nil || strings.Count(b.String(), "\n") != 2001 {
		t.Errorf("%v, %d lines", err, strings.Count(b.String(), "\n"))
	}
}

func TestWhatTheModelSays(t *testing.T) {
	got, err := result(t, Yang, nil, Value{Path: "/interface[name=ge0]/state/counters/in-octets"}, Value{Path: "/interface[name=ge1]/state/counters/in-octets"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"// /interface/state/counters/in-octets", "leaf in-octets {", "type ", "description"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%d times %q in\n%s", strings.Count(got, want), want, got)
		}
	}
	if got, err = result(t, Yang, nil, Value{Path: "/interface[name=a/b]/state"}); err != nil || !strings.Contains(got, "config false") && !strings.Contains(got, "container state") {
		t.Errorf("%v\n%s", err, got)
	}
	tree, err := Tree("/interface", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/interface\n", "+--rw name", "+--rw config ...", "+--ro state ...", "+--rw unit* [id] ..."} {
		if !strings.Contains(tree, want) {
			t.Errorf("no %q in\n%s", want, tree)
		}
	}
	if strings.Contains(tree, "oper-status") {
		t.Errorf("deeper than one level:\n%s", tree)
	}
	if _, err := Tree("/nonsense", 0); err == nil {
		t.Error("the model has everything")
	}
	if all, err := Tree("/", 0); err != nil || !strings.Contains(all, "oper-status") {
		t.Errorf("%v\n%s", err, all)
	}
}

func TestFormsThatDontFit(t *testing.T) {
	for name, c := range map[string]struct {
		form   string
		fields []string
		value  Value
	}{
		"unknown form":      {form: "xml"},
		"fields and set":    {form: Set, fields: []string{"mru"}},
		"set of no path":    {form: Set, value: Value{JSON: []byte("{}")}},
		"yang of no path":   {form: Yang, value: Value{JSON: []byte("{}")}},
		"yang of no node":   {form: Yang, value: Value{Path: "/nonsense", JSON: []byte("{}")}},
		"json that is none": {form: JSON, value: Value{JSON: []byte("{")}},
		"yaml of no json":   {form: YAML, value: Value{JSON: []byte("{")}},
		"table of no json":  {form: Table, value: Value{JSON: []byte("{")}},
		"curly of no json":  {form: Curly, value: Value{JSON: []byte("{")}},
	} {
		if got, err := result(t, c.form, c.fields, c.value); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, form := range []string{JSON, YAML} {
		if got, err := result(t, form, nil); err != nil || got != "[]\n" {
			t.Errorf("nothing as %s: %v %q", form, err, got)
		}
	}
}

// Whatever comes is shown or refused, and never brings the shell down.
func FuzzForms(f *testing.F) {
	f.Add("/interface[name=ge0]", ge0, "mru")
	f.Add("/interface[name=a]b]/unit[id=", `{"a":[{},1,[]],"b":null}`, "")
	f.Add("", `[[1],{"x":[{"y":{}}]}]`, "y")
	f.Fuzz(func(t *testing.T, path, text, name string) {
		for _, form := range Forms() {
			s, err := NewSink(io.Discard, render.Screen{Width: 20, Colour: true}, form, strings.Fields(name))
			if err != nil {
				continue
			}
			v := Value{Path: path, JSON: []byte(text), Commands: func() (string, error) { return text, nil }}
			for range 2 {
				if s.Value(v) != nil {
					break
				}
			}
			_ = s.Close()
		}
	})
}
