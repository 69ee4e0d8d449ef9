package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
)

type filterTree struct {
	Name   string `json:"name"`
	Config struct {
		Family string `json:"family"`
	} `json:"config"`
	State struct {
		Bindings int `json:"bindings"`
		applyTree
	} `json:"state"`
	Term []termTree `json:"term"`
}

type termTree struct {
	Name  string `json:"name"`
	State struct {
		Packets string `json:"packets"`
		Octets  string `json:"octets"`
	} `json:"state"`
	Match  configTree `json:"match"`
	Action configTree `json:"action"`
}

// A configTree is a container with leaves that are shown as they are.
type configTree struct {
	Config map[string]any `json:"config"`
}

type policerTree struct {
	Name  string `json:"name"`
	State struct {
		Type  string `json:"type"`
		Unit  string `json:"unit"`
		Rate  string `json:"committed-rate"`
		Burst string `json:"committed-burst"`
		applyTree
	} `json:"state"`
	Green  colourTree `json:"green"`
	Yellow colourTree `json:"yellow"`
	Red    colourTree `json:"red"`
}

type colourTree struct {
	State struct {
		Drop    bool   `json:"drop"`
		Packets string `json:"packets"`
		Octets  string `json:"octets"`
	} `json:"state"`
}

// A boundTree is what a term matched at one place.
type boundTree struct {
	Hook    string `json:"hook"`
	Term    string `json:"term"`
	Packets string `json:"packets"`
	Octets  string `json:"octets"`
}

type logTree struct {
	Number          string `json:"number"`
	Time            string `json:"time"`
	Filter          string `json:"filter"`
	Term            string `json:"term"`
	Hook            string `json:"hook"`
	Interface       string `json:"interface"`
	Verdict         string `json:"verdict"`
	Source          string `json:"source"`
	Destination     string `json:"destination"`
	Protocol        int    `json:"protocol"`
	SourcePort      *int   `json:"source-port"`
	DestinationPort *int   `json:"destination-port"`
	Length          int    `json:"length"`
}

// rootEntry is the path of an entry of a list at the root.
func rootEntry(list, key string) *gpb.Path {
	return &gpb.Path{Elem: []*gpb.PathElem{{Name: list, Key: map[string]string{"name": key}}}}
}

func showFilters(ctx context.Context, o *options, c *client, args []string) error {
	name := "*"
	if len(args) > 0 {
		name = args[0]
	}
	var list []filterTree
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_ALL, rootEntry("filter", name), collect(&list))
	if err != nil || done {
		return err
	}
	if len(args) == 0 {
		return filterSummary(o, list)
	}
	if absent || len(list) == 0 {
		return status.Errorf(codes.NotFound, "there is no filter %s; show filters lists them", name)
	}
	return filterTerms(ctx, o, c, list[0])
}

func filterSummary(o *options, list []filterTree) error {
	slices.SortFunc(list, func(a, b filterTree) int { return strings.Compare(a.Name, b.Name) })
	var rows [][]string
	for _, f := range list {
		packets, octets := f.totals()
		rows = append(rows, []string{f.State.mark(f.Name), dash(f.Config.Family), strconv.Itoa(len(f.Term)), strconv.Itoa(f.State.Bindings), packets.String(), octets.String()})
	}
	if err := o.rows("Filter Family Terms Bound Packets Octets", rows); err != nil {
		return err
	}
	for _, f := range list {
		if err := o.sayWhy(f.Name, f.State.applyTree); err != nil {
			return err
		}
	}
	return nil
}

// totals are what all terms matched together.
func (f filterTree) totals() (packets, octets *big.Int) {
	packets, octets = new(big.Int), new(big.Int)
	for _, t := range f.Term {
		packets.Add(packets, number(t.State.Packets))
		octets.Add(octets, number(t.State.Octets))
	}
	return packets, octets
}

func number(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return new(big.Int)
	}
	return n
}

func filterTerms(ctx context.Context, o *options, c *client, f filterTree) error {
	total, _ := f.totals()
	var rows [][]string
	for _, t := range f.Term {
		share := "-"
		if n := number(t.State.Packets); total.Sign() > 0 {
			percent, _ := new(big.Rat).SetFrac(new(big.Int).Mul(n, big.NewInt(100)), total).Float64()
			share = strconv.FormatFloat(percent, 'f', 1, 64) + "%"
		}
		rows = append(rows, []string{t.Name, dash(t.State.Packets), dash(t.State.Octets), share, t.Action.action(), t.Match.leaves()})
	}
	if err := o.rows("Term Packets Octets Share Action Match", rows); err != nil {
		return err
	}
	if err := o.sayWhy(f.Name, f.State.applyTree); err != nil {
		return err
	}
	return filterPlaces(ctx, o, c, f.Name)
}

// filterPlaces prints what a filter counted for each place by itself, if it does.
func filterPlaces(ctx context.Context, o *options, c *client, name string) error {
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": "*"}}, {Name: "unit", Key: map[string]string{"id": "*"}},
		{Name: "family", Key: map[string]string{"type": "*"}}, {Name: "filter"}, {Name: "state"}, {Name: "counter", Key: map[string]string{"filter": name, "hook": "*", "term": "*"}}}}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, path)
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	var rows [][]string
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			var b boundTree
			if err := json.Unmarshal(unqualify(rawValue(u.GetVal())), &b); err != nil {
				return fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			e := u.GetPath().GetElem()
			rows = append(rows, []string{e[0].GetKey()["name"] + "." + e[1].GetKey()["id"], b.Hook, b.Term, b.Packets, b.Octets})
		}
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return render.Natural(a[0], b[0]) })
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(o.out)
	return o.rows("Interface Hook Term Packets Octets", rows)
}

// leaves are the leaves and their values in one line; "-" for none.
func (t configTree) leaves() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(t.Config)) {
		var values []string
		switch v := t.Config[name].(type) {
		case []any:
			for _, one := range v {
				values = append(values, valueText(one))
			}
		case bool:
			if !v {
				continue
			}
		default:
			values = append(values, valueText(v))
		}
		words = append(words, strings.TrimSpace(name+" "+strings.Join(values, ",")))
	}
	return dash(strings.Join(words, " "))
}

// valueText is a JSON value without an exponent.
func valueText(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// action is the disposition and what else is done.
func (t configTree) action() string {
	rest := configTree{Config: maps.Clone(t.Config)}
	verb, ok := rest.Config["disposition"].(string)
	if !ok {
		verb = "accept"
	}
	delete(rest.Config, "disposition")
	if more := rest.leaves(); more != "-" {
		return verb + " " + more
	}
	return verb
}

func showPolicers(ctx context.Context, o *options, c *client, args []string) error {
	name := "*"
	if len(args) > 0 {
		name = args[0]
	}
	var list []policerTree
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, rootEntry("policer", name), collect(&list))
	if err != nil || done {
		return err
	}
	if absent && name != "*" {
		return status.Errorf(codes.NotFound, "there is no policer %s; show policers lists them", name)
	}
	slices.SortFunc(list, func(a, b policerTree) int { return strings.Compare(a.Name, b.Name) })
	var rows [][]string
	for _, p := range list {
		rate := p.State.Rate + " bit/s"
		burst := p.State.Burst + " octets"
		if p.State.Unit == "packets" {
			rate, burst = p.State.Rate+" packets/s", p.State.Burst+" packets"
		}
		row := []string{p.State.mark(p.Name), dash(p.State.Type), rate, burst}
		for _, c := range []struct {
			name string
			colourTree
		}{{"green", p.Green}, {"yellow", p.Yellow}, {"red", p.Red}} {
			if c.name == "yellow" && p.State.Type == "single-rate" {
				continue
			}
			does := "pass"
			if c.State.Drop {
				does = "drop"
			}
			rows = append(rows, append(row, c.name, does, dash(c.State.Packets), dash(c.State.Octets)))
			row = []string{"", "", "", ""}
		}
	}
	if err := o.rows("Policer Type Rate Burst Colour Action Packets Octets", rows); err != nil {
		return err
	}
	for _, p := range list {
		if err := o.sayWhy(p.Name, p.State.applyTree); err != nil {
			return err
		}
	}
	return nil
}

func showFilterLog(ctx context.Context, o *options, c *client, last int) error {
	var list []logTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "filter-log", Key: map[string]string{"slot": "*"}}}}
	done, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list))
	if err != nil || done {
		return err
	}
	slices.SortFunc(list, func(a, b logTree) int { return number(a.Number).Cmp(number(b.Number)) })
	if last > 0 && len(list) > last {
		list = list[len(list)-last:]
	}
	var rows [][]string
	for _, e := range list {
		rows = append(rows, e.row())
	}
	return o.rows("Time Filter Term Hook Interface Verdict Protocol Source Destination Length", rows)
}

func (e logTree) row() []string {
	at := e.Time
	if ns, err := strconv.ParseInt(e.Time, 10, 64); err == nil {
		at = time.Unix(0, ns).Format("2006-01-02T15:04:05.000000")
	}
	end := func(address string, port *int) string {
		switch {
		case port == nil:
			return dash(address)
		case strings.Contains(address, ":"):
			return "[" + address + "]:" + strconv.Itoa(*port)
		}
		return address + ":" + strconv.Itoa(*port)
	}
	return []string{
		at, dash(e.Filter), dash(e.Term), dash(e.Hook), dash(e.Interface), dash(e.Verdict), protocolText(e.Protocol),
		end(e.Source, e.SourcePort), end(e.Destination, e.DestinationPort), strconv.Itoa(e.Length),
	}
}

// protocolText is a protocol by its common name, or by its number.
func protocolText(p int) string {
	switch p {
	case 1:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 58:
		return "icmp6"
	}
	return strconv.Itoa(p)
}
