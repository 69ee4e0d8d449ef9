package packet

import (
	"bytes"
	"encoding/hex"
	"testing"

	"router/intf"
)

var (
	macA = intf.MAC{0x02, 0, 0, 0, 0, 0x0a}
	macB = intf.MAC{0x02, 0, 0, 0, 0, 0x0b}
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseEthernet(t *testing.T) {
	const macs = "02000000000b" + "02000000000a"
	tests := []struct {
		name      string
		frame     string
		vlan      intf.VLAN
		etherType uint16
		headerLen int
		fault     Fault
	}{
		{"untagged", macs + "0800" + "45", intf.VLAN{}, EtherTypeIPv4, 14, FaultNone},
		{"single tag, priority bits ignored", macs + "8100" + "e064" + "86dd", intf.VLAN{OuterTPID: 0x8100, OuterID: 100}, EtherTypeIPv6, 18, FaultNone},
		{"S-tag and C-tag", macs + "88a8" + "000a" + "8100" + "0014" + "0806", intf.VLAN{OuterTPID: 0x88a8, OuterID: 10, InnerTPID: 0x8100, InnerID: 20}, EtherTypeARP, 22, FaultNone},
		{"old QinQ TPID", macs + "9100" + "000a" + "0800", intf.VLAN{OuterTPID: 0x9100, OuterID: 10}, EtherTypeIPv4, 18, FaultNone},
		{"other S-tag TPIDs", macs + "9200" + "000a" + "9300" + "0014" + "0800", intf.VLAN{OuterTPID: 0x9200, OuterID: 10, InnerTPID: 0x9300, InnerID: 20}, EtherTypeIPv4, 22, FaultNone},
		{"priority tag counts as untagged", macs + "8100" + "a000" + "0800", intf.VLAN{}, EtherTypeIPv4, 18, FaultNone},
		{"priority tag inside a tag", macs + "8100" + "0005" + "8100" + "2000" + "0800", intf.VLAN{OuterTPID: 0x8100, OuterID: 5}, EtherTypeIPv4, 22, FaultNone},
		{"priority tag outside a tag", macs + "88a8" + "2000" + "8100" + "0005" + "0800", intf.VLAN{OuterTPID: 0x8100, OuterID: 5}, EtherTypeIPv4, 22, FaultNone},
		{"a third tag is not read", macs + "8100" + "0001" + "8100" + "0002" + "8100" + "0003" + "0800", intf.VLAN{OuterTPID: 0x8100, OuterID: 1, InnerTPID: 0x8100, InnerID: 2}, 0x8100, 22, FaultNone},
		{"reserved id 4095", macs + "8100" + "0fff" + "0800", intf.VLAN{}, 0x8100, 14, FaultTag},
		{"802.3 length", macs + "0026" + "4242", intf.VLAN{}, 0x26, 14, FaultEtherType},
		{"tag cut short", macs + "8100" + "0001", intf.VLAN{}, 0x8100, 14, FaultTruncated},
		{"header cut short", macs + "08", intf.VLAN{}, 0, 0, FaultTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frame := unhex(t, tt.frame)
			l, fault := ParseEthernet(frame)
			if fault != tt.fault || l.VLAN != tt.vlan || l.EtherType != tt.etherType || l.HeaderLen != tt.headerLen {
				t.Fatalf("got %+v %v", l, fault)
			}
			if l.HeaderLen > 0 && (l.Dst != macB || l.Src != macA) {
				t.Fatalf("addresses %v %v", l.Dst, l.Src)
			}
		})
	}
}

func TestPutEthernetIsReadBack(t *testing.T) {
	for _, v := range []intf.VLAN{
		{},
		{OuterTPID: TPID8021Q, OuterID: 4094},
		{OuterTPID: TPID8021AD, OuterID: 1, InnerTPID: TPID8021Q, InnerID: 2},
	} {
		b := make([]byte, 32)
		n := PutEthernet(b, macB, macA, v, EtherTypeIPv6)
		if n != EthernetLen(v) {
			t.Errorf("%+v: wrote %d octets, EthernetLen says %d", v, n, EthernetLen(v))
		}
		l, fault := ParseEthernet(b[:n])
		want := L2{Dst: macB, Src: macA, VLAN: v, EtherType: EtherTypeIPv6, HeaderLen: n}
		if fault != FaultNone || l != want {
			t.Errorf("got %+v %v, want %+v", l, fault, want)
		}
	}
}

func FuzzParseEthernet(f *testing.F) {
	f.Add(unhex(f, "02000000000b02000000000a080045000014"))
	f.Add(unhex(f, "02000000000b02000000000a88a8000a810000140806"))
	f.Add(unhex(f, "02000000000b02000000000a81000000910000018100"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		l, fault := ParseEthernet(frame)
		if l.HeaderLen > len(frame) {
			t.Fatalf("header of %d octets in a frame of %d", l.HeaderLen, len(frame))
		}
		if fault != FaultNone {
			return
		}
		// What PutEthernet makes of it is the same frame without priorities.
		b := make([]byte, EthernetLen(l.VLAN))
		PutEthernet(b, l.Dst, l.Src, l.VLAN, l.EtherType)
		again, fault := ParseEthernet(b)
		if IsTPID(l.EtherType) {
			return // a third tag has no second half in b
		}
		l.HeaderLen = again.HeaderLen
		if fault != FaultNone || again != l {
			t.Fatalf("read back %+v %v, want %+v", again, fault, l)
		}
		if !bytes.Equal(b[:12], frame[:12]) {
			t.Fatal("addresses differ")
		}
	})
}
