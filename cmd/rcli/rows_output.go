package main

import (
	"context"
	"io"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/command"
	"router/cmd/rcli/output"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

var (
	levelArg = command.Arg{Name: "level", Kind: command.Keyword, Help: "only records of this level, and worse ones", Type: command.Enum(
		command.Candidate{Text: "debug"}, command.Candidate{Text: "info"}, command.Candidate{Text: "warning"}, command.Candidate{Text: "error"})}
	depthArg = command.Arg{Name: "depth", Kind: command.Keyword, Help: "only so many levels", Type: command.Integer(1, 64, "levels"), Place: "N"}
)

// interfaceArg is an optional name of a device, or of a unit.
func interfaceArg(name, help string) command.Arg {
	return command.Arg{Name: name, Help: help, Optional: true, Place: strings.ToUpper(name),
		Values: func(ctx context.Context, env *command.Env, _ *command.Input, prefix string) []command.Candidate {
			if env.Keys == nil {
				return nil
			}
			const most = 100
			device, id, unit := strings.Cut(prefix, ".")
			if !unit {
				return env.Keys(ctx, "/interface", "name", prefix, most)
			}
			list := env.Keys(ctx, "/interface[name="+device+"]/unit", "id", id, most)
			for i := range list {
				list[i].Text = device + "." + list[i].Text
			}
			return list
		}}
}

// nodeArg is an optional node of the model.
func nodeArg(v schema.View) command.Arg {
	return command.Arg{Name: "path", Kind: command.Path, Optional: true, Whole: true, View: v, Help: "a node of the model; all of it when left out"}
}

// outputRows are the commands that look: at the router as a whole, at any node, at
// what goes on; and those that clear what was counted.
func outputRows() []*command.Command {
	const mode = command.Operational
	return []*command.Command{
		{Words: "show system", Aliases: []string{"show version"}, Modes: mode, Help: "the router as a whole: version, uptime, memory, devices, tables, health",
			Run: online(func(ctx context.Context, o *options, c *client, _ *command.Input) error { return o.showSystem(ctx, c) })},
		{Words: "show log", Modes: mode, Help: "the newest records of the router's log",
			Args: []command.Arg{{Name: "lines", Kind: command.Keyword, Help: "how many of the newest", Default: "all that are kept", Type: command.Integer(1, 100_000, "records"), Place: "N"}, levelArg},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.showLog(ctx, c, &configpb.LogRecordsRequest{Lines: uint32(numberOf(in, "lines", 0)), Level: in.Value("level")})
			})},
		{Words: "info", Modes: command.Everywhere, Help: "print any node, of the configuration or of state",
			Long: "A path that is typed where a command would stand prints the node, too.",
			Args: []command.Arg{{Name: "from", Kind: command.Keyword, Help: "which side", Default: "running", Type: command.Enum(
				command.Candidate{Text: "running", Help: "what is configured"}, command.Candidate{Text: "state", Help: "what the router says of itself"})},
				depthArg, nodeArg(schema.State)},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				path, err := nodeOf(in)
				if err != nil {
					return err
				}
				from := in.Value("from")
				if from == "" {
					from = "running"
				}
				return o.info(ctx, c, from, numberOf(in, "depth", 0), path)
			})},
		{Words: "tree", Modes: command.Everywhere, Help: "draw the model below a node", Args: []command.Arg{depthArg, nodeArg(schema.Config)},
			Run: func(_ context.Context, env *command.Env, in *command.Input) error {
				return of(env).modelTree(in.Path("path").String(), numberOf(in, "depth", 0))
			}},
		{Words: "diff", Modes: command.Everywhere, Help: "what is configured and not in place so: what running says, and what state says", Args: []command.Arg{nodeArg(schema.Config)},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				path, err := nodeOf(in)
				if err != nil {
					return err
				}
				return o.diff(ctx, c, path)
			})},

		{Words: "monitor", Help: "show what goes on, until q or Ctrl-C"},
		{Words: "monitor interface", Aliases: []string{"monitor interfaces"}, Modes: mode, Live: true, Help: "rates of devices; of one that is named, and of its units",
			Args: []command.Arg{interfaceArg("name", "a device, or a unit"),
				{Name: "interval", Kind: command.Keyword, Help: "time between two looks", Default: "1s", Type: command.Duration, Place: "TIME"}},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				every := timeOf(in, "interval", time.Second)
				if every < 200*time.Millisecond || every > time.Hour {
					return usagef("monitor interface: interval %v: want 200ms to 1h", every)
				}
				return o.monitorInterfaces(ctx, c, in.Value("name"), every)
			})},
		{Words: "monitor route", Aliases: []string{"monitor routes"}, Modes: mode, Live: true, Help: "routes as they come, change and go",
			Args: []command.Arg{{Name: "prefix", Optional: true, Type: command.Prefix, Help: "only this prefix"}, instanceArg},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.monitorRoutes(ctx, c, in.Value("instance"), in.Value("prefix"))
			})},
		{Words: "monitor neighbor", Aliases: []string{"monitor neighbors"}, Modes: mode, Live: true, Help: "neighbours as they come, change and go",
			Args: []command.Arg{interfaceArg("interface", "a device, or a unit")},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.monitorNeighbors(ctx, c, in.Value("interface"))
			})},
		{Words: "monitor log", Modes: mode, Live: true, Help: "records of the log as they come", Args: []command.Arg{levelArg},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.monitorLog(ctx, c, in.Value("level"))
			})},

		{Words: "clear", Help: "forget what was counted or learned; nothing of the configuration"},
		{Words: "clear counters", Help: "have counters begin at zero"},
		{Words: "clear counters interface", Aliases: []string{"clear counters interfaces", "clear interfaces", "clear interface"}, Modes: mode, Effect: command.Clears,
			Help: "have the counters of devices and units begin at zero",
			Args: []command.Arg{interfaceArg("name", "a device with its units, or a unit; all when left out")},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.clearInterfaces(ctx, c, in.Value("name"))
			})},
		{Words: "clear counters filter", Aliases: []string{"clear counters filters", "clear filters", "clear filter"}, Modes: mode, Effect: command.Clears,
			Help: "have the counters of filters begin at zero",
			Args: []command.Arg{nameArg("name", "/filter/config/name", "a filter; all when left out")},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.clearFilters(ctx, c, in.Value("name"))
			})},
		{Words: "clear neighbors", Aliases: []string{"clear neighbor", "clear arp", "clear nd"}, Modes: mode, Effect: command.Disrupts,
			Help: "forget learned neighbours; those that routes use are asked for at once",
			Args: []command.Arg{{Name: "interface", Optional: true, Type: command.Leaf("/interface/unit/state/name"), Help: "only those of a unit"},
				{Name: "address", Kind: command.Keyword, Help: "only this one", Type: command.Address, Place: "ADDRESS"},
				{Name: "family", Kind: command.Keyword, Help: "only those of a family", Type: command.Enum(command.Candidate{Text: "inet"}, command.Candidate{Text: "inet6"})}},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.clearNeighbors(ctx, c, in.Value("interface"), in.Value("address"), in.Value("family"))
			})},

		{Words: "request", Help: "have the router or its shell do something out of the ordinary"},
		{Words: "request support", Help: "what the makers want to know"},
		{Words: "request support information", Modes: mode, Live: true, Help: "gather what is needed to find a fault, without secrets, in one file",
			Args: []command.Arg{{Name: "file", Optional: true, Type: command.File, Help: `where to put it; "-" prints it (default: support-HOST-TIME.txt, here)`}},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.support(ctx, c, in.Value("file"))
			})},
		{Words: "start", Help: "leave the shell for a while"},
		{Words: "start shell", Modes: mode, Effect: command.Privilege, Live: true, Help: "a shell of the machine: for root on the router itself, exit comes back",
			Run: func(ctx context.Context, env *command.Env, _ *command.Input) error {
				return of(env).startShell(ctx, env)
			}},
	}
}

// nodeOf is the node that the argument path names. Words name a leaf of state; from
// running it is the one of config.
func nodeOf(in *command.Input) (*gpb.Path, error) {
	p := in.Path("path")
	path, err := parsePath(p.String())
	if err != nil {
		return nil, err
	}
	n := len(path.GetElem())
	if t := p.Target(); n >= 2 && in.Value("from") != "state" && t != nil && path.GetElem()[n-2].GetName() == "state" {
		if config := t.Parent.Parent.Child("config"); config != nil && config.Child(t.Name) != nil {
			path.Elem[n-2].Name = "config"
		}
	}
	return path, nil
}

// outputStages are what may stand behind a pipe.
func outputStages() []*command.PipeStage {
	form := func(words, name, help string) *command.PipeStage {
		return &command.PipeStage{Words: words, Help: help, Setup: func(env *command.Env, _ *command.Input) error {
			env.Form = name
			return nil
		}}
	}
	pattern := command.Arg{Name: "pattern", Help: "a regular expression (RE2); without an upper-case letter it matches both cases"}
	matching := func(words, help string, stage func(string, io.Writer) (io.WriteCloser, error)) *command.PipeStage {
		return &command.PipeStage{Words: words, Help: help, Args: []command.Arg{pattern},
			New: func(_ *command.Env, in *command.Input, next io.Writer) (io.WriteCloser, error) {
				w, err := stage(in.Value("pattern"), next)
				if err != nil {
					return nil, &usageError{err}
				}
				return w, nil
			}}
	}
	return []*command.PipeStage{
		matching("match", "only the lines that match", output.Match),
		matching("except", "leave out the lines that match", output.Except),
		matching("find", "begin with the first line that matches", output.Find),
		{Words: "count", Help: "count the lines", New: func(_ *command.Env, _ *command.Input, next io.Writer) (io.WriteCloser, error) {
			return output.Count(next), nil
		}},
		{Words: "last", Help: "only the last lines", Args: []command.Arg{{Name: "lines", Optional: true, Type: command.Integer(1, 100_000, "lines"), Help: "how many (default 10)"}},
			New: func(_ *command.Env, in *command.Input, next io.Writer) (io.WriteCloser, error) {
				return output.Last(numberOf(in, "lines", 10), next)
			}},
		{Words: "no-more", Help: "don't stop at the end of each page", Setup: func(env *command.Env, _ *command.Input) error {
			env.NoPager = true
			return nil
		}},
		{Words: "save", Help: "write to a file instead of the screen",
			Args: []command.Arg{{Name: "file", Type: command.File, Help: "the file, on this machine"}, {Name: "append", Kind: command.Switch, Help: "behind what the file has"}},
			New: func(_ *command.Env, in *command.Input, next io.Writer) (io.WriteCloser, error) {
				return output.Save(in.Value("file"), in.Has("append"), next)
			}},
		form("as json", output.JSON, "the result as JSON"),
		form("as yaml", output.YAML, "the result as YAML"),
		form("as table", output.Table, "the result as tables: one for each list, a row for each entry"),
		form("display json", output.JSON, "the nodes as JSON (RFC 7951)"),
		form("display set", output.Set, "the nodes as set-commands; state as comments"),
		form("display xpath", output.XPath, "each leaf in a line: its path and its value"),
		form("display yang", output.Yang, "what the model says of the nodes"),
		{Words: "fields", Help: "only these leaves, as a table unless | as says otherwise",
			Args: []command.Arg{{Name: "name", Kind: command.Value, Repeat: true, Help: "a leaf's name, such as oper-status", Place: "NAME"}},
			Setup: func(env *command.Env, in *command.Input) error {
				env.Fields = append(env.Fields, in.Values("name")...)
				return nil
			}},
	}
}
