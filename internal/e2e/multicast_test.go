package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"router/internal/probe"
	"router/internal/testnet"
)

// cmdMulticast sends one datagram to a group and prints a line for each of the
// members that gets it:
//
//	multicast h1 239.1.1.1 [ttl N] [size N] at h2 h3 router:ge0.0
//	stdout '^h2: 100 octets, ttl 7, from 192.0.2.2$'
//
// "HOST:DEVICE" is another device than eth0.
func cmdMulticast(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: multicast HOST GROUP [ttl N] [size N] at HOST...")
	}
	l := of(ts)
	group, err := netip.ParseAddr(args[1])
	ts.Check(err)
	ttl, size := 8, 100
	words := args[2:]
	for len(words) > 1 && words[0] != "at" {
		n, err := strconv.Atoi(words[1])
		ts.Check(err)
		switch words[0] {
		case "ttl":
			ttl = n
		case "size":
			size = n
		default:
			ts.Fatalf("multicast: I don't know what %s means", words[0])
		}
		words = words[2:]
	}
	if len(words) < 2 {
		ts.Fatalf("multicast: at whom?")
	}
	place := func(name string) (*testnet.Namespace, string) {
		host, device, ok := strings.Cut(name, ":")
		if !ok {
			device = "eth0"
		}
		return l.space(host), device
	}
	members := words[1:]
	listeners := make([]*probe.GroupListener, len(members))
	for i, name := range members {
		ns, device := place(name)
		ts.Check(ns.Do(func() (err error) {
			listeners[i], err = probe.ListenGroup(group, device)
			return err
		}))
		defer listeners[i].Close()
	}
	token := fmt.Appendf(nil, "%016x", rand.Uint64())
	ns, device := place(args[0])
	ts.Check(ns.Do(func() error { return probe.SendGroup(group, device, ttl, size, token) }))
	// One deadline for all: what comes, comes to all of them within moments.
	deadline := time.Now().Add(time.Second)
	var lines []string
	for i, name := range members {
		n, left, from, err := listeners[i].Receive(token, max(time.Until(deadline), 10*time.Millisecond))
		if err == nil {
			lines = append(lines, fmt.Sprintf("%s: %d octets, ttl %d, from %v", name, n, left, from))
		}
	}
	say(ts, strings.Join(lines, "\n"))
}
