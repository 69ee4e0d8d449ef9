package driver

import (
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"router/dataplane/port"
	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// BenchmarkForwarding sends 60-octet frames (64 with their FCS) through two
// veths as fast as it can, and reports what comes out by each driver, where a
// worker only rewrites MAC addresses, beside the kernel's own forwarding on the
// same veths. Then it sends 10,000 a second and reports the median one-way time.
// One iteration is a round of 800 ms for each of them in turn; the figures are
// medians. The worker spins.
func BenchmarkForwarding(b *testing.B) {
	testnet.Require(b)
	router := testnet.New(b, "router")
	var hosts [2]testnet.End
	var stations [2]*traffic.Station
	for i, name := range []string{"ge0", "ge1"} {
		hosts[i] = testnet.End{In: testnet.New(b, "host"), Name: "eth0"}
		testnet.Pair(b, hosts[i], testnet.End{In: router, Name: name})
		stations[i] = traffic.Attach(b, hosts[i])
	}
	router.Sysctl(b, "net/ipv4/ip_forward", "1")
	router.Address(b, "ge0", "192.0.2.254/24")
	router.Address(b, "ge1", "198.51.100.254/24")
	router.Neighbor(b, "ge1", "198.51.100.1", hosts[1].In.MAC(b, "eth0"))
	flow := stations[0].Flow(b, traffic.Packet{
		SourceMAC: hosts[0].In.MAC(b, "eth0"), DestMAC: router.MAC(b, "ge0"),
		Source: netip.MustParseAddr("192.0.2.1"), Dest: netip.MustParseAddr("198.51.100.1"), Size: 60,
	}, nil, false)
	memory, err := NewMemory(16384)
	if err != nil {
		b.Fatal(err)
	}
	defer memory.Close()
	rewrite := append(append([]byte{}, hosts[1].In.MAC(b, "eth0")...), router.MAC(b, "ge1")...)

	blast := func() error {
		_, err := flow.Blast(0, 300*time.Millisecond)
		return err
	}
	pace := func() error {
		_, err := flow.Pace(0, 10000, 200*time.Millisecond)
		return err
	}
	type figures struct{ mpps, micros []float64 }
	round := func(f *figures) {
		if err := blast(); err != nil { // which also finds the flow's speed
			b.Fatal(err)
		}
		fast, err := stations[1].Measure(blast)
		if err != nil {
			b.Fatal(err)
		}
		slow, err := stations[1].Measure(pace)
		if err != nil {
			b.Fatal(err)
		}
		f.mpps = append(f.mpps, fast.Mpps())
		f.micros = append(f.micros, float64(slow.Latency.Quantile(.5))/1e3)
	}
	through := func(o Option, f *figures) {
		var devices [2]*Device
		for i, name := range []string{"ge0", "ge1"} {
			err := router.Do(func() (err error) {
				devices[i], err = Open(Spec{Device: name, Driver: o.Driver, Memories: []*Memory{memory}, only: &o})
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			defer devices[i].Close()
		}
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			restore, err := traffic.Pin(1)
			if err != nil {
				b.Error(err)
				return
			}
			defer restore()
			in, out := devices[0].Queues[0], devices[1].Queues[0]
			rewriteLoop(memory.Pool, in, out, rewrite, stop)
			if err := in.Close(); err != nil {
				b.Error(err)
			}
			if err := out.Close(); err != nil {
				b.Error(err)
			}
		}()
		round(f)
		close(stop)
		<-done
	}
	contenders := []struct {
		name string
		run  func(*figures)
		figures
	}{
		{name: "kernel", run: round},
		{name: "af-xdp", run: func(f *figures) { through(nativeCopy, f) }},
		{name: "af-packet", run: func(f *figures) { through(packets, f) }},
	}
	for b.Loop() {
		for i := range contenders {
			contenders[i].run(&contenders[i].figures)
		}
	}
	b.ReportMetric(0, "ns/op") // how long a round takes says nothing
	for _, c := range contenders {
		slices.Sort(c.mpps)
		slices.Sort(c.micros)
		b.ReportMetric(c.mpps[len(c.mpps)/2], c.name+"-Mpps")
		b.ReportMetric(c.micros[len(c.micros)/2], c.name+"-p50-us")
	}
}

func rewriteLoop(pool *port.Pool, in, out port.Queue, macs []byte, stop <-chan struct{}) {
	bufs := make([]port.Buf, 64)
	for {
		select {
		case <-stop:
			return
		default:
		}
		for range 64 {
			n := in.Receive(bufs)
			if n == 0 {
				continue
			}
			for _, buf := range bufs[:n] {
				copy(pool.Frame(buf), macs)
			}
			sent := out.Transmit(bufs[:n])
			for _, buf := range bufs[sent:n] {
				pool.Put(buf.Addr)
			}
			out.Flush()
		}
	}
}
