package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"router/cmd/rcli/command"
	"router/cmd/rcli/conf"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// editRows are the commands of configuration mode.
func editRows() []*command.Command {
	const config = command.Configuration
	node := command.Arg{Name: "path", Kind: command.Path, Help: "a node, in words or as /path; keys may be patterns, as eth* or eth[0-3]"}
	entry := command.Arg{Name: "entry", Kind: command.Path, Help: "an entry of a list"}
	to := command.Arg{Name: "to", Kind: command.Keyword, Required: true, Help: "the key of the other entry; in quotes, if there are several", Place: "KEY"}
	place := command.Arg{Name: "path", Kind: command.Path, Optional: true, Whole: true, Help: "a node, in words or as /path (default: the place where one stands)"}
	commitNumber := command.Leaf("/system/commit/number")
	return []*command.Command{
		{Words: "set", Modes: config, Effect: command.Edits, Help: "give a leaf a value, or make an entry of a list",
			Long: "Keys may be patterns: a range in brackets, as eth[0-3] or [1,7-9], stands for each of its members, which are made; '*' and '?' stand for entries that are there. " +
				"A secret without a value is asked for and not shown; @FILE takes it from the first line of a file, @- from standard input.",
			Args: []command.Arg{{Name: "node", Kind: command.Set, Help: "a node, in words or as /path, and its value"}},
			Run:  inShell(editSet)},
		{Words: "delete", Modes: config, Effect: command.Edits, Help: "delete a node and all below it, or some values of a leaf-list",
			Args: []command.Arg{{Name: "path", Kind: command.Path, Optional: true, Whole: true, Some: true, Place: "PATH [VALUE...]", Help: node.Help + " (default: all below the place where one stands); of a leaf-list, those of its values that follow"}},
			Run:  inShell(editDelete)},
		{Words: "rename", Modes: config, Effect: command.Edits, Help: "give an entry of a list another key", Args: []command.Arg{entry, to}, Run: inShell(editMove("rename"))},
		{Words: "copy", Modes: config, Effect: command.Edits, Help: "make an entry of a list as another one is", Args: []command.Arg{entry, to}, Run: inShell(editMove("copy"))},
		{Words: "insert", Modes: config, Effect: command.Edits, Help: "move an entry of a list whose order counts",
			Args: []command.Arg{entry,
				{Name: "first", Kind: command.Switch, Help: "before all others"}, {Name: "last", Kind: command.Switch, Help: "behind all others"},
				{Name: "before", Kind: command.Keyword, Help: "before the entry with this key", Place: "KEY"}, {Name: "after", Kind: command.Keyword, Help: "behind the entry with this key", Place: "KEY"}},
			Run: inShell(editInsert)},
		{Words: "deactivate", Modes: config, Effect: command.Edits, Help: "take a node out of use, and keep it",
			Long: "What is inactive stays in the configuration and is shown, and means nothing: no rule is asked about it, nothing can refer to it, and it has no state.",
			Args: []command.Arg{node}, Run: inShell(eachNode(func(p string) *configpb.Edit { return &configpb.Edit{Edit: &configpb.Edit_Deactivate{Deactivate: p}} }))},
		{Words: "activate", Modes: config, Effect: command.Edits, Help: "bring an inactive node back into use",
			Args: []command.Arg{node}, Run: inShell(eachNode(func(p string) *configpb.Edit { return &configpb.Edit{Edit: &configpb.Edit_Activate{Activate: p}} }))},
		{Words: "annotate", Modes: config, Effect: command.Edits, Help: `put a comment on a node; "" takes it away`,
			Args: []command.Arg{{Name: "path", Kind: command.Path, Help: "a node, in words or as /path"}, {Name: "comment", Help: "the comment, in quotes", Place: "TEXT"}},
			Run: inShell(func(ctx context.Context, s *shell, _ *command.Env, in *command.Input) error {
				return s.edit(ctx, &configpb.Edit{Edit: &configpb.Edit_Annotate_{Annotate: &configpb.Edit_Annotate{Path: in.Path("path").String(), Comment: in.Value("comment")}}})
			})},
		{Words: "show", Modes: config, Help: "print the candidate from here on down", Args: []command.Arg{place},
			Long: "`show | compare` prints what the candidate changes, and `show | compare rollback N` what turns the configuration after commit N into it.",
			Run:  inShell(showCandidate)},
		{Words: "compare", Modes: config, Help: "print what the candidate changes",
			Args: []command.Arg{{Name: "rollback", Kind: command.Keyword, Type: commitNumber, Help: "compare with the configuration after this commit instead of running"}, place},
			Run: inShell(func(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
				return s.compare(ctx, env, in.Value("rollback"), in.Path("path"))
			})},
		{Words: "status", Modes: config, Help: "list the open candidates: who edits what since when", Run: online(showCandidates)},
		{Words: "update", Modes: config, Effect: command.Edits, Help: "settle what somebody's commit has changed as well",
			Args: []command.Arg{{Name: "resolution", Optional: true, Help: "whose changes stand; without it the conflicts are listed",
				Type: command.Enum(command.Candidate{Text: "mine", Help: "the candidate's"}, command.Candidate{Text: "theirs", Help: "those that were committed"})}},
			Run: inShell(updateCandidate)},
		{Words: "discard", Modes: config, Effect: command.Edits, Help: "take the candidate's changes back, from here on down or at a node", Args: []command.Arg{place},
			Run: inShell(func(ctx context.Context, s *shell, _ *command.Env, in *command.Input) error {
				req := &configpb.DiscardRequest{Id: s.session.Candidate}
				if p := in.Path("path"); !p.IsRoot() {
					req.Path = []string{p.String()}
				}
				m, err := s.client.configuration().Discard(s.client.context(ctx), req)
				if err == nil {
					s.Note(m)
				}
				return inWords(err)
			})},
		{Words: "rollback", Modes: config, Effect: command.Edits, Help: "make the candidate what the configuration was after a commit; without a number, what is running",
			Args: []command.Arg{{Name: "number", Optional: true, Type: commitNumber, Help: "a commit (show system commit lists them)"}},
			Run:  inShell(rollbackCandidate)},
		{Words: "rollback rescue", Modes: config, Effect: command.Edits, Help: "make the candidate the rescue configuration",
			Run: inShell(func(ctx context.Context, s *shell, env *command.Env, _ *command.Input) error {
				return s.loaded(ctx, env, &configpb.Edit{Edit: &configpb.Edit_Rollback_{Rollback: &configpb.Edit_Rollback{Rescue: true}}})
			})},
		{Words: "load", Help: "change the candidate by a text, from a file or typed"},
		loadRow("merge", "add a text to the candidate"),
		loadRow("replace", "make the candidate exactly a text"),
		loadRow("set", "do the commands of a text: set, delete, deactivate, annotate, insert and others"),
		loadRow("patch", "do what a text of compare tells"),
		{Words: "commit", Modes: config, Effect: command.Commits, Help: "put the candidate in force, durably",
			Long: "All of it takes effect, or nothing. Where somebody has committed something else in the same places meanwhile, nothing does, and the conflicts are listed. While a confirmed commit waits and nothing has changed since, commit confirms it.",
			Args: append(commitWords(), command.Arg{Name: "check", Kind: command.Switch, Help: "only say whether it is valid, and what it would do"}),
			Run:  inShell(commitCandidate)},
		{Words: "commit confirmed", Modes: config, Effect: command.Commits, Help: "put the candidate in force, and take it back unless it is confirmed in time",
			Args: append([]command.Arg{{Name: "minutes", Optional: true, Type: command.Integer(1, longestWait, "minutes"), Default: strconv.Itoa(confirmMinutes), Help: "how long it waits"}}, commitWords()...),
			Run:  inShell(commitCandidate)},
		{Words: "show system commit", Modes: command.Operational | command.Once, Help: "the commits: number, time, user, source, changes and comment",
			Run: online(func(ctx context.Context, o *options, c *client, _ *command.Input) error {
				return showCommits(ctx, o, c)
			})},
	}
}

// confirmMinutes is how long a confirmed commit waits when nothing else is said.
const confirmMinutes = 10

func commitWords() []command.Arg {
	return []command.Arg{
		{Name: "comment", Kind: command.Keyword, Help: "words for the log of commits", Place: "TEXT"},
		{Name: "and-quit", Kind: command.Switch, Help: "leave configuration mode when it is done"},
		forceArg,
	}
}

func loadRow(how, help string) *command.Command {
	return &command.Command{Words: "load " + how, Modes: command.Configuration, Effect: command.Edits, Help: help,
		Long: "The text comes from a file, or from the terminal up to Ctrl-D. Merge and replace take the form with braces that show prints, JSON and set-commands.",
		Args: []command.Arg{{Name: "file", Type: command.File, Help: `a file; "terminal" for what is typed up to Ctrl-D`},
			{Name: "relative", Kind: command.Switch, Help: "the text begins at the place where one stands"}},
		Run: inShell(func(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
			return s.load(ctx, env, how, in.Value("file"), in.Has("relative"))
		})}
}

// edit sends edits of the candidate: all or none.
func (s *shell) edit(ctx context.Context, edits ...*configpb.Edit) error {
	m, err := s.client.configuration().Edit(s.client.context(ctx), &configpb.EditRequest{Id: s.session.Candidate, Edit: edits})
	if err != nil {
		return inWords(err)
	}
	s.Note(m)
	return nil
}

// commands sends set-commands.
func (s *shell) commands(ctx context.Context, lines []string) error {
	return s.edit(ctx, conf.CommandsEdit(strings.Join(lines, ""), false))
}

func editSet(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
	var lines []string
	for _, st := range in.Statements("node") {
		text, err := of(env).setLines(st)
		if err != nil {
			return err
		}
		lines = append(lines, text)
	}
	return s.commands(ctx, lines)
}

// setLines are the set-commands of a statement, one for each entry that its patterns
// stand for. A secret without a value is asked for.
func (o *options) setLines(st schema.Statement) (string, error) {
	if st.Path.Target().Secret() {
		hash, err := o.secretValue(strings.Join(st.Values, ""))
		if err != nil {
			return "", fmt.Errorf("%s: %w", st.Path.Words(), err)
		}
		st.Values = []string{hash}
	}
	paths, err := conf.Ranges(st.Path)
	if err != nil {
		return "", &usageError{err}
	}
	var lines strings.Builder
	for _, p := range paths {
		lines.WriteString("set " + conf.PathWord(p))
		for _, v := range st.Values {
			lines.WriteString(" " + schema.Quote(v))
		}
		lines.WriteString("\n")
	}
	return lines.String(), nil
}

func editDelete(ctx context.Context, s *shell, _ *command.Env, in *command.Input) error {
	p := in.Path("path")
	if whole := p.IsRoot(); whole && s.session.Ask != nil && !s.session.Ask("Delete the whole configuration?") {
		return nil
	}
	paths, err := conf.Ranges(p)
	if err != nil {
		return &usageError{err}
	}
	values := in.Statements("path")[0].Values
	if len(values) > 0 {
		if err := s.source().has(ctx, paths, values); err != nil {
			return err
		}
	} else if !p.IsRoot() && !s.stands(ctx, paths) {
		return fmt.Errorf("nothing stands at %s", p.Words())
	}
	return s.commands(ctx, deleteLines(paths, values))
}

// deleteLines are the commands that delete the nodes at paths, or values of leaf-lists
// there.
func deleteLines(paths []schema.Path, values []string) []string {
	lines := make([]string, len(paths))
	for i, p := range paths {
		lines[i] = conf.Delete(schema.Statement{Path: p, Values: values}) + "\n"
	}
	return lines
}

// changes are how many leaves the candidate changes, as far as is known.
func (s *shell) changes() (n uint64, ok bool) {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	return s.news.candidate.GetChanges(), s.news.candidate != nil
}

// eachNode does an edit for a node, or each that a range stands for.
func eachNode(make func(path string) *configpb.Edit) func(context.Context, *shell, *command.Env, *command.Input) error {
	return func(ctx context.Context, s *shell, _ *command.Env, in *command.Input) error {
		paths, err := conf.Ranges(in.Path("path"))
		if err != nil {
			return &usageError{err}
		}
		var edits []*configpb.Edit
		for _, p := range paths {
			edits = append(edits, make(p.String()))
		}
		return s.edit(ctx, edits...)
	}
}

func editMove(verb string) func(context.Context, *shell, *command.Env, *command.Input) error {
	return func(ctx context.Context, s *shell, _ *command.Env, in *command.Input) error {
		from := in.Path("entry")
		to := []string{in.Value("to")}
		if len(from.Target().Keys) > 1 {
			to = strings.Fields(in.Value("to"))
		}
		x, err := conf.MoveEdit(verb, from, to)
		if err != nil {
			return &usageError{err}
		}
		return s.edit(ctx, x)
	}
}

func editInsert(ctx context.Context, s *shell, _ *command.Env, in *command.Input) error {
	said := 0
	place, key := configpb.Edit_Insert_FIRST, ""
	for _, c := range []struct {
		name  string
		place configpb.Edit_Insert_Place
	}{{"first", configpb.Edit_Insert_FIRST}, {"last", configpb.Edit_Insert_LAST}, {"before", configpb.Edit_Insert_BEFORE}, {"after", configpb.Edit_Insert_AFTER}} {
		if in.Has(c.name) {
			said++
			if place = c.place; place == configpb.Edit_Insert_BEFORE || place == configpb.Edit_Insert_AFTER {
				key = in.Value(c.name)
			}
		}
	}
	if said != 1 {
		return usagef("insert: say first, last, before KEY or after KEY")
	}
	x, err := conf.InsertEdit(in.Path("entry"), place, key)
	if err != nil {
		return &usageError{err}
	}
	return s.edit(ctx, x)
}

func rollbackCandidate(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
	if !in.Has("number") {
		m, err := s.client.configuration().Discard(s.client.context(ctx), &configpb.DiscardRequest{Id: s.session.Candidate})
		if err == nil {
			s.Note(m)
		}
		return inWords(err)
	}
	n, err := strconv.ParseUint(in.Value("number"), 10, 64)
	if err != nil {
		return usagef("rollback %s: want the number of a commit", in.Value("number"))
	}
	return s.loaded(ctx, env, &configpb.Edit{Edit: &configpb.Edit_Rollback_{Rollback: &configpb.Edit_Rollback{Number: n}}})
}

// loaded sends edits and says how much they change.
func (s *shell) loaded(ctx context.Context, env *command.Env, edits ...*configpb.Edit) error {
	if err := s.edit(ctx, edits...); err != nil {
		return err
	}
	n, _ := s.changes()
	_, err := fmt.Fprintf(env.Out, "load complete: the candidate changes %d leaves\n", n)
	return err
}

// editStages are what may stand behind show in configuration mode.
func editStages() []*command.PipeStage {
	return []*command.PipeStage{{Words: "compare", Help: "what the candidate changes",
		Args: []command.Arg{{Name: "rollback", Kind: command.Keyword, Type: command.Leaf("/system/commit/number"), Help: "compare with the configuration after this commit instead of running"}},
		Setup: func(env *command.Env, in *command.Input) error {
			if env.Session == nil || env.Session.Mode != command.Configuration {
				return usagef("compare: it stands behind show in configuration mode")
			}
			if !env.Compare {
				env.Compare, env.Rollback = true, in.Value("rollback")
			}
			return nil
		}}}
}
