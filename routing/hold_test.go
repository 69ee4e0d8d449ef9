package routing

import (
	"net/netip"
	"testing"

	"router/intf"
)

// A held next hop is told to the sink, wanted as a neighbour, follows its path, and
// is gone when it was let go as often as it was held.
func TestHold(t *testing.T) {
	wanted := map[netip.Addr]bool{}
	s := NewStore(Config{OnGateway: func(_ intf.Index, gateway netip.Addr, used bool) { wanted[gateway] = used }})
	rib, err := s.AddRIB(0, discardFIB{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetLink(7, intf.Inet, true); err != nil {
		t.Fatal(err)
	}
	far, near := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("192.0.2.2")
	nh := NextHop{Kind: Indirect, Gateway: far}
	id, err := s.Hold(intf.Inet, nh)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Hold(intf.Inet, nh); err != nil || again != id {
		t.Fatalf("held again as %d, %v; want %d", again, err, id)
	}
	if _, via, ok := s.NextHop(id); !ok || via.Kind != 0 {
		t.Errorf("without a route the gateway is reached by %v, %t", via, ok)
	}
	direct := Route{Key: Key{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Source: User}, NextHop: NextHop{Kind: Forward, IfIndex: 7, Gateway: near}}
	if err := rib.Set(direct); err != nil {
		t.Fatal(err)
	}
	if _, via, ok := s.NextHop(id); !ok || via != direct.NextHop {
		t.Errorf("the gateway is reached by %v, %t; want %v", via, ok, direct.NextHop)
	}
	if !wanted[near] {
		t.Error("the neighbour on the path is not wanted")
	}
	if err := rib.Delete(direct.Key); err != nil {
		t.Fatal(err)
	}
	if wanted[near] {
		t.Error("the neighbour is wanted without a path")
	}
	for range 2 {
		if _, _, ok := s.NextHop(id); !ok {
			t.Fatal("the next hop has gone early")
		}
		if err := s.LetGo(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := s.NextHop(id); ok || s.NextHops() != 0 {
		t.Errorf("%d next hops are left", s.NextHops())
	}
	for _, bad := range []NextHop{{}, {Kind: Forward, IfIndex: 7}, {Kind: Forward, IfIndex: 7, Gateway: netip.MustParseAddr("2001:db8::1")}, {Kind: Indirect, Gateway: far, Instance: 5}} {
		if id, err := s.Hold(intf.Inet, bad); err == nil {
			t.Errorf("%v was held as %d", bad, id)
		}
	}
}
