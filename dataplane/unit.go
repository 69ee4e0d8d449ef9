package dataplane

import (
	"cmp"
	"net/netip"
	"slices"

	"router/dataplane/filter"
	"router/dataplane/layout"
	"router/dataplane/packet"
	"router/intf"
	"router/vrf/fib"
)

// A PortID names a port of an Engine. 0 names none. Ids of removed ports are
// used again.
type PortID uint32

// A Unit is what the packet path has to know of a unit (ifl).
type Unit struct {
	Index    intf.Index
	Port     PortID    // 0: the unit has no port; its packets are dropped as "egress-down"
	VLAN     intf.VLAN // the whole tag stack, outermost first
	MAC      intf.MAC  // its station address
	Families [2]UnitFamily

	// Loopback says that the unit has no link: its input-local and output-local
	// filters are for all packets of its instances, behind those of their own units.
	Loopback bool
}

// A UnitFamily is a family (iff) of a Unit; the zero UnitFamily is down.
type UnitFamily struct {
	Up       bool
	Instance uint32     // routing instance in which lookups begin
	MTU      uint16     // octets of the largest network-layer packet to send
	Primary  netip.Addr // source of ICMP errors about what arrives here; may be zero
	RPF      intf.RPFCheck
	Locals   []netip.Addr // this unit's own addresses, link-local ones included
	// Redirects are our addresses in the networks that hosts are redirected in,
	// host bits kept; empty for no redirects.
	Redirects []netip.Prefix

	// Filters are what its packets have to pass at each hook, nil where all pass, and
	// Group is the number that filters match as its interface group.
	Filters [filter.NumHooks]*filter.Bound
	Group   uint32
}

// unit is a Unit as workers read it: immutable, and complete for one packet.
type unit struct {
	index   intf.Index
	port    PortID
	station uint64 // MAC as the little-endian number that a frame starts with
	fam     [2]family
	stats   *unitStats // shared by all versions of the unit
	spec    Unit
}

type family struct {
	up       bool
	hooks    hookSet // where spec has filters
	rpf      intf.RPFCheck
	instance uint32
	table    *fib.Table // of instance; nil while it has none
	sources  *fib.Table // that sources are checked in; nil where table is
	mtu      uint16
	own      addressSet

	redirects []netip.Prefix
}

// unitStats has a block for each worker, and one for packets that are traced,
// which nobody counts.
type unitStats struct {
	blocks []counterBlock
	past   [layout.TallyWords]uint64 // of a faster path, at places that it has left; under Engine.mu
}

func newUnitStats(workers int) *unitStats { return &unitStats{blocks: make([]counterBlock, workers+1)} }

// counted are the blocks of the workers.
func (s *unitStats) counted() []counterBlock { return s.blocks[:len(s.blocks)-1] }

// addressSet is the addresses of a unit, mostly few. A filter of 64 bits spares
// nearly every foreign address the search.
type addressSet struct {
	filter uint64
	v4     []uint32    // sorted
	v6     [][2]uint64 // sorted
}

func newAddressSet(addrs []netip.Addr) addressSet {
	var s addressSet
	for _, a := range addrs {
		if a.Is4() {
			x := addr4(a)
			s.v4 = append(s.v4, x)
			s.filter |= 1 << (x & 63)
			continue
		}
		hi, lo := addr6(a)
		s.v6 = append(s.v6, [2]uint64{hi, lo})
		s.filter |= 1 << (lo & 63)
	}
	slices.Sort(s.v4)
	slices.SortFunc(s.v6, compare6)
	return s
}

func compare6(a, b [2]uint64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// may4 and may6 report false for nearly all addresses that the set does not have, lo
// being the lower half of an IPv6 address.
func (s *addressSet) may4(a uint32) bool { return s.filter>>(a&63)&1 != 0 }

func (s *addressSet) may6(lo uint64) bool { return s.filter>>(lo&63)&1 != 0 }

func (s *addressSet) has4(a uint32) bool {
	return s.filter>>(a&63)&1 != 0 && s.find4(a)
}

func (s *addressSet) find4(a uint32) bool {
	_, found := slices.BinarySearch(s.v4, a)
	return found
}

func (s *addressSet) has6(hi, lo uint64) bool {
	return s.filter>>(lo&63)&1 != 0 && s.find6(hi, lo)
}

func (s *addressSet) find6(hi, lo uint64) bool {
	_, found := slices.BinarySearchFunc(s.v6, [2]uint64{hi, lo}, compare6)
	return found
}

// header writes the unit's Ethernet header for a frame to dst and returns its
// length.
func (u *unit) header(b []byte, dst intf.MAC, etherType uint16) int {
	return packet.PutEthernet(b, dst, u.spec.MAC, u.spec.VLAN, etherType)
}

// maxHeader is the longest header that a unit writes: two tags.
const maxHeader = packet.EthernetHeaderLen + 2*packet.TagLen

func stationOf(m intf.MAC) uint64 {
	return uint64(m[0]) | uint64(m[1])<<8 | uint64(m[2])<<16 | uint64(m[3])<<24 | uint64(m[4])<<32 | uint64(m[5])<<40
}
