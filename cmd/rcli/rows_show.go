package main

import (
	"cmp"
	"context"

	"router/cmd/rcli/command"
	"router/cmd/rcli/schema"
)

// Arguments that several commands have.
var (
	instanceArg = command.Arg{Name: "instance", Kind: command.Keyword, Help: "routing instance", Default: "default", Type: command.Leaf("/instance/config/name"), Place: "NAME"}
	lastArg     = command.Arg{Name: "last", Kind: command.Keyword, Help: "only the newest ones", Type: command.Integer(0, 1<<31-1, "entries"), Place: "N"}
)

// nameArg is an optional name of something that the model lists.
func nameArg(name, leaf, help string) command.Arg {
	return command.Arg{Name: name, Help: help, Optional: true, Type: command.Leaf(leaf)}
}

// showRows are the tables of what the router has and does.
func showRows() []*command.Command {
	const mode = command.Operational
	return []*command.Command{
		{Words: "show", Help: "print what the router has and does"},
		{Words: "show configuration", Aliases: []string{"show running-config"}, Modes: mode, Help: "what runs, in the form that load takes",
			Args: []command.Arg{nodeArg(schema.Config)}, Run: showConfiguration},
		{Words: "show access", Help: "print who may do what"},
		{Words: "show interfaces", Aliases: []string{"show interface"}, Modes: mode, Help: "devices, units, addresses, counters",
			Args: []command.Arg{interfaceArg("name", "a device, or a unit")}, Run: listed("name", showInterfaces)},
		{Words: "show interfaces terse", Aliases: []string{"show interface terse"}, Modes: mode, Help: "a line for each device, unit and address: what is there, and whether it is up",
			Args: []command.Arg{interfaceArg("name", "a device, or a unit")}, Run: listed("name", showInterfacesTerse)},
		{Words: "show interfaces detail", Aliases: []string{"show interface detail"}, Modes: mode, Help: "all that is known of devices and units",
			Args: []command.Arg{interfaceArg("name", "a device, or a unit")}, Run: listed("name", showInterfacesDetail)},
		{Words: "show neighbors", Aliases: []string{"show neighbor"}, Modes: mode, Help: "neighbours and their link-layer addresses",
			Args: []command.Arg{interfaceArg("interface", "a device, or a unit")}, Run: listed("interface", showNeighbors)},
		{Words: "show sessions", Aliases: []string{"show session"}, Modes: mode, Help: "who gets the packets for the router itself, the most specific first",
			Args: []command.Arg{nameArg("name", "/session/config/name", "a session")}, Run: listed("name", showSessions)},
		{Words: "show local-policy", Modes: mode, Help: "classes of packets for the router itself with their rates, and the sessions",
			Run: online(func(ctx context.Context, o *options, c *client, _ *command.Input) error {
				return showLocalPolicy(ctx, o, c)
			})},
		{Words: "show filter", Aliases: []string{"show filters"}, Modes: mode, Help: "filters, or the terms of one, with what they matched",
			Args: []command.Arg{nameArg("name", "/filter/config/name", "a filter")}, Run: listed("name", showFilters)},
		{Words: "show policers", Aliases: []string{"show policer"}, Modes: mode, Help: "policers, with what they coloured",
			Args: []command.Arg{nameArg("name", "/policer/config/name", "a policer")}, Run: listed("name", showPolicers)},
		{Words: "show filter-log", Modes: mode, Help: "packets that filters logged, the newest last", Args: []command.Arg{lastArg},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return showFilterLog(ctx, o, c, numberOf(in, "last", 0))
			})},
		{Words: "show access users", Aliases: []string{"show users", "show user"}, Modes: mode, Help: "users of the management plane, with their roles and logins",
			Args: []command.Arg{nameArg("name", "/user/config/name", "a user")}, Run: listed("name", showUsers)},
		{Words: "show access roles", Aliases: []string{"show roles", "show role"}, Modes: mode, Help: "roles, or the rules of one",
			Args: []command.Arg{nameArg("name", "/role/config/name", "a role")}, Run: listed("name", showRoles)},
		{Words: "show audit", Modes: mode, Help: "calls of the management plane, the newest last", Args: []command.Arg{lastArg},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return showAudit(ctx, o, c, numberOf(in, "last", 0))
			})},
		{Words: "show certificate", Modes: mode, Help: "the certificate that the router shows to clients",
			Run: online(func(ctx context.Context, o *options, c *client, _ *command.Input) error {
				return showCertificate(ctx, o, c)
			})},
		{Words: "show multicast", Modes: mode, Help: "routes of groups, and the flows that follow them", Args: []command.Arg{instanceArg},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return showMulticast(ctx, o, c, cmp.Or(in.Value("instance"), "default"))
			})},
		{Words: "show health", Modes: mode, Help: "whether the parts of the router do what they are there for",
			Args: []command.Arg{nameArg("component", "/system/health/component/name", "a component")}, Run: listed("component", showHealth)},
		{Words: "show commits", Aliases: []string{"show commit"}, Modes: mode, Help: "the log of commits, the newest first, and the one that waits; or one of them",
			Args: []command.Arg{nameArg("number", "/system/commit/number", "a commit")},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				if in.Has("number") {
					return showCommit(ctx, o, c, in.Value("number"))
				}
				return showCommits(ctx, o, c)
			})},
		{Words: "show log-servers", Aliases: []string{"show log-server"}, Modes: mode, Help: "syslog servers, whether they are reached, and what they were sent",
			Run: online(func(ctx context.Context, o *options, c *client, _ *command.Input) error {
				return showLogServers(ctx, o, c)
			})},
		{Words: "show gribi", Modes: mode, Help: "what controllers program over gRIBI, and who they are",
			Run: online(func(ctx context.Context, o *options, c *client, _ *command.Input) error { return showGRIBI(ctx, o, c) })},
	}
}
