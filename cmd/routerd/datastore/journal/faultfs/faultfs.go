// Package faultfs is a file system in memory for tests: any call can be made to
// fail, and the machine can be made to crash, with what was not synced lost, kept or torn.
//
// It models what POSIX promises and no more: data is durable after Sync of the
// file, names after SyncDir of their directory; until then a crash may keep any part.
package faultfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"router/cmd/routerd/datastore/journal"
)

// A Fault is how a call goes wrong. The set is closed.
type Fault uint8

// The faults. Each befalls one call, or all from it on.
const (
	None         Fault = iota
	Failed             // the call fails with EIO and does nothing
	Full               // writes and new names fail with ENOSPC, from the call on until Heal
	ReadOnly           // whatever changes something fails with EROFS, from the call on until Heal
	ShortWrite         // half of the data is written, then ENOSPC; other calls fail with EIO
	DoneAndFails       // the call does its work and then fails with EIO
	Crash              // the machine stops before the call
	CrashAfter         // the machine stops after the call
)

// Faults are all faults but None.
var Faults = []Fault{Failed, Full, ReadOnly, ShortWrite, DoneAndFails, Crash, CrashAfter}

func (f Fault) String() string {
	return []string{"none", "failed", "disk full", "read-only", "short write", "done and fails", "crash before", "crash after"}[f]
}

// Crashes reports whether the fault stops the machine.
func (f Fault) Crashes() bool { return f == Crash || f == CrashAfter }

// A Loss is what a crash does to what was not synced. The set is closed.
type Loss uint8

// The losses.
const (
	LoseAll Loss = iota // nothing of it is there
	KeepAll             // all of it is there
	Tear                // a part is: of names and writes a prefix, of the next write some sectors
)

// Losses are all losses.
var Losses = []Loss{LoseAll, KeepAll, Tear}

func (l Loss) String() string { return []string{"all lost", "all kept", "torn"}[l] }

// ErrCrashed is the answer to every call after a crash.
var ErrCrashed = errors.New("the machine has crashed")

// A change is a write or, with cut set, a truncation.
type change struct {
	off  int64
	data []byte
	cut  bool
}

type node struct {
	data    []byte   // as the running machine sees it
	durable []byte   // as it is on the medium for certain
	pending []change // between the two
}

func apply(data []byte, c change) []byte {
	end := c.off + int64(len(c.data))
	if c.cut {
		if int64(len(data)) > c.off {
			return slices.Clone(data[:c.off])
		}
		end = c.off
	}
	for int64(len(data)) < end {
		data = append(data, 0)
	}
	copy(data[c.off:], c.data)
	return data
}

// A nameChange makes name stand for to, or for nothing.
type nameChange struct {
	name string
	to   *node
}

// FS is the file system. The zero FS is empty; there are all directories.
// It is safe for concurrent use.
type FS struct {
	mu      sync.Mutex
	names   map[string]*node
	durable map[string]*node
	pending []nameChange
	calls   int
	at      int
	fault   Fault
	active  Fault // Full or ReadOnly, since the call
	crashed bool
	fired   bool
}

var _ journal.FS = (*FS)(nil)

// Arm has the n-th changing call from now on, counted from 1, go wrong.
func (f *FS) Arm(n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.at, f.fault, f.fired = 0, n, fault, false
}

// Heal ends a fault that lasts. What is armed and has not come yet stays so.
func (f *FS) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = None
}

// Fired reports whether the armed call has come.
func (f *FS) Fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// Calls counts the changing calls since Arm.
func (f *FS) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Restart is what a machine finds that starts after a crash now.
func (f *FS) Restart(loss Loss, r *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &FS{names: map[string]*node{}, durable: map[string]*node{}}
	names := maps.Clone(f.durable)
	kept := map[Loss]int{LoseAll: 0, KeepAll: len(f.pending), Tear: r.IntN(len(f.pending) + 1)}[loss]
	for _, c := range f.pending[:kept] {
		if c.to == nil {
			delete(names, c.name)
		} else {
			if names == nil {
				names = map[string]*node{}
			}
			names[c.name] = c.to
		}
	}
	for name, n := range names {
		data := slices.Clone(n.durable)
		part := map[Loss]int{LoseAll: 0, KeepAll: len(n.pending), Tear: r.IntN(len(n.pending) + 1)}[loss]
		for _, c := range n.pending[:part] {
			data = apply(data, c)
		}
		if loss == Tear && part < len(n.pending) && !n.pending[part].cut {
			data = tear(data, n.pending[part], r)
		}
		g.names[name] = &node{data: data, durable: slices.Clone(data)}
		g.durable[name] = g.names[name]
	}
	return g
}

// tear writes some sectors of c; the file is as long as if all had been written.
func tear(data []byte, c change, r *rand.Rand) []byte {
	const sector = 64 // small, so that small frames are torn as well
	if r.IntN(2) == 0 {
		// Cut short rather than full of holes.
		return apply(data, change{off: c.off, data: c.data[:r.IntN(len(c.data)+1)]})
	}
	old := slices.Clone(data)
	data = apply(data, c)
	for at := 0; at < len(c.data); at += sector {
		if r.IntN(2) == 0 {
			continue
		}
		for i := at; i < min(at+sector, len(c.data)); i++ {
			data[c.off+int64(i)] = 0
			if p := c.off + int64(i); p < int64(len(old)) {
				data[p] = old[p]
			}
		}
	}
	return data
}

// Edit changes a file behind the router's back, durably: a flipped bit, a lost tail.
func (f *FS) Edit(name string, edit func([]byte) []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data := edit(slices.Clone(f.names[name].data))
	f.set(name, &node{data: data, durable: slices.Clone(data)})
	f.durable[name] = f.names[name]
}

// Names lists the files below dir, sorted.
func (f *FS) Names(dir string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for name := range f.names {
		if filepath.Dir(name) == dir {
			list = append(list, filepath.Base(name))
		}
	}
	slices.Sort(list)
	return list
}

func (f *FS) set(name string, n *node) {
	if f.names == nil {
		f.names = map[string]*node{}
	}
	if f.durable == nil {
		f.durable = map[string]*node{}
	}
	if n == nil {
		delete(f.names, name)
	} else {
		f.names[name] = n
	}
}

// changing does a call that changes something, unless a fault says otherwise.
// room is whether it needs space; half does a part of it, nil for nothing.
func (f *FS) changing(op, name string, room bool, do func(), half func()) error {
	fail := func(err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }
	if f.crashed {
		return fail(ErrCrashed)
	}
	f.calls++
	now := None
	if f.fault != None && f.calls == f.at {
		f.fired, now = true, f.fault
		if now == Full || now == ReadOnly {
			f.active = now
		}
	}
	switch {
	case f.active == ReadOnly:
		return fail(syscall.EROFS)
	case f.active == Full && room:
		return fail(syscall.ENOSPC)
	}
	switch now {
	case Failed:
		return fail(syscall.EIO)
	case ShortWrite:
		if half == nil {
			return fail(syscall.EIO)
		}
		half()
		return fail(syscall.ENOSPC)
	case DoneAndFails:
		do()
		return fail(syscall.EIO)
	case Crash:
		f.crashed = true
		return fail(ErrCrashed)
	case CrashAfter:
		do()
		f.crashed = true
		return fail(ErrCrashed)
	case None, Full, ReadOnly:
	}
	do()
	return nil
}

// OpenFile implements [journal.FS].
func (f *FS) OpenFile(name string, flag int) (journal.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[name]
	switch {
	case f.crashed:
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrCrashed}
	case n != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n == nil:
		err := f.changing("open", name, true, func() {
			n = &node{}
			f.set(name, n)
			f.pending = append(f.pending, nameChange{name, n})
		}, nil)
		if err != nil {
			return nil, err
		}
	case flag&os.O_WRONLY != 0:
		trunc := func() {
			if flag&os.O_TRUNC != 0 {
				n.data = nil
				n.pending = append(n.pending, change{cut: true})
			}
		}
		if err := f.changing("open", name, false, trunc, nil); err != nil {
			return nil, err
		}
	}
	return &file{f, n, name}, nil
}

// ReadFile implements [journal.FS].
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	n := f.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(n.data), nil
}

// ReadDir implements [journal.FS].
func (f *FS) ReadDir(dir string) ([]fs.DirEntry, error) {
	if f.isCrashed() {
		return nil, ErrCrashed
	}
	var list []fs.DirEntry
	for _, name := range f.Names(dir) {
		list = append(list, dirEntry(name))
	}
	return list, nil
}

func (f *FS) isCrashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// Rename implements [journal.FS].
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	return f.changing("rename", from, false, func() {
		f.set(to, n)
		f.set(from, nil)
		f.pending = append(f.pending, nameChange{to, n}, nameChange{from, nil})
	}, nil)
}

// Remove implements [journal.FS].
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	return f.changing("remove", name, false, func() {
		f.set(name, nil)
		f.pending = append(f.pending, nameChange{name, nil})
	}, nil)
}

// Mkdir implements [journal.FS].
func (f *FS) Mkdir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changing("mkdir", name, true, func() {}, nil)
}

// SyncDir implements [journal.FS].
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changing("sync", dir, false, func() {
		var rest []nameChange
		for _, c := range f.pending {
			switch {
			case filepath.Dir(c.name) != dir:
				rest = append(rest, c)
			case c.to == nil:
				delete(f.durable, c.name)
			default:
				f.durable[c.name] = c.to
			}
		}
		f.pending = rest
	}, nil)
}

// A file is an open file.
type file struct {
	fs   *FS
	n    *node
	name string
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.crashed {
		return 0, ErrCrashed
	}
	if off > int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := 0
	write := func(p []byte) func() {
		return func() {
			c := change{off: off, data: slices.Clone(p)}
			f.n.data = apply(f.n.data, c)
			f.n.pending = append(f.n.pending, c)
			n = len(p)
		}
	}
	err := f.fs.changing("write", f.name, true, write(p), write(p[:len(p)/2]))
	return n, err
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.fs.changing("truncate", f.name, false, func() {
		c := change{off: size, cut: true}
		f.n.data = apply(f.n.data, c)
		f.n.pending = append(f.n.pending, c)
	}, nil)
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.fs.changing("sync", f.name, false, func() {
		f.n.durable, f.n.pending = slices.Clone(f.n.data), nil
	}, nil)
}

func (f *file) Close() error { return nil }

// A dirEntry is a file's name.
type dirEntry string

func (d dirEntry) Name() string               { return string(d) }
func (d dirEntry) IsDir() bool                { return false }
func (d dirEntry) Type() fs.FileMode          { return 0 }
func (d dirEntry) Info() (fs.FileInfo, error) { return info(d), nil }

type info string

func (i info) Name() string       { return string(i) }
func (i info) Size() int64        { return 0 }
func (i info) Mode() fs.FileMode  { return 0o600 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
func (i info) String() string     { return fmt.Sprintf("%q", string(i)) }
