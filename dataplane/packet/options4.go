package packet

import "encoding/binary"

// More IPv4 options (RFC 791, 3.1; RFC 2113), those that a router acts upon.
const (
	ipv4OptionRecordRoute = 7
	ipv4OptionTimestamp   = 68
	ipv4OptionLooseRoute  = 131
	ipv4OptionStrictRoute = 137
	ipv4OptionRouterAlert = 148
)

// What a timestamp option wants, in the low half of its fourth octet.
const (
	timestampOnly      = 0
	timestampAddress   = 1
	timestampPrespec   = 3
	timestampKindMask  = 0x0f
	timestampOverflow  = 0xf0
	timestampFirst     = 5 // the least pointer
	addressOptionFirst = 4 // the least pointer of record route and source routes
)

// An OptionSet says what IPv4 options ask of a router that forwards them.
type OptionSet uint8

// The things asked.
const (
	OptionSourceRoute OptionSet = 1 << iota // the sender chose the way (RFC 791)
	OptionStamp                             // something is to be written: [StampIPv4Options] does it
	OptionAlert                             // routers on the way are to look closer (RFC 2113)
)

// CheckIPv4Options reads the options of a packet that CheckIPv4 has returned.
// bad is 0, or where in the header the octet is that a parameter problem names
// (RFC 1812, 4.3.3.5; RFC 791, 3.1 for each option's form): an option that
// doesn't fit, a pointer into nowhere, a second record route, timestamp or source
// route, a timestamp whose overflow counter is full.
func CheckIPv4Options(h IPv4) (set OptionSet, bad int) {
	var seen OptionSet // of record route and timestamp
	const (
		seenRecord OptionSet = 1 << iota
		seenTimestamp
	)
	hl := h.HeaderLen()
	for at := IPv4MinHeaderLen; at < hl; {
		switch h[at] {
		case ipv4OptionEnd:
			for _, b := range h[at:hl] {
				if b != ipv4OptionEnd {
					return set | OptionStamp, 0
				}
			}
			return set, 0
		case ipv4OptionNop:
			at++
			continue
		}
		if hl-at < 2 || h[at+1] < 2 || int(h[at+1]) > hl-at {
			return set, at
		}
		o := h[at : at+int(h[at+1])]
		switch o[0] {
		case ipv4OptionLooseRoute, ipv4OptionStrictRoute:
			if wrong := badAddressOption(o); wrong != 0 {
				return set, at + wrong
			}
			if set&OptionSourceRoute != 0 {
				return set, at
			}
			set |= OptionSourceRoute
		case ipv4OptionRecordRoute:
			if seen&seenRecord != 0 {
				return set, at
			}
			if wrong := badAddressOption(o); wrong != 0 {
				return set, at + wrong
			}
			if pointer := int(o[2]); pointer <= len(o) {
				if pointer+3 > len(o) {
					return set, at + 2
				}
				set |= OptionStamp
			}
			seen |= seenRecord
		case ipv4OptionTimestamp:
			if seen&seenTimestamp != 0 {
				return set, at
			}
			stamp, wrong := checkTimestamp(o)
			if wrong != 0 {
				return set, at + wrong
			}
			if stamp {
				set |= OptionStamp
			}
			seen |= seenTimestamp
		case ipv4OptionRouterAlert:
			if len(o) < 4 {
				return set, at + 1
			}
			if o[2] == 0 && o[3] == 0 {
				set |= OptionAlert
			}
		}
		at += len(o)
	}
	return set, 0
}

// badAddressOption is the place of the octet that is wrong in an option that
// holds a pointer and addresses, 0 for none.
func badAddressOption(o []byte) int {
	switch {
	case len(o) < 3:
		return 1
	case o[2] < addressOptionFirst:
		return 2
	}
	return 0
}

// checkTimestamp reports whether a timestamp option is to be written to, and the
// place of the octet that is wrong in it, 0 for none.
func checkTimestamp(o []byte) (stamp bool, wrong int) {
	if len(o) < 4 {
		return false, 1
	}
	pointer, kind := int(o[2]), o[3]&timestampKindMask
	switch {
	case pointer < timestampFirst:
		return false, 2
	case pointer > len(o):
		// No room: all routers that only know the time count that (RFC 791), but
		// not those of a list that they need not be in.
		if kind == timestampPrespec {
			return false, 0
		}
		if o[3]&timestampOverflow == timestampOverflow {
			return false, 3
		}
		return true, 0
	case pointer+3 > len(o):
		return false, 2
	}
	switch kind {
	case timestampOnly:
		return true, 0
	case timestampAddress, timestampPrespec:
		if pointer+7 > len(o) {
			return false, 2
		}
		return true, 0
	}
	return false, 0
}

// PrespecifiedIPv4 returns the address whose owner the timestamp option of a
// packet waits for, in host byte order, if it has one that is not filled up.
// CheckIPv4Options has found no fault.
func PrespecifiedIPv4(h IPv4) (addr uint32, ok bool) {
	eachOption(h, func(o []byte) {
		if o[0] == ipv4OptionTimestamp && o[3]&timestampKindMask == timestampPrespec && int(o[2])+7 <= len(o) {
			addr, ok = binary.BigEndian.Uint32(o[o[2]-1:]), true
		}
	})
	return addr, ok
}

// StampIPv4Options writes what the options of a packet ask a router to write as
// it forwards: addr, that of the interface the packet leaves by (RFC 1812,
// 4.2.2.2), into record route and timestamp; millis, the milliseconds since
// midnight UT, into the timestamp; zeroes behind the end of the options. named
// says that the address of PrespecifiedIPv4 is the router's. The header checksum
// is made right. CheckIPv4Options has found no fault.
func StampIPv4Options(h IPv4, addr, millis uint32, named bool) {
	end := eachOption(h, func(o []byte) {
		switch o[0] {
		case ipv4OptionRecordRoute:
			if pointer := int(o[2]); pointer+3 <= len(o) {
				binary.BigEndian.PutUint32(o[pointer-1:], addr)
				o[2] += 4
			}
		case ipv4OptionTimestamp:
			stampTime(o, addr, millis, named)
		}
	})
	clear(h[end:h.HeaderLen()])
	h.SetChecksum()
}

func stampTime(o []byte, addr, millis uint32, named bool) {
	pointer, kind := int(o[2]), o[3]&timestampKindMask
	if pointer > len(o) {
		if kind != timestampPrespec {
			o[3] += 0x10
		}
		return
	}
	switch kind {
	case timestampOnly:
		binary.BigEndian.PutUint32(o[pointer-1:], millis)
		o[2] += 4
	case timestampAddress:
		binary.BigEndian.PutUint32(o[pointer-1:], addr)
		binary.BigEndian.PutUint32(o[pointer+3:], millis)
		o[2] += 8
	case timestampPrespec:
		if named {
			binary.BigEndian.PutUint32(o[pointer+3:], millis)
			o[2] += 8
		}
	}
}

// eachOption calls visit for each option that is longer than an octet, and
// returns where the options end: at the end of the header, or before the octets
// that follow an "end of options".
func eachOption(h IPv4, visit func(o []byte)) int {
	hl := h.HeaderLen()
	for at := IPv4MinHeaderLen; at < hl; {
		switch h[at] {
		case ipv4OptionEnd:
			return at
		case ipv4OptionNop:
			at++
		default:
			n := int(h[at+1])
			visit(h[at : at+n])
			at += n
		}
	}
	return hl
}
