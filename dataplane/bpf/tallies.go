package bpf

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"router/dataplane/layout"
)

const tallyOctets = 8 * layout.TallyWords

// tallies are the counters of the programs: for each processor a stretch of
// memory, in it a place for each unit. Programs add without a lock, as nobody
// else writes there; what a place held before it was given out, and what it held
// in memory that has been left, is in base.
type tallies struct {
	m      *ebpf.Map
	mem    []uint64
	stride int // octets of a processor
	size   int // of all
	cpus   int
	base   [][layout.TallyWords]uint64 // to be added, by place
	id     uint32                      // of m in the kernel; 0 before it was asked for
	free   []uint32
}

func (t *tallies) make(places int) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("number of processors: %w", err)
	}
	stride := places * tallyOctets
	size := stride * powerOfTwo(cpus)
	m, err := newMemory(tallyName, size)
	if err != nil {
		return err
	}
	mem, err := mapWords(m.FD(), size)
	if err != nil {
		return errors.Join(err, m.Close())
	}
	t.m, t.mem, t.stride, t.size, t.cpus, t.id = m, mem, stride, size, cpus, 0
	for place := places; place > len(t.base); place-- {
		t.free = append(t.free, uint32(place-1))
	}
	t.base = append(t.base, make([][layout.TallyWords]uint64, places-len(t.base))...)
	return nil
}

// raw adds up what the processors have counted.
func (t *tallies) raw(place int) (sum [layout.TallyWords]uint64) {
	for cpu := range t.cpus {
		at := (cpu*t.stride + place*tallyOctets) / 8
		for i := range sum {
			sum[i] += atomic.LoadUint64(&t.mem[at+i])
		}
	}
	return sum
}

func (t *tallies) close() error {
	if t.m == nil {
		return nil
	}
	return errors.Join(unmapWords(t.mem), t.m.Close())
}

// NewTally gives out a place for counters, which are zero.
func (f *Fast) NewTally() (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.tallies
	if len(t.free) == 0 {
		if err := f.growTallies(); err != nil {
			return 0, err
		}
	}
	place := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	for i, n := range t.raw(int(place)) {
		t.base[place][i] = -n
	}
	return place, nil
}

// growTallies makes room for four times as many places. Counts go on in new
// memory.
func (f *Fast) growTallies() error {
	t := &f.tallies
	old := *t
	if err := t.make(4 * len(t.base)); err != nil {
		*t = old
		return fmt.Errorf("counters of the fast path: %w", err)
	}
	f.reload()
	// Until then programs that started before count in the old memory.
	err := f.grace.wait()
	for place := range old.base {
		for i, n := range old.raw(place) {
			t.base[place][i] += n
		}
	}
	return errors.Join(err, old.close())
}

// Tally is what has been counted at a place since it was given out.
func (f *Fast) Tally(place uint32) [layout.TallyWords]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(place) >= len(f.tallies.base) {
		return [layout.TallyWords]uint64{}
	}
	sum := f.tallies.raw(int(place))
	for i, n := range f.tallies.base[place] {
		sum[i] += n
	}
	return sum
}

// Kept is what of Tally the programs have not counted in their present memory, and the number
// of that memory in the kernel, which a successor finds it by; 0 if it can't.
func (f *Fast) Kept(place uint32) (base [layout.TallyWords]uint64, memory uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.tallies
	if int(place) >= len(t.base) {
		return base, 0
	}
	if t.id == 0 {
		if info, err := t.m.Info(); err == nil {
			id, _ := info.ID()
			t.id = uint32(id)
		}
	}
	return t.base[place], t.id
}

// FreeTally takes a place back. No program can find it any more, and a grace
// period has passed since it could.
func (f *Fast) FreeTally(place uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tallies.free = append(f.tallies.free, place)
}
