package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"router/intf"
)

// A Remembered is something that the router found out on a link, and that its
// successor should not have to find out again.
type Remembered struct {
	IfIndex intf.Index // of the unit
	Unit    string     // its name, as a check: if_index may be given anew
	Addr    netip.Addr // without zone
	// Own says that Addr is the router's own, and that nobody else has it; else it
	// is a neighbour's, at MAC.
	Own bool
	MAC intf.MAC
}

// A Memory is a pinned map of what is Remembered. Its layout is fixed: a version
// that needs another gives the map another name, and reads this one as well.
// Its methods may be called from any goroutine.
//
//	key:   if_index 4 | 4 or 6 1 | own 1 | 0 2 | address 16    24 octets
//	value: MAC 6 | 0 2 | FNV-1a of the unit's name 8           16 octets
//
// Numbers are little-endian. It grows as it fills: the kernel takes 16 octets for
// each entry that there is room for.
type Memory struct {
	path string

	mu sync.Mutex
	m  *ebpf.Map
}

const (
	memoryName  = "neighbors-v1"
	memoryKey   = 24
	memoryValue = 16
	// memoryFirst is how many entries a new memory has room for, and memoryMost is
	// more than the neighbour table holds (262,144) and addresses.
	memoryFirst = 1 << 14
	memoryMost  = 1 << 19
)

// OpenMemory opens the memory in the pin directory, or makes one. It returns nil
// for nil Pins and for such as keep nothing and were left nothing.
func (p *Pins) OpenMemory() (*Memory, error) {
	if p == nil {
		return nil, nil
	}
	path := filepath.Join(p.dir, memoryName)
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err == nil && (m.Type() != ebpf.Hash || m.KeySize() != memoryKey || m.ValueSize() != memoryValue) {
		err = errors.Join(m.Close(), os.ErrNotExist)
	}
	if err == nil {
		return &Memory{path: path, m: m}, nil
	}
	if !p.Keeps() {
		return nil, nil
	}
	// What can't be read is of no use.
	_ = os.Remove(path)
	if m, err = newMemoryMap(path, memoryFirst); err != nil {
		return nil, err
	}
	return &Memory{path: path, m: m}, nil
}

// newMemoryMap makes a map with room for that many entries and pins it.
func newMemoryMap(path string, entries uint32) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "neighbors", Type: ebpf.Hash, KeySize: memoryKey, ValueSize: memoryValue, MaxEntries: entries,
		Flags: unix.BPF_F_NO_PREALLOC,
	})
	if err != nil {
		return nil, fmt.Errorf("memory of neighbours: %w", explain(err))
	}
	if err := m.Pin(path); err != nil {
		return nil, errors.Join(fmt.Errorf("memory of neighbours: pin: %w", err), m.Close())
	}
	return m, nil
}

// grow replaces the map by a larger one. m.mu is held. At every moment the pin is
// one map or the other, each whole.
func (m *Memory) grow() error {
	entries := 4 * m.m.MaxEntries()
	if entries > memoryMost {
		return fmt.Errorf("%d neighbours are remembered: no more can be", m.m.MaxEntries())
	}
	next := m.path + "-next"
	_ = os.Remove(next) // of a process that has died here
	larger, err := newMemoryMap(next, entries)
	if err != nil {
		return err
	}
	var key [memoryKey]byte
	var v [memoryValue]byte
	it := m.m.Iterate()
	for err == nil && it.Next(&key, &v) {
		err = larger.Put(key, v)
	}
	if err = errors.Join(err, it.Err()); err == nil {
		err = os.Rename(next, m.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("memory of neighbours: grow: %w", err), os.Remove(next), larger.Close())
	}
	old := m.m
	m.m = larger
	return old.Close()
}

// MemoryName is the memory's name in the pin directory, for [Pins.Sweep].
const MemoryName = memoryName

// Put remembers r, in the place of what was remembered of the address.
func (m *Memory) Put(r Remembered) error {
	var v [memoryValue]byte
	copy(v[:6], r.MAC[:])
	binary.LittleEndian.PutUint64(v[8:], hashName(r.Unit))
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.m.Put(r.key(), v)
	if errors.Is(err, unix.E2BIG) {
		if err = m.grow(); err == nil {
			err = m.m.Put(r.key(), v)
		}
	}
	if err != nil {
		return fmt.Errorf("remember %s: %w", r.Addr, err)
	}
	return nil
}

// Delete forgets r, of which IfIndex, Addr and Own count. What is not remembered
// is no error.
func (m *Memory) Delete(r Remembered) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.m.Delete(r.key()); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget %s: %w", r.Addr, err)
	}
	return nil
}

// All calls f with all that is remembered, in no order. Unit is empty there; is
// says whether a name is that unit's. f may Delete what it is given.
func (m *Memory) All(f func(r Remembered, is func(unit string) bool)) error {
	var key [memoryKey]byte
	var v [memoryValue]byte
	type record struct {
		key   [memoryKey]byte
		value [memoryValue]byte
	}
	var all []record
	m.mu.Lock()
	it := m.m.Iterate()
	for it.Next(&key, &v) {
		all = append(all, record{key, v})
	}
	m.mu.Unlock()
	if err := it.Err(); err != nil {
		return fmt.Errorf("read what is remembered: %w", err)
	}
	for _, e := range all {
		r, ok := remembered(e.key)
		if !ok {
			continue
		}
		copy(r.MAC[:], e.value[:6])
		hash := binary.LittleEndian.Uint64(e.value[8:])
		f(r, func(unit string) bool { return hashName(unit) == hash })
	}
	return nil
}

// Close frees the descriptor; what is remembered stays.
func (m *Memory) Close() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.m.Close()
}

func (r *Remembered) key() (k [memoryKey]byte) {
	binary.LittleEndian.PutUint32(k[:], uint32(r.IfIndex))
	k[4] = 6
	if r.Addr.Is4() {
		k[4] = 4
	}
	if r.Own {
		k[5] = 1
	}
	copy(k[8:], r.Addr.AsSlice())
	return k
}

// remembered is the inverse of key; ok is false for bytes that key does not make.
func remembered(k [memoryKey]byte) (r Remembered, ok bool) {
	r.IfIndex = intf.Index(binary.LittleEndian.Uint32(k[:]))
	switch k[4] {
	case 4:
		r.Addr = netip.AddrFrom4([4]byte(k[8:12]))
	case 6:
		r.Addr = netip.AddrFrom16([16]byte(k[8:24]))
	default:
		return r, false
	}
	r.Own = k[5] == 1
	return r, r.key() == k
}

// hashName is FNV-1a (draft-eastlake-fnv), whose value must never change.
func hashName(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}
