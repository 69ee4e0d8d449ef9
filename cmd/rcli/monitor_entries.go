package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
)

// monitorNeighbors prints what becomes of neighbours.
func (o *options) monitorNeighbors(ctx context.Context, c *client, name string) error {
	device, id, unit := strings.Cut(name, ".")
	if name == "" {
		device = "*"
	}
	if !unit {
		id = "*"
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": device}}, {Name: "unit", Key: map[string]string{"id": id}},
		{Name: "family", Key: map[string]string{"type": "*"}}, {Name: "neighbor", Key: map[string]string{"address": "*"}}, {Name: "state"}}}
	return o.monitorEntries(ctx, c, path, true, func(e []*gpb.PathElem) string {
		return fmt.Sprintf("%s %s", e[3].GetKey()["address"], ifName{e[0].GetKey()["name"], e[1].GetKey()["id"]})
	}, []string{"state", "link-layer-address", "origin"})
}

// mostMonitored is how many routes may be watched at once: the router remembers what
// it has told of each.
const mostMonitored = 50_000

// monitorRoutes prints what becomes of the routes of an instance, or of one prefix.
func (o *options) monitorRoutes(ctx context.Context, c *client, instance, prefix string) error {
	instance = orDefault(instance)
	if prefix == "" {
		prefix = "*"
		n, err := c.countRoutes(ctx, instance)
		if err != nil {
			return err
		}
		if n > mostMonitored {
			return status.Errorf(codes.ResourceExhausted, "instance %s has %d routes, more than the %d that can be watched at once: name a prefix", instance, n, mostMonitored)
		}
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "instance", Key: map[string]string{"name": instance}}, {Name: "rib", Key: map[string]string{"afi": "*"}},
		{Name: "route", Key: map[string]string{"prefix": prefix}}, {Name: "entry", Key: map[string]string{"source": "*", "if-index": "*"}}, {Name: "state"}}}
	return o.monitorEntries(ctx, c, path, prefix != "*", func(e []*gpb.PathElem) string {
		return e[2].GetKey()["prefix"]
	}, []string{"protocol", "preference", "active", "next-hop-type", "gateway", "egress", "reason"})
}

func (c *client) countRoutes(ctx context.Context, instance string) (int, error) {
	notes, err := c.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "instance", Key: map[string]string{"name": instance}},
		{Name: "rib", Key: map[string]string{"afi": "*"}}, {Name: "state"}, {Name: "total-routes"}}})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			var n int
			if err := json.Unmarshal(rawValue(u.GetVal()), &n); err != nil {
				return 0, fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			sum += n
		}
	}
	return sum, nil
}

// monitorEntries prints a line for each list entry whose leaves change, with those
// that are named, with first from what there is on. what is the entry's name in the line.
func (o *options) monitorEntries(ctx context.Context, c *client, path *gpb.Path, first bool, what func([]*gpb.PathElem) string, leaves []string) error {
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_STREAM, Encoding: gpb.Encoding_JSON_IETF,
		Subscription: []*gpb.Subscription{{Path: path, Mode: gpb.SubscriptionMode_ON_CHANGE}}}
	return o.live(ctx, func(ctx context.Context, own *options) error {
		known := map[string]map[string]string{}
		sync := false
		depth := len(path.GetElem())
		line := func(at time.Time, sign string, name string, values map[string]string) error {
			if o.wantsData() {
				raw, err := json.Marshal(struct {
					Time   time.Time         `json:"time"`
					Op     string            `json:"op"`
					Name   string            `json:"name"`
					Leaves map[string]string `json:"leaves,omitempty"`
				}{at, map[string]string{"+": "update", "-": "delete", "=": "initial"}[sign], name, values})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(own.out, "%s\n", raw)
				return err
			}
			text := fmt.Sprintf("%s %s %s", at.Format("15:04:05.000"), sign, name)
			for _, l := range leaves {
				if v, ok := values[l]; ok {
					text += " " + l + " " + v
				}
			}
			return own.say(map[string]render.Style{"-": render.Bad, "+": render.Plain, "=": render.Faint}[sign], "%s", text)
		}
		take := func(n *gpb.Notification) error {
			at := time.Unix(0, n.GetTimestamp())
			changed := map[string][]*gpb.PathElem{}
			var order []string
			for _, p := range n.GetDelete() {
				e := append(slices.Clone(n.GetPrefix().GetElem()), p.GetElem()...)
				if len(e) > depth {
					key := pathText(&gpb.Path{Elem: e[:depth]})
					delete(known[key], e[depth].GetName())
					if len(known[key]) > 0 {
						changed[key] = e[:depth]
						order = append(order, key)
						continue
					}
				}
				prefix := pathText(&gpb.Path{Elem: e[:min(len(e), depth)]})
				for key := range maps.Clone(known) {
					if key != prefix && !strings.HasPrefix(key, prefix+"/") {
						continue
					}
					delete(known, key)
					gone, err := parsePath(key)
					if err != nil {
						return err
					}
					if err := line(at, "-", what(gone.GetElem()), nil); err != nil {
						return err
					}
				}
			}
			for _, u := range n.GetUpdate() {
				e := append(slices.Clone(n.GetPrefix().GetElem()), u.GetPath().GetElem()...)
				if len(e) <= depth {
					continue
				}
				key := pathText(&gpb.Path{Elem: e[:depth]})
				if known[key] == nil {
					known[key] = map[string]string{}
				}
				known[key][e[len(e)-1].GetName()] = strings.Trim(string(rawValue(u.GetVal())), `"`)
				changed[key] = e[:depth]
				order = append(order, key)
			}
			slices.Sort(order)
			for _, key := range slices.Compact(order) {
				sign := "+"
				if !sync {
					if !first {
						continue
					}
					sign = "="
				}
				if err := line(at, sign, what(changed[key]), known[key]); err != nil {
					return err
				}
			}
			return nil
		}
		return c.follow(ctx, list, take, func() error {
			sync = true
			if first || o.wantsData() {
				return nil
			}
			return own.say(render.Faint, "%d entries are watched", len(known))
		})
	})
}
