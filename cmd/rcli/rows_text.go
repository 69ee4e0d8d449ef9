package main

import (
	"slices"
	"strings"

	"router/cmd/rcli/render"
)

// long are the headings of columns whose texts are long: they are wrapped before they
// are left out.
var long = []string{"Match", "Comment", "Paths", "Description", "Reason", "Action", "Rules", "Value", "Outgoing"}

// columnsOf are the columns of a heading, a word each. On a screen too narrow for all
// the last ones go first, and the first two stay.
func columnsOf(heading string) []render.Column {
	columns := render.Columns(heading)
	for i := range columns {
		switch c := &columns[i]; {
		case slices.Contains(long, c.Head):
			c.Wrap, c.Drop = true, 1
		case i >= 2:
			c.Drop = i
		}
	}
	return columns
}

// rows prints rows of text under a heading.
func (o *options) rows(heading string, rows [][]string) error {
	columns := columnsOf(heading)
	cells := make([][]render.Cell, len(rows))
	for i, r := range rows {
		cells[i] = render.Cells(r...)
		for at := range min(len(r), len(columns)) {
			if h := columns[at].Head; h == "State" || h == "Status" || h == "Verdict" {
				cells[i][at].Style = render.StatusStyle(strings.TrimSpace(r[at]))
			}
		}
	}
	return o.table(columns, cells)
}
