package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
)

// An ifName names a device, or a unit of one where id is not "".
type ifName struct{ device, id string }

func (n ifName) String() string {
	if n.id == "" {
		return n.device
	}
	return n.device + "." + n.id
}

// path is where the state of the object stands: of a device without its units.
func (n ifName) path() *gpb.Path {
	p := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": n.device}}}}
	if n.id == "" {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: "state"})
	} else {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: "unit", Key: map[string]string{"id": n.id}})
	}
	return p
}

// deviceNames lists the devices, in the order in which people want them: all, or the
// one that is named, itself or by a unit of its.
func (c *client) deviceNames(ctx context.Context, name string) ([]string, error) {
	device, _, _ := strings.Cut(name, ".")
	notes, err := c.get(ctx, gpb.GetRequest_ALL, &gpb.Path{Elem: []*gpb.PathElem{
		{Name: "interface", Key: map[string]string{"name": cmp.Or(device, "*")}}, {Name: "name"}}})
	switch {
	case status.Code(err) == codes.NotFound && name == "":
		return nil, nil
	case status.Code(err) == codes.NotFound:
		return nil, noInterface(name)
	case err != nil:
		return nil, err
	}
	var list []string
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			list = append(list, u.GetPath().GetElem()[0].GetKey()["name"])
		}
	}
	slices.SortFunc(list, render.Natural)
	return slices.Compact(list), nil
}

// exists fails when there is no such device or unit.
func (c *client) exists(ctx context.Context, name string) error {
	devices, err := c.deviceNames(ctx, name)
	if err != nil {
		return err
	}
	_, id, unit := strings.Cut(name, ".")
	if !unit {
		return nil
	}
	if names, err := c.interfaceNames(ctx, devices, id); err != nil || len(names) == 0 {
		return cmp.Or(err, noInterface(name))
	}
	return nil
}

func noInterface(name string) error {
	return status.Errorf(codes.NotFound, "there is no interface %s; show interfaces lists them", name)
}

// interfaceNames lists devices with their units behind each, or only those with the
// given id where it isn't "".
func (c *client) interfaceNames(ctx context.Context, devices []string, id string) ([]ifName, error) {
	paths := make([]*gpb.Path, len(devices))
	var list []ifName
	for i, d := range devices {
		paths[i] = &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": d}},
			{Name: "unit", Key: map[string]string{"id": cmp.Or(id, "*")}}, {Name: "id"}}}
		if id == "" {
			list = append(list, ifName{device: d})
		}
	}
	notes, err := c.get(ctx, gpb.GetRequest_ALL, paths...)
	if err != nil && status.Code(err) != codes.NotFound {
		return nil, err
	}
	if err != nil && len(devices) > 1 {
		// One of them is gone, or has no units: they are asked for one by one.
		list = nil
		for _, d := range devices {
			some, err := c.interfaceNames(ctx, []string{d}, id)
			if err != nil {
				return nil, err
			}
			list = append(list, some...)
		}
		return list, nil
	}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			list = append(list, ifName{device: e[0].GetKey()["name"], id: e[1].GetKey()["id"]})
		}
	}
	slices.SortFunc(list, func(a, b ifName) int {
		return cmp.Or(render.Natural(a.device, b.device), render.Natural(a.id, b.id))
	})
	return slices.Compact(list), nil
}

// atOnce is how many devices and units are asked for at a time: the first page is
// there soon, and neither side holds more.
const atOnce = 64

// A visitor takes devices and units as they come; page is called when some have.
type visitor struct {
	device func(interfaceTree) error
	unit   func(device string, u unitTree) error
	page   func() error
}

// eachInterface visits all devices and units, a device with its units, or a unit. What
// there is is asked for as it is needed: at first of one device, then of more and more.
func (c *client) eachInterface(ctx context.Context, name string, v visitor) error {
	devices, err := c.deviceNames(ctx, name)
	if err != nil {
		return err
	}
	_, id, _ := strings.Cut(name, ".")
	found := 0
	for n := 1; len(devices) > 0; n = min(2*n, atOnce) {
		some := devices[:min(n, len(devices))]
		devices = devices[len(some):]
		names, err := c.interfaceNames(ctx, some, id)
		if err != nil {
			return err
		}
		found += len(names)
		if err := c.states(ctx, names, v); err != nil {
			return err
		}
	}
	if found == 0 && name != "" {
		return noInterface(name)
	}
	return nil
}

// states reads the state of devices and units, some at a time.
func (c *client) states(ctx context.Context, names []ifName, v visitor) error {
	for some := range slices.Chunk(names, atOnce) {
		paths := make([]*gpb.Path, len(some))
		for i, n := range some {
			paths[i] = n.path()
		}
		notes, err := c.get(ctx, gpb.GetRequest_STATE, paths...)
		if status.Code(err) == codes.NotFound {
			// One is gone since it was listed: the others are asked for one by one.
			if len(some) == 1 {
				continue
			}
			for _, n := range some {
				if err := c.states(ctx, []ifName{n}, v); err != nil {
					return err
				}
			}
			continue
		}
		if err != nil {
			return err
		}
		for i, n := range notes {
			for _, u := range n.GetUpdate() {
				raw := unqualify(rawValue(u.GetVal()))
				var err error
				if at := some[i]; at.id == "" {
					t := interfaceTree{Name: at.device}
					if err = json.Unmarshal(raw, &t.State); err == nil {
						err = v.device(t)
					}
				} else {
					var t unitTree
					if err = json.Unmarshal(raw, &t); err == nil {
						t.ID = at.id
						t.State.Name = cmp.Or(t.State.Name, at.String())
						err = v.unit(at.device, t)
					}
				}
				if err != nil {
					return fmt.Errorf("interface %s: %w", some[i], err)
				}
			}
		}
		if err := v.page(); err != nil {
			return err
		}
	}
	return nil
}

func onlyName(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
