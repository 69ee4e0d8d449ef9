package conformance

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"router/internal/testnet"
)

// A route is two hosts with a router between them.
type route struct {
	router, h1, h2 *testnet.Namespace
}

// between makes two hosts and a namespace for the router between them.
func between(t *testing.T, what string) route {
	t.Helper()
	r := route{testnet.New(t, what), testnet.New(t, what+"-h1"), testnet.New(t, what+"-h2")}
	testnet.Pair(t, testnet.End{In: r.router, Name: "ge0"}, testnet.End{In: r.h1, Name: "eth0"})
	testnet.Pair(t, testnet.End{In: r.router, Name: "ge1"}, testnet.End{In: r.h2, Name: "eth0"})
	r.h1.Address(t, "eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	r.h2.Address(t, "eth0", "198.51.100.2/24", "2001:db8:2::2/64")
	// Linux would drop what is larger than ge1's MTU as it comes in, too.
	if err := r.h2.Netlink().LinkSetMTU(r.h2.Link(t, "eth0"), 1400); err != nil {
		t.Fatal(err)
	}
	for _, gateway := range []string{"192.0.2.1", "2001:db8:1::1"} {
		r.h1.Route(t, "default", gateway)
	}
	for _, gateway := range []string{"198.51.100.1", "2001:db8:2::1"} {
		r.h2.Route(t, "default", gateway)
	}
	return r
}

const toolsConfig = `{ "routerd:interface": [
  { "name": "ge0", "unit": [ { "id": "0", "family": [
    { "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] },
    { "type": "inet6", "address": [ { "prefix": "2001:db8:1::1/64" } ] } ] } ] },
  { "name": "ge1", "unit": [ { "id": "0", "family": [
    { "type": "inet", "config": { "mtu": 1400 }, "address": [ { "prefix": "198.51.100.1/24" } ] },
    { "type": "inet6", "config": { "mtu": 1400 }, "address": [ { "prefix": "2001:db8:2::1/64" } ] } ] } ] } ] }`

// linuxRouter makes the kernel the router, with the addresses and the MTU of
// toolsConfig.
func linuxRouter(t *testing.T, ns *testnet.Namespace) {
	t.Helper()
	ns.Sysctl(t, "net/ipv4/ip_forward", "1")
	ns.Sysctl(t, "net/ipv6/conf/all/forwarding", "1")
	ns.Address(t, "ge0", "192.0.2.1/24", "2001:db8:1::1/64")
	ns.Address(t, "ge1", "198.51.100.1/24", "2001:db8:2::1/64")
	if err := ns.Netlink().LinkSetMTU(ns.Link(t, "ge1"), 1400); err != nil {
		t.Fatal(err)
	}
}

// A tool is a command of a host, and what matters of its output: the pieces that
// find matches, in their order.
type tool struct {
	name    string
	command string
	find    string
	least   int // pieces that it must say at least, that no one passes by silence
}

const (
	hop4 = `(?m)^ *\d+[:.|?-]* .*?\b(\d+\.\d+\.\d+\.\d+)`
	hop6 = `(?m)^ *\d+[:.|?-]* .*?\b(2001:db8:[0-9a-f:]+)`
)

var tools = []tool{
	{"traceroute by UDP", "traceroute -n -q1 -w3 -m5 198.51.100.2", hop4, 2},
	{"traceroute by ICMP", "traceroute -I -n -q1 -w3 -m5 198.51.100.2", hop4, 2},
	{"traceroute by TCP", "traceroute -T -n -q1 -w3 -m5 198.51.100.2", hop4, 2},
	{"traceroute by UDP over IPv6", "traceroute -6 -n -q1 -w3 -m5 2001:db8:2::2", hop6, 2},
	{"traceroute by ICMP over IPv6", "traceroute -6 -I -n -q1 -w3 -m5 2001:db8:2::2", hop6, 2},
	{"traceroute by TCP over IPv6", "traceroute -6 -T -n -q1 -w3 -m5 2001:db8:2::2", hop6, 2},
	{"traceroute with path MTU", "traceroute -F --mtu -n -q1 -w3 -m5 198.51.100.2", `F=\d+|\b\d+\.\d+\.\d+\.\d+  `, 2},
	{"traceroute to where no route leads", "traceroute -n -q1 -w3 -m3 203.0.113.1", `192\.0\.2\.1|![A-Z]`, 2},
	{"traceroute to where no route leads over IPv6", "traceroute -6 -n -q1 -w3 -m3 2001:db8:9::1", `2001:db8:1::1|![A-Z]`, 2},
	{"mtr", "mtr -n -r -c2 -i0.3 198.51.100.2", hop4, 2},
	{"mtr over IPv6", "mtr -6 -n -r -c2 -i0.3 2001:db8:2::2", hop6, 2},
	{"tracepath", "tracepath -n -m5 198.51.100.2", `pmtu \d+|\d+\.\d+\.\d+\.\d+|reached|hops \d+`, 4},
	{"tracepath over IPv6", "tracepath -6 -n -m5 2001:db8:2::2", `pmtu \d+|2001:db8:[0-9a-f:]+|reached|hops \d+`, 4},
	{"fping", "fping -r1 -t2500 198.51.100.2 192.0.2.1 198.51.100.1 198.51.100.77", `(?m)^[0-9.]+ is \w+$`, 4},
	{"fping over IPv6", "fping -6 -r1 -t2500 2001:db8:2::2 2001:db8:1::1 2001:db8:2::1 2001:db8:2::77", `(?m)^[0-9a-f:]+ is \w+$`, 4},
	{"arping the router", "arping -c2 -w3 -I eth0 192.0.2.1", `reply from [0-9.]+|Received \d`, 3},
	{"arping a host that isn't there", "arping -c1 -w1 -I eth0 192.0.2.77", `reply from [0-9.]+|Received \d`, 1},
	{"arping a host of another link", "arping -c1 -w1 -I eth0 198.51.100.2", `reply from [0-9.]+|Received \d`, 1},
	{"ndisc6 the router", "ndisc6 -1 -n -r2 2001:db8:1::1 eth0", `Target link-layer address|from 2001:db8:1::1`, 1},
	{"ndisc6 a host of another link", "ndisc6 -1 -n -r1 2001:db8:2::2 eth0", `No response|Timed out`, 1},
	{"ping that must not be cut", "ping -M do -c1 -W3 -s1400 198.51.100.2", `From (192\.0\.2\.1) .*(Frag needed).*(mtu ?= ?1400)`, 1},
	{"ping that may be cut", "ping -M dont -c1 -W3 -s3000 198.51.100.2", `3008 bytes from 198\.51\.100\.2: icmp_seq=1 ttl=63`, 1},
	{"ping that must not be cut, IPv6", "ping -6 -M do -c1 -W3 -s1400 2001:db8:2::2", `From (2001:db8:1::1) .*(Packet too big): (mtu=1400)`, 1},
	{"ping with a record route", "ping -R -n -c1 -W3 198.51.100.2", `\b\d+\.\d+\.\d+\.\d+$|(?m)\t(\d+\.\d+\.\d+\.\d+)`, 3},
	{"ping with timestamps", "ping -T tsandaddr -n -c1 -W3 198.51.100.2", `ttl=63`, 1},
	{"ping of the flow label and hop limit", "ping -6 -F 0x12345 -t 1 -c1 -W3 2001:db8:2::2", `From 2001:db8:1::1 .*Time exceeded: Hop limit`, 1},
	{"nmap host discovery", "nmap -sn -n --max-retries 1 --host-timeout 8s 198.51.100.2 198.51.100.1 192.0.2.1 198.51.100.77", `report for [0-9.]+|\d+ IP addresses \(\d+ hosts? up\)`, 4},
	{"nmap host discovery, IPv6", "nmap -6 -sn -n --max-retries 1 --host-timeout 8s 2001:db8:2::2 2001:db8:2::1 2001:db8:1::1", `report for [0-9a-f:]+|\d+ IP addresses \(\d+ hosts? up\)`, 4},
}

// aboutMTU matches the commands that change what a host knows of the path.
var aboutMTU = regexp.MustCompile("-M do|--mtu|tracepath")

// TestToolsBehaveAsThroughLinux runs each tool through routerd, and through Linux
// in its place.
func TestToolsBehaveAsThroughLinux(t *testing.T) {
	need(t, "traceroute", "mtr", "tracepath", "fping", "arping", "ndisc6", "ping", "nmap")
	ours, theirs := between(t, "routerd"), between(t, "linux")
	startRouter(t, ours.router, toolsConfig)
	linuxRouter(t, theirs.router)
	settle(t, ours.router)
	for _, tool := range tools {
		t.Run(tool.name, func(t *testing.T) {
			find := regexp.MustCompile(tool.find)
			alone := aboutMTU.MatchString(tool.command)
			if !alone {
				t.Parallel()
			}
			// The machine may be busy: what differs is tried again.
			for try := 1; ; try++ {
				if alone {
					// What others have found out of the path is forgotten.
					runBoth(ours.h1, theirs.h1, "ip route flush cache")
					runBoth(ours.h1, theirs.h1, "ip -6 route flush cache")
				}
				us, them := runBoth(ours.h1, theirs.h1, tool.command)
				a, b := pieces(find, us), pieces(find, them)
				if slices.Equal(a, b) && len(b) >= tool.least {
					return
				}
				if try == 3 {
					t.Fatalf("%s\nthrough routerd: %q\nthrough Linux:   %q\nwhere routerd is:\n%s\nwhere Linux is:\n%s", tool.command, a, b, us, them)
				}
				time.Sleep(time.Second)
			}
		})
	}
}

// runBoth runs a command at two hosts at once.
func runBoth(a, b *testnet.Namespace, command string) (us, them string) {
	var wg sync.WaitGroup
	wg.Go(func() { us = run(a, command) })
	wg.Go(func() { them = run(b, command) })
	wg.Wait()
	return us, them
}

// run is what a command prints within 20 seconds, on both outputs; its exit code
// says nothing here.
func run(ns *testnet.Namespace, command string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	args := strings.Fields(command)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		return err.Error()
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		out.WriteString(err.Error())
	}
	return out.String()
}

// pieces are the matches of find: their groups where it has some, else all.
func pieces(find *regexp.Regexp, text string) (all []string) {
	for _, m := range find.FindAllStringSubmatch(text, -1) {
		groups := strings.Join(m[1:], " ")
		if strings.TrimSpace(groups) == "" {
			groups = m[0]
		}
		all = append(all, strings.TrimSpace(groups))
	}
	return all
}
