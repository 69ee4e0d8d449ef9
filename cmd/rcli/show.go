package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
	"router/gen/configpb"
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
	InErrors    string `json:"in-errors"`
	OutErrors   string `json:"out-errors"`
	LastClear   string `json:"last-clear"`
	Anew        string `json:"discontinuity-time"`
}

type ratesTree struct {
	InBits     string `json:"in-bit-rate"`
	InPackets  string `json:"in-packet-rate"`
	OutBits    string `json:"out-bit-rate"`
	OutPackets string `json:"out-packet-rate"`
}

type dropTree struct {
	Reason string `json:"reason"`
	Count  string `json:"count"`
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

			ReceivesReason string `json:"receives-reason"`
			SendsReason    string `json:"sends-reason"`
		} `json:"fast-path"`
		MAC         string       `json:"mac-address"`
		Counters    countersTree `json:"counters"`
		Rates       ratesTree    `json:"rates"`
		Drops       []dropTree   `json:"drops"`
		Enabled     *bool        `json:"enabled"`
		Description string       `json:"description"`
		Speed       string       `json:"speed"`
		MRU         int          `json:"mru"`
		LinkMTU     int          `json:"link-mtu"`
		Queues      int          `json:"queues-in-use"`
		IfIndex     int          `json:"if-index"`
		LastChange  string       `json:"last-change"`
		applyTree
	} `json:"state"`
}

type unitTree struct {
	ID    string `json:"id"`
	State struct {
		Name       string       `json:"name"`
		OperStatus string       `json:"oper-status"`
		OperReason string       `json:"oper-reason"`
		Counters   countersTree `json:"counters"`
		Rates      ratesTree    `json:"rates"`

		Enabled     *bool  `json:"enabled"`
		Description string `json:"description"`
		IfIndex     int    `json:"if-index"`
		LastChange  string `json:"last-change"`
		applyTree
	} `json:"state"`
	VLAN struct {
		State struct {
			OuterTPID string `json:"outer-tpid"`
			Outer     int    `json:"outer-vlan-id"`
			InnerTPID string `json:"inner-tpid"`
			Inner     int    `json:"inner-vlan-id"`
		} `json:"state"`
	} `json:"vlan"`
	Family []familyTree `json:"family"`
}

type familyTree struct {
	Type  string `json:"type"`
	State struct {
		Unnumbered     string `json:"unnumbered"`
		Borrowed       string `json:"borrowed-address"`
		Instance       string `json:"instance"`
		RPFCheck       string `json:"rpf-check"`
		FastPathReason string `json:"fast-path-reason"`
		MTU            int    `json:"mtu"`
		OperStatus     string `json:"oper-status"`
		OperReason     string `json:"oper-reason"`
		Counters       struct {
			RPFFailed string `json:"rpf-failed"`
		} `json:"counters"`
		applyTree
	} `json:"state"`
	Address []struct {
		Prefix string `json:"prefix"`
		State  struct {
			Status string `json:"status"`
			Reason string `json:"reason"`
			applyTree
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
		LastChange       string `json:"last-change"`
	} `json:"state"`
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
// when nothing is there. Where data is wanted it prints the values instead, and done is
// true.
func (o *options) fetch(ctx context.Context, c *client, kind gpb.GetRequest_DataType, path *gpb.Path, take func(json.RawMessage) error) (done, absent bool, err error) {
	if o.wantsData() {
		absent, err := o.printNodes(ctx, c, kind, false, path)
		return err == nil, absent, err
	}
	notes, err := c.get(ctx, kind, path)
	absent = status.Code(err) == codes.NotFound
	if err != nil && !absent {
		return false, false, err
	}
	some := false
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			some = true
			if err := take(unqualify(rawValue(u.GetVal()))); err != nil {
				return false, false, fmt.Errorf("the router's answer for %s: %w", pathText(path), err)
			}
		}
	}
	return false, !some, nil
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

// table prints rows under a heading, in columns, for a pipe.
func table(w io.Writer, heading string, rows [][]string) error {
	o := &options{out: w}
	return o.rows(heading, rows)
}

// dash stands for what is empty, so that columns can be counted.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
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
	req := &configpb.RoutesRequest{Instance: instance, Permanent: all || q.source == "permanent", Source: q.source, Protocol: q.protocol}
	missing := "there is no instance " + instance
	if len(args) > 0 {
		p, err := netip.ParsePrefix(args[0])
		if err != nil {
			return usagef("show routes %s: want a prefix such as 192.0.2.0/24 or an address", args[0])
		}
		req.Match, req.Prefix = configpb.RoutesRequest_EXACT, p.Masked().String()
		missing = fmt.Sprintf("instance %s has no route %s", instance, p.Masked())
	}
	if o.wantsData() {
		return o.routesAsData(ctx, c, req)
	}
	t := render.NewTable(o.out, o.view.screen, columnsOf("Prefix Source Protocol Pref Next-hop Interface"))
	n := 0
	err := c.routes(ctx, req, func(p *configpb.RoutePrefix, _ int64) error {
		n++
		r, err := modelRoute(p).tree()
		if err != nil {
			return err
		}
		picked := slices.DeleteFunc(r.Entry, func(e entryTree) bool { return !q.picks(e, netip.Addr{}) })
		for _, row := range routeRows(r.Prefix, picked, true) {
			if err := t.Add(render.Cells(row...)); err != nil {
				return err
			}
		}
		return nil
	}, func() error { return nil })
	switch {
	case err != nil:
		return err
	case n == 0 && len(args) > 0:
		return status.Error(codes.NotFound, missing)
	}
	return t.Close()
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
