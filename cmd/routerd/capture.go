package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"golang.org/x/sys/unix"

	"router/cmd/routerd/control"
	"router/cmd/routerd/northbound"
	"router/dataplane"
	"router/dataplane/capture"
	"router/intf"
)

// Where captures are in the state directory, and what clients call it.
const (
	captureDir  = "captures"
	captureName = "capture"
)

// Bounds of what captures take of the disk: files that lie there, octets of all of them, and what
// they leave free for commits.
const (
	captureFiles  = 100
	captureOctets = 4 << 30
	captureLeaves = 256 << 20
)

// captures captures frames of the router into files of the state directory.
type captures struct {
	router *control.Router
	dir    string
	mu     sync.Mutex // makes one file at a time, so that the bounds hold
}

func newCaptures(r *control.Router, stateDir string) *captures {
	return &captures{router: r, dir: filepath.Join(stateDir, captureDir)}
}

// StartCapture implements northbound.Capturer.
func (c *captures) StartCapture(s northbound.CaptureSpec) (northbound.Captured, error) {
	var reader *capture.Reader
	run, err := c.router.StartCapture(control.CaptureRequest{
		Name: s.Name, In: s.Pick.In, Out: s.Pick.Out, FastPath: s.FastPath,
		NewTap: func(tagged bool, stack intf.VLAN) dataplane.FrameTap {
			if reader == nil {
				pick := s.Pick
				pick.Tagged, pick.Stack = tagged, stack
				reader = capture.NewReader(pick)
			}
			return reader.NewTap()
		},
	})
	if errors.Is(err, control.ErrNoCapture) {
		return nil, noCapture{err}
	}
	if err != nil {
		return nil, err
	}
	return captured{reader, run}, nil
}

// noCapture is an error of control's as northbound knows it.
type noCapture struct{ error }

// Is reports whether target is northbound's word for it.
func (noCapture) Is(target error) bool { return target == northbound.ErrNoCapture }

// captured is a capture that runs.
type captured struct {
	*capture.Reader
	run *control.Capture
}

// Notes implements northbound.Captured.
func (c captured) Notes() []string { return c.run.Notes }

// Ended implements northbound.Captured.
func (c captured) Ended() <-chan struct{} { return c.run.Ended }

// Stop implements northbound.Captured.
func (c captured) Stop() { c.run.Stop() }

var captureFile = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// CreateCapture implements northbound.Capturer.
func (c *captures) CreateCapture(name string) (io.WriteCloser, string, error) {
	if !captureFile.MatchString(name) {
		return nil, "", fmt.Errorf("file %q: a capture's name has up to 100 letters, digits, '.', '_' and '-', and begins with a letter, a digit or '_': %w", name, fs.ErrInvalid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("captures: %w", err)
	}
	files, octets, err := c.used()
	switch {
	case err != nil:
		return nil, "", err
	case files >= captureFiles:
		return nil, "", fmt.Errorf("%w: %d files lie in /%s: remove some", northbound.ErrNoSpace, files, captureName)
	case octets >= captureOctets:
		return nil, "", fmt.Errorf("%w: the files in /%s have %d MiB: remove some", northbound.ErrNoSpace, captureName, octets>>20)
	}
	if err := c.SpaceLeft(); err != nil {
		return nil, "", err
	}
	f, err := os.OpenFile(filepath.Join(c.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, "", fmt.Errorf("there is a file /%s/%s: remove it, or choose another name: %w", captureName, name, fs.ErrExist)
	}
	if err != nil {
		return nil, "", fmt.Errorf("captures: %w", err)
	}
	return f, "/" + captureName + "/" + name, nil
}

// used counts the files of captures.
func (c *captures) used() (files int, octets int64, err error) {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return 0, 0, fmt.Errorf("captures: %w", err)
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			files++
			octets += info.Size()
		}
	}
	return files, octets, nil
}

// SpaceLeft implements northbound.Capturer.
func (c *captures) SpaceLeft() error {
	var st unix.Statfs_t
	if err := unix.Statfs(c.dir, &st); err != nil {
		return fmt.Errorf("captures: %w", err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < captureLeaves {
		return fmt.Errorf("%w: the state directory's file system has %d MiB free, and %d stay free for commits", northbound.ErrNoSpace, free>>20, captureLeaves>>20)
	}
	return nil
}
