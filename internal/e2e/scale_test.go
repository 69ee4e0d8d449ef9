package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// scaleDevices is how many devices the units of a large router are spread over:
// a device has 4,094 VLANs.
const scaleDevices = 5

// largeRouter is the configuration of a router with units units, a fifth as
// many instances and ten times as many static routes, as orchestrators send it.
func largeRouter(units int) string {
	var s strings.Builder
	instances := max(1, units/scaleDevices)
	s.WriteString(`{"routerd:interface":[`)
	for d := range scaleDevices {
		if d > 0 {
			s.WriteString(",")
		}
		fmt.Fprintf(&s, `{"name":"ge%d","unit":[`, d)
		for i := range units / scaleDevices {
			if i > 0 {
				s.WriteString(",")
			}
			fmt.Fprintf(&s, `{"id":"%d","vlan":{"config":{"outer-vlan-id":%d}},"family":[{"type":"inet","config":{"type":"inet","instance":"vrf%d"},"address":[{"prefix":"10.%d.0.1/24"}]}]}`,
				i+1, i+1, i%instances, d)
		}
		s.WriteString(`]}`)
	}
	s.WriteString(`],"routerd:instance":[`)
	for i := range instances {
		if i > 0 {
			s.WriteString(",")
		}
		fmt.Fprintf(&s, `{"name":"vrf%d","static-route":[`, i)
		for r := range 10 * units / instances {
			if r > 0 {
				s.WriteString(",")
			}
			fmt.Fprintf(&s, `{"prefix":"172.16.%d.0/24","next-hop":[{"index":1,"config":{"gateway":"10.%d.0.2"}}]}`, r, r%scaleDevices)
		}
		s.WriteString(`]}`)
	}
	s.WriteString(`]}`)
	return s.String()
}

// A timing is how long each of several things took.
type timing []time.Duration

func (t timing) String() string {
	slices.Sort(t)
	return fmt.Sprintf("median %v, p99 %v, most %v of %d", t[len(t)/2].Round(10*time.Microsecond), t[len(t)*99/100].Round(10*time.Microsecond), t[len(t)-1].Round(10*time.Microsecond), len(t))
}

// TestScale runs a router with many units, instances and routes through what
// orchestrators do, and prints what each takes and what memory is held. With
// E2E_FULL=1 it does so with 100, 1,000 and 10,000 units on devices that are not
// there yet; E2E_SCALE=N tries N units on devices that are.
func TestScale(t *testing.T) {
	sizes, present := []int{100}, false
	if full() {
		sizes = []int{100, 1000, 10000}
	}
	if text := os.Getenv("E2E_SCALE"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < scaleDevices || n > 4000*scaleDevices {
			t.Fatalf("E2E_SCALE=%q: want a number of units from %d to %d", text, scaleDevices, 4000*scaleDevices)
		}
		sizes, present = []int{n}, true
	}
	for _, units := range sizes {
		t.Run(fmt.Sprintf("%d_units", units), func(t *testing.T) { scale(t, units, present) })
	}
}

func scale(t *testing.T, units int, present bool) {
	l := labOf(t)
	l.space("router")
	if present {
		for d := range scaleDevices {
			l.wire(fmt.Sprintf("h%d", d), fmt.Sprintf("ge%d", d))
		}
	}
	l.start()
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
	l.check(err)
	s := &session{gpb.NewGNMIClient(conn), conn}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// set times one Set.
	set := func(req *gpb.SetRequest) time.Duration {
		t.Helper()
		start := time.Now()
		if _, err := s.Set(ctx, req); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	update := func(p, value string) *gpb.Update { return &gpb.Update{Path: path(p), Val: jsonIETF(value)} }
	root := func(config string) *gpb.SetRequest {
		return &gpb.SetRequest{Replace: []*gpb.Update{{Path: &gpb.Path{}, Val: jsonIETF(config)}}}
	}
	config := largeRouter(units)
	t.Logf("%d units, %d instances, %d static routes: %.1f MB of JSON", units, max(1, units/scaleDevices), 10*units, float64(len(config))/1e6)
	t.Logf("replace at the root, of nothing: %v", set(root(config)))
	t.Logf("replace at the root, by the same: %v", set(root(config)))
	other := strings.Replace(config, `"outer-vlan-id":1}`, `"outer-vlan-id":4000}`, 1)
	t.Logf("replace at the root, with one leaf changed: %v", set(root(other)))

	var leaf timing
	for i := range 300 {
		leaf = append(leaf, set(&gpb.SetRequest{Update: []*gpb.Update{
			update(fmt.Sprintf("/interface[name=ge%d]/unit[id=%d]/config/description", i%scaleDevices, 1+i%(units/scaleDevices)), fmt.Sprintf(`"%d"`, i))}}))
	}
	t.Logf("one leaf: %v", leaf)

	const routes = 10_000
	route := func(i int) *gpb.Update {
		return update(fmt.Sprintf("/instance[name=vrf0]/static-route[prefix=100.%d.%d.0/24]", i/256, i%256), `{"next-hop":[{"index":1,"config":{"gateway":"10.0.0.2"}}]}`)
	}
	many, gone := &gpb.SetRequest{}, &gpb.SetRequest{}
	for i := range routes {
		many.Update = append(many.Update, route(i))
		gone.Delete = append(gone.Delete, route(i).GetPath())
	}
	t.Logf("%d routes in one Set: %v; deleted in one: %v", routes, set(many), set(gone))
	var single timing
	cpu, start := l.cpuOf(t), time.Now()
	n := routes
	if !full() && !present {
		n = 500
	}
	for i := range n {
		single = append(single, set(&gpb.SetRequest{Update: []*gpb.Update{route(i)}}))
	}
	t.Logf("%d routes in a Set each: %v, of the processor %v each; %v", n, time.Since(start).Round(time.Millisecond),
		((l.cpuOf(t) - cpu) / time.Duration(n)).Round(time.Microsecond), single)
	t.Logf("memory: %v", l.resident())

	if err := l.end(syscall.SIGKILL); err == nil {
		t.Error("routerd survived SIGKILL")
	}
	start = time.Now()
	l.start()
	took, then := time.Since(start), l.resident()
	time.Sleep(3 * time.Second) // it gives back at once what only the start needed
	t.Logf("cold start until ready: %v; memory: %v, 3 s later: %v", took.Round(time.Millisecond), then, l.resident())
}
