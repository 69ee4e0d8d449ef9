// Package intf models the interfaces of the router as a tree of four kinds:
// device (ifd) > unit (ifl) > family (iff) > address (ifa). The device has the
// hardware's one down flag, MRU and output queue; each unit above it costs only
// one more L2 header.
//
// The package is pure: it takes values and returns values, and knows neither
// Linux nor YANG. Everything outside the tree names a device or a unit by its
// [Index].
//
// Source: D. Ferguson, "Modernizing the BSD Networking Stack".
package intf

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// An Index is an if_index: the number by which everything outside the tree
// names a device or a unit. 0 names none. An index is stable across commits
// and restarts, and dereferencing one may answer "gone".
type Index uint32

// A MAC is an EUI-48 in transmission order. The zero MAC means "not set".
type MAC [6]byte

// Broadcast is the Ethernet broadcast address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// IsZero reports whether the address is not set.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsMulticast reports whether the group bit is set (broadcast included).
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// A Family is a protocol family that a unit can carry.
type Family uint8

// The families. Their values are stable: they index small arrays.
const (
	Inet  Family = iota // IPv4
	Inet6               // IPv6
)

// Families lists every family, for loops over small arrays.
var Families = [...]Family{Inet, Inet6}

func (f Family) String() string {
	switch f {
	case Inet:
		return "inet"
	case Inet6:
		return "inet6"
	}
	return fmt.Sprintf("family(%d)", uint8(f))
}

// FamilyOf is the family of an address; IPv4-mapped IPv6 counts as IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return Inet
	}
	return Inet6
}

// Attach says whose a device is.
type Attach uint8

const (
	Exclusive Attach = iota // every frame is the router's
	Shared                  // only what the router claims; the rest stays with the kernel
)

func (a Attach) String() string {
	switch a {
	case Exclusive:
		return "exclusive"
	case Shared:
		return "shared"
	}
	return fmt.Sprintf("attach(%d)", uint8(a))
}

// Driver says how frames are exchanged with a device.
type Driver uint8

const (
	DriverAuto     Driver = iota // the best that the device takes, found by trying
	DriverAFXDP                  // AF_XDP sockets
	DriverAFPacket               // AF_PACKET with rings of frames
)

func (d Driver) String() string {
	switch d {
	case DriverAuto:
		return "auto"
	case DriverAFXDP:
		return "af-xdp"
	case DriverAFPacket:
		return "af-packet"
	}
	return fmt.Sprintf("driver(%d)", uint8(d))
}

// A Polling says how a worker waits for frames of a device.
type Polling uint8

const (
	PollAdaptive Polling = iota // look for a while after the last frame, then sleep until the next one
	PollBusy                    // look all the time, and have the kernel look at the device
	PollSleep                   // sleep at once
)

func (p Polling) String() string {
	switch p {
	case PollAdaptive:
		return "adaptive"
	case PollBusy:
		return "busy"
	case PollSleep:
		return "sleep"
	}
	return fmt.Sprintf("polling(%d)", uint8(p))
}

// A Scheduling is a policy by which the kernel gives a thread its turns (sched(7)), with
// the kernel's numbers. The set is open.
type Scheduling uint8

const (
	SchedOther      Scheduling = 0
	SchedFIFO       Scheduling = 1
	SchedRoundRobin Scheduling = 2
	SchedBatch      Scheduling = 3
	SchedIdle       Scheduling = 5
	SchedDeadline   Scheduling = 6
)

// A DeviceType says what kind of device it is.
type DeviceType uint8

const (
	Ethernet DeviceType = iota // a link of the kernel
	Loopback                   // no link: addresses that stand whatever links go down
)

func (t DeviceType) String() string {
	switch t {
	case Ethernet:
		return "ethernet"
	case Loopback:
		return "loopback"
	}
	return fmt.Sprintf("device-type(%d)", uint8(t))
}

// A DeviceSpec is the intended state of a device. It is comparable. Of a
// Loopback the fields behind Enabled are not looked at, but for MRU, which bounds
// the MTU of its families.
type DeviceSpec struct {
	Name        string // the kernel's link name; of a Loopback any
	Type        DeviceType
	Description string
	Enabled     bool
	MRU         uint16 // octets: the largest frame, Ethernet header and tags included, FCS not
	Attach      Attach
	Driver      Driver
	Queues      uint16 // receive and transmit queues to use; 0 is all that the device has
	MAC         MAC    // zero keeps the hardware's own
	Polling     Polling
}

// MaxPlainMRU is the largest MRU, in octets, of frames that stay in one buffer.
// A device is opened for these, or for larger ones.
const MaxPlainMRU = 1790

// OpensAs reports whether a device that is open as o says can stay so for d:
// everything else changes while it forwards.
func (d DeviceSpec) OpensAs(o DeviceSpec) bool {
	return d.Attach == o.Attach && d.Driver == o.Driver && d.Queues == o.Queues && (d.MRU > MaxPlainMRU) == (o.MRU > MaxPlainMRU)
}

// A VLAN is the tag stack of a unit. A zero TPID means that the tag is absent;
// an inner tag needs an outer one. Ids are 1 to 4094.
type VLAN struct {
	OuterTPID, OuterID uint16
	InnerTPID, InnerID uint16
}

// Tags is the number of tags: 0, 1 or 2.
func (v VLAN) Tags() int {
	switch {
	case v.InnerTPID != 0:
		return 2
	case v.OuterTPID != 0:
		return 1
	}
	return 0
}

// A UnitKey names a unit in configuration: its device and its id, a dotted
// path of decimal numbers such as "100" or "100.1".
type UnitKey struct{ Device, ID string }

// Name is the unit's full name, "ge0.100".
func (k UnitKey) Name() string { return k.Device + "." + k.ID }

// Compare orders keys by device, then by id as text.
func (k UnitKey) Compare(o UnitKey) int {
	return cmp.Or(strings.Compare(k.Device, o.Device), strings.Compare(k.ID, o.ID))
}

// A UnitSpec is the intended state of a unit with its families.
type UnitSpec struct {
	Key         UnitKey
	Description string
	Enabled     bool
	VLAN        VLAN         // this unit's own tags; a child's come after its parent's
	Group       uint32       // interface group, by which filters know it; 0 is none
	Families    []FamilySpec // at most one of each kind, in order of kind
}

// A FamilySpec is the intended state of a family on a unit.
type FamilySpec struct {
	Family   Family
	Enabled  bool
	Instance string // routing instance, "default" when nothing is said
	MTU      uint16 // octets of the network-layer packet; 0 is the standard default
	// Unnumbered is the unit whose address the family borrows; zero for none.
	Unnumbered UnitKey
	// NoRedirects says that hosts are not told of better first hops.
	NoRedirects bool
	RPF         RPFCheck       // of the sources of what comes in
	Advert      *AdvertSpec    // router advertisements, of Inet6 only; nil for none
	Addresses   []AddressSpec  // ordered by prefix
	Neighbors   []NeighborSpec // ordered by address
	Filters     FilterNames
}

// FilterNames are the filters of a family by name, empty where there is none. It
// is comparable.
type FilterNames struct {
	Input, Output           string // of what the unit receives, and of what it sends
	InputLocal, OutputLocal string // of what the router receives through it for itself, and sends
}

// An AddressSpec is the intended state of an address.
type AddressSpec struct {
	Prefix    netip.Prefix // address and prefix length, host bits kept
	Primary   bool         // source of what the router sends when it has a choice on the unit
	Preferred bool         // source for destinations within this prefix when several addresses share it
	Ignore    bool         // the routes to its network are there, but not used
	Peer      netip.Addr   // far end of a point-to-point link; zero elsewhere
}

// A NeighborSpec is a static neighbour.
type NeighborSpec struct {
	Address netip.Addr
	MAC     MAC
}
