package testnet

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tag puts all that a device carries into one VLAN, 802.1Q, or with two ids into
// a customer's VLAN (the second, 802.1Q) in a carrier's (the first, 802.1ad), as
// seen from the other end of the pair: frames get the tags on their way out and
// lose them on their way in; others are dropped on their way in. It stands in
// for VLAN devices, which not every kernel has, and like them leaves the outer
// tag in the frame's metadata, as hardware would. It lasts as long as the device.
func (n *Namespace) Tag(t T, device string, ids ...uint16) {
	t.Helper()
	index := n.Link(t, device).Attrs().Index
	qdisc := &netlink.GenericQdisc{
		QdiscType:  "clsact",
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
	}
	if err := n.nl.QdiscAdd(qdisc); err != nil {
		t.Fatalf("namespace %s: qdisc on %s: %v", n.Name, device, err)
	}
	const drop, next = 2, -1            // TC_ACT_SHOT, TC_ACT_UNSPEC
	const vlanPresent, vlanTCI = 20, 24 // in struct __sk_buff
	push := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	pop := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for i := range ids {
		protocol := uint16(unix.ETH_P_8021Q)
		inner := len(ids) - 1 - i
		if inner == 0 && len(ids) > 1 {
			protocol = unix.ETH_P_8021AD
		}
		push = append(push,
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, int32(bigEndian(protocol))),
			asm.Mov.Imm(asm.R3, int32(ids[inner])),
			asm.FnSkbVlanPush.Call(),
			asm.JNE.Imm(asm.R0, 0, "drop"),
		)
		pop = append(pop,
			asm.LoadMem(asm.R2, asm.R6, vlanPresent, asm.Word),
			asm.JEq.Imm(asm.R2, 0, "drop"),
			asm.LoadMem(asm.R2, asm.R6, vlanTCI, asm.Word),
			asm.And.Imm(asm.R2, 0xfff),
			asm.JNE.Imm(asm.R2, int32(ids[i]), "drop"),
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.FnSkbVlanPop.Call(),
			asm.JNE.Imm(asm.R0, 0, "drop"),
		)
	}
	end := asm.Instructions{
		asm.Mov.Imm(asm.R0, next),
		asm.Return(),
		asm.Mov.Imm(asm.R0, drop).WithSymbol("drop"),
		asm.Return(),
	}
	push, pop = append(push, end...), append(pop, end...)
	for _, p := range []struct {
		name   string
		parent uint32
		code   asm.Instructions
	}{
		{"push", netlink.HANDLE_MIN_EGRESS, push}, {"pop", netlink.HANDLE_MIN_INGRESS, pop},
	} {
		if err := n.classify(index, p.name, p.parent, p.code); err != nil {
			t.Fatalf("namespace %s: %s tags on %s: %v", n.Name, p.name, device, err)
		}
	}
}

func (n *Namespace) classify(index int, name string, parent uint32, code asm.Instructions) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.SchedCLS, Instructions: code, License: "GPL"})
	if err != nil {
		return fmt.Errorf("load program: %w", err)
	}
	defer prog.Close()
	return n.nl.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: parent, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          prog.FD(), Name: name, DirectAction: true,
	})
}

// bigEndian is a 16-bit number in network byte order.
func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }
