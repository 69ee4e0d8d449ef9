package editor

import (
	"strings"
	"unicode/utf8"
)

// Codes of keys that are no characters.
const (
	special rune = utf8.MaxRune + 1 + iota
	Enter
	Tab
	BackTab
	Escape
	Backspace
	Delete
	Up
	Down
	Left
	Right
	Home
	End
	PageUp
	PageDown
	unknownKey
)

// A Key is a key that was pressed. The zero value is none.
type Key struct {
	Code  rune
	Ctrl  bool // with a letter, which is in lower case
	Alt   bool
	Paste bool // it is part of a paste
}

// Sequences that a terminal is sent.
const (
	pasteOn     = "\x1b[?2004h"
	pasteOff    = "\x1b[?2004l"
	clearScreen = "\x1b[H\x1b[2J"
)

// Sequences that a terminal sends (ECMA-48; xterm's control sequences).
var sequences = map[string]Key{
	"[A": {Code: Up}, "[B": {Code: Down}, "[C": {Code: Right}, "[D": {Code: Left}, "[H": {Code: Home}, "[F": {Code: End},
	"OA": {Code: Up}, "OB": {Code: Down}, "OC": {Code: Right}, "OD": {Code: Left}, "OH": {Code: Home}, "OF": {Code: End},
	"[1~": {Code: Home}, "[3~": {Code: Delete}, "[4~": {Code: End}, "[5~": {Code: PageUp}, "[6~": {Code: PageDown}, "[7~": {Code: Home}, "[8~": {Code: End},
	"[Z": {Code: BackTab}, "[1;5C": {Code: Right, Alt: true}, "[1;5D": {Code: Left, Alt: true}, "[1;3C": {Code: Right, Alt: true}, "[1;3D": {Code: Left, Alt: true},
}

// A decoder turns what a terminal sends into keys. Its zero value is ready.
type decoder struct {
	rest  []byte // the beginning of a sequence or a character
	paste bool
	cr    bool // the last octet of a paste was a CR: an LF belongs to it
}

// waits reports whether a sequence has begun that may be over.
func (d *decoder) waits() bool { return len(d.rest) > 0 }

// flush takes what came of a sequence that did not go on.
func (d *decoder) flush() []Key {
	rest := d.rest
	d.rest = nil
	if len(rest) == 0 {
		return nil
	}
	if rest[0] != 0x1b {
		return nil // a torn character
	}
	keys := []Key{{Code: Escape}}
	return append(keys, d.feed(rest[1:])...)
}

// feed takes octets.
func (d *decoder) feed(b []byte) []Key {
	b = append(d.rest, b...)
	d.rest = nil
	var keys []Key
	for len(b) > 0 {
		n, k, ok := d.one(b)
		if n == 0 {
			d.rest = append([]byte(nil), b...)
			break
		}
		b = b[n:]
		if ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// one decodes the key at the start of b: n octets of it, 0 when more are wanted.
func (d *decoder) one(b []byte) (n int, k Key, ok bool) {
	if b[0] == 0x1b {
		return d.escape(b)
	}
	if b[0] >= utf8.RuneSelf && !utf8.FullRune(b) {
		return 0, Key{}, false
	}
	r, size := utf8.DecodeRune(b)
	wasCR := d.cr
	d.cr = r == '\r'
	switch {
	case d.paste && r == '\n' && wasCR:
		return size, Key{}, false
	case r == '\r' || d.paste && r == '\n':
		k = Key{Code: Enter}
	case r == '\t':
		k = Key{Code: Tab}
	case r == 0x7f || r == 0x08:
		k = Key{Code: Backspace}
	case r == 0:
		k = Key{Code: ' ', Ctrl: true}
	case r < 0x1b:
		k = Key{Code: r | 0x60, Ctrl: true} // a letter
	case r < ' ':
		k = Key{Code: r | 0x40, Ctrl: true}
	case r == utf8.RuneError && size == 1:
		return 1, Key{}, false
	default:
		k = Key{Code: r}
	}
	if d.paste {
		if k.Ctrl || k.Code == Backspace {
			return size, Key{}, false // what a paste has of these is no command
		}
		k.Paste = true
	}
	return size, k, true
}

// escape decodes what an escape begins.
func (d *decoder) escape(b []byte) (n int, k Key, ok bool) {
	if len(b) == 1 {
		return 0, Key{}, false
	}
	if b[1] != '[' && b[1] != 'O' {
		if d.paste {
			return 1, Key{}, false
		}
		n, k, ok = d.one(b[1:])
		if n == 0 {
			return 0, Key{}, false
		}
		k.Alt = true
		return n + 1, k, ok
	}
	if len(b) == 2 {
		return 0, Key{}, false
	}
	end := 2
	for b[1] == '[' && end < len(b) && (b[end] < 0x40 || b[end] > 0x7e) {
		end++
	}
	if end >= len(b) {
		if len(b) > 64 {
			return len(b), Key{}, false // no terminal sends such
		}
		return 0, Key{}, false
	}
	text := string(b[1 : end+1])
	switch text {
	case "[200~":
		d.paste = true
		return end + 1, Key{}, false
	case "[201~":
		d.paste = false
		return end + 1, Key{}, false
	}
	if d.paste {
		return end + 1, Key{}, false
	}
	if k, known := sequences[text]; known {
		return end + 1, k, true
	}
	return end + 1, Key{Code: unknownKey}, !strings.HasSuffix(text, "R") // a report of the cursor's place is no key
}
