package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/dataplane/packet"
	"router/internal/testnet"
	"router/internal/testnet/traffic"
)

// A peering is a TCP connection to port 179 with keepalives, both ways, as two
// BGP speakers have it. A real one with the shortest hold time (RFC 4271, 4.2)
// ends after three seconds without a keepalive, and so does this one.
type peering struct {
	conn net.Conn
	done chan struct{}

	mu      sync.Mutex
	got     int
	longest time.Duration // between two keepalives
	err     error
}

const (
	keepaliveEvery = 100 * time.Millisecond
	keepaliveLen   = 19
	holdTime       = 3 * time.Second
)

// speaker answers keepalives at port 179 of a namespace until the test ends.
func speaker(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	var l net.Listener
	err := ns.Do(func() (err error) {
		l, err = net.Listen("tcp", ":179")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Strangers come, too; whoever says nothing is let go.
			wg.Go(func() {
				defer c.Close()
				b := make([]byte, keepaliveLen)
				for {
					if err := c.SetDeadline(time.Now().Add(holdTime)); err != nil {
						return
					}
					if _, err := io.ReadFull(c, b); err != nil {
						return
					}
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			})
		}
	})
}

// peer opens a peering.
func peer(t *testing.T, from *testnet.Namespace, to string) *peering {
	t.Helper()
	p := &peering{done: make(chan struct{})}
	err := from.Do(func() (err error) {
		p.conn, err = net.DialTimeout("tcp", net.JoinHostPort(to, "179"), holdTime)
		return err
	})
	if err != nil {
		t.Fatalf("no peering with %s: %v", to, err)
	}
	go func() {
		defer close(p.done)
		b := make([]byte, keepaliveLen)
		last := time.Now()
		for {
			_ = p.conn.SetReadDeadline(last.Add(holdTime)) // a failure shows in the read
			_, err := io.ReadFull(p.conn, b)
			p.mu.Lock()
			if err != nil {
				p.err = err
				p.mu.Unlock()
				return
			}
			p.got++
			p.longest = max(p.longest, time.Since(last))
			last = time.Now()
			p.mu.Unlock()
		}
	}()
	go func() {
		for b := make([]byte, keepaliveLen); ; time.Sleep(keepaliveEvery) {
			if _, err := p.conn.Write(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = p.conn.Close(); <-p.done })
	return p
}

// take says how many keepalives came since it was asked last, the longest time
// without one, and why the peering is over, if it is.
func (p *peering) take() (got int, longest time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got, longest, err = p.got, p.longest, p.err
	p.got, p.longest = 0, 0
	return got, longest, err
}

// junk sends frames from a device, in turn, as fast as one thread can, for a time.
func junk(ns *testnet.Namespace, device string, d time.Duration, frames [][]byte) (sent int, err error) {
	err = ns.Do(func() error {
		link, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
			return fmt.Errorf("bind to %s: %w", device, err)
		}
		for end := time.Now().Add(d); time.Now().Before(end); {
			for range 64 {
				_, err := unix.Write(fd, frames[sent%len(frames)])
				if err != nil && !errors.Is(err, unix.ENOBUFS) {
					return fmt.Errorf("send by %s: %w", device, err)
				}
				sent++
			}
		}
		return nil
	})
	return sent, err
}

// strangers are opening segments to port 179 from addresses and ports that are
// nobody's, or with a source port of 179 if active.
func strangers(dst, src net.HardwareAddr, to netip.Addr, active bool) [][]byte {
	var frames [][]byte
	for range 4096 {
		b := make([]byte, 14+packet.IPv4MinHeaderLen+packet.TCPMinHeaderLen, 60)
		copy(b, dst)
		copy(b[6:], src)
		binary.BigEndian.PutUint16(b[12:], packet.EtherTypeIPv4)
		from := netip.AddrFrom4([4]byte{198, 18, byte(rand.Uint32()), byte(1 + rand.N(254))})
		packet.PutIPv4(b[14:], 0, 1, true, 64, packet.ProtocolTCP, from, to, packet.TCPMinHeaderLen)
		s := b[34:]
		ports := [2]uint16{uint16(1024 + rand.N(60000)), 179}
		if active {
			ports[0], ports[1] = ports[1], ports[0]
		}
		binary.BigEndian.PutUint16(s, ports[0])
		binary.BigEndian.PutUint16(s[2:], ports[1])
		binary.BigEndian.PutUint32(s[4:], rand.Uint32())
		s[12], s[13] = packet.TCPMinHeaderLen/4<<4, packet.TCPSyn
		packet.SetTransportChecksum(b[14:])
		frames = append(frames, b[:60])
	}
	return frames
}

// TestJunk floods the router's own addresses as fast as the machine can: with
// UDP that nobody wants, and with openings of BGP sessions from forged addresses.
// Peerings with a session of their own stay up throughout, and a new one comes up
// under each flood. With E2E_FULL=1 each flood lasts half a minute.
func TestJunk(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	h1, h2, router := l.space("h1"), l.space("h2"), l.space("router")
	h1.Address(l, "eth0", "192.0.2.2/24")
	h1.Address(l, "eth0", "2001:db8:1::2/64")
	h2.Address(l, "eth0", "198.51.100.2/24")
	l.start()
	s := l.dial()
	defer s.conn.Close()
	l.load(`{ "routerd:interface": [
		{ "name": "ge0", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] },
			{ "type": "inet6", "address": [ { "prefix": "2001:db8:1::1/64" } ] } ] } ] },
		{ "name": "ge1", "unit": [ { "id": "0", "family": [
			{ "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] } ] } ] } ],
		"routerd:local-class": [ { "name": "peers", "config": { "rate": 50000, "burst": 5000 } } ],
		"routerd:session": [
			{ "name": "peer-4", "config": { "class": "peers", "protocol": "tcp", "local-port": 179, "remote-prefix": "192.0.2.2/32", "interface": "ge0" } },
			{ "name": "peer-6", "config": { "class": "peers", "protocol": "tcp", "local-port": 179, "remote-prefix": "2001:db8:1::2/128", "interface": "ge0" } } ] }`)
	time.Sleep(2 * time.Second) // IPv6 addresses become usable
	speaker(t, router)
	peers := []*peering{peer(t, h1, "192.0.2.1"), peer(t, h1, "2001:db8:1::1")}
	station := traffic.Attach(l, testnet.End{In: h2, Name: "eth0"})
	dst, src := router.MAC(l, "ge1"), h2.MAC(l, "eth0")
	nobody := station.Flow(l, traffic.Packet{
		SourceMAC: src, DestMAC: dst, Source: netip.MustParseAddr("198.51.100.2"), Dest: netip.MustParseAddr("198.51.100.1"), Size: 60,
	}, []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")}, true)
	opening := strangers(dst, src, netip.MustParseAddr("192.0.2.1"), false)
	active := strangers(dst, src, netip.MustParseAddr("192.0.2.1"), true)

	lasts := 5 * time.Second
	if full() {
		lasts = 30 * time.Second
	}
	before := l.resident()
	for _, flood := range []struct {
		name string
		send func() (int, error)
	}{
		{"nothing", func() (int, error) { time.Sleep(2 * time.Second); return 0, nil }},
		{"UDP to all addresses", func() (int, error) {
			// The generator holds a thread; the rest of the test needs its own.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			n, err := nobody.Blast(-1, lasts)
			return int(n), err
		}},
		{"openings of BGP", func() (int, error) { return junk(h2, "eth0", lasts, opening) }},
		{"segments from port 179", func() (int, error) { return junk(h2, "eth0", lasts, active) }},
	} {
		for _, p := range peers {
			p.take()
		}
		start := time.Now()
		ended := make(chan error, 1)
		var sent int
		go func() {
			var err error
			sent, err = flood.send()
			ended <- err
		}()
		// In the midst of it another speaker comes up.
		time.Sleep(time.Second)
		asked := time.Now()
		newcomer := peer(t, h1, "192.0.2.1")
		setup := time.Since(asked)
		if err := <-ended; err != nil {
			t.Fatalf("%s: %v", flood.name, err)
		}
		took := time.Since(start)
		t.Logf("%s: %d packets in %v (%.0f a second); a new peering took %v", flood.name, sent, took.Round(time.Millisecond), float64(sent)/took.Seconds(), setup.Round(time.Millisecond))
		for i, p := range append(peers, newcomer) {
			got, longest, err := p.take()
			t.Logf("  peering %d: %d keepalives, longest gap %v", i, got, longest.Round(time.Millisecond))
			if err != nil {
				t.Errorf("%s: peering %d is over: %v", flood.name, i, err)
			}
			if got == 0 || longest > holdTime/2 {
				t.Errorf("%s: peering %d: %d keepalives, longest gap %v", flood.name, i, got, longest)
			}
		}
	}
	after := l.resident()
	policy, _ := l.rcli("show", "local-policy")
	t.Logf("memory: %v before, %v after\n%s\ndrops: %s", before, after, policy, l.drops(s))
	if after.all > before.all+growthMost {
		t.Errorf("memory grew by %.1f MB", float64(after.all-before.all)/1e6)
	}
	// The flood was one: its classes lost packets, and that of the peers none.
	if !regexp.MustCompile(`(?m)^peers +50000 +5000 +configured +[1-9][0-9]* +[0-9]+ +0 +0$`).MatchString(policy) {
		t.Error("the peers' class lost packets, or had none")
	}
	for _, class := range []string{"bgp", "bgp-active"} {
		if !regexp.MustCompile(`(?m)^` + class + ` +50000 +5000 +default +[0-9]+ +[0-9]+ +[1-9][0-9]* +[0-9]+$`).MatchString(policy) {
			t.Logf("class %s lost nothing: the machine makes less than its rate", class)
		}
	}
}
