package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"router/dataplane/memport"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
)

// What is sent after a commit returned finds it in force, at once: a frame that
// comes in, and a packet of the control plane.
func TestCommitIsInForceWhenItReturns(t *testing.T) {
	e, err := New(Config{Buffers: 1024, Spin: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	q := memport.New(e.Pools()[0], 64)
	id, err := e.AddPort("ge0", []port.Queue{q}, PortOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mac := intf.MAC{2, 0, 0, 0, 0, 1}
	edit := func(up bool) {
		x := e.Edit()
		x.SetUnit(Unit{Index: 1, Port: id, MAC: mac, Families: [2]UnitFamily{{
			Up: up, MTU: 1500, Locals: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}})
		x.Commit()
	}
	var frame [60]byte
	n := packet.PutEthernet(frame[:], intf.Broadcast, intf.MAC{2, 9}, intf.VLAN{}, packet.EtherTypeARP)
	payload := frame[n:]
	for i := range 20000 {
		edit(false)
		edit(true)
		if !q.Push(frame[:], 0) {
			t.Fatal("no room in the port")
		}
		if err := e.SendUnit(1, packet.EtherTypeARP, intf.Broadcast, payload); err != nil {
			t.Fatal(err)
		}
		for want := uint64(2 * (i + 1)); ; {
			s := e.Totals()
			if s.Received+s.Injected == want && s.Sent+s.Dropped+s.Punted == want {
				break
			}
		}
		if _, ok := q.Pop(nil); !ok {
			t.Fatalf("round %d: what the control plane sent was dropped: %v", i, e.OwnDrops())
		}
		if d := e.Drops(id); d[DropFamilyDown] > 0 {
			t.Fatalf("round %d: a frame met the state before the commit: %v", i, d)
		}
	}
}
