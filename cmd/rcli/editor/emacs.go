package editor

import (
	"slices"
	"strings"
)

// emacs does what a key means with emacs's keys, which are those of vi's insertion as
// well (GNU Readline, 8.4). last is what the key before did.
func (e *Editor) emacs(k Key, last action) {
	b := &e.line
	kill := func(from, to int, before bool) {
		e.kill.push(b.Cut(from, to), last == killed, before)
		e.last = killed
	}
	switch k {
	case Key{Code: 'a', Ctrl: true}, Key{Code: Home}:
		b.Move(0)
	case Key{Code: 'e', Ctrl: true}, Key{Code: End}:
		b.End()
	case Key{Code: 'b', Ctrl: true}, Key{Code: Left}:
		b.Move(b.at - 1)
	case Key{Code: 'f', Ctrl: true}, Key{Code: Right}:
		b.Move(b.at + 1)
	case Key{Code: 'b', Alt: true}, Key{Code: Left, Alt: true}:
		b.Move(b.wordLeft(letter))
	case Key{Code: 'f', Alt: true}, Key{Code: Right, Alt: true}:
		b.Move(b.wordRight(letter))
	case Key{Code: Backspace}:
		b.Cut(b.at-1, b.at)
	case Key{Code: 'd', Ctrl: true}, Key{Code: Delete}:
		at := b.at
		b.Cut(at, at+1)
	case Key{Code: 'k', Ctrl: true}:
		kill(b.at, b.Len(), false)
	case Key{Code: 'u', Ctrl: true}:
		kill(0, b.at, true)
	case Key{Code: 'w', Ctrl: true}:
		kill(b.wordLeft(notBlank), b.at, true)
	case Key{Code: Backspace, Alt: true}:
		kill(b.wordLeft(letter), b.at, true)
	case Key{Code: 'd', Alt: true}:
		kill(b.at, b.wordRight(letter), false)
	case Key{Code: 'y', Ctrl: true}:
		e.kill.yank(b)
		e.last = yanked
	case Key{Code: 'y', Alt: true}:
		if last == yanked {
			e.kill.pop(b)
			e.last = yanked
		}
	case Key{Code: 't', Ctrl: true}:
		b.swap()
	case Key{Code: 'u', Alt: true}:
		b.change(b.wordRight(letter), strings.ToUpper)
	case Key{Code: 'l', Alt: true}:
		b.change(b.wordRight(letter), strings.ToLower)
	case Key{Code: 'c', Alt: true}:
		b.change(b.wordRight(letter), capital)
	case Key{Code: '_', Ctrl: true}:
		b.Undo()
	case Key{Code: 'p', Ctrl: true}, Key{Code: Up}:
		e.hist.step(b, -1)
	case Key{Code: 'n', Ctrl: true}, Key{Code: Down}:
		e.hist.step(b, 1)
	case Key{Code: '<', Alt: true}:
		e.hist.step(b, -len(e.hist.lines))
	case Key{Code: '>', Alt: true}:
		e.hist.step(b, len(e.hist.lines))
	case Key{Code: '.', Alt: true}:
		e.lastWord(last)
	default:
		if k.Code >= ' ' && k.Code < special && !k.Ctrl && !k.Alt {
			b.Insert(string(k.Code))
		}
	}
}

// lastWord puts the last word of the line before at the cursor; again, of the line
// before that.
func (e *Editor) lastWord(last action) {
	if last != argument {
		e.hist.back = 0
	} else {
		e.line.Undo()
	}
	lines := e.opt.History.lines
	if e.hist.back >= len(lines) {
		return
	}
	e.hist.back++
	words := strings.Fields(lines[len(lines)-e.hist.back])
	if len(words) > 0 {
		e.line.Insert(words[len(words)-1])
		e.last = argument
	}
}

// A walk is the way through the history: lines that were changed on it stay changed
// until the line is entered.
type walk struct {
	lines []string
	at    int
	back  int // lines that Alt-. has gone back
}

func newWalk(h *History) walk {
	lines := append(slices.Clone(h.lines), "")
	return walk{lines: lines, at: len(lines) - 1}
}

// step goes n lines on, or back.
func (w *walk) step(b *buffer, n int) {
	to := min(max(0, w.at+n), len(w.lines)-1)
	if len(w.lines) == 0 || to == w.at {
		return
	}
	w.lines[w.at] = b.String()
	w.at = to
	b.Set(w.lines[to])
}
