// Package conformance tries the router, as it is installed, at what the standards
// ask of it. The cases are in testdata, a script for each topic, and are made and
// read by scapy; each is a subtest here. The tools that people look at networks
// with are run through the router too, and through Linux in its place.
package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"router/internal/testnet"
)

// bin is where TestMain has put routerd and rcli.
var bin string

func TestMain(m *testing.M) { testnet.Main(m, &bin) }

// need skips the test when a program is missing; where skipping is forbidden it
// fails.
func need(t *testing.T, programs ...string) {
	t.Helper()
	testnet.Require(t)
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
				t.Fatalf("%v: install what .ci/run lists", err)
			}
			t.Skip(err)
		}
	}
}

// startRouter starts routerd in a namespace with a configuration, and ends it
// with the test.
func startRouter(t *testing.T, ns *testnet.Namespace, config string) {
	t.Helper()
	dir := t.TempDir()
	var log bytes.Buffer
	socket := filepath.Join(dir, "routerd.sock")
	cmd := exec.Command(filepath.Join(bin, "routerd"), "--config", "/dev/null", "--state-dir", filepath.Join(dir, "state"),
		"--socket", socket, "--listen", "127.0.0.1:9339")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(pipe)
		for once := ready; lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if once != nil && strings.Contains(lines.Text(), "msg=ready") {
				close(once)
				once = nil
			}
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("routerd's log:\n%s", log.String())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("routerd ended:\n%s", log.String())
	case <-time.After(20 * time.Second):
		t.Fatal("routerd is not ready after 20 s")
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := ns.Run(filepath.Join(bin, "rcli"), "--socket", socket, "load", "replace", file); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// The router that the scripts talk to. Its neighbours are declared, so that the
// first packet of a case is not held up by a question.
const scriptConfig = `{ "routerd:interface": [
  { "name": "ge0", "unit": [ { "id": "0", "family": [
    { "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ],
      "neighbor": [ { "address": "192.0.2.10", "config": { "link-layer-address": "%[1]s" } } ] },
    { "type": "inet6", "address": [ { "prefix": "2001:db8:1::1/64" } ],
      "neighbor": [ { "address": "2001:db8:1::10", "config": { "link-layer-address": "%[1]s" } } ],
      "router-advertisement": { "config": { "enabled": true, "max-interval": 1800, "min-interval": 600, "default-lifetime": 1800 },
        "prefix": [ { "prefix": "2001:db8:1::/64" } ] } } ] } ] },
  { "name": "ge1", "unit": [ { "id": "0", "family": [
    { "type": "inet", "config": { "mtu": 1400 }, "address": [ { "prefix": "198.51.100.1/24" } ],
      "neighbor": [ { "address": "198.51.100.10", "config": { "link-layer-address": "%[2]s" } } ] },
    { "type": "inet6", "config": { "mtu": 1400 }, "address": [ { "prefix": "2001:db8:2::1/64" } ],
      "neighbor": [ { "address": "2001:db8:2::10", "config": { "link-layer-address": "%[2]s" } } ] } ] } ] } ],
  "routerd:instance": [ { "name": "default", "static-route": [
    { "prefix": "203.0.113.0/24", "config": { "action": "reject" } },
    { "prefix": "203.0.114.0/24", "config": { "action": "discard" } },
    { "prefix": "2001:db8:66::/48", "config": { "action": "reject" } },
    { "prefix": "2001:db8:77::/48", "config": { "action": "discard" } } ] } ] }`

// TestConformance runs each script against a router of its own.
func TestConformance(t *testing.T) {
	need(t, "/usr/bin/python3")
	if out, err := exec.Command("/usr/bin/python3", "-c", "import scapy").CombinedOutput(); err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatalf("scapy: %v: install Debian's python3-scapy\n%s", err, out)
		}
		t.Skipf("scapy: %v", err)
	}
	scripts, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"ipv4", "icmpv6", "ipv6", "fragments", "nd"} {
		t.Run(topic, func(t *testing.T) {
			router, far := testnet.New(t, "router"), testnet.New(t, "far")
			// The far ends are scapy's alone.
			far.Sysctl(t, "net/ipv6/conf/all/disable_ipv6", "1")
			far.Sysctl(t, "net/ipv6/conf/default/disable_ipv6", "1")
			var world struct {
				Router [2]string `json:"router"`
				Far    [2]string `json:"far"`
			}
			for i := range 2 {
				ge, e := fmt.Sprintf("ge%d", i), fmt.Sprintf("e%d", i)
				testnet.Pair(t, testnet.End{In: router, Name: ge}, testnet.End{In: far, Name: e})
				world.Router[i], world.Far[i] = router.MAC(t, ge).String(), far.MAC(t, e).String()
			}
			startRouter(t, router, fmt.Sprintf(scriptConfig, world.Far[0], world.Far[1]))
			settle(t, router)
			arg, err := json.Marshal(world)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, far, filepath.Join(scripts, topic+".py"), string(arg))
		})
	}
}

// settle waits until the router has its IPv6 addresses: duplicate address
// detection takes a second.
func settle(t *testing.T, router *testnet.Namespace) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := router.Run("ip", "-6", "route", "show", "table", "local")
		if err == nil && strings.Contains(out, "2001:db8:1::1") && strings.Contains(out, "2001:db8:2::1") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the host stack has not got the addresses: %v\n%s", err, out)
		}
	}
}

// A verdict is what a script says of a case.
type verdict struct {
	Name, Detail string
	OK           bool
}

// runScript runs a script at the far ends and makes a subtest of each of its
// cases.
func runScript(t *testing.T, far *testnet.Namespace, script, world string) {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-B", script, world)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := far.Start(cmd); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", filepath.Base(script), err, errors.String())
	}
	passed, failed := 0, 0
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Errorf("%s said %q: %v", filepath.Base(script), lines.Text(), err)
			continue
		}
		if v.OK {
			passed++
		} else {
			failed++
		}
		t.Run(v.Name, func(t *testing.T) {
			if !v.OK {
				t.Error(v.Detail)
			}
		})
	}
	if passed+failed == 0 {
		t.Error("no case was tried")
	}
	t.Logf("%d cases passed, %d failed", passed, failed)
}
