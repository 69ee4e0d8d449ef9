// Package bpf loads the router's programs into the kernel and attaches them to
// a device: an XDP program that takes frames into AF_XDP sockets, and for
// AF_PACKET a socket filter and a program that hides from the kernel what its
// sockets took.
//
// All of a device's programs decide by the same maps ([Set]), so that the
// drivers agree which frames are the router's: every one (exclusive), or those
// whose tag stack is claimed less those addressed to the kernel itself
// (shared). Attachments live as long as the process, and a router that dies leaves
// the device to the kernel, but for what is pinned ([Pins]): the XDP program goes
// on without a process, and its successor takes over from there.
//
// The programs are written in C (router.c, classify.h); `go generate` compiles
// them.
package bpf

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"router/intf"
)

// A Config says how the programs of one device are made.
type Config struct {
	Attach intf.Attach
	// Queues is the number of the device's receive queues.
	Queues int
	// MaxFrame is the largest frame to take, in octets; larger ones are dropped
	// and counted.
	MaxFrame int
	// Pins is where the attachment of the device's XDP program outlives the
	// process; nil for nowhere.
	Pins *Pins

	plainLoads bool // in tests: as on kernels before Linux 5.18
	// spec, in tests, reads other programs than the embedded ones.
	spec func(filtering bool) (*ebpf.CollectionSpec, error)
}

// plainLoads says whether the kernel lacks bpf_xdp_load_bytes, and with it frames of
// several buffers.
var plainLoads = sync.OnceValue(func() bool {
	return errors.Is(features.HaveProgramHelper(ebpf.XDP, asm.FnXdpLoadBytes), ebpf.ErrNotSupported)
})

// A Set is the maps of one device and the programs attached to it. Its methods
// may be called from any goroutine.
type Set struct {
	config Config
	maps   map[string]*ebpf.Map

	xdp   *attachment   // nil while there is none
	way   way           // of xdp, and the mode
	mode  Mode          //
	plain *ebpf.Program // of that way without fast path, for when another can't be loaded

	fast   *fastPort            // nil: no fast path; under Fast.mu
	shared atomic.Pointer[Fast] // of fast, once there was one

	mu      sync.Mutex
	claims  table
	links   []detacher
	pinErr  error // why the XDP program's attachment could not be pinned
	ifindex int   // of the device that it is at
}

// A detacher undoes an attachment.
type detacher interface{ Close() error }

// names of the maps in router.c that all programs of a device share
var mapNames = []string{"claims", "pass4", "pass6", "shapes", "sessions", "sockets", "counters"}

// embedded reads the programs, with filters or without.
func embedded(filtering bool) (*ebpf.CollectionSpec, error) {
	if filtering {
		return loadFiltering()
	}
	return loadRouter()
}

// specFor returns the programs and maps for a device of its own.
func specFor(config Config, filtering bool) (*ebpf.CollectionSpec, error) {
	// Read anew each time: it takes some milliseconds, and would hold megabytes.
	load := embedded
	if config.spec != nil {
		load = config.spec
	}
	spec, err := load(filtering)
	if err != nil {
		return nil, fmt.Errorf("read the embedded programs: %w", err)
	}
	shared := uint32(0)
	if config.Attach == intf.Shared {
		shared = 1
	}
	plain := uint32(0)
	if config.plainLoads || plainLoads() {
		plain = 1
	}
	if err := errors.Join(spec.Variables["shared"].Set(shared), spec.Variables["plain_loads"].Set(plain),
		spec.Variables["max_frame"].Set(uint32(config.MaxFrame))); err != nil {
		return nil, fmt.Errorf("configure the embedded programs: %w", err)
	}
	spec.Maps["sockets"].MaxEntries = uint32(config.Queues)
	spec.Maps["counters"].MaxEntries = uint32(config.Queues) * uint32(outcomes)
	return spec, nil
}

// Load makes the maps. Programs are loaded when they are attached.
func Load(config Config) (*Set, error) {
	if config.Queues < 1 {
		return nil, fmt.Errorf("%d queues: want at least one", config.Queues)
	}
	spec, err := specFor(config, false)
	if err != nil {
		return nil, err
	}
	s := &Set{config: config, maps: make(map[string]*ebpf.Map), claims: newTable()}
	for _, name := range mapNames {
		m, err := ebpf.NewMap(spec.Maps[name])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make map %s: %w", name, explain(err)), s.Close())
		}
		s.maps[name] = m
	}
	return s, nil
}

// explain adds a cure to an error of the bpf system call.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (routerd needs CAP_BPF and CAP_NET_ADMIN; before Linux 5.11 also a higher memlock limit)", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%w (raise the memory limit of routerd's control group)", err)
	}
	return err
}

// program loads one program with the set's maps. edit may change its spec.
func (s *Set) program(name string, frags bool, edit func(*ebpf.ProgramSpec)) (*ebpf.Program, error) {
	spec, err := specFor(s.config, s.fast != nil && s.fast.fast.filtering)
	if err != nil {
		return nil, err
	}
	if frags {
		if err := spec.Variables["frags"].Set(uint32(1)); err != nil {
			return nil, err
		}
		spec.Programs[name].Flags |= unix.BPF_F_XDP_HAS_FRAGS
	}
	if edit != nil {
		edit(spec.Programs[name])
	}
	all, sizes := maps.Clone(s.maps), noMasks
	if s.fast != nil {
		shared, err := s.fast.prepare(spec, frags)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, shared)
		sizes = s.fast.masks()
		if s.fast.noPorts {
			dropMap(spec.Programs[name].Instructions, mapTxPorts)
		}
	}
	putMasks(spec.Programs[name].Instructions, sizes)
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: all})
	if err != nil {
		// A verifier's refusal carries the end of its log here.
		return nil, fmt.Errorf("load program %s: %w", name, explain(err))
	}
	defer coll.Close()
	return coll.DetachProgram(name), nil
}

// SetSocket directs frames of a receive queue to the AF_XDP socket fd, which
// must be bound to that queue.
func (s *Set) SetSocket(queue, fd int) error {
	if err := s.maps["sockets"].Put(uint32(queue), uint32(fd)); err != nil {
		return fmt.Errorf("queue %d: direct frames to its socket: %w", queue, err)
	}
	return nil
}

// ClearSocket makes a queue's frames be dropped. A queue without a socket is
// no error.
func (s *Set) ClearSocket(queue int) error {
	if err := s.maps["sockets"].Delete(uint32(queue)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("queue %d: stop directing frames: %w", queue, err)
	}
	return nil
}

// ClaimFilter makes the AF_PACKET socket fd see only what is the router's.
func (s *Set) ClaimFilter(fd int) error {
	prog, err := s.program("claimed", false, nil)
	if err != nil {
		return err
	}
	defer prog.Close()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, prog.FD()); err != nil {
		return fmt.Errorf("attach the filter of claimed frames: %w", err)
	}
	return nil
}

// Counters are frames by what became of them.
type Counters struct {
	Redirected uint64 // to a socket (which may still drop them) or, behind AF_PACKET, hidden from the kernel
	Passed     uint64 // left to the kernel
	NoSocket   uint64 // dropped: no socket serves their queue
	Oversize   uint64 // dropped: larger than a buffer
}

// outcomes is the number of counters of a queue, in router.c's order.
const outcomes = 4

// Counters reads what became of the frames of one receive queue since Load.
// Frames that AF_PACKET took all count in queue 0.
func (s *Set) Counters(queue int) (Counters, error) {
	var sums [outcomes]uint64
	for i := range sums {
		var perCPU []uint64
		if err := s.maps["counters"].Lookup(uint32(queue*outcomes+i), &perCPU); err != nil {
			return Counters{}, fmt.Errorf("queue %d: read counters: %w", queue, err)
		}
		for _, n := range perCPU {
			sums[i] += n
		}
	}
	return Counters{Redirected: sums[0], Passed: sums[1], NoSocket: sums[2], Oversize: sums[3]}, nil
}

// Close detaches every program and frees the maps. What an earlier process left
// and Activate has not replaced stays, for another Set to adopt.
func (s *Set) Close() error {
	return errors.Join(s.Retire(), s.close(detacher.Close))
}

// Leave frees what is the process's, and leaves what is pinned at the device:
// frames go on being forwarded there. What is not pinned is detached.
func (s *Set) Leave() error {
	return s.close(func(d detacher) error {
		if p, ok := d.(pinned); ok {
			return p.link.Close()
		}
		return d.Close()
	})
}

func (s *Set) close(detach func(detacher) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.plain != nil {
		errs = append(errs, s.plain.Close())
		s.plain = nil
	}
	if s.xdp != nil {
		if a := s.xdp.take(); a != nil {
			errs = append(errs, a.prog.Close())
			s.config.Pins.giveBack(a.ifindex, a.left)
		}
	}
	for _, l := range s.links {
		// The device may be gone, and the attachment with it.
		if err := detach(l); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOLINK) {
			errs = append(errs, err)
		}
	}
	s.links = nil
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

func (s *Set) keep(l link.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
}
