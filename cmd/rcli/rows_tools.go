package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	gfile "github.com/openconfig/gnoi/file"
	"github.com/openconfig/gnoi/system"

	"router/cmd/rcli/command"
)

// probeArgs are what ping and traceroute have in common.
func probeArgs(more ...command.Arg) []command.Arg {
	return append([]command.Arg{
		{Name: "destination", Help: "address or name of a host", Place: "DESTINATION"},
		instanceArg,
		{Name: "source", Kind: command.Keyword, Help: "address of the router's to send from", Type: command.Address, Place: "ADDRESS"},
		{Name: "interface", Kind: command.Keyword, Help: "unit: of a link-local destination, its link; else whose address to send from", Type: command.Leaf("/interface/unit/state/name"), Place: "UNIT"},
		{Name: "df", Kind: command.Switch, Help: "forbid routers to fragment (IPv4)"},
		{Name: "ipv4", Short: "4", Kind: command.Switch, Help: "of a name, the IPv4 address"},
		{Name: "ipv6", Short: "6", Kind: command.Switch, Help: "of a name, the IPv6 address"},
		{Name: "wait", Kind: command.Keyword, Help: "how long to wait for an answer (default: the router's choice)", Type: command.Duration, Place: "TIME"},
	}, more...)
}

func probeFlagsOf(in *command.Input) probeFlags {
	return probeFlags{source: in.Value("source"), instance: cmp.Or(in.Value("instance"), "default"), unit: in.Value("interface"),
		df: in.Has("df"), four: in.Has("ipv4"), six: in.Has("ipv6"), wait: timeOf(in, "wait", 0)}
}

// timeOf is the value of an argument that the table has checked to be a time.
func timeOf(in *command.Input, name string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(in.Value(name))
	if err != nil {
		return otherwise
	}
	return d
}

// toolRows are the commands that make the router do something, and those of this
// machine.
func toolRows() []*command.Command {
	return []*command.Command{
		{Words: "file", Help: "files that the router has for its clients, such as the audit log"},
		{Words: "ping", Modes: command.Operational, Live: true, Help: "send echo requests through the dataplane and print the answers",
			Args: probeArgs(
				command.Arg{Name: "count", Short: "n", Kind: command.Keyword, Help: "packets to send; 0 for no end", Default: "5", Type: command.Integer(0, 1<<31-1, "packets"), Place: "N"},
				command.Arg{Name: "size", Kind: command.Keyword, Help: "octets of data in each packet", Default: "56", Type: command.Integer(1, 65507, "octets"), Place: "N"},
				command.Arg{Name: "interval", Kind: command.Keyword, Help: "time between packets", Default: "1s", Type: command.Duration, Place: "TIME"},
				command.Arg{Name: "flood", Kind: command.Switch, Help: "send the next packet when the last is answered"}),
			Run: runPing},
		{Words: "traceroute", Aliases: []string{"trace"}, Modes: command.Operational, Live: true, Help: "print the routers on the way to a destination, as the dataplane sees it",
			Args: probeArgs(
				command.Arg{Name: "first-ttl", Kind: command.Keyword, Help: "where to begin", Default: "1", Type: command.Integer(1, 255, "hops"), Place: "N"},
				command.Arg{Name: "max-ttl", Kind: command.Keyword, Help: "where to end", Default: "30", Type: command.Integer(1, 255, "hops"), Place: "N"},
				command.Arg{Name: "protocol", Kind: command.Keyword, Help: "what to send", Default: "udp", Type: command.Enum(command.Candidate{Text: "udp"}, command.Candidate{Text: "icmp"}, command.Candidate{Text: "tcp"})},
				command.Arg{Name: "resolve", Kind: command.Switch, Help: "print the names of routers too"}),
			Run: runTraceroute},
		{Words: "restart", Modes: command.Operational, Live: true, Effect: command.Restarts, Help: "restart routerd in place, now or later; the fast path forwards on meanwhile",
			Args: []command.Arg{
				{Name: "in", Kind: command.Keyword, Help: "how long to wait with it", Type: command.Duration, Place: "TIME"},
				{Name: "message", Kind: command.Keyword, Help: "why, for the log and for status", Place: "TEXT"},
				{Name: "force", Kind: command.Switch, Help: "even if something would be lost"},
				{Name: "cancel", Kind: command.Switch, Help: "take back the restart that is pending"},
				{Name: "status", Kind: command.Switch, Help: "print what is pending, or what was last"}},
			Run: runRestart},
		{Words: "watch", Modes: command.Operational, Live: true, Help: "print values as they change (or regularly) until interrupted",
			Args: []command.Arg{pathsArg, {Name: "every", Kind: command.Keyword, Help: "sample at this interval, such as 1s", Type: command.Duration, Place: "TIME"}},
			Run:  runWatch},
		{Words: "file list", Modes: command.Operational, Help: "what is in a directory of the router's", Args: []command.Arg{{Name: "path", Optional: true, Help: "a directory", Place: "PATH"}},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.listFiles(c.context(ctx), gfile.NewFileClient(c.conn), in.Values("path"))
			})},
		{Words: "file get", Modes: command.Operational, Help: "fetch a file of the router's",
			Args: []command.Arg{{Name: "path", Help: "a file", Place: "PATH"},
				{Name: "output", Short: "o", Kind: command.Keyword, Help: `where to put it; "-" prints it (default: the file's name, here)`, Type: command.File, Place: "FILE"}},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.getFile(c.context(ctx), gfile.NewFileClient(c.conn), in.Value("path"), in.Value("output"))
			})},
		{Words: "file remove", Modes: command.Operational, Effect: command.Clears, Help: "remove a file of the router's", Args: []command.Arg{{Name: "path", Help: "a file", Place: "PATH"}},
			Run: online(func(ctx context.Context, _ *options, c *client, in *command.Input) error {
				_, err := gfile.NewFileClient(c.conn).Remove(c.context(ctx), &gfile.RemoveRequest{RemoteFile: in.Value("path")})
				return err
			})},
		{Words: "hash-password", Modes: command.Operational, Live: true, Help: "print the bcrypt hash of a password, for /user/config/password-hash; asks for it, or reads a line",
			Run: func(_ context.Context, env *command.Env, _ *command.Input) error { return of(env).hashPassword() }},
	}
}

func runPing(ctx context.Context, env *command.Env, in *command.Input) error {
	f := probeFlagsOf(in)
	req := &system.PingRequest{Count: int32(numberOf(in, "count", 5)), Size: int32(numberOf(in, "size", 56)), Interval: int64(timeOf(in, "interval", time.Second)),
		Wait: int64(f.wait), DoNotFragment: f.df, DoNotResolve: true, NetworkInstance: f.instance}
	if req.GetCount() == 0 {
		req.Count = -1
	}
	if in.Has("flood") {
		req.Interval = -1
	}
	var err error
	if req.Destination, req.Source, req.L3Protocol, err = f.place(in.Value("destination")); err != nil {
		return err
	}
	o := of(env)
	return o.with(func(c *client) error { return o.ping(ctx, c, req) })
}

func runTraceroute(ctx context.Context, env *command.Env, in *command.Input) error {
	f := probeFlagsOf(in)
	req := &system.TracerouteRequest{
		InitialTtl: uint32(numberOf(in, "first-ttl", 1)), MaxTtl: int32(numberOf(in, "max-ttl", 30)), Wait: int64(f.wait), DoNotFragment: f.df,
		DoNotResolve: !in.Has("resolve"), DoNotLookupAsn: true, NetworkInstance: f.instance,
	}
	switch in.Value("protocol") {
	case "icmp":
		req.L4Protocol = system.TracerouteRequest_ICMP
	case "tcp":
		req.L4Protocol = system.TracerouteRequest_TCP
	default:
		req.L4Protocol = system.TracerouteRequest_UDP
	}
	var err error
	if req.Destination, req.Source, req.L3Protocol, err = f.place(in.Value("destination")); err != nil {
		return err
	}
	o := of(env)
	return o.with(func(c *client) error { return o.traceroute(ctx, c, req) })
}

func runRestart(ctx context.Context, env *command.Env, in *command.Input) error {
	given := 0
	for _, name := range []string{"in", "cancel", "status"} {
		if in.Has(name) {
			given++
		}
	}
	if given > 1 || in.Has("force") && (in.Has("cancel") || in.Has("status")) {
		return usagef("restart: in, cancel and status are three things, and force goes with a restart alone: choose one")
	}
	o := of(env)
	return o.with(func(c *client) error {
		sys := system.NewSystemClient(c.conn)
		ctx, done := context.WithTimeout(c.context(ctx), time.Minute)
		defer done()
		switch {
		case in.Has("cancel"):
			_, err := sys.CancelReboot(ctx, &system.CancelRebootRequest{Message: in.Value("message")})
			return err
		case in.Has("status"):
			st, err := sys.RebootStatus(ctx, &system.RebootStatusRequest{})
			if err != nil {
				return err
			}
			return o.printRestart(st)
		}
		_, err := sys.Reboot(ctx, &system.RebootRequest{Method: system.RebootMethod_WARM, Delay: uint64(timeOf(in, "in", 0)), Message: in.Value("message"), Force: in.Has("force")})
		return err
	})
}

func runWatch(ctx context.Context, env *command.Env, in *command.Input) error {
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_STREAM, Encoding: gpb.Encoding_JSON_IETF}
	every := timeOf(in, "every", 0)
	for _, a := range in.Values("path") {
		p, err := parsePath(a)
		if err != nil {
			return err
		}
		sub := &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_ON_CHANGE}
		if every > 0 {
			sub.Mode, sub.SampleInterval = gpb.SubscriptionMode_SAMPLE, uint64(every.Nanoseconds())
		}
		list.Subscription = append(list.Subscription, sub)
	}
	if len(list.GetSubscription()) == 0 {
		return errors.New("watch: want a path")
	}
	o := of(env)
	return o.with(func(c *client) error {
		return o.live(ctx, func(ctx context.Context, own *options) error { return watch(ctx, own, c, list) })
	})
}
