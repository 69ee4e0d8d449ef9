// Package routing decides which route wins. A [RIB] holds all the routes of one
// routing instance, many per prefix, told apart by their metadata; the best
// usable one of each prefix goes to the instance's FIB. Every address is
// recognised here: local, broadcast, group and user routes stand in one table,
// and what a lookup finds is always a next hop, whose kind says what happens to
// the packet.
//
// Routes are many and lean (a prefix and a small record in memory without
// pointers), next hops few, shared and reference-counted. Gateways that are not
// on a link of ours are resolved through other routes; see [Store].
//
// Invariant: after each change the FIB holds, for every prefix, the next hop of
// the first usable route in the order Source, Preference, Protocol (of User
// routes; those of one incoming unit before those of any), IfIndex, and nothing
// for a prefix that has no usable route. Where that route takes packets of one
// unit, it holds a Choice. It depends on the routes and the links, never on the
// order in which they came.
//
// The package is pure: no Linux, no YANG, no clock. Nothing in it locks; the
// caller lets one goroutine in at a time, readers of state included. Readers of
// the FIB need nobody's leave.
//
// Source: D. Ferguson, "Modernizing the BSD Networking Stack".
package routing
