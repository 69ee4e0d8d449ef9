package traffic

import (
	"net/netip"
	"testing"
	"time"

	"router/internal/testnet"
)

func TestPacketsAreCounted(t *testing.T) {
	testnet.Require(t)
	a := testnet.End{In: testnet.New(t, "a"), Name: "west"}
	b := testnet.End{In: testnet.New(t, "b"), Name: "east"}
	testnet.Pair(t, a, b)
	from, to := Attach(t, a), Attach(t, b)
	for _, c := range []struct {
		name   string
		packet Packet
		many   []netip.Addr
	}{
		{"IPv4", Packet{Source: netip.MustParseAddr("192.0.2.1"), Dest: netip.MustParseAddr("198.51.100.1"), Size: 60}, nil},
		{"IPv4, many", Packet{Source: netip.MustParseAddr("192.0.2.1"), Dest: netip.MustParseAddr("198.51.100.1"), Size: 60},
			[]netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")}},
		{"IPv6 in a VLAN", Packet{Source: netip.MustParseAddr("2001:db8::1"), Dest: netip.MustParseAddr("2001:db8::2"), Size: 1514, VLAN: 7}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.packet.SourceMAC, c.packet.DestMAC = a.In.MAC(t, a.Name), b.In.MAC(t, b.Name)
			flow := from.Flow(t, c.packet, c.many, true)
			var sent uint64
			got, err := to.Measure(func() (err error) {
				sent, err = flow.Pace(-1, 2000, 100*time.Millisecond)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if sent != 200 || got.Packets != sent || got.Octets != sent*uint64(c.packet.Size) {
				t.Errorf("sent %d packets, want 200; came %+v", sent, got)
			}
			var n uint64
			for _, v := range got.Latency {
				n += v
			}
			p50, p99 := got.Latency.Quantile(.5), got.Latency.Quantile(.99)
			if n != sent || p50 <= 0 || p99 < p50 || p99 > time.Second {
				t.Errorf("latencies of %d packets: p50 %v, p99 %v", n, p50, p99)
			}
			if got.Elapsed < 90*time.Millisecond {
				t.Errorf("200 packets came within %v, want 100 ms", got.Elapsed)
			}
			blasted, err := to.Measure(func() error {
				_, err := flow.Blast(-1, 5*time.Millisecond)
				return err
			})
			if err != nil || blasted.Packets == 0 || blasted.Mpps() <= 0 {
				t.Errorf("a blast brings %d packets at %v Mpps: %v", blasted.Packets, blasted.Mpps(), err)
			}
		})
	}
}

func TestQuantiles(t *testing.T) {
	var l Latency
	l[3] = 50      // 3 ns
	l[10*8+4] = 49 // 1536 to 1663 ns
	l[20*8+7] = 1  // up to 2^21-1 ns
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{.5, 3}, {.51, 1663}, {.99, 1663}, {1, 1<<21 - 1}} {
		if got := l.Quantile(c.q); got != c.want {
			t.Errorf("quantile %v is %d, want %d", c.q, got, c.want)
		}
	}
	if got := (Latency{}).Quantile(.5); got != 0 {
		t.Errorf("no packets, but a median of %v", got)
	}
}
