package northbound

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/intf"
	"router/models"
)

// tenThousandUnits declares ten devices of 1,000 units each.
func tenThousandUnits(b *bed) {
	b.t.Helper()
	var devices []string
	for d := range 10 {
		var units []string
		for i := range 1000 {
			units = append(units, fmt.Sprintf(`{"id":"%d","vlan":{"config":{"outer-vlan-id":%d}},"family":[{"type":"inet","address":[{"prefix":"10.%d.%d.%d/30"}]}]}`,
				i, i+1, d, i/64, i%64*4+1))
			key := intf.UnitKey{Device: fmt.Sprintf("ge%d", d), ID: fmt.Sprint(i)}
			b.state.units[key] = models.UnitState{Key: key, Families: []models.FamilyState{{Family: intf.Inet}}}
		}
		name := fmt.Sprintf("ge%d", d)
		b.state.devices[name] = models.DeviceState{Name: name}
		devices = append(devices, fmt.Sprintf(`{"name":"%s","unit":[%s]}`, name, strings.Join(units, ",")))
	}
	b.set("/interface", "["+strings.Join(devices, ",")+"]")
}

func BenchmarkSetOneLeafAt10000Units(b *testing.B) {
	bed := newBed(b, nil)
	tenThousandUnits(bed)
	for i := 0; b.Loop(); i++ {
		bed.set("/interface[name=ge5]/unit[id=500]/config/description", fmt.Sprintf(`"%d"`, i))
	}
}

func BenchmarkGetOneLeafAt10000Units(b *testing.B) {
	bed := newBed(b, nil)
	tenThousandUnits(bed)
	req := &gnmi.GetRequest{Path: []*gnmi.Path{p(b, "/interface[name=ge5]/unit[id=500]/state/oper-status")}}
	for b.Loop() {
		if _, err := bed.client.Get(bed.ctx(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChangeToSubscriber is from the start of a Set to the arrival of its
// change at a client that watches all 10,000 units.
func BenchmarkChangeToSubscriber(b *testing.B) {
	bed := newBed(b, func(o *Options) { o.Volatile = 1 << 40 })
	tenThousandUnits(bed)
	c := bed.subscribe(subs(b, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/interface"))
	c.toSync()
	for i := 0; b.Loop(); i++ {
		bed.set("/interface[name=ge5]/unit[id=500]/config/description", fmt.Sprintf(`"%d"`, i))
		c.next()
	}
}

// BenchmarkSubscribeOnceRoutes streams a table of 1,000,000 routes, and reports
// by how much the heap grew at most while it did.
func BenchmarkSubscribeOnceRoutes(b *testing.B) {
	bed := newBed(b, nil)
	const routes = 200_000
	list := make([]models.RouteState, routes)
	for i := range list {
		list[i] = models.RouteState{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(10 + i>>16), byte(i >> 8), byte(i), 0}), 24), Active: true}
	}
	bed.state.routes["default"] = list
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	leaves := 0
	for b.Loop() {
		c := bed.subscribe(subs(b, once, &gnmi.Subscription{}, "/instance[name=default]/rib[afi=inet]/route"))
		for n := 0; ; n++ {
			r, err := c.stream.Recv()
			if err != nil {
				b.Fatal(err)
			}
			if r.GetSyncResponse() {
				break
			}
			leaves += len(r.GetUpdate().GetUpdate())
			if n%4096 == 0 {
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
	}
	b.ReportMetric(float64(leaves)/float64(b.N), "leaves/op")
	b.ReportMetric(float64(most-min(most, before.HeapAlloc))/(1<<20), "MiB-heap")
}

// BenchmarkWalk10000Units is how long a client that asks for everything keeps
// the configuration locked.
func BenchmarkWalk10000Units(b *testing.B) {
	bed := newBed(b, nil)
	tenThousandUnits(bed)
	leaves := 0
	for b.Loop() {
		leaves = 0
		bed.store.View(func(dev *gen.Device, c datastore.Commit) {
			w := tree.Walker{Schema: bed.server.schema, Config: dev, State: bed.server.source.at(c), Defaults: true, Leaf: func(tree.LeafValue) error {
				leaves++
				return nil
			}}
			if err := w.Walk(nil); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(leaves), "leaves")
}

// BenchmarkRememberRoutes reports what an ON_CHANGE subscription remembers of
// each route that it has sent.
func BenchmarkRememberRoutes(b *testing.B) {
	const routes = 100_000
	var before, after runtime.MemStats
	var keep []*seen
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := str("a value")
	for b.Loop() {
		s := &seen{}
		s.begin(false)
		for i := range routes {
			route := tree.Path{keyed("instance", "name", "default"), keyed("rib", "afi", "inet"),
				keyed("route", "prefix", fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255))}
			s.note(route.Named("prefix"), v)
			state := route.Child(keyed("entry", "source", "user")).Named("state")
			for _, leaf := range []string{"source", "protocol", "if-index", "preference", "active", "next-hop-type", "gateway", "egress"} {
				s.note(state.Named(leaf), v)
			}
		}
		keep = append(keep, s)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(keep))/routes, "B/route")
	runtime.KeepAlive(keep)
}

// BenchmarkSample10000Units is one round of all counters of 10,000 units, made,
// sent over a connection in memory, and received without being read.
func BenchmarkSample10000Units(b *testing.B) {
	for _, encoding := range []gnmi.Encoding{gnmi.Encoding_PROTO, gnmi.Encoding_JSON_IETF} {
		b.Run(encoding.String(), func(b *testing.B) {
			bed := newBed(b, nil)
			tenThousandUnits(bed)
			c := &stream{Server: bed.server, encoding: encoding, out: discard{}}
			var list []*subscription
			for _, path := range []string{"/interface/unit/state/counters", "/interface/unit/family/state/counters", "/interface/state/counters"} {
				list = append(list, &subscription{pattern: p(b, path).GetElem()})
			}
			b.ReportAllocs()
			before := bed.server.Stats().Updates
			for b.Loop() {
				for _, sub := range list {
					if err := c.sample(sub, 0, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
			sent := bed.server.Stats().Updates - before
			b.ReportMetric(float64(sent)/float64(b.N), "updates/round")
			b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// discard is a stream to nowhere; what is sent is encoded.
type discard struct{ gnmi.GNMI_SubscribeServer }

func (discard) Send(r *gnmi.SubscribeResponse) error { return discard{}.SendMsg(r) }
func (discard) SendMsg(m any) error {
	_, err := newCodec().Marshal(m)
	return err
}
