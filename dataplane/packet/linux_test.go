package packet

import (
	"bytes"
	"net/netip"
	"testing"

	"router/intf"
)

// Frames that Linux 6.18 sent over a veth, as they came out of its far end:
// a reading of the RFCs that is not ours.
const (
	linuxDAD         = "3333ff00000102000000000a86dd" + "6000000000203aff00000000000000000000000000000000ff0200000000000000000001ff000001" + "8700f97b0000000020010db80000000000000000000000010e013f37b9b44c7c"
	linuxRS          = "33330000000202000000000a86dd" + "6000000000103afffe80000000000000000000fffe00000aff020000000000000000000000000002" + "85007b1a00000000010102000000000a"
	linuxNS          = "3333ff00000202000000000a86dd" + "6000000000203aff20010db8000000000000000000000001ff0200000000000000000001ff000002" + "87001c1e0000000020010db8000000000000000000000002010102000000000a"
	linuxNA          = "02000000000a02000000000b86dd" + "6000000000203aff20010db800000000000000000000000220010db8000000000000000000000001" + "88008a686000000020010db8000000000000000000000002020102000000000b"
	linuxUDP6        = "02000000000b02000000000a86dd" + "600c1d94000a114020010db800000000000000000000000120010db8000000000000000000000002" + "e6220007000a5b906869"
	linuxUnreachable = "02000000000a02000000000b86dd" + "600fc180003a3a4020010db800000000000000000000000220010db8000000000000000000000001" + "01040e8500000000" + "600c1d94000a114020010db800000000000000000000000120010db8000000000000000000000002e6220007000a5b906869"
	linuxARPRequest  = "ffffffffffff02000000000a0806" + "000108000604000102000000000ac0000201000000000000c0000202"
	linuxARPReply    = "02000000000a02000000000b0806" + "000108000604000202000000000bc000020202000000000ac0000201"
	linuxSYN         = "02000000000b02000000000a0800" + "4500003cba5040004006fc67c0000201c0000202" + "82f20009a67c585500000000a002faf084320000020405b40402080aaf646ad8000000000103030a"
	linuxEchoReply   = "02000000000a02000000000b0800" + "45000054b51a00004001418bc0000202c0000201" + "0000530e352a0001f759016b00000000ba2e060000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
)

var (
	linuxA = netip.MustParseAddr("2001:db8::1")
	linuxB = netip.MustParseAddr("2001:db8::2")
)

// payload reads the link-layer header of a frame.
func payload(t *testing.T, frame string) []byte {
	t.Helper()
	b := unhex(t, frame)
	l, fault := ParseEthernet(b)
	if fault != FaultNone {
		t.Fatal(fault)
	}
	return b[l.HeaderLen:]
}

func TestNDOfLinux(t *testing.T) {
	tests := []struct {
		name, frame string
		src, dst    netip.Addr
		want        ND
		written     bool // PutND writes the same octets
	}{
		{"DAD with a nonce (RFC 7527)", linuxDAD, unspecified, SolicitedNode(linuxA), ND{Type: ICMPv6NeighborSol, Target: linuxA}, false},
		{"router solicitation", linuxRS, LinkLocal(macA), AllRouters, ND{Type: ICMPv6RouterSolicit, LinkLayer: macA}, true},
		{"solicitation", linuxNS, linuxA, SolicitedNode(linuxB), ND{Type: ICMPv6NeighborSol, Target: linuxB, LinkLayer: macA}, true},
		{"advertisement", linuxNA, linuxB, linuxA, ND{Type: ICMPv6NeighborAdv, Target: linuxB, LinkLayer: macB, Solicited: true, Override: true}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, fault := CheckIPv6(payload(t, tt.frame))
			if fault != FaultNone || h.Src() != tt.src || h.Dst() != tt.dst {
				t.Fatalf("%v to %v: %v", h.Src(), h.Dst(), fault)
			}
			got, fault := ParseND(h, IPv6HeaderLen)
			if fault != FaultNone || got != tt.want {
				t.Fatalf("got %+v %v, want %+v", got, fault, tt.want)
			}
			if !tt.written {
				return
			}
			ours := nd(tt.src, tt.dst, tt.want)
			ours[0], ours[1] = h[0], h[1] // we give it a higher traffic class
			if !bytes.Equal(ours, h) {
				t.Fatalf("we write % x, Linux % x", []byte(ours), []byte(h))
			}
		})
	}
}

func TestARPOfLinux(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, tt := range []struct {
		frame             string
		op                uint16
		sender, target    intf.MAC
		senderIP, target4 netip.Addr
	}{
		{linuxARPRequest, ARPRequest, macA, intf.MAC{}, a, b},
		{linuxARPReply, ARPReply, macB, macA, b, a},
	} {
		got, fault := ParseARP(payload(t, tt.frame))
		if fault != FaultNone {
			t.Fatal(fault)
		}
		ours := make([]byte, ARPLen)
		PutARP(ours, tt.op, tt.sender, tt.senderIP, tt.target, tt.target4)
		if !bytes.Equal(ours, got) {
			t.Errorf("we write % x, Linux % x", ours, []byte(got))
		}
	}
}

func TestPartialChecksumsOfLinux(t *testing.T) {
	for name, frame := range map[string]string{"TCP over IPv4": linuxSYN, "UDP over IPv6": linuxUDP6} {
		l3 := payload(t, frame)
		if TransportChecksumValid(l3) {
			t.Errorf("%s: the checksum was whole already", name)
		}
		if !CompleteChecksum(l3) || !TransportChecksumValid(l3) {
			t.Errorf("%s: was not completed", name)
		}
	}
}

func TestICMPOfLinux(t *testing.T) {
	h, fault := CheckIPv4(payload(t, linuxEchoReply))
	if fault != FaultNone {
		t.Fatal(fault)
	}
	if m, fault := ParseICMPv4(h.Payload()); fault != FaultNone || m.Type() != ICMPv4EchoReply || m.Rest() != 0x352a0001 {
		t.Errorf("echo reply: %v", fault)
	}
	// Our error about the same datagram is Linux's, but for the flow label.
	buf := make([]byte, ICMPv6ErrorMax)
	n := PutICMPv6Error(buf, ICMPv6Unreachable, ICMPv6CodePort, 0, linuxB, IPv6(payload(t, linuxUDP6)))
	want := payload(t, linuxUnreachable)
	if !bytes.Equal(buf[4:n], want[4:]) {
		t.Errorf("we write % x, Linux % x", buf[:n], want)
	}
}
