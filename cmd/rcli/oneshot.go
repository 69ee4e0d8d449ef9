package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/command"
)

// onceMode is the mode of commands that are arguments of rcli.
const onceMode = command.Operational | command.Once

// newRoot builds cobra's commands from the table.
func newRoot(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:   "rcli",
		Short: "the shell of the router: a gNMI client of routerd",
		Long: `Rcli is the shell of the router: a gNMI client of routerd. Without a command it
reads commands: at a terminal with completion, help at '?' and a history.

A PATH is a gNMI path. Shells give brackets a meaning of their own, so quote it. Each
set, delete and load given here is one commit: all of it takes effect, or nothing.
Exit codes: 0 done, 1 refused, 2 usage, 3 no connection.`,
		Example: `  rcli
  rcli show interfaces
  rcli get --type state '/interface[name=eth1]'
  rcli set '/interface[name=eth1]/config/mru' 1600
  rcli load replace router.json
  rcli -c 'delete /interface[name=eth1]/unit[id=7]' -c 'show route'
  rcli watch '/interface[name=*]/state/oper-status'
  rcli ping 192.0.2.7 --instance blue
  rcli traceroute 2001:db8::7`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			_, err := commandTable().Parse(command.Join(args), onceMode, noPath)
			return unknown(err, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.commands) > 0 {
				return o.runLines(cmd.Context(), o.commands)
			}
			return o.shellIn(cmd.Context(), "")
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.StringVar(&o.target.socket, "socket", "/run/routerd/routerd.sock", "routerd's Unix socket")
	f.StringVar(&o.target.address, "target", "", "routerd elsewhere, instead of the socket: [USER@]ADDRESS[:PORT]")
	f.BoolVar(&o.target.insecure, "insecure", false, "plaintext to --target")
	f.StringVar(&o.target.ca, "ca", "", "file of authorities (PEM) that the router's certificate must come from")
	f.StringVar(&o.target.cert, "cert", "", "our certificate (PEM)")
	f.StringVar(&o.target.key, "key", "", "our certificate's private key (PEM)")
	f.StringVar(&o.target.knownHosts, "known-hosts", "", "file of the routers whose certificates were accepted (default: rcli/known_hosts in the user's configuration directory)")
	f.StringVar(&o.target.fingerprint, "fingerprint", "", "SHA-256 of the router's certificate, as show certificate prints it there: accept that one")
	f.StringVar(&o.target.user, "user", "", "user name at --target; asks for the password, unless RCLI_PASSWORD or --password-file has it")
	f.StringVar(&o.target.passwordFile, "password-file", "", "file whose first line is the user's password")
	f.BoolVar(&o.json, "json", false, "print JSON, for programs")
	f.BoolVar(&o.basic, "basic", false, "a plain terminal: no escapes, no pager, a regular prompt")
	root.Flags().StringArrayVarP(&o.commands, "command", "c", nil, "command to run; may be repeated")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true})
	for _, c := range commandTable().Commands() {
		if c.Modes&onceMode == 0 {
			continue
		}
		for i, words := range append([]string{c.Words}, c.Aliases...) {
			o.add(root, c, strings.Fields(words), i > 0)
		}
	}
	return root
}

// unknown is what is wrong with words that no command has.
func unknown(err error, args []string) error {
	if err == nil {
		return usagef("unknown command %q; rcli --help lists them", strings.Join(args, " "))
	}
	return &usageError{err}
}

// add puts a command into cobra's tree, and what is missing above it.
func (o *options) add(at *cobra.Command, c *command.Command, words []string, alias bool) {
	for i, w := range words[:len(words)-1] {
		at = o.group(at, w, strings.Join(words[:i+1], " "))
	}
	last := words[len(words)-1]
	cmd := find(at, last)
	if cmd != nil && cmd.HasSubCommands() || cmd == nil {
		group := cmd
		cmd = o.leaf(c, last)
		if group != nil {
			at.RemoveCommand(group)
			cmd.AddCommand(group.Commands()...)
		}
		cmd.Hidden = alias || c.Hidden
		at.AddCommand(cmd)
	}
}

func find(at *cobra.Command, name string) *cobra.Command {
	for _, c := range at.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// group is the command of words that begin several.
func (o *options) group(at *cobra.Command, word, words string) *cobra.Command {
	if c := find(at, word); c != nil {
		return c
	}
	c := &cobra.Command{Use: word, Short: commandTable().Group(words)}
	c.Args = func(_ *cobra.Command, args []string) error {
		line := append(strings.Fields(words), args...)
		_, err := commandTable().Parse(command.Join(line), onceMode, noPath)
		return unknown(err, line)
	}
	c.RunE = func(*cobra.Command, []string) error { return nil }
	at.AddCommand(c)
	return c
}

// leaf is cobra's command of a row: keywords and switches are its flags.
func (o *options) leaf(c *command.Command, word string) *cobra.Command {
	usage := strings.TrimSpace(strings.TrimPrefix(c.Usage(), c.Words))
	cmd := &cobra.Command{Use: strings.TrimSpace(word + " " + usage), Short: c.Help, Long: c.Long, DisableFlagsInUseLine: true}
	flags := map[string]bool{}
	for _, a := range c.Args {
		switch a.Kind {
		case command.Keyword:
			cmd.Flags().StringArrayP(a.Name, a.Short, nil, a.Help)
			if a.Default != "" {
				cmd.Flags().Lookup(a.Name).DefValue = a.Default
			}
		case command.Switch:
			cmd.Flags().BoolP(a.Name, a.Short, false, a.Help)
		case command.Rest:
			cmd.Flags().SetInterspersed(!a.Dashed)
			continue
		case command.Value, command.Path, command.Set, command.Nested:
			continue
		}
		flags[a.Name] = true
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var words []string
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if !flags[f.Name] {
				return
			}
			if f.Value.Type() == "bool" {
				if f.Value.String() == "true" {
					words = append(words, "--"+f.Name)
				}
				return
			}
			if list, ok := f.Value.(pflag.SliceValue); ok {
				for _, v := range list.GetSlice() {
					words = append(words, "--"+f.Name+"="+v)
				}
			}
		})
		in, err := commandTable().ParseArgs(c, append(words, args...), onceMode, noPath)
		if err != nil {
			return err
		}
		return o.once(cmd.Context(), in)
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return o.offer(cmd.Context(), append(strings.Fields(c.Words), args...), start)
	}
	return cmd
}

// once runs one command, which Ctrl-C stops.
func (o *options) once(ctx context.Context, in *command.Input) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return interrupted(execute(ctx, o.environment(&command.Session{Mode: onceMode}), in))
}

// interrupted is how a command ended that a signal may have cut short: what it says of
// that itself is of no use. One that is meant to run until then ends without an error.
func interrupted(err error) error {
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return &exitError{exitInterrupted}
	}
	return err
}

// runLines runs the -c commands in one session, up to the first that fails.
func (o *options) runLines(ctx context.Context, lines []string) error {
	s, err := o.open(onceMode)
	if err != nil {
		return err
	}
	defer s.close()
	for _, line := range lines {
		if err := interrupted(s.run(ctx, line)); err != nil {
			if e, ok := command.AsError(err); ok {
				return usagef("%w\n%s", err, strings.TrimRight(e.Caret("  "), "\n"))
			}
			return err
		}
		if s.session.Quit {
			break
		}
	}
	return nil
}
