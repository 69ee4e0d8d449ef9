package packet

import "encoding/binary"

// Sizes of transport headers.
const (
	UDPHeaderLen    = 8  // RFC 768
	TCPMinHeaderLen = 20 // RFC 9293, 3.1
	sctpHeaderLen   = 12 // RFC 9260, 3.1
)

// A UDP starts with a UDP header (RFC 768).
type UDP []byte

// ParseUDP returns b as UDP, cut to the datagram's length. A length of 0 is
// that of a jumbogram (RFC 2675) and counts as truncated.
func ParseUDP(b []byte) (UDP, Fault) {
	if len(b) < UDPHeaderLen {
		return nil, FaultTruncated
	}
	n := int(binary.BigEndian.Uint16(b[4:6]))
	if n < UDPHeaderLen || n > len(b) {
		return nil, FaultTruncated
	}
	return UDP(b[:n]), FaultNone
}

// SrcPort is the source port.
func (u UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(u[0:2]) }

// DstPort is the destination port.
func (u UDP) DstPort() uint16 { return binary.BigEndian.Uint16(u[2:4]) }

// Checksum is the checksum field; 0 over IPv4 means that there is none.
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[6:8]) }

// Payload is what follows the header.
func (u UDP) Payload() []byte { return u[UDPHeaderLen:] }

// A TCP starts with a TCP header (RFC 9293, 3.1).
type TCP []byte

// The TCP flags (RFC 9293, 3.1), as TCP.Flags returns them.
const (
	TCPFin = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
)

// ParseTCP returns b as TCP once the whole header is there.
func ParseTCP(b []byte) (TCP, Fault) {
	if len(b) < TCPMinHeaderLen {
		return nil, FaultTruncated
	}
	n := int(b[12]>>4) * 4
	if n < TCPMinHeaderLen {
		return nil, FaultHeaderLength
	}
	if n > len(b) {
		return nil, FaultTruncated
	}
	return TCP(b), FaultNone
}

// SrcPort is the source port.
func (t TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(t[0:2]) }

// DstPort is the destination port.
func (t TCP) DstPort() uint16 { return binary.BigEndian.Uint16(t[2:4]) }

// HeaderLen is the header's length in octets, options included.
func (t TCP) HeaderLen() int { return int(t[12]>>4) * 4 }

// Flags are the flag bits.
func (t TCP) Flags() uint8 { return t[13] }

// Checksum is the checksum field.
func (t TCP) Checksum() uint16 { return binary.BigEndian.Uint16(t[16:18]) }

// Payload is what follows the header.
func (t TCP) Payload() []byte { return t[t.HeaderLen():] }
