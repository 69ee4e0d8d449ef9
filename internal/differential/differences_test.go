package differential

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"router/dataplane/packet"
)

// A difference is a way in which two right answers may differ. Its name is that
// of its line in docs/differences.md.
type difference struct {
	name string
	is   func(c *trial) bool
}

// differences are asked in this order; the first that is so counts. Each one is
// as narrow as it can be: who sent what, and what came out at either side.
var differences = []difference{
	{"own-address", isOwn},
	{"own-source", isOwnSource},
	{"broadcast-source", isBroadcastSource},
	{"reserved-source", isReservedSource},
	{"reserved-destination", isReservedDestination},
	{"source-route-error", isSourceRouteError},
	{"unreachable-rate", isUnreachableRate},
	{"timestamp", isTimestamp},
	{"prespecified-timestamp", isPrespecified},
	{"echoed-options", isEchoedOptions},
	{"cipso", isCIPSO},
	{"ioam-calipso", isLabelled},
	{"quoted-options", isQuotedOptions},
	{"discard-before-options", isDiscardBeforeOptions},
	{"options-in-fragments", isOptionsInFragments},
	{"oversize-fragment", isOversizeFragment},
	{"icmp-query-types", isQueryType},
	{"reject-code", isRejectCode},
	{"icmpv6-error-out-of-sight", isHiddenError},
	{"redirect-error", isRedirectError},
	{"unspecified-source", isUnspecifiedSource},
	{"link-local-same-link", isLinkLocalSameLink},
	{"jumbo-without-length", isJumboWithoutLength},
}

// unchecked is a difference where sources are checked: Linux does so only once it
// has a way for the packet, and tells whoever pretends to be the source that there
// is none.
var unchecked = difference{"unchecked-source", func(c *trial) bool {
	if c.v4() == nil || sides[0].routes[0].Contains(c.src()) || len(c.ours) != 0 {
		return false
	}
	return ownError(c.theirs, 3) || ownError(c.theirs, 12)
}}

// isOwn: what is for the router, also as a member of a group, is the host stack's
// to answer, which is not here;
// Linux answers it, and sends it nowhere else.
func isOwn(c *trial) bool {
	if !own(c.dst()) && !c.dst().IsMulticast() || len(c.ours) != 0 {
		return false
	}
	for _, o := range c.theirs {
		if !own(source(o.l3)) {
			return false
		}
	}
	return true
}

// source is the source address of a packet that left.
func source(l3 []byte) netip.Addr {
	if l3[0]>>4 == 4 {
		return packet.IPv4(l3).Src()
	}
	return packet.IPv6(l3).Src()
}

// isOwnSource: the one drops what claims to come from the router's address on
// the link of that address only, the other on every link for IPv4 and on none for
// IPv6.
func isOwnSource(c *trial) bool {
	return own(c.src()) && (len(c.theirs) == 0) != (len(c.ours) == 0)
}

// isBroadcastSource: an error to a link's broadcast address, which names no
// single host.
func isBroadcastSource(c *trial) bool {
	for _, s := range sides {
		if last := s.prefixes[0].Masked().Addr().As4(); c.v4() != nil && c.src() == netip.AddrFrom4([4]byte{last[0], last[1], 255, 255}) {
			return len(c.ours) == 0 && len(c.theirs) == 1 && own(source(c.theirs[0].l3))
		}
	}
	return false
}

// isReservedSource: 0/8, 240/4 and IPv4-mapped addresses, which name no host.
func isReservedSource(c *trial) bool {
	reserved := c.v4() != nil && !packet.IsHost4(c.v4().Src32()) || c.v6() != nil && c.src().Is4In6()
	return reserved && len(c.ours) == 0
}

// isReservedDestination: 240/4 and the unspecified address, silently dropped.
func isReservedDestination(c *trial) bool {
	reserved := c.v4() != nil && c.v4().Dst32() >= 240<<24 || c.v6() != nil && c.dst().IsUnspecified()
	return reserved && len(c.ours) == 0 && (kind(c.theirs) == "error 3/0" || kind(c.theirs) == "error 1/0" || ownError(c.theirs, 12))
}

// isUnreachableRate: Linux limits "unreachable" to one a second and source, with
// no way to turn that off in a namespace. Only sources that many packets have
// feel it.
func isUnreachableRate(c *trial) bool {
	if c.v4() == nil || len(c.theirs) != 0 || !slices.Contains(world().OddSources, c.src()) {
		return false
	}
	k := kind(c.ours)
	return k == "error 3/0" || k == "error 3/1" || k == "error 3/13"
}

// tolerance is by how many milliseconds two timestamps of one packet may differ.
const tolerance = 5000

// isTimestamp: the same packet but for the time in its timestamp option, and
// which of the router's addresses stands beside it.
func isTimestamp(c *trial) bool {
	if len(c.theirs) != len(c.ours) || !forwarded(c.theirs) || !forwarded(c.ours) {
		return false
	}
	for i := range c.ours {
		a, b := c.theirs[i], c.ours[i]
		if a.side != b.side || !a.l2 || !b.l2 || len(a.l3) != len(b.l3) || a.l3[0]>>4 != 4 {
			return false
		}
		x, y := bytes.Clone(a.l3), bytes.Clone(b.l3)
		hl := packet.IPv4(x).HeaderLen()
		if bytes.Equal(x, y) {
			continue
		}
		if _, fault := packet.CheckIPv4(y); fault != packet.FaultNone {
			return false
		}
		at := timeOf(y[:hl])
		if at == 0 || at+4 > hl {
			return false
		}
		if d := int32(binary.BigEndian.Uint32(x[at:]) - binary.BigEndian.Uint32(y[at:])); d > tolerance || d < -tolerance {
			return false
		}
		clear(x[at : at+4])
		clear(y[at : at+4])
		if word := func(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[at-4 : at])) }; own(word(x)) && own(word(y)) {
			clear(x[at-4 : at])
			clear(y[at-4 : at])
		}
		clear(x[10:12])
		clear(y[10:12])
		if !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// timeOf is where in a header the last timestamp stands that was written.
func timeOf(h []byte) int {
	for at := 20; at+3 < len(h); {
		switch h[at] {
		case 0:
			return 0
		case 1:
			at++
		case 68:
			return at + int(h[at+2]) - 5
		default:
			if h[at+1] < 2 {
				return 0
			}
			at += int(h[at+1])
		}
	}
	return 0
}

// isQuotedOptions: the same error about a packet with options, which the one
// quotes as it arrived, and the other as it had changed it before it knew.
func isQuotedOptions(c *trial) bool {
	ip := c.v4()
	theirs, ours := reports(c.theirs), reports(c.ours)
	if ip == nil || len(theirs) != 1 || len(ours) != 1 || ip.HeaderLen() == packet.IPv4MinHeaderLen {
		return false
	}
	if !bytes.HasPrefix(ip, ours[0].quote) {
		return false
	}
	a, b := theirs[0], ours[0]
	a.quote, b.quote = withoutOptions(a.quote), withoutOptions(b.quote)
	return a.same(b)
}

// withoutOptions is a quoted IPv4 packet without its options and checksum.
func withoutOptions(quote []byte) []byte {
	if len(quote) < packet.IPv4MinHeaderLen || len(quote) < packet.IPv4(quote).HeaderLen() {
		return quote
	}
	h := bytes.Clone(quote[:packet.IPv4MinHeaderLen])
	clear(h[10:12])
	return append(h, quote[packet.IPv4(quote).HeaderLen():]...)
}

// eachOption calls visit for each IPv4 option that is longer than an octet, up to
// the first that is malformed.
func eachOption(ip packet.IPv4, visit func(o []byte)) {
	for o := ip.Options(); len(o) > 0 && o[0] != 0; {
		n := 1
		if o[0] != 1 {
			if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
				return
			}
			n = int(o[1])
			visit(o[:n])
		}
		o = o[n:]
	}
}

// option reports whether the packet has an IPv4 option of one of the types.
func option(ip packet.IPv4, types ...byte) (found bool) {
	eachOption(ip, func(o []byte) { found = found || bytes.IndexByte(types, o[0]) >= 0 })
	return found
}

// ownError reports whether all that came out is an error, wherever it goes.
func ownError(outs []out, typ uint8) bool {
	return len(outs) == 1 && outs[0].l3[0]>>4 == 4 && own(source(outs[0].l3)) &&
		packet.IPv4(outs[0].l3).Protocol() == packet.ProtocolICMPv4 && packet.IPv4(outs[0].l3).Payload()[0] == typ
}

// isSourceRouteError: something else is wrong with the options of a packet with a
// source route. Linux sends its error along the route turned round, if it can.
func isSourceRouteError(c *trial) bool {
	ip := c.v4()
	if ip == nil || !option(ip, 131, 137) {
		return false
	}
	// Nothing from us says that there is no route to the source.
	return kind(c.ours) == "error 12/0" && len(c.theirs) == 0 || (kind(c.ours) == "error 12/0" || len(c.ours) == 0) && ownError(c.theirs, 12)
}

// isDiscardBeforeOptions: malformed options in what a discard route swallows.
func isDiscardBeforeOptions(c *trial) bool {
	return c.v4() != nil && discarded[0].Contains(c.dst()) && len(c.ours) == 0 && ownError(c.theirs, 12)
}

// isEchoedOptions: Linux puts a copy of record route and timestamp into its
// errors, and sends none when their lengths or pointers lie between two places.
func isEchoedOptions(c *trial) bool {
	ip := c.v4()
	if ip == nil || len(c.theirs) != 0 || len(reports(c.ours)) != 1 {
		return false
	}
	between := false
	eachOption(ip, func(o []byte) {
		switch {
		case o[0] == 7 && len(o) > 2:
			between = between || o[1]%4 != 3 || o[2]%4 != 0
		case o[0] == 68 && len(o) > 3:
			place := byte(4)
			if kind := o[3] & 15; kind == 1 || kind == 3 {
				place = 8 // an address and a time
			}
			between = between || (o[1]-4)%place != 0 || (o[2]-5)%place != 0
		}
	})
	return between
}

// isCIPSO: Linux checks the security labels that it could act on.
func isCIPSO(c *trial) bool {
	return c.v4() != nil && option(c.v4(), 134) && (len(c.theirs) == 0 || ownError(c.theirs, 12))
}

// isLabelled: Linux checks the hop-by-hop options of IOAM and CALIPSO, and drops
// those that are not as it wants them.
func isLabelled(c *trial) bool {
	ip := c.v6()
	if ip == nil || len(c.theirs) != 0 || ip.NextHeader() != packet.ProtocolHopByHop {
		return false
	}
	end := min(len(ip), packet.IPv6HeaderLen+8+8*int(ip[packet.IPv6HeaderLen+1]))
	for at := packet.IPv6HeaderLen + 2; at+1 < end; at++ {
		switch ip[at] {
		case 0x31, 7:
			return true
		case 0:
		default:
			at += 1 + int(ip[at+1])
		}
	}
	return false
}

// isPrespecified: Linux writes a time behind an address in a timestamp option
// that is nobody's own: 0.0.0.0, groups and broadcast addresses.
func isPrespecified(c *trial) bool {
	ip := c.v4()
	if ip == nil || !forwarded(c.theirs) || !forwarded(c.ours) {
		return false
	}
	a, ok := packet.PrespecifiedIPv4(ip)
	at := addr(a)
	if !ok || own(at) || packet.IsHost4(a) && at.As4()[3] != 255 {
		return false
	}
	// Later fragments differ as in options-in-fragments.
	if !bytes.Equal(withoutOptions(c.theirs[0].l3)[:12], withoutOptions(c.ours[0].l3)[:12]) {
		return false
	}
	_, theirs := reassembled(c.theirs)
	_, ours := reassembled(c.ours)
	return bytes.Equal(theirs, ours)
}

func addr(a uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], a)
	return netip.AddrFrom4(b)
}

// isOptionsInFragments: the fragments carry the same payload, with options that
// are not for every fragment left out, or replaced by "no operation".
func isOptionsInFragments(c *trial) bool {
	ip := c.v4()
	if ip == nil || ip.HeaderLen() == packet.IPv4MinHeaderLen || len(c.theirs) < 2 || len(c.ours) < 2 {
		return false
	}
	_, theirs := reassembled(c.theirs)
	_, ours := reassembled(c.ours)
	if !bytes.Equal(theirs, ours) || theirs == nil || c.theirs[0].side != c.ours[0].side {
		return false
	}
	// The first fragments are octet by octet the same, but for the time.
	first := trial{c.frame, c.theirs[:1], c.ours[:1]}
	return first.equal() || isTimestamp(&first)
}

func isOversizeFragment(c *trial) bool {
	ip := c.v4()
	return ip != nil && ip.FragmentOffset()+len(ip) > 0xffff && len(c.ours) == 0 && len(c.theirs) > 1
}

// isQueryType: messages that are no errors, and may be answered by one; the
// other takes them for errors, or doesn't know them.
func isQueryType(c *trial) bool {
	ip := c.v4()
	if ip == nil || ip.Protocol() != packet.ProtocolICMPv4 || len(c.theirs) != 0 || len(reports(c.ours)) != 1 {
		return false
	}
	switch ip.Payload()[0] {
	case 9, 10, 42, 43:
		return true
	}
	return false
}

func isRejectCode(c *trial) bool {
	return c.v6() != nil && refused[1].Contains(c.dst()) && kind(c.theirs) == "error 1/0" && kind(c.ours) == "error 1/3"
}

// payload6 walks all headers of an IPv6 packet, however many, and returns the
// number of the last and where it starts. unseen says that Linux stops before.
func payload6(ip packet.IPv6) (next byte, at int, unseen bool) {
	next, at = ip.NextHeader(), packet.IPv6HeaderLen
	for at+2 <= len(ip) {
		n := 8 + int(ip[at+1])*8
		switch next {
		case packet.ProtocolFragment:
			if at+4 > len(ip) {
				return next, at, unseen
			}
			unseen, n = unseen || word(ip[at+2:])>>3 != 0, 8
		case packet.ProtocolAH:
			n = 8 + int(ip[at+1])*4
		case packet.ProtocolMobility, packet.ProtocolHIP, packet.ProtocolShim6:
			unseen = true
		case packet.ProtocolHopByHop, packet.ProtocolRouting, packet.ProtocolDestOptions:
		default:
			return next, at, unseen
		}
		next, at = ip[at], at+n
	}
	return next, at, unseen
}

// isHiddenError: the payload is ICMPv6, and an error as far as one can see: it is
// a later fragment, behind headers that Linux does not look behind, or cut off.
func isHiddenError(c *trial) bool {
	ip := c.v6()
	if ip == nil || len(c.ours) != 0 || len(reports(c.theirs)) != 1 {
		return false
	}
	next, at, unseen := payload6(ip)
	return next == packet.ProtocolICMPv6 && (unseen || at >= len(ip))
}

// isRedirectError: about a redirect no error is sent.
func isRedirectError(c *trial) bool {
	ip := c.v6()
	if ip == nil || len(c.ours) != 0 || len(reports(c.theirs)) != 1 {
		return false
	}
	next, at, _ := payload6(ip)
	return next == packet.ProtocolICMPv6 && at < len(ip) && ip[at] == packet.ICMPv6Redirect
}

// isUnspecifiedSource: the unspecified source is not forwarded, also not to the
// link that it came from.
func isUnspecifiedSource(c *trial) bool {
	return c.v6() != nil && c.src().IsUnspecified() && len(c.ours) == 0 && len(c.theirs) == 1 && c.theirs[0].side == 0
}

func isLinkLocalSameLink(c *trial) bool {
	return c.v6() != nil && c.src().IsLinkLocalUnicast() && len(c.theirs) == 0 && len(c.ours) == 1 && c.ours[0].side == 0
}

func isJumboWithoutLength(c *trial) bool {
	ip := c.v6()
	return ip != nil && ip.PayloadLen() == 0 && ip.NextHeader() == packet.ProtocolHopByHop && len(c.ours) == 0
}
