package dataplane

import (
	"math/rand/v2"
	"testing"
)

func TestVectorAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var v vector[int]
	model := map[uint32]*int{}
	for range 20000 {
		i := r.Uint32() >> r.UintN(32)
		x := new(int)
		if r.UintN(4) == 0 {
			x = nil
		}
		v = v.with(i, x)
		model[i] = x
	}
	for i, x := range model {
		if v.at(i) != x {
			t.Fatalf("element %d is wrong", i)
		}
	}
	for range 20000 {
		i := r.Uint32()
		if v.at(i) != model[i] {
			t.Fatalf("element %d is wrong", i)
		}
	}
}

func TestVectorKeepsOldVersions(t *testing.T) {
	a, b := new(int), new(int)
	var empty vector[int]
	one := empty.with(7, a)
	two := one.with(7, b).with(100000, a)
	if empty.at(7) != nil || one.at(7) != a || one.at(100000) != nil || two.at(7) != b || two.at(100000) != a {
		t.Fatal("a version changed after it was made")
	}
}

func TestVectorGivesNodesBack(t *testing.T) {
	keys := []uint32{0, 31, 32, 5000, 1 << 20, 1<<32 - 1}
	var v vector[int]
	for _, i := range keys {
		v = v.with(i, new(int))
	}
	v = v.with(77777, nil)
	for n, i := range keys {
		v = v.with(i, nil)
		for _, left := range keys[n+1:] {
			if v.at(left) == nil {
				t.Fatalf("element %d went with element %d", left, i)
			}
		}
	}
	if v != (vector[int]{}) {
		t.Errorf("an empty vector still has nodes: %+v", v)
	}
}
