package models

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"router/intf"
	"router/routing"
)

// An Intent is all that was declared, as plain data. Every value is complete:
// defaults stand where nothing was said.
type Intent struct {
	System    SystemSpec
	GRIBI     GRIBISpec
	Devices   map[string]intf.DeviceSpec
	Units     map[intf.UnitKey]intf.UnitSpec
	Instances map[string]InstanceSpec // "default" is always there
	Static    map[StaticKey]StaticSpec
	Classes   map[string]ClassSpec   // those of the default policy are always there
	Sessions  map[string]SessionSpec // likewise

	PrefixLists map[string]PrefixListSpec
	Policers    map[string]PolicerSpec
	Filters     map[string]FilterSpec

	Multicast map[MulticastKey]MulticastSpec

	Users      map[string]UserSpec
	Roles      map[string]RoleSpec // those that are built in are always there
	LogServers map[string]LogServerSpec
}

// A SystemSpec is what is declared of the router as a whole. It is comparable.
type SystemSpec struct {
	Hostname string // empty: the machine's name is shown
	// NoFastPath says that all packets take the user path.
	NoFastPath bool
}

// An InstanceSpec is the intended state of a routing instance. It is comparable.
type InstanceSpec struct {
	Name        string
	Description string
	// HostNamespace names the network namespace of the instance's TAPs; empty
	// is the namespace that the process runs in.
	HostNamespace string
	Cache         CacheSpec
}

// A StaticKey names a static route.
type StaticKey struct {
	Instance string
	Prefix   netip.Prefix // masked
}

// Compare orders keys by instance, then by prefix.
func (k StaticKey) Compare(o StaticKey) int {
	if c := strings.Compare(k.Instance, o.Instance); c != 0 {
		return c
	}
	return k.Prefix.Compare(o.Prefix)
}

// An Action says what a static route does with a packet. The set is closed.
type Action uint8

// The actions.
const (
	Forward Action = iota // by the next hop, or by another look-up
	Reject                // drop, and tell the sender
	Discard               // drop silently
	Receive               // deliver here
)

func (a Action) String() string {
	switch a {
	case Forward:
		return "forward"
	case Reject:
		return "reject"
	case Discard:
		return "discard"
	case Receive:
		return "receive"
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// A StaticSpec is the intended state of a static route.
type StaticSpec struct {
	Key         StaticKey
	Preference  uint8 // lower wins
	Action      Action
	Reject      routing.RejectCode // of Reject; RejectNone when nothing was said
	Incoming    intf.UnitKey       // that packets have to come in by; zero for any
	Tag         uint32
	HasTag      bool
	Description string
	NextHops    []StaticNextHop // by index; at least one exactly for Forward
}

// A StaticNextHop is where a static route leads: to Gateway through Interface
// (either may be zero), to Gateway as Instance finds it, or, when Instance alone
// is set, to another look-up there, and then it is the route's only one. It is
// comparable.
type StaticNextHop struct {
	Index     uint8
	Gateway   netip.Addr
	Interface intf.UnitKey
	Instance  string
	Weight    uint8 // 1 to 64: its share of the flows
	Backup    bool  // used while none is usable that is no backup
}

// isLookup reports whether packets are looked up again in Instance.
func (nh StaticNextHop) isLookup() bool { return nh.Instance != "" && !nh.Gateway.IsValid() }

// Equal reports whether both declare the same.
func (s StaticSpec) Equal(o StaticSpec) bool {
	return s.Key == o.Key && s.Preference == o.Preference && s.Action == o.Action && s.Reject == o.Reject && s.Incoming == o.Incoming && s.Tag == o.Tag && s.HasTag == o.HasTag &&
		s.Description == o.Description && slices.Equal(s.NextHops, o.NextHops)
}

// Lookup is the instance that the route looks up again in, empty for none.
func (s StaticSpec) Lookup() string {
	if len(s.NextHops) != 1 || !s.NextHops[0].isLookup() {
		return ""
	}
	return s.NextHops[0].Instance
}

// IsLookup reports whether the route looks up again in another instance.
func (s StaticSpec) IsLookup() bool { return s.Lookup() != "" }

// ParseUnitName splits a unit's full name, "ge0.100", into device and id. Where
// the id is left out it is "0". The syntax is the model's, and not checked here.
func ParseUnitName(name string) intf.UnitKey {
	device, id, ok := strings.Cut(name, ".")
	if !ok {
		id = "0"
	}
	return intf.UnitKey{Device: device, ID: id}
}
