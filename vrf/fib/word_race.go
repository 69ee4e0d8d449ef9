//go:build race

package fib

import "sync/atomic"

// words is an arena's memory as lookups read it, each offset checked.
type words struct{ mem []uint64 }

func wordsOf(mem []uint64) words { return words{mem} }

func (w words) at(i uint64) uint64 { return w.mem[i] }

func (w words) load(i uint64) uint64 { return atomic.LoadUint64(&w.mem[i]) }

func (w words) half(i uint64) uint64 { return w.load(i/2) >> (i & 1 * 32) & 0xffffffff }
