package intf

import (
	"fmt"
	"maps"
	"math"
)

// Indexes hands out the if_index of each device and unit, by name, from one
// number space that starts at 1. A name keeps its number as long as it is
// remembered, and a number is never given to a second name, forgotten or not.
//
// Persistence is the caller's: it restores what it stored, and stores what All
// answers when Fresh says that there is something new.
type Indexes struct {
	byName map[string]Index
	byNum  map[Index]string
	next   Index
	fresh  bool
}

// NewIndexes returns Indexes that remember what remembered says. It refuses
// numbers out of range and a number that stands for two names. The map is not kept.
func NewIndexes(remembered map[string]Index) (*Indexes, error) {
	x := &Indexes{byName: make(map[string]Index, len(remembered)), byNum: make(map[Index]string, len(remembered)), next: 1}
	for name, i := range remembered {
		if i == 0 || i == math.MaxUint32 {
			return nil, fmt.Errorf("if_index %d of %s is out of range: numbers start at 1", i, name)
		}
		if other, taken := x.byNum[i]; taken {
			return nil, fmt.Errorf("if_index %d stands for both %s and %s: remove one of them", i, min(name, other), max(name, other))
		}
		x.byName[name], x.byNum[i] = i, name
		x.next = max(x.next, i+1)
	}
	return x, nil
}

// Get is the number of name; fresh says that it was allocated just now.
func (x *Indexes) Get(name string) (i Index, fresh bool) {
	if i, ok := x.byName[name]; ok {
		return i, false
	}
	i = x.next
	x.next++
	x.byName[name], x.byNum[i] = i, name
	x.fresh = true
	return i, true
}

// Lookup is the number of name, 0 when it has none.
func (x *Indexes) Lookup(name string) Index { return x.byName[name] }

// Name is the name that i stands for, "" when there is none.
func (x *Indexes) Name(i Index) string { return x.byNum[i] }

// Forget drops a name. Its number is not handed out again while x lives.
func (x *Indexes) Forget(name string) {
	if i, ok := x.byName[name]; ok {
		delete(x.byName, name)
		delete(x.byNum, i)
		x.fresh = true
	}
}

// All is a copy of what is remembered, and clears Fresh.
func (x *Indexes) All() map[string]Index {
	x.fresh = false
	return maps.Clone(x.byName)
}

// Fresh reports whether names were added or dropped since All was last asked.
func (x *Indexes) Fresh() bool { return x.fresh }
