package routing

// chunkSize is how many records a slab allocates at a time. Small, so that a
// router with a dozen routes stays small.
const chunkSize = 1 << 11

// A slab holds records by number. Records never move, so that pointers to them
// stay good, and growing copies nothing. Number 0 is never handed out. With
// records that hold no pointers it costs the garbage collector nothing.
type slab[T any] struct {
	chunks []*[chunkSize]T
	free   []uint32
	next   uint32
}

// at is record number i, which must have been handed out.
func (s *slab[T]) at(i uint32) *T { return &s.chunks[i/chunkSize][i%chunkSize] }

// get hands out a zero record.
func (s *slab[T]) get() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	if s.next == 0 {
		s.next = 1
	}
	if int(s.next/chunkSize) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkSize]T))
	}
	i := s.next
	s.next++
	return i
}

// put takes a record back.
func (s *slab[T]) put(i uint32) {
	var zero T
	*s.at(i) = zero
	s.free = append(s.free, i)
}

// used is the number of records handed out.
func (s *slab[T]) used() int { return max(int(s.next)-1, 0) - len(s.free) }
