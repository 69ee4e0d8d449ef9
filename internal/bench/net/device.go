package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"router/internal/bench/net/peers"
)

// A device is something that forwards.
type device struct {
	name  string
	title string // in the report
	line  line
	// unfit says why the device has no part in a scenario, "" when it has.
	unfit func(s *scenario) string
	// absent says why this machine doesn't have it, "" when it has; nil: it has.
	absent func() string
	// begin makes it forward until end is called.
	begin func(b *bench, s *scenario, r *ruleset) (end func() error, err error)
	// share counts packets of which only a part goes the way that is to be measured;
	// nil: all do.
	share func(b *bench) (part, all uint64, err error)
}

func nothing() error { return nil }

// plain has no filters.
func plain(s *scenario) string {
	if s.Kind == filters && s.Terms > 0 {
		return "it has no filters"
	}
	return ""
}

// untagged has no instances here.
func untagged(s *scenario) string {
	if s.Instances > 0 {
		return "its instances need VLAN devices and VRFs"
	}
	return ""
}

// devices are all that are measured, in the order of the report.
var devices = []device{
	{
		name: "straight", title: "no router", line: lines[0],
		unfit: plain,
		begin: func(*bench, *scenario, *ruleset) (func() error, error) { return nothing, nil },
	},
	{
		name: "redirect", title: "XDP: redirect only", line: lines[1],
		unfit: plain,
		begin: func(b *bench, _ *scenario, _ *ruleset) (func() error, error) { return b.kernel.program(peers.Redirect) },
	},
	{
		name: "fib-lookup", title: "XDP: bpf_fib_lookup", line: lines[1],
		unfit: plain,
		begin: func(b *bench, _ *scenario, _ *ruleset) (func() error, error) { return b.kernel.program(peers.Lookup) },
	},
	{
		name: "linux", title: "Linux", line: lines[1],
		unfit: func(s *scenario) string { return cmp.Or(plain(s), untagged(s)) },
		begin: func(*bench, *scenario, *ruleset) (func() error, error) { return nothing, nil },
	},
	{
		name: "nftables", title: "Linux, nftables", line: lines[1],
		unfit: func(s *scenario) string {
			if s.Kind != filters {
				return "it is measured with filters only"
			}
			return ""
		},
		begin: func(b *bench, s *scenario, r *ruleset) (func() error, error) { return b.kernel.nftables(r, s.V6) },
	},
	{
		name: "af-xdp-rewrite", title: "AF_XDP: rewrite only, our driver", line: lines[1],
		unfit: rewrites,
		begin: func(b *bench, _ *scenario, _ *ruleset) (func() error, error) { return b.kernel.rewriter() },
	},
	{
		name: "dpdk", title: "AF_XDP: rewrite only, DPDK testpmd", line: lines[1],
		unfit: rewrites, absent: noTestpmd,
		begin: func(b *bench, _ *scenario, _ *ruleset) (func() error, error) { return b.kernel.dpdk() },
	},
	{
		name: "fast", title: "routerd, fast path", line: lines[2],
		unfit: func(*scenario) string { return "" },
		begin: func(b *bench, s *scenario, r *ruleset) (func() error, error) {
			return nothing, b.daemon.configure(b.ctx, mode{driver: "af-xdp", fast: true}, s, r)
		},
		share: func(b *bench) (part, all uint64, err error) { return b.daemon.fastPackets(b.ctx) },
	},
	{
		name: "af-xdp", title: "routerd, user path, AF_XDP", line: lines[2],
		unfit: func(*scenario) string { return "" },
		begin: func(b *bench, s *scenario, r *ruleset) (func() error, error) {
			return nothing, b.daemon.configure(b.ctx, mode{driver: "af-xdp"}, s, r)
		},
	},
	{
		name: "af-xdp-busy", title: "routerd, user path, AF_XDP, polled busily", line: lines[2],
		unfit: func(s *scenario) string {
			if s.Kind != latency {
				return "what polling wins is time, not rate"
			}
			return ""
		},
		begin: func(b *bench, s *scenario, r *ruleset) (func() error, error) {
			// Then it sleeps again: the processor is for others.
			end := func() error { return b.daemon.configure(context.WithoutCancel(b.ctx), mode{driver: "af-xdp"}, s, r) }
			return end, b.daemon.configure(b.ctx, mode{driver: "af-xdp", busy: true}, s, r)
		},
	},
	{
		name: "af-packet", title: "routerd, user path, AF_PACKET", line: lines[2],
		unfit: func(*scenario) string { return "" },
		begin: func(b *bench, s *scenario, r *ruleset) (func() error, error) {
			return nothing, b.daemon.configure(b.ctx, mode{driver: "af-packet"}, s, r)
		},
	},
}

func deviceNames() []string {
	var names []string
	for i := range devices {
		names = append(names, devices[i].name)
	}
	return names
}

func known(name string) bool { return find(name) != nil }

// find is the device of a name, nil when there is none.
func find(name string) *device {
	for i := range devices {
		if devices[i].name == name {
			return &devices[i]
		}
	}
	return nil
}

// A bench is a run under way.
type bench struct {
	ctx    context.Context
	o      options
	w      *world
	kernel *kernelRouter
	daemon *daemon
	tables tables
	absent map[string]string // devices that the machine doesn't have, and why
}

// absent are the devices of a selection, all when it is empty, that this machine
// does not have.
func absent(selection map[string]bool) map[string]string {
	why := make(map[string]string)
	for i := range devices {
		d := &devices[i]
		if d.absent == nil || len(selection) > 0 && !selection[d.name] {
			continue
		}
		if reason := d.absent(); reason != "" {
			why[d.name] = reason
			fmt.Fprintf(os.Stderr, "bench-net: without %s: %s\n", d.name, reason)
		}
	}
	return why
}
