package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A Store remembers, across a crash, what was changed in the kernel that does
// not go away by itself: the namespaces that were made and the settings that
// devices had before. It is one small file, replaced whole. What it says of an
// earlier boot is forgotten. Its methods may be called from any goroutine.
type Store struct {
	mu   sync.Mutex
	path string
	data storeData
}

type storeData struct {
	Boot       string                    `json:"boot"`
	Namespaces map[string]uint64         `json:"namespaces,omitempty"` // name: inode
	Devices    map[string]DeviceSettings `json:"devices,omitempty"`    // name: as found
}

// storeFile is the name of the file in the state directory.
const storeFile = "kernel.json"

// OpenStore reads the store of a state directory, which is made if it is
// absent. A file that cannot be understood is an error: deleting it gives up
// what it knew.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("boot id: %w", err)
	}
	s := &Store{path: filepath.Join(dir, storeFile)}
	raw, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("kernel store: %w", err)
	default:
		if err := json.Unmarshal(raw, &s.data); err != nil {
			return nil, fmt.Errorf("kernel store %s: %w; delete it to start afresh", s.path, err)
		}
	}
	if id := strings.TrimSpace(string(boot)); s.data.Boot != id {
		s.data = storeData{Boot: id}
	}
	if s.data.Namespaces == nil {
		s.data.Namespaces = map[string]uint64{}
	}
	if s.data.Devices == nil {
		s.data.Devices = map[string]DeviceSettings{}
	}
	return s, nil
}

// update changes the data and makes the change durable before it returns.
func (s *Store) update(f func(*storeData)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.data)
	raw, err := json.MarshalIndent(s.data, "", "\t")
	if err != nil {
		return fmt.Errorf("kernel store: %w", err)
	}
	if err := replaceFile(s.path, raw); err != nil {
		return fmt.Errorf("kernel store: %w", err)
	}
	return nil
}

// replaceFile writes, syncs, renames, and syncs the directory.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
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
	return d, ok
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
