package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"router/dataplane/layout"
	"router/intf"
)

// CountedWords is how many counters a device or a unit has.
const CountedWords = 13

// A Counted is what has been counted at a device or a unit, for the router's
// successor.
type Counted struct {
	IfIndex intf.Index
	Device  intf.Index // that a unit is on; 0 for a device
	Name    string     // as a check: if_index may be given anew
	// Counts are all but what programs have counted at Place of Memory since that
	// was made; 0 in Memory for none.
	Counts        [CountedWords]uint64
	Place, Memory uint32
	Since         int64 // when the counters were cleared, in Unix nanoseconds; 0 for never
	Anew          int64 // when they began anew last, likewise; 0 for unknown
	// Exact says that this is all that was ever shown: it was written when nobody could
	// read the counters any more. Else some of what workers counted since may be missing.
	Exact bool
}

// A Ledger is a pinned map of what is Counted, and the counters of the programs that an
// earlier process has left. Its layout is fixed, as that of a Memory.
//
//	key:   if_index 4 | 1 for a unit 4                                              8 octets
//	value: FNV-1a of the name 8 | device 4 | place 4 | memory 4 | exact 4 | since 8 | anew 8 | counts 104   144 octets
//
// Its methods may be called from any goroutine.
type Ledger struct {
	mu   sync.Mutex
	m    *ebpf.Map
	left map[uint32]*leftTallies  // by the map's id
	put  map[[ledgerKey]byte]bool // what is kept: true since Written was called last
}

type leftTallies struct {
	m      *ebpf.Map
	words  []uint64
	stride int // octets of a processor
	cpus   int
}

const (
	ledgerKey    = 8
	ledgerCounts = 40
	ledgerValue  = ledgerCounts + 8*CountedWords
	// ledgerMost is how many devices and units are kept: the kernel takes 16 octets
	// for each that there is room for.
	ledgerMost = 1 << 15
	// tallyName is the name of the programs' counters.
	tallyName = "tallies"
)

// LedgerName is the ledger's name in the pin directory, for [Pins.Sweep].
const LedgerName = "counters-v1"

// OpenLedger opens the ledger in the pin directory, or makes one, and holds the counters
// of programs that were left. It returns nil for nil Pins and for such as keep nothing
// and were left nothing.
func (p *Pins) OpenLedger() (*Ledger, error) {
	if p == nil {
		return nil, nil
	}
	path := filepath.Join(p.dir, LedgerName)
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err == nil && (m.Type() != ebpf.Hash || m.KeySize() != ledgerKey || m.ValueSize() != ledgerValue) {
		err = errors.Join(m.Close(), os.ErrNotExist)
	}
	if err != nil {
		if !p.Keeps() {
			return nil, nil
		}
		_ = os.Remove(path) // what can't be read is of no use
		m, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "counters", Type: ebpf.Hash, KeySize: ledgerKey, ValueSize: ledgerValue, MaxEntries: ledgerMost, Flags: unix.BPF_F_NO_PREALLOC,
		})
		if err != nil {
			return nil, fmt.Errorf("ledger of counters: %w", explain(err))
		}
		if err := m.Pin(path); err != nil {
			return nil, errors.Join(fmt.Errorf("ledger of counters: pin: %w", err), m.Close())
		}
	}
	l := &Ledger{m: m, left: make(map[uint32]*leftTallies), put: make(map[[ledgerKey]byte]bool)}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, left := range p.left {
		// Without them the ledger is what it was when its process wrote it.
		_ = l.hold(left)
	}
	return l, nil
}

// hold opens the counters of a program that was left.
func (l *Ledger) hold(left left) error {
	attached, err := left.link.Info()
	if err != nil {
		return err
	}
	program, err := ebpf.NewProgramFromID(attached.Program)
	if err != nil {
		return err
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return err
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		if l.left[uint32(id)] != nil {
			continue
		}
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		if err := l.holdMap(uint32(id), m); err != nil {
			return errors.Join(err, m.Close())
		}
	}
	return nil
}

// holdMap keeps m if it has counters, and closes it if not.
func (l *Ledger) holdMap(id uint32, m *ebpf.Map) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	size := int(m.ValueSize())
	if info.Name != tallyName || m.Type() != ebpf.Array || size%(tallyOctets*powerOfTwo(cpus)) != 0 {
		return m.Close()
	}
	words, err := mapWords(m.FD(), size)
	if err != nil {
		return err
	}
	l.left[id] = &leftTallies{m: m, words: words, stride: size / powerOfTwo(cpus), cpus: cpus}
	return nil
}

// at is what programs have counted at a place.
func (t *leftTallies) at(place uint32) (sum [layout.TallyWords]uint64) {
	if t == nil || int(place) >= t.stride/tallyOctets {
		return sum
	}
	for cpu := range t.cpus {
		at := (cpu*t.stride + int(place)*tallyOctets) / 8
		for i := range sum {
			sum[i] += atomic.LoadUint64(&t.words[at+i])
		}
	}
	return sum
}

func (c *Counted) key() (k [ledgerKey]byte) {
	binary.LittleEndian.PutUint32(k[:], uint32(c.IfIndex))
	if c.Device != 0 {
		k[4] = 1
	}
	return k
}

// Put keeps c, in the place of what was kept of the device or unit.
func (l *Ledger) Put(c Counted) error {
	var v [ledgerValue]byte
	le := binary.LittleEndian
	le.PutUint64(v[0:], hashName(c.Name))
	le.PutUint32(v[8:], uint32(c.Device))
	le.PutUint32(v[12:], c.Place)
	le.PutUint32(v[16:], c.Memory)
	if c.Exact {
		le.PutUint32(v[20:], 1)
	}
	le.PutUint64(v[24:], uint64(c.Since))
	le.PutUint64(v[32:], uint64(c.Anew))
	for i, n := range c.Counts {
		le.PutUint64(v[ledgerCounts+8*i:], n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.m.Put(c.key(), v); err != nil {
		return fmt.Errorf("keep counters of %s: %w", c.Name, err)
	}
	l.put[c.key()] = true
	return nil
}

// Written says that all there is has been Put since it was called last: what has not
// been is gone, and no longer kept. Its programs' place may be another's by now.
func (l *Ledger) Written() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for k, fresh := range l.put {
		if fresh {
			l.put[k] = false
			continue
		}
		delete(l.put, k)
		if err := l.m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("keep no counters of if_index %d: %w", binary.LittleEndian.Uint32(k[:]), err))
		}
	}
	return errors.Join(errs...)
}

// Take calls f with all that is kept, in no order, and what programs that were left have
// counted by now at its place, and empties the ledger. Name is empty there; is
// says whether a name is that of the device or unit. The programs must have been replaced.
func (l *Ledger) Take(f func(c Counted, fast [layout.TallyWords]uint64, is func(name string) bool)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.left) > 0 {
		// One of them may be running still.
		if g, err := newGrace(); err == nil {
			_ = g.wait()
			_ = g.close()
		}
	}
	var key [ledgerKey]byte
	var v [ledgerValue]byte
	var keys [][ledgerKey]byte
	le := binary.LittleEndian
	it := l.m.Iterate()
	for it.Next(&key, &v) {
		keys = append(keys, key)
		c := Counted{
			IfIndex: intf.Index(le.Uint32(key[:])), Device: intf.Index(le.Uint32(v[8:])),
			Place: le.Uint32(v[12:]), Memory: le.Uint32(v[16:]), Since: int64(le.Uint64(v[24:])),
			Anew: int64(le.Uint64(v[32:])), Exact: le.Uint32(v[20:]) == 1,
		}
		for i := range c.Counts {
			c.Counts[i] = le.Uint64(v[ledgerCounts+8*i:])
		}
		hash := le.Uint64(v[:])
		var fast [layout.TallyWords]uint64
		if c.Memory != 0 {
			t := l.left[c.Memory]
			if t == nil {
				continue // what programs had counted is gone, and the rest no count
			}
			fast = t.at(c.Place)
		}
		f(c, fast, func(name string) bool { return hashName(name) == hash })
	}
	errs := []error{it.Err()}
	for _, k := range keys {
		if err := l.m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, l.release())...)
}

// release gives up the counters of what was left.
func (l *Ledger) release() error {
	var errs []error
	for id, t := range l.left {
		errs = append(errs, unmapWords(t.words), t.m.Close())
		delete(l.left, id)
	}
	return errors.Join(errs...)
}

// Close frees the descriptors; what is kept stays.
func (l *Ledger) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.release(), l.m.Close())
}
