package filters

import (
	"fmt"
	"maps"
	"math/bits"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// The maps of filterstore.h.
const (
	mapPrograms = ".data.filters"
	mapCounts   = "filter_counts"
	mapBuckets  = "filter_buckets"
)

// The stand-ins of filterstore.h: MASK_FILTER_WORD and MASK_FILTER_HALF.
const (
	maskWord = 0x7e57ac08
	maskHalf = 0x7e57ac04
)

// Prepare makes the programs of a specification, which include filter.h, read the Store's
// arrays as they are now, and returns these as replacements for those of the specification.
func (s *Store) Prepare(spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for name, v := range map[string]uint32{
		"filter_count_shift": uint32(bits.Len(uint(s.counts.size - 1))),
		"filter_count_mask":  uint32(len(s.counts.counts.words) - 1),
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			return nil, fmt.Errorf("configure the filters of the fast path: %w", err)
		}
	}
	// The loader would map what it takes for a variable.
	delete(spec.Variables, "filters")
	all := map[string]*ebpf.Map{mapPrograms: s.programs.array, mapCounts: s.counts.counts.array, mapBuckets: s.buckets.memory.array}
	for name, m := range maps.All(all) {
		spec.Maps[name] = arraySpec(name, int(m.ValueSize()))
	}
	size := int64(8 * len(s.programs.words))
	masks := map[int64]int64{maskWord: size - 8, maskHalf: size - 4}
	for _, p := range spec.Programs {
		putMasks(p.Instructions, masks)
	}
	return all, nil
}

// putMasks puts sizes in the place of their stand-ins.
func putMasks(code asm.Instructions, masks map[int64]int64) {
	for i := range code {
		op := code[i].OpCode
		if op.Class() != asm.ALU64Class || op.ALUOp() != asm.And || op.Source() != asm.ImmSource {
			continue
		}
		if mask, ok := masks[code[i].Constant]; ok {
			code[i].Constant = mask
		}
	}
}
