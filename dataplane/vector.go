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

// with returns the vector that has x, which may be nil, as element i.
func (v vector[T]) with(i uint32, x *T) vector[T] {
	if v.root == nil {
		v = vector[T]{root: &vectorNode[T]{}, shift: vectorBits}
	}
	for i>>v.shift>>vectorBits != 0 {
		root := &vectorNode[T]{}
		root.kids[0] = v.root
		v = vector[T]{root: root, shift: v.shift + vectorBits}
	}
	return vector[T]{root: v.root.with(v.shift, i, x), shift: v.shift}
}

func (n *vectorNode[T]) with(shift uint8, i uint32, x *T) *vectorNode[T] {
	c := &vectorNode[T]{}
	if n != nil {
		*c = *n
	}
	slot := i >> shift & vectorMask
	if shift > vectorBits {
		c.kids[slot] = c.kids[slot].with(shift-vectorBits, i, x)
		return c
	}
	l := &vectorLeaf[T]{}
	if old := c.leaves[slot]; old != nil {
		*l = *old
	}
	l[i&vectorMask] = x
	c.leaves[slot] = l
	return c
}
