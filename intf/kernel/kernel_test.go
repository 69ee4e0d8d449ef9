package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/internal/testnet"
	"router/intf"
)

// own is the namespace as the daemon would see it if it ran there.
func own(t *testing.T, ns *testnet.Namespace) *Namespace {
	t.Helper()
	var n *Namespace
	if err := ns.Do(func() (err error) { n, err = Own(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func ip(t *testing.T, ns *testnet.Namespace, args string) string {
	t.Helper()
	out, err := ns.Run("ip", strings.Fields(args)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func store(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMonitorFollowsLinks(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "mon")
	ip(t, ns, "link add ge0 type veth peer name p0")
	m, err := NewMonitor(own(t, ns), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var told []Link
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- m.Run(ctx, func(l Link) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, l)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		m.Close()
	})
	if l := m.Get("ge0"); !l.Present || l.AdminUp || l.Kind != "veth" || l.MTU != 1500 || l.MaxMTU != 65535 || l.RxQueues == 0 {
		t.Errorf("at first: %+v", l)
	}
	if l := m.Get("ge1"); l.Present || l.Reason() != "no link ge1 in the kernel" {
		t.Errorf("a link that is not there: %+v", l)
	}
	steps := []struct {
		name, ip string
		ok       func(Link) bool
	}{
		{"set up, no carrier", "link set ge0 up", func(l Link) bool { return l.AdminUp && !l.OperUp() }},
		{"carrier", "link set p0 up", func(l Link) bool { return l.OperUp() && l.Reason() == "" && l.Speed == 10e9 }},
		{"MTU", "link set ge0 mtu 1400", func(l Link) bool { return l.MTU == 1400 }},
		{"MAC", "link set ge0 address 02:00:00:00:00:77", func(l Link) bool { return l.MAC == intf.MAC{2, 0, 0, 0, 0, 0x77} }},
		{"address", "addr add 192.0.2.7/24 dev ge0", func(l Link) bool {
			for _, p := range l.Addresses {
				if p == netip.MustParsePrefix("192.0.2.7/24") {
					return true
				}
			}
			return false
		}},
		{"address gone", "addr flush dev ge0", func(l Link) bool { return len(l.Addresses) == 0 }},
		{"a link that a router made is none of ours", "link set ge0 alias routerd:r9:ge0.0", func(l Link) bool { return !l.Present }},
		{"and comes back without its mark", "link set ge0 alias mine", func(l Link) bool { return l.Present }},
		{"removed", "link del ge0", func(l Link) bool { return !l.Present }},
		{"back", "link add ge0 type veth peer name p0", func(l Link) bool { return l.Present }},
		{"renamed", "link set ge0 name ge9", func(l Link) bool { return !l.Present }},
	}
	for _, s := range steps {
		mu.Lock()
		told = nil
		mu.Unlock()
		ip(t, ns, s.ip)
		eventually(t, s.name, func() bool { return s.ok(m.Get("ge0")) })
		eventually(t, s.name+": told", func() bool {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range told {
				if l.Name == "ge0" && s.ok(l) {
					return true
				}
			}
			return false
		})
	}
	if l := m.Get("ge9"); !l.Present {
		t.Error("the new name is unknown")
	}
}

func TestMonitorNamesTheMasterOfAMember(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "bridge")
	if out, err := ns.Run("ip", "link", "add", "br0", "type", "bridge"); err != nil {
		t.Skipf("the kernel has no bridges: %s", out)
	}
	ip(t, ns, "link add ge0 type veth peer name p0")
	ip(t, ns, "link set ge0 master br0")
	m, err := NewMonitor(own(t, ns), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.Get("ge0").Reason(); !strings.Contains(got, "member of bridge br0") {
		t.Errorf("reason %q", got)
	}
}

func TestMonitorSurvivesAnOverrun(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "overrun")
	ip(t, ns, "link add ge0 type veth peer name p0")
	m, err := NewMonitor(own(t, ns), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	// A receive buffer that holds next to nothing, and more events than that
	// before anyone reads.
	if e := m.watch.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) }); errors.Join(e, err) != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		ip(t, ns, fmt.Sprintf("link set ge0 mtu %d", 1300+i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx, func(Link) {}) }()
	eventually(t, "the last MTU", func() bool { return m.Get("ge0").MTU == 1359 })
	ip(t, ns, "link set ge0 mtu 1500")
	eventually(t, "events after the overrun", func() bool { return m.Get("ge0").MTU == 1500 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	m.Close()
}

func TestDevicesAreTakenOverAndGivenBack(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "dev")
	ip(t, ns, "link add ge0 type veth peer name p0")
	ip(t, ns, "link set p0 up")
	dir := t.TempDir()
	n := own(t, ns)
	d, err := NewDevices(n, store(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	read := func(key string) (v string) {
		_ = n.Do(func() error { v, _ = Sysctl(key); return nil })
		return v
	}
	before := ip(t, ns, "link show ge0")
	claim := DeviceClaim{Attach: intf.Exclusive, Up: true, MTU: 1772, MAC: intf.MAC{2, 0, 0, 0, 0, 0x55}}
	for range 2 {
		if warning, err := d.Claim("ge0", claim); err != nil || warning != "" {
			t.Fatalf("claim: %q, %v", warning, err)
		}
	}
	out := ip(t, ns, "addr show ge0")
	for _, want := range []string{"mtu 1772", "02:00:00:00:00:55", ",UP"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "inet6") || read("ipv6/conf/ge0/disable_ipv6") != "1" {
		t.Errorf("the kernel still speaks IPv6 on an exclusive device:\n%s", out)
	}
	// A change to shared gives IPv6 back, and unset leaves are as found.
	if _, err := d.Claim("ge0", DeviceClaim{Attach: intf.Shared, Up: true}); err != nil {
		t.Fatal(err)
	}
	if read("ipv6/conf/ge0/disable_ipv6") != "0" || !strings.Contains(ip(t, ns, "link show ge0"), "mtu 1500") {
		t.Error("a shared device is not as found")
	}
	if _, err := d.Claim("ge0", claim); err != nil {
		t.Fatal(err)
	}
	for _, former := range []bool{true, false} { // what was found first counts
		if err := d.RememberFeatures("ge0", map[string]bool{"rx-gro": former}); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()

	// The process dies; its successor knows what to give back.
	d, err = NewDevices(n, store(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := d.FormerFeatures("ge0"); !got["rx-gro"] || len(got) != 1 {
		t.Errorf("offloads to be given back: %v", got)
	}
	if got := d.Claimed(); !slices.Equal(got, []string{"ge0"}) {
		t.Errorf("claimed: %v", got)
	}
	if err := d.Release("ge0"); err != nil {
		t.Fatal(err)
	}
	// A link that was up once keeps its queue discipline.
	if after := strings.Replace(ip(t, ns, "link show ge0"), "qdisc noqueue", "qdisc noop", 1); after != before {
		t.Errorf("given back as\n%sinstead of\n%s", after, before)
	}
	if read("ipv6/conf/ge0/disable_ipv6") != "0" {
		t.Error("IPv6 is still off")
	}
	if err := d.Release("ge0"); err != nil {
		t.Errorf("a second release: %v", err)
	}
}

// TestSettingsFollowTheLink: what was found belongs to the link, whatever it is called by
// now, and to no other that has got its index.
func TestSettingsFollowTheLink(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "dev")
	for _, name := range []string{"ge0", "ge1", "ge2"} {
		ip(t, ns, "link add "+name+" type veth peer name p"+name[2:])
	}
	d, err := NewDevices(own(t, ns), store(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	mtu := func(name string) int { return ns.Link(t, name).Attrs().MTU }
	claim := func(name string, n byte) {
		t.Helper()
		if _, err := d.Claim(name, DeviceClaim{Attach: intf.Exclusive, Up: true, MTU: 1700, MAC: intf.MAC{2, 0, 0, 0, 0, n}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"ge0", "ge1", "ge2"} {
		claim(name, byte(i))
	}
	found := map[string]intf.MAC{}
	for _, name := range d.Claimed() {
		former, _ := d.store.device(name)
		found[name] = former.MAC
	}
	// Round in a circle.
	for _, names := range []string{"ge0 name tmp", "ge2 name ge0", "ge1 name ge2", "tmp name ge1"} {
		ip(t, ns, "link set "+names)
	}
	claim("ge0", 7)
	claim("ge1", 8)
	claim("ge2", 9)
	for now, before := range map[string]string{"ge1": "ge0", "ge2": "ge1", "ge0": "ge2"} {
		if err := d.Release(now); err != nil {
			t.Fatal(err)
		}
		if got := intf.MAC(ns.MAC(t, now)); got != found[before] || mtu(now) != 1500 {
			t.Errorf("%s, which was %s, is given back with the address %s and MTU %d: want %s and 1500", now, before, got, mtu(now), found[before])
		}
	}

	claim("ge0", 7)
	ip(t, ns, "link set ge0 name away0")
	if err := d.Release("ge0"); err != nil || mtu("away0") != 1500 {
		t.Errorf("given back under its new name with MTU %d: %v", mtu("away0"), err)
	}

	// Another link with the index of one that is gone.
	claim("ge1", 8)
	index := ns.Link(t, "ge1").Attrs().Index
	ns.Delete(t, "ge1")
	ip(t, ns, fmt.Sprintf("link add other index %d mtu 1600 type veth peer name pother", index))
	if err := errors.Join(d.Follow(), d.Release("ge1"), d.Release("other")); err != nil || mtu("other") != 1600 {
		t.Errorf("a link that was never claimed has MTU %d: %v", mtu("other"), err)
	}
}

func TestExclusiveDeviceWithAddresses(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "warn")
	ip(t, ns, "link add ge0 type veth peer name p0")
	ip(t, ns, "addr add 192.0.2.7/24 dev ge0")
	ip(t, ns, "addr add 2001:db8::7/64 dev ge0 nodad")
	d, err := NewDevices(own(t, ns), store(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	warning, err := d.Claim("ge0", DeviceClaim{Attach: intf.Exclusive, Up: true})
	if err != nil || !strings.Contains(warning, "192.0.2.7/24 2001:db8::7/64") {
		t.Errorf("warning %q, %v", warning, err)
	}
	if out := ip(t, ns, "addr show ge0"); !strings.Contains(out, "192.0.2.7/24") || !strings.Contains(out, "2001:db8::7/64") {
		t.Errorf("addresses were removed:\n%s", out)
	}
}

func TestDeviceErrorsNameTheDeviceAndTheCure(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "err")
	ip(t, ns, "link add ge0 type veth peer name p0")
	d, err := NewDevices(own(t, ns), store(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Claim("ge1", DeviceClaim{}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "device ge1") {
		t.Errorf("absent device: %v", err)
	}
	if _, err := d.Claim("ge0", DeviceClaim{MTU: 70000}); err == nil || !strings.Contains(err.Error(), "device ge0") || !strings.Contains(err.Error(), "at most 65535") {
		t.Errorf("large MTU: %v", err)
	}
	if _, err := d.Claim("ge0", DeviceClaim{MAC: intf.MAC{1, 0, 0, 0, 0, 1}}); !errors.Is(err, unix.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "device ge0") {
		t.Errorf("group MAC: %v", err)
	}
}

func TestAddressesCarryTheProtocol(t *testing.T) {
	testnet.Require(t)
	ns := testnet.New(t, "proto")
	ip(t, ns, "link add ge0 type veth peer name p0")
	c, err := own(t, ns).Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := c.LinkByName("ge0")
	if err != nil {
		t.Fatal(err)
	}
	want := []Address{
		{Index: l.Index, Prefix: netip.MustParsePrefix("192.0.2.1/24"), Protocol: Protocol},
		{Index: l.Index, Prefix: netip.MustParsePrefix("2001:db8::1/64"), Protocol: Protocol},
		{Index: l.Index, Prefix: netip.MustParsePrefix("2001:db8::2/64"), Protocol: Protocol, Deprecated: true},
	}
	for range 2 {
		for _, a := range want {
			if err := c.PutAddress(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := c.Addresses(l.Index)
	if err != nil || len(list) != len(want) {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, a := range want {
		found := false
		for _, b := range list {
			found = found || a == b
		}
		if !found {
			t.Errorf("no %+v in %+v", a, list)
		}
		if err := errors.Join(c.DeleteAddress(a), c.DeleteAddress(a)); err != nil {
			t.Error(err)
		}
	}
	if err := c.SetLink(9999, LinkChange{Alias: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a link that is not there: %v", err)
	}
	if err := c.DeleteLink(9999); err != nil {
		t.Error(err)
	}
}

func TestNamespacesAreMadeOnceAndRemoved(t *testing.T) {
	testnet.Require(t)
	name := fmt.Sprintf("k%d", os.Getpid())
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	dir := t.TempDir()
	ns := NewNamespaces(store(t, dir))
	if _, err := ns.Open(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open what is not there: %v", err)
	}
	if _, err := ns.Ensure("a/b"); err == nil {
		t.Error("a name with a slash was taken")
	}
	a, err := ns.Ensure(name)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var inside, outside unix.Stat_t
	if err := a.Do(func() error { return unix.Stat("/proc/thread-self/ns/net", &inside) }); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat("/proc/self/ns/net", &outside); err != nil || inside.Ino == outside.Ino {
		t.Errorf("Do does not enter the namespace, or the process did: %v", err)
	}
	// A successor knows it as made by us, and finds the same.
	ns = NewNamespaces(store(t, dir))
	b, err := ns.Ensure(name)
	if err != nil || b.inode != a.inode || !ns.Made(name) || !a.Current() {
		t.Fatalf("a second Ensure: %v, made %t, current %t", err, ns.Made(name), a.Current())
	}
	b.Close()
	// Removed and made by someone else, it is not ours any more.
	for _, args := range [][]string{{"netns", "del", name}, {"netns", "add", name}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", args, out)
		}
	}
	if a.Current() || ns.Made(name) {
		t.Error("another namespace of the same name is taken for ours")
	}
	if all := ns.All(); !slices.Equal(all, []string{name}) {
		t.Errorf("made are %q", all)
	}
	if err := ns.Remove(name); err != nil {
		t.Error(err)
	}
	if _, err := namedInode(name); err != nil {
		t.Errorf("another's namespace was removed: %v", err)
	}
	// A file that a removal left behind is no obstacle.
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if err := os.WriteFile("/run/netns/"+name, nil, 0); err != nil {
		t.Fatal(err)
	}
	c, err := ns.Ensure(name)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := ns.Remove(name); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/run/netns/" + name); !os.IsNotExist(err) {
		t.Errorf("the name is left: %v", err)
	}
}

func TestStoreForgetsAnEarlierBoot(t *testing.T) {
	dir := t.TempDir()
	s := store(t, dir)
	if err := s.update(storeData{Namespaces: map[string]uint64{"red": 7}}); err != nil {
		t.Fatal(err)
	}
	if inode, ok := store(t, dir).namespace("red"); !ok || inode != 7 {
		t.Errorf("inode %d, %t", inode, ok)
	}
	if err := s.update(storeData{Boot: "another"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := store(t, dir).namespace("red"); ok {
		t.Error("a record of another boot is believed")
	}
	s = store(t, dir)
	for i := range uint64(1000) {
		name := fmt.Sprint("ns", i%7)
		if err := errors.Join(s.update(storeData{Namespaces: map[string]uint64{name: i + 1}}), s.update(storeData{Devices: map[string]*DeviceSettings{name: {MTU: int(i)}}})); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.update(storeData{Namespaces: map[string]uint64{"ns3": 0}}), s.update(storeData{Devices: map[string]*DeviceSettings{"ns3": nil}})); err != nil {
		t.Fatal(err)
	}
	// The process was killed while it wrote.
	f, err := os.OpenFile(dir+"/kernel.json", os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(`{"namespaces":{"ns5"`)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if again := store(t, dir); !reflect.DeepEqual(again.data, s.data) || len(again.data.Namespaces) != 6 || len(again.data.Devices) != 6 {
		t.Errorf("read back %+v, want %+v", again.data, s.data)
	}
	if err := os.WriteFile(dir+"/kernel.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(dir); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("a broken file: %v", err)
	}
}
