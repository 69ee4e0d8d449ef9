package testnet

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"router/dataplane/ethtool"
)

// Open is a namespace that someone else has made and will remove.
func Open(t T, name string) *Namespace {
	t.Helper()
	ns, err := netns.GetFromName(name)
	if err != nil {
		t.Fatalf("namespace %s: %v", name, err)
	}
	nl, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatalf("namespace %s: %v", name, errors.Join(err, ns.Close()))
	}
	n := &Namespace{Name: name, ns: ns, nl: nl}
	t.Cleanup(func() {
		nl.Close()
		_ = ns.Close()
	})
	return n
}

// Describe lists the devices, one a line, with what a program that took one
// over would have changed of it: whether it is up, its MTU, alias, addresses
// and XDP program, whether it is promiscuous, and the offloads that are on.
// Link-local addresses, which come and go by themselves, are left out.
func (n *Namespace) Describe(t T) string {
	t.Helper()
	links, err := n.nl.LinkList()
	if err != nil {
		t.Fatalf("namespace %s: devices: %v", n.Name, err)
	}
	slices.SortFunc(links, func(a, b netlink.Link) int { return strings.Compare(a.Attrs().Name, b.Attrs().Name) })
	var out strings.Builder
	for _, l := range links {
		line, err := n.describe(l)
		if err != nil {
			t.Fatalf("namespace %s: device %s: %v", n.Name, l.Attrs().Name, err)
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

func (n *Namespace) describe(l netlink.Link) (string, error) {
	a := l.Attrs()
	words := []string{a.Name, l.Type(), "down"}
	if a.RawFlags&1 != 0 { // IFF_UP
		words[2] = "up"
	}
	words = append(words, fmt.Sprintf("mtu %d", a.MTU))
	if a.Promisc > 0 {
		words = append(words, "promiscuous")
	}
	if a.Alias != "" {
		words = append(words, fmt.Sprintf("alias %q", a.Alias))
	}
	if a.Xdp != nil && a.Xdp.Attached {
		words = append(words, "xdp")
	}
	addrs, err := n.nl.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return "", err
	}
	for _, addr := range addrs {
		if !addr.IP.IsLinkLocalUnicast() {
			words = append(words, addr.IPNet.String())
		}
	}
	on, err := n.offloads(a.Name)
	return strings.Join(append(words, on...), " "), err
}

func (n *Namespace) offloads(device string) (on []string, err error) {
	err = n.Do(func() error {
		c, err := ethtool.Dial()
		if err != nil {
			return err
		}
		defer c.Close()
		for _, f := range []string{ethtool.RxVLANParse, ethtool.RxVLANFilter, ethtool.RxGRO, ethtool.RxLRO, ethtool.TxVLANInsert, ethtool.TxTSO, ethtool.TxChecksum} {
			active, err := c.Active(device, f)
			if err != nil {
				continue // a feature that this device doesn't have
			}
			if active {
				on = append(on, f)
			}
		}
		return nil
	})
	return on, err
}

// OccupyXDP attaches an XDP program that passes everything, so that nobody else
// can attach one. It lasts as long as the device.
func (n *Namespace) OccupyXDP(t T, device string) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "someone_else", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */), asm.Return()},
	})
	if err != nil {
		t.Fatalf("namespace %s: XDP program: %v", n.Name, err)
	}
	defer prog.Close()
	if err := n.xdp(t, device, prog.FD()); err != nil {
		t.Fatalf("namespace %s: attach an XDP program to %s: %v", n.Name, device, err)
	}
}

// VacateXDP takes the program of OccupyXDP away.
func (n *Namespace) VacateXDP(t T, device string) {
	t.Helper()
	if err := n.xdp(t, device, -1); err != nil {
		t.Fatalf("namespace %s: detach the XDP program of %s: %v", n.Name, device, err)
	}
}

func (n *Namespace) xdp(t T, device string, fd int) error {
	t.Helper()
	return n.Do(func() error { return netlink.LinkSetXdpFd(n.Link(t, device), fd) })
}

// Down sets devices down.
func (n *Namespace) Down(t T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := n.nl.LinkSetDown(n.Link(t, name)); err != nil {
			t.Fatalf("namespace %s: set %s down: %v", n.Name, name, err)
		}
	}
}
