// Package layout is the form in which the user path writes its tables for
// programs in the kernel: records of 64-bit words, at offsets in the arena of
// the route tables (vrf/fib), which is mapped memory.
//
// The same records stand as C structures in dataplane/bpf/layout.h. A test in
// dataplane/bpf holds the two together, field by field, by the type information
// of the compiled program.
//
// The invariants: a record is complete before the one word that leads to it is
// stored, and never changes afterwards; what has to change in several words gets
// a fresh record. A record that nothing leads to is used again when both kinds
// of readers have passed (vrf/epoch). Everything is in the byte order of the
// machine, but for what goes on a wire.
package layout

import "math/bits"

// The words of the arena's directory.
const (
	// EntryNextHops leads to the table of next hops, two words each by id: its
	// offset in the upper half, the number of ids that it has room for in the
	// lower one.
	EntryNextHops = 0
	// EntryInstances leads likewise to the records of the instances' tables by the
	// instances' indexes, a word each, of which 0 is none.
	EntryInstances = 1
)

// The kinds of a next hop, in the lowest octet of its first word. What the word
// holds besides is in its upper half.
const (
	NextHopUp       = 0 // the user path knows what to do
	NextHopForward  = 1 // offset of a Neighbor
	NextHopDiscard  = 2
	NextHopLookup   = 3 // offset of a table's record
	NextHopIndirect = 4 // id of a next hop
	NextHopGroup    = 5 // offset of the buckets, u32 ids; log2 of their number in the second octet
)

// NextHopWord packs the first word of a next hop.
func NextHopWord(kind uint8, value uint32) uint64 { return uint64(value)<<32 | uint64(kind) }

// GroupWord packs the first word of a group with 1<<log buckets.
func GroupWord(buckets uint32, log uint8) uint64 {
	return uint64(buckets)<<32 | uint64(log)<<8 | NextHopGroup
}

// The second word of a next hop says where packets leave that follow it, for the
// check of sources: an if_index in the upper half and one of these in the lower.
const (
	EgressNone = 0 // no source may lead here
	EgressOne  = 1 // by the unit with that if_index
	EgressMany = 2 // by several units, or after another lookup: ask the user path
)

// EgressWord packs the second word of a next hop.
func EgressWord(how uint32, ifindex uint32) uint64 { return uint64(ifindex)<<32 | uint64(how) }

// AskFilter is the place of a filter that only the user path can judge.
const AskFilter = 8

// A Port is where the demux of a device's frames begins.
type Port struct {
	Untagged uint32 // number of the Unit without tags; 0 for none
	Tagged   uint32 // record of the table by TagKey1 and TagKey2, in the IPv4 half; 0 for none
}

// PortWords is the size of a Port.
const PortWords = 8

// Word is the one word that a Port has as yet: a unit comes, changes and goes by
// one store.
func (p Port) Word() uint64 { return uint64(p.Tagged)<<32 | uint64(p.Untagged) }

// TagKey1 and TagKey2 are what a tag stack is looked up by, tags as 15 bits.
func TagKey1(tag uint32) uint32          { return tag<<17 | 1 }
func TagKey2(outer, inner uint32) uint32 { return outer<<17 | inner<<2 | 2 }

// Flags of a UnitFamily.
const (
	FamilyUp        = 1 << 0 // packets of the family are taken
	FamilyRedirects = 1 << 1 // senders may be told of a better way
	FamilyAskIn     = 1 << 2 // packets that come in are the user path's: a filter
	FamilyRPFStrict = 1 << 3
	FamilyRPFLoose  = 1 << 4
)

// A UnitFamily is a family of a Unit.
type UnitFamily struct {
	Table   uint32 // record of the instance's table
	Sources uint32 // record of the table that sources are checked in
	// OwnBits has bit a&63 for each of the unit's own addresses a (of IPv6 the
	// lower half), which all others that share one of these bits are compared with.
	OwnBits  uint64
	Own      uint32 // offset of the addresses: a word each, or two for IPv6
	OwnCount uint8  // how many; OwnMany for more than are compared
	Flags    uint8
	Filter   uint32 // where its input filter stands (dataplane/bpf/filters); 0 for none
	Group    uint32 // its interface group
}

// OwnMany is an OwnCount that says: ask the user path.
const (
	OwnMany = 255
	OwnMost = 32
)

// A Unit is an ifl.
type Unit struct {
	Station  [6]byte // its link-layer address
	IfIndex  uint32
	Tally    uint32 // place of its counters
	Families [2]UnitFamily
}

// UnitWords is the size of a Unit. Its number is its offset divided by that.
const UnitWords = 16

// Words lays a unit out.
func (u *Unit) Words() (w [UnitWords]uint64) {
	for i, b := range u.Station {
		w[0] |= uint64(b) << (8 * i)
	}
	w[1] = uint64(u.Tally)<<32 | uint64(u.IfIndex)
	for i := range u.Families {
		f := &u.Families[i]
		at := w[2+4*i:]
		at[0] = uint64(f.Sources)<<32 | uint64(f.Table)
		at[1] = f.OwnBits
		at[2] = uint64(f.Flags)<<40 | uint64(f.OwnCount)<<32 | uint64(f.Own)
		at[3] = uint64(f.Group)<<32 | uint64(f.Filter)
	}
	return w
}

// Flags of a Neighbor.
const (
	NeighborStale = 1 << 0 // its use is to be reported, by a packet that the user path gets
)

// A Neighbor is all that sending to one takes. Its last word is the programs' own:
// when one handed a packet up to report that a stale neighbour is in use.
type Neighbor struct {
	Header    [24]byte // the frame's first octets, with room for the EtherType in the last two
	HeaderLen uint8    // 14, 18 or 22
	Flags     uint8
	MTU       [2]uint16 // octets of the largest packet by family; 0: ask the user path
	Port      uint32    // key of the port in tx_ports; 0: ask the user path
	IfIndex   uint32    // of the unit that it is on
	Tally     uint32    // place of that unit's counters
	Filter    [2]uint32 // where that unit's output filters stand; 0 for none
	Device    uint32    // the kernel's index of the port's device
}

// NeighborWords is the size of a Neighbor.
const NeighborWords = 8

// Words lays a neighbour out.
func (n *Neighbor) Words() (w [NeighborWords]uint64) {
	for i, b := range n.Header {
		w[i/8] |= uint64(b) << (8 * (i % 8))
	}
	w[3] = uint64(n.MTU[1])<<32 | uint64(n.MTU[0])<<16 | uint64(n.Flags)<<8 | uint64(n.HeaderLen)
	w[4] = uint64(n.IfIndex)<<32 | uint64(n.Port)
	w[5] = uint64(n.Filter[0])<<32 | uint64(n.Tally)
	w[6] = uint64(n.Device)<<32 | uint64(n.Filter[1])
	return w
}

// A place of a tally: what one processor has counted of a unit.
const (
	TallyInPackets = iota
	TallyInOctets
	TallyOutPackets
	TallyOutOctets
	TallyDiscarded // by a discard route
	TallyRPF4      // whose source does not lead back
	TallyRPF6
	TallyFiltered
	TallyPoliced
	TallyOutFiltered
	TallyOutPoliced
	TallyLost // on the way out: the port has just gone

	TallyWords = 16
)

// Log2 is the logarithm of a power of two.
func Log2(n int) uint8 { return uint8(bits.TrailingZeros(uint(n))) }
