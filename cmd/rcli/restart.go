package main

import (
	"context"
	"fmt"
	"time"

	"github.com/openconfig/gnoi/system"
	"github.com/spf13/cobra"
)

func restartCommand(o *options) *cobra.Command {
	var in time.Duration
	var message string
	var cancel, show, force bool
	c := &cobra.Command{
		Use: "restart [--in TIME] [--message TEXT] [--force] | restart --cancel | restart --status", Args: cobra.NoArgs,
		Short: "restart routerd in place, now or later; forwarding stops for a moment",
	}
	c.Flags().DurationVar(&in, "in", 0, "how long to wait with it")
	c.Flags().StringVar(&message, "message", "", "why, for the log and for --status")
	c.Flags().BoolVar(&force, "force", false, "even if something would be lost")
	c.Flags().BoolVar(&cancel, "cancel", false, "take back the restart that is pending")
	c.Flags().BoolVar(&show, "status", false, "print what is pending, or what was last")
	c.MarkFlagsMutuallyExclusive("in", "cancel", "status")
	c.MarkFlagsMutuallyExclusive("force", "cancel", "status")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if in < 0 {
			return usagef("restart: --in %v: want a time to come", in)
		}
		return o.with(func(c *client) error {
			sys := system.NewSystemClient(c.conn)
			ctx, done := context.WithTimeout(c.context(cmd.Context()), time.Minute)
			defer done()
			switch {
			case cancel:
				_, err := sys.CancelReboot(ctx, &system.CancelRebootRequest{Message: message})
				return err
			case show:
				st, err := sys.RebootStatus(ctx, &system.RebootStatusRequest{})
				if err != nil {
					return err
				}
				return o.printRestart(st)
			}
			_, err := sys.Reboot(ctx, &system.RebootRequest{Method: system.RebootMethod_WARM, Delay: uint64(in), Message: message, Force: force})
			return err
		})
	}
	return c
}

// printRestart prints what is pending, or what was last.
func (o *options) printRestart(st *system.RebootStatusResponse) error {
	if o.json {
		return o.printMessage(st)
	}
	why := ""
	if st.GetReason() != "" {
		why = ": " + st.GetReason()
	}
	when := time.Unix(0, int64(st.GetWhen())).UTC().Format(time.RFC3339)
	var err error
	switch {
	case st.GetActive():
		_, err = fmt.Fprintf(o.out, "restarts at %s, in %v%s\n", when, time.Duration(st.GetWait()).Round(time.Second), why)
	case st.GetCount() == 0:
		_, err = fmt.Fprintln(o.out, "no restart is pending, and none was asked for before")
	default:
		_, err = fmt.Fprintf(o.out, "no restart is pending; the last of %d was at %s%s\n", st.GetCount(), when, why)
	}
	return err
}
