package filter

import (
	"encoding/binary"
	"testing"

	"router/dataplane/packet"
	"router/intf"
)

// FuzzParse reads any octets as a packet and a frame. What is found is what package
// packet and the oracle find.
func FuzzParse(f *testing.F) {
	for _, family := range intf.Families {
		m := newMaker(1, family)
		for range 40 {
			l3, meta := m.packet()
			f.Add(family == intf.Inet6, l3, meta.Frame)
		}
	}
	f.Fuzz(func(t *testing.T, six bool, l3, frame []byte) {
		family, header := intf.Inet, packet.IPv4MinHeaderLen
		if six {
			family, header = intf.Inet6, packet.IPv6HeaderLen
		}
		m := &Meta{Frame: frame, In: 1}
		var k Key
		for i := range k.value {
			k.value[i] = 0xdeadbeef // of the packet before
		}
		if got := k.parse(family, l3, m, ^fieldSet(0)); got != (len(l3) >= header) {
			t.Fatalf("parse of %d octets reports %v", len(l3), got)
		} else if !got {
			return
		}
		x := readFacts(family, l3, m)
		same := func(what string, f field, want *uint32) {
			if k.has.has(f) != (want != nil) || want != nil && k.value[f] != uint64(*want) {
				t.Errorf("%s: there %v, %#x; want %v", what, k.has.has(f), k.value[f], want)
			}
		}
		same("protocol", fieldProtocol, x.protocol)
		same("source port", fieldSrcPort, x.srcPort)
		same("destination port", fieldDstPort, x.dstPort)
		same("vlan", fieldVLAN, x.vlan)
		same("inner vlan", fieldInnerVLAN, x.inner)
		same("ethertype", fieldEtherType, x.etherType)
		same("dscp", fieldDSCP, &x.dscp)
		same("ttl", fieldTTL, &x.ttl)
		same("length", fieldLength, &x.length)
		if x.flags != nil {
			same("flags", fieldTCPFlags, ptr(uint32(*x.flags)))
		}
		if x.typ != nil {
			same("icmp", fieldICMP, ptr(*x.typ<<8|*x.code))
		}
		want := map[string]uint64{"whole": fragmentWhole, "first": fragmentFirst, "later": fragmentLater}[x.fragment]
		if k.value[fieldFragment] != want {
			t.Errorf("fragment %d, want %d", k.value[fieldFragment], want)
		}
		if family != intf.Inet6 {
			return
		}
		b := append([]byte(nil), l3...)
		b[0] = 0x60 | b[0]&15
		binary.BigEndian.PutUint16(b[4:], uint16(min(len(b)-packet.IPv6HeaderLen, 0xffff)))
		h, fault := packet.CheckIPv6(b)
		if fault != packet.FaultNone || len(h) != len(l3) {
			return
		}
		u, fault := h.Upper()
		if (fault == packet.FaultNone) != k.has.has(fieldProtocol) {
			t.Fatalf("protocol there %v, but packet says %v", k.has.has(fieldProtocol), fault)
		}
		if fault == packet.FaultNone && (uint64(u.Protocol) != k.value[fieldProtocol] || u.First == (k.value[fieldFragment] == fragmentLater)) {
			t.Errorf("protocol %d, fragment %d; packet says %+v", k.value[fieldProtocol], k.value[fieldFragment], u)
		}
	})
}
