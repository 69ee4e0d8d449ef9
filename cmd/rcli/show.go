package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The trees below are what the tables need of the router's answers (RFC 7951
// JSON; 64-bit numbers are strings there).

type countersTree struct {
	InPkts      string `json:"in-pkts"`
	InOctets    string `json:"in-octets"`
	InDiscards  string `json:"in-discards"`
	OutPkts     string `json:"out-pkts"`
	OutOctets   string `json:"out-octets"`
	OutDiscards string `json:"out-discards"`
}

type interfaceTree struct {
	Name  string `json:"name"`
	State struct {
		Type         string `json:"type"`
		OperStatus   string `json:"oper-status"`
		OperReason   string `json:"oper-reason"`
		DriverInUse  string `json:"driver-in-use"`
		DriverReason string `json:"driver-reason"`
		Polling      string `json:"polling"`
		XDPMode      string `json:"xdp-mode"`
		ZeroCopy     bool   `json:"zero-copy"`
		FastPath     struct {
			Receives bool `json:"receives"`
			Sends    bool `json:"sends"`
		} `json:"fast-path"`
		MAC      string       `json:"mac-address"`
		Counters countersTree `json:"counters"`
	} `json:"state"`
	Unit []unitTree `json:"unit"`
}

type unitTree struct {
	ID    string `json:"id"`
	State struct {
		Name       string       `json:"name"`
		OperStatus string       `json:"oper-status"`
		OperReason string       `json:"oper-reason"`
		Counters   countersTree `json:"counters"`
	} `json:"state"`
	Family []familyTree `json:"family"`
}

type familyTree struct {
	Type  string `json:"type"`
	State struct {
		Unnumbered string `json:"unnumbered"`
		Borrowed   string `json:"borrowed-address"`
		Instance   string `json:"instance"`
		RPFCheck   string `json:"rpf-check"`
		MTU        int    `json:"mtu"`
		OperStatus string `json:"oper-status"`
		OperReason string `json:"oper-reason"`
		Counters   struct {
			RPFFailed string `json:"rpf-failed"`
		} `json:"counters"`
	} `json:"state"`
	Address []struct {
		Prefix string `json:"prefix"`
		State  struct {
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"state"`
	} `json:"address"`
	Neighbor []neighborTree `json:"neighbor"`
	Advert   struct {
		State advertTree `json:"state"`
	} `json:"router-advertisement"`
}

type advertTree struct {
	Enabled       bool   `json:"enabled"`
	Lifetime      int    `json:"default-lifetime"`
	Preference    string `json:"preference"`
	Sent          string `json:"sent"`
	Inconsistency string `json:"inconsistency"`
}

type neighborTree struct {
	Address string `json:"address"`
	State   struct {
		LinkLayerAddress string `json:"link-layer-address"`
		Origin           string `json:"origin"`
		State            string `json:"state"`
	} `json:"state"`
}

type ribTree struct {
	AFI   string      `json:"afi"`
	Route []routeTree `json:"route"`
}

type routeTree struct {
	Prefix string      `json:"prefix"`
	Entry  []entryTree `json:"entry"`
}

type entryTree struct {
	Source string `json:"source"`
	State  struct {
		Protocol    string `json:"protocol"`
		Preference  int    `json:"preference"`
		Active      bool   `json:"active"`
		Reason      string `json:"reason"`
		NextHopType string `json:"next-hop-type"`
		RejectCode  string `json:"reject-code"`
		Tag         int    `json:"tag"`
		Incoming    string `json:"incoming-interface"`
		Gateway     string `json:"gateway"`
		Egress      string `json:"egress"`
		Instance    string `json:"instance"`
		Resolved    string `json:"resolved"`

		OutgoingInterface []string `json:"outgoing-interface"`
	} `json:"state"`
	Member []struct {
		State memberTree `json:"state"`
	} `json:"member"`
}

type memberTree struct {
	Gateway  string `json:"gateway"`
	Egress   string `json:"egress"`
	Instance string `json:"instance"`
	Resolved string `json:"resolved"`
	Weight   int    `json:"weight"`
	Backup   bool   `json:"backup"`
	Active   bool   `json:"active"`
	Reason   string `json:"reason"`
}

// fetch reads what stands at path and hands each value to take; absent is true
// when nothing is there. With --json it prints the values as one array
// instead, and done is true.
func (o *options) fetch(ctx context.Context, c *client, kind gpb.GetRequest_DataType, path *gpb.Path, take func(json.RawMessage) error) (done, absent bool, err error) {
	notes, err := c.get(ctx, kind, path)
	absent = status.Code(err) == codes.NotFound
	if err != nil && !absent {
		return false, false, err
	}
	values := []json.RawMessage{}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			values = append(values, rawValue(u.GetVal()))
		}
	}
	if o.json {
		all, err := json.Marshal(values)
		if err != nil {
			return false, false, fmt.Errorf("the router's answer for %s is no JSON: %w", pathText(path), err)
		}
		return true, absent, printJSON(o.out, all)
	}
	for _, v := range values {
		if err := take(unqualify(v)); err != nil {
			return false, false, fmt.Errorf("the router's answer for %s: %w", pathText(path), err)
		}
	}
	return false, absent || len(values) == 0, nil
}

// unqualify takes the module's name off the members of an object, where RFC
// 7951 (section 4) asks for it at the top of a tree.
func unqualify(raw json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw // a bare value
	}
	plain := make(map[string]json.RawMessage, len(members))
	for name, v := range members {
		if _, local, ok := strings.Cut(name, ":"); ok {
			name = local
		}
		plain[name] = v
	}
	out, err := json.Marshal(plain)
	if err != nil {
		return raw
	}
	return out
}

// collect appends each value, decoded, to list.
func collect[T any](list *[]T) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		*list = append(*list, v)
		return nil
	}
}

// interfaces fetches all devices, or the one that is named.
func (o *options) interfaces(ctx context.Context, c *client, args []string) (list []interfaceTree, done bool, err error) {
	name := "*"
	if len(args) > 0 {
		name, _, _ = strings.Cut(args[0], ".")
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": name}}}}
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_ALL, path, collect(&list))
	if err == nil && !done && absent && name != "*" {
		err = status.Errorf(codes.NotFound, "there is no interface %s; show interfaces lists them", name)
	}
	slices.SortFunc(list, func(a, b interfaceTree) int { return strings.Compare(a.Name, b.Name) })
	return list, done, err
}

// table prints rows under a heading, in columns.
func table(w io.Writer, heading string, rows [][]string) error {
	columns := strings.Fields(heading)
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{columns}, rows...) {
		// Every row has every cell, or its neighbours are not aligned with it.
		for len(row) < len(columns) {
			row = append(row, "")
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// dash stands for what is empty, so that columns can be counted.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func showInterfaces(ctx context.Context, o *options, c *client, args []string) error {
	list, done, err := o.interfaces(ctx, c, args)
	if err != nil || done {
		return err
	}
	var rows, reasons [][]string
	add := func(name, status, reason, detail string, n countersTree) {
		rows = append(rows, []string{name, dash(status), dash(detail), dash(n.InPkts), dash(n.InOctets), dash(n.OutPkts), dash(n.OutOctets)})
		if reason != "" {
			reasons = append(reasons, []string{name, reason})
		}
	}
	for _, i := range list {
		driver := i.State.DriverInUse
		if i.State.Type != "" && i.State.Type != "ethernet" {
			driver = i.State.Type
		}
		if i.State.XDPMode != "" && i.State.XDPMode != "none" {
			driver += "/" + i.State.XDPMode
		}
		if i.State.ZeroCopy {
			driver += "/zero-copy"
		}
		if fast := i.State.FastPath; fast.Receives || fast.Sends {
			driver += "/fast"
		}
		if i.State.DriverInUse != "" && i.State.Polling != "" && i.State.Polling != "adaptive" {
			driver += "/" + i.State.Polling
		}
		add(i.Name, i.State.OperStatus, i.State.OperReason, strings.TrimSpace(i.State.MAC+" "+driver), i.State.Counters)
		for _, u := range i.Unit {
			name := u.State.Name
			if name == "" {
				name = i.Name + "." + u.ID
			}
			add(name, u.State.OperStatus, u.State.OperReason, "", u.State.Counters)
			for _, f := range u.Family {
				line := func(what string, status string) {
					rows = append(rows, []string{"  " + f.Type, dash(status), what})
				}
				in := ""
				if f.State.Instance != "" && f.State.Instance != "default" {
					in = " in " + f.State.Instance
				}
				if check := f.State.RPFCheck; check != "" && check != "none" {
					in += " rpf " + check
					if n := f.State.Counters.RPFFailed; n != "" && n != "0" {
						reasons = append(reasons, []string{name + " " + f.Type, n + " packets failed the rpf-check"})
					}
				}
				switch {
				case f.State.Unnumbered != "":
					line(fmt.Sprintf("(%s of %s)%s", cmp.Or(f.State.Borrowed, "none"), f.State.Unnumbered, in), f.State.OperStatus)
				case len(f.Address) == 0:
					line("(no address)"+in, f.State.OperStatus)
				}
				for _, a := range f.Address {
					st := f.State.OperStatus
					if a.State.Status != "" && a.State.Status != "preferred" {
						st += "/" + a.State.Status
					}
					line(a.Prefix+in, st)
					if a.State.Reason != "" {
						reasons = append(reasons, []string{name + " " + a.Prefix, a.State.Reason})
					}
				}
				if a := f.Advert.State; a.Enabled {
					line(fmt.Sprintf("advertises: %s, lifetime %d s, %s sent", a.Preference, a.Lifetime, a.Sent), f.State.OperStatus)
					if a.Inconsistency != "" {
						reasons = append(reasons, []string{name + " " + f.Type, "another router advertises otherwise: " + a.Inconsistency})
					}
				}
				if f.State.OperReason != "" && f.State.OperReason != u.State.OperReason {
					reasons = append(reasons, []string{name + " " + f.Type, f.State.OperReason})
				}
			}
		}
	}
	if err := table(o.out, "Interface State Address In-pkts In-octets Out-pkts Out-octets", rows); err != nil {
		return err
	}
	for _, r := range reasons {
		fmt.Fprintf(o.out, "%s: %s\n", r[0], r[1])
	}
	return nil
}

func showNeighbors(ctx context.Context, o *options, c *client, args []string) error {
	list, done, err := o.interfaces(ctx, c, args)
	if err != nil || done {
		return err
	}
	var rows [][]string
	for _, i := range list {
		for _, u := range i.Unit {
			for _, f := range u.Family {
				slices.SortFunc(f.Neighbor, func(a, b neighborTree) int { return compareAddresses(a.Address, b.Address) })
				for _, n := range f.Neighbor {
					rows = append(rows, []string{n.Address, dash(n.State.LinkLayerAddress), i.Name + "." + u.ID, dash(n.State.State), dash(n.State.Origin), dash(f.State.Instance)})
				}
			}
		}
	}
	return table(o.out, "Address Link-layer Interface State Origin Instance", rows)
}

func compareAddresses(a, b string) int {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

func showRoutes(ctx context.Context, o *options, c *client, instance string, all bool, q routeQuery, args []string) error {
	if len(args) > 0 {
		if a, err := netip.ParseAddr(args[0]); err == nil && a.Zone() == "" {
			return showRoutesTo(ctx, o, c, instance, a, q)
		}
	}
	if q.covering {
		return usagef("show routes --covering: want an address such as 192.0.2.1")
	}
	rib := &gpb.PathElem{Name: "rib"}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "instance", Key: map[string]string{"name": instance}}, rib}}
	var routes []routeTree
	take := func(raw json.RawMessage) error {
		var t ribTree
		err := json.Unmarshal(raw, &t)
		routes = append(routes, t.Route...)
		return err
	}
	missing := "there is no instance " + instance
	if len(args) > 0 {
		p, err := netip.ParsePrefix(args[0])
		if err != nil {
			return usagef("show routes %s: want a prefix such as 192.0.2.0/24 or an address", args[0])
		}
		p = p.Masked()
		afi := "inet"
		if p.Addr().Is6() {
			afi = "inet6"
		}
		rib.Key = map[string]string{"afi": afi}
		path.Elem = append(path.Elem, &gpb.PathElem{Name: "route", Key: map[string]string{"prefix": p.String()}})
		take, all = collect(&routes), true
		missing = fmt.Sprintf("instance %s has no route %s", instance, p)
	}
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, take)
	if err != nil || done {
		return err
	}
	if absent {
		return status.Error(codes.NotFound, missing)
	}
	slices.SortFunc(routes, func(a, b routeTree) int { return comparePrefixes(a.Prefix, b.Prefix) })
	var rows [][]string
	for _, r := range routes {
		picked := slices.DeleteFunc(r.Entry, func(e entryTree) bool { return !q.picks(e, netip.Addr{}) })
		rows = append(rows, routeRows(r.Prefix, picked, all || q.source == "permanent")...)
	}
	return table(o.out, "Prefix Source Protocol Pref Next-hop Interface", rows)
}

func comparePrefixes(a, b string) int {
	x, errX := netip.ParsePrefix(a)
	y, errY := netip.ParsePrefix(b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	if c := x.Addr().Compare(y.Addr()); c != 0 {
		return c
	}
	return x.Bits() - y.Bits()
}

// routeRows are the lines of one prefix; * marks the route in force.
func routeRows(prefix string, entries []entryTree, permanent bool) [][]string {
	var rows [][]string
	for _, e := range entries {
		if e.Source == "permanent" && !permanent {
			continue
		}
		mark := "  "
		if e.State.Active {
			mark = "* "
		}
		next := e.State.NextHopType
		switch {
		case e.State.Gateway != "":
			next += " " + e.State.Gateway
			if e.State.Instance != "" {
				next += " in " + e.State.Instance
			}
		case e.State.Instance != "":
			next += " in " + e.State.Instance
		case e.State.RejectCode != "":
			next += " " + e.State.RejectCode
		}
		if e.State.Resolved != "" {
			next += " (" + e.State.Resolved + ")"
		}
		if e.State.Incoming != "" {
			next += " from " + e.State.Incoming
		}
		egress := e.State.Egress
		if out := e.State.OutgoingInterface; len(out) > 0 {
			egress = strings.Join(out, " ")
		}
		row := []string{mark + prefix, e.Source, dash(e.State.Protocol), fmt.Sprint(e.State.Preference), dash(next), dash(egress)}
		if e.State.Reason != "" {
			row = append(row, e.State.Reason)
		}
		rows = append(rows, row)
		for _, m := range e.Member {
			rows = append(rows, memberRow(m.State))
		}
	}
	return rows
}

// memberRow is the line of one of several next hops; * marks those that carry
// traffic.
func memberRow(m memberTree) []string {
	next := "  "
	if m.Active {
		next = "* "
	}
	switch next += m.Gateway; {
	case m.Gateway != "" && m.Instance != "":
		next += " in " + m.Instance
	case m.Instance != "":
		next += "lookup in " + m.Instance
	case m.Gateway == "":
		// Each destination is a neighbour.
		next += "resolve"
	}
	if m.Resolved != "" {
		next += " (" + m.Resolved + ")"
	}
	next += fmt.Sprint(" weight ", m.Weight)
	if m.Backup {
		next += " backup"
	}
	row := []string{"", "", "", "", next, dash(m.Egress)}
	if m.Reason != "" {
		row = append(row, m.Reason)
	}
	return row
}
