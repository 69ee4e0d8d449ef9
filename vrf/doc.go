// Package vrf keeps the routing instances: for each one a RIB with all its
// routes, and a published FIB with the best of them that packets are looked up
// in. It knows which routes an instance starts with, which routes an address
// or a neighbour adds, and which instance a family has them in.
//
// The instances share one table of next hops, so a next hop is one record
// however many instances use it. Each family of a unit belongs to exactly one
// instance; moving it moves its routes.
//
// Invariant: the interface routes of an instance are those that the families in
// it, their state, addresses and neighbours call for, no matter in what order
// these came.
//
// Source: D. Ferguson, "Modernizing the BSD Networking Stack", Routing Instances.
package vrf
