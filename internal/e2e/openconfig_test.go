package e2e

import (
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api"
	"google.golang.org/grpc/codes"
)

// TestOpenConfig runs a router by OpenConfig alone, as an orchestrator does that
// speaks nothing else, with gnmic's library: interfaces with tagged subinterfaces,
// addresses, an instance, static routes; and packets show that it works.
func TestOpenConfig(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	h1, h2 := l.space("h1"), l.space("h2")
	h1.Address(l, "eth0", "192.0.2.2/24")
	h1.Route(l, "default", "192.0.2.1")
	h2.Tag(l, "eth0", 7)
	h2.Address(l, "eth0", "198.51.100.2/24")
	h2.Route(l, "192.0.2.0/24", "198.51.100.1")
	h2.Address(l, "lo", "203.0.113.1/32")
	l.start()
	c := l.gnmic(t)

	update := func(path, value string) api.GNMIOption {
		return api.Update(api.Path("openconfig:"+path), api.Value(value, "json_ietf"))
	}
	raw := func(path, value string) *gpb.Update {
		p, err := api.NewGetRequest(api.Path("openconfig:" + path))
		if err != nil {
			t.Fatal(err)
		}
		return &gpb.Update{Path: p.GetPath()[0], Val: jsonIETF(value)}
	}
	set := func(req *gpb.SetRequest) error {
		_, err := c.Set(c.ctx, req)
		return err
	}
	must := func(req *gpb.SetRequest) {
		t.Helper()
		if err := set(req); err != nil {
			t.Fatal(err)
		}
	}
	const (
		interfaces = `{"interface":[
		 {"name":"ge0","config":{"name":"ge0","type":"iana-if-type:ethernetCsmacd","mtu":1514,"enabled":true},"subinterfaces":{"subinterface":[{"index":0,"config":{"index":0},
		  "openconfig-if-ip:ipv4":{"config":{"enabled":true},"addresses":{"address":[{"ip":"192.0.2.1","config":{"ip":"192.0.2.1","prefix-length":24}}]}}}]}},
		 {"name":"ge1","config":{"name":"ge1","type":"iana-if-type:ethernetCsmacd"},"subinterfaces":{"subinterface":[{"index":7,"config":{"index":7,"description":"customer"},
		  "openconfig-vlan:vlan":{"match":{"single-tagged":{"config":{"vlan-id":7}}}},
		  "openconfig-if-ip:ipv4":{"addresses":{"address":[{"ip":"198.51.100.1","config":{"ip":"198.51.100.1","prefix-length":24}}]}}}]}}]}`
		static = "/network-instances/network-instance[name=%]/protocols/protocol[identifier=STATIC][name=DEFAULT]"
		route  = `{"config":{"identifier":"STATIC","name":"DEFAULT"},"static-routes":{"static":[{"prefix":"203.0.113.0/24","config":{"prefix":"203.0.113.0/24"},
		 "next-hops":{"next-hop":[{"index":"0","config":{"index":"0","next-hop":"198.51.100.2"}}]}}]}}`
	)
	reaches := func(to string, want bool) {
		t.Helper()
		var out string
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
			var err error
			if out, err = h1.Run("ping", "-c1", "-W1", to); (err == nil) == want {
				return
			}
		}
		t.Fatalf("h1 reaches %s is not %v: %s", to, want, out)
	}

	must(&gpb.SetRequest{Replace: []*gpb.Update{raw("/interfaces", interfaces), raw(strings.Replace(static, "%", "DEFAULT", 1), route)}})
	reaches("198.51.100.2", true)
	reaches("203.0.113.1", true)
	for path, want := range map[string]string{
		"/interfaces/interface[name=ge1]/state/oper-status":                                                                         `"UP"`,
		"/interfaces/interface[name=ge0]/state/mtu":                                                                                 `1514`,
		"/interfaces/interface[name=ge1]/subinterfaces/subinterface[index=7]/vlan/match/single-tagged/state/vlan-id":                `7`,
		"/interfaces/interface[name=ge1]/subinterfaces/subinterface[index=7]/ipv4/neighbors/neighbor[ip=198.51.100.2]/state/origin": `"DYNAMIC"`,
	} {
		if got := c.get(api.Path("openconfig:"+path), api.EncodingJSON_IETF()); !strings.Contains(got, strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}

	// The customer's side moves to an instance of its own, and can't be reached.
	instance := `{"config":{"name":"blue","type":"openconfig-network-instance-types:L3VRF"},"interfaces":{"interface":[{"id":"ge1.7","config":{"id":"ge1.7","interface":"ge1","subinterface":7}}]}}`
	must(&gpb.SetRequest{Update: []*gpb.Update{raw("/network-instances/network-instance[name=blue]", instance)}})
	reaches("198.51.100.2", false)
	// Routes of each to the other lead there again.
	lookup := func(prefix, to string) string {
		return `{"config":{"identifier":"STATIC","name":"DEFAULT"},"static-routes":{"static":[{"prefix":"` + prefix + `","config":{"prefix":"` + prefix + `"},
		 "next-hops":{"next-hop":[{"index":"0","config":{"index":"0","openconfig-local-routing-network-instance:next-network-instance":"` + to + `"}}]}}]}}`
	}
	must(&gpb.SetRequest{Update: []*gpb.Update{raw(strings.Replace(static, "%", "DEFAULT", 1), lookup("198.51.100.0/24", "blue")),
		raw(strings.Replace(static, "%", "blue", 1), lookup("192.0.2.0/24", "DEFAULT"))}})
	reaches("198.51.100.2", true)
	reaches("203.0.113.1", true) // by a gateway behind that route

	// A subscriber sees the link go and come, and an address that another client sets.
	sub, err := api.NewSubscribeRequest(api.EncodingJSON_IETF(), api.SubscriptionListModeSTREAM(),
		api.Subscription(api.Path("openconfig:/interfaces"), api.SubscriptionModeON_CHANGE()))
	if err != nil {
		t.Fatal(err)
	}
	responses, errs := c.SubscribeStreamChan(c.ctx, sub, "watch")
	sees := func(elem, value string) {
		t.Helper()
		timer := time.After(15 * time.Second)
		for {
			select {
			case r := <-responses:
				for _, u := range r.GetUpdate().GetUpdate() {
					e := u.GetPath().GetElem()
					if e[len(e)-1].GetName() == elem && string(u.GetVal().GetJsonIetfVal()) == value {
						return
					}
				}
			case err := <-errs:
				t.Fatal(err)
			case <-timer:
				t.Fatalf("%s never became %s", elem, value)
			}
		}
	}
	sees("description", `"customer"`)
	if out, err := h2.Run("ip", "link", "set", "eth0", "down"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sees("oper-status", `"DOWN"`)
	if out, err := h2.Run("ip", "link", "set", "eth0", "up"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h2.Route(l, "192.0.2.0/24", "198.51.100.1") // went with the link
	sees("oper-status", `"UP"`)
	if out, code := l.rcli("set", "/interface[name=ge0]/unit[id=0]/config/description", "native"); code != 0 {
		t.Fatal(out)
	}
	sees("description", `"native"`)

	// Row 37: the union of both trees replaces everything.
	native := &gpb.Update{Path: &gpb.Path{Elem: path("/filter[name=f]").GetElem()}, Val: jsonIETF(`{"config":{"family":"inet"},"term":[{"name":"t","action":{"config":{"disposition":"accept"}}}]}`)}
	wantStatus(t, set(&gpb.SetRequest{UnionReplace: []*gpb.Update{raw("/interfaces", interfaces),
		{Path: path("/interface[name=ge0]/config/mru"), Val: jsonIETF("1518")}}}), codes.InvalidArgument)
	if err := set(&gpb.SetRequest{UnionReplace: []*gpb.Update{raw("/interfaces", interfaces), native}}); err != nil {
		t.Fatal(err)
	}
	reaches("198.51.100.2", true)
	got := c.get(api.Path("/instance[name=*]/config/name"), api.DataTypeCONFIG(), api.EncodingJSON_IETF())
	if strings.Contains(got, "blue") {
		t.Errorf("the union left an instance: %s", got)
	}
	// Row 39: one transaction over both, all or nothing.
	wantStatus(t, c.set(update("/interfaces/interface[name=ge0]/config/description", `"x"`), api.Update(api.Path("/interface[name=ge0]/config/mru"), api.Value(1, "json_ietf"))), codes.InvalidArgument)
	wantStatus(t, set(&gpb.SetRequest{Update: []*gpb.Update{raw("/interfaces/interface[name=ge0]/config/loopback-mode", `"FACILITY"`)}}), codes.NotFound)
	t.Logf("with the view in use: %v", l.resident())
}
