package northbound

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"

	"router/cmd/routerd/datastore/tree"
	"router/models"
)

func testAtomic(t *checklist) {
	const route, match = "/instance[name=default]/rib[afi=inet]/route[prefix=10.1.0.0/16]", "/filter[name=f]/term[name=t]/match"
	prefix := netip.MustParsePrefix("10.1.0.0/16")
	onChange := &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}
	// members gives the route next hops by their gateways.
	members := func(b *bed, gateways ...string) {
		b.state.change(StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: prefix}, func() {
			r := models.RouteState{Prefix: prefix, Preference: 5, Active: true}
			for _, g := range gateways {
				r.Members = append(r.Members, models.MemberState{Gateway: netip.MustParseAddr(g), Weight: 1, Usable: true, Active: true})
			}
			rs := slices.Clone(b.state.routes["default"])
			i := slices.IndexFunc(rs, func(r models.RouteState) bool { return r.Prefix == prefix })
			switch {
			case gateways == nil && i >= 0:
				rs = slices.Delete(rs, i, i+1)
			case i >= 0:
				rs[i] = r
			default:
				rs = slices.Insert(rs, 1, r)
			}
			b.state.routes["default"] = rs
		})
	}
	// whole checks that n is all of the atomic node, and returns its gateways.
	whole := func(t *testing.T, n *gnmi.Notification, node string, target, origin string) map[string]string {
		t.Helper()
		p := n.GetPrefix()
		if !n.GetAtomic() || tree.Path(p.GetElem()).String() != node || p.GetTarget() != target || p.GetOrigin() != origin || len(n.GetDelete()) > 0 {
			t.Fatalf("%v is not all of %s", n, node)
		}
		m := values(n)
		for path := range m {
			if !strings.HasPrefix(path, node+"/") {
				t.Errorf("%s is not below %s", path, node)
			}
		}
		for _, u := range n.GetUpdate() {
			if u.GetPath().GetOrigin() != "" {
				t.Errorf("origin in %v", u)
			}
		}
		return m
	}
	gateways := func(m map[string]string) string {
		var list []string
		for path, v := range m {
			if strings.Contains(path, "/member[") && strings.HasSuffix(path, "/gateway") {
				list = append(list, v)
			}
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	t.row("64/a route's next hops", func(t *testing.T) {
		b := furnished(t)
		members(b, "192.0.2.1", "192.0.2.2")
		c := b.subscribe(subs(t, live, onChange, route))
		first := c.toSync()
		if len(first) != 1 {
			t.Fatalf("%d notifications", len(first))
		}
		all := whole(t, first[0], route, "", "")
		if got := gateways(all); got != "192.0.2.1 192.0.2.2" {
			t.Errorf("at first %s", got)
		}
		members(b, "192.0.2.1", "192.0.2.3")
		if m := whole(t, c.next(), route, "", ""); gateways(m) != "192.0.2.1 192.0.2.3" || len(m) != len(all) {
			t.Errorf("one changed: %v", m)
		}
		members(b, "192.0.2.1")
		if m := whole(t, c.next(), route, "", ""); gateways(m) != "192.0.2.1" {
			t.Errorf("one went: %v", m)
		}
		members(b)
		n := c.next()
		if got := tree.Path(n.GetPrefix().GetElem()).String(); got != route || len(n.GetDelete()) != 1 || len(n.GetDelete()[0].GetElem()) > 0 || len(n.GetUpdate()) > 0 {
			t.Errorf("all went: %v", n)
		}
		members(b, "192.0.2.9")
		if m := whole(t, c.next(), route, "", ""); gateways(m) != "192.0.2.9" {
			t.Errorf("it came back: %v", m)
		}
	})
	t.row("64/what is subscribed to, with target and origin", func(t *testing.T) {
		b := furnished(t)
		members(b, "192.0.2.1", "192.0.2.2")
		list := subs(t, live, onChange, "/instance/rib/route/entry/member/state/gateway")
		list.Prefix = &gnmi.Path{Target: "r1"}
		list.Subscription[0].Path.Origin = "routerd"
		c := b.subscribe(list)
		c.toSync()
		members(b, "192.0.2.1", "192.0.2.3")
		m := whole(t, c.next(), route, "r1", "routerd")
		if len(m) != 2 || gateways(m) != "192.0.2.1 192.0.2.3" {
			t.Errorf("%v", m)
		}
	})
	t.row("64/ONCE and POLL", func(t *testing.T) {
		b := furnished(t)
		members(b, "192.0.2.1", "192.0.2.2")
		for _, mode := range []gnmi.SubscriptionList_Mode{once, poll} {
			nodes := map[string]int{}
			for _, n := range b.subscribe(subs(t, mode, onChange, "/instance/rib")).toSync() {
				if at := n.GetPrefix().GetElem(); len(at) > 0 {
					nodes[tree.Path(at).String()]++
				} else if n.GetAtomic() || strings.Contains(fmt.Sprint(slices.Collect(maps.Keys(values(n)))), "/route[") {
					t.Errorf("%v: %v", mode, n)
				}
			}
			if len(nodes) != 5 || nodes[route] != 1 {
				t.Errorf("%v: %v", mode, nodes)
			}
		}
	})
	t.row("64/samples", func(t *testing.T) {
		b := furnished(t)
		members(b, "192.0.2.1", "192.0.2.2")
		c := b.subscribe(subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_SAMPLE, SampleInterval: ms(20), SuppressRedundant: true}, route))
		c.toSync()
		members(b, "192.0.2.1")
		if m := whole(t, c.next(), route, "", ""); gateways(m) != "192.0.2.1" {
			t.Errorf("one went: %v", m)
		}
		members(b, "192.0.2.4")
		if m := whole(t, c.next(), route, "", ""); gateways(m) != "192.0.2.4" {
			t.Errorf("one changed: %v", m)
		}
	})
	t.row("64/configuration", func(t *testing.T) {
		b := furnished(t)
		b.set("/filter[name=f]", `{"config":{"family":"inet"},"term":[{"name":"t","match":{"config":{"protocol":["tcp"],"destination-port":[22],"ttl":[1]}}}]}`)
		c := b.subscribe(subs(t, live, onChange, "/filter"))
		found := false
		for _, n := range c.toSync() {
			if n.GetAtomic() {
				found = true
				if m := whole(t, n, match, "", ""); m[match+"/config/ttl"] == "" {
					t.Errorf("at first %v", m)
				}
			}
		}
		if !found {
			t.Error("nothing atomic at first")
		}
		b.set(match+"/config/destination-port", `[23]`)
		if m := whole(t, c.next(), match, "", ""); m[match+"/config/protocol"] == "" || m[match+"/config/ttl"] == "" {
			t.Errorf("one changed: %v", m)
		}
		b.delete(match + "/config/ttl")
		if m := whole(t, c.next(), match, "", ""); m[match+"/config/protocol"] == "" || m[match+"/config/ttl"] != "" {
			t.Errorf("one went: %v", m)
		}
		at := b.store.Last().Time
		past := b.subscribeWith(subs(t, live, onChange, match), &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_History{History: &gnmi_ext.History{
			Request: &gnmi_ext.History_Range{Range: &gnmi_ext.TimeRange{Start: at.UnixNano(), End: at.UnixNano() + 1}}}}})
		if ns := past.toSync(); len(ns) != 1 || whole(t, ns[0], match, "", "")[match+"/config/ttl"] == "" {
			t.Errorf("in the past: %v", ns)
		}
		if m := whole(t, past.next(), match, "", ""); m[match+"/config/protocol"] == "" || m[match+"/config/ttl"] != "" {
			t.Errorf("in the past one went: %v", m)
		}
		b.delete("/filter[name=f]")
		c.until("all went", func(_ map[string]string, d map[string]bool) bool { return d["/filter[name=f]"] })
	})
}
