package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// An adoption is a program that is to take the place of one that an earlier
// process left at a device.
type adoption struct {
	ifindex int
	mode    Mode
	left    left
	ways    []way // to be tried, the best first
	prog    *ebpf.Program
}

// pinned is an attachment that outlives the process.
type pinned struct{ left }

// Close detaches.
func (p pinned) Close() error {
	err := p.end()
	if errors.Is(err, os.ErrNotExist) {
		// Somebody has removed the pin, which is a way to end the router's traces.
		return nil
	}
	return err
}

// An attachment is the set's XDP program at its device, or one that will be when
// an adoption is over. Its methods may be called from any goroutine.
type attachment struct {
	mu       sync.Mutex
	link     link.Link // in force; nil before
	adoption *adoption // still to come
}

// Update puts prog, which stays the caller's, in the place of the program: at
// once, or with Activate where that is still to come.
func (a *attachment) Update(prog *ebpf.Program) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.adoption != nil {
		own, err := prog.Clone()
		if err != nil {
			return err
		}
		err = a.adoption.prog.Close()
		a.adoption.prog = own
		return err
	}
	return a.link.Update(prog)
}

// take ends the adoption, if there is one, and returns it.
func (a *attachment) take() *adoption {
	a.mu.Lock()
	defer a.mu.Unlock()
	adoption := a.adoption
	a.adoption = nil
	return adoption
}

func (a *attachment) set(l link.Link) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.link = l
}

// prepare loads the program that Activate will put in place, as that takes the
// kernel's verifier some time.
func (s *Set) prepare(a adoption) error {
	var first error
	for len(a.ways) > 0 {
		w := a.ways[0]
		prog, err := s.program(w.name, w.frags, w.edit)
		a.ways = a.ways[1:]
		if err == nil {
			own, err := prog.Clone()
			if err != nil {
				return errors.Join(err, prog.Close())
			}
			a.prog = prog
			s.xdp = &attachment{adoption: &a}
			return s.chose(w, a.mode, own)
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// Activate puts the set's XDP program in the place of the one that an earlier
// process left at the device: each frame is handled by the one or the other.
// From then on frames come to this set's sockets. It does nothing where no such
// program was. Where the device does not take the exchange, the old program is
// detached and the new one attached.
func (s *Set) Activate() error {
	if s.xdp == nil {
		return nil
	}
	a := s.xdp.take()
	if a == nil {
		return nil
	}
	prog, err := a.prog, error(nil)
	for {
		if prog != nil {
			err = a.left.link.Update(prog)
			_ = prog.Close() // the link holds it, or nobody does
			if err == nil {
				return s.adopted(a)
			}
		}
		if len(a.ways) == 0 {
			break
		}
		w := a.ways[0]
		a.ways = a.ways[1:]
		// One that does not load is not the one.
		prog, _ = s.program(w.name, w.frags, w.edit)
		s.way = w
	}
	if endErr := a.left.end(); endErr != nil {
		return fmt.Errorf("replace the XDP program that was left: %w", errors.Join(err, endErr))
	}
	return s.attachXDP(s.ways("take", nil), a.ifindex, a.mode)
}

// adopted makes what was left the set's own.
func (s *Set) adopted(a *adoption) error {
	s.xdp.set(a.left.link)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.Pins.Keeps() {
		s.links = append(s.links, pinned{a.left})
		return nil
	}
	s.links = append(s.links, a.left.link)
	if err := os.Remove(a.left.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unpin the XDP program's attachment: %w", err)
	}
	return nil
}

// keepXDP takes a new attachment in, and pins it if it is to outlive the process.
func (s *Set) keepXDP(ifindex int, l link.Link, outlives bool) {
	s.xdp = &attachment{link: l}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
	s.pinErr = nil
	if outlives {
		s.ifindex, s.pinErr = ifindex, s.pin(ifindex, l)
	}
}

// pin pins an attachment that is among the links, if it is to outlive the process. s.mu
// is held.
func (s *Set) pin(ifindex int, l link.Link) error {
	path, err := s.config.Pins.pin(ifindex, l)
	if path != "" {
		s.links[slices.Index(s.links, detacher(l))] = pinned{left{link: l, path: path}}
	}
	return err
}

// Pin tries again to pin the XDP program's attachment where it was to be pinned and
// could not be. The error says why it still can't be.
func (s *Set) Pin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pinErr != nil {
		s.xdp.mu.Lock()
		defer s.xdp.mu.Unlock()
		s.pinErr = s.pin(s.ifindex, s.xdp.link)
	}
	return s.pinErr
}

// Outlives says whether the device goes on forwarding without the process, and
// if not and it was to, why.
func (s *Set) Outlives() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if _, ok := l.(pinned); ok {
			return true, nil
		}
	}
	return false, s.pinErr
}
