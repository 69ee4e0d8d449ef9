package packet

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestSample(t *testing.T) {
	six := [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	for _, addrs := range [][2]netip.Addr{{ip4A, ip4B}, six} {
		for _, protocol := range []uint8{ProtocolICMPv4, ProtocolICMPv6, ProtocolTCP, ProtocolUDP, ProtocolUDPLite, ProtocolDCCP, ProtocolSCTP, 47} {
			for _, size := range []int{0, 64, 1500, 9000, MaxSample} {
				t.Run(fmt.Sprintf("%v protocol %d of %d octets", addrs[0], protocol, size), func(t *testing.T) {
					s := Sample{Src: addrs[0], Dst: addrs[1], Protocol: protocol, SrcPort: 49152, DstPort: 80, TTL: 9, DSCP: 46, Size: size}
					b := s.Put()
					if size > 64 && len(b) != size {
						t.Errorf("%d octets", len(b))
					}
					var u Upper
					if addrs[0].Is4() {
						h, fault := CheckIPv4(b)
						if fault != FaultNone || h.TTL() != 9 || h[1]>>2 != 46 || h.Src() != s.Src || h.Dst() != s.Dst {
							t.Fatalf("%v: %x", fault, b[:20])
						}
						u = h.Upper()
					} else {
						h, fault := CheckIPv6(b)
						if fault != FaultNone || h[7] != 9 || h.TrafficClass()>>2 != 46 || h.Src() != s.Src || h.Dst() != s.Dst {
							t.Fatalf("%v: %x", fault, b[:40])
						}
						if u, fault = h.Upper(); fault != FaultNone {
							t.Fatal(fault)
						}
					}
					if u.Protocol != protocol {
						t.Errorf("protocol %d", u.Protocol)
					}
					if (protocol == ProtocolTCP || protocol == ProtocolUDP) && !TransportChecksumValid(b) {
						t.Error("the checksum is wrong")
					}
				})
			}
		}
	}
}
