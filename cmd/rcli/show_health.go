package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type healthTree struct {
	Name  string `json:"name"`
	State struct {
		Status     string `json:"status"`
		Reason     string `json:"reason"`
		LastChange string `json:"last-change"`
		Events     string `json:"unhealthy-events"`
	} `json:"state"`
}

func showHealth(ctx context.Context, o *options, c *client, args []string) error {
	name := "*"
	if len(args) > 0 {
		name = args[0]
	}
	var list []healthTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "health"}, {Name: "component", Key: map[string]string{"name": name}}}}
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list))
	if err != nil || done {
		return err
	}
	if absent && name != "*" {
		return status.Errorf(codes.NotFound, "there is no component %s; show health lists them", name)
	}
	slices.SortFunc(list, func(a, b healthTree) int { return strings.Compare(a.Name, b.Name) })
	var rows [][]string
	for _, h := range list {
		rows = append(rows, []string{h.Name, dash(h.State.Status), sinceText(h.State.LastChange), dash(h.State.Events)})
	}
	if err := o.rows("Component Status Since Events", rows); err != nil {
		return err
	}
	for _, h := range list {
		if h.State.Reason != "" {
			fmt.Fprintf(o.out, "%s: %s\n", h.Name, h.State.Reason)
		}
	}
	return nil
}

// sinceText is a timestamp of the model for people.
func sinceText(ns string) string {
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil || n == 0 {
		return "-"
	}
	return time.Unix(0, n).UTC().Format(time.RFC3339)
}
