package filter

import (
	"net/netip"

	"router/intf"
)

// A Spec is a filter as it was declared: terms in order, of which the first that
// matches decides. A packet that no term matches is discarded, as in Junos, and so
// is every packet by a filter without terms.
//
// A Spec is plain data and its fields are read only. Whoever makes it turns the
// names of interfaces, instances and next hops into numbers; names of filters and
// policers stay names, since what they stand for is found when a filter is bound.
type Spec struct {
	Name   string
	Family intf.Family
	// InterfaceSpecific gives every place that the filter is bound to its own
	// instances of the policers, and its own counters beside the shared ones.
	InterfaceSpecific bool
	Terms             []Term
}

// A Term is a match and what is done with the packets that it matches. Its name is
// unique in the filter; its counters are kept by it.
type Term struct {
	Name   string
	Match  Match
	Action Action
}

// A Match holds when all of its conditions do. The zero Match matches everything,
// and so does the zero value of each field: it is no condition.
//
// A condition on a field that the packet does not have is false, with Except, too:
// "not port 22" says nothing about a packet without ports.
type Match struct {
	Src, Dst Addresses

	// Protocol is the IPv4 protocol or, behind all extension headers, the IPv6 next
	// header. In an IPv6 fragment that is not the first it is what the fragment
	// header announces. A chain of extension headers that can't be walked has none.
	Protocol Numbers
	// Ports are those of TCP, UDP, UDP-Lite, SCTP and DCCP; only whole packets and
	// first fragments have them.
	SrcPort, DstPort Numbers
	// TCP conditions imply the protocol. One of TCPFlags must hold; Established is
	// ACK or RST set, Initial is SYN set and ACK not.
	TCPFlags    []FlagMatch
	Established bool
	Initial     bool
	// ICMP types and codes imply ICMP, or ICMPv6 in family inet6.
	ICMPType, ICMPCode Numbers

	Fragment FragmentMatch
	DSCP     Numbers // 0 to 63
	Length   Numbers // octets of the IP packet, its header included
	TTL      Numbers // or hop limit
	Options  OptionMatch

	// Interface is the if_index of the unit that the packet was received by, at the
	// output hooks, too; Group is that unit's interface group, where it has one that
	// isn't 0. What the router itself sends has neither.
	Interface, Group Numbers

	// Fields of the frame that the packet came in: what the router sends itself has
	// none. VLAN is the outer tag's id and InnerVLAN the inner one's, where there are
	// such tags. EtherType is that behind the tags.
	EtherType       Numbers
	VLAN, InnerVLAN Numbers
	SrcMAC, DstMAC  MACs

	// What earlier terms and filters gave the packet; 0 at first.
	Mark            Marks
	LossPriority    Numbers // see the constants
	ForwardingClass Numbers // 0 to 7
}

// Numbers is a set of numbers: those in any of Ranges or, with Except, those in
// none. Without ranges it is no condition.
type Numbers struct {
	Ranges []Range
	Except bool
}

// A Range holds the numbers from Lo to Hi, both included.
type Range struct{ Lo, Hi uint32 }

// One is the range of a single number.
func One(n uint32) Range { return Range{n, n} }

// Addresses is a condition on an address. The longest of all prefixes, inline and
// in lists, that holds the address decides: it matches unless that one is an
// exception. Of equal prefixes an exception wins. An address that none holds
// doesn't match, unless there are exceptions only, which then stand for everything
// but them. Without prefixes and lists there is no condition; a list that is empty
// is one that holds nothing.
type Addresses struct {
	Prefixes []netip.Prefix
	Except   []netip.Prefix
	Lists    []*PrefixList
	// ExceptLists are lists whose prefixes are exceptions.
	ExceptLists []*PrefixList
}

// A PrefixList is a named list of prefixes, which may be long. Specs that are
// compiled together share its compiled form when they share the pointer. Prefixes
// of the other family don't match anything. It must not change once a filter with
// it was compiled: a changed list is a new PrefixList, and its filters are compiled
// anew.
type PrefixList struct {
	Name     string
	Prefixes []netip.Prefix
}

// A FlagMatch holds when, of the TCP flags in Mask, exactly those in Value are set
// (packet.TCPFin and so on).
type FlagMatch struct{ Mask, Value uint8 }

// A FragmentMatch says which parts of packets match.
type FragmentMatch uint8

// The fragment conditions. An IPv6 atomic fragment (RFC 6946) is a whole packet.
const (
	FragmentIgnored FragmentMatch = iota // no condition
	FragmentNone                         // whole packets
	FragmentAny                          // first or later fragments
	FragmentFirst                        // the fragment at offset 0
	FragmentLater                        // fragments at other offsets
)

// An OptionMatch is a condition on IPv4 options, or on IPv6 extension headers. It
// holds when the packet has one of Numbers, or with Any one at all; with Except,
// when it has none of them. Numbers are IPv4 option numbers (the lower five bits of
// the option's type, RFC 791, 3.1; end of list and no-operation don't count for
// Any) or the protocol numbers of IPv6 extension headers (hop-by-hop 0, routing 43,
// fragment 44, ESP 50, AH 51, destination options 60, mobility 135, HIP 139, Shim6
// 140). Headers behind a later fragment's data or a fault in the chain aren't seen.
type OptionMatch struct {
	Any     bool
	Numbers []uint8
	Except  bool
}

// MACs is a set of link-layer addresses: those that fit any entry or, with Except,
// those that fit none. Without entries it is no condition.
type MACs struct {
	Entries []MaskedMAC
	Except  bool
}

// A MaskedMAC fits addresses that agree with MAC in the bits set in Mask.
type MaskedMAC struct{ MAC, Mask intf.MAC }

// Marks is a set of packet marks: those that fit any entry or, with Except, none.
// Without entries it is no condition.
type Marks struct {
	Entries []MaskedMark
	Except  bool
}

// A MaskedMark fits marks that agree with Value in the bits set in Mask.
type MaskedMark struct{ Value, Mask uint16 }

// An Action is one disposition and any modifiers. The zero Action accepts, so a
// term that only modifies accepts, as in Junos. Modifiers take effect in the order
// of the terms; a later one of the same kind wins, and later terms, filters and
// hooks match what earlier ones have set. Within a term the values that it sets
// come first, and the policer, which sees them, may change them.
//
// Every term counts the packets that it matches and the octets of the IP packets,
// and so does the end of the filter.
type Action struct {
	Kind Kind

	Reject     RejectKind // with Reject
	NextFilter string     // with NextFilter: a filter of the same family
	Instance   uint32     // with ToInstance: the index of a routing instance
	NextHop    uint32     // with ToNextHop: a routing.NextHopID
	NextHopIf  intf.Index // with ToNextHop: the unit behind it, for show and logs

	// CountPerInterface counts per place that the filter is bound to, beside the
	// shared counter; InterfaceSpecific does so for all terms of the filter.
	CountPerInterface bool
	// LogEvery logs one in so many packets that the term matches; 0 logs none. It is
	// exact per worker. A packet is logged at most once a hook, by the last term.
	LogEvery uint32
	// Police names a policer; empty is none. What it drops goes no further.
	Police string

	DSCP            Opt[uint8]  // 0 to 63
	LossPriority    Opt[uint8]  // see the constants
	ForwardingClass Opt[uint8]  // 0 to 7
	Mark            Opt[uint16] // replaces the packet's mark
	// Mirror sends a copy by this unit; 0 is none.
	Mirror intf.Index
}

// A Kind says how a packet goes on.
type Kind uint8

// The dispositions.
const (
	Accept     Kind = iota
	Discard         // drop it silently
	Reject          // drop it and say so to the sender
	NextTerm        // apply the modifiers and look at the terms that follow
	NextFilter      // apply the modifiers and start over with another filter, whose end is the end
	ToInstance      // accept, and look it up in another routing instance
	ToNextHop       // accept, and send it to a next hop instead of looking it up
)

// A RejectKind is the message with which a packet is refused.
type RejectKind uint8

// The kinds of rejection: ICMP (RFC 792, RFC 1812 5.2.7.1), ICMPv6 (RFC 4443, 3.1).
const (
	RejectProhibited     RejectKind = iota // IPv4 code 13, IPv6 code 1
	RejectNetwork                          // IPv4 code 0, IPv6 code 0 (no route)
	RejectHost                             // IPv4 code 1, IPv6 code 3 (address)
	RejectProtocol                         // IPv4 code 2; IPv6 parameter problem, code 1
	RejectPort                             // IPv4 code 3, IPv6 code 4
	RejectNetProhibited                    // IPv4 code 9; IPv6 as RejectProhibited
	RejectHostProhibited                   // IPv4 code 10; IPv6 as RejectProhibited
	RejectPolicy                           // IPv6 code 5 (source address failed policy); IPv4 code 13
	RejectRoute                            // IPv6 code 6 (reject route); IPv4 code 13
	RejectTCPReset                         // a TCP reset (RFC 9293, 3.5.2); anything else gets RejectProhibited
)

// Loss priorities. A colour-aware policer takes low for green, high for red, and
// those between for yellow.
const (
	LossLow = iota
	LossMediumLow
	LossMediumHigh
	LossHigh
)

// An Opt is a value or none; the zero Opt is none.
type Opt[T any] struct {
	V     T
	Valid bool
}

// Some is the Opt that holds v.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// A PolicerSpec is a policer as it was declared. All workers share a policer, and
// all terms that name it, except those of an interface-specific filter, which has
// one for each place that it is bound to.
type PolicerSpec struct {
	Name string
	Kind PolicerKind
	// ColourAware starts from the colour that the packet's loss priority says.
	ColourAware bool
	// Packets measures packets instead of octets: rates are packets a second, and
	// bursts packets.
	Packets bool
	// Rate is the committed rate in bits a second, Burst its bucket in octets.
	Rate, Burst uint64
	// PeakRate is of TwoRate only, and not below Rate; ExtraBurst is the excess burst
	// of SingleRate, which may be 0, or the peak burst of TwoRate, in octets.
	PeakRate, ExtraBurst uint64
	// What becomes of a packet by its colour. TwoColour has no yellow ones.
	Green, Yellow, Red ColourAction
}

// A PolicerKind is the algorithm by which packets are coloured.
type PolicerKind uint8

// The algorithms. Octets are those of the IP packet.
const (
	TwoColour  PolicerKind = iota // a token bucket
	SingleRate                    // three colours by one rate and two bursts (RFC 2697)
	TwoRate                       // three colours by two rates (RFC 2698)
)

// A Colour is what a policer makes of a packet.
type Colour uint8

// The colours.
const (
	Green Colour = iota
	Yellow
	Red
	NumColours
)

// A ColourAction is what a policer does with packets of one colour; the zero one
// passes them unchanged.
type ColourAction struct {
	Drop            bool
	LossPriority    Opt[uint8]
	DSCP            Opt[uint8]
	ForwardingClass Opt[uint8]
}
