package bpf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"router/dataplane/layout"
	"router/internal/testnet"
	"router/intf"
)

// pinDir is a directory that OpenPins will mount a file system at.
func pinDir(t *testing.T) string {
	t.Helper()
	testnet.Require(t)
	dir := filepath.Join(t.TempDir(), "pins")
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func openPins(t *testing.T, dir string, keep bool) *Pins {
	t.Helper()
	p, err := OpenPins(dir, keep)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func loadAt(t *testing.T, p *Pins) *Set {
	t.Helper()
	s, err := Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: 1518, Pins: p})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attached is the id of the program at a device, 0 for none.
func attached(t *testing.T, ns *testnet.Namespace, device string) ebpf.ProgramID {
	t.Helper()
	x := ns.Link(t, device).Attrs().Xdp
	if x == nil || !x.Attached {
		return 0
	}
	return ebpf.ProgramID(x.ProgId)
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// leave has a process's worth of Pins and Set take a device and go away.
func leave(t *testing.T, dir string, ns *testnet.Namespace, device string) ebpf.ProgramID {
	t.Helper()
	p := openPins(t, dir, true)
	s := loadAt(t, p)
	check(t, ns.Do(func() error { return s.AttachTake(ns.Link(t, device).Attrs().Index, Native, true) }))
	if outlives, err := s.Outlives(); !outlives || err != nil {
		t.Fatalf("outlives: %t, %v", outlives, err)
	}
	id := attached(t, ns, device)
	check(t, s.Leave(), p.Close())
	if now := attached(t, ns, device); now != id || id == 0 {
		t.Fatalf("program %d is at the device, %d was", now, id)
	}
	return id
}

func pair(t *testing.T) (ns *testnet.Namespace) {
	t.Helper()
	testnet.Require(t)
	ns, far := testnet.New(t, "a"), testnet.New(t, "b")
	testnet.Pair(t, testnet.End{In: ns, Name: "ge0"}, testnet.End{In: far, Name: "host"})
	return ns
}

func TestSuccessorTakesOver(t *testing.T) {
	for _, tc := range []struct {
		name string
		keep bool // of the successor
	}{{"and leaves it in its turn", true}, {"and leaves nothing", false}} {
		t.Run(tc.name, func(t *testing.T) {
			dir, ns := pinDir(t), pair(t)
			index := ns.Link(t, "ge0").Attrs().Index
			old := leave(t, dir, ns, "ge0")
			p := openPins(t, dir, tc.keep)
			if p.Left() != 1 {
				t.Fatalf("%d are left, want 1", p.Left())
			}
			s := loadAt(t, p)
			check(t, ns.Do(func() error { return s.AttachTake(index, Native, true) }))
			if id := attached(t, ns, "ge0"); id != old {
				t.Fatalf("program %d took the place of %d before it was to", id, old)
			}
			check(t, s.Activate(), s.Activate())
			id := attached(t, ns, "ge0")
			if id == old || id == 0 {
				t.Fatalf("program %d is at the device after Activate, %d was", id, old)
			}
			if outlives, err := s.Outlives(); outlives != tc.keep || err != nil {
				t.Errorf("outlives: %t, %v", outlives, err)
			}
			if ended, err := p.Sweep(); ended != 0 || err != nil {
				t.Errorf("swept %d, %v", ended, err)
			}
			check(t, s.Leave(), p.Close())
			if now := attached(t, ns, "ge0"); (now == id) != tc.keep {
				t.Errorf("program %d is at the device in the end", now)
			}
		})
	}
}

func TestOrderlyEndLeavesNothing(t *testing.T) {
	dir, ns := pinDir(t), pair(t)
	leave(t, dir, ns, "ge0")
	p := openPins(t, dir, true)
	memory, err := p.OpenMemory()
	check(t, err)
	s := loadAt(t, p)
	check(t, ns.Do(func() error { return s.AttachTake(ns.Link(t, "ge0").Attrs().Index, Native, true) }))
	check(t, s.Activate(), s.Close(), memory.Close(), p.Close())
	if id := attached(t, ns, "ge0"); id != 0 {
		t.Errorf("program %d is still there", id)
	}
	entries, err := os.ReadDir(dir)
	if entries = slices.DeleteFunc(entries, kernels); err != nil || len(entries) != 0 {
		t.Errorf("in the directory: %v, %v", entries, err)
	}
}

// TestFailedStart closes a Set that has not come as far as Activate: what was
// left is neither replaced nor ended.
func TestFailedStart(t *testing.T) {
	dir, ns := pinDir(t), pair(t)
	old := leave(t, dir, ns, "ge0")
	p := openPins(t, dir, true)
	s := loadAt(t, p)
	check(t, ns.Do(func() error { return s.AttachTake(ns.Link(t, "ge0").Attrs().Index, Native, false) }), s.Close(), p.Close())
	if id := attached(t, ns, "ge0"); id != old {
		t.Errorf("program %d is at the device, want %d", id, old)
	}
}

func TestWhatIsLeftGivesWay(t *testing.T) {
	testnet.Require(t)
	index := func(ns *testnet.Namespace) int { return ns.Link(t, "ge0").Attrs().Index }
	for _, tc := range []struct {
		name string
		do   func(s *Set, ns *testnet.Namespace) error
	}{
		{"to another mode", func(s *Set, ns *testnet.Namespace) error { return s.AttachTake(index(ns), Generic, false) }},
		{"to AF_PACKET", func(s *Set, ns *testnet.Namespace) error { return s.AttachPass(index(ns)) }},
		{"to hiding alone", func(s *Set, ns *testnet.Namespace) error { return s.AttachHide(index(ns)) }},
		{"to the sweep", func(s *Set, _ *testnet.Namespace) error { _, err := s.config.Pins.Sweep(); return err }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, ns := pinDir(t), pair(t)
			old := leave(t, dir, ns, "ge0")
			p := openPins(t, dir, true)
			s := loadAt(t, p)
			check(t, ns.Do(func() error { return tc.do(s, ns) }))
			if id := attached(t, ns, "ge0"); id == old || p.Left() != 0 {
				t.Errorf("program %d is still at the device; %d are left", id, p.Left())
			}
			check(t, s.Close(), p.Close())
			if id := attached(t, ns, "ge0"); id != 0 {
				t.Errorf("program %d is there in the end", id)
			}
		})
	}
}

// TestDeviceChangedMeanwhile finds devices gone, renamed, and another one at the
// index that an attachment was left under.
func TestDeviceChangedMeanwhile(t *testing.T) {
	t.Run("gone", func(t *testing.T) {
		dir, ns := pinDir(t), pair(t)
		leave(t, dir, ns, "ge0")
		ns.Delete(t, "ge0")
		p := openPins(t, dir, true)
		if ended, err := p.Sweep(); ended != 1 || err != nil {
			t.Errorf("swept %d, %v", ended, err)
		}
		check(t, p.Close())
	})
	t.Run("renamed", func(t *testing.T) {
		dir, ns := pinDir(t), pair(t)
		old := leave(t, dir, ns, "ge0")
		check(t, ns.Netlink().LinkSetDown(ns.Link(t, "ge0")), ns.Netlink().LinkSetName(ns.Link(t, "ge0"), "ge7"))
		ns.Up(t, "ge7")
		p := openPins(t, dir, true)
		s := loadAt(t, p)
		check(t, ns.Do(func() error { return s.AttachTake(ns.Link(t, "ge7").Attrs().Index, Native, false) }))
		if id := attached(t, ns, "ge7"); id != old {
			t.Errorf("it was not taken over: program %d instead of %d", id, old)
		}
		check(t, s.Activate(), s.Close(), p.Close())
	})
	t.Run("another at its index", func(t *testing.T) {
		dir, one, two := pinDir(t), pair(t), pair(t)
		index := one.Link(t, "ge0").Attrs().Index
		if two.Link(t, "ge0").Attrs().Index != index {
			t.Fatal("the namespaces number their devices otherwise: the test shows nothing")
		}
		leave(t, dir, one, "ge0")
		p := openPins(t, dir, true)
		s := loadAt(t, p)
		check(t, two.Do(func() error { return s.AttachTake(index, Native, false) }))
		if a, b := attached(t, one, "ge0"), attached(t, two, "ge0"); a != 0 || b == 0 {
			t.Errorf("programs %d at the old device and %d at the new one", a, b)
		}
		check(t, s.Activate(), s.Close(), p.Close())
	})
	t.Run("replaced by hand", func(t *testing.T) {
		dir, ns := pinDir(t), pair(t)
		leave(t, dir, ns, "ge0")
		check(t, os.Remove(filepath.Join(dir, pinPrefix+"2")))
		// The kernel detaches some time after the pin is gone.
		for deadline := time.Now().Add(20 * time.Second); attached(t, ns, "ge0") != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("removing the pin left the program")
			}
		}
		p := openPins(t, dir, true)
		if p.Left() != 0 {
			t.Errorf("%d are left", p.Left())
		}
		check(t, p.Close())
	})
}

func TestPinDirectoryIsOneRoutersOnly(t *testing.T) {
	dir := pinDir(t)
	p := openPins(t, dir, true)
	_, err := OpenPins(dir, true)
	if !errors.Is(err, ErrPinsHeld) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "pin-dir") {
		t.Errorf("a second one: %v", err)
	}
	check(t, p.Close())
	check(t, openPins(t, dir, true).Close())
	sub := filepath.Join(dir, "one")
	check(t, openPins(t, sub, true).Close())
	if _, err := os.Stat(sub); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty directory stays: %v", err)
	}
	if _, err := OpenPins(filepath.Join(dir, "a.b"), true); err == nil || !strings.Contains(err.Error(), "no dots") {
		t.Errorf("a name with a dot: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	if _, err := OpenPins(filepath.Join(file, "pins"), true); err == nil {
		t.Error("a directory below a file was opened")
	}
}

func TestPinDirectoryHidesNoFiles(t *testing.T) {
	pinDir(t) // asks for the rights that a mount takes
	dir := t.TempDir()
	file := filepath.Join(dir, "precious")
	check(t, os.WriteFile(file, nil, 0o600))
	p, err := OpenPins(dir, true)
	if err == nil {
		check(t, p.Close())
		check(t, unix.Unmount(dir, unix.MNT_DETACH))
		t.Fatal("a BPF file system was mounted over a file")
	}
	if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "hide precious") {
		t.Errorf("refused with: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestPinnedLater: what can't be pinned when it is attached is pinned when it can.
func TestPinnedLater(t *testing.T) {
	ns, dir := pair(t), pinDir(t)
	p := openPins(t, dir, true)
	remount := func(flags uintptr) { check(t, unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "")) }
	remount(unix.MS_RDONLY)
	s := loadAt(t, p)
	check(t, ns.Do(func() error { return s.AttachTake(ns.Link(t, "ge0").Attrs().Index, Native, true) }))
	if outlives, err := s.Outlives(); outlives || err == nil || !strings.Contains(err.Error(), dir+"/xdp-") {
		t.Errorf("on a read-only file system it outlives: %t, %v", outlives, err)
	}
	if err := s.Pin(); !errors.Is(err, unix.EROFS) {
		t.Errorf("pinned on a read-only file system: %v", err)
	}
	remount(0)
	check(t, s.Pin(), s.Pin())
	if outlives, err := s.Outlives(); !outlives || err != nil {
		t.Errorf("outlives: %t, %v", outlives, err)
	}
	id := attached(t, ns, "ge0")
	check(t, s.Leave(), p.Close())
	if now := attached(t, ns, "ge0"); now != id || id == 0 {
		t.Errorf("program %d is at the device, %d was", now, id)
	}
}

// TestNoFileSystemToPinIn: where the BPF file system is missing, hidden, or not to be written
// to, the error says so and what to do.
func TestNoFileSystemToPinIn(t *testing.T) {
	testnet.Require(t)
	const dir = sysBPF + "/routerd/test"
	for _, c := range []struct {
		name string
		set  func() error
		says []string // nil: there is one, or can be
	}{
		{"no /sys/fs/bpf", func() error { return unix.Mount("none", "/sys/fs", "tmpfs", 0, "") }, []string{"no such file", "elsewhere"}},
		{"read-only", func() error { return unix.Mount("none", sysBPF, "bpf", unix.MS_RDONLY, "") }, []string{"read-only", "remount it rw"}},
		{"files of another file system", func() error {
			return errors.Join(unix.Mount("none", sysBPF, "tmpfs", 0, ""), os.WriteFile(sysBPF+"/precious", nil, 0o600))
		}, []string{sysBPF + " would hide precious"}},
		{"an empty one of another kind", func() error { return unix.Mount("none", sysBPF, "tmpfs", 0, "") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs := make(chan error)
			go func() {
				// The thread has mounts of its own, and goes with them.
				runtime.LockOSThread()
				err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), c.set())
				if err != nil {
					errs <- fmt.Errorf("the test can't be set up: %w", err)
					return
				}
				p, err := OpenPins(dir, true)
				if err == nil {
					err = p.Close()
				}
				if c.says == nil {
					errs <- err
					return
				}
				for _, text := range append(c.says, dir) {
					if err == nil || !strings.Contains(err.Error(), text) {
						errs <- fmt.Errorf("%v: want an error that says %q", err, text)
						return
					}
				}
				errs <- nil
			}()
			if err := <-errs; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFirstProcessOfAContainer: what it has to mount to pin in ends with it.
func TestFirstProcessOfAContainer(t *testing.T) {
	testnet.Require(t)
	const inside = "ROUTER_TEST_CONTAINER"
	if dir := os.Getenv(inside); dir != "" {
		check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, ""))
		p := openPins(t, dir, true)
		if !p.Fleeting() {
			t.Error("it is not said to end with the process")
		}
		check(t, p.Close())
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+pinDir(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in the container: %v\n%s", err, out)
	}
}

func TestNoPins(t *testing.T) {
	var p *Pins
	if ended, err := p.Sweep(); ended != 0 || err != nil || p.Left() != 0 || p.Keeps() || p.Fleeting() {
		t.Errorf("nil Pins: %d, %v", ended, err)
	}
	if m, err := p.OpenMemory(); m != nil || err != nil {
		t.Errorf("memory of nil Pins: %v, %v", m, err)
	}
	check(t, p.Close(), p.drop(1))
}

func TestMemory(t *testing.T) {
	dir := pinDir(t)
	p := openPins(t, dir, true)
	m, err := p.OpenMemory()
	check(t, err)
	facts := []Remembered{
		{IfIndex: 3, Unit: "ge0.0", Addr: netip.MustParseAddr("192.0.2.9"), MAC: intf.MAC{2, 0, 0, 0, 0, 9}},
		{IfIndex: 3, Unit: "ge0.0", Addr: netip.MustParseAddr("2001:db8::9"), MAC: intf.MAC{2, 0, 0, 0, 0, 9}},
		{IfIndex: 3, Unit: "ge0.0", Addr: netip.MustParseAddr("2001:db8::1"), Own: true},
		{IfIndex: 4, Unit: "ge1.100", Addr: netip.MustParseAddr("192.0.2.9"), MAC: intf.MAC{2, 0, 0, 0, 0, 7}},
	}
	for _, f := range facts {
		check(t, m.Put(f))
	}
	check(t, m.Put(Remembered{IfIndex: 9, Addr: netip.MustParseAddr("192.0.2.1")}), m.Delete(Remembered{IfIndex: 9, Addr: netip.MustParseAddr("192.0.2.1")}),
		m.Delete(Remembered{IfIndex: 9, Addr: netip.MustParseAddr("192.0.2.1")}))
	// Nothing is pinned at a device, so Close would forget.
	check(t, m.Close(), p.lock.Close())

	p = openPins(t, dir, false)
	m, err = p.OpenMemory()
	check(t, err)
	var got []Remembered
	check(t, m.All(func(r Remembered, is func(string) bool) {
		for _, f := range facts {
			if is(f.Unit) != (f.IfIndex == r.IfIndex) {
				t.Errorf("%v is of %s: %t", r, f.Unit, is(f.Unit))
			}
			if is(f.Unit) {
				r.Unit = f.Unit
			}
		}
		got = append(got, r)
		check(t, m.Delete(r))
	}))
	order := func(a, b Remembered) int { return strings.Compare(a.Unit+a.Addr.String(), b.Unit+b.Addr.String()) }
	slices.SortFunc(got, order)
	slices.SortFunc(facts, order)
	if !slices.Equal(got, facts) {
		t.Errorf("remembered\n%v\nwant\n%v", got, facts)
	}
	check(t, m.All(func(r Remembered, _ func(string) bool) { t.Errorf("%v was not forgotten", r) }))
	check(t, m.Close(), p.Close())
}

// TestMemoryGrows remembers more than a new memory has room for.
func TestMemoryGrows(t *testing.T) {
	p := openPins(t, pinDir(t), true)
	m, err := p.OpenMemory()
	check(t, err)
	const n = memoryFirst + 1000
	at := func(i int) Remembered {
		return Remembered{IfIndex: 3, Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), MAC: intf.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}}
	}
	for i := range n {
		check(t, m.Put(at(i)))
	}
	check(t, m.Close())
	if _, err := p.Sweep(MemoryName); err != nil {
		t.Error(err)
	}
	m, err = p.OpenMemory()
	check(t, err)
	seen := map[Remembered]bool{}
	check(t, m.All(func(r Remembered, _ func(string) bool) { seen[r] = true }))
	for i := range n {
		if !seen[at(i)] {
			t.Fatalf("%v was forgotten; %d of %d are remembered", at(i), len(seen), n)
		}
	}
	check(t, m.Close(), p.Close())
}

// TestMemoryLayout must not be changed: other versions read what this one writes.
func TestMemoryLayout(t *testing.T) {
	r := Remembered{IfIndex: 0x01020304, Addr: netip.MustParseAddr("192.0.2.9"), Own: true}
	k := r.key()
	if got := hex.EncodeToString(k[:]); got != "0403020104010000c0000209000000000000000000000000" {
		t.Errorf("key %s", got)
	}
	if got := hashName("ge0.100"); got != 0x32d7e0ef0909951a {
		t.Errorf("hash %#x", got)
	}
	k[6] = 1
	if _, ok := remembered(k); ok {
		t.Error("a key that this version does not make was taken")
	}
	k[6], k[4] = 0, 5
	if _, ok := remembered(k); ok {
		t.Error("a key of no family was taken")
	}
}

// TestLedgerKeepsWhatThereIs: what is not put any more is not what a successor finds.
// What it had counted is its device's by then, and its place perhaps another's.
func TestLedgerKeepsWhatThereIs(t *testing.T) {
	dir := pinDir(t)
	p := openPins(t, dir, true)
	l, err := p.OpenLedger()
	check(t, err)
	device, gone, stays := Counted{IfIndex: 1, Name: "ge0"}, Counted{IfIndex: 2, Device: 1, Name: "ge0.1"}, Counted{IfIndex: 3, Device: 1, Name: "ge0.2"}
	put := func(list ...Counted) {
		t.Helper()
		for _, c := range list {
			check(t, l.Put(c))
		}
		check(t, l.Written())
	}
	put(device, gone, stays)
	put(device, stays)
	put(device, stays)
	gone.Name = "ge0.3" // the number again
	put(device, stays, gone)
	put(device, stays)
	check(t, l.Close())
	l, err = p.OpenLedger()
	check(t, err)
	var found []intf.Index
	check(t, l.Take(func(c Counted, _ [layout.TallyWords]uint64, _ func(string) bool) { found = append(found, c.IfIndex) }))
	slices.Sort(found)
	if !slices.Equal(found, []intf.Index{1, 3}) {
		t.Errorf("a successor finds the counters of %v, want those of 1 and 3", found)
	}
	check(t, l.Close(), p.Close())
}
