// Package packet reads and writes the bytes of packets: views of headers over
// byte slices, the checks that RFC 1812, 8200, 826 and 4861 demand, checksums,
// fragmentation, and the construction of ICMP errors.
//
// Nothing here does I/O, allocates, or keeps state. A view (IPv4, IPv6, UDP,
// TCP, ICMP, ARP) is a slice that starts with its header; one that came from a
// Check or Parse function holds the whole header, and only then may its other
// methods be called. All fields are in network byte order in memory and in host
// byte order as numbers. What is wrong with a packet is a [Fault], a small
// closed set that can index an array of counters, never an error.
//
// Source: the RFCs named at each declaration; the form is that of gVisor's
// header package.
package packet

import "fmt"

// EtherTypes (IEEE 802 numbers) and the TPIDs of VLAN tags.
const (
	EtherTypeIPv4 = 0x0800 // RFC 894
	EtherTypeARP  = 0x0806 // RFC 826
	EtherTypeIPv6 = 0x86dd // RFC 2464

	TPID8021Q  = 0x8100 // IEEE 802.1Q C-tag
	TPID8021AD = 0x88a8 // IEEE 802.1ad S-tag
	TPIDQinQ   = 0x9100 // the S-tag of equipment older than 802.1ad
	TPID9200   = 0x9200 // another of its S-tags
	TPID9300   = 0x9300 // and another
)

// Protocol numbers (IPv4 protocol, IPv6 next header; IANA).
const (
	ProtocolHopByHop    = 0   // RFC 8200, 4.3
	ProtocolICMPv4      = 1   // RFC 792
	ProtocolIGMP        = 2   // RFC 3376
	ProtocolTCP         = 6   // RFC 9293
	ProtocolUDP         = 17  // RFC 768
	ProtocolDCCP        = 33  // RFC 4340
	ProtocolRouting     = 43  // RFC 8200, 4.4
	ProtocolFragment    = 44  // RFC 8200, 4.5
	ProtocolESP         = 50  // RFC 4303
	ProtocolAH          = 51  // RFC 4302
	ProtocolICMPv6      = 58  // RFC 4443
	ProtocolNoNext      = 59  // RFC 8200, 4.7
	ProtocolDestOptions = 60  // RFC 8200, 4.6
	ProtocolSCTP        = 132 // RFC 9260
	ProtocolMobility    = 135
	ProtocolUDPLite     = 136 // RFC 3828
	ProtocolHIP         = 139
	ProtocolShim6       = 140
)

// A Fault is what is wrong with the form of a packet. It is a closed set;
// NumFaults bounds it, for arrays of counters.
type Fault uint8

// The faults.
const (
	FaultNone         Fault = iota
	FaultTruncated          // fewer octets than the header, or than the header announces
	FaultTag                // VLAN id 4095, which IEEE 802.1Q reserves
	FaultEtherType          // an IEEE 802.3 length where the type should be
	FaultVersion            // not the IP version that the EtherType announces
	FaultHeaderLength       // IHL below 5 (RFC 1812, 5.2.2)
	FaultTotalLength        // total length below the header's (RFC 1812, 5.2.2)
	FaultChecksum           // a checksum that does not add up
	FaultOption             // an option or extension header of impossible length
	FaultExtensions         // more extension headers than we walk
	FaultHopLimit           // neighbour discovery with a hop limit below 255 (RFC 4861)
	FaultCode               // an ICMP code other than 0 where 0 is demanded
	FaultType               // a message type that is not read here
	FaultSource             // a source address or link-layer address that names no host
	FaultTarget             // a target or destination that the message must not have
	FaultHardware           // ARP for other than Ethernet and IPv4 (RFC 826)

	NumFaults = iota // the number of values
)

var faultNames = [NumFaults]string{
	"none", "truncated", "reserved-vlan-id", "not-ethernet-ii", "bad-version", "bad-header-length",
	"bad-total-length", "bad-checksum", "bad-option", "too-many-extension-headers", "bad-hop-limit",
	"bad-icmp-code", "unknown-type", "bad-source", "bad-target", "bad-hardware-type",
}

// String is the fault's name as counters show it.
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return fmt.Sprintf("fault(%d)", uint8(f))
}
