package testnet

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"router/dataplane/ethtool"
)

// Offsets in struct __sk_buff (linux/bpf.h).
const (
	skbVLANPresent = 20
	skbVLANTCI     = 24
)

// Tag puts a device into the 802.1Q VLAN id: what the namespace sends through
// it is tagged on the wire, and only frames with that tag come in, without it.
// It is what a kernel VLAN device does, made of traffic-control programs, for
// kernels that have no such devices. It lasts as long as the device.
func (n *Namespace) Tag(t T, device string, id int) {
	t.Helper()
	// A tag left to the "hardware" of a veth never reaches an XDP program at the
	// other end.
	n.Offload(t, device, map[string]bool{ethtool.TxVLANInsert: false})
	index := n.Link(t, device).Attrs().Index
	err := n.nl.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0)}})
	if err != nil {
		t.Fatalf("namespace %s: vlan %d on %s: clsact: %v", n.Name, id, device, err)
	}
	for parent, program := range map[uint32]asm.Instructions{
		netlink.HANDLE_MIN_EGRESS:  pushTag(id),
		netlink.HANDLE_MIN_INGRESS: popTag(id),
	} {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "tag", Type: ebpf.SchedCLS, Instructions: program, License: "GPL"})
		if err != nil {
			t.Fatalf("namespace %s: vlan %d on %s: %v", n.Name, id, device, err)
		}
		err = n.nl.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: parent, Handle: 1, Protocol: unix.ETH_P_ALL, Priority: 1},
			Fd:          p.FD(), Name: "tag", DirectAction: true,
		})
		if err != nil {
			t.Fatalf("namespace %s: vlan %d on %s: filter: %v", n.Name, id, device, err)
		}
		if err := p.Close(); err != nil { // the filter holds it from here on
			t.Fatalf("namespace %s: vlan %d on %s: %v", n.Name, id, device, err)
		}
	}
}

// pushTag tags what leaves.
func pushTag(id int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R2, 0x0081), // ETH_P_8021Q in network byte order
		asm.Mov.Imm(asm.R3, int32(id)),
		asm.FnSkbVlanPush.Call(),
		asm.Mov.Imm(asm.R0, 0), // TC_ACT_OK
		asm.Return(),
	}
}

// popTag takes the tag off what arrives, and drops what bears no or another one.
func popTag(id int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, skbVLANPresent, asm.Word),
		asm.JEq.Imm(asm.R2, 0, "drop"),
		asm.LoadMem(asm.R2, asm.R1, skbVLANTCI, asm.Word),
		asm.And.Imm(asm.R2, 0xfff),
		asm.JNE.Imm(asm.R2, int32(id), "drop"),
		asm.FnSkbVlanPop.Call(),
		asm.Mov.Imm(asm.R0, 0), // TC_ACT_OK
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("drop"), // TC_ACT_SHOT
		asm.Return(),
	}
}
