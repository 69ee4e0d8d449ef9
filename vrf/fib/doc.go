// Package fib is the forwarding table of a routing instance: for an address,
// the next hop of the longest matching prefix.
//
// It is a multi-bit trie, six bits a level, in flat memory that all tables of
// the router share: an Arena. Everything in that memory is an offset, so that
// the same bytes can be a Go slice here and a mapped array for a program in
// the kernel. What is read there is drawn in block.go and root.go, so that it
// takes few cache lines, and each family has pages of memory to itself: the misses of
// these are what a lookup in a large table waits for.
//
// The invariants:
//
//   - A block is complete before the one word that makes it reachable is
//     stored, and is never changed afterwards, except for single values (a next
//     hop, a child's reference) that are stored whole.
//   - A route change that touches one block stores one word. A reader finds
//     the old answer or the new one, and never neither.
//   - A block that was unlinked is used again only after every reader of the
//     arena's epoch.Domain has passed a quiescent point.
//   - A change that does not fit the arena leaves the table as it was.
//
// The sources: H. Asai and Y. Ohara, "Poptrie" (SIGCOMM 2015) for bitmaps and
// population counts instead of child arrays; D. Knuth and Y. Hariguchi's
// Allotment Routing Table (ART) for a block that holds its own prefixes; and
// tables.md of our design, where the two are put together.
package fib
