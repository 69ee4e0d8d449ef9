package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"router/cmd/rcli/command"
	"router/gen/configpb"
)

// pathRows is `show path`.
func pathRows() []*command.Command {
	var protocols []command.Candidate
	for _, name := range append([]string{"icmp"}, slices.Sorted(maps.Keys(pathProtocols))...) {
		protocols = append(protocols, command.Candidate{Text: name})
	}
	unit := command.Leaf("/instance/static-route/next-hop/config/interface")
	return []*command.Command{{
		Words: "show path", Modes: command.Operational, Help: "what would happen to a packet, step by step",
		Long: `Takes a packet through the router's own packet path and prints each step: the interface
and instance that it comes to, the terms of filters that it matches, the check of its
source, the route with its next hops, the member of a group that its flow uses, the
neighbor, and how it leaves; or who gets it here; or why it is dropped and what its sender
is told. The tables are those that packets meet at that moment. Nothing is sent or counted,
no policer is charged, and no neighbor is asked for.

Without an interface the packet is one of the router's own.`,
		Args: []command.Arg{
			{Name: "destination", Help: "where the packet goes", Type: command.Address, Place: "DESTINATION"},
			{Name: "interface", Kind: command.Keyword, Help: "unit that it comes in by", Type: unit, Place: "UNIT"},
			{Name: "source", Kind: command.Keyword, Help: "where it comes from (default: a neighbor on the interface, or the router's choice)", Type: command.Address, Place: "ADDRESS"},
			{Name: "instance", Kind: command.Keyword, Help: "where a packet of the router's own is looked up", Type: command.Leaf("/instance/config/name"), Place: "NAME"},
			{Name: "protocol", Kind: command.Keyword, Help: "name or number", Default: "icmp", Place: "NAME", Values: func(_ context.Context, _ *command.Env, _ *command.Input, prefix string) []command.Candidate {
				return slices.DeleteFunc(slices.Clone(protocols), func(c command.Candidate) bool { return !strings.HasPrefix(c.Text, prefix) })
			}},
			{Name: "port", Kind: command.Keyword, Help: "destination port; of icmp the type", Type: command.Integer(0, 65535, ""), Place: "N"},
			{Name: "source-port", Kind: command.Keyword, Help: "source port", Default: "49152", Type: command.Integer(1, 65535, ""), Place: "N"},
			{Name: "size", Kind: command.Keyword, Help: "octets of the IP packet", Default: "64", Type: command.Integer(20, 16000, "octets"), Place: "N"},
			{Name: "ttl", Kind: command.Keyword, Help: "TTL or hop limit", Default: "64", Type: command.Integer(0, 255, "hops"), Place: "N"},
			{Name: "dscp", Kind: command.Keyword, Help: "differentiated services", Default: "0", Type: command.Integer(0, 63, ""), Place: "N"},
			{Name: "df", Kind: command.Switch, Help: "routers may not fragment it (IPv4)"},
		},
		Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
			req, err := pathRequest(in)
			if err != nil {
				return err
			}
			return o.showPath(ctx, c, req)
		}),
	}}
}

func pathRequest(in *command.Input) (*configpb.PathRequest, error) {
	req := &configpb.PathRequest{
		Destination: in.Value("destination"), Source: in.Value("source"), Interface: in.Value("interface"), Instance: in.Value("instance"),
		SourcePort: uint32(numberOf(in, "source-port", 0)), Port: uint32(numberOf(in, "port", 0)), Size: uint32(numberOf(in, "size", 0)),
		Dscp: uint32(numberOf(in, "dscp", 0)), DontFragment: in.Has("df"),
	}
	if in.Has("ttl") {
		ttl := uint32(numberOf(in, "ttl", 0))
		req.Ttl = &ttl
	}
	if name := in.Value("protocol"); name != "" && name != "icmp" && name != "icmpv6" {
		n, ok := pathProtocols[name]
		if !ok {
			number, err := strconv.ParseUint(name, 10, 8)
			if err != nil {
				return nil, usagef("protocol %q: want icmp, %s or a number", name, strings.Join(slices.Sorted(maps.Keys(pathProtocols)), ", "))
			}
			n = uint32(number)
		}
		req.Protocol = &n
	}
	return req, nil
}

func (o *options) showPath(ctx context.Context, c *client, req *configpb.PathRequest) error {
	answer, err := configpb.NewForwardingClient(c.conn).Path(c.context(ctx), req)
	if err != nil {
		return err
	}
	if o.json {
		text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: false}.Marshal(answer)
		if err != nil {
			return err
		}
		return printJSON(o.out, json.RawMessage(text))
	}
	_, err = o.out.Write([]byte(strings.Join(pathWords(answer), "\n") + "\n"))
	return err
}
