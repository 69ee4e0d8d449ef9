package packet

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"router/intf"
)

// Options of a router advertisement (RFC 4861, 4.6; RFC 4191, 2.3; RFC 8106, 5).
const (
	raOptionPrefix = 3
	raOptionMTU    = 5
	raOptionRoute  = 24
	raOptionDNS    = 25
	raOptionSearch = 31

	raPrefixLen = 32 // of the whole option
	raMTULen    = 8

	raManaged    = 1 << 7 // flags of the message
	raOther      = 1 << 6
	raOnLink     = 1 << 7 // flags of a prefix
	raAutonomous = 1 << 6
)

// allNodes is where advertisements go (RFC 4291, 2.7.1).
var allNodes = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 1})

// RouterAdvertLen is the length of the packet that PutRouterAdvert writes.
func RouterAdvertLen(a *intf.Advert) int {
	n := IPv6HeaderLen + ndAdvertLen + ndOptionLen + raPrefixLen*len(a.Prefixes)
	if a.MTU != 0 {
		n += raMTULen
	}
	for _, r := range a.Routes {
		n += 8 + 8*routeWords(r.Prefix)
	}
	if len(a.DNSServers) > 0 {
		n += 8 + 16*len(a.DNSServers)
	}
	if len(a.DNSSearch) > 0 {
		n += searchLen(a.DNSSearch)
	}
	return n
}

// routeWords is how many words of eight octets a prefix takes in an option
// (RFC 4191, 2.3).
func routeWords(p netip.Prefix) int { return (p.Bits() + 63) / 64 }

// searchLen is the length of a search list option (RFC 8106, 5.2).
func searchLen(names []string) int {
	n := 8
	for _, name := range names {
		n += len(name) + 2
	}
	return (n + 7) &^ 7
}

// PutRouterAdvert writes a router advertisement from src, a link-local address,
// to all nodes to b, as a whole IPv6 packet, and returns its length. mac is that
// of the source link-layer address option. b holds at least RouterAdvertLen(a)
// octets; each label of a's names has 1 to 63 octets, and lifetimes are not
// negative. Larger ones than their fields take are cut.
func PutRouterAdvert(b []byte, src netip.Addr, mac intf.MAC, a *intf.Advert) int {
	total := RouterAdvertLen(a)
	n := total - IPv6HeaderLen
	PutIPv6(b, internetControl, ProtocolICMPv6, ndHopLimit, src, allNodes, n)
	m := b[IPv6HeaderLen:total]
	clear(m)
	m[0], m[4] = ICMPv6RouterAdvert, a.HopLimit
	if a.Managed {
		m[5] |= raManaged
	}
	if a.Other {
		m[5] |= raOther
	}
	if a.Lifetime > 0 {
		// Of a router that is none, there is no preference (RFC 4191, 2.2).
		m[5] |= preferenceBits(a.Preference)
	}
	binary.BigEndian.PutUint16(m[6:], uint16(min(a.Lifetime/time.Second, 0xffff)))
	binary.BigEndian.PutUint32(m[8:], uint32(a.Reachable/time.Millisecond))
	binary.BigEndian.PutUint32(m[12:], uint32(a.Retrans/time.Millisecond))
	o := m[ndAdvertLen:]
	o[0], o[1] = ndOptionSource, 1
	copy(o[2:], mac[:])
	o = o[ndOptionLen:]
	if a.MTU != 0 {
		o[0], o[1] = raOptionMTU, 1
		binary.BigEndian.PutUint32(o[4:], a.MTU)
		o = o[raMTULen:]
	}
	for _, p := range a.Prefixes {
		o[0], o[1], o[2] = raOptionPrefix, raPrefixLen/8, byte(p.Prefix.Bits())
		if p.OnLink {
			o[3] |= raOnLink
		}
		if p.Autonomous {
			o[3] |= raAutonomous
		}
		putSeconds(o[4:], p.Valid)
		putSeconds(o[8:], p.Preferred)
		addr := p.Prefix.Addr().As16()
		copy(o[16:], addr[:])
		o = o[raPrefixLen:]
	}
	for _, r := range a.Routes {
		words := routeWords(r.Prefix)
		o[0], o[1], o[2], o[3] = raOptionRoute, byte(1+words), byte(r.Prefix.Bits()), preferenceBits(r.Preference)
		putSeconds(o[4:], r.Lifetime)
		addr := r.Prefix.Addr().As16()
		copy(o[8:8+8*words], addr[:])
		o = o[8+8*words:]
	}
	if len(a.DNSServers) > 0 {
		o[0], o[1] = raOptionDNS, byte(1+2*len(a.DNSServers))
		putSeconds(o[4:], a.DNSLifetime)
		o = o[8:]
		for _, server := range a.DNSServers {
			addr := server.As16()
			copy(o, addr[:])
			o = o[16:]
		}
	}
	if len(a.DNSSearch) > 0 {
		size := searchLen(a.DNSSearch)
		o[0], o[1] = raOptionSearch, byte(size/8)
		putSeconds(o[4:], a.DNSLifetime)
		at := 8
		for _, name := range a.DNSSearch {
			for label := range strings.SplitSeq(name, ".") {
				o[at] = byte(len(label))
				at += 1 + copy(o[at+1:], label)
			}
			at++ // the root
		}
	}
	setChecksumICMPv6(b[:total], IPv6HeaderLen)
	return total
}

func putSeconds(b []byte, d time.Duration) {
	binary.BigEndian.PutUint32(b, uint32(min(d/time.Second, 0xffffffff)))
}

func seconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// preferenceBits are those of RFC 4191, 2.1, in their place in an octet.
func preferenceBits(p intf.RouterPreference) byte {
	switch p {
	case intf.PreferMedium:
	case intf.PreferHigh:
		return 1 << 3
	case intf.PreferLow:
		return 3 << 3
	}
	return 0
}

func preferenceOf(b byte) intf.RouterPreference {
	switch b >> 3 & 3 {
	case 1:
		return intf.PreferHigh
	case 3:
		return intf.PreferLow
	}
	return intf.PreferMedium // the reserved value, too (RFC 4191, 2.2)
}

// ParseRouterAdvert reads the router advertisement at offset off of ip, which
// ParseND has found valid. Options that are unknown or don't make sense are
// passed over (RFC 4861, 6.1.2; RFC 4191, 2.3). It allocates: it is for the
// control plane.
func ParseRouterAdvert(ip IPv6, off int) (intf.Advert, Fault) {
	m := ip[min(off, len(ip)):]
	if len(m) < ndAdvertLen {
		return intf.Advert{}, FaultTruncated
	}
	a := intf.Advert{
		HopLimit: m[4], Managed: m[5]&raManaged != 0, Other: m[5]&raOther != 0,
		Lifetime:  time.Duration(binary.BigEndian.Uint16(m[6:])) * time.Second,
		Reachable: time.Duration(binary.BigEndian.Uint32(m[8:])) * time.Millisecond,
		Retrans:   time.Duration(binary.BigEndian.Uint32(m[12:])) * time.Millisecond,
	}
	if a.Lifetime > 0 {
		a.Preference = preferenceOf(m[5])
	}
	for o := m[ndAdvertLen:]; len(o) > 0; {
		if len(o) < 2 || o[1] == 0 || int(o[1])*8 > len(o) {
			return intf.Advert{}, FaultOption
		}
		n := int(o[1]) * 8
		readOption(&a, o[:n])
		o = o[n:]
	}
	return a, FaultNone
}

// readOption takes one option into a; o is as long as it says.
func readOption(a *intf.Advert, o []byte) {
	switch o[0] {
	case raOptionMTU:
		if len(o) == raMTULen {
			a.MTU = binary.BigEndian.Uint32(o[4:])
		}
	case raOptionPrefix:
		if len(o) != raPrefixLen || o[2] > 128 {
			return
		}
		a.Prefixes = append(a.Prefixes, intf.AdvertPrefix{
			Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:32])), int(o[2])).Masked(),
			OnLink: o[3]&raOnLink != 0, Autonomous: o[3]&raAutonomous != 0, Valid: seconds(o[4:]), Preferred: seconds(o[8:]),
		})
	case raOptionRoute:
		var addr [16]byte
		if o[2] > 128 || len(o) > 24 || len(o) < 8+8*((int(o[2])+63)/64) {
			return
		}
		copy(addr[:], o[8:])
		a.Routes = append(a.Routes, intf.AdvertRoute{
			Prefix: netip.PrefixFrom(netip.AddrFrom16(addr), int(o[2])).Masked(), Preference: preferenceOf(o[3]), Lifetime: seconds(o[4:]),
		})
	case raOptionDNS:
		if len(o) < 24 || len(o)%16 != 8 {
			return
		}
		a.DNSLifetime = seconds(o[4:])
		for s := o[8:]; len(s) > 0; s = s[16:] {
			a.DNSServers = append(a.DNSServers, netip.AddrFrom16([16]byte(s[:16])))
		}
	case raOptionSearch:
		if len(o) >= 16 {
			a.DNSLifetime = seconds(o[4:])
			a.DNSSearch = append(a.DNSSearch, namesOf(o[8:])...)
		}
	}
}

// namesOf reads names in the form of RFC 1035, 3.1, without compression, up to
// the first that is cut short.
func namesOf(b []byte) []string {
	var names, labels []string
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 {
			if len(labels) > 0 {
				names = append(names, strings.Join(labels, "."))
			}
			labels, b = nil, b[1:]
			continue
		}
		if n > 63 || n >= len(b) {
			break
		}
		labels, b = append(labels, string(b[1:1+n])), b[1+n:]
	}
	return names
}
