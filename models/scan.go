package models

import (
	"router/intf"
	"router/routing/neighbor"
)

// A UnitCounters is what of a unit changes all the time, for those who read all
// units of a router each second.
type UnitCounters struct {
	Key       intf.UnitKey
	Up        bool
	Counters  Counters
	HasFamily [len(intf.Families)]bool
	RPFFailed [len(intf.Families)]uint64 // by family
}

// NeighborCounts are the numbers of neighbours by family and state.
type NeighborCounts [len(intf.Families)][int(neighbor.Permanent) + 1]int

// WorkerTotals say where a worker's packets came from and went, since the start.
type WorkerTotals struct {
	Received  uint64 // frames from devices
	Injected  uint64 // packets of the control plane and the host, frames handed over by other workers
	Created   uint64 // ICMP errors, resets, fragments, and copies for a mirror or a list
	Sent      uint64 // frames that devices took
	Dropped   uint64 // packets dropped for any reason
	Punted    uint64 // packets given to the control plane
	Delivered uint64 // packets given to the host
	Absorbed  uint64 // packets cut into fragments, and frames handed to another worker
}
