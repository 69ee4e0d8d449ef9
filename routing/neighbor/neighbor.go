// Package neighbor resolves next hops on a link to link-layer addresses: ARP for
// IPv4 and neighbour discovery for IPv6 as one state machine with the states of
// RFC 4861, 7.3.2.
//
// A [Table] has no socket and no clock. It takes messages that were parsed and
// validated elsewhere, and a reading of a monotonic clock; it returns the
// [Action]s that follow. Equal inputs give equal outputs.
//
// Invariants: a packet handed to Resolve comes back exactly once, in Deliver,
// Reject or Drop; what is unresolved is bounded in number and in rate (RFC 6583);
// an entry that was resolved is never removed to make room for another.
//
// Sources: RFC 826, 4861, 4862, 5227, 6583.
package neighbor

import (
	"fmt"
	"net/netip"

	"router/intf"
)

// A Key names a neighbour: an address without zone on a unit.
type Key struct {
	IfIndex intf.Index
	Addr    netip.Addr
}

// A State is that of an entry.
type State uint8

// The states of RFC 4861, 7.3.2, and two of ours.
const (
	Incomplete State = iota // asked for; the link-layer address is not known
	Reachable               // known to work within the last ReachableTime
	Stale                   // usable; to be verified when traffic uses it
	Delay                   // usable; in use, verified soon
	Probe                   // usable; being verified
	Failed                  // nobody answered: packets are rejected for a while
	Permanent               // configured: neither verified nor changed by messages
)

var stateNames = [...]string{"incomplete", "reachable", "stale", "delay", "probe", "failed", "permanent"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Usable reports whether packets may be sent to the entry's link-layer address.
func (s State) Usable() bool { return s != Incomplete && s != Failed }

// A Kind is that of a Message.
type Kind uint8

// The messages of RFC 826 and RFC 4861.
const (
	ARPRequest Kind = iota
	ARPReply
	NeighborSolicit
	NeighborAdvert
	RouterSolicit
	RouterAdvert
)

var kindNames = [...]string{"arp-request", "arp-reply", "neighbor-solicit", "neighbor-advert", "router-solicit", "router-advert"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A Message is a received message of ARP or neighbour discovery, whose form was
// found valid (RFC 826, RFC 4861 6.1 and 7.1), or one to be sent. Addresses bear
// no zone.
type Message struct {
	IfIndex  intf.Index
	Kind     Kind
	From, To intf.MAC   // of the frame; From is zero in a message to be sent
	Src      netip.Addr // ARP: sender's address, 0.0.0.0 in a probe; else the packet's source
	Dst      netip.Addr // the packet's destination; zero for ARP
	Target   netip.Addr // address that is asked for or advertised; zero for router messages
	MAC      intf.MAC   // ARP: sender's; else that of the link-layer address option, zero without

	Router, Solicited, Override bool // flags of a NeighborAdvert
}

// A Packet waits for resolution. The table keeps it and never looks inside; both
// fields mean what the caller wants.
type Packet struct {
	Bytes []byte
	Token uint64
}

// An ActionKind says what is to be done, and which fields of an Action count.
type ActionKind uint8

const (
	// Send: transmit Message on its unit, with the unit's MAC as the frame's source.
	Send ActionKind = iota
	// Changed: the entry of Key has State, and MAC if that is usable.
	Changed
	// Removed: there is no entry of Key any more.
	Removed
	// Deliver: send Packet, which was for Key, to MAC.
	Deliver
	// Reject: Key can't be reached; answer Packet with "host unreachable"
	// (RFC 1812, 5.2.7.1) or "address unreachable" (RFC 4443, 3.1).
	Reject
	// Drop: discard Packet and count it under Reason.
	Drop
	// AddressOK: our address Key may be used.
	AddressOK
	// AddressDuplicate: somebody else has our address Key, which was not in use
	// yet and must not be used (RFC 4862, 5.4.5). MAC is theirs if known.
	AddressDuplicate
	// Conflict: the host MAC uses our address Key, which stays in use (RFC 5227,
	// 2.4; RFC 4862, 5.4.4). Reported at most once in DefendInterval per address.
	Conflict
)

var actionNames = [...]string{"send", "changed", "removed", "deliver", "reject", "drop", "address-ok", "address-duplicate", "conflict"}

func (k ActionKind) String() string {
	if int(k) < len(actionNames) {
		return actionNames[k]
	}
	return fmt.Sprintf("action(%d)", uint8(k))
}

// A Reason says why a packet was dropped. NumReasons bounds the set, for arrays
// of counters.
type Reason uint8

// The reasons.
const (
	QueueFull       Reason = iota // a newer packet for the same neighbour took its place
	PacketLimit                   // as many packets wait as may wait in all
	UnresolvedLimit               // as many destinations are unresolved as may be
	RateLimit                     // too many new destinations on the unit in too short a time
	EntryLimit                    // the table is full
	UnitDown                      // the unit is gone, or does not carry the family
	EntryRemoved                  // the entry was removed while the packet waited
	BadAddress                    // the address can't be a neighbour's

	NumReasons = iota
)

var reasonNames = [NumReasons]string{
	"neighbor-queue-full", "neighbor-packet-limit", "neighbor-unresolved-limit", "neighbor-rate-limit",
	"neighbor-entry-limit", "neighbor-unit-down", "neighbor-removed", "neighbor-bad-address",
}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// An Action is one thing to be done. Which fields count is said at its kind.
type Action struct {
	Kind    ActionKind
	State   State
	Reason  Reason
	MAC     intf.MAC
	Key     Key
	Packet  Packet
	Message Message
}
