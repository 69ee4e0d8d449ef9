package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
)

// A Table is all that can be said to the shell. It is made by NewTable and never
// changes: it is safe for concurrent use.
type Table struct {
	commands []*Command
	stages   []*PipeStage
	phrases  []phrase // of the commands
	piped    []phrase // of the stages
	groups   map[string]string
}

// A phrase is one way to name a command or a stage.
type phrase struct {
	words  []string
	alias  bool // matched whole, and never offered
	hidden bool
	modes  Mode
	help   string
	args   []Arg
	cmd    *Command
	stage  *PipeStage
}

// NewTable makes a table, and says what is wrong with its rows: words that stand
// twice in a mode, arguments that no line could reach, leaves that the model does not
// have. A row without Run and Modes is no command: it has the help of words that
// begin several, as `show` does.
func NewTable(commands []*Command, stages []*PipeStage) (*Table, error) {
	t := &Table{stages: stages, groups: map[string]string{}}
	var errs []error
	for _, c := range commands {
		if c.Run == nil && c.Modes == 0 {
			t.groups[c.Words] = c.Help
			continue
		}
		t.commands = append(t.commands, c)
		errs = append(errs, checkRow(c.Words, c.Args)...)
		if c.Run == nil || c.Help == "" || c.Modes == 0 {
			errs = append(errs, fmt.Errorf("command %q: Run, Help and Modes are wanted", c.Words))
		}
		for i, words := range append([]string{c.Words}, c.Aliases...) {
			t.phrases = append(t.phrases, phrase{words: strings.Fields(words), alias: i > 0, hidden: c.Hidden, modes: c.Modes, help: c.Help, args: c.Args, cmd: c})
		}
	}
	for _, s := range stages {
		errs = append(errs, checkRow("| "+s.Words, s.Args)...)
		t.piped = append(t.piped, phrase{words: strings.Fields(s.Words), modes: ^Mode(0), help: s.Help, args: s.Args, stage: s})
	}
	for _, list := range [][]phrase{t.phrases, t.piped} {
		for i, a := range list {
			for _, b := range list[:i] {
				if slices.Equal(a.words, b.words) && a.modes&b.modes != 0 {
					errs = append(errs, fmt.Errorf("%q stands twice in the table", strings.Join(a.words, " ")))
				}
			}
		}
	}
	return t, errors.Join(errs...)
}

func checkRow(words string, args []Arg) []error {
	var errs []error
	names := map[string]bool{}
	last, optional := "", false
	for _, a := range args {
		if names[a.Name] {
			errs = append(errs, fmt.Errorf("%s: argument %s stands twice", words, a.Name))
		}
		names[a.Name] = true
		if a.Type.fixed == modelLeaf {
			if n, err := schema.Find(a.Type.leaf); err != nil || n.Type == nil {
				errs = append(errs, fmt.Errorf("%s: argument %s: the model has no leaf %s", words, a.Name, a.Type.leaf))
			}
		}
		switch a.Kind {
		case Keyword, Switch:
			continue
		case Value, Path, Set, Rest, Nested:
		}
		switch {
		case last != "":
			errs = append(errs, fmt.Errorf("%s: argument %s takes all that follows: %s is never reached", words, last, a.Name))
		case optional && !a.Optional:
			errs = append(errs, fmt.Errorf("%s: argument %s is optional, but %s behind it is not", words, args[0].Name, a.Name))
		}
		optional = optional || a.Optional
		if a.Kind == Rest || a.Kind == Nested || a.Kind == Set || a.Kind == Value && a.Repeat {
			last = a.Name
		}
	}
	return errs
}

// Commands are all rows, in the order in which they were given. The caller must not
// change them.
func (t *Table) Commands() []*Command { return t.commands }

// Stages are the rows of what may stand behind a pipe.
func (t *Table) Stages() []*PipeStage { return t.stages }

// Group is the help of words that begin several commands, "" for none.
func (t *Table) Group(words string) string { return t.groups[words] }

// Find is the command of exactly these words in a mode; nil for none.
func (t *Table) Find(mode Mode, words ...string) *Command {
	for _, p := range t.phrases {
		if p.modes&mode != 0 && slices.Equal(p.words, words) {
			return p.cmd
		}
	}
	return nil
}

// Begins reports whether a command in one of the modes begins with a word.
func (t *Table) Begins(mode Mode, word string) bool {
	return slices.ContainsFunc(t.phrases, func(p phrase) bool { return p.modes&mode != 0 && p.words[0] == word })
}

// Usage is the command with its arguments: show route [PREFIX] [instance NAME].
func (c *Command) Usage() string { return usage(c.Words, c.Args) }

// Usage is the stage with its arguments.
func (s *PipeStage) Usage() string { return usage("| "+s.Words, s.Args) }

func usage(words string, args []Arg) string {
	for _, a := range args {
		part := a.usage()
		if a.Optional || (a.Kind == Keyword || a.Kind == Switch) && !a.Required {
			part = "[" + part + "]"
		}
		if a.Repeat {
			part += "..."
		}
		words += " " + part
	}
	return words
}

func (a Arg) usage() string {
	switch a.Kind {
	case Switch:
		return a.Name
	case Keyword:
		return a.Name + " " + a.placeholder()
	case Set:
		return "PATH VALUE"
	case Value, Path, Rest, Nested:
	}
	return a.placeholder()
}

// placeholder is the value's place in capitals.
func (a Arg) placeholder() string {
	switch {
	case a.Place != "":
		return a.Place
	case a.Kind == Keyword && len(a.Type.enum) > 0 && len(a.Type.enum) <= 4:
		return strings.Join(a.Type.names(), "|")
	case a.Kind == Keyword:
		return strings.ToUpper(strings.Trim(a.Type.place(), "<>"))
	case a.Kind == Nested:
		return "COMMAND"
	}
	return strings.ToUpper(a.Name)
}

// Apropos finds the commands and stages whose words, help or arguments have all of
// the words, in any case and place, and then the nodes of the model of which that is
// true.
func (t *Table) Apropos(mode Mode, words ...string) []Candidate {
	has := func(texts ...string) bool {
		all := strings.ToLower(strings.Join(texts, " "))
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(all, strings.ToLower(w)) })
	}
	var list []Candidate
	for _, c := range t.commands {
		if c.Hidden || c.Modes&mode == 0 {
			continue
		}
		texts := []string{c.Words, c.Help, c.Long}
		for _, a := range c.Args {
			texts = append(texts, a.Name, a.Help)
		}
		if has(texts...) {
			list = append(list, Candidate{Text: c.Usage(), Help: c.Help})
		}
	}
	for _, s := range t.stages {
		if has(s.Words, s.Help, s.Long) {
			list = append(list, Candidate{Text: s.Usage(), Help: s.Help, Pipe: true})
		}
	}
	return append(list, aproposModel(schema.Root(), "", has)...)
}

// aproposModel finds nodes of the configuration's model, as `set` names them.
func aproposModel(n *schema.Node, at string, has func(...string) bool) []Candidate {
	var list []Candidate
	for _, c := range n.Words(schema.Config) {
		if c.Bookkeeping() {
			continue
		}
		words := at + " " + c.Name
		for _, k := range c.Keys {
			words += " <" + k.Name + ">"
		}
		if has(c.Name, c.Help) {
			list = append(list, Candidate{Text: "set" + words, Help: c.Summary()})
		}
		list = append(list, aproposModel(c, words, has)...)
	}
	return list
}
