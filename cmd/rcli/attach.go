package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
)

// attach finds what the lines are typed at: a line editor at a terminal, else a plain
// reader. end gives the terminal back.
func (s *shell) attach() (end func(), err error) {
	// Between commands Ctrl-C is nobody's: it must not end the shell.
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	s.input = newBasicReader(s.o.in, s.o.out)
	if s.session.Interactive {
		s.session.Ask = s.ask
	}
	s.session.ReadLine = func(prompt string) (string, error) {
		line, err := s.input.ReadLine(context.Background(), func() string { return prompt })
		if errors.Is(err, errInterrupt) {
			err = io.ErrUnexpectedEOF
		}
		return line, err
	}
	return func() { signal.Stop(interrupt) }, nil
}

// ask asks for yes or no. What is neither is no.
func (s *shell) ask(question string) bool {
	line, err := s.session.ReadLine(question + " [yes,no] (no) ")
	line = strings.ToLower(strings.TrimSpace(line))
	return err == nil && line != "" && strings.HasPrefix("yes", line)
}

// printColumns prints lines of cells, aligned.
func printColumns(w io.Writer, lines [][]string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintln(t, strings.Join(l, "\t"))
	}
	_ = t.Flush() // what w refuses, the next write tells
}

// prefer keeps a choice of the user's.
func (s *shell) prefer(name, value string) error {
	if p, ok := s.input.(interface {
		Prefer(name, value string) error
	}); ok {
		return p.Prefer(name, value)
	}
	return fmt.Errorf("cli %s: this terminal edits its lines itself", name)
}
