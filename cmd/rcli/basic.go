package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
)

// A basicReader reads lines of a terminal that edits them itself, or of a pipe. It
// prints a regular prompt and no escapes: screen-scrapers depend on it.
type basicReader struct {
	out   io.Writer
	lines chan string
	once  sync.Once
	begin func()
	err   error // once lines is closed
}

func newBasicReader(in io.Reader, out io.Writer) *basicReader {
	b := &basicReader{out: out, lines: make(chan string)}
	b.begin = func() {
		go func() {
			defer close(b.lines)
			r := bufio.NewReader(in)
			for {
				line, err := r.ReadString('\n')
				if line != "" {
					b.lines <- strings.TrimRight(line, "\r\n")
				}
				if err != nil {
					b.err = err
					return
				}
			}
		}()
	}
	return b
}

// ReadLine reads a line.
func (b *basicReader) ReadLine(ctx context.Context, prompt func() string) (string, error) {
	b.once.Do(b.begin)
	if _, err := fmt.Fprint(b.out, prompt()); err != nil {
		return "", err
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	select {
	case line, ok := <-b.lines:
		if !ok {
			return "", io.EOF
		}
		return line, nil
	case <-interrupt:
		// The terminal has dropped the line itself.
		fmt.Fprintln(b.out)
		return "", errInterrupt
	case <-ctx.Done():
		return "", io.EOF
	}
}
