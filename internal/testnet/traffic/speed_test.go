package traffic

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"router/internal/testnet"
)

// BenchmarkStraight is the generator with nothing between it and the sink.
func BenchmarkStraight(b *testing.B) {
	testnet.Require(b)
	from := testnet.End{In: testnet.New(b, "a"), Name: "west"}
	to := testnet.End{In: testnet.New(b, "b"), Name: "east"}
	testnet.Pair(b, from, to)
	west, east := Attach(b, from), Attach(b, to)
	flow := west.Flow(b, Packet{
		SourceMAC: from.In.MAC(b, from.Name), DestMAC: to.In.MAC(b, to.Name),
		Source: netip.MustParseAddr("192.0.2.1"), Dest: netip.MustParseAddr("198.51.100.1"), Size: 60,
	}, nil, false)
	var rates []float64
	for b.Loop() {
		r, err := east.Measure(func() error {
			_, err := flow.Blast(0, 200*time.Millisecond)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		rates = append(rates, r.Mpps())
	}
	slices.Sort(rates)
	b.ReportMetric(rates[len(rates)/2], "Mpps")
}
