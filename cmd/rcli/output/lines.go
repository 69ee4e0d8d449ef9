package output

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"
)

// maxLine is the longest line that is kept whole, in octets; one that is longer is
// cut there into two.
const maxLine = 1 << 20

// A lineStage calls line with each line, its line feed included, and end with the
// last one written.
type lineStage struct {
	rest []byte
	line func(line []byte) error
	end  func() error // nil for none
}

// Write implements io.Writer.
func (s *lineStage) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n') + 1
		if i == 0 {
			s.rest = append(s.rest, b...)
			if len(s.rest) < maxLine {
				return n, nil
			}
			i, b = 0, nil
			s.rest = append(s.rest, '\n')
		}
		line := b[:i]
		b = b[i:]
		if len(s.rest) > 0 {
			line = append(s.rest, line...)
			s.rest = nil
		}
		if err := s.line(line); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Close implements io.Closer.
func (s *lineStage) Close() error {
	var err error
	if len(s.rest) > 0 {
		err = s.line(append(s.rest, '\n'))
		s.rest = nil
	}
	if err == nil && s.end != nil {
		err = s.end()
	}
	return err
}

// compile reads a pattern: without an upper-case letter it matches both cases.
func compile(text string) (*regexp.Regexp, error) {
	expr := text
	if strings.IndexFunc(text, unicode.IsUpper) < 0 {
		expr = "(?i)" + text
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("%s is no regular expression: %w", text, err)
	}
	return re, nil
}

// matching is the stage of the lines that keep says to keep, which is called with
// whether the line matches.
func matching(text string, next io.Writer, keep func(matches bool) bool) (io.WriteCloser, error) {
	re, err := compile(text)
	if err != nil {
		return nil, err
	}
	return &lineStage{line: func(l []byte) error {
		if !keep(re.Match(bytes.TrimSuffix(l, []byte("\n")))) {
			return nil
		}
		_, err := next.Write(l)
		return err
	}}, nil
}

// Match passes on the lines that match a pattern (RE2; without an upper-case letter
// it matches both cases).
func Match(pattern string, next io.Writer) (io.WriteCloser, error) {
	return matching(pattern, next, func(m bool) bool { return m })
}

// Except passes on the lines that don't.
func Except(pattern string, next io.Writer) (io.WriteCloser, error) {
	return matching(pattern, next, func(m bool) bool { return !m })
}

// Find passes on everything from the first line that matches on.
func Find(pattern string, next io.Writer) (io.WriteCloser, error) {
	found := false
	return matching(pattern, next, func(m bool) bool { found = found || m; return found })
}

// Count says how many lines came, instead of them.
func Count(next io.Writer) io.WriteCloser {
	n := 0
	return &lineStage{
		line: func([]byte) error { n++; return nil },
		end:  func() error { _, err := fmt.Fprintf(next, "Count: %d lines\n", n); return err },
	}
}

// mostLast bounds how many lines last may hold.
const mostLast = 100_000

// Last passes on only the last lines, most of them, 1 to 100,000.
func Last(most int, next io.Writer) (io.WriteCloser, error) {
	if most < 1 || most > mostLast {
		return nil, fmt.Errorf("last %d: want a number of lines from 1 to %d", most, mostLast)
	}
	var ring [][]byte
	at := 0
	return &lineStage{
		line: func(l []byte) error {
			l = bytes.Clone(l)
			if len(ring) < most {
				ring = append(ring, l)
				return nil
			}
			ring[at] = l
			at = (at + 1) % most
			return nil
		},
		end: func() error {
			for i := range ring {
				if _, err := next.Write(ring[(at+i)%len(ring)]); err != nil {
					return err
				}
			}
			return nil
		},
	}, nil
}

// Save writes the lines to a file, and says to next how many they were. Only its
// owner can read a file that is made: what it holds may be confidential.
func Save(path string, appending bool, next io.Writer) (io.WriteCloser, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if appending {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("save: %w", err)
	}
	b := bufio.NewWriter(f)
	n := 0
	return &lineStage{
		line: func(l []byte) error { n++; _, err := b.Write(l); return err },
		end: func() error {
			if err := errors.Join(b.Flush(), f.Close()); err != nil {
				return fmt.Errorf("save: %w", err)
			}
			_, err := fmt.Fprintf(next, "%d lines written to %s\n", n, path)
			return err
		},
	}, nil
}
