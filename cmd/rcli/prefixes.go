package main

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"router/cmd/rcli/command"
	"router/cmd/rcli/render"
	"router/gen/configpb"
)

// prefixesMost is how many prefixes of routes are offered from each side.
const prefixesMost = 256

// prefixValues are the prefixes of an instance that begin with what was typed: of its
// static routes, and of the first routes that share the numbers that are whole.
func prefixValues(ctx context.Context, env *command.Env, in *command.Input, start string) []command.Candidate {
	s := shellOf(env)
	if s == nil {
		return nil
	}
	instance := cmp.Or(in.Value("instance"), "default")
	list := env.Keys(ctx, "/instance[name="+instance+"]/static-route", "prefix", start, prefixesMost)
	for _, c := range s.keys.remember(ctx, keyQuery{path: "routes of " + instance, prefix: start}, func(ctx context.Context) ([]string, error) {
		return s.client.prefixes(ctx, instance, start)
	}) {
		if !slices.ContainsFunc(list, func(x command.Candidate) bool { return x.Text == c.Text }) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b command.Candidate) int { return render.Natural(a.Text, b.Text) })
	for i := range list {
		list[i].Live = true
	}
	return list[:min(len(list), prefixesMost)]
}

// prefixes asks for the prefixes of an instance's routes that begin with start.
func (c *client) prefixes(ctx context.Context, instance, start string) ([]string, error) {
	req := &configpb.RoutesRequest{Instance: instance, Limit: prefixesMost}
	if p := whole(start); p.IsValid() {
		req.Match, req.Prefix = configpb.RoutesRequest_OR_LONGER, p.String()
	}
	var names []string
	err := c.routes(ctx, req, func(p *configpb.RoutePrefix, _ int64) error {
		if strings.HasPrefix(p.GetPrefix(), start) {
			names = append(names, p.GetPrefix())
		}
		return nil
	}, func() error { return nil })
	return names, err
}

// whole is the prefix of the numbers of an address that are whole: of 10.7.1 that is
// 10.7.0.0/16. It is not valid where there are none.
func whole(start string) netip.Prefix {
	text, bits, group := "", 0, 8
	if i := strings.LastIndexByte(start, '.'); i > 0 {
		n := strings.Count(start, ".")
		text, bits = start[:i]+strings.Repeat(".0", 4-n), n*group
	} else if i := strings.LastIndexByte(start, ':'); i > 0 && !strings.Contains(start, "::") {
		group = 16
		text, bits = start[:i]+"::", strings.Count(start, ":")*group
	}
	a, err := netip.ParseAddr(text)
	if err != nil || bits > a.BitLen() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits).Masked()
}
