// Package gribi is the router's gRIBI server: controllers program next hops,
// next-hop groups and routes in any instance, and learn what became of each.
//
// What is programmed is no configuration. It stands in the RIB of its instance
// as routes of protocol gribi beside all others, and goes with routerd.
//
// Invariant: each entry refers only to what exists; what an operation would
// break is refused by name. A group's change costs the same however many entries
// have it. An operation is answered FIB_PROGRAMMED only when workers follow it.
//
// Source: openconfig/gribi, doc/specification.md 1.0.1, and the comments of its
// gribi.proto 1.9.1. docs/gribi.md says what is chosen where they are silent.
package gribi
