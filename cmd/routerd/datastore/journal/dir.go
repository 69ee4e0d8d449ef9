package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The files of the state directory:
//
//	lock              held by the daemon that uses the directory
//	snapshot-N        the whole configuration after commit N; the two newest are kept
//	journal-N         the commits after N, in order; the newest is appended to
//	rescue            the rescue configuration
//	torn-N-TIME       what was cut off behind commit N: a commit that was never acknowledged
//	damaged-*         what could not be read, put aside
//	flushed-TIME/     what --flush put aside
const (
	lockName       = "lock"
	snapshotPrefix = "snapshot-"
	journalPrefix  = "journal-"
	tmpSuffix      = ".tmp"
	timeFormat     = "20060102T150405.000000000Z"
)

// Lock makes the directory if need be and takes its lock, so that no two
// daemons write one journal. Closing the file gives it back, as the kernel does
// when the process ends.
func Lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("state directory %s is in use by another routerd: stop it or choose another --state-dir", dir)
		}
		return nil, fmt.Errorf("state directory: lock %s: %w", path, err)
	}
	return f, nil
}

// numbered lists the numbers N of the files prefix-N in dir, ascending.
func numbered(f FS, dir, prefix string) ([]uint64, error) {
	entries, err := f.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	var list []uint64
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if n, err := strconv.ParseUint(rest, 10, 64); err == nil {
				list = append(list, n)
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

func numberedPath(dir, prefix string, n uint64) string {
	return filepath.Join(dir, prefix+strconv.FormatUint(n, 10))
}

// Flush puts what is stored aside, into a directory named after the time, whose
// name it returns; "" when nothing was stored. The rescue configuration stays.
func Flush(f FS, dir string, now time.Time) (aside string, err error) {
	entries, err := f.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), snapshotPrefix) && !strings.HasPrefix(e.Name(), journalPrefix) {
			continue
		}
		if aside == "" {
			aside = filepath.Join(dir, "flushed-"+now.UTC().Format(timeFormat))
			if err := f.Mkdir(aside); err != nil {
				return "", fmt.Errorf("flush: %w", err)
			}
		}
		if err := f.Rename(filepath.Join(dir, e.Name()), filepath.Join(aside, e.Name())); err != nil {
			return "", fmt.Errorf("flush: %w", err)
		}
	}
	if aside == "" {
		return "", nil
	}
	return aside, errors.Join(f.SyncDir(aside), f.SyncDir(dir))
}

// readWhole reads a file of one record: a snapshot or the rescue configuration.
func readWhole(f FS, path string) (*Record, error) {
	data, err := f.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 && data[0] == '{' {
		return decodeLegacySnapshot(data)
	}
	r, n, err := readFrame(data, true)
	switch {
	case err != nil:
		return nil, err
	case n != len(data):
		return nil, fmt.Errorf("has %d octets too many", len(data)-n)
	case r.Kind != Snapshot:
		return nil, fmt.Errorf("holds a record of kind %q", r.Kind)
	}
	return r, nil
}

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
