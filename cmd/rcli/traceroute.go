package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/openconfig/gnoi/system"

	"router/cmd/routerd/northbound/gnoi/note"
)

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
