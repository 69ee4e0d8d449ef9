package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A groupTree is a declared route of groups, or a route of a group by source.
type groupTree struct {
	State struct {
		Group             string   `json:"group"`
		Source            string   `json:"source"`
		Origin            string   `json:"origin"` // of a route by source
		Action            string   `json:"action"` // of a declared route
		NextHopType       string   `json:"next-hop-type"`
		Active            bool     `json:"active"`
		IncomingInterface string   `json:"incoming-interface"`
		OutgoingInterface []string `json:"outgoing-interface"`
		Local             bool     `json:"local"`
		Packets           string   `json:"packets"`
		Octets            string   `json:"octets"`
		applyTree
	} `json:"state"`
}

// showMulticast prints the declared routes of groups and the flows in the cache.
func showMulticast(ctx context.Context, o *options, c *client, instance string) error {
	in := &gpb.PathElem{Name: "instance", Key: map[string]string{"name": instance}}
	var values []json.RawMessage
	for _, elems := range [][]*gpb.PathElem{
		{in, {Name: "multicast-route"}},
		{in, {Name: "rib"}, {Name: "flow"}},
	} {
		notes, err := c.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: elems})
		if err != nil && status.Code(err) != codes.NotFound {
			return err
		}
		for _, n := range notes {
			for _, u := range n.GetUpdate() {
				values = append(values, rawValue(u.GetVal()))
			}
		}
	}
	if o.wantsData() {
		all, err := json.Marshal(values)
		if err != nil {
			return fmt.Errorf("the router's answer for multicast is no JSON: %w", err)
		}
		return o.printData(all)
	}
	var list []groupTree
	for _, v := range values {
		if err := collect(&list)(unqualify(v)); err != nil {
			return errors.Join(errors.New("the router's answer for multicast"), err)
		}
	}
	// A declared route of a single source stands in both lists.
	list = slices.DeleteFunc(list, func(g groupTree) bool { return g.State.Origin == "user" })
	for i := range list {
		if g := &list[i].State; g.Origin != "" && strings.Contains(g.Group, ":") {
			g.Group += "/128"
		} else if g.Origin != "" {
			g.Group += "/32"
		}
	}
	slices.SortStableFunc(list, func(a, b groupTree) int {
		if n := comparePrefixes(a.State.Group, b.State.Group); n != 0 {
			return n
		}
		if a.State.Source == "any" || b.State.Source == "any" {
			return strings.Compare(b.State.Source, a.State.Source) // "any" behind all digits
		}
		return comparePrefixes(a.State.Source, b.State.Source)
	})
	var rows [][]string
	for _, g := range list {
		rows = append(rows, groupRow(g))
	}
	if err := o.rows("Group Source Protocol Incoming Outgoing Packets Octets", rows); err != nil {
		return err
	}
	for _, g := range list {
		if err := o.sayWhy(g.State.Group+" from "+g.State.Source, g.State.applyTree); err != nil {
			return err
		}
	}
	return nil
}

// groupRow is the line of one route; * marks those that packets follow.
func groupRow(g groupTree) []string {
	s := g.State
	mark, protocol, incoming := "  ", "static-multicast", s.IncomingInterface
	if s.Active {
		mark = "* "
	}
	if s.Origin != "" {
		protocol = "cache"
	}
	if incoming == "" {
		incoming = "any"
	}
	out := slices.Clone(s.OutgoingInterface)
	slices.Sort(out)
	if s.Local {
		out = append(out, "local")
	}
	if s.Action == "flood" || s.NextHopType == "flood" {
		out = slices.Insert(out, 0, "flood")
	}
	if len(out) == 0 {
		out = []string{"discard"}
	}
	return []string{s.mark(mark + s.Group), s.Source, protocol, incoming, strings.Join(out, " "), dash(s.Packets), dash(s.Octets)}
}
