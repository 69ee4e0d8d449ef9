package e2e

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/dataplane/packet"
	"router/internal/testnet"
	"router/intf"
)

// dropCounts reads why frames of ge0 were dropped, and how many.
func dropCounts(t *testing.T, s *session) map[string]uint64 {
	t.Helper()
	text, err := s.get(context.Background(), gpb.GetRequest_STATE, "/interface[name=ge0]/state")
	if err != nil {
		t.Fatal(err)
	}
	// With a module's name in front, as RFC 7951 asks for at the top.
	var state map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for name, raw := range state {
		if name != "drops" && name != "routerd:drops" {
			continue
		}
		var drops []struct{ Reason, Count string }
		if err := json.Unmarshal(raw, &drops); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		for _, d := range drops {
			if counts[d.Reason], err = strconv.ParseUint(d.Count, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return counts
}

// badPackets sends frames to ge0 as h1 and says what became of each.
func badPackets(t *testing.T, l *lab, s *session, p *page) {
	h1, router := l.space("h1"), l.space("router")
	own, mac := intf.MAC(h1.MAC(l, "eth0")), intf.MAC(router.MAC(l, "ge0"))
	wire := testnet.NewWire(l, testnet.End{In: h1, Name: "eth0"})
	// Neighbours are known, so that an answer is not held up by a question.
	for _, to := range []string{"198.51.100.2", "2001:db8:1::1"} {
		if out, err := h1.Run("ping", "-c1", "-W5", to); err != nil {
			t.Fatalf("ping %s: %v\n%s", to, err, out)
		}
	}

	frame := func(etherType uint16, l3 []byte) []byte {
		b := make([]byte, packet.EthernetHeaderLen, 64+len(l3))
		packet.PutEthernet(b, mac, own, intf.VLAN{}, etherType)
		return append(b, l3...)
	}
	// v4 is a UDP packet to h2 with some octets changed and the checksum made
	// right again.
	v4 := func(change func(h []byte)) []byte {
		src, dst := netip.MustParseAddr("192.0.2.2").As4(), netip.MustParseAddr("198.51.100.2").As4()
		h := make([]byte, 36)
		copy(h, []byte{0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0, 0})
		copy(h[12:], src[:])
		copy(h[16:], dst[:])
		copy(h[20:], []byte{0x10, 0, 0, 9, 0, 16, 0, 0})
		change(h)
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], ^packet.Sum(h[:20], 0))
		return frame(packet.EtherTypeIPv4, h)
	}
	source := func(a string) func([]byte) {
		b := netip.MustParseAddr(a).As4()
		return func(h []byte) { copy(h[12:], b[:]) }
	}
	v6 := func(src, dst string, hops, next byte, payload []byte) []byte {
		h := make([]byte, 40, 40+len(payload))
		h[0], h[6], h[7] = 0x60, next, hops
		binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		a, b := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
		copy(h[8:], a[:])
		copy(h[24:], b[:])
		return append(h, payload...)
	}
	nd := func(src, dst string, hops byte, m packet.ND) []byte {
		b := make([]byte, packet.NDMaxLen)
		n := packet.PutND(b, netip.MustParseAddr(src), netip.MustParseAddr(dst), m)
		b[7] = hops
		return frame(packet.EtherTypeIPv6, b[:n])
	}
	target := netip.MustParseAddr("2001:db8:1::1")
	arp := func(change func([]byte)) []byte {
		b := make([]byte, 28)
		packet.PutARP(b, packet.ARPRequest, own, netip.MustParseAddr("192.0.2.2"), intf.MAC{}, netip.MustParseAddr("192.0.2.1"))
		change(b)
		return frame(packet.EtherTypeARP, b)
	}

	p.section("Packets", "a frame that arrives on ge0")
	for _, c := range []struct {
		what  string
		frame []byte
	}{
		{"an Ethernet header and nothing in it", frame(packet.EtherTypeIPv4, nil)},
		{"a type nobody here speaks", frame(0x88cc, make([]byte, 46))},
		{"an IEEE 802.3 length in the place of the type", frame(46, make([]byte, 46))},
		{"VLAN 7, which no unit takes", frame(0x8100, append([]byte{0, 7, 8, 0}, v4(func([]byte) {})[14:]...))},
		{"VLAN 4095, which is reserved", frame(0x8100, append([]byte{0x0f, 0xff, 8, 0}, v4(func([]byte) {})[14:]...))},
		{"a VLAN tag cut off", frame(0x8100, []byte{0, 7})},
		{"for another station's MAC address", append([]byte{2, 0, 0, 0, 0, 99}, v4(func([]byte) {})[6:]...)},
		{"IPv4, version 5", v4(func(h []byte) { h[0] = 0x55 })},
		{"IPv4, header length 16", v4(func(h []byte) { h[0] = 0x44 })},
		{"IPv4, header longer than the packet", v4(func(h []byte) { h[0] = 0x4f; h[3] = 30 })},
		{"IPv4, total length 10", v4(func(h []byte) { h[3] = 10 })},
		{"IPv4, total length beyond the frame", v4(func(h []byte) { h[2] = 9 })},
		{"IPv4, wrong header checksum", func() []byte { f := v4(func([]byte) {}); f[24]++; return f }()},
		{"IPv4, TTL 1", v4(func(h []byte) { h[8] = 1 })},
		{"IPv4, TTL 0", v4(func(h []byte) { h[8] = 0 })},
		{"IPv4 from 127.0.0.1", v4(source("127.0.0.1"))},
		{"IPv4 from 224.0.0.1", v4(source("224.0.0.1"))},
		{"IPv4 from 255.255.255.255", v4(source("255.255.255.255"))},
		{"IPv4 from the router's own address", v4(source("192.0.2.1"))},
		{"IPv4 to 127.0.0.1", v4(func(h []byte) { copy(h[16:], []byte{127, 0, 0, 1}) })},
		{"IPv4 to 240.0.0.1", v4(func(h []byte) { copy(h[16:], []byte{240, 0, 0, 1}) })},
		{"IPv4 to the broadcast address of another link", v4(func(h []byte) { copy(h[16:], []byte{198, 51, 100, 255}) })},
		{"IPv4 in a broadcast frame, to a host", append([]byte{255, 255, 255, 255, 255, 255}, v4(func([]byte) {})[6:]...)},
		{"IPv4 to where no route leads", v4(func(h []byte) { copy(h[16:], []byte{10, 0, 0, 1}) })},
		{"IPv6, version 4", func() []byte {
			b := v6("2001:db8:1::2", "2001:db8:9::1", 64, 17, make([]byte, 8))
			b[0] = 0x40
			return frame(packet.EtherTypeIPv6, b)
		}()},
		{"IPv6, payload beyond the frame", func() []byte {
			b := v6("2001:db8:1::2", "2001:db8:9::1", 64, 17, make([]byte, 8))
			b[4] = 9
			return frame(packet.EtherTypeIPv6, b)
		}()},
		{"IPv6 cut off in its header", frame(packet.EtherTypeIPv6, v6("2001:db8:1::2", "2001:db8:9::1", 64, 17, nil)[:30])},
		{"IPv6, hop limit 1, to elsewhere", frame(packet.EtherTypeIPv6, v6("2001:db8:1::2", "2001:db8:9::1", 1, 17, make([]byte, 8)))},
		{"IPv6 from ::1", frame(packet.EtherTypeIPv6, v6("::1", "2001:db8:9::1", 64, 17, make([]byte, 8)))},
		{"IPv6 from ff02::1", frame(packet.EtherTypeIPv6, v6("ff02::1", "2001:db8:9::1", 64, 17, make([]byte, 8)))},
		{"IPv6 from a link-local address to elsewhere", frame(packet.EtherTypeIPv6, v6("fe80::99", "2001:db8:9::1", 64, 17, make([]byte, 8)))},
		{"ARP, cut off", frame(packet.EtherTypeARP, make([]byte, 20))},
		{"ARP for hardware type 6", arp(func(b []byte) { b[1] = 6 })},
		{"ARP, operation 9", arp(func(b []byte) { b[7] = 9 })},
		{"ARP from a multicast MAC address", arp(func(b []byte) { b[8] = 1 })},
		{"ARP reply that nobody asked for, from 192.0.2.66", arp(func(b []byte) { b[7] = 2; b[17] = 66 })},
		{"neighbour solicitation with hop limit 64", nd("2001:db8:1::66", "ff02::1:ff00:1", 64, packet.ND{Type: packet.ICMPv6NeighborSol, Target: target, LinkLayer: own})},
		{"neighbour solicitation for a multicast address", nd("2001:db8:1::66", "ff02::1:ff00:1", 255, packet.ND{Type: packet.ICMPv6NeighborSol, Target: netip.MustParseAddr("ff02::1"), LinkLayer: own})},
		{"neighbour advertisement that nobody asked for, of 2001:db8:1::66", nd("2001:db8:1::66", "ff02::1", 255, packet.ND{Type: packet.ICMPv6NeighborAdv, Target: netip.MustParseAddr("2001:db8:1::66"), LinkLayer: own, Override: true})},
		{"neighbour solicitation with a wrong checksum", func() []byte {
			f := nd("2001:db8:1::66", "ff02::1:ff00:1", 255, packet.ND{Type: packet.ICMPv6NeighborSol, Target: target, LinkLayer: own})
			f[len(f)-1]++
			return f
		}()},
	} {
		p.row(c.what, badPacket(t, l, s, wire, mac, c.frame))
	}
}

// badPacket sends one frame and says why it was dropped and what was answered.
func badPacket(t *testing.T, l *lab, s *session, wire *testnet.Wire, router intf.MAC, frame []byte) string {
	t.Helper()
	before := dropCounts(t, s)
	if err := wire.Send(frame); err != nil {
		return "the sender's kernel refuses it: " + err.Error()
	}
	var said []string
	answers := map[string]bool{}
	for deadline := time.Now().Add(120 * time.Millisecond); ; {
		f := wire.Receive(deadline)
		if f == nil {
			break
		}
		if a := describe(f, router); a != "" {
			answers[a] = true
		}
	}
	for reason, n := range dropCounts(t, s) {
		if n > before[reason] {
			said = append(said, "dropped, "+reason)
		}
	}
	slices.Sort(said)
	if out, _ := l.rcli("show", "neighbors"); strings.Contains(out, "192.0.2.66") || strings.Contains(out, "2001:db8:1::66") {
		said = append(said, "a neighbour is learned from it")
	}
	said = append(said, slices.Sorted(maps.Keys(answers))...)
	if len(said) == 0 {
		return "no answer, and nothing is learned from it"
	}
	return strings.Join(said, "; ")
}

// describe names what the router answers with; "" for what it says unasked.
func describe(f []byte, router intf.MAC) string {
	if len(f) < 42 || intf.MAC(f[6:12]) != router {
		return ""
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case packet.EtherTypeIPv4:
		if f[23] == 1 && f[34] != 0 && f[34] != 8 {
			return fmt.Sprintf("answered by ICMP type %d code %d", f[34], f[35])
		}
	case packet.EtherTypeIPv6:
		if len(f) > 56 && f[20] == 58 && f[54] < 128 {
			return fmt.Sprintf("answered by ICMPv6 type %d code %d", f[54], f[55])
		}
	}
	return ""
}
