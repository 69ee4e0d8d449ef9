package render

import (
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A Screen is what is written to. The zero Screen is a pipe or a file: without a
// width and without colours.
type Screen struct {
	Width  int  // columns; 0 for no limit
	Colour bool // whether styles show
}

// Colours reports whether a terminal of that type should be shown colours:
// NO_COLOR (no-color.org) asks for none, whatever its value, and a dumb one has
// none.
func Colours(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && getenv("TERM") != ""
}

// ForTerminal is the screen of a terminal of that width, by the process's
// environment.
func ForTerminal(width int) Screen { return Screen{Width: width, Colour: Colours(os.Getenv)} }

// A Style is what a text is to the reader, not what it looks like. The set is
// closed.
type Style uint8

// The styles.
const (
	Plain  Style = iota
	Good         // as it should be
	Bad          // broken, and somebody should look
	Notice       // neither, but worth a look
	Faint        // of little weight
	Strong       // headings, and the route that packets follow
)

// sgr is the style as the parameter of Select Graphic Rendition (ECMA-48, 8.3.117).
func (s Style) sgr() string {
	switch s {
	case Plain:
		return ""
	case Good:
		return "32"
	case Bad:
		return "31"
	case Notice:
		return "33"
	case Faint:
		return "2"
	case Strong:
		return "1"
	}
	return ""
}

// Paint is the text in a style, where the screen shows styles.
func (s Screen) Paint(style Style, text string) string {
	if code := style.sgr(); s.Colour && code != "" && text != "" {
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	return text
}

// StatusStyle is the style of a status word of the model, such as up or pending.
func StatusStyle(word string) Style {
	first, _, _ := strings.Cut(word, "/")
	switch first {
	case "up", "healthy", "reachable", "connected", "accept":
		return Good
	case "down", "unhealthy", "failed", "error", "duplicate", "discard", "reject":
		return Bad
	case "pending", "tentative", "incomplete", "testing", "dormant", "lower-layer-down", "not-present":
		return Notice
	}
	return Plain
}

// Clean is the text with a question mark for each character that a terminal might
// obey instead of show.
func Clean(text string) string {
	if strings.IndexFunc(text, hostile) < 0 && utf8.ValidString(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case hostile(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

func hostile(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// width is how many columns the text takes: two for an ideograph, one for a letter with its
// accents.
func width(text string) int {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return uniseg.StringWidth(text)
		}
	}
	return len(text)
}
