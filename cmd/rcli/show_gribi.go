package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/render"
)

type gribiTree struct {
	State struct {
		Enabled    bool   `json:"enabled"`
		Preference int    `json:"preference"`
		EntryLimit int    `json:"entry-limit"`
		Redundancy string `json:"redundancy"`
		ElectionID string `json:"election-id"`
		Entries    int    `json:"entries"`
		Operations string `json:"operations"`
		Failed     string `json:"failed-operations"`
		Flushes    string `json:"flushes"`
		Stale      int    `json:"stale-entries"`
		StaleUntil string `json:"stale-until"`
		KeepReason string `json:"keep-reason"`
	} `json:"state"`
	Instance []struct {
		State struct {
			Name     string `json:"name"`
			IPv4     int    `json:"ipv4-entries"`
			IPv6     int    `json:"ipv6-entries"`
			Groups   int    `json:"next-hop-groups"`
			NextHops int    `json:"next-hops"`
		} `json:"state"`
	} `json:"instance"`
	Client []gribiClientTree `json:"client"`
}

type gribiClientTree struct {
	State struct {
		ID              int    `json:"id"`
		Address         string `json:"address"`
		Port            int    `json:"port"`
		User            string `json:"user"`
		Redundancy      string `json:"redundancy"`
		Persistence     string `json:"persistence"`
		Acknowledgement string `json:"acknowledgement"`
		ElectionID      string `json:"election-id"`
		Primary         bool   `json:"primary"`
		Operations      string `json:"operations"`
		Failed          string `json:"failed-operations"`
	} `json:"state"`
}

// showGRIBI prints the service, its entries by instance, and its clients, * for
// those that may program.
func showGRIBI(ctx context.Context, o *options, c *client) error {
	var list []gribiTree
	done, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "gribi"}}}, collect(&list))
	if err != nil || done {
		return err
	}
	for _, g := range list {
		st := g.State
		if !st.Enabled {
			fmt.Fprintln(o.out, "disabled: /gribi/config/enabled is false")
			return nil
		}
		fmt.Fprintf(o.out, "preference %d, %d entries of %d, mode %s, election id %s\n%s operations, %s failed, %s flushes\n",
			st.Preference, st.Entries, st.EntryLimit, dash(st.Redundancy), dash(st.ElectionID), st.Operations, st.Failed, st.Flushes)
		if err := g.sayKept(o); err != nil {
			return err
		}
		var rows [][]string
		slices.SortFunc(g.Client, func(a, b gribiClientTree) int { return cmp.Compare(a.State.ID, b.State.ID) })
		for _, in := range g.Instance {
			rows = append(rows, []string{in.State.Name, strconv.Itoa(in.State.IPv4), strconv.Itoa(in.State.IPv6), strconv.Itoa(in.State.Groups), strconv.Itoa(in.State.NextHops)})
		}
		slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
		if err := o.rows("Instance IPv4 IPv6 Next-hop-groups Next-hops", rows); err != nil {
			return err
		}
		rows = nil
		for _, c := range g.Client {
			id, from := strconv.Itoa(c.State.ID), "socket"
			if c.State.Primary {
				id = "* " + id
			} else {
				id = "  " + id
			}
			if c.State.Address != "" {
				from = net.JoinHostPort(c.State.Address, strconv.Itoa(c.State.Port))
			}
			rows = append(rows, []string{id, from, dash(c.State.User), dash(c.State.Redundancy), dash(c.State.Persistence), dash(c.State.Acknowledgement),
				dash(c.State.ElectionID), c.State.Operations, c.State.Failed})
		}
		if err := o.rows("Client From User Mode Persistence Ack Election Operations Failed", rows); err != nil {
			return err
		}
	}
	return nil
}

// sayKept prints what a restart has left, and whether another would.
func (g gribiTree) sayKept(o *options) error {
	st := g.State
	if st.KeepReason != "" {
		if err := o.say(render.Bad, "entries would not outlive routerd: %s", st.KeepReason); err != nil {
			return err
		}
	}
	switch {
	case st.Stale == 0:
		return nil
	case st.StaleUntil != "":
		return o.say(render.Notice, "%d entries of before the restart are stale, until %s if no client takes over", st.Stale, momentText(st.StaleUntil))
	}
	return o.say(render.Plain, "%d entries of before the restart are stale, taken over or to stay", st.Stale)
}
