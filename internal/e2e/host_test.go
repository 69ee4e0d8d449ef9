package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"router/dataplane/ethtool"
	"router/internal/probe"
	"router/internal/testnet"
)

// cmdNet makes hosts, and a wire from each to a device of the router. A host
// without a device stands for itself:
//
//	net h1-ge0 h2-ge1 h3
func cmdNet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: net HOST[-DEVICE]...")
	}
	l := of(ts)
	ts.Setenv("ROUTER", l.space("router").Name)
	for _, arg := range args {
		if name, device, ok := strings.Cut(arg, "-"); ok {
			l.wire(name, device)
		} else {
			l.space(name)
		}
	}
}

// cmdHost does something at a host. The host "router" is the namespace that
// routerd runs in; "in NAMESPACE" instead of a host's name is one that the
// router made:
//
//	host h1 address 192.0.2.2/24 via 192.0.2.1   an address, and where else to go
//	host h1 vlan 100 [INNER]                     it speaks in a VLAN from now on
//	host h1 ping 198.51.100.2 [size N] [from A]  is answered within ten seconds
//	host h1 answer 198.51.100.2 [size N] [from A] [wait SECONDS]
//	                                             prints what comes back for one packet
//	host h1 fragments                            it lets routers cut its packets: no DF from now on
//	host h1 trace 198.51.100.2                   prints a hop a line
//	host h1 send h2 198.51.100.2                 1 MiB by TCP to an address of h2
//	host h1 listen 22                            it takes TCP connections at a port from now on
//	host h1 tcp|udp 192.0.2.1 22                 prints what a port says: connected, refused, silence
//	host h1 run PROGRAM ARGS...                  runs a program there and prints what it says
//	host h1 until PATTERN PROGRAM ARGS...        runs it until that matches, for ten seconds
//	host h1 sysctl net/ipv6/... 2                sets a sysctl
//	host h1 mtu 9000                             of its wire's end
//	host h1 serve 22 53                          answers on these TCP and UDP ports
//	host h1 connect 198.51.100.2:22 [from PORT]  prints what becomes of a TCP connection
//	host h1 ask 198.51.100.2:53 [tos N]          prints what comes back for a datagram
//	host h1 begin NAME 198.51.100.2:22           a connection that stays; say NAME uses it
//	host h1 say NAME                             sends a word over it and gets it back
//	host h1 overhear; host h1 heard              prints the packets that came to it since
//	host h1 mac                                  prints its MAC address
//	host h1 gro on|off                           its end takes what programs redirect to it
//	host h1 down|up [DEVICE]                     its wire (or a device) goes down, up
//	host h1 unplug [DEVICE]; host h1 plug DEVICE its wire (or a device) is taken away; it gets one
//	host router devices                          prints what the kernel knows of its devices
//	host router occupy|vacate DEVICE             somebody else's XDP program comes, goes
//	host router address 192.0.2.9/24 on DEVICE   the kernel has an address
func cmdHost(ts *testscript.TestScript, neg bool, args []string) {
	l := of(ts)
	if len(args) > 2 && args[0] == "in" {
		if l.spaces[args[1]] == nil {
			l.spaces[args[1]] = testnet.Open(l, args[1])
		}
		args = args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: host NAME VERB ...")
	}
	ns, ok := l.spaces[args[0]]
	if !ok {
		ts.Fatalf("there is no host %s", args[0])
	}
	verb, rest := args[1], args[2:]
	if neg && verb != "ping" {
		ts.Fatalf("! is for ping")
	}
	device := "eth0"
	switch verb {
	case "down", "up", "unplug":
		if len(rest) == 1 {
			device = rest[0]
		}
	}
	switch {
	case verb == "address" && len(rest) == 3 && rest[1] == "via":
		ns.Address(l, device, rest[0])
		ns.Route(l, "default", rest[2])
	case verb == "address" && len(rest) == 3 && rest[1] == "on":
		ns.Address(l, rest[2], rest[0])
	case verb == "address" && len(rest) == 1:
		ns.Address(l, device, rest[0])
	case verb == "vlan" && (len(rest) == 1 || len(rest) == 2):
		var ids []uint16
		for _, text := range rest {
			id, err := strconv.ParseUint(text, 10, 12)
			ts.Check(err)
			ids = append(ids, uint16(id))
		}
		ns.Tag(l, device, ids...)
	case verb == "ping" && len(rest) > 0:
		ping(ts, neg, ns, rest)
	case verb == "answer" && len(rest) > 0:
		say(ts, answer(ts, ns, rest))
	case verb == "fragments" && len(rest) == 0:
		ns.Sysctl(l, "net/ipv4/ip_no_pmtu_disc", "1")
	case verb == "trace" && len(rest) == 1:
		trace(ts, ns, rest[0])
	case verb == "send" && len(rest) == 2:
		send(ts, l, ns, rest[0], rest[1])
	case verb == "listen" && len(rest) == 1:
		listen(ts, ns, rest[0])
	case (verb == "tcp" || verb == "udp") && len(rest) == 2:
		say(ts, knock(ts, ns, verb, rest[0], rest[1]))
	case verb == "run" && len(rest) > 0:
		out, err := inside(ts, ns, rest)
		ts.Check(err)
		say(ts, out)
	case verb == "until" && len(rest) > 1:
		until(ts, ns, rest[0], rest[1:])
	case verb == "sysctl" && len(rest) == 2:
		ns.Sysctl(l, rest[0], rest[1])
	case verb == "mtu" && len(rest) == 1:
		mtu, err := strconv.Atoi(rest[0])
		ts.Check(err)
		ts.Check(ns.Netlink().LinkSetMTU(ns.Link(l, device), mtu))
	case verb == "serve" && len(rest) > 0:
		serve(ts, l, ns, rest)
	case verb == "connect" && len(rest) == 1:
		say(ts, connect(ns, rest[0], 0))
	case verb == "connect" && len(rest) == 3 && rest[1] == "from":
		local, err := strconv.Atoi(rest[2])
		ts.Check(err)
		say(ts, connect(ns, rest[0], local))
	case verb == "ask" && len(rest) == 1:
		say(ts, ask(ns, rest[0], 0))
	case verb == "ask" && len(rest) == 3 && rest[1] == "tos":
		tos, err := strconv.Atoi(rest[2])
		ts.Check(err)
		say(ts, ask(ns, rest[0], tos))
	case verb == "begin" && len(rest) == 2:
		ts.Check(talking.begin(l, ns, rest[0], rest[1]))
	case verb == "say" && len(rest) == 1:
		ts.Check(talking.say(l, rest[0]))
	case verb == "overhear" && len(rest) == 0:
		ts.Check(eavesdrop(l, ns))
	case verb == "heard" && len(rest) == 0:
		say(ts, heard(ns))
	case verb == "mac" && len(rest) == 0:
		say(ts, ns.MAC(l, device).String())
	case verb == "gro" && len(rest) == 1:
		ns.Offload(l, device, map[string]bool{ethtool.RxGRO: rest[0] == "on"})
	case verb == "down" && len(rest) < 2:
		ns.Down(l, device)
	case verb == "up" && len(rest) < 2:
		ns.Up(l, device)
	case verb == "unplug" && len(rest) < 2:
		ns.Delete(l, device)
	case verb == "plug" && len(rest) == 1:
		testnet.Pair(l, testnet.End{In: l.space("router"), Name: rest[0]}, testnet.End{In: ns, Name: "eth0"})
	case verb == "devices" && len(rest) == 0:
		say(ts, strings.TrimSuffix(ns.Describe(l), "\n"))
	case verb == "occupy" && len(rest) == 1:
		ns.OccupyXDP(l, rest[0])
	case verb == "vacate" && len(rest) == 1:
		ns.VacateXDP(l, rest[0])
	default:
		ts.Fatalf("host %s: I don't know how to %s", args[0], strings.Join(args[1:], " "))
	}
}

// say prints text as if a program had, so that stdout and cmp find it.
func say(ts *testscript.TestScript, text string) { ts.Check(ts.Exec("printf", "%s\n", text)) }

// An echo is what a script says of a ping.
type echo struct {
	from netip.Addr // zero: the kernel's choice
	dst  netip.Addr
	size int
	wait time.Duration // for an answer to one packet
}

func parseEcho(ts *testscript.TestScript, words []string) echo {
	dst, err := netip.ParseAddr(words[0])
	ts.Check(err)
	// Three times what the router takes to give a neighbour up.
	e := echo{dst: dst, size: 56, wait: 9 * time.Second / 2}
	for words = words[1:]; len(words) > 1; words = words[2:] {
		switch words[0] {
		case "size":
			e.size, err = strconv.Atoi(words[1])
		case "wait":
			var seconds int
			seconds, err = strconv.Atoi(words[1])
			e.wait = time.Duration(seconds) * time.Second
		case "from":
			e.from, err = netip.ParseAddr(words[1])
		default:
			ts.Fatalf("ping: I don't know what %s means", words[0])
		}
		ts.Check(err)
	}
	if len(words) > 0 {
		ts.Fatalf("ping: %s what?", words[0])
	}
	return e
}

// ping wants an answer within ten seconds, or with neg none within two.
func ping(ts *testscript.TestScript, neg bool, ns *testnet.Namespace, words []string) {
	e := parseEcho(ts, words)
	patience := 10 * time.Second
	if neg {
		patience = 2 * time.Second
	}
	finish(ts, neg, ns.Do(func() error {
		p, err := probe.NewPingerFrom(e.from, e.dst)
		if err != nil {
			return err
		}
		defer p.Close()
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			r, perr := p.Ping(e.size, 0, time.Second)
			if perr == nil && r.Reached {
				ts.Logf("%s answers after %v", e.dst, r.RTT)
				return nil
			}
			err = perr
			if perr == nil {
				err = fmt.Errorf("%s: %v, code %d, from %s", e.dst, r.Type, r.Code, r.From)
			}
		}
		return err
	}))
}

// answer says what came back for one request: "silence", "echo reply from ..."
// or an ICMP error with its code and sender.
func answer(ts *testscript.TestScript, ns *testnet.Namespace, words []string) (line string) {
	e := parseEcho(ts, words)
	ts.Check(ns.Do(func() error {
		p, err := probe.NewPingerFrom(e.from, e.dst)
		if err != nil {
			return err
		}
		defer p.Close()
		r, err := p.Ping(e.size, 0, e.wait)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			line = "silence"
		case err != nil:
			return err
		case r.Reached:
			line = fmt.Sprintf("echo reply from %s", r.From)
		default:
			line = fmt.Sprintf("%v code %d from %s", r.Type, r.Code, r.From)
			if r.MTU > 0 {
				line += fmt.Sprintf(" mtu %d", r.MTU)
			}
		}
		return nil
	}))
	return line
}

func trace(ts *testscript.TestScript, ns *testnet.Namespace, target string) {
	dst, err := netip.ParseAddr(target)
	ts.Check(err)
	var lines []string
	ts.Check(ns.Do(func() error {
		hops, err := probe.Trace(dst, 5, 2*time.Second)
		for i, h := range hops {
			lines = append(lines, fmt.Sprintf("%d %s", i+1, h.From))
		}
		return err
	}))
	say(ts, strings.Join(lines, "\n"))
}

// send transfers 1 MiB by TCP to an address of another host.
func send(ts *testscript.TestScript, l *lab, from *testnet.Namespace, to, address string) {
	dst, err := netip.ParseAddr(address)
	ts.Check(err)
	receiver, ok := l.spaces[to]
	if !ok {
		ts.Fatalf("there is no host %s", to)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = probe.Transfer(ctx, 1<<20, netip.AddrPortFrom(dst, 5001), receiver.Do, from.Do)
	ts.Check(err)
}
