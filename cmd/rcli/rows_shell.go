package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"router/cmd/rcli/command"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// shellOf is the session that a command runs in; nil for a command that is an
// argument of rcli.
func shellOf(env *command.Env) *shell {
	s, _ := env.Shell.(*shell)
	return s
}

// inShell is a command's Run that needs a session.
func inShell(do func(ctx context.Context, s *shell, env *command.Env, in *command.Input) error) func(context.Context, *command.Env, *command.Input) error {
	return func(ctx context.Context, env *command.Env, in *command.Input) error {
		s := shellOf(env)
		if s == nil {
			return usagef("%s: it needs a session: call rcli without a command, or with -c", in.Command.Words)
		}
		return do(ctx, s, env, in)
	}
}

// shellRows are the commands of the shell itself.
func shellRows() []*command.Command {
	const config, both = command.Configuration, command.Everywhere
	onOff := command.Enum(command.Candidate{Text: "on"}, command.Candidate{Text: "off"})
	return []*command.Command{
		{Words: "configure", Modes: command.Operational, Effect: command.Edits, Help: "edit the configuration, in a candidate of one's own", Run: configure(configpb.Kind_KIND_PRIVATE),
			Long: "Changes are made in a candidate, and take effect with commit. The candidate is gone when its editor leaves; others' commits are merged into it."},
		{Words: "configure private", Modes: command.Operational, Effect: command.Edits, Help: "edit in a candidate of one's own (the default)", Run: configure(configpb.Kind_KIND_PRIVATE)},
		{Words: "configure exclusive", Modes: command.Operational, Effect: command.Edits, Help: "edit, and nobody else edits or commits meanwhile", Run: configure(configpb.Kind_KIND_EXCLUSIVE)},
		{Words: "configure shared", Modes: command.Operational, Effect: command.Edits, Help: "edit in a candidate with others, which stays when they leave", Run: configure(configpb.Kind_KIND_SHARED),
			Args: []command.Arg{{Name: "name", Optional: true, Help: "the candidate's name", Place: "NAME"}}},
		{Words: "edit", Modes: config, Effect: command.Edits, Help: "go to a place in the configuration",
			Args: []command.Arg{{Name: "path", Kind: command.Path, Optional: true, Inner: true, Help: "a container or a list entry, in words or as /path"}}, Run: inShell(edit)},
		{Words: "up", Modes: config, Effect: command.Edits, Help: "go up, one step or several",
			Args: []command.Arg{{Name: "steps", Optional: true, Type: command.Integer(1, 100, "steps"), Help: "how far", Default: "1"}},
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, in *command.Input) error {
				s.session.Edit = s.session.Edit.Up(numberOf(in, "steps", 1))
				return nil
			})},
		{Words: "top", Modes: config, Effect: command.Edits, Help: "go to the top of the configuration",
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, _ *command.Input) error {
				s.session.Edit = noPath
				return nil
			})},
		{Words: "exit", Modes: both, Effect: command.Edits, Help: "go up to where edit came from; at the top, leave configuration mode, or the shell", Run: inShell(exit)},
		{Words: "exit configuration-mode", Modes: config, Effect: command.Edits, Help: "leave configuration mode from anywhere",
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, _ *command.Input) error {
				return s.leaveConfiguration()
			})},
		{Words: "quit", Modes: both, Effect: command.Edits, Help: "leave the shell",
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, _ *command.Input) error {
				if s.session.Mode == command.Configuration {
					if err := s.leaveConfiguration(); err != nil || s.session.Mode == command.Configuration {
						return err
					}
				}
				s.session.Quit = true
				return nil
			})},
		{Words: "run", Modes: config, Help: "run a command of operational mode",
			Args: []command.Arg{{Name: "command", Kind: command.Nested, Mode: command.Operational, Help: "the command"}},
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error {
				return in.Nested.Command.Run(ctx, env, in.Nested)
			}},
		{Words: "help", Modes: both | command.Once, Help: "explain commands, or find them",
			Args: []command.Arg{{Name: "words", Kind: command.Rest, Optional: true, Help: "words of a command", Place: "COMMAND"}}, Run: explainCommand},
		{Words: "help apropos", Modes: both | command.Once, Help: "find commands, and nodes of the model, by words in their names and descriptions",
			Args: []command.Arg{{Name: "words", Repeat: true, Help: "words that all have to be there", Place: "WORD"}}, Run: apropos},
		{Words: "history", Modes: both, Help: "print the commands that were typed, the newest last",
			Args: []command.Arg{lastArg}, Run: inShell(printHistory)},
		{Words: "alias", Modes: both, Help: "declare a word for a command, or print those that are declared",
			Long: "In the text, $1 to $9 stand for the words behind the alias and $* for all of them. Aliases are kept from one session to the next.",
			Args: []command.Arg{{Name: "name", Optional: true, Help: "the word", Place: "NAME"}, {Name: "text", Optional: true, Help: "the command, in quotes", Place: "TEXT"}},
			Run:  inShell(declareAlias)},
		{Words: "unalias", Modes: both, Help: "forget an alias",
			Args: []command.Arg{{Name: "name", Help: "the word", Place: "NAME", Values: func(_ context.Context, env *command.Env, _ *command.Input, prefix string) []command.Candidate {
				if s := shellOf(env); s != nil {
					return s.aliases.candidates(prefix)
				}
				return nil
			}}},
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, in *command.Input) error {
				return s.aliases.set(in.Value("name"), "")
			})},
		{Words: "cli", Help: "how the shell behaves"},
		{Words: "cli space-completion", Modes: both, Help: "whether the space bar completes the word before it (default on)", Args: []command.Arg{{Name: "switch", Type: onOff, Help: "on or off"}},
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, in *command.Input) error {
				return s.prefer("space-completion", in.Value("switch"))
			})},
		{Words: "cli keys", Modes: both, Help: "which keys edit the line (default emacs)",
			Args: []command.Arg{{Name: "keys", Type: command.Enum(command.Candidate{Text: "emacs"}, command.Candidate{Text: "vi"}), Help: "the editor that they are like"}},
			Run: inShell(func(_ context.Context, s *shell, _ *command.Env, in *command.Input) error {
				return s.prefer("keys", in.Value("keys"))
			})},
	}
}

// configure opens a candidate and goes to configuration mode.
func configure(kind configpb.Kind) func(context.Context, *command.Env, *command.Input) error {
	return func(ctx context.Context, env *command.Env, in *command.Input) error {
		s := shellOf(env)
		if s == nil {
			return of(env).shellIn(ctx, in.Line)
		}
		if err := s.enter(ctx, kind, in.Value("name")); err != nil {
			return err
		}
		return s.others(ctx, env)
	}
}

// others says who else edits, beside what the commands print.
func (s *shell) others(ctx context.Context, env *command.Env) error {
	resp, err := s.client.configuration().List(s.client.context(ctx), &configpb.ListRequest{})
	if err != nil {
		return err
	}
	for _, c := range resp.GetCandidate() {
		for _, e := range c.GetEditors() {
			if c.GetId() == s.session.Candidate && len(c.GetEditors()) == 1 {
				continue
			}
			kind := strings.ToLower(strings.TrimPrefix(c.GetKind().String(), "KIND_"))
			_, err := fmt.Fprintf(env.Err, "%s edits too, since %s, in %s candidate %s with %d changes\n", e.GetUser(), clock(e.GetSince()), kind, cmp.Or(c.GetName(), c.GetId()), c.GetChanges())
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// edit goes to a container or a list entry.
func edit(_ context.Context, s *shell, _ *command.Env, in *command.Input) error {
	p := in.Path("path")
	switch n := p.Target(); {
	case n.Kind == schema.Leaf || n.Kind == schema.LeafList:
		return usagef("%s is a leaf: set gives it a value; edit goes to containers and list entries", p)
	case p.IsPattern():
		return usagef("%s stands for several entries: edit one", p)
	case !n.Config:
		return usagef("%s is state: run info shows it", p)
	}
	s.session.Edit = p
	return nil
}

// exit leaves where edit went, then configuration mode, then the shell.
func exit(_ context.Context, s *shell, _ *command.Env, _ *command.Input) error {
	switch {
	case s.session.Mode != command.Configuration:
		s.session.Quit = true
	case !s.session.Edit.IsRoot():
		s.session.Edit = noPath
	default:
		return s.leaveConfiguration()
	}
	return nil
}

// leaveConfiguration asks before changes are lost.
func (s *shell) leaveConfiguration() error {
	s.refresh(context.Background())
	if s.session.Status.Changed && s.session.Ask != nil && !s.session.Ask("There are changes that are not committed, and they are lost. Leave?") {
		return nil
	}
	s.leave()
	return nil
}

// explainCommand prints the usage and the arguments of commands.
func explainCommand(_ context.Context, env *command.Env, in *command.Input) error {
	words := in.Values("words")
	if len(words) == 0 {
		_, err := fmt.Fprint(env.Out, globalHelp)
		return err
	}
	found := false
	for _, c := range commandTable().Commands() {
		if c.Modes&env.Session.Mode == 0 || !slices.Equal(words, strings.Fields(c.Words)[:min(len(words), len(strings.Fields(c.Words)))]) {
			continue
		}
		if found {
			fmt.Fprintln(env.Out)
		}
		found = true
		fmt.Fprintf(env.Out, "%s\n    %s\n", c.Usage(), c.Help)
		if c.Long != "" {
			fmt.Fprintf(env.Out, "    %s\n", c.Long)
		}
		if e := c.Effect.String(); e != "" {
			fmt.Fprintf(env.Out, "    Effect: %s.\n", e)
		}
		var lines [][]string
		for _, a := range c.Args {
			help := a.Help
			if a.Default != "" {
				help += " (default " + a.Default + ")"
			}
			lines = append(lines, []string{"  " + a.Name, help})
		}
		printColumns(env.Out, lines)
	}
	if !found {
		return usagef("there is no command %q here; help apropos %s looks further", strings.Join(words, " "), words[0])
	}
	return nil
}

// globalHelp is what a second '?' shows, and help alone.
const globalHelp = `Keys
  ?                what may come next; twice: this page
  Tab              complete, or a menu of what may come next
  Space            complete the word (cli space-completion off)
  Ctrl-R           search the history        Ctrl-P, Ctrl-N   go through it
  Ctrl-C           drop the line, or stop the command
  Ctrl-D           exit
Everywhere
  COMMAND | STAGE  pass the output through a stage
  /path            go to a place in the configuration (operational mode: print it)
  # text           a comment
  help COMMAND     explain a command         help apropos WORD  find one
  alias NAME TEXT  a word of one's own       history            what was typed
  cli keys vi      the keys of vi            exit, quit         leave
Configuration mode
  run COMMAND      a command of operational mode
  edit, up, top    move                      set, delete        change
  commit           make it take effect       exit               leave
`

func apropos(_ context.Context, env *command.Env, in *command.Input) error {
	mode := env.Session.Mode
	if mode&command.Once != 0 {
		mode |= command.Everywhere
	}
	list := commandTable().Apropos(mode, in.Values("words")...)
	if len(list) == 0 {
		return fmt.Errorf("nothing is about %s", strings.Join(in.Values("words"), " "))
	}
	var lines [][]string
	for _, c := range list {
		lines = append(lines, []string{c.Text, c.Help})
	}
	var b strings.Builder
	printColumns(&b, lines)
	text := b.String()
	if env.Terminal {
		text = fitted(text, env.Width())
	}
	_, err := io.WriteString(env.Out, text)
	return err
}

func printHistory(_ context.Context, s *shell, env *command.Env, in *command.Input) error {
	h, ok := s.input.(interface{ History() []string })
	if !ok {
		return errors.New("this terminal keeps no history")
	}
	lines := h.History()
	first := 0
	if n := numberOf(in, "last", 0); n > 0 {
		first = max(0, len(lines)-n)
	}
	for i, line := range lines[first:] {
		if _, err := fmt.Fprintf(env.Out, "%5s  %s\n", strconv.Itoa(first+i+1), line); err != nil {
			return err
		}
	}
	return nil
}

func declareAlias(_ context.Context, s *shell, env *command.Env, in *command.Input) error {
	name := in.Value("name")
	if in.Has("text") {
		if commandTable().Begins(command.Everywhere, name) {
			return usagef("alias %s: there is a command of that name", name)
		}
		return s.aliases.set(name, in.Value("text"))
	}
	for _, n := range slices.Sorted(maps.Keys(s.aliases.text)) {
		if name == "" || n == name {
			fmt.Fprintf(env.Out, "alias %s %s\n", n, command.QuoteWord(s.aliases.text[n]))
		}
	}
	if _, ok := s.aliases.text[name]; name != "" && !ok {
		return fmt.Errorf("there is no alias %s", name)
	}
	return nil
}
