package northbound

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/intf"
	"router/models"
)

// oc is a path of the OpenConfig view.
func oc(t testing.TB, text string) *gnmi.Path {
	q := p(t, text)
	q.Origin = "openconfig"
	return q
}

// ocUpdate is a Set of updates of the view; values are RFC 7951 JSON.
func ocUpdate(t testing.TB, pathsAndValues ...string) *gnmi.SetRequest {
	req := &gnmi.SetRequest{}
	for i := 0; i < len(pathsAndValues); i += 2 {
		req.Update = append(req.Update, &gnmi.Update{Path: oc(t, pathsAndValues[i]), Val: ietf(pathsAndValues[i+1])})
	}
	return req
}

func (b *bed) ocGet(e gnmi.Encoding, kind gnmi.GetRequest_DataType, paths ...string) (map[string]string, error) {
	b.t.Helper()
	req := &gnmi.GetRequest{Encoding: e, Type: kind}
	for _, text := range paths {
		req.Path = append(req.Path, oc(b.t, text))
	}
	resp, err := b.client.Get(b.ctx(), req)
	for _, n := range resp.GetNotification() {
		for _, u := range n.GetUpdate() {
			if u.GetPath().GetOrigin() != "openconfig" {
				b.t.Errorf("update of %s has origin %q", tree.Path(u.GetPath().GetElem()), u.GetPath().GetOrigin())
			}
		}
	}
	return values(resp.GetNotification()...), err
}

const (
	ocIf      = "/interfaces/interface[name=ge0]"
	ocSub     = ocIf + "/subinterfaces/subinterface[index=0]"
	ocRoutes  = "/network-instances/network-instance[name=DEFAULT]/protocols/protocol[identifier=STATIC][name=DEFAULT]/static-routes"
	ocRoute10 = ocRoutes + "/static[prefix=10.0.0.0/8]"
)

func TestViewGet(t *testing.T) {
	b := furnished(t)
	b.set("/instance[name=default]/static-route[prefix=10.0.0.0/8]", `{"next-hop":[{"index":0,"config":{"gateway":"192.0.2.9"}}]}`)
	one := func(e gnmi.Encoding, kind gnmi.GetRequest_DataType, path, want string) {
		t.Helper()
		m, err := b.ocGet(e, kind, path)
		if err != nil || len(m) != 1 || m[path] != want {
			t.Errorf("%s: %v, %v, want %s", path, m, err, want)
		}
	}
	ietf, all := gnmi.Encoding_JSON_IETF, gnmi.GetRequest_ALL
	one(ietf, all, ocIf+"/config/type", `"iana-if-type:ethernetCsmacd"`)
	one(gnmi.Encoding_PROTO, all, ocIf+"/config/type", `ethernetCsmacd`)
	one(gnmi.Encoding_JSON, all, ocIf+"/state/counters/in-octets", `1099511627776`)
	one(ietf, all, ocIf+"/state/counters/in-octets", `"1099511627776"`)
	one(ietf, all, ocIf+"/config/enabled", `true`) // a default
	one(ietf, all, ocIf+"/state/mtu", `1514`)
	one(ietf, all, ocIf+"/state/oper-status", `"UP"`)
	one(ietf, all, ocSub+"/ipv4/addresses/address[ip=192.0.2.1]/config/prefix-length", `24`)
	one(ietf, all, ocSub+"/ipv4/neighbors/neighbor[ip=192.0.2.9]/state/ip", `"192.0.2.9"`)
	one(ietf, all, ocSub+"/ipv4/config/enabled", `true`)
	one(ietf, all, ocSub+"/ipv6/config/enabled", `false`) // the family is not declared
	one(ietf, all, ocRoute10+"/next-hops/next-hop[index=0]/config/next-hop", `"192.0.2.9"`)
	one(ietf, gnmi.GetRequest_CONFIG, ocRoutes, `{"openconfig-network-instance:static":[{"config":{"prefix":"10.0.0.0/8"},"next-hops":{"next-hop":[`+
		`{"config":{"index":"0","next-hop":"192.0.2.9"},"index":"0"}]},"prefix":"10.0.0.0/8"}]}`)
	one(ietf, all, "/network-instances/network-instance[name=DEFAULT]/config", `{"openconfig-network-instance:name":"DEFAULT","openconfig-network-instance:type":"openconfig-network-instance-types:DEFAULT_INSTANCE"}`)

	m, err := b.ocGet(ietf, gnmi.GetRequest_CONFIG, "/interfaces/interface/config/description")
	if err != nil || len(m) != 2 || m["/interfaces/interface[name=ge1]/config/description"] != `"two"` {
		t.Errorf("wildcard: %v, %v", m, err)
	}
	m, err = b.ocGet(ietf, gnmi.GetRequest_CONFIG, "/...")
	if err != nil || m["/interfaces/interface[name=ge0]/config/name"] == "" && len(m) == 0 {
		t.Errorf("everything: %v, %v", m, err)
	}
	_, err = b.ocGet(ietf, all, "/lldp")
	wantCode(t, err, codes.Unimplemented)
	_, err = b.ocGet(ietf, all, ocIf+"/config/loopback-mode")
	wantCode(t, err, codes.NotFound, "loopback-mode")
	_, err = b.ocGet(ietf, all, "/interfaces/interface[name=ge7]/config/name")
	wantCode(t, err, codes.NotFound)
	_, err = b.ocGet(ietf, all, "/interface[name=ge0]")
	wantCode(t, err, codes.Unimplemented)
	// Both trees in one request, each path with its own origin.
	resp, err := b.client.Get(b.ctx(), &gnmi.GetRequest{Encoding: ietf, Path: []*gnmi.Path{p(t, desc), oc(t, ocIf+"/config/description")}})
	if err != nil || len(resp.GetNotification()) != 2 {
		t.Fatalf("both trees: %v, %v", resp, err)
	}
	if m := values(resp.GetNotification()...); m[desc] != `"one"` || m[ocIf+"/config/description"] != `"one"` {
		t.Errorf("both trees: %v", m)
	}
	caps, err := b.client.Capabilities(b.ctx(), &gnmi.CapabilityRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"openconfig-interfaces 3.10.0", "openconfig-if-ip 3.10.0", "openconfig-network-instance", "openconfig-routerd-deviations 2026-11-21"} {
		name, version, _ := strings.Cut(want, " ")
		if !slices.ContainsFunc(caps.GetSupportedModels(), func(m *gnmi.ModelData) bool {
			return m.GetName() == name && m.GetOrganization() != "" && m.GetVersion() != "" && (version == "" || strings.HasPrefix(name, "openconfig-i") || m.GetVersion() == version)
		}) {
			t.Errorf("capabilities lack %s: %v", want, caps.GetSupportedModels())
		}
	}
}

func TestViewSet(t *testing.T) {
	b := furnished(t)
	if _, err := b.client.Set(b.ctx(), ocUpdate(t,
		ocIf+"/config", `{"description":"by openconfig","mtu":1600}`,
		"/interfaces/interface[name=ge2]", `{"config":{"type":"iana-if-type:ethernetCsmacd"},"subinterfaces":{"subinterface":[{"index":7,
			"openconfig-vlan:vlan":{"match":{"single-tagged":{"config":{"vlan-id":7}}}},"openconfig-if-ip:ipv6":{"addresses":{"address":[{"ip":"2001:db8::1","config":{"prefix-length":64}}]}}}]}}`,
		"/network-instances/network-instance[name=blue]", `{"config":{"type":"L3VRF"},"interfaces":{"interface":[{"id":"ge2.7","config":{"interface":"ge2","subinterface":7}}]}}`)); err != nil {
		t.Fatal(err)
	}
	resp, err := b.get(&gnmi.GetRequest{Type: gnmi.GetRequest_CONFIG, Encoding: gnmi.Encoding_JSON_IETF}, desc, "/interface[name=ge0]/config/mru",
		"/interface[name=ge2]/unit[id=7]/vlan/config/outer-vlan-id", "/interface[name=ge2]/unit[id=7]/family[type=inet6]/config/instance",
		"/interface[name=ge2]/unit[id=7]/family[type=inet6]/address[prefix=2001:db8::1/64]/config/prefix")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(map[string]string{desc: `"by openconfig"`, "/interface[name=ge0]/config/mru": "1604",
		"/interface[name=ge2]/unit[id=7]/vlan/config/outer-vlan-id": "7", "/interface[name=ge2]/unit[id=7]/family[type=inet6]/config/instance": `"blue"`,
		"/interface[name=ge2]/unit[id=7]/family[type=inet6]/address[prefix=2001:db8::1/64]/config/prefix": `"2001:db8::1/64"`})
	if got := fmt.Sprint(values(resp.GetNotification()...)); got != want {
		t.Errorf("native tree\n%s\nwant\n%s", got, want)
	}

	t.Run("row 39: several origins are one transaction", func(t *testing.T) {
		before := b.store.Last().Number
		req := ocUpdate(t, ocIf+"/config/description", `"both"`, "/interfaces/interface[name=ge0]/config/mtu", `1500`)
		req.Delete = []*gnmi.Path{p(t, "/interface[name=ge1]")}
		req.Replace = []*gnmi.Update{{Path: p(t, "/interface[name=ge0]/config/mru"), Val: ietf("1700")}}
		req.Update = append(req.Update, &gnmi.Update{Path: p(t, "/interface[name=ge3]/config/description"), Val: ietf(`"native"`)})
		resp, err := b.client.Set(b.ctx(), req)
		if err != nil || len(resp.GetResponse()) != 5 || b.store.Last().Number != before+1 {
			t.Fatalf("%v, %v", resp, err)
		}
		b.store.View(func(d *gen.Device, _ datastore.Commit) {
			if d.Interface["ge1"] != nil || *d.Interface["ge0"].Config.Mru != 1504 || *d.Interface["ge0"].Config.Description != "both" || d.Interface["ge3"] == nil {
				t.Error("the operations were not done in their order")
			}
		})
		// One that fails takes the others with it.
		req = ocUpdate(t, ocIf+"/config/mtu", `"x"`)
		req.Delete = []*gnmi.Path{p(t, "/interface[name=ge0]")}
		_, err = b.client.Set(b.ctx(), req)
		wantCode(t, err, codes.InvalidArgument, "/interfaces/interface[name=ge0]/config/mtu")
		if b.store.Last().Number != before+1 {
			t.Error("a part of it was done")
		}
	})
	for _, test := range []struct {
		name string
		req  *gnmi.SetRequest
		code codes.Code
		text string
	}{
		{"not supported", ocUpdate(t, ocIf+"/config/loopback-mode", `"NONE"`), codes.NotFound, "openconfig-routerd-deviations"},
		{"not supported, in a body", ocUpdate(t, ocIf+"/config", `{"mtu":1500,"loopback-mode":"NONE"}`), codes.InvalidArgument, "loopback-mode"},
		{"another model", ocUpdate(t, "/lldp/config/enabled", `true`), codes.NotFound, "lldp"},
		{"state", ocUpdate(t, ocIf+"/state/mtu", `1`), codes.InvalidArgument, "state"},
		{"a rule of the native model", ocUpdate(t, ocSub+"/ipv4/addresses/address[ip=224.0.0.1]/config/prefix-length", `24`), codes.InvalidArgument, "address-unicast"},
		{"its place is told in the view", ocUpdate(t, ocSub+"/ipv4/addresses/address[ip=224.0.0.1]/config/prefix-length", `24`), codes.InvalidArgument, ocSub + "/ipv4/addresses/address[ip=224.0.0.1]: "},
		{"and of a route", ocUpdate(t, ocRoute10+"/next-hops/next-hop[index=0]/config/next-hop", `"224.0.0.1"`), codes.InvalidArgument, ocRoute10 + "/next-hops/next-hop[index=0]: "},
		{"and of a name", ocUpdate(t, "/interfaces/interface[name=Ethernet1.1]/config/type", `"ethernetCsmacd"`), codes.InvalidArgument, "/interfaces/interface[name=Ethernet1.1]: "},
		{"key and body differ", ocUpdate(t, ocIf+"/config/name", `"ge1"`), codes.InvalidArgument, "ge1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := b.client.Set(b.ctx(), test.req)
			wantCode(t, err, test.code, test.text)
		})
	}
}

// Row 37: the union of both trees is the whole configuration afterwards.
func TestViewUnion(t *testing.T) {
	b := furnished(t)
	view := &gnmi.Update{Path: oc(t, "/interfaces/interface[name=ge0]"), Val: ietf(`{"config":{"type":"ethernetCsmacd","description":"view"}}`)}
	union := func(updates ...*gnmi.Update) error {
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{UnionReplace: updates})
		return err
	}
	native := func(path, value string) *gnmi.Update { return &gnmi.Update{Path: p(t, path), Val: ietf(value)} }
	wantCode(t, union(view, native(desc, `"view"`)), codes.InvalidArgument, desc)
	wantCode(t, union(view, native("/interface[name=ge0]/config/mru", `1`)), codes.InvalidArgument, "mru")
	if err := union(view, native("/interface[name=ge0]/config/mru", `1700`), native("/interface[name=ge5]/config/description", `"native"`)); err != nil {
		t.Fatal(err)
	}
	b.store.View(func(d *gen.Device, _ datastore.Commit) {
		if len(d.Interface) != 2 || *d.Interface["ge0"].Config.Description != "view" || *d.Interface["ge0"].Config.Mru != 1700 || d.Interface["ge5"] == nil || d.Interface["ge0"].Unit != nil {
			t.Errorf("the union made %v", d.Interface)
		}
	})
}

func TestViewSubscribe(t *testing.T) {
	b := furnished(t)
	sub := func(mode gnmi.SubscriptionList_Mode, paths ...string) *call {
		list := &gnmi.SubscriptionList{Mode: mode, Encoding: gnmi.Encoding_JSON_IETF}
		for _, text := range paths {
			list.Subscription = append(list.Subscription, &gnmi.Subscription{Path: oc(t, text), Mode: gnmi.SubscriptionMode_ON_CHANGE})
		}
		return b.subscribe(list)
	}
	once := values(sub(gnmi.SubscriptionList_ONCE, "/").toSync()...)
	for path, want := range map[string]string{ocIf + "/config/description": `"one"`, ocSub + "/ipv4/addresses/address[ip=192.0.2.1]/config/prefix-length": "24",
		"/network-instances/network-instance[name=DEFAULT]/state/type": `"openconfig-network-instance-types:DEFAULT_INSTANCE"`} {
		if once[path] != want {
			t.Errorf("once: %s is %s, want %s", path, once[path], want)
		}
	}
	c := sub(gnmi.SubscriptionList_STREAM, "/interfaces", "/network-instances")
	first := values(c.toSync()...)
	if first[ocIf+"/config/description"] != `"one"` {
		t.Fatalf("first values: %v", first)
	}
	// Native changes show in the view.
	b.set(desc, `"changed"`)
	c.expect(t, "update", ocIf+"/config/description", `"changed"`)
	b.delete(desc)
	c.expect(t, "delete", ocIf+"/config/description", "")
	b.set("/instance[name=blue]", "{}", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance", `"blue"`)
	member := "/network-instances/network-instance[name=%s]/interfaces/interface[id=ge0.0]/config/interface"
	c.expect(t, "update", fmt.Sprintf(member, "blue"), `"ge0"`)
	b.set("/instance[name=red]", "{}", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance", `"red"`)
	c.expect(t, "delete", "/network-instances/network-instance[name=blue]/interfaces/interface[id=ge0.0]", "")
	c.expect(t, "update", fmt.Sprintf(member, "red"), `"ge0"`)
	b.set("/instance[name=default]/static-route[prefix=10.0.0.0/8]", `{"next-hop":[{"index":0,"config":{"gateway":"192.0.2.9"}}]}`)
	c.expect(t, "update", ocRoute10+"/next-hops/next-hop[index=0]/config/next-hop", `"192.0.2.9"`)
	b.delete("/instance[name=default]/static-route[prefix=10.0.0.0/8]")
	c.expect(t, "delete", ocRoute10, "")
	// So do changes of state.
	b.state.change(StateChange{Object: models.Object{Kind: models.Device, Device: "ge0"}}, func() {
		d := b.state.devices["ge0"]
		d.Oper = intf.OperDown
		b.state.devices["ge0"] = d
	})
	c.expect(t, "update", ocIf+"/state/oper-status", `"DOWN"`)
	b.state.change(StateChange{Object: models.Object{Kind: models.Unit, Device: "ge0", Unit: "0"}}, func() {
		b.state.units[intf.UnitKey{Device: "ge0", ID: "0"}].Families[0].Neighbors[0].Address = netip.MustParseAddr("192.0.2.10")
	})
	c.expect(t, "update", ocSub+"/ipv4/neighbors/neighbor[ip=192.0.2.10]/state/ip", `"192.0.2.10"`)
	// Counters come by themselves.
	b.state.mu.Lock()
	d := b.state.devices["ge0"]
	d.Counters.InOctets = 1<<40 + 1
	b.state.devices["ge0"] = d
	b.state.mu.Unlock()
	c.expect(t, "update", ocIf+"/state/counters/in-octets", `"1099511627777"`)
	b.delete("/interface[name=ge0]")
	c.expect(t, "delete", "/network-instances/network-instance[name=red]/interfaces/interface[id=ge0.0]", "")
}

// expect reads until the update or the delete of that path has come: a delete
// of the path itself, or of each leaf that was below it. What came with it is left for
// the next call.
func (c *call) expect(t *testing.T, what, path, want string) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	var seen []string
	for {
		for i, text := range c.told {
			seen = append(seen, text)
			if what == "delete" && text == "-"+path || what == "update" && text == "+"+path+" "+want {
				c.told = c.told[i+1:]
				return
			}
		}
		c.told = nil
		if time.Now().After(end) {
			t.Fatalf("no %s of %s to %s; there were\n%s", what, path, want, strings.Join(seen, "\n"))
		}
		r, err := c.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.GetUpdate().GetDelete() {
			c.told = append(c.told, "-"+tree.Path(d.GetElem()).String())
		}
		for _, u := range r.GetUpdate().GetUpdate() {
			c.told = append(c.told, "+"+tree.Path(u.GetPath().GetElem()).String()+" "+valueText(u.GetVal()))
		}
	}
}
