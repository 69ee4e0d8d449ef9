package testnet

import (
	"github.com/vishvananda/netlink"

	"router/dataplane/ethtool"
)

// An End is one end of a veth pair: a device by name in a namespace.
type End struct {
	In   *Namespace
	Name string
}

// Veth says how a pair is made. The zero Veth is one queue each way, MTU 1500.
type Veth struct {
	MTU int
	// Queues is how many receive and transmit queues each end has; 0 means 1.
	Queues int
	// GRO turns generic receive offload on at both ends. A veth receives frames
	// that XDP redirects into it only where this or an XDP program is present;
	// else they vanish without a trace.
	GRO bool
}

// Pair makes a veth pair and raises both ends. It goes with its namespaces.
func (v Veth) Pair(t T, a, b End) {
	t.Helper()
	mtu, queues := v.MTU, v.Queues
	if mtu == 0 {
		mtu = 1500
	}
	if queues == 0 {
		queues = 1
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = a.Name, mtu
	attrs.NumTxQueues, attrs.NumRxQueues = queues, queues
	link := netlink.NewVeth(attrs)
	link.PeerName, link.PeerMTU = b.Name, uint32(mtu)
	link.PeerNamespace = netlink.NsFd(int(b.In.ns))
	link.PeerNumTxQueues, link.PeerNumRxQueues = uint32(queues), uint32(queues)
	if err := a.In.nl.LinkAdd(link); err != nil {
		t.Fatalf("veth %s in %s to %s in %s: %v", a.Name, a.In.Name, b.Name, b.In.Name, err)
	}
	a.In.Up(t, a.Name)
	b.In.Up(t, b.Name)
	if v.GRO {
		// Not before both are up: the kernel would not tell the other end that
		// frames may be redirected into this one.
		a.In.Offload(t, a.Name, map[string]bool{ethtool.RxGRO: true})
		b.In.Offload(t, b.Name, map[string]bool{ethtool.RxGRO: true})
	}
}

// Pair is Veth.Pair with GRO on and everything else as it comes.
func Pair(t T, a, b End) {
	t.Helper()
	Veth{GRO: true}.Pair(t, a, b)
}
