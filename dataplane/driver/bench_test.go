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
// same veths. One iteration is a round of 600 ms for each of them in turn; the
// figures are medians.
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
	round := func() float64 {
		if err := blast(); err != nil { // which also finds the flow's speed
			b.Fatal(err)
		}
		r, err := stations[1].Measure(blast)
		if err != nil {
			b.Fatal(err)
		}
		return r.Mpps()
	}
	through := func(o Option) float64 {
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
		rate := round()
		close(stop)
		<-done
		return rate
	}
	contenders := []struct {
		name string
		run  func() float64
	}{
		{"kernel", round},
		{"af-xdp", func() float64 { return through(nativeCopy) }},
		{"af-packet", func() float64 { return through(packets) }},
	}
	rates := make(map[string][]float64)
	for b.Loop() {
		for _, c := range contenders {
			rates[c.name] = append(rates[c.name], c.run())
		}
	}
	for _, c := range contenders {
		r := rates[c.name]
		slices.Sort(r)
		b.ReportMetric(r[len(r)/2], c.name+"-Mpps")
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
