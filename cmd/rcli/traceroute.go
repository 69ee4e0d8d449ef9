package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/openconfig/gnoi/system"
	"github.com/spf13/cobra"

	"router/cmd/routerd/northbound/gnoi/note"
)

func tracerouteCommand(o *options) *cobra.Command {
	var f probeFlags
	var from uint32
	var to int32
	var protocol string
	c := &cobra.Command{
		Use: "traceroute DESTINATION [--instance NAME] [--source ADDRESS] [--protocol udp|icmp|tcp] [--max-ttl N] [--interface UNIT]", Args: cobra.ExactArgs(1),
		Aliases: []string{"trace"}, Short: "print the routers on the way to a destination, as the dataplane sees it",
	}
	f.register(c)
	c.Flags().Uint32Var(&from, "first-ttl", 1, "where to begin")
	c.Flags().Int32Var(&to, "max-ttl", 30, "where to end")
	c.Flags().StringVar(&protocol, "protocol", "udp", "what to send: udp, icmp or tcp")
	c.Flags().BoolVar(&f.names, "resolve", false, "print the names of routers too")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		req := &system.TracerouteRequest{
			InitialTtl: from, MaxTtl: to, Wait: int64(f.wait), DoNotFragment: f.df, DoNotResolve: !f.names, DoNotLookupAsn: true, NetworkInstance: f.instance,
		}
		l4, ok := system.TracerouteRequest_L4Protocol_value[strings.ToUpper(protocol)]
		if !ok {
			return usagef("traceroute: --protocol %s: want udp, icmp or tcp", protocol)
		}
		req.L4Protocol = system.TracerouteRequest_L4Protocol(l4)
		var err error
		if req.Destination, req.Source, req.L3Protocol, err = f.place(args[0]); err != nil {
			return err
		}
		return o.with(func(c *client) error { return o.traceroute(cmd.Context(), c, req) })
	}
	return c
}

// traceroute prints as traceroute(8) does: a line a hop, an address where it
// changes, a star for no answer.
func (o *options) traceroute(ctx context.Context, c *client, req *system.TracerouteRequest) error {
	stream, err := system.NewSystemClient(c.conn).Traceroute(c.context(ctx), req)
	if err != nil {
		return err
	}
	var hop int32
	var last string
	for {
		r, err := stream.Recv()
		if err != nil {
			if hop != 0 {
				fmt.Fprintln(o.out)
			}
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return err
		}
		if o.json {
			if err := o.printMessage(r); err != nil {
				return err
			}
			continue
		}
		if r.GetHop() == 0 {
			fmt.Fprintf(o.out, "traceroute to %s (%s), %d hops max, %d byte packets\n", r.GetDestinationName(), r.GetDestinationAddress(), r.GetHops(), r.GetPacketSize())
			continue
		}
		if r.GetHop() != hop {
			if hop != 0 {
				fmt.Fprintln(o.out)
			}
			hop, last = r.GetHop(), ""
			fmt.Fprintf(o.out, "%2d ", hop)
		}
		if r.GetState() == system.TracerouteResponse_NONE {
			fmt.Fprint(o.out, " *")
			continue
		}
		if a := r.GetAddress(); a != last {
			last = a
			if name := r.GetName(); name != "" {
				a = fmt.Sprintf("%s (%s)", name, a)
			}
			fmt.Fprintf(o.out, " %s", a)
		}
		fmt.Fprintf(o.out, "  %s ms", millis(float64(r.GetRtt())))
		if text := note.Of(r); text != "" {
			fmt.Fprintf(o.out, " !(%s)", text)
		}
	}
}
