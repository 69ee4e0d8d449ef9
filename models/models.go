// Package models knows what configuration means. It turns the structs that
// ygot made from yang/ into a checked [Intent], plain data that the rest of the
// router understands, and it writes operational state, plain data again, into
// such structs.
//
// Compilation is incremental. A change touches [Object]s; [Compiled.Update]
// compiles only these, and checks every rule that they can affect through
// indexes, so that its cost follows the size of the change.
//
// Invariants: a Compiled holds an intent that breaks no rule. The rules bear
// the error-app-tags of the model, and every one of these has its rule here; a
// test holds the two together.
//
// The package is pure: no Linux, no clock, no locks. Values of its types belong
// to one goroutine at a time.
package models

// Revision is the revision of the YANG module routerd that this package
// implements, as gNMI's Capabilities tell it.
const Revision = "2026-11-21"

// DefaultInstance is the routing instance that always exists.
const DefaultInstance = "default"
