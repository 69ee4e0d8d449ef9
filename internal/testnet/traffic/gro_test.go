package traffic

import (
	"net/netip"
	"testing"
	"time"

	"router/internal/testnet"
)

func TestPacketsReachADeviceWithoutXDP(t *testing.T) {
	// The kernel of the middle forwards: its ends run NAPI by GRO alone.
	testnet.Require(t)
	router := testnet.New(t, "router")
	var ends [2]testnet.End
	var stations [2]*Station
	for i, name := range []string{"ge0", "ge1"} {
		ends[i] = testnet.End{In: testnet.New(t, "host"), Name: "eth0"}
		testnet.Pair(t, ends[i], testnet.End{In: router, Name: name})
		stations[i] = Attach(t, ends[i])
	}
	router.Sysctl(t, "net/ipv4/ip_forward", "1")
	router.Address(t, "ge0", "192.0.2.254/24")
	router.Address(t, "ge1", "198.51.100.254/24")
	router.Neighbor(t, "ge1", "198.51.100.1", ends[1].In.MAC(t, "eth0"))
	flow := stations[0].Flow(t, Packet{
		SourceMAC: ends[0].In.MAC(t, "eth0"), DestMAC: router.MAC(t, "ge0"),
		Source: netip.MustParseAddr("192.0.2.1"), Dest: netip.MustParseAddr("198.51.100.1"), Size: 60,
	}, []netip.Addr{netip.MustParseAddr("198.51.100.1")}, false)
	var sent uint64
	r, err := stations[1].Measure(func() (err error) {
		sent, err = flow.Pace(-1, 1000, 50*time.Millisecond)
		return err
	})
	if err != nil || sent != 50 || r.Packets != sent {
		t.Errorf("%d packets came of %d: %v", r.Packets, sent, err)
	}
	// And in a blast, whose packets lie in memory that the kernel has forwarded
	// packets from, and changed them.
	r, err = stations[1].Measure(func() (err error) {
		sent, err = flow.Blast(-1, 5*time.Millisecond)
		return err
	})
	if err != nil || r.Packets < sent/2 {
		t.Errorf("%d packets came of a blast of %d: %v", r.Packets, sent, err)
	}
}
