// Package lookup is the route lookup of the fast path in an XDP program of its own, to be
// tested and measured with addresses of the caller's.
package lookup

import "github.com/cilium/ebpf"

// An Address is struct address: what is looked up, left-aligned, and then what was found.
type Address = lookupAddress

// Spec is the program. Its user puts in the tables.
func Spec() (*ebpf.CollectionSpec, error) { return loadLookup() }
