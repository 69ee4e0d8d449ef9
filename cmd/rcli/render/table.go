package render

import (
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// A Cell is one text of a table.
type Cell struct {
	Text  string
	Style Style
}

// Cells are texts in no style.
func Cells(texts ...string) []Cell {
	row := make([]Cell, len(texts))
	for i, t := range texts {
		row[i].Text = t
	}
	return row
}

// A Column is one of a table.
type Column struct {
	Head string
	// Right aligns at the right end. A column whose cells are all numbers, with or
	// without a unit, is aligned so without being told.
	Right bool
	// Drop says in which order columns are left out of a screen that is too
	// narrow: the highest first. One with 0 stays.
	Drop int
	// Wrap lets cells of the column take several lines before anything is left out
	// that Drop doesn't name.
	Wrap bool
}

// Columns are those of a heading, a word each, without a rank.
func Columns(heading string) []Column {
	var list []Column
	for _, h := range strings.Fields(heading) {
		list = append(list, Column{Head: h})
	}
	return list
}

const (
	gap       = 2  // blanks between columns
	leastWrap = 12 // columns that a wrapped cell keeps
	// sample is how many rows a Table looks at before it fixes the widths.
	sample = 256
)

// A Table is drawn while its rows come: the first ones are held to find out how
// wide the columns are, those after them are written at once, so that it takes no
// more memory for a million rows. It is not safe for concurrent use.
type Table struct {
	w       io.Writer
	screen  Screen
	columns []Column
	rows    [][]Cell
	widths  []int // fixed; nil before
	shown   []int // columns by index
	dropped []string
}

// NewTable begins a table on w.
func NewTable(w io.Writer, screen Screen, columns []Column) *Table {
	return &Table{w: w, screen: screen, columns: columns}
}

// Add takes a row. One with fewer cells than columns is filled up; cells beyond
// are remarks behind the row.
func (t *Table) Add(row []Cell) error {
	row = slices.Clone(row)
	for i := range row {
		row[i].Text = Clean(row[i].Text)
	}
	for len(row) < len(t.columns) {
		row = append(row, Cell{})
	}
	if t.widths != nil {
		return t.write(row)
	}
	if t.rows = append(t.rows, row); len(t.rows) < sample {
		return nil
	}
	return t.Flush()
}

// Flush writes what is held and fixes the widths.
func (t *Table) Flush() error {
	if t.widths != nil {
		return nil
	}
	t.fit()
	head := make([]Cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = Cell{c.Head, Strong}
	}
	if err := t.write(head); err != nil {
		return err
	}
	for _, r := range t.rows {
		if err := t.write(r); err != nil {
			return err
		}
	}
	t.rows = nil
	return nil
}

// Close ends the table: a screen too narrow for it is told what is left out.
func (t *Table) Close() error {
	if err := t.Flush(); err != nil || len(t.dropped) == 0 {
		return err
	}
	_, err := io.WriteString(t.w, t.screen.Paint(Faint, "not shown for want of room: "+strings.Join(t.dropped, ", "))+"\n")
	return err
}

// fit finds the columns that are shown, and their widths.
func (t *Table) fit() {
	t.widths = make([]int, len(t.columns))
	for i, c := range t.columns {
		numbers, some := true, false
		t.widths[i] = width(c.Head)
		for _, r := range t.rows {
			t.widths[i] = max(t.widths[i], width(r[i].Text))
			numbers = numbers && numeric(r[i].Text)
			some = some || r[i].Text != "" && r[i].Text != "-"
		}
		t.columns[i].Right = c.Right || numbers && some
	}
	for i := range t.columns {
		t.shown = append(t.shown, i)
	}
	if t.screen.Width == 0 {
		return
	}
	for t.total() > t.screen.Width && t.dropOne() {
	}
	t.wrap()
}

// total is the width of a row.
func (t *Table) total() int {
	n := gap * (len(t.shown) - 1)
	for _, i := range t.shown {
		n += t.widths[i]
	}
	return n
}

// dropOne leaves the least important column out; it reports false when all that is
// left stays.
func (t *Table) dropOne() bool {
	least := -1
	for at, i := range t.shown {
		if d := t.columns[i].Drop; d > 0 && (least < 0 || d >= t.columns[t.shown[least]].Drop) {
			least = at
		}
	}
	if least < 0 {
		return false
	}
	// What can wrap may make room enough.
	if spare := t.spare(); t.total()-spare <= t.screen.Width && t.columns[t.shown[least]].Drop <= 1 {
		return false
	}
	t.dropped = append(t.dropped, t.columns[t.shown[least]].Head)
	t.shown = slices.Delete(t.shown, least, least+1)
	return true
}

// spare is how much wrapping can save.
func (t *Table) spare() (n int) {
	for _, i := range t.shown {
		if t.columns[i].Wrap {
			n += max(0, t.widths[i]-leastWrap)
		}
	}
	return n
}

// wrap narrows the columns that may be, the widest first.
func (t *Table) wrap() {
	for over := t.total() - t.screen.Width; over > 0; over = t.total() - t.screen.Width {
		widest := -1
		for _, i := range t.shown {
			if t.columns[i].Wrap && t.widths[i] > leastWrap && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest] = max(leastWrap, t.widths[widest]-over)
	}
}

// write writes a row, in as many lines as its cells need.
func (t *Table) write(row []Cell) error {
	lines := make([][]string, len(t.shown))
	height := 1
	for at, i := range t.shown {
		lines[at] = []string{row[i].Text}
		if t.columns[i].Wrap && width(row[i].Text) > t.widths[i] && t.screen.Width > 0 {
			lines[at] = Wrap(row[i].Text, t.widths[i])
		}
		height = max(height, len(lines[at]))
	}
	var b strings.Builder
	for n := range height {
		var line strings.Builder
		blanks := 0 // that are written once something follows
		for at, i := range t.shown {
			text := ""
			if n < len(lines[at]) {
				text = lines[at][n]
			}
			free := max(0, t.widths[i]-width(text))
			if t.columns[i].Right {
				blanks += free
				free = 0
			}
			if text != "" {
				line.WriteString(strings.Repeat(" ", blanks))
				line.WriteString(t.screen.Paint(row[i].Style, text))
				blanks = 0
			}
			blanks += free + gap
		}
		if n == 0 {
			for _, c := range row[len(t.columns):] {
				line.WriteString(strings.Repeat(" ", blanks))
				line.WriteString(t.screen.Paint(c.Style, c.Text))
				blanks = gap
			}
		}
		b.WriteString(line.String())
		b.WriteByte('\n')
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// numeric reports whether the text is a number, with or without a unit or a sign
// of percent, or says that there is none.
func numeric(text string) bool {
	if text == "" || text == "-" {
		return true
	}
	n, unit, _ := strings.Cut(strings.TrimPrefix(text, "-"), " ")
	n = strings.TrimSuffix(n, "%")
	if n == "" || strings.Trim(n, "0123456789.") != "" || strings.Count(n, ".") > 1 {
		return false
	}
	switch unit {
	case "", "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "pps", "kpps", "Mpps", "Gpps", "B", "kB", "MB", "GB", "TB", "PB", "s":
		return true
	}
	return false
}

// fitting is how many octets of a word fit that width: those of one character at least.
func fitting(word string, most int) int {
	n, columns := 0, 0
	for g := uniseg.NewGraphemes(word); g.Next(); {
		if columns += g.Width(); columns > most && n > 0 {
			break
		}
		n += len(g.Str())
	}
	return n
}

// Wrap cuts a text into lines of at most that width, between words where there are
// some.
func Wrap(text string, most int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && width(line)+1+width(word) <= most {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for width(word) > most {
			n := fitting(word, most)
			lines = append(lines, word[:n])
			word = word[n:]
		}
		line = word
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
