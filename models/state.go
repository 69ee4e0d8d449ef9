package models

import (
	"net/netip"
	"time"

	"router/intf"
	"router/routing"
	"router/routing/neighbor"
)

// This file has operational state as plain data, for the control plane to fill
// in. A field left zero becomes an absent leaf where the model says "absent",
// and a zero elsewhere. Applied is the spec that is in place, nil for none; it
// becomes the leaves that state shares with config.

// A SystemState is the state of the router as a whole.
type SystemState struct {
	Applied  *SystemSpec
	Hostname string // shown when the applied spec has none: the machine's
	Version  string
	BootTime time.Time
	Takeover *TakeoverState // nil for none

	Process ProcessState
	Access  *AccessState // nil for none
	TLS     *TLSState    // nil without TLS

	Workers     uint16
	Threads     []ThreadState // of the workers, in their order
	Buffers     uint32
	BuffersFree uint32

	JumboBuffers, JumboBuffersFree uint32
	FIBOctets                      uint64
	NextHops                       uint32
	FIBLimit                       uint64            // octets
	RoutesWaiting                  uint32            // for room in the forwarding tables
	NoFastPath                     string            // why there is none; empty if there is
	Drops                          map[string]uint64 // packets that came from no device, by reason

	CommitNumber   uint64
	LastCommitTime time.Time
	PendingObjects uint32
	FilterLogLost  uint64
}

// A ThreadState is how the kernel schedules a worker.
type ThreadState struct {
	Scheduling intf.Scheduling
	Nice       int // -20 to 19
}

// A ProcessState is what the daemon takes of the machine. The zero value is not known.
type ProcessState struct {
	Resident, Heap uint64 // octets
	CPUTime        time.Duration
	Goroutines     uint32
}

// A TakeoverState is what the router has taken over from a former run.
type TakeoverState struct {
	Time               time.Time
	Devices, Neighbors uint32
}

// Counters count packets and octets (RFC 8343). What passed in all, in-pkts and
// out-pkts, is the sum of the three kinds.
type Counters struct {
	InOctets, InUnicast, InMulticast, InBroadcast     uint64
	InDiscards, InErrors, InUnknownProtos             uint64
	OutOctets, OutUnicast, OutMulticast, OutBroadcast uint64
	OutDiscards, OutErrors                            uint64
}

// Rates are how fast counters grew over the last few seconds.
type Rates struct {
	Known               bool   // they have been taken
	InBits, InPackets   uint64 // per second
	OutBits, OutPackets uint64
}

// An XDPMode says where a device's XDP program runs. The set is closed.
type XDPMode uint8

// The modes.
const (
	XDPNone    XDPMode = iota // no program
	XDPNative                 // in the device's driver
	XDPGeneric                // in the kernel's stack
)

func (m XDPMode) String() string {
	switch m {
	case XDPNone:
		return "none"
	case XDPNative:
		return "native"
	case XDPGeneric:
		return "generic"
	}
	return "xdp-mode(" + uintText(uint64(m)) + ")"
}

// A FastPathState says why a device has no part in the fast path; a part that it
// has, has no reason.
type FastPathState struct {
	Receives string // why packets that arrive there are not forwarded by it
	Sends    string // why none can leave there by it
	Packets  uint64 // that arrived there and whose way ended in it
}

// A DeviceState is the state of a device.
type DeviceState struct {
	Name       string
	Applied    *intf.DeviceSpec
	IfIndex    intf.Index
	Oper       intf.OperStatus
	OperReason string // empty when up
	LastChange time.Time
	Apply      ApplyState

	Driver             intf.Driver // in use; DriverAuto while the device isn't open
	DriverReason       string
	OffloadsOff        []string // features of the device that are off while it is open, sorted
	QueuesInUse        uint16
	XDPMode            XDPMode
	ZeroCopy           bool
	KeepsForwarding    bool
	KeepsReason        string // why it doesn't
	CompletesChecksums bool   // tx-checksum is "complete", else "trusted"
	FastPath           FastPathState
	KernelPolls        bool // whenever a worker looks for frames

	MAC      intf.MAC // observed; zero leaves the applied one
	Speed    uint64   // bits per second, 0 when not known
	LinkMTU  uint32   // octets, 0 when there is no link
	Counters Counters
	Rates    Rates
	Cleared  time.Time         // when the counters were cleared last; zero for never
	Drops    map[string]uint64 // packets by reason
	// When Counters and Drops began anew last, and when FastPath.Packets did; zero while
	// the device isn't open.
	Anew, DropsAnew, Made time.Time
}

// A UnitState is the state of a unit with its families.
type UnitState struct {
	Key        intf.UnitKey
	Applied    *intf.UnitSpec
	IfIndex    intf.Index
	Oper       intf.OperStatus
	OperReason string // empty when up
	LastChange time.Time
	Apply      ApplyState
	Counters   Counters
	Rates      Rates
	Cleared    time.Time // when the counters were cleared last; zero for never
	Anew       time.Time // when they began anew last
	Families   []FamilyState
}

// A FamilyState is the state of a family of a unit.
type FamilyState struct {
	Family        intf.Family
	Applied       *intf.FamilySpec
	MTU           uint16 // octets in effect, 0 when none is
	Oper          intf.OperStatus
	OperReason    string // empty when up
	Apply         ApplyState
	HostInterface string       // empty when there is none
	HostReason    string       // empty when all is well
	Borrowed      netip.Addr   // of an unnumbered family; zero for none
	Advert        *AdvertState // nil where none was ever declared
	RPFFailed     uint64       // packets whose source failed the check
	Made          time.Time    // when RPFFailed began at zero
	FastReason    string       // why its packets are the user path's; empty if they need not be
	Addresses     []AddressState
	Neighbors     []NeighborState
	Filters       []FilterCount // of terms that are counted per interface
}

// An AddressStatus is the condition of an address. The set is closed.
type AddressStatus uint8

// The conditions.
const (
	AddressPreferred AddressStatus = iota // in use
	AddressTentative                      // being checked for duplicates
	AddressDuplicate                      // another node has it
	AddressPending                        // waits for its unit
)

func (s AddressStatus) String() string {
	switch s {
	case AddressPreferred:
		return "preferred"
	case AddressTentative:
		return "tentative"
	case AddressDuplicate:
		return "duplicate"
	case AddressPending:
		return "pending"
	}
	return "address-status(" + uintText(uint64(s)) + ")"
}

// An AddressState is the state of an address.
type AddressState struct {
	Spec   intf.AddressSpec
	Status AddressStatus
	Reason string // empty when preferred
	Apply  ApplyState
}

// A NeighborState is the state of a neighbour, declared or learned.
type NeighborState struct {
	Address    netip.Addr
	MAC        intf.MAC // zero while not known
	Static     bool
	State      neighbor.State
	IsRouter   bool // IPv6 only
	LastChange time.Time
}

// An InstanceState is the state of a routing instance.
type InstanceState struct {
	Name          string
	Applied       *InstanceSpec
	Index         uint32
	HostNamespace string // in use; empty is the process's own
	HostReason    string // empty when it is in use
	Apply         ApplyState
	RIBs          []RIBState
	Cache         CacheState
}

// LocalCounters count packets for the router itself, of a session or a class.
type LocalCounters struct {
	Packets, Octets  uint64
	Policed, Dropped uint64 // of Packets; Dropped includes Policed
}

// A ClassState is the state of a class of packets for the router itself.
type ClassState struct {
	Spec     ClassSpec
	Counters LocalCounters
}

// A SessionState is the state of a session.
type SessionState struct {
	Spec     SessionSpec
	Counters LocalCounters
}

// A StaticState is a static route as it was handed to the RIB.
type StaticState struct {
	StaticSpec
	Ways []ApplyState // of the next hops, in their order; nil when all lead somewhere
}

// A RIBState counts the routes of one family of an instance.
type RIBState struct {
	Family   intf.Family
	Total    uint32
	Active   uint32
	Waiting  uint32 // for room
	BySource [routing.NumSources]uint32
}

// A RouteState is the state of one route.
type RouteState struct {
	Prefix     netip.Prefix
	Source     routing.Source
	Protocol   routing.Protocol
	IfIndex    intf.Index // 0 for none
	Preference uint8
	Tag        uint32
	Active     bool
	Incoming   string // the unit that packets have to come in by, empty for any
	Ignored    bool
	Reason     string // empty when it can be used
	NextHop    routing.Kind
	Reject     routing.RejectCode // RejectNone but for what rejects
	Gateway    netip.Addr         // zero for none
	Egress     string             // a unit's name, empty for none
	Lookup     string             // the instance to look up in, empty for none
	Resolved   netip.Prefix       // of the route that the gateway was found through; zero for none
	Out        []string           // the units that get copies of packets to a group
	LastChange time.Time          // when it was set last, to a tenth of a second
	Members    []MemberState      // of a group, or of the group that the gateway is reached by
}

// A MemberState is the state of one of several next hops.
type MemberState struct {
	Gateway  netip.Addr   // zero for none
	Egress   string       // a unit's name, empty for none
	Resolved netip.Prefix // of the route that the gateway was found through; zero for none
	Lookup   string       // the instance to look up in, empty for the route's own
	Weight   uint8
	Backup   bool
	Usable   bool
	Active   bool   // carries traffic
	Reason   string // empty when it can be used
}

// A HealthState is what was found of a part of the router last.
type HealthState struct {
	Name       string
	Known      bool // it has been looked at
	Healthy    bool
	Reason     string    // what is wrong
	LastChange time.Time // of Healthy
	Events     uint64    // how often it has become unhealthy
	LastEvent  string    // empty before the first
}
