package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Pins is the directory of a BPF file system where a router leaves what goes on
// forwarding when its process ends: the attachment of each device's XDP program,
// which holds the program, which holds its maps. The next process finds them
// there. It changes nothing of what was left: it makes programs and maps of its
// own, and when these are complete puts them in the old ones' place
// ([Set.Activate]), which is one exchange of a pointer in the kernel. So it does
// not matter by which version or layout the old ones were made.
//
// A directory is one process's at a time. Methods may be called from any
// goroutine; those of a nil *Pins do nothing, as for a router that leaves nothing.
type Pins struct {
	dir  string
	lock *os.File

	mu   sync.Mutex
	keep bool
	own  bool         // the file system was mounted here
	left map[int]left // by the device's index: of an earlier process, and not adopted yet
}

// left is an attachment that an earlier process left.
type left struct {
	link link.Link
	path string
}

// ErrPinsHeld says that another process has the directory.
var ErrPinsHeld = errors.New("another routerd uses it")

// pinPrefix is followed by the index of the device in the names of attachments.
const pinPrefix = "xdp-"

// OpenPins opens a directory, which is made if it is absent, and reads what was
// left in it. Where no BPF file system is mounted it mounts one: at /sys/fs/bpf
// for a directory below that, else at the directory itself. With keep,
// attachments made from now on are pinned; without, what was left is adopted all
// the same, and ends with this process.
//
// The error is ErrPinsHeld if another process has the directory; any other says
// that nothing can be pinned here.
func OpenPins(dir string, keep bool) (*Pins, error) {
	dir = filepath.Clean(dir)
	mounted, err := mountBPF(dir)
	var lock *os.File
	if err == nil {
		lock, err = lockDir(dir)
	}
	if errors.Is(err, unix.EROFS) {
		err = fmt.Errorf("%w: remount it rw, or name a directory of another BPF file system", err)
	}
	if err != nil {
		return nil, fmt.Errorf("pin directory %s: %w", dir, err)
	}
	p := &Pins{dir: dir, lock: lock, keep: keep, own: mounted, left: make(map[int]left)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pin directory %s: %w", dir, err), lock.Close())
	}
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), pinPrefix)
		index, err := strconv.Atoi(text)
		if !ok || err != nil {
			continue
		}
		path := filepath.Join(dir, e.Name())
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			// What can't be read can't be adopted.
			_ = os.Remove(path)
			continue
		}
		p.left[index] = left{link: l, path: path}
	}
	return p, nil
}

// lockDir makes and opens a directory and locks it. The former owner removes the
// directory when it leaves nothing in it: one that went away meanwhile is made again.
func lockDir(dir string) (*os.File, error) {
	for range 100 {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = fmt.Errorf("%w: give each a --pin-dir of its own", ErrPinsHeld)
			}
			return nil, errors.Join(err, f.Close())
		}
		mine, err := f.Stat()
		if now, nowErr := os.Stat(dir); err == nil && nowErr == nil && os.SameFile(mine, now) {
			return f, nil
		}
		_ = f.Close()
	}
	return nil, errors.New("it vanishes as often as it is made")
}

// Left is how many attachments of an earlier process have not been adopted yet.
func (p *Pins) Left() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.left)
}

// Keeps reports whether attachments are pinned.
func (p *Pins) Keeps() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keep
}

// adopt hands out the attachment that was left at a device in that mode; ok is
// false if there is none. An attachment under the device's index that is another
// device's, as one in another network namespace, or in another mode, is removed:
// it would be in the way.
func (p *Pins) adopt(ifindex int, mode Mode) (l left, ok bool) {
	if p == nil {
		return left{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok = p.left[ifindex]
	if !ok {
		return left{}, false
	}
	delete(p.left, ifindex)
	if !l.at(ifindex, mode) {
		_ = l.end()
		return left{}, false
	}
	return l, true
}

// giveBack takes an attachment that was handed out and not used.
func (p *Pins) giveBack(ifindex int, l left) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left[ifindex] = l
}

// drop ends what was left at a device, for one that is to be used otherwise.
func (p *Pins) drop(ifindex int) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.left[ifindex]
	if !ok {
		return nil
	}
	delete(p.left, ifindex)
	return l.end()
}

// pin keeps a new attachment beyond the process. That it can't be is no reason
// to fail: forwarding works, and ends with the process.
func (p *Pins) pin(ifindex int, l link.Link) (path string, err error) {
	if p == nil {
		return "", nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.keep {
		return "", nil
	}
	path = filepath.Join(p.dir, pinPrefix+strconv.Itoa(ifindex))
	err = l.Pin(path)
	if errors.Is(err, unix.EEXIST) {
		// Of a device that had this index before.
		if err = os.Remove(path); err == nil {
			err = l.Pin(path)
		}
	}
	if err != nil {
		return "", fmt.Errorf("pin the XDP program's attachment at %s: %w", path, err)
	}
	return path, nil
}

// Sweep ends all that an earlier process left and nobody has adopted, and
// returns how many attachments that were. What other versions may have put into
// the directory goes as well, but for names that keep lists.
func (p *Pins) Sweep(keep ...string) (ended int, err error) {
	if p == nil {
		return 0, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for index, l := range p.left {
		errs = append(errs, l.end())
		delete(p.left, index)
		ended++
	}
	entries, err := os.ReadDir(p.dir)
	errs = append(errs, err)
	for _, e := range entries {
		if kernels(e) {
			continue
		}
		known := strings.HasPrefix(e.Name(), pinPrefix)
		for _, name := range keep {
			known = known || e.Name() == name
		}
		if !known {
			errs = append(errs, os.RemoveAll(filepath.Join(p.dir, e.Name())))
		}
	}
	return ended, errors.Join(errs...)
}

// Close lets the directory go, and removes it if no attachment is left in it.
// Attachments that were left and not adopted stay as they are.
func (p *Pins) Close() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for index, l := range p.left {
		errs = append(errs, l.link.Close())
		delete(p.left, index)
	}
	entries, err := os.ReadDir(p.dir)
	errs = append(errs, err)
	attached := false
	for _, e := range entries {
		attached = attached || strings.HasPrefix(e.Name(), pinPrefix)
	}
	if !attached && err == nil {
		for _, e := range entries {
			if !kernels(e) {
				errs = append(errs, os.Remove(filepath.Join(p.dir, e.Name())))
			}
		}
		// It stays where it is a mount point.
		if err := os.Remove(p.dir); !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, p.lock.Close())...)
}

// kernels reports whether a file is one that the kernel itself makes in a BPF file
// system, as maps.debug: nobody else's name has a dot.
func kernels(e os.DirEntry) bool { return strings.Contains(e.Name(), ".") }

// at reports whether the attachment is the one that is now in force at a device
// of the calling thread's network namespace, in that mode.
func (l left) at(ifindex int, mode Mode) bool {
	info, err := l.link.Info()
	if err != nil || info.XDP() == nil || int(info.XDP().Ifindex) != ifindex {
		return false
	}
	device, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return false
	}
	x := device.Attrs().Xdp
	// Indexes are unique in a namespace only; each device has a program of its own.
	return x != nil && x.Attached && x.AttachMode == mode.attached() && ebpf.ProgramID(x.ProgId) == info.Program
}

// end detaches the program. Without its pin and the descriptor the kernel would
// do so as well, but later.
func (l left) end() error {
	err := l.link.Detach()
	if errors.Is(err, link.ErrNotSupported) {
		err = nil
	}
	return errors.Join(err, os.Remove(l.path), l.link.Close())
}

// attached is the mode as rtnetlink gives it.
func (m Mode) attached() uint32 {
	switch m {
	case Native:
		return nl.XDP_ATTACHED_DRV
	case Generic:
		return nl.XDP_ATTACHED_SKB
	}
	return nl.XDP_ATTACHED_NONE
}

// sysBPF is where distributions mount the BPF file system.
const sysBPF = "/sys/fs/bpf"

// mountBPF sees to it that dir lies in a BPF file system, and says whether it had
// to mount one. A directory with files in it is refused: they would be hidden.
func mountBPF(dir string) (mounted bool, err error) {
	at := dir
	for {
		var st unix.Statfs_t
		err := unix.Statfs(at, &st)
		if err == nil {
			if uint32(st.Type) == unix.BPF_FS_MAGIC {
				return false, nil
			}
			break
		}
		if errors.Is(err, unix.EPERM) && strings.Contains(dir, ".") {
			return false, fmt.Errorf("%w: names in a BPF file system have no dots", err)
		}
		if !errors.Is(err, unix.ENOENT) {
			return false, err
		}
		at = filepath.Dir(at)
	}
	at = dir
	if strings.HasPrefix(dir, sysBPF+"/") {
		at = sysBPF
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	files, err := os.ReadDir(at)
	if errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("%w: the kernel has no BPF file system, or /sys is not its sysfs; name an empty directory elsewhere", err)
	}
	if err != nil {
		return false, err
	}
	if len(files) > 0 {
		return false, fmt.Errorf("a BPF file system mounted at %s would hide %s and whatever else it holds: name an empty directory, or one of a BPF file system", at, files[0].Name())
	}
	if err := unix.Mount("bpf", at, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return false, fmt.Errorf("mount a BPF file system at %s: %w: mount one before routerd starts (`mount -t bpf bpf %s`)", at, err, at)
	}
	return true, nil
}

// Fleeting reports whether what is pinned ends with the process after all: it had
// to mount the file system itself, and has mounts that others, its successor
// among them, don't see, as `ip netns exec` does it, or is the first process of a
// container, which ends with it.
func (p *Pins) Fleeting() bool {
	if p == nil || !p.own {
		return false
	}
	if os.Getpid() == 1 {
		return true
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	first, firstErr := os.Readlink("/proc/1/ns/mnt")
	return err == nil && firstErr == nil && own != first
}
