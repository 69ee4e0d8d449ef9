package editor

import (
	"io"
	"strings"
	"unicode"
)

// viState is where vi's keys stand.
type viState struct {
	normal   bool
	count    int
	operator rune // d, c or y, which waits for a motion
	wants    rune // f, F, t, T or r, which waits for a character
	find     [2]rune
	register string
}

// enter leaves insertion.
func (v *viState) enter(b *buffer) {
	*v = viState{normal: true, find: v.find, register: v.register}
	b.Move(b.at - 1)
}

// viNormal does what a key means in vi's command mode (POSIX, vi; GNU Readline 8.5).
func (e *Editor) viNormal(k Key) (done bool, err error) {
	v, b := &e.vi, &e.line
	switch {
	case k == Key{Code: Escape}:
		*v = viState{normal: true, find: v.find, register: v.register}
		return false, nil
	case v.wants != 0:
		e.viCharacter(k.Code)
		return false, nil
	case k == Key{Code: 'd', Ctrl: true} && b.Len() == 0:
		e.finish("")
		return true, io.EOF
	case k == Key{Code: 'r', Ctrl: true}, k == Key{Code: '/'}:
		e.beginSearch()
		return false, nil
	case k.Ctrl || k.Alt:
		e.emacs(k, other)
		return false, nil
	case k.Code >= '1' && k.Code <= '9' || k.Code == '0' && v.count > 0:
		v.count = min(v.count*10+int(k.Code-'0'), 9999)
		return false, nil
	case k.Code == '?' && e.opt.Help != nil && v.operator == 0:
		e.line.End()
		e.help(false)
		return false, nil
	}
	if strings.ContainsRune("fFtTr", k.Code) {
		v.wants = k.Code
		return false, nil
	}
	n := max(1, v.count)
	if to, whole, ok := e.viMotion(k, n); ok {
		e.viOperate(to, whole)
		return false, nil
	}
	operator := v.operator
	v.operator, v.count = 0, 0
	insert := func() { v.normal = false }
	switch k.Code {
	case 'i':
		insert()
	case 'a':
		b.Move(b.at + 1)
		insert()
	case 'I':
		b.Move(0)
		insert()
	case 'A':
		b.End()
		insert()
	case 'd', 'c', 'y':
		if operator != k.Code {
			v.operator, v.count = k.Code, n
			if n == 1 {
				v.count = 0
			}
			return false, nil
		}
		e.viApply(k.Code, 0, b.Len())
	case 'D':
		e.viApply('d', b.at, b.Len())
	case 'C':
		e.viApply('c', b.at, b.Len())
	case 'S':
		e.viApply('c', 0, b.Len())
	case 's':
		e.viApply('c', b.at, b.at+n)
	case 'x', Delete:
		e.viApply('d', b.at, b.at+n)
	case 'X':
		e.viApply('d', b.at-n, b.at)
	case 'p':
		b.Move(b.at + 1)
		b.Insert(v.register)
	case 'P':
		b.Insert(v.register)
	case '~':
		b.change(min(b.at+n, b.Len()), func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsUpper(r) {
					return unicode.ToLower(r)
				}
				return unicode.ToUpper(r)
			}, s)
		})
	case 'u':
		b.Undo()
	case 'k', '-', Up:
		e.hist.step(b, -n)
	case 'j', '+', Down:
		e.hist.step(b, n)
	case 'G':
		e.hist.step(b, -len(e.hist.lines))
	case '#':
		b.Move(0)
		b.Insert("#")
		e.finish("")
		return true, nil
	case Tab:
		insert()
		b.End()
		e.complete()
	}
	if v.normal && b.at >= b.Len() {
		b.Move(b.Len() - 1)
	}
	return false, nil
}

// viMotion is where a motion leads from the cursor; whole when an operator takes the
// character there too.
func (e *Editor) viMotion(k Key, n int) (to int, whole, ok bool) {
	c := buffer{text: e.line.text, at: e.line.at}
	repeat := func(f func() int) int {
		for range n {
			c.Move(f())
		}
		return c.at
	}
	switch k.Code {
	case 'h', Left, Backspace:
		return c.at - n, false, true
	case 'l', Right, ' ':
		return c.at + n, false, true
	case '0', Home:
		return 0, false, true
	case '^':
		for i, r := range c.text {
			if notBlank(r) {
				return i, false, true
			}
		}
		return 0, false, true
	case '$', End:
		return c.Len(), false, true
	case 'b':
		return repeat(func() int { return c.wordLeft(letter) }), false, true
	case 'B':
		return repeat(func() int { return c.wordLeft(notBlank) }), false, true
	case 'w', 'W':
		in := letter
		if k.Code == 'W' {
			in = notBlank
		}
		// cw ends where ce does (POSIX, vi).
		if e.vi.operator == 'c' {
			return repeat(func() int { return c.wordRight(in) }), false, true
		}
		return repeat(func() int { return c.nextWord(in) }), false, true
	case 'e':
		return repeat(func() int { c.at++; return c.wordRight(letter) - 1 }), true, true
	case 'E':
		return repeat(func() int { c.at++; return c.wordRight(notBlank) - 1 }), true, true
	case ';', ',':
		kind := e.vi.find[0]
		if k.Code == ',' {
			kind = map[rune]rune{'f': 'F', 'F': 'f', 't': 'T', 'T': 't'}[kind]
		}
		// The character that t stopped at is not found again.
		if next := c.at + 1; kind == 't' && next < c.Len() && c.text[next] == e.vi.find[1] {
			c.at = next
		} else if next := c.at - 1; kind == 'T' && next >= 0 && c.text[next] == e.vi.find[1] {
			c.at = next
		}
		to, ok := c.find(kind, e.vi.find[1], n)
		return to, kind == 'f' || kind == 't', ok
	}
	return 0, false, false
}

// nextWord is where the next word begins.
func (b *buffer) nextWord(in func(rune) bool) int {
	i := b.at
	for i < len(b.text) && in(b.text[i]) {
		i++
	}
	for i < len(b.text) && !in(b.text[i]) {
		i++
	}
	return i
}

// find is where the nth r is, as f, F, t and T have it.
func (b *buffer) find(kind, r rune, n int) (to int, ok bool) {
	step := 1
	if kind == 'F' || kind == 'T' {
		step = -1
	}
	for i := b.at + step; i >= 0 && i < len(b.text); i += step {
		if b.text[i] != r {
			continue
		}
		if n--; n == 0 {
			if kind == 't' || kind == 'T' {
				i -= step
			}
			return i, true
		}
	}
	return 0, false
}

// viCharacter takes the character that f, F, t, T or r waits for.
func (e *Editor) viCharacter(r rune) {
	v, b := &e.vi, &e.line
	kind, n := v.wants, max(1, v.count)
	v.wants = 0
	if r >= special {
		v.operator, v.count = 0, 0
		return
	}
	if kind == 'r' {
		if at := b.at; at+n <= b.Len() {
			b.change(at+n, func(string) string { return strings.Repeat(string(r), n) })
			b.Move(at + n - 1)
		}
		v.count = 0
		return
	}
	v.find = [2]rune{kind, r}
	if to, ok := b.find(kind, r, n); ok {
		e.viOperate(to, kind == 'f' || kind == 't')
	} else {
		v.operator, v.count = 0, 0
	}
}

// viOperate goes to a place, or does what the operator does with the text up to it.
func (e *Editor) viOperate(to int, whole bool) {
	v, b := &e.vi, &e.line
	operator := v.operator
	v.operator, v.count = 0, 0
	to = min(max(0, to), b.Len())
	if operator == 0 {
		b.Move(min(to, max(0, b.Len()-1)))
		return
	}
	if whole && to >= b.at {
		to++
	}
	e.viApply(operator, min(b.at, to), max(b.at, to))
}

// viApply deletes, changes or yanks text.
func (e *Editor) viApply(operator rune, from, to int) {
	v, b := &e.vi, &e.line
	from, to = max(0, from), min(to, b.Len())
	if from < to {
		v.register = string(b.text[from:to])
	}
	if operator == 'y' {
		b.Move(from)
		return
	}
	b.Cut(from, to)
	if operator == 'c' {
		v.normal = false
	}
}
