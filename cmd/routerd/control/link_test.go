package control

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"router/dataplane/port"
	"router/intf"
	"router/models"
)

// setLink changes what is seen of a link that is there.
func (l *lab) setLink(name string, adminUp, carrier bool) {
	l.mu.Lock()
	k := l.links[name]
	k.AdminUp, k.Carrier = adminUp, carrier
	l.links[name] = k
	l.mu.Unlock()
	l.router.LinkChanged(k)
}

// A link that is down or has no carrier is no reason to refuse a commit, and a
// carrier that comes and goes does not cost the device its queues.
func TestLinkThatIsDown(t *testing.T) {
	for _, c := range []struct {
		name             string
		adminUp, carrier bool
		reason           string
	}{
		{"not set up", false, false, "link is down"},
		{"no carrier", true, false, "no carrier"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.plug("ge0", 1)
			l.setLink("ge0", c.adminUp, c.carrier)
			l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "192.0.2.1/24") })
			expect := func(oper intf.OperStatus, reason string) {
				t.Helper()
				d, _ := l.router.DeviceState("ge0")
				if d.Oper != oper || (reason == "") != (d.OperReason == "") || !strings.Contains(d.OperReason, reason) {
					t.Errorf("device is %v, %q: want %v, %q", d.Oper, d.OperReason, oper, reason)
				}
			}
			expect(intf.OperDown, c.reason)
			l.setLink("ge0", true, true)
			expect(intf.OperUp, "")
			l.setLink("ge0", c.adminUp, c.carrier)
			expect(intf.OperDown, c.reason)
			l.setLink("ge0", true, true)
			expect(intf.OperUp, "")
			if l.opened["ge0"] != 1 {
				t.Errorf("opened %d times, want once", l.opened["ge0"])
			}
			l.send("ge0", arpRequest("192.0.2.9", "192.0.2.1"))
			l.receive("ge0", func(f []byte) bool { return f[12] == 8 && f[13] == 6 && intf.MAC(f[:6]) == h1 })
		})
	}
}

// What the kernel has on a shared device stays with the kernel, also when it
// gets the address later.
func TestSharedDeviceLeavesNewAddressesToTheKernel(t *testing.T) {
	l := newLab(t)
	l.plug("ge0", 1)
	l.mustCommit(func(in *models.Intent) {
		unitOf(in, "ge0", "default", "192.0.2.1/24")
		d := in.Devices["ge0"]
		d.Attach = intf.Shared
		in.Devices["ge0"] = d
	})
	for _, want := range [][]netip.Prefix{
		nil,
		{netip.MustParsePrefix("192.0.2.9/24")},
		{netip.MustParsePrefix("192.0.2.9/24"), netip.MustParsePrefix("2001:db8::9/64")},
		nil,
	} {
		l.mu.Lock()
		k := l.links["ge0"]
		k.Addresses = want
		l.links["ge0"] = k
		l.mu.Unlock()
		l.router.LinkChanged(k)
		var addrs []netip.Addr
		for _, p := range want {
			addrs = append(addrs, p.Addr())
		}
		claims := l.router.devices["ge0"].claims
		if len(claims) != 1 || !slices.Equal(claims[0].Kernel, addrs) {
			t.Errorf("claims %v: want one that leaves %v to the kernel", claims, addrs)
		}
	}
}

// TestFailureOfAPortThatIsNoMore: each queue of a device that vanishes reports it. One
// that is late finds the port's number given to another device, which it leaves alone.
func TestFailureOfAPortThatIsNoMore(t *testing.T) {
	l := newLab(t)
	l.plug("ge0", 1)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "192.0.2.1/24") })
	id := l.router.devices["ge0"].port
	l.router.onPortError(id, port.ErrGone)
	if d, _ := l.router.DeviceState("ge0"); d.Oper != intf.OperUp || l.opened["ge0"] != 1 {
		t.Errorf("a device whose queues work is %v, opened %d times", d.Oper, l.opened["ge0"])
	}
	l.queues["ge0"].Fail(port.ErrGone)
	l.router.onPortError(id, port.ErrGone)
	if d, _ := l.router.DeviceState("ge0"); d.Oper == intf.OperUp {
		t.Error("a device whose queue has failed is up")
	}
}

// TestPinsAreTriedAgain: what could not be pinned when its device was opened is tried again.
func TestPinsAreTriedAgain(t *testing.T) {
	l := newLab(t)
	l.plug("ge0", 1)
	l.pinErr = errors.New("read-only file system")
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "192.0.2.1/24") })
	d := l.router.devices["ge0"]
	l.pass(2 * pinInterval)
	if d.unpinned.IsZero() {
		t.Fatal("a device that can't be pinned is not tried again")
	}
	l.mu.Lock()
	l.pinErr = nil
	l.mu.Unlock()
	l.pass(2 * pinInterval)
	if !d.unpinned.IsZero() {
		t.Error("a device that can be pinned is not")
	}
}

// TestSwappedNames: two devices that swap their names are both opened anew, each when the
// other has let go of its link.
func TestSwappedNames(t *testing.T) {
	l := newLab(t)
	l.plug("ge0", 1)
	l.plug("ge1", 2)
	l.mustCommit(func(in *models.Intent) {
		unitOf(in, "ge0", "default", "192.0.2.1/24")
		unitOf(in, "ge1", "default", "198.51.100.1/24")
	})
	l.mu.Lock()
	a, b := l.links["ge0"], l.links["ge1"]
	a.Name, b.Name = "ge1", "ge0"
	l.links["ge0"], l.links["ge1"] = b, a
	l.mu.Unlock()
	l.router.LinkChanged(b)
	if d := l.router.devices["ge1"]; d.open != nil && d.link == b.Index {
		t.Error("ge1 still has the link that is ge0's")
	}
	l.router.LinkChanged(a)
	for _, name := range []string{"ge0", "ge1"} {
		if d := l.router.devices[name]; d.open == nil || d.link != l.links[name].Index || l.opened[name] != 2 {
			t.Errorf("%s is open at link %d, opened %d times: want %d and 2", name, d.link, l.opened[name], l.links[name].Index)
		}
	}
	if len(l.released) > 0 {
		t.Errorf("given back: %v", l.released)
	}
}
