package editor

import (
	"fmt"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// A screen is what the editor has drawn: enough to draw over it.
type screen struct {
	row int // of the cursor, from the first row of the prompt
}

// Attributes (ECMA-48, 8.3.117).
const (
	reverse = "\x1b[7m"
	faint   = "\x1b[2m"
	normal  = "\x1b[0m"
)

// draw draws prompt, line and menu over what was drawn before.
func (e *Editor) draw() {
	width, height := e.size()
	prompt := e.prompt()
	if e.search != nil {
		lines := strings.Split(prompt, "\n")
		lines[len(lines)-1] = e.search.prompt()
		prompt = strings.Join(lines, "\n")
	}
	var b strings.Builder
	if e.screen.row > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", e.screen.row)
	}
	b.WriteString("\r\x1b[J")
	p := pen{out: &b, width: width}
	p.text(prompt)
	if !e.hidden {
		p.text(visible(e.line.Before()))
	}
	row, column := p.place()
	if !e.hidden {
		p.text(visible(e.line.After()))
	}
	p.settle()
	if e.menu.open {
		e.drawMenu(&p, width, max(1, height-p.row-2))
	}
	if up := p.row - row; up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	b.WriteString("\r")
	if column > 0 {
		fmt.Fprintf(&b, "\x1b[%dC", column)
	}
	e.write(b.String())
	e.screen.row = row
}

func (e *Editor) size() (width, height int) {
	width, height, err := term.GetSize(int(e.opt.Out.Fd()))
	if err != nil || width < 2 || height < 2 {
		return 80, 24
	}
	return width, height
}

// visible shows characters that a terminal would obey as carets and letters.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			b.WriteString("^" + string(r^0x40))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A pen writes text and knows where it has come to.
type pen struct {
	out         *strings.Builder
	width       int
	row, column int
}

// text writes text; a line break goes to the next row.
func (p *pen) text(s string) {
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if c := g.Str(); c == "\n" || c == "\r\n" {
			p.out.WriteString("\r\n")
			p.row, p.column = p.row+1, 0
			continue
		}
		w := g.Width()
		if p.column+w > p.width {
			// The terminal has wrapped by itself: it does so before it writes.
			p.row, p.column = p.row+1, 0
		}
		p.out.WriteString(g.Str())
		p.column += w
	}
}

// settle makes the terminal wrap where the text ends at its right edge.
func (p *pen) settle() {
	if p.column >= p.width {
		p.out.WriteString("\r\n")
		p.row, p.column = p.row+1, 0
	}
}

// place is where the next character comes.
func (p *pen) place() (row, column int) {
	if p.column >= p.width {
		return p.row + 1, 0
	}
	return p.row, p.column
}

// drawMenu draws the candidates below the line, in so many rows at most.
func (e *Editor) drawMenu(p *pen, width, rows int) {
	m := &e.menu
	line := func(text string, before, after string) {
		p.out.WriteString("\r\n" + before + cut(text, width-1) + after)
		p.row, p.column = p.row+1, 0
	}
	if len(m.list) == 0 {
		line(m.message, faint, normal)
		return
	}
	most, first := rows, 0
	if len(m.list) > rows || m.more {
		most = max(1, rows-1)
		first = max(0, min(m.chosen-most/2, len(m.list)-most))
	}
	shown := m.list[first:min(len(m.list), first+most)]
	wide := 0
	for _, c := range shown {
		wide = max(wide, uniseg.StringWidth(c.Text))
	}
	wide = min(wide, max(8, width/2))
	for i, c := range shown {
		text := cut(c.Text, wide)
		text = c.Mark + " " + text + strings.Repeat(" ", wide-uniseg.StringWidth(text))
		if c.Help != "" {
			text += "  " + c.Help
		}
		if first+i == m.chosen {
			line(strings.TrimRight(text, " "), reverse, normal)
		} else {
			line(strings.TrimRight(text, " "), "", "")
		}
	}
	if rest := len(m.list) - len(shown); rest > 0 || m.more {
		what := fmt.Sprintf("%d more", rest)
		if m.more {
			what = "more"
		}
		line("  "+what+": type a letter, or go on with Tab", faint, normal)
	}
}

// cut shortens text to a width.
func cut(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var b strings.Builder
	n := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if n += g.Width(); n > width-1 {
			break
		}
		b.WriteString(g.Str())
	}
	return b.String() + "…"
}
