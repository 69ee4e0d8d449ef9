package bpf

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"router/vrf/epoch"
)

// A grace waits until every program that runs now has ended.
type grace struct {
	// outer is for kernels that have no membarrier: a change of a map of maps
	// waits for an RCU grace period (kernel/bpf/syscall.c, maybe_wait_bpf_programs).
	outer, inner *ebpf.Map
}

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL, which is synchronize_rcu where more
// than one processor is online (kernel/sched/membarrier.c).
const membarrierGlobal = 1

func newGrace() (*grace, error) {
	if runtime.NumCPU() > 1 {
		if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno == 0 {
			return &grace{}, nil
		}
	}
	return graceByMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
}

// graceByMap waits by changing a map of maps.
func graceByMap(inner *ebpf.MapSpec) (*grace, error) {
	outer, err := ebpf.NewMap(&ebpf.MapSpec{Name: "grace", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner})
	if err != nil {
		return nil, fmt.Errorf("make map grace: %w", explain(err))
	}
	g := &grace{outer: outer}
	if g.inner, err = ebpf.NewMap(inner); err != nil {
		return nil, errors.Join(fmt.Errorf("make map grace: %w", explain(err)), g.close())
	}
	return g, g.wait()
}

// wait returns after a grace period, some 10 milliseconds.
func (g *grace) wait() error {
	if g.outer != nil {
		return g.outer.Put(uint32(0), g.inner)
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("membarrier: %w", errno)
	}
	return nil
}

func (g *grace) close() error {
	if g.outer == nil {
		return nil
	}
	return errors.Join(g.outer.Close(), g.inner.Close())
}

// Follow takes part in domain for the programs, until ctx ends: memory that they
// may still look at is not used again before a grace period has passed. It costs
// nothing while nothing is retired.
func (f *Fast) Follow(ctx context.Context, domain *epoch.Domain) error {
	began := make(chan struct{}, 1)
	domain.OnAdvance(func() {
		select {
		case began <- struct{}{}:
		default:
		}
	})
	reader := domain.Reader()
	defer reader.Close()
	reader.Unpark()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-began:
		}
		e := domain.Epoch()
		// A program that is attached from now on can't find what was unlinked
		// before the epoch began.
		if f.active.Load() > 0 {
			if err := f.grace.wait(); err != nil {
				return fmt.Errorf("memory of the fast path is not used again: %w", err)
			}
		}
		reader.Pass(e)
	}
}
