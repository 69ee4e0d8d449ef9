package packet

import (
	"encoding/binary"
	"net/netip"

	"router/intf"
)

// ARPLen is the length of an ARP packet for Ethernet and IPv4 (RFC 826).
const ARPLen = 28

// ARP operations (RFC 826).
const (
	ARPRequest = 1
	ARPReply   = 2
)

// An ARP is an ARP packet for Ethernet and IPv4 (RFC 826).
type ARP []byte

// ParseARP returns b, the payload of a frame, once it is an ARP request or reply
// whose sender could be a host. A sender address of 0.0.0.0 is that of a probe
// (RFC 5227, 1.1) and stands in requests only. Whether target and sender are
// ours or on the link is not known here.
func ParseARP(b []byte) (ARP, Fault) {
	if len(b) < ARPLen {
		return nil, FaultTruncated
	}
	// Hardware type 1, protocol type IPv4, lengths 6 and 4.
	if binary.BigEndian.Uint64(b[0:8])>>16 != 0x0001_0800_0604 {
		return nil, FaultHardware
	}
	a := ARP(b[:ARPLen])
	op := a.Op()
	if op != ARPRequest && op != ARPReply {
		return nil, FaultType
	}
	if mac := a.SenderMAC(); mac.IsZero() || mac.IsMulticast() {
		return nil, FaultSource
	}
	sender := binary.BigEndian.Uint32(a[14:18])
	if !IsHost4(sender) && (sender != 0 || op != ARPRequest) {
		return nil, FaultSource
	}
	if target := binary.BigEndian.Uint32(a[24:28]); op == ARPRequest && !IsHost4(target) {
		return nil, FaultTarget
	}
	return a, FaultNone
}

// Op is the operation: ARPRequest or ARPReply.
func (a ARP) Op() uint16 { return binary.BigEndian.Uint16(a[6:8]) }

// SenderMAC is the sender's hardware address.
func (a ARP) SenderMAC() intf.MAC { return intf.MAC(a[8:14]) }

// SenderIP is the sender's protocol address; 0.0.0.0 in a probe.
func (a ARP) SenderIP() netip.Addr { return netip.AddrFrom4([4]byte(a[14:18])) }

// TargetMAC is the target's hardware address; it means nothing in a request.
func (a ARP) TargetMAC() intf.MAC { return intf.MAC(a[18:24]) }

// TargetIP is the target's protocol address.
func (a ARP) TargetIP() netip.Addr { return netip.AddrFrom4([4]byte(a[24:28])) }

// PutARP writes an ARP packet to b, which holds at least ARPLen octets, and
// returns its length. Both addresses are IPv4.
func PutARP(b []byte, op uint16, senderMAC intf.MAC, senderIP netip.Addr, targetMAC intf.MAC, targetIP netip.Addr) int {
	b = b[:ARPLen]
	binary.BigEndian.PutUint64(b, 0x0001_0800_0604_0000|uint64(op))
	s, t := senderIP.As4(), targetIP.As4()
	copy(b[8:14], senderMAC[:])
	copy(b[14:18], s[:])
	copy(b[18:24], targetMAC[:])
	copy(b[24:28], t[:])
	return ARPLen
}
