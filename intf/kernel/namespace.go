package kernel

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Namespace is an open network namespace. It stays usable, and alive in the
// kernel, until Close, even when its name is removed. Its methods may be
// called from any goroutine.
type Namespace struct {
	name  string // "" for the daemon's own
	file  *os.File
	inode uint64
}

// Own opens the namespace of the calling thread: the daemon's own.
func Own() (*Namespace, error) {
	return openNamespace("", "/proc/thread-self/ns/net")
}

func openNamespace(name, path string) (*Namespace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network namespace %q: %w", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("network namespace %q: %w", name, err)
	}
	return &Namespace{name: name, file: f, inode: st.Ino}, nil
}

// Name is the name below /run/netns; "" is the daemon's own namespace.
func (n *Namespace) Name() string { return n.name }

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.file.Close() }

// Current reports whether the name still stands for this namespace. It is
// false after `ip netns del`, also when the name was given to a new one.
func (n *Namespace) Current() bool {
	if n.name == "" {
		return true
	}
	inode, err := namedInode(n.name)
	return err == nil && inode == n.inode
}

// NamesChanged is when a name of a namespace came or went last. What an existing name stands
// for may have changed since.
func NamesChanged() (time.Time, error) {
	st, err := os.Stat(runNetns)
	if err != nil {
		return time.Time{}, fmt.Errorf("names of network namespaces: %w", err)
	}
	return st.ModTime(), nil
}

// Do runs f on a thread that is in the namespace and waits for it. What f
// opens (sockets, TUN devices) stays in the namespace; /proc/sys/net is the
// namespace's. What f starts with `go` runs elsewhere.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %q: %w; the daemon needs CAP_SYS_ADMIN", n.name, err)
		}
		return f()
	})
}

// onThread runs f on a locked thread, which may change its namespace. If the
// thread cannot be brought back it is never used again.
func onThread(f func() error) error {
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			errs <- fmt.Errorf("network namespace of the thread: %w", err)
			return
		}
		defer home.Close()
		err = f()
		// A goroutine that ends while it is locked takes its thread along.
		if e := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); e == nil {
			runtime.UnlockOSThread()
		}
		errs <- err
	}()
	return <-errs
}

// Dial opens a Conn in the namespace.
func (n *Namespace) Dial() (*Conn, error) {
	var c *Conn
	err := n.Do(func() (err error) {
		c, err = dial()
		return err
	})
	return c, err
}

// runNetns is where named namespaces stand, by the convention of ip-netns(8).
const runNetns = "/run/netns"

const nsfsMagic = 0x6e736673

// namedInode is the inode of the namespace with a name. The error is
// os.ErrNotExist, wrapped, when the name stands for none.
func namedInode(name string) (uint64, error) {
	path := filepath.Join(runNetns, name)
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if fs.Type != nsfsMagic {
		return 0, fmt.Errorf("%s is no namespace: %w", path, os.ErrNotExist)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return st.Ino, nil
}

// Namespaces makes and finds named namespaces and knows which of them it made,
// also after a crash. The zero value is not usable. Its methods may be called
// from any goroutine, for one name by one at a time.
type Namespaces struct {
	store *Store
	share sync.Mutex // for shareRunNetns
}

// NewNamespaces keeps its records in store.
func NewNamespaces(store *Store) *Namespaces { return &Namespaces{store: store} }

// Open opens the namespace with a name, "" being that of the calling thread.
// It fails with os.ErrNotExist, wrapped, when there is none.
func (ns *Namespaces) Open(name string) (*Namespace, error) {
	if name == "" {
		return Own()
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if _, err := namedInode(name); err != nil {
		return nil, fmt.Errorf("network namespace %q: %w", name, err)
	}
	return openNamespace(name, filepath.Join(runNetns, name))
}

// Ensure opens the namespace with a name and makes it, loopback up, when it is
// absent.
func (ns *Namespaces) Ensure(name string) (*Namespace, error) {
	n, err := ns.Open(name)
	if !errors.Is(err, os.ErrNotExist) {
		return n, err
	}
	if err := ns.create(name); err != nil {
		return nil, fmt.Errorf("make network namespace %q: %w", name, err)
	}
	return ns.Open(name)
}

// Made reports whether the namespace with a name is one that we made.
func (ns *Namespaces) Made(name string) bool {
	want, ok := ns.store.namespace(name)
	if !ok {
		return false
	}
	inode, err := namedInode(name)
	return err == nil && inode == want
}

// WasMade reports whether we made the namespace with a name, even if it was
// removed since.
func (ns *Namespaces) WasMade(name string) bool {
	_, ok := ns.store.namespace(name)
	return ok
}

// Remove removes the namespace with a name if we made it. Processes that are
// in it keep it, nameless, until they end.
func (ns *Namespaces) Remove(name string) error {
	if ns.Made(name) {
		path := filepath.Join(runNetns, name)
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("remove network namespace %q: %w", name, err)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove network namespace %q: %w", name, err)
		}
	}
	if !ns.WasMade(name) {
		return nil
	}
	return ns.store.update(storeData{Namespaces: map[string]uint64{name: 0}})
}

// All lists the namespaces that we made, in this life or an earlier one, in no
// order.
func (ns *Namespaces) All() []string {
	return slices.Collect(maps.Keys(ns.store.namespaces()))
}

func checkName(name string) error {
	if name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 255 {
		return fmt.Errorf("network namespace %q: not a file name", name)
	}
	return nil
}

func (ns *Namespaces) create(name string) error {
	ns.share.Lock()
	err := shareRunNetns()
	ns.share.Unlock()
	if err != nil {
		return err
	}
	path := filepath.Join(runNetns, name)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, os.ErrExist) {
		// A file that nothing is mounted on is left by a removal that was cut
		// short; ip-netns(8) would refuse the name for ever.
		if err = os.Remove(path); err == nil {
			f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
		}
	}
	if err != nil {
		return err
	}
	_ = f.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w; the daemon needs CAP_SYS_ADMIN", err)
		}
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			return err
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		// Recorded first: after a crash between the two, the record is of a
		// namespace that does not exist, which is harmless.
		if err := ns.store.update(storeData{Namespaces: map[string]uint64{name: st.Ino}}); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
	if err != nil {
		_ = os.Remove(path)
		return err
	}
	return nil
}

func loopbackUp() error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.Close()
	lo, err := c.LinkByName("lo")
	if err != nil {
		return err
	}
	up := true
	return c.SetLink(lo.Index, LinkChange{Up: &up})
}

// shareRunNetns makes /run/netns a shared mount as ip-netns(8) does, so that
// other mount namespaces see the names come and go.
func shareRunNetns() error {
	if err := os.MkdirAll(runNetns, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", runNetns, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // not a mount point yet
		if err := unix.Mount(runNetns, runNetns, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", runNetns, err)
		}
		err = unix.Mount("", runNetns, "none", unix.MS_SHARED|unix.MS_REC, "")
	}
	if err != nil {
		return fmt.Errorf("share %s: %w", runNetns, err)
	}
	return nil
}
