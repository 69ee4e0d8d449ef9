package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Mode is where in the receive path an XDP program runs.
type Mode uint8

// The modes.
const (
	Native  Mode = iota // in the device's driver
	Generic             // in the kernel's common path, on socket buffers
)

func (m Mode) String() string {
	switch m {
	case Native:
		return "native"
	case Generic:
		return "generic"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

func (m Mode) flags() link.XDPAttachFlags {
	switch m {
	case Native:
		return link.XDPDriverMode
	case Generic:
		return link.XDPGenericMode
	}
	return 0
}

// AttachTake attaches the program that takes frames into the sockets to the
// device with that index. With restoreTags it puts VLAN tags back that the
// device hands over as metadata, where driver and kernel can say them.
//
// Where an earlier process left its program at the device (Config.Pins), that one
// goes on until [Set.Activate] puts the new one in its place.
//
// The error says why the kernel refused, in its words where it has some, and
// who holds the device where that is the reason.
func (s *Set) AttachTake(ifindex int, mode Mode, restoreTags bool) error {
	plain, tagged := s.ways("take", nil), []way(nil)
	if restoreTags && mode == Native {
		// Without this (Linux before 6.8, drivers without metadata) the
		// plain program serves all but tags the device strips.
		tagged = s.ways("take_tagged", func(p *ebpf.ProgramSpec) {
			p.Ifindex = uint32(ifindex)
			p.Flags |= unix.BPF_F_XDP_DEV_BOUND_ONLY
		})
	}
	if l, ok := s.config.Pins.adopt(ifindex, mode); ok {
		if err := s.prepare(adoption{ifindex: ifindex, mode: mode, left: l, ways: append(tagged, plain...)}); err != nil {
			s.config.Pins.giveBack(ifindex, l)
			return err
		}
		return nil
	}
	if len(tagged) > 0 && s.attachXDP(tagged, ifindex, mode) == nil {
		return nil
	}
	return s.attachXDP(plain, ifindex, mode)
}

// AttachPass attaches, in the device's driver, a program that leaves all to
// the kernel. A veth with it receives through NAPI, and its peer no longer
// hands over TCP super-frames.
func (s *Set) AttachPass(ifindex int) error {
	// What was left there redirects to sockets that are no more.
	if err := s.config.Pins.drop(ifindex); err != nil {
		return err
	}
	return s.attachXDP(s.ways("pass", nil), ifindex, Native)
}

// jumboFrom is the length of frames from which on drivers may need several
// buffers, which on some machines are half a page.
const jumboFrom = 2048

// A way is a program that can be tried at a device.
type way struct {
	name  string
	frags bool
	edit  func(*ebpf.ProgramSpec)
}

// ways are a program without and with support for frames of several buffers, in
// the order in which they are to be tried.
func (s *Set) ways(name string, edit func(*ebpf.ProgramSpec)) []way {
	// A program that understands frames of several buffers is admitted at MTUs
	// that others are not, but not by every driver. A veth holds its peer to what
	// the program takes, so that for jumbo frames it is the one to try first.
	jumbo := s.config.MaxFrame > jumboFrom
	return []way{{name, jumbo, edit}, {name, !jumbo, edit}}
}

func (s *Set) attachXDP(ways []way, ifindex int, mode Mode) error {
	var first error
	for _, w := range ways {
		prog, err := s.program(w.name, w.frags, w.edit)
		if err == nil {
			var l link.Link
			l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: ifindex, Flags: mode.flags()})
			if err != nil {
				err = refusal(ifindex, prog, mode, err)
			}
			if err == nil {
				s.keepXDP(ifindex, l, w.name != "pass")
				return s.chose(w, mode, prog)
			}
			_ = prog.Close()
		}
		if first == nil {
			first = err
		}
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
			break
		}
	}
	return first
}

// refusal says why a program was not attached. The bpf system call gives a
// number alone; rtnetlink also gives the driver's words.
func refusal(ifindex int, prog *ebpf.Program, mode Mode, err error) error {
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("attach XDP in %s mode: %w: %s", mode, err, owner(ifindex))
	}
	text, nlErr := setXDP(ifindex, prog.FD(), uint32(mode.flags()))
	if nlErr == nil {
		// What was refused a moment ago has been taken: give it back.
		_, nlErr = setXDP(ifindex, -1, uint32(mode.flags()))
		return errors.Join(fmt.Errorf("attach XDP in %s mode: %w", mode, err), nlErr)
	}
	if text != "" {
		return fmt.Errorf("attach XDP in %s mode: %w: %s", mode, err, text)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("attach XDP in %s mode: %w: the device's driver has no such mode", mode, err)
	}
	return fmt.Errorf("attach XDP in %s mode: %w", mode, err)
}

// owner names the program that holds the device.
func owner(ifindex int) string {
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil || l.Attrs().Xdp == nil || !l.Attrs().Xdp.Attached {
		return "another program held the device"
	}
	id := l.Attrs().Xdp.ProgId
	name := ""
	if prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(id)); err == nil {
		if info, err := prog.Info(); err == nil {
			name = " " + info.Name
		}
		_ = prog.Close()
	}
	return fmt.Sprintf("held by XDP program%s, id %d (see `bpftool prog show id %d`; `ip link set dev %s xdp off` removes it)",
		name, id, id, l.Attrs().Name)
}

// AttachHide makes the kernel not see what is the router's on the device, for
// AF_PACKET, whose sockets see frames earlier.
func (s *Set) AttachHide(ifindex int) error {
	if err := s.config.Pins.drop(ifindex); err != nil {
		return err
	}
	prog, err := s.program("hide", false, nil)
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{
		Interface: ifindex, Program: prog, Attach: ebpf.AttachTCXIngress, Anchor: link.Head(),
	})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return s.attachClsact(ifindex, prog)
	}
	if err != nil {
		return fmt.Errorf("attach at tc ingress: %w", err)
	}
	s.keep(l)
	return nil
}

// clsact is an attachment of kernels before 6.6. It outlives the process: whoever
// attaches next replaces what was left, and Unhide removes it.
type clsact struct {
	filter *netlink.BpfFilter
}

// Unhide removes from a device what a process that died has left of AttachHide, as it
// does on kernels before 6.6: the kernel would see no frame of the device any more. A
// device that has none of it, or is not there, is no error.
func Unhide(device string) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil
		}
		return fmt.Errorf("device %s: %w", device, err)
	}
	filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil // a kernel without tc
	}
	if err != nil {
		return fmt.Errorf("device %s: filters at tc ingress: %w", device, err)
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && strings.HasPrefix(b.Name, clsactName) {
			if err := netlink.FilterDel(b); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("device %s: remove filter %s: %w", device, b.Name, err)
			}
		}
	}
	return nil
}

const clsactName, clsactPriority = "routerd-hide", 1

func (c clsact) Close() error { return netlink.FilterDel(c.filter) }

func (s *Set) attachClsact(ifindex int, prog *ebpf.Program) error {
	qdisc := &netlink.GenericQdisc{
		QdiscType:  "clsact",
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
	}
	if err := netlink.QdiscAdd(qdisc); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add qdisc clsact: %w", err)
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Priority: clsactPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: prog.FD(), Name: clsactName, DirectAction: true,
	}
	if err := netlink.FilterReplace(filter); err != nil {
		return fmt.Errorf("attach at clsact ingress: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, clsact{filter})
	return nil
}
