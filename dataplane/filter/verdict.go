package filter

import (
	"router/intf"
)

// A Place is where a filter is bound: a hook of a unit's family. Filters with
// counters or policers of their own per interface have them per Place.
type Place struct {
	Hook Hook
	Unit intf.Index
}

// A Hook is a point on the packet's way where a filter can be bound.
type Hook uint8

// The hooks.
const (
	Input       Hook = iota // received, before the lookup
	Output                  // leaving, after the lookup
	InputLocal              // received, for the router itself
	OutputLocal             // sent by the router itself, before the lookup
	NumHooks
)

// String is the hook's name in configuration, counters and logs.
func (h Hook) String() string {
	//exhaustive:ignore NumHooks is no hook
	switch h {
	case Input:
		return "input"
	case Output:
		return "output"
	case InputLocal:
		return "input-local"
	case OutputLocal:
		return "output-local"
	}
	return "hook"
}

// A Meta says of a packet what its octets don't. Run reads all of it, and changes
// the last three fields where a term says so.
type Meta struct {
	// Frame is the frame that the packet was received in, from its Ethernet header
	// to at least the end of its tags; nil for a packet that came in none.
	Frame []byte
	// In is the unit that received the packet and Group that unit's interface group;
	// 0 for none.
	In    intf.Index
	Group uint32

	ForwardingClass uint8
	LossPriority    uint8
	Mark            uint16
}

// A Verdict is what becomes of a packet at a hook.
type Verdict struct {
	// Kind is Accept, Discard, Reject, ToInstance or ToNextHop.
	Kind Kind
	// Policed says that the packet is discarded because of a policer.
	Policed bool
	// Reject is the message to send, with Reject.
	Reject RejectKind
	// DSCP is to be written to the packet.
	DSCP Opt[uint8]
	// Log says that the packet is to be logged, as that of Term.
	Log bool
	// To is the instance's index with ToInstance, the next hop's id with ToNextHop.
	To uint32
	// Mirror is the unit to send a copy by; 0 for none.
	Mirror intf.Index
	// Term is the term that decided (that logs, with Log): an index to Bound.Term.
	// It is -1 where no term matched.
	Term TermID
}

// A TermID names a term among all that a Bound can reach through next filters; -1
// is the discard at the end of a filter.
type TermID int32

// NoTerm is the end of a filter, where nothing matched.
const NoTerm TermID = -1
