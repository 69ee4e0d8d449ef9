// Package testnet makes small networks of namespaces and veth pairs for tests,
// benchmarks and the demo. Everything it makes has a name of this process's
// own and is removed when the [T] that asked for it ends, also after a failure.
//
// It is imported by tests and by programs that demonstrate or measure, never
// by routerd.
package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"router/dataplane/ethtool"
)

// T is the part of testing.TB that the helpers need, so that programs outside
// tests can use them too. Fatalf must not return.
type T interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Require skips a test that needs root and does not have it. With
// REQUIRE_PRIVILEGED=1 in the environment the test fails instead.
func Require(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
		t.Fatal("needs root, and REQUIRE_PRIVILEGED=1 forbids to skip")
	}
	t.Skip("needs root to make network namespaces")
}

var serial atomic.Uint32

// A Namespace is a network namespace under /run/netns, so that `ip netns exec`
// finds it by its Name. Its methods may be called from any goroutine.
type Namespace struct {
	Name string

	ns netns.NsHandle
	nl *netlink.Handle
}

// Path is the file that stands for the namespace.
func (n *Namespace) Path() string { return filepath.Join("/run/netns", n.Name) }

// New makes a namespace with its loopback up and without IPv6 duplicate address
// detection, named after hint, and removes it when t ends.
func New(t T, hint string) *Namespace {
	t.Helper()
	name := fmt.Sprintf("t%d-%d-%s", os.Getpid(), serial.Add(1), hint)
	return NewNamed(t, name)
}

// NewNamed is New with a name that the caller answers for.
func NewNamed(t T, name string) *Namespace {
	t.Helper()
	n, err := create(name)
	if err != nil {
		t.Fatalf("namespace %s: %v", name, err)
	}
	t.Cleanup(func() {
		n.nl.Close()
		_ = n.ns.Close()
		_ = netns.DeleteNamed(name)
	})
	err = n.Do(func() error {
		for _, file := range []string{"all/accept_dad", "default/accept_dad", "default/dad_transmits"} {
			// A kernel without IPv6 has none of these files.
			if err := sysctl("net/ipv6/conf/"+file, "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("namespace %s: %v", name, err)
	}
	n.Up(t, "lo")
	return n
}

func create(name string) (n *Namespace, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		home, e := netns.Get()
		if e != nil {
			err = e
			return
		}
		defer home.Close()
		ns, e := netns.NewNamed(name)
		if e != nil {
			err = e
			return
		}
		if e := netns.Set(home); e != nil {
			// The thread ends with the goroutine: it is still locked.
			err = fmt.Errorf("return to the first namespace: %w", e)
			return
		}
		runtime.UnlockOSThread()
		nl, e := netlink.NewHandleAt(ns)
		if e != nil {
			_ = ns.Close()
			_ = netns.DeleteNamed(name)
			err = e
			return
		}
		n = &Namespace{Name: name, ns: ns, nl: nl}
	}()
	<-done
	return n, err
}

// Do runs f on a thread that is in the namespace, and waits for it. What f
// starts with `go` runs elsewhere; sockets that f opens stay in the namespace.
func (n *Namespace) Do(f func() error) error {
	errs := make(chan error, 1)
	go func() {
		// A test's f may end the goroutine by t.FailNow: answer anyway.
		err := errors.New("the function did not return")
		defer func() { errs <- err }()
		runtime.LockOSThread()
		home, e := netns.Get()
		if e != nil {
			err = e
			return
		}
		defer home.Close()
		if e := netns.Set(n.ns); e != nil {
			err = fmt.Errorf("enter namespace %s: %w", n.Name, e)
			return
		}
		defer func() {
			// A thread that cannot go home stays locked and dies here.
			if netns.Set(home) == nil {
				runtime.UnlockOSThread()
			}
		}()
		err = f()
	}()
	return <-errs
}

// Netlink is a handle in the namespace, closed with it.
func (n *Namespace) Netlink() *netlink.Handle { return n.nl }

// Handle is the namespace's file descriptor, closed with it.
func (n *Namespace) Handle() netns.NsHandle { return n.ns }

// Start starts cmd in the namespace. As with exec.Cmd.Start, Wait must follow.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	return n.Do(cmd.Start)
}

// Run runs a command in the namespace for 30 seconds at most and returns what
// it printed, on both outputs.
func (n *Namespace) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Start(cmd); err != nil {
		return "", fmt.Errorf("%s in %s: %w", name, n.Name, err)
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s %s in %s: %w: %s", name, strings.Join(args, " "), n.Name, err, out.String())
	}
	return out.String(), nil
}

func sysctl(key, value string) error {
	return os.WriteFile("/proc/sys/"+key, []byte(value), 0)
}

// Sysctl sets key, written with slashes as below /proc/sys, in the namespace.
func (n *Namespace) Sysctl(t T, key, value string) {
	t.Helper()
	if err := n.Do(func() error { return sysctl(key, value) }); err != nil {
		t.Fatalf("namespace %s: %v", n.Name, err)
	}
}

// Link is the device of that name.
func (n *Namespace) Link(t T, name string) netlink.Link {
	t.Helper()
	link, err := n.nl.LinkByName(name)
	if err != nil {
		t.Fatalf("namespace %s: device %s: %v", n.Name, name, err)
	}
	return link
}

// MAC is the address of the device of that name.
func (n *Namespace) MAC(t T, name string) net.HardwareAddr {
	t.Helper()
	return n.Link(t, name).Attrs().HardwareAddr
}

// Up sets devices up.
func (n *Namespace) Up(t T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := n.nl.LinkSetUp(n.Link(t, name)); err != nil {
			t.Fatalf("namespace %s: set %s up: %v", n.Name, name, err)
		}
	}
}

// Delete removes a device.
func (n *Namespace) Delete(t T, name string) {
	t.Helper()
	if err := n.nl.LinkDel(n.Link(t, name)); err != nil {
		t.Fatalf("namespace %s: delete %s: %v", n.Name, name, err)
	}
}

// Address adds addresses in CIDR notation to a device.
func (n *Namespace) Address(t T, device string, cidrs ...string) {
	t.Helper()
	for _, cidr := range cidrs {
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			t.Fatalf("address %s: %v", cidr, err)
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := n.nl.AddrAdd(n.Link(t, device), addr); err != nil {
			t.Fatalf("namespace %s: add %s to %s: %v", n.Name, cidr, device, err)
		}
	}
}

// Route adds a route to dst by way of gateway; "default" is 0/0 or ::/0 as
// the gateway's family is.
func (n *Namespace) Route(t T, dst, gateway string) {
	t.Helper()
	route := &netlink.Route{Gw: net.ParseIP(gateway)}
	if route.Gw == nil {
		t.Fatalf("route to %s: gateway %q is no address", dst, gateway)
	}
	if dst != "default" {
		prefix, err := netlink.ParseIPNet(dst)
		if err != nil {
			t.Fatalf("route to %s: %v", dst, err)
		}
		route.Dst = prefix
	}
	if err := n.nl.RouteAdd(route); err != nil {
		t.Fatalf("namespace %s: route to %s by %s: %v", n.Name, dst, gateway, err)
	}
}

// Neighbor adds a permanent neighbour to a device.
func (n *Namespace) Neighbor(t T, device, address string, mac net.HardwareAddr) {
	t.Helper()
	err := n.nl.NeighSet(&netlink.Neigh{
		LinkIndex: n.Link(t, device).Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: net.ParseIP(address), HardwareAddr: mac,
	})
	if err != nil {
		t.Fatalf("namespace %s: neighbour %s on %s: %v", n.Name, address, device, err)
	}
}

// Offload turns features of a device on or off; names are package ethtool's.
func (n *Namespace) Offload(t T, device string, features map[string]bool) {
	t.Helper()
	err := n.Do(func() error {
		c, err := ethtool.Dial()
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Set(device, features)
		return err
	})
	if err != nil {
		t.Fatalf("namespace %s: %v", n.Name, err)
	}
}
