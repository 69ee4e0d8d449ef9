package bpf

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"router/dataplane/session"
	"router/intf"
)

// segment4 and segment6 are packets with ports, big-endian as they stand.
func segment4(protocol byte, src, dst string, ports ...byte) []byte {
	h := append(ipv4(dst), ports...)
	h[9] = protocol
	copy(h[12:], netip.MustParseAddr(src).AsSlice())
	return h
}

func segment6(next byte, src, dst string, ports ...byte) []byte {
	h := ipv6(next, dst, ports...)
	copy(h[8:], netip.MustParseAddr(src).AsSlice())
	return h
}

func ofPort(protocol, port int) session.Match {
	return session.Match{Fields: session.HasProtocol | session.HasLocalPort, Protocol: session.Protocol(protocol), LocalPort: uint16(port)}
}

// sorted is the list of sessions that a table of these would go by.
func sorted(kernel map[session.Match]bool) (list []Session) {
	for m, k := range kernel {
		list = append(list, Session{Match: m, Shape: m.Shape(), Inet: true, Inet6: true, Kernel: k})
	}
	slices.SortFunc(list, func(a, b Session) int { return a.Shape.Compare(b.Shape) })
	return list
}

var (
	addr4 = netip.MustParseAddr("192.0.2.1")
	addr6 = netip.MustParseAddr("2001:db8::1")
)

func sharing(sessions []Session) []Claim {
	return []Claim{{Tags: untagged, Shared: []netip.Addr{addr4, addr6}, Sessions: sessions}, {Tags: vlan100}}
}

func TestSessionsShareAnAddress(t *testing.T) {
	s := load(t, intf.Shared)
	p := netip.MustParsePrefix
	kernel := map[session.Match]bool{
		ofPort(6, 22): true,
		{Fields: session.HasProtocol | session.HasLocalPort, Protocol: 6, LocalPort: 22, Remote: p("198.51.100.0/25")}:   false,
		{Fields: session.HasProtocol | session.HasLocalPort, Protocol: 6, LocalPort: 22, Remote: p("2001:db8:9::/48")}:   false,
		{Fields: session.HasProtocol | session.HasRemotePort, Protocol: 17, RemotePort: 53, Local: p("2001:db8::1/128")}: true,
		ofPort(1, 8): true, ofPort(6, 179): false, {Fields: session.HasProtocol, Protocol: 6}: false, {Fragment: true}: true, {}: false,
	}
	if err := s.SetClaims(sharing(sorted(kernel))); err != nil {
		t.Fatal(err)
	}
	const far4, near4, far6, near6 = "203.0.113.9", "198.51.100.9", "2001:db8:8::9", "2001:db8:9::9"
	later := segment4(6, far4, "192.0.2.1", 0, 22, 0, 22)
	later[7] = 5
	options := append([]byte(nil), segment4(6, far4, "192.0.2.1")...)
	options[0] = 0x46
	options = append(options, 1, 1, 1, 1, 99, 99, 0, 22)
	for _, c := range []struct {
		name   string
		frame  []byte
		kernel bool
	}{
		{"its port", frame(nil, 0x0800, segment4(6, far4, "192.0.2.1", 99, 99, 0, 22)), true},
		{"its port behind options", frame(nil, 0x0800, options), true},
		{"its port over IPv6", frame(nil, 0x86dd, segment6(6, far6, "2001:db8::1", 99, 99, 0, 22)), true},
		{"its port, from somebody else's network", frame(nil, 0x0800, segment4(6, near4, "192.0.2.1", 99, 99, 0, 22)), false},
		{"its port, from somebody else's network over IPv6", frame(nil, 0x86dd, segment6(6, near6, "2001:db8::1", 99, 99, 0, 22)), false},
		{"its port at another address", frame(nil, 0x0800, segment4(6, far4, "192.0.2.7", 99, 99, 0, 22)), false},
		{"its port as source", frame(nil, 0x0800, segment4(6, far4, "192.0.2.1", 0, 22, 99, 99)), false},
		{"another protocol's port", frame(nil, 0x0800, segment4(17, far4, "192.0.2.1", 99, 99, 0, 22)), false},
		{"another port", frame(nil, 0x0800, segment4(6, far4, "192.0.2.1", 99, 99, 0, 179)), false},
		{"from a port", frame(nil, 0x86dd, segment6(17, far6, "2001:db8::1", 0, 53, 99, 99)), true},
		{"from a port over IPv4", frame(nil, 0x0800, segment4(17, far4, "192.0.2.1", 0, 53, 99, 99)), false},
		{"echo", frame(nil, 0x0800, segment4(1, far4, "192.0.2.1", 8, 0)), true},
		{"echo reply", frame(nil, 0x0800, segment4(1, far4, "192.0.2.1", 0, 0)), false},
		{"a later fragment of what is not its protocol", frame(nil, 0x0800, later), false},
		{"a later fragment", func() []byte { f := append([]byte(nil), later...); f[9] = 99; return frame(nil, 0x0800, f) }(), true},
		{"behind extension headers", frame(nil, 0x86dd, segment6(60, far6, "2001:db8::1", 6, 0, 1, 4, 0, 0, 0, 0, 99, 99, 0, 22)), false},
		{"through", frame(nil, 0x0800, segment4(6, far4, "203.0.113.7", 99, 99, 0, 22)), false},
		{"ARP for the address", frame(nil, 0x0806, arp(1, "192.0.2.1")), false},
		{"solicitation of the address", frame(nil, 0x86dd, nd(135, "ff02::1:ff00:1", "2001:db8::1")), false},
		{"advertisement to the address", frame(nil, 0x86dd, nd(136, "2001:db8::1", "2001:db8::7")), false},
		{"in a VLAN that is the router's", frame([][2]uint16{{0x8100, 100}}, 0x0800, segment4(6, far4, "192.0.2.1", 99, 99, 0, 22)), false},
	} {
		want := map[string]uint32{"take": xdpDrop, "hide": tcShot}
		if c.kernel {
			want = map[string]uint32{"take": xdpPass, "hide": tcNext}
		}
		for name, want := range want {
			if got := run(t, s, name, false, c.frame); got != want {
				t.Errorf("%s: %s answers %d, want %d", c.name, name, got, want)
			}
		}
	}
}

func TestSessionsAreReplaced(t *testing.T) {
	s := load(t, intf.Shared)
	at := func(port byte) []byte {
		return frame(nil, 0x0800, segment4(6, "203.0.113.9", "192.0.2.1", 99, 99, 0, port))
	}
	all := []Claim{{Tags: untagged, Kernel: []netip.Addr{addr4}}, {Tags: vlan100}}
	for _, step := range []struct {
		name     string
		claims   []Claim
		ssh, bgp uint32
	}{
		{"all is the kernel's", all, xdpPass, xdpPass},
		{"ssh is", sharing(sorted(map[session.Match]bool{ofPort(6, 22): true})), xdpPass, xdpDrop},
		{"BGP is", sharing(sorted(map[session.Match]bool{ofPort(6, 179): true})), xdpDrop, xdpPass},
		{"the same", sharing(sorted(map[session.Match]bool{ofPort(6, 179): true})), xdpDrop, xdpPass},
		{"both are", sharing(sorted(map[session.Match]bool{ofPort(6, 22): true, ofPort(6, 179): true})), xdpPass, xdpPass},
		{"all but ssh is", sharing(sorted(map[session.Match]bool{ofPort(6, 22): false, {}: true})), xdpDrop, xdpPass},
		{"nothing is", sharing(sorted(map[session.Match]bool{ofPort(6, 22): false})), xdpDrop, xdpDrop},
		{"all is again", all, xdpPass, xdpPass},
		{"the router claims nothing", nil, xdpPass, xdpPass},
	} {
		if err := s.SetClaims(step.claims); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if ssh, bgp := run(t, s, "take", false, at(22)), run(t, s, "take", false, at(179)); ssh != step.ssh || bgp != step.bgp {
			t.Errorf("%s: answers %d to ssh and %d to BGP, want %d and %d", step.name, ssh, bgp, step.ssh, step.bgp)
		}
	}
	for _, name := range mapNames[:3] {
		var key, value []byte
		if s.maps[name].Iterate().Next(&key, &value) {
			t.Errorf("map %s keeps %v after all claims went", name, key)
		}
	}
	var key, value []byte
	if s.maps["sessions"].Iterate().Next(&key, &value) {
		t.Errorf("map sessions keeps %v after all claims went", key)
	}
}

func TestTooManySessionsAreRefused(t *testing.T) {
	s := load(t, intf.Shared)
	many := map[session.Match]bool{}
	for i := range maxShapes + 1 {
		many[session.Match{Remote: netip.PrefixFrom(addr6, 20+i).Masked()}] = true
	}
	err := s.SetClaims(sharing(sorted(many)))
	if err == nil || !strings.Contains(err.Error(), "more than 32 shapes") {
		t.Errorf("33 shapes: %v", err)
	}
	one := sorted(map[session.Match]bool{ofPort(6, 22): true})
	two := sharing(one)
	two[1].Sessions = one
	if err := s.SetClaims(two); err == nil || !strings.Contains(err.Error(), "another claim") {
		t.Errorf("sessions of two claims: %v", err)
	}
	if err := s.SetClaims(sharing(one)); err != nil {
		t.Errorf("after refusals: %v", err)
	}
}

// TestProgramAgreesWithTable: the program leaves to the kernel what the session
// table of the user path would.
func TestProgramAgreesWithTable(t *testing.T) {
	s := load(t, intf.Shared)
	r := rand.New(rand.NewPCG(1, 1))
	ports := []int{0, 22, 179, 65535}
	remotes := []string{"198.51.100.9", "198.51.100.200", "10.0.0.1"}
	for round := range 20 {
		kernel := map[session.Match]bool{}
		table := session.New[bool]()
		for range 12 {
			var m session.Match
			if r.IntN(4) > 0 {
				m.Fields, m.Protocol = session.HasProtocol, session.Protocol([]int{1, 6, 17, 89}[r.IntN(4)])
			}
			if r.IntN(2) == 0 {
				m.Fields, m.LocalPort = m.Fields|session.HasLocalPort, uint16(ports[r.IntN(4)])
			}
			if r.IntN(3) == 0 {
				m.Fields, m.RemotePort = m.Fields|session.HasRemotePort, uint16(ports[r.IntN(4)])
			}
			if r.IntN(3) == 0 {
				m.Remote = netip.PrefixFrom(netip.MustParseAddr(remotes[r.IntN(3)]), []int{0, 8, 24, 25, 32}[r.IntN(5)]).Masked()
			}
			m.Fragment = r.IntN(6) == 0
			kernel[m] = r.IntN(2) == 0
		}
		for m, k := range kernel {
			table.Set(m, &k)
		}
		if err := s.SetClaims(sharing(sorted(kernel))); err != nil {
			t.Fatal(err)
		}
		prog, err := s.program("take", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			protocol := []int{1, 6, 17, 89}[r.IntN(4)]
			local, remote := ports[r.IntN(4)], ports[r.IntN(4)]
			src := remotes[r.IntN(3)]
			later := r.IntN(5) == 0
			packet := segment4(byte(protocol), src, "192.0.2.1", byte(remote>>8), byte(remote), byte(local>>8), byte(local))
			if later {
				packet[7] = 9
			}
			var key session.Key
			noPorts := later || protocol == 89
			switch {
			case noPorts:
				local, remote = 0, 0
			case protocol == 1:
				local, remote = int(packet[20]), 0
			}
			key.Set(session.Protocol(protocol), uint16(local), uint16(remote), noPorts, later, 0, 1)
			a := netip.MustParseAddr(src).As4()
			key.SetAddrs4(0xc0000201, uint32(a[0])<<24|uint32(a[1])<<16|uint32(a[2])<<8|uint32(a[3]))
			want := uint32(xdpDrop)
			if v := table.Lookup(&key); v != nil && *v {
				want = xdpPass
			}
			got, err := prog.Run(runOptions(frame(nil, 0x0800, packet)))
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Fatalf("round %d: % x is answered by %d, want %d; sessions %s", round, packet, got, want, fmt.Sprint(kernel))
			}
		}
		if err := prog.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
