// Package journal makes commits durable: a directory of append-only journals of
// framed records, snapshots that they are folded into, and the history of commits that these
// hold.
//
// Invariants: Append returns nil only when the record is durable, and after an
// error the record is not in the journal; what Open finds is a prefix of what was appended that
// has all that was acknowledged, unless the medium was damaged, and then the
// longest prefix that is whole; nothing that can't be read is deleted, it is
// put aside.
//
// Every call to the file system goes through [FS], so that tests make each of
// them fail. Source: docs/decisions/0018-durable-store.md.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options say how a directory is opened. FS, Log, Now and Keep have defaults:
// the machine's, none, time.Now, and 200.
type Options struct {
	Dir  string
	FS   FS
	Log  *slog.Logger
	Now  func() time.Time
	Keep int // how many commits the history holds at least, if as many were made
}

// ErrInDoubt says that a record which could not be made durable could not be
// taken back on the medium either: a restart before the next record is durable may find it.
var ErrInDoubt = errors.New("it could not be taken back on the disk: a restart before the next commit may bring it up")

// ErrNoCommit says that the history doesn't have a commit, or not any more.
var ErrNoCommit = errors.New("the log has no such commit")

// A Journal is an open directory. Append, Rotate and Close are called by one
// goroutine at a time; the other methods are safe for concurrent use.
type Journal struct {
	opt Options

	f     File
	path  string
	start uint64 // the commit before the first in the file
	size  int64  // of the good part
	buf   []byte
	// doubt is set while the file's end may hold a record that failed: it is cut off
	// before anything is appended.
	doubt error
	// repairs put aside what Open could not read, in order, before anything is
	// written.
	repairs []func() error

	mu      sync.Mutex
	history []entry // contiguous, the oldest first
}

// An entry says where a commit's record stands.
type entry struct {
	Commit
	file uint64 // the journal's number
	off  int64
	size int
}

// Append writes r and returns once it is durable. After an error the journal is
// as before: the place is cut off. If even that fails, the error matches [ErrInDoubt],
// and the next Append begins with it.
func (j *Journal) Append(r *Record) error {
	if err := j.settle(); err != nil {
		return err
	}
	buf, err := appendFrame(j.buf[:0], r)
	if err != nil {
		return err
	}
	if j.buf = buf; cap(buf) > 1<<20 {
		j.buf = nil
	}
	if _, err = j.f.WriteAt(buf, j.size); err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		// The frame must not come back at the next start: its commit failed.
		if j.doubt = j.cut(); j.doubt != nil {
			return fmt.Errorf("journal %s: commit %d is not durable: %w; %w: %w", j.path, r.Number, err, ErrInDoubt, j.doubt)
		}
		return fmt.Errorf("journal %s: commit %d is not durable, and is taken back: %w", j.path, r.Number, err)
	}
	if r.Kind == Committed {
		j.mu.Lock()
		j.note(entry{Commit: r.Commit, file: j.start, off: j.size, size: len(buf)})
		j.mu.Unlock()
	}
	j.size += int64(len(buf))
	return nil
}

// settle cuts off what a failed Append has left, if it could not do so itself, and opens
// the file if that has failed so far.
func (j *Journal) settle() error {
	if j.doubt == nil {
		return nil
	}
	for len(j.repairs) > 0 {
		if err := j.repairs[0](); err != nil {
			return fmt.Errorf("state directory %s: what is damaged there can't be put aside: free or repair the disk: %w", j.opt.Dir, err)
		}
		j.repairs = j.repairs[1:]
	}
	if j.f == nil {
		f, err := j.opt.FS.OpenFile(j.path, os.O_CREATE|os.O_WRONLY)
		if err != nil {
			return fmt.Errorf("journal %s can't be written: free or repair the disk: %w", j.path, err)
		}
		j.f = f
		if err := j.opt.FS.SyncDir(j.opt.Dir); err != nil {
			return fmt.Errorf("journal %s can't be made durable: free or repair the disk: %w", j.path, err)
		}
	}
	if j.doubt = j.cut(); j.doubt != nil {
		return fmt.Errorf("journal %s: an earlier write failed and can't be undone yet: free or repair the disk: %w", j.path, j.doubt)
	}
	return nil
}

func (j *Journal) cut() error {
	if err := j.f.Truncate(j.size); err != nil {
		return err
	}
	return j.f.Sync()
}

// note adds a commit to the history. The caller holds j.mu.
func (j *Journal) note(e entry) {
	if n := len(j.history); n > 0 && j.history[n-1].Number+1 != e.Number {
		j.history = j.history[:0] // what stands before a hole can't be reached from here
	}
	if len(j.history) >= 2*j.opt.Keep {
		j.history = append(j.history[:0:0], j.history[len(j.history)-j.opt.Keep:]...)
	}
	j.history = append(j.history, e)
}

// Log is the history, the newest commit first, with at least the last Keep
// commits if as many were made since the directory exists.
func (j *Journal) Log() []Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]Commit, 0, len(j.history))
	for _, e := range slices.Backward(j.history) {
		list = append(list, e.Commit)
		if len(list) == j.opt.Keep {
			break
		}
	}
	return list
}

// Commit finds a commit of Log by its number.
func (j *Journal) Commit(n uint64) (Commit, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.find(n)
	return e.Commit, ok
}

func (j *Journal) find(n uint64) (entry, bool) {
	if len(j.history) == 0 {
		return entry{}, false
	}
	first, last := j.history[0].Number, j.history[len(j.history)-1].Number
	if n < first || n > last || last-n >= uint64(j.opt.Keep) {
		return entry{}, false
	}
	return j.history[n-first], true
}

// Read reads the record of commit n, its change included. It is [ErrNoCommit]
// for one that the history doesn't have.
func (j *Journal) Read(n uint64) (*Record, error) {
	j.mu.Lock()
	e, ok := j.find(n)
	j.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("commit %d: %w", n, ErrNoCommit)
	}
	path := numberedPath(j.opt.Dir, journalPrefix, e.file)
	f, err := j.opt.FS.OpenFile(path, os.O_RDONLY)
	if isAbsent(err) {
		err = ErrNoCommit // pruned since it was found
	}
	if err != nil {
		return nil, fmt.Errorf("commit %d: %w", n, err)
	}
	defer f.Close()
	buf := make([]byte, e.size)
	if _, err := f.ReadAt(buf, e.off); err != nil {
		return nil, fmt.Errorf("commit %d: journal %s: %w", n, path, err)
	}
	r, _, err := readFrame(buf, true)
	if err == nil && r.Number != n {
		err = fmt.Errorf("holds commit %d", r.Number)
	}
	if err != nil {
		return nil, fmt.Errorf("commit %d: journal %s, offset %d: %w", n, path, e.off, err)
	}
	return r, nil
}

// Keep is how many commits Log has at most, and if as many were made, at least.
func (j *Journal) Keep() int { return j.opt.Keep }

// Size is the size of the newest journal, in octets.
func (j *Journal) Size() int64 { return j.size }

// Rotate begins a new journal behind commit last. After an error the present
// one goes on.
func (j *Journal) Rotate(last uint64) error {
	path := numberedPath(j.opt.Dir, journalPrefix, last)
	f, err := j.opt.FS.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.opt.FS.SyncDir(j.opt.Dir); err != nil {
		// The name may be durable or not: it goes, lest a later start takes it for the newest.
		return errors.Join(err, f.Close(), removeIfThere(j.opt.FS, path))
	}
	old := j.f
	j.f, j.path, j.start, j.size, j.doubt = f, path, last, 0, nil
	if old != nil {
		if err := old.Close(); err != nil {
			j.opt.Log.Warn("old journal not closed cleanly", "commit", last, "err", err)
		}
	}
	return nil
}

// WriteSnapshot stores r, the whole configuration after its commit, and removes
// the files that neither the two newest snapshots nor the history need. It may run
// beside Append. When it fails, the files that were there still are.
func (j *Journal) WriteSnapshot(r *Record) (size int64, err error) {
	data, err := appendFrame(nil, r)
	if err != nil {
		return 0, fmt.Errorf("snapshot: %w", err)
	}
	if err := writeWhole(j.opt.FS, j.opt.Dir, numberedPath(j.opt.Dir, snapshotPrefix, r.Number), data); err != nil {
		return 0, fmt.Errorf("snapshot: %w", err)
	}
	return int64(len(data)), j.prune()
}

// prune removes old files.
func (j *Journal) prune() error {
	snapshots, err := numbered(j.opt.FS, j.opt.Dir, snapshotPrefix)
	if err != nil {
		return err
	}
	journals, err := numbered(j.opt.FS, j.opt.Dir, journalPrefix)
	if err != nil {
		return err
	}
	const keptSnapshots = 2 // the newest may turn out to be damaged
	var errs []error
	base := uint64(0)
	if n := len(snapshots) - keptSnapshots; n >= 0 {
		base = snapshots[n]
		for _, old := range snapshots[:n] {
			errs = append(errs, removeIfThere(j.opt.FS, numberedPath(j.opt.Dir, snapshotPrefix, old)))
		}
	}
	for _, n := range j.forget(journals, base) {
		errs = append(errs, removeIfThere(j.opt.FS, numberedPath(j.opt.Dir, journalPrefix, n)))
	}
	return errors.Join(append(errs, j.opt.FS.SyncDir(j.opt.Dir))...)
}

// forget takes the journals out of the history that neither it nor a start from the
// snapshot base needs, and returns them.
func (j *Journal) forget(journals []uint64, base uint64) (list []uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var oldest uint64 // the oldest commit that the history has to keep
	if n := len(j.history); n > 0 {
		oldest = j.history[max(0, n-j.opt.Keep)].Number
	}
	for i := 0; i+1 < len(journals); i++ {
		// It holds the commits up to the start of the next.
		if until := journals[i+1]; until > base || until >= oldest {
			break
		}
		list = append(list, journals[i])
	}
	j.history = slices.DeleteFunc(j.history, func(e entry) bool { return slices.Contains(list, e.file) })
	return list
}

// Close closes the newest journal; what was appended is durable already.
func (j *Journal) Close() error {
	if j.f == nil {
		return nil
	}
	return j.f.Close()
}

// KeepAside stores data under a name of its own in the directory, durably, for people
// to read.
func (j *Journal) KeepAside(name string, data []byte) error {
	return writeWhole(j.opt.FS, j.opt.Dir, filepath.Join(j.opt.Dir, name), data)
}

const rescueName = "rescue"

// WriteRescue stores r as the rescue configuration, durably, in the place of an
// earlier one.
func (j *Journal) WriteRescue(r *Record) error {
	data, err := appendFrame(nil, r)
	if err != nil {
		return fmt.Errorf("rescue configuration: %w", err)
	}
	if err := writeWhole(j.opt.FS, j.opt.Dir, filepath.Join(j.opt.Dir, rescueName), data); err != nil {
		return fmt.Errorf("rescue configuration: %w", err)
	}
	return nil
}

// ReadRescue reads the rescue configuration. The error matches
// [fs.ErrNotExist] when none was ever saved.
func (j *Journal) ReadRescue() (*Record, error) {
	return readWhole(j.opt.FS, filepath.Join(j.opt.Dir, rescueName))
}

// Rescue says when, and after which commit, the rescue configuration was saved;
// ok is false when none can be read.
func (j *Journal) Rescue() (c Commit, ok bool) {
	data, err := j.opt.FS.ReadFile(filepath.Join(j.opt.Dir, rescueName))
	if err != nil {
		return Commit{}, false
	}
	r, _, err := readFrame(data, false)
	if err != nil {
		return Commit{}, false
	}
	return r.Commit, true
}
