package main

import (
	"context"
	"fmt"
	"slices"
)

// Each instance has a VLAN at both ports, the same addresses as the others, a table
// of its own, and few neighbours, so that it is the tables that are many.
const (
	firstVLAN        = 100
	firstTable       = 1000 // plus the VLAN's id: the kernel's table
	instanceGateways = 4
)

// vlanOf is the VLAN of instance i.
func vlanOf(i int) int { return firstVLAN + i }

// instanceName is routerd's name of instance i.
func instanceName(i int) string { return fmt.Sprintf("instance-%d", i) }

// fewGateways has a table lead to the gateways that an instance has.
func fewGateways(list []route) []route {
	list = slices.Clone(list)
	for i := range list {
		list[i].gateway %= instanceGateways
	}
	return list
}

// instances gives the kernel a table for each of n instances, until t ends. They
// are for a program that picks them by the VLAN itself: Linux's own forwarding would
// need VLAN devices and VRFs, which not every kernel has.
func (k *kernelRouter) instances(t *stage, n int, list []route, v6 bool) error {
	ns := k.w.spaces[inKernel]
	device := ns.Link(t, ports[1]).Attrs().Index
	list = fewGateways(list)
	for i := range n {
		table := firstTable + vlanOf(i)
		if err := kernelRoutes(ns, list, v6, table, device, false); err != nil {
			return fmt.Errorf("kernel's table of VLAN %d: %w", vlanOf(i), err)
		}
		t.Cleanup(func() { warn(kernelRoutes(ns, list, v6, table, device, true)) })
	}
	return nil
}

// instances programs the tables of n instances, which are configured, until t
// ends.
func (d *daemon) instances(ctx context.Context, t *stage, n int, list []route, v6 bool) error {
	f, err := openFeed(ctx, d.conn)
	if err != nil {
		return err
	}
	t.Cleanup(f.close)
	list = fewGateways(list)
	for i := range n {
		f.instance = instanceName(i)
		if err := f.gateways(instanceGateways, v6); err != nil {
			return fmt.Errorf("instance %s: %w", f.instance, err)
		}
		if err := f.change(list, v6, false); err != nil {
			return fmt.Errorf("instance %s: %w", f.instance, err)
		}
	}
	return nil
}
