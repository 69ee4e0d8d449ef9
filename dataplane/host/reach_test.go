package host

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"router/internal/testnet"
	"router/intf"
)

// twoWorlds are connected by units 1 and 2: 192.0.2.1 and 2001:db8:1::1 here,
// 198.51.100.1 and 2001:db8:2::1 there, so that each is far from the other.
func twoWorlds(t *testing.T) (here, there *world) {
	t.Helper()
	here, there = newWorld(t, "here"), newWorld(t, "there")
	here.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), addresses("2001:db8:1::1/64", "fe80::1/64")))
	there.ensure(t, unitSpec(2, "ge1.100", "", addresses("198.51.100.1/24"), addresses("2001:db8:2::1/64", "fe80::2/64")))
	connect(here, 1, there, 2)
	here.awaitIPv6(t, "2001:db8:1::1")
	there.awaitIPv6(t, "2001:db8:2::1")
	return here, there
}

func TestProgramsReachFarHostsThroughTheRouter(t *testing.T) {
	tests := []struct {
		name  string
		setup func(t *testing.T, here *world)
		bound bool // without -I the host's own default route wins
	}{
		{"no other default route", nil, false},
		{"beside a default route of the host", func(t *testing.T, here *world) {
			// A management network whose gateway answers to nobody.
			here.ip(t, "link", "add", "mgmt", "type", "veth", "peer", "name", "mgmt1")
			here.ip(t, "link", "set", "mgmt1", "up")
			here.ip(t, "addr", "add", "203.0.113.2/24", "dev", "mgmt")
			here.ip(t, "addr", "add", "2001:db8:9::2/64", "dev", "mgmt", "nodad")
			here.ip(t, "link", "set", "mgmt", "up")
			here.ip(t, "route", "add", "default", "via", "203.0.113.1", "metric", "4096")
			here.ip(t, "-6", "route", "add", "default", "via", "2001:db8:9::1", "metric", "4096")
		}, true},
		{"strict reverse-path filter in the whole namespace", func(t *testing.T, here *world) {
			here.Remove(1)
			here.ns.Sysctl(t, "net/ipv4/conf/all/rp_filter", "1")
			here.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), addresses("2001:db8:1::1/64", "fe80::1/64")))
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			here, _ := twoWorlds(t)
			if test.setup != nil {
				test.setup(t, here)
			}
			run(t, here.ns, "ping", "-n", "-c3", "-i0.3", "-W2", "-I", "192.0.2.1", "198.51.100.1")
			run(t, here.ns, "ping", "-n", "-c3", "-i0.3", "-W2", "-I", "2001:db8:1::1", "2001:db8:2::1")
			if test.bound {
				out := here.ip(t, "route", "get", "198.51.100.1")
				if !strings.Contains(out, "dev mgmt") {
					t.Errorf("an unbound program does not use the host's default route: %s", out)
				}
				return
			}
			run(t, here.ns, "ping", "-n", "-c3", "-i0.3", "-W2", "198.51.100.1")
			run(t, here.ns, "ping", "-n", "-c3", "-i0.3", "-W2", "2001:db8:2::1")
		})
	}
}

func TestManyFarHostsCostOneNeighbourEntry(t *testing.T) {
	w := newWorld(t, "dns")
	w.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), addresses("2001:db8:1::1/64")))
	err := w.ns.Do(func() error {
		for i := range 500 {
			for _, dst := range []string{
				fmt.Sprintf("198.18.%d.%d:9", i/250, i%250+1),
				fmt.Sprintf("[2001:db8:ffff::%x]:9", i+1),
			} {
				c, err := net.Dial("udp", dst)
				if err != nil {
					return err
				}
				_, err = c.Write([]byte("x"))
				c.Close()
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(w.ip(t, "neigh", "show", "nud", "all", "dev", "ge0.0"), "\n")
	if lines > 20 {
		t.Errorf("%d neighbour entries for 1000 far hosts", lines)
	}
	eventually(t, time.Second, "1000 packets out", func() bool {
		c, _ := w.Counters(1, intf.Inet)
		return c.Injected >= 1000
	})
}

func TestGroupsGoOutOfTheUnitThatTheyAreSentFrom(t *testing.T) {
	w := newWorld(t, "groups")
	w.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), addresses("2001:db8:1::1/64", "fe80::1/64")))
	w.ensure(t, unitSpec(2, "ge1.0", "", addresses("198.51.100.1/24"), addresses("2001:db8:2::1/64", "fe80::2/64")))
	var seen [3]atomic.Uint32
	w.onInject(func(_ uint32, ifindex intf.Index, l3 []byte) {
		if l3[0]>>4 == 4 && l3[9] == 17 {
			seen[ifindex].Add(1)
		}
	})
	send := func(local, dst string) {
		t.Helper()
		err := w.ns.Do(func() error {
			l, err := net.ResolveUDPAddr("udp", local)
			if err != nil {
				return err
			}
			d, err := net.ResolveUDPAddr("udp", dst)
			if err != nil {
				return err
			}
			c, err := net.DialUDP("udp", l, d)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send("198.51.100.1:0", "239.1.2.3:9")
	eventually(t, time.Second, "a group packet from 198.51.100.1 out of its unit", func() bool { return seen[2].Load() == 1 })
	send("192.0.2.1:0", "239.1.2.3:9")
	eventually(t, time.Second, "a group packet from 192.0.2.1 out of its unit", func() bool { return seen[1].Load() == 1 })
}

func TestWhatTheHostSendsHasRightChecksums(t *testing.T) {
	here, there := twoWorlds(t)
	var bad atomic.Value
	var tcp atomic.Uint64
	forward := *here.out.Load()
	here.onInject(func(instance uint32, ifindex intf.Index, l3 []byte) {
		if err := checksums(l3); err != nil {
			bad.Store(fmt.Sprintf("%v: %x", err, l3[:min(len(l3), 64)]))
		}
		if len(l3) > 1500 {
			bad.Store(fmt.Sprintf("a packet of %d octets", len(l3)))
		}
		tcp.Add(1)
		forward(instance, ifindex, l3)
	})
	for _, dst := range []string{"198.51.100.1:5001", "[2001:db8:2::1]:5001"} {
		transfer(t, here.ns, there.ns, dst, 4<<20)
	}
	if b := bad.Load(); b != nil {
		t.Error(b)
	}
	if tcp.Load() < 2*4<<20/1500 {
		t.Errorf("only %d packets seen", tcp.Load())
	}
}

func TestThroughputOfTheHostPath(t *testing.T) {
	here, there := twoWorlds(t)
	const size = 32 << 20
	for _, dst := range []string{"198.51.100.1:5001", "[2001:db8:2::1]:5001"} {
		var best float64
		// Other tests may take the processors away for a while.
		for try := 0; try < 5 && best < 200; try++ {
			took := transfer(t, here.ns, there.ns, dst, size)
			best = max(best, size*8/took.Seconds()/1e6)
		}
		t.Logf("%s: %.0f Mbit/s through two TAPs", dst, best)
		if best < 200 && !raceEnabled {
			t.Errorf("%s: %.0f Mbit/s, want 200", dst, best)
		}
	}
}

// transfer sends size octets over TCP and checks that they arrive.
func transfer(t *testing.T, from, to *testnet.Namespace, dst string, size int) time.Duration {
	t.Helper()
	var l net.Listener
	if err := to.Do(func() (err error) { l, err = net.Listen("tcp", dst); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- err
			return
		}
		defer c.Close()
		n, err := io.Copy(io.Discard, c)
		if err == nil && int(n) != size {
			err = fmt.Errorf("%d octets of %d arrived", n, size)
		}
		got <- err
	}()
	var c net.Conn
	start := time.Now()
	if err := from.Do(func() (err error) { c, err = net.DialTimeout("tcp", dst, 5*time.Second); return err }); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	chunk := bytes.Repeat([]byte("router"), 10923)
	for left := size; left > 0; {
		n, err := c.Write(chunk[:min(left, len(chunk))])
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	c.Close()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}
