package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/internal/testnet"
	"router/intf"
	"router/routing"
	"router/vrf"
)

// fullTableGoal is the goal for a router with a full Internet table, in octets.
const fullTableGoal = 400 << 20

// TestMemoryOfFullTable measures a router that holds 1.06 million real prefixes.
// The model has no feed of routes yet, so a child process starts the daemon's
// parts as main does and hands the routes to its control plane.
func TestMemoryOfFullTable(t *testing.T) {
	if file := os.Getenv("ROUTERD_TEST_TABLE"); file != "" {
		if err := holdTable(file, os.Getenv("ROUTERD_TEST_DIR")); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("loads a full table")
	}
	testnet.Require(t)
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gaissmai/bart").Output()
	file := filepath.Join(strings.TrimSpace(string(dir)), "internal", "tests", "testdata", "prefixes.txt.gz")
	if err == nil {
		_, err = os.Stat(file)
	}
	if err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatalf("real prefixes: %v; REQUIRE_PRIVILEGED=1 forbids to skip", err)
		}
		t.Skipf("real prefixes: %v", err)
	}
	ns, far := testnet.New(t, "table"), testnet.New(t, "far")
	testnet.Pair(t, testnet.End{In: ns, Name: "ge0"}, testnet.End{In: far, Name: "eth0"})
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryOfFullTable$", "-test.v")
	cmd.Env = append(os.Environ(), "ROUTERD_TEST_TABLE="+file, "ROUTERD_TEST_DIR="+t.TempDir())
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var at, later, peak uint64
	for _, line := range strings.Split(out.String(), "\n") {
		if text, ok := strings.CutPrefix(line, "table: "); ok {
			t.Log(text)
		}
		if _, err := fmt.Sscanf(line, "octets: %d %d %d", &at, &later, &peak); err == nil && later > fullTableGoal {
			t.Errorf("%d MB resident; the goal is %d MB", later>>20, fullTableGoal>>20)
		}
	}
	if at == 0 {
		t.Errorf("the child has measured nothing:\n%s", out.String())
	}
}

// holdTable runs a router in dir with the prefixes of the file, and prints what
// it takes.
func holdTable(file, dir string) error {
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
	if err := declareTableLink(d); err != nil {
		return err
	}
	idle, _, err := residence()
	if err != nil {
		return err
	}
	begin := time.Now()
	var n int
	var readErr error
	err = d.router.Load(vrf.Default, routing.Feed, func(yield func(vrf.UserRoute) bool) {
		n, readErr = readTable(file, yield)
	})
	took := time.Since(begin)
	if err == nil {
		err = readErr
	}
	if err != nil {
		return err
	}
	at, _, err := residence()
	if err != nil {
		return err
	}
	// The garbage of loading goes back as the runtime gets to it.
	time.Sleep(5 * time.Second)
	later, peak, err := residence()
	if err != nil {
		return err
	}
	const mb = 1e6
	resolved := d.router.SystemState().FIBOctets
	if resolved < 4<<20 {
		return fmt.Errorf("only %d octets of forwarding tables: the routes are not in them", resolved)
	}
	fmt.Printf("table: %d routes loaded in %v, %.1f MB of forwarding tables; resident: %.1f MB before, %.1f MB just after, %.1f MB 5 s later, peak %.1f MB\n",
		n, took.Round(time.Millisecond), float64(resolved)/mb, float64(idle)/mb, float64(at)/mb, float64(later)/mb, float64(peak)/mb)
	fmt.Printf("octets: %d %d %d\n", at, later, peak)
	return nil
}

// declareTableLink gives the router an interface whose networks have the
// table's gateways, and waits until it is up and its addresses are in use.
func declareTableLink(d *daemon) error {
	const config = `{"routerd:interface":[{"name":"ge0","unit":[{"id":"0","family":[
		{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]},{"type":"inet6","address":[{"prefix":"2001:db8::1/64"}]}]}]}]}`
	_, err := d.store.Commit(context.Background(), datastore.Request{User: "test", Ops: []tree.Op{{
		Kind: tree.Update, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(config)}},
	}}})
	if err != nil {
		return err
	}
	link := netip.MustParsePrefix("2001:db8::/64")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if len(d.router.Routes(nil, vrf.Default, intf.Inet6, link, netip.Prefix{}, 0)) > 0 {
			return nil
		}
	}
	return errors.New("ge0 has no IPv6 network after 10 s")
}

// readTable yields the prefixes of a file, each by one of a hundred gateways.
func readTable(file string, yield func(vrf.UserRoute) bool) (n int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		p, err := netip.ParsePrefix(strings.TrimSpace(lines.Text()))
		if err != nil {
			return n, err
		}
		gateway := netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + n%100)})
		if p.Addr().Is6() {
			gateway = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(2 + n%100)})
		}
		if !yield(vrf.UserRoute{Prefix: p, NextHop: routing.NextHop{Kind: routing.Indirect, Gateway: gateway}}) {
			return n, nil
		}
		n++
	}
	return n, lines.Err()
}

// residence reads how much memory this process has in RAM, in octets.
func residence() (now, peak uint64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for name, to := range map[string]*uint64{"VmRSS:": &now, "VmHWM:": &peak} {
		_, rest, _ := strings.Cut(string(text), name)
		if _, err := fmt.Sscanf(rest, "%d kB", to); err != nil {
			return 0, 0, fmt.Errorf("/proc/self/status: %s %w", name, err)
		}
		*to *= 1024
	}
	return now, peak, nil
}
