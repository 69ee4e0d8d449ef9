package output

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openconfig/goyang/pkg/yang"

	"router/cmd/rcli/render"
)

// tables writes values as tables, one for each list: a row for each entry, with the
// keys of the entries around it. The outermost list is written as it comes. What
// stands in state is preferred to what stands in config.
type tables struct {
	w      io.Writer
	screen render.Screen
	all    []*oneTable
	held   int
}

// mostHeld bounds the rows of inner lists, which wait for the end of the outermost
// one.
const mostHeld = 100_000

// firstRows is how many rows decide on the columns.
const firstRows = 256

type oneTable struct {
	name    string
	columns []string
	rows    [][]field
	live    *render.Table
}

// A field is a leaf with its value.
type field struct {
	name, value string
	state       bool
}

func newTables(w io.Writer, screen render.Screen) *tables { return &tables{w: w, screen: screen} }

// Value implements Sink.
func (t *tables) Value(v Value) error {
	x, err := decode(v.JSON)
	if err != nil {
		return fmt.Errorf("the router's answer for %s is no JSON: %w", v.Path, err)
	}
	var e *yang.Entry
	name := "value"
	if v.Path != "" {
		e, _ = entryAt(v.Path)
		all := steps(v.Path)
		if len(all) > 0 {
			name, _, _ = strings.Cut(all[len(all)-1], "[")
		}
	}
	outer := outerKeys(v.Path)
	if list, ok := entries(x); ok {
		for _, o := range list {
			if err := t.entry(name, o, e, outer); err != nil {
				return err
			}
		}
		return nil
	}
	o, ok := x.(object)
	if !ok {
		o = object{{name, x}}
	}
	return t.entry(name, o, e, outer)
}

// outerKeys are the keys in a path, but those of its last element, which the value
// has itself.
func outerKeys(path string) (keys []field) {
	all := steps(path)
	for i, s := range all {
		name, rest, _ := strings.Cut(s, "[")
		if i == len(all)-1 {
			break
		}
		for rest != "" {
			kv, more, _ := strings.Cut(rest, "]")
			k, value, _ := strings.Cut(kv, "=")
			keys = append(keys, field{name: name + keySuffix(k), value: value})
			rest = strings.TrimPrefix(more, "[")
		}
	}
	return keys
}

// keySuffix is what a key adds to its list's name as a heading: interface for the
// name of an interface, rib-afi for the afi of a rib.
func keySuffix(key string) string {
	if key == "name" || key == "id" || key == "number" {
		return ""
	}
	return "-" + key
}

// entry takes an object as a row of the table name, and what lists it has as rows of
// theirs.
func (t *tables) entry(name string, o object, e *yang.Entry, outer []field) error {
	keys := slices.Clone(outer)
	for _, k := range keysOf(e) {
		if v, ok := o.get(k); ok {
			keys = append(keys, field{name: e.Name + keySuffix(k), value: scalar(v)})
		}
	}
	var row []field
	type inner struct {
		name string
		list []object
		e    *yang.Entry
	}
	var lists []inner
	var walk func(o object, e *yang.Entry, prefix string, state bool)
	walk = func(o object, e *yang.Entry, prefix string, state bool) {
		for _, m := range o {
			if slices.Contains(keysOf(e), m.name) {
				continue
			}
			below := child(e, m.name)
			if list, ok := entries(m.value); ok {
				lists = append(lists, inner{prefix + m.name, list, below})
				continue
			}
			if sub, ok := m.value.(object); ok {
				p := prefix
				if m.name != "config" && m.name != "state" && m.name != "counters" {
					p += m.name + "/"
				}
				walk(sub, below, p, state || m.name == "state")
				continue
			}
			row = put(row, field{prefix + m.name, scalar(m.value), state})
		}
	}
	walk(o, e, "", false)
	// The copies of the keys in config and state say nothing new.
	row = slices.DeleteFunc(row, func(f field) bool { return slices.Contains(keysOf(e), f.name) })
	if len(row) > 0 || len(lists) == 0 {
		if err := t.add(name, append(keys, row...)); err != nil {
			return err
		}
	}
	for _, l := range lists {
		for _, sub := range l.list {
			if err := t.entry(name+"/"+l.name, sub, l.e, keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// put adds a leaf, or replaces what config says by what state says.
func put(row []field, f field) []field {
	for i := range row {
		if row[i].name == f.name {
			if f.state || !row[i].state {
				row[i] = f
			}
			return row
		}
	}
	return append(row, f)
}

func (t *tables) add(name string, row []field) error {
	i := slices.IndexFunc(t.all, func(x *oneTable) bool { return x.name == name })
	if i < 0 {
		i = len(t.all)
		t.all = append(t.all, &oneTable{name: name})
	}
	x := t.all[i]
	if x.live != nil {
		return x.live.Add(x.cells(row))
	}
	for _, f := range row {
		if !slices.Contains(x.columns, f.name) {
			x.columns = append(x.columns, f.name)
		}
	}
	x.rows = append(x.rows, row)
	if i == 0 && len(x.rows) >= firstRows {
		return t.begin(x)
	}
	if t.held++; i > 0 && t.held > mostHeld {
		return fmt.Errorf("more than %d rows of inner lists: ask for less, choose with fields, or use as json", mostHeld)
	}
	return nil
}

// begin writes the rows so far.
func (t *tables) begin(x *oneTable) error {
	columns := make([]render.Column, len(x.columns))
	for i, c := range x.columns {
		columns[i] = render.Column{Head: c}
		if i > 0 {
			columns[i].Drop = i
		}
		columns[i].Wrap = c == "description" || strings.HasSuffix(c, "reason")
	}
	x.live = render.NewTable(t.w, t.screen, columns)
	rows := x.rows
	x.rows = nil
	for _, r := range rows {
		if err := x.live.Add(x.cells(r)); err != nil {
			return err
		}
	}
	return nil
}

// cells are the values in the order of the columns; a leaf that came too late for
// one stands behind, with its name.
func (x *oneTable) cells(row []field) []render.Cell {
	cells := make([]render.Cell, len(x.columns))
	for i := range cells {
		cells[i].Text = "-"
	}
	for _, f := range row {
		if i := slices.Index(x.columns, f.name); i < 0 {
			cells = append(cells, render.Cell{Text: f.name + "=" + f.value})
		} else if f.value != "" {
			cells[i] = render.Cell{Text: f.value}
			if strings.HasSuffix(f.name, "status") {
				cells[i].Style = render.StatusStyle(f.value)
			}
		}
	}
	return cells
}

// Close implements Sink.
func (t *tables) Close() error {
	for i, x := range t.all {
		if i > 0 {
			if _, err := io.WriteString(t.w, "\n"); err != nil {
				return err
			}
		}
		if len(t.all) > 1 && x.live == nil {
			if _, err := fmt.Fprintf(t.w, "%s\n", t.screen.Paint(render.Strong, x.name)); err != nil {
				return err
			}
		}
		if x.live == nil {
			if err := t.begin(x); err != nil {
				return err
			}
		}
		if err := x.live.Close(); err != nil {
			return err
		}
	}
	return nil
}
