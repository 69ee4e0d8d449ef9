package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/command"
	"router/cmd/rcli/conf"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// longestWait is the longest that a confirmed commit waits, in minutes.
const longestWait = 60 * 24 * 7

// commitArgs are what everything takes that makes a commit.
func commitArgs(before ...command.Arg) []command.Arg {
	return append(before,
		command.Arg{Name: "check", Kind: command.Switch, Help: "validate and say what would be done; change nothing"},
		command.Arg{Name: "comment", Kind: command.Keyword, Help: "words for the log of commits", Place: "TEXT"},
		command.Arg{Name: "confirmed", Kind: command.Keyword, Help: "take the commit back after so many minutes unless it is confirmed", Type: command.Integer(1, longestWait, "minutes"), Place: "MINUTES"},
		command.Arg{Name: "id", Kind: command.Keyword, Help: "name of the confirmed commit (default: made up)", Place: "ID"}, forceArg)
}

// forceArg is the explicit word for a commit that may leave nobody to take it back.
var forceArg = command.Arg{Name: "force", Kind: command.Switch, Help: "do it though it may cut the connection that it is made by"}

// commitOptionsOf reads commitArgs.
func commitOptionsOf(in *command.Input) *commitOptions {
	return &commitOptions{check: in.Has("check"), comment: in.Value("comment"), confirmed: numberOf(in, "confirmed", 0), id: in.Value("id"), force: in.Has("force")}
}

var (
	fileArg      = command.Arg{Name: "file", Type: command.File, Help: `a file of JSON, commands or the form with braces; "-" is standard input`}
	confirmIDArg = command.Arg{Name: "id", Optional: true, Help: "name of the confirmed commit (default: the one that waits)"}
	pathsArg     = command.Arg{Name: "path", Repeat: true, Help: "a path such as /interface[name=eth1]/state", Place: "PATH"}
)

// modeAndFile splits the words of load: the mode, merge when it is left out, and the
// file.
func modeAndFile(in *command.Input) (mode, file string, err error) {
	words := in.Values("file")
	mode, file = "merge", words[len(words)-1]
	if len(words) == 2 {
		mode = words[0]
	}
	if len(words) > 2 || mode != "merge" && mode != "replace" {
		return "", "", usagef("%s: want [merge|replace] FILE", in.Command.Words)
	}
	return mode, file, nil
}

// configRows are the commands that read and commit the configuration without a
// candidate: for scripts.
func configRows() []*command.Command {
	files := command.Arg{Name: "file", Kind: command.Rest, Place: "[merge|replace] FILE", Help: fileArg.Help}
	return []*command.Command{
		{Words: "commit", Help: "confirm or cancel a confirmed commit, move its deadline, or make one"},
		{Words: "rescue", Help: "keep running as the configuration to go back to when all else fails, or go back to it"},
		{Words: "get", Modes: command.Operational, Help: "print what stands at a path, as RFC 7951 JSON or as set-commands",
			Args: []command.Arg{pathsArg,
				{Name: "type", Kind: command.Keyword, Help: "side of the model", Default: "all", Type: command.Enum(command.Candidate{Text: "all"}, command.Candidate{Text: "config"}, command.Candidate{Text: "state"})},
				{Name: "set", Kind: command.Switch, Help: "print set-commands, which load takes: of configuration, or with type of state too, as comments"}},
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error { return runGet(ctx, of(env), in) }},
		{Words: "set", Modes: command.Once, Effect: command.Commits, Help: "set leaves, or merge JSON into containers; one commit",
			Args: []command.Arg{forceArg, {Name: "words", Kind: command.Rest, Dashed: true, Place: "PATH VALUE [PATH VALUE]", Help: "pairs of a path and a value; or words, as configuration mode takes them: interface eth1 mru 1600"}},
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error {
				return runSet(ctx, of(env), in.Values("words"), in.Has("force"))
			}},
		{Words: "delete", Modes: command.Once, Effect: command.Commits, Help: "delete what stands at the paths, or at the place that words name, as interface eth1 mru; behind a leaf-list, some of its values; one commit", Args: []command.Arg{pathsArg, forceArg},
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error {
				return runDelete(ctx, of(env), in.Values("path"), in.Has("force"))
			}},
		{Words: "load", Modes: command.Once, Effect: command.Commits, Help: "commit RFC 7951 JSON of the whole tree, commands, or the form with braces, from a file (- is standard input); merge is the default",
			Args: commitArgs(files),
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error {
				mode, file, err := modeAndFile(in)
				if err != nil {
					return err
				}
				if f := commitOptionsOf(in); f.given() {
					return of(env).commitFile(ctx, mode, file, f)
				}
				return load(ctx, of(env), mode, file)
			}},
		{Words: "plan", Modes: command.Once, Help: "say what loading a file would do; change nothing", Args: []command.Arg{files},
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error {
				mode, file, err := modeAndFile(in)
				if err != nil {
					return err
				}
				return of(env).commitFile(ctx, mode, file, &commitOptions{check: true})
			}},
		{Words: "commit confirmed", Modes: command.Once, Effect: command.Commits, Help: "load a file as a commit that is taken back unless it is confirmed in time",
			Args: []command.Arg{
				{Name: "minutes", Type: command.Integer(1, longestWait, "minutes"), Help: "how long it waits"}, files,
				{Name: "comment", Kind: command.Keyword, Help: "words for the log of commits", Place: "TEXT"},
				{Name: "id", Kind: command.Keyword, Help: "name of the confirmed commit (default: made up)", Place: "ID"}},
			Run: func(ctx context.Context, env *command.Env, in *command.Input) error {
				mode, file, err := modeAndFile(in)
				if err != nil {
					return err
				}
				f := commitOptionsOf(in)
				f.confirmed = numberOf(in, "minutes", 0)
				return of(env).commitFile(ctx, mode, file, f)
			}},
		{Words: "commit confirm", Modes: command.Everywhere, Effect: command.Commits, Help: "make the confirmed commit that waits last", Args: []command.Arg{confirmIDArg},
			Run: endCommit("confirmed", func(ctx context.Context, c *client, id string) error {
				_, err := c.configuration().Confirm(ctx, &configpb.ConfirmRequest{Id: id})
				return err
			})},
		{Words: "commit cancel", Modes: command.Everywhere, Effect: command.Commits, Help: "take the confirmed commit that waits back now", Args: []command.Arg{confirmIDArg},
			Run: endCommit("taken back", func(ctx context.Context, c *client, id string) error {
				_, err := c.configuration().Cancel(ctx, &configpb.ConfirmRequest{Id: id})
				return err
			})},
		{Words: "commit wait", Modes: command.Everywhere, Effect: command.Commits, Help: "move the deadline of the confirmed commit that waits",
			Args: []command.Arg{{Name: "minutes", Type: command.Integer(1, longestWait, "minutes"), Help: "how long it waits from now"}, confirmIDArg},
			Run: online(func(ctx context.Context, _ *options, c *client, in *command.Input) error {
				_, err := c.configuration().SetWait(c.context(ctx), &configpb.SetWaitRequest{Id: in.Value("id"), Seconds: uint32(numberOf(in, "minutes", 0)) * 60})
				return err
			})},
		{Words: "rollback", Modes: command.Once, Effect: command.Commits, Help: "make the configuration what it was after commit N, as a new commit (show commits lists them)",
			Args: commitArgs(command.Arg{Name: "number", Type: command.Leaf("/system/commit/number"), Help: "a commit"}),
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				n, err := strconv.ParseUint(in.Value("number"), 10, 64)
				if err != nil {
					return usagef("rollback %s: want the number of a commit", in.Value("number"))
				}
				return o.rollback(ctx, c, commitOptionsOf(in), func(ctx context.Context, req *configpb.RollbackRequest) (*configpb.CommitResponse, error) {
					req.Number = n
					return c.configuration().Rollback(ctx, req)
				})
			})},
		{Words: "rescue save", Modes: command.Operational, Help: "keep running as the configuration to go back to",
			Run: online(func(ctx context.Context, _ *options, c *client, _ *command.Input) error {
				_, err := c.configuration().SaveRescue(c.context(ctx), &configpb.SaveRescueRequest{})
				return err
			})},
		{Words: "rescue load", Modes: command.Operational, Effect: command.Commits, Help: "go back to the rescue configuration, as a commit", Args: commitArgs(),
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.rollback(ctx, c, commitOptionsOf(in), func(ctx context.Context, req *configpb.RollbackRequest) (*configpb.CommitResponse, error) {
					return c.configuration().LoadRescue(ctx, req)
				})
			})},
		{Words: "compare", Modes: command.Operational, Help: "what turns the configuration after commit FROM into that after TO (default: the newest)",
			Args: []command.Arg{
				{Name: "from", Type: command.Leaf("/system/commit/number"), Help: "a commit"},
				{Name: "to", Optional: true, Type: command.Leaf("/system/commit/number"), Help: "a commit"}},
			Run: online(compareCommits)},
		{Words: "candidates", Modes: command.Operational, Help: "list the open candidates: who edits what since when", Run: online(showCandidates)},
	}
}

// endCommit is a command that ends the confirmed commit that waits.
func endCommit(done string, call func(context.Context, *client, string) error) func(context.Context, *command.Env, *command.Input) error {
	return online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
		if err := call(c.context(ctx), c, in.Value("id")); err != nil {
			return err
		}
		_, err := fmt.Fprintln(o.out, done)
		return err
	})
}

func runGet(ctx context.Context, o *options, in *command.Input) error {
	kind := map[string]gpb.GetRequest_DataType{"": gpb.GetRequest_ALL, "all": gpb.GetRequest_ALL, "config": gpb.GetRequest_CONFIG, "state": gpb.GetRequest_STATE}[in.Value("type")]
	var paths []*gpb.Path
	for _, a := range in.Values("path") {
		p, err := parsePath(a)
		if err != nil {
			return err
		}
		paths = append(paths, p)
	}
	asCommands := in.Has("set")
	if asCommands && o.json {
		return usagef("--set and --json are two forms: choose one")
	}
	if asCommands && !in.Has("type") {
		kind = gpb.GetRequest_CONFIG
	}
	return o.with(func(c *client) error {
		if asCommands {
			return printCommands(ctx, o, c, kind, paths)
		}
		notes, err := c.get(ctx, kind, paths...)
		if err != nil {
			return err
		}
		return printNotifications(o, notes)
	})
}

// inWordsOfModel reports whether what follows set or delete is said in words, as
// `interface eth1 mru 1600`, rather than by paths.
func inWordsOfModel(words []string) bool {
	return len(words) > 0 && !strings.ContainsAny(words[0], "/[") && !(len(words) == 2 && strings.HasPrefix(words[1], "{"))
}

// valuesFollow reports whether words are the path of a leaf-list and some of its values.
func valuesFollow(words []string) bool {
	if len(words) < 2 || strings.HasPrefix(words[1], "/") {
		return false
	}
	p, err := schema.ParsePath(words[0])
	return err == nil && p.Target().Kind == schema.LeafList
}

// runWords commits one command that is said in words.
func runWords(ctx context.Context, o *options, verb string, words []string, force bool) error {
	in, err := commandTable().Parse(verb+" "+command.Join(words), command.Configuration, noPath)
	if err != nil {
		return err
	}
	lines := strings.Builder{}
	if verb == "set" {
		for _, st := range in.Statements("node") {
			more, err := o.setLines(st)
			if err != nil {
				return err
			}
			lines.WriteString(more)
		}
	} else {
		p := in.Path("path")
		paths, err := conf.Ranges(p)
		if err != nil {
			return &usageError{err}
		}
		values := in.Statements("path")[0].Values
		if len(values) > 0 {
			if err := o.with(func(c *client) error { return source{client: c}.has(ctx, paths, values) }); err != nil {
				return err
			}
		}
		lines.WriteString(strings.Join(deleteLines(paths, values), ""))
	}
	return o.commitEdits(ctx, []*configpb.Edit{conf.CommandsEdit(lines.String(), false)}, &commitOptions{force: force})
}

func runSet(ctx context.Context, o *options, words []string, force bool) error {
	if inWordsOfModel(words) {
		return runWords(ctx, o, "set", words, force)
	}
	if len(words)%2 != 0 {
		return usagef("set: want pairs of a path and a value, have %d words", len(words))
	}
	req := &gpb.SetRequest{}
	for i := 0; i < len(words); i += 2 {
		p, err := parsePath(words[i])
		if err != nil {
			return err
		}
		word := words[i+1]
		if n, err := schema.ParsePath(pathText(p)); err == nil && n.Target().Secret() {
			if word, err = o.secretValue(word); err != nil {
				return fmt.Errorf("%s: %w", pathText(p), err)
			}
		}
		v, err := encodeValue(p, word)
		if err != nil {
			return err
		}
		req.Update = append(req.Update, &gpb.Update{Path: p, Val: v})
	}
	return o.set(ctx, req, force)
}

func runDelete(ctx context.Context, o *options, paths []string, force bool) error {
	switch {
	case inWordsOfModel(paths):
		return runWords(ctx, o, "delete", paths, force)
	case valuesFollow(paths):
		words := append([]string{"/" + strings.TrimLeft(paths[0], "/")}, paths[1:]...)
		return runWords(ctx, o, "delete", words, force)
	}
	req := &gpb.SetRequest{}
	for _, a := range paths {
		p, err := parsePath(a)
		if err != nil {
			return err
		}
		req.Delete = append(req.Delete, p)
	}
	return o.set(ctx, req, force)
}

// set makes one commit of a Set.
func (o *options) set(ctx context.Context, req *gpb.SetRequest, force bool) error {
	return o.with(func(c *client) error {
		err := o.uncut(ctx, &commitOptions{force: force}, func(ctx context.Context) (*configpb.Plan, error) { return c.planOf(ctx, req) })
		if err != nil {
			return err
		}
		return c.set(ctx, req, o.quiet())
	})
}
