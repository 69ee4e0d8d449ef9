package capture

import (
	"encoding/binary"
	"net/netip"

	"router/dataplane/packet"
	"router/intf"
)

// A key is what expressions ask of a frame.
type key struct {
	src, dst   intf.MAC
	tags       [2]uint16 // VLAN ids, the outer one first
	tpids      [2]uint16
	n          int // tags
	ethertype  uint16
	ip         bool
	from, to   netip.Addr // of IP, and of ARP
	protocol   uint8
	ports      bool // false for fragments behind the first, too
	sport      uint16
	dport      uint16
	l3         int // offset
	fragmented bool
}

// keyOf reads a frame. What is cut short, or no such thing, is left out.
func keyOf(frame []byte) (k key) {
	if len(frame) < 14 {
		return k
	}
	copy(k.dst[:], frame)
	copy(k.src[:], frame[6:])
	at := 12
	k.ethertype = binary.BigEndian.Uint16(frame[at:])
	for k.n < 2 && isTag(k.ethertype) && len(frame) >= at+6 {
		k.tpids[k.n], k.tags[k.n] = k.ethertype, binary.BigEndian.Uint16(frame[at+2:])&0xfff
		k.n++
		at += 4
		k.ethertype = binary.BigEndian.Uint16(frame[at:])
	}
	k.l3 = at + 2
	b := frame[k.l3:]
	switch k.ethertype {
	case packet.EtherTypeIPv4:
		k.inet(b)
	case packet.EtherTypeIPv6:
		k.inet6(b)
	case packet.EtherTypeARP:
		if len(b) >= 28 && binary.BigEndian.Uint16(b[2:]) == packet.EtherTypeIPv4 {
			k.from, k.to = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
		}
	}
	return k
}

func isTag(t uint16) bool {
	return t == 0x8100 || t == 0x88a8 || t >= 0x9100 && t <= 0x9300 && t&0xff == 0
}

func (k *key) inet(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return
	}
	k.ip, k.from, k.to, k.protocol = true, netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9]
	fragment := binary.BigEndian.Uint16(b[6:])
	k.fragmented = fragment&0x3fff != 0
	if fragment&0x1fff == 0 {
		k.transport(b, int(b[0]&15)*4)
	}
}

// inet6 passes over extension headers (RFC 8200, 4) as far as the frame has them.
func (k *key) inet6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	k.ip, k.from, k.to = true, netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, at := b[6], 40
	for range 16 {
		switch next {
		case 0, 43, 60, 135, 139, 140: // options, routing, mobility, HIP, shim6
			if len(b) < at+8 {
				k.protocol = next
				return
			}
			next, at = b[at], at+8*(int(b[at+1])+1)
			continue
		case 51: // authentication (RFC 4302, 2.2)
			if len(b) < at+8 {
				k.protocol = next
				return
			}
			next, at = b[at], at+4*(int(b[at+1])+2)
			continue
		case 44: // fragment
			if len(b) < at+8 {
				k.protocol = next
				return
			}
			k.fragmented = true
			behind := binary.BigEndian.Uint16(b[at+2:])&^7 != 0
			next, at = b[at], at+8
			if behind {
				k.protocol = next
				return
			}
			continue
		}
		break
	}
	k.protocol = next
	k.transport(b, at)
}

func (k *key) transport(b []byte, at int) {
	switch k.protocol {
	case 6, 17, 33, 132, 136: // TCP, UDP, DCCP, SCTP, UDP-Lite
		if at > 0 && len(b) >= at+4 {
			k.ports, k.sport, k.dport = true, binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
		}
	}
}
