package session

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"router/intf"
)

// A pkt is a packet as the oracle sees it.
type pkt struct {
	protocol      Protocol
	local, remote netip.Addr
	lport, rport  uint16
	ports         bool
	fragment      bool
	instance      uint32
	ifindex       intf.Index
}

func (p pkt) key() *Key {
	var k Key
	k.Set(p.protocol, p.lport, p.rport, !p.ports, p.fragment, p.instance, p.ifindex)
	l, r := p.local.As16(), p.remote.As16()
	if p.local.Is4() {
		k.SetAddrs4(binary.BigEndian.Uint32(l[12:]), binary.BigEndian.Uint32(r[12:]))
	} else {
		k.SetAddrs6(binary.BigEndian.Uint64(l[:8]), binary.BigEndian.Uint64(l[8:]), binary.BigEndian.Uint64(r[:8]), binary.BigEndian.Uint64(r[8:]))
	}
	return &k
}

// matches and better are the oracle: what the package's comment says, in words
// of one field each.
func matches(m Match, p pkt) bool {
	switch {
	case m.Fields&HasProtocol != 0 && m.Protocol != p.protocol,
		m.Fields&HasLocalPort != 0 && (!p.ports || m.LocalPort != p.lport),
		m.Fields&HasRemotePort != 0 && (!p.ports || m.RemotePort != p.rport),
		m.Local.IsValid() && !m.Local.Contains(p.local),
		m.Remote.IsValid() && !m.Remote.Contains(p.remote),
		m.Fields&HasInstance != 0 && m.Instance != p.instance,
		m.Fields&HasIfIndex != 0 && m.IfIndex != p.ifindex,
		m.Fragment && !p.fragment:
		return false
	}
	return true
}

func better(a, b Match) bool {
	rank := func(m Match) [8]int {
		bit := func(f Fields) int {
			if m.Fields&f != 0 {
				return 1
			}
			return 0
		}
		bits := func(p netip.Prefix) int { return p.Bits() + 1 } // 0 for none
		r := [8]int{bit(HasProtocol), bit(HasLocalPort), bit(HasRemotePort), bits(m.Local), bits(m.Remote), bit(HasInstance), bit(HasIfIndex), 0}
		if m.Fragment {
			r[7] = 1
		}
		return r
	}
	x, y := rank(a), rank(b)
	return slices.Compare(x[:], y[:]) > 0
}

func linear(entries map[Match]*int, p pkt) *int {
	var best *Match
	for m := range entries {
		if matches(m, p) && (best == nil || better(m, *best)) {
			best = &m
		}
	}
	if best == nil {
		return nil
	}
	return entries[*best]
}

// Small domains, so that random entries and packets meet.
var (
	protocols = []Protocol{0, 1, 6, 17, 89, 255, ARP}
	ports     = []uint16{0, 22, 179, 65535}
	addrs     = []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.129"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("0.0.0.0"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::8000:0:0:1"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("::c000:201"),
	}
	lengths4 = []int{0, 8, 24, 25, 32}
	lengths6 = []int{0, 1, 64, 65, 128}
)

// A dice gives numbers below n.
type dice func(n int) int

func pick[T any](d dice, list []T) T { return list[d(len(list))] }

func (d dice) prefix() netip.Prefix {
	a := pick(d, addrs)
	if a.Is4() {
		return netip.PrefixFrom(a, pick(d, lengths4)).Masked()
	}
	return netip.PrefixFrom(a, pick(d, lengths6)).Masked()
}

func (d dice) match() (m Match) {
	if d(3) > 0 {
		m.Fields, m.Protocol = m.Fields|HasProtocol, pick(d, protocols)
	}
	if d(3) == 0 {
		m.Fields, m.LocalPort = m.Fields|HasLocalPort, pick(d, ports)
	}
	if d(4) == 0 {
		m.Fields, m.RemotePort = m.Fields|HasRemotePort, pick(d, ports)
	}
	if d(3) == 0 {
		m.Local = d.prefix()
	}
	if d(3) == 0 {
		m.Remote = d.prefix()
	}
	if m.Local.IsValid() && m.Remote.IsValid() && m.Local.Addr().Is4() != m.Remote.Addr().Is4() {
		m.Remote = netip.Prefix{}
	}
	if d(4) == 0 {
		m.Fields, m.Instance = m.Fields|HasInstance, uint32(d(2))
	}
	if d(4) == 0 {
		m.Fields, m.IfIndex = m.Fields|HasIfIndex, intf.Index(d(2))
	}
	m.Fragment = d(6) == 0
	return m
}

func (d dice) packet() pkt {
	p := pkt{protocol: pick(d, protocols), local: pick(d, addrs), lport: pick(d, ports), rport: pick(d, ports), ports: true,
		instance: uint32(d(2)), ifindex: intf.Index(d(2))}
	for p.remote = pick(d, addrs); p.remote.Is4() != p.local.Is4(); p.remote = pick(d, addrs) {
	}
	if d(5) == 0 {
		p.ports, p.lport, p.rport, p.fragment = false, 0, 0, d(2) == 0
	}
	return p
}

// run changes a table at random and compares it with the oracle.
func run(t *testing.T, d dice, steps int) {
	table, entries := New[int](), map[Match]*int{}
	var order []Match
	for i := range steps {
		switch n := d(8); {
		case n < 4:
			m, v := d.match(), new(int)
			*v = i
			if _, ok := entries[m]; !ok {
				order = append(order, m)
			}
			entries[m] = v
			table.Set(m, v)
		case n == 4 && len(order) > 0:
			at := d(len(order))
			m := order[at]
			order = slices.Delete(order, at, at+1)
			if table.Delete(m, new(int)) {
				t.Fatalf("%+v: deleted by a value that it does not have", m)
			}
			if !table.Delete(m, entries[m]) {
				t.Fatalf("%+v is not there to be deleted", m)
			}
			delete(entries, m)
		default:
			p := d.packet()
			if got, want := table.Lookup(p.key()), linear(entries, p); got != want {
				t.Fatalf("step %d: %+v leads to %v, want %v", i, p, text(table, got), text(table, want))
			}
		}
	}
	if table.Len() != len(entries) {
		t.Fatalf("%d entries, want %d", table.Len(), len(entries))
	}
	for m, v := range table.All {
		if entries[m] != v {
			t.Fatalf("All yields %+v, which is not there", m)
		}
	}
}

func text(t *Table[int], v *int) string {
	if v == nil {
		return "nothing"
	}
	for m, w := range t.All {
		if w == v {
			return fmt.Sprintf("entry %d %+v", *v, m)
		}
	}
	return fmt.Sprintf("entry %d, which is gone", *v)
}

func TestTableAgainstLinear(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		run(t, r.IntN, 1000)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("a table is what its oracle says it is, whatever is done to it, in whatever order"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i := 0
		d := dice(func(n int) int {
			if i++; i > len(b) {
				return 0
			}
			return int(b[i-1]) % n
		})
		run(t, d, len(b)/4)
	})
}

func TestSpecificity(t *testing.T) {
	p := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	// From the most specific one on.
	order := []Match{
		{Fields: HasProtocol | HasLocalPort | HasRemotePort, Protocol: 6, LocalPort: 179, RemotePort: 179},
		{Fields: HasProtocol | HasLocalPort | HasIfIndex, Protocol: 6, LocalPort: 179, Local: p("192.0.2.1/32"), IfIndex: 1},
		{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 179, Remote: p("192.0.2.0/24")},
		{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 179, Remote: p("192.0.2.0/23")},
		{Fields: HasProtocol | HasLocalPort | HasInstance, Protocol: 6, LocalPort: 179},
		{Fields: HasProtocol | HasLocalPort | HasIfIndex, Protocol: 6, LocalPort: 179, IfIndex: 1},
		{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 179},
		{Fields: HasProtocol | HasRemotePort, Protocol: 6, RemotePort: 179},
		{Fields: HasProtocol, Protocol: 6},
		{Remote: p("192.0.2.0/24")},
		{},
	}
	packet := pkt{protocol: 6, local: addrs[0], remote: addrs[1], lport: 179, rport: 179, ports: true, ifindex: 1}
	table := New[int]()
	values := make([]int, len(order))
	for i, m := range slices.Backward(order) {
		values[i] = i
		table.Set(m, &values[i])
		if got := table.Lookup(packet.key()); got == nil || *got != i {
			t.Errorf("with %+v and what is less specific, the packet goes to %s", m, text(table, got))
		}
	}
	packet.ports, packet.lport, packet.rport, packet.fragment = false, 0, 0, true
	if got := table.Lookup(packet.key()); *got != 8 {
		t.Errorf("a later fragment goes to %s", text(table, got))
	}
}

// TestConcurrentLookup: an entry that stays is found whatever happens around it.
func TestConcurrentLookup(t *testing.T) {
	table := New[int]()
	stays, value := Match{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 179}, new(int)
	table.Set(stays, value)
	packet := pkt{protocol: 6, local: addrs[0], remote: addrs[1], lport: 179, ports: true}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if table.Lookup(packet.key()) != value {
					t.Error("the entry was not found")
					return
				}
			}
		})
	}
	other := new(int)
	for range 200 {
		for i := range uint16(100) {
			table.Set(Match{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 1000 + i}, other)
			table.Set(Match{Fields: HasProtocol, Protocol: Protocol(i)}, other)
		}
		for i := range uint16(100) {
			table.Delete(Match{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 1000 + i}, other)
			table.Delete(Match{Fields: HasProtocol, Protocol: Protocol(i)}, other)
		}
	}
	close(done)
	wg.Wait()
	if table.Len() != 1 || table.Shapes() != 1 {
		t.Errorf("%d entries of %d shapes are left", table.Len(), table.Shapes())
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := New[int]()
	v := new(int)
	d := dice(rand.New(rand.NewPCG(1, 2)).IntN)
	for range 1000 {
		table.Set(d.match(), v)
	}
	p := d.packet()
	if n := testing.AllocsPerRun(100, func() {
		var k Key
		k.Set(p.protocol, p.lport, p.rport, false, false, p.instance, p.ifindex)
		k.SetAddrs4(1, 2)
		table.Lookup(&k)
	}); n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
}

// BenchmarkLookup: entries are sessions with all ports and addresses, as those of
// established connections, on top of a default policy of eight shapes.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{0, 10, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table, v := New[int](), new(int)
			session := func(i int) Match {
				return Match{
					Fields: HasProtocol | HasLocalPort | HasRemotePort, Protocol: 6, LocalPort: 179, RemotePort: uint16(i),
					Local:  netip.PrefixFrom(addrs[0], 32),
					Remote: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32),
				}
			}
			for i := range n {
				table.Set(session(i), v)
			}
			if n > 0 {
				for _, m := range []Match{
					{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 179}, {Fields: HasProtocol | HasRemotePort, Protocol: 6, RemotePort: 179},
					{Fields: HasProtocol | HasLocalPort, Protocol: 17, LocalPort: 53}, {Fields: HasProtocol, Protocol: 89}, {Fragment: true}, {},
				} {
					table.Set(m, v)
				}
			}
			var keys [1024]Key
			for i := range keys {
				k := rand.IntN(max(n, 1))
				m := session(k)
				keys[i] = *pkt{protocol: 6, local: m.Local.Addr(), remote: m.Remote.Addr(), lport: 179, rport: m.RemotePort, ports: true}.key()
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if table.Lookup(&keys[i&1023]) == nil && n > 0 {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkLookupLast is the longest way: a packet that only the last resort
// matches, beside n sessions.
func BenchmarkLookupLast(b *testing.B) {
	table, v := New[int](), new(int)
	for i := range 1000 {
		table.Set(Match{Fields: HasProtocol | HasLocalPort | HasRemotePort, Protocol: 6, LocalPort: 179, RemotePort: uint16(i),
			Local: netip.PrefixFrom(addrs[0], 32), Remote: netip.PrefixFrom(addrs[1], 32)}, v)
	}
	for _, m := range []Match{{Fields: HasProtocol | HasLocalPort, Protocol: 6, LocalPort: 179}, {Fields: HasProtocol | HasRemotePort, Protocol: 6, RemotePort: 179}, {Fragment: true}, {}} {
		table.Set(m, v)
	}
	k := pkt{protocol: 6, local: addrs[0], remote: addrs[1], lport: 5001, rport: 40000, ports: true}.key()
	for b.Loop() {
		if table.Lookup(k) == nil {
			b.Fatal("not found")
		}
	}
}
