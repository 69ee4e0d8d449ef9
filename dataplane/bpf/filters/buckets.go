package filters

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"router/dataplane/filter"
)

// bucketWords is how many words there are for policers' buckets, of which the first is no
// bucket: BUCKETS in filterstore.h. Workers take from them by their addresses, so that they can't move
// and don't grow.
const bucketWords = 1 << 14

// buckets are the words of policers, which both paths take from.
type buckets struct {
	memory *mapped

	mu   sync.Mutex
	free []uint32
}

func newBuckets() (*buckets, error) {
	memory, err := newMapped("filter_buckets", bucketWords)
	if err != nil {
		return nil, err
	}
	b := &buckets{memory: memory}
	for n := uint32(bucketWords - 1); n > 0; n-- {
		b.free = append(b.free, n)
	}
	return b, nil
}

// Word hands out a word for a bucket, nil when there is none left: for
// [filter.Table.SetWords]. It comes back by itself once nobody refers to the Word.
func (s *Store) Word() *filter.Word {
	b := s.buckets
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) == 0 {
		return nil
	}
	place := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	at := (*atomic.Uint64)(unsafe.Pointer(&b.memory.words[place]))
	at.Store(0)
	w := &filter.Word{Owes: at, Place: place}
	runtime.AddCleanup(w, b.give, place)
	return w
}

func (b *buckets) give(place uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, place)
}
