package dataplane

// A vector is a persistent sparse array: with returns a new vector that shares
// all but the path to the changed element, so that a change costs a few hundred
// octets of copying however many elements there are. The zero vector is empty.
// Vectors are immutable and may be read from any goroutine.
type vector[T any] struct {
	root  *vectorNode[T]
	shift uint8 // index bits below the root's own
}

const (
	vectorBits = 5
	vectorFan  = 1 << vectorBits
	vectorMask = vectorFan - 1
)

// A vectorNode has leaves at the lowest level of nodes and kids above it.
type vectorNode[T any] struct {
	kids   [vectorFan]*vectorNode[T]
	leaves [vectorFan]*vectorLeaf[T]
}

type vectorLeaf[T any] [vectorFan]*T

// at returns element i, nil where there is none.
func (v *vector[T]) at(i uint32) *T {
	n := v.root
	if n == nil || i>>v.shift>>vectorBits != 0 {
		return nil
	}
	for s := v.shift; s > vectorBits; s -= vectorBits {
		if n = n.kids[i>>s&vectorMask]; n == nil {
			return nil
		}
	}
	l := n.leaves[i>>vectorBits&vectorMask]
	if l == nil {
		return nil
	}
	return l[i&vectorMask]
}

// with returns the vector that has x as element i, or no element i if x is nil.
// Nodes that become empty go, so that a vector is as large as what it holds.
func (v vector[T]) with(i uint32, x *T) vector[T] {
	if v.root == nil {
		v = vector[T]{root: &vectorNode[T]{}, shift: vectorBits}
	}
	for i>>v.shift>>vectorBits != 0 {
		root := &vectorNode[T]{}
		root.kids[0] = v.root
		v = vector[T]{root: root, shift: v.shift + vectorBits}
	}
	root := v.root.with(v.shift, i, x)
	if root == nil {
		return vector[T]{}
	}
	return vector[T]{root: root, shift: v.shift}
}

// with returns the changed node, nil when it is empty. n may be nil.
func (n *vectorNode[T]) with(shift uint8, i uint32, x *T) *vectorNode[T] {
	c := &vectorNode[T]{}
	if n != nil {
		*c = *n
	}
	slot := i >> shift & vectorMask
	if shift > vectorBits {
		c.kids[slot] = c.kids[slot].with(shift-vectorBits, i, x)
	} else {
		c.leaves[slot] = c.leaves[slot].with(i, x)
	}
	if x == nil && *c == (vectorNode[T]{}) {
		return nil
	}
	return c
}

// with returns the changed leaf, nil when it is empty. l may be nil.
func (l *vectorLeaf[T]) with(i uint32, x *T) *vectorLeaf[T] {
	c := &vectorLeaf[T]{}
	if l != nil {
		*c = *l
	}
	c[i&vectorMask] = x
	if x == nil && *c == (vectorLeaf[T]{}) {
		return nil
	}
	return c
}
