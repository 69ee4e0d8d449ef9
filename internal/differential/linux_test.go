package differential

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"router/dataplane/packet"
	"router/internal/testnet"
	"router/intf"
)

// An out is a packet that left the router, from its network-layer header on and
// without padding.
type out struct {
	side int // in sides
	l2   bool
	l3   []byte // as the frame has it when l2 is false: the frame is not as it should be
}

// A kernel is Linux as a router between veth pairs, and packet sockets at their
// far ends. The pairs deliver in the order of sending as long as everything is
// sent from one processor: what leaves between two marks belongs to the packet
// between them.
type kernel struct {
	send    [4]int // sockets to send by, by side
	recv    int
	ifindex map[int]int // of the far ends, to side
	buf     []byte
	mark    []byte // the frame of a mark
	at      int    // of the mark's number in the frame that leaves
}

// markSource is the source of marks, which no generated packet has.
var markSource = netip.MustParseAddr("10.1.77.77")

// newKernel makes the namespaces. rpFilter is the kernel's check of sources: 0
// none, 1 strict, 2 loose.
func newKernel(t *testing.T, rpFilter string) *kernel {
	t.Helper()
	router, far := testnet.New(t, "linux"), testnet.New(t, "far")
	for key, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv4/icmp_ratelimit": "0", "ipv4/icmp_msgs_per_sec": "1000000", "ipv4/icmp_msgs_burst": "1000000",
		"ipv4/icmp_errors_use_inbound_ifaddr": "1",
		"ipv4/conf/all/rp_filter":             rpFilter, "ipv4/conf/default/rp_filter": rpFilter,
		"ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
		"ipv4/conf/all/log_martians": "0", "ipv4/conf/default/log_martians": "0",
		// Nothing is said later about fragments for the router itself.
		"ipv4/ipfrag_time": "3600", "ipv6/ip6frag_time": "3600",
		"ipv6/conf/all/forwarding": "1", "ipv6/conf/default/accept_ra": "0", "ipv6/icmp/ratelimit": "0",
		// No type of error is limited; IPv6 has no value for "none", and 127 is nobody's.
		"ipv4/icmp_ratemask": "0", "ipv6/icmp/ratemask": "127",
	} {
		router.Sysctl(t, "net/"+key, value)
	}
	far.Sysctl(t, "net/ipv6/conf/all/disable_ipv6", "1")
	far.Sysctl(t, "net/ipv6/conf/default/disable_ipv6", "1")
	k := &kernel{ifindex: map[int]int{}, buf: make([]byte, 1<<16)}
	for i, s := range sides {
		// Without receive offload: packets are not merged, and don't wait.
		testnet.Veth{MTU: s.mtu}.Pair(t, testnet.End{In: router, Name: s.name}, testnet.End{In: far, Name: s.name})
		setMAC(t, router, s.name, s.mac)
		setMAC(t, far, s.name, s.far)
		far.Sysctl(t, "net/ipv4/conf/"+s.name+"/arp_ignore", "8")
		for _, p := range s.prefixes {
			router.Address(t, s.name, p.String())
		}
		for j, g := range s.gateways {
			router.Neighbor(t, s.name, g.String(), s.far[:])
			router.Route(t, s.routes[j].String(), g.String())
		}
		k.ifindex[far.Link(t, s.name).Attrs().Index] = i
	}
	router.Neighbor(t, sides[0].name, nearby.String(), sides[0].far[:])
	for kind, list := range map[int][]netip.Prefix{unix.RTN_UNREACHABLE: refused, unix.RTN_PROHIBIT: prohibited, unix.RTN_BLACKHOLE: discarded} {
		for _, p := range list {
			dst := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
			if err := router.Netlink().RouteAdd(&netlink.Route{Dst: dst, Type: kind}); err != nil {
				t.Fatalf("route %v of type %d: %v", p, kind, err)
			}
		}
	}
	err := far.Do(func() (err error) {
		for i, s := range sides {
			// Protocol 0: it receives nothing.
			if k.send[i], err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
				return os.NewSyscallError("socket", err)
			}
			if err := unix.Bind(k.send[i], &unix.SockaddrLinklayer{Ifindex: far.Link(t, s.name).Attrs().Index}); err != nil {
				return os.NewSyscallError("bind", err)
			}
		}
		all := int(bigEndian16(unix.ETH_P_ALL))
		if k.recv, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all); err != nil {
			return os.NewSyscallError("socket", err)
		}
		if err := unix.SetsockoptInt(k.recv, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(k.recv, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range append(k.send[:], k.recv) {
			_ = unix.Close(fd)
		}
	})
	k.makeMark()
	return k
}

func setMAC(t *testing.T, n *testnet.Namespace, device string, mac intf.MAC) {
	t.Helper()
	if err := n.Netlink().LinkSetHardwareAddr(n.Link(t, device), mac[:]); err != nil {
		t.Fatal(err)
	}
}

func bigEndian16(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// makeMark prepares the packet that separates others: to the host behind b.
func (k *kernel) makeMark() {
	k.mark = make([]byte, packet.EthernetHeaderLen+packet.IPv4MinHeaderLen+16)
	packet.PutEthernet(k.mark, sides[0].mac, sides[0].far, intf.VLAN{}, packet.EtherTypeIPv4)
	packet.PutIPv4(k.mark[14:], 0, 0, false, 64, 253, markSource, netip.MustParseAddr("20.0.0.1"), 16)
	k.at = len(k.mark) - 8
}

// pin keeps the calling goroutine on one processor until release is called, so
// that what it sends goes through one queue of the kernel.
func pin(t *testing.T) (release func()) {
	t.Helper()
	runtime.LockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; ; cpu++ {
		if old.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &old)
		runtime.UnlockOSThread()
	}
}

// forward sends the frames to a and returns what came of each one. The caller is
// pinned.
func (k *kernel) forward(t *testing.T, batch [][]byte) [][]out {
	t.Helper()
	for i, f := range batch {
		if _, err := unix.Write(k.send[0], f); err != nil {
			t.Fatalf("send a frame of %d octets: %v", len(f), err)
		}
		binary.BigEndian.PutUint64(k.mark[k.at:], uint64(i))
		if _, err := unix.Write(k.send[0], k.mark); err != nil {
			t.Fatalf("send a mark: %v", err)
		}
	}
	outs := make([][]out, len(batch))
	deadline := time.Now().Add(20 * time.Second)
	for i := 0; i < len(batch); {
		n, from, err := unix.Recvfrom(k.recv, k.buf, 0)
		if err != nil {
			left := time.Until(deadline)
			if left <= 0 {
				t.Fatalf("Linux has sent %d of %d marks within 20 s: %v", i, len(batch), err)
			}
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(k.recv), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
			continue
		}
		at, known := k.ifindex[from.(*unix.SockaddrLinklayer).Ifindex]
		f := k.buf[:n]
		if !known || chatter(f) {
			continue
		}
		if n == len(k.mark) && netip.AddrFrom4([4]byte(f[26:30])) == markSource && f[12] == 8 {
			if got := binary.BigEndian.Uint64(f[k.at:]); got != uint64(i) {
				t.Fatalf("mark %d came in the place of mark %d", got, i)
			}
			i++
			continue
		}
		outs[i] = append(outs[i], newOut(at, f))
	}
	return outs
}

// chatter reports whether a frame is what a Linux router says unasked: ARP,
// neighbour discovery and multicast listener reports.
func chatter(f []byte) bool {
	if len(f) < 14 {
		return true
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case packet.EtherTypeARP:
		return true
	case packet.EtherTypeIPv6:
		return len(f) >= 54 && (f[22] == 0xfe && f[23] == 0x80 || f[38] == 0xff) && intf.MAC(f[6:12]) != sides[0].far
	}
	return false
}

// newOut copies a frame that left by a side.
func newOut(at int, f []byte) out {
	s := sides[at]
	etherType := binary.BigEndian.Uint16(f[12:])
	o := out{side: at, l2: intf.MAC(f[:6]) == s.far && intf.MAC(f[6:12]) == s.mac}
	l3 := f[packet.EthernetHeaderLen:]
	switch {
	case etherType == packet.EtherTypeIPv4 && len(l3) >= 20 && l3[0]>>4 == 4 && packet.IPv4(l3).TotalLen() <= len(l3):
		l3 = l3[:packet.IPv4(l3).TotalLen()]
	case etherType == packet.EtherTypeIPv6 && len(l3) >= 40 && l3[0]>>4 == 6 && packet.IPv6(l3).TotalLen() <= len(l3):
		l3 = l3[:packet.IPv6(l3).TotalLen()]
	default:
		o.l2, l3 = false, f
	}
	o.l3 = append([]byte(nil), l3...)
	return o
}
