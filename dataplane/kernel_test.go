package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"router/dataplane/driver"
	"router/dataplane/port"
	"router/internal/testnet"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// TestLinuxHostsReachEachOther puts the engine between two network namespaces,
// with each driver: pings, traceroute's time exceeded, and TCP in both
// directions over a link with a smaller MTU.
func TestLinuxHostsReachEachOther(t *testing.T) {
	testnet.Require(t)
	for _, d := range []intf.Driver{intf.DriverAFXDP, intf.DriverAFPacket} {
		t.Run(d.String(), func(t *testing.T) { hostsReachEachOther(t, d) })
	}
}

// betweenHosts puts an engine between two namespaces, hosts 10 on the networks
// 10.0.0.0/24 and 10.0.1.0/24 of units 1 and 2. finish takes it away again.
func betweenHosts(t *testing.T, d intf.Driver) (x *world, hosts []*testnet.Namespace, finish func()) {
	t.Helper()
	router := testnet.New(t, "r")
	hosts = []*testnet.Namespace{testnet.New(t, "a"), testnet.New(t, "b")}
	e, err := New(Config{Workers: 2, Buffers: 4096, Domain: epoch.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	x = &world{
		t: t, e: e, tables: make(map[uint32]*fib.Table),
		nhs: make(map[routing.NextHop]routing.NextHopID), ports: make(map[string]PortID),
	}
	if x.arena, err = fib.NewHeapArena(1<<20, e.config.Domain); err != nil {
		t.Fatal(err)
	}
	x.addInstance(0)
	var memories []*driver.Memory
	for _, p := range e.Pools() {
		memories = append(memories, driver.UseMemory(p))
	}
	macOf := func(n *testnet.Namespace, device string) intf.MAC { return intf.MAC(n.MAC(t, device)) }
	var devices []*driver.Device
	for i, h := range hosts {
		name := fmt.Sprintf("ge%d", i)
		testnet.Pair(t, testnet.End{In: router, Name: name}, testnet.End{In: h, Name: "eth0"})
		v4, v6 := fmt.Sprintf("10.0.%d.", i), fmt.Sprintf("2001:db8:%d::", i)
		h.Address(t, "eth0", v4+"10/24", v6+"10/64")
		h.Neighbor(t, "eth0", v4+"1", router.MAC(t, name))
		h.Neighbor(t, "eth0", v6+"1", router.MAC(t, name))
		h.Route(t, "default", v4+"1")
		h.Route(t, "default", v6+"1")
		var dev *driver.Device
		if err := router.Do(func() (err error) {
			dev, err = driver.Open(driver.Spec{Device: name, Attach: intf.Exclusive, Driver: d, Memories: memories})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		devices = append(devices, dev)
		var queues []port.Queue
		for _, q := range dev.Queues {
			queues = append(queues, q.Queue)
		}
		o := PortOptions{CompleteChecksums: dev.Checksum == driver.Complete && !dev.Marked}
		if x.ports[name], err = e.AddPort(name, queues, o); err != nil {
			t.Fatal(err)
		}
		unit := intf.Index(i + 1)
		tx := e.Edit()
		tx.SetUnit(x.unit(unit, name, nil, macOf(router, name), 0, []uint16{1500, 1400}[i], v4+"1", v6+"1"))
		tx.Commit()
		x.network(0, unit, v4+"1/24", v6+"1/64")
		x.neighbor(0, unit, macOf(h, "eth0"), v4+"10", v6+"10")
	}
	return x, hosts, func() {
		for i, dev := range devices {
			if err := errors.Join(e.RemovePort(x.ports[fmt.Sprintf("ge%d", i)]), dev.Close()); err != nil {
				t.Error(err)
			}
		}
		if u := e.Usage(); u.Buffers != u.BuffersFree {
			t.Errorf("buffers are missing: %+v", u)
		}
	}
}

func hostsReachEachOther(t *testing.T, d intf.Driver) {
	x, hosts, finish := betweenHosts(t, d)
	defer finish()
	e := x.e
	station := intf.MAC(hosts[1].MAC(t, "eth0"))
	run := func(n *testnet.Namespace, command ...string) string {
		t.Helper()
		out, err := n.Run(command[0], command[1:]...)
		if err != nil {
			t.Errorf("%v: %v\n%s\ndrops: %v", command, err, out, x.drops())
		}
		return out
	}
	run(hosts[0], "ping", "-c", "3", "-i", "0.2", "-W", "2", "10.0.1.10")
	run(hosts[1], "ping", "-c", "3", "-i", "0.2", "-W", "2", "2001:db8::10")
	if out, err := hosts[0].Run("ping", "-c", "1", "-W", "2", "-t", "1", "10.0.1.10"); err == nil || !strings.Contains(out, "10.0.0.1") {
		t.Errorf("a packet of TTL 1 got no answer from the router:\n%s", out)
	}
	for _, way := range [][2]int{{0, 1}, {1, 0}} {
		for _, format := range []string{"10.0.%d.10", "2001:db8:%d::10"} {
			to := fmt.Sprintf(format, way[1])
			took := sendTCP(t, hosts[way[0]], hosts[way[1]], to, 8<<20)
			t.Logf("TCP to %s: %.0f Mbit/s", to, 8*8<<20/took.Seconds()/1e6)
		}
	}
	if d := x.drops(); d["too-big"] == 0 {
		t.Errorf("path MTU discovery had nothing to do: %v", d)
	}

	// A neighbour that is unknown is asked about, and what waited is released.
	x.e.ClearAdjacency(2, ip("10.0.1.10"))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = e.ServeControl(ctx, func(p Punt) {
			if p.Kind == PuntUnresolved {
				e.SetAdjacency(p.IfIndex, p.Addr, station, false)
				if err := e.SendUnit(p.IfIndex, p.EtherType, station, p.Frame); err != nil {
					t.Error(err)
				}
			}
		})
	})
	run(hosts[0], "ping", "-c", "1", "-W", "2", "10.0.1.10")
	cancel()
	wg.Wait()
}

// sendTCP sends size octets from one namespace to another.
func sendTCP(t *testing.T, from, to *testnet.Namespace, address string, size int) time.Duration {
	t.Helper()
	var l net.Listener
	if err := to.Do(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(address, "0"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	received := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			var n int64
			if n, err = io.Copy(io.Discard, c); err == nil && n != int64(size) {
				err = fmt.Errorf("%d octets arrived of %d", n, size)
			}
		}
		received <- err
	}()
	var c net.Conn
	start := time.Now()
	if err := from.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	if err := <-received; err != nil {
		t.Error(err)
	}
	return time.Since(start)
}
