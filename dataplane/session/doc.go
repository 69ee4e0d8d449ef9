// Package session finds out who gets a packet for the router itself: one lookup
// for all protocols, after the centralised PCB demultiplexing of Dennis
// Ferguson's "Modernizing the BSD Networking Stack".
//
// A [Table] holds entries, and an entry has a [Match] and a value. The match names
// up to eight fields of a packet; those that it does not name are wild. Of all
// entries that match a packet the most specific one wins. Specificity is a total
// order: the fields are compared one after the other, in the order in which Match
// has them, and the entry that names the first field in which two of them differ,
// or that has the longer prefix there, is the more specific one. Two entries that
// name the same fields, with prefixes of the same lengths, can't both match a
// packet unless they are equal, and a table holds only one of equal ones.
//
// Lookups take no lock and allocate nothing, and run while the one writer
// changes the table. Entries of the same shape (the same fields, the same prefix
// lengths) share a hash table, so that a lookup costs a probe for each shape that
// concerns the packet's protocol, however many entries there are.
package session
