package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A routeQuery picks routes by their metadata; what is empty picks all.
type routeQuery struct {
	unit, source, notSource, protocol, tag string
	direct                                 bool // the address is a neighbour on the route's unit
	covering                               bool // every prefix that covers the address, not the longest alone
}

// isZero reports whether q picks every route.
func (q routeQuery) isZero() bool {
	q.covering = false
	return q == routeQuery{}
}

// picks reports whether q picks a route, asked for an address, which is not
// valid when there is none.
func (q routeQuery) picks(e entryTree, a netip.Addr) bool {
	unit := q.unit
	if unit != "" && !strings.Contains(unit, ".") {
		unit += ".0"
	}
	leads := func(m memberTree) bool { return m.Egress == unit }
	switch {
	case q.source != "" && e.Source != q.source,
		q.notSource != "" && e.Source == q.notSource,
		q.protocol != "" && e.State.Protocol != q.protocol,
		q.tag != "" && fmt.Sprint(e.State.Tag) != q.tag,
		unit != "" && e.State.Egress != unit && !slices.ContainsFunc(e.members(), leads):
		return false
	case !q.direct:
		return true
	}
	return e.State.NextHopType == "resolve" || e.State.NextHopType == "forward" && a.IsValid() && e.State.Gateway == a.String()
}

func (e entryTree) members() []memberTree {
	list := make([]memberTree, len(e.Member))
	for i, m := range e.Member {
		list[i] = m.State
	}
	return list
}

// showRoutesTo prints the routes that cover an address: those of the longest
// prefix with one that is picked, or of all prefixes. Without a condition only
// a route that packets follow is picked.
func showRoutesTo(ctx context.Context, o *options, c *client, instance string, a netip.Addr, q routeQuery) error {
	afi := "inet"
	if a.Is6() {
		afi = "inet6"
	}
	var rows [][]string
	values := []json.RawMessage{}
	for bits := a.BitLen(); bits >= 0; bits-- {
		p := netip.PrefixFrom(a, bits).Masked()
		path := &gpb.Path{Elem: []*gpb.PathElem{
			{Name: "instance", Key: map[string]string{"name": instance}},
			{Name: "rib", Key: map[string]string{"afi": afi}},
			{Name: "route", Key: map[string]string{"prefix": p.String()}},
		}}
		notes, err := c.get(ctx, gpb.GetRequest_STATE, path)
		if status.Code(err) == codes.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		found := false
		for _, n := range notes {
			for _, u := range n.GetUpdate() {
				var r routeTree
				raw := rawValue(u.GetVal())
				if err := json.Unmarshal(unqualify(raw), &r); err != nil {
					return fmt.Errorf("the router's answer for %s: %w", pathText(path), err)
				}
				picked := slices.DeleteFunc(r.Entry, func(e entryTree) bool {
					return !q.picks(e, a) || q.isZero() && !q.covering && !e.State.Active
				})
				if len(picked) > 0 {
					found = true
					values = append(values, raw)
					rows = append(rows, routeRows(p.String(), picked, true)...)
				}
			}
		}
		if found && !q.covering {
			break
		}
	}
	switch {
	case len(rows) == 0 && q.isZero():
		return status.Errorf(codes.NotFound, "instance %s has no route to %s, or does not exist", instance, a)
	case len(rows) == 0:
		return status.Errorf(codes.NotFound, "instance %s has no such route to %s", instance, a)
	case o.json:
		all, err := json.Marshal(values)
		if err != nil {
			return fmt.Errorf("the router's answer for %s is no JSON: %w", a, err)
		}
		return o.printData(all)
	}
	return o.rows("Prefix Source Protocol Pref Next-hop Interface", rows)
}
