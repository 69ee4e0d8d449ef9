// Rcli is the router's shell: a gNMI client of routerd that knows its schema.
//
//	rcli [--socket PATH | --target ADDR:PORT [--insecure | --ca FILE --cert FILE --key FILE] [--user NAME [--password-file FILE]]] [--json] [--basic] [-c COMMAND]... | COMMAND
//
// Without a command it is a shell; docs/rcli.md explains it. Exit codes: 0 done, 1
// refused, 2 usage, 3 no connection.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"router/cmd/rcli/command"
)

const (
	exitDone         = 0
	exitRefused      = 1
	exitUsage        = 2
	exitNoConnection = 3
	exitInterrupted  = 130 // as shells have it: 128 and the signal's number
)

// A usageError is a mistake in how rcli was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// options are those that every command shares.
type options struct {
	target   target
	json     bool
	basic    bool // no escapes, no pager, whatever the terminal is
	commands []string
	view     view
	out      io.Writer
	in       io.Reader
	errOut   io.Writer
	keyboard any // what keys come from; it is a terminal, or not

	// secret is the session's, nil where nobody sits at its prompt.
	secret func(prompt string) (string, error)
	shared *client // of a session; nil where each command makes its own
}

func main() {
	// Ctrl-C stops a command, not the shell: that is for whoever runs one.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	o := &options{out: out, in: in, errOut: errOut}
	root := newRoot(o)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	return o.report(root.ExecuteContext(ctx))
}

// report prints an error for people and returns the exit code that it means.
func (o *options) report(err error) int {
	var ended *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &ended):
		return ended.code
	case isUsage(err):
		fmt.Fprintf(o.errOut, "rcli: %v\n", err)
		return exitUsage
	}
	lines, code := explain(o.target, err)
	fmt.Fprintf(o.errOut, "rcli: %s\n", strings.Join(lines, "\n"))
	return code
}

// An exitError ends rcli with a code after all has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// isUsage reports whether err is about how rcli was called.
func isUsage(err error) bool {
	var u *usageError
	_, c := command.AsError(err)
	return c || errors.As(err, &u)
}
