package bpf

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"router/internal/testnet"
	"router/intf"
)

// frame is an Ethernet frame with tags, each {tpid, tci}, type and payload,
// padded to 64 octets.
func frame(tags [][2]uint16, etherType uint16, payload []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for _, tag := range tags {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, tag[0]), tag[1])
	}
	b = binary.BigEndian.AppendUint16(b, etherType)
	b = append(b, payload...)
	return append(b, make([]byte, max(0, 64-len(b)))...)
}

func ipv4(dst string) []byte {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, 17
	copy(h[16:], netip.MustParseAddr(dst).AsSlice())
	return h
}

func arp(op uint16, target string) []byte {
	p := []byte{0, 1, 8, 0, 6, 4, byte(op >> 8), byte(op)}
	p = append(p, make([]byte, 16)...)
	return append(p, netip.MustParseAddr(target).AsSlice()...)
}

func ipv6(next byte, dst string, payload ...byte) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, 255
	copy(h[24:], netip.MustParseAddr(dst).AsSlice())
	return append(h, payload...)
}

func nd(kind byte, dst, target string) []byte {
	b := append(make([]byte, 8), netip.MustParseAddr(target).AsSlice()...)
	b[0] = kind
	return ipv6(58, dst, b...)
}

var (
	untagged = intf.VLAN{}
	vlan100  = intf.VLAN{OuterTPID: 0x8100, OuterID: 100}
	qinq     = intf.VLAN{OuterTPID: 0x88a8, OuterID: 10, InnerTPID: 0x8100, InnerID: 20}
)

var sorting = []struct {
	name  string
	frame []byte
	ours  bool // in shared mode, with the claims of testClaims
}{
	{"IPv4 through", frame(nil, 0x0800, ipv4("198.51.100.9")), true},
	{"IPv4 to the kernel", frame(nil, 0x0800, ipv4("192.0.2.1")), false},
	{"IPv4 multicast", frame(nil, 0x0800, ipv4("224.0.0.5")), true},
	{"ARP for the kernel", frame(nil, 0x0806, arp(1, "192.0.2.1")), false},
	{"ARP answer to the kernel", frame(nil, 0x0806, arp(2, "192.0.2.1")), false},
	{"ARP for the router", frame(nil, 0x0806, arp(1, "192.0.2.254")), true},
	{"ARP of another protocol", frame(nil, 0x0806, append([]byte{0, 1, 0x86, 0xdd}, arp(1, "192.0.2.1")[4:]...)), true},
	{"IPv6 through", frame(nil, 0x86dd, ipv6(17, "2001:db8:9::1")), true},
	{"IPv6 to the kernel", frame(nil, 0x86dd, ipv6(17, "2001:db8::1")), false},
	{"solicitation of the kernel", frame(nil, 0x86dd, nd(135, "ff02::1:ff00:1", "2001:db8::1")), false},
	{"solicitation of the router", frame(nil, 0x86dd, nd(135, "ff02::1:ff00:fe", "2001:db8::fe")), true},
	{"advertisement to the kernel", frame(nil, 0x86dd, nd(136, "2001:db8::1", "2001:db8::7")), false},
	{"advertisement to all", frame(nil, 0x86dd, nd(136, "ff02::1", "2001:db8::1")), true},
	{"router advertisement", frame(nil, 0x86dd, nd(134, "ff02::1", "2001:db8::1")), true},
	{"another type", frame(nil, 0x88cc, nil), true},
	{"claimed VLAN", frame([][2]uint16{{0x8100, 100}}, 0x0800, ipv4("198.51.100.9")), true},
	{"claimed VLAN with priority", frame([][2]uint16{{0x8100, 0xe000 | 100}}, 0x0800, ipv4("198.51.100.9")), true},
	{"claimed VLAN, address that the kernel has untagged", frame([][2]uint16{{0x8100, 100}}, 0x0800, ipv4("192.0.2.1")), true},
	{"other VLAN", frame([][2]uint16{{0x8100, 101}}, 0x0800, ipv4("198.51.100.9")), false},
	{"same id, other TPID", frame([][2]uint16{{0x88a8, 100}}, 0x0800, ipv4("198.51.100.9")), false},
	{"claimed stack", frame([][2]uint16{{0x88a8, 10}, {0x8100, 20}}, 0x86dd, ipv6(6, "2001:db8:9::1")), true},
	{"claimed stack, kernel's address on it", frame([][2]uint16{{0x88a8, 10}, {0x8100, 20}}, 0x86dd, ipv6(6, "2001:db8:20::1")), false},
	{"claimed outer, unclaimed inner", frame([][2]uint16{{0x88a8, 10}, {0x8100, 21}}, 0x86dd, ipv6(6, "2001:db8:9::1")), false},
	{"priority tag, through", frame([][2]uint16{{0x8100, 0xa000}}, 0x0800, ipv4("198.51.100.9")), true},
	{"priority tag, to the kernel", frame([][2]uint16{{0x8100, 0xa000}}, 0x0800, ipv4("192.0.2.1")), false},
	{"priority tag in a claimed VLAN", frame([][2]uint16{{0x8100, 100}, {0x8100, 0xa000}}, 0x0800, ipv4("198.51.100.9")), true},
	{"priority tag around a claimed VLAN", frame([][2]uint16{{0x88a8, 0xa000}, {0x8100, 100}}, 0x0800, ipv4("198.51.100.9")), true},
	{"priority tag around another VLAN", frame([][2]uint16{{0x88a8, 0xa000}, {0x8100, 101}}, 0x0800, ipv4("198.51.100.9")), false},
	{"another S-tag's TPID", frame([][2]uint16{{0x9300, 30}, {0x9200, 40}}, 0x0800, ipv4("198.51.100.9")), true},
	{"VLAN 100 around another tag", frame([][2]uint16{{0x8100, 100}, {0x8100, 7}}, 0x0800, ipv4("198.51.100.9")), false},
}

func testClaims() []Claim {
	return []Claim{
		{Tags: untagged, Kernel: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		{Tags: vlan100},
		{Tags: intf.VLAN{OuterTPID: 0x9300, OuterID: 30, InnerTPID: 0x9200, InnerID: 40}},
		{Tags: qinq, Kernel: []netip.Addr{netip.MustParseAddr("2001:db8:20::1")}},
	}
}

func load(t *testing.T, attach intf.Attach) *Set {
	t.Helper()
	testnet.Require(t)
	s, err := Load(Config{Attach: attach, Queues: 2, MaxFrame: 1792})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func run(t *testing.T, s *Set, name string, frags bool, data []byte) uint32 {
	t.Helper()
	p, err := s.program(name, frags, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	result, err := p.Run(runOptions(data))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func runOptions(data []byte) *ebpf.RunOptions { return &ebpf.RunOptions{Data: data} }

const (
	xdpDrop, xdpPass = 1, 2
	tcNext, tcShot   = 0xffffffff, 2
)

// buffers are the kinds of programs that the kernel can run: for frames of one
// buffer, and for those of several.
func buffers() []bool {
	if plainLoads() {
		return []bool{false}
	}
	return []bool{false, true}
}

func TestEveryProgramSortsAlike(t *testing.T) {
	for _, attach := range []intf.Attach{intf.Exclusive, intf.Shared} {
		s := load(t, attach)
		old, err := Load(Config{Attach: attach, Queues: 1, MaxFrame: 1792, plainLoads: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = old.Close() })
		if err := errors.Join(s.SetClaims(testClaims()), old.SetClaims(testClaims())); err != nil {
			t.Fatal(err)
		}
		for _, c := range sorting {
			t.Run(attach.String()+"/"+c.name, func(t *testing.T) {
				ours := c.ours || attach == intf.Exclusive
				before, err := s.Counters(0)
				if err != nil {
					t.Fatal(err)
				}
				want := uint32(xdpPass)
				if ours {
					want = xdpDrop // for want of a socket
				}
				for _, frags := range buffers() {
					if got := run(t, s, "take", frags, c.frame); got != want {
						t.Errorf("take (frags %v) answers %d, want %d", frags, got, want)
					}
				}
				if got := run(t, old, "take", false, c.frame); got != want {
					t.Errorf("take without bpf_xdp_load_bytes answers %d, want %d", got, want)
				}
				after, err := s.Counters(0)
				if err != nil {
					t.Fatal(err)
				}
				if ours && after.NoSocket != before.NoSocket+uint64(len(buffers())) || !ours && after.Passed != before.Passed+uint64(len(buffers())) {
					t.Errorf("counters went from %+v to %+v", before, after)
				}
				want = tcNext
				if ours {
					want = tcShot
				}
				if got := run(t, s, "hide", false, c.frame); got != want {
					t.Errorf("hide answers %d, want %d", got, want)
				}
			})
		}
	}
}

func TestFramesBeyondABufferAreDropped(t *testing.T) {
	s := load(t, intf.Exclusive)
	for _, size := range []int{1792, 1793, 3000} {
		if got := run(t, s, "take", false, make([]byte, size)); got != xdpDrop {
			t.Errorf("%d octets: answer %d, want drop", size, got)
		}
	}
	c, err := s.Counters(0)
	if err != nil || c.NoSocket != 1 || c.Oversize != 2 {
		t.Errorf("counters %+v, %v; want one frame without a socket and two oversize", c, err)
	}
}

func TestClaimsAreReplaced(t *testing.T) {
	s := load(t, intf.Shared)
	toKernel := frame(nil, 0x0800, ipv4("192.0.2.1"))
	tagged := frame([][2]uint16{{0x8100, 100}}, 0x0800, ipv4("192.0.2.1"))
	steps := []struct {
		name             string
		claims           []Claim
		toKernel, tagged uint32
	}{
		{"nothing is claimed at first", nil, xdpPass, xdpPass},
		{"all", testClaims(), xdpPass, xdpDrop},
		{"the kernel loses its address", []Claim{{Tags: untagged}, {Tags: vlan100}}, xdpDrop, xdpDrop},
		{"and gets one in the VLAN", []Claim{{Tags: vlan100, Kernel: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}, xdpPass, xdpPass},
		{"all again", testClaims(), xdpPass, xdpDrop},
		{"nothing", nil, xdpPass, xdpPass},
	}
	for _, step := range steps {
		if err := s.SetClaims(step.claims); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := run(t, s, "take", false, toKernel); got != step.toKernel {
			t.Errorf("%s: untagged to 192.0.2.1: answer %d, want %d", step.name, got, step.toKernel)
		}
		if got := run(t, s, "take", false, tagged); got != step.tagged {
			t.Errorf("%s: tagged to 192.0.2.1: answer %d, want %d", step.name, got, step.tagged)
		}
	}
	for _, name := range []string{"claims", "pass4", "pass6", "sessions"} {
		var key, value []byte
		if s.maps[name].Iterate().Next(&key, &value) {
			t.Errorf("map %s keeps %v after all claims went", name, key)
		}
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	testnet.Require(t)
	a, b := testnet.New(t, "a"), testnet.New(t, "b")
	testnet.Veth{MTU: 9000}.Pair(t, testnet.End{In: a, Name: "big"}, testnet.End{In: b, Name: "peer"})
	testnet.Veth{}.Pair(t, testnet.End{In: a, Name: "held"}, testnet.End{In: b, Name: "peer2"})
	big, held := a.Link(t, "big").Attrs().Index, a.Link(t, "held").Attrs().Index
	s, other := load(t, intf.Exclusive), load(t, intf.Exclusive)
	err := a.Do(func() error {
		if err := other.AttachPass(held); err != nil {
			return err
		}
		for _, mode := range []Mode{Native, Generic} {
			err := s.AttachTake(held, mode, false)
			if err == nil || !strings.Contains(err.Error(), "held by XDP program pass, id ") {
				t.Errorf("%s on a held device: %v, want the owner's name", mode, err)
			}
		}
		prog, err := s.program("take", false, nil)
		if err != nil {
			return err
		}
		defer prog.Close()
		text, err := setXDP(big, prog.FD(), uint32(Native.flags()))
		if !errors.Is(err, unix.ERANGE) || !strings.Contains(text, "MTU") {
			t.Errorf("peer of MTU 9000 without frags: %v, %q; want ERANGE and words about the MTU", err, text)
		}
		if err := s.AttachTake(big, Native, false); (err != nil) != plainLoads() {
			t.Errorf("peer of MTU 9000 with frags: %v", err)
		}
		if err := s.AttachTake(9999, Native, false); err == nil {
			t.Error("a device that does not exist was taken")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestHideByClsactWhereTCXIsMissing(t *testing.T) {
	testnet.Require(t)
	a, b := testnet.New(t, "a"), testnet.New(t, "b")
	testnet.Pair(t, testnet.End{In: a, Name: "ge0"}, testnet.End{In: b, Name: "host"})
	a.Address(t, "ge0", "192.0.2.1/24")
	b.Address(t, "host", "192.0.2.2/24")
	if _, err := b.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	index := a.Link(t, "ge0").Attrs().Index
	s := load(t, intf.Exclusive)
	err := a.Do(func() error {
		prog, err := s.program("hide", false, nil)
		if err != nil {
			return err
		}
		defer prog.Close()
		// Twice: what a dead router left behind is replaced.
		if err := s.attachClsact(index, prog); err != nil {
			return err
		}
		s.links = s.links[:0]
		if err := s.attachClsact(index, prog); err != nil {
			return err
		}
		if _, err := b.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err == nil {
			t.Error("the kernel answers to what is hidden from it")
		}
		if err := s.links[0].Close(); err != nil {
			return err
		}
		if _, err := b.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err != nil {
			t.Errorf("after detaching: %v", err)
		}
		// The process dies, and nobody attaches anything any more.
		if err := s.attachClsact(index, prog); err != nil {
			return err
		}
		s.links = nil
		// Twice: there is nothing left to do then.
		return errors.Join(Unhide("ge0"), Unhide("ge0"), Unhide("lo"), Unhide("ge77"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err != nil {
		t.Errorf("after a process has died, and what it left was removed: %v", err)
	}
}

func TestEveryProgramIsEmbedded(t *testing.T) {
	spec, err := loadRouter()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"take", "take_tagged", "pass", "hide", "claimed"} {
		if p := spec.Programs[name]; p == nil || p.License != "GPL" {
			t.Errorf("program %s is missing or not under the GPL: %v", name, p)
		}
	}
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte{})
	ack := make([]byte, 36)
	ack[4], ack[7] = unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS>>8
	ack[16], ack[17], ack[18], ack[19] = 0xf0, 0xff, 0xff, 0xff
	f.Add(append(ack, 8, 0, 1, 0, 'n', 'o', '!', 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, _ := parseAck(b)
		if len(text) > len(b) {
			t.Errorf("%d octets of text from %d", len(text), len(b))
		}
	})
}
