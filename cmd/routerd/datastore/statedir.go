package datastore

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bytes"
)

// The files of the state directory:
//
//	lock          held by the daemon that uses the directory
//	snapshot-N    the whole configuration after commit N
//	journal-N     the commits after N, in order; the newest is appended to
//	torn-N-TIME   what was cut off behind commit N
//	flushed-TIME/ what --flush put aside
const (
	lockName       = "lock"
	snapshotPrefix = "snapshot-"
	journalPrefix  = "journal-"
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
func numbered(dir, prefix string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
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

// flushDir puts the stored configuration aside, into a directory named after
// the time.
func flushDir(dir string, now time.Time) (aside string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), snapshotPrefix) && !strings.HasPrefix(e.Name(), journalPrefix) {
			continue
		}
		if aside == "" {
			aside = filepath.Join(dir, "flushed-"+now.UTC().Format("20060102T150405.000000000Z"))
			if err := os.Mkdir(aside, 0o700); err != nil {
				return "", fmt.Errorf("flush: %w", err)
			}
		}
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(aside, e.Name())); err != nil {
			return "", fmt.Errorf("flush: %w", err)
		}
	}
	if aside == "" {
		return "", nil
	}
	return aside, errors.Join(syncDir(aside), syncDir(dir))
}

// A snapshotHeader is the first line of a snapshot; the configuration follows
// as RFC 7951 JSON.
type snapshotHeader struct {
	Commit Commit `json:"commit"`
	Length int    `json:"length"`
	CRC32C uint32 `json:"crc32c"`
}

// writeSnapshot stores config, the whole configuration after commit c. When it
// returns nil, the snapshot is durable under its name.
func writeSnapshot(dir string, c Commit, config []byte) error {
	head, err := json.Marshal(snapshotHeader{Commit: c, Length: len(config), CRC32C: crc32.Checksum(config, castagnoli)})
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	path := numberedPath(dir, snapshotPrefix, c.Number)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	_, err = f.Write(append(append(head, '\n'), config...))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("snapshot: %w", err), removeIfThere(path+".tmp"))
	}
	return syncDir(dir)
}

// readSnapshot reads what writeSnapshot stored.
func readSnapshot(dir string, n uint64) (Commit, []byte, error) {
	path := numberedPath(dir, snapshotPrefix, n)
	data, err := os.ReadFile(path)
	if err != nil {
		return Commit{}, nil, fmt.Errorf("snapshot: %w", err)
	}
	c, config, err := parseSnapshot(data)
	if err == nil && c.Number != n {
		err = fmt.Errorf("holds commit %d", c.Number)
	}
	if err != nil {
		return Commit{}, nil, fmt.Errorf("snapshot %s is damaged: restore the file from a backup, or start with --flush, which keeps it aside: %w", path, err)
	}
	return c, config, nil
}

func parseSnapshot(data []byte) (Commit, []byte, error) {
	line, config, ok := bytes.Cut(data, []byte{'\n'})
	if !ok {
		return Commit{}, nil, errors.New("no header line")
	}
	var h snapshotHeader
	if err := json.Unmarshal(line, &h); err != nil {
		return Commit{}, nil, fmt.Errorf("header: %w", err)
	}
	if h.Length != len(config) {
		return Commit{}, nil, fmt.Errorf("has %d octets, not %d", len(config), h.Length)
	}
	if sum := crc32.Checksum(config, castagnoli); sum != h.CRC32C {
		return Commit{}, nil, fmt.Errorf("has checksum %08x, not %08x", sum, h.CRC32C)
	}
	return h.Commit, config, nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
