package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A wanderer is a router whose devices ge0 and ge1 are taken away under it in all ways
// that the kernel knows, while ge2 and ge3 forward.
type wanderer struct {
	*lab
	t     *testing.T
	found map[string]string // of ge0 and ge1, before the router came
}

func newWanderer(t *testing.T) *wanderer {
	w := &wanderer{lab: labOf(t), t: t, found: map[string]string{}}
	var interfaces []string
	for i := range 4 {
		host, device := fmt.Sprint("h", i), fmt.Sprint("ge", i)
		w.wire(host, device)
		w.join(i)
		interfaces = append(interfaces, fmt.Sprintf(`{"name":"%s","config":{"mru":1700},"unit":[{"id":"0","family":[
			{"type":"inet","address":[{"prefix":"10.0.%d.1/24"}]}]}]}`, device, i))
	}
	for _, device := range []string{"ge0", "ge1"} {
		w.ip("router", "link set %s down", device)
		w.found[device] = w.look(device)
	}
	w.start()
	w.load(`{"routerd:interface":[` + strings.Join(interfaces, ",") + `]}`)
	w.reach("h0", "10.0.1.2")
	w.reach("h2", "10.0.3.2")
	return w
}

// join gives host i its address and its route.
func (w *wanderer) join(i int) {
	h := w.space(fmt.Sprint("h", i))
	h.Address(w, "eth0", fmt.Sprintf("10.0.%d.2/24", i))
	h.Route(w, "default", fmt.Sprintf("10.0.%d.1", i))
}

func (w *wanderer) ip(space, format string, args ...any) {
	w.t.Helper()
	if _, err := w.space(space).Run("ip", strings.Fields(fmt.Sprintf(format, args...))...); err != nil {
		w.t.Fatal(err)
	}
}

// look says what a router may change at a device.
func (w *wanderer) look(device string) string {
	w.t.Helper()
	a := w.space("router").Link(w, device).Attrs()
	offloads, err := w.space("router").Run("ethtool", "-k", device)
	w.check(err)
	ipv6, err := w.space("router").Run("sysctl", "-n", "net.ipv6.conf."+device+".disable_ipv6")
	w.check(err)
	_, offloads, _ = strings.Cut(offloads, "\n") // the name
	return fmt.Sprintf("MTU %d, MAC %s, flags %v, IPv6 off %s%s", a.MTU, a.HardwareAddr, a.Flags, ipv6, offloads)
}

// reach waits until a host reaches an address.
func (w *wanderer) reach(host, address string) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := w.space(host).Run("ping", "-c", "1", "-W", "1", address)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			out, _ := w.rcli("show", "interfaces")
			w.t.Fatalf("%s does not reach %s:\n%s", host, address, out)
		}
	}
}

// whole waits until ge0 and ge1 forward, by the driver that they had.
func (w *wanderer) whole() {
	w.t.Helper()
	w.reach("h0", "10.0.1.2")
	for _, device := range []string{"ge0", "ge1"} {
		if out, _ := w.rcli("get", "/interface[name="+device+"]/state/driver-in-use"); !strings.Contains(out, "af-xdp") {
			w.t.Errorf("%s came back with the driver %s", device, out)
		}
	}
}

// says waits until a device's state gives a reason.
func (w *wanderer) says(device, reason string) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, _ := w.rcli("get", "/interface[name="+device+"]/state/oper-reason")
		if strings.Contains(out, reason) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the state of %s does not say %q: %s", device, reason, out)
		}
	}
}

// given waits until a link that was the router's is as it was found.
func (w *wanderer) given(link, found string) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		now := w.look(link)
		if now == found {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s is given back as\n%s\nfound as\n%s", link, now, found)
		}
	}
}

// open is how many descriptors the daemon has open.
func (w *wanderer) open() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.daemon.Process.Pid))
	w.check(err)
	return len(list)
}

// steadily runs f while h2 pings h3 through the router, which must not lose anything of it.
func (w *wanderer) steadily(f func()) {
	w.t.Helper()
	var out strings.Builder
	ping := exec.Command("ping", "-q", "-i", "0.02", "-w", "300", "10.0.3.2")
	ping.Stdout, ping.Stderr = &out, &out
	w.check(w.space("h2").Start(ping))
	f()
	_ = ping.Process.Signal(syscall.SIGINT)
	_ = ping.Wait()
	var sent, came int
	for line := range strings.Lines(out.String()) {
		if _, err := fmt.Sscanf(line, "%d packets transmitted, %d received", &sent, &came); err == nil {
			break
		}
	}
	if sent < 50 || came < sent-1 { // the last one may be under way
		w.t.Errorf("of what ge2 and ge3 forward: %s", out.String())
	}
}

// TestDevicesWander: links are renamed, swap their names, are moved to another namespace and
// back, and deleted and made anew under load. The others forward on meanwhile, what is no longer the
// router's is as it was found, and what comes back is opened as it was.
func TestDevicesWander(t *testing.T) {
	w := newWanderer(t)
	away := w.space("away")
	open := w.open()
	w.steadily(func() {
		w.ip("router", "link set ge0 name away0")
		w.says("ge0", "no link ge0 in the kernel")
		w.given("away0", w.found["ge0"])
		w.ip("router", "link set away0 name ge0")
		w.whole()

		for range 2 { // and back again
			w.ip("router", "link set ge0 name swap0")
			w.ip("router", "link set ge1 name ge0")
			w.ip("router", "link set swap0 name ge1")
			for _, i := range []int{0, 1} { // the addresses stay with the names
				h := w.space(fmt.Sprint("h", i))
				_, err := h.Run("ip", "address", "flush", "dev", "eth0")
				w.check(err)
			}
			w.spaces["h0"], w.spaces["h1"] = w.spaces["h1"], w.spaces["h0"]
			w.join(0)
			w.join(1)
			w.whole()
		}

		w.ip("router", "link set ge0 netns %s", away.Name)
		w.says("ge0", "no link ge0 in the kernel")
		w.ip("away", "link set ge0 netns %s", w.space("router").Name)
		w.whole()
	})
	if err := w.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for device, found := range w.found {
		w.given(device, found)
	}

	w.start()
	w.whole()
	w.steadily(func() {
		load := exec.Command("ping", "-q", "-f", "-w", "60", "10.0.0.2")
		w.check(w.space("h1").Start(load))
		defer func() {
			_ = load.Process.Kill()
			_ = load.Wait()
		}()
		for range 3 {
			w.space("router").Delete(w, "ge0")
			w.wire("h0", "ge0")
			w.join(0)
			w.whole()
		}
	})
	if now := w.open(); now > open+2 { // a client's connection may not be closed yet
		t.Errorf("routerd has %d files open, and had %d", now, open)
	}
	pins, err := filepath.Glob(filepath.Join(w.pins(), "xdp-*"))
	w.check(err)
	if len(pins) != 4 {
		t.Errorf("pinned for 4 devices: %v", pins)
	}
	for _, bad := range []string{"panic", "did not close cleanly", "could not be given back"} {
		if strings.Contains(w.log(), bad) {
			t.Errorf("the log says %q", bad)
		}
	}
}

// TestOthersWanderUnderLoad: under a million packets a second through ge0 and ge1 nothing is lost
// while a third device comes and goes. One that was renamed when routerd had died is given
// back by the next.
func TestOthersWanderUnderLoad(t *testing.T) {
	s := newStretch(t)
	r := s.space("router")
	ip := func(args string) {
		t.Helper()
		if _, err := r.Run("ip", strings.Fields(args)...); err != nil {
			t.Fatal(err)
		}
	}
	s.wire("h3", "ge2")
	if out, code := s.rcli("set", "/interface[name=ge2]", `{"config":{"mru":1700},"unit":[{"id":"0","family":[{"type":"inet"}]}]}`); code != 0 {
		t.Fatal(out)
	}
	s.whole(s.under(func() {
		for range 3 {
			ip("link set ge2 name away2")
			s.shows(t, `"pending"`, "get", "/interface[name=ge2]/state/oper-status")
			ip("link set away2 name ge2")
			s.shows(t, `"up"`, "get", "/interface[name=ge2]/state/oper-status")
			r.Delete(s, "ge2")
			s.shows(t, `"pending"`, "get", "/interface[name=ge2]/state/oper-status")
			s.wire("h3", "ge2")
			s.shows(t, `"up"`, "get", "/interface[name=ge2]/state/oper-status")
		}
	}))
	_ = s.end(syscall.SIGKILL)
	ip("link set ge2 name away2")
	s.restarted()
	s.wait("msg=ready")
	if mtu := r.Link(t, "away2").Attrs().MTU; mtu != 1500 {
		t.Errorf("a device that was renamed meanwhile has MTU %d: want 1500, as it was found", mtu)
	}
	s.ping("203.0.113.9")
}
