// Rcli is the router's shell: a gNMI client of routerd that knows its schema.
//
//	rcli [--socket PATH | --target ADDR:PORT [--insecure | --ca FILE --cert FILE --key FILE] [--user NAME [--password-file FILE]]] [--json] [-c COMMAND]... | COMMAND
//
// Exit codes: 0 done, 1 refused, 2 usage, 3 no connection.
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

	"github.com/spf13/cobra"
)

const (
	exitDone         = 0
	exitRefused      = 1
	exitUsage        = 2
	exitNoConnection = 3
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
	commands []string
	view     view
	out      io.Writer
	in       io.Reader
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	o := &options{out: out, in: in}
	root := newRoot(o)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if isUsage(err) {
		fmt.Fprintf(errOut, "rcli: %v\n", err)
		return exitUsage
	}
	lines, code := explain(o.target, err)
	fmt.Fprintf(errOut, "rcli: %s\n", strings.Join(lines, "\n"))
	return code
}

// newRoot builds the command tree. It is built anew for each -c command.
func newRoot(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:   "rcli",
		Short: "the shell of the router: a gNMI client of routerd",
		Long: `Rcli is the shell of the router: a gNMI client of routerd.

A PATH is a gNMI path. Shells give brackets a meaning of their own, so quote it. Each
set, delete and load is one commit: all of it takes effect, or nothing.
Exit codes: 0 done, 1 refused, 2 usage, 3 no connection.`,
		Example: `  rcli show interfaces
  rcli get --type state '/interface[name=eth1]'
  rcli set '/interface[name=eth1]/config/mru' 1600
  rcli load replace router.json
  rcli -c 'delete /interface[name=eth1]/unit[id=7]' -c 'show routes'
  rcli watch '/interface[name=*]/state/oper-status'
  rcli ping 192.0.2.7 --instance blue
  rcli traceroute 2001:db8::7`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q; rcli --help lists them", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.commands) == 0 {
				return errors.Join(cmd.Help())
			}
			for _, line := range o.commands {
				if err := runLine(cmd.Context(), o, cmd, line); err != nil {
					return fmt.Errorf("%s: %w", line, err)
				}
			}
			return nil
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.StringVar(&o.target.socket, "socket", "/run/routerd/routerd.sock", "routerd's Unix socket")
	f.StringVar(&o.target.address, "target", "", "address:port of a routerd, instead of the socket")
	f.BoolVar(&o.target.insecure, "insecure", false, "plaintext to --target")
	f.StringVar(&o.target.ca, "ca", "", "file of authorities (PEM) that the router's certificate must come from")
	f.StringVar(&o.target.cert, "cert", "", "our certificate (PEM)")
	f.StringVar(&o.target.key, "key", "", "our certificate's private key (PEM)")
	f.StringVar(&o.target.user, "user", "", "user name at --target; asks for the password, unless RCLI_PASSWORD or --password-file has it")
	f.StringVar(&o.target.passwordFile, "password-file", "", "file whose first line is the user's password")
	f.BoolVar(&o.json, "json", false, "print JSON, for programs")
	root.Flags().StringArrayVarP(&o.commands, "command", "c", nil, "command to run; may be repeated")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(getCommand(o), setCommand(o), deleteCommand(o), loadCommand(o), showCommand(o), watchCommand(o))
	root.AddCommand(pingCommand(o), tracerouteCommand(o), restartCommand(o), fileCommand(o), hashCommand(o))
	root.AddCommand(commitCommand(o), rollbackCommand(o), rescueCommand(o), compareCommand(o), planCommand(o), candidatesCommand(o))
	for _, c := range root.Commands() {
		usageArgs(c)
	}
	return root
}

// usageArgs makes what a command says of its arguments a mistake in the usage.
func usageArgs(c *cobra.Command) {
	args := c.Args
	c.Args = func(cmd *cobra.Command, a []string) error {
		if args == nil {
			return nil
		}
		if err := args(cmd, a); err != nil {
			return usagef("%s: %w; usage: %s", cmd.Name(), err, cmd.UseLine())
		}
		return nil
	}
}

// runLine runs one -c command with the options of the outer call.
func runLine(ctx context.Context, o *options, outer *cobra.Command, line string) error {
	words, err := splitWords(line)
	if err != nil {
		return &usageError{err}
	}
	if len(words) == 0 {
		return nil
	}
	inner := &options{out: o.out, in: o.in}
	root := newRoot(inner)
	root.SetArgs(words)
	root.SetOut(outer.OutOrStdout())
	root.SetErr(outer.ErrOrStderr())
	// The defaults of the inner call are the values of the outer one.
	inner.target, inner.json = o.target, o.json
	return root.ExecuteContext(ctx)
}

// splitWords cuts a line at blanks; quotes and brackets keep blanks.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	depth, open := 0, false
	for _, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, open = r, true
		case (r == ' ' || r == '\t') && depth == 0:
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			switch r {
			case '[':
				depth++
			case ']':
				depth = max(0, depth-1)
			}
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%s: the quote %c is not closed", line, quote)
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words, nil
}
