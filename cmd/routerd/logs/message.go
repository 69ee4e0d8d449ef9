package logs

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// severityOf is the severity of a level (RFC 5424, 6.2.1): debug 7, info 6,
// warning 4, error 3.
func severityOf(l slog.Level) int {
	switch {
	case l < slog.LevelInfo:
		return 7
	case l < slog.LevelWarn:
		return 6
	case l < slog.LevelError:
		return 4
	}
	return 3
}

// dataID names the element of structured data that holds a record's
// attributes. The number is the one of RFC 5612, since the project has none.
const dataID = "routerd@32473"

// A header is what all messages of a router have in common.
type header struct {
	facility int
	hostname string
	procID   string
}

// message writes a record as RFC 5424 has it, of at most limit octets: what is
// too long is cut at its end, attributes before the text.
func (h header) message(r slog.Record, attrs []pair, limit int) []byte {
	b := make([]byte, 0, 256)
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(h.facility*8+severityOf(r.Level)), 10)
	b = append(b, ">1 "...)
	if r.Time.IsZero() {
		b = append(b, '-')
	} else {
		b = r.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	}
	b = append(b, ' ')
	b = append(b, printable(h.hostname, 255)...)
	b = append(b, " routerd "...)
	b = append(b, h.procID...)
	b = append(b, " - "...)
	text := strings.ToValidUTF8(r.Message, "�")
	room := limit - len(b) - len(text) - len(" ")
	b = appendData(b, attrs, room)
	b = append(b, ' ')
	if !ascii(text) {
		b = append(b, "\ufeff"...) // RFC 5424, 6.4: the sign of UTF-8
	}
	b = append(b, text...)
	return cut(b, limit)
}

// appendData writes the structured data (RFC 5424, 6.3), in at most room octets,
// or "-" where there is none.
func appendData(b []byte, attrs []pair, room int) []byte {
	start := len(b)
	b = append(b, '[')
	b = append(b, dataID...)
	some := false
	for _, a := range attrs {
		before := len(b)
		b = append(b, ' ')
		b = append(b, paramName(a.key)...)
		b = append(b, `="`...)
		for _, c := range strings.ToValidUTF8(a.value, "�") {
			if c == '"' || c == '\\' || c == ']' {
				b = append(b, '\\')
			}
			b = utf8.AppendRune(b, c)
		}
		b = append(b, '"')
		if len(b)+1-start > room {
			b = b[:before]
			break
		}
		some = true
	}
	if !some {
		return append(b[:start], '-')
	}
	return append(b, ']')
}

// paramName is a key as the name of a parameter: 1 to 32 printable characters
// of ASCII, without the four that mean something (RFC 5424, 6.3.3).
func paramName(key string) string {
	name := strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f || c == '=' || c == ']' || c == '"' {
			return '_'
		}
		return c
	}, key)
	if name == "" {
		return "_"
	}
	return name[:min(len(name), 32)]
}

// printable is a field of the header: printable ASCII, "-" where there is none.
func printable(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f {
			return -1
		}
		return c
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cut shortens b to limit octets without splitting a character.
func cut(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	for limit > 0 && !utf8.RuneStart(b[limit]) {
		limit--
	}
	return b[:limit]
}

// dialTimeout bounds an attempt to reach a server, handshake included, and
// writeTimeout one message.
const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
)
