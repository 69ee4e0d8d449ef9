package intf

import "encoding/binary"

const (
	// EthernetHeader is the length of an Ethernet header without tags.
	EthernetHeader = 14
	// TagLength is what each VLAN tag adds to it (IEEE 802.1Q, 9.3).
	TagLength = 4
	// MTUReserve is what the standard default MTU leaves of the MRU: a header
	// and one tag, so that a tagged unit and an untagged one have the same MTU.
	MTUReserve = EthernetHeader + TagLength

	// MinMTU4 and MinMTU6 are the least MTU of a link (RFC 791, 3.2; RFC 8200, 5).
	MinMTU4 = 68
	MinMTU6 = 1280

	maxL2 = EthernetHeader + 2*TagLength
)

// Observed is what was seen of a device. It is comparable; the zero value is a
// device that isn't there.
type Observed struct {
	Present bool
	Up      bool   // carrier, and administratively up in the kernel
	MAC     MAC    // zero when unknown
	LinkMTU uint16 // octets behind the Ethernet header and one tag; 0 when unknown
	Reason  string // why it is absent or down, when more is known than the flags say
}

// A Device is a device as derived from its spec and what was observed.
type Device struct {
	Spec     DeviceSpec
	Observed Observed
	Index    Index
	MAC      MAC    // the configured one, else the hardware's; zero when neither is known
	MRU      uint16 // octets: the configured MRU, less if the link takes less
	Down     Down
	Reason   string // why it is down; empty when up
}

// A Unit is a unit as derived from the tree. A Unit that the [Tree] gave out
// never changes: a change makes a new one.
type Unit struct {
	Spec        UnitSpec
	Name        string // "ge0.100"
	Index       Index
	Parent      Index // the device, or the unit that this one is a child of; 0 when not there
	DeviceIndex Index // 0 while the device is not configured
	Stack       VLAN  // the whole tag stack, parents' tags first
	MAC         MAC   // own station address, the device's; zero on a loopback
	Loopback    bool  // the device has no link
	MRU         uint16
	Down        Down
	Reason      string
	families    [len(Families)]UnitFamily

	header [maxL2]byte // source address and tags, as collected from the parents
	length uint8       // of header in use
}

// A UnitFamily is a family as derived from the tree.
type UnitFamily struct {
	Spec   FamilySpec
	MTU    uint16 // octets of the network-layer packet: effective, also while down
	Down   Down
	Reason string
}

// A DemuxKey recognises the frames of a unit: the device they arrive on and
// all their tags. With the ethertype it finds the family.
type DemuxKey struct {
	Device Index
	Stack  VLAN
}

// Up reports whether frames can pass.
func (d *Device) Up() bool { return d.Down == 0 }

// Up reports whether frames can pass.
func (u *Unit) Up() bool { return u.Down == 0 }

// Up reports whether packets can pass. A family needs no address for that.
func (f *UnitFamily) Up() bool { return f.Down == 0 }

// Family is the family f of the unit, nil when it is not configured.
func (u *Unit) Family(f Family) *UnitFamily {
	if int(f) >= len(u.families) || u.families[f].Spec.Instance == "" {
		return nil
	}
	return &u.families[f]
}

// Overhead is the length of the L2 header in octets, FCS not counted.
func (u *Unit) Overhead() int { return EthernetHeader + TagLength*u.Stack.Tags() }

// DemuxKey is the key of the unit's frames.
func (u *Unit) DemuxKey() DemuxKey { return DemuxKey{Device: u.DeviceIndex, Stack: u.Stack} }

// AppendHeader appends the L2 header of a frame from this unit to the station
// dst, Overhead octets in network byte order.
func (u *Unit) AppendHeader(b []byte, dst MAC, etherType uint16) []byte {
	b = append(b, dst[:]...)
	b = append(b, u.header[:u.length]...)
	return binary.BigEndian.AppendUint16(b, etherType)
}

// push makes the unit's header that of its parent followed by its own tags, and
// reports whether they all fit. header and stack are the parent's.
func (u *Unit) push(header []byte, stack, own VLAN) bool {
	u.length = uint8(copy(u.header[:], header))
	u.Stack = stack
	if own.InnerTPID != 0 && own.OuterTPID == 0 {
		return false
	}
	for _, tag := range [...][2]uint16{{own.OuterTPID, own.OuterID}, {own.InnerTPID, own.InnerID}} {
		if tag[0] == 0 {
			continue
		}
		switch u.Stack.Tags() {
		case 0:
			u.Stack.OuterTPID, u.Stack.OuterID = tag[0], tag[1]
		case 1:
			u.Stack.InnerTPID, u.Stack.InnerID = tag[0], tag[1]
		case 2:
			return false
		}
		binary.BigEndian.PutUint16(u.header[u.length:], tag[0])
		binary.BigEndian.PutUint16(u.header[u.length+2:], tag[1])
		u.length += TagLength
	}
	return true
}
