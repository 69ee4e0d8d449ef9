package filter

import (
	"encoding/binary"

	"router/dataplane/packet"
	"router/intf"
)

// A field is what a condition looks at. The classifier has one column for each
// field that a filter uses.
type field uint8

// The fields.
const (
	// Values of at most 16 bits.
	fieldProtocol field = iota
	fieldSrcPort
	fieldDstPort
	fieldTCPFlags
	fieldICMP // type<<8 | code
	fieldFragment
	fieldDSCP
	fieldLength
	fieldTTL
	fieldOptions // whether there are any; which ones is in Key.options
	fieldEtherType
	fieldVLAN
	fieldInnerVLAN
	fieldMark
	fieldLossPriority
	fieldForwardingClass
	// Larger numbers.
	fieldInterface
	fieldGroup
	fieldSrcMAC
	fieldDstMAC
	// Addresses: IPv4 ones, and the lower halves of IPv6 ones.
	fieldSrc
	fieldDst
	// Upper halves of IPv6 addresses, which are no fields of their own.
	fieldSrcHi
	fieldDstHi

	numFields = fieldDst + 1
	numValues = fieldDstHi + 1
	numSmall  = fieldInterface
)

// Values of fieldFragment.
const (
	fragmentWhole = iota
	fragmentFirst
	fragmentLater
)

// Values of fieldOptions: what is there of options or extension headers.
const (
	optionsNone = iota
	optionsFill // end of list and no-operation only
	optionsReal
)

// fieldSet is a set of fields.
type fieldSet uint32

func (s fieldSet) has(f field) bool { return s>>f&1 != 0 }

// Fields that cost more than a load to find.
const (
	transportFields = 1<<fieldSrcPort | 1<<fieldDstPort | 1<<fieldTCPFlags | 1<<fieldICMP
	frameFields     = 1<<fieldEtherType | 1<<fieldVLAN | 1<<fieldInnerVLAN | 1<<fieldSrcMAC | 1<<fieldDstMAC
	metaFields      = 1<<fieldMark | 1<<fieldLossPriority | 1<<fieldForwardingClass
	headerFields    = 1<<fieldSrc | 1<<fieldDst | 1<<fieldDSCP | 1<<fieldLength | 1<<fieldTTL
)

// A Key holds the fields of one packet. A field that doesn't stand in has is not
// there, whatever its value holds.
type Key struct {
	has     fieldSet
	options uint32 // IPv4: by option number; IPv6: by extensionBit
	octets  uint32 // of the packet, not cut to 16 bits
	value   [numValues]uint64
}

func (k *Key) set(f field, v uint64) {
	k.value[f] = v
	k.has |= 1 << f
}

// parse fills k from a packet of a family and what Meta knows about it. Of the
// fields that are costly to find only those in need are there afterwards. It takes
// any octets: fields that are cut off, or behind something malformed, are missing. It
// reports false for what is too short to be a packet of the family.
func (k *Key) parse(f intf.Family, l3 []byte, m *Meta, need fieldSet) bool {
	k.has = metaFields
	k.value[fieldMark] = uint64(m.Mark)
	k.value[fieldLossPriority] = uint64(m.LossPriority)
	k.value[fieldForwardingClass] = uint64(m.ForwardingClass)
	k.octets = uint32(len(l3))
	switch f {
	case intf.Inet:
		if len(l3) < packet.IPv4MinHeaderLen {
			return false
		}
		k.parse4(l3, need)
	case intf.Inet6:
		if len(l3) < packet.IPv6HeaderLen {
			return false
		}
		k.parse6(l3, need)
	}
	if m.In != 0 {
		k.set(fieldInterface, uint64(m.In))
		if m.Group != 0 {
			k.set(fieldGroup, uint64(m.Group))
		}
	}
	if need&frameFields != 0 {
		k.parseFrame(m.Frame)
	}
	return true
}

// parse4 reads an IPv4 packet of at least a header's length.
func (k *Key) parse4(l3 []byte, need fieldSet) {
	h := packet.IPv4(l3)
	k.value[fieldSrc], k.value[fieldDst] = uint64(h.Src32()), uint64(h.Dst32())
	k.value[fieldSrcHi], k.value[fieldDstHi] = 0, 0
	k.value[fieldDSCP] = uint64(l3[1] >> 2)
	k.value[fieldLength] = uint64(min(len(l3), 0xffff))
	k.value[fieldTTL] = uint64(l3[8])
	k.value[fieldProtocol] = uint64(l3[9])
	k.has |= headerFields | 1<<fieldProtocol | 1<<fieldFragment | 1<<fieldOptions
	fragment := binary.BigEndian.Uint16(l3[6:8]) &^ 0xc000 // without the reserved bit and DF
	switch {
	case fragment == 0:
		k.value[fieldFragment] = fragmentWhole
	case fragment&0x1fff == 0:
		k.value[fieldFragment] = fragmentFirst
	default:
		k.value[fieldFragment] = fragmentLater
	}
	at := h.HeaderLen()
	k.options, k.value[fieldOptions] = 0, optionsNone
	if at != packet.IPv4MinHeaderLen {
		if at < packet.IPv4MinHeaderLen || at > len(l3) {
			k.has &^= 1 << fieldOptions
			return
		}
		k.options, k.value[fieldOptions] = options4(l3[packet.IPv4MinHeaderLen:at])
	}
	if need&transportFields != 0 && k.value[fieldFragment] != fragmentLater {
		k.parseTransport(l3[9], l3[at:], packet.ProtocolICMPv4)
	}
}

// options4 walks the options of an IPv4 header (RFC 791, 3.1), as far as their
// lengths make sense.
func options4(b []byte) (numbers uint32, class uint64) {
	for len(b) > 0 {
		typ := b[0]
		numbers |= 1 << (typ & 31)
		class = max(class, optionsFill)
		if typ == 0 {
			return numbers, class
		}
		if typ == 1 {
			b = b[1:]
			continue
		}
		class = optionsReal
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return numbers, class
		}
		b = b[b[1]:]
	}
	return numbers, class
}

// extensionHeaders are the IPv6 extension headers that a condition can name, in the
// order of their bits in Key.options.
var extensionHeaders = [...]uint8{
	packet.ProtocolHopByHop, packet.ProtocolRouting, packet.ProtocolFragment, packet.ProtocolESP, packet.ProtocolAH,
	packet.ProtocolDestOptions, packet.ProtocolMobility, packet.ProtocolHIP, packet.ProtocolShim6,
}

// extensionBits is the bit of each extension header, and 0 for other protocols.
var extensionBits = func() (bits [256]uint32) {
	for i, p := range extensionHeaders {
		bits[p] = 1 << i
	}
	return bits
}()

// parse6 reads an IPv6 packet of at least a header's length. It walks the extension headers as packet.IPv6.Upper
// does, but looks which ones there are.
func (k *Key) parse6(l3 []byte, need fieldSet) {
	h := packet.IPv6(l3)
	k.value[fieldSrcHi], k.value[fieldSrc] = h.Src64()
	k.value[fieldDstHi], k.value[fieldDst] = h.Dst64()
	k.value[fieldDSCP] = uint64(h.TrafficClass() >> 2)
	k.value[fieldLength] = uint64(min(len(l3), 0xffff))
	k.value[fieldTTL] = uint64(l3[7])
	k.value[fieldFragment] = fragmentWhole
	k.options, k.value[fieldOptions] = 0, optionsNone
	k.has |= headerFields | 1<<fieldFragment | 1<<fieldOptions
	protocol, at := l3[6], packet.IPv6HeaderLen
	if extensionBits[protocol] != 0 {
		var whole bool
		if protocol, at, whole = k.walk(l3, protocol); !whole {
			return
		}
	}
	k.set(fieldProtocol, uint64(protocol))
	if need&transportFields != 0 && k.value[fieldFragment] != fragmentLater {
		k.parseTransport(protocol, l3[at:], packet.ProtocolICMPv6)
	}
}

// walk goes through the extension headers of an IPv6 packet, the first of which is
// next, and returns the protocol behind them and where it starts. It reports false
// for a chain that can't be walked to its end.
func (k *Key) walk(l3 []byte, next uint8) (protocol uint8, at int, whole bool) {
	at = packet.IPv6HeaderLen
	for range packet.MaxExtensionHeaders {
		bit := extensionBits[next]
		if bit == 0 {
			return next, at, true
		}
		k.options |= bit
		k.value[fieldOptions] = optionsReal
		if next == packet.ProtocolESP {
			return next, at, true
		}
		rest := l3[at:]
		if len(rest) < 8 || next == packet.ProtocolHopByHop && at != packet.IPv6HeaderLen {
			return next, at, false
		}
		n := 8 + int(rest[1])*8
		switch next {
		case packet.ProtocolAH:
			n = 8 + int(rest[1])*4 // RFC 4302, 2.2
		case packet.ProtocolFragment:
			n = 8
			field := binary.BigEndian.Uint16(rest[2:4])
			switch {
			case field>>3 != 0:
				k.value[fieldFragment] = fragmentLater
				return rest[0], at + 8, true
			case field&1 != 0:
				k.value[fieldFragment] = fragmentFirst
			}
		}
		if n > len(rest) {
			return next, at, false
		}
		next = rest[0]
		at += n
	}
	bit := extensionBits[next]
	k.options |= bit
	return next, at, bit == 0 || next == packet.ProtocolESP
}

// parseTransport reads the start of a transport header, as much as there is.
func (k *Key) parseTransport(protocol uint8, b []byte, icmp uint8) {
	switch protocol {
	case packet.ProtocolTCP:
		if len(b) >= 14 {
			k.set(fieldTCPFlags, uint64(b[13]))
		}
	case packet.ProtocolUDP, packet.ProtocolSCTP, protocolDCCP, protocolUDPLite:
	case icmp:
		if len(b) >= 2 {
			k.set(fieldICMP, uint64(binary.BigEndian.Uint16(b)))
		}
		return
	default:
		return
	}
	if len(b) >= 4 {
		k.value[fieldSrcPort] = uint64(binary.BigEndian.Uint16(b))
		k.value[fieldDstPort] = uint64(binary.BigEndian.Uint16(b[2:]))
		k.has |= 1<<fieldSrcPort | 1<<fieldDstPort
	}
}

// Transports that have their ports where UDP has them, like those of package packet.
const (
	protocolDCCP    = 33  // RFC 4340, 5.1
	protocolUDPLite = 136 // RFC 3828, 3
)

// parseFrame reads the Ethernet header and tags.
func (k *Key) parseFrame(frame []byte) {
	if len(frame) < packet.EthernetHeaderLen {
		return
	}
	l2, fault := packet.ParseEthernet(frame)
	k.set(fieldSrcMAC, mac64(l2.Src))
	k.set(fieldDstMAC, mac64(l2.Dst))
	if l2.VLAN.OuterTPID != 0 {
		k.set(fieldVLAN, uint64(l2.VLAN.OuterID))
	}
	if l2.VLAN.InnerTPID != 0 {
		k.set(fieldInnerVLAN, uint64(l2.VLAN.InnerID))
	}
	if fault == packet.FaultNone {
		k.set(fieldEtherType, uint64(l2.EtherType))
	}
}

// mac64 is an address as a number, its first octet the highest of 48 bits.
func mac64(m intf.MAC) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:2]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}
