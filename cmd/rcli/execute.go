package main

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"

	"router/cmd/rcli/command"
	"router/cmd/rcli/schema"
)

// noPath is the top of the configuration.
var noPath = schema.Path{}

// environment is what commands of a session have around them.
func (o *options) environment(s *command.Session) *command.Env {
	env := &command.Env{In: o.in, Out: o.out, Err: o.errOut, JSON: o.json, Session: s, Client: o, Basic: o.plain()}
	env.Terminal = isTerminal(o.out)
	env.Width = func() int { w, _ := screen(o.out); return w }
	return env
}

// plain reports whether the terminal gets no escapes.
func (o *options) plain() bool {
	kind := os.Getenv("TERM")
	return o.basic || kind == "" || kind == "dumb" || !isTerminal(o.out)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screen is the size of the terminal that w is; 0 for none.
func screen(w io.Writer) (width, height int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// execute runs a command through its pipe. Changes of env are the command's own.
func execute(ctx context.Context, env *command.Env, in *command.Input) (err error) {
	own := *env
	if in.Has(command.JSONSwitch) {
		own.JSON = true
	}
	pipes := in.Pipes
	for _, p := range pipes {
		if p.Stage.Setup != nil {
			if err := p.Stage.Setup(&own, p.Input); err != nil {
				return err
			}
		}
	}
	if own.Compare && in.Command.Words != "show" {
		return usagef("compare: it stands behind show in configuration mode")
	}
	ctx, leave := attended(ctx, &own, in)
	defer func() { err = leave(err) }()
	// The stages are made from the end, and closed from the front.
	var closers []io.Closer
	for i := len(pipes) - 1; i >= 0; i-- {
		if pipes[i].Stage.New == nil {
			continue
		}
		w, err := pipes[i].Stage.New(&own, pipes[i].Input, own.Out)
		if err != nil {
			return errors.Join(err, closeAll(closers))
		}
		own.Out, own.Terminal = w, false
		closers = append([]io.Closer{w}, closers...)
	}
	err = in.Command.Run(ctx, &own, in)
	// Joined, a status would lose its message.
	if cerr := closeAll(closers); err == nil {
		err = cerr
	}
	return err
}

func closeAll(list []io.Closer) error {
	var errs []error
	for _, c := range list {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
