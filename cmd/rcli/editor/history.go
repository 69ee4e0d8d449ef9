package editor

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// historyMost is how many lines a history keeps.
const historyMost = 2000

// A History is what was typed. Its zero value is empty and kept nowhere.
type History struct {
	lines []string
	file  string
	// Skip, if any, says which lines are not kept: those with secrets.
	Skip func(line string) bool
}

// OpenHistory reads a history from a file, which need not exist, and keeps it there:
// each line is added as it is entered, so that several sessions share the file. Only
// the user may read it.
func OpenHistory(file string) (*History, error) {
	h := &History{file: file}
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("history: %w", err)
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text := lines.Text(); text != "" {
			h.lines = append(h.lines, text)
		}
	}
	err = errors.Join(lines.Err(), f.Close())
	if len(h.lines) > 2*historyMost {
		h.lines = h.lines[len(h.lines)-historyMost:]
		err = errors.Join(err, h.rewrite())
	}
	h.lines = h.lines[max(0, len(h.lines)-historyMost):]
	if err != nil {
		err = fmt.Errorf("history: %w", err)
	}
	return h, err
}

func (h *History) rewrite() error {
	f, err := os.CreateTemp(filepath.Dir(h.file), ".history-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), h.file)
}

// add keeps a line: not an empty one, one that begins with a blank, the same as
// before, or one to be skipped.
func (h *History) add(line string) {
	if strings.TrimSpace(line) == "" || line[0] == ' ' || strings.ContainsAny(line, "\r\n") || h.Skip != nil && h.Skip(line) {
		return
	}
	if n := len(h.lines); n > 0 && h.lines[n-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > historyMost {
		h.lines = append(h.lines[:0:0], h.lines[1:]...)
	}
	if h.file == "" {
		return
	}
	if os.MkdirAll(filepath.Dir(h.file), 0o700) != nil {
		h.file = ""
		return
	}
	f, err := os.OpenFile(h.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		h.file = "" // the session's own history goes on
		return
	}
	_, werr := f.WriteString(line + "\n")
	if errors.Join(werr, f.Close()) != nil {
		h.file = ""
	}
}
