package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/output"
	"router/cmd/rcli/render"
	"router/gen/configpb"
)

// routes streams what the router answers to req, prefix by prefix. Nothing is held:
// the router goes as fast as visit takes. now is the router's clock.
func (c *client) routes(ctx context.Context, req *configpb.RoutesRequest, visit func(p *configpb.RoutePrefix, now int64) error, page func() error) error {
	ctx, cancel := context.WithCancel(c.context(ctx))
	defer cancel()
	stream, err := configpb.NewStateClient(c.conn).Routes(ctx, req)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range m.GetPrefix() {
			if err := visit(p, m.GetTime()); err != nil {
				return err
			}
		}
		if err := page(); err != nil {
			return err
		}
	}
}

// showRoute prints routes grouped by prefix, the way of a packet with a star.
func (o *options) showRoute(ctx context.Context, c *client, req *configpb.RoutesRequest) error {
	if o.wantsData() {
		return o.routesAsData(ctx, c, req)
	}
	b := bufio.NewWriter(o.out)
	n := 0
	last := ""
	err := c.routes(ctx, req, func(p *configpb.RoutePrefix, now int64) error {
		afi := afiOf(p.GetPrefix())
		if afi != last {
			if err := o.routesHead(ctx, c, b, req, afi, n > 0); err != nil {
				return err
			}
			last = afi
		}
		n++
		_, err := b.WriteString(groupedRoute(o.view.screen, p, now))
		return err
	}, b.Flush)
	if err = flushed(b, err); err != nil {
		return err
	}
	// Of what failed the table knows nothing.
	if req.GetPrefix() == "" && req.GetSource() == "" {
		if err := o.sayFailures(ctx, c, fmt.Sprintf("/instance[name=%s]", orDefault(req.GetInstance()))); err != nil {
			return err
		}
	}
	switch {
	case n > 0:
		return nil
	case req.GetProtocol() == "" && req.GetSource() == "" && req.GetPrefix() == "" && !req.GetActive():
		// Of a router without interfaces that is the answer.
		_, err := fmt.Fprintf(o.out, "instance %s has no routes yet\n", orDefault(req.GetInstance()))
		return err
	}
	return noRoute(req)
}

// flushed is err, after what was written before it has gone out. Joined with another
// error, a status would lose its message.
func flushed(b *bufio.Writer, err error) error {
	if ferr := b.Flush(); err == nil {
		err = ferr
	}
	return err
}

// noRoute is the error of a request that nothing answers.
func noRoute(req *configpb.RoutesRequest) error {
	what := ""
	if req.GetProtocol() != "" {
		what += " of protocol " + req.GetProtocol()
	}
	if req.GetSource() != "" {
		what += " of source " + req.GetSource()
	}
	if req.GetPrefix() != "" {
		what += " to " + req.GetPrefix()
	}
	return status.Errorf(codes.NotFound, "instance %s has no route%s", orDefault(req.GetInstance()), what)
}

func orDefault(instance string) string {
	if instance == "" {
		return "default"
	}
	return instance
}

func afiOf(prefix string) string {
	if strings.Contains(prefix, ":") {
		return "inet6"
	}
	return "inet"
}

// routesHead prints what table it is, and how large.
func (o *options) routesHead(ctx context.Context, c *client, w io.Writer, req *configpb.RoutesRequest, afi string, again bool) error {
	path := &gpb.Path{Elem: []*gpb.PathElem{
		{Name: "instance", Key: map[string]string{"name": orDefault(req.GetInstance())}},
		{Name: "rib", Key: map[string]string{"afi": afi}}, {Name: "state"},
	}}
	var n struct {
		Total     int `json:"total-routes"`
		Active    int `json:"active-routes"`
		Permanent int `json:"permanent"`
	}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, path)
	if err != nil {
		return err
	}
	for _, note := range notes {
		for _, u := range note.GetUpdate() {
			if err := json.Unmarshal(unqualify(rawValue(u.GetVal())), &n); err != nil {
				return fmt.Errorf("the router's answer for %s: %w", pathText(path), err)
			}
		}
	}
	text := fmt.Sprintf("instance %s, %s: %d destinations, %d routes", orDefault(req.GetInstance()), afi, n.Active, n.Total)
	if n.Permanent > 0 && wholeTable(req) && !req.GetPermanent() {
		text += fmt.Sprintf(", %d of them permanent: show route all has these, too", n.Permanent)
	}
	if again {
		text = "\n" + text
	}
	_, err = fmt.Fprintf(w, "%s\n* is the route that packets follow\n\n", o.view.screen.Paint(render.Strong, text))
	return err
}

// wholeTable reports whether the request picks no routes but by whether they are permanent.
func wholeTable(req *configpb.RoutesRequest) bool {
	return req.GetMatch() == configpb.RoutesRequest_ALL && req.GetProtocol() == "" && req.GetSource() == "" && !req.GetActive()
}

// hang is the column at which the routes to a prefix stand.
const hang = 19

// groupedRoute is a prefix with its routes, a line for each and for each of its next
// hops. now is the clock that ages are told from.
func groupedRoute(s render.Screen, p *configpb.RoutePrefix, now int64) string {
	var b strings.Builder
	left := p.GetPrefix()
	if len(left) >= hang {
		b.WriteString(left + "\n")
		left = ""
	}
	for _, e := range p.GetEntry() {
		mark := " "
		if e.GetActive() {
			mark = "*"
		}
		head := fmt.Sprintf("%s[%s/%d]", mark, e.GetProtocol(), e.GetPreference())
		if e.GetActive() {
			head = s.Paint(render.Strong, head)
		}
		fmt.Fprintf(&b, "%-*s%s%s\n", hang, left, head, s.Paint(render.Faint, remarks(e, now)))
		left = ""
		if e.GetReason() != "" {
			fmt.Fprintf(&b, "%*s%s\n", hang+2, "", s.Paint(render.Bad, "can't be used: "+render.Clean(e.GetReason())))
		}
		for _, hop := range hops(e) {
			fmt.Fprintf(&b, "%*s%s\n", hang+1, "", hop)
		}
	}
	return b.String()
}

// remarks are what else is to be said of a route: its age first.
func remarks(e *configpb.RouteEntry, now int64) string {
	text := ""
	if at := e.GetLastChange(); at != 0 {
		text = " " + render.Duration(time.Duration(max(now-at, 0)).Truncate(time.Second))
	}
	if e.GetSource() != "user" {
		text += ", " + e.GetSource()
	}
	if e.GetTag() != 0 {
		text += fmt.Sprintf(", tag %d", e.GetTag())
	}
	if e.GetIncomingInterface() != "" {
		text += ", for what comes in by " + e.GetIncomingInterface()
	}
	if e.GetIgnored() {
		text += ", not used: ignore-network"
	}
	return text
}

// hops are the lines of a route's next hops, > for those that packets take.
func hops(e *configpb.RouteEntry) []string {
	taken := "  "
	if e.GetActive() {
		taken = "> "
	}
	through := func(resolved, instance string) string {
		text := ""
		if instance != "" {
			text += ", looked up in " + instance
		}
		if resolved != "" {
			text += ", found through " + resolved
		}
		return text
	}
	via := func(unit string) string {
		if unit == "" {
			return ""
		}
		return " via " + unit
	}
	if len(e.GetMember()) > 0 {
		var list []string
		if e.GetGateway() != "" {
			list = append(list, "  to "+e.GetGateway()+through(e.GetResolved(), e.GetInstance()))
		}
		for _, m := range e.GetMember() {
			mark := "  "
			if m.GetActive() && e.GetActive() {
				mark = "> "
			}
			text := mark + "to " + m.GetGateway() + via(m.GetEgress())
			if m.GetGateway() == "" {
				text = mark + "each destination" + via(m.GetEgress())
				if m.GetEgress() == "" && m.GetInstance() != "" {
					text = mark + "lookup in " + m.GetInstance()
				}
			}
			text += fmt.Sprintf(", weight %d", m.GetWeight())
			if m.GetBackup() {
				text += ", backup"
			}
			if m.GetReason() != "" {
				text += ", can't be used: " + render.Clean(m.GetReason())
			}
			list = append(list, text+through(m.GetResolved(), ""))
		}
		return list
	}
	switch kind := e.GetNextHopType(); {
	case e.GetGateway() != "":
		return []string{taken + "to " + e.GetGateway() + via(e.GetEgress()) + through(e.GetResolved(), e.GetInstance())}
	case kind == "lookup":
		return []string{taken + "lookup in " + e.GetInstance()}
	case kind == "reject":
		return []string{taken + "reject: " + e.GetRejectCode()}
	case kind == "resolve":
		return []string{taken + "each destination" + via(e.GetEgress())}
	case kind == "receive":
		return []string{taken + "local" + via(e.GetEgress())}
	case len(e.GetOutgoingInterface()) > 0:
		return []string{taken + kind + " to " + strings.Join(e.GetOutgoingInterface(), ", ")}
	default:
		return []string{taken + kind + via(e.GetEgress())}
	}
}

// routesAsData hands routes over in the model's shape.
func (o *options) routesAsData(ctx context.Context, c *client, req *configpb.RoutesRequest) error {
	b := bufio.NewWriter(o.out)
	own := *o
	own.out = b
	s, err := own.sink()
	if err != nil {
		return err
	}
	err = c.routes(ctx, req, func(p *configpb.RoutePrefix, _ int64) error {
		path := fmt.Sprintf("/instance[name=%s]/rib[afi=%s]/route[prefix=%s]", orDefault(req.GetInstance()), afiOf(p.GetPrefix()), p.GetPrefix())
		raw, err := json.Marshal(modelRoute(p))
		if err != nil {
			return err
		}
		return s.Value(output.Value{Path: path, JSON: raw})
	}, b.Flush)
	if err == nil {
		err = s.Close()
	}
	return flushed(b, err)
}

// The types below are a route as RFC 7951 has the model's.
type jsonRoute struct {
	Prefix string      `json:"prefix"`
	Entry  []jsonEntry `json:"entry"`
}

type jsonEntry struct {
	Source  string       `json:"source"`
	IfIndex uint32       `json:"if-index"`
	State   jsonState    `json:"state"`
	Member  []jsonMember `json:"member,omitempty"`
}

type jsonState struct {
	Protocol    string   `json:"protocol"`
	Preference  uint32   `json:"preference"`
	Active      bool     `json:"active"`
	Ignored     bool     `json:"ignored,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	NextHopType string   `json:"next-hop-type"`
	RejectCode  string   `json:"reject-code,omitempty"`
	Gateway     string   `json:"gateway,omitempty"`
	Egress      string   `json:"egress,omitempty"`
	Instance    string   `json:"instance,omitempty"`
	Resolved    string   `json:"resolved,omitempty"`
	Incoming    string   `json:"incoming-interface,omitempty"`
	Outgoing    []string `json:"outgoing-interface,omitempty"`
	Tag         uint32   `json:"tag,omitempty"`
	LastChange  int64    `json:"last-change,omitempty,string"`
}

type jsonMember struct {
	Index int             `json:"index"`
	State jsonMemberState `json:"state"`
}

type jsonMemberState struct {
	Gateway  string `json:"gateway,omitempty"`
	Egress   string `json:"egress,omitempty"`
	Instance string `json:"instance,omitempty"`
	Resolved string `json:"resolved,omitempty"`
	Weight   uint32 `json:"weight"`
	Backup   bool   `json:"backup"`
	Usable   bool   `json:"usable"`
	Active   bool   `json:"active"`
	Reason   string `json:"reason,omitempty"`
}

func modelRoute(p *configpb.RoutePrefix) jsonRoute {
	r := jsonRoute{Prefix: p.GetPrefix()}
	for _, e := range p.GetEntry() {
		x := jsonEntry{Source: e.GetSource(), IfIndex: e.GetIfIndex(), State: jsonState{
			Protocol: e.GetProtocol(), Preference: e.GetPreference(), Active: e.GetActive(), Ignored: e.GetIgnored(), Reason: e.GetReason(),
			NextHopType: e.GetNextHopType(), RejectCode: e.GetRejectCode(), Gateway: e.GetGateway(), Egress: e.GetEgress(), Instance: e.GetInstance(),
			Resolved: e.GetResolved(), Incoming: e.GetIncomingInterface(), Outgoing: e.GetOutgoingInterface(), Tag: e.GetTag(), LastChange: e.GetLastChange()}}
		for i, m := range e.GetMember() {
			x.Member = append(x.Member, jsonMember{Index: i, State: jsonMemberState{Gateway: m.GetGateway(), Egress: m.GetEgress(), Instance: m.GetInstance(),
				Resolved: m.GetResolved(), Weight: m.GetWeight(), Backup: m.GetBackup(), Usable: m.GetUsable(), Active: m.GetActive(), Reason: m.GetReason()}})
		}
		r.Entry = append(r.Entry, x)
	}
	return r
}

// tree is the route as the flat table has it.
func (r jsonRoute) tree() (routeTree, error) {
	var t routeTree
	raw, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	return t, err
}

// showRouteSummary counts routes by instance, family and source.
func (o *options) showRouteSummary(ctx context.Context, c *client, instance string) error {
	if instance == "" {
		instance = "*"
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "instance", Key: map[string]string{"name": instance}},
		{Name: "rib", Key: map[string]string{"afi": "*"}}, {Name: "state"}}}
	if o.wantsData() {
		_, err := o.printNodes(ctx, c, gpb.GetRequest_STATE, false, path)
		return err
	}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, path)
	if err != nil {
		return err
	}
	sources := []string{"user", "permanent", "interface-local", "interface-destination", "interface", "clone"}
	columns := []render.Column{{Head: "Instance"}, {Head: "Family"}, {Head: "Routes"}, {Head: "Active"}}
	for i, s := range sources {
		columns = append(columns, render.Column{Head: strings.ToUpper(s[:1]) + s[1:], Right: true, Drop: i + 1})
	}
	var rows [][]render.Cell
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			var st map[string]any
			if err := json.Unmarshal(unqualify(rawValue(u.GetVal())), &st); err != nil {
				return fmt.Errorf("the router's answer for %s: %w", pathText(path), err)
			}
			elems := u.GetPath().GetElem()
			row := render.Cells(elems[0].GetKey()["name"], elems[1].GetKey()["afi"])
			for _, leaf := range append([]string{"total-routes", "active-routes"}, sources...) {
				n, _ := st[leaf].(float64)
				row = append(row, render.Cell{Text: strconv.FormatFloat(n, 'f', -1, 64)})
			}
			rows = append(rows, row)
		}
	}
	if err := o.table(columns, rows); err != nil {
		return err
	}
	under := "/instance"
	if instance != "*" {
		under += "[name=" + instance + "]"
	}
	return o.sayFailures(ctx, c, under)
}
