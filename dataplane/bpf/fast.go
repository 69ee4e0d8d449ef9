package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"router/dataplane/bpf/filters"
	"router/dataplane/layout"
	"router/vrf/epoch"
)

// The maps of the fast path, which all devices' programs share.
const (
	mapTables  = ".data.tables"
	mapTallies = ".data.tallies"
	mapTxPorts = "tx_ports"
)

// firstTables is how much memory the tables take before anything is in them, in
// octets; maxTables is how much a program can address (BPF_MAX_VAR_OFF).
const (
	firstTables = 256 << 10
	maxTables   = 1 << 29
)

// firstTallies is how many units a new Fast can count for.
const firstTallies = 64

// maxPorts bounds the ids of ports that frames are forwarded to.
const maxPorts = 1024

// A FastConfig says how a Fast is made.
type FastConfig struct {
	// Space is how much the tables may grow to, in octets, and FilterSpace likewise
	// the filters: powers of two, of 64 MiB for 0 in the latter.
	Space, FilterSpace int
	// FlowSeed is that of the user path (dataplane.Config).
	FlowSeed uint64
	// Domain is that of the readers of the tables.
	Domain *epoch.Domain
	Log    *slog.Logger
}

// A Fast is what the fast paths of all devices share: the tables, which are the
// first part of Words, the counters, and the ports that frames can leave by. Its
// methods may be called from any goroutine.
type Fast struct {
	config FastConfig
	words  []uint64 // never moves
	grace  *grace
	active atomic.Int32 // sets with a program that reads the tables

	mu      sync.Mutex
	size    int // octets of tables
	tables  *ebpf.Map
	ports   [2]*ebpf.Map // for programs that take frames of one buffer, and of several
	tallies tallies
	sets    map[*Set]struct{}
	off     error // why no program can read the tables any more
	refused denial

	filters   *filters.Store
	filtering bool  // programs are those with filters
	asking    bool  // it has been logged that filters have no room
	noFilters error // why they have none
}

// NewFast makes the maps. Where the kernel refuses, the error says why, and there
// is no fast path.
func NewFast(c FastConfig) (*Fast, error) {
	f := &Fast{config: c, size: firstTables, sets: make(map[*Set]struct{})}
	err := f.make()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Fast) make() (err error) {
	if f.grace, err = newGrace(); err != nil {
		return err
	}
	if f.words, err = reserve(f.config.Space); err != nil {
		return err
	}
	if f.tables, err = newMemory("tables", f.size); err != nil {
		return err
	}
	if err := cover(f.words, f.tables.FD(), f.size); err != nil {
		return err
	}
	for i := range f.ports {
		f.ports[i], err = ebpf.NewMap(&ebpf.MapSpec{Name: mapTxPorts, Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: maxPorts})
		if err != nil {
			return fmt.Errorf("make map %s: %w", mapTxPorts, explain(err))
		}
	}
	if f.filters, err = filters.New(f.config.Domain, cmp.Or(f.config.FilterSpace, 64<<20)); err != nil {
		return err
	}
	return f.tallies.make(firstTallies)
}

// newMemory makes an array of one value that can be mapped.
func newMemory(name string, octets int) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(memorySpec(name, octets))
	if errors.Is(err, unix.E2BIG) {
		return nil, fmt.Errorf("make map %s of %d octets: %w (Linux before 6.0 has 4 MB at most)", name, octets, err)
	}
	if err != nil {
		return nil, fmt.Errorf("make map %s of %d octets: %w", name, octets, explain(err))
	}
	return m, nil
}

func memorySpec(name string, octets int) *ebpf.MapSpec {
	return &ebpf.MapSpec{
		Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(octets), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	}
}

// Words are the memory for the arena of the tables, and First how many of them
// may be used before Grow is called.
func (f *Fast) Words() []uint64 { return f.words }

// FlowSeed is that of the configuration.
func (f *Fast) FlowSeed() uint64 { return f.config.FlowSeed }

// First is how many words of Words may be used at the start.
func (f *Fast) First() int { return firstTables / 8 }

// Grow makes so many words of Words usable. The tables must not change meanwhile.
// Devices forward by the old ones until their programs have been exchanged. It
// fails for more than Space, and where the kernel has no memory now, which it is not
// asked for again for some time. Where the kernel never has maps of that size, the
// fast path is off from then on, and the words are there all the same: that router
// forwards by the user path, which has room.
func (f *Fast) Grow(words int) error {
	if words > len(f.words) {
		return fmt.Errorf("%d MiB are the most that table-memory allows: raise it, or have fewer routes", len(f.words)>>17)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != nil {
		return nil
	}
	if err := f.refused.recent(8 * words); err != nil {
		return err
	}
	err := f.grow(8 * words)
	if errors.Is(err, unix.E2BIG) {
		f.off = fmt.Errorf("tables have outgrown the fast path: %w", err)
		f.reload()
		return nil
	}
	if err != nil {
		f.refused = denial{octets: 8 * words, at: time.Now(), err: err}
		f.config.Log.Warn("the kernel has no memory for larger tables, and is asked again later", "err", err)
	}
	return err
}

// A denial is the kernel's of a map, for want of memory.
type denial struct {
	octets int
	at     time.Time
	err    error
}

// denialTime is how long the kernel is not asked again for a map that it has
// refused: making one of hundreds of megabytes to no avail takes its time.
const denialTime = 10 * time.Second

// recent is the error by which so many octets were refused a short while ago.
func (r *denial) recent(octets int) error {
	if r.err == nil || octets < r.octets || time.Since(r.at) > denialTime {
		return nil
	}
	return r.err
}

func (f *Fast) grow(octets int) error {
	if octets > maxTables {
		return fmt.Errorf("%d octets: a program can address %d: %w", octets, maxTables, unix.E2BIG)
	}
	m, err := newMemory("tables", octets)
	if err != nil {
		return err
	}
	fresh, err := mapWords(m.FD(), octets)
	if err != nil {
		return errors.Join(err, m.Close())
	}
	copy(fresh, f.words[:f.size/8])
	if err := errors.Join(unmapWords(fresh), cover(f.words, m.FD(), octets)); err != nil {
		return errors.Join(err, m.Close())
	}
	old := f.tables
	f.tables, f.size = m, octets
	f.reload()
	return old.Close()
}

// reload exchanges the programs of all devices, after the maps have changed. One
// whose program can't be has no fast path any more. As the kernel takes its time to verify a program,
// each processor has one under way. f.mu is held.
func (f *Fast) reload() {
	sets := slices.Collect(maps.Keys(f.sets))
	errs := make([]error, len(sets))
	busy := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i, s := range sets {
		if errs[i] = f.off; f.off != nil {
			continue
		}
		busy <- struct{}{}
		all.Go(func() {
			errs[i] = s.reload()
			<-busy
		})
	}
	all.Wait()
	for i, s := range sets {
		if errs[i] != nil {
			f.config.Log.Warn("a device forwards without fast path", "err", errors.Join(errs[i], f.drop(s)))
		}
	}
}

// Off says why there is no fast path any more on any device; nil while there is.
func (f *Fast) Off() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off
}

// Active reports whether a device's program forwards.
func (f *Fast) Active(s *Set) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.sets[s]
	return ok
}

// SetEgress lets frames leave by the device with that index as port id.
func (f *Fast) SetEgress(id uint32, ifindex int) error {
	if id == 0 || id >= maxPorts {
		return fmt.Errorf("port %d: frames can be forwarded to ports 1 to %d", id, maxPorts-1)
	}
	for _, m := range f.ports {
		if err := m.Put(id, uint32(ifindex)); err != nil {
			return fmt.Errorf("port %d: forward frames to it: %w", id, err)
		}
	}
	return nil
}

// ClearEgress ends that. A port that frames can't leave by is no error.
func (f *Fast) ClearEgress(id uint32) error {
	for _, m := range f.ports {
		if err := m.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("port %d: forward no frames to it: %w", id, err)
		}
	}
	return nil
}

// Close gives the maps back. The programs must have been detached.
func (f *Fast) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, m := range []*ebpf.Map{f.tables, f.ports[0], f.ports[1]} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	if f.filters != nil {
		errs = append(errs, f.filters.Close())
	}
	errs = append(errs, f.tallies.close())
	if f.grace != nil {
		errs = append(errs, f.grace.close())
	}
	return errors.Join(errs...)
}

// A fastPort is what makes a device's program forward.
type fastPort struct {
	fast *Fast
	// record is the offset of the port's layout.Port; complete says that transport
	// checksums of its frames may be left to us.
	record   uint32
	complete bool
	// noPorts says that the program may not use the map of ports.
	noPorts bool
}

// prepare makes a specification read the shared maps. f.mu is held.
func (p fastPort) prepare(spec *ebpf.CollectionSpec, frags bool) (replacements map[string]*ebpf.Map, err error) {
	f := p.fast
	ports := f.ports[0]
	if frags {
		ports = f.ports[1]
	}
	complete := uint32(0)
	if p.complete {
		complete = 1
	}
	err = errors.Join(
		spec.Variables["fast_port"].Set(p.record), spec.Variables["completes"].Set(complete),
		spec.Variables["flow_seed"].Set(f.config.FlowSeed), spec.Variables["tally_stride"].Set(uint32(f.tallies.stride)),
	)
	if err != nil {
		return nil, fmt.Errorf("configure the fast path: %w", err)
	}
	// The loader would map what it takes for variables.
	delete(spec.Variables, "tables")
	delete(spec.Variables, "tallies")
	spec.Maps[mapTables] = memorySpec(mapTables, f.size)
	spec.Maps[mapTallies] = memorySpec(mapTallies, f.tallies.size)
	spec.Maps[mapTxPorts].MaxEntries = maxPorts
	shared := map[string]*ebpf.Map{mapTables: f.tables, mapTallies: f.tallies.m, mapTxPorts: ports}
	if f.filtering {
		of, err := f.filters.Prepare(spec)
		if err != nil {
			return nil, err
		}
		maps.Copy(shared, of)
	}
	if p.noPorts {
		delete(shared, mapTxPorts)
		if err := spec.Variables["no_ports"].Set(uint32(1)); err != nil {
			return nil, fmt.Errorf("configure the fast path: %w", err)
		}
	}
	return shared, nil
}

// masks are the stand-ins of tables.h.
func (p fastPort) masks() map[int64]int64 {
	tables, tallies := int64(p.fast.size), int64(p.fast.tallies.size)
	return map[int64]int64{
		0x7e57ab08: tables - 8, 0x7e57ab04: tables - 4, 0x7e57ab40: tables - 8*layout.NeighborWords,
		0x7e57ab80: tables - 8*layout.UnitWords, 0x7e57abc0: tallies - 8*layout.TallyWords,
	}
}

// noMasks are for a program without fast path. Kernels before 6.8 verify its global
// functions all the same, though none is called.
var noMasks = map[int64]int64{0x7e57ab08: 0, 0x7e57ab04: 0, 0x7e57ab40: 0, 0x7e57ab80: 0, 0x7e57abc0: 0}

// putMasks puts the sizes of the maps into a program.
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

// dropMap takes the references to a map out of a program, where none is reached.
func dropMap(code asm.Instructions, name string) {
	for i := range code {
		if ins := &code[i]; ins.IsLoadFromMap() && ins.Reference() == name {
			meta := ins.Metadata
			*ins = asm.LoadImm(ins.Dst, 0, asm.DWord)
			ins.Metadata = meta
			*ins = ins.WithReference("")
		}
	}
}

// powerOfTwo is the smallest one that is not below n.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }
