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

// A systemTree is /system/state.
type systemTree struct {
	Hostname  string `json:"hostname"`
	Version   string `json:"version"`
	BootTime  string `json:"boot-time"`
	Dataplane struct {
		Workers int `json:"workers"`
		Threads []struct {
			Scheduling string `json:"scheduling"`
			Nice       int    `json:"nice"`
		} `json:"worker"`
		Buffers   int        `json:"buffers"`
		Free      int        `json:"buffers-free"`
		Jumbo     int        `json:"jumbo-buffers"`
		JumboFree int        `json:"jumbo-buffers-free"`
		FIB       string     `json:"fib-octets"`
		NextHops  int        `json:"next-hops"`
		Limit     string     `json:"fib-limit"`
		Waiting   int        `json:"routes-waiting"`
		NoFast    string     `json:"fast-path-reason"`
		Drops     []dropTree `json:"drops"`
	} `json:"dataplane"`
	Process struct {
		Resident string `json:"resident-octets"`
		Heap     string `json:"heap-octets"`
		CPUTime  string `json:"cpu-time"`
		Threads  int    `json:"goroutines"`
	} `json:"process"`
	Datastore struct {
		Commit  string `json:"commit-number"`
		Time    string `json:"last-commit-time"`
		Pending int    `json:"pending-objects"`
	} `json:"datastore"`
}

// showSystem prints the router as a whole on one page.
func (o *options) showSystem(ctx context.Context, c *client) error {
	state := &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "state"}}}
	if o.wantsData() {
		_, err := o.printNodes(ctx, c, gpb.GetRequest_STATE, true, state)
		return err
	}
	var s systemTree
	notes, err := c.get(ctx, gpb.GetRequest_STATE, state)
	if err != nil {
		return err
	}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			if err := json.Unmarshal(unqualify(rawValue(u.GetVal())), &s); err != nil {
				return fmt.Errorf("the router's answer for /system/state: %w", err)
			}
		}
	}
	line := func(label, format string, args ...any) error {
		return o.say(render.Plain, "%-14s %s", label, fmt.Sprintf(format, args...))
	}
	uptime := "-"
	if ns, err := strconv.ParseInt(s.BootTime, 10, 64); err == nil {
		uptime = fmt.Sprintf("%s, since %s", render.Duration(time.Since(time.Unix(0, ns))), time.Unix(0, ns).Format(time.DateTime))
	}
	d := s.Dataplane
	lines := [][2]string{
		{"Hostname", dash(s.Hostname)}, {"Version", dash(s.Version)}, {"Uptime", uptime},
		{"Workers", workersText(&s)},
		{"Buffers", fmt.Sprintf("%d, %d free; jumbo %d, %d free", d.Buffers, d.Free, d.Jumbo, d.JumboFree)},
		{"Tables", tablesText(octetsText(d.FIB), octetsText(d.Limit), d.NextHops, d.Waiting)},
		{"Memory", fmt.Sprintf("%s resident, %s heap", octetsText(s.Process.Resident), octetsText(s.Process.Heap))},
		{"Processor", cpuText(s.Process.CPUTime)},
		{"Commit", fmt.Sprintf("%s at %s, %d objects not in place", dash(s.Datastore.Commit), momentText(s.Datastore.Time), s.Datastore.Pending)},
	}
	if d.NoFast != "" {
		lines = append(lines, [2]string{"Fast path", "none: " + d.NoFast})
	}
	for _, l := range lines {
		if err := line(l[0], "%s", l[1]); err != nil {
			return err
		}
	}
	devices, err := c.deviceCounts(ctx)
	if err != nil {
		return err
	}
	if err := line("Devices", "%s", devices); err != nil {
		return err
	}
	if err := o.sayRoutes(ctx, c); err != nil {
		return err
	}
	return o.sayHealth(ctx, c)
}

// tablesText sums the forwarding tables up.
func tablesText(used, limit string, nextHops, waiting int) string {
	text := fmt.Sprintf("%s of %s at most, %d next hops", used, limit, nextHops)
	if waiting > 0 {
		text += fmt.Sprintf("; %d routes wait for room", waiting)
	}
	return text
}

func octetsText(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "-"
	}
	return render.Octets(n)
}

func cpuText(ns string) string {
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return "-"
	}
	return render.Duration(time.Duration(n)) + " used"
}

// deviceCounts says how many devices there are by their status.
func (c *client) deviceCounts(ctx context.Context) (string, error) {
	notes, err := c.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": "*"}},
		{Name: "state"}, {Name: "oper-status"}}})
	if status.Code(err) == codes.NotFound {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	counts := map[string]int{}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			counts[strings.Trim(string(rawValue(u.GetVal())), `"`)]++
		}
	}
	var words []string
	for word, n := range counts {
		words = append(words, fmt.Sprintf("%d %s", n, word))
	}
	slices.Sort(words)
	return cmp.Or(strings.Join(words, ", "), "none"), nil
}

// sayRoutes says how many routes there are.
func (o *options) sayRoutes(ctx context.Context, c *client) error {
	notes, err := c.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "instance", Key: map[string]string{"name": "*"}},
		{Name: "rib", Key: map[string]string{"afi": "*"}}, {Name: "state"}, {Name: "active-routes"}}})
	if err != nil {
		return err
	}
	byFamily := map[string]int{}
	instances := map[string]bool{}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			var n int
			if err := json.Unmarshal(rawValue(u.GetVal()), &n); err != nil {
				return fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			byFamily[e[1].GetKey()["afi"]] += n
			instances[e[0].GetKey()["name"]] = true
		}
	}
	return o.say(render.Plain, "%-14s %d inet, %d inet6, in %d instances", "Routes", byFamily["inet"], byFamily["inet6"], len(instances))
}

// sayHealth says which parts are not healthy.
func (o *options) sayHealth(ctx context.Context, c *client) error {
	var list []healthTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "health"}, {Name: "component", Key: map[string]string{"name": "*"}}}}
	if _, _, err := o.asText().fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list)); err != nil {
		return err
	}
	style, words := render.Good, []string{}
	for _, h := range list {
		if h.State.Status == "unhealthy" {
			words = append(words, h.Name+": "+h.State.Reason)
			style = render.Bad
		}
	}
	text := o.view.screen.Paint(style, render.Clean(cmp.Or(strings.Join(words, "; "), "all parts are healthy")))
	_, err := fmt.Fprintf(o.out, "%-14s %s\n", "Health", text)
	return err
}

// workersText is how many workers there are, and what each distinct way is that the kernel
// schedules them.
func workersText(s *systemTree) string {
	var ways []string
	for _, t := range s.Dataplane.Threads {
		way := t.Scheduling
		if t.Nice != 0 {
			way = fmt.Sprintf("%s, nice %d", way, t.Nice)
		}
		if way != "" && way != "other" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	text := strconv.Itoa(s.Dataplane.Workers)
	if len(ways) > 0 {
		text += " (" + strings.Join(ways, "; ") + ")"
	}
	return text
}
