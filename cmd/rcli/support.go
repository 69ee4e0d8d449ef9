package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/command"
	"router/gen/configpb"
)

// A section is a part of the support information.
type section struct {
	title string
	write func(ctx context.Context, o *options, c *client) error
}

// mostRoutes bounds the routes in it: a table of a million helps nobody.
const mostRoutes = 1000

func sections() []section {
	list := func(do func(context.Context, *options, *client, []string) error) func(context.Context, *options, *client) error {
		return func(ctx context.Context, o *options, c *client) error { return do(ctx, o, c, nil) }
	}
	return []section{
		{"system", func(ctx context.Context, o *options, c *client) error { return o.showSystem(ctx, c) }},
		{"health", list(showHealth)},
		{"interfaces", list(showInterfacesDetail)},
		{"neighbors", list(showNeighbors)},
		{"routes, a summary", func(ctx context.Context, o *options, c *client) error { return o.showRouteSummary(ctx, c, "") }},
		{fmt.Sprintf("routes, the first %d", mostRoutes), func(ctx context.Context, o *options, c *client) error {
			return o.showRoute(ctx, c, &configpb.RoutesRequest{Limit: mostRoutes, Permanent: true})
		}},
		{"sessions and classes", func(ctx context.Context, o *options, c *client) error { return showLocalPolicy(ctx, o, c) }},
		{"filters", list(showFilters)},
		{"policers", list(showPolicers)},
		{"commits", func(ctx context.Context, o *options, c *client) error { return showCommits(ctx, o, c) }},
		{"drops of the dataplane", func(ctx context.Context, o *options, c *client) error {
			return o.info(ctx, c, "state", 0, &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "state"}, {Name: "dataplane"}}})
		}},
		{"log", func(ctx context.Context, o *options, c *client) error {
			return o.showLog(ctx, c, &configpb.LogRecordsRequest{})
		}},
		{"configuration, secrets hidden", func(ctx context.Context, o *options, c *client) error {
			text, err := c.commands(ctx, gpb.GetRequest_CONFIG, &gpb.Path{})
			if err == nil {
				_, err = io.WriteString(o.out, text)
			}
			return err
		}},
	}
}

// support gathers what is needed to find a fault. A part that can't be had is named,
// with the reason, and the others come all the same.
func (o *options) support(ctx context.Context, c *client, file string) error {
	if o.wantsData() {
		return usagef("request support information writes text: leave the form out")
	}
	if file == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "router"
		}
		file = fmt.Sprintf("support-%s-%s.txt", host, time.Now().Format("20060102-150405"))
	}
	out := o.out
	var f *os.File
	if file != "-" {
		var err error
		if f, err = os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return fmt.Errorf("support information: %w (it is never written over a file that is there)", err)
		}
		out = f
	}
	b := bufio.NewWriter(out)
	own := o.asText()
	own.out, own.view = b, view{}
	fmt.Fprintf(b, "Support information of %s, gathered at %s\n", o.target, time.Now().Format(time.RFC3339))
	missing := 0
	for _, s := range sections() {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), closed(f))
		}
		fmt.Fprintf(b, "\n%s %s %s\n\n", strings.Repeat("=", 10), s.title, strings.Repeat("=", 10))
		if err := s.write(ctx, own, c); err != nil {
			missing++
			lines, _ := explain(o.target, err)
			fmt.Fprintf(b, "not to be had: %s\n", strings.Join(lines, "; "))
		}
	}
	if err := errors.Join(b.Flush(), closed(f)); err != nil {
		return err
	}
	if f == nil {
		return nil
	}
	_, err := fmt.Fprintf(o.out, "%d parts, %d not to be had, written to %s\n", len(sections()), missing, file)
	return err
}

func closed(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// startShell runs a shell of the machine. Who has none of the router's rules to fear
// is root, on the router.
func (o *options) startShell(ctx context.Context, env *command.Env) error {
	switch {
	case o.target.address != "":
		return errors.New("start shell: this is not the router's machine: log in there")
	case os.Geteuid() != 0:
		return errors.New("start shell: only root may")
	case env.Session == nil || !env.Session.Interactive:
		return errors.New("start shell: there is nobody at a terminal")
	}
	path := os.Getenv("SHELL")
	if path == "" {
		path = "/bin/sh"
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return nil // what the last command in it came to is its own
	}
	if err != nil {
		return fmt.Errorf("start shell: %w", err)
	}
	return nil
}
