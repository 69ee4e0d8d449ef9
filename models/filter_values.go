package models

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/openconfig/ygot/ygot"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/gen"
	"router/intf"
)

// This file reads the values of a term's conditions: numbers, ranges, and names
// that stand for numbers. A test compares the names with the model's.

// names is what the names of an enumeration stand for.
type names map[string]uint32

var ipProtocolNames = names{
	"icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51,
	"icmp6": 58, "no-next-header": 59, "eigrp": 88, "ospf": 89, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": 132, "udp-lite": 136, "mpls": 137,
}

var portNames = names{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "tacacs": 49, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
	"http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139,
	"imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179, "ldap": 389, "https": 443, "microsoft-ds": 445, "isakmp": 500, "syslog": 514,
	"rip": 520, "ripng": 521, "dhcpv6-client": 546, "dhcpv6-server": 547, "submission": 587, "ldaps": 636, "ldp": 646, "netconf-ssh": 830,
	"domain-tls": 853, "imaps": 993, "pop3s": 995, "l2tp-control": 1701, "radius": 1812, "radius-accounting": 1813, "gtp-control": 2123,
	"gtp-user": 2152, "bfd": 3784, "bfd-echo": 3785, "ipsec-nat": 4500, "bfd-multihop": 4784, "vxlan": 4789, "syslog-tls": 6514, "gnmi": 9339,
}

var dscpNames = names{
	"be": 0, "le": 1, "cs1": 8, "af11": 10, "af12": 12, "af13": 14, "cs2": 16, "af21": 18, "af22": 20, "af23": 22, "cs3": 24, "af31": 26,
	"af32": 28, "af33": 30, "cs4": 32, "af41": 34, "af42": 36, "af43": 38, "cs5": 40, "va": 44, "ef": 46, "cs6": 48, "cs7": 56,
}

// icmpNames are those of ICMP and of ICMPv6.
var icmpNames = [len(intf.Families)]names{
	intf.Inet: {
		"echo-reply": 0, "unreachable": 3, "redirect": 5, "echo-request": 8, "router-advertisement": 9, "router-solicitation": 10,
		"time-exceeded": 11, "parameter-problem": 12, "timestamp": 13, "timestamp-reply": 14,
	},
	intf.Inet6: {
		"unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "echo-reply": 129,
		"mld-query": 130, "mld-report": 131, "mld-done": 132, "router-solicitation": 133, "router-advertisement": 134,
		"neighbor-solicitation": 135, "neighbor-advertisement": 136, "redirect": 137, "mld2-report": 143,
	},
}

var optionNames = names{
	"security": 2, "loose-source-route": 3, "timestamp": 4, "record-route": 7, "stream-id": 8, "strict-source-route": 9, "router-alert": 20,
}

var extensionNames = names{
	"hop-by-hop": 0, "routing": 43, "fragment": 44, "esp": 50, "ah": 51, "destination": 60, "mobility": 135, "hip": 139, "shim6": 140,
}

var ethertypeNames = names{"ipv4": 0x0800, "ipv6": 0x86dd, "mpls": 0x8847, "pppoe-session": 0x8864}

var lossNames = names{"low": filter.LossLow, "medium-low": filter.LossMediumLow, "medium-high": filter.LossMediumHigh, "high": filter.LossHigh}

var flagNames = names{
	"fin": packet.TCPFin, "syn": packet.TCPSyn, "rst": packet.TCPRst, "psh": packet.TCPPsh,
	"ack": packet.TCPAck, "urg": packet.TCPUrg, "ece": packet.TCPEce, "cwr": packet.TCPCwr,
}

// valueText is a leaf's value, of a union or not, as the client wrote it.
func valueText(v any) string {
	switch v := v.(type) {
	case gen.UnionUint8:
		return uintText(uint64(v))
	case gen.UnionUint16:
		return uintText(uint64(v))
	case gen.UnionUint32:
		return uintText(uint64(v))
	case gen.UnionString:
		return string(v)
	case string:
		return v
	case ygot.GoEnum:
		return v.String()
	}
	return fmt.Sprint(v)
}

// A field is what the values of a condition are made of.
type field struct {
	names    names
	min, max uint32
}

// number reads one number or name; base 0 allows for hexadecimal.
func (f field) number(text string, base int) (uint32, bool) {
	if n, ok := f.names[text]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(text, base, 32)
	return uint32(n), err == nil && uint32(n) >= f.min && uint32(n) <= f.max
}

// ranges reads the values of a leaf-list: what does not fit is a violation at path.
func ranges[T any](values []T, f field, path string, v *violations) []filter.Range {
	var list []filter.Range
	for _, value := range values {
		text := valueText(value)
		base := 10
		if strings.HasPrefix(text, "0x") {
			base = 0
		}
		if n, ok := f.number(text, base); ok {
			list = append(list, filter.One(n))
			continue
		}
		low, high, ok := strings.Cut(text, "-")
		plain := field{min: f.min, max: f.max}
		lo, loOK := plain.number(low, base)
		hi, hiOK := plain.number(high, base)
		switch {
		case !ok && isNumber(text), ok && isNumber(low) && isNumber(high) && !(loOK && hiOK):
			v.add(path, ruleFilterRange, "%s is outside the range %d to %d: choose within it", text, f.min, f.max)
		case !ok || !loOK || !hiOK:
			v.add(path, ruleBadValue, "%s is neither a number from %d to %d nor a name: write one", text, f.min, f.max)
		case lo > hi:
			v.add(path, ruleFilterRange, "the range %s is reversed: write %d-%d", text, hi, lo)
		default:
			list = append(list, filter.Range{Lo: lo, Hi: hi})
		}
	}
	return list
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// flagMatches reads expressions such as "syn&!ack".
func flagMatches(values []string, path string, v *violations) []filter.FlagMatch {
	var list []filter.FlagMatch
	for _, text := range values {
		var m filter.FlagMatch
		ok := true
		for _, word := range strings.Split(text, "&") {
			name, not := strings.CutPrefix(word, "!")
			bit, known := flagNames[name]
			switch {
			case !known:
				v.add(path, ruleBadValue, "%q is no TCP flag: write fin, syn, rst, psh, ack, urg, ece or cwr", name)
				ok = false
			case m.Mask&uint8(bit) != 0:
				v.add(path, ruleFilterFlags, "%s names the flag %s twice: name it once", text, name)
				ok = false
			}
			m.Mask |= uint8(bit)
			if !not {
				m.Value |= uint8(bit)
			}
		}
		if ok {
			list = append(list, m)
		}
	}
	return list
}

// maskedMACs reads addresses with masks.
func maskedMACs(values []string, path string, v *violations) []filter.MaskedMAC {
	var list []filter.MaskedMAC
	for _, text := range values {
		address, mask, masked := strings.Cut(text, "/")
		m := filter.MaskedMAC{Mask: intf.Broadcast}
		var err error
		if m.MAC, err = parseMAC(address); err == nil && masked {
			m.Mask, err = parseMAC(mask)
		}
		if err != nil {
			v.add(path, ruleBadValue, "%s is %w: write a MAC address, and a mask behind a slash when not all bits count", text, err)
			continue
		}
		for i := range m.MAC {
			if m.MAC[i]&^m.Mask[i] != 0 {
				v.add(path, ruleFilterMask, "%s has bits that its mask leaves out: clear them or widen the mask", text)
				break
			}
		}
		list = append(list, m)
	}
	return list
}

// maskedMarks reads marks with masks.
func maskedMarks[T any](values []T, path string, v *violations) []filter.MaskedMark {
	var list []filter.MaskedMark
	for _, value := range values {
		text := valueText(value)
		mark, mask, masked := strings.Cut(text, "/")
		m := filter.MaskedMark{Mask: 0xffff}
		n, err := parseMark(mark)
		m.Value = n
		if err == nil && masked {
			m.Mask, err = parseMark(mask)
		}
		switch {
		case err != nil:
			v.add(path, ruleFilterRange, "%s is not a mark: write a number from 0 to 65535, in decimal or hexadecimal, and a mask behind a slash when not all bits count", text)
			continue
		case m.Value&^m.Mask != 0:
			v.add(path, ruleFilterMask, "%s has bits that its mask leaves out: clear them or widen the mask", text)
		}
		list = append(list, m)
	}
	return list
}

func parseMark(text string) (uint16, error) {
	base := 10
	if strings.HasPrefix(text, "0x") {
		text, base = text[2:], 16
	}
	n, err := strconv.ParseUint(text, base, 16)
	return uint16(n), err
}
