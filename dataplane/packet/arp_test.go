package packet

import (
	"bytes"
	"net/netip"
	"testing"

	"router/intf"
)

// arpWire is "who has 198.51.100.7, tell 192.0.2.1" as it stands in a frame.
const arpWire = "0001080006040001" + "02000000000a" + "c0000201" + "000000000000" + "c6336407"

func TestPutARP(t *testing.T) {
	b := make([]byte, 64)
	fill(b)
	n := PutARP(b, ARPRequest, macA, ip4A, intf.MAC{}, ip4B)
	if want := unhex(t, arpWire); !bytes.Equal(b[:n], want) {
		t.Fatalf("got % x, want % x", b[:n], want)
	}
}

func TestParseARP(t *testing.T) {
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	tests := []struct {
		name   string
		change func([]byte) []byte
		fault  Fault
	}{
		{"request", set(0), FaultNone},
		{"padding", func(b []byte) []byte { return append(b, make([]byte, 18)...) }, FaultNone},
		{"reply", set(7, 2), FaultNone},
		{"probe: sender 0.0.0.0 (RFC 5227)", set(14, 0, 0, 0, 0), FaultNone},
		{"gratuitous: target is the sender", set(24, 192, 0, 2, 1), FaultNone},
		{"27 octets", func(b []byte) []byte { return b[:27] }, FaultTruncated},
		{"hardware type 6", set(1, 6), FaultHardware},
		{"protocol type IPv6", set(2, 0x86, 0xdd), FaultHardware},
		{"hardware length 8", set(4, 8), FaultHardware},
		{"protocol length 16", set(5, 16), FaultHardware},
		{"operation 3 (RARP)", set(7, 3), FaultType},
		{"operation 0x0101", set(6, 1, 1), FaultType},
		{"sender MAC a group", set(8, 1), FaultSource},
		{"sender MAC zero", set(8, 0, 0, 0, 0, 0, 0), FaultSource},
		{"sender a group", set(14, 224, 0, 0, 1), FaultSource},
		{"sender loopback", set(14, 127, 0, 0, 1), FaultSource},
		{"sender broadcast", set(14, 255, 255, 255, 255), FaultSource},
		{"reply of 0.0.0.0", func(b []byte) []byte { b[7] = 2; copy(b[14:], []byte{0, 0, 0, 0}); return b }, FaultSource},
		{"request for a group", set(24, 224, 0, 0, 1), FaultTarget},
		{"request for 0.0.0.0", set(24, 0, 0, 0, 0), FaultTarget},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, fault := ParseARP(tt.change(unhex(t, arpWire))); fault != tt.fault {
				t.Fatalf("got %v, want %v", fault, tt.fault)
			}
		})
	}
}

func TestARPFields(t *testing.T) {
	a, fault := ParseARP(unhex(t, arpWire))
	if fault != FaultNone || a.Op() != ARPRequest || a.SenderMAC() != macA || a.SenderIP() != ip4A ||
		!a.TargetMAC().IsZero() || a.TargetIP() != ip4B {
		t.Fatalf("%v % x", fault, []byte(a))
	}
}

func FuzzParseARP(f *testing.F) {
	f.Add(unhex(f, arpWire))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, fault := ParseARP(b)
		if fault != FaultNone {
			return
		}
		again := make([]byte, ARPLen)
		PutARP(again, a.Op(), a.SenderMAC(), a.SenderIP(), a.TargetMAC(), a.TargetIP())
		if !bytes.Equal(again, a) {
			t.Fatalf("written back % x, was % x", again, []byte(a))
		}
	})
}

func TestGroups(t *testing.T) {
	if got, want := SolicitedNode(netip.MustParseAddr("4037::1:800:200e:8c6c")), netip.MustParseAddr("ff02::1:ff0e:8c6c"); got != want {
		t.Errorf("RFC 4291's example of a solicited-node group: %v, want %v", got, want)
	}
	for group, want := range map[string]string{
		"224.0.0.1": "01:00:5e:00:00:01", "239.129.2.3": "01:00:5e:01:02:03", "ff02::1": "33:33:00:00:00:01", "ff02::1:ff0e:8c6c": "33:33:ff:0e:8c:6c",
	} {
		if got := MulticastMAC(netip.MustParseAddr(group)).String(); got != want {
			t.Errorf("%s: %s, want %s", group, got, want)
		}
	}
	if got, want := LinkLocal(intf.MAC{0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde}), netip.MustParseAddr("fe80::3656:78ff:fe9a:bcde"); got != want {
		t.Errorf("RFC 2464's example of a link-local address: %v, want %v", got, want)
	}
}
