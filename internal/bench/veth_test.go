// Package bench measures the whole router: routerd as a process, between
// stations that generate and count packets.
package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// A bench is a router's namespace between two stations, and routerd's binaries.
type bench struct {
	b        *testing.B
	dir      string
	router   *testnet.Namespace
	hosts    [2]testnet.End
	stations [2]*traffic.Station
	pin      bool                        // routerd runs on CPU 1 alone
	more     func(config map[string]any) // adds to the configuration; may be nil
}

func newBench(b *testing.B) *bench {
	testnet.Require(b)
	x := &bench{b: b, dir: b.TempDir(), router: testnet.New(b, "router")}
	if err := testnet.Build(x.dir, "routerd", "rcli"); err != nil {
		b.Fatal(err)
	}
	for i, name := range []string{"ge0", "ge1"} {
		x.hosts[i] = testnet.End{In: testnet.New(b, "host"), Name: "eth0"}
		testnet.Pair(b, x.hosts[i], testnet.End{In: x.router, Name: name})
		x.stations[i] = traffic.Attach(b, x.hosts[i])
	}
	return x
}

// addresses of the router's ends, and of the stations.
var (
	routerAddr  = []string{"192.0.2.254/24", "198.51.100.254/24", "2001:db8:1::fe/64", "2001:db8:2::fe/64"}
	stationAddr = []string{"192.0.2.1", "198.51.100.1", "2001:db8:1::1", "2001:db8:2::1"}
)

// flow is one of packets of 64 octets, FCS included, from station 0 to 1; v6
// packets need a few more.
func (x *bench) flow(v6 bool) *traffic.Flow {
	at, size := 0, 60
	if v6 {
		at, size = 2, 80
	}
	return x.stations[0].Flow(x.b, traffic.Packet{
		SourceMAC: x.hosts[0].In.MAC(x.b, "eth0"), DestMAC: x.router.MAC(x.b, "ge0"),
		Source: netip.MustParseAddr(stationAddr[at]), Dest: netip.MustParseAddr(stationAddr[at+1]), Size: size,
	}, nil, false)
}

// withKernel runs f while the kernel forwards.
func (x *bench) withKernel(f func()) {
	links := []string{"ge0", "ge1", "ge0", "ge1"}
	for i, a := range routerAddr {
		x.run("ip", "address", "add", a, "dev", links[i], "nodad")
	}
	x.router.Sysctl(x.b, "net/ipv4/ip_forward", "1")
	x.router.Sysctl(x.b, "net/ipv6/conf/all/forwarding", "1")
	mac := x.hosts[1].In.MAC(x.b, "eth0").String()
	x.run("ip", "neighbor", "replace", stationAddr[1], "lladdr", mac, "dev", "ge1", "nud", "permanent")
	x.run("ip", "neighbor", "replace", stationAddr[3], "lladdr", mac, "dev", "ge1", "nud", "permanent")
	f()
	x.router.Sysctl(x.b, "net/ipv4/ip_forward", "0")
	x.router.Sysctl(x.b, "net/ipv6/conf/all/forwarding", "0")
	for _, link := range links[:2] {
		x.run("ip", "neighbor", "flush", "dev", link)
		x.run("ip", "address", "flush", "dev", link)
	}
}

func (x *bench) run(name string, args ...string) {
	x.b.Helper()
	if out, err := x.router.Run(name, args...); err != nil {
		x.b.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// withRouterd runs f while routerd forwards by the given driver.
func (x *bench) withRouterd(driver string, f func()) {
	x.b.Helper()
	state := filepath.Join(x.dir, "state-"+driver)
	socket := filepath.Join(x.dir, "sock")
	var log bytes.Buffer
	argv := []string{filepath.Join(x.dir, "routerd"), "--config", "/dev/null", "--flush", "--state-dir", state, "--socket", socket, "--listen", ""}
	if x.pin {
		argv = append([]string{"taskset", "-c", "1"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = &log
	if err := x.router.Start(cmd); err != nil {
		x.b.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	defer func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			x.b.Error(err)
		}
		if err := <-exited; err != nil {
			x.b.Errorf("routerd: %v\n%s", err, log.String())
		}
	}()
	file := filepath.Join(x.dir, driver+".json")
	if err := os.WriteFile(file, x.config(driver), 0o600); err != nil {
		x.b.Fatal(err)
	}
	rcli := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(x.dir, "rcli"), append([]string{"--socket", socket}, args...)...).CombinedOutput()
		return string(out), err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := rcli("load", "replace", file)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			x.b.Fatalf("rcli load: %v\n%s", err, out)
		}
	}
	out, err := rcli("get", "/interface[name=ge1]/state/driver-in-use")
	if err != nil || !strings.Contains(out, driver) {
		x.b.Fatalf("driver %s: %v\n%s", driver, err, out)
	}
	f()
}

func (x *bench) config(driver string) []byte {
	type m = map[string]any
	mac := x.hosts[1].In.MAC(x.b, "eth0").String()
	var interfaces []m
	for i, name := range []string{"ge0", "ge1"} {
		var families []m
		for at, kind := range map[int]string{i: "inet", i + 2: "inet6"} {
			f := m{"type": kind, "address": []m{{"prefix": routerAddr[at]}}}
			if i == 1 {
				f["neighbor"] = []m{{"address": stationAddr[at], "config": m{"address": stationAddr[at], "link-layer-address": mac}}}
			}
			families = append(families, f)
		}
		interfaces = append(interfaces, m{"name": name, "config": m{"name": name, "driver": driver}, "unit": []m{{"id": "0", "family": families}}})
	}
	// The user path is what is measured here; bench-net has the fast path, too.
	config := m{"routerd:interface": interfaces, "routerd:system": m{"config": m{"fast-path": "off"}}}
	if x.more != nil {
		x.more(config)
	}
	data, err := json.Marshal(config)
	if err != nil {
		x.b.Fatal(err)
	}
	return data
}

// BenchmarkVeth sends packets of 64 octets through two veths as fast as one
// core can, and reports what comes out: with routerd by AF_XDP and by
// AF_PACKET, beside the kernel's own forwarding, on the same veths. One iteration
// is a round of each in turn; the figures are medians, in millions of packets a second.
func BenchmarkVeth(b *testing.B) {
	for _, v6 := range []bool{false, true} {
		name := "inet"
		if v6 {
			name = "inet6"
		}
		b.Run(name, func(b *testing.B) {
			x := newBench(b)
			flow := x.flow(v6)
			rates := map[string][]float64{}
			measure := func(who string) func() {
				return func() {
					blast := func() error {
						_, err := flow.Blast(0, 500*time.Millisecond)
						return err
					}
					if err := blast(); err != nil { // warms up, and finds the flow's speed
						b.Fatal(err)
					}
					r, err := x.stations[1].Measure(blast)
					if err != nil {
						b.Fatal(err)
					}
					rates[who] = append(rates[who], r.Mpps())
				}
			}
			for b.Loop() {
				x.withKernel(measure("kernel"))
				x.withRouterd("af-xdp", measure("af-xdp"))
				x.withRouterd("af-packet", measure("af-packet"))
			}
			for _, who := range []string{"kernel", "af-xdp", "af-packet"} {
				r := rates[who]
				slices.Sort(r)
				b.ReportMetric(r[len(r)/2], who+"-Mpps")
			}
		})
	}
}

// BenchmarkLatency sends 10,000 packets a second and reports the one-way time
// through routerd and through the kernel, p50 and p99 in microseconds, medians
// over the rounds. The generator, which spins to keep time, has CPU 0 for itself
// and routerd has CPU 1: sharing one would measure the scheduler.
func BenchmarkLatency(b *testing.B) {
	x := newBench(b)
	x.pin = true
	flow := x.flow(false)
	times := map[string][]float64{}
	measure := func(who string) func() {
		return func() {
			r, err := x.stations[1].Measure(func() error {
				_, err := flow.Pace(0, 10000, time.Second)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			for _, q := range []float64{0.5, 0.99} {
				key := fmt.Sprintf("%s-p%.0f-us", who, 100*q)
				times[key] = append(times[key], float64(r.Latency.Quantile(q).Nanoseconds())/1000)
			}
		}
	}
	for b.Loop() {
		x.withKernel(measure("kernel"))
		x.withRouterd("af-xdp", measure("af-xdp"))
		x.withRouterd("af-packet", measure("af-packet"))
	}
	for key, t := range times {
		slices.Sort(t)
		b.ReportMetric(t[len(t)/2], key)
	}
}
