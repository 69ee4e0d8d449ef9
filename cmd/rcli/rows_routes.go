package main

import (
	"cmp"
	"context"
	"net/netip"

	"router/cmd/rcli/command"
	"router/gen/configpb"
)

// routeTableRows are the commands about routes.
func routeTableRows() []*command.Command {
	prefix := func(name, help string) command.Arg {
		return command.Arg{Name: name, Kind: command.Keyword, Help: help, Type: command.AddressOrPrefix, Place: "PREFIX", Values: prefixValues}
	}
	return []*command.Command{
		{Words: "show route", Aliases: []string{"show route table"}, Modes: command.Operational,
			Help: "routes by prefix; of an address those of the longest prefix, of a prefix those inside it, too",
			Long: "The route that packets follow has a star, its next hop an angle. Routes come as they are read: the first page of a million is there at once.",
			Args: []command.Arg{
				{Name: "destination", Optional: true, Type: command.AddressOrPrefix, Help: "an address to look up, or a prefix", Values: prefixValues},
				instanceArg,
				prefix("exact", "only this prefix"),
				prefix("longest", "only the longest prefix that covers it, with a route in use"),
				prefix("orlonger", "this prefix and all inside it"),
				prefix("covering", "all prefixes that cover it"),
				{Name: "protocol", Kind: command.Keyword, Help: "only routes of this protocol", Type: command.Leaf("/instance/rib/route/entry/state/protocol"), Place: "PROTOCOL"},
				{Name: "source", Kind: command.Keyword, Help: "only routes from this source", Type: command.Leaf("/instance/rib/route/entry/state/source"), Place: "SOURCE"},
				{Name: "family", Kind: command.Keyword, Help: "only routes of this family", Type: command.Enum(command.Candidate{Text: "inet"}, command.Candidate{Text: "inet6"})},
				{Name: "active", Kind: command.Switch, Help: "only routes that packets follow"},
				{Name: "all", Kind: command.Switch, Help: "permanent routes too"},
			},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				req, err := routesRequest(in)
				if err != nil {
					return err
				}
				return o.showRoute(ctx, c, req)
			})},
		{Words: "show route summary", Modes: command.Operational, Help: "how many routes there are, by instance, family and source",
			Args: []command.Arg{{Name: "instance", Kind: command.Keyword, Help: "only this instance", Type: command.Leaf("/instance/config/name"), Place: "NAME"}},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.showRouteSummary(ctx, c, in.Value("instance"))
			})},
		{Words: "show routes", Hidden: true, Modes: command.Operational, Help: "routes of an instance; of an address, the one that packets follow, or that meets the conditions",
			Args: []command.Arg{
				{Name: "prefix", Optional: true, Type: command.AddressOrPrefix, Help: "a prefix, or an address to look up"},
				instanceArg,
				{Name: "all", Kind: command.Switch, Help: "permanent routes too"},
				{Name: "interface", Kind: command.Keyword, Help: "condition: leads out of this unit", Type: command.Leaf("/interface/unit/state/name"), Place: "UNIT"},
				{Name: "source", Kind: command.Keyword, Help: "condition: from this source", Place: "SOURCE"},
				{Name: "not-source", Kind: command.Keyword, Help: "condition: from another source than this", Place: "SOURCE"},
				{Name: "protocol", Kind: command.Keyword, Help: "condition: of this protocol", Place: "PROTOCOL"},
				{Name: "tag", Kind: command.Keyword, Help: "condition: with this tag", Type: command.Integer(0, 1<<32-1, ""), Place: "N"},
				{Name: "direct", Kind: command.Switch, Help: "condition: what it leads to is on the unit's link"},
				{Name: "covering", Kind: command.Switch, Help: "of an address: the routes of all prefixes that cover it"},
			},
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				q := routeQuery{unit: in.Value("interface"), source: in.Value("source"), notSource: in.Value("not-source"), protocol: in.Value("protocol"), tag: in.Value("tag"),
					direct: in.Has("direct"), covering: in.Has("covering")}
				return showRoutes(ctx, o, c, cmp.Or(in.Value("instance"), "default"), in.Has("all"), q, in.Values("prefix"))
			})},
	}
}

// routesRequest is what the arguments of show route ask for.
func routesRequest(in *command.Input) (*configpb.RoutesRequest, error) {
	req := &configpb.RoutesRequest{Instance: in.Value("instance"), Afi: in.Value("family"), Protocol: in.Value("protocol"), Source: in.Value("source"),
		Active: in.Has("active"), Permanent: in.Has("all")}
	given := 0
	for name, match := range map[string]configpb.RoutesRequest_Match{
		"exact": configpb.RoutesRequest_EXACT, "longest": configpb.RoutesRequest_LONGEST, "orlonger": configpb.RoutesRequest_OR_LONGER, "covering": configpb.RoutesRequest_COVERING,
	} {
		if in.Has(name) {
			req.Match, req.Prefix = match, in.Value(name)
			given++
		}
	}
	if to := in.Value("destination"); to != "" {
		req.Prefix, req.Match = to, configpb.RoutesRequest_OR_LONGER
		if _, err := netip.ParseAddr(to); err == nil {
			req.Match = configpb.RoutesRequest_LONGEST
		}
		given++
	}
	if given > 1 {
		return nil, usagef("show route: one destination, or one of exact, longest, orlonger and covering")
	}
	return req, nil
}
