package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// A streamReader reads lines of what is no file: of a test, say.
type streamReader struct {
	in  *bufio.Reader
	out io.Writer
}

// ReadLine reads a line.
func (r *streamReader) ReadLine(_ context.Context, prompt func() string) (string, error) {
	if _, err := fmt.Fprint(r.out, prompt()); err != nil {
		return "", err
	}
	line, err := r.in.ReadString('\n')
	if line != "" {
		return strings.TrimRight(line, "\r\n"), nil
	}
	return "", err
}

// Secret is ReadLine: nobody sees what is typed here.
func (r *streamReader) Secret(ctx context.Context, prompt func() string) (string, error) {
	return r.ReadLine(ctx, prompt)
}

// Ask is ReadLine.
func (r *streamReader) Ask(ctx context.Context, prompt func() string) (string, error) {
	return r.ReadLine(ctx, prompt)
}
