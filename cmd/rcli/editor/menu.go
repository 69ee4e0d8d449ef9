package editor

import (
	"strings"
	"unicode/utf8"
)

// A menu is the completions below the line. It is the zero value when there is none.
type menu struct {
	open    bool
	from    int    // octets of the text before the cursor that stay
	word    string // what the word was
	list    []Candidate
	chosen  int // of list, -1 for none
	more    bool
	message string
}

// complete is Tab: it puts in what is certain, and else opens the menu.
func (e *Editor) complete() {
	if e.opt.Complete == nil {
		return
	}
	c := e.opt.Complete(e.ctx, e.line.Before())
	if c.Can {
		e.replace(c.From, c.Insert, c.Finished)
		if c.Finished {
			return
		}
		c = e.opt.Complete(e.ctx, e.line.Before())
	}
	before := e.line.Before()
	e.menu = menu{open: true, from: c.From, word: before[min(c.From, len(before)):], list: c.Candidates, chosen: -1, more: c.More, message: c.Message}
	if len(c.Candidates) == 0 && c.Message == "" {
		e.menu = menu{}
	}
}

// replace puts text in place of the word that begins at an octet of what stands
// before the cursor.
func (e *Editor) replace(from int, text string, finished bool) {
	before := e.line.Before()
	at := utf8.RuneCountInString(before[:min(from, len(before))])
	e.line.Cut(at, e.line.at)
	e.line.Insert(text)
	if finished && !strings.HasPrefix(e.line.After(), " ") {
		e.line.Insert(" ")
	} else if finished {
		e.line.Move(e.line.at + 1)
	}
}

// spaceCompletes completes the word before a blank is typed behind it: where one
// command or node is meant, and never a value.
func (e *Editor) spaceCompletes() {
	before := e.line.Before()
	if before == "" || strings.HasSuffix(before, " ") || inQuotes(before) || e.line.After() != "" {
		return
	}
	c := e.opt.Complete(e.ctx, before)
	var one *Candidate
	for i, x := range c.Candidates {
		if x.Place {
			continue
		}
		if one != nil || x.Live || x.Part {
			return
		}
		one = &c.Candidates[i]
	}
	if one != nil && c.From < len(before) && strings.HasPrefix(one.Text, before[c.From:]) {
		e.replace(c.From, one.Text, false)
	}
}

// menuKey takes a key while the menu is open; used is false when the key closes it
// and means what it means otherwise.
func (e *Editor) menuKey(k Key) (used bool) {
	m := &e.menu
	step := 0
	switch k {
	case Key{Code: Tab}, Key{Code: Down}, Key{Code: 'n', Ctrl: true}:
		step = 1
	case Key{Code: BackTab}, Key{Code: Up}, Key{Code: 'p', Ctrl: true}:
		step = -1
	case Key{Code: 'g', Ctrl: true}, Key{Code: Escape}:
		e.replace(m.from, m.word, false)
		e.menu = menu{}
		return true
	case Key{Code: Enter}:
		if m.chosen >= 0 {
			c := m.list[m.chosen]
			e.replace(m.from, c.Text, !c.Part)
			e.menu = menu{}
			return true
		}
		e.menu = menu{}
		return false
	default:
		chosen := m.chosen >= 0
		e.menu = menu{}
		// A blank behind what was chosen must not complete it to something longer.
		if chosen && k == (Key{Code: ' '}) {
			e.line.Insert(" ")
			return true
		}
		return false
	}
	for range m.list {
		m.chosen += step
		if m.chosen < 0 {
			m.chosen = len(m.list) - 1
		}
		m.chosen %= len(m.list)
		if !m.list[m.chosen].Place {
			e.replace(m.from, m.list[m.chosen].Text, false)
			return true
		}
	}
	m.chosen = -1
	return true
}
