package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
)

// showNeighbors prints the neighbours of all units, of a device's or of one.
func showNeighbors(ctx context.Context, o *options, c *client, args []string) error {
	device, id, unit := strings.Cut(cmp.Or(onlyName(args), "*"), ".")
	if !unit {
		id = "*"
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": device}}, {Name: "unit", Key: map[string]string{"id": id}},
		{Name: "family", Key: map[string]string{"type": "*"}}, {Name: "neighbor", Key: map[string]string{"address": "*"}}}}
	if len(args) > 0 {
		if err := c.exists(ctx, args[0]); err != nil {
			return err
		}
	}
	if o.wantsData() {
		_, err := o.printNodes(ctx, c, gpb.GetRequest_ALL, false, path)
		return err
	}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, path)
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	type row struct {
		unit ifName
		neighborTree
	}
	var list []row
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			r := row{unit: ifName{e[0].GetKey()["name"], e[1].GetKey()["id"]}}
			if err := json.Unmarshal(unqualify(rawValue(u.GetVal())), &r.neighborTree); err != nil {
				return fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			list = append(list, r)
		}
	}
	instances, err := c.familyInstances(ctx, device, id, len(list) > 0)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(render.Natural(a.unit.String(), b.unit.String()), compareAddresses(a.Address, b.Address))
	})
	var rows [][]string
	for _, n := range list {
		since := "-"
		if ns, err := strconv.ParseInt(n.State.LastChange, 10, 64); err == nil {
			since = render.Duration(time.Since(time.Unix(0, ns)).Truncate(time.Second))
		}
		rows = append(rows, []string{n.Address, dash(n.State.LinkLayerAddress), n.unit.String(), dash(n.State.State), dash(n.State.Origin),
			dash(instances[n.unit.String()+" "+afiOf(n.Address)]), since})
	}
	return o.rows("Address Link-layer Interface State Origin Instance For", rows)
}

// familyInstances are the instances of families, by unit and family.
func (c *client) familyInstances(ctx context.Context, device, id string, wanted bool) (map[string]string, error) {
	m := map[string]string{}
	if !wanted {
		return m, nil
	}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": device}},
		{Name: "unit", Key: map[string]string{"id": id}}, {Name: "family", Key: map[string]string{"type": "*"}}, {Name: "state"}, {Name: "instance"}}})
	if err != nil && status.Code(err) != codes.NotFound {
		return nil, err
	}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			var instance string
			if err := json.Unmarshal(rawValue(u.GetVal()), &instance); err != nil {
				return nil, fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			m[e[0].GetKey()["name"]+"."+e[1].GetKey()["id"]+" "+e[2].GetKey()["type"]] = instance
		}
	}
	return m, nil
}
