package routing

import (
	"fmt"
	"net/netip"
	"time"

	"router/intf"
)

// A Source says who added a route. It is the first key of preference: a lower
// Source wins. (Ferguson calls it the route type.)
type Source uint8

// The sources, preferred ones first.
const (
	User                 Source = iota // configured, or learnt by a routing protocol
	Permanent                          // there from the creation of an instance
	InterfaceLocal                     // an address of the router
	InterfaceDestination               // the prefix that an address puts on a link
	Interface                          // what else an interface adds: broadcasts, neighbours
	Clone                              // tracks the state of the route above it
)

// NumSources is the number of sources, for arrays indexed by Source.
const NumSources = int(Clone) + 1

func (s Source) String() string {
	switch s {
	case User:
		return "user"
	case Permanent:
		return "permanent"
	case InterfaceLocal:
		return "interface-local"
	case InterfaceDestination:
		return "interface-destination"
	case Interface:
		return "interface"
	case Clone:
		return "clone"
	}
	return fmt.Sprintf("source(%d)", uint8(s))
}

// A Protocol says where a route comes from within its Source. It tells routes
// apart, has a preference that its routes get when nothing is said, and decides,
// in the order below, among User routes of one preference.
type Protocol uint8

// The protocols.
const (
	System      Protocol = iota // the router itself: permanent routes
	Direct                      // addresses of interfaces
	Neighbor                    // ARP and ND
	Static                      // configured routes
	Feed                        // routes handed in by a feed, in bulk
	StaticGroup                 // configured routes of groups
	Cache                       // clones, made on demand, and what leads to them
	GRIBI                       // routes that a controller programs over gRIBI
)

func (p Protocol) String() string {
	switch p {
	case System:
		return "system"
	case Direct:
		return "direct"
	case Neighbor:
		return "neighbor"
	case Static:
		return "static"
	case Feed:
		return "feed"
	case StaticGroup:
		return "static-multicast"
	case Cache:
		return "cache"
	case GRIBI:
		return "gribi"
	}
	return fmt.Sprintf("protocol(%d)", uint8(p))
}

// Preference is what routes of the protocol have when nothing is said: declared
// routes come before those that are programmed, and these before those that are
// fed.
func (p Protocol) Preference() uint8 {
	switch p {
	case System, Direct, Neighbor, Cache:
	case Static, StaticGroup:
		return 5
	case GRIBI:
		return 6
	case Feed:
		return 170
	}
	return 0
}

// A Key is what tells the routes of an instance apart.
type Key struct {
	Prefix   netip.Prefix // masked
	Source   Source
	Protocol Protocol
	// IfIndex is the unit that the route depends on (interface routes) or that
	// the user gave; 0 for none.
	IfIndex intf.Index
}

// A Route is one route of a RIB.
type Route struct {
	Key
	Preference uint8 // orders User routes of one prefix: lower wins
	// Incoming says that the route takes packets only that came in by the unit
	// IfIndex. Those of other units follow the next best route to the prefix that
	// takes them; where there is none they are dropped, for no shorter prefix is
	// asked.
	Incoming bool
	// Ignored says that the route is there, last of those to its prefix, but
	// not to be used.
	Ignored bool
	Tag     uint32
	NextHop NextHop
}

// An Entry is a route with its state.
type Entry struct {
	Route
	Usable bool   // the route takes part in the choice of the best
	Active bool   // packets follow it: it is the best, or the best for some incoming unit, and stands in the FIB
	Reason string // why it isn't usable, or why the best is not in the FIB; else empty
	ID     NextHopID
	// Via is the direct next hop that an Indirect resolves to now; zero while
	// it is unresolved, and for all other kinds.
	Via NextHop
	// Through is the prefix of the route by which the gateway of an Indirect was
	// found; zero where Via is.
	Through netip.Prefix
	// Changed is when the route was set last, to a tenth of a second: added, or given
	// another next hop, preference, tag or condition. What it resolves to, and whether
	// packets follow it, change without the route.
	Changed time.Time
	// Since is when a declared route became pending: it should be followed and can't be.
	// Refused is how often the FIB had no room for it since. Zero for all others.
	Since   time.Time
	Refused uint32
}

// A FIB holds the winner of each prefix of an instance, by the winner's next
// hop. Insert replaces. A change that fails leaves the FIB as it was; replacing
// a next hop should not fail.
type FIB interface {
	Insert(p netip.Prefix, id uint32) error
	Delete(p netip.Prefix) (had bool, err error)
	// SetAll inserts each prefix with the id at its place, and deletes those with 0,
	// there or not: all of them, or none when it fails. No prefix comes twice.
	SetAll(p []netip.Prefix, ids []uint32) error
}
