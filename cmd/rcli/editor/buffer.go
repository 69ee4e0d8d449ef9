package editor

import (
	"strings"
	"unicode"
)

// A buffer is the line that is edited, and what undo goes back to. Its zero value is
// an empty line.
type buffer struct {
	text []rune
	at   int // the cursor
	undo []snapshot
}

type snapshot struct {
	text string
	at   int
}

// undoMost bounds what undo remembers.
const undoMost = 200

func (b *buffer) String() string { return string(b.text) }

// Len is the length in characters.
func (b *buffer) Len() int { return len(b.text) }

// Before is the text before the cursor.
func (b *buffer) Before() string { return string(b.text[:b.at]) }

// After is the text behind the cursor.
func (b *buffer) After() string { return string(b.text[b.at:]) }

// Set makes the line text, the cursor at its end.
func (b *buffer) Set(text string) {
	b.save()
	b.text = []rune(text)
	b.at = len(b.text)
}

// save remembers the line for undo.
func (b *buffer) save() {
	if len(b.undo) == undoMost {
		b.undo = append(b.undo[:0:0], b.undo[1:]...)
	}
	b.undo = append(b.undo, snapshot{b.String(), b.at})
}

// Undo goes back one change.
func (b *buffer) Undo() {
	if n := len(b.undo); n > 0 {
		s := b.undo[n-1]
		b.undo = b.undo[:n-1]
		b.text, b.at = []rune(s.text), s.at
	}
}

// Insert puts text at the cursor.
func (b *buffer) Insert(text string) {
	b.save()
	r := []rune(text)
	b.text = append(b.text[:b.at:b.at], append(r, b.text[b.at:]...)...)
	b.at += len(r)
}

// Cut takes the text between two places out, and returns it.
func (b *buffer) Cut(from, to int) string {
	if from > to {
		from, to = to, from
	}
	from, to = max(0, from), min(len(b.text), to)
	if from >= to {
		return ""
	}
	b.save()
	cut := string(b.text[from:to])
	b.text = append(b.text[:from:from], b.text[to:]...)
	b.at = from
	return cut
}

// Move goes to a place.
func (b *buffer) Move(to int) { b.at = min(max(0, to), len(b.text)) }

// End goes behind the last character.
func (b *buffer) End() { b.at = len(b.text) }

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// wordLeft is where the word before the cursor begins.
func (b *buffer) wordLeft(in func(rune) bool) int {
	i := b.at
	for i > 0 && !in(b.text[i-1]) {
		i--
	}
	for i > 0 && in(b.text[i-1]) {
		i--
	}
	return i
}

// wordRight is behind the word at or behind the cursor.
func (b *buffer) wordRight(in func(rune) bool) int {
	i := b.at
	for i < len(b.text) && !in(b.text[i]) {
		i++
	}
	for i < len(b.text) && in(b.text[i]) {
		i++
	}
	return i
}

func notBlank(r rune) bool { return !unicode.IsSpace(r) }

// change replaces the text from the cursor to a place by what f makes of it.
func (b *buffer) change(to int, f func(string) string) {
	at := b.at
	b.Insert(f(b.Cut(at, to)))
}

// swap swaps the characters around the cursor.
func (b *buffer) swap() {
	i := b.at
	if i == len(b.text) {
		i--
	}
	if i < 1 {
		return
	}
	b.save()
	b.text[i-1], b.text[i] = b.text[i], b.text[i-1]
	b.Move(i + 1)
}

// capital is a word with its first letter in upper case.
func capital(word string) string {
	done := false
	return strings.Map(func(r rune) rune {
		if done || !letter(r) {
			return unicode.ToLower(r)
		}
		done = true
		return unicode.ToUpper(r)
	}, word)
}

// A ring is what was killed, for yanking.
type ring struct {
	texts []string
	next  int // of texts, what yank-pop takes
	from  int // where the last yank began
}

const ringMost = 32

// push adds a kill; joined to the last one, before or behind it, when that was by the
// key before.
func (r *ring) push(text string, join, before bool) {
	if text == "" {
		return
	}
	n := len(r.texts)
	switch {
	case join && n > 0 && before:
		r.texts[n-1] = text + r.texts[n-1]
	case join && n > 0:
		r.texts[n-1] += text
	default:
		if n == ringMost {
			r.texts = append(r.texts[:0:0], r.texts[1:]...)
		}
		r.texts = append(r.texts, text)
	}
}

// yank puts the last kill at the cursor.
func (r *ring) yank(b *buffer) {
	if len(r.texts) == 0 {
		return
	}
	r.next = len(r.texts) - 1
	r.from = b.at
	b.Insert(r.texts[r.next])
}

// pop replaces what was yanked by the kill before it.
func (r *ring) pop(b *buffer) {
	if len(r.texts) == 0 {
		return
	}
	r.next = (r.next + len(r.texts) - 1) % len(r.texts)
	b.Cut(r.from, b.at)
	b.Insert(r.texts[r.next])
}
