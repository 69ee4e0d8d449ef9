package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What the report stands between in the document.
const (
	reportBegin = "<!-- bench-net: what follows is written by `make bench-net` -->"
	reportEnd   = "<!-- bench-net: end -->"
)

// report writes the results into the document, and plots beside it.
func report(o options) error {
	r, err := read(o.results)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(o.doc)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), reportBegin)
	_, after, ok2 := strings.Cut(rest, reportEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no section between %q and %q: add these lines where it is to stand", o.doc, reportBegin, reportEnd)
	}
	plots, err := filepath.Rel(filepath.Dir(o.doc), o.plots)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(before + reportBegin + "\n\n")
	r.markdown(&b, filepath.ToSlash(plots))
	b.WriteString("\n" + reportEnd + after)
	if err := os.MkdirAll(o.plots, 0o755); err != nil {
		return err
	}
	for name, p := range r.plots() {
		if err := os.WriteFile(filepath.Join(o.plots, name+".svg"), []byte(p.svg()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(o.doc, []byte(b.String()), 0o644)
}

// A view is how scenarios of one kind and family make a table: a column each.
type view struct {
	kind  kind
	v6    bool
	title string
	plot  string // its file, without ending
}

var views = []view{
	{routes, false, "IPv4, Mpps by the number of routes", "routes-inet"},
	{routes, true, "IPv6, Mpps by the number of routes", "routes-inet6"},
	{filters, false, "IPv4, Mpps through filters by the number of their terms", "filters-inet"},
	{filters, true, "IPv6, Mpps through filters by the number of their terms", "filters-inet6"},
	{instances, false, "IPv4, Mpps by the number of instances", "instances-inet"},
	{instances, true, "IPv6, Mpps by the number of instances", "instances-inet6"},
	{mixed, false, "", ""},
	{mixed, true, "", ""},
	{latency, false, "IPv4, share of packets by one-way time", "latency-inet"},
	{latency, true, "IPv6, share of packets by one-way time", "latency-inet6"},
}

// column is what a scenario's column is called, and where it stands on the axis of
// a plot; ok is false for what has no place there.
func (s *scenario) column() (name string, x float64, ok bool) {
	switch s.Kind {
	case routes:
		if s.Table == realTable {
			return "real table", 0, false
		}
		name = s.Table
	case filters:
		name = fmt.Sprint(s.Terms)
	case instances:
		name = fmt.Sprint(s.Instances)
	case mixed, latency:
		return s.Name, 0, false
	}
	_, err := fmt.Sscan(name, &x)
	return name, x, err == nil
}

// in are the outcomes of a view that were measured.
func (r *results) in(v view) []*outcome {
	var list []*outcome
	for i := range r.Scenarios {
		if o := &r.Scenarios[i]; o.Kind == v.kind && o.V6 == v.v6 && o.Rounds > 0 {
			list = append(list, o)
		}
	}
	return list
}

// present are the devices that some outcome has a figure of.
func present(list []*outcome) []*device {
	var some []*device
	for i := range devices {
		if slices.ContainsFunc(list, func(o *outcome) bool { return o.of(devices[i].name) != nil }) {
			some = append(some, &devices[i])
		}
	}
	return some
}

func (r *results) markdown(b *strings.Builder, plots string) {
	fmt.Fprintf(b, "Measured on %s by commit %s on %s, Linux %s, in %s.", r.Date, r.Commit, r.Machine, r.Kernel, r.Took)
	if r.Note != "" {
		fmt.Fprintf(b, " %s", strings.TrimSuffix(r.Note, ".")+".")
	}
	b.WriteString("\nFigures are medians of interleaved rounds, in millions of packets a second at the sink, frames as small as they can be. Devices of XDP and of Linux have one\n" +
		"processor for generator, router and sink together; what runs in user space has a second one. Where not all packets went by the fast path, the part that did stands behind the figure.\n")
	for _, v := range views {
		list := r.in(v)
		if len(list) == 0 || v.kind == mixed || v.kind == latency {
			continue
		}
		fmt.Fprintf(b, "\n| %s |", v.title)
		for _, o := range list {
			name, _, _ := o.column()
			fmt.Fprintf(b, " %s |", name)
		}
		b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(list)) + "\n")
		for _, d := range present(list) {
			fmt.Fprintf(b, "| %s |", d.title)
			for _, o := range list {
				fmt.Fprintf(b, " %s |", o.cell(d.name))
			}
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "\n![%s](%s/%s.svg)\n", v.title, plots, v.plot)
	}
	r.mixedTable(b)
	r.latencyTable(b, plots)
	r.missing(b)
	for i := range devices {
		if why := r.Absent[devices[i].name]; why != "" {
			fmt.Fprintf(b, "\n%s was left out: %s.\n", devices[i].title, why)
		}
	}
}

// cell is a device's figure as a table shows it.
func (o *outcome) cell(device string) string {
	f := o.of(device)
	if f == nil {
		return ""
	}
	text := number(median(f.Mpps))
	if share := median(f.Share); len(f.Share) > 0 && share < 0.99 {
		text += fmt.Sprintf(" (%.0f %%)", 100*share)
	}
	return text
}

// number has three digits that count.
func number(v float64) string {
	switch {
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// both are the outcomes of a kind in both families.
func (r *results) both(k kind) []*outcome {
	return append(r.in(view{kind: k}), r.in(view{kind: k, v6: true})...)
}

func (r *results) mixedTable(b *strings.Builder) {
	list := r.both(mixed)
	if len(list) == 0 {
		return
	}
	b.WriteString("\n| Internet mix of 64, 594 and 1518 octets, 7 : 4 : 1 |")
	for _, o := range list {
		fmt.Fprintf(b, " %s, Mpps | %[1]s, Gbit/s |", o.family())
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- | --- |", len(list)) + "\n")
	for _, d := range present(list) {
		fmt.Fprintf(b, "| %s |", d.title)
		for _, o := range list {
			gbps := ""
			if f := o.of(d.name); f != nil {
				gbps = number(median(f.Gbps))
			}
			fmt.Fprintf(b, " %s | %s |", o.cell(d.name), gbps)
		}
		b.WriteString("\n")
	}
}

func (o *outcome) family() string {
	if o.V6 {
		return "IPv6"
	}
	return "IPv4"
}

func (r *results) latencyTable(b *strings.Builder, plots string) {
	list := r.both(latency)
	if len(list) == 0 {
		return
	}
	b.WriteString("\n| one-way time at 10,000 packets a second, microseconds |")
	for _, o := range list {
		fmt.Fprintf(b, " %s, p50 / p99 / p99.9 | lost |", o.family())
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- | --- |", len(list)) + "\n")
	for _, d := range present(list) {
		fmt.Fprintf(b, "| %s |", d.title)
		for _, o := range list {
			if f := o.of(d.name); f != nil {
				fmt.Fprintf(b, " %s / %s / %s | %d |", number(median(f.P50)), number(median(f.P99)), number(median(f.P999)), f.Lost)
			} else {
				b.WriteString(" | |")
			}
		}
		b.WriteString("\n")
	}
	for _, v := range views {
		if v.kind == latency && len(r.in(v)) > 0 {
			fmt.Fprintf(b, "\n![%s](%s/%s.svg)\n", v.title, plots, v.plot)
		}
	}
}

// missing names what there was no time for.
func (r *results) missing(b *strings.Builder) {
	var names []string
	for i := range r.Scenarios {
		if r.Scenarios[i].Rounds == 0 {
			names = append(names, r.Scenarios[i].Name)
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(b, "\nThere was no time for %s.\n", strings.Join(names, ", "))
	}
}

// plots are the plots of all views, by the name of their file.
func (r *results) plots() map[string]*plot {
	all := make(map[string]*plot)
	for _, v := range views {
		list := r.in(v)
		if v.plot == "" || len(list) == 0 {
			continue
		}
		p := &plot{title: v.title, y: "Mpps", logX: true, logY: true}
		switch v.kind {
		case latency:
			p.x, p.y, p.logY = "microseconds", "share of packets", false
		case filters:
			p.x = "terms (the leftmost is none)"
		case routes, instances, mixed:
			p.x = string(v.kind)
		}
		for _, d := range present(list) {
			c := curve{name: d.title, colour: slices.IndexFunc(devices, func(o device) bool { return o.name == d.name })}
			for _, o := range list {
				f := o.of(d.name)
				if f == nil {
					continue
				}
				if v.kind == latency {
					c.points = f.distribution()
				} else if _, x, ok := o.column(); ok {
					// A logarithmic axis has no zero.
					c.points = append(c.points, point{max(x, 1), median(f.Mpps)})
				}
			}
			p.curves = append(p.curves, c)
		}
		all[v.plot] = p
	}
	return all
}

// distribution is the share of packets that took up to so many microseconds.
func (f *figure) distribution() []point {
	var all, sum uint64
	for _, h := range f.Histogram {
		all += h[1]
	}
	var points []point
	for _, h := range f.Histogram {
		sum += h[1]
		points = append(points, point{float64(h[0]) / 1000, float64(sum) / float64(all)})
	}
	return points
}
