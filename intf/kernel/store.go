package kernel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Store remembers, across the death of the process, what was changed in the
// kernel that does not go away by itself: the namespaces that were made and the
// settings that devices had before. It is a small file of changes, appended to
// and now and then written anew. What it says of an earlier boot is forgotten:
// so nothing is synced to the disk, for what a crash of the machine could lose
// no longer counts then. Its methods may be called from any goroutine.
type Store struct {
	mu   sync.Mutex
	path string
	data storeData
	// appended is how many changes stand in the file behind the whole; not to be
	// added to when torn, as the file's end is in doubt.
	appended int
	torn     bool
}

// storeData is the whole or, in a file behind the whole, one change: an inode
// of 0 and settings of null mean that the name is gone.
type storeData struct {
	Boot       string                     `json:"boot,omitempty"`
	Namespaces map[string]uint64          `json:"namespaces,omitempty"` // name: inode
	Devices    map[string]*DeviceSettings `json:"devices,omitempty"`    // name: as found
}

// storeFile is the name of the file in the state directory.
const storeFile = "kernel.json"

// OpenStore reads the store of a state directory, which is made if it is
// absent. A file that cannot be understood is an error, unless it is older than the
// last boot: deleting it gives up what it knew.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("boot id: %w", err)
	}
	s := &Store{path: filepath.Join(dir, storeFile), data: storeData{Namespaces: map[string]uint64{}, Devices: map[string]*DeviceSettings{}}}
	raw, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("kernel store: %w", err)
	}
	if err := s.read(raw); err != nil && !s.beforeBoot() {
		return nil, fmt.Errorf("kernel store %s: %w; delete it to start afresh", s.path, err)
	}
	id := strings.TrimSpace(string(boot))
	if s.data.Boot != id {
		s.data = storeData{Boot: id, Namespaces: map[string]uint64{}, Devices: map[string]*DeviceSettings{}}
	}
	if err := s.rewrite(); err != nil {
		return nil, err
	}
	return s, nil
}

// read takes in the file's objects. The last one may be cut short: then what it
// told of had not been done.
func (s *Store) read(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	for n := 0; ; n++ {
		var change storeData
		err := d.Decode(&change)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n > 0:
			return nil
		case err != nil:
			return err
		}
		s.apply(change)
	}
}

func (s *Store) apply(change storeData) {
	if change.Boot != "" {
		s.data.Boot = change.Boot
	}
	for name, inode := range change.Namespaces {
		if s.data.Namespaces[name] = inode; inode == 0 {
			delete(s.data.Namespaces, name)
		}
	}
	for name, settings := range change.Devices {
		if s.data.Devices[name] = settings; settings == nil {
			delete(s.data.Devices, name)
		}
	}
}

// beforeBoot reports whether the file was last written before this boot.
func (s *Store) beforeBoot() bool {
	var since unix.Timespec
	st, err := os.Stat(s.path)
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return false
	}
	return st.ModTime().Before(time.Now().Add(-time.Duration(since.Nano())))
}

// update makes a change, so that it is known even if the process is killed
// right after.
func (s *Store) update(change storeData) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(change)
	if s.appended++; s.torn || s.appended > 64+2*(len(s.data.Namespaces)+len(s.data.Devices)) {
		return s.rewrite()
	}
	line, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("kernel store: %w", err)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.Write(append(line, '\n'))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.torn = true
		return fmt.Errorf("kernel store: %w", err)
	}
	return nil
}

// rewrite replaces the file by one that says all.
func (s *Store) rewrite() error {
	raw, err := json.Marshal(s.data)
	if err != nil {
		return fmt.Errorf("kernel store: %w", err)
	}
	tmp := s.path + ".new"
	err = os.WriteFile(tmp, append(raw, '\n'), 0o600)
	if err == nil {
		err = os.Rename(tmp, s.path)
	}
	if err != nil {
		return fmt.Errorf("kernel store: %w", err)
	}
	s.appended, s.torn = 0, false
	return nil
}

func (s *Store) namespace(name string) (inode uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inode, ok = s.data.Namespaces[name]
	return inode, ok
}

func (s *Store) namespaces() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[string]uint64, len(s.data.Namespaces))
	for name, inode := range s.data.Namespaces {
		m[name] = inode
	}
	return m
}

func (s *Store) device(name string) (DeviceSettings, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.data.Devices[name]
	if !ok {
		return DeviceSettings{}, false
	}
	return *d, true
}

// hasDevice reports whether there are settings of a device with that index.
func (s *Store) hasDevice(index int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.data.Devices {
		if d.Index == index {
			return true
		}
	}
	return false
}

func (s *Store) deviceNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.data.Devices))
	for name := range s.data.Devices {
		names = append(names, name)
	}
	return names
}
