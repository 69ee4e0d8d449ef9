package models

import (
	"net/netip"
	"time"

	"router/dataplane/filter"
	"router/intf"
)

// A PacketCount counts packets and the octets of these, IP headers included.
type PacketCount struct{ Packets, Octets uint64 }

// A FilterState is the state of a filter.
type FilterState struct {
	Name        string
	Applied     *FilterSpec // nil while it isn't in place
	Bindings    uint32      // places where it is bound
	CompileTime time.Duration
	Reason      string        // why it discards everything instead; empty when it doesn't
	Terms       []PacketCount // of the terms of Applied
	Unmatched   PacketCount   // what no term matched
	Cleared     time.Time     // when the counters were cleared last; zero for never
	Anew        time.Time     // when they began anew last
}

// A FilterCount is what a term of a filter matched at one place.
type FilterCount struct {
	Hook         filter.Hook
	Filter, Term string
	PacketCount
}

// A PolicerState is the state of a policer.
type PolicerState struct {
	Applied PolicerSpec
	Colours [filter.NumColours]PacketCount
}

// A FilterVerdict is what became of a packet that a filter logged. The set is
// closed.
type FilterVerdict uint8

// The verdicts.
const (
	VerdictAccept FilterVerdict = iota
	VerdictDiscard
	VerdictReject
	VerdictInstance
	VerdictNextHop
	VerdictPoliced
)

func (v FilterVerdict) String() string {
	switch v {
	case VerdictAccept:
		return "accept"
	case VerdictDiscard:
		return "discard"
	case VerdictReject:
		return "reject"
	case VerdictInstance:
		return "routing-instance"
	case VerdictNextHop:
		return "next-hop"
	case VerdictPoliced:
		return "policed"
	}
	return "verdict(" + uintText(uint64(v)) + ")"
}

// FilterLogSize is how many entries the filter log has.
const FilterLogSize = 1024

// Slot is the entry's place in the log, from 1 on.
func (e *FilterLogEntry) Slot() uint16 { return uint16((e.Number-1)%FilterLogSize) + 1 }

// A FilterLogEntry is a packet that a filter logged.
type FilterLogEntry struct {
	Number       uint64 // counts from 1 on
	Time         time.Time
	Filter, Term string
	Hook         filter.Hook
	Unit         intf.UnitKey // where the filter is bound
	Verdict      FilterVerdict
	Src, Dst     netip.Addr
	Protocol     uint8
	Ports        bool // SrcPort and DstPort are known
	SrcPort      uint16
	DstPort      uint16
	Length       uint16 // octets of the IP packet
}
