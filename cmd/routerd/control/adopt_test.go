package control

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"router/dataplane/bpf"
	"router/intf"
	"router/models"
	"router/routing/neighbor"
)

// notes is a Memory that outlives the lab's routers.
type notes map[bpf.Remembered]string

func (n notes) Put(r bpf.Remembered) error {
	_ = n.Delete(r)
	unit := r.Unit
	r.Unit = ""
	n[r] = unit
	return nil
}

func (n notes) Delete(r bpf.Remembered) error {
	for have := range n {
		if have.IfIndex == r.IfIndex && have.Addr == r.Addr && have.Own == r.Own {
			delete(n, have)
		}
	}
	return nil
}

func (n notes) All(f func(r bpf.Remembered, is func(string) bool)) error {
	for r, unit := range n {
		f(r, func(name string) bool { return name == unit })
	}
	return nil
}

func (n notes) has(unit, addr string, own bool) bool {
	for r, u := range n {
		if u == unit && r.Own == own && r.Addr == netip.MustParseAddr(addr) {
			return true
		}
	}
	return false
}

// restart ends the lab's router as a kill would, for the memory, and boots another
// that waits for Adopt.
func (l *lab) restart(intent models.Intent) {
	l.t.Helper()
	l.router.Leave()
	l.stop()
	l.adopting = true
	l.intent = models.Intent{
		Devices: map[string]intf.DeviceSpec{}, Units: map[intf.UnitKey]intf.UnitSpec{}, Instances: map[string]models.InstanceSpec{"default": {Name: "default"}},
		Static: map[models.StaticKey]models.StaticSpec{}, Multicast: map[models.MulticastKey]models.MulticastSpec{},
	}
	l.boot()
	l.mustCommit(func(in *models.Intent) { *in = intent })
}

// TestSuccessorKnowsItsNeighbors restarts a router: a packet to a host that the
// former run knew leaves at once, before the host could have been asked, and an
// IPv6 address of ours works without being looked for.
func TestSuccessorKnowsItsNeighbors(t *testing.T) {
	l := newLabWith(t, notes{})
	l.plug("ge0", 1)
	l.plug("ge1", 2)
	l.mustCommit(func(in *models.Intent) {
		unitOf(in, "ge0", "default", "192.0.2.1/24")
		unitOf(in, "ge1", "default", "198.51.100.1/24", "2001:db8::1/64")
	})
	l.send("ge0", udp4(mac1, h1, "192.0.2.9", "198.51.100.9"))
	l.answerARP("ge1", netip.MustParseAddr("198.51.100.9"), h2)
	l.receive("ge1", func(f []byte) bool { return f[12] == 8 && f[13] == 0 })
	l.pass(3 * time.Second)
	n := l.memory.(notes)
	if !n.has("ge1.0", "198.51.100.9", false) || !n.has("ge1.0", "2001:db8::1", true) || n.has("ge1.0", "198.51.100.1", true) {
		t.Fatalf("remembered: %v", n)
	}
	gone := bpf.Remembered{IfIndex: 77, Unit: "ge7.0", Addr: netip.MustParseAddr("10.0.0.1"), MAC: h1}
	// if_index 2 was another unit's, before somebody removed the file of numbers.
	other := bpf.Remembered{IfIndex: l.unitState("ge1").IfIndex, Unit: "ge9.0", Addr: netip.MustParseAddr("198.51.100.66"), MAC: h1}
	_, _ = n.Put(gone), n.Put(other)

	l.restart(l.intent)
	if l.released != nil {
		t.Errorf("%v was given back", l.released)
	}
	state := func() (neighbors []neighbor.State, preferred bool) {
		for _, f := range l.unitState("ge1").Families {
			for _, n := range f.Neighbors {
				neighbors = append(neighbors, n.State)
			}
			for _, a := range f.Addresses {
				if a.Spec.Prefix.Addr() == netip.MustParseAddr("2001:db8::1") {
					preferred = a.Status == models.AddressPreferred
				}
			}
		}
		return neighbors, preferred
	}
	if ns, ok := state(); !slices.Equal(ns, []neighbor.State{neighbor.Delay}) || !ok {
		t.Errorf("before Adopt: neighbours %v, the IPv6 address in use: %t", ns, ok)
	}
	l.pass(2 * time.Minute)
	if n := l.queues["ge1"].Pending(); n != 0 {
		t.Errorf("%d frames were sent before Adopt", n)
	}
	if !n.has("ge7.0", "10.0.0.1", false) {
		t.Error("what was remembered has changed before Adopt")
	}
	l.send("ge0", udp4(mac1, h1, "192.0.2.9", "198.51.100.9"))
	out := l.receive("ge1", func([]byte) bool { return true })
	if got := intf.MAC(out[:6]); got != h2 || out[12] != 8 || out[13] != 0 {
		t.Errorf("% x came first, want the packet to %v", out[:14], h2)
	}
	if a := l.router.Adopt(2); a != (Adoption{Devices: 2, Neighbors: 1}) {
		t.Errorf("%+v", a)
	}
	if s := l.router.SystemState().Takeover; s == nil || s.Devices != 2 || s.Neighbors != 1 {
		t.Errorf("takeover in state: %+v", s)
	}
	l.receive("ge0", func(f []byte) bool { return f[12] == 8 && f[13] == 6 }) // announces itself
	if n.has("ge7.0", "10.0.0.1", false) || n.has("ge9.0", "198.51.100.66", false) || !n.has("ge1.0", "198.51.100.9", false) {
		t.Errorf("remembered after Adopt: %v", n)
	}
	// The clock starts only now: nobody has been silent for two minutes.
	if ns, _ := state(); !slices.Equal(ns, []neighbor.State{neighbor.Delay}) {
		t.Errorf("after Adopt: %v", ns)
	}
	// It is verified without traffic, and goes when it doesn't answer.
	l.pass(time.Minute)
	if ns, _ := state(); len(ns) != 0 || n.has("ge1.0", "198.51.100.9", false) {
		t.Errorf("a minute later: %v, remembered %v", ns, n)
	}
}

// TestDeviceThatCannotBeTakenOver is closed, and tried again.
func TestDeviceThatCannotBeTakenOver(t *testing.T) {
	l := newLabWith(t, notes{})
	twoPorts(l)
	l.restart(l.intent)
	l.refuse = "ge1"
	if a := l.router.Adopt(2); a.Devices != 1 {
		t.Errorf("%+v", a)
	}
	if d, _ := l.router.DeviceState("ge1"); d.Oper == intf.OperUp || d.OperReason != "refused" {
		t.Errorf("%v, %q", d.Oper, d.OperReason)
	}
	l.refuse = ""
	l.pass(5 * time.Second)
	if d, _ := l.router.DeviceState("ge1"); d.Oper != intf.OperUp {
		t.Errorf("%v, %q some seconds later", d.Oper, d.OperReason)
	}
}

// TestAddressesOfALinkThatIsDown are looked for when it is up again, whether the router
// was started anew meanwhile or not.
func TestAddressesOfALinkThatIsDown(t *testing.T) {
	n := notes{}
	l := newLabWith(t, n)
	l.plug("ge0", 1)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "2001:db8::1/64") })
	l.pass(3 * time.Second)
	if !n.has("ge0.0", "2001:db8::1", true) {
		t.Fatalf("remembered while in use: %v", n)
	}
	l.setLink("ge0", true, false)
	if n.has("ge0.0", "2001:db8::1", true) {
		t.Error("it is remembered as in use while the link is down")
	}
	l.setLink("ge0", true, true)
	l.pass(3 * time.Second)
	if !n.has("ge0.0", "2001:db8::1", true) {
		t.Errorf("remembered when it is in use again: %v", n)
	}
}
