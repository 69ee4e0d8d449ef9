package northbound

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc"

	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

// A client is a Subscribe call without a network: it applies what it is sent to a
// cache, as a collector does, and reads nothing while it is stalled.
type client struct {
	grpc.ServerStream
	ctx    context.Context
	ended  chan error
	schema *tree.Schema // of what it asks for

	mu      sync.Mutex
	ready   *sync.Cond
	stalled bool
	blocked bool   // a message waits for the end of that
	before  func() // called with mu held ahead of each message that did not wait
	synced  bool
	cache   cached
	updates int
	most    uint32 // duplicates
	errs    []string
}

// A cached is a node of a client's cache.
type cached struct {
	value *string
	below map[string]*cached
}

func (n *cached) set(p tree.Path, value string) {
	for i := range p {
		id := p[i : i+1].String()
		if n.below == nil {
			n.below = make(map[string]*cached)
		}
		if n.below[id] == nil {
			n.below[id] = &cached{}
		}
		n = n.below[id]
	}
	n.value = &value
}

func (n *cached) remove(p tree.Path) {
	if len(p) == 0 {
		*n = cached{}
		return
	}
	for i := range p[:len(p)-1] {
		if n = n.below[p[i:i+1].String()]; n == nil {
			return
		}
	}
	delete(n.below, p[len(p)-1:].String())
}

func (n *cached) list(at string, to map[string]string) {
	if n.value != nil {
		to[at] = *n.value
	}
	for id, c := range n.below {
		c.list(at+id, to)
	}
}

func (c *client) Context() context.Context { return c.ctx }
func (c *client) Recv() (*gnmi.SubscribeRequest, error) {
	<-c.ctx.Done()
	return nil, c.ctx.Err()
}

func (c *client) SendMsg(m any) error {
	b, err := newCodec().Marshal(m)
	if err != nil {
		return err
	}
	r := &gnmi.SubscribeResponse{}
	if err := newCodec().Unmarshal(b, r); err != nil {
		return err
	}
	return c.Send(r)
}

func (c *client) Send(r *gnmi.SubscribeResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.stalled && c.ctx.Err() == nil {
		c.blocked = true
		c.ready.Wait()
	}
	if !c.blocked && c.before != nil {
		c.before()
	}
	c.blocked = false
	c.synced = c.synced || r.GetSyncResponse()
	n := r.GetUpdate()
	if n.GetAtomic() {
		c.cache.remove(absolute(n, &gnmi.Path{}))
	}
	for _, d := range n.GetDelete() {
		at := absolute(n, d)
		if isPattern(c.schema, at) {
			c.errs = append(c.errs, fmt.Sprintf("%v is deleted, which is a pattern", at))
		}
		c.cache.remove(at)
	}
	for _, u := range n.GetUpdate() {
		c.cache.set(absolute(n, u.GetPath()), valueText(u.GetVal()))
		c.updates++
		c.most = max(c.most, u.GetDuplicates())
	}
	return c.ctx.Err()
}

func (c *client) stall(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = yes
	c.ready.Broadcast()
}

// waits reports whether a message waits for the client to read.
func (c *client) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked
}

func (c *client) has() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]string)
	c.cache.list("", all)
	return all
}

// watch subscribes a client.
func (b *bed) watch(list *gnmi.SubscriptionList) *client { return b.follow(list, false) }

// stalled subscribes a client that reads nothing yet.
func (b *bed) stalled(list *gnmi.SubscriptionList) *client { return b.follow(list, true) }

func (b *bed) follow(list *gnmi.SubscriptionList, stalled bool) *client {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{ctx: ctx, ended: make(chan error, 1), stalled: stalled}
	c.ready = sync.NewCond(&c.mu)
	req := &gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: list}}
	if b.depth > 0 {
		req.Extension = []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Depth{Depth: &gnmi_ext.Depth{Level: b.depth}}}}
	}
	stream, err := b.server.newStream(c, req)
	if err != nil {
		b.t.Fatal(err)
	}
	c.schema = stream.subs[0].schema
	if list.GetMode() == once {
		if err := stream.sendFirst(); err != nil {
			b.t.Fatal(err)
		}
		cancel()
		return c
	}
	go func() { c.ended <- stream.run(ctx, nil) }()
	b.t.Cleanup(func() {
		cancel()
		c.stall(false)
		<-c.ended
	})
	return c
}

func (c *client) waitSync(t testing.TB) {
	t.Helper()
	eventually(t, "a sync_response has come", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.synced
	})
}

// eventually waits for what happens soon.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it is not so that %s", what)
		}
	}
}

// agree waits until each client's cache is what the router has.
func (b *bed) agree(what string, list *gnmi.SubscriptionList, clients ...*client) {
	b.t.Helper()
	list.Mode = once
	for i, c := range clients {
		pause := 20 * time.Millisecond // longer and longer: to look is work, too
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(pause) {
			pause = min(2*pause, time.Second)
			want := b.watch(list).has()
			have := c.has()
			if maps.Equal(want, have) {
				break
			}
			if time.Now().Before(deadline) {
				continue
			}
			var wrong []string
			for _, p := range slices.Sorted(maps.Keys(want)) {
				if have[p] != want[p] {
					wrong = append(wrong, fmt.Sprintf("it has %q at %s, want %q", have[p], p, want[p]))
				}
			}
			for _, p := range slices.Sorted(maps.Keys(have)) {
				if _, ok := want[p]; !ok {
					wrong = append(wrong, "it still has "+p)
				}
			}
			b.t.Fatalf("%s: client %d differs at %d places:\n%s", what, i, len(wrong), strings.Join(wrong[:min(20, len(wrong))], "\n"))
		}
		if len(c.errs) > 0 {
			b.t.Fatalf("%s: client %d: %v", what, i, c.errs)
		}
	}
}

// Whatever happens, and however clients stall, in the end each has what the router
// has: nothing older, nothing that is gone.
func TestStalledClientsCatchUp(t *testing.T) {
	tests := []struct {
		name, path, origin string
		mode               gnmi.Encoding
		depth              uint32
	}{
		{"everything", "/", "", gnmi.Encoding_PROTO, 0},
		{"a pattern", "/interface/state", "", gnmi.Encoding_JSON_IETF, 0},
		{"a deep pattern", "/.../description", "", gnmi.Encoding_PROTO, 0},
		{"routes", "/instance/rib/route", "", gnmi.Encoding_PROTO, 0},
		{"view", "/", openconfigOrigin, gnmi.Encoding_PROTO, 0},
		{"to a depth", "/interface", "", gnmi.Encoding_PROTO, 2},
		{"to a depth, of a pattern", "/.../config", "", gnmi.Encoding_PROTO, 1},
		{"to a depth, of routes", "/instance/rib/route", "", gnmi.Encoding_PROTO, 1},
		{"to a depth, of the view", "/interfaces", openconfigOrigin, gnmi.Encoding_PROTO, 2},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := furnished(t)
			b.depth = tc.depth
			list := func() *gnmi.SubscriptionList {
				l := subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, tc.path)
				l.Encoding, l.Subscription[0].Path.Origin = tc.mode, tc.origin
				return l
			}
			r := rand.New(rand.NewPCG(1, 7))
			clients := []*client{b.watch(list())}
			for step := range 400 {
				randomChange(b, r)
				switch r.IntN(12) {
				case 0:
					clients[r.IntN(len(clients))].stall(true)
				case 1:
					clients[r.IntN(len(clients))].stall(false)
				case 2:
					if len(clients) < 5 {
						clients = append(clients, b.watch(list()))
					}
				}
				if step%100 == 99 {
					for _, c := range clients {
						c.stall(false)
					}
					b.agree(fmt.Sprintf("after %d steps", step), list(), clients...)
				}
			}
		})
	}
}

// What a member reads for itself between two messages may be newer than what the others
// are told meanwhile: the client is told nothing older afterwards.
func TestCatchingUpGoesNotBack(t *testing.T) {
	b := newBed(t, func(o *Options) { o.Volatile = time.Hour })
	oper := func(name string, status intf.OperStatus) func() {
		return func() { b.state.devices[name] = models.DeviceState{Name: name, Oper: status} }
	}
	change := func(name string, status intf.OperStatus) {
		b.state.change(StateChange{Object: models.Object{Kind: models.Device, Device: name}}, oper(name, status))
	}
	names := []string{"ge0", "ge1", "ge2"}
	for _, name := range names {
		change(name, intf.OperUp)
	}
	list := subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/interface")
	c := b.watch(list)
	c.waitSync(t)
	f := b.feed()
	publish := func(name string, status intf.OperStatus) {
		f.logMu.Lock()
		want := f.end + 1
		f.logMu.Unlock()
		change(name, status)
		eventually(t, name+" is in the log", func() bool {
			f.logMu.Lock()
			defer f.logMu.Unlock()
			return f.end >= want
		})
	}
	c.stall(true)
	publish("ge0", intf.OperDown)
	eventually(t, "a message waits", c.waits)
	publish("ge0", intf.OperPending)
	publish("ge1", intf.OperDown)
	publish("ge2", intf.OperDown)
	messages := 0
	c.mu.Lock()
	c.before = func() {
		// The first one is of ge0: ge1 has been read by now, and ge2 is read when this
		// returns.
		if messages++; messages == 1 {
			publish("ge2", intf.OperPending)
			b.state.quietly(oper("ge2", intf.OperUp))
		}
	}
	c.mu.Unlock()
	f.oweLog()
	c.stall(false)
	b.agree("in the end", subs(t, live, &gnmi.Subscription{}, "/interface"), c)
}

// feed is the one that there is.
func (b *bed) feed() *feed {
	b.t.Helper()
	if n := len(b.server.feeds.by); n != 1 {
		b.t.Fatalf("%d feeds, want one", n)
	}
	for _, f := range b.server.feeds.by {
		return f
	}
	return nil
}

// oweLog has all members owe what they have not followed yet, as if the log were full.
func (f *feed) oweLog() {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	for m := range f.members {
		for _, n := range f.since(m.next) {
			m.owe(n)
		}
	}
}

// A member owes a deletion, and its client has been sent meanwhile what is there again.
func TestGoneAndBackIsSentAgain(t *testing.T) {
	b := furnished(t)
	c := b.watch(subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/interface"))
	c.waitSync(t)
	f := b.feed()
	entry := p(t, "/interface[name=ge0]").GetElem()
	f.logMu.Lock()
	for m := range f.members {
		m.owe(&change{number: f.end, marks: []told{{path: entry, last: time.Now(), times: 1, lost: []lost{{path: entry}}}}})
	}
	f.logMu.Unlock()
	b.set("/interface[name=ge1]/config/description", `"another"`) // wakes the member
	eventually(t, "the client is told", func() bool { return c.has()["/interface[name=ge1]/config/description"] == "another" })
	b.agree("in the end", subs(t, live, &gnmi.Subscription{}, "/interface"), c)
}

// randomChange changes the configuration, or state, or a counter that tells nobody.
func randomChange(b *bed, r *rand.Rand) {
	name := fmt.Sprintf("ge%d", r.IntN(3))
	switch r.IntN(8) {
	case 0:
		b.set("/interface[name="+name+"]/config/description", fmt.Sprintf(`"%d"`, r.IntN(3)))
	case 1:
		b.delete("/interface[name=" + name + "]/config/description")
	case 2:
		b.set("/interface[name=ge7]/unit[id="+fmt.Sprint(r.IntN(4))+"]", fmt.Sprintf(`{"config":{"description":"%d"},"vlan":{"config":{"outer-vlan-id":%d}}}`, r.IntN(3), 100+r.IntN(1000)))
	case 3:
		b.delete("/interface[name=ge7]")
	case 4:
		b.state.change(StateChange{Object: models.Object{Kind: models.Device, Device: "ge0"}}, func() {
			d := b.state.devices["ge0"]
			d.Oper = []intf.OperStatus{intf.OperUp, intf.OperDown}[r.IntN(2)]
			b.state.devices["ge0"] = d
		})
	case 5:
		b.state.mu.Lock()
		d := b.state.devices["ge0"]
		d.Counters.InOctets = uint64(r.IntN(3))
		b.state.devices["ge0"] = d
		b.state.mu.Unlock()
	default:
		i := r.IntN(200)
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 0}), 24)
		b.state.change(StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: prefix}, func() {
			at, found := slices.BinarySearchFunc(b.state.routes["default"], prefix, func(s models.RouteState, p netip.Prefix) int { return s.Prefix.Compare(p) })
			switch {
			case !found:
				b.state.routes["default"] = slices.Insert(slices.Clone(b.state.routes["default"]), at, models.RouteState{Prefix: prefix, Active: true, Preference: uint8(r.IntN(3))})
			case r.IntN(2) == 0:
				b.state.routes["default"] = slices.Delete(slices.Clone(b.state.routes["default"]), at, at+1)
			default:
				b.state.routes["default"] = slices.Clone(b.state.routes["default"])
				b.state.routes["default"][at].Preference = uint8(r.IntN(3))
			}
		})
	}
}

// flap changes routes: n of them appear when there, else are gone.
func flap(b *bed, n int, there bool, tag uint32) {
	for i := range n {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 0}), 24)
		b.state.change(StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: prefix}, func() {
			list := b.state.routes["default"]
			at, found := slices.BinarySearchFunc(list, prefix, func(s models.RouteState, p netip.Prefix) int { return s.Prefix.Compare(p) })
			switch {
			case there && found:
				list[at].Tag = tag
			case there:
				list = slices.Insert(list, at, models.RouteState{Prefix: prefix, Active: true, Tag: tag})
			case found:
				list = slices.Delete(list, at, at+1)
			}
			b.state.routes["default"] = list
		})
	}
}

// What a stalled client is owed is bounded, whatever comes and goes meanwhile.
func TestArrearsAreBounded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before int // routes that the client has
		change func(b *bed)
	}{
		{"routes that came", 0, func(b *bed) { flap(b, 2300, true, 1) }},
		{"routes that changed", 2300, func(b *bed) { flap(b, 2300, true, 2) }},
		{"routes that came and went", 0, func(b *bed) { flap(b, 2300, true, 1); flap(b, 2300, false, 0) }},
		{"routes that went", 2300, func(b *bed) { flap(b, 2300, false, 0) }},
		{"routes that went and came", 2300, func(b *bed) { flap(b, 2300, false, 0); flap(b, 2300, true, 3) }},
		{"few routes that went", 600, func(b *bed) { flap(b, 600, false, 0) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := furnished(t)
			flap(b, tc.before, true, 0)
			list := subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/instance", "/interface")
			stalled, reads := b.watch(list), b.watch(list)
			stalled.waitSync(t)
			reads.waitSync(t)
			stalled.stall(true)
			tc.change(b)
			b.agree("the one that reads", subs(t, live, &gnmi.Subscription{}, "/instance", "/interface"), reads)
			f := b.feed()
			f.logMu.Lock()
			for m := range f.members {
				if m.owes != nil && (len(m.owes.marks) > mostMarks || len(m.owes.lost) > mostLost || len(m.owes.order) != len(m.owes.marks)) {
					t.Errorf("%d places and %d losses are owed", len(m.owes.marks), len(m.owes.lost))
				}
			}
			if len(f.log) > logChanges || f.octets > logOctets && (len(f.log) > 1 || f.octets > mostHeld) {
				t.Errorf("%d changes of %d octets are in the log", len(f.log), f.octets)
			}
			f.logMu.Unlock()
			stalled.stall(false)
			b.agree("the one that was stalled", subs(t, live, &gnmi.Subscription{}, "/instance", "/interface"), stalled)
		})
	}
}

// What is gone from very many lists is deleted by the entries and containers around
// them, never by a pattern.
func TestArrearsOfManyLists(t *testing.T) {
	b := newBed(t, nil)
	for _, instances := range []int{1, 100, 3000} {
		a := newArrears(1)
		now := time.Now()
		for i := range 9000 {
			route := p(t, fmt.Sprintf("/instance[name=%d]/rib[afi=inet]/route[prefix=%d]", i%instances, i)).GetElem()
			a.add(&change{number: uint64(i + 1), marks: []told{{path: route, last: now, times: 1, lost: []lost{{path: route}}}}}, 0)
			// One that comes and goes.
			flow := p(t, fmt.Sprintf("/audit[number=%d]", i)).GetElem()
			a.add(&change{number: uint64(i + 1), marks: []told{{path: flow, last: now, times: 1}}}, uint64(i))
			a.add(&change{number: uint64(i + 1), marks: []told{{path: flow, last: now, times: 1, lost: []lost{{flow, uint64(i + 1)}}}}}, uint64(i))
			leaf := p(t, fmt.Sprintf("/instance[name=%d]/config/description", i%instances)).GetElem()
			a.add(&change{number: uint64(i + 1), marks: []told{{path: leaf, last: now, times: 1}}}, 0)
			if len(a.lost) > mostLost || len(a.marks) > mostMarks || len(a.losses) != len(a.lost) || len(a.order) != len(a.marks) {
				t.Fatalf("%d instances, %d changes: %d losses (%d), %d places", instances, i, len(a.lost), len(a.losses), len(a.marks))
			}
		}
		all := a.take(2 * mostMarks)
		if !a.empty() || len(all.marks) == 0 {
			t.Errorf("%d instances: %d places have been taken, %d are left", instances, len(all.marks), len(a.marks))
		}
		anew := 0
		for _, m := range all.marks {
			if m.anew {
				anew++
				if isPattern(b.server.schema, m.path) {
					t.Errorf("%d instances: %s is to be deleted", instances, m.path)
				}
			}
		}
		if anew == 0 {
			t.Errorf("%d instances: nothing is sent anew for 9,000 routes that are gone", instances)
		}
	}
}

// Streams that ask for the same are told of a change by one look at it.
func TestStreamsShareAFeed(t *testing.T) {
	b := newBed(t, func(o *Options) { o.Volatile = time.Hour })
	b.state.devices["ge0"] = models.DeviceState{Name: "ge0"}
	onChange := &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}
	var clients []*client
	for range 20 {
		clients = append(clients, b.watch(subs(t, live, onChange, "/interface")))
	}
	other := subs(t, live, onChange, "/interface")
	other.Encoding = gnmi.Encoding_JSON
	clients = append(clients, b.watch(other))
	for _, c := range clients {
		c.waitSync(t)
	}
	if n := len(b.server.feeds.by); n != 2 {
		t.Errorf("%d feeds, want one for each encoding", n)
	}
	object := models.Object{Kind: models.Device, Device: "ge0"}
	b.state.mu.Lock()
	before := b.state.filled[object]
	b.state.mu.Unlock()
	b.state.change(StateChange{Object: object}, func() { b.state.devices["ge0"] = models.DeviceState{Name: "ge0", Oper: intf.OperUp} })
	b.agree("all", subs(t, live, onChange, "/interface"), clients[0])
	for _, c := range clients {
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(strings.ToLower(c.has()["/interface[name=ge0]/state/oper-status"]), "up"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a client has not heard of the change")
			}
		}
	}
	b.state.mu.Lock()
	looks := b.state.filled[object] - before
	b.state.mu.Unlock()
	// Each feed looks at two places, and so did agree now and then.
	if looks > 4*len(clients)/2 {
		t.Errorf("the state of the device was read %d times for %d clients", looks, len(clients))
	}
}

// BenchmarkStalledClient is what a client holds that doesn't read, of everything on
// a router of 10,000 units, beside one that does; and what a change costs with 50 that do.
func BenchmarkStalledClient(b *testing.B) {
	bed := newBed(b, func(o *Options) { o.Volatile = time.Hour })
	tenThousandUnits(bed)
	list := subs(b, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/interface")
	list.UpdatesOnly = true // the clients' caches are not what is measured
	bed.watch(list).waitSync(b)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range 50 {
		c := bed.watch(list)
		c.waitSync(b)
		c.stall(true)
	}
	for i := 0; b.Loop(); i++ {
		bed.set(fmt.Sprintf("/interface[name=ge5]/unit[id=%d]/config/description", i%1000), fmt.Sprintf(`"%d"`, i))
	}
	b.ReportMetric(float64(heap()-before)/50, "B/client")
}
