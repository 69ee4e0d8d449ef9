package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// chose notes the way that the set's program is attached by, or will be. plain is
// that program, and the set's from now on.
func (s *Set) chose(w way, mode Mode, plain *ebpf.Program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.plain
	s.way, s.mode, s.plain = w, mode, plain
	if old != nil {
		return old.Close()
	}
	return nil
}

// ErrNoTaker says that a device has no program in its driver that could forward.
var ErrNoTaker = errors.New("the device's frames are not taken by a program in its driver")

// Forward makes the device's program forward by the tables of f. record is the
// offset there of its port's layout.Port, and complete says that the transport
// checksums of its frames may be left to us. On an error it does not forward, as
// before.
func (s *Set) Forward(f *Fast, record uint32, complete bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != nil {
		return f.off
	}
	if s.xdp == nil || s.mode != Native || s.way.name == "pass" {
		return ErrNoTaker
	}
	old := s.fast
	s.fast = &fastPort{fast: f, record: record, complete: complete}
	if old == nil {
		f.active.Add(1)
	}
	if err := s.reload(); err != nil {
		if s.fast = old; old == nil {
			f.active.Add(-1)
		}
		return err
	}
	f.sets[s] = struct{}{}
	s.shared.Store(f)
	return nil
}

// Retire ends what Forward began, and returns when no program reads the tables
// for the device any more. One that does not forward is no error.
func (s *Set) Retire() error {
	f := s.shared.Load()
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.sets[s]; !ok {
		return nil
	}
	return f.drop(s)
}

// drop makes a set's program forward no more. f.mu is held.
func (f *Fast) drop(s *Set) error {
	delete(f.sets, s)
	err := s.retreat()
	// A program may be running still.
	err = errors.Join(err, f.grace.wait())
	f.active.Add(-1)
	return err
}

// reload loads the program anew, with the maps and sizes of now, and exchanges
// the one that is attached for it: no frame passes between the two.
func (s *Set) reload() error {
	prog, err := s.program(s.way.name, s.way.frags, s.way.edit)
	if err != nil && s.way.edit != nil && !s.fast.noPorts {
		// Before Linux 6.16 a program that is bound to its device may not use a map
		// of ports.
		s.fast.noPorts = true
		prog, err = s.program(s.way.name, s.way.frags, s.way.edit)
	}
	if err != nil {
		return err
	}
	defer prog.Close()
	if err := s.xdp.Update(prog); err != nil {
		return fmt.Errorf("exchange program %s: %w", s.way.name, err)
	}
	return nil
}

// retreat puts the program without fast path back.
func (s *Set) retreat() error {
	s.fast = nil
	err := s.xdp.Update(s.plain)
	if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOLINK) { // the device may be gone
		return fmt.Errorf("exchange program %s: %w", s.way.name, err)
	}
	return nil
}
