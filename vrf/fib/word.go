//go:build !race

package fib

import (
	"sync/atomic"
	"unsafe"
)

// words is an arena's memory as lookups read it: without a check of each offset,
// which would be a tenth of a lookup's instructions. Every offset that a lookup
// comes to was written by this package, and writers write what lies in the arena;
// under the race detector, with which the tests run, each one is checked.
type words struct{ base unsafe.Pointer }

func wordsOf(mem []uint64) words { return words{unsafe.Pointer(unsafe.SliceData(mem))} }

// at reads a word that never changes while a reader can come to it.
func (w words) at(i uint64) uint64 { return *(*uint64)(unsafe.Add(w.base, i*8)) }

// load reads a word that may change.
func (w words) load(i uint64) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(w.base, i*8)))
}

// half reads a 32-bit value that may change, at an offset that counts those.
func (w words) half(i uint64) uint64 {
	return uint64(atomic.LoadUint32((*uint32)(unsafe.Add(w.base, i*4))))
}
