// Net measures what a router forwards, and how long it takes: a generator, a
// router and a sink in namespaces of their own, joined by veth, all on one machine
// (docs/decisions/0032-benchmark.md says how, docs/performance.md what came out).
//
//	net setup      makes the namespaces
//	net run        measures in them, and writes the results as JSON
//	net report     writes the results into docs/performance.md and docs/plots
//	net teardown   removes the namespaces
//	net all        does these in turn, and removes the namespaces in any case
//
// It needs root, and routerd and rcli in bin/ (make bench-net builds them).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"router/internal/testnet"
)

// options are what the flags say.
type options struct {
	prefix  string
	bin     string
	rounds  int
	time    time.Duration
	blast   time.Duration
	only    *regexp.Regexp
	devices map[string]bool // empty: all
	results string
	doc     string
	plots   string
	note    string

	destinations int // that packets go to in turn
}

func main() {
	o, verb, err := parse(os.Args[1:])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = do(ctx, o, verb)
		stop()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench-net: %v\n", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, verb string, err error) {
	f := flag.NewFlagSet("bench-net", flag.ContinueOnError)
	f.Usage = func() {} // below
	usage := func() {
		fmt.Fprintln(f.Output(), "usage: bench-net [flags] setup|run|report|teardown|all|list")
		f.PrintDefaults()
	}
	f.StringVar(&o.prefix, "prefix", "bench-", "what the namespaces' names begin with")
	f.StringVar(&o.bin, "bin", "bin", "directory of routerd")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each scenario; medians are reported")
	f.DurationVar(&o.time, "time", 15*time.Minute, "how long all scenarios may take together: what is left when it is over gets fewer rounds, and in the end none")
	f.DurationVar(&o.blast, "blast", 400*time.Millisecond, "how long packets flow for one figure")
	only := f.String("only", "", "regular expression of the scenarios to run, by name")
	devices := f.String("devices", "", "devices to measure, separated by commas; without, all")
	f.StringVar(&o.results, "results", "docs/plots/bench-net.json", "file of the results")
	f.StringVar(&o.doc, "doc", "docs/performance.md", "document whose section report rewrites")
	f.StringVar(&o.plots, "plots", "docs/plots", "directory that report writes plots to")
	f.IntVar(&o.destinations, "destinations", 1<<20, "addresses that packets go to in turn: few stay in a cache, and so do their routes")
	f.StringVar(&o.note, "note", "", "a remark for the report, such as what else ran")
	// Usage is for those who ask; a mistake gets a line.
	f.SetOutput(io.Discard)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(os.Stdout)
			usage()
		}
		return o, "", err
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, "", fmt.Errorf("only: %w", err)
	}
	o.devices = make(map[string]bool)
	for _, name := range strings.FieldsFunc(*devices, func(r rune) bool { return r == ',' }) {
		if !known(name) {
			return o, "", fmt.Errorf("device %q: want %s", name, strings.Join(deviceNames(), ", "))
		}
		o.devices[name] = true
	}
	if f.NArg() != 1 {
		return o, "", fmt.Errorf("want one of setup, run, report, teardown, all and list, not %q", f.Args())
	}
	if o.rounds < 1 || o.blast < 10*time.Millisecond || o.time <= 0 || o.destinations < 1 {
		return o, "", fmt.Errorf("%d rounds, blasts of %v, %v in all and %d destinations: want at least 1, 10ms, some and 1", o.rounds, o.blast, o.time, o.destinations)
	}
	return o, f.Arg(0), nil
}

func do(ctx context.Context, o options, verb string) error {
	if verb != "report" && verb != "list" && os.Geteuid() != 0 {
		return errors.New("network namespaces and XDP need root: run it as root")
	}
	switch verb {
	case "setup":
		return setup(o)
	case "run":
		return run(ctx, o)
	case "report":
		return report(o)
	case "teardown":
		return testnet.Remove(o.prefix)
	case "list":
		for _, s := range scenarios() {
			fmt.Println(s.Name)
		}
		return nil
	case "all":
		if err := setup(o); err != nil {
			return err
		}
		err := run(ctx, o)
		if err == nil {
			err = report(o)
		}
		return errors.Join(err, testnet.Remove(o.prefix))
	}
	return fmt.Errorf("%q: want setup, run, report, teardown, all or list", verb)
}

// setup makes the namespaces, in place of any that an earlier run left.
func setup(o options) error {
	if err := testnet.Remove(o.prefix); err != nil {
		return err
	}
	err := guarded(func(t *stage) {
		build(t, o.prefix)
		t.keep = true
	})
	if err != nil {
		return errors.Join(err, testnet.Remove(o.prefix))
	}
	return nil
}
