package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"router/cmd/rcli/command"
)

// offer is what may come behind the words of a command, for the completions of other
// shells (docs/completions). The values that are there now come from the router of this
// machine only: elsewhere it could ask for a password.
func (o *options) offer(ctx context.Context, words []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
	env := o.environment(&command.Session{Mode: onceMode})
	if o.target.address == "" {
		if s, err := o.open(onceMode); err == nil {
			defer func() { _ = s.close() }() // nothing was changed
			env = s.env
		}
	}
	c := commandTable().Complete(ctx, env, command.Join(words)+" "+start, onceMode, noPath)
	directive := cobra.ShellCompDirectiveNoFileComp
	var list []cobra.Completion
	for _, x := range c.Candidates {
		switch {
		case x.Place && strings.Contains(x.Text, "file"):
			directive = cobra.ShellCompDirectiveDefault
		case x.Place || x.Pipe:
		default:
			if x.Part {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
			list = append(list, cobra.CompletionWithDesc(x.Text, x.Help))
		}
	}
	return list, directive
}
