package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"router/cmd/rcli/command"
	"router/internal/manual"
)

// places are how the manual writes the values of options.
var places = map[string]string{
	"ca": "FILE", "cert": "FILE", "key": "FILE", "command": "COMMAND", "fingerprint": "SHA256", "known-hosts": "FILE", "password-file": "FILE",
	"socket": "PATH", "target": "[USER@]ADDRESS[:PORT]", "user": "NAME",
}

// TestManual makes rcli.1 and the completions of rcli, with -update, and checks them
// else.
func TestManual(t *testing.T) {
	root := newRoot(&options{})
	p := manual.Page{Name: "rcli", Section: 1, Purpose: "the shell of the router"}
	p.Head("synopsis")
	p.Text("rcli [OPTION]... [COMMAND]")
	p.Text("rcli [OPTION]... -c COMMAND [-c COMMAND]...")
	p.Head("description")
	p.Text("Rcli speaks to a router, routerd(8), by gNMI and its other services. Without a command it is a shell: at a terminal with completion, help at '?', and a history; elsewhere it reads lines. Commands of the operational mode may also be given as arguments, or with -c, for scripts: keywords and switches are options then, too.")
	p.Text("A PATH is a gNMI path, such as /interface[name=ge0]/config/mru. Shells give brackets a meaning of their own: quote it.")
	p.Head("options")
	items := func(f *pflag.Flag) {
		kind, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if kind != "" {
			term += " " + cmp.Or(places[f.Name], "VALUE")
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			usage += "; default: " + f.DefValue
		}
		p.Item(term, usage)
	}
	root.LocalFlags().VisitAll(items)
	for _, mode := range []struct {
		title, text string
		is          func(command.Mode) bool
	}{
		{"operational commands", "These may be given at the prompt that ends in '>', behind run in configuration mode, and as arguments.",
			func(m command.Mode) bool { return m&command.Operational != 0 }},
		{"configuration commands", "These may be given at the prompt that ends in '#', behind configure. They change a copy of the configuration, until commit.",
			func(m command.Mode) bool { return m&command.Configuration != 0 && m&command.Operational == 0 }},
		{"commands for scripts", "These are arguments of rcli alone. Each is a commit, or changes nothing.",
			func(m command.Mode) bool { return m&^command.Once == 0 }},
	} {
		p.Head(mode.title)
		p.Text(mode.text)
		for _, c := range commandTable().Commands() {
			if !mode.is(c.Modes) || c.Hidden {
				continue
			}
			p.Sub(c.Usage())
			text := strings.ToUpper(c.Help[:1]) + c.Help[1:] + "."
			if e := c.Effect.String(); e != "" {
				text += " (" + strings.ToUpper(e[:1]) + e[1:] + ".)"
			}
			p.Text(text)
			if c.Long != "" {
				p.Text(c.Long)
			}
			arguments(&p, c.Args)
		}
	}
	if stages := commandTable().Stages(); len(stages) > 0 {
		p.Head("pipes")
		p.Text("What a command prints can be worked on behind a bar.")
		for _, s := range stages {
			text := s.Help
			if s.Long != "" {
				text += ". " + s.Long
			}
			p.Item(s.Usage(), text)
		}
	}
	p.Head("remote routers")
	p.Text("With --target ADDRESS, USER@ADDRESS or either with :PORT (9339 when left out), rcli speaks TLS to a router elsewhere. The password is asked for at the terminal, or comes from RCLI_PASSWORD or --password-file. The router's certificate must come from the authority in --ca; or have the SHA-256 that --fingerprint names; or come from an authority that this machine trusts; or be the one that the known_hosts file has. One that none of that vouches for is shown at a terminal, and kept there if it is accepted. A router that is known and shows another certificate is refused.")
	p.Head("environment")
	p.Item("RCLI_PASSWORD", "the password of --user")
	p.Item("TERM", "dumb, or none, is a plain terminal: no escapes, no pager, a regular prompt (as with --basic)")
	p.Item("NO_COLOR", "no colours")
	p.Head("files")
	p.Item("~/.config/rcli/known_hosts", "the routers whose certificates were accepted")
	p.Item("/run/routerd/routerd.sock", "the router of this machine, for root")
	p.Head("exit status")
	p.Item("0", "done")
	p.Item("1", "refused, by the router or by rcli")
	p.Item("2", "a mistake in the command")
	p.Item("3", "no connection to the router, or one that broke under way, or the router's certificate is not the router's")
	p.Item("130", "interrupted by Ctrl-C")
	p.Head("examples")
	p.Code(strings.TrimLeft(root.Example, "\n"))
	p.Head("see also")
	p.Text("routerd(8), routerd.yaml(5)")
	manual.Check(t, "man/rcli.1", p.Render())

	for _, c := range []struct {
		file string
		make func(*bytes.Buffer) error
	}{
		{"completions/bash/rcli", func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) }},
		{"completions/zsh/_rcli", func(b *bytes.Buffer) error { return root.GenZshCompletion(b) }},
		{"completions/fish/rcli.fish", func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) }},
	} {
		var b bytes.Buffer
		if err := c.make(&b); err != nil {
			t.Fatal(err)
		}
		manual.Check(t, c.file, b.Bytes())
	}
}

// arguments lists what may stand behind a command.
func arguments(p *manual.Page, args []command.Arg) {
	for _, a := range args {
		term, help := a.Name, a.Help
		switch a.Kind {
		case command.Keyword:
			if a.Short != "" {
				term += " (-" + a.Short + ")"
			}
		case command.Switch:
			if a.Short != "" {
				term += " (-" + a.Short + ")"
			}
		case command.Value, command.Path, command.Set, command.Rest, command.Nested:
			term = strings.ToUpper(term)
		}
		if a.Default != "" {
			help += fmt.Sprintf(" (default %s)", a.Default)
		}
		p.Item(term, help)
	}
}
