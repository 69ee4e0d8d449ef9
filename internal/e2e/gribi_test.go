package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	rib "github.com/openconfig/gribi/v1/proto/service"
	"github.com/openconfig/ygot/proto/ywrapper"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A controller is a gRIBI client with one Modify stream.
type controller struct {
	t        *testing.T
	client   rib.GRIBIClient
	stream   rib.GRIBI_ModifyClient
	election *rib.Uint128
	cancel   context.CancelFunc
	id       uint64
}

// gribi connects to the router's socket. An election id of 0 means all-primary.
func (l *lab) gribi(t *testing.T, election uint64, preserve bool) *controller {
	t.Helper()
	return l.gribiAnswered(t, election, election, preserve)
}

// gribiAnswered is gribi where the router has heard of the election id highest.
func (l *lab) gribiAnswered(t *testing.T, election, highest uint64, preserve bool) *controller {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := &controller{t: t, client: rib.NewGRIBIClient(conn), cancel: cancel}
	if c.stream, err = c.client.Modify(ctx); err != nil {
		t.Fatal(err)
	}
	params := &rib.SessionParameters{AckType: rib.SessionParameters_RIB_AND_FIB_ACK}
	if election > 0 {
		c.election = &rib.Uint128{Low: election}
		params.Redundancy = rib.SessionParameters_SINGLE_PRIMARY
	}
	if preserve {
		params.Persistence = rib.SessionParameters_PRESERVE
	}
	c.send(&rib.ModifyRequest{Params: params})
	if r := c.receive(); r.GetSessionParamsResult() == nil {
		t.Fatalf("params: %v", r)
	}
	if election > 0 {
		c.send(&rib.ModifyRequest{ElectionId: c.election})
		if r := c.receive(); r.GetElectionId().GetLow() != highest {
			t.Fatalf("election: %v", r)
		}
	}
	return c
}

func (c *controller) send(m *rib.ModifyRequest) {
	c.t.Helper()
	if err := c.stream.Send(m); err != nil {
		c.t.Fatal(err)
	}
}

func (c *controller) receive() *rib.ModifyResponse {
	c.t.Helper()
	m, err := c.stream.Recv()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// number gives operations their ids.
func (c *controller) number(ops []*rib.AFTOperation) []*rib.AFTOperation {
	for _, o := range ops {
		c.id++
		o.Id, o.ElectionId = c.id, c.election
		if o.GetNetworkInstance() == "" {
			o.NetworkInstance = "default"
		}
		if o.GetOp() == rib.AFTOperation_INVALID {
			o.Op = rib.AFTOperation_ADD
		}
	}
	return ops
}

// do sends operations as one request, and fails unless each is answered with
// status, in order.
func (c *controller) do(status rib.AFTResult_Status, ops ...*rib.AFTOperation) {
	c.t.Helper()
	c.number(ops)
	c.send(&rib.ModifyRequest{Operation: ops})
	for n := 0; n < len(ops); {
		for _, r := range c.receive().GetResult() {
			if r.GetId() != ops[n].GetId() || r.GetStatus() != status {
				c.t.Fatalf("%v: answered %v, want %v", ops[n], r, status)
			}
			n++
		}
	}
}

// end closes the stream in order.
func (c *controller) end() {
	c.t.Helper()
	if err := c.stream.CloseSend(); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.stream.Recv(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("the end of the stream is answered %v", err)
	}
}

func uintOf(v uint64) *ywrapper.UintValue { return &ywrapper.UintValue{Value: v} }

func nextHopOp(index uint64, address string) *rib.AFTOperation {
	return &rib.AFTOperation{Entry: &rib.AFTOperation_NextHop{NextHop: &aft.Afts_NextHopKey{Index: index, NextHop: &aft.Afts_NextHop{
		IpAddress: &ywrapper.StringValue{Value: address}}}}}
}

// groupOp is a group of next hops of weight 1 each, with a backup unless that is
// 0.
func groupOp(id, backup uint64, members ...uint64) *rib.AFTOperation {
	g := &aft.Afts_NextHopGroup{}
	for _, m := range members {
		g.NextHop = append(g.NextHop, &aft.Afts_NextHopGroup_NextHopKey{Index: m, NextHop: &aft.Afts_NextHopGroup_NextHop{Weight: uintOf(1)}})
	}
	if backup != 0 {
		g.BackupNextHopGroup = uintOf(backup)
	}
	return &rib.AFTOperation{Entry: &rib.AFTOperation_NextHopGroup{NextHopGroup: &aft.Afts_NextHopGroupKey{Id: id, NextHopGroup: g}}}
}

func routeOp(prefix string, group uint64) *rib.AFTOperation {
	if strings.Contains(prefix, ":") {
		return &rib.AFTOperation{Entry: &rib.AFTOperation_Ipv6{Ipv6: &aft.Afts_Ipv6EntryKey{Prefix: prefix, Ipv6Entry: &aft.Afts_Ipv6Entry{NextHopGroup: uintOf(group)}}}}
	}
	return &rib.AFTOperation{Entry: &rib.AFTOperation_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: prefix, Ipv4Entry: &aft.Afts_Ipv4Entry{NextHopGroup: uintOf(group)}}}}
}

func deletion(o *rib.AFTOperation) *rib.AFTOperation {
	o.Op = rib.AFTOperation_DELETE
	return o
}

// count is how many entries there are.
func (c *controller) count(instance string) int {
	c.t.Helper()
	stream, err := c.client.Get(context.Background(), &rib.GetRequest{NetworkInstance: &rib.GetRequest_Name{Name: instance}, Aft: rib.AFTType_ALL})
	if err != nil {
		c.t.Fatal(err)
	}
	n := 0
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			c.t.Fatal(err)
		}
		n += len(m.GetEntry())
	}
}

// gribiLab is h1 behind ge0, and p1 and p2 behind ge1 and ge2, both of which
// have 203.0.113.9 and 2001:db8:9::9.
func gribiLab(t *testing.T) *lab { return gribiLabWith(t) }

// gribiLabWith is gribiLab with flags of routerd.
func gribiLabWith(t *testing.T, flags ...string) *lab {
	l := labOf(t)
	for host, device := range map[string]string{"h1": "ge0", "p1": "ge1", "p2": "ge2"} {
		l.wire(host, device)
	}
	l.space("h1").Address(l, "eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	l.space("h1").Route(l, "default", "192.0.2.1")
	l.space("h1").Route(l, "::/0", "2001:db8:1::1")
	for i, host := range []string{"p1", "p2"} {
		l.space(host).Address(l, "eth0", fmt.Sprintf("198.51.%d.2/24", 100+i), fmt.Sprintf("2001:db8:%d::2/64", 2+i))
		l.space(host).Route(l, "default", fmt.Sprintf("198.51.%d.1", 100+i))
		l.space(host).Route(l, "::/0", fmt.Sprintf("2001:db8:%d::1", 2+i))
		l.space(host).Up(l, "lo")
		l.space(host).Address(l, "lo", "203.0.113.9/32", "2001:db8:9::9/128")
	}
	l.start(flags...)
	unit := func(name, four, six string) string {
		return fmt.Sprintf(`{"name":%q,"unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":%q}]},{"type":"inet6","address":[{"prefix":%q}]}]}]}`, name, four, six)
	}
	l.load(`{"routerd:interface":[` + unit("ge0", "192.0.2.1/24", "2001:db8:1::1/64") + "," + unit("ge1", "198.51.100.1/24", "2001:db8:2::1/64") + "," +
		unit("ge2", "198.51.101.1/24", "2001:db8:3::1/64") + `],"routerd:instance":[{"name":"red","config":{}}]}`)
	return l
}

// pings reports whether h1 gets an answer from address within ten seconds.
func (l *lab) pings(address string) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if _, err := l.space("h1").Run("ping", "-c", "1", "-W", "1", address); err == nil {
			return true
		}
	}
	return false
}

// shows waits until rcli's output has text; any number of blanks are one.
func (l *lab) shows(t *testing.T, text string, args ...string) {
	t.Helper()
	var out string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if out, _ = l.rcli(args...); strings.Contains(strings.Join(strings.Fields(out), " "), text) {
			return
		}
	}
	t.Fatalf("rcli %v never says %q:\n%s", args, text, out)
}

const fibOK, ribOK, refused = rib.AFTResult_FIB_PROGRAMMED, rib.AFTResult_RIB_PROGRAMMED, rib.AFTResult_FAILED

// TestGRIBI programs routes, and sends packets by them.
func TestGRIBI(t *testing.T) {
	l := gribiLab(t)
	c := l.gribi(t, 7, true)
	c.do(fibOK, nextHopOp(1, "198.51.100.2"), nextHopOp(2, "198.51.101.2"), groupOp(2, 0, 2), groupOp(1, 2, 1), routeOp("203.0.113.0/24", 1))
	if !l.pings("203.0.113.9") {
		t.Fatal("nothing comes by the programmed route")
	}
	l.shows(t, "* 203.0.113.0/24 user gribi 6", "show", "routes", "203.0.113.0/24")
	l.shows(t, "* 198.51.100.2 ", "show", "routes", "203.0.113.0/24")
	// IPv6 by the same group, whose next hops are IPv4 (RFC 8950).
	c.do(fibOK, routeOp("2001:db8:9::/64", 1))
	if !l.pings("2001:db8:9::9") {
		t.Fatal("no IPv6 comes by a next hop of IPv4")
	}

	// The next hop's link goes: the backup carries on.
	l.space("p1").Down(l, "eth0")
	l.shows(t, "* 198.51.101.2 ", "show", "routes", "203.0.113.0/24")
	if !l.pings("203.0.113.9") || !l.pings("2001:db8:9::9") {
		t.Fatal("the backup carries nothing")
	}
	// With that gone too, the group discards; and comes back.
	l.space("p2").Down(l, "eth0")
	l.shows(t, "packets are discarded: none of its 2 next hops can be used", "show", "routes", "203.0.113.0/24")
	c.do(fibOK, routeOp("203.0.113.9/32", 1))
	c.do(fibOK, deletion(routeOp("203.0.113.9/32", 0)))
	l.space("p2").Up(l, "eth0")
	l.space("p2").Route(l, "default", "198.51.101.1") // which went with the link
	if !l.pings("203.0.113.9") {
		t.Fatal("the group does not come back")
	}

	// A change of the group alone moves the routes.
	c.do(fibOK, groupOp(1, 0, 2))
	l.shows(t, "* 198.51.101.2 ", "show", "routes", "203.0.113.0/24")
	if !l.pings("203.0.113.9") {
		t.Fatal("the changed group carries nothing")
	}

	// In another instance, by a look-up in the default one.
	lookup := &rib.AFTOperation{NetworkInstance: "red", Entry: &rib.AFTOperation_NextHop{NextHop: &aft.Afts_NextHopKey{Index: 1, NextHop: &aft.Afts_NextHop{
		NetworkInstance: &ywrapper.StringValue{Value: "default"}}}}}
	group, route := groupOp(1, 0, 1), routeOp("0.0.0.0/0", 1)
	group.NetworkInstance, route.NetworkInstance = "red", "red"
	c.do(fibOK, lookup, group, route)
	if out, code := l.rcli("set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance", "red"); code != 0 {
		t.Fatal(out)
	}
	// The way back leads from the default instance into red.
	c.do(fibOK, &rib.AFTOperation{Entry: &rib.AFTOperation_NextHop{NextHop: &aft.Afts_NextHopKey{Index: 9, NextHop: &aft.Afts_NextHop{
		NetworkInstance: &ywrapper.StringValue{Value: "red"}}}}}, groupOp(9, 0, 9), routeOp("192.0.2.0/24", 9))
	if !l.pings("203.0.113.9") {
		out, _ := l.rcli("show", "routes", "--instance", "red")
		t.Fatalf("nothing goes from red by the default instance:\n%s", out)
	}
	l.shows(t, "* lookup in default weight 1", "show", "routes", "--instance", "red", "0.0.0.0/0")

	// A static route comes before a programmed one, unless the preference says so.
	if out, code := l.rcli("set", "/instance[name=default]/static-route[prefix=203.0.113.0/24]/config/action", "discard"); code != 0 {
		t.Fatal(out)
	}
	c.do(ribOK, routeOp("203.0.113.0/24", 2))
	if out, code := l.rcli("set", "/gribi/config/preference", "4"); code != 0 {
		t.Fatal(out)
	}
	if !l.pings("203.0.113.9") {
		t.Fatal("the preferred programmed route is not followed")
	}
	c.do(fibOK, routeOp("203.0.113.0/24", 1))

	l.shows(t, "mode single-primary, election id 7", "show", "gribi")
	l.shows(t, "* 1", "show", "gribi")

	// What it has programmed outlives the client, and the instance takes its own
	// with it.
	c.end()
	l.shows(t, "Instance IPv4 IPv6 Next-hop-groups Next-hops default 2 1 3 3 red 1", "show", "gribi")
	if !l.pings("203.0.113.9") {
		t.Fatal("the routes are gone with the client")
	}
	if out, code := l.rcli("set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance", "default"); code != 0 {
		t.Fatal(out)
	}
	if out, code := l.rcli("delete", "/instance[name=red]"); code != 0 {
		t.Fatal(out)
	}
	d := l.gribi(t, 8, true)
	if n := d.count("default"); n != 9 {
		t.Errorf("the default instance has %d entries, want 9", n)
	}
	stream, err := d.client.Get(t.Context(), &rib.GetRequest{NetworkInstance: &rib.GetRequest_Name{Name: "red"}, Aft: rib.AFTType_ALL})
	if err == nil {
		_, err = stream.Recv()
	}
	if err == nil || !strings.Contains(err.Error(), "network instance red does not exist") {
		t.Errorf("Get of an instance that is gone: %v", err)
	}

	// Disabled, it has no entries and no clients.
	if out, code := l.rcli("set", "/gribi/config/enabled", "false"); code != 0 {
		t.Fatal(out)
	}
	if m, err := d.stream.Recv(); err == nil || !strings.Contains(err.Error(), "gribi was disabled") {
		t.Errorf("the stream of a service that is disabled: %v, %v", m, err)
	}
	l.shows(t, "disabled", "show", "gribi")
	if out, _ := l.rcli("show", "routes", "--protocol", "gribi"); strings.Contains(out, "203.0.113.0") {
		t.Errorf("routes of a service that is disabled:\n%s", out)
	}
}

// TestGRIBIClientsGo ends one of two clients with DELETE: its entries go, and no
// others.
func TestGRIBIClientsGo(t *testing.T) {
	l := gribiLab(t)
	a, b := l.gribi(t, 0, false), l.gribi(t, 0, false)
	a.do(fibOK, nextHopOp(1, "198.51.100.2"), groupOp(1, 0, 1), routeOp("10.1.0.0/16", 1), routeOp("10.3.0.0/16", 1))
	b.do(fibOK, nextHopOp(2, "198.51.101.2"), groupOp(2, 0, 2), routeOp("10.2.0.0/16", 2), routeOp("10.3.0.0/16", 1), routeOp("203.0.113.0/24", 1))
	a.cancel() // as a crash does
	for deadline := time.Now().Add(30 * time.Second); b.count("default") != 7 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	out, _ := l.rcli("show", "routes", "--protocol", "gribi")
	for prefix, want := range map[string]bool{"10.1.0.0/16": false, "10.2.0.0/16": true, "10.3.0.0/16": true, "203.0.113.0/24": true} {
		if strings.Contains(out, prefix) != want {
			t.Errorf("%s is there: %v, want %v:\n%s", prefix, !want, want, out)
		}
	}
	if n := b.count("default"); n != 7 {
		t.Errorf("%d entries, want 7: group 1 and next hop 1 are still used", n)
	}
	if !l.pings("203.0.113.9") {
		t.Error("the other client's route carries nothing")
	}
	b.end()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if out, _ = l.rcli("show", "routes", "--protocol", "gribi"); !strings.Contains(out, "/") {
			break
		}
	}
	if strings.Contains(out, "/") {
		t.Errorf("routes without a client:\n%s", out)
	}
}

// TestGRIBITakeover has a second client win the election while the first one
// programs as fast as it can: whatever was acknowledged is there, and nothing
// of the first is carried out after the second was told that it is primary.
func TestGRIBITakeover(t *testing.T) {
	l := gribiLab(t)
	a, b := l.gribi(t, 1, true), l.gribi(t, 1, true)
	// b announced the same id last, so it is primary; a takes over again.
	a.election = &rib.Uint128{Low: 2}
	a.send(&rib.ModifyRequest{ElectionId: a.election})
	a.receive()
	a.do(fibOK, nextHopOp(1, "198.51.100.2"), groupOp(1, 0, 1))
	const routes = 20000
	prefix := func(i int) string { return fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255) }
	answers := make(chan [2]int, 1) // carried out, refused
	go func() {
		var n [2]int
		for n[0]+n[1] < routes {
			m, err := a.stream.Recv()
			if err != nil {
				break
			}
			for _, r := range m.GetResult() {
				switch {
				case r.GetStatus() == fibOK && n[1] == 0:
					n[0]++
				case r.GetStatus() == refused && strings.Contains(r.GetErrorDetails().GetErrorMessage(), "not the primary"):
					n[1]++
				default:
					t.Errorf("answered %v after %v", r, n)
				}
			}
		}
		answers <- n
	}()
	for i := range routes {
		if i == routes/4 {
			b.election = &rib.Uint128{Low: 3}
			b.send(&rib.ModifyRequest{ElectionId: b.election})
		}
		op := a.number([]*rib.AFTOperation{routeOp(prefix(i), 1)})
		a.send(&rib.ModifyRequest{Operation: op})
	}
	if r := b.receive(); r.GetElectionId().GetLow() != 3 {
		t.Fatalf("election: %v", r)
	}
	b.do(fibOK, nextHopOp(2, "198.51.101.2"), groupOp(2, 0, 2), routeOp("203.0.113.0/24", 2))
	n := <-answers
	if n[0]+n[1] != routes {
		t.Fatalf("%d of %d operations were answered", n[0]+n[1], routes)
	}
	if got := b.count("default"); got != n[0]+5 {
		t.Errorf("%d entries, want %d acknowledged routes and 5 more", got, n[0])
	}
	t.Logf("%d operations of the first primary were carried out, %d refused", n[0], n[1])
	if !l.pings("203.0.113.9") {
		t.Error("the new primary's route carries nothing")
	}
}

// TestGRIBILoad programs many routes with acknowledgement by the dataplane, and
// then changes the group that they share.
func TestGRIBILoad(t *testing.T) {
	l := gribiLab(t)
	routes := 20000
	if full() {
		routes = 100000
	}
	c := l.gribi(t, 1, true)
	c.do(fibOK, nextHopOp(1, "198.51.100.2"), nextHopOp(2, "198.51.101.2"), groupOp(1, 0, 1))
	run := func(perRequest int, op func(netip.Prefix) *rib.AFTOperation) time.Duration {
		t.Helper()
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; n < routes; {
				m, err := c.stream.Recv()
				if err != nil {
					t.Errorf("after %d answers: %v", n, err)
					return
				}
				for _, r := range m.GetResult() {
					if n++; r.GetStatus() != fibOK {
						t.Errorf("answer %d is %v", n, r)
						return
					}
				}
			}
		}()
		var batch []*rib.AFTOperation
		for i := range routes {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10 + byte(i>>16), byte(i >> 8), byte(i), 0}), 24)
			if batch = append(batch, op(p)); len(batch) == perRequest || i == routes-1 {
				c.send(&rib.ModifyRequest{Operation: c.number(batch)})
				batch = nil
			}
		}
		<-done
		return time.Since(start)
	}
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f/s", float64(routes)/d.Seconds()) }
	before := l.resident()
	add := run(100, func(p netip.Prefix) *rib.AFTOperation { return routeOp(p.String(), 1) })
	again := run(1, func(p netip.Prefix) *rib.AFTOperation { return routeOp(p.String(), 1) })
	perEntry := (l.resident().all - before.all) / uint64(routes)
	start := time.Now()
	c.do(fibOK, groupOp(1, 0, 2))
	change := time.Since(start)
	start = time.Now()
	if n := c.count("default"); n != routes+3 {
		t.Errorf("%d entries, want %d", n, routes+3)
	}
	get := time.Since(start)
	remove := run(100, func(p netip.Prefix) *rib.AFTOperation { return deletion(routeOp(p.String(), 0)) })
	t.Logf("%d entries, FIB acknowledged: added at %s (100 in a request), again at %s (1 in a request), deleted at %s; a change of their group %v; Get %v; %d octets an entry",
		routes, rate(add), rate(again), rate(remove), change.Round(10*time.Microsecond), get.Round(time.Millisecond), perEntry)
	if change > 200*time.Millisecond {
		t.Errorf("the group of %d entries changed in %v", routes, change)
	}
}

// TestGRIBISubscribe has subscribers see what controllers do.
func TestGRIBISubscribe(t *testing.T) {
	l := gribiLab(t)
	s := l.dial()
	defer s.conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := s.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	list := &gpb.SubscriptionList{Encoding: gpb.Encoding_PROTO}
	for _, p := range []string{"/instance[name=default]/rib[afi=inet]/route[prefix=10.0.0.0/8]/entry/state/protocol", "/gribi/client/state/primary", "/gribi/instance[name=default]/state/ipv4-entries"} {
		list.Subscription = append(list.Subscription, &gpb.Subscription{Path: path(p), Mode: gpb.SubscriptionMode_ON_CHANGE})
	}
	if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{} // the last element of a path to its value; deleted ones are "gone"
	await := func(want map[string]string) {
		t.Helper()
		for {
			ok := true
			for leaf, value := range want {
				ok = ok && seen[leaf] == value
			}
			if ok {
				return
			}
			m, err := stream.Recv()
			if err != nil {
				t.Fatalf("waiting for %v, seen %v: %v", want, seen, err)
			}
			n := m.GetUpdate()
			for _, p := range n.GetDelete() {
				for leaf := range seen {
					if gone := append(slices.Clone(n.GetPrefix().GetElem()), p.GetElem()...); gone[0].GetName() == "instance" && leaf == "protocol" || gone[0].GetName() == "gribi" && leaf != "protocol" {
						seen[leaf] = "gone"
					}
				}
			}
			for _, u := range n.GetUpdate() {
				e := u.GetPath().GetElem()
				v := u.GetVal()
				text := v.GetStringVal()
				switch v.GetValue().(type) {
				case *gpb.TypedValue_BoolVal:
					text = fmt.Sprint(v.GetBoolVal())
				case *gpb.TypedValue_UintVal:
					text = fmt.Sprint(v.GetUintVal())
				}
				seen[e[len(e)-1].GetName()] = text
			}
			if m.GetSyncResponse() {
				seen["sync"] = "true"
			}
		}
	}
	await(map[string]string{"sync": "true"})
	c := l.gribi(t, 1, false)
	await(map[string]string{"primary": "true"})
	c.do(fibOK, nextHopOp(1, "198.51.100.2"), groupOp(1, 0, 1), routeOp("10.0.0.0/8", 1))
	await(map[string]string{"protocol": "gribi", "ipv4-entries": "1"})
	c.do(fibOK, routeOp("10.1.0.0/16", 1), deletion(routeOp("10.0.0.0/8", 1)), routeOp("10.2.0.0/16", 1))
	await(map[string]string{"protocol": "gone", "ipv4-entries": "2"})
	c.end()
	await(map[string]string{"primary": "gone", "ipv4-entries": "gone"})
}
