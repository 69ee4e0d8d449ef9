package routing

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"router/intf"
)

// A key is an address as left-aligned bits; IPv4 stands in the top 32.
type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	if a.Is4() {
		b := a.As4()
		return key{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// addr is the address that k stands for.
func (k key) addr(f intf.Family) netip.Addr {
	if f == intf.Inet {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(k.hi>>32))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	return netip.AddrFrom16(b)
}

// bit is bit i, counted from the left, 0 to 127.
func (k key) bit(i uint8) int {
	if i < 64 {
		return int(k.hi >> (63 - i) & 1)
	}
	return int(k.lo >> (127 - i) & 1)
}

// first is k with all but its first n bits cleared.
func (k key) first(n uint8) key {
	if n <= 64 {
		return key{hi: k.hi &^ (^uint64(0) >> n)}
	}
	return key{k.hi, k.lo &^ (^uint64(0) >> (n - 64))}
}

// common is the number of leading bits that k and o share, at most limit.
func (k key) common(o key, limit uint8) uint8 {
	n := bits.LeadingZeros64(k.hi ^ o.hi)
	if n == 64 {
		n += bits.LeadingZeros64(k.lo ^ o.lo)
	}
	return min(uint8(n), limit)
}

// What is known of a node beside its place in the tree.
const (
	nodeQueued    = 1 << iota // waits to be settled
	nodeInstalled             // the FIB holds the prefix
	nodeStale                 // with a next hop that is no longer the winner's
	nodeStuck                 // the second FIB has no room to let the prefix go
	nodeInet6

	nodeInUse = nodeQueued | nodeInstalled | nodeStuck // a node that stays, whatever it has
)

// A node is a prefix in a path-compressed binary tree. Nodes without a head
// only join two branches, or wait to be pruned. 32 octets.
type node struct {
	key
	child [2]uint32
	head  uint32 // what stands at the prefix, 0 for nothing
	rib   uint16 // slot of the RIB that the node belongs to
	bits  uint8  // length of the prefix
	flags uint8
}

func (n *node) family() intf.Family {
	if n.flags&nodeInet6 != 0 {
		return intf.Inet6
	}
	return intf.Inet
}

func (n *node) prefix() netip.Prefix {
	return netip.PrefixFrom(n.addr(n.family()), int(n.bits))
}

// covers reports whether the prefix k/length lies within n.
func (n *node) covers(k key, length uint8) bool {
	return n.bits <= length && n.common(k, n.bits) == n.bits
}

// A trie is a tree of nodes. Its zero value is empty.
type trie struct{ root uint32 }

// insert finds or makes the node of k/length, whose bits beyond length are zero.
// A new node gets the given RIB slot and flags.
func (t *trie) insert(nodes *slab[node], k key, length uint8, rib uint16, flags uint8) uint32 {
	link := &t.root
	for *link != 0 {
		n := nodes.at(*link)
		same := n.common(k, min(n.bits, length))
		if same == n.bits {
			if n.bits == length {
				return *link
			}
			link = &n.child[k.bit(n.bits)]
			continue
		}
		i := nodes.get()
		m := nodes.at(i)
		*m = node{key: k.first(same), bits: same, rib: rib, flags: flags}
		m.child[n.bit(same)] = *link
		*link = i
		if same == length {
			return i
		}
		link = &m.child[k.bit(same)]
	}
	i := nodes.get()
	*nodes.at(i) = node{key: k, bits: length, rib: rib, flags: flags}
	*link = i
	return i
}

// find is the node of k/length, 0 when there is none.
func (t *trie) find(nodes *slab[node], k key, length uint8) uint32 {
	for i := t.root; i != 0; {
		n := nodes.at(i)
		if !n.covers(k, length) {
			return 0
		}
		if n.bits == length {
			return i
		}
		i = n.child[k.bit(n.bits)]
	}
	return 0
}

// prune removes node i if nothing stands there, and what is then of no use
// above it. Nodes that are queued or that the FIB holds stay; they are pruned in
// their turn.
func (t *trie) prune(nodes *slab[node], i uint32) {
	n := nodes.at(i)
	if n.head != 0 || n.flags&nodeInUse != 0 || n.child[0] != 0 && n.child[1] != 0 {
		return
	}
	var parent *uint32
	link := &t.root
	for *link != i {
		p := nodes.at(*link)
		parent = link
		link = &p.child[n.bit(p.bits)]
	}
	*link = n.child[0] | n.child[1]
	gone := *link == 0
	nodes.put(i)
	if !gone || parent == nil {
		return
	}
	p := nodes.at(*parent)
	if p.head == 0 && p.flags&nodeInUse == 0 {
		j := *parent
		*parent = p.child[0] | p.child[1]
		nodes.put(j)
	}
}

// matches appends to path the nodes with a head that cover the address k, the
// shortest prefix first.
func (t *trie) matches(nodes *slab[node], k key, path []uint32) []uint32 {
	for i := t.root; i != 0; {
		n := nodes.at(i)
		if n.common(k, n.bits) != n.bits {
			break
		}
		if n.head != 0 {
			path = append(path, i)
		}
		if n.bits == 128 || n.flags&nodeInet6 == 0 && n.bits == 32 {
			break
		}
		i = n.child[k.bit(n.bits)]
	}
	return path
}

// within visits the nodes with a head in k/length, in the order of the prefixes,
// until visit answers false, which is also the result then.
func (t *trie) within(nodes *slab[node], k key, length uint8, visit func(uint32) bool) bool {
	i := t.root
	for i != 0 {
		n := nodes.at(i)
		if n.bits >= length {
			if n.common(k, length) != length {
				return true
			}
			break
		}
		if n.common(k, n.bits) != n.bits {
			return true
		}
		i = n.child[k.bit(n.bits)]
	}
	return walk(nodes, i, visit)
}

// walk visits the nodes with a head at and below i. Its depth is at most 128.
func walk(nodes *slab[node], i uint32, visit func(uint32) bool) bool {
	if i == 0 {
		return true
	}
	n := nodes.at(i)
	// Read before the visit: it may have the node pruned.
	left, right := n.child[0], n.child[1]
	if n.head != 0 && !visit(i) {
		return false
	}
	return walk(nodes, left, visit) && walk(nodes, right, visit)
}
