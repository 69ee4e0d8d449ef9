package packet

import "encoding/binary"

// Options of IPv6 (RFC 8200, 4.2; RFC 2711; RFC 2675).
const (
	ipv6OptionPad1        = 0
	ipv6OptionPadN        = 1
	ipv6OptionRouterAlert = 5
	ipv6OptionJumbo       = 0xc2

	// The two highest bits of a type that a node does not know say what to do.
	optionAction        = 0xc0
	optionSkip          = 0x00
	optionDiscard       = 0x40
	optionReport        = 0x80
	optionReportUnicast = 0xc0
)

// Limits on what senders have no honest use for (RFC 8504, 5.3): padding in a
// row, which only serves to align to eight octets, and the number of options.
const (
	maxOptionPadding = 7
	maxOptions       = 8
)

// An OptionVerdict says what becomes of a packet for its options.
type OptionVerdict uint8

// The verdicts. It is a closed set.
const (
	OptionsPass      OptionVerdict = iota
	OptionsMalformed               // drop it: the form is wrong
	OptionsRefused                 // drop it silently: an unknown option says so
	OptionsUnknown                 // answer with parameter problem code 2 to any destination, and drop it
	OptionsField                   // answer with parameter problem code 0, and drop it
)

// CheckHopByHop reads the hop-by-hop options of a packet that CheckIPv6 has
// returned and whose first header they are (RFC 8200, 4.3), as every router that
// the packet passes may. pointer is the place of the octet that is to be
// reported.
//
// Router alerts (RFC 2711) pass, and so do unknown options that may be skipped. A
// jumbo payload (RFC 2675) can't be: a packet of that size does not get here, so
// the option is wrong in one of the ways that RFC 2675, 3 lists.
func CheckHopByHop(h IPv6) (v OptionVerdict, pointer int) {
	if len(h) < IPv6HeaderLen+8 {
		return OptionsMalformed, 0
	}
	end := IPv6HeaderLen + 8 + int(h[IPv6HeaderLen+1])*8
	if end > len(h) {
		return OptionsMalformed, 0
	}
	padding, options := 0, 0
	for at := IPv6HeaderLen + 2; at < end; {
		if h[at] == ipv6OptionPad1 {
			if padding++; padding > maxOptionPadding {
				return OptionsMalformed, 0
			}
			at++
			continue
		}
		if end-at < 2 || at+2+int(h[at+1]) > end {
			return OptionsMalformed, 0
		}
		o := h[at : at+2+int(h[at+1])]
		if o[0] == ipv6OptionPadN {
			if padding += len(o); padding > maxOptionPadding || !allZero(o[2:]) {
				return OptionsMalformed, 0
			}
			at += len(o)
			continue
		}
		padding = 0
		if options++; options > maxOptions {
			return OptionsMalformed, 0
		}
		switch o[0] {
		case ipv6OptionRouterAlert:
			if len(o) != 4 {
				return OptionsMalformed, 0
			}
		case ipv6OptionJumbo:
			return checkJumbo(h, at)
		default:
			if v := unknownOption(h, o[0]); v != OptionsPass {
				return v, at
			}
		}
		at += len(o)
	}
	return OptionsPass, 0
}

// unknownOption is what the type of an unknown option asks for (RFC 8200, 4.2).
func unknownOption(h IPv6, typ byte) OptionVerdict {
	switch typ & optionAction {
	case optionSkip:
		return OptionsPass
	case optionDiscard:
		return OptionsRefused
	case optionReportUnicast:
		if h[24] == 0xff {
			return OptionsRefused
		}
	case optionReport:
	}
	return OptionsUnknown
}

// ReportsToGroups reports whether an unknown option of this type is to be
// reported even if the packet was for many (RFC 4443, 2.4 (e.3)).
func ReportsToGroups(typ byte) bool { return typ&optionAction == optionReport }

// checkJumbo finds what is wrong with the jumbo payload option at at (RFC 2675, 3).
func checkJumbo(h IPv6, at int) (v OptionVerdict, pointer int) {
	switch {
	case h[at+1] != 4 || at&3 != 2:
		return OptionsMalformed, 0
	case binary.BigEndian.Uint32(h[at+2:]) <= 0xffff:
		return OptionsField, at + 2
	case h.PayloadLen() != 0:
		return OptionsField, at
	}
	return OptionsMalformed, 0 // fewer octets than it announces
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
