package main

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"router/cmd/rcli/command"
	"router/cmd/rcli/render"
)

var (
	tableOnce sync.Once
	theTable  *command.Table
)

// commandTable is all that can be said to rcli: at its prompts and as its arguments.
// Everything comes from it: parsing, completion, help and cobra's commands. It panics
// on a row that is wrong, which the first test of this package finds.
func commandTable() *command.Table {
	tableOnce.Do(func() {
		t, err := command.NewTable(rows(), stages())
		if err != nil {
			panic(err)
		}
		theTable = t
	})
	return theTable
}

// rows are the rows of the table, by who they are for.
func rows() []*command.Command {
	return slices.Concat(
		shellRows(),
		showRows(),
		configRows(),
		editRows(),
		toolRows(),
		routeTableRows(),
		outputRows(),
		pathRows(),
		[]*command.Command{pendingRow()},
		captureRows(),
	)
}

// stages are what may stand behind a pipe.
func stages() []*command.PipeStage {
	return slices.Concat(
		editStages(),
		outputStages(),
	)
}

// of finds what a command has around it: its options write to where env says.
func of(env *command.Env) *options {
	o, ok := env.Client.(*options)
	if !ok {
		o = &options{}
	}
	own := *o
	own.keyboard = o.in
	own.in, own.out, own.json = env.In, env.Out, env.JSON
	if env.Session != nil {
		own.secret = env.Session.Secret
	}
	own.view = view{form: env.Form, fields: env.Fields, basic: env.Basic}
	if env.Terminal && !env.Basic && env.Width != nil {
		own.view.screen = render.ForTerminal(env.Width())
	}
	return &own
}

// A job is a command that asks the router.
type job func(ctx context.Context, o *options, c *client, in *command.Input) error

// online makes a command's Run of a job: it has a connection, that of the session
// where there is one.
func online(do job) func(context.Context, *command.Env, *command.Input) error {
	return func(ctx context.Context, env *command.Env, in *command.Input) error {
		o := of(env)
		return o.with(func(c *client) error { return do(ctx, o, c, in) })
	}
}

// listed is online for what takes its one argument as a list.
func listed(name string, do func(ctx context.Context, o *options, c *client, args []string) error) func(context.Context, *command.Env, *command.Input) error {
	return online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
		return do(ctx, o, c, in.Values(name))
	})
}

// numberOf is the value of an argument that the table has checked to be a number, or
// otherwise.
func numberOf(in *command.Input, name string, otherwise int) int {
	n, err := strconv.Atoi(in.Value(name))
	if err != nil {
		return otherwise
	}
	return n
}
