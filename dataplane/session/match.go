package session

import (
	"cmp"
	"encoding/binary"
	"net/netip"

	"router/intf"
)

// A Protocol is an IP protocol number, or ARP.
type Protocol uint16

// ARP stands for ARP packets, which have no IP protocol number: their target is
// the local address, their sender the remote one.
const ARP Protocol = 256

// numProtocols bounds the values of Protocol.
const numProtocols = 257

// Fields says which fields of a Match count. Prefixes count when they are valid.
type Fields uint8

// The fields.
const (
	HasProtocol Fields = 1 << iota
	HasLocalPort
	HasRemotePort
	HasInstance
	HasIfIndex
)

// A Match names the packets of an entry. Fields stand in the order of their
// weight. The zero Match matches everything. Two prefixes are of one family.
type Match struct {
	Fields     Fields
	Protocol   Protocol
	LocalPort  uint16       // the destination port; the type of ICMP and ICMPv6
	RemotePort uint16       // the source port
	Local      netip.Prefix // of the destination address; masked
	Remote     netip.Prefix // of the source address; masked
	Instance   uint32       // that recognised the destination
	IfIndex    intf.Index   // the unit that the packet came in by
	// Fragment wants a fragment other than the first. Such a one has no ports,
	// and matches nothing that names one.
	Fragment bool
}

// Shape is what orders matches: the more specific of two has the larger one, and
// two of the same shape differ in values only. It is comparable.
type Shape struct {
	fields   Fields
	fragment bool
	// One more than the prefix length, 0 for wild. IPv4 and IPv6 never match the
	// same packet, so the same number may be of either.
	local, remote uint8
	local6        bool // the local prefix is of IPv6
	remote6       bool
}

// Shape returns the shape of m.
func (m Match) Shape() Shape {
	s := Shape{fields: m.Fields, fragment: m.Fragment}
	if m.Local.IsValid() {
		s.local, s.local6 = uint8(m.Local.Bits())+1, m.Local.Addr().Is6()
	}
	if m.Remote.IsValid() {
		s.remote, s.remote6 = uint8(m.Remote.Bits())+1, m.Remote.Addr().Is6()
	}
	return s
}

// Compare orders shapes, the more specific one first.
func (s Shape) Compare(o Shape) int {
	has := func(f Fields) int { return cmp.Compare(o.fields&f, s.fields&f) }
	return cmp.Or(
		has(HasProtocol), has(HasLocalPort), has(HasRemotePort),
		cmp.Compare(o.local, s.local), cmp.Compare(o.remote, s.remote),
		has(HasInstance), has(HasIfIndex), compareBool(o.fragment, s.fragment),
		compareBool(o.local6, s.local6), compareBool(o.remote6, s.remote6),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// A Key is what a packet is looked up by. Set and the other methods fill it; it is
// plain data, and reused without being cleared.
type Key struct {
	// head holds what is not an address, in the places that shape.head masks.
	head [2]uint64
	// addr holds the local and the remote address, IPv4 in the low half.
	addr [4]uint64
}

// Bits of head[0]; head[1] holds instance and if_index.
const (
	shiftProtocol   = 0
	shiftLocalPort  = 16
	shiftRemotePort = 32
	bitFragment     = 1 << 48
	bitInet6        = 1 << 49
	bitNoPorts      = 1 << 50
)

// Set fills everything but the addresses. noPorts is for a packet that has no
// ports in it; fragment says that this is because it is a later fragment.
func (k *Key) Set(p Protocol, local, remote uint16, noPorts, fragment bool, instance uint32, i intf.Index) {
	k.head[0] = uint64(p) | uint64(local)<<shiftLocalPort | uint64(remote)<<shiftRemotePort
	if noPorts {
		k.head[0] |= bitNoPorts
	}
	if fragment {
		k.head[0] |= bitFragment
	}
	k.head[1] = uint64(instance)<<32 | uint64(i)
}

// SetAddrs4 fills the addresses of IPv4 and ARP, in host byte order. It comes
// after Set.
func (k *Key) SetAddrs4(local, remote uint32) {
	k.addr = [4]uint64{0, uint64(local), 0, uint64(remote)}
}

// SetAddrs6 fills the addresses of IPv6, in host byte order. It comes after Set.
func (k *Key) SetAddrs6(localHi, localLo, remoteHi, remoteLo uint64) {
	k.head[0] |= bitInet6
	k.addr = [4]uint64{localHi, localLo, remoteHi, remoteLo}
}

// protocol is the packet's.
func (k *Key) protocol() Protocol { return Protocol(k.head[0] >> shiftProtocol & 0xffff) }

// key is the one Key, under the mask of its shape, that packets of m have.
func (m Match) key() Key {
	var k Key
	k.Set(m.Protocol, m.LocalPort, m.RemotePort, false, m.Fragment, m.Instance, m.IfIndex)
	set := func(hi, lo *uint64, p netip.Prefix) {
		if !p.IsValid() {
			return
		}
		a := p.Addr().As16()
		*hi, *lo = binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
		if p.Addr().Is4() {
			*hi, *lo = 0, *lo&0xffffffff
			return
		}
		k.head[0] |= bitInet6
	}
	set(&k.addr[0], &k.addr[1], m.Local)
	set(&k.addr[2], &k.addr[3], m.Remote)
	mask := m.Shape().mask()
	return mask.apply(&k)
}

// mask has the bits of a Key that a shape looks at.
func (s Shape) mask() mask {
	var m mask
	if s.fields&HasProtocol != 0 {
		m.key.head[0] |= 0xffff << shiftProtocol
	}
	// A packet without ports has bitNoPorts, and so is unlike any entry with them.
	if s.fields&HasLocalPort != 0 {
		m.key.head[0] |= 0xffff<<shiftLocalPort | bitNoPorts
	}
	if s.fields&HasRemotePort != 0 {
		m.key.head[0] |= 0xffff<<shiftRemotePort | bitNoPorts
	}
	if s.fields&HasInstance != 0 {
		m.key.head[1] |= 0xffffffff << 32
	}
	if s.fields&HasIfIndex != 0 {
		m.key.head[1] |= 0xffffffff
	}
	if s.fragment {
		m.key.head[0] |= bitFragment
	}
	if s.local != 0 || s.remote != 0 {
		m.addresses = true
		m.key.head[0] |= bitInet6
		m.key.addr[0], m.key.addr[1] = prefixMask(s.local, s.local6)
		m.key.addr[2], m.key.addr[3] = prefixMask(s.remote, s.remote6)
	}
	return m
}

// prefixMask is the mask of a prefix of length n-1; 0 is for none.
func prefixMask(n uint8, six bool) (hi, lo uint64) {
	switch {
	case n == 0:
		return 0, 0
	case !six:
		return 0, uint64(uint32(0xffffffff) << (33 - n))
	case n <= 65:
		return ^uint64(0) << (65 - n), 0
	}
	return ^uint64(0), ^uint64(0) << (129 - n)
}

// A mask is the bits of a Key that count.
type mask struct {
	key       Key
	addresses bool // some bit of the addresses counts
}

func (m *mask) apply(k *Key) Key {
	var r Key
	r.head[0], r.head[1] = k.head[0]&m.key.head[0], k.head[1]&m.key.head[1]
	if m.addresses {
		for i := range r.addr {
			r.addr[i] = k.addr[i] & m.key.addr[i]
		}
	}
	return r
}
