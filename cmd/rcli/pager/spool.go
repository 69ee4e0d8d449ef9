package pager

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// inMemory is how much text a spool keeps in memory, in octets; what is more lies in
// a file that has no name any more, so that it goes with the process.
const inMemory = 1 << 20

// every is how many lines share an entry of the file's index.
const every = 64

// A spool holds lines to be read again by their number. The zero spool is empty.
type spool struct {
	lines []string // the first ones
	used  int

	file   *os.File
	w      *bufio.Writer
	at     int64   // end of the file
	index  []int64 // where each every-th line of the file begins
	inFile int

	cached int // number of the first of cache's lines
	cache  []string
}

func (s *spool) len() int { return len(s.lines) + s.inFile }

func (s *spool) add(l string) error {
	if s.file == nil && s.used+len(l) <= inMemory {
		s.lines = append(s.lines, l)
		s.used += len(l) + 16 // its header
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "rcli-pager-")
		if err != nil {
			return fmt.Errorf("more text than fits into memory: %w", err)
		}
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		s.file, s.w = f, bufio.NewWriter(f)
	}
	if s.inFile%every == 0 {
		s.index = append(s.index, s.at)
	}
	n, err := s.w.WriteString(l + "\n")
	s.at += int64(n)
	s.inFile++
	return err
}

// line is line i, from 0 on.
func (s *spool) line(i int) (string, error) {
	if i < len(s.lines) {
		return s.lines[i], nil
	}
	i -= len(s.lines)
	if i >= s.inFile {
		return "", io.EOF
	}
	group := i / every * every
	// The group that is still being written must not be kept as it is.
	if s.cache == nil || s.cached != group || i-group >= len(s.cache) {
		if err := s.read(group); err != nil {
			return "", err
		}
	}
	return s.cache[i-group], nil
}

func (s *spool) read(group int) error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	from, to := s.index[group/every], s.at
	if n := group/every + 1; n < len(s.index) {
		to = s.index[n]
	}
	text := make([]byte, to-from)
	if _, err := s.file.ReadAt(text, from); err != nil {
		return err
	}
	s.cached, s.cache = group, nil
	for start, end := 0, 0; end < len(text); end++ {
		if text[end] == '\n' {
			s.cache = append(s.cache, string(text[start:end]))
			start = end + 1
		}
	}
	return nil
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
