package host

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"router/internal/testnet"
	"router/intf"
	"router/intf/kernel"
)

// nsName is a name for a namespace that the router makes, or that the test
// does; it is removed whatever happens.
func nsName(t *testing.T, hint string) string {
	t.Helper()
	name := fmt.Sprintf("h%d-%s", os.Getpid(), hint)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	return name
}

func exists(name string) bool {
	_, err := os.Stat("/run/netns/" + name)
	return err == nil
}

func TestFamiliesOfOneUnitInTwoNamespaces(t *testing.T) {
	w := newWorld(t, "split")
	red, blue := nsName(t, "red"), nsName(t, "blue")
	spec := unitSpec(1, "ge0.0", red, addresses("192.0.2.1/24"), addresses("2001:db8::1/64"))
	spec.Families[1].Namespace = blue
	w.ensure(t, spec)
	for ns, want := range map[string][2]string{red: {"192.0.2.1/24", "inet6"}, blue: {"2001:db8::1/64", "inet "}} {
		out := w.ip(t, "netns", "exec", ns, "ip", "addr", "show", "dev", "ge0.0")
		if !strings.Contains(out, want[0]) || strings.Contains(out, want[1]) {
			t.Errorf("%s: want %s and no %s:\n%s", ns, want[0], want[1], out)
		}
		if lo := w.ip(t, "netns", "exec", ns, "ip", "link", "show", "lo"); !strings.Contains(lo, ",UP") {
			t.Errorf("%s: loopback is down", ns)
		}
	}
	// Both families move together; the unit's TAP in blue goes.
	spec.Families[1].Namespace = red
	w.ensure(t, spec)
	eventually(t, patient, "no TAP in "+blue, func() bool {
		return !strings.Contains(w.ip(t, "netns", "exec", blue, "ip", "-o", "link"), "ge0.0")
	})
	if err := w.Remove(1); err != nil {
		t.Error(err)
	}
	if !exists(red) {
		t.Error("the namespace went with its last unit; programs would lose it at every change")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if exists(red) || exists(blue) {
		t.Error("a namespace that we made is left after Close")
	}
}

func TestNamespacesOfOthersAreUsedAndLeft(t *testing.T) {
	w := newWorld(t, "lend")
	lent := testnet.New(t, "lent")
	w.ensure(t, unitSpec(1, "ge0.0", lent.Name, addresses("192.0.2.1/24"), nil))
	if out := run(t, lent, "ip", "addr", "show", "dev", "ge0.0"); !strings.Contains(out, "192.0.2.1/24") {
		t.Errorf("no address:\n%s", out)
	}
	if err := w.RemoveNamespaces([]string{lent.Name}); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if !exists(lent.Name) {
		t.Error("a namespace that we did not make was removed")
	}
	for _, args := range []string{"-o link", "rule", "-6 rule", "route show table all"} {
		if out := run(t, lent, "ip", strings.Fields(args)...); strings.Contains(out, "ge0.0") || strings.Contains(out, "137") {
			t.Errorf("ip %s: something is left:\n%s", args, out)
		}
	}
}

func TestNamespaceIsRemovedUnderUs(t *testing.T) {
	t.Run("ours is made again", func(t *testing.T) {
		w := newWorld(t, "vanish")
		name := nsName(t, "ours")
		w.ensure(t, unitSpec(1, "ge0.0", name, addresses("192.0.2.1/24"), nil))
		w.ip(t, "netns", "del", name)
		eventually(t, 2*time.Second, "TAP in a new namespace", func() bool {
			out, err := w.ns.Run("ip", "netns", "exec", name, "ip", "addr", "show", "dev", "ge0.0")
			return err == nil && strings.Contains(out, "192.0.2.1/24")
		})
	})
	t.Run("another's is waited for", func(t *testing.T) {
		w := newWorld(t, "wait")
		name := nsName(t, "theirs")
		w.ip(t, "netns", "add", name)
		w.ensure(t, unitSpec(1, "ge0.0", name, addresses("192.0.2.1/24"), nil))
		w.ip(t, "netns", "del", name)
		eventually(t, 2*time.Second, "a reason", func() bool {
			s, ok := w.Status(1, intf.Inet)
			return ok && s.Name == "" && strings.Contains(s.Reason, "was removed")
		})
		if err := w.Deliver(1, intf.Inet, make([]byte, 20)); !errors.Is(err, ErrNotInPlace) {
			t.Errorf("Deliver says %v", err)
		}
		if exists(name) {
			t.Fatal("the namespace was made by us: its owner can't any more")
		}
		w.ip(t, "netns", "add", name)
		eventually(t, 2*time.Second, "in place again", func() bool {
			s, _ := w.Status(1, intf.Inet)
			return s.Name == "ge0.0" && s.Reason == "" && w.told("in place again")
		})
	})
	t.Run("a pinned one without units", func(t *testing.T) {
		w := newWorld(t, "pinned")
		name := nsName(t, "pin")
		if err := w.EnsureNamespaces([]string{name})[name]; err != nil {
			t.Fatal(err)
		}
		w.ip(t, "netns", "del", name)
		eventually(t, 2*time.Second, "made again", func() bool { return exists(name) })
		if err := w.RemoveNamespaces([]string{name}); err != nil || exists(name) {
			t.Errorf("RemoveNamespaces: %v, exists %t", err, exists(name))
		}
	})
}

func TestNames(t *testing.T) {
	w := newWorld(t, "names")
	w.ip(t, "link", "add", "ge0.5", "type", "veth", "peer", "name", "x")
	w.ensure(t, unitSpec(1, "ge0.5", "", addresses("192.0.2.1/24"), nil))
	w.ensure(t, unitSpec(2, "enp129s0f0np0.100", "", addresses("198.51.100.1/24"), nil))
	for index, unit := range map[intf.Index]string{1: "ge0.5", 2: "enp129s0f0np0.100"} {
		s, ok := w.Status(index, intf.Inet)
		if !ok || s.Reason != "" || s.Name == unit || len(s.Name) > maxName {
			t.Errorf("%s: %+v", unit, s)
		}
		if out := w.ip(t, "link", "show", "dev", s.Name); !strings.Contains(out, ":"+unit+"\n") {
			t.Errorf("the alias does not tell the unit:\n%s", out)
		}
	}
}

// TestMain lets the test binary be a router that can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HOST_TEST_VICTIM"); dir != "" {
		victim(dir, os.Getenv("HOST_TEST_ID"), os.Getenv("HOST_TEST_NAMESPACE"))
	}
	os.Exit(m.Run())
}

// victim puts units in place, says so and waits to be killed.
func victim(dir, id, namespace string) {
	store, err := kernel.OpenStore(dir)
	if err == nil {
		var m *Manager
		m, err = New(Config{RouterID: id, Store: store, Inject: func(uint32, intf.Index, []byte) {}})
		if err == nil {
			err = errors.Join(
				m.Ensure(unitSpec(1, "ge0.100", "", addresses("192.0.2.1/24"), addresses("2001:db8:1::1/64"))),
				m.Ensure(unitSpec(2, "ge1.0", namespace, addresses("192.0.2.1/24"), nil)),
			)
		}
	}
	fmt.Println("ready", err)
	time.Sleep(time.Minute)
	os.Exit(1)
}

func TestSuccessorAdoptsWhatIsRight(t *testing.T) {
	testnet.Require(t)
	w := &world{ns: testnet.New(t, "adopt"), dir: t.TempDir()}
	keep := nsName(t, "keep")
	drop := nsName(t, "drop")
	inode := ""
	for round, namespace := range []string{keep, drop} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "HOST_TEST_VICTIM="+w.dir, "HOST_TEST_ID=test-"+w.ns.Name, "HOST_TEST_NAMESPACE="+namespace)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.ns.Start(cmd); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		if !strings.HasPrefix(line, "ready <nil>") {
			t.Fatalf("round %d: the victim says %q", round, line)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if round == 0 {
			inode = run(t, w.ns, "stat", "-L", "-c", "%i", "/run/netns/"+keep)
		}
	}
	if out := w.ip(t, "rule"); !strings.Contains(out, "192.0.2.1") {
		t.Fatalf("the killed router left no rule: the test proves nothing:\n%s", out)
	}
	w.start(t)
	w.ensure(t, unitSpec(1, "ge0.100", "", addresses("198.51.100.1/24"), nil))
	w.ensure(t, unitSpec(2, "ge1.0", keep, addresses("192.0.2.1/24"), nil))
	if err := w.Cleanup(); err != nil {
		t.Error(err)
	}
	if out := w.ip(t, "rule") + w.ip(t, "-6", "rule"); strings.Contains(out, "192.0.2.1") || strings.Contains(out, "2001:") {
		t.Errorf("rules of the killed router are left:\n%s", out)
	}
	if got := run(t, w.ns, "stat", "-L", "-c", "%i", "/run/netns/"+keep); got != inode {
		t.Error("the namespace was made anew: programs in it are cut off")
	}
	if exists(drop) {
		t.Error("an unwanted namespace of the killed router is left")
	}
	if s, _ := w.Status(1, intf.Inet); s.Name != "ge0.100" {
		t.Errorf("the TAP's name is %q", s.Name)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if exists(keep) {
		t.Error("the namespace is left after a clean stop")
	}
}

func TestTwoRoutersInOneNamespaceLeaveEachOtherAlone(t *testing.T) {
	a := newWorld(t, "two")
	b := &world{ns: a.ns, dir: t.TempDir()}
	a.ensure(t, unitSpec(1, "ge0.100", "", addresses("192.0.2.1/24"), nil))
	store, err := kernel.OpenStore(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	err = a.ns.Do(func() (err error) {
		b.Manager, err = New(Config{RouterID: "other", Store: store, Inject: func(uint32, intf.Index, []byte) {}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.ensure(t, unitSpec(7, "xe0.0", "", addresses("198.51.100.1/24"), nil))
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if out := a.ip(t, "rule"); !strings.Contains(out, "from 192.0.2.1") || strings.Contains(out, "198.51.100.1") {
		t.Errorf("rules:\n%s", out)
	}
	if drifts := a.drifted(); len(drifts) != 0 {
		t.Errorf("drift: %q", drifts)
	}
}

func TestNothingLeaks(t *testing.T) {
	w := newWorld(t, "leak")
	count := func(dir string) int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	name := nsName(t, "leak")
	cycle := func() {
		w.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), addresses("2001:db8::1/64")))
		w.ensure(t, unitSpec(2, "ge1.0", name, addresses("192.0.2.1/24"), nil))
		w.ip(t, "link", "del", "ge0.0")
		if err := w.Audit(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Remove(1), w.Remove(2), w.RemoveNamespaces([]string{name})); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	files, threads := count("/proc/self/fd"), count("/proc/self/task")
	for range 15 {
		cycle()
	}
	eventually(t, 2*time.Second, fmt.Sprintf("%d files, then %d", files, count("/proc/self/fd")), func() bool {
		return count("/proc/self/fd") <= files+2
	})
	if now := count("/proc/self/task"); now > threads+6 {
		t.Errorf("%d threads, then %d", threads, now)
	}
	if exists(name) {
		t.Error("a namespace is left")
	}
}
