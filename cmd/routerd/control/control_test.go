package control

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"router/dataplane/packet"
	"router/intf"
	"router/models"
	"router/routing"
	"router/routing/neighbor"
)

func TestForwardsAfterResolution(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	l.send("ge0", udp4(mac1, h1, "192.0.2.9", "198.51.100.9"))
	l.answerARP("ge1", netip.MustParseAddr("198.51.100.9"), h2)
	out := l.receive("ge1", func(f []byte) bool { return f[12] == 8 && f[13] == 0 })
	if got := intf.MAC(out[:6]); got != h2 {
		t.Errorf("sent to %v, want %v", got, h2)
	}
	if out[packet.EthernetHeaderLen+8] != 63 {
		t.Errorf("TTL %d, want 63", out[packet.EthernetHeaderLen+8])
	}
	var found bool
	for _, n := range l.unitState("ge1").Families[0].Neighbors {
		found = found || n.Address == netip.MustParseAddr("198.51.100.9") && n.MAC == h2 && n.State == neighbor.Reachable
	}
	if !found {
		t.Error("the neighbour is not in state as reachable")
	}
	routes := l.router.Routes(nil, "default", intf.FamilyOf(netip.MustParsePrefix("198.51.100.9/32").Addr()), netip.MustParsePrefix("198.51.100.9/32"), netip.Prefix{}, 0)
	if len(routes) != 1 || routes[0].Source != routing.Interface || routes[0].Egress != "ge1.0" {
		t.Errorf("host route of the neighbour: %+v", routes)
	}
}

func TestAbsentDeviceIsPendingUntilItAppears(t *testing.T) {
	l := newLab(t)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "192.0.2.1/24") })
	d, _ := l.router.DeviceState("ge0")
	if d.Oper != intf.OperPending || !strings.Contains(d.OperReason, "no link ge0") {
		t.Errorf("device %v, %q: want pending, with the reason", d.Oper, d.OperReason)
	}
	l.plug("ge0", 1)
	if d, _ = l.router.DeviceState("ge0"); d.Oper != intf.OperUp || d.OperReason != "" {
		t.Errorf("device %v, %q after it appeared", d.Oper, d.OperReason)
	}
	l.send("ge0", arpRequest("192.0.2.9", "192.0.2.1"))
	l.receive("ge0", func(f []byte) bool { return f[12] == 8 && f[13] == 6 && intf.MAC(f[:6]) == h1 })

	l.unplug("ge0")
	if d, _ = l.router.DeviceState("ge0"); d.Oper != intf.OperPending {
		t.Errorf("device %v after it went", d.Oper)
	}
	l.plug("ge0", 1)
	if d, _ = l.router.DeviceState("ge0"); d.Oper != intf.OperUp || l.opened["ge0"] != 2 {
		t.Errorf("device %v after it came back, opened %d times", d.Oper, l.opened["ge0"])
	}
}

func arpRequest(from, to string) []byte {
	frame := make([]byte, 64)
	n := packet.PutEthernet(frame, intf.Broadcast, h1, intf.VLAN{}, packet.EtherTypeARP)
	packet.PutARP(frame[n:], packet.ARPRequest, h1, netip.MustParseAddr(from), intf.MAC{}, netip.MustParseAddr(to))
	return frame
}

func TestCommitThatCannotBeAppliedIsUndone(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	before := l.picture()
	l.plug("ge2", 3)
	l.openErr["ge2"] = errors.New("queue 0 is owned by somebody else")
	err := l.commit(func(in *models.Intent) {
		unitOf(in, "ge2", "red", "203.0.113.1/24")
		in.Instances["red"] = models.InstanceSpec{Name: "red", HostNamespace: "red"}
		unitOf(in, "ge0", "default", "192.0.2.2/24")
		in.Static[models.StaticKey{Instance: "default", Prefix: netip.MustParsePrefix("10.0.0.0/8")}] = models.StaticSpec{
			Key: models.StaticKey{Instance: "default", Prefix: netip.MustParsePrefix("10.0.0.0/8")}, Action: models.Discard}
	})
	if err == nil || !strings.Contains(err.Error(), "interface ge2") || !strings.Contains(err.Error(), "somebody else") {
		t.Fatalf("%v: want the device and the reason", err)
	}
	if after := l.picture(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// picture is what is applied, as text.
func (l *lab) picture() string {
	var b strings.Builder
	for _, name := range l.router.Devices() {
		d, _ := l.router.DeviceState(name)
		fmt.Fprintf(&b, "%s %v\n", name, d.Oper)
		for _, k := range l.router.Units(name) {
			u, _ := l.router.UnitState(k)
			for _, f := range u.Families {
				for _, a := range f.Addresses {
					fmt.Fprintf(&b, "%s %v %v %v\n", k.Name(), f.Family, a.Spec.Prefix, a.Status)
				}
			}
		}
	}
	for _, in := range l.router.Instances() {
		for _, f := range intf.Families {
			for _, r := range l.router.Routes(nil, in, f, netip.Prefix{}, netip.Prefix{}, 1000) {
				if r.Source != routing.Permanent {
					fmt.Fprintf(&b, "%s %v %v %v\n", in, r.Prefix, r.Source, r.Active)
				}
			}
		}
	}
	for _, i := range slices.Sorted(maps.Keys(l.hosts)) {
		fmt.Fprintf(&b, "tap %s %v\n", l.hosts[i].Name, l.hosts[i].Families)
	}
	fmt.Fprintf(&b, "spaces %v\n", slices.Sorted(maps.Keys(l.spaces)))
	return b.String()
}

// Whatever is deleted leaves nothing behind: the picture is that of the start.
func TestDeletedWithoutTrace(t *testing.T) {
	l := newLab(t)
	before := l.picture()
	twoPorts(l)
	l.mustCommit(func(in *models.Intent) {
		in.Instances["red"] = models.InstanceSpec{Name: "red", HostNamespace: "red"}
		unitOf(in, "ge1", "red", "198.51.100.1/24", "2001:db8::1/64")
		k := models.StaticKey{Instance: "red", Prefix: netip.MustParsePrefix("10.0.0.0/8")}
		in.Static[k] = models.StaticSpec{Key: k, NextHops: []models.StaticNextHop{{Gateway: netip.MustParseAddr("198.51.100.7"), Weight: 1}}}
	})
	l.pass(3 * time.Second)
	l.mustCommit(func(in *models.Intent) {
		clear(in.Devices)
		clear(in.Units)
		clear(in.Static)
		delete(in.Instances, "red")
	})
	if after := l.picture(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	slices.Sort(l.released)
	if !slices.Equal(l.released, []string{"ge0", "ge1"}) {
		t.Errorf("given back: %v", l.released)
	}
	if n := l.router.vrfs.NextHops(); n > 8 {
		t.Errorf("%d next hops are left", n)
	}
}

func TestIndexesSurviveRestart(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	want := l.unitState("ge1").IfIndex
	l.mustCommit(func(in *models.Intent) {
		delete(in.Devices, "ge0")
		delete(in.Units, intf.UnitKey{Device: "ge0", ID: "0"})
	})
	intent := l.intent
	l.stop()
	l.boot()
	if err := l.applier.Start(t.Context(), &intent); err != nil {
		t.Fatal(err)
	}
	if got := l.unitState("ge1").IfIndex; got != want {
		t.Errorf("if_index %d, want %d as before the restart", got, want)
	}
}

func TestDuplicateAddressIsNotUsed(t *testing.T) {
	l := newLab(t)
	l.plug("ge0", 1)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "2001:db8::1/64") })
	addr := netip.MustParseAddr("2001:db8::1")
	frame := make([]byte, 128)
	n := packet.PutEthernet(frame, packet.MulticastMAC(packet.AllNodes), h1, intf.VLAN{}, packet.EtherTypeIPv6)
	n += packet.PutND(frame[n:], addr, packet.AllNodes, packet.ND{Type: packet.ICMPv6NeighborAdv, Target: addr, LinkLayer: h1, Override: true})
	l.send("ge0", frame[:n])
	status := func() models.AddressState {
		for _, a := range l.unitState("ge0").Families[0].Addresses {
			if a.Spec.Prefix.Addr() == addr {
				return a
			}
		}
		return models.AddressState{}
	}
	for deadline := time.Now().Add(20 * time.Second); status().Status != models.AddressDuplicate; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the address is %v", status().Status)
		}
	}
	l.pass(3 * time.Second)
	if s := status(); s.Status != models.AddressDuplicate || !strings.Contains(s.Reason, h1.String()) {
		t.Errorf("%v %q: want a duplicate, and whose", s.Status, s.Reason)
	}
	if got := l.router.Routes(nil, "default", intf.FamilyOf(netip.MustParsePrefix("2001:db8::1/128").Addr()), netip.MustParsePrefix("2001:db8::1/128"), netip.Prefix{}, 0); len(got) != 0 {
		t.Errorf("the duplicate is recognised: %v", got)
	}
	// The link-local address was nobody's and is in use.
	if got := l.hosts[l.unitState("ge0").IfIndex].Families[0].Addresses; len(got) != 1 || !got[0].Prefix.Addr().IsLinkLocalUnicast() {
		t.Errorf("addresses of the host stack: %v", got)
	}
}

func TestFailedDeviceIsOpenedAgain(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	l.queues["ge0"].Fail(errors.New("the driver was reset"))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		d, _ := l.router.DeviceState("ge0")
		if strings.Contains(d.OperReason, "driver was reset") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("device %v %q", d.Oper, d.OperReason)
		}
	}
	l.pass(2 * time.Second)
	if d, _ := l.router.DeviceState("ge0"); d.Oper != intf.OperUp {
		t.Errorf("device %v %q after the pause", d.Oper, d.OperReason)
	}
}

func TestWatchersHearOfChanges(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	heard := map[Event]int{}
	stop := l.router.Watch(func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		heard[e]++
	})
	twoPorts(l)
	stop()
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []Event{
		{Object: models.Object{Kind: models.Device, Device: "ge0"}},
		{Object: models.Object{Kind: models.Unit, Device: "ge1", Unit: "0"}},
		{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: netip.MustParsePrefix("192.0.2.0/24")},
	} {
		if heard[want] == 0 {
			t.Errorf("not told of %+v", want)
		}
	}
}
