package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"router/internal/testnet/traffic"
)

// run measures all scenarios that are asked for, and writes the results after each.
func run(ctx context.Context, o options) error {
	if err := binaryOf(o.bin); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-net-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return guarded(func(t *stage) {
		b := &bench{ctx: ctx, o: o, w: enter(t, o.prefix), absent: absent(o.devices)}
		b.kernel = newKernelRouter(b.w, dir)
		t.Cleanup(func() { warn(b.kernel.clear()) })
		if b.daemon, err = startDaemon(ctx, b.w, o.bin, dir); err != nil {
			t.check(err, "routerd")
		}
		t.Cleanup(func() { warn(b.daemon.close()) })
		t.check(b.all(), "measure")
	})
}

// warn tells of what went wrong when nobody can help it any more.
func warn(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-net: %v\n", err)
	}
}

// all measures scenario after scenario. Each gets an even share of the time that is
// left.
func (b *bench) all() error {
	var list []scenario
	for _, s := range scenarios() {
		if b.o.only.MatchString(s.Name) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("no scenario matches %q: bench-net list names them", b.o.only)
	}
	start := time.Now()
	r := newResults(b.o.note)
	r.Absent = b.absent
	for i := range list {
		left := b.o.time - time.Since(start)
		out := outcome{scenario: list[i]}
		if left > 0 {
			if err := b.scenario(&out, left/time.Duration(len(list)-i)); err != nil {
				return fmt.Errorf("%s: %w", list[i].Name, err)
			}
		}
		r.Scenarios = append(r.Scenarios, out)
		r.Took = time.Since(start).Round(time.Second).String()
		if err := r.write(b.o.results); err != nil {
			return err
		}
		fmt.Println(out.line())
	}
	return nil
}

// line sums an outcome up.
func (o *outcome) line() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-20s %d rounds:", o.Name, o.Rounds)
	for i := range o.Figures {
		f := &o.Figures[i]
		if o.Latency {
			fmt.Fprintf(&s, " %s %.1f/%.1f us", f.Device, median(f.P50), median(f.P99))
		} else {
			fmt.Fprintf(&s, " %s %.2f", f.Device, median(f.Mpps))
		}
	}
	return s.String()
}

// A part is a device's part in a scenario.
type part struct {
	device *device
	flow   *traffic.Flow
	sink   *traffic.Station
	figure figure
}

// scenario measures each device in turn, round after round, until there are enough
// rounds or the time is over; one round is made in any case.
func (b *bench) scenario(out *outcome, limit time.Duration) error {
	start := time.Now()
	s := &out.scenario
	list, err := b.tables.of(s)
	if err != nil {
		return err
	}
	filter, err := rules(s)
	if err != nil {
		return err
	}
	to := addresses(list, b.o.destinations)
	if s.Kind == filters {
		list = everywhere(s.V6)
	}
	if filter != nil {
		to = filter.destinations
	}
	return guarded(func(t *stage) {
		parts := b.parts(t, s, to)
		t.check(b.load(t, parts, s, filter, list), "routes")
		for out.Rounds < b.o.rounds && (out.Rounds == 0 || time.Since(start) < limit) {
			for i := range parts {
				t.check(b.ctx.Err(), "stopped")
				t.check(b.measure(&parts[i], s, filter), "%s", parts[i].device.name)
			}
			out.Rounds++
		}
		for i := range parts {
			out.Figures = append(out.Figures, parts[i].figure)
		}
	})
}

// everywhere is a default route.
func everywhere(v6 bool) []route {
	if v6 {
		return []route{{prefix: netip.MustParsePrefix("::/0")}}
	}
	return []route{{prefix: netip.MustParsePrefix("0.0.0.0/0")}}
}

// parts prepares the flow of each device; devices on one line share it.
func (b *bench) parts(t *stage, s *scenario, to []netip.Addr) []part {
	var parts []part
	shared := make(map[string]*traffic.Flow)
	for i := range devices {
		d := &devices[i]
		if len(b.o.devices) > 0 && !b.o.devices[d.name] || d.unfit(s) != "" || b.absent[d.name] != "" {
			continue
		}
		stations := b.w.stations[d.line.name]
		if shared[d.line.name] == nil {
			shared[d.line.name] = stations[0].Generate(t, b.w.pattern(d.line, s, to))
		}
		parts = append(parts, part{device: d, flow: shared[d.line.name], sink: stations[1], figure: figure{Device: d.name}})
	}
	return parts
}

// load gives the routers that take part their routes, and those of instances until
// t ends.
func (b *bench) load(t *stage, parts []part, s *scenario, filter *ruleset, list []route) error {
	done := make(map[string]bool)
	for i := range parts {
		var err error
		switch router := parts[i].device.line.router; {
		case done[router]:
		case router == inKernel && s.Instances > 0:
			err = b.kernel.instances(t, s.Instances, list, s.V6)
		case router == inKernel:
			err = b.kernel.load(list, s.V6)
		case router == inRouterd:
			// The limit of entries and the instances come first.
			if err = b.daemon.configure(b.ctx, b.daemon.mode, s, filter); err != nil {
				break
			}
			if s.Instances > 0 {
				err = b.daemon.instances(b.ctx, t, s.Instances, list, s.V6)
			} else {
				err = b.daemon.load(b.ctx, list, s.V6)
			}
		}
		if err != nil {
			return err
		}
		done[parts[i].device.line.router] = true
	}
	return nil
}

const (
	pace     = 10000 // packets a second, of which the latency is taken
	paceTime = time.Second
	// warmUp is how long packets flow before they count.
	warmUp = 50 * time.Millisecond
	// forwardWait is how long a device may take until it forwards anything.
	forwardWait = 10 * time.Second
)

// measure takes a device through one round.
func (b *bench) measure(p *part, s *scenario, filter *ruleset) (err error) {
	end, err := p.device.begin(b, s, filter)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	for start := time.Now(); ; {
		r, err := p.sink.Measure(func() error {
			_, err := p.flow.Blast(0, warmUp)
			return err
		})
		if err != nil {
			return err
		}
		if r.Packets > 0 {
			break
		}
		if time.Since(start) > forwardWait {
			return fmt.Errorf("nothing was forwarded for %v", forwardWait)
		}
	}
	share, err := b.sharing(p.device)
	if err != nil {
		return err
	}
	var sent uint64
	r, err := p.sink.Measure(func() (err error) {
		if s.Latency {
			sent, err = p.flow.Pace(0, pace, paceTime)
		} else {
			sent, err = p.flow.Blast(0, b.o.blast)
		}
		return err
	})
	if err != nil {
		return err
	}
	p.figure.take(s, r, sent)
	return share(&p.figure)
}

// sharing begins to count which part of the packets goes the way that is measured.
func (b *bench) sharing(d *device) (end func(*figure) error, err error) {
	if d.share == nil {
		return func(*figure) error { return nil }, nil
	}
	part, all, err := d.share(b)
	return func(f *figure) error {
		part2, all2, err := d.share(b)
		if err == nil && all2 > all {
			f.Share = append(f.Share, float64(part2-part)/float64(all2-all))
		}
		return err
	}, err
}
