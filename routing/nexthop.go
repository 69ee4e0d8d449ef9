package routing

import (
	"fmt"
	"net/netip"

	"router/intf"
)

// A Kind says what a next hop does with a packet. The set is closed.
type Kind uint8

// The kinds. The zero Kind belongs to no next hop.
const (
	// Forward sends to the neighbour Gateway on the unit IfIndex.
	Forward Kind = 1 + iota
	// Resolve (glean) sends to the destination itself, which is a neighbour on
	// the unit IfIndex whose link-layer address may have to be asked for.
	Resolve
	// Receive delivers to the router itself. IfIndex is the unit that owns the
	// address, 0 for addresses of no unit in particular (groups).
	Receive
	// Broadcast is a subnet's broadcast address on IfIndex, or the limited one
	// (IfIndex 0). Received on its own link: deliver here; received from
	// elsewhere: drop (RFC 2644); originated: link broadcast.
	Broadcast
	// LinkLocal recognises fe80::/10. Received: deliver if the address belongs to
	// the ingress unit, else drop; originated: resolve on the originating unit
	// (RFC 4291, 2.5.6).
	LinkLocal
	// Reject refuses with the ICMP error that the field Reject names.
	Reject
	// Discard drops and counts.
	Discard
	// Lookup looks the destination up again in Instance.
	Lookup
	// Indirect goes where Gateway, looked up in Instance, is reached now. Its
	// record names the direct next hop that it resolves to, so that a change of
	// path is one store however many routes stand behind it.
	Indirect
	// Group spreads flows over Members, those of them that are usable. Its record
	// is a table of them, so that a member's coming and going is one store
	// however many routes share the group. One that is Shared is known by a
	// number, and its members can change; see [Store.NewShared].
	Group
	// Choice lets the unit that a packet came in by decide. It belongs to one
	// prefix whose best routes name an incoming unit, and is no value that a
	// route can have.
	Choice
	// Multicast sends a copy to each unit of its [List], and delivers one here if
	// the List says so.
	Multicast
	// Flood is a Multicast that leaves out the unit that the packet came in by.
	Flood
	// BySource goes on with the packet's source: the routes of the group Gateway
	// in Instance (see [RIB.AddSources]) say which next hop it is.
	BySource
)

func (k Kind) String() string {
	switch k {
	case Forward:
		return "forward"
	case Resolve:
		return "resolve"
	case Receive:
		return "receive"
	case Broadcast:
		return "broadcast"
	case LinkLocal:
		return "link-local"
	case Reject:
		return "reject"
	case Discard:
		return "discard"
	case Lookup:
		return "lookup"
	case Indirect:
		return "indirect"
	case Group:
		return "group"
	case Choice:
		return "choice"
	case Multicast:
		return "multicast"
	case Flood:
		return "flood"
	case BySource:
		return "by-source"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A NextHop says what to do with a packet. It is a plain comparable value, and
// its value is how it is found and shared; fields that its Kind does not name
// are zero.
type NextHop struct {
	Kind     Kind
	Reject   RejectCode // Reject
	IfIndex  intf.Index // Forward, Resolve, Receive, Broadcast; Multicast, Flood: List.In
	Instance uint32     // Lookup, Indirect, BySource
	Shared   uint32     // Group: its number when its members are said by SetShared; else 0
	Gateway  netip.Addr // Forward, Indirect; without zone. BySource: the group
	Members  Members    // Group
	Copies   Copies     // Multicast, Flood
	Tally    uint32     // Multicast, Flood: List.Tally
	Under    uint32     // Multicast, Flood: List.Under
}

func (nh NextHop) String() string {
	switch nh.Kind {
	case Forward:
		return fmt.Sprintf("forward to %v on %d", nh.Gateway, nh.IfIndex)
	case Resolve:
		return fmt.Sprintf("resolve on %d", nh.IfIndex)
	case Receive:
		return fmt.Sprintf("receive for %d", nh.IfIndex)
	case Broadcast:
		return fmt.Sprintf("broadcast on %d", nh.IfIndex)
	case Reject:
		return "reject " + nh.Reject.String()
	case Lookup:
		return fmt.Sprintf("lookup in instance %d", nh.Instance)
	case Indirect:
		return fmt.Sprintf("indirect %v in instance %d", nh.Gateway, nh.Instance)
	case Group:
		if nh.Shared != 0 {
			return fmt.Sprintf("shared group %d", nh.Shared)
		}
		return fmt.Sprintf("group of %d", nh.Members.Len())
	case Multicast, Flood:
		return fmt.Sprintf("%v to %d units", nh.Kind, len(nh.List().Out))
	case BySource:
		return fmt.Sprintf("by source for %v in instance %d", nh.Gateway, nh.Instance)
	case LinkLocal, Discard, Choice:
	}
	return nh.Kind.String()
}

// A NextHopID names a next hop to the data plane: a small number, stable while
// the next hop lives. 0 names none.
type NextHopID uint32

// A Sink is the data plane's table of next hops. Calls come from the one
// writer, in an order that never leaves a route pointing at nothing: a next
// hop is set before the first route that uses it is inserted, and deleted
// after the last one is gone.
//
// Ids are reused, the one deleted longest ago first. A reader may still hold a
// deleted id, so it is the sink that keeps a reused id from taking effect
// before such readers have passed.
type Sink interface {
	// SetNextHop creates or replaces next hop id, which is no Group, Choice or BySource. For an Indirect, via is the
	// direct next hop that it resolves to now, 0 while it is unresolved (no
	// route in a FIB uses it then); for all others via is 0.
	SetNextHop(id NextHopID, nh NextHop, via NextHopID)
	// SetGroup creates or replaces the Group id: the flows of a bucket go by the
	// next hop that stands there. There are a power of two of them; one when a
	// single member carries everything, and none while no member is usable (no
	// route in a FIB uses it then). The slice is not written to any more, and a
	// bucket keeps its next hop while that is usable.
	SetGroup(id NextHopID, buckets []NextHopID)
	// SetChoice creates or replaces the Choice id. Its branches stand in order of
	// preference, one for each unit; one for all others, if any, is the last. A
	// packet that none takes has come by a wrong unit. The slice is not written to
	// any more.
	SetChoice(id NextHopID, branches []Branch)
	// SetSources creates or replaces the BySource id: sources finds the next hop
	// by a packet's source.
	SetSources(id NextHopID, sources Sources)
	DeleteNextHop(id NextHopID)
}
