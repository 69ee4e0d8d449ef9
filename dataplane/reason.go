package dataplane

import (
	"fmt"

	"router/dataplane/packet"
)

// A Reason says why a packet was dropped. It is a closed set; NumReasons bounds
// it. Reasons below packet.NumFaults are malformed packets and bear the fault's
// number.
type Reason uint8

// The reasons beyond malformed packets.
const (
	DropNotForUs      Reason = packet.NumFaults + iota // a unicast frame for another station
	DropUnknownTag                                     // no unit has these tags on this port
	DropUnknownType                                    // an EtherType that nobody here speaks
	DropFamilyDown                                     // the ingress unit's family is absent or down
	DropMartianSource                                  // a source that names no host, or is our own (RFC 1812, 5.3.7)
	DropLinkBroadcast                                  // unicast packet in a link-layer group frame (RFC 1812, 5.3.4; RFC 1122, 3.3.6)
	DropNoInstance                                     // the instance has no route table
	DropNoRoute                                        // the table has no answer at all
	DropLookupLoop                                     // too many lookups in other instances
	DropTTL                                            // time or hops exceeded
	DropRejected                                       // a reject route
	DropDiscarded                                      // a discard route
	DropBroadcast                                      // directed broadcast from another link (RFC 2644)
	DropScope                                          // link-local address that would leave its link (RFC 4291, 2.5.6)
	DropTooBig                                         // larger than the MTU and not to be fragmented
	DropEgressDown                                     // the egress unit or its family is absent or down
	DropUnresolved                                     // the neighbour did not answer
	DropPuntPoliced                                    // more packets for the control plane than its class may have
	DropPuntFull                                       // the control plane does not keep up
	DropHostFull                                       // the host stack does not keep up
	DropNoOwner                                        // for us, but no unit to deliver it to
	DropTxFull                                         // the port's transmit queue is full
	DropHandoffFull                                    // the worker that serves the port does not keep up
	DropNoBuffer                                       // no free frame buffer
	DropPortGone                                       // the egress port was removed
	DropLocalPoliced                                   // more packets for us than the session's class may have
	DropLocalReject                                    // for us, and the session refuses it
	DropLocalDiscard                                   // for us, and the session discards it
	DropSourceRoute                                    // an IPv4 source route, which we don't follow (RFC 7126, 4.3 and 4.4)
	DropUnknownOption                                  // an unknown IPv6 option that says so (RFC 8200, 4.2)
	DropRPF                                            // the source does not lead back as the family demands (RFC 3704)
	DropWrongUnit                                      // the route takes packets of other units only
	DropFiltered                                       // a filter discards or rejects it
	DropPoliced                                        // beyond what a filter's policer lets pass

	NumReasons = packet.NumFaults + iota // the number of values
)

var reasonNames = [NumReasons - packet.NumFaults]string{
	"not-for-us", "unknown-tag", "unknown-ethertype", "family-down", "martian-source", "link-broadcast",
	"no-instance", "no-route", "lookup-loop", "ttl-exceeded", "reject-route", "discard-route",
	"directed-broadcast", "beyond-scope", "too-big", "egress-down", "unresolved", "punt-policed", "punt-full",
	"host-full", "no-owner", "tx-full", "handoff-full", "no-buffer", "port-gone",
	"local-policed", "local-rejected", "local-discarded",
	"source-route", "unknown-option",
	"rpf-failed", "wrong-interface",
	"filtered", "policed",
}

// String is the reason's name as state and counters show it.
func (r Reason) String() string {
	switch {
	case r < packet.NumFaults:
		return packet.Fault(r).String()
	case r < NumReasons:
		return reasonNames[r-packet.NumFaults]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// isError reports whether the interface counts the drop as an error of what
// arrived (in-errors of RFC 8343) instead of a discard.
func (r Reason) isError() bool { return r < packet.NumFaults }
