package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"router/dataplane/packet"
)

// Summary says in one line what a frame is: tags, addresses, ports, what it is about. frame may be
// cut short; length is what it had on the wire.
func Summary(frame []byte, length int) string {
	k := keyOf(frame)
	var b strings.Builder
	if k.l3 == 0 {
		return fmt.Sprintf("frame of %d octets, cut short", length)
	}
	fmt.Fprintf(&b, "%v > %v", k.src, k.dst)
	for i := range k.n {
		fmt.Fprintf(&b, " vlan %d", k.tags[i])
	}
	body := frame[k.l3:]
	switch {
	case k.ip:
		b.WriteByte(' ')
		k.packet(&b, body)
	case k.ethertype == packet.EtherTypeARP && k.from.IsValid():
		what := map[uint16]string{1: "who has", 2: "is at"}[binary.BigEndian.Uint16(body[6:])]
		switch what {
		case "who has":
			fmt.Fprintf(&b, " ARP who has %v, asks %v", k.to, k.from)
		case "is at":
			fmt.Fprintf(&b, " ARP %v is at %v, to %v", k.from, k.src, k.to)
		default:
			fmt.Fprintf(&b, " ARP %v to %v", k.from, k.to)
		}
	case k.ethertype < 0x600:
		fmt.Fprintf(&b, " 802.3 length %d", k.ethertype)
	default:
		fmt.Fprintf(&b, " ethertype 0x%04x", k.ethertype)
	}
	fmt.Fprintf(&b, ", %d octets", length)
	return b.String()
}

// packet tells of an IP packet.
func (k *key) packet(b *strings.Builder, l3 []byte) {
	end := func(a netip.Addr, port uint16) {
		if k.ports {
			b.WriteString(netip.AddrPortFrom(a, port).String())
			return
		}
		b.WriteString(a.String())
	}
	end(k.from, k.sport)
	b.WriteString(" > ")
	end(k.to, k.dport)
	name := fmt.Sprintf("protocol %d", k.protocol)
	for word, number := range protocols {
		if number == k.protocol {
			name = word
		}
	}
	b.WriteByte(' ')
	b.WriteString(name)
	at := 40
	if k.ethertype == packet.EtherTypeIPv4 {
		at = int(l3[0]&15) * 4
	}
	switch {
	case k.fragmented:
		b.WriteString(" fragment")
	case k.protocol == 6 && len(l3) >= at+14:
		b.WriteString(" " + tcpFlags(l3[at+13]))
	case k.protocol == 1 && len(l3) >= at+2:
		b.WriteString(icmpName(icmp4Names, l3[at], l3[at+1]))
	case k.protocol == 58 && l3[6] == 58 && len(l3) >= at+2:
		b.WriteString(icmpName(icmp6Names, l3[at], l3[at+1]))
	}
	if k.ethertype == packet.EtherTypeIPv4 {
		fmt.Fprintf(b, " ttl %d", l3[8])
	} else {
		fmt.Fprintf(b, " hlim %d", l3[7])
	}
}

func tcpFlags(f byte) string {
	var b strings.Builder
	for i, c := range "FSRPAUEC" {
		if f&(1<<i) != 0 {
			b.WriteRune(c)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

var (
	icmp4Names = map[byte]string{0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded", 12: "parameter problem"}
	icmp6Names = map[byte]string{
		1: "unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request", 129: "echo reply",
		133: "router solicitation", 134: "router advertisement", 135: "neighbor solicitation", 136: "neighbor advertisement", 143: "listener report",
	}
)

func icmpName(names map[byte]string, typ, code byte) string {
	name := names[typ]
	switch {
	case name == "":
		return fmt.Sprintf(" type %d code %d", typ, code)
	case code != 0:
		return fmt.Sprintf(" %s code %d", name, code)
	}
	return " " + name
}
