package output

import (
	"fmt"
	"io"
	"strings"
)

// A commandSink writes set-commands, as they are or each as something else.
type commandSink struct {
	w    io.Writer
	line func(string) string
}

// Value implements Sink.
func (s *commandSink) Value(v Value) error {
	if v.Commands == nil {
		return errNoPath
	}
	text, err := v.Commands()
	if err != nil {
		return err
	}
	for l := range strings.Lines(text) {
		if l = strings.TrimSuffix(l, "\n"); strings.TrimSpace(l) == "" {
			continue
		}
		if _, err := fmt.Fprintln(s.w, s.line(l)); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Sink.
func (s *commandSink) Close() error { return nil }

func setLine(line string) string { return line }

// xpathLine is the path of a set-command in the notation of XPath (XML Path Language
// 1.0, 2.4), and the value behind it.
func xpathLine(line string) string {
	first, rest, _ := strings.Cut(line, " ")
	switch first {
	case "set", "#":
	default:
		return line
	}
	if strings.HasPrefix(rest, `"`) {
		return rest // a path with blanks in a key, quoted as a whole
	}
	end := pathEnd(rest)
	path, value := rest[:end], rest[end:]
	var b strings.Builder
	for _, s := range steps(path) {
		name, keys, ok := strings.Cut(s, "[")
		b.WriteString("/" + name)
		for ok {
			kv, more, _ := strings.Cut(keys, "]")
			k, v, _ := strings.Cut(kv, "=")
			quote := "'"
			if strings.Contains(v, quote) {
				quote = `"`
			}
			fmt.Fprintf(&b, "[%s=%s%s%s]", k, quote, v, quote)
			_, keys, ok = strings.Cut(more, "[")
		}
	}
	return b.String() + value
}

// pathEnd is where the path ends that s begins with: at a blank outside of keys.
func pathEnd(s string) int {
	depth := 0
	for i, r := range s {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ' ' && depth == 0:
			return i
		}
	}
	return len(s)
}
