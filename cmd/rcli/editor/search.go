package editor

import "strings"

// A search is Ctrl-R: it finds lines of the history by what they contain.
type search struct {
	text   string
	at     int // of the history's lines
	failed bool
	before buffer // the line as it was
}

func (e *Editor) beginSearch() {
	if len(e.hist.lines) == 0 {
		return
	}
	e.search = &search{at: len(e.opt.History.lines), before: e.line}
}

// searchKey takes a key of the search; used is false when the key ends it and means
// what it means otherwise.
func (e *Editor) searchKey(k Key) (used, done bool) {
	s := e.search
	switch {
	case k == Key{Code: 'r', Ctrl: true}:
		e.find(s.at-1, -1)
	case k == Key{Code: 's', Ctrl: true}:
		e.find(s.at+1, 1)
	case k == Key{Code: 'g', Ctrl: true}, k == Key{Code: 'c', Ctrl: true}:
		e.line, e.search = s.before, nil
	case k.Code == Backspace:
		if n := len(s.text); n > 0 {
			r := []rune(s.text)
			s.text = string(r[:len(r)-1])
			e.find(len(e.opt.History.lines)-1, -1)
		}
	case k.Code >= ' ' && k.Code < special && !k.Ctrl && !k.Alt:
		s.text += string(k.Code)
		e.find(min(s.at, len(e.opt.History.lines)-1), -1)
	default:
		e.search = nil
		return k == Key{Code: Escape}, false
	}
	return true, false
}

// find looks for the text from a line on.
func (e *Editor) find(from, step int) {
	s := e.search
	lines := e.opt.History.lines
	for i := from; i >= 0 && i < len(lines); i += step {
		if at := strings.LastIndex(lines[i], s.text); at >= 0 && s.text != "" {
			if s.failed = false; lines[i] == e.line.String() && i != s.at && step < 0 && s.at < len(lines) && lines[s.at] == lines[i] {
				continue // the same line again is no other find
			}
			s.at = i
			e.line.Set(lines[i])
			e.line.Move(len([]rune(lines[i][:at])))
			return
		}
	}
	s.failed = s.text != ""
}

// prompt is what stands in place of the prompt.
func (s *search) prompt() string {
	if s.failed {
		return "(failed search) `" + s.text + "': "
	}
	return "(search) `" + s.text + "': "
}
