package packet

import (
	"encoding/binary"

	"router/intf"
)

// EthernetHeaderLen is the length of an untagged header; each tag adds TagLen.
const (
	EthernetHeaderLen = 14
	TagLen            = 4
	// MinEthernetFrame is what a frame is padded to, without its FCS (IEEE 802.3).
	MinEthernetFrame = 60
)

// vlanIDMask cuts priority and drop eligibility off a tag control field.
const vlanIDMask = 0x0fff

// An L2 is the link-layer part of a frame. Its payload starts at HeaderLen and
// may end in padding, which the checks of the network layer trim.
type L2 struct {
	Dst, Src  intf.MAC
	VLAN      intf.VLAN
	EtherType uint16
	HeaderLen int
}

// ParseEthernet reads the Ethernet header and up to two tags (TPIDs 0x8100,
// 0x88a8 and 0x9100 to 0x9300). A priority tag (VLAN id 0, IEEE 802.1Q 6.9) is skipped
// and leaves no trace but in HeaderLen. A third tag stays unread: its TPID is
// the EtherType then. On a fault the L2 holds what was read until there.
func ParseEthernet(frame []byte) (L2, Fault) {
	var l L2
	if len(frame) < EthernetHeaderLen {
		return l, FaultTruncated
	}
	l.Dst = intf.MAC(frame[0:6])
	l.Src = intf.MAC(frame[6:12])
	l.EtherType = binary.BigEndian.Uint16(frame[12:14])
	l.HeaderLen = EthernetHeaderLen
	for tags := 0; IsTPID(l.EtherType) && tags < 2; tags++ {
		if len(frame) < l.HeaderLen+TagLen {
			return l, FaultTruncated
		}
		tag := frame[l.HeaderLen : l.HeaderLen+TagLen]
		id := binary.BigEndian.Uint16(tag) & vlanIDMask
		switch {
		case id == vlanIDMask:
			return l, FaultTag
		case id == 0:
		case l.VLAN.OuterTPID == 0:
			l.VLAN.OuterTPID, l.VLAN.OuterID = l.EtherType, id
		default:
			l.VLAN.InnerTPID, l.VLAN.InnerID = l.EtherType, id
		}
		l.EtherType = binary.BigEndian.Uint16(tag[2:4])
		l.HeaderLen += TagLen
	}
	if l.EtherType < 0x0600 {
		return l, FaultEtherType
	}
	return l, FaultNone
}

// IsTPID reports whether an EtherType announces a VLAN tag.
func IsTPID(etherType uint16) bool {
	switch etherType {
	case TPID8021Q, TPID8021AD, TPIDQinQ, TPID9200, TPID9300:
		return true
	}
	return false
}

// EthernetLen is the length of the header that PutEthernet writes.
func EthernetLen(v intf.VLAN) int { return EthernetHeaderLen + TagLen*v.Tags() }

// PutEthernet writes an Ethernet header with the tags of v (priority 0) to b
// and returns its length. b holds at least EthernetLen(v) octets.
func PutEthernet(b []byte, dst, src intf.MAC, v intf.VLAN, etherType uint16) int {
	copy(b[0:6], dst[:])
	copy(b[6:12], src[:])
	n := 12
	tags := v.Tags()
	if tags > 0 {
		binary.BigEndian.PutUint16(b[n:], v.OuterTPID)
		binary.BigEndian.PutUint16(b[n+2:], v.OuterID)
		n += TagLen
	}
	if tags > 1 {
		binary.BigEndian.PutUint16(b[n:], v.InnerTPID)
		binary.BigEndian.PutUint16(b[n+2:], v.InnerID)
		n += TagLen
	}
	binary.BigEndian.PutUint16(b[n:], etherType)
	return n + 2
}
