package packet

import (
	"net/netip"
	"testing"
)

func TestSetDSCP(t *testing.T) {
	four := make([]byte, IPv4MinHeaderLen)
	six := make([]byte, IPv6HeaderLen)
	for tos := range 256 {
		for dscp := range 64 {
			PutIPv4(four, uint8(tos), 0x1234, true, 64, ProtocolUDP, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1"), 0)
			SetDSCP4(four, uint8(dscp))
			ip, fault := CheckIPv4(four)
			if fault != FaultNone || ip.TOS() != uint8(dscp<<2|tos&3) {
				t.Fatalf("TOS %#x with DSCP %d is %#x, %v", tos, dscp, four[1], fault)
			}
			PutIPv6(six, uint8(tos), ProtocolUDP, 64, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), 0)
			six[1] |= 0xa
			six[2], six[3] = 0xbc, 0xde
			SetDSCP6(six, uint8(dscp))
			h := IPv6(six)
			if h.TrafficClass() != uint8(dscp<<2|tos&3) || h.FlowLabel() != 0xabcde || six[0]>>4 != 6 {
				t.Fatalf("class %#x with DSCP %d is % x", tos, dscp, six[:4])
			}
		}
	}
}
