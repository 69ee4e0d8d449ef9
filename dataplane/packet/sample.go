package packet

import (
	"encoding/binary"
	"net/netip"
)

// A Sample is a packet to try out: whole, without options, with data of zeroes.
type Sample struct {
	Src, Dst netip.Addr // of one family
	Protocol uint8
	// SrcPort and DstPort are those of TCP (whose first segment it is), UDP, UDP-Lite,
	// DCCP and SCTP. Of ICMP DstPort is the type. Others have none.
	SrcPort, DstPort uint16
	TTL, DSCP        uint8
	DontFragment     bool // IPv4 only
	// Size is the length of the packet; Put makes one that is too short as long as its
	// headers.
	Size int
}

// sampleHeader is the length of the transport header that Put writes.
func (s *Sample) sampleHeader() int {
	switch s.Protocol {
	case ProtocolTCP:
		return TCPMinHeaderLen
	case ProtocolUDP, ProtocolUDPLite, ProtocolICMPv4, ProtocolICMPv6:
		return UDPHeaderLen
	case ProtocolDCCP, ProtocolSCTP:
		return 12
	}
	return 0
}

// MaxSample is the largest Size.
const MaxSample = 0xffff

// Put returns the packet.
func (s *Sample) Put() []byte {
	head := IPv4MinHeaderLen
	if s.Src.Is6() {
		head = IPv6HeaderLen
	}
	b := make([]byte, min(max(s.Size, head+s.sampleHeader()), MaxSample))
	if s.Src.Is6() {
		PutIPv6(b, s.DSCP<<2, s.Protocol, s.TTL, s.Src, s.Dst, len(b)-head)
	} else {
		PutIPv4(b, s.DSCP<<2, 1, s.DontFragment, s.TTL, s.Protocol, s.Src, s.Dst, len(b)-head)
	}
	m := b[head:]
	switch s.Protocol {
	case ProtocolTCP, ProtocolUDP, ProtocolUDPLite, ProtocolDCCP, ProtocolSCTP:
		binary.BigEndian.PutUint16(m[0:2], s.SrcPort)
		binary.BigEndian.PutUint16(m[2:4], s.DstPort)
	}
	switch s.Protocol {
	case ProtocolTCP:
		m[12], m[13] = TCPMinHeaderLen/4<<4, TCPSyn
		SetTransportChecksum(b)
	case ProtocolUDP:
		binary.BigEndian.PutUint16(m[4:6], uint16(len(m)))
		m[7] = 1 // 0 would say that there is no checksum
		SetTransportChecksum(b)
	case ProtocolICMPv4, ProtocolICMPv6:
		m[0] = uint8(s.DstPort)
		if s.Src.Is6() && s.Protocol == ProtocolICMPv6 {
			setChecksumICMPv6(b, head)
		} else {
			binary.BigEndian.PutUint16(m[2:4], ^Sum(m, 0))
		}
	}
	return b
}
