package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"golang.org/x/sys/unix"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/internal/testnet"
	"router/routing"
	"router/vrf"
)

const (
	// turnRate is the flow's packets a second.
	turnRate = 10_000
	// turnMost is how many packets may be lost when a path changes: none is the
	// aim, and the receiver's own hiccups are told apart.
	turnMost = turnRate * 50 / 1000
)

// turnConfig is a router with two ways to h2. Routes of the feed go by the
// gateway 10.0.0.1, which is behind one of them.
const turnConfig = `{ "routerd:interface": [
	{ "name": "ge0", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] } ] } ] },
	{ "name": "ge1", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "198.51.100.1/25" } ] } ] } ] },
	{ "name": "ge2", "unit": [ { "id": "0", "family": [ { "type": "inet", "address": [ { "prefix": "198.51.100.129/25" } ] } ] } ] } ] }`

var turnGateways = []string{"198.51.100.2", "198.51.100.130"}

// TestIndirectFailover changes the path of the gateway that 10, 10,000 and
// 1,000,000 routes go by, under a flow by one of them. The routes are not
// touched, so that neither the time nor the loss depends on their number. A
// child process is the router, since only its parts take routes of a feed.
func TestIndirectFailover(t *testing.T) {
	if dir := os.Getenv("ROUTERD_TEST_TURN"); dir != "" {
		if err := turnPaths(dir, os.Stdin); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("loads a million routes")
	}
	testnet.Require(t)
	ns, h1, h2 := testnet.New(t, "turn"), testnet.New(t, "h1"), testnet.New(t, "h2")
	testnet.Pair(t, testnet.End{In: ns, Name: "ge0"}, testnet.End{In: h1, Name: "eth0"})
	testnet.Pair(t, testnet.End{In: ns, Name: "ge1"}, testnet.End{In: h2, Name: "eth0"})
	testnet.Pair(t, testnet.End{In: ns, Name: "ge2"}, testnet.End{In: h2, Name: "eth1"})
	h1.Address(t, "eth0", "192.0.2.2/24")
	h1.Route(t, "default", "192.0.2.1")
	for _, name := range []string{"all", "eth0", "eth1"} {
		// It has no route back.
		h2.Sysctl(t, "net/ipv4/conf/"+name+"/rp_filter", "0")
	}
	h2.Address(t, "eth0", turnGateways[0]+"/25")
	h2.Address(t, "eth1", turnGateways[1]+"/25")
	dst := feedPrefix(5).Addr().Next()
	h2.Address(t, "lo", dst.String()+"/32")

	cmd := exec.Command(os.Args[0], "-test.run=^TestIndirectFailover$", "-test.v")
	cmd.Env = append(os.Environ(), "ROUTERD_TEST_TURN="+t.TempDir())
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	order := func(format string, args ...any) string {
		t.Helper()
		fmt.Fprintf(orders, format+"\n", args...)
		var said strings.Builder
		for lines.Scan() {
			if answer, ok := strings.CutPrefix(lines.Text(), "done: "); ok {
				return answer
			}
			fmt.Fprintln(&said, lines.Text())
		}
		t.Fatalf("the router has ended:\n%s", said.String())
		return ""
	}
	order("path 0")
	for _, n := range []int{10, 10_000, 1_000_000} {
		loaded := order("load %d", n)
		// The neighbours are found, and all is warm.
		warm := startTurnFlow(t, h1, h2, dst)
		order("path 1")
		time.Sleep(1500 * time.Millisecond)
		order("path 0")
		time.Sleep(1500 * time.Millisecond)
		if warm.end(t); warm.sent == warm.lost {
			t.Fatalf("with %d routes nothing arrives", n)
		}
		changes := []string{}
		f := startTurnFlow(t, h1, h2, dst)
		for turn := range 4 {
			time.Sleep(300 * time.Millisecond)
			changes = append(changes, order("path %d", (turn+1)%2))
		}
		time.Sleep(300 * time.Millisecond)
		f.end(t)
		worst := f.lost - min(f.lost, f.dropped)
		t.Logf("%d routes (loaded in %s): path changed 4 times, in %s; %d packets sent, %d lost (%d more by the receiver's socket), longest gap %.1f ms; sender at most %v late",
			n, loaded, strings.Join(changes, ", "), f.sent, worst, f.dropped, float64(f.gap)*1000/turnRate, f.late)
		if most := turnMost + uint64(f.late*turnRate/time.Second); worst > most {
			t.Errorf("%d routes: %d packets lost, want %d at most", n, worst, most)
		}
	}
	orders.Close()
}

// feedPrefix is the n-th prefix of the feed, a /24 from 20.0.0.0 on.
func feedPrefix(n int) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 20<<24+uint32(n)<<8)
	return netip.PrefixFrom(netip.AddrFrom4(b), 24)
}

// turnPaths runs a router in dir and does as it is told: "load N" gives it
// the first N prefixes of the feed, "path N" leads their gateway to the N-th of
// turnGateways, and the answer is how long that took.
func turnPaths(dir string, orders io.Reader) error {
	debug.SetGCPercent(50) // as main does
	settings, err := boot.Load([]string{"--config", "/dev/null", "--state-dir", dir, "--socket", filepath.Join(dir, "socket"), "--listen="})
	if err != nil {
		return err
	}
	d, err := start(context.Background(), settings, noLog())
	if err != nil {
		return err
	}
	defer d.close()
	commit := func(config string) error {
		_, err := d.store.Commit(context.Background(), datastore.Request{User: "test", Ops: []tree.Op{{
			Kind: tree.Update, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(config)}},
		}}})
		return err
	}
	if err := commit(turnConfig); err != nil {
		return err
	}
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		var n int
		begin := time.Now()
		switch line := lines.Text(); {
		case scanned(line, "load %d", &n):
			err = d.router.Load(vrf.Default, routing.Feed, func(yield func(vrf.UserRoute) bool) {
				for i := range n {
					if !yield(vrf.UserRoute{Prefix: feedPrefix(i), Preference: 20, NextHop: routing.NextHop{Kind: routing.Indirect, Gateway: netip.MustParseAddr("10.0.0.1")}}) {
						return
					}
				}
			})
		case scanned(line, "path %d", &n):
			err = commit(fmt.Sprintf(`{ "routerd:instance": [ { "name": "default", "static-route": [
				{ "prefix": "10.0.0.0/24", "next-hop": [ { "index": 0, "config": { "gateway": %q } } ] } ] } ] }`, turnGateways[n]))
		default:
			err = fmt.Errorf("I don't know how to %s", line)
		}
		if err != nil {
			return err
		}
		fmt.Printf("done: %v\n", time.Since(begin).Round(10*time.Microsecond))
	}
	return nil
}

func scanned(line, format string, n *int) bool {
	_, err := fmt.Sscanf(line, format, n)
	return err == nil
}

// A turnFlow is numbered UDP packets from one host to another.
type turnFlow struct {
	from, to       *net.UDPConn
	stop, done     chan struct{}
	got            chan []bool
	sent, lost     uint64
	gap            uint64 // numbers in a row that are missing, at most
	dropped        uint64 // of lost, by the receiver's own socket
	late           time.Duration
	receiverFailed error
}

func startTurnFlow(t *testing.T, from, to *testnet.Namespace, dst netip.Addr) *turnFlow {
	t.Helper()
	f := &turnFlow{stop: make(chan struct{}), done: make(chan struct{}), got: make(chan []bool, 1)}
	addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst, 4000))
	if err := to.Do(func() (err error) { f.to, err = net.ListenUDP("udp", addr); return err }); err != nil {
		t.Fatal(err)
	}
	raw, err := f.to.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		if set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); set == nil {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
		}
	}); err != nil || set != nil {
		t.Fatal(err, set)
	}
	if err := from.Do(func() (err error) { f.from, err = net.DialUDP("udp", nil, addr); return err }); err != nil {
		t.Fatal(err)
	}
	go f.receive()
	go f.send()
	return f
}

func (f *turnFlow) send() {
	defer close(f.done)
	runtime.LockOSThread()
	packet := make([]byte, 64)
	for start := time.Now(); ; time.Sleep(500 * time.Microsecond) {
		select {
		case <-f.stop:
			return
		default:
		}
		due := uint64(time.Since(start) * turnRate / time.Second)
		f.late = max(f.late, time.Duration(due-f.sent)*time.Second/turnRate)
		// A sender that was held up must not make up for it in one burst.
		for range min(due-f.sent, 32) {
			binary.BigEndian.PutUint64(packet, f.sent)
			if _, err := f.from.Write(packet); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				// An error that a router sent back belongs to an earlier packet.
				continue
			}
			f.sent++
		}
	}
}

func (f *turnFlow) receive() {
	var seen []bool
	buf, control := make([]byte, 256), make([]byte, 256)
	for {
		n, c, _, _, err := f.to.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			f.receiverFailed = err
			f.got <- seen
			return
		}
		if messages, err := unix.ParseSocketControlMessage(control[:c]); err == nil {
			for _, m := range messages {
				if m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
					f.dropped = uint64(binary.NativeEndian.Uint32(m.Data))
				}
			}
		}
		if n < 8 {
			continue
		}
		number := binary.BigEndian.Uint64(buf)
		for uint64(len(seen)) <= number {
			seen = append(seen, false)
		}
		seen[number] = true
	}
}

// end stops the flow and counts what is missing.
func (f *turnFlow) end(t *testing.T) {
	t.Helper()
	close(f.stop)
	<-f.done
	if err := f.to.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Error(err)
	}
	seen := <-f.got
	if !os.IsTimeout(f.receiverFailed) {
		t.Errorf("receiver: %v", f.receiverFailed)
	}
	f.from.Close()
	f.to.Close()
	gap := uint64(0)
	for i := range f.sent {
		if i < uint64(len(seen)) && seen[i] {
			gap = 0
			continue
		}
		f.lost++
		gap++
		f.gap = max(f.gap, gap)
	}
}
