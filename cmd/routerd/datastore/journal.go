package datastore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A journal is the open file that commits are appended to. It is used by one
// goroutine at a time.
type journal struct {
	f    *os.File
	size int64 // of the good part
	buf  []byte
	// broken is set when the file's end is in doubt: nothing may be appended.
	broken error
	sync   func() error // f.Sync, or a test's failure
}

// createJournal makes an empty journal and makes its name durable.
func createJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		f.Close()
		return nil, err
	}
	return &journal{f: f, sync: f.Sync}, nil
}

// openJournal opens a journal whose first size octets are good, and cuts off
// the rest.
func openJournal(path string, size int64) (*journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &journal{f: f, size: size, sync: f.Sync}
	st, err := f.Stat()
	if err == nil && st.Size() > size {
		err = j.cut()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return j, nil
}

// append writes r and returns once it is durable. After an error the journal
// is as before, or it refuses every later append.
func (j *journal) append(r *record) error {
	if j.broken != nil {
		return fmt.Errorf("journal %s: an earlier write failed and could not be undone; free or repair the disk and restart: %w", j.f.Name(), j.broken)
	}
	buf, err := appendFrame(j.buf[:0], r)
	if err != nil {
		return err
	}
	if j.buf = buf; cap(buf) > 1<<20 {
		j.buf = nil
	}
	if _, err = j.f.WriteAt(buf, j.size); err == nil {
		err = j.sync()
	}
	if err != nil {
		// The frame must not come back at the next start: its commit failed.
		if cerr := j.cut(); cerr != nil {
			j.broken = cerr
		}
		return fmt.Errorf("journal %s: commit %d is not durable: %w", j.f.Name(), r.Number, err)
	}
	j.size += int64(len(buf))
	return nil
}

func (j *journal) cut() error {
	if err := j.f.Truncate(j.size); err != nil {
		return err
	}
	return j.sync()
}

func (j *journal) close() error { return j.f.Close() }

// scan reads the frames of a journal file and calls visit with each. It
// returns the size of the good part; torn is what follows it: the frame of a
// commit that was never acknowledged. Damage before a good frame is an error.
func scan(path string, visit func(*record) error) (good int64, torn []byte, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, fmt.Errorf("journal: %w", err)
	}
	off := 0
	for off < len(data) {
		r, n, err := readFrame(data[off:])
		if err != nil {
			if next := nextFrame(data[off+1:]); next >= 0 {
				return 0, nil, fmt.Errorf("journal %s: damaged between offsets %d and %d, with good commits behind it: restore the file from a backup, "+
					"or start with --flush, which keeps this one aside: %w", path, off, off+1+next, err)
			}
			if errors.Is(err, errShortFrame) || errors.Is(err, errBadFrame) {
				return int64(off), data[off:], nil
			}
			return 0, nil, fmt.Errorf("journal %s, offset %d: %w", path, off, err)
		}
		if err := visit(r); err != nil {
			return 0, nil, fmt.Errorf("journal %s, offset %d: %w", path, off, err)
		}
		off += n
	}
	return int64(off), nil, nil
}

// nextFrame finds the first good frame header in b, or -1.
func nextFrame(b []byte) int {
	var magic [4]byte
	binary.BigEndian.PutUint32(magic[:], frameMagic)
	for off := 0; ; {
		i := bytes.Index(b[off:], magic[:])
		if i < 0 {
			return -1
		}
		off += i
		if _, _, ok := goodHeader(b[off:]); ok {
			return off
		}
		off++
	}
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	return nil
}
