package routing

import (
	"fmt"

	"router/intf"
)

// A RejectCode chooses the ICMP destination unreachable code of a Reject. The
// set is closed.
type RejectCode uint8

// The codes. Each is known in the families that [RejectCode.ICMP] has a number
// for.
const (
	RejectNone        RejectCode = iota // the next hop is not a Reject
	RejectNet                           // network unreachable
	RejectHost                          // host unreachable; address unreachable
	RejectAdmin                         // communication administratively prohibited
	RejectNoRoute                       // no route to the destination
	RejectProtocol                      // protocol unreachable
	RejectPort                          // port unreachable
	RejectHostUnknown                   // the host does not exist
	RejectNetAdmin                      // the network is administratively prohibited
	RejectHostAdmin                     // the host is administratively prohibited
	RejectNetTOS                        // network unreachable for the type of service
	RejectHostTOS                       // host unreachable for the type of service
	RejectPrecedence                    // the precedence is not permitted
	RejectCutoff                        // the precedence is below the least one in force
	RejectScope                         // beyond the scope of the source address
	RejectSource                        // the source address failed a policy
	RejectRoute                         // a reject route

	NumRejectCodes = int(RejectRoute) + 1 // the number of values
)

const noCode = 0xff

// rejectCodes has the name of each code and its number in ICMP (RFC 792; RFC
// 1812, 5.2.7.1) and in ICMPv6 (RFC 4443, 3.1). Not there are those that need
// more than a route to be true: fragmentation needed, source route failed, and
// what RFC 1812 says not to send (6 and 8).
var rejectCodes = [NumRejectCodes]struct {
	name string
	code [len(intf.Families)]uint8
}{
	RejectNone:        {"none", [...]uint8{noCode, noCode}},
	RejectNet:         {"net-unreachable", [...]uint8{0, noCode}},
	RejectHost:        {"host-unreachable", [...]uint8{1, 3}},
	RejectAdmin:       {"admin-prohibited", [...]uint8{13, 1}},
	RejectNoRoute:     {"no-route", [...]uint8{noCode, 0}},
	RejectProtocol:    {"protocol-unreachable", [...]uint8{2, noCode}},
	RejectPort:        {"port-unreachable", [...]uint8{3, 4}},
	RejectHostUnknown: {"host-unknown", [...]uint8{7, noCode}},
	RejectNetAdmin:    {"net-prohibited", [...]uint8{9, noCode}},
	RejectHostAdmin:   {"host-prohibited", [...]uint8{10, noCode}},
	RejectNetTOS:      {"net-unreachable-tos", [...]uint8{11, noCode}},
	RejectHostTOS:     {"host-unreachable-tos", [...]uint8{12, noCode}},
	RejectPrecedence:  {"precedence-violation", [...]uint8{14, noCode}},
	RejectCutoff:      {"precedence-cutoff", [...]uint8{15, noCode}},
	RejectScope:       {"beyond-scope", [...]uint8{noCode, 2}},
	RejectSource:      {"source-policy", [...]uint8{noCode, 5}},
	RejectRoute:       {"reject-route", [...]uint8{noCode, 6}},
}

func (c RejectCode) String() string {
	if int(c) < NumRejectCodes {
		return rejectCodes[c].name
	}
	return fmt.Sprintf("reject(%d)", uint8(c))
}

// ICMP is the code's number in the destination unreachable messages of a family
// (ICMP type 3, ICMPv6 type 1); ok is false where the family has no such code.
func (c RejectCode) ICMP(f intf.Family) (code uint8, ok bool) {
	if int(c) >= NumRejectCodes || int(f) >= len(intf.Families) {
		return 0, false
	}
	code = rejectCodes[c].code[f]
	return code, code != noCode
}
