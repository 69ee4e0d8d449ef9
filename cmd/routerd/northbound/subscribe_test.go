package northbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

// A call is a Subscribe under way.
type call struct {
	t      testing.TB
	cancel context.CancelFunc
	stream gnmi.GNMI_SubscribeClient
	told   []string // what expect has read and not asked for yet
}

func (b *bed) subscribe(list *gnmi.SubscriptionList) *call {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	b.t.Cleanup(cancel)
	s, err := b.client.Subscribe(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	c := &call{t: b.t, cancel: cancel, stream: s}
	if list != nil {
		c.send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: list}})
	}
	return c
}

func (c *call) send(r *gnmi.SubscribeRequest) {
	c.t.Helper()
	if err := c.stream.Send(r); err != nil && !errors.Is(err, io.EOF) {
		c.t.Fatal(err)
	}
}

func (c *call) poll() {
	c.t.Helper()
	c.send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Poll{Poll: &gnmi.Poll{}}})
}

// toSync collects the notifications up to the next sync_response.
func (c *call) toSync() []*gnmi.Notification {
	c.t.Helper()
	var list []*gnmi.Notification
	for {
		r, err := c.stream.Recv()
		if err != nil {
			c.t.Fatal(err)
		}
		if r.GetSyncResponse() {
			return list
		}
		list = append(list, r.GetUpdate())
	}
}

// next is the next notification.
func (c *call) next() *gnmi.Notification {
	c.t.Helper()
	r, err := c.stream.Recv()
	if err != nil {
		c.t.Fatal(err)
	}
	if r.GetUpdate() == nil {
		c.t.Fatalf("got %v, want an update", r)
	}
	return r.GetUpdate()
}

// until collects updates and deletes until done says so.
func (c *call) until(what string, done func(updates map[string]string, deletes map[string]bool) bool) {
	c.t.Helper()
	updates, deletes := map[string]string{}, map[string]bool{}
	for !done(updates, deletes) {
		r, err := c.stream.Recv()
		if err != nil {
			c.t.Fatalf("%s: %v; so far updates %v, deletes %v", what, err, updates, deletes)
		}
		for _, p := range r.GetUpdate().GetDelete() {
			deletes[absolute(r.GetUpdate(), p).String()] = true
		}
		for path, v := range values(r.GetUpdate()) {
			updates[path] = v
		}
	}
}

func (c *call) wantClosed(code codes.Code, parts ...string) {
	c.t.Helper()
	for {
		r, err := c.stream.Recv()
		if err == nil {
			if r.GetUpdate() != nil || r.GetSyncResponse() {
				continue
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		wantCode(c.t, err, code, parts...)
		return
	}
}

func subs(t testing.TB, mode gnmi.SubscriptionList_Mode, each *gnmi.Subscription, paths ...string) *gnmi.SubscriptionList {
	l := &gnmi.SubscriptionList{Mode: mode, Encoding: gnmi.Encoding_PROTO}
	for _, text := range paths {
		l.Subscription = append(l.Subscription, &gnmi.Subscription{Path: p(t, text), Mode: each.GetMode(), SampleInterval: each.GetSampleInterval(),
			SuppressRedundant: each.GetSuppressRedundant(), HeartbeatInterval: each.GetHeartbeatInterval()})
	}
	return l
}

const (
	once = gnmi.SubscriptionList_ONCE
	poll = gnmi.SubscriptionList_POLL
	live = gnmi.SubscriptionList_STREAM
	desc = "/interface[name=ge0]/config/description"
)

func ms(n int) uint64 { return uint64(time.Duration(n) * time.Millisecond) }

func testSubscribe(t *checklist) {
	onChange := &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}
	sample := func(interval int) *gnmi.Subscription {
		return &gnmi.Subscription{Mode: gnmi.SubscriptionMode_SAMPLE, SampleInterval: ms(interval)}
	}
	t.row("51", func(t *testing.T) {
		c := furnished(t).subscribe(nil)
		c.poll()
		c.wantClosed(codes.InvalidArgument, "SubscriptionList")
	})
	t.row("52", func(t *testing.T) {
		b := furnished(t)
		other := b.subscribe(subs(t, live, onChange, desc))
		other.toSync()
		for _, mode := range []gnmi.SubscriptionList_Mode{live, poll} {
			list := subs(t, mode, onChange, desc)
			c := b.subscribe(list)
			c.toSync()
			c.send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: list}})
			c.wantClosed(codes.InvalidArgument)
		}
		b.set(desc, `"still here"`)
		if m := values(other.next()); m[desc] != "still here" {
			t.Errorf("%v", m)
		}
	})
	t.row("53", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, once, onChange, "/interface", "/instance[name=default]/rib"))
		m := values(c.toSync()...)
		for path, want := range map[string]string{desc: "one", "/interface[name=ge0]/state/speed": "10000000000", "/interface[name=ge1]/config/mru": "1518",
			"/instance[name=default]/rib[afi=inet]/route[prefix=10.4.0.0/16]/state/prefix": "10.4.0.0/16"} {
			if m[path] != want {
				t.Errorf("%s is %q, want %q", path, m[path], want)
			}
		}
		if _, err := c.stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after sync: %v, want the end", err)
		}
	})
	t.row("54", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, poll, onChange, desc))
		for i := range 3 {
			want := fmt.Sprint("poll ", i)
			if i == 0 {
				want = "one"
			} else {
				b.set(desc, `"`+want+`"`)
				c.poll()
			}
			if m := values(c.toSync()...); m[desc] != want {
				t.Errorf("poll %d: %v", i, m)
			}
		}
		if err := c.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		c.wantClosed(codes.OK)
	})
	t.row("55", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, live, onChange, "/interface[name=*]"))
		if m := values(c.toSync()...); m[desc] != "one" {
			t.Errorf("first values: %v", m)
		}
		b.set(desc, `"changed"`)
		n := c.next()
		if m := values(n); len(m) != 1 || m[desc] != "changed" || len(n.GetDelete()) > 0 {
			t.Errorf("delta: %v", n)
		}
		b.delete(desc)
		if n := c.next(); len(n.GetDelete()) != 1 || tree.Path(n.GetDelete()[0].GetElem()).String() != desc {
			t.Errorf("delete: %v", n)
		}
		b.delete("/interface[name=ge1]")
		if n := c.next(); len(n.GetDelete()) != 1 || tree.Path(n.GetDelete()[0].GetElem()).String() != "/interface[name=ge1]" {
			t.Errorf("delete of an entry: %v", n)
		}
		b.set("/interface[name=ge5]", `{}`)
		c.until("new entry", func(u map[string]string, _ map[string]bool) bool {
			return u["/interface[name=ge5]/config/name"] == "ge5"
		})
	})
	t.row("55/another spelling of a number", func(t *testing.T) {
		b := furnished(t)
		route := "/instance[name=default]/static-route[prefix=10.0.0.0/8]"
		b.set(route+"/next-hop[index=1]/config", `{"gateway":"192.0.2.9","weight":2}`)
		view := subs(t, live, onChange, "/network-instances/network-instance[name=DEFAULT]/protocols/protocol[identifier=openconfig-policy-types:STATIC][name=DEFAULT]"+
			"/static-routes/static[prefix=10.0.0.0/8]/next-hops/next-hop/config/next-hop")
		view.Subscription[0].Path.Origin = openconfigOrigin
		for _, list := range []*gnmi.SubscriptionList{view, subs(t, live, onChange, route+"/next-hop[index=01]/config/gateway")} {
			b.set(route+"/next-hop[index=1]/config/gateway", `"192.0.2.9"`)
			c := b.subscribe(list)
			if m := values(c.toSync()...); len(m) != 1 {
				t.Errorf("first values: %v", m)
			}
			b.set(route+"/next-hop[index=1]/config/gateway", `"192.0.2.8"`)
			if m := values(c.next()); len(m) != 1 {
				t.Errorf("delta: %v", m)
			}
		}
	})
	t.row("55/state", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, live, onChange, "/interface/state/oper-status", "/interface/unit/family/neighbor", "/instance/rib/route"))
		c.toSync()
		b.state.change(StateChange{Object: models.Object{Kind: models.Device, Device: "ge0"}}, func() {
			d := b.state.devices["ge0"]
			d.Oper = intf.OperDown
			b.state.devices["ge0"] = d
		})
		c.until("device", func(u map[string]string, _ map[string]bool) bool {
			return strings.EqualFold(u["/interface[name=ge0]/state/oper-status"], "down")
		})
		key := intf.UnitKey{Device: "ge0", ID: "0"}
		b.state.change(StateChange{Object: models.Object{Kind: models.Unit, Device: "ge0", Unit: "0"}}, func() {
			u := b.state.units[key]
			u.Families = []models.FamilyState{{Family: intf.Inet, Neighbors: []models.NeighborState{{Address: netip.MustParseAddr("192.0.2.8")}}}}
			b.state.units[key] = u
		})
		base := "/interface[name=ge0]/unit[id=0]/family[type=inet]/neighbor"
		c.until("neighbour", func(u map[string]string, d map[string]bool) bool {
			return u[base+"[address=192.0.2.8]/state/address"] != "" && d[base+"[address=192.0.2.9]/state/address"]
		})
		prefix := netip.MustParsePrefix("10.2.0.0/16")
		b.state.change(StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: prefix}, func() {
			rs := b.state.routes["default"]
			b.state.routes["default"] = append(rs[:2:2], rs[3:]...)
		})
		c.until("route", func(_ map[string]string, d map[string]bool) bool {
			return d["/instance[name=default]/rib[afi=inet]/route[prefix=10.2.0.0/16]"]
		})
	})
	t.row("55/commit", func(t *testing.T) {
		b := furnished(t)
		number := "/system/state/datastore/commit-number"
		c := b.subscribe(subs(t, live, onChange, number))
		if m := values(c.toSync()...); m[number] != "1" {
			t.Errorf("%v", m)
		}
		b.set(desc, `"two"`)
		if m := values(c.next()); m[number] != "2" {
			t.Errorf("%v", m)
		}
	})
	t.row("55/counters", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, live, onChange, "/interface[name=ge0]/state"))
		c.toSync()
		b.state.change(StateChange{}, func() {
			d := b.state.devices["ge0"]
			d.Counters.InOctets++
			b.state.devices["ge0"] = d
		})
		c.until("counter", func(u map[string]string, _ map[string]bool) bool {
			return len(u) == 1 && u["/interface[name=ge0]/state/counters/in-octets"] == "1099511627777"
		})
	})
	t.row("56", func(t *testing.T) {
		c := furnished(t).subscribe(subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE, HeartbeatInterval: ms(30)}, desc))
		c.toSync()
		for range 3 {
			if m := values(c.next()); m[desc] != "one" {
				t.Errorf("%v", m)
			}
		}
	})
	t.row("57", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribe(subs(t, live, sample(0), desc))
		c.toSync()
		start := time.Now()
		for range 3 {
			c.next()
		}
		if took := time.Since(start); took > 2*time.Second || took < 30*time.Millisecond {
			t.Errorf("three samples took %v", took)
		}
		b.subscribe(subs(t, live, sample(1), desc)).wantClosed(codes.InvalidArgument, "20ms")
	})
	t.row("58", func(t *testing.T) {
		b := furnished(t)
		s := sample(20)
		s.SuppressRedundant = true
		c := b.subscribe(subs(t, live, s, "/interface[name=ge0]/config"))
		c.toSync()
		b.set(desc, `"news"`)
		if m := values(c.next()); len(m) != 1 || m[desc] != "news" {
			t.Errorf("%v", m)
		}
		b.delete(desc)
		if n := c.next(); len(n.GetUpdate()) > 0 || len(n.GetDelete()) != 1 || tree.Path(n.GetDelete()[0].GetElem()).String() != desc {
			t.Errorf("delete: %v", n)
		}
		s.HeartbeatInterval = ms(60)
		c = b.subscribe(subs(t, live, s, "/interface[name=ge0]/config"))
		first := values(c.toSync()...)
		if m := values(c.next()); len(m) != len(first) {
			t.Errorf("heartbeat sent %v, want all of %v", m, first)
		}
	})
	t.row("58/gone", func(t *testing.T) {
		b := furnished(t)
		for name, beat := range map[string]uint64{"sample": 0, "heartbeat": ms(60)} {
			b.set("/interface[name=ge5]/config/description", `"five"`)
			s := sample(20)
			s.SuppressRedundant, s.HeartbeatInterval = true, beat
			if beat > 0 {
				s.SampleInterval = ms(60_000)
			}
			c := b.subscribe(subs(t, live, s, "/interface"))
			c.toSync()
			b.delete("/interface[name=ge5]")
			c.until(name, func(_ map[string]string, d map[string]bool) bool {
				return d["/interface[name=ge5]/config/description"] && d["/interface[name=ge5]/name"]
			})
		}
	})
	t.row("59", func(t *testing.T) {
		furnished(t).subscribe(subs(t, live, &gnmi.Subscription{SampleInterval: ms(1000)}, desc)).wantClosed(codes.InvalidArgument, "TARGET_DEFINED")
	})
	t.row("60", func(t *testing.T) {
		b := furnished(t)
		for _, mode := range []gnmi.SubscriptionList_Mode{once, poll, live} {
			list := subs(t, mode, onChange, desc)
			list.UpdatesOnly = true
			c := b.subscribe(list)
			if ns := c.toSync(); len(ns) > 0 {
				t.Errorf("%v: before sync: %v", mode, ns)
			}
			switch mode {
			case once:
				c.wantClosed(codes.OK)
			case poll:
				c.poll()
				if ns := c.toSync(); len(ns) > 0 {
					t.Errorf("poll: %v", ns)
				}
			case live:
				b.set(desc, `"later"`)
				if m := values(c.next()); m[desc] != "later" {
					t.Errorf("%v", m)
				}
			}
		}
	})
	t.row("61", func(t *testing.T) {
		b := furnished(t)
		absent := "/interface[name=ge8]/config/description"
		c := b.subscribe(subs(t, once, onChange, absent))
		if ns := c.toSync(); len(ns) > 0 {
			t.Errorf("%v", ns)
		}
		c.wantClosed(codes.OK)
		c = b.subscribe(subs(t, live, onChange, absent))
		c.toSync()
		b.set(absent, `"now there"`)
		if m := values(c.next()); m[absent] != "now there" {
			t.Errorf("%v", m)
		}
	})
	t.row("62", func(t *testing.T) {
		b := furnished(t)
		b.subscribe(subs(t, live, onChange, "/interfaces")).wantClosed(codes.Unimplemented, "interfaces")
		b.subscribe(subs(t, live, onChange, "/interface/confg")).wantClosed(codes.NotFound, "confg")
		b.subscribe(subs(t, live, onChange, "/interface[id=x]")).wantClosed(codes.InvalidArgument, "no key")
	})
	t.row("63", func(t *testing.T) {
		for _, e := range encodings {
			list := subs(t, once, onChange, "/interface[name=ge0]/config")
			list.Encoding = e
			for _, n := range furnished(t).subscribe(list).toSync() {
				for _, u := range n.GetUpdate() {
					if v := valueText(u.GetVal()); strings.HasPrefix(v, "{") {
						t.Errorf("%v: %v is no leaf", e, u)
					}
				}
			}
		}
	})
	t.row("65", func(t *testing.T) {
		b := furnished(t)
		mru := "/interface[name=ge0]/config/mru"
		b.set(mru, "1600")
		c := b.subscribe(subs(t, live, onChange, mru))
		c.toSync()
		b.delete(mru)
		if n := c.next(); values(n)[mru] != "1518" || len(n.GetDelete()) > 0 {
			t.Errorf("%v", n)
		}
	})
	t.row("67", func(t *testing.T) {
		b := furnished(t)
		before := time.Now().UnixNano()
		c := b.subscribe(subs(t, live, onChange, desc))
		if n := c.toSync()[0]; n.GetTimestamp() < before || n.GetTimestamp() > time.Now().UnixNano() {
			t.Errorf("timestamp %d", n.GetTimestamp())
		}
		b.set(desc, `"x"`)
		if n := c.next(); n.GetTimestamp() != b.store.Last().Time.UnixNano() {
			t.Errorf("timestamp %d is not the commit's", n.GetTimestamp())
		}
	})
	t.row("68", func(t *testing.T) {
		b := furnished(t)
		list := subs(t, live, onChange, desc)
		list.Subscription = append(list.Subscription, subs(t, live, sample(20), "/interface[name=ge1]/config/description").Subscription...)
		list.Subscription = append(list.Subscription, subs(t, live, &gnmi.Subscription{}, "/interface[name=ge0]/state").Subscription...)
		c := b.subscribe(list)
		c.toSync()
		b.set(desc, `"both"`)
		c.until("both", func(u map[string]string, _ map[string]bool) bool {
			return u[desc] == "both" && u["/interface[name=ge1]/config/description"] == "two"
		})
	})
	t.Run("target, origin and prefix", func(t *testing.T) {
		b := furnished(t)
		list := subs(t, once, onChange, "/config/description")
		list.Prefix = p(t, "/interface[name=ge0]")
		list.Prefix.Target = "r1"
		n := b.subscribe(list).toSync()[0]
		if n.GetPrefix().GetTarget() != "r1" || values(n)[desc] != "one" {
			t.Errorf("%v", n)
		}
	})
}

// testSlowReader is row 66: a client that doesn't read holds up nobody, and is
// told later of the newest values, with what it missed counted.
func testSlowReader(t *checklist) {
	t.row("66", func(t *testing.T) {
		b := furnished(t)
		b.set("/interface[name=ge0]/config/description", `"`+strings.Repeat("x", 200)+`"`)
		c := b.subscribe(subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/interface"))
		c.toSync()
		const commits = 2000 // more than the log of a feed holds
		var last string
		for i := range commits {
			last = fmt.Sprintf("%d %s", i, strings.Repeat("y", 200))
			b.set(desc, `"`+last+`"`)
		}
		got, duplicates := 0, 0
		for value := ""; value != last; {
			n := c.next()
			for _, u := range n.GetUpdate() {
				got++
				duplicates += int(u.GetDuplicates())
				value = valueText(u.GetVal())
			}
		}
		// A value that is read after the next commit, but before that one's mark, is
		// sent once and counted once.
		if sum := got + duplicates; sum > commits || sum < commits*9/10 {
			t.Errorf("%d updates and %d duplicates, want about %d together", got, duplicates, commits)
		}
		if duplicates == 0 {
			t.Error("nothing was coalesced")
		}
	})
}

func TestStreamsLeaveNothingBehind(t *testing.T) {
	b := furnished(t)
	b.set(desc, `"warm"`)
	before := runtime.NumGoroutine()
	for i := range 30 {
		mode := []gnmi.SubscriptionList_Mode{once, poll, live}[i%3]
		c := b.subscribe(subs(t, mode, &gnmi.Subscription{}, "/interface"))
		c.toSync()
		c.cancel()
		for {
			if _, err := c.stream.Recv(); err != nil {
				break
			}
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before || b.state.watching() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before; %d watchers", runtime.NumGoroutine(), before, b.state.watching())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestStopEndsStreams(t *testing.T) {
	b := furnished(t)
	c := b.subscribe(subs(t, live, &gnmi.Subscription{}, "/interface"))
	c.toSync()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	b.server.Stop(ctx)
	if ctx.Err() != nil {
		t.Error("Stop had to cut the stream off")
	}
	if _, err := c.stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}
