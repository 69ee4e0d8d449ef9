package control

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"router/intf"
	"router/models"
	"router/routing"
)

// A flow that comes has a clone, which counts, changes with its parent, is told
// to watchers, and goes when its time is over.
func TestFlowHasAClone(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	var mu sync.Mutex
	heard := map[Event]int{}
	defer l.router.Watch(func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		heard[e]++
	})()
	in, out := intf.UnitKey{Device: "ge0", ID: "0"}, intf.UnitKey{Device: "ge1", ID: "0"}
	key := models.MulticastKey{Instance: "default", Group: netip.MustParsePrefix("239.0.0.0/8")}
	group, source := netip.MustParseAddr("239.1.1.1"), netip.MustParseAddr("192.0.2.9")
	set := func(local bool) {
		l.mustCommit(func(i *models.Intent) {
			i.Instances["default"] = models.InstanceSpec{Name: "default", Cache: models.CacheSpec{Entries: 10, Idle: 20 * time.Second}}
			i.Multicast[key] = models.MulticastSpec{Key: key, In: in, Out: []intf.UnitKey{out}, Local: local}
		})
	}
	flows := func() []models.FlowState {
		return l.router.Flows(nil, "default", intf.Inet, netip.Addr{}, netip.Addr{}, 10)
	}
	set(false)
	l.send("ge0", udp4(intf.MAC{1, 0, 0x5e, 1, 1, 1}, h1, source.String(), group.String()))
	l.receive("ge1", func(f []byte) bool { return f[0] == 1 && f[1] == 0 && f[23] == 17 && f[22] == 63 })
	for deadline := time.Now().Add(20 * time.Second); len(flows()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the flow has no clone")
		}
	}
	l.send("ge0", udp4(intf.MAC{1, 0, 0x5e, 1, 1, 1}, h1, source.String(), group.String()))
	l.receive("ge1", func(f []byte) bool { return f[0] == 1 && f[23] == 17 })
	for deadline := time.Now().Add(20 * time.Second); flows()[0].Packets == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	f := flows()[0]
	if f.Group != group || f.Source != netip.PrefixFrom(source, 32) || f.Origin != routing.Clone || !f.Active || f.In != "ge0.0" ||
		len(f.Out) != 1 || f.Out[0] != "ge1.0" || f.Local || f.Packets != 1 || f.Octets != 28 || f.ParentGroup != key.Group || f.ParentSource.IsValid() {
		t.Errorf("the flow is %+v", f)
	}
	if s, ok := l.router.MulticastState(key); !ok || !s.Active || s.Packets != 2 || s.Octets != 56 {
		t.Errorf("the declared route is %+v", s)
	}
	set(true)
	if f := flows()[0]; !f.Local {
		t.Errorf("the clone does not follow its parent: %+v", f)
	}
	if s, _ := l.router.InstanceState("default"); s.Cache != (models.CacheState{Flows: 1}) {
		t.Errorf("the cache is %+v", s.Cache)
	}
	mu.Lock()
	for _, want := range []Event{
		{Object: key.Object()},
		{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: f.Source, Group: group},
	} {
		if heard[want] == 0 {
			t.Errorf("not told of %+v", want)
		}
	}
	mu.Unlock()
	l.pass(10 * time.Second)
	if len(flows()) != 1 {
		t.Error("the flow is gone before its time")
	}
	l.pass(30 * time.Second)
	if f := flows(); len(f) != 0 {
		t.Errorf("the flow is there after its time: %+v", f)
	}
	l.mustCommit(func(i *models.Intent) { delete(i.Multicast, key) })
	if list := l.router.MulticastRoutes("default"); len(list) != 0 {
		t.Errorf("routes are left: %v", list)
	}
}
